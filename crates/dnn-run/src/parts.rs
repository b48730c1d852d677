//! Data and its division into the parts that are trained, validated and tested on.

use dnn_core::Element;
use dnn_data::{Dataset, ImageDataset};
use dnn_layers::Network;
use dnn_train::{Cost, Evaluation, Examples, TrainError, evaluate};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::error::{Context as _, Result};
use crate::regression;
use crate::words::plain;

/// The seed of the test part: the same pictures whatever the seed of the run.
const TEST_SPLIT_SEED: u64 = 0;

/// SHA-256 of a data set: of its one part, or of the digests of its two or three.
pub(crate) fn fingerprint(data: &Dataset) -> String {
    let train = data.train.sha256();
    let others: Vec<String> =
        data.validation.iter().chain(&data.test).map(ImageDataset::sha256).collect();
    if others.is_empty() {
        return train;
    }
    dnn_store::sha256_hex(format!("{train}{}", others.concat()).as_bytes())
}

/// How data is divided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct SplitPlan {
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
    /// What is trained on.
    pub(crate) train: ImageDataset,
    /// What epochs are compared on.
    pub(crate) validation: Option<ImageDataset>,
    /// What nothing is chosen by.
    pub(crate) test: Option<ImageDataset>,
    /// The training pictures in another size, of which those are made that are trained on.
    pub(crate) kept: Option<ImageDataset>,
}

impl Parts {
    /// Parts that the data has of its own stay as they are.
    pub(crate) fn divide(mut data: Dataset, plan: SplitPlan) -> Result<Self> {
        let SplitPlan { split, validation, seed } = plan;
        if split != 0.0 {
            data.hold_out_test(split, TEST_SPLIT_SEED)
                .context(|| format!("for the test part (--split {split})"))?;
        }
        if validation != 0.0 {
            data.hold_out_validation(validation, seed)
                .context(|| format!("for the validation part (--validation {validation})"))?;
        }
        let Dataset { train, validation, test, .. } = data;
        Ok(Self { train, validation, test, kept: None })
    }

    /// The training pictures as they are kept.
    pub(crate) fn training(&self) -> &ImageDataset {
        self.kept.as_ref().unwrap_or(&self.train)
    }

    /// Which file is in which part, as tab-separated values; `None` for pictures without files.
    pub(crate) fn table(&self) -> Option<String> {
        let mut table = "part\tclass\tpath\tsha256\n".to_owned();
        for (name, part) in self.each() {
            for (file, &label) in part.files()?.iter().zip(part.labels()) {
                let class = plain(&part.class_names()[label as usize]);
                table +=
                    &format!("{name}\t{class}\t{}\t{}\n", plain(&file.path), file.sha256_hex());
            }
        }
        Some(table)
    }

    /// The parts there are, with their names.
    pub(crate) fn each(&self) -> impl Iterator<Item = (&'static str, &ImageDataset)> {
        let train = ("train", Some(&self.train));
        [train, ("validation", self.validation.as_ref()), ("test", self.test.as_ref())]
            .into_iter()
            .filter_map(|(name, part)| Some((name, part?)))
    }
}

/// A part, and how well a network does on it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct MeasuredPart {
    /// `train`, `validation`, `test`, or `data` where that is not known.
    pub name: String,
    /// How well.
    pub evaluation: Evaluation,
}

/// A part as examples for `network`, with these targets in place of classes if there are any.
pub(crate) fn examples<'a, T: Element>(
    network: &Network<T>,
    part: &'a ImageDataset,
    targets: Option<&'a Array2<T>>,
) -> Examples<'a, T> {
    let pixels = network.pixels(part.pixels());
    match targets {
        Some(targets) => Examples::values(pixels, targets.view()),
        None => Examples::classes(pixels, part.labels()),
    }
}

/// Measures each of these parts.
pub(crate) fn measure<'p, T: Element>(
    network: &Network<T>,
    parts: impl Iterator<Item = (&'static str, &'p ImageDataset)>,
) -> Result<Vec<MeasuredPart>, TrainError> {
    let cost = Cost::of_head(network.head());
    parts
        .map(|(name, part)| {
            let targets = regression::targets(part);
            let evaluation = evaluate(network, &examples(network, part, targets.as_ref()), cost)?;
            Ok(MeasuredPart { name: name.to_owned(), evaluation })
        })
        .collect()
}
