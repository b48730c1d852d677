//! The course's pictures of cats and of other things: 64 x 64 RGB, 209 for training, 50 for testing.

use std::path::Path;

use dnn_data::{ImageDataset, load_arrays};

/// The file of the training pictures.
pub(crate) const TRAIN: &str = "train_catvnoncat.h5";
/// The file of the test pictures.
pub(crate) const TEST: &str = "test_catvnoncat.h5";

/// Reads one of the two files, [`TRAIN`] or [`TEST`], from `folder`. Class 1 are the cats.
pub(crate) fn read(folder: &Path, file: &str) -> dnn_data::Result<ImageDataset> {
    let (set, _) = load_arrays(&folder.join(file))?.expect("the suffix says what the file is");
    Ok(set.train)
}
