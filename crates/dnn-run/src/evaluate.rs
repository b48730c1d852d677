//! A model measured on data.

use std::path::Path;

use dnn_core::Element;
use dnn_data::{DataError, Dataset, ImageDataset, load_test_part};
use dnn_layers::{AnyNetwork, Network};
use dnn_train::{Metrics, metrics};

use crate::classifier::{check_shape, preprocessing_of};
use crate::config::FilesConfig;
use crate::error::{Result, RunError};
use crate::model::{classes, with_network};
use crate::observer::Observer;
use crate::parts::{self, MeasuredPart, Parts};
use crate::provenance;
use crate::source::{self, Source};

/// Data to evaluate a model on.
#[derive(Debug)]
pub struct EvaluationData {
    data: Data,
    /// Whether it was made of picture files.
    pub has_pictures: bool,
    /// How many bad files were left out.
    pub left_out: usize,
}

/// A model measured on data.
#[derive(Debug, Clone)]
pub struct EvaluationReport {
    /// Each part there is.
    pub parts: Vec<EvaluatedPart>,
    /// Whether the model was trained on this data, which is then divided as it was in training.
    pub trained_on_this_data: bool,
}

/// A part, and how well a model does on it.
#[derive(Debug, Clone)]
pub struct EvaluatedPart {
    /// Cost, accuracy and the like.
    pub measured: MeasuredPart,
    /// Precision, recall and the like of each class, where they were asked for.
    pub metrics: Option<Metrics>,
}

#[derive(Debug)]
enum Data {
    /// A training part, perhaps with others.
    Whole(Box<Dataset>),
    /// A test part alone.
    Test(ImageDataset),
}

impl EvaluationData {
    /// The data at a place, or the built-in digits, as this network takes its pictures.
    ///
    /// # Errors
    /// [`RunError::Load`] for data that cannot be read.
    pub fn load(
        network: &AnyNetwork,
        path: Option<&Path>,
        files: &FilesConfig,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let options = source::options(files, preprocessing_of(network)?);
        match (Source::load(path, &options, observer), path) {
            (Err(DataError::OnlyTest { .. }), Some(path)) => {
                let data = Data::Test(load_test_part(path)?);
                Ok(Self { data, has_pictures: false, left_out: 0 })
            }
            (source, _) => {
                let source = source?;
                Ok(Self {
                    has_pictures: source.report.is_some(),
                    left_out: source.left_out(),
                    data: Data::Whole(Box::new(source.data)),
                })
            }
        }
    }

    /// Whether a network was trained on this data.
    pub fn is_known_to(&self, network: &AnyNetwork) -> bool {
        let provenance = with_network!(network, network => network.provenance());
        let fingerprint = match &self.data {
            Data::Whole(data) => Some(parts::fingerprint(data)),
            // There is no whole to be recognised by.
            Data::Test(_) => None,
        };
        provenance.is_some_and(|it| fingerprint.as_ref() == Some(&it.data_sha256))
    }

    /// Measures a network: on the parts of its training if it was trained on this data, else on those that the
    /// data has.
    ///
    /// # Errors
    /// [`RunError::Data`] and [`RunError::Load`] for pictures or classes that are not the model's.
    pub fn measure(
        self,
        network: &AnyNetwork,
        with_metrics: bool,
        observer: &mut dyn Observer,
    ) -> Result<EvaluationReport> {
        check_fit(network, self.data.first())?;
        let trained_on_this_data = self.is_known_to(network);
        let provenance = with_network!(network, network => network.provenance());
        let parts = match (provenance, self.data) {
            (Some(provenance), Data::Whole(data)) if trained_on_this_data => {
                let split = provenance::split(provenance)?;
                Measured::Divided(Box::new(Parts::divide(*data, split)?))
            }
            (_, data) => {
                observer
                    .note("note: this is not recognised as the data that the model was trained on");
                Measured::AsItIs(data.in_classes(classes(network))?)
            }
        };
        let parts =
            with_network!(network, network => measure(network, &parts.each(), with_metrics)?);
        Ok(EvaluationReport { parts, trained_on_this_data })
    }
}

fn measure<T: Element>(
    network: &Network<T>,
    parts: &[(&'static str, &ImageDataset)],
    with_metrics: bool,
) -> Result<Vec<EvaluatedPart>> {
    let measured = parts::measure(network, parts.iter().copied())?;
    let of = |part: &ImageDataset| -> Result<Metrics> {
        let probabilities = network.predict_probabilities(&network.pixels(part.pixels()))?;
        Ok(metrics(probabilities.view(), part.labels())?)
    };
    let both = parts.iter().zip(measured).map(|((_, part), measured)| {
        let metrics = if with_metrics { Some(of(part)?) } else { None };
        Ok(EvaluatedPart { measured, metrics })
    });
    both.collect()
}

/// The parts to measure.
enum Measured {
    /// As they were in training.
    Divided(Box<Parts>),
    /// As the data has them.
    AsItIs(Data),
}

impl Measured {
    fn each(&self) -> Vec<(&'static str, &ImageDataset)> {
        match self {
            Self::Divided(parts) => parts.each().collect(),
            Self::AsItIs(data) => data.parts(),
        }
    }
}

impl Data {
    /// With the labels of the model that has these classes, found by their names: what the model was not
    /// trained on may lack some of them, whichever.
    fn in_classes(self, classes: &[String]) -> Result<Self, DataError> {
        let of = |part: ImageDataset| part.in_classes(classes);
        Ok(match self {
            Self::Test(test) => Self::Test(of(test)?),
            Self::Whole(data) => {
                let Dataset { name, train, validation, test } = *data;
                Self::Whole(Box::new(Dataset {
                    name,
                    train: of(train)?,
                    validation: validation.map(of).transpose()?,
                    test: test.map(of).transpose()?,
                }))
            }
        })
    }

    fn first(&self) -> &ImageDataset {
        match self {
            Self::Whole(data) => &data.train,
            Self::Test(test) => test,
        }
    }

    /// The parts by their own names; `data` where there is one that is not called a test part.
    fn parts(&self) -> Vec<(&'static str, &ImageDataset)> {
        match self {
            Self::Whole(data) if data.validation.is_none() && data.test.is_none() => {
                vec![("data", &data.train)]
            }
            Self::Whole(data) => {
                let Dataset { train, validation, test, .. } = &**data;
                let others = [("validation", validation), ("test", test)];
                let others =
                    others.into_iter().filter_map(|(name, part)| Some((name, part.as_ref()?)));
                [("train", train)].into_iter().chain(others).collect()
            }
            Self::Test(test) => vec![("test", test)],
        }
    }
}

/// Checks that the pictures are those of the model, and classes or numbers are asked for as it gives them.
fn check_fit(network: &AnyNetwork, data: &ImageDataset) -> Result<()> {
    check_shape(network, data.shape())?;
    let wanted = data.targets().map(|targets| targets.nrows());
    let outputs = with_network!(network, network => network.outputs());
    let given = classes(network).is_empty().then_some(outputs);
    if wanted != given {
        let text = |numbers: Option<usize>| match numbers {
            Some(1) => "a number for each picture".to_owned(),
            Some(numbers) => format!("{numbers} numbers for each picture"),
            None => "classes".to_owned(),
        };
        let (expected, found) = (text(given), text(wanted));
        let message = format!("the model gives {expected}; found data with {found}");
        return Err(RunError::Data(message));
    }
    Ok(())
}
