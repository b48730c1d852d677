//! A sha256, as text and of files.

use std::fmt;
use std::io::{self, Read};
use std::path::Path;
use std::str::FromStr;

use dnn_store::Hasher;
use serde::{Deserialize, Serialize};

use crate::{FetchError, Result};

/// A sha256 as 64 lower-case hexadecimal digits.
///
/// # Examples
/// ```
/// let digest: dnn_fetch::Digest =
///     "BA7816BF8F01CFEA414140DE5DAE2223B00361A396177A9CB410FF61F20015AD".parse()?;
/// assert_eq!(digest, dnn_fetch::Digest::of(b"abc"));
/// # Ok::<(), dnn_fetch::FetchError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest(String);

impl Digest {
    /// The digest of some bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(dnn_store::sha256_hex(bytes))
    }

    /// The digest of what a reader gives, and how many bytes that is.
    pub(crate) fn of_reader(mut reader: impl Read) -> io::Result<(Self, u64)> {
        let mut hasher = Hasher::new();
        let mut buffer = vec![0; 1 << 16];
        let mut total = 0;
        loop {
            match reader.read(&mut buffer) {
                Ok(0) => return Ok((Self(hasher.finish_hex()), total)),
                Ok(read) => {
                    hasher.update(&buffer[..read]);
                    total += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// The digest of a regular file, and its size in bytes.
    pub(crate) fn of_file(path: &Path) -> Result<(Self, u64)> {
        let file = dnn_store::open_file(path).map_err(FetchError::Unreadable)?;
        Self::of_reader(file).map_err(|e| FetchError::io("read", path, e))
    }

    /// What a hasher has seen.
    pub(crate) fn finish(hasher: Hasher) -> Self {
        Self(hasher.finish_hex())
    }
}

impl FromStr for Digest {
    type Err = FetchError;

    fn from_str(text: &str) -> Result<Self> {
        let trimmed = text.trim();
        if trimmed.len() == 64 && trimmed.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Ok(Self(trimmed.to_ascii_lowercase()));
        }
        Err(FetchError::NotADigest { found: text.to_owned() })
    }
}

impl TryFrom<String> for Digest {
    type Error = FetchError;

    fn try_from(text: String) -> Result<Self> {
        text.parse()
    }
}

impl std::convert::From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.0
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}
