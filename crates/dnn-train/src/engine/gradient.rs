//! From the gradients of what every layer gives to those of the arrays.
//!
//! Two ways, chosen by the kind of layer (`GradientBy`):
//!
//! ```text
//! by block:  dW of some features = sum over all examples of dZ A_prev^T, by one task, 64 examples after 64
//! by group:  each tile sums its own, or a few tiles one after another the same; ((t0 + t1) + (t2 + t3)) + …, whoever holds a whole subtree may add it alone
//! ```
//! Layers go side by side: a small one leaves no thread waiting.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use dnn_core::{Columns, Element, FEATURE_BLOCK, Features};
use dnn_kernels::{KernelPath, Pairs, for_each_part, join};
use dnn_layers::Network;
use ndarray::{Array2, ArrayViewMut2, Axis};

use super::blocks::BlockJob;
use super::part::Part;
use super::plan::GROUP_TILE;
use super::target::GradientTarget;
use super::tile::{NotFinite, Tile, all_finite};
use super::{Engine, StepContext};
use crate::Examples;
use crate::backward::{
    AddPixels, StoredGradient, SumsOf, accumulate_bias, backward, share_of_weight,
};
use crate::tally::Tally;

impl<T: Element> Engine<T> {
    /// Forward and back, and the gradient of the mean cost of the examples.
    pub(crate) fn gradient_of(
        &mut self,
        context: StepContext<'_, '_, T>,
    ) -> Result<&Tally, NotFinite> {
        self.forward_backward(context)?;
        self.store_gradient(context)?;
        Ok(&self.tally)
    }

    /// Forward, cost, and back to the gradient of what every layer gives, and with it to the gradients of all
    /// arrays but the weights of dense layers; these are finite then. In groups, the weights' are summed with it.
    pub(crate) fn forward_backward(
        &mut self,
        context: StepContext<'_, '_, T>,
    ) -> Result<(), NotFinite> {
        debug_assert!(context.draws.is_some(), "gradients are those of training");
        self.tally.clear();
        if let Some(group) = self.group {
            return self.in_groups(context, group);
        }
        let (network, m) = (context.network, context.columns.len());
        self.forward_backward_of(&context, 0..m)?;
        for (index, gradient) in self.gradient.iter_mut().enumerate() {
            if self.parts[index] == Part::Bias {
                gradient.fill(T::zero());
            }
        }
        self.gather(network, m);
        let share: T = share_of_weight(self.tally.weight());
        let used = m.div_ceil(self.tile_width);
        let parts = &self.parts;
        let by_group = |index: &usize| parts[*index] == Part::Group;
        add_by_tree(
            &mut self.tiles[..used],
            self.together,
            &|left: &mut Tile<T>, right: &mut Tile<T>| {
                for index in (0..parts.len()).filter(by_group) {
                    let (to, from) =
                        (&mut left.sums_of_gradients[index], &right.sums_of_gradients[index]);
                    add(to, from);
                }
            },
        );
        for (index, tensor) in network.tensors().iter().enumerate() {
            let gradient = &mut self.gradient[index];
            match self.parts[index] {
                Part::Weights => continue,
                // The way back had to have these sums already.
                Part::Other => {}
                Part::Bias => *gradient *= share,
                Part::Group => {
                    let l = tensor.layer();
                    backward::<T>(&network.layers()[l]).store_gradient(StoredGradient {
                        of: SumsOf {
                            shape: network.layer_input(l),
                            tensor: index - network.tensor_range(l).start,
                            convolution: &self.places.convolution,
                        },
                        sums: &self.tiles[0].sums_of_gradients[index],
                        share,
                        gradient,
                    });
                }
            }
            if !all_finite(gradient.view()) {
                return Err(NotFinite { what: "gradient", layer: tensor.layer() });
            }
        }
        Ok(())
    }

    /// Takes what dense layers need of the tiles of `m` examples: all `dZ` for the gradients of the weights, and
    /// their sums, which are added to those of the biases.
    fn gather(&mut self, network: &Network<T>, m: usize) {
        let width = self.tile_width;
        let tiles = &self.tiles[..m.div_ceil(width)];
        let gathered = self.blocks.as_mut().into_iter().flat_map(|blocks| &mut blocks.tensors);
        let gathered = gathered.map(Some).chain(std::iter::repeat_with(|| None));
        let parts = &self.parts;
        let arrays = self.gradient.iter_mut().zip(gathered).enumerate();
        let arrays = arrays.filter(|(_, (gradient, _))| !gradient.is_empty());
        side_by_side(arrays, &|(index, (gradient, gathered))| {
            let layer = network.tensors()[index].layer();
            match (parts[index], gathered) {
                (Part::Bias, _) => {
                    for tile in tiles {
                        accumulate_bias(tile.gradient(layer), gradient.view_mut());
                    }
                }
                (Part::Weights, Some(gathered)) => gathered.gather(layer, tiles, width, m),
                _ => {}
            }
            Ok(())
        })
        .expect("nothing fails");
    }

    /// The gradients of the weights of dense layers, after [`forward_backward`](Self::forward_backward).
    pub(crate) fn store_gradient(
        &mut self,
        context: StepContext<'_, '_, T>,
    ) -> Result<(), NotFinite> {
        let network = context.network;
        if self.group.is_some() {
            return self.check_weights(network);
        }
        let StepContext { examples, columns, .. } = context;
        let share = share_of_weight(self.tally.weight());
        let tile_width = self.tile_width;
        let tiles = &self.tiles[..columns.len().div_ceil(tile_width)];
        let parts = &self.parts;
        let arrays = self.gradient.iter_mut().enumerate();
        let mut arrays = arrays
            .filter(|(index, gradient)| !gradient.is_empty() && parts[*index] == Part::Weights);
        let stored = |layer, finite| {
            if finite { Ok(()) } else { Err(NotFinite { what: "gradient", layer }) }
        };
        if let Some(blocks) = &self.blocks {
            return side_by_side(arrays, &|(tensor, gradient)| {
                let layer = network.tensors()[tensor].layer();
                let job = BlockJob { layer, tensor, share, tiles, tile_width, examples, columns };
                stored(layer, blocks.run(&job, GradientTarget::Store(gradient.view_mut())))
            });
        }
        arrays.try_for_each(|(tensor, gradient)| {
            let layer = network.tensors()[tensor].layer();
            let first = gradient.axis_chunks_iter_mut(Axis(1), FEATURE_BLOCK);
            let blocks = Pairs { first, second: &mut self.scratch[..] };
            let finite = AtomicBool::new(true);
            for_each_part(blocks, &|block, (dw, scratch)| {
                let first = block * FEATURE_BLOCK;
                let features = first..first + dw.ncols();
                let job = PlainBlock { layer, share, tiles, examples, columns, features };
                if !job.sum(scratch, dw) {
                    finite.store(false, Ordering::Relaxed);
                }
            });
            stored(layer, finite.into_inner())
        })
    }

    /// Whether parameters may follow their gradient as it is made: no number of it can stop being finite on
    /// the way, as the lengths of what it is made of show. `largest` is the largest size of an input.
    pub(crate) fn stays_in_range(&self, context: StepContext<'_, '_, T>, largest: f64) -> bool {
        let Some(blocks) = self.blocks.as_ref().filter(|_| self.group.is_none()) else {
            return false;
        };
        let (parts, m) = (&self.parts, context.columns.len());
        let weights = self
            .gradient
            .iter()
            .enumerate()
            .filter(|(index, gradient)| !gradient.is_empty() && parts[*index] == Part::Weights);
        let mut weights = weights;
        weights.all(|(index, _)| blocks.stays_in_range(index, m, largest))
    }

    /// Large batches in groups of examples, which go forward and back one after the other, so that the inputs of a
    /// group are still near the processor when its gradient reads them again: leaves the sums of the gradient
    /// over all examples, and the gradient of the biases, which is finite then.
    fn in_groups(
        &mut self,
        context: StepContext<'_, '_, T>,
        group: usize,
    ) -> Result<(), NotFinite> {
        let (network, m) = (context.network, context.columns.len());
        self.gradient.iter_mut().for_each(|gradient| gradient.fill(T::zero()));
        for start in (0..m).step_by(group) {
            let batch = start..m.min(start + group);
            self.forward_backward_of(&context, batch.clone())?;
            self.gather(network, batch.len());
            let tile_width = GROUP_TILE;
            let tiles = &self.tiles[..batch.len().div_ceil(tile_width)];
            let blocks = self.blocks.as_ref().expect("groups are for kernels");
            let (examples, columns) = (context.examples, context.columns.part(batch));
            let parts = &self.parts;
            let arrays =
                self.gradient.iter_mut().enumerate().filter(|(index, gradient)| {
                    !gradient.is_empty() && parts[*index] == Part::Weights
                });
            side_by_side(arrays, &|(tensor, gradient)| {
                let (layer, share) = (network.tensors()[tensor].layer(), T::one());
                let job = BlockJob { layer, tensor, share, tiles, tile_width, examples, columns };
                blocks.run(&job, GradientTarget::Add(gradient.view_mut()));
                Ok(())
            })?;
        }
        let share: T = share_of_weight(self.tally.weight());
        for (index, gradient) in self.gradient.iter_mut().enumerate() {
            *gradient *= share;
            if self.parts[index] == Part::Bias && !all_finite(gradient.view()) {
                return Err(NotFinite {
                    what: "gradient",
                    layer: network.tensors()[index].layer(),
                });
            }
        }
        Ok(())
    }

    /// Whether the gradient of the weights is finite, too.
    fn check_weights(&self, network: &Network<T>) -> Result<(), NotFinite> {
        match self.gradient.iter().position(|gradient| !all_finite(gradient.view())) {
            Some(index) => {
                Err(NotFinite { what: "gradient", layer: network.tensors()[index].layer() })
            }
            None => Ok(()),
        }
    }
}

/// Adds what groups of examples give to that of the first, by a tree that their number alone decides: neighbours, then
/// pairs of neighbours, and so on. The first of every `apart` parts has what a group gives. The one seam where several
/// processes would exchange what they have.
fn add_by_tree<P: Send>(parts: &mut [P], apart: usize, add: &(impl Fn(&mut P, &mut P) + Sync)) {
    let groups = parts.len().div_ceil(apart);
    if groups < 2 {
        return;
    }
    let (left, right) = parts.split_at_mut(groups.next_power_of_two() / 2 * apart);
    join(|| add_by_tree(left, apart, add), || add_by_tree(right, apart, add));
    add(&mut left[0], &mut right[0]);
}

/// `to += from`.
fn add<T: Element>(to: &mut Array2<T>, from: &Array2<T>) {
    if let (Some(sums), Some(numbers)) = (to.as_slice_mut(), from.as_slice()) {
        KernelPath::best().vectorized(AddPixels { sums, numbers });
    } else {
        *to += from;
    }
}

/// Arrays whose work goes side by side: each takes a frame of the stack, which ends long before layers do.
const AT_ONCE: usize = 64;

/// Does the work of every item, that of [`AT_ONCE`] at a time side by side; gives the first failure in their
/// order.
pub(super) fn side_by_side<I: Send>(
    items: impl Iterator<Item = I> + Send,
    work: &(impl Fn(I) -> Result<(), NotFinite> + Sync),
) -> Result<(), NotFinite> {
    let mut items = items.peekable();
    while items.peek().is_some() {
        first_beside_rest(&mut items, AT_ONCE, work)?;
    }
    Ok(())
}

/// Does the work of up to `most` items, that of the later ones beside that of the first.
fn first_beside_rest<I: Send>(
    items: &mut (impl Iterator<Item = I> + Send),
    most: usize,
    work: &(impl Fn(I) -> Result<(), NotFinite> + Sync),
) -> Result<(), NotFinite> {
    let Some(first) = (most > 0).then(|| items.next()).flatten() else { return Ok(()) };
    let (first, rest) = join(|| work(first), || first_beside_rest(items, most - 1, work));
    first.and(rest)
}

/// Some features of the gradient of a dense layer's weights, without kernels.
struct PlainBlock<'j, 'e, T> {
    layer: usize,
    share: T,
    tiles: &'j [Tile<T>],
    examples: &'j Examples<'e, T>,
    columns: Columns<'j>,
    features: Range<usize>,
}

impl<T: Element> PlainBlock<'_, '_, T> {
    /// `dw = share * dZ A_prev^T`, tile after tile; false if it is not finite.
    fn sum(&self, scratch: &mut Vec<T>, mut dw: ArrayViewMut2<'_, T>) -> bool {
        dw.fill(T::zero());
        let (layer, share, mut start) = (self.layer, self.share, 0);
        for tile in self.tiles {
            let (dz, dw, features) = (tile.gradient(layer), dw.view_mut(), self.features.clone());
            let len = tile.caches.examples();
            if let Some(a_prev) = tile.caches.layer_input(layer) {
                let (a_prev, columns) = (Features::Real(a_prev), Columns::Run { start: 0, len });
                a_prev.accumulate_gradient(share, dz, features, columns, scratch, dw);
            } else {
                let columns = self.columns.part(start..start + len);
                let x = &self.examples.features;
                x.accumulate_gradient(share, dz, features, columns, scratch, dw);
            }
            start += len;
        }
        all_finite(dw.view())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_added_by_a_tree() {
        // ((1e16 + 1) + (1 - 1e16)) + 1: in a chain the first 1 would be lost, and so would the second.
        let mut parts = [1e16, 1.0, 1.0, -1e16, 1.0_f64];
        add_by_tree(&mut parts, 1, &|left: &mut f64, right: &mut f64| *left += *right);
        assert_eq!(parts[0], ((1e16 + 1.0) + (1.0 - 1e16)) + 1.0);
        // Of every two parts the first.
        let mut parts = [1.0, f64::NAN, 2.0, f64::NAN, 4.0];
        add_by_tree(&mut parts, 2, &|left: &mut f64, right: &mut f64| *left += *right);
        assert_eq!(parts[0], 7.0);
        add_by_tree(&mut [], 1, &|(): &mut (), (): &mut ()| unreachable!("nothing to add"));
    }
}
