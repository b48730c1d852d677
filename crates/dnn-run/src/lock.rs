//! The lock of a folder: one process works in it at a time.

use std::fs::{File, TryLockError};
use std::io::{ErrorKind, Read as _, Write as _};
use std::path::Path;

use crate::error::{Context as _, Result, RunError};

/// Held by the process that works in a folder; the file stays, and says nothing without its lock.
pub(crate) const LOCK: &str = ".lock";

/// Longer than the number of any process.
const LONGEST: u64 = 32;

/// Takes the lock of a folder, or says who has it.
pub(crate) fn lock(folder: &Path) -> Result<File> {
    let path = folder.join(LOCK);
    let context = || format!("cannot lock {}", path.display());
    // It is written in place: whatever else leads to it would be changed, too.
    dnn_store::check_sole_file(&path).context(context)?;
    let mut options = File::options();
    options.read(true).write(true);
    let file = match options.clone().create_new(true).open(&path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => options.open(&path),
        created => created,
    };
    let mut file = file.context(context)?;
    let locked = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => false,
        Err(TryLockError::Error(error)) => return Err(error).context(context),
    };
    let mut holder = Vec::new();
    (&file).take(LONGEST).read_to_end(&mut holder).context(context)?;
    let holder = String::from_utf8_lossy(&holder);
    let holder = holder.trim();
    if !locked {
        let holder = match holder {
            "" => "another process".to_owned(),
            pid => format!("process {pid}"),
        };
        let folder = folder.display();
        return Err(RunError::Usage(format!("the folder {folder} is in use by {holder}")));
    }
    if !holder.bytes().all(|byte| byte.is_ascii_digit()) {
        let message = format!(
            "{} is not ours: expected nothing or the number of a process in it; name another folder, \
             or remove the file",
            path.display()
        );
        return Err(RunError::Usage(message));
    }
    write_number(&mut file).context(context)?;
    Ok(file)
}

fn write_number(file: &mut File) -> std::io::Result<()> {
    use std::io::Seek as _;

    file.set_len(0)?;
    file.rewind()?;
    file.write_all(std::process::id().to_string().as_bytes())
}

#[cfg(all(test, unix))]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn nothing_is_written_into_a_file_that_is_no_lock_of_ours() {
        let folder = tempfile::tempdir().unwrap();
        let (path, lock_path) = (folder.path(), folder.path().join(LOCK));
        let precious = path.join("precious.txt");
        for (what, content) in [("link", "the only copy"), ("hard", ""), ("own", "mine")] {
            fs::write(&precious, content).unwrap();
            match what {
                "link" => std::os::unix::fs::symlink("precious.txt", &lock_path).unwrap(),
                "hard" => fs::hard_link(&precious, &lock_path).unwrap(),
                _ => fs::write(&lock_path, content).unwrap(),
            }
            let error = lock(path).unwrap_err().with_causes();
            let expected = match what {
                "link" => "expected a regular file, found a link",
                "hard" => "found a file that has other names (hard links)",
                _ => "is not ours: expected nothing or the number of a process in it",
            };
            assert!(error.contains(expected), "{error}");
            assert_eq!(fs::read_to_string(&precious).unwrap(), content);
            assert_eq!(fs::read_to_string(&lock_path).unwrap(), content);
            fs::remove_file(&lock_path).unwrap();
        }
        std::os::unix::fs::symlink("nowhere", &lock_path).unwrap();
        lock(path).unwrap_err();
        assert!(!path.join("nowhere").exists(), "a file was made behind the link");
    }
}
