//! What is asked of a fetch.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::Digest;
use crate::download::Patience;
use crate::unpack::Caps;

/// Where to take a data set from instead of its usual place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum From {
    /// A file, or a folder with files.
    Path(PathBuf),
    /// A URL of a file, or of a folder if it ends in `/`.
    Url(String),
}

/// How to fetch.
#[derive(Clone, Debug)]
pub struct FetchOptions {
    /// The folder in which the folder of the data set appears.
    pub to: PathBuf,
    /// Another source.
    pub from: Option<From>,
    /// The sha256 of that source, if it is another packing of the data, or of the file if none has been
    /// published.
    pub sha256: Option<Digest>,
    /// Whether to go on where nothing vouches for a source.
    pub unverified: bool,
    /// All pictures rather than a selection.
    pub full: bool,
    /// One of [`Manifest::variants`](crate::Manifest::variants); the first by default.
    pub variant: Option<String>,
    /// Whether a folder that is there is replaced.
    pub force: bool,
    /// URLs that are asked first, for `URL/NAME/FILE`.
    pub mirrors: Vec<String>,
    /// The npm client.
    pub npm: OsString,
    /// How long to wait.
    pub patience: Patience,
    /// How much may be unpacked.
    pub caps: Caps,
}

impl Default for FetchOptions {
    /// Into `datasets`, from the usual place.
    fn default() -> Self {
        Self {
            to: PathBuf::from("datasets"),
            from: None,
            sha256: None,
            unverified: false,
            full: false,
            variant: None,
            force: false,
            mirrors: Vec::new(),
            npm: OsString::from("npm"),
            patience: Patience::default(),
            caps: Caps::default(),
        }
    }
}
