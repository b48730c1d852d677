//! What can be wrong with a picture file.

use crate::picture::Format;

/// Why a file is not used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// No bytes at all.
    #[error("the file is empty")]
    Empty,
    /// The content is not that of a picture.
    #[error("expected a picture (JPEG, PNG, WebP, GIF or BMP), found {found}")]
    NotAPicture {
        /// What it looks like, in words.
        found: String,
    },
    /// A picture of a kind that is not read.
    #[error("{kind} is not read; {advice}")]
    Unsupported {
        /// The kind, as in "HEIC".
        kind: String,
        /// What to do about it.
        advice: String,
    },
    /// The picture is larger than allowed.
    #[error("expected at most {limit}, found {found}")]
    TooLarge {
        /// The limit, with its unit.
        limit: String,
        /// The picture's size, with its unit.
        found: String,
    },
    /// The content is damaged or cut short.
    #[error("damaged {format:?}: {reason}")]
    Damaged {
        /// The format it begins as.
        format: Format,
        /// The decoder's reason.
        reason: String,
    },
    /// The decoder panicked.
    #[error("the {format:?} decoder gave up on it: {reason}")]
    Panicked {
        /// The format it begins as.
        format: Format,
        /// The panic's message.
        reason: String,
    },
}
