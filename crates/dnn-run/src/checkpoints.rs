//! The checkpoints of a run: `checkpoints/step-NNNNNNNNNN.checkpoint`.

use std::fs;
use std::io;
use std::num::{NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};

use crate::error::{Context as _, Result};

const PREFIX: &str = "step-";
const SUFFIX: &str = ".checkpoint";

/// The folder with the checkpoints of a run.
#[derive(Debug, Clone)]
pub(crate) struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    /// Those in this folder, which need not be there yet.
    pub(crate) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Steps that there is a checkpoint of, the latest first.
    pub(crate) fn steps(&self) -> Result<Vec<u64>> {
        let context = || format!("cannot read {}", self.folder.display());
        let entries = match fs::read_dir(&self.folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.context(context)?,
        };
        let mut steps = Vec::new();
        for entry in entries {
            let path = entry.context(context)?.path();
            let step = path.file_name().and_then(|name| {
                name.to_str()?.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?.parse::<u64>().ok()
            });
            // Whatever else somebody put there is none of ours.
            steps.extend(step.filter(|&step| path == self.path(step) && path.is_file()));
        }
        steps.sort_unstable_by(|a, b| b.cmp(a));
        Ok(steps)
    }

    /// Where they are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The file of a step.
    pub(crate) fn path(&self, step: u64) -> PathBuf {
        self.folder.join(format!("{PREFIX}{step:010}{SUFFIX}"))
    }

    /// The latest one, if there is any.
    pub(crate) fn latest(&self) -> Result<Option<PathBuf>> {
        Ok(self.steps()?.first().map(|&step| self.path(step)))
    }

    /// Saves the run as it is after `step`; only then those that are not to be kept go.
    pub(crate) fn save(&self, step: u64, bytes: &[u8], keep: &Keep) -> Result<()> {
        dnn_store::create_folder(&self.folder)?;
        let path = self.path(step);
        dnn_store::check_own_file(&path)?;
        dnn_store::commit(&path, bytes)?;
        let spare = |step: &u64| keep.every.is_none_or(|every| !step.is_multiple_of(every.get()));
        for old in self.steps()?.into_iter().skip(keep.last.get()).filter(spare) {
            remove(&self.path(old))?;
        }
        Ok(())
    }
}

/// Which checkpoints stay.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keep {
    /// So many of the latest.
    pub(crate) last: NonZeroUsize,
    /// Those of steps that are multiples of this.
    pub(crate) every: Option<NonZeroU64>,
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_and_every_nth_stay() {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().join("checkpoints"));
        assert_eq!(checkpoints.latest().unwrap(), None);
        let keep = Keep { last: NonZeroUsize::new(2).unwrap(), every: NonZeroU64::new(10) };
        for step in [3, 7, 10, 14, 20, 23, 25] {
            checkpoints.save(step, b"run", &keep).unwrap();
            assert_eq!(checkpoints.latest().unwrap(), Some(checkpoints.path(step)));
        }
        assert_eq!(checkpoints.steps().unwrap(), [25, 23, 20, 10]);
        let foreign = ["step-x", "step-30", "step-+000000030", "step-0000000030 (copy)", "step-"];
        for name in foreign {
            fs::write(folder.path().join(format!("checkpoints/{name}.checkpoint")), "").unwrap();
        }
        fs::create_dir(checkpoints.path(31)).unwrap();
        assert_eq!(checkpoints.steps().unwrap(), [25, 23, 20, 10]);
    }
}
