//! `dnn inspect`.

use dnn_core::Element;
use dnn_layers::Network;
use dnn_store::Scalar;
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
        if self.0.json {
            let summary = network.summary();
            return output::print_json(&json!({
                "input": network.input(),
                "widths": network.widths(),
                "hidden": network.hidden(),
                "head": network.head().to_string(),
                "classes": network.classes(),
                "precision": T::PRECISION,
                "parameters": summary.parameters(),
                "bytes": summary.bytes(),
                "model_sha256": sha256,
                "provenance": network.provenance(),
            }));
        }
        let mut text = format!("{}\n", network.summary());
        let mut line = |name: &str, value: &str| {
            text += &format!("{:<14} {}\n", plain(name), plain(value));
        };
        line("classes", &some_of(network.classes()));
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
        output::print(&text)
    }
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
