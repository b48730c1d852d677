//! Folders of pictures that are not as they should be: links, odd names, lone folders, a stale cache,
//! and what the quarantine does with bad files.

use std::fs;

use crate::support::file;
use crate::support::folders::{cache_file, folder, listed, load, options, pictures, with_bad};
use dnn_data::{
    BadFiles, CacheUse, DataError, LoadOptions, Loaded, Part, list_pictures, load_pictures,
};
use image::ImageFormat;

#[test]
fn a_cache_of_other_data_settings_or_version_is_not_used() {
    let (data, cache) = (folder(&pictures(&["a/1.jpg", "a/2.jpg", "b/1.jpg"])), folder(&[]));
    let root = data.path();
    let cached = LoadOptions { cache: Some(cache.path().to_path_buf()), ..options() };
    let check = |expected: fn(&CacheUse) -> bool, what: &str| {
        let loaded = load_pictures(root, &cached).unwrap();
        assert!(expected(&loaded.report.cache), "{what}: {:?}", loaded.report.cache);
        assert_eq!(loaded.dataset.train, load(root).dataset.train, "{what}");
    };
    let rebuilt = |cache: &CacheUse| matches!(cache, CacheUse::Rebuilt { .. });
    check(|cache| *cache == CacheUse::Stored, "at first");
    fs::write(root.join("b/2.jpg"), file(ImageFormat::Jpeg, 50)).unwrap();
    check(rebuilt, "one more");
    fs::rename(root.join("a/2.jpg"), root.join("b/3.jpg")).unwrap();
    check(rebuilt, "another class");
    fs::remove_file(root.join("b/2.jpg")).unwrap();
    check(rebuilt, "one less");
    check(|cache| *cache == CacheUse::Hit, "nothing changed");

    // Another major version of the format, at bytes 8 and 9.
    let path = cache_file(cache.path());
    let mut bytes = fs::read(&path).unwrap();
    bytes[8] -= 1;
    fs::write(&path, bytes).unwrap();
    check(rebuilt, "another version");
    check(|cache| *cache == CacheUse::Hit, "nothing changed");

    let lenient = dnn_data::picture::Decoding { lenient: true, ..options().decoding };
    let other = LoadOptions { decoding: lenient, ..cached.clone() };
    assert_eq!(load_pictures(root, &other).unwrap().report.cache, CacheUse::Stored);
    check(|cache| *cache == CacheUse::Hit, "beside that of other settings");
}

/// The system's own time of change cannot be set back, as the time of modification can.
#[cfg(unix)]
#[test]
fn a_change_of_the_same_size_behind_an_old_time_is_seen() {
    let (data, cache) = (folder(&pictures(&["a/1.bmp", "b/1.bmp"])), folder(&[]));
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(3600);
    let path = data.path().join("a/1.bmp");
    let write = |seed| {
        fs::write(&path, file(ImageFormat::Bmp, seed)).unwrap();
        fs::File::options().append(true).open(&path).unwrap().set_modified(old).unwrap();
    };
    write(1);
    let cached = LoadOptions { cache: Some(cache.path().to_path_buf()), ..options() };
    let first = load_pictures(data.path(), &cached).unwrap();
    write(2);
    let second = load_pictures(data.path(), &cached).unwrap();
    assert!(matches!(second.report.cache, CacheUse::Rebuilt { .. }), "{:?}", second.report.cache);
    assert_ne!(second.dataset.train, first.dataset.train);
    assert_eq!(second.dataset.train, load(data.path()).dataset.train);
}

#[cfg(unix)]
#[test]
fn links_between_folders_do_not_multiply_them() {
    use std::os::unix::fs::symlink;

    // Twenty folders, each with a link to every other: more paths than can be counted.
    let names: Vec<String> = (0..20).map(|number| format!("class{number}")).collect();
    let paths: Vec<String> = names.iter().map(|name| format!("{name}/1.jpg")).collect();
    let folder = folder(&pictures(&paths.iter().map(String::as_str).collect::<Vec<_>>()));
    for from in &names {
        for to in names.iter().filter(|to| *to != from) {
            symlink(folder.path().join(to), folder.path().join(from).join(to)).unwrap();
        }
    }
    let listing = list_pictures(folder.path()).unwrap();
    assert_eq!((listing.entries.len(), listing.class_names.len()), (20, 20));
    assert_eq!(listing.ignored.len(), 20 * 19);
    assert_eq!(listing.ignored[0].reason, "a folder that is read under another path");

    // A link into the data is a class where it is the shortest path; one out of it always.
    let outside = self::folder(&pictures(&["x/1.jpg"]));
    fs::create_dir_all(folder.path().join("a/deep")).unwrap();
    fs::write(folder.path().join("a/deep/2.jpg"), b"").unwrap();
    symlink(folder.path().join("a/deep"), folder.path().join("link")).unwrap();
    symlink(outside.path().join("x"), folder.path().join("other")).unwrap();
    let listing = list_pictures(folder.path()).unwrap();
    assert_eq!(listing.class_names[20..], ["link", "other"]);
    assert!(listing.ignored.iter().any(|ignored| ignored.path == "a/deep"));
}

#[test]
fn a_folder_that_stands_alone_in_a_part_is_a_class() {
    let message =
        |paths: &[&str]| list_pictures(folder(&pictures(paths)).path()).unwrap_err().to_string();
    let train = |path: &str, class| (path.to_owned(), Part::Train, class);
    let test = |path: &str, class| (path.to_owned(), Part::Test, class);
    // `Test` comes before `train`, and the name of its picture looks like a label.
    let found = listed(
        folder(&pictures(&["train/cats/1.jpg", "train/dogs/1.jpg", "Test/dogs/pug.1.jpg"])).path(),
    );
    assert_eq!(
        found,
        [
            train("train/cats/1.jpg", 0),
            train("train/dogs/1.jpg", 1),
            test("Test/dogs/pug.1.jpg", 1)
        ]
    );
    // The same with folders in it.
    let found = listed(
        folder(&pictures(&[
            "train/cats/1.jpg",
            "train/dogs/1.jpg",
            "test/dogs/a/1.jpg",
            "test/dogs/b/1.jpg",
        ]))
        .path(),
    );
    assert_eq!(found[2..], [test("test/dogs/a/1.jpg", 1), test("test/dogs/b/1.jpg", 1)]);
    // A class that the training part lacks is no empty part, but an error.
    let error = message(&["train/cats/1.jpg", "train/dogs/1.jpg", "test/birds/1.jpg"]);
    assert!(error.ends_with("found birds"), "{error}");
    let error = message(&["train/cats/1.jpg", "test/cats/1.jpg", "test/dogs/1.jpg"]);
    assert!(error.contains("(cats)") && error.ends_with("found dogs"), "{error}");
    // What is packed once more is unpacked in the mind.
    let found = listed(
        folder(&pictures(&[
            "train/train/cat.1.jpg",
            "train/train/dog.1.jpg",
            "test/test/dog.2.jpg",
        ]))
        .path(),
    );
    assert_eq!(found[2], test("test/test/dog.2.jpg", 1));
}

#[cfg(unix)]
#[test]
fn names_that_are_not_unicode_stay_apart_everywhere() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let folder = folder(&pictures(&["plain/1.jpg"]));
    let root = folder.path();
    let name = |bytes: &[u8]| root.join(OsStr::from_bytes(bytes));
    for class in [&b"\xfe"[..], b"\xff", b"\\xff"] {
        fs::create_dir(name(class)).unwrap();
        for bad in [&b"\xf0.jpg"[..], b"\xf1.jpg"] {
            fs::write(name(class).join(OsStr::from_bytes(bad)), bad).unwrap();
        }
        fs::write(name(class).join("2.jpg"), file(ImageFormat::Jpeg, 3)).unwrap();
    }
    let aside = LoadOptions { bad_files: BadFiles::Quarantine, max_bad: 0.9, ..options() };
    let Loaded { dataset, report } = load_pictures(root, &aside).unwrap();
    assert_eq!(dataset.train.class_names(), [r"\\xff", r"\xfe", r"\xff", "plain"]);
    assert_eq!(dataset.train.class_counts(), [1, 1, 1, 1]);
    let mut paths: Vec<&str> = report.bad.iter().map(|bad| bad.path.as_str()).collect();
    paths.dedup();
    assert_eq!((paths.len(), report.bad.len()), (6, 6));
    let quarantine = root.join(".quarantine");
    let table = fs::read_to_string(quarantine.join("reasons.tsv")).unwrap();
    for path in paths {
        assert!(table.contains(&format!("{path}\t")), "{path}: {table}");
        let real = dnn_data::text_path(path).unwrap();
        assert!(!root.join(&real).exists(), "{path}");
        let content = fs::read(quarantine.join(&real)).unwrap();
        assert_eq!(content, real.file_name().unwrap().as_bytes(), "{path}");
    }
    assert!(load_pictures(root, &options()).unwrap().report.bad.is_empty());
}

#[cfg(unix)]
#[test]
fn the_quarantine_replaces_nothing_and_moves_nothing_from_outside() {
    use std::os::unix::fs::symlink;

    let (data, outside) = (with_bad(), folder(&[("1.jpg", Some(b"kept"))]));
    let root = data.path();
    symlink(outside.path(), root.join("b/linked")).unwrap();
    let quarantine = root.join(".quarantine");
    fs::create_dir_all(quarantine.join("a")).unwrap();
    fs::write(quarantine.join("a/empty.jpg"), b"of an earlier run").unwrap();
    // A line that a crash cut short, in bytes that are no text.
    fs::write(quarantine.join("reasons.tsv"), b"a/\xff\treas").unwrap();
    let long = format!("a/{}", "x".repeat(255));
    fs::write(root.join(&long), b"text").unwrap();
    fs::write(quarantine.join(&long), b"earlier").unwrap();
    let aside = LoadOptions { bad_files: BadFiles::Quarantine, max_bad: 0.9, ..options() };
    let report = load_pictures(root, &aside).unwrap().report;
    assert_eq!(report.bad.len(), 4);
    let linked = report.bad.iter().find(|bad| bad.path == "b/linked/1.jpg").unwrap();
    assert!(linked.reason.ends_with("left in its place, which is outside of the data"));
    assert_eq!(fs::read(outside.path().join("1.jpg")).unwrap(), b"kept");
    assert_eq!(fs::read(quarantine.join("a/empty.jpg")).unwrap(), b"of an earlier run");
    assert_eq!(fs::read(quarantine.join("a/2-empty.jpg")).unwrap(), b"");
    assert_eq!(fs::read(quarantine.join(&long)).unwrap(), b"earlier");
    assert_eq!(fs::read(quarantine.join("a/2")).unwrap(), b"text");
    let table = fs::read(quarantine.join("reasons.tsv")).unwrap();
    assert!(table.starts_with(b"a/\xff\treas\na/empty.jpg\tthe file is empty\ta/2-empty.jpg\n"));
    assert_eq!(table.split(|&byte| byte == b'\n').count(), 5);

    // A quarantine that is a link out of the data takes nothing, and nothing is lost.
    let (data, outside) = (with_bad(), folder(&[]));
    symlink(outside.path(), data.path().join(".quarantine")).unwrap();
    let error = load_pictures(data.path(), &aside).unwrap_err();
    assert!(error.is_io(), "{error}");
    assert!(data.path().join("a/empty.jpg").exists());
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 0);

    // Nor does its table, as a link or as a second name, add to what lies outside.
    let outside = folder(&[("precious", Some(b"the only copy"))]);
    let precious = outside.path().join("precious");
    for linked in [true, false] {
        let data = with_bad();
        let table = data.path().join(".quarantine/reasons.tsv");
        fs::create_dir(data.path().join(".quarantine")).unwrap();
        if linked {
            symlink(&precious, &table).unwrap();
        } else {
            fs::hard_link(&precious, &table).unwrap();
        }
        let error = load_pictures(data.path(), &aside).unwrap_err();
        assert!(error.is_io(), "{error}");
        assert!(data.path().join("a/empty.jpg").exists());
        assert_eq!(fs::read(&precious).unwrap(), b"the only copy");
    }
}

#[test]
fn what_the_checksums_list_and_is_not_there_is_a_bad_file_unless_it_was_put_aside() {
    let folder = with_bad();
    let root = folder.path();
    let listed = ["a/1.jpg", "a/empty.jpg", "b/page.jpg", "b/gone.jpg"];
    let sums = listed.map(|path| {
        let bytes = fs::read(root.join(path)).unwrap_or_default();
        format!("{}  {path}\n", dnn_store::sha256_hex(&bytes))
    });
    fs::write(root.join("SHA256SUMS"), sums.concat()).unwrap();
    let with = |bad_files, max_bad| LoadOptions { bad_files, max_bad, ..options() };
    let error = load_pictures(root, &with(BadFiles::Skip, 0.2)).unwrap_err();
    assert!(matches!(error, DataError::TooManyBad { bad: 3, of: 11, .. }), "{error}");
    let report = load_pictures(root, &with(BadFiles::Quarantine, 0.3)).unwrap().report;
    assert_eq!((report.used, report.bad.len()), (8, 3));
    let report = load_pictures(root, &with(BadFiles::Skip, 0.3)).unwrap().report;
    let bad = &report.bad[..];
    assert_eq!((bad.len(), bad[0].path.as_str()), (1, "b/gone.jpg"));
    assert_eq!(bad[0].reason, "listed in SHA256SUMS and not there");
    let aside = report.ignored.iter().filter(|one| one.reason == "put into .quarantine earlier");
    assert_eq!(aside.count(), 2);
    // As sha256sum writes names with a line feed.
    #[cfg(unix)]
    {
        let name = "a/new\nline\\.jpg";
        fs::write(root.join(name), file(ImageFormat::Png, 5)).unwrap();
        let sum = format!("\\{}  a/new\\nline\\\\.jpg\n", "0".repeat(64));
        fs::write(root.join("SHA256SUMS"), sum).unwrap();
        let error = load_pictures(root, &options()).unwrap_err().to_string();
        assert!(error.contains("expected sha256 000"), "{error}");
    }
}

#[test]
fn what_a_killed_process_left_in_the_cache_goes_when_nobody_is_writing() {
    let (data, cache) = (folder(&pictures(&["a/1.jpg", "b/1.jpg"])), folder(&[]));
    let cached = LoadOptions { cache: Some(cache.path().to_path_buf()), ..options() };
    let load = || load_pictures(data.path(), &cached).unwrap().report.cache;
    assert_eq!(load(), CacheUse::Stored);
    let file = cache_file(cache.path());
    let name = file.file_name().unwrap().to_str().unwrap();
    let left = cache.path().join(format!(".{name}.4711-0.tmp"));
    let others = [".notes.4711-0.tmp".to_owned(), format!(".{name}.swp"), format!("{name}.tmp")];
    let others = others.map(|name| cache.path().join(name));
    let prepare = || {
        fs::remove_file(&file).unwrap();
        fs::write(&left, [0; 1000]).unwrap();
    };
    for other in &others {
        fs::write(other, "somebody's").unwrap();
    }

    prepare();
    let writing = fs::File::open(cache.path().join(".lock")).unwrap();
    writing.lock_shared().unwrap();
    assert_eq!((load(), left.exists()), (CacheUse::Stored, true), "another process is writing");
    prepare();
    drop(writing);
    assert_eq!((load(), left.exists()), (CacheUse::Stored, false));
    assert!(file.exists() && others.iter().all(|other| other.exists()));
}

#[cfg(unix)]
#[test]
fn a_cache_that_cannot_be_kept_names_path_bytes_and_reason_once() {
    let (data, cache) = (folder(&pictures(&["a/1.jpg", "b/1.jpg"])), folder(&[]));
    let cached = LoadOptions { cache: Some(cache.path().to_path_buf()), ..options() };
    let load = || load_pictures(data.path(), &cached).unwrap().report.cache;
    assert_eq!(load(), CacheUse::Stored);
    let file = cache_file(cache.path());
    let bytes = fs::metadata(&file).unwrap().len();
    // A link to nothing cannot be written through.
    fs::remove_file(&file).unwrap();
    std::os::unix::fs::symlink("nowhere", &file).unwrap();
    let CacheUse::NotStored { reason } = load() else { panic!("a link to nothing was written") };
    assert_eq!(reason.matches(file.to_str().unwrap()).count(), 1, "{reason}");
    assert!(reason.contains("(os error 2)"), "{reason}");
    assert!(reason.ends_with(&format!("; {bytes} bytes are needed")), "{reason}");
}
