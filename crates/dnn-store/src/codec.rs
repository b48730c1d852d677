//! Metadata in and out of bytes: codec 1, bincode 2. No other file names bincode.
#![cfg_attr(
    not(test),
    deny(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::arithmetic_side_effects
    )
)]

use std::cell::Cell;
use std::marker::PhantomData;

use bincode::config::standard;
use bincode::error::DecodeError;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer};
use serde::ser::Serialize;

use crate::StoreError;
use crate::bounded_decode::Bounded;
use crate::header::MAX_METADATA;

/// bincode counts the width of a value in memory against its limit, not the bytes it takes in the
/// file: a small `u128` is one byte there and counts for sixteen. With this limit no honest
/// metadata of the longest allowed length are refused.
const LIMIT: usize = 16 * MAX_METADATA;

/// Puts metadata into bytes.
pub(crate) fn to_bytes<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, StoreError> {
    bincode::serde::encode_to_vec(value, standard())
        .map_err(|e| StoreError::Metadata { action: "encode", reason: e.to_string() })
}

/// Takes metadata out of bytes, all of which must be used.
pub(crate) fn from_bytes<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, StoreError> {
    let budget = Cell::new(bytes.len());
    let seed = Seed { budget: &budget, value: PhantomData };
    let config = standard().with_limit::<LIMIT>();
    let (value, used) = bincode::serde::seed_decode_from_slice(seed, bytes, config)
        .map_err(|e| StoreError::Metadata { action: "decode", reason: reason(e) })?;
    // bincode is content with a value followed by anything at all.
    if used != bytes.len() {
        return Err(StoreError::TrailingMetadata { expected: used, found: bytes.len() });
    }
    Ok(value)
}

/// What the codec or, in its own words, the type that was decoded found wrong.
fn reason(error: DecodeError) -> String {
    match error {
        DecodeError::OtherString(reason) => reason,
        other => other.to_string(),
    }
}

/// Decodes a `T` through [`Bounded`].
struct Seed<'b, T> {
    budget: &'b Cell<usize>,
    value: PhantomData<T>,
}

impl<'de, T: DeserializeOwned> DeserializeSeed<'de> for Seed<'_, T> {
    type Value = T;

    fn deserialize<D: Deserializer<'de>>(self, inner: D) -> Result<T, D::Error> {
        T::deserialize(Bounded { inner, budget: self.budget })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_values_in_the_fewest_bytes_stay_within_the_limit() {
        // One byte each in the file, sixteen each against bincode's limit.
        let values = vec![1_u128; 100_000];
        let bytes = to_bytes(&values).unwrap();
        assert_eq!(bytes.len(), 100_005);
        assert_eq!(from_bytes::<Vec<u128>>(&bytes).unwrap(), values);
    }

    #[test]
    fn bytes_after_the_value_are_refused() {
        let mut bytes = to_bytes(&7_u8).unwrap();
        bytes.push(0);
        let error = from_bytes::<u8>(&bytes).unwrap_err();
        assert_eq!(error.to_string(), "expected 1 bytes of metadata, found 2");
    }

    #[test]
    fn what_the_codec_says_is_in_the_message() {
        struct Endless;
        impl Serialize for Endless {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_seq(None).map(|_| unreachable!("a length is needed"))
            }
        }
        let error = from_bytes::<bool>(&[2]).unwrap_err().to_string();
        assert_eq!(error, "cannot decode the metadata: InvalidBooleanValue(2)");
        let error = to_bytes(&Endless).unwrap_err().to_string();
        assert_eq!(error, "cannot encode the metadata: Serde(SequenceMustHaveLength)");
    }

    #[test]
    fn items_without_bytes_cannot_be_counted_for_ever() {
        // 253 says that a u64 follows: 2^63 units, which would be a loop of centuries.
        let mut bytes = vec![253];
        bytes.extend((1_u64 << 63).to_le_bytes());
        let error = from_bytes::<Vec<()>>(&bytes).unwrap_err().to_string();
        assert!(error.contains("expected at most 9 items, found 9223372036854775808"), "{error}");
    }
}
