//! Folders, good and bad.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use dnn_data::{DataError, load_folder};
use tempfile::TempDir;

const TRAIN: [&str; 2] = ["train-images-idx3-ubyte", "train-labels-idx1-ubyte"];
const TEST: [&str; 2] = ["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// Writes one part: pictures of one row, all grey, with these labels.
fn write_part(folder: &Path, [images, labels]: [&str; 2], width: u8, classes: &[u8]) {
    let count = u8::try_from(classes.len()).unwrap();
    let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 1, 0, 0, 0, width];
    bytes.resize(16 + usize::from(width) * classes.len(), 128);
    fs::write(folder.join(images), bytes).unwrap();
    let bytes = [&[0, 0, 8, 1, 0, 0, 0, count], classes].concat();
    fs::write(folder.join(labels), bytes).unwrap();
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn message(path: &Path) -> String {
    load_folder(path).unwrap_err().to_string()
}

#[test]
fn both_parts_are_read_with_the_names_of_the_training_part() {
    let folder = folder();
    write_part(folder.path(), TRAIN, 2, &[0, 1, 2]);
    write_part(folder.path(), TEST, 2, &[1, 0]);
    let set = load_folder(folder.path()).unwrap();
    assert_eq!(set.name, folder.path().file_name().unwrap().to_str().unwrap());
    assert_eq!(set.train.labels(), [0, 1, 2]);
    let test = set.test.unwrap();
    assert_eq!((test.labels(), test.len()), ([1, 0].as_slice(), 2));
    assert_eq!(test.class_names(), ["0", "1", "2"]);
}

#[test]
fn the_other_spelling_is_read_and_other_files_are_left_alone() {
    let folder = folder();
    write_part(folder.path(), ["train-images.idx3-ubyte", "train-labels.idx1-ubyte"], 2, &[0, 1]);
    for name in [".DS_Store", "line\nfeed", "\u{1f600}", &"n".repeat(255)] {
        fs::write(folder.path().join(name), b"not read").unwrap();
    }
    let set = load_folder(folder.path()).unwrap();
    assert_eq!((set.train.len(), set.test.is_none()), (2, true));
}

#[test]
fn one_class_and_a_single_example_of_a_class_are_read_and_counted() {
    let folder = folder();
    write_part(folder.path(), TRAIN, 1, &[1, 1]);
    assert_eq!(load_folder(folder.path()).unwrap().train.class_counts(), [0, 2]);
    write_part(folder.path(), TRAIN, 1, &[1, 1, 0]);
    assert_eq!(load_folder(folder.path()).unwrap().train.class_counts(), [1, 2]);
}

#[cfg(unix)]
#[test]
fn a_name_that_is_not_unicode_is_read() {
    use std::os::unix::ffi::OsStrExt;
    let folder = folder();
    let path = folder.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    if fs::create_dir(&path).is_err() {
        dnn_testing::skipped("this file system takes no names outside Unicode");
        return;
    }
    write_part(&path, TRAIN, 2, &[0, 1]);
    assert_eq!(load_folder(&path).unwrap().name, "caf\u{fffd}");
}

#[test]
fn a_path_that_ends_in_dots_gets_the_name_of_its_folder() {
    let folder = folder();
    write_part(folder.path(), TRAIN, 2, &[0, 1]);
    fs::create_dir(folder.path().join("inner")).unwrap();
    let set = load_folder(&folder.path().join("inner/..")).unwrap();
    assert_eq!(set.name, folder.path().file_name().unwrap().to_str().unwrap());
}

#[test]
fn what_is_not_a_folder_is_refused() {
    let error = load_folder(Path::new("no/such/folder")).unwrap_err();
    let here = std::env::current_dir().unwrap();
    assert_eq!(
        error.to_string(),
        format!(
            "no such file or folder: no/such/folder (the current folder is {})",
            here.display()
        )
    );
    let folder = folder();
    let file = folder.path().join("file");
    fs::write(&file, b"").unwrap();
    assert_eq!(message(&file), format!("expected a folder, found a file: {}", file.display()));
    let error = load_folder(&file.join("inner")).unwrap_err();
    assert!(error.is_io(), "{error}");
}

#[test]
fn folders_without_a_set_say_what_is_expected() {
    let folder = folder();
    let at = folder.path().display().to_string();
    let expected = format!("expected train-images-idx3-ubyte and train-labels-idx1-ubyte in {at}");
    assert_eq!(message(folder.path()), format!("{expected}, found an empty folder"));
    for name in ["g", "f", "e", "d", "c", "b", "a"] {
        fs::write(folder.path().join(name), b"").unwrap();
    }
    assert_eq!(message(folder.path()), format!("{expected}, found a, b, c, d, e and 2 more"));
    fs::remove_file(folder.path().join("f")).unwrap();
    fs::remove_file(folder.path().join("g")).unwrap();
    assert_eq!(message(folder.path()), format!("{expected}, found a, b, c, d, e"));
}

#[test]
fn half_a_part_is_refused() {
    for (part, gone, kept) in [(TRAIN, 0, 1), (TRAIN, 1, 0), (TEST, 0, 1), (TEST, 1, 0)] {
        let folder = folder();
        write_part(folder.path(), TRAIN, 2, &[0, 1]);
        write_part(folder.path(), TEST, 2, &[0, 1]);
        let [gone, kept] = [gone, kept].map(|i: usize| folder.path().join(part[i]));
        fs::remove_file(&gone).unwrap();
        assert_eq!(
            message(folder.path()),
            format!("expected {} beside {}, found no such file", gone.display(), kept.display())
        );
    }
}

#[test]
fn a_test_part_alone_is_refused() {
    let folder = folder();
    write_part(folder.path(), TEST, 2, &[0, 1]);
    assert_eq!(
        message(folder.path()),
        format!(
            "expected train-images-idx3-ubyte and its labels in {}, found only the test part (t10k)",
            folder.path().display()
        )
    );
}

#[test]
fn parts_that_do_not_agree_are_refused() {
    let folder = folder();
    let at = folder.path().display().to_string();
    write_part(folder.path(), TRAIN, 2, &[0, 2]);
    write_part(folder.path(), TEST, 3, &[0, 2]);
    assert_eq!(
        message(folder.path()),
        format!("expected test pictures of 1x2x1 as in the training part of {at}, found 1x3x1")
    );
    // Above the largest label of the training part, and in a gap of it.
    for label in [3, 1] {
        write_part(folder.path(), TEST, 2, &[0, label]);
        assert_eq!(
            message(folder.path()),
            format!(
                "expected only labels of the training part in the test part of {at}, found {label}"
            )
        );
    }
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut file = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    file.write_all(bytes).unwrap();
    file.finish().unwrap()
}

#[test]
fn compressed_files_are_read_as_they_are() {
    let plain = folder();
    write_part(plain.path(), TRAIN, 2, &[0, 1]);
    write_part(plain.path(), TEST, 2, &[1]);
    let packed = folder();
    for name in [TRAIN, TEST].concat() {
        let bytes = gzip(&fs::read(plain.path().join(name)).unwrap());
        fs::write(packed.path().join(format!("{name}.gz")), bytes).unwrap();
    }
    let set = load_folder(packed.path()).unwrap();
    assert_eq!((&set.train, set.test.is_some()), (&load_folder(plain.path()).unwrap().train, true));
    // Where both are there, the plain file counts.
    write_part(packed.path(), TRAIN, 3, &[0]);
    fs::remove_file(packed.path().join("t10k-images-idx3-ubyte.gz")).unwrap();
    fs::remove_file(packed.path().join("t10k-labels-idx1-ubyte.gz")).unwrap();
    assert_eq!(load_folder(packed.path()).unwrap().train.len(), 1);
}

#[test]
fn damaged_compressed_files_are_refused() {
    let folder = folder();
    write_part(folder.path(), TRAIN, 2, &[0, 1]);
    let plain = fs::read(folder.path().join(TRAIN[0])).unwrap();
    let packed = folder.path().join("train-images-idx3-ubyte.gz");
    fs::remove_file(folder.path().join(TRAIN[0])).unwrap();
    let refused = |bytes: &[u8], reason: &str| {
        fs::write(&packed, bytes).unwrap();
        let found = message(folder.path());
        assert!(found.starts_with(&format!("{}: ", packed.display())), "{found}");
        assert!(found.contains(reason), "expected {reason}, found {found}");
    };
    let whole = gzip(&plain);
    for end in 2..whole.len() {
        refused(&whole[..end], "the gzip data is damaged");
    }
    for place in whole.len() - 8..whole.len() {
        let mut changed = whole.clone();
        changed[place] ^= 1;
        refused(&changed, "the gzip data is damaged");
    }
    refused(&gzip(&[&plain[..], &[0; 100]].concat()), "bytes after its last value");
    refused(&gzip(&plain[..plain.len() - 1]), "cut short");
    refused(&gzip(b"text"), "begins with the bytes 00 00");
    // A header that says more than so few bytes can hold, and one that says more than is ever read.
    let mut claim = plain.clone();
    claim[4..16].copy_from_slice(&[0, 0, 16, 0, 0, 0, 4, 0, 0, 0, 4, 0]);
    refused(&gzip(&claim), "cannot hold");
    claim[4] = 255;
    refused(&gzip(&claim), "cannot hold");
}

#[cfg(unix)]
#[test]
fn links_are_followed_and_a_dangling_one_is_named() {
    let folder = folder();
    let real = folder.path().join("real");
    write_part(folder.path(), TRAIN, 2, &[0, 1]);
    let images = folder.path().join(TRAIN[0]);
    fs::rename(&images, &real).unwrap();
    std::os::unix::fs::symlink(&real, &images).unwrap();
    assert_eq!(load_folder(folder.path()).unwrap().train.len(), 2);
    fs::remove_file(&real).unwrap();
    let error = load_folder(folder.path()).unwrap_err();
    assert!(matches!(&error, DataError::NotFound { path, .. } if *path == images), "{error}");
}
