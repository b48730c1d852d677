//! Folders of pictures for the tests of the loader.

use std::fs;
use std::path::Path;

use dnn_data::picture::Preprocessing;
use dnn_data::{ImageShape, LoadOptions, Loaded, Part, list_pictures, load_pictures};
use image::ImageFormat;
use tempfile::TempDir;

use super::file;

pub(crate) const SHAPE: ImageShape = ImageShape { height: 6, width: 8, channels: 3 };

/// A folder with these files, each a picture of its own, or the bytes given.
pub(crate) fn folder(files: &[(&str, Option<&[u8]>)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (number, (path, bytes)) in files.iter().enumerate() {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let made = || file(ImageFormat::Jpeg, number as u64);
        fs::write(path, bytes.map_or_else(made, <[u8]>::to_vec)).unwrap();
    }
    folder
}

pub(crate) fn pictures<'a>(paths: &[&'a str]) -> Vec<(&'a str, Option<&'static [u8]>)> {
    paths.iter().map(|path| (*path, None)).collect()
}

pub(crate) fn options() -> LoadOptions {
    LoadOptions::new(Preprocessing::stretch(SHAPE))
}

pub(crate) fn load(root: &Path) -> Loaded {
    load_pictures(root, &options()).unwrap()
}

pub(crate) fn listed(root: &Path) -> Vec<(String, Part, u32)> {
    let entries = list_pictures(root).unwrap().entries.into_iter();
    entries.map(|e| (e.path.to_str().unwrap().to_owned(), e.part, e.class)).collect()
}

/// Ten pictures of which two are bad.
pub(crate) fn with_bad() -> TempDir {
    let mut files = pictures(&[
        "a/1.jpg", "a/2.jpg", "a/3.jpg", "a/4.jpg", "b/1.jpg", "b/2.jpg", "b/3.jpg", "b/4.jpg",
    ]);
    files.extend([("a/empty.jpg", Some(&b""[..])), ("b/page.jpg", Some(&b"<html>"[..]))]);
    folder(&files)
}

/// The one cache file in a folder, beside which lies nothing but the lock.
pub(crate) fn cache_file(folder: &Path) -> std::path::PathBuf {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = files.filter(|path| !path.ends_with(".lock")).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files[0].clone()
}
