//! The first 62 bytes of a container: what it is, how long its parts are, and the hash.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use crate::digest::{Hasher, hex};
use crate::{StoreError, table};

/// The most bytes the metadata may take, 16 MiB: a cache names a million pictures in that, and a
/// hostile file cannot make the decoder busy for more than a moment.
pub const MAX_METADATA: usize = 1 << 24;

/// How the metadata are encoded, as the header says it: bincode 2, see `codec.rs`.
const CODEC: u8 = 1;

/// Bytes of the header that say what a file is and by which version.
const VERSIONED: usize = 12;
/// Bytes of the header that come before its hash.
const HASHED: usize = 30;
/// Bytes of the whole header.
pub(crate) const HEADER: usize = 62;

/// A kind of file: the first bytes that tell it from others, and the version of this build.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Format {
    /// The first eight bytes of every file of this kind.
    pub magic: [u8; 8],
    /// What a user calls such a file, for messages: `model file`.
    pub name: &'static str,
    /// The version that [`encode`](crate::encode) writes and the only one that
    /// [`decode`](crate::decode) reads.
    pub major: u16,
    /// The refinement that [`encode`](crate::encode) writes; [`decode`](crate::decode) reads all.
    pub minor: u16,
}

/// The version by which a file was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Version {
    /// Another one has another layout.
    pub major: u16,
    /// What was added to the layout so far.
    pub minor: u16,
}

impl Format {
    /// The version of a file of this kind, whatever it is: for a caller who reads several major versions and
    /// has to choose a [`Format`] to [`decode`](crate::decode) by. Nothing else is checked.
    ///
    /// # Errors
    /// [`StoreError::TooShort`] and [`StoreError::WrongMagic`] for a file of another kind.
    ///
    /// # Examples
    /// ```
    /// use dnn_store::{Format, encode};
    ///
    /// let first = Format { magic: *b"EXAMPLE\0", name: "example file", major: 1, minor: 4 };
    /// let second = Format { major: 2, minor: 0, ..first };
    /// let bytes = encode(&first, &(), &[])?;
    /// assert_eq!(second.version_of(&bytes)?.major, 1);
    /// # Ok::<(), dnn_store::StoreError>(())
    /// ```
    pub fn version_of(&self, bytes: &[u8]) -> Result<Version, StoreError> {
        let too_short =
            StoreError::TooShort { format: self.name, expected: HEADER, found: bytes.len() };
        let Some(mut rest) = bytes.get(..HEADER) else {
            return Err(too_short);
        };
        let fields = (|| {
            let magic = take::<8>(&mut rest)?;
            let major = u16::from_le_bytes(take(&mut rest)?);
            let minor = u16::from_le_bytes(take(&mut rest)?);
            Some((magic, Version { major, minor }))
        })();
        match fields {
            None => Err(too_short),
            Some((magic, _)) if magic != self.magic => Err(wrong_magic(self, bytes)),
            Some((_, version)) => Ok(version),
        }
    }
}

/// The numbers of a header.
pub(crate) struct Header {
    pub(crate) minor: u16,
    pub(crate) meta_len: u64,
    pub(crate) data_len: u64,
    pub(crate) hash: [u8; 32],
}

impl Header {
    /// Reads a header and checks all of it that can be checked without looking further.
    pub(crate) fn read(format: &Format, bytes: &[u8]) -> Result<Self, StoreError> {
        let Version { major, minor } = format.version_of(bytes)?;
        if major != format.major {
            let (format, expected) = (format.name, format.major);
            return Err(StoreError::UnsupportedMajor { format, expected, major, minor });
        }
        let mut rest = bytes.get(VERSIONED..HEADER).unwrap_or_default();
        let fields = (|| {
            let [codec, flags] = take(&mut rest)?;
            let meta_len = u64::from_le_bytes(take(&mut rest)?);
            let data_len = u64::from_le_bytes(take(&mut rest)?);
            let header = Self { minor, meta_len, data_len, hash: take(&mut rest)? };
            Some((codec, flags, header))
        })();
        let Some((codec, flags, header)) = fields else {
            let (format, found) = (format.name, bytes.len());
            return Err(StoreError::TooShort { format, expected: HEADER, found });
        };
        if codec != CODEC {
            return Err(StoreError::UnknownCodec { expected: CODEC, found: codec });
        }
        if flags != 0 {
            return Err(StoreError::UnknownFlags { found: flags });
        }
        Ok(header)
    }

    /// The header before the hash is known.
    pub(crate) fn write(&self, format: &Format, out: &mut Vec<u8>) {
        out.extend(format.magic);
        out.extend(format.major.to_le_bytes());
        out.extend(self.minor.to_le_bytes());
        out.extend([CODEC, 0]);
        out.extend(self.meta_len.to_le_bytes());
        out.extend(self.data_len.to_le_bytes());
        out.extend(self.hash);
    }

    /// Where the data begin, by the length of the metadata; saturates, which no file's length can
    /// equal.
    pub(crate) fn data_start(&self) -> u64 {
        table::align(self.meta_len.saturating_add(HEADER as u64))
    }

    /// Compares the lengths with the bytes that are there, then with the caps.
    pub(crate) fn check_lengths(&self, found: usize) -> Result<(), StoreError> {
        let expected = self.data_start().saturating_add(self.data_len);
        if expected != found as u64 {
            return Err(StoreError::WrongLength { expected, found: found as u64 });
        }
        check_metadata_len(self.meta_len)
    }
}

/// Holds the metadata to their cap.
pub(crate) fn check_metadata_len(found: u64) -> Result<(), StoreError> {
    let limit = MAX_METADATA as u64;
    if found > limit {
        return Err(StoreError::TooLarge { what: "bytes of metadata", limit, found });
    }
    Ok(())
}

/// The hash of a whole file in two pieces, the second perhaps empty: every byte but those of the hash
/// itself, which lie in the first.
pub(crate) fn hash(file: &[u8], rest: &[u8]) -> [u8; 32] {
    let mut hasher = Hasher::new();
    hasher.update(file.get(..HASHED).unwrap_or_default());
    hasher.update(file.get(HEADER..).unwrap_or_default());
    hasher.update(rest);
    hasher.finish()
}

/// Refuses a file whose bytes are not those that were hashed.
pub(crate) fn check_hash(expected: &[u8; 32], file: &[u8]) -> Result<(), StoreError> {
    let found = hash(file, &[]);
    if *expected != found {
        return Err(StoreError::WrongHash { expected: hex(expected), found: hex(&found) });
    }
    Ok(())
}

/// Puts the hash into a file that is complete but for it, and for `rest` behind it.
pub(crate) fn insert_hash(file: &mut [u8], rest: &[u8]) {
    let digest = hash(file, rest);
    if let Some(place) = file.get_mut(HASHED..HEADER) {
        place.copy_from_slice(&digest);
    }
}

/// Splits the next `N` bytes off.
fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk()?;
    *rest = tail;
    Some(*head)
}

/// Tells a user who mixed up two files what the one at hand seems to be.
fn wrong_magic(format: &Format, bytes: &[u8]) -> StoreError {
    const KNOWN: &[(&[u8], &str)] = &[
        (b"\x89PNG", "a PNG picture"),
        (b"\xff\xd8\xff", "a JPEG picture"),
        (b"PK\x03\x04", "a zip archive (or npz, or a PyTorch model)"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"\x89HDF", "an HDF5 file"),
        (b"\x93NUMPY", "a NumPy array"),
        (b"\x80\x04", "a Python pickle"),
        (b"{", "JSON"),
        (b"<", "HTML or XML"),
    ];
    let start = bytes.get(..8).unwrap_or_default();
    let kind = KNOWN.iter().find(|(first, _)| bytes.starts_with(first)).map(|(_, kind)| *kind);
    // A safetensors file has the length of a JSON header first, so the brace is the ninth byte.
    let kind = kind.or((bytes.get(8) == Some(&b'{')).then_some("a safetensors file"));
    let kind = kind.unwrap_or("another kind of file");
    StoreError::WrongMagic {
        format: format.name,
        expected: format.magic.escape_ascii().to_string(),
        found: format!("{kind} starting with \"{}\"", start.escape_ascii()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMAT: Format = Format { magic: *b"HEADTEST", name: "test file", major: 1, minor: 0 };

    fn message(first: &[u8]) -> String {
        let mut bytes = first.to_vec();
        bytes.resize(HEADER, b' ');
        Header::read(&FORMAT, &bytes).map(|_| ()).unwrap_err().to_string()
    }

    #[test]
    fn a_file_of_another_kind_is_called_by_its_kind() {
        assert_eq!(
            message(b"\x89PNG\r\n\x1a\n"),
            "expected a test file starting with \"HEADTEST\", \
             found a PNG picture starting with \"\\x89PNG\\r\\n\\x1a\\n\""
        );
        assert!(message(b"\x10\0\0\0\0\0\0\0{\"w\":").contains("found a safetensors file"));
        assert!(message(b"MODEL001").contains("found another kind of file starting with"));
    }

    #[test]
    fn lengths_that_wrap_saturate() {
        let header = Header { minor: 0, meta_len: u64::MAX - 61, data_len: 62, hash: [0; 32] };
        let error = header.check_lengths(100).unwrap_err();
        assert!(matches!(error, StoreError::WrongLength { expected: u64::MAX, found: 100 }));
    }
}
