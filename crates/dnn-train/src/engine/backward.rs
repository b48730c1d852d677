//! The way back of a step: from the cost to the gradients of what every layer gives.

use std::ops::Range;

use dnn_core::Element;
use dnn_kernels::for_each_part;
use dnn_layers::{Activation, ForwardInputs, Layer, Network, PackedConvolutions};

use super::batch::Batch;
use super::tile::{NotFinite, Tile, WayBack};
use super::{Engine, StepContext, plan};
use crate::backward::{Backward, BackwardStep, GradientBy, backward, share_of_weight};

impl<T: Element> Engine<T> {
    /// Forward and back for the examples at the positions `batch`: leaves the gradient of what every layer
    /// gives, as far back as an array is trained, and the gradients of arrays that come with it.
    pub(super) fn forward_backward_of(
        &mut self,
        context: &StepContext<'_, '_, T>,
        batch: Range<usize>,
    ) -> Result<(), NotFinite> {
        let (network, m) = (context.network, batch.len());
        let first_trained = plan::first_trained(network);
        // Nothing is needed of what the first trained layer is given.
        self.packed_back.pack_exchanged(network, first_trained + 1);
        let last = self.segments.last().cloned().unwrap_or(0..0);
        let packed = std::mem::take(&mut self.packed_back);
        let back = Back { context, packed: &packed, first_trained };
        let result = self.training_forward(context, batch, |tile| back.through(tile, last.clone()));
        self.packed_back = packed;
        result?;
        let back = Back { context, packed: &self.packed_back, first_trained };
        let share = share_of_weight::<T>(self.tally.weight());
        let used = m.div_ceil(self.tile_width);
        for (index, segment) in self.segments.iter().enumerate().rev().skip(1) {
            let l = segment.end;
            if l < first_trained {
                break;
            }
            let range = network.tensor_range(l);
            let layer = backward::<T>(&network.layers()[l]);
            let mut all = Batch {
                tiles: &mut self.tiles[..used],
                layer: l,
                examples: m,
                memory: &mut self.batch_memory,
                does_relu: network.does_relu(l),
            };
            let tensors = network.layer_tensors(l);
            let gradients = &mut self.gradient[range];
            layer.batch_gradient(&mut all, tensors, &self.statistics[index], gradients, share);
            for_each_part(&mut self.tiles[..used], &|_, tile| {
                back.through(tile, segment.clone());
            });
        }
        Ok(())
    }
}

/// Whether it is batch normalisation that does the `ReLU` after it.
fn is_norm_with_relu<T: Element>(network: &Network<T>, l: usize) -> bool {
    network.layers()[l].needs_whole_batch() && network.does_relu(l)
}

impl<T: Element> Tile<T> {
    /// Whether layer `l` does the way back through a `ReLU` before it, to whose output no connection brings a gradient.
    fn does_relu_before(&self, network: &Network<T>, l: usize) -> bool {
        let layers = network.layers();
        layers.get(l).is_some_and(|layer| backward::<T>(layer).does_relu_before())
            && l.checked_sub(1).is_some_and(|relu| {
                layers[relu] == Layer::Activation(Activation::Relu)
                    && !self.has_connection(relu)
                    && !relu.checked_sub(1).is_some_and(|norm| is_norm_with_relu(network, norm))
            })
    }
}

/// What all tiles know on their way back.
#[derive(Clone, Copy)]
struct Back<'b, 'p, 'e, T> {
    context: &'b StepContext<'p, 'e, T>,
    /// The weights of convolutions, laid out for the way back.
    packed: &'b PackedConvolutions<T>,
    first_trained: usize,
}

impl<T: Element> Back<'_, '_, '_, T> {
    /// From the gradient of what the last layer of a segment gives to that of what its first trained layer gives.
    fn through(&self, tile: &mut Tile<T>, segment: Range<usize>) {
        let Self { context, packed, first_trained } = *self;
        let (network, columns) = (context.network, context.columns.part(tile.positions.clone()));
        let inputs = ForwardInputs { x: &context.examples.features, columns };
        for l in segment.rev().take_while(|&l| l >= first_trained) {
            let layer: &dyn Backward<T> = backward(&network.layers()[l]);
            let range = network.tensor_range(l);
            tile.add_around(l);
            if network.layers()[l].goes_around().is_some() {
                tile.keep_around(l);
            }
            let (is_first, after_relu) = (!tile.adds, tile.does_relu_before(network, l));
            let is_done = tile.does_relu_before(network, l + 1)
                // Batch normalisation does the activation after it.
                || l.checked_sub(1).is_some_and(|l| is_norm_with_relu(network, l));
            let Some(way_back) = tile.way_back(l) else { return };
            let WayBack {
                caches,
                gradient,
                input_gradient,
                non_zero,
                convolution,
                sums_of_gradients,
            } = way_back;
            let mut step = BackwardStep {
                tensors: network.layer_tensors(l),
                shape: network.layer_input(l),
                inputs,
                input: caches.layer_input(l),
                output: caches.layer_output(l),
                kept: caches.kept(l),
                gradient,
                input_gradient,
                non_zero,
                convolution,
                is_first,
                after_relu,
                packed: packed.of_layer(l),
            };
            if layer.gradient_by() == GradientBy::Group {
                layer.parameter_gradient(&mut step, &mut sums_of_gradients[range]);
            }
            if l > first_trained && !is_done {
                layer.input_gradient(step);
            }
        }
    }
}
