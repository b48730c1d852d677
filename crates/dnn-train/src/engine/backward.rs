//! The way back of a step: from the cost to the gradients of what every layer gives.

use std::ops::Range;

use dnn_core::Element;
use dnn_layers::ForwardInputs;
use rayon::iter::{IntoParallelRefMutIterator, ParallelIterator};

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
        let last = self.segments.last().cloned().unwrap_or(0..0);
        self.training_forward(context, batch, |tile| {
            back_through(tile, context, last.clone(), first_trained);
        })?;
        let share = share_of_weight::<T>(self.tally.weight());
        let used = m.div_ceil(self.tile_width);
        for (index, segment) in self.segments.iter().enumerate().rev().skip(1) {
            let l = segment.end;
            if l < first_trained {
                break;
            }
            let range = network.tensor_range(l);
            let layer = backward::<T>(&network.layers()[l]);
            let mut all = Batch { tiles: &mut self.tiles[..used], layer: l, examples: m };
            let tensors = network.layer_tensors(l);
            let gradients = &mut self.gradient[range];
            layer.batch_gradient(&mut all, tensors, &self.statistics[index], gradients, share);
            self.tiles[..used].par_iter_mut().for_each(|tile| {
                back_through(tile, context, segment.clone(), first_trained);
            });
        }
        Ok(())
    }
}

/// From the gradient of what the last layer of a segment gives to that of what its first trained layer gives.
fn back_through<T: Element>(
    tile: &mut Tile<T>,
    context: &StepContext<'_, '_, T>,
    segment: Range<usize>,
    first_trained: usize,
) {
    let (network, columns) = (context.network, context.columns.part(tile.positions.clone()));
    let inputs = ForwardInputs { x: &context.examples.features, columns };
    for l in segment.rev().take_while(|&l| l >= first_trained) {
        let layer: &dyn Backward<T> = backward(&network.layers()[l]);
        let range = network.tensor_range(l);
        tile.add_around(l);
        if network.layers()[l].goes_around().is_some() {
            tile.keep_around(l);
        }
        let Some(way_back) = tile.way_back(l) else { return };
        let WayBack { caches, gradient, input_gradient, non_zero, convolution, sums_of_gradients } =
            way_back;
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
        };
        if layer.gradient_by() == GradientBy::Group {
            let sums = &mut sums_of_gradients[range];
            for sum in &mut *sums {
                sum.fill(T::zero());
            }
            layer.add_parameter_gradient(&mut step, sums);
        }
        if l > first_trained {
            layer.input_gradient(step);
        }
    }
}
