//! Convolutions of one picture at a time, without a matrix of patches.
//!
//! A picture lies row by row, the channels of a pixel side by side. So the numbers that a window reads of one row are
//! one piece of memory, as long as `columns of the kernel x channels`, and a convolution is a sum of products of such
//! pieces with rows of weights:
//!
//! ```text
//! for up to 12 pixels of a row of the output, and 2 vectors of units, in registers:
//!     for each row of the kernel:
//!         for each number of the window's piece: one number of each pixel, times the weights of all units
//! ```
//! The gradient of the weights keeps some taps and 2 vectors of units in registers over all pixels of a picture. That of
//! the input is a convolution of the gradient with the weights exchanged
//! ([`Convolution::input_gradient`](crate::Convolution::input_gradient)). At a stride of 2, even and odd pixels are reached
//! by other taps: the pixels of each remainder by the stride are a convolution of their own, and no product is with a zero
//! between pixels.
//!
//! Weights are laid out tap by tap, units side by side, filled up to whole vectors; the border of a picture is zeros in a
//! copy of it. Both are small beside the work.

mod depthwise;
mod geometry;
mod gradient;
mod plain;
mod product;
pub(crate) mod winograd;

pub(crate) use self::depthwise::{
    by_vectors as depthwise_by_vectors, gradient_by_vectors as depthwise_gradient_by_vectors,
};
pub(crate) use self::geometry::{Bordered, bordered, bordered_gradient};
pub use self::geometry::{Geometry, Taps};
pub(crate) use self::gradient::by_vectors as gradient_by_vectors;
pub(crate) use self::plain::{
    depthwise, depthwise_gradient, gradient as plain_gradient, product as plain_product,
};
pub(crate) use self::product::by_vectors as product_by_vectors;

/// `out = W * x + b` for one picture and one group, or for all where each unit reads its own channel alone.
#[derive(Debug)]
pub struct WindowProduct<'a, T> {
    /// How the numbers are reached.
    pub(crate) taps: &'a Taps,
    pub(crate) x: &'a [T],
    pub(crate) weights: &'a [T],
    pub(crate) bias: Option<&'a [T]>,
    /// Whether what is not above 0 becomes 0.
    pub(crate) relu: bool,
    pub(crate) out: &'a mut [T],
}

/// `sums += x^T * dz`, what one picture gives to the gradient of the weights.
#[derive(Debug)]
pub struct WindowGradient<'a, T> {
    /// How the numbers are reached.
    pub(crate) taps: &'a Taps,
    pub(crate) x: &'a [T],
    pub(crate) dz: &'a [T],
    pub(crate) sums: &'a mut [T],
    /// Whether it is the first picture: whatever is in the sums does not count.
    pub(crate) is_first: bool,
}
