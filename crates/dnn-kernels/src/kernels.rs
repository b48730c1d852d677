//! Which kernels a number type has.
//!
//! ```text
//! f32   vectors of the processor for every product
//! f64   vectors for sums of rows alone, which Gram matrices need; the plain loops elsewhere
//! ```
//!
//! Plain loops are right and slow: who works in `f64` asks [`Kernels::VECTOR`], and takes a library's product of
//! matrices instead.

use std::fmt;

use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

use crate::convolution::{self, WindowGradient, WindowProduct};
use crate::entry::ListsMut;
use crate::gram::{PANEL, SumOfRows};
use crate::operands::{DenseRows, Linear, SparseRows};
use crate::path::KernelPath;
use crate::{dot, gram, sparse, transpose};

mod sealed {
    pub trait Sealed: Sized {
        /// The numbers as those of `f32`, if that is what they are.
        fn f32s(_: &[Self]) -> Option<&[f32]> {
            None
        }

        /// The same, to be written.
        fn f32s_mut(_: &mut [Self]) -> Option<&mut [f32]> {
            None
        }
    }

    impl Sealed for f32 {
        fn f32s(values: &[f32]) -> Option<&[f32]> {
            Some(values)
        }

        fn f32s_mut(values: &mut [f32]) -> Option<&mut [f32]> {
            Some(values)
        }
    }

    impl Sealed for f64 {}
}

/// A floating-point type that has kernels. Sealed.
pub trait Number: NdFloat + From<u8> + Into<f64> + Default + sealed::Sealed {
    /// The kernels for this type.
    type Kernels: Kernels<Self>;
}

impl Number for f32 {
    type Kernels = F32Kernels;
}

impl Number for f64 {
    type Kernels = F64Kernels;
}

/// The inner loops on one number type. What is provided here is the plain form of each formula.
pub trait Kernels<T: Number>: Copy + fmt::Debug + Send + Sync + 'static {
    /// Whether the products here run on vectors, and so are faster than a library's product of matrices.
    const VECTOR: bool = false;

    /// `out = scale W X + b`, where `example(j)` is column `j` of `X`.
    ///
    /// With a single example and many weights, the units are shared out among the threads of the pool that this
    /// thread belongs to.
    ///
    /// # Shapes
    /// | `W` | an example | `b` | `out` |
    /// |---|---|---|---|
    /// | `(units, features)` | `features` | `units` | `(units, examples)`, each column contiguous |
    ///
    /// # Panics
    /// If the shapes do not fit, or arrays do not lie as they should.
    fn linear<'x>(
        _: KernelPath,
        map: Linear<'_, T>,
        example: &(impl Fn(usize) -> &'x [T] + Sync),
        out: ArrayViewMut2<'_, T>,
    ) {
        dot::plain(map, example, out);
    }

    /// The same with examples made of bytes.
    ///
    /// # Panics
    /// As of [`linear`](Self::linear).
    fn linear_bytes<'x>(
        _: KernelPath,
        map: Linear<'_, T>,
        example: &(impl Fn(usize) -> &'x [u8] + Sync),
        out: ArrayViewMut2<'_, T>,
    ) {
        dot::plain(map, example, out);
    }

    /// `out += C S`, leaving out entries of `C` that are zero.
    ///
    /// # Shapes
    /// | `C` | `S` | `out` |
    /// |---|---|---|
    /// | `(rows, terms)` | `(terms, width)` | `(rows, width)`, each row contiguous |
    ///
    /// # Panics
    /// If the shapes do not fit, or arrays do not lie as they should.
    fn multiply_sparse(
        _: KernelPath,
        left: SparseRows<'_, T>,
        right: DenseRows<'_, T>,
        out: ArrayViewMut2<'_, T>,
    ) {
        sparse::multiply::plain(left, right.values, out);
    }

    /// Lists the entries that are not zero in each row of `values`, which has up to
    /// [`CHUNK`](crate::CHUNK) columns.
    ///
    /// # Panics
    /// If the lists are not for as many rows.
    fn list_non_zero(_: KernelPath, values: ArrayView2<'_, T>, lists: ListsMut<'_, T>) {
        sparse::list::plain(values, lists);
    }

    /// Writes `values` with rows and columns exchanged.
    ///
    /// # Panics
    /// If `out` is not of that shape, or rows of either are not each contiguous.
    fn transpose(_: KernelPath, values: ArrayView2<'_, T>, out: ArrayViewMut2<'_, T>) {
        transpose::plain(values, out);
    }

    /// Adds a sum of rows of a panel to `out`.
    ///
    /// # Panics
    /// If the sum names a row that does not exist.
    fn add_rows(_: KernelPath, sum: SumOfRows<'_, T>, out: &mut [f64; PANEL]) {
        gram::rows::plain(sum, out);
    }

    /// `out = W * x + b`, a convolution of one picture and one group: see [`Convolution`](crate::Convolution).
    ///
    /// # Panics
    /// If the picture, the weights, the bias or `out` are shorter than what is reached.
    fn convolve(_: KernelPath, product: WindowProduct<'_, T>) {
        convolution::plain_product(product);
    }

    /// `sums += x^T * dz`, what one picture gives to the gradient of the weights of one group.
    ///
    /// # Panics
    /// If the picture, its gradient or the sums are shorter than what is reached.
    fn convolution_gradient(_: KernelPath, gradient: WindowGradient<'_, T>) {
        convolution::plain_gradient(gradient);
    }

    /// [`convolve`](Self::convolve) where each unit reads its own channel alone.
    ///
    /// # Panics
    /// As of [`convolve`](Self::convolve).
    fn depthwise(_: KernelPath, product: WindowProduct<'_, T>) {
        convolution::depthwise(product);
    }

    /// [`convolution_gradient`](Self::convolution_gradient) where each unit reads its own channel alone.
    ///
    /// # Panics
    /// As of [`convolution_gradient`](Self::convolution_gradient).
    fn depthwise_gradient(_: KernelPath, gradient: WindowGradient<'_, T>) {
        convolution::depthwise_gradient(gradient);
    }
}

/// The kernels for `f32`.
#[derive(Debug, Clone, Copy)]
pub struct F32Kernels;

impl Kernels<f32> for F32Kernels {
    const VECTOR: bool = true;

    fn linear<'x>(
        path: KernelPath,
        map: Linear<'_, f32>,
        example: &(impl Fn(usize) -> &'x [f32] + Sync),
        out: ArrayViewMut2<'_, f32>,
    ) {
        dot::shared_out(path, map, example, out);
    }

    fn linear_bytes<'x>(
        path: KernelPath,
        map: Linear<'_, f32>,
        example: &(impl Fn(usize) -> &'x [u8] + Sync),
        out: ArrayViewMut2<'_, f32>,
    ) {
        dot::shared_out(path, map, example, out);
    }

    fn multiply_sparse(
        path: KernelPath,
        left: SparseRows<'_, f32>,
        right: DenseRows<'_, f32>,
        out: ArrayViewMut2<'_, f32>,
    ) {
        sparse::multiply::by_vectors(path, left, right, out);
    }

    fn list_non_zero(path: KernelPath, values: ArrayView2<'_, f32>, lists: ListsMut<'_, f32>) {
        sparse::list::by_vectors(path, values, lists);
    }

    fn transpose(path: KernelPath, values: ArrayView2<'_, f32>, out: ArrayViewMut2<'_, f32>) {
        transpose::by_vectors(path, values, out);
    }

    fn convolve(path: KernelPath, product: WindowProduct<'_, f32>) {
        convolution::product_by_vectors(path, product);
    }

    fn convolution_gradient(path: KernelPath, gradient: WindowGradient<'_, f32>) {
        convolution::gradient_by_vectors(path, gradient);
    }

    fn depthwise(path: KernelPath, product: WindowProduct<'_, f32>) {
        convolution::depthwise_by_vectors(path, product);
    }

    fn depthwise_gradient(path: KernelPath, gradient: WindowGradient<'_, f32>) {
        convolution::depthwise_gradient_by_vectors(path, gradient);
    }
}

/// The kernels for `f64`.
#[derive(Debug, Clone, Copy)]
pub struct F64Kernels;

// What is plain is named once more, so that it is compiled here and in no crate that is generic in its numbers.
impl Kernels<f64> for F64Kernels {
    fn multiply_sparse(
        _: KernelPath,
        left: SparseRows<'_, f64>,
        right: DenseRows<'_, f64>,
        out: ArrayViewMut2<'_, f64>,
    ) {
        sparse::multiply::plain(left, right.values, out);
    }

    fn list_non_zero(_: KernelPath, values: ArrayView2<'_, f64>, lists: ListsMut<'_, f64>) {
        sparse::list::plain(values, lists);
    }

    fn transpose(_: KernelPath, values: ArrayView2<'_, f64>, out: ArrayViewMut2<'_, f64>) {
        transpose::plain(values, out);
    }

    fn convolve(_: KernelPath, product: WindowProduct<'_, f64>) {
        convolution::plain_product(product);
    }

    fn convolution_gradient(_: KernelPath, gradient: WindowGradient<'_, f64>) {
        convolution::plain_gradient(gradient);
    }

    fn depthwise(_: KernelPath, product: WindowProduct<'_, f64>) {
        convolution::depthwise(product);
    }

    fn depthwise_gradient(_: KernelPath, gradient: WindowGradient<'_, f64>) {
        convolution::depthwise_gradient(gradient);
    }

    fn add_rows(path: KernelPath, sum: SumOfRows<'_, f64>, out: &mut [f64; PANEL]) {
        gram::rows::by_vectors(path, sum, out);
    }
}
