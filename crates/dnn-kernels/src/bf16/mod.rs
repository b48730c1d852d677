//! Products of numbers in bf16, with sums in `f32`.
//!
//! A number in bf16 is the upper half of an `f32`: its sign, its exponent and 7 digits of its fraction. So the product of
//! two is exact in an `f32`, and an instruction that multiplies pairs of them makes twice as many products as one that
//! multiplies `f32`:
//!
//! ```text
//! sum = sum + x[1] w[1];  sum = sum + x[0] w[0]        in each lane, each rounded once
//! ```
//!
//! A pair lies in 32 bits, the first number in the lower half. Every product here sums over neighbours: the left side lies
//! number after number, so that a pair of it is read as it is and goes to all lanes; the right side is made of pairs of
//! rows, so that a vector has the pairs of 16 columns.
//!
//! | product | left side | pairs of the right side |
//! |---|---|---|
//! | a convolution, the gradient of its input | windows | rows of the packed weights |
//! | the gradient of a convolution's weights | taps, each with that of the next pixel | pixels of `dZ` |
//! | `dA = W^T dZ` | examples of `dZ` | units of `W` |
//! | `dW = dZ A^T` | units of `dZ` | examples of `A` |
//! | `Z = W A` | units of `W` | rows of `A`, each with a feature of all examples |
//!
//! Numbers below the smallest normal one, 2^-126, count as 0, in operands and in sums: so the instructions have it
//! (`AVX512_BF16`, Intel's manual of 2020), and the plain form, which tests hold against them bit for bit.

mod convolution;
mod gradient;
mod instructions;
mod layout;
mod matrix;
mod number;
mod product;
mod rounding;
#[cfg(test)]
mod tests;

pub(crate) use self::convolution::{ConvolutionPairs, Outputs, WeightPairs};
#[cfg(test)]
pub(crate) use self::instructions::Instructions;
pub use self::matrix::{
    LinearScratch, PairedRows, RoundedPart, RoundedRows, TurnScratch, linear, multiply,
};
pub use self::number::{from_bf16, to_bf16};
