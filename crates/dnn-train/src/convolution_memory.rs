//! Memory of convolutions on their way back.

use dnn_kernels::Convolution;

/// What convolutions go back in.
#[derive(Debug, Clone)]
pub(crate) struct ConvolutionMemory<T> {
    pub(crate) products: Convolution<T>,
    /// An example of the network's inputs as numbers.
    pub(crate) example: Vec<T>,
}

impl<T> Default for ConvolutionMemory<T> {
    fn default() -> Self {
        Self { products: Convolution::default(), example: Vec::new() }
    }
}
