//! The folder in which a run keeps what it makes.

use std::fs::{self, File};
use std::io::{self, BufWriter, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use dnn_data::LoadReport;
use dnn_train::EpochRecord;
use serde::Serialize;

use crate::failure::Refusal;

/// A folder that this run has made, or found empty.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
}

impl RunFolder {
    /// `out`, or the next free `runs/NAME-1`, `runs/NAME-2`, ….
    pub(crate) fn create(out: Option<&Path>, name: &str) -> anyhow::Result<Self> {
        let path = match out {
            Some(path) => claim(path)?,
            None => next_free(Path::new("runs"), name)?,
        };
        Ok(Self { path })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn model(&self) -> PathBuf {
        self.path.join("model.dnn")
    }

    /// Writes `config.json`.
    pub(crate) fn write_config(&self, config: &impl Serialize) -> anyhow::Result<()> {
        let text = format!("{}\n", serde_json::to_string_pretty(config)?);
        Ok(dnn_store::commit(&self.path.join("config.json"), text.as_bytes())?)
    }

    /// Writes `data.json`: what became of every picture file.
    pub(crate) fn write_report(&self, report: &LoadReport) -> anyhow::Result<()> {
        let text = format!("{}\n", serde_json::to_string_pretty(report)?);
        Ok(dnn_store::commit(&self.path.join("data.json"), text.as_bytes())?)
    }

    /// Writes `split.tsv`: which file is in which part.
    pub(crate) fn write_split(&self, table: &str) -> anyhow::Result<()> {
        Ok(dnn_store::commit(&self.path.join("split.tsv"), table.as_bytes())?)
    }

    /// Starts `history.jsonl`.
    pub(crate) fn start_history(&self) -> anyhow::Result<HistoryFile> {
        let path = self.path.join("history.jsonl");
        let file =
            File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(HistoryFile { file: BufWriter::new(file), path })
    }
}

fn claim(path: &Path) -> anyhow::Result<PathBuf> {
    let context = || format!("cannot make the run folder {}", path.display());
    fs::create_dir_all(path).with_context(context)?;
    if fs::read_dir(path).with_context(context)?.next().is_some() {
        let path = path.display();
        let message = format!("the run folder {path} is not empty; name another one with --out");
        return Err(Refusal::Usage(message).into());
    }
    Ok(path.to_owned())
}

fn next_free(runs: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let context = || format!("cannot make a run folder in {}", runs.display());
    fs::create_dir_all(runs).with_context(context)?;
    for number in 1_u32.. {
        let path = runs.join(format!("{}-{number}", file_name(name)));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(path),
            // Taken, perhaps this very moment by another run.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).with_context(context),
        }
    }
    anyhow::bail!("all run folders of this name are taken in {}", runs.display())
}

/// A name of letters, digits, `.`, `_` and `-` alone, and not hidden.
fn file_name(name: &str) -> String {
    let plain = |c: char| {
        if c.is_alphanumeric() || "._-".contains(c) { c } else { '-' }
    };
    let name: String = name.chars().map(plain).collect();
    let name = name.trim_start_matches('.');
    if name.is_empty() { "data".to_owned() } else { name.to_owned() }
}

/// `history.jsonl`: one line per epoch, each written out as soon as the epoch is over.
#[derive(Debug)]
pub(crate) struct HistoryFile {
    file: BufWriter<File>,
    path: PathBuf,
}

impl HistoryFile {
    pub(crate) fn append(&mut self, record: &EpochRecord) -> anyhow::Result<()> {
        let context = || format!("cannot write {}", self.path.display());
        let line = serde_json::to_string(record)?;
        writeln!(self.file, "{line}").and_then(|()| self.file.flush()).with_context(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_numbers_count_up() {
        assert_eq!(file_name("cats vs/dogs"), "cats-vs-dogs");
        assert_eq!(file_name("..."), "data");
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("runs");
        assert!(next_free(&runs, "x").unwrap().ends_with("x-1"));
        assert!(next_free(&runs, "x").unwrap().ends_with("x-2"));
        assert!(next_free(&runs, "y").unwrap().ends_with("y-1"));
    }

    #[test]
    fn a_folder_with_something_in_it_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        assert_eq!(claim(&path).unwrap(), path);
        assert_eq!(claim(&path).unwrap(), path, "empty is as good as new");
        fs::write(path.join("model.dnn"), "").unwrap();
        let error = claim(&path).unwrap_err().to_string();
        assert!(error.ends_with("is not empty; name another one with --out"), "{error}");
    }
}
