//! From the `dZ` of all tiles to the gradient, or straight to the parameters.
//!
//! The layers go side by side: a small one leaves no thread waiting.

use std::ops::Range;

use dnn_core::{Columns, Element, FEATURE_BLOCK, Features};
use dnn_layers::Network;
use ndarray::{ArrayViewMut2, Axis};
use rayon::iter::{
    IndexedParallelIterator, IntoParallelIterator, IntoParallelRefMutIterator, ParallelIterator,
};

use super::blocks::{Job, Rule, Sink};
use super::tile::Tile;
use super::{Engine, NotFinite, Pass, all_finite};
use crate::backward::{accumulate_bias, share_of_weight};
use crate::evaluation::Tally;
use crate::{Examples, OptimizerState};

impl<T: Element> Engine<T> {
    /// Both phases: also the gradient of the mean cost of the examples.
    pub(crate) fn backward(&mut self, pass: Pass<'_, '_, T>) -> Result<&Tally, NotFinite> {
        self.back_to_every_dz(pass)?;
        self.store_gradient(pass)?;
        Ok(&self.tally)
    }

    /// Phase 1: forward, cost, and back to every `dZ`, and with it to the gradients of the biases and of
    /// batch normalisation, which are finite then. In groups, phase 2 is done with it.
    pub(crate) fn back_to_every_dz(&mut self, pass: Pass<'_, '_, T>) -> Result<(), NotFinite> {
        debug_assert!(pass.draws.is_some(), "gradients are those of training");
        self.tally.clear();
        if let Some(group) = self.group {
            return self.in_groups(pass, group);
        }
        let m = pass.columns.len();
        self.phase_1(&pass, 0..m, true)?;
        for l in 0..self.gradient.layers.len() {
            if !self.is_normalized(l) {
                self.gradient.layers[l].bias.fill(T::zero());
            }
        }
        self.gather(m);
        let share: T = share_of_weight(self.tally.weight());
        for (l, gradient) in self.gradient.layers.iter_mut().enumerate() {
            // Phase 1 had to have the sums of batch normalisation already.
            let finite = if is_normalized(&self.segments, l) {
                all_finite(gradient.weights.view())
            } else {
                gradient.bias *= share;
                true
            };
            if !finite || !all_finite(gradient.bias.view()) {
                return Err(NotFinite { what: "the gradient", layer: l + 1 });
            }
        }
        Ok(())
    }

    /// Takes `dZ` of the dense layers over from the tiles of `m` examples, and adds its sums to the gradients
    /// of the biases.
    pub(super) fn gather(&mut self, m: usize) {
        let width = self.tile_width;
        let tiles = &self.tiles[..m.div_ceil(width)];
        let segments = &self.segments;
        let gathered = self.blocks.as_mut().into_iter().flat_map(|blocks| &mut blocks.layers);
        let gathered = gathered.map(Some).chain(std::iter::repeat_with(|| None));
        let layers = self.gradient.layers.iter_mut().zip(gathered).enumerate();
        side_by_side(layers.filter(|&(l, _)| !is_normalized(segments, l)), &|(
            l,
            (gradient, gathered),
        )| {
            for tile in tiles {
                accumulate_bias(tile.dz(l), gradient.bias.view_mut());
            }
            if let Some(gathered) = gathered.filter(|_| !gradient.weights.is_empty()) {
                gathered.gather(l, (tiles, width), m);
            }
            Ok(())
        })
        .expect("nothing fails");
    }

    /// Phase 2 after [`back_to_every_dz`](Self::back_to_every_dz), into the gradient.
    pub(crate) fn store_gradient(&mut self, pass: Pass<'_, '_, T>) -> Result<(), NotFinite> {
        if self.group.is_some() {
            return self.finish_groups();
        }
        let Pass { examples, columns, .. } = pass;
        let share = share_of_weight(self.tally.weight());
        let tile_width = self.tile_width;
        let tiles = &self.tiles[..columns.len().div_ceil(tile_width)];
        let segments = &self.segments;
        let layers = self.gradient.layers.iter_mut().enumerate();
        let mut layers = layers
            .filter(|(l, gradient)| !is_normalized(segments, *l) && !gradient.weights.is_empty());
        let stored = |l, finite| {
            if finite { Ok(()) } else { Err(NotFinite { what: "the gradient", layer: l + 1 }) }
        };
        if let Some(blocks) = &self.blocks {
            return side_by_side(layers, &|(l, gradient)| {
                let job = Job { l, share, tiles, tile_width, examples, columns };
                stored(l, blocks.run(&job, Sink::Store(gradient.weights.view_mut())))
            });
        }
        layers.try_for_each(|(l, gradient)| {
            let blocks = gradient.weights.axis_chunks_iter_mut(Axis(1), FEATURE_BLOCK);
            let blocks = blocks.into_par_iter().zip(self.scratch.par_iter_mut()).enumerate();
            let finite = blocks.map(|(block, (dw, scratch))| {
                let first = block * FEATURE_BLOCK;
                let rows = first..first + dw.ncols();
                weight_gradient((l, share), tiles, examples, columns, rows, scratch, dw)
            });
            stored(l, finite.reduce(|| true, |a, b| a && b))
        })
    }

    /// Whether phase 2 may change parameters as it goes: no number of the gradient can stop being finite on
    /// the way, as the lengths of what it is made of show. `largest` is the largest size of an input.
    pub(crate) fn stays_in_range(&self, pass: Pass<'_, '_, T>, largest: f64) -> bool {
        let Some(blocks) = self.blocks.as_ref().filter(|_| self.group.is_none()) else {
            return false;
        };
        let m = pass.columns.len();
        (0..self.gradient.layers.len())
            .filter(|&l| !self.is_normalized(l))
            .all(|l| blocks.stays_in_range(l, m, largest))
    }

    /// Phase 2 after [`back_to_every_dz`](Self::back_to_every_dz), straight into the parameters of `network`, which is
    /// that of the pass, where [`stays_in_range`](Self::stays_in_range) says that it may.
    pub(crate) fn apply(
        &mut self,
        network: &mut Network<T>,
        (examples, columns): (&Examples<'_, T>, Columns<'_>),
        rule: Rule<T>,
        state: &mut OptimizerState<T>,
    ) -> Result<(), NotFinite> {
        let share = share_of_weight(self.tally.weight());
        let tile_width = self.tile_width;
        let tiles = &self.tiles[..columns.len().div_ceil(tile_width)];
        let Some(blocks) = &self.blocks else { unreachable!("asked for by those who have them") };
        let segments = &self.segments;
        let layers = self.gradient.layers.iter_mut().zip(network.layers_mut());
        let layers = layers.zip(state.layers_mut()).enumerate();
        side_by_side(layers, &|(l, ((gradient, layer), (memory, of_bias)))| {
            let finite = if is_normalized(segments, l) {
                rule.clip(&mut gradient.weights.view_mut());
                rule.step.update(layer.weights, gradient.weights.view(), memory, false)
            } else {
                let job = Job { l, share, tiles, tile_width, examples, columns };
                blocks.run(&job, Sink::Apply { weights: layer.weights, memory, rule })
            };
            if !finite {
                return Err(NotFinite { what: "the weights", layer: l + 1 });
            }
            rule.clip(&mut gradient.bias.view_mut());
            if !rule.step.update(layer.bias, gradient.bias.view(), of_bias, false) {
                return Err(NotFinite { what: "the bias", layer: l + 1 });
            }
            Ok(())
        })
    }

    /// Whether layer `l` is a batch normalisation.
    fn is_normalized(&self, l: usize) -> bool {
        is_normalized(&self.segments, l)
    }
}

/// Whether layer `l` is a batch normalisation: all segments but the first begin with one.
fn is_normalized(segments: &[Range<usize>], l: usize) -> bool {
    segments.binary_search_by_key(&l, |segment| segment.start).is_ok_and(|index| index > 0)
}

/// Layers whose work goes side by side: each takes a frame of the stack, which ends long before layers do.
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
    let (first, rest) = rayon::join(|| work(first), || first_beside_rest(items, most - 1, work));
    first.and(rest)
}

/// `dw = share * dZ A_prev^T` for the features `rows`, tile after tile; false if it is not finite.
fn weight_gradient<T: Element>(
    (l, share): (usize, T),
    tiles: &[Tile<T>],
    examples: &Examples<'_, T>,
    columns: Columns<'_>,
    rows: Range<usize>,
    scratch: &mut Vec<T>,
    mut dw: ArrayViewMut2<'_, T>,
) -> bool {
    dw.fill(T::zero());
    let mut start = 0;
    for tile in tiles {
        let (dz, dw, rows) = (tile.dz(l), dw.view_mut(), rows.clone());
        let len = tile.caches.examples();
        if l == 0 {
            let columns = columns.part(start..start + len);
            examples.features.accumulate_gradient(share, dz, rows, columns, scratch, dw);
        } else {
            let a_prev = Features::Real(tile.caches.passed_on(l - 1));
            let columns = Columns::Run { start: 0, len };
            a_prev.accumulate_gradient(share, dz, rows, columns, scratch, dw);
        }
        start += len;
    }
    all_finite(dw.view())
}
