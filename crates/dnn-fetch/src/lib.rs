//! Public picture data sets from one call: downloaded or taken from a local file, compared with their
//! published checksums, unpacked safely, and put into a folder that `dnn-data` reads.
//!
//! The one idea: nothing that came from elsewhere is trusted before it is known to be what was asked
//! for. No byte of an archive is unpacked before its sha256 is the published one, or one that the user
//! gave, or the user said that it shall not be checked. What is unpacked comes entry by entry into a
//! folder of its own; the folder under its final name appears by one rename, or not at all.
//!
//! ```text
//! manifest -> sources (mirrors, URLs, npm, a file or folder) -> file.part -> sha256
//!          -> unpack, entry by entry -> arrange -> SHA256SUMS, SOURCE.toml -> rename
//! ```
//!
//! | module | for |
//! |---|---|
//! | [`manifest`] | what a data set is and where it lies |
//! | [`download`] | one file over HTTP: resumed, tried again, bounded in size and time |
//! | [`unpack`] | zip, tar, tar.gz and gz with everything suspicious refused |
//! | [`fetch`] and [`verify`] | the whole way, and whether a folder is still what it was |
//!
//! What it leaves out on purpose: uploading, torrents, archives in other formats, and looking at the
//! pictures, which `dnn-data` does.
//!
//! # Examples
//! ```
//! use dnn_fetch::{Event, FetchOptions, fetch, manifest};
//!
//! # let folder = tempfile::tempdir().expect("a temporary folder");
//! let digits = manifest::find("digits")?;
//! let options = FetchOptions { to: folder.path().to_path_buf(), ..FetchOptions::default() };
//! let fetched = fetch(&digits, &options, &mut |event: Event| println!("{event}"))?;
//! assert_eq!(fetched.files, 2);
//! // A second call does nothing but verify.
//! assert!(fetch(&digits, &options, &mut |_| ())?.was_there);
//! # Ok::<(), dnn_fetch::FetchError>(())
//! ```

mod arrange;
#[cfg(feature = "command")]
pub mod command;
mod digest;
pub mod download;
mod error;
mod event;
mod fetch;
mod lock;
pub mod manifest;
mod npm;
mod options;
mod source;
pub mod unpack;
mod verify;

pub use digest::Digest;
pub use error::{FetchError, Result};
pub use event::Event;
pub use fetch::{Fetched, fetch};
pub use manifest::Manifest;
pub use options::{FetchOptions, From};
pub use verify::{Verified, verify};

/// The example of this crate's README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
