//! Putting bytes at a name so that nobody, at any moment, finds half of them there.
//!
//! The bytes go to a file of their own in the same folder, are waited for, and only then take the
//! name, which is one step of the file system; then the folder is waited for. A power cut leaves
//! the old file or the new one, and after `Ok` the new one.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::read::check_regular;
use crate::{Disk, FileSystem, StoreError};

/// Files with our temporary name that we step over before giving up. They can only be there because
/// a killed process had the same number as this one.
const ATTEMPTS: usize = 1000;

/// Makes `bytes` the content of the file at `path`, wholly or not at all.
///
/// A new file gets the permissions that the umask leaves it, an existing one keeps its own. Through
/// a link, the file that it leads to is replaced. The folder needs room for the old file and the
/// new one at a time.
///
/// # Errors
/// - [`StoreError::Io`] with the path and the operation that failed. The old file is as it was and
///   no temporary file is left, unless waiting for the *folder* failed: then the new file is whole
///   and in place, but a power cut could still bring back the old one.
/// - [`StoreError::NotAFile`] if a folder or a special file is at `path`, or `path` has no file
///   name.
///
/// # Examples
/// ```
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// let path = folder.path().join("notes.txt");
/// dnn_store::commit(&path, b"first")?;
/// dnn_store::commit(&path, b"second")?;
/// assert_eq!(dnn_store::read_file(&path, 100)?, b"second");
/// # Ok::<(), dnn_store::StoreError>(())
/// ```
pub fn commit(path: &Path, bytes: &[u8]) -> Result<(), StoreError> {
    commit_with(&mut Disk, path, bytes)
}

/// [`commit`] of a file whose content is in several pieces, one behind another.
///
/// # Errors
/// As for [`commit`].
///
/// # Examples
/// ```
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// let path = folder.path().join("notes.txt");
/// dnn_store::commit_pieces(&path, &[b"first, ", b"second"])?;
/// assert_eq!(dnn_store::read_file(&path, 100)?, b"first, second");
/// # Ok::<(), dnn_store::StoreError>(())
/// ```
pub fn commit_pieces(path: &Path, pieces: &[&[u8]]) -> Result<(), StoreError> {
    replace(&mut Disk, path, pieces)
}

/// [`commit`] on any [`FileSystem`].
///
/// # Errors
/// As for [`commit`].
///
/// # Examples
/// ```
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// let path = folder.path().join("notes.txt");
/// dnn_store::commit_with(&mut dnn_store::Disk, &path, b"text")?;
/// # Ok::<(), dnn_store::StoreError>(())
/// ```
pub fn commit_with<F: FileSystem>(
    system: &mut F,
    path: &Path,
    bytes: &[u8],
) -> Result<(), StoreError> {
    replace(system, path, &[bytes])
}

fn replace<F: FileSystem>(system: &mut F, path: &Path, pieces: &[&[u8]]) -> Result<(), StoreError> {
    let found =
        retry_interrupted(|| system.look(path)).map_err(|e| StoreError::io(path, "look at", e))?;
    let (target, replaced) = match found {
        Some((target, metadata)) => {
            check_regular(path, &metadata)?;
            (target, Some(metadata))
        }
        None => (path.to_path_buf(), None),
    };
    let (folder, name) = split(&target)?;

    let (temporary, file) = create(system, &target, folder, name)?;
    let moved = fill(system, file, pieces, replaced.as_ref(), &target).and_then(|()| {
        retry_interrupted(|| system.rename(&temporary, &target))
            .map_err(|e| StoreError::io(&target, "replace", e))
    });
    if let Err(error) = moved {
        // The first error tells what happened; that cleaning up failed too would only hide it.
        let _ = retry_interrupted(|| system.remove(&temporary));
        return Err(error);
    }
    retry_interrupted(|| system.sync_folder(folder)).map_err(|e| StoreError::io(folder, "sync", e))
}

/// The folder and the file name of a path.
fn split(path: &Path) -> Result<(&Path, &OsStr), StoreError> {
    let no_name =
        || StoreError::NotAFile { path: path.to_path_buf(), found: "path without a file name" };
    let name = path.file_name().ok_or_else(no_name)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    Ok((folder.unwrap_or(Path::new(".")), name))
}

/// Creates a file in `folder` that no other thread or process has. Errors name the target: that is
/// the file the user knows of.
fn create<F: FileSystem>(
    system: &mut F,
    target: &Path,
    folder: &Path,
    name: &OsStr,
) -> Result<(PathBuf, F::File), StoreError> {
    let mut attempts = 0;
    loop {
        attempts += 1;
        let path = folder.join(temporary_name(name));
        match retry_interrupted(|| system.create_new(&path)) {
            Ok(file) => return Ok((path, file)),
            Err(e) if e.kind() == ErrorKind::AlreadyExists && attempts < ATTEMPTS => {}
            Err(e) => return Err(StoreError::io(target, "create a temporary file beside", e)),
        }
    }
}

/// `.NAME.PID-COUNTER.tmp`, which this process uses once.
fn temporary_name(name: &OsStr) -> OsString {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    let number = COUNTER.fetch_add(1, Ordering::Relaxed);
    let mut temporary = OsString::from(".");
    temporary.push(name);
    temporary.push(format!(".{}-{number}.tmp", process::id()));
    temporary
}

/// Whether a name is one that [`commit`] gives its temporary files: `.NAME.PID-COUNTER.tmp`.
///
/// # Examples
/// ```
/// assert!(dnn_store::is_temporary(".config.json.4711-0.tmp".as_ref()));
/// assert!(!dnn_store::is_temporary(".swap.tmp".as_ref()));
/// ```
pub fn is_temporary(name: &OsStr) -> bool {
    let digits = |text: &[u8]| !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let inner = name.as_encoded_bytes().strip_prefix(b".").and_then(|n| n.strip_suffix(b".tmp"));
    let Some(inner) = inner else { return false };
    let Some(dot) = inner.iter().rposition(|&byte| byte == b'.') else { return false };
    let mut numbers = inner[dot + 1..].split(|&byte| byte == b'-');
    dot > 0
        && numbers.next().is_some_and(digits)
        && numbers.next().is_some_and(digits)
        && numbers.next().is_none()
}

/// Writes the bytes into a new file, waits for them, and closes it.
fn fill<F: FileSystem>(
    system: &mut F,
    mut file: F::File,
    pieces: &[&[u8]],
    replaced: Option<&Metadata>,
    target: &Path,
) -> Result<(), StoreError> {
    let failed = |action| move |e| StoreError::io(target, action, e);
    if let Some(replaced) = replaced {
        retry_interrupted(|| system.adopt_mode(&mut file, replaced))
            .map_err(failed("set the mode of"))?;
    }
    for mut bytes in pieces.iter().copied() {
        while !bytes.is_empty() {
            let written =
                retry_interrupted(|| system.write(&mut file, bytes)).map_err(failed("write"))?;
            if written == 0 {
                return Err(failed("write")(ErrorKind::WriteZero.into()));
            }
            bytes = &bytes[written..];
        }
    }
    retry_interrupted(|| system.sync(&mut file)).map_err(failed("sync"))
}

/// Repeats an operation that a signal interrupted before it did anything.
fn retry_interrupted<T>(mut operation: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match operation() {
            Err(e) if e.kind() == ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}
