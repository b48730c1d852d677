//! Digests: the hash of a container, and names for bytes.

use sha2::{Digest, Sha256};

/// The sha256 of some bytes, in hexadecimal.
///
/// # Examples
/// ```
/// let digest = dnn_store::sha256_hex(b"abc");
/// assert_eq!(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
/// ```
pub fn sha256_hex(bytes: &[u8]) -> String {
    let mut hasher = Hasher::new();
    hasher.update(bytes);
    hasher.finish_hex()
}

/// A sha256 that is fed piece by piece, for what does not lie in one slice.
///
/// # Examples
/// ```
/// let mut hasher = dnn_store::Hasher::new();
/// hasher.update(b"a");
/// hasher.update(b"bc");
/// assert_eq!(hasher.finish_hex(), dnn_store::sha256_hex(b"abc"));
/// ```
#[derive(Debug, Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// A hasher that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends bytes to what is hashed.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of everything so far.
    pub fn finish(self) -> [u8; 32] {
        self.0.finalize().into()
    }

    /// The digest of everything so far, in hexadecimal.
    pub fn finish_hex(self) -> String {
        hex(&self.finish())
    }
}

/// Lower-case hexadecimal, two digits a byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}
