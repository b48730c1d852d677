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
    #[error("expected a picture (JPEG, PNG, WebP, GIF, BMP or TIFF), found {found}")]
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
        advice: &'static str,
    },
    /// The picture is larger than allowed.
    #[error(
        "a {format} of {width}x{height} pixels is too large: expected at most {limit}; raise the \
         limit or make it smaller"
    )]
    TooLarge {
        /// The format.
        format: Format,
        /// Pixels in a row.
        width: u32,
        /// Rows.
        height: u32,
        /// The limit, with its unit.
        limit: String,
    },
    /// The content is damaged or cut short.
    #[error("damaged {format}: {reason}")]
    Damaged {
        /// The format it begins as.
        format: Format,
        /// The decoder's reason.
        reason: String,
    },
    /// The decoder panicked.
    #[error(
        "the {format} decoder cannot read it: it is damaged or of a rare kind; if other programs show it, \
         convert it, for example by `magick FILE NEW.png` of ImageMagick"
    )]
    Panicked {
        /// The format it begins as.
        format: Format,
        /// The panic's message, which says something to programmers alone.
        reason: String,
    },
}

impl PictureError {
    pub(super) fn damaged(format: Format, reason: impl ToString) -> Self {
        Self::Damaged { format, reason: reason.to_string().trim().to_owned() }
    }
}
