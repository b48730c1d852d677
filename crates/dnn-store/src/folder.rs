//! Folders that keep what is written into them: made so that a power cut does not lose them, and free
//! of links that would lead a write elsewhere.

use std::fs::{self, Metadata};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::{Disk, FileSystem, StoreError};

/// Makes a folder, and those above it that are not there, and waits until all their names are on the
/// medium. A folder that is there is left as it is.
///
/// # Errors
/// [`StoreError::Io`] if a folder cannot be made, or the one that it lies in cannot be waited for.
///
/// # Examples
/// ```
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// let path = folder.path().join("runs/first");
/// dnn_store::create_folder(&path)?;
/// assert!(path.is_dir());
/// # Ok::<(), dnn_store::StoreError>(())
/// ```
pub fn create_folder(path: &Path) -> Result<(), StoreError> {
    create_folder_with(&mut Disk, path)
}

fn create_folder_with<F: FileSystem>(system: &mut F, path: &Path) -> Result<(), StoreError> {
    let missing: Vec<PathBuf> =
        path.ancestors().take_while(|folder| is_missing(folder)).map(Path::to_path_buf).collect();
    fs::create_dir_all(path).map_err(|e| StoreError::io(path, "make the folder", e))?;
    for made in missing {
        let above = made.parent().filter(|above| !above.as_os_str().is_empty());
        let above = above.unwrap_or(Path::new("."));
        system.sync_folder(above).map_err(|e| StoreError::io(above, "sync", e))?;
    }
    Ok(())
}

/// The path "" is the current folder, which is there.
fn is_missing(folder: &Path) -> bool {
    !folder.as_os_str().is_empty()
        && fs::symlink_metadata(folder).is_err_and(|e| e.kind() == ErrorKind::NotFound)
}

/// Refuses a name in a folder, perhaps from somebody else, if a file that is written there would come
/// to lie outside of it, or wait for ever: a link, a pipe, a device. A name that is free is fine.
///
/// [`commit`](crate::commit) follows links, which is right for a path that a user names.
///
/// # Errors
/// [`StoreError::NotAFile`] if anything but a regular file is there, [`StoreError::Io`] if the file
/// system cannot tell.
///
/// # Examples
/// ```
/// # let folder = tempfile::tempdir().expect("a temporary folder");
/// let path = folder.path().join("history.csv");
/// dnn_store::check_own_file(&path)?;
/// assert!(dnn_store::check_own_file(folder.path()).is_err());
/// # Ok::<(), dnn_store::StoreError>(())
/// ```
pub fn check_own_file(path: &Path) -> Result<(), StoreError> {
    match look(path)? {
        Some(found) if !found.is_file() => {
            Err(StoreError::NotAFile { path: path.to_path_buf(), found: kind(&found) })
        }
        _ => Ok(()),
    }
}

/// As [`check_own_file`], for a file that is opened and written in place: it may have no second name,
/// under which it would be changed, too.
///
/// # Errors
/// As for [`check_own_file`].
pub fn check_sole_file(path: &Path) -> Result<(), StoreError> {
    check_own_file(path)?;
    if look(path)?.is_some_and(|found| has_other_names(&found)) {
        let found = "file that has other names (hard links)";
        return Err(StoreError::NotAFile { path: path.to_path_buf(), found });
    }
    Ok(())
}

/// As [`check_own_file`], for a folder in a folder.
///
/// # Errors
/// [`StoreError::NotAFolder`] if anything but a folder is there, [`StoreError::Io`] if the file system
/// cannot tell.
pub fn check_own_folder(path: &Path) -> Result<(), StoreError> {
    match look(path)? {
        Some(found) if !found.is_dir() => {
            Err(StoreError::NotAFolder { path: path.to_path_buf(), found: kind(&found) })
        }
        _ => Ok(()),
    }
}

/// What is at a path itself, links not followed.
fn look(path: &Path) -> Result<Option<Metadata>, StoreError> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(StoreError::io(path, "look at", e)),
    }
}

/// What is there, in a word.
pub(crate) fn kind(metadata: &Metadata) -> &'static str {
    if metadata.is_symlink() {
        "link"
    } else if metadata.is_dir() {
        "folder"
    } else if metadata.is_file() {
        "file"
    } else {
        special(metadata)
    }
}

#[cfg(unix)]
fn special(metadata: &Metadata) -> &'static str {
    use std::os::unix::fs::FileTypeExt as _;

    let kind = metadata.file_type();
    if kind.is_fifo() {
        "pipe"
    } else if kind.is_socket() {
        "socket"
    } else {
        "device"
    }
}

#[cfg(not(unix))]
fn special(_: &Metadata) -> &'static str {
    "special file"
}

#[cfg(unix)]
fn has_other_names(metadata: &Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;

    metadata.nlink() > 1
}

#[cfg(not(unix))]
fn has_other_names(_: &Metadata) -> bool {
    false
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

    use super::*;

    /// The disk, with a record of the folders that were waited for.
    #[derive(Default)]
    struct Recording(Vec<PathBuf>);

    impl FileSystem for Recording {
        type File = fs::File;

        fn look(&mut self, path: &Path) -> std::io::Result<Option<(PathBuf, Metadata)>> {
            Disk.look(path)
        }

        fn create_new(&mut self, path: &Path) -> std::io::Result<fs::File> {
            Disk.create_new(path)
        }

        fn adopt_mode(&mut self, file: &mut fs::File, replaced: &Metadata) -> std::io::Result<()> {
            Disk.adopt_mode(file, replaced)
        }

        fn write(&mut self, file: &mut fs::File, bytes: &[u8]) -> std::io::Result<usize> {
            Disk.write(file, bytes)
        }

        fn sync(&mut self, file: &mut fs::File) -> std::io::Result<()> {
            Disk.sync(file)
        }

        fn rename(&mut self, from: &Path, to: &Path) -> std::io::Result<()> {
            Disk.rename(from, to)
        }

        fn sync_folder(&mut self, folder: &Path) -> std::io::Result<()> {
            self.0.push(folder.to_path_buf());
            Disk.sync_folder(folder)
        }

        fn remove(&mut self, path: &Path) -> std::io::Result<()> {
            Disk.remove(path)
        }
    }

    #[test]
    fn the_name_of_every_new_folder_is_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let base = folder.path();
        let mut system = Recording::default();
        create_folder_with(&mut system, &base.join("a/b")).unwrap();
        assert!(base.join("a/b").is_dir());
        assert_eq!(system.0, [base.join("a"), base.to_path_buf()]);
        create_folder_with(&mut system, &base.join("a/b")).unwrap();
        assert_eq!(system.0.len(), 2, "nothing new, nothing to wait for");
        fs::write(base.join("file"), "").unwrap();
        let error = create_folder(&base.join("file/run")).unwrap_err().to_string();
        assert!(error.starts_with("cannot make the folder "), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn links_and_second_names_are_told_from_files_of_the_folder() {
        let folder = tempfile::tempdir().unwrap();
        let [file, link, folder_link, dangling] =
            ["file", "link", "folder-link", "dangling"].map(|name| folder.path().join(name));
        fs::write(&file, "").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        std::os::unix::fs::symlink("nowhere", &dangling).unwrap();
        std::os::unix::fs::symlink(".", &folder_link).unwrap();
        check_sole_file(&file).unwrap();
        check_own_file(&folder.path().join("free")).unwrap();
        check_own_folder(&folder.path().join("free")).unwrap();
        check_own_folder(folder.path()).unwrap();
        for link in [&link, &dangling] {
            let error = check_own_file(link).unwrap_err().to_string();
            assert!(error.starts_with("expected a regular file, found a link: "), "{error}");
        }
        let error = check_own_folder(&folder_link).unwrap_err().to_string();
        assert!(error.starts_with("expected a folder, found a link: "), "{error}");
        let error = check_own_folder(&file).unwrap_err().to_string();
        assert!(error.starts_with("expected a folder, found a file: "), "{error}");
        fs::hard_link(&file, folder.path().join("second")).unwrap();
        check_own_file(&file).unwrap();
        let error = check_sole_file(&file).unwrap_err().to_string();
        assert!(error.contains("found a file that has other names (hard links)"), "{error}");
    }
}
