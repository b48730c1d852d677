//! What goes into a product: the arrays that belong together, with a name for each.

use ndarray::{ArrayView1, ArrayView2};

use crate::entry::Lists;

/// The map `x -> scale W x + b` of [`Kernels::linear`](crate::Kernels::linear).
#[derive(Debug, Clone, Copy)]
pub struct Linear<'a, T> {
    /// `W`, one row for each unit, each contiguous.
    pub weights: ArrayView2<'a, T>,
    /// The number that every product is multiplied with.
    pub scale: T,
    /// `b`, one number for each unit, contiguous; `None` for 0.
    pub bias: Option<ArrayView1<'a, T>>,
}

/// The left side `C` of [`Kernels::multiply_sparse`](crate::Kernels::multiply_sparse).
#[derive(Debug, Clone, Copy)]
pub struct SparseRows<'a, T> {
    /// All entries, `(rows, terms)`.
    pub values: ArrayView2<'a, T>,
    /// Which of them are not zero, of up to [`CHUNK`](crate::CHUNK) terms; `None` if zeros are few.
    pub non_zero: Option<Lists<'a, T>>,
}

/// The right side `S` of a product with [`SparseRows`].
#[derive(Debug, Clone, Copy)]
pub struct DenseRows<'a, T> {
    /// `(terms, width)`, each row contiguous.
    pub values: ArrayView2<'a, T>,
    /// What will be read next, if that lies where the processor does not guess it: it is prefetched meanwhile.
    pub ahead: &'a [T],
}

impl<'a, T> From<ArrayView2<'a, T>> for DenseRows<'a, T> {
    fn from(values: ArrayView2<'a, T>) -> Self {
        Self { values, ahead: &[] }
    }
}
