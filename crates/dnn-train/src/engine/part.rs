//! What each array of a network is for its gradient.

use dnn_core::Element;
use dnn_layers::Network;

use crate::backward::{GradientBy, backward};

/// What an array is for its layer's gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// The weights of a layer whose gradient is summed by block.
    Weights,
    /// The bias of such a layer.
    Bias,
    /// An array whose gradient is summed by groups of examples.
    Group,
    /// Any other one.
    Other,
}

/// What one of a network's arrays is.
pub(super) fn part<T: Element>(network: &Network<T>, tensor: usize) -> Part {
    let layer = network.tensors()[tensor].layer();
    let first = network.tensor_range(layer).start;
    match backward::<T>(&network.layers()[layer]).gradient_by() {
        GradientBy::Block if tensor == first => Part::Weights,
        GradientBy::Block => Part::Bias,
        GradientBy::Group => Part::Group,
        GradientBy::WholeBatch | GradientBy::Nothing => Part::Other,
    }
}
