//! The numbers of a tile, for a layer that needs the whole batch.

use dnn_core::Element;
use dnn_layers::Network;

/// The most units of a layer that needs the whole batch.
pub(super) fn most_units<T: Element>(network: &Network<T>) -> usize {
    let layers = network.layers().iter().enumerate().filter(|(_, it)| it.needs_whole_batch());
    layers.map(|(l, _)| network.layer_output(l).channels).max().unwrap_or(0)
}

/// The numbers of a tile at a layer, examples one behind another.
pub(crate) struct TileNumbers<'t, T> {
    /// What the layer is given.
    pub(crate) input: &'t [T],
    /// On the way back, the gradient of what it gives; then that of what it is given.
    pub(crate) gradient: &'t mut [T],
}
