//! `dnn evaluate`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ArgMatches;
use dnn_core::{Element, Shape};
use dnn_data::picture::Preprocessing;
use dnn_data::{DataError, Dataset, ImageDataset, ImageShape, LoadOptions};
use dnn_layers::{Network, Provenance};
use dnn_store::Scalar;
use serde_json::{Map, Value};

use crate::args::effect::{self, NOTHING_LEFT_OUT, Needs, no_picture_files};
use crate::args::{EvaluateArguments, Policy};
use crate::data;
use crate::failure::Refusal;
use crate::metrics;
use crate::model::{WithModel, with_model};
use crate::output::{self, note};
use dnn_run::parts::{self, Parts, Plan};

pub(crate) fn run(arguments: &EvaluateArguments, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    arguments.threads.start()?;
    with_model(&arguments.model, Evaluate { arguments, given: effect::given(matches) })
}

struct Evaluate<'a> {
    arguments: &'a EvaluateArguments,
    given: Vec<String>,
}

impl Evaluate<'_> {
    /// Refuses flags that have no effect on this data.
    fn check_flags(&self, path: Option<&Path>, pictures: bool) -> Result<(), Refusal> {
        let policy = self.arguments.pictures.bad_files;
        effect::refuse_idle("evaluate", &self.given, |_, needs| match needs {
            Needs::PictureFiles | Needs::LeavingOut if !pictures => {
                no_picture_files(path, pictures)
            }
            Needs::LeavingOut if matches!(policy, Policy::Stop) => {
                Some(NOTHING_LEFT_OUT.to_owned())
            }
            _ => None,
        })
    }
}

impl WithModel for Evaluate<'_> {
    type Outcome = ExitCode;

    fn run<T: Element + Scalar>(self, network: &Network<T>, _: &str) -> anyhow::Result<ExitCode> {
        let arguments = self.arguments;
        if arguments.metrics && network.classes().is_empty() {
            let message = "--metrics is for classes, but the outputs of the model are numbers";
            return Err(Refusal::Usage(message.to_owned()).into());
        }
        let options = arguments.pictures.options(preprocessing_of(network)?);
        let place = data::place(arguments.data.as_deref())?;
        let Found { data, pictures, code } = load(place.as_deref(), &options)?;
        self.check_flags(place.as_deref(), pictures)?;
        let fingerprint = data.fingerprint();
        let provenance = network
            .provenance()
            .filter(|provenance| fingerprint.as_ref() == Some(&provenance.data_sha256));
        if provenance.is_none() && arguments.data.is_none() {
            let message = "the model was not trained on the built-in digits; name the data to \
                           evaluate it on";
            return Err(Refusal::Usage(message.to_owned()).into());
        }
        check_fit(network, data.first())?;
        let trained_on_this_data = provenance.is_some();
        let parts = match (provenance, data) {
            (Some(provenance), Data::Whole(data)) => {
                Measured::Divided(Box::new(Parts::divide(*data, plan_of(provenance)?)?))
            }
            (_, data) => {
                note("note: this is not recognised as the data that the model was trained on");
                Measured::AsItIs(data.in_classes(network.classes())?)
            }
        };
        let measured = parts::measure(network, parts.each().into_iter())?;
        let metrics = if arguments.metrics {
            metrics::measure(network, parts.each().into_iter())?
        } else {
            Vec::new()
        };
        if arguments.json {
            let mut object: Map<String, Value> = measured
                .iter()
                .map(|(name, part)| ((*name).to_owned(), output::evaluation_json(part)))
                .collect();
            for (name, metrics) in &metrics {
                object[*name]["metrics"] = serde_json::to_value(metrics)?;
                object[*name]["metrics"]["roc_auc_reason"] =
                    metrics::of_some_classes(metrics).into();
            }
            object.insert("trained_on_this_data".to_owned(), trained_on_this_data.into());
            output::print_json(&object)?;
            return Ok(code);
        }
        let mut text = output::evaluation_table(measured.iter().map(|(name, part)| (*name, part)));
        for (name, part) in &metrics {
            text += &metrics::text(name, network.classes(), part);
        }
        output::print(&text)?;
        Ok(code)
    }
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

/// How the data was divided in training.
fn plan_of(provenance: &Provenance) -> Result<Plan, Refusal> {
    let share = |name: &str| {
        let share = provenance.settings.get(name).and_then(|share| share.parse().ok());
        share.ok_or_else(|| {
            let message = format!(
                "the model was trained on this data, but does not say which share was `{name}`"
            );
            Refusal::Usage(message)
        })
    };
    Ok(Plan { split: share("split")?, validation: share("validation")?, seed: provenance.seed })
}

/// Data to evaluate on.
enum Data {
    /// A training part, perhaps with a test part.
    Whole(Box<Dataset>),
    /// A test part alone.
    Test(ImageDataset),
}

/// Data, and what came of loading it.
struct Found {
    data: Data,
    /// Whether it was made of picture files.
    pictures: bool,
    code: ExitCode,
}

fn load(path: Option<&Path>, options: &LoadOptions) -> Result<Found, DataError> {
    match (data::load(path, options), path) {
        (Err(DataError::OnlyTest { .. }), Some(path)) => {
            let data = Data::Test(data::load_test(path)?);
            Ok(Found { data, pictures: false, code: ExitCode::SUCCESS })
        }
        (source, _) => source.map(|source| Found {
            pictures: source.report.is_some(),
            code: source.exit_code(),
            data: Data::Whole(Box::new(source.data)),
        }),
    }
}

/// How the model's pictures were brought to its input; stretched, if it does not say.
pub(crate) fn preprocessing_of<T: Element>(network: &Network<T>) -> anyhow::Result<Preprocessing> {
    let Shape { height, width, channels } = network.input();
    let recorded = network.provenance().and_then(|it| it.settings.get("preprocessing"));
    match recorded {
        Some(text) => text.parse().context("what the model says of its pictures"),
        None => Ok(Preprocessing::stretch(ImageShape { height, width, channels })),
    }
}

impl Data {
    /// None where there is no whole to be recognised by.
    fn fingerprint(&self) -> Option<String> {
        match self {
            Self::Whole(data) => Some(parts::fingerprint(data)),
            Self::Test(_) => None,
        }
    }

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
fn check_fit<T: Element>(network: &Network<T>, data: &ImageDataset) -> anyhow::Result<()> {
    check_shape(network, data.shape())?;
    let wanted = data.targets().map(|targets| targets.nrows());
    let given = network.classes().is_empty().then(|| network.outputs());
    if wanted != given {
        let text = |numbers: Option<usize>| match numbers {
            Some(1) => "a number for each picture".to_owned(),
            Some(numbers) => format!("{numbers} numbers for each picture"),
            None => "classes".to_owned(),
        };
        let (expected, found) = (text(given), text(wanted));
        let message = format!("the model gives {expected}; found data with {found}");
        return Err(Refusal::Data(message).into());
    }
    Ok(())
}

/// Checks that pictures have the shape that the model takes.
pub(crate) fn check_shape<T: Element>(
    network: &Network<T>,
    found: dnn_data::ImageShape,
) -> anyhow::Result<()> {
    let input = network.input();
    if (input.height, input.width, input.channels) == (found.height, found.width, found.channels) {
        return Ok(());
    }
    let (height, width, channels) = (input.height, input.width, input.channels);
    let message =
        format!("the model expects pictures of {height}x{width}x{channels}, found {found}");
    Err(Refusal::Data(message).into())
}
