//! What goes to standard output and standard error.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use dnn_train::{Evaluation, LabelSets, Regression};
use serde::Serialize;
use serde_json::{Map, Value, json};
use unicode_width::UnicodeWidthStr as _;

pub(crate) use dnn_run::words::{counted, plain};
use dnn_run::{MeasuredPart, RunError};

/// Writes `text`, whole lines, to standard output.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut stdout = io::stdout().lock();
    let lines: Vec<String> = text.split('\n').map(plain).collect();
    stdout
        .write_all(lines.join("\n").as_bytes())
        .and_then(|()| stdout.flush())
        .context("cannot write to standard output")
}

/// The columns of a terminal that `text` takes: a Chinese or Japanese character has two, an accent none.
pub(crate) fn width(text: &str) -> usize {
    text.width()
}

/// `text` and the spaces that make it this wide, as `{:<width$}` does it where every character has one
/// column.
pub(crate) fn left(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(self::width(text))))
}

/// The spaces that make it this wide, and `text`.
pub(crate) fn right(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(self::width(text))))
}

/// Writes a file under the first of these names that nothing has, and says which that was.
///
/// Whatever has a name already stays as it is, a link and what it leads to as well.
pub(crate) fn write_new(
    names: impl IntoIterator<Item = PathBuf>,
    bytes: &[u8],
) -> anyhow::Result<PathBuf> {
    let mut taken = None;
    for path in names {
        match File::create_new(&path) {
            Ok(_) => {
                // The name is ours from here on: nobody else writes there.
                if let Err(error) = dnn_store::commit(&path, bytes) {
                    let _ = fs::remove_file(&path);
                    return Err(error.into());
                }
                return Ok(path);
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => taken = Some(path),
            Err(error) => {
                return Err(error).with_context(|| format!("cannot write {}", path.display()));
            }
        }
    }
    Err(self::taken(&taken.unwrap_or_default()).into())
}

/// What is said of a file that is not replaced.
pub(crate) fn taken(path: &Path) -> RunError {
    let path = path.display();
    RunError::Usage(format!("{path} is there already and is not replaced; name another file"))
}

/// Writes `value` as one JSON object to standard output.
pub(crate) fn print_json(value: &impl Serialize) -> anyhow::Result<()> {
    print(&format!("{}\n", serde_json::to_string_pretty(value)?))
}

/// Tells the user something on standard error; a closed one is no reason to stop.
pub(crate) fn note(text: &str) {
    say(&plain(text));
}

/// The same for a text without control characters but the ends of its lines.
pub(crate) fn say(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}

/// The parts of the data by their names, as `--json` has them.
pub(crate) fn parts_json<'a>(
    parts: impl IntoIterator<Item = &'a MeasuredPart>,
) -> Map<String, Value> {
    let one = |part: &MeasuredPart| (part.name.clone(), evaluation_json(&part.evaluation));
    parts.into_iter().map(one).collect()
}

/// A part of the data as `--json` has it.
pub(crate) fn evaluation_json(evaluation: &Evaluation) -> Value {
    let (cost, examples) = (evaluation.cost, evaluation.examples);
    if let Some(Regression { r2, mean_absolute_error, baseline }) = evaluation.regression {
        return json!({
            "cost": cost,
            "r2": r2,
            "mean_absolute_error": mean_absolute_error,
            "baseline": baseline,
            "examples": examples,
        });
    }
    if let Some(LabelSets { accuracy, subset_accuracy }) = &evaluation.labels {
        return json!({
            "cost": cost,
            "accuracy_of_each": accuracy,
            "subset_accuracy": subset_accuracy,
            "examples": examples,
        });
    }
    json!({
        "cost": cost,
        "accuracy": evaluation.accuracy(),
        "interval": evaluation.interval(),
        "baseline": evaluation.baseline(),
        "examples": examples,
    })
}

/// The measured parts of data with numbers to be found, one per line.
fn regression_table(parts: &[&MeasuredPart]) -> String {
    let mut table = format!(
        "{:<11} {:>8} {:>12} {:>8} {:>14} {:>12}\n",
        "part", "examples", "cost", "R2", "absolute error", "baseline"
    );
    for MeasuredPart { name, evaluation } in parts {
        let Some(found) = &evaluation.regression else { continue };
        let r2 = found.r2.map_or("-".to_owned(), |r2| format!("{r2:.4}"));
        table += &format!(
            "{name:<11} {:>8} {:>12.6} {r2:>8} {:>14.6} {:>12.6}\n",
            evaluation.examples, evaluation.cost, found.mean_absolute_error, found.baseline
        );
    }
    table
}

/// The measured parts of data with labels of which several can hold, one per line.
fn labels_table(parts: &[&MeasuredPart]) -> String {
    let mut table = format!(
        "{:<11} {:>8} {:>10} {:>9}  {}\n",
        "part", "examples", "cost", "all right", "each label"
    );
    for MeasuredPart { name, evaluation } in parts {
        let Some(found) = &evaluation.labels else { continue };
        let percent = |share: &f64| format!("{:.1} %", 100.0 * share);
        let each: Vec<String> = found.accuracy.iter().map(percent).collect();
        table += &format!(
            "{name:<11} {:>8} {:>10.6} {:>9}  {}\n",
            evaluation.examples,
            evaluation.cost,
            percent(&found.subset_accuracy),
            each.join(", ")
        );
    }
    table
}

/// The measured parts, one per line.
pub(crate) fn evaluation_table<'a>(parts: impl IntoIterator<Item = &'a MeasuredPart>) -> String {
    let parts: Vec<&MeasuredPart> = parts.into_iter().collect();
    if parts.iter().any(|part| part.evaluation.regression.is_some()) {
        return regression_table(&parts);
    }
    if parts.iter().any(|part| part.evaluation.labels.is_some()) {
        return labels_table(&parts);
    }
    let percent =
        |share: Option<f64>| share.map_or("-".to_owned(), |s| format!("{:.1} %", 100.0 * s));
    let mut table = format!(
        "{:<11} {:>8} {:>10} {:>9} {:>13} {:>9}\n",
        "part", "examples", "cost", "accuracy", "95 % interval", "baseline"
    );
    for MeasuredPart { name, evaluation } in parts {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_counted_as_terminals_do() {
        assert_eq!((width("cat"), width("猫"), width("e\u{301}")), (3, 2, 1));
        assert_eq!((left("猫", 4), right("猫", 4)), ("猫  ".to_owned(), "  猫".to_owned()));
        assert_eq!(left("longer", 3), "longer");
    }

    #[test]
    fn a_new_file_takes_no_name_that_something_has() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        fs::write(path("a"), "old").unwrap();
        fs::create_dir(path("b")).unwrap();
        let names = || ["a", "b", "c"].map(path);
        assert_eq!(write_new(names(), b"new").unwrap(), path("c"));
        assert_eq!(fs::read_to_string(path("c")).unwrap(), "new");
        let error = write_new(names(), b"new").unwrap_err().to_string();
        assert!(
            error.ends_with("c is there already and is not replaced; name another file"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(path("a")).unwrap(), "old");
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(path("nowhere"), path("link")).unwrap();
            assert!(write_new([path("link")], b"new").is_err());
            assert!(!path("nowhere").exists());
        }
    }
}
