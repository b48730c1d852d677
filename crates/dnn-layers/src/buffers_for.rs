//! What the buffers of a forward pass are for.

use dnn_kernels::Products;

use crate::layer::Mode;

/// What the buffers of a forward pass are for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BuffersFor {
    /// What every layer gives.
    Outputs,
    /// Answers alone.
    Answers,
    /// What a backward pass needs, of products in these numbers.
    Training(Products),
}

impl BuffersFor {
    pub(crate) fn mode(self) -> Mode {
        match self {
            Self::Outputs | Self::Answers => Mode::Prediction,
            Self::Training(_) => Mode::Training,
        }
    }

    pub(crate) fn products(self) -> Products {
        match self {
            Self::Outputs | Self::Answers => Products::Full,
            Self::Training(products) => products,
        }
    }
}
