//! Memory of products on their way back.

use dnn_core::Element;
use dnn_kernels::bf16::{PairedRows, RoundedRows};
use dnn_kernels::{Convolution, Products};

/// What convolutions go back in, and dense layers in bf16.
#[derive(Debug, Clone)]
pub(crate) struct ConvolutionMemory<T> {
    pub(crate) products: Convolution<T>,
    /// An example of the network's inputs as numbers.
    pub(crate) example: Vec<T>,
    /// The most examples that go back at a time.
    pub(crate) examples: usize,
    /// If products are made in bf16.
    pub(crate) pairs: Option<DensePairs>,
}

/// Both sides of a product in bf16.
#[derive(Debug, Clone, Default)]
pub(crate) struct DensePairs {
    pub(crate) left: RoundedRows,
    pub(crate) right: PairedRows,
}

impl<T> Default for ConvolutionMemory<T> {
    fn default() -> Self {
        let products = Convolution::default();
        Self { products, example: Vec::new(), examples: 0, pairs: None }
    }
}

impl<T: Element> ConvolutionMemory<T> {
    /// For products in these numbers.
    pub(crate) fn new(products: Products, examples: usize) -> Self {
        let mut made = Self { examples, ..Self::default() };
        made.products.set_products(products);
        made.pairs = (products == Products::Bf16).then(DensePairs::default);
        made
    }
}
