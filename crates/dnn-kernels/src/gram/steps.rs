//! Rows of whole numbers, cut into pieces of one line of the cache.

/// Columns of a panel of a Gram matrix.
pub const PANEL: usize = 128;
/// Rows of whole numbers that are multiplied at a time.
pub const ROWS: usize = 4;
/// Whole numbers that are multiplied at a time.
pub const STEP: usize = 32;

/// A part of a row of whole numbers, one line of the cache.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(64))]
pub struct Step(pub [i16; STEP]);

/// Bytes that are multiplied at a time.
pub const BYTES: usize = 64;
/// Rows of bytes that are multiplied at a time.
pub const BYTE_ROWS: usize = 6;
/// What bytes of the right side are less by in [`add_byte_products`](super::add_byte_products).
pub const BYTE_SHIFT: u8 = 128;

/// A part of a row of bytes, one line of the cache.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(64))]
pub struct ByteStep(pub [u8; BYTES]);
