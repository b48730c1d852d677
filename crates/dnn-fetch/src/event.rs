//! What is worth telling while a data set is fetched.

use std::fmt;
use std::time::Duration;

use crate::Digest;

/// A step on the way; its text is a line for people.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Another process fetches the same set; this one waits.
    Locked,
    /// A file is being hashed.
    Checking {
        /// The file.
        what: String,
    },
    /// A source is asked.
    Asking {
        /// The URL or the package.
        source: String,
        /// How many bytes are there already.
        have: u64,
    },
    /// Bytes came in.
    Receiving {
        /// Bytes so far, those of earlier tries included.
        done: u64,
        /// Bytes in all, if known.
        total: Option<u64>,
    },
    /// A try failed and is repeated.
    Waiting {
        /// Why.
        reason: String,
        /// Until the next try.
        wait: Duration,
    },
    /// A source is given up.
    GivenUp {
        /// The URL or the package.
        source: String,
        /// Why.
        reason: String,
    },
    /// Something is used although nothing vouches for it.
    Unverified {
        /// The file or folder.
        what: String,
        /// Its sha256, if it is a file.
        sha256: Option<Digest>,
    },
    /// An archive is being unpacked.
    Unpacking {
        /// The archive.
        what: String,
        /// Entries so far.
        entries: usize,
    },
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Locked => f.write_str("waiting for another process that fetches the same"),
            Self::Checking { what } => write!(f, "checking {what}"),
            Self::Asking { source, have: 0 } => write!(f, "asking {source}"),
            Self::Asking { source, have } => {
                write!(f, "asking {source} for what follows byte {have}")
            }
            Self::Receiving { done, total: Some(total) } => write!(f, "{done} of {total} bytes"),
            Self::Receiving { done, total: None } => write!(f, "{done} bytes"),
            Self::Waiting { reason, wait } => {
                write!(f, "{reason}; trying again in {:.1} s", wait.as_secs_f64())
            }
            Self::GivenUp { source, reason } => write!(f, "giving up {source}: {reason}"),
            Self::Unverified { what, sha256: Some(sha256) } => {
                write!(
                    f,
                    "WARNING: {what} is UNVERIFIED: nothing vouches for it (its sha256 is {sha256})"
                )
            }
            Self::Unverified { what, sha256: None } => {
                write!(f, "WARNING: {what} is UNVERIFIED: nothing vouches for it")
            }
            Self::Unpacking { what, entries: 0 } => write!(f, "unpacking {what}"),
            Self::Unpacking { what, entries } => write!(f, "unpacking {what}: {entries} entries"),
        }
    }
}
