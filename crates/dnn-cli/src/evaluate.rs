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
        let parts = if let Some(plan) = provenance.and_then(plan_of) {
            Parts::divide(data, plan)?
        } else {
            note("this is not the data that the model was trained on");
            whole(data)
        };
        let measured = parts::measure(network, &parts)?;
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
fn plan_of(provenance: &Provenance) -> Option<Plan> {
    let share = |name: &str| provenance.settings.get(name)?.parse().ok();
    Some(Plan { split: share("split")?, validation: share("validation")?, seed: provenance.seed })
}

/// The data as it is, all of it for the test if it is in one part.
fn whole(data: Dataset) -> Parts {
    Parts { train: data.train, validation: None, test: data.test }
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
