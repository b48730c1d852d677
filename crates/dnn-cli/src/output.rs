//! What goes to standard output and standard error.

use std::io::{self, Write as _};

use anyhow::Context as _;
use dnn_train::Evaluation;
use serde::Serialize;
use serde_json::{Value, json};

/// Writes `text`, whole lines, to standard output.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    let lines: Vec<String> = text.split('\n').map(plain).collect();
    stdout
        .write_all(lines.join("\n").as_bytes())
        .and_then(|()| stdout.flush())
        .context("cannot write to standard output")
}

/// `text` with its control characters written out, so that a name can do nothing to a terminal.
pub(crate) fn plain(text: &str) -> String {
    let escape = |c: char| {
        if c.is_control() { c.escape_default().to_string() } else { c.to_string() }
    };
    text.chars().map(escape).collect()
}

/// Writes `value` as one JSON object to standard output.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Tells the user something on standard error; a closed one is no reason to stop.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{}", plain(text));
}

/// A part of the data as `--json` has it.
pub(crate) fn evaluation_json(evaluation: &Evaluation) -> Value {
    json!({
        "cost": evaluation.cost,
        "accuracy": evaluation.accuracy(),
        "interval": evaluation.interval(),
        "baseline": evaluation.baseline(),
        "examples": evaluation.examples,
    })
}

/// The measured parts, one per line.
pub(crate) fn evaluation_table<'a>(
    parts: impl IntoIterator<Item = (&'a str, &'a Evaluation)>,
) -> String {
    let percent =
        |share: Option<f64>| share.map_or("-".to_owned(), |s| format!("{:.1} %", 100.0 * s));
    let mut table = format!(
        "{:<11} {:>8} {:>10} {:>9} {:>13} {:>9}\n",
        "part", "examples", "cost", "accuracy", "95 % interval", "baseline"
    );
    for (name, evaluation) in parts {
        let (accuracy, baseline) = (percent(evaluation.accuracy()), percent(evaluation.baseline()));
        let interval = evaluation.interval().map_or("-".to_owned(), |(low, high)| {
            format!("{:.1} to {:.1}", 100.0 * low, 100.0 * high)
        });
        table += &format!(
            "{name:<11} {:>8} {:>10.6} {accuracy:>9} {interval:>13} {baseline:>9}\n",
            evaluation.examples, evaluation.cost
        );
    }
    table
}
