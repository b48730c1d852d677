//! The course's pictures of cats and of other things: 64 x 64 RGB, 209 for training, 50 for testing.
//!
//! They come as two HDF5 files whose arrays are neither chunked nor compressed: each lies in one
//! piece at a place that never changes. So the signature and the length are checked, and the bytes
//! are taken as they are; this is no HDF5 reader.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ndarray::{Array2, ShapeBuilder};
use thiserror::Error;

/// Numbers per picture: 64 rows, 64 columns, red, green and blue, in this order.
pub(crate) const FEATURES: usize = 64 * 64 * 3;
/// The file of the training pictures, and how many it holds.
pub(crate) const TRAIN: (&str, usize) = ("train_catvnoncat.h5", 209);
/// The file of the test pictures, and how many it holds.
pub(crate) const TEST: (&str, usize) = ("test_catvnoncat.h5", 50);

/// What every HDF5 file starts with.
const SIGNATURE: [u8; 8] = *b"\x89HDF\r\n\x1a\n";
/// Where the pixels start; the labels follow at once.
const PIXELS_AT: usize = 2144;
/// Bytes of a label, a little-endian `i64`.
const LABEL: usize = size_of::<i64>();
/// Bytes after the labels: the class names, seven bytes each.
const NAMES: usize = 2 * 7;

/// Pictures and what they show.
#[derive(Debug)]
pub(crate) struct Pictures {
    /// Pixels 0..=255, `(12288, m)`; column-major, so that one picture is contiguous.
    pub(crate) pixels: Array2<u8>,
    /// 1 for a cat, 0 for anything else; length `m`.
    pub(crate) labels: Vec<u32>,
}

/// Why pictures cannot be read.
#[derive(Debug, Error)]
pub(crate) enum PictureError {
    #[error("cannot read {}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{}: expected an HDF5 file, found one that starts with {found:02x?}", .path.display())]
    Signature { path: PathBuf, found: Vec<u8> },
    #[error("{}: expected {expected} bytes, found {found}", .path.display())]
    Length { path: PathBuf, expected: usize, found: usize },
    #[error("{}: picture {picture} has label {found}; expected 0 or 1", .path.display())]
    Label { path: PathBuf, picture: usize, found: i64 },
}

/// Reads one of the two files, [`TRAIN`] or [`TEST`], from `folder`.
pub(crate) fn read(folder: &Path, (file, count): (&str, usize)) -> Result<Pictures, PictureError> {
    let path = folder.join(file);
    match fs::read(&path) {
        Ok(bytes) => parse(bytes, count, &path),
        Err(source) => Err(PictureError::Read { path, source }),
    }
}

/// The `count` pictures in `bytes`; `path` is for messages.
pub(crate) fn parse(
    mut bytes: Vec<u8>,
    count: usize,
    path: &Path,
) -> Result<Pictures, PictureError> {
    let path = || path.to_owned();
    if !bytes.starts_with(&SIGNATURE) {
        bytes.truncate(SIGNATURE.len());
        return Err(PictureError::Signature { path: path(), found: bytes });
    }
    let labels_at = PIXELS_AT + count * FEATURES;
    let expected = labels_at + count * LABEL + NAMES;
    if bytes.len() != expected {
        return Err(PictureError::Length { path: path(), expected, found: bytes.len() });
    }
    let (labels, _) = bytes[labels_at..expected - NAMES].as_chunks::<LABEL>();
    let labels = labels
        .iter()
        .enumerate()
        .map(|(picture, &label)| match i64::from_le_bytes(label) {
            0 => Ok(0),
            1 => Ok(1),
            found => Err(PictureError::Label { path: path(), picture, found }),
        })
        .collect::<Result<_, _>>()?;
    bytes.truncate(labels_at);
    bytes.drain(..PIXELS_AT);
    let pixels =
        Array2::from_shape_vec((FEATURES, count).f(), bytes).expect("the length was checked above");
    Ok(Pictures { pixels, labels })
}
