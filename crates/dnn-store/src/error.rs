//! Everything that can go wrong with a container or its file.

use std::io;
use std::path::{Path, PathBuf};

use crate::DType;

/// Why a container could not be written, read or put at its name.
///
/// Messages say what was expected and what was found. The cause, where there is one, is the error's
/// source and not repeated in its message.
#[non_exhaustive]
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The file system refused an operation.
    #[error("cannot {action} {}", path.display())]
    Io {
        /// The file or folder the operation was on.
        path: PathBuf,
        /// What was tried, as a verb: `read`, `write`, `rename`, …
        action: &'static str,
        /// What the file system said.
        source: io::Error,
    },
    /// Something other than a regular file is at the name.
    #[error("expected a regular file, found a {found}: {}", path.display())]
    NotAFile {
        /// The name that was given.
        path: PathBuf,
        /// What is there: `folder`, `link`, `pipe`, `device`, …, or `path without a file name`.
        found: &'static str,
    },
    /// Something other than a folder is at the name.
    #[error("expected a folder, found a {found}: {}", path.display())]
    NotAFolder {
        /// The name that was given.
        path: PathBuf,
        /// What is there: `file`, `link`, `pipe`, `device`, ….
        found: &'static str,
    },
    /// What is wrong with the bytes of a file, with the name of that file.
    #[error("cannot use {}", path.display())]
    InFile {
        /// The file the bytes came from.
        path: PathBuf,
        /// What is wrong with them.
        source: Box<StoreError>,
    },
    /// There are fewer bytes than a header has.
    #[error("expected a {format} of at least {expected} bytes, found {found} bytes")]
    TooShort {
        /// The kind of file that was asked for.
        format: &'static str,
        /// The length of a header.
        expected: usize,
        /// The length of what was given.
        found: usize,
    },
    /// The first bytes are not those of the format.
    #[error("expected a {format} starting with \"{expected}\", found {found}")]
    WrongMagic {
        /// The kind of file that was asked for.
        format: &'static str,
        /// The format's own first bytes, printable.
        expected: String,
        /// What the bytes seem to be, and the first of them.
        found: String,
    },
    /// The file was written by a version that this build cannot read.
    #[error(
        "expected {format} version {expected}.x, which this build reads, found {major}.{minor}{}",
        if major > expected { "; a newer version of dnn wrote it: read it with that one" } else { "" }
    )]
    UnsupportedMajor {
        /// The kind of file that was asked for.
        format: &'static str,
        /// The major version that this build reads.
        expected: u16,
        /// The file's major version.
        major: u16,
        /// The file's minor version.
        minor: u16,
    },
    /// The metadata are written in a way that this build does not know.
    #[error("expected metadata codec {expected}, found {found}")]
    UnknownCodec {
        /// The codec that this build reads.
        expected: u8,
        /// The codec in the file.
        found: u8,
    },
    /// A flag is set; none are defined.
    #[error("expected no flags, found {found:#010b}")]
    UnknownFlags {
        /// All flags of the file.
        found: u8,
    },
    /// The header announces another length than the bytes have.
    #[error("expected {expected} bytes by the header, found {found}")]
    WrongLength {
        /// The length by the header; `u64::MAX` where the sum does not fit.
        expected: u64,
        /// The length of what was given.
        found: u64,
    },
    /// Something is bigger than this crate or the caller allows.
    #[error("expected at most {limit} {what}, found {found}")]
    TooLarge {
        /// What is counted: `bytes of metadata`, `tensors`, …
        what: &'static str,
        /// The most that is allowed.
        limit: u64,
        /// How much there is.
        found: u64,
    },
    /// The bytes are not those that were written.
    #[error("the file is damaged: expected sha256 {expected}, found {found}")]
    WrongHash {
        /// The digest in the header, in hexadecimal.
        expected: String,
        /// The digest of the bytes, in hexadecimal.
        found: String,
    },
    /// The metadata cannot be put into bytes or taken out of them.
    #[error("cannot {action} the metadata: {reason}")]
    Metadata {
        /// `encode` or `decode`.
        action: &'static str,
        /// What the codec said.
        reason: String,
    },
    /// Bytes are left after the metadata were decoded.
    #[error("expected {expected} bytes of metadata, found {found}")]
    TrailingMetadata {
        /// The bytes that were used.
        expected: usize,
        /// The bytes that are there.
        found: usize,
    },
    /// The table of tensors contradicts itself, its data or the caps.
    #[error("bad tensor \"{tensor}\": {reason}")]
    BadTable {
        /// The tensor's name.
        tensor: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The table describes another amount of data than there is.
    #[error("expected {expected} bytes of data by the table of tensors, found {found}")]
    WrongDataLength {
        /// The length that follows from the table.
        expected: u64,
        /// The length of the data.
        found: u64,
    },
    /// A byte between two parts of the file is not zero.
    #[error("expected zero padding, found {found:#04x} at offset {offset}")]
    Padding {
        /// Where, counted from the start of the file.
        offset: usize,
        /// The byte.
        found: u8,
    },
    /// A tensor holds NaN or an infinity.
    #[error("expected finite values in tensor \"{tensor}\", found {value} at index {index}")]
    NotFinite {
        /// The tensor's name.
        tensor: String,
        /// Which of its values, counted in storage order.
        index: usize,
        /// The value.
        value: f64,
    },
    /// The container has no tensor of this name.
    #[error("expected a tensor \"{tensor}\", found {found}")]
    MissingTensor {
        /// The name that was asked for.
        tensor: String,
        /// The names that are there, or `none`.
        found: String,
    },
    /// The tensor has another element type.
    #[error("expected {expected} values in tensor \"{tensor}\", found {found}")]
    WrongType {
        /// The tensor's name.
        tensor: String,
        /// The type that was asked for.
        expected: DType,
        /// The type in the file.
        found: DType,
    },
}

impl StoreError {
    /// Says which file the bytes came from, for errors of [`decode`](crate::decode) and of what its
    /// result is asked for.
    ///
    /// # Examples
    /// ```
    /// # use dnn_store::{Format, decode};
    /// # let format = Format { magic: *b"EXAMPLE\0", name: "example file", major: 1, minor: 0 };
    /// let error = decode::<()>(&format, b"short").unwrap_err().in_file("a.example");
    /// assert_eq!(error.to_string(), "cannot use a.example");
    /// ```
    pub fn in_file(self, path: impl AsRef<Path>) -> Self {
        Self::InFile { path: path.as_ref().to_path_buf(), source: Box::new(self) }
    }

    /// Whether the bytes are at fault (damaged, of another kind, of another version) rather than
    /// the file system or the path.
    ///
    /// # Examples
    /// ```
    /// # use dnn_store::{Format, decode, read_file};
    /// # let format = Format { magic: *b"EXAMPLE\0", name: "example file", major: 1, minor: 0 };
    /// assert!(decode::<()>(&format, b"short").unwrap_err().is_corrupt());
    /// assert!(!read_file("no such file".as_ref(), 100).unwrap_err().is_corrupt());
    /// ```
    pub fn is_corrupt(&self) -> bool {
        match self {
            Self::Io { .. } | Self::NotAFile { .. } | Self::NotAFolder { .. } => false,
            Self::InFile { source, .. } => source.is_corrupt(),
            _ => true,
        }
    }

    /// Names the operation and the path that an I/O error came from.
    pub(crate) fn io(path: &Path, action: &'static str, source: io::Error) -> Self {
        Self::Io { path: path.to_path_buf(), action, source }
    }
}
