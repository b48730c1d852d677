//! The two inner loops of Gram matrices `X^T Y` and of products with them.
//!
//! | product | kernel |
//! |---|---|
//! | examples of 8-bit pixels with each other | [`add_products`], [`add_byte_products`]: whole numbers, exact on every path |
//! | rows of a matrix, each times a weight | [`SumOfRows`]: one order on every path, fused where there are vectors |
//!
//! A Gram matrix lies in panels of [`PANEL`] columns, each row after row.

mod integers;
pub(crate) mod rows;
mod steps;
#[cfg(all(target_arch = "x86_64", not(miri)))]
mod x86;

pub use self::integers::{add_byte_products, add_products, has_byte_products};
pub use self::rows::SumOfRows;
pub use self::steps::{BYTE_ROWS, BYTE_SHIFT, BYTES, ByteStep, PANEL, ROWS, STEP, Step};
