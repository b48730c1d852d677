//! What can go wrong on the way from a name to a folder, said so that the user knows what to do next.

use std::io;
use std::path::{Path, PathBuf};

use dnn_store::StoreError;

use crate::Digest;

/// The result of a function of this crate.
pub type Result<T, E = FetchError> = std::result::Result<T, E>;

/// What can go wrong on the way from a name to a folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FetchError {
    /// No data set has this name.
    #[error("no data set is called `{name}`; there are {known}")]
    UnknownName {
        /// The name that was given.
        name: String,
        /// The names that there are.
        known: String,
    },
    /// A text is no sha256.
    #[error("expected a sha256 of 64 hexadecimal digits, found `{found}`")]
    NotADigest {
        /// The text.
        found: String,
    },
    /// A manifest cannot be understood.
    #[error("the manifest `{name}` cannot be understood: {reason}")]
    Manifest {
        /// Its name.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// Options that do not fit the data set or each other.
    #[error("{0}")]
    Options(String),
    /// The system refused to read or write something.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// What was to be done.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A file that is to be read is not there, cannot be read, or is no regular file.
    #[error(transparent)]
    Unreadable(StoreError),
    /// A small file could not be put in place.
    #[error("cannot record where the data came from")]
    Store(#[from] StoreError),
    /// No source gave a file.
    #[error(
        "cannot get {file}: {}; if you have it, or another place for it, give that with --from",
        tried.join("; ")
    )]
    NoSource {
        /// The file.
        file: String,
        /// Each source with the reason why it failed.
        tried: Vec<String>,
    },
    /// A file is not the one that is wanted.
    #[error(
        "{what} has sha256 {found}, expected {expected}; if it is another packing of the same data \
         and you trust it, give --sha256 {found}"
    )]
    WrongDigest {
        /// The file.
        what: String,
        /// What was expected, in words or as a digest.
        expected: String,
        /// What it has.
        found: Digest,
    },
    /// There is nothing to compare a file with.
    #[error(
        "no checksum is known for {what}: give --sha256 HEX to have it compared, or --unverified to go \
         on without"
    )]
    NoDigest {
        /// The file or folder.
        what: String,
    },
    /// An archive that is damaged or dangerous. Nothing of it was kept.
    #[error("{archive} is refused{}: {reason}; nothing of it was kept", Entry(entry.as_deref()))]
    Archive {
        /// The archive.
        archive: String,
        /// The entry that is at fault, if it is one.
        entry: Option<String>,
        /// What is wrong.
        reason: String,
    },
    /// What was unpacked is not the data that was asked for.
    #[error("{name}: expected {expected}, found {found}")]
    Contents {
        /// The data set.
        name: String,
        /// What was expected in it.
        expected: String,
        /// What is there.
        found: String,
    },
    /// Something that this crate did not put there is in the way.
    #[error(
        "{} is there already and was not fetched as {name}; move it away, give another folder with --to, \
         or replace it with --force", path.display()
    )]
    InTheWay {
        /// The folder.
        path: PathBuf,
        /// The data set.
        name: String,
    },
    /// A folder is there, fetched with other options.
    #[error(
        "{} was fetched {found}, not {expected}; give another folder with --to, or replace it with \
         --force", path.display()
    )]
    OtherOptions {
        /// The folder.
        path: PathBuf,
        /// The options asked for, in words.
        expected: String,
        /// The options it was made with, in words.
        found: String,
    },
    /// A folder that was fetched is no longer what it was.
    #[error(
        "{} is no longer as it was fetched: {} of {files} files differ or are missing ({}); fetch it anew \
         with --force", path.display(), damaged.len(), first(damaged)
    )]
    Damaged {
        /// The folder.
        path: PathBuf,
        /// How many files it should have.
        files: usize,
        /// The files that differ or are missing.
        damaged: Vec<String>,
    },
    /// The list of checksums in a folder that was fetched cannot be trusted. Nothing that it names was
    /// opened.
    #[error(
        "{} is damaged: expected lines of a checksum and a path below the folder, found {line:?} \
         ({reason}); fetch it anew with --force", path.display()
    )]
    BadList {
        /// The list.
        path: PathBuf,
        /// The first line that is at fault.
        line: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl FetchError {
    /// Whether the network or the file system is at fault rather than the data or a setting.
    ///
    /// # Examples
    /// ```
    /// assert!(!dnn_fetch::manifest::find("cat").unwrap_err().is_io());
    /// ```
    pub fn is_io(&self) -> bool {
        matches!(
            self,
            Self::Io { .. } | Self::Unreadable(_) | Self::Store(_) | Self::NoSource { .. }
        )
    }

    /// Whether a folder that was fetched is no longer as it was.
    ///
    /// # Examples
    /// ```
    /// assert!(!dnn_fetch::manifest::find("cat").unwrap_err().is_damaged());
    /// ```
    pub fn is_damaged(&self) -> bool {
        matches!(self, Self::Damaged { .. } | Self::BadList { .. })
    }

    /// Whether a name or an option is at fault.
    ///
    /// # Examples
    /// ```
    /// assert!(dnn_fetch::manifest::find("cat").unwrap_err().is_usage());
    /// ```
    pub fn is_usage(&self) -> bool {
        matches!(
            self,
            Self::UnknownName { .. }
                | Self::NotADigest { .. }
                | Self::Options(_)
                | Self::NoDigest { .. }
        )
    }

    pub(crate) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_path_buf(), source }
    }
}

/// The entry of an archive, as the middle of a sentence.
struct Entry<'a>(Option<&'a str>);

impl std::fmt::Display for Entry<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            Some(entry) => write!(f, " for its entry {entry:?}"),
            None => Ok(()),
        }
    }
}

fn first(names: &[String]) -> String {
    let shown = names.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
    if names.len() > 3 { shown + ", …" } else { shown }
}
