//! `dnn inspect`.

use std::str::FromStr;

use dnn_core::Element;
use dnn_layers::Network;
use dnn_store::Scalar;
use dnn_train::{Clip, GramPlan, Plan, Trainer};
use serde::Serialize;
use serde_json::json;

use crate::args::InspectArguments;
use crate::model::{WithModel, with_model};
use crate::output::{self, plain};

pub(crate) fn run(arguments: &InspectArguments) -> anyhow::Result<()> {
    with_model(&arguments.model, Inspect(arguments))
}

struct Inspect<'a>(&'a InspectArguments);

impl WithModel for Inspect<'_> {
    type Outcome = ();

    fn run<T: Element + Scalar>(self, network: &Network<T>, sha256: &str) -> anyhow::Result<()> {
        let plan = self.0.plan.map(|pictures| Planned::of(network, pictures.get())).transpose()?;
        if self.0.json {
            let summary = network.summary();
            return output::print_json(&json!({
                "input": network.input(),
                "widths": network.widths(),
                "layers": network.layers(),
                "head": network.head().to_string(),
                "classes": network.classes(),
                "precision": T::PRECISION,
                "parameters": summary.parameters(),
                "bytes": summary.bytes(),
                "model_sha256": sha256,
                "provenance": network.provenance(),
                "plan": plan,
            }));
        }
        let mut text = format!("{}\n", network.summary());
        let mut line = |name: &str, value: &str| {
            text += &format!("{:<14} {}\n", plain(name), plain(value));
        };
        if network.classes().is_empty() {
            line("outputs", &format!("{} ({} head)", network.outputs(), network.head()));
        } else {
            line("classes", &some_of(network.classes()));
        }
        line("precision", &T::PRECISION.to_string());
        line("sha256", sha256);
        match network.provenance() {
            None => line("provenance", "not recorded"),
            Some(provenance) => {
                line("made by", &provenance.software);
                line("kernels", &provenance.kernel_path);
                line("data sha256", &provenance.data_sha256);
                line("seed", &provenance.seed.to_string());
                for (name, value) in &provenance.settings {
                    line(&name.replace('_', " "), value);
                }
            }
        }
        if let Some(Planned { pictures, plan, gram }) = plan {
            text +=
                &format!("\nA run like this one on {pictures} training pictures:\n{plan}{gram}\n");
        }
        output::print(&text)
    }
}

/// How a run like the recorded one goes about its work.
#[derive(Serialize)]
struct Planned {
    pictures: usize,
    #[serde(flatten)]
    plan: Plan,
    gram: GramPlan,
}

impl Planned {
    fn of<T: Element>(network: &Network<T>, pictures: usize) -> anyhow::Result<Self> {
        let settings = network.provenance().map(|provenance| &provenance.settings);
        let setting = |name: &str| settings.and_then(|settings| settings.get(name));
        let usual = Trainer::default();
        let limit = |name: &str| setting(name).and_then(|limit| limit.parse().ok());
        let clip = limit("clip_norm").map(Clip::Norm).or(limit("clip_value").map(Clip::Value));
        let trainer = Trainer {
            optimizer: recorded(setting("optimizer"), usual.optimizer),
            batch: recorded(setting("batch"), usual.batch),
            epochs: recorded(setting("epochs"), usual.epochs),
            gram: recorded(setting("gram"), usual.gram),
            clip: clip.unwrap_or_default(),
            ..usual
        };
        let plan = trainer.plan_for_pictures(network, pictures);
        Ok(Self { pictures, plan, gram: trainer.gram_plan(network, pictures, 0)? })
    }
}

/// What a setting says, or what is usual where it says nothing.
fn recorded<V: FromStr>(setting: Option<&String>, usual: V) -> V {
    setting.and_then(|text| text.parse().ok()).unwrap_or(usual)
}

/// The names of the classes, or the first and last where they are many.
fn some_of(classes: &[String]) -> String {
    const SHOWN: usize = 12;
    match classes {
        [first @ .., last] if classes.len() > SHOWN => {
            format!("{}, …, {last} ({} in all)", first[..SHOWN - 2].join(", "), classes.len())
        }
        _ => classes.join(", "),
    }
}
