//! What a search came to.

use std::path::Path;

use dnn_core::Element;
use dnn_layers::Network;
use dnn_store::Scalar;
use dnn_train::Evaluation;
use serde_json::{Map, Value, json};

use super::Outcome;
use crate::model::{WithModel, with_model};
use crate::output;
use dnn_run::parts::{self, Parts};

/// Trials that the table shows.
const SHOWN: usize = 20;

/// A trial that is over, for standard error.
pub(super) fn line(outcome: &Outcome) -> String {
    let Some(cost) = outcome.validation_cost else {
        return format!("trial {}: diverged", outcome.trial);
    };
    let accuracy = outcome.validation_accuracy;
    let accuracy = accuracy.map(|accuracy| format!(", accuracy {:.1} %", 100.0 * accuracy));
    format!(
        "trial {}: validation cost {cost:.4}{}, {:.1} s",
        outcome.trial,
        accuracy.unwrap_or_default(),
        outcome.seconds
    )
}

/// All trials, the best first, and the best one's model measured on every part.
pub(super) fn print(
    outcomes: &[Outcome],
    best: &Outcome,
    model: &Path,
    command: &str,
    parts: &Parts,
    as_json: bool,
) -> anyhow::Result<()> {
    let measured = with_model(model, Measure(parts))?;
    if as_json {
        let mut object: Map<String, Value> = (measured.iter())
            .map(|(name, part)| ((*name).to_owned(), output::evaluation_json(part)))
            .collect();
        object.insert("trials".to_owned(), json!(outcomes));
        object.insert("best".to_owned(), json!(best));
        object.insert("model".to_owned(), json!(model.display().to_string()));
        object.insert("command".to_owned(), json!(command));
        return output::print_json(&object);
    }
    let mut text = table(outcomes);
    let evaluations = measured.iter().map(|(name, part)| (*name, part));
    text += &format!("\nbest of them: trial {}\n", best.trial);
    text += &output::evaluation_table(evaluations);
    text += &format!("\nmodel    {}\nagain    {command}\n", model.display());
    output::print(&text)
}

fn table(outcomes: &[Outcome]) -> String {
    let mut text = format!(
        "{:>5} {:>16} {:>9} {:>8}  settings\n",
        "trial", "validation cost", "accuracy", "seconds"
    );
    for outcome in outcomes.iter().take(SHOWN) {
        let cost =
            outcome.validation_cost.map_or("diverged".to_owned(), |cost| format!("{cost:.4}"));
        let accuracy = outcome
            .validation_accuracy
            .map_or("-".to_owned(), |accuracy| format!("{:.1} %", 100.0 * accuracy));
        text += &format!(
            "{:>5} {cost:>16} {accuracy:>9} {:>8.1}  {}\n",
            outcome.trial, outcome.seconds, outcome.settings
        );
    }
    if let Some(more @ 1..) = outcomes.len().checked_sub(SHOWN) {
        text += &format!("and {more} more, in trials.jsonl\n");
    }
    text
}

struct Measure<'a>(&'a Parts);

impl WithModel for Measure<'_> {
    type Outcome = Vec<(&'static str, Evaluation)>;

    fn run<T: Element + Scalar>(
        self,
        network: &Network<T>,
        _: &str,
    ) -> anyhow::Result<Self::Outcome> {
        Ok(parts::measure(network, self.0.each())?)
    }
}

/// A word as a shell takes it.
pub(super) fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:+%@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted_where_a_shell_would_change_them() {
        assert_eq!(quoted("--hidden=256,128"), "--hidden=256,128");
        assert_eq!(quoted("my photos"), "'my photos'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
