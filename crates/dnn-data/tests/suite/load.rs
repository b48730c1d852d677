//! Folders of pictures: layouts, bad files, policies, checksums, threads, the cache.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::support::file;
use crate::support::folders::{
    SHAPE, cache_file, folder, listed, load, options, pictures, with_bad,
};
use dnn_data::picture::Preprocessing;
use dnn_data::{
    BadFiles, CacheUse, DataError, ImageShape, Layout, LoadOptions, Loaded, Part, list_pictures,
    load_pictures,
};
use image::ImageFormat;

fn reasons(root: &Path) -> Vec<(String, &'static str)> {
    let ignored = list_pictures(root).unwrap().ignored.into_iter();
    ignored.map(|one| (one.path, one.reason)).collect()
}

#[test]
fn class_folders_come_in_natural_order_whatever_lies_beside_them() {
    let text: &[u8] = b"text";
    let mut files = pictures(&["10/a.jpg", "2/10.jpg", "2/9.jpg", "1/deep/er/x", ".hidden/x.jpg"]);
    files.extend([
        ("notes.txt", Some(text)),
        ("2/Thumbs.db", Some(text)),
        ("2/.DS_Store", Some(text)),
    ]);
    let folder = folder(&files);
    fs::create_dir(folder.path().join("3")).unwrap();
    let listing = list_pictures(folder.path()).unwrap();
    assert_eq!(
        (listing.layout, &listing.class_names[..]),
        (Layout::ClassFolders, &["1", "2", "10"].map(String::from)[..])
    );
    let train = |path: &str, class| (path.to_owned(), Part::Train, class);
    assert_eq!(
        listed(folder.path()),
        [train("1/deep/er/x", 0), train("2/9.jpg", 1), train("2/10.jpg", 1), train("10/a.jpg", 2)]
    );
    let mut found = reasons(folder.path());
    found.sort();
    let expected = [
        (".hidden", "hidden"),
        ("2/.DS_Store", "hidden"),
        ("2/Thumbs.db", "what Windows leaves in folders"),
        ("3", "an empty folder"),
        ("notes.txt", "its suffix is that of another kind of file"),
    ];
    assert_eq!(found, expected.map(|(path, reason)| (path.to_owned(), reason)));
    let loaded = load(folder.path());
    assert_eq!(loaded.dataset.train.labels(), [0, 1, 1, 2]);
    assert_eq!(loaded.dataset.train.shape(), SHAPE);
    let files = loaded.dataset.train.files().unwrap();
    assert_eq!(files[1].path, "2/9.jpg");
    let notes = &loaded.report.noted;
    assert_eq!((notes.len(), &notes[0].notes[..]), (1, &["a JPEG by its content".to_owned()][..]));
}

#[test]
fn parts_are_kept_apart_and_labels_in_names_are_read() {
    let folder = folder(&pictures(&[
        "top/train/cat.10.jpg",
        "top/train/cat.9.jpg",
        "top/train/dog.1.jpg",
        "top/Test/dog.7.jpg",
        "top/val/cat.3.jpg",
        "top/bad/made/x.jpg",
        "top/train/odd.jpg",
    ]));
    assert_eq!(
        listed(folder.path()),
        [
            ("top/train/cat.9.jpg", Part::Train, 0),
            ("top/train/cat.10.jpg", Part::Train, 0),
            ("top/train/dog.1.jpg", Part::Train, 1),
            ("top/val/cat.3.jpg", Part::Validation, 0),
            ("top/Test/dog.7.jpg", Part::Test, 1),
        ]
        .map(|(path, part, class)| (path.to_owned(), part, class))
    );
    assert_eq!(
        reasons(folder.path()),
        [
            ("top/bad".to_owned(), "a folder beside the parts, not for training by its name"),
            ("top/train/odd.jpg".to_owned(), "no label in its name")
        ]
    );
    let Loaded { dataset, report } = load(folder.path());
    assert_eq!(report.layout, Layout::LabelInName);
    assert_eq!(dataset.train.class_names(), ["cat", "dog"]);
    let counts = |part: &Option<dnn_data::ImageDataset>| part.as_ref().unwrap().class_counts();
    assert_eq!((counts(&dataset.validation), counts(&dataset.test)), (vec![1, 0], vec![0, 1]));
    assert_eq!((report.used, report.cache), (5, CacheUse::Off));
    let picked = dataset.train.select(&[2]);
    assert_eq!(picked.files().unwrap()[0].path, "top/train/dog.1.jpg");
}

#[test]
fn what_is_no_data_set_is_refused_with_what_to_do() {
    let message =
        |paths: &[&str]| list_pictures(folder(&pictures(paths)).path()).unwrap_err().to_string();
    for paths in [&[][..], &["x.jpg"], &["train/x.jpg"], &["only.txt"]] {
        assert!(message(paths).contains("expected a folder for each class"), "{paths:?}");
    }
    let error = message(&["train/a/1.jpg", "train/b/1.jpg", "test/c/1.jpg", "test/a/1.jpg"]);
    assert!(error.contains("training part (a, b)") && error.ends_with("found c"), "{error}");
    let error = message(&["train/a/1.jpg", "training/b/1.jpg"]);
    assert!(error.ends_with("are both train; rename or join them"), "{error}");
    assert!(list_pictures(Path::new("no/such")).unwrap_err().is_io());
}

#[test]
fn the_same_tree_elsewhere_and_any_number_of_threads_give_the_same_data() {
    let paths = ["a/1.jpg", "a/2.jpg", "b/1.jpg", "b/2.jpg", "b/3.jpg"];
    let (first, second) = (folder(&pictures(&paths)), folder(&pictures(&paths)));
    let expected = load(first.path()).dataset.train;
    assert_eq!(load(second.path()).dataset.train, expected);
    for threads in [1, 2, 3, 8] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        assert_eq!(pool.install(|| load(first.path())).dataset.train, expected, "{threads}");
    }
}

#[cfg(unix)]
#[test]
fn odd_names_loops_pipes_and_dangling_links_survive() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;
    use std::os::unix::fs::symlink;

    let folder = folder(&pictures(&["a/new\nline.jpg", "a/🐈.jpg", "b/1.jpg", "b/2.jpg"]));
    let root = folder.path();
    fs::write(root.join("a").join(OsStr::from_bytes(b"\xff\xfe.jpg")), file(ImageFormat::Png, 9))
        .unwrap();
    fs::write(root.join("b").join("x".repeat(255)), file(ImageFormat::Png, 10)).unwrap();
    symlink(root, root.join("b/loop")).unwrap();
    symlink("nowhere", root.join("b/gone.jpg")).unwrap();
    let made = Command::new("mkfifo").arg(root.join("b/pipe.jpg")).status();
    assert!(made.unwrap().success(), "mkfifo");
    fs::create_dir(root.join("b/folder.jpg")).unwrap();
    let skip = LoadOptions { bad_files: BadFiles::Skip, max_bad: 0.5, ..options() };
    let Loaded { dataset, report } = load_pictures(root, &skip).unwrap();
    assert_eq!(dataset.train.class_counts(), [3, 3]);
    let bad: Vec<(&str, &str)> =
        report.bad.iter().map(|bad| (bad.path.as_str(), bad.reason.as_str())).collect();
    assert_eq!(
        bad,
        [
            ("b/gone.jpg", "a link to nothing, or gone since"),
            ("b/pipe.jpg", "expected a regular file, found a pipe, socket or device")
        ]
    );
    assert_eq!(report.ignored[0].reason, "a folder that is read under another path");
    let paths: Vec<&str> =
        dataset.train.files().unwrap().iter().map(|file| file.path.as_str()).collect();
    assert_eq!(paths[..3], [r"a/\xff\xfe.jpg", r"a/new\nline.jpg", "a/🐈.jpg"]);
}

#[test]
fn the_three_policies_count_and_name_every_bad_file() {
    let folder = with_bad();
    let with = |bad_files, max_bad| LoadOptions { bad_files, max_bad, ..options() };
    let error = load_pictures(folder.path(), &options()).unwrap_err().to_string();
    assert!(error.ends_with("a/empty.jpg: the file is empty (and 1 other file is bad)"), "{error}");

    for policy in [BadFiles::Skip, BadFiles::Quarantine] {
        let error = load_pictures(folder.path(), &with(policy, 0.19)).unwrap_err();
        assert!(matches!(error, DataError::TooManyBad { bad: 2, of: 10, .. }), "{error}");
        assert!(
            error.to_string().starts_with("2 of 10 files cannot be used: expected at most 19 %"),
            "{error}"
        );
        assert!(folder.path().join("a/empty.jpg").exists(), "nothing is moved");
    }
    let loaded = load_pictures(folder.path(), &with(BadFiles::Skip, 0.2)).unwrap();
    assert_eq!((loaded.report.used, loaded.report.bad.len()), (8, 2));
    assert_eq!(loaded.dataset.train.class_counts(), [4, 4]);
    // What is left is what a folder without them gives.
    let loaded_again = load_pictures(folder.path(), &with(BadFiles::Quarantine, 0.2)).unwrap();
    assert_eq!(loaded_again.dataset.train, loaded.dataset.train);
    assert_eq!(loaded_again.report.bad, loaded.report.bad);
    let aside = folder.path().join(".quarantine");
    assert!(!folder.path().join("a/empty.jpg").exists() && aside.join("a/empty.jpg").exists());
    assert_eq!(fs::read(aside.join("b/page.jpg")).unwrap(), b"<html>");
    let table = fs::read_to_string(aside.join("reasons.tsv")).unwrap();
    assert_eq!(table.lines().count(), 3);
    assert!(table.contains("a/empty.jpg\tthe file is empty\ta/empty.jpg\n"), "{table}");
    assert_eq!(load(folder.path()).dataset.train, loaded.dataset.train);

    // A second bad file of the same name does not replace the first.
    fs::write(folder.path().join("a/empty.jpg"), "text").unwrap();
    load_pictures(folder.path(), &with(BadFiles::Quarantine, 0.2)).unwrap();
    assert_eq!(fs::read(aside.join("a/empty.jpg")).unwrap(), b"");
    assert_eq!(fs::read(aside.join("a/2-empty.jpg")).unwrap(), b"text");
    let longer = fs::read_to_string(aside.join("reasons.tsv")).unwrap();
    assert!(longer.starts_with(&table) && longer.ends_with("\ta/2-empty.jpg\n"), "{longer}");
    assert_eq!(longer.lines().count(), 4);
}

#[test]
fn a_damaged_file_that_still_decodes_is_caught_by_its_checksum() {
    let folder = folder(&pictures(&["a/1.png", "a/2.png", "b/1.png"]));
    let root = folder.path();
    let sums: String = ["a/1.png", "a/2.png", "b/1.png"]
        .map(|path| {
            format!("{}  {path}\n", dnn_store::sha256_hex(&fs::read(root.join(path)).unwrap()))
        })
        .concat();
    fs::write(root.join("SHA256SUMS"), &sums).unwrap();
    let whole = load(root);
    // Another picture, sound in itself.
    fs::write(root.join("a/2.png"), file(ImageFormat::Jpeg, 77)).unwrap();
    let error = load_pictures(root, &options()).unwrap_err().to_string();
    assert!(
        error.contains("a/2.png: expected sha256 ") && error.contains(" by SHA256SUMS, found "),
        "{error}"
    );
    fs::remove_file(root.join("a/2.png")).unwrap();
    let skip = LoadOptions { bad_files: BadFiles::Skip, max_bad: 0.5, ..options() };
    let loaded = load_pictures(root, &skip).unwrap();
    assert_eq!(loaded.report.bad[0].reason, "listed in SHA256SUMS and not there");
    assert_eq!(loaded.dataset.train, whole.dataset.train.select(&[0, 2]));
    fs::write(root.join("SHA256SUMS"), "abc  a/1.png\n").unwrap();
    let error = load_pictures(root, &options()).unwrap_err().to_string();
    assert!(error.contains("SHA256SUMS: line 1: expected 64 hexadecimal digits"), "{error}");
}

#[test]
fn the_cache_gives_the_same_data_and_is_never_used_damaged_or_stale() {
    let (data, cache) = (with_bad(), tempfile::tempdir().unwrap());
    let root = data.path();
    let cached = LoadOptions {
        bad_files: BadFiles::Skip,
        max_bad: 0.5,
        cache: Some(cache.path().join("deep")),
        ..options()
    };
    let load = || load_pictures(root, &cached).unwrap();
    let first = load();
    assert_eq!(first.report.cache, CacheUse::Stored);
    let again = load();
    // All files were written just now, so their time stamps prove nothing yet; their content does.
    assert_eq!(again.report.cache, CacheUse::Hit);
    let hit = again;
    assert_eq!(hit.dataset.train, first.dataset.train);
    assert_eq!((&hit.report.bad, &hit.report.noted), (&first.report.bad, &first.report.noted));

    // Damaged in any way: made anew, with the same data.
    let file = cache_file(&cache.path().join("deep"));
    let whole = fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    *flipped.last_mut().unwrap() ^= 1;
    for damaged in [&whole[..whole.len() / 2], &flipped, b"", b"text"] {
        fs::write(&file, damaged).unwrap();
        let loaded = load();
        assert!(
            matches!(loaded.report.cache, CacheUse::Rebuilt { .. }),
            "{:?}",
            loaded.report.cache
        );
        assert_eq!(loaded.dataset.train, first.dataset.train);
        assert_eq!(fs::read(&file).unwrap().len(), whole.len());
    }
    // A file of other settings in its place.
    let other = LoadOptions {
        preprocessing: Preprocessing::stretch(ImageShape { height: 3, ..SHAPE }),
        cache: Some(cache.path().join("other")),
        ..cached.clone()
    };
    assert_eq!(load_pictures(root, &other).unwrap().report.cache, CacheUse::Stored);
    fs::copy(cache_file(&cache.path().join("other")), &file).unwrap();
    assert!(matches!(load().report.cache, CacheUse::Rebuilt { .. }));
    // A changed picture of the same size: seen by its time stamp or, if that is fresh, its content.
    let picture = root.join("a/1.jpg");
    let mut bytes = fs::read(&picture).unwrap();
    bytes.extend([1]);
    fs::write(&picture, &bytes).unwrap();
    assert!(matches!(load().report.cache, CacheUse::Rebuilt { .. }));
    *bytes.last_mut().unwrap() = 2;
    let modified = fs::metadata(&picture).unwrap().modified().unwrap();
    fs::write(&picture, &bytes).unwrap();
    fs::File::options().append(true).open(&picture).unwrap().set_modified(modified).unwrap();
    assert!(matches!(load().report.cache, CacheUse::Rebuilt { .. }), "same size, same time");
}

#[test]
fn a_cache_that_cannot_be_kept_is_told_and_no_error() {
    let data = folder(&pictures(&["a/1.jpg", "b/1.jpg"]));
    let taken = data.path().join("a/1.jpg");
    let cached = LoadOptions { cache: Some(taken), ..options() };
    let loaded = load_pictures(data.path(), &cached).unwrap();
    assert!(matches!(loaded.report.cache, CacheUse::NotStored { .. }), "{:?}", loaded.report.cache);
    assert_eq!(loaded.report.used, 2);
}

/// Loads through the cache that the environment names; does nothing as a test of its own.
#[test]
fn load_as_another_process() {
    let Ok(folders) = std::env::var("DNN_TEST_CHILD") else { return };
    let (root, cache) = folders.split_once('\n').unwrap();
    let cached = LoadOptions { cache: Some(cache.into()), ..options() };
    let loaded = load_pictures(root.as_ref(), &cached).unwrap();
    assert_eq!(loaded.dataset.train, load(root.as_ref()).dataset.train);
}

#[test]
fn many_processes_on_one_cold_cache_all_succeed() {
    let data = folder(&pictures(&["a/1.jpg", "a/2.jpg", "b/1.jpg"]));
    for (round, processes) in (0..20).map(|round| (round, if round % 2 == 0 { 2 } else { 8 })) {
        let cache = tempfile::tempdir().unwrap();
        let folders = format!("{}\n{}", data.path().display(), cache.path().display());
        let start = || {
            Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "load::load_as_another_process"])
                .env("DNN_TEST_CHILD", &folders)
                .output()
        };
        std::thread::scope(|scope| {
            let children: Vec<_> = (0..processes).map(|_| scope.spawn(start)).collect();
            for child in children {
                let output = child.join().unwrap().unwrap();
                assert!(output.status.success(), "round {round}: {output:?}");
            }
        });
        cache_file(cache.path());
    }
}
