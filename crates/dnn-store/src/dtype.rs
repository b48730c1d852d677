//! The types that a tensor's values can have.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The type of a tensor's values.
///
/// The order is part of the file format: new types go last.
#[derive(Serialize, Deserialize, Debug, Clone, Copy, PartialEq, Eq)]
pub enum DType {
    /// Bytes, such as pixels.
    U8,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
}

impl DType {
    /// The bytes of one value.
    pub fn width(self) -> usize {
        match self {
            Self::U8 => 1,
            Self::F32 => 4,
            Self::F64 => 8,
        }
    }
}

impl fmt::Display for DType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::U8 => "u8",
            Self::F32 => "f32",
            Self::F64 => "f64",
        })
    }
}
