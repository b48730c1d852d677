//! Arrays on their way into a checkpoint.

use dnn_store::{Scalar, Tensor, Values};

/// An array with its name, on its way into a file.
pub(crate) struct NamedArray<'a> {
    name: String,
    dims: Vec<usize>,
    values: Values<'a>,
}

impl<'a> NamedArray<'a> {
    pub(crate) fn new<T: Scalar>(name: &str, dims: Vec<usize>, values: &'a [T]) -> Self {
        Self { name: name.to_owned(), dims, values: Values::new(values) }
    }

    pub(super) fn as_tensor(&self) -> Tensor<'_> {
        Tensor { name: &self.name, dims: &self.dims, values: self.values }
    }
}
