//! The inner loops of dnn: products of `f32`, `f64` and 8-bit numbers at the speed of the processor, and the one
//! place of `unsafe` in its mathematics.
//!
//! A kernel is written once, over what the vectors of an instruction set can do (`simd`), and compiled for
//! AVX-512, AVX2 and any other processor; which one runs is found out at run time ([`KernelPath`]). Everything that
//! is public here is safe: shapes are checked before a pointer is made. Beside each kernel stands its formula in
//! plain Rust, which it is tested against, and which types without vectors run on.
//!
//! | you want to | use |
//! |---|---|
//! | `W X + b` for few units or few examples, without rearranging anything first | [`Kernels::linear`], [`Kernels::linear_bytes`] |
//! | `W X + b` for many examples | [`PackedWeights`] |
//! | `C S` without the exact zeros of `C`, as in `dZ X^T` and `W^T dZ` | [`NonZeroIndex`] |
//! | convolutions and their gradients, a picture at a time | [`Convolution`], [`ConvolutionWeights`] |
//! | the same with products [in bf16](bf16) | [`Convolution::set_products`] |
//! | `L R` and `W X + b` in bf16 | [`bf16::multiply`], [`bf16::linear`] |
//! | `X^T Y` of pixels, and products with it | [`gram`] |
//! | a matrix with rows and columns exchanged | [`Kernels::transpose`], [`TransposeBuffer`] |
//! | a loop of your own, compiled for each instruction set | [`PlainLoop`], [`KernelPath::vectorized`] |
//! | the largest of each 2 x 2 of a picture | [`Maximum`] |
//! | two works side by side, or a part of one for each thread | [`join`], [`for_each_part`] |
//! | parts of a work that threads take in turn | [`take_turns`] |
//! | arrays that begin at a line of the cache | [`aligned_zeros`], [`into_aligned`], [`aligned`] |
//!
//! Which kernels a number type has is [`Number::Kernels`]. The bits of a result depend on the path, and never on
//! the number of threads.
//!
//! Under Miri, which interprets no vector instructions, the portable kernels run; with one thread and tree borrows, for
//! the queues behind rayon: `RAYON_NUM_THREADS=1 MIRIFLAGS="-Zmiri-tree-borrows -Zmiri-ignore-leaks
//! -Zmiri-disable-isolation" cargo +nightly miri test -p dnn-kernels --lib`.
//!
//! What it leaves out on purpose: blocking over whole matrices, whatever knows of layers, and arrays that are
//! not contiguous.

#![allow(unsafe_code, reason = "pointers and vector instructions; every block says why it may")]
#![allow(
    clippy::inline_always,
    clippy::needless_range_loop,
    reason = "loops over registers have to be unrolled inside of a caller with the instructions"
)]

mod aligned;
pub mod bf16;
mod convolution;
mod convolve;
mod dispatch;
mod dot;
mod entry;
mod finite;
pub mod gram;
mod kernels;
mod layout;
mod non_zero;
mod operands;
mod packed;
mod parallel;
mod path;
mod pooling;
mod prefetch;
mod products;
mod simd;
mod sparse;
mod take_turns;
#[cfg(test)]
mod test_support;
mod transpose;
mod transpose_buffer;

pub use aligned::{aligned, aligned_zeros, into_aligned};
pub use convolution::{Geometry, Taps, WindowGradient, WindowProduct};
pub use convolve::{Convolution, ConvolutionWeights, Epilogue};
pub use dispatch::PlainLoop;
pub use entry::{CHUNK, Entry, Lists, ListsMut};
pub use finite::all_finite;
pub use kernels::{F32Kernels, F64Kernels, Kernels, Number};
pub use layout::has_contiguous_rows;
pub use non_zero::{ChunkOfRows, NonZeroIndex, is_sparse, multiply_dense};
pub use operands::{DenseRows, Linear, SparseRows};
pub use packed::{PackedScratch, PackedWeights};
pub use parallel::{Chunks, Pairs, Parts, for_each_part, join};
pub use path::KernelPath;
pub use pooling::Maximum;
pub use prefetch::prefetch;
pub use products::Products;
pub use take_turns::take_turns;
pub use transpose_buffer::TransposeBuffer;

/// The example of this crate's README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
