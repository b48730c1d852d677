//! CIFAR-10 in its binary version: 3,073 bytes a picture, its label, then 32x32 values of each colour.

#![deny(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects
)]

use std::path::{Path, PathBuf};

use super::LIMIT;
use crate::file::read_file;
use crate::folder::{agree, folder_name};
use crate::idx::into_columns;
use crate::{DataError, Dataset, ImageDataset, ImageShape, Result};

const SHAPE: ImageShape = ImageShape { height: 32, width: 32, channels: 3 };
/// The values of one colour.
const PLANE: usize = 32 * 32;
/// A label and three colours.
const RECORD: usize = 1 + 3 * PLANE;

/// The batches to train on, all of which have to be there.
const TRAIN: [&str; 5] = [
    "data_batch_1.bin",
    "data_batch_2.bin",
    "data_batch_3.bin",
    "data_batch_4.bin",
    "data_batch_5.bin",
];
const TEST: &str = "test_batch.bin";
const NAMES: &str = "batches.meta.txt";

/// The folder with the batches: this one, or the one in it that the archive makes.
pub(super) fn folder(path: &Path) -> Option<PathBuf> {
    let inner = path.join("cifar-10-batches-bin");
    let has = |folder: &Path| TRAIN.iter().any(|name| folder.join(name).is_file());
    [path.to_path_buf(), inner].into_iter().find(|folder| has(folder))
}

pub(super) fn load(path: &Path, folder: &Path) -> Result<Dataset> {
    let names = names(&folder.join(NAMES))?;
    let batches: Vec<PathBuf> = TRAIN.iter().map(|name| folder.join(name)).collect();
    if let Some(missing) = batches.iter().find(|batch| !batch.is_file()) {
        let beside = batches.iter().find(|batch| batch.is_file()).unwrap_or(missing);
        return Err(DataError::MissingHalf { expected: missing.clone(), beside: beside.clone() });
    }
    let train = part(&batches, &names)?;
    let test = folder.join(TEST);
    let test =
        if test.is_file() { Some(agree(path, &train, part(&[test], &names)?)?) } else { None };
    Ok(Dataset { name: folder_name(path), train, validation: None, test })
}

/// One name a line; without the file the classes are named by their numbers.
fn names(path: &Path) -> Result<Vec<String>> {
    if !path.is_file() {
        return Ok((0..10).map(|class| class.to_string()).collect());
    }
    let bytes = read_file(path, 1 << 16)?;
    let text = String::from_utf8_lossy(&bytes);
    Ok(text.lines().map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect())
}

fn part(files: &[PathBuf], names: &[String]) -> Result<ImageDataset> {
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for path in files {
        let bytes = read_file(path, LIMIT)?;
        let (records, rest) = bytes.as_chunks::<RECORD>();
        if records.is_empty() || !rest.is_empty() {
            return Err(DataError::CifarSize { found: bytes.len() }.in_file(path));
        }
        values.reserve_exact(bytes.len().saturating_sub(records.len()));
        for [label, colors @ ..] in records {
            if usize::from(*label) >= names.len() {
                let (example, found) = (labels.len(), u32::from(*label));
                let error = DataError::LabelRange { example, classes: names.len(), found };
                return Err(error.in_file(path));
            }
            labels.push(u32::from(*label));
            let (red, rest) = colors.split_at(PLANE);
            let (green, blue) = rest.split_at(PLANE);
            let pixels = red.iter().zip(green).zip(blue);
            values.extend(pixels.flat_map(|((&red, &green), &blue)| [red, green, blue]));
        }
    }
    let (pixels, shape) = into_columns(values, SHAPE, labels.len())?;
    ImageDataset::new(pixels, labels, names.to_vec(), shape)
}
