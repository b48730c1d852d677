//! Containers out of bytes.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use std::ops::Range;

use serde::de::DeserializeOwned;

use crate::header::{self, Format, HEADER, Header};
use crate::table::{self, Entry};
use crate::tensor::{StoredTensor, check_finite};
use crate::{StoreError, codec};

/// A decoded container: the content, and views of the tensors in the bytes it came from.
#[derive(Debug, Clone, PartialEq)]
pub struct Container<'a, M> {
    /// The minor version that the file was written by.
    pub minor: u16,
    /// The description that was given to [`encode`](crate::encode).
    pub content: M,
    tensors: Vec<StoredTensor<'a>>,
}

impl<'a, M> Container<'a, M> {
    /// All tensors, in the order they were written.
    pub fn tensors(&self) -> &[StoredTensor<'a>] {
        &self.tensors
    }

    /// The tensor of a name.
    ///
    /// # Errors
    /// [`StoreError::MissingTensor`] if there is none.
    pub fn tensor(&self, name: &str) -> Result<&StoredTensor<'a>, StoreError> {
        self.tensors
            .iter()
            .find(|tensor| tensor.name == name)
            .ok_or_else(|| StoreError::MissingTensor { tensor: name.into(), found: self.names() })
    }

    /// The names that are there, the first few of them, for a message.
    fn names(&self) -> String {
        const SHOWN: usize = 8;
        let names: Vec<_> = self.tensors.iter().take(SHOWN).map(StoredTensor::name).collect();
        match self.tensors.len().saturating_sub(names.len()) {
            0 if names.is_empty() => "none".to_string(),
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }
}

/// Checks the bytes of a container and gives its content and its tensors.
///
/// The bytes may be anything: they are checked in this order, and nothing is allocated by a length
/// that was not first compared with the bytes that are there. Length of a header, magic, major
/// version, codec and flags, exact length of the file, caps, hash, metadata (all of their bytes),
/// table of tensors against the length of the data, padding, finite values.
///
/// # Errors
/// One variant of [`StoreError`] for each of these checks, with what was expected and what was
/// found. [`StoreError::in_file`] adds the path.
///
/// # Examples
/// ```
/// use dnn_store::{Format, decode, encode};
///
/// let format = Format { magic: *b"EXAMPLE\0", name: "example file", major: 1, minor: 0 };
/// let mut bytes = encode(&format, &42_u32, &[])?;
/// assert_eq!(decode::<u32>(&format, &bytes)?.content, 42);
///
/// bytes.pop();
/// let error = decode::<u32>(&format, &bytes).unwrap_err();
/// assert_eq!(error.to_string(), "expected 64 bytes by the header, found 63");
/// # Ok::<(), dnn_store::StoreError>(())
/// ```
pub fn decode<'a, M: DeserializeOwned>(
    format: &Format,
    bytes: &'a [u8],
) -> Result<Container<'a, M>, StoreError> {
    let header = Header::read(format, bytes)?;
    header.check_lengths(bytes.len())?;
    header::check_hash(&header.hash, bytes)?;

    // The exact length was checked, so that none of these parts is cut short.
    let meta_end = header.meta_len.saturating_add(HEADER as u64);
    let metadata = part(bytes, &(HEADER as u64..meta_end));
    let data = part(bytes, &(header.data_start()..u64::MAX));

    let (entries, content): (Vec<Entry>, M) = codec::from_bytes(metadata)?;
    let ranges = table::tensor_ranges(&entries)?;
    let expected = ranges.last().map_or(0, |range| range.end);
    if expected != header.data_len {
        return Err(StoreError::WrongDataLength { expected, found: header.data_len });
    }
    check_padding(bytes, meta_end, header.data_start(), &ranges)?;
    let tensors = entries
        .into_iter()
        .zip(&ranges)
        .map(|(entry, range)| stored_tensor(entry, part(data, range)))
        .collect::<Result<_, _>>()?;
    Ok(Container { minor: header.minor, content, tensors })
}

/// The bytes of a range, cut to those that are there.
fn part<'a>(bytes: &'a [u8], range: &Range<u64>) -> &'a [u8] {
    let [start, end] = [range.start, range.end]
        .map(|at| usize::try_from(at).map_or(bytes.len(), |at| at.min(bytes.len())));
    bytes.get(start..end).unwrap_or_default()
}

/// Holds every byte that belongs to nothing to zero.
fn check_padding(
    bytes: &[u8],
    meta_end: u64,
    data_start: u64,
    ranges: &[Range<u64>],
) -> Result<(), StoreError> {
    let mut end = meta_end;
    for range in ranges {
        let gap = end..data_start.saturating_add(range.start);
        check_zero(bytes, &gap)?;
        end = data_start.saturating_add(range.end);
    }
    // Only a container without tensors has anything left here.
    check_zero(bytes, &(end..u64::MAX))
}

/// Holds the bytes of one gap to zero.
fn check_zero(bytes: &[u8], gap: &Range<u64>) -> Result<(), StoreError> {
    let start = usize::try_from(gap.start).unwrap_or(usize::MAX);
    match part(bytes, gap).iter().enumerate().find(|(_, byte)| **byte != 0) {
        None => Ok(()),
        Some((at, &found)) => Err(StoreError::Padding { offset: start.saturating_add(at), found }),
    }
}

/// A row of the table with its bytes.
fn stored_tensor(entry: Entry, bytes: &[u8]) -> Result<StoredTensor<'_>, StoreError> {
    let Entry { name, dtype, dims } = entry;
    check_finite(&name, dtype, bytes)?;
    // No axis is longer than the data, which are in memory.
    let dims = dims.iter().map(|&len| usize::try_from(len).unwrap_or(usize::MAX)).collect();
    Ok(StoredTensor { name, dtype, dims, bytes })
}
