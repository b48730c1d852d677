//! Initialisation, random streams and linear algebra: what every other crate of dnn stands on.
//!
//! The one idea: **columns are examples**. Inputs are `(n_x, m)`, weights `(n, n_prev)`, biases
//! `(n, 1)`, and a gradient has the shape of the thing it is the gradient of.
//!
//! | you want to | use |
//! |---|---|
//! | draw the first weights of a network | [`initialize_parameters_deep`], [`Initializer`] |
//! | draw random numbers that never change | [`RandomStream`] |
//! | repeat a run seeded with `numpy.random.seed` | [`RandomStream::numpy_legacy`] |
//! | hand over inputs, as numbers or as 8-bit pixels | [`Features`], [`PixelScaling`] |
//! | multiply all examples with each other | [`Gram`] |
//! | say which shape an example has | [`Shape`] |
//! | compute in `f32` or `f64` | [`Element`] |
//! | know which instructions do it | [`kernel_path`], [`kernel_path_of`] |
//!
//! What it leaves out on purpose: layers, costs, files, clocks, printing, and any global generator.

mod columns;
mod eigen;
mod element;
mod error;
mod features;
mod gram;
mod init;
mod mt19937;
mod parameters;
mod pixel_scaling;
mod products;
mod random;
mod shape;
mod test_support;

pub use columns::Columns;
pub use eigen::symmetric_eigen;
pub use element::{BothPrecisions, Element, Precision};
pub use error::CoreError;
pub use features::Features;
pub use gram::{Gram, SparseLeft};
pub use init::{Initializer, initialize_parameters, initialize_parameters_deep};
pub use mt19937::Mt19937;
pub use parameters::{LayerParameters, Parameters};
pub use pixel_scaling::PixelScaling;
pub use products::{FEATURE_BLOCK, kernel_path, kernel_path_of, multiply};
pub use random::{Purpose, RandomStream};
pub use shape::Shape;

// The arrays in every signature, in the version that they are in.
pub use ndarray;

/// The example of this crate's README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
