//! The folder in which a run keeps what it makes.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use dnn_data::LoadReport;
use serde::{Deserialize, Serialize};

use crate::checkpoints::Checkpoints;
use crate::failure::Refusal;
use crate::history_file::HistoryFile;
use crate::settings::Settings;

/// Held by the process that works in a folder; the file stays, and says nothing without its lock.
const LOCK: &str = ".lock";

/// `config.json`: all that was chosen for a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Config {
    pub(crate) software: String,
    pub(crate) kernel_path: String,
    pub(crate) data: String,
    /// Where the data was; `None` for the built-in digits.
    pub(crate) data_path: Option<PathBuf>,
    pub(crate) data_sha256: String,
    pub(crate) seed: u64,
    pub(crate) threads: usize,
    pub(crate) settings: Settings,
    /// How picture files were read, where it was not as usual.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub(crate) loading: Settings,
    /// What is kept of the run while it goes on, where it is not as usual.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub(crate) keeping: Settings,
    /// The model that the run started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) from: Option<PathBuf>,
}

/// A folder that this process alone works in, as long as this lives.
#[derive(Debug)]
pub(crate) struct RunFolder {
    path: PathBuf,
    _lock: File,
}

impl RunFolder {
    /// `out`, or the next free `runs/NAME-1`, `runs/NAME-2`, ….
    pub(crate) fn create(out: Option<&Path>, kind: &str, name: &str) -> anyhow::Result<Self> {
        match out {
            Some(path) => claim(path),
            None => next_free(Path::new(kind), name),
        }
    }

    /// The folder of a run that has begun.
    pub(crate) fn open(path: &Path) -> anyhow::Result<Self> {
        let config = path.join("config.json");
        if !config.exists() {
            let message = format!("{} is no run folder: it has no config.json", path.display());
            return Err(Refusal::Usage(message).into());
        }
        Self::reopen(path)
    }

    /// A folder that has been worked in; what a killed process left half written goes.
    pub(crate) fn reopen(path: &Path) -> anyhow::Result<Self> {
        let folder = Self { path: path.to_owned(), _lock: lock(path)? };
        sweep(path)?;
        sweep(&path.join("checkpoints"))?;
        Ok(folder)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn model(&self) -> PathBuf {
        self.path.join("model.dnn")
    }

    pub(crate) fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(self.path.join("checkpoints"))
    }

    /// Replaces or makes a file, whole.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
        Ok(dnn_store::commit(&self.path.join(name), bytes)?)
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        self.write(name, format!("{}\n", serde_json::to_string_pretty(value)?).as_bytes())
    }

    /// Writes `config.json`.
    pub(crate) fn write_config(&self, config: &Config) -> anyhow::Result<()> {
        self.write_json("config.json", config)
    }

    /// Writes `data.json`: what became of every picture file.
    pub(crate) fn write_report(&self, report: &LoadReport) -> anyhow::Result<()> {
        self.write_json("data.json", report)
    }

    /// Writes `split.tsv`: which file is in which part.
    pub(crate) fn write_split(&self, table: &str) -> anyhow::Result<()> {
        self.write("split.tsv", table.as_bytes())
    }

    /// `history.jsonl` and `history.csv`, with the first `epochs` records that are there.
    pub(crate) fn history(&self, epochs: u64) -> anyhow::Result<HistoryFile> {
        HistoryFile::open(&self.path, epochs)
    }
}

/// The settings of the run in a folder.
pub(crate) fn read_config(path: &Path) -> anyhow::Result<Config> {
    let path = path.join("config.json");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_str(&text).map_err(|error| {
        Refusal::Data(format!("{} is not a run's config.json: {error}", path.display())).into()
    })
}

/// Takes the lock of a folder, or says who has it.
fn lock(folder: &Path) -> anyhow::Result<File> {
    let path = folder.join(LOCK);
    let context = || format!("cannot lock {}", path.display());
    let mut file = File::options()
        .create(true)
        .truncate(false)
        .read(true)
        .write(true)
        .open(&path)
        .with_context(context)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let _ = file.read_to_string(&mut holder);
            let holder = match holder.trim() {
                "" => "another process".to_owned(),
                pid => format!("process {pid}"),
            };
            let folder = folder.display();
            return Err(Refusal::Usage(format!("the folder {folder} is in use by {holder}")).into());
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(context),
    }
    let pid = std::process::id().to_string();
    file.set_len(0).and_then(|()| file.write_all(pid.as_bytes())).with_context(context)?;
    Ok(file)
}

/// Removes what a killed process left half written; the lock says that no other one is at it.
fn sweep(folder: &Path) -> anyhow::Result<()> {
    let context = || format!("cannot clean up {}", folder.display());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.with_context(context)?,
    };
    for entry in entries {
        let entry = entry.with_context(context)?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with('.') && name.ends_with(".tmp") {
            fs::remove_file(entry.path()).with_context(context)?;
        }
    }
    Ok(())
}

fn claim(path: &Path) -> anyhow::Result<RunFolder> {
    let context = || format!("cannot make the run folder {}", path.display());
    fs::create_dir_all(path).with_context(context)?;
    // Whoever works there is named first.
    let lock = if is_empty(path).with_context(context)? || path.join(LOCK).exists() {
        Some(lock(path)?)
    } else {
        None
    };
    match lock {
        Some(lock) if is_empty(path).with_context(context)? => {
            Ok(RunFolder { path: path.to_owned(), _lock: lock })
        }
        _ => {
            let path = path.display();
            let message = format!(
                "the run folder {path} is not empty; name another one with --out, or go on with \
                 the run that is there with --resume {path}"
            );
            Err(Refusal::Usage(message).into())
        }
    }
}

/// Whether there is nothing in a folder, but perhaps a lock.
fn is_empty(path: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(path)? {
        if entry?.file_name() != LOCK {
            return Ok(false);
        }
    }
    Ok(true)
}

fn next_free(runs: &Path, name: &str) -> anyhow::Result<RunFolder> {
    let context = || format!("cannot make a run folder in {}", runs.display());
    fs::create_dir_all(runs).with_context(context)?;
    for number in 1_u32.. {
        let path = runs.join(format!("{}-{number}", file_name(name)));
        match fs::create_dir(&path) {
            Ok(()) => return Ok(RunFolder { _lock: lock(&path)?, path }),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain_and_numbers_count_up() {
        assert_eq!(file_name("cats vs/dogs"), "cats-vs-dogs");
        assert_eq!(file_name("..."), "data");
        let folder = tempfile::tempdir().unwrap();
        let runs = folder.path().join("runs");
        assert!(next_free(&runs, "x").unwrap().path().ends_with("x-1"));
        assert!(next_free(&runs, "x").unwrap().path().ends_with("x-2"));
        assert!(next_free(&runs, "y").unwrap().path().ends_with("y-1"));
    }

    #[test]
    fn a_folder_with_something_in_it_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b");
        assert_eq!(claim(&path).unwrap().path(), path);
        assert_eq!(claim(&path).unwrap().path(), path, "empty is as good as new");
        fs::write(path.join("model.dnn"), "").unwrap();
        let error = claim(&path).unwrap_err().to_string();
        assert!(error.contains("is not empty; name another one with --out"), "{error}");
    }

    #[test]
    fn a_folder_in_use_names_its_process_and_one_left_behind_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let held = claim(&path).unwrap();
        let error = claim(&path).unwrap_err().to_string();
        let expected = format!("is in use by process {}", std::process::id());
        assert!(error.ends_with(&expected), "{error}");
        held.write("config.json", b"{}").unwrap();
        assert!(RunFolder::open(&path).unwrap_err().to_string().ends_with(&expected));
        drop(held);
        fs::write(path.join(".config.json.123-4.tmp"), "half").unwrap();
        fs::write(path.join(".other"), "").unwrap();
        RunFolder::open(&path).unwrap();
        assert!(!path.join(".config.json.123-4.tmp").exists());
        assert!(path.join(".other").exists());
        let error = RunFolder::open(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("is no run folder: it has no config.json"), "{error}");
    }
}
