//! What a step works on.

use dnn_core::Columns;
use dnn_layers::Network;
use ndarray::ArrayView2;

use crate::Examples;
use crate::cost::Objective;
use crate::dropout::Draws;

/// What one step, or one pass that measures, works on.
#[derive(Clone, Copy)]
pub(crate) struct StepContext<'p, 'e, T> {
    pub(crate) network: &'p Network<T>,
    pub(crate) objective: Objective<'p, T>,
    pub(crate) examples: &'p Examples<'e, T>,
    pub(crate) columns: Columns<'p>,
    /// The product of the first layer's weights with all examples, where it is known: then the columns are a
    /// run, and these weights have no gradient.
    pub(crate) product: Option<ArrayView2<'p, f64>>,
    /// Set in training: batch normalisation goes by the batch, and dropout drops.
    pub(crate) draws: Option<Draws<'p>>,
}
