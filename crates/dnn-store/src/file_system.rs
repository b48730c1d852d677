//! The few operations that a commit is made of, so that a test can make any of them fail.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What [`commit_with`](crate::commit_with) does to the file system, operation by operation.
///
/// Programs use [`Disk`]; a test wraps it to count, to record or to fail.
pub trait FileSystem {
    /// An open file.
    type File;

    /// What is at a path, if anything: where it really lies, links followed, and its metadata.
    ///
    /// # Errors
    /// If the file system cannot tell, or a link leads nowhere.
    fn look(&mut self, path: &Path) -> io::Result<Option<(PathBuf, Metadata)>>;

    /// Creates a file that was not there.
    ///
    /// # Errors
    /// If there was one, or it cannot be created.
    fn create_new(&mut self, path: &Path) -> io::Result<Self::File>;

    /// Gives a new file the permissions of the one it will replace.
    ///
    /// # Errors
    /// If they cannot be set.
    fn adopt_mode(&mut self, file: &mut Self::File, replaced: &Metadata) -> io::Result<()>;

    /// Writes some of the bytes and says how many.
    ///
    /// # Errors
    /// If none could be written.
    fn write(&mut self, file: &mut Self::File, bytes: &[u8]) -> io::Result<usize>;

    /// Waits until the bytes and the length of a file are on the medium.
    ///
    /// # Errors
    /// If they may not be.
    fn sync(&mut self, file: &mut Self::File) -> io::Result<()>;

    /// Gives a file another name, replacing what is there in one step.
    ///
    /// # Errors
    /// If it keeps its old name.
    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    /// Waits until the names in a folder are on the medium.
    ///
    /// # Errors
    /// If they may not be.
    fn sync_folder(&mut self, folder: &Path) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// If it is still there.
    fn remove(&mut self, path: &Path) -> io::Result<()>;
}

/// The file system of the machine.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl FileSystem for Disk {
    type File = File;

    fn look(&mut self, path: &Path) -> io::Result<Option<(PathBuf, Metadata)>> {
        match fs::symlink_metadata(path) {
            Ok(link) if link.is_symlink() => {
                let path = fs::canonicalize(path)?;
                let metadata = fs::metadata(&path)?;
                Ok(Some((path, metadata)))
            }
            Ok(metadata) => Ok(Some((path.to_path_buf(), metadata))),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e),
        }
    }

    fn create_new(&mut self, path: &Path) -> io::Result<File> {
        OpenOptions::new().write(true).create_new(true).open(path)
    }

    #[cfg(unix)]
    fn adopt_mode(&mut self, file: &mut File, replaced: &Metadata) -> io::Result<()> {
        use std::os::unix::fs::PermissionsExt;

        // Only who may read and write: a file of data has no use for set-user-id and the like.
        let mode = replaced.permissions().mode() & 0o777;
        file.set_permissions(fs::Permissions::from_mode(mode))
    }

    #[cfg(not(unix))]
    fn adopt_mode(&mut self, _file: &mut File, _replaced: &Metadata) -> io::Result<()> {
        Ok(())
    }

    fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<usize> {
        file.write(bytes)
    }

    fn sync(&mut self, file: &mut File) -> io::Result<()> {
        file.sync_all()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    #[cfg(unix)]
    fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
        File::open(folder)?.sync_all()
    }

    /// Elsewhere a folder cannot be opened like a file, and there is nothing to wait for.
    #[cfg(not(unix))]
    fn sync_folder(&mut self, _folder: &Path) -> io::Result<()> {
        Ok(())
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }
}
