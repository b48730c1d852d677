//! What a run leaves of its epochs: `history.jsonl` and `history.csv`, a line each.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use dnn_train::{EpochRecord, Evaluation};

use crate::error::{Context as _, Result, RunError};
use crate::text_file::{from_json, read_text};

const HISTORY: &str = "history.jsonl";

const HEADER: &str =
    "step,epoch,learning_rate,cost,accuracy,validation_cost,validation_accuracy,best";

/// The two files; each line is written out as soon as the epoch is over.
#[derive(Debug)]
pub(crate) struct HistoryFile {
    files: [(PathBuf, File); 2],
}

impl HistoryFile {
    /// The files in `folder`, with the first `epochs` records that are there and nothing after them.
    pub(crate) fn open(folder: &Path, epochs: u64) -> Result<Self> {
        let path = folder.join(HISTORY);
        let records = read(&path, epochs)?;
        let csv = folder.join("history.csv");
        let mut texts = [String::new(), format!("{HEADER}\n")];
        for record in &records {
            let [json_line, csv_line] = lines(record)?;
            texts[0] += &json_line;
            texts[1] += &csv_line;
        }
        let open = |path: PathBuf, text: &str| -> Result<(PathBuf, File)> {
            dnn_store::commit(&path, text.as_bytes())?;
            let file = File::options().append(true).open(&path);
            let file = file.context(|| format!("cannot write {}", path.display()))?;
            Ok((path, file))
        };
        Ok(Self { files: [open(path, &texts[0])?, open(csv, &texts[1])?] })
    }

    /// Writes the record of an epoch.
    pub(crate) fn append(&mut self, record: &EpochRecord) -> Result<()> {
        for ((path, file), line) in self.files.iter_mut().zip(lines(record)?) {
            file.write_all(line.as_bytes())
                .context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    /// Waits until the lines are safe: no checkpoint knows of an epoch that its history does not.
    pub(crate) fn sync(&self) -> Result<()> {
        for (path, file) in &self.files {
            file.sync_data().context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }
}

/// The first `epochs` records of a history; a last line that was cut short is none.
fn read(path: &Path, epochs: u64) -> Result<Vec<EpochRecord>> {
    let text = read_text(path)?.unwrap_or_default();
    let wanted = usize::try_from(epochs).unwrap_or(usize::MAX);
    let records: Vec<EpochRecord> =
        text.lines().take(wanted).map_while(|line| from_json(line).ok()).collect();
    if records.len() < wanted {
        let message = format!(
            "{} has {} whole records; expected {epochs}, as many as the checkpoint's run has epochs",
            path.display(),
            records.len()
        );
        return Err(RunError::Data(message));
    }
    Ok(records)
}

/// All whole records of the history in a run folder; none if there is no history.
pub(crate) fn read_all(folder: &Path) -> Result<Vec<EpochRecord>> {
    let text = read_text(&folder.join(HISTORY))?.unwrap_or_default();
    Ok(text.lines().map_while(|line| from_json(line).ok()).collect())
}

/// A record in both forms.
fn lines(record: &EpochRecord) -> Result<[String; 2]> {
    let number = |value: Option<f64>| value.map_or_else(String::new, |value| value.to_string());
    let validation = record.validation.as_ref();
    let fields = [
        record.step.to_string(),
        record.epoch.to_string(),
        record.learning_rate.to_string(),
        record.cost.to_string(),
        number(record.accuracy),
        number(validation.map(|part| part.cost)),
        number(validation.and_then(Evaluation::accuracy)),
        record.best.to_string(),
    ];
    Ok([format!("{}\n", serde_json::to_string(record)?), format!("{}\n", fields.join(","))])
}
