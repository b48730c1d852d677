//! Records that say what they are.

use std::fmt;

use serde::de::{DeserializeOwned, Deserializer, Error, Visitor};
use serde::ser::Serializer;
use serde::{Deserialize, Serialize};

use crate::{StoreError, codec};

/// A value of a kind that not every reader knows: the name of the kind, and the value's own bytes with their
/// length.
///
/// bincode does not describe itself: in an enum, a variant that a reader does not know would make nonsense of
/// all that follows. Of a record every reader knows its kind and where it ends.
///
/// # Examples
/// ```
/// use dnn_store::Record;
///
/// let record = Record::new("rate", &0.5_f64)?;
/// assert_eq!(record.kind(), "rate");
/// assert_eq!(record.read::<f64>()?, 0.5);
/// assert!(record.read::<u8>().is_err(), "bytes would be left");
/// # Ok::<(), dnn_store::StoreError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    kind: String,
    value: Bytes,
}

impl Record {
    /// A record of this value.
    ///
    /// # Errors
    /// [`StoreError::Metadata`] if the value has a form that bincode cannot write.
    pub fn new<T: Serialize + ?Sized>(kind: &str, value: &T) -> Result<Self, StoreError> {
        Ok(Self { kind: kind.to_owned(), value: Bytes(codec::to_bytes(value)?) })
    }

    /// The name of its kind.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Its value, which has to take all of its bytes.
    ///
    /// # Errors
    /// [`StoreError::Metadata`] or [`StoreError::TrailingMetadata`] if its bytes are not those of a `T`.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, StoreError> {
        codec::from_bytes(&self.value.0)
    }
}

/// Bytes that are copied as a whole: a sequence would be taken byte by byte.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(&self.0)
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Copied;
        impl Visitor<'_> for Copied {
            type Value = Bytes;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the bytes of a record")
            }

            fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Bytes, E> {
                Ok(Bytes(bytes.to_vec()))
            }
        }
        deserializer.deserialize_bytes(Copied)
    }
}
