//! `dnn evaluate`.

use dnn_core::Element;
use dnn_data::{Dataset, ImageDataset};
use dnn_layers::{Network, Provenance};
use dnn_store::Scalar;
use serde_json::{Map, Value};

use crate::args::EvaluateArguments;
use crate::failure::{UnfitData, Usage};
use crate::model::{WithModel, with_model};
use crate::output::{self, note};
use crate::parts::{self, Parts, Plan};

pub(crate) fn run(arguments: &EvaluateArguments) -> anyhow::Result<()> {
    arguments.threads.start()?;
    with_model(&arguments.model, Evaluate(arguments))
}

struct Evaluate<'a>(&'a EvaluateArguments);

impl WithModel for Evaluate<'_> {
    fn run<T: Element + Scalar>(self, network: &Network<T>, _: &str) -> anyhow::Result<()> {
        let arguments = self.0;
        let data = parts::load(arguments.data.as_deref())?;
        let fingerprint = parts::fingerprint(&data);
        let provenance = network.provenance().filter(|p| p.data_sha256 == fingerprint);
        if provenance.is_none() && arguments.data.is_none() {
            let message = "the model was not trained on the built-in digits; name the data to \
                           evaluate it on";
            return Err(Usage(message.to_owned()).into());
        }
        check_fit(network, &data.train)?;
        let measured = match provenance {
            None => {
                note("this is not the data that the model was trained on");
                parts::measure(network, unseen(&data))?
            }
            Some(provenance) => {
                let parts = Parts::divide(data, plan_of(provenance)?)?;
                parts::measure(network, parts.each())?
            }
        };
        if arguments.json {
            let parts: Map<String, Value> = measured
                .iter()
                .map(|(name, part)| ((*name).to_owned(), output::evaluation_json(part)))
                .collect();
            return output::print_json(&parts);
        }
        let parts = measured.iter().map(|(name, part)| (*name, part));
        Ok(output::print(&output::evaluation_table(parts))?)
    }
}

/// How the data was divided in training.
fn plan_of(provenance: &Provenance) -> Result<Plan, Usage> {
    let share = |name: &str| {
        let share = provenance.settings.get(name).and_then(|share| share.parse().ok());
        share.ok_or_else(|| {
            let message = format!(
                "the model was trained on this data, but does not say which share was `{name}`"
            );
            Usage(message)
        })
    };
    Ok(Plan { split: share("split")?, validation: share("validation")?, seed: provenance.seed })
}

/// The parts of data that the model has not seen: all of it is for the test if it is in one part.
fn unseen(data: &Dataset) -> impl Iterator<Item = (&'static str, &ImageDataset)> {
    let first = if data.test.is_some() { "train" } else { "test" };
    [(first, Some(&data.train)), ("test", data.test.as_ref())]
        .into_iter()
        .filter_map(|(name, part)| Some((name, part?)))
}

/// Checks that the pictures and classes are those of the model.
pub(crate) fn check_fit<T: Element>(
    network: &Network<T>,
    data: &ImageDataset,
) -> anyhow::Result<()> {
    check_shape(network, data.shape())?;
    if network.classes() != data.class_names() {
        let (expected, found) = (network.classes().join(", "), data.class_names().join(", "));
        let message = format!("expected the model's classes {expected}; found {found}");
        return Err(UnfitData(message).into());
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
    Err(UnfitData(message).into())
}
