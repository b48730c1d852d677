//! Data and its division into the parts that are trained, validated and tested on.

use std::path::Path;

use anyhow::Context as _;
use dnn_core::Element;
use dnn_data::{DataError, Dataset, ImageDataset, stratified_split};
use dnn_layers::Network;
use dnn_train::{Cost, Evaluation, Examples, TrainError, evaluate};

/// The seed of the test part: the same pictures whatever the seed of the run.
const TEST_SPLIT_SEED: u64 = 0;

/// The data named on the command line, or the built-in digits.
pub(crate) fn load(path: Option<&Path>) -> Result<Dataset, DataError> {
    match path {
        Some(path) => dnn_data::load_folder(path),
        None => Ok(dnn_data::digits()),
    }
}

/// SHA-256 of a data set: of its one part, or of the digests of its two.
pub(crate) fn fingerprint(data: &Dataset) -> String {
    let train = data.train.sha256();
    match &data.test {
        None => train,
        Some(test) => dnn_store::sha256_hex(format!("{train}{}", test.sha256()).as_bytes()),
    }
}

/// How data is divided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Plan {
    /// Share kept for the test where the data has no test part of its own.
    pub(crate) split: f64,
    /// Share of the training part kept for validation.
    pub(crate) validation: f64,
    /// Seed of the validation part.
    pub(crate) seed: u64,
}

/// Data, divided.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) train: ImageDataset,
    pub(crate) validation: Option<ImageDataset>,
    pub(crate) test: Option<ImageDataset>,
}

impl Parts {
    pub(crate) fn divide(data: Dataset, plan: Plan) -> anyhow::Result<Self> {
        let (train, test) = match data.test {
            Some(test) => (data.train, Some(test)),
            None => hold_out(data.train, plan.split, TEST_SPLIT_SEED)
                .with_context(|| format!("for the test part (--split {})", plan.split))?,
        };
        let (train, validation) =
            hold_out(train, plan.validation, plan.seed).with_context(|| {
                format!("for the validation part (--validation {})", plan.validation)
            })?;
        Ok(Self { train, validation, test })
    }

    /// The parts there are, with their names.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, &ImageDataset)> {
        let train = ("train", Some(&self.train));
        [train, ("validation", self.validation.as_ref()), ("test", self.test.as_ref())]
            .into_iter()
            .filter_map(|(name, part)| Some((name, part?)))
    }
}

fn hold_out(
    data: ImageDataset,
    share: f64,
    seed: u64,
) -> Result<(ImageDataset, Option<ImageDataset>), DataError> {
    if share == 0.0 {
        return Ok((data, None));
    }
    let split = stratified_split(data.labels(), share, seed)?;
    Ok((data.select(&split.kept), Some(data.select(&split.held_out))))
}

/// A part as examples for `network`.
pub(crate) fn examples<'a, T: Element>(
    network: &Network<T>,
    part: &'a ImageDataset,
) -> Examples<'a, T> {
    Examples::classes(network.pixels(part.pixels()), part.labels())
}

/// Measures each of these parts.
pub(crate) fn measure<'p, T: Element>(
    network: &Network<T>,
    parts: impl Iterator<Item = (&'static str, &'p ImageDataset)>,
) -> Result<Vec<(&'static str, Evaluation)>, TrainError> {
    let cost = Cost::of_head(network.head());
    parts
        .map(|(name, part)| Ok((name, evaluate(network, &examples(network, part), cost)?)))
        .collect()
}
