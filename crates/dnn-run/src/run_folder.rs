//! The folder in which a run keeps what it makes.

use std::fs::{self, DirEntry, File};
use std::io;
use std::path::{Path, PathBuf};

use dnn_data::LoadReport;
use dnn_store::{Disk, FileSystem as _, StoreError};
use serde::Serialize;

use crate::checkpoints::Checkpoints;
use crate::error::{Context as _, Result, RunError};
use crate::history_file::HistoryFile;
use crate::lock::{LOCK, lock};

/// With this file a folder is a run's, and can be resumed.
pub(crate) const CONFIG: &str = "config.json";

/// What a run has come to.
pub(crate) const MODEL: &str = "model.dnn";

/// With this file a folder is a search's, and can be resumed.
pub(crate) const SEARCH: &str = "search.json";

/// What a run that was not interrupted has come to.
pub(crate) const REPORT: &str = "report.json";

const LOADED: &str = "data.json";
const SPLIT: &str = "split.tsv";

/// Written before `config.json`: alone they say that a run was only begun.
const BEGUN: [&str; 2] = [LOADED, SPLIT];

/// What runs and searches write, in this folder itself.
const FILES: [&str; 11] = [
    CONFIG,
    REPORT,
    SEARCH,
    LOADED,
    SPLIT,
    "history.jsonl",
    "history.csv",
    "best.dnn",
    "last-good.dnn",
    MODEL,
    "trials.jsonl",
];

/// The folders in it that a run writes into.
const FOLDERS: [&str; 2] = ["checkpoints", "tensorboard"];

/// A folder that this process alone works in, as long as this lives.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: File,
}

impl RunFolder {
    /// `out`, or the next free `runs/NAME-1`, `runs/NAME-2`, ….
    pub(crate) fn create(out: Option<&Path>, kind: &str, name: &str) -> Result<Self> {
        match out {
            Some(path) => claim(path),
            None => next_free(Path::new(kind), name),
        }
    }

    /// Refuses a folder that no run can be begun in, before there is anything to put into it.
    ///
    /// # Errors
    /// [`RunError::Usage`] for one that has something in it, or that another process works in.
    pub fn check_free(out: Option<&Path>) -> Result<()> {
        let Some(path) = out.filter(|path| path.is_dir()) else { return Ok(()) };
        if only_begun(path).unwrap_or(true) {
            return Ok(());
        }
        // Whoever works there is named first.
        if path.join(LOCK).exists() {
            lock(path)?;
        }
        Err(taken(path))
    }

    /// The folder of a run that has begun.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        if !path.join(CONFIG).exists() {
            return Err(not_to_resume(path, CONFIG));
        }
        Self::reopen(path)
    }

    /// A folder that has been worked in; what a killed process left half written goes.
    pub(crate) fn reopen(path: &Path) -> Result<Self> {
        let folder = Self { path: path.to_owned(), _lock: lock(path)? };
        check_names(path)?;
        sweep(path)?;
        sweep(&path.join("checkpoints"))?;
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file of the model that comes out.
    pub fn model(&self) -> PathBuf {
        self.path.join(MODEL)
    }

    /// Its checkpoints.
    pub(crate) fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(self.path.join("checkpoints"))
    }

    /// Replaces or makes a file, whole; not through a link, which may lead out of the folder.
    pub(crate) fn write(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let path = self.path.join(name);
        dnn_store::check_own_file(&path)?;
        Ok(dnn_store::commit(&path, bytes)?)
    }

    /// The same for a value that has a form in JSON.
    pub(crate) fn write_json(&self, name: &str, value: &impl Serialize) -> Result<()> {
        self.write(name, format!("{}\n", serde_json::to_string_pretty(value)?).as_bytes())
    }

    /// Writes `data.json`: what became of every picture file.
    pub(crate) fn write_report(&self, report: &LoadReport) -> Result<()> {
        self.write_json(LOADED, report)
    }

    /// Removes what an earlier end of the run was reported as: it goes on.
    pub(crate) fn remove_report(&self) -> Result<()> {
        let path = self.path.join(REPORT);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(error).context(|| format!("cannot remove {}", path.display()))
            }
            _ => Ok(()),
        }
    }

    /// Writes `split.tsv`: which file is in which part.
    pub(crate) fn write_split(&self, table: &str) -> Result<()> {
        self.write(SPLIT, table.as_bytes())
    }

    /// `history.jsonl` and `history.csv`, with the first `epochs` records that are there.
    pub(crate) fn history(&self, epochs: u64) -> Result<HistoryFile> {
        HistoryFile::open(&self.path, epochs)
    }
}

/// Why a folder without `wanted`, `config.json` or `search.json`, cannot be resumed, and what can be done
/// with it.
pub(crate) fn not_to_resume(path: &Path, wanted: &str) -> RunError {
    let kind = if wanted == SEARCH { "search" } else { "run" };
    let folder = path.display();
    let advice = if only_begun(path).is_ok_and(|begun| begun) {
        format!("; a {kind} into it was at most begun: start it again with --out {folder}")
    } else if wanted != SEARCH && path.join(SEARCH).exists() {
        format!("; it is a search's: dnn search --resume {folder}")
    } else if wanted == SEARCH && path.join(CONFIG).exists() {
        format!("; it is a run's: dnn train --resume {folder}")
    } else {
        String::new()
    };
    RunError::Usage(format!("{folder} is no {kind} folder: it has no {wanted}{advice}"))
}

/// Refuses a folder, perhaps from somebody else, in which one of our names is a link that would lead a
/// write out of it, or nothing that can be written at all.
fn check_names(folder: &Path) -> Result<(), StoreError> {
    FILES.iter().try_for_each(|name| dnn_store::check_own_file(&folder.join(name)))?;
    FOLDERS.iter().try_for_each(|name| dnn_store::check_own_folder(&folder.join(name)))
}

/// Removes what a killed process left half written; the lock says that no other one is at it.
fn sweep(folder: &Path) -> Result<()> {
    remove(folder, |entry| dnn_store::is_temporary(&entry.file_name()))
}

/// Removes those files of a folder that are meant; none if there is no folder.
fn remove(folder: &Path, meant: impl Fn(&DirEntry) -> bool) -> Result<()> {
    let context = || format!("cannot clean up {}", folder.display());
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries.context(context)?,
    };
    for entry in entries {
        let entry = entry.context(context)?;
        if meant(&entry) && entry.file_type().context(context)?.is_file() {
            fs::remove_file(entry.path()).context(context)?;
        }
    }
    Ok(())
}

/// A folder that is new, empty, or holds what a run leaves that was killed before it could be resumed.
fn claim(path: &Path) -> Result<RunFolder> {
    let context = || format!("cannot look into {}", path.display());
    dnn_store::create_folder(path)?;
    // Whoever works there is named first.
    let lock = if only_begun(path).context(context)? || path.join(LOCK).exists() {
        Some(lock(path)?)
    } else {
        None
    };
    match lock {
        Some(lock) if only_begun(path).context(context)? => {
            sweep(path)?;
            remove(path, |entry| BEGUN.iter().any(|name| entry.file_name() == *name))?;
            Ok(RunFolder { path: path.to_owned(), _lock: lock })
        }
        _ => Err(taken(path)),
    }
}

fn taken(path: &Path) -> RunError {
    let path = path.display();
    RunError::Usage(format!(
        "the run folder {path} is not empty; name another one with --out, or go on with the run that \
         is there with --resume {path}"
    ))
}

/// Whether there is nothing in a folder but what a run leaves that was killed before its `config.json`:
/// temporary files, a lock, and, beside a lock alone, what is written first. Without one these are
/// somebody else's.
fn only_begun(path: &Path) -> io::Result<bool> {
    let locked = path.join(LOCK).exists();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = entry.file_name();
        let ours = name == LOCK
            || dnn_store::is_temporary(&name)
            || locked && BEGUN.iter().any(|begun| name == *begun);
        if !ours || name != LOCK && !entry.file_type()?.is_file() {
            return Ok(false);
        }
    }
    Ok(true)
}

fn next_free(runs: &Path, name: &str) -> Result<RunFolder> {
    let context = || format!("cannot make a run folder in {}", runs.display());
    dnn_store::create_folder(runs)?;
    for number in 1_u32.. {
        let path = runs.join(format!("{}-{number}", file_name(name)));
        match fs::create_dir(&path) {
            Ok(()) => {
                Disk.sync_folder(runs).context(context)?;
                return Ok(RunFolder { _lock: lock(&path)?, path });
            }
            // Taken, perhaps this very moment by another run.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).context(context),
        }
    }
    let message = format!("all run folders of this name are taken in {}", runs.display());
    Err(RunError::Usage(message))
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
        fs::write(path.join(".other.tmp"), "").unwrap();
        RunFolder::open(&path).unwrap();
        assert!(!path.join(".config.json.123-4.tmp").exists());
        assert!(path.join(".other.tmp").exists(), "a hidden file of somebody else");
        let error = RunFolder::open(folder.path()).unwrap_err().to_string();
        assert!(error.ends_with("is no run folder: it has no config.json"), "{error}");
    }

    /// Whatever a kill leaves before `config.json`: the folder is taken again, and is as good as new.
    #[test]
    fn a_folder_in_which_a_run_was_only_begun_is_taken_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("run");
        let half = ".config.json.1-0.tmp";
        for left in [
            &[][..],
            &[half],
            &[LOCK],
            &[LOCK, ".data.json.1-0.tmp"],
            &[LOCK, LOADED],
            &[LOCK, LOADED, ".split.tsv.1-1.tmp"],
            &[LOCK, LOADED, SPLIT, half],
        ] {
            fs::create_dir(&path).unwrap();
            for name in left {
                fs::write(path.join(name), if *name == LOCK { "" } else { "half" }).unwrap();
            }
            let error = RunFolder::open(&path).unwrap_err().to_string();
            let advice = format!("was at most begun: start it again with --out {}", path.display());
            assert!(error.ends_with(&advice), "{left:?}: {error}");
            drop(claim(&path).unwrap());
            let names: Vec<_> =
                fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(names, [LOCK], "{left:?}");
            fs::remove_dir_all(&path).unwrap();
        }
    }

    /// What only looks like it is somebody else's, and stays.
    #[test]
    fn files_that_no_killed_run_leaves_keep_a_folder_from_being_taken() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mine");
        for left in [&[LOADED][..], &[SPLIT], &[".swap.tmp"], &[LOCK, "notes.txt"]] {
            fs::create_dir(&path).unwrap();
            for name in left {
                fs::write(path.join(name), if *name == LOCK { "" } else { "mine" }).unwrap();
            }
            let error = claim(&path).unwrap_err().to_string();
            assert!(error.contains("is not empty"), "{left:?}: {error}");
            assert!(left.iter().all(|name| path.join(name).exists()), "{left:?}");
            fs::remove_dir_all(&path).unwrap();
        }
        fs::create_dir_all(path.join(".config.json.1-0.tmp")).unwrap();
        claim(&path).unwrap_err();
    }

    #[test]
    fn a_search_and_a_run_name_each_other() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path();
        fs::write(path.join(SEARCH), "{}").unwrap();
        let error = RunFolder::open(path).unwrap_err().to_string();
        assert!(error.contains("; it is a search's: dnn search --resume "), "{error}");
        fs::rename(path.join(SEARCH), path.join(CONFIG)).unwrap();
        let error = not_to_resume(path, SEARCH).to_string();
        assert!(error.contains("; it is a run's: dnn train --resume "), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_folder_with_links_for_our_names_is_refused_before_anything_is_written() {
        use std::os::unix::fs::symlink;

        let folder = tempfile::tempdir().unwrap();
        let (path, outside) = (folder.path().join("run"), folder.path().join("outside"));
        fs::create_dir_all(outside.join("inner")).unwrap();
        fs::write(outside.join("file"), "the only copy").unwrap();
        fs::write(outside.join("inner/.x.1-0.tmp"), "the only copy").unwrap();
        for (names, target) in [(&FILES[1..], "../outside/file"), (&FOLDERS, "../outside/inner")] {
            for name in names {
                fs::create_dir(&path).unwrap();
                fs::write(path.join(CONFIG), "{}").unwrap();
                symlink(target, path.join(name)).unwrap();
                let error = RunFolder::open(&path).unwrap_err().to_string();
                assert!(error.contains("found a link: ") && error.ends_with(name), "{error}");
                assert_eq!(fs::read(outside.join("file")).unwrap(), b"the only copy");
                assert!(outside.join("inner/.x.1-0.tmp").exists(), "swept outside");
                fs::remove_dir_all(&path).unwrap();
            }
        }
    }
}
