//! Reading one file, never without bound.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::path::Path;

use crate::{DataError, Result};

/// The bytes of a regular file of at most `limit` bytes.
///
/// A pipe or a device is refused before it is opened, because opening one can wait for ever.
pub(crate) fn read_file(path: &Path, limit: u64) -> Result<Vec<u8>> {
    let fail = |source| DataError::io(path, source);
    let length = check_regular(path, limit)?;
    let mut bytes = Vec::new();
    let length = usize::try_from(length).unwrap_or(usize::MAX);
    dnn_store::fallible_allocation(|| bytes.try_reserve_exact(length))
        .map_err(|_| fail(io::ErrorKind::OutOfMemory.into()))?;
    // One byte more than the limit shows that a file grew while it was read.
    let file = File::open(path).map_err(fail)?;
    file.take(limit.saturating_add(1)).read_to_end(&mut bytes).map_err(fail)?;
    if bytes.len() as u64 > limit {
        return Err(too_large(path, limit, bytes.len() as u64));
    }
    Ok(bytes)
}

/// The length of a regular file of at most `limit` bytes.
pub(crate) fn check_regular(path: &Path, limit: u64) -> Result<u64> {
    let metadata = fs::metadata(path).map_err(|source| DataError::io(path, source))?;
    if !metadata.is_file() {
        return Err(DataError::NotAFile { path: path.to_path_buf(), found: kind(&metadata) });
    }
    if metadata.len() > limit {
        return Err(too_large(path, limit, metadata.len()));
    }
    Ok(metadata.len())
}

fn too_large(path: &Path, limit: u64, found: u64) -> DataError {
    DataError::TooLarge { path: path.to_path_buf(), limit, found }
}

/// What lies at a path, in words for a message.
pub(crate) fn kind(metadata: &Metadata) -> &'static str {
    if metadata.is_dir() {
        "a folder"
    } else if metadata.is_file() {
        "a file"
    } else {
        "a pipe, socket or device"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_read_up_to_the_limit_and_no_further() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("five");
        fs::write(&path, [1, 2, 3, 4, 5]).unwrap();
        assert_eq!(read_file(&path, 5).unwrap(), [1, 2, 3, 4, 5]);
        let error = read_file(&path, 4).unwrap_err();
        assert!(matches!(error, DataError::TooLarge { limit: 4, found: 5, .. }), "{error}");
    }

    #[test]
    fn a_folder_and_a_missing_file_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = read_file(folder.path(), 5).unwrap_err();
        assert!(matches!(error, DataError::NotAFile { found: "a folder", .. }), "{error}");
        let error = read_file(&folder.path().join("none"), 5).unwrap_err();
        assert!(matches!(error, DataError::NotFound { .. }), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_is_refused_without_waiting() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        if !made.is_ok_and(|status| status.success()) {
            dnn_testing::skipped("mkfifo is not there, so no pipe could be made");
            return;
        }
        let error = read_file(&path, 5).unwrap_err();
        assert!(matches!(error, DataError::NotAFile { found: "a pipe, socket or device", .. }));
    }
}
