//! `dnn inspect`.

use dnn_core::Element;
use dnn_layers::{AnyNetwork, ModelFile, Network};
use dnn_run::{PlannedRun, load_model, plan_run};
use dnn_store::Scalar;
use serde_json::{Value, json};

use crate::args::InspectArguments;
use crate::output::{self, plain};
use crate::progress::Terminal;

pub(crate) fn run(arguments: &InspectArguments) -> anyhow::Result<()> {
    let ModelFile { network, sha256 } = load_model(&arguments.model, &mut Terminal::new(false))?;
    let plan = arguments.plan.map(|pictures| plan_run(&network, pictures.get())).transpose()?;
    match network {
        AnyNetwork::F32(network) => print(&network, &sha256, plan.as_ref(), arguments.json),
        AnyNetwork::F64(network) => print(&network, &sha256, plan.as_ref(), arguments.json),
    }
}

fn print<T: Element + Scalar>(
    network: &Network<T>,
    sha256: &str,
    plan: Option<&PlannedRun>,
    as_json: bool,
) -> anyhow::Result<()> {
    if as_json {
        return output::print_json(&as_object(network, sha256, plan));
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
    if let Some(PlannedRun { pictures, plan, gram }) = plan {
        text += &format!("\nA run like this one on {pictures} training pictures:\n{plan}{gram}\n");
    }
    output::print(&text)
}

fn as_object<T: Element + Scalar>(
    network: &Network<T>,
    sha256: &str,
    plan: Option<&PlannedRun>,
) -> Value {
    let summary = network.summary();
    json!({
        "input": network.input(),
        "widths": network.widths(),
        "layers": network.layers(),
        "head": network.head().to_string(),
        "classes": network.classes(),
        "precision": T::PRECISION,
        "parameters": summary.parameters(),
        "bytes": summary.bytes(),
        "flop": summary.flop(),
        "model_sha256": sha256,
        "provenance": network.provenance(),
        "plan": plan,
    })
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
