//! Parameters that follow their gradient while it is in cache.

use dnn_core::{Columns, Element};
use dnn_layers::Network;

use super::Engine;
use super::blocks::BlockJob;
use super::gradient::side_by_side;
use super::part::Part;
use super::target::{GradientTarget, Rule};
use super::tile::NotFinite;
use crate::backward::share_of_weight;
use crate::{Examples, OptimizerState};

impl<T: Element> Engine<T> {
    /// The gradient of the weights after [`forward_backward`](Self::forward_backward), and all others, straight into
    /// the parameters of `network`, which is that of the step, where [`stays_in_range`](Self::stays_in_range) says
    /// that it may be.
    pub(crate) fn apply(
        &mut self,
        network: &mut Network<T>,
        examples: &Examples<'_, T>,
        columns: Columns<'_>,
        rule: Rule<T>,
        state: &mut OptimizerState<T>,
    ) -> Result<(), NotFinite> {
        let share = share_of_weight(self.tally.weight());
        let tile_width = self.tile_width;
        let tiles = &self.tiles[..columns.len().div_ceil(tile_width)];
        let Some(blocks) = &self.blocks else { unreachable!("asked for by those who have them") };
        let parts = &self.parts;
        let arrays = self.gradient.iter_mut().zip(network.tensors_mut());
        let arrays = arrays.zip(state.arrays_mut()).enumerate();
        let arrays = arrays.filter(|(_, ((gradient, _), _))| !gradient.is_empty());
        side_by_side(arrays, &|(index, ((gradient, tensor), memory))| {
            let (layer, spec) = (tensor.layer(), *tensor.spec());
            let mut values = tensor.values_mut();
            let finite = if parts[index] == Part::Weights {
                let tensor = index;
                let job = BlockJob { layer, tensor, share, tiles, tile_width, examples, columns };
                blocks.run(&job, GradientTarget::Apply { weights: values, memory, rule })
            } else {
                let decays = spec.decays;
                rule.prepare(&mut gradient.view_mut(), decays.then(|| values.view()));
                rule.step.update(values.view_mut(), gradient.view(), memory, decays)
            };
            if finite { Ok(()) } else { Err(NotFinite { what: spec.name, layer }) }
        })
    }
}
