//! Pictures and models of these tests.

use std::fs;
use std::path::Path;
use std::process::Output;

use dnn_data::ImageShape;
use dnn_data::picture::encode_png;
use tempfile::TempDir;

use crate::support::{code, dnn, text};

/// A PNG of these sides, dark or bright, another one for each number.
pub(crate) fn picture([width, height]: [usize; 2], bright: bool, number: u8) -> Vec<u8> {
    let level = if bright { 170 } else { 20 };
    let pixels = |place: usize| level + (u8::try_from(place % 256).unwrap() ^ number) % 60;
    let pixels: Vec<u8> = (0..width * height * 3).map(pixels).collect();
    encode_png(&pixels, ImageShape { height, width, channels: 3 }).unwrap()
}

/// A class folder of `count` pictures of these sides.
pub(crate) fn class(folder: &Path, sides: [usize; 2], bright: bool, count: u8) {
    fs::create_dir_all(folder).unwrap();
    for number in 0..count {
        fs::write(folder.join(format!("{number}.png")), picture(sides, bright, number)).unwrap();
    }
}

/// `data` with ten dark and ten bright pictures, and a model of them in `run`.
pub(crate) fn with_model() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    class(&folder.path().join("data/day"), [9, 7], true, 10);
    class(&folder.path().join("data/night"), [9, 7], false, 10);
    succeeds(
        folder.path(),
        &["train", "data", "--size=6x5", "--hidden=4", "--epochs=2", "--out=run"],
    );
    folder
}

/// What the command says, which has to succeed.
#[track_caller]
pub(crate) fn succeeds(folder: &Path, arguments: &[&str]) -> Output {
    let output = dnn(folder, arguments);
    assert_eq!(code(&output), 0, "{arguments:?}: {}", text(&output.stderr));
    output
}

/// The command fails with this code, and says this.
#[track_caller]
pub(crate) fn fails(folder: &Path, arguments: &[&str], expected: i32, message: &str) {
    let output = dnn(folder, arguments);
    let error = text(&output.stderr);
    assert_eq!(code(&output), expected, "{arguments:?}: {error}");
    assert!(error.contains(message), "{arguments:?}: `{error}` does not say `{message}`");
    assert!(output.stdout.is_empty(), "{arguments:?}: {}", text(&output.stdout));
}
