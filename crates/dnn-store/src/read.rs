//! Reading a file that may be anything.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use crate::StoreError;
use crate::folder::kind;

/// All bytes of a file, if there are at most `limit` of them.
///
/// A folder, a pipe or a device is refused before it is opened, so that a named pipe nobody writes
/// to cannot hang the program. Links are followed.
///
/// # Errors
/// - [`StoreError::Io`] if there is nothing at the path, or it cannot be read.
/// - [`StoreError::NotAFile`] if there is something else than a regular file.
/// - [`StoreError::TooLarge`], [in the file](StoreError::InFile), for more than `limit` bytes.
///
/// # Examples
/// ```
/// let error = dnn_store::read_file("no/such/model.dnn".as_ref(), 1 << 30).unwrap_err();
/// assert_eq!(error.to_string(), "cannot read no/such/model.dnn");
/// ```
pub fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>, StoreError> {
    let failed = |source| StoreError::io(path, "read", source);
    let file = open_file(path)?;
    let length = file.metadata().map_err(failed)?.len();
    let too_large =
        |found| StoreError::TooLarge { what: "bytes in a file", limit, found }.in_file(path);
    if length > limit {
        return Err(too_large(length));
    }
    let mut bytes = Vec::new();
    // The length is only the file system's word: memory may be scarcer than that.
    let announced = usize::try_from(length).unwrap_or(usize::MAX);
    crate::fallible_allocation(|| bytes.try_reserve_exact(announced))
        .map_err(|e| failed(io::Error::other(e)))?;
    // One byte beyond the limit shows a file that has grown since it was looked at.
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > limit {
        return Err(too_large(bytes.len() as u64));
    }
    Ok(bytes)
}

/// Opens a regular file for reading.
///
/// A folder, a pipe or a device is refused before it is opened, so that a named pipe nobody writes
/// to cannot hang the program. Links are followed.
///
/// # Errors
/// - [`StoreError::Io`] if there is nothing at the path, or it cannot be opened.
/// - [`StoreError::NotAFile`] if there is something else than a regular file.
///
/// # Examples
/// ```
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// let error = dnn_store::open_file(folder.path()).unwrap_err();
/// assert!(error.to_string().starts_with("expected a regular file, found a folder: "));
/// ```
pub fn open_file(path: &Path) -> Result<File, StoreError> {
    let failed = |source| StoreError::io(path, "read", source);
    check_regular(path, &fs::metadata(path).map_err(failed)?)?;
    File::open(path).map_err(failed)
}

/// Refuses what is not a regular file.
pub(crate) fn check_regular(path: &Path, metadata: &fs::Metadata) -> Result<(), StoreError> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(StoreError::NotAFile { path: path.to_path_buf(), found: kind(metadata) })
}
