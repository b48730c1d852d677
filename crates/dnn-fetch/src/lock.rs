//! One process at a time works on a data set.

use std::fs::{self, File, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use crate::{Event, FetchError, Result};

/// Held while it lives; the system frees it when the process ends, however it ends.
pub(crate) struct Lock {
    path: PathBuf,
    // Closing the file gives the lock back.
    _file: File,
}

impl Lock {
    /// Waits until no other process holds the lock at `path`.
    pub(crate) fn take(path: &Path, tell: &mut dyn FnMut(Event)) -> Result<Self> {
        let wait = &mut |file: &File| {
            tell(Event::Locked);
            file.lock()
        };
        Self::take_or(path, wait)
    }

    /// Takes the lock at `path`, unless another process holds it.
    pub(crate) fn try_take(path: &Path) -> Result<Self> {
        Self::take_or(path, &mut |_| Err(ErrorKind::WouldBlock.into()))
    }

    /// Takes the lock; `wait` is called where another process holds it.
    fn take_or(path: &Path, wait: &mut dyn FnMut(&File) -> io::Result<()>) -> Result<Self> {
        let fail = |error| FetchError::io("lock", path, error);
        loop {
            if let Some(folder) = path.parent()
                && let Err(error) = fs::create_dir_all(folder)
            {
                // Another process has made it, and has perhaps removed it again since.
                let in_the_way = fs::symlink_metadata(folder).is_ok_and(|_| !folder.is_dir());
                if error.kind() == ErrorKind::AlreadyExists && !in_the_way {
                    continue;
                }
                return Err(FetchError::io("create", folder, error));
            }
            // Neither a pipe, which could wait for ever, nor a link to a file elsewhere.
            dnn_store::check_own_file(path).map_err(FetchError::Unreadable)?;
            let opened = File::options().create(true).truncate(false).write(true).open(path);
            let file = match opened {
                Ok(file) => file,
                // Whoever held the lock has just cleaned up the folder.
                Err(error) if error.kind() == ErrorKind::NotFound => continue,
                Err(error) => return Err(fail(error)),
            };
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => wait(&file).map_err(fail)?,
                Err(TryLockError::Error(error)) => return Err(fail(error)),
            }
            // The one before us removes the file when it is done; a lock on a removed file is none.
            if still_there(&file, path) {
                return Ok(Self { path: path.to_path_buf(), _file: file });
            }
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // An empty file that stays does no harm.
        let _ = fs::remove_file(&self.path);
        if let Some(folder) = self.path.parent() {
            // Only if nothing else is in it.
            let _ = fs::remove_dir(folder);
        }
    }
}

#[cfg(unix)]
fn still_there(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let place = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(ours), Ok(there)) => place(ours) == place(there),
        _ => false,
    }
}

/// Here a file that is open cannot be replaced by another.
#[cfg(not(unix))]
fn still_there(_: &File, path: &Path) -> bool {
    path.exists()
}
