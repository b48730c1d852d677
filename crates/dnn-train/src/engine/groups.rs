//! Large batches in groups of examples, which go through both phases one after the other, so that the inputs
//! of a group are still near the processor when phase 2 reads them again.

use dnn_core::Element;
use dnn_kernels::Kernels;
use dnn_layers::Network;

use super::blocks::{Job, Sink};
use super::phase_2::side_by_side;
use super::{Engine, MOST_NUMBERS, NotFinite, Pass, all_finite};
use crate::backward::share_of_weight;

/// Inputs of a group, about: what the last cache of a small machine holds, of 8-bit pixels.
const INPUTS: usize = 4 << 20;
/// Examples of a tile of a group: several for each thread.
pub(crate) const TILE: usize = 24;
/// The fewest tiles of a group, and the fewest groups that are worth it.
const TILES: usize = 16;
const GROUPS: usize = 2;

/// Examples of a group in steps on `batch` of them, where groups are worth it: not where the whole gradient,
/// which each group reads and writes, is larger than the group, nor where `Z` and `A` of a group are, nor
/// where batch normalisation has to see the whole batch.
pub(crate) fn group<T: Element>(network: &Network<T>, batch: usize) -> Option<usize> {
    let (units, inputs) = network.parameters().layers[0].weights.dim();
    let examples = (INPUTS / inputs.max(1)).max(TILES * TILE).next_multiple_of(TILE);
    let examples = examples.min(MOST_NUMBERS / super::units(network).max(1) / TILE * TILE);
    let normalized = network.stages().iter().any(|stage| stage.normalization.is_some());
    let worthwhile = examples >= (4 * units).max(TILES * TILE) && batch > GROUPS * examples;
    (T::Kernels::VECTOR && worthwhile && !normalized).then_some(examples)
}

impl<T: Element> Engine<T> {
    /// Both phases, group by group: leaves the sums of the gradient over all examples, and the gradient of
    /// the biases, which is finite then.
    pub(super) fn in_groups(
        &mut self,
        pass: Pass<'_, '_, T>,
        group: usize,
    ) -> Result<(), NotFinite> {
        let m = pass.columns.len();
        for gradient in &mut self.gradient.layers {
            gradient.weights.fill(T::zero());
            gradient.bias.fill(T::zero());
        }
        for start in (0..m).step_by(group) {
            let batch = start..m.min(start + group);
            self.phase_1(&pass, batch.clone(), true)?;
            self.gather(batch.len());
            let tiles = &self.tiles[..batch.len().div_ceil(TILE)];
            let blocks = self.blocks.as_ref().expect("groups are for kernels");
            let (examples, columns) = (pass.examples, pass.columns.part(batch));
            side_by_side(self.gradient.layers.iter_mut().enumerate(), &|(l, gradient)| {
                let job = Job { l, share: T::one(), tiles, tile_width: TILE, examples, columns };
                blocks.run(&job, Sink::Add(gradient.weights.view_mut()));
                Ok(())
            })?;
        }
        let share: T = share_of_weight(self.tally.weight());
        for (l, gradient) in self.gradient.layers.iter_mut().enumerate() {
            gradient.bias *= share;
            gradient.weights *= share;
            if !all_finite(gradient.bias.view()) {
                return Err(NotFinite { what: "the gradient", layer: l + 1 });
            }
        }
        Ok(())
    }

    /// Whether the gradient of the weights is finite, too.
    pub(super) fn finish_groups(&self) -> Result<(), NotFinite> {
        let gradients = self.gradient.layers.iter().enumerate();
        let not = |(l, _)| NotFinite { what: "the gradient", layer: l + 1 };
        let mut bad = gradients.filter(|(_, layer)| !all_finite(layer.weights.view()));
        bad.next().map_or(Ok(()), |layer| Err(not(layer)))
    }
}
