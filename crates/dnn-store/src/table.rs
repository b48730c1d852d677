//! The table of tensors, and where they lie by it.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use std::collections::HashSet;
use std::ops::Range;

use serde::{Deserialize, Serialize};

use crate::{DType, StoreError};

/// The most tensors in a container: a network of ten thousand layers, with the states of its
/// optimiser, stays below.
pub const MAX_TENSORS: usize = 65_536;

/// The most axes of a tensor: pictures have four, and nothing in the field has more than five.
pub const MAX_AXES: usize = 8;

/// Tensors start at multiples of this offset, a cache line and the widest vector register.
const ALIGNMENT: u64 = 64;

/// One row of the table.
#[derive(Serialize, Deserialize)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) dtype: DType,
    pub(crate) dims: Vec<u64>,
}

/// The next offset at which a tensor may start; saturates.
pub(crate) fn align(offset: u64) -> u64 {
    offset.checked_next_multiple_of(ALIGNMENT).unwrap_or(u64::MAX)
}

/// Checks the table and says where each tensor lies, counted from the start of the first. Writing
/// and reading both come through here, so neither accepts what the other does not.
pub(crate) fn tensor_ranges(entries: &[Entry]) -> Result<Vec<Range<u64>>, StoreError> {
    if entries.len() > MAX_TENSORS {
        let (limit, found) = (MAX_TENSORS as u64, entries.len() as u64);
        return Err(StoreError::TooLarge { what: "tensors", limit, found });
    }
    let mut names = HashSet::new();
    let mut ranges = Vec::with_capacity(entries.len());
    let mut end = 0_u64;
    for entry in entries {
        let bad = |reason| StoreError::BadTable { tensor: entry.name.clone(), reason };
        if !names.insert(&entry.name) {
            return Err(bad("expected unique names, found this one twice".to_string()));
        }
        let len = byte_len(entry).map_err(bad)?;
        let start = align(end);
        end = start.checked_add(len).ok_or_else(|| {
            bad(format!("{len} bytes from offset {start} on do not fit in 64 bits"))
        })?;
        ranges.push(start..end);
    }
    Ok(ranges)
}

/// The bytes that a tensor's values take.
fn byte_len(entry: &Entry) -> Result<u64, String> {
    let axes = entry.dims.len();
    if axes > MAX_AXES {
        return Err(format!("expected at most {MAX_AXES} axes, found {axes}"));
    }
    // An empty tensor holds nothing worth a name, and a zero would hide a product that wraps.
    if let Some(axis) = entry.dims.iter().position(|&len| len == 0) {
        return Err(format!("expected lengths of at least 1, found 0 on axis {axis}"));
    }
    entry
        .dims
        .iter()
        .try_fold(entry.dtype.width() as u64, |bytes, &len| bytes.checked_mul(len))
        .ok_or_else(|| format!("dimensions {:?} do not fit in 64 bits", entry.dims))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, dtype: DType, dims: &[u64]) -> Entry {
        Entry { name: name.to_string(), dtype, dims: dims.to_vec() }
    }

    #[test]
    fn tensors_follow_each_other_at_multiples_of_64() {
        // 3 bytes, then 17 x 4 = 68 bytes at 64, then 8 bytes at the multiple after 132.
        let entries = [
            entry("a", DType::U8, &[3]),
            entry("b", DType::F32, &[17]),
            entry("c", DType::F64, &[]),
        ];
        assert_eq!(tensor_ranges(&entries).unwrap(), [0..3, 64..132, 192..200]);
    }

    #[test]
    fn impossible_tables_are_refused_with_the_reason() {
        let message = |entries: &[Entry]| tensor_ranges(entries).unwrap_err().to_string();
        let one = |dims: &[u64]| message(&[entry("w", DType::F32, dims)]);
        assert_eq!(
            one(&[1 << 32, 1 << 32]),
            "bad tensor \"w\": dimensions [4294967296, 4294967296] do not fit in 64 bits"
        );
        assert!(one(&[2, 0, u64::MAX]).ends_with("at least 1, found 0 on axis 1"));
        assert!(one(&[1; 9]).ends_with("expected at most 8 axes, found 9"));
        let huge = [entry("a", DType::U8, &[1 << 63]), entry("b", DType::U8, &[1 << 63])];
        assert!(message(&huge).contains("bad tensor \"b\": 9223372036854775808 bytes from offset"));
        let twice = [entry("a", DType::U8, &[1]), entry("a", DType::F32, &[2])];
        assert!(message(&twice).contains("expected unique names"));
        let many: Vec<_> =
            (0..=MAX_TENSORS).map(|i| entry(&i.to_string(), DType::U8, &[])).collect();
        assert_eq!(message(&many), "expected at most 65536 tensors, found 65537");
    }
}
