//! One step of training, over buffers that are allocated once.
//!
//! Phase 1 runs in parallel over tiles of examples: forward, cost, and back to every `dZ`. Phase 2
//! runs in parallel over blocks of features: each block of `dW = dZ A_prev^T / m` is summed by one
//! task, tile after tile. Tiles and blocks follow from shapes, never from threads.

mod blocks;
mod gradients;
mod groups;
mod inputs;
mod normalize;
mod phase_2;
mod tile;

use std::ops::Range;

use dnn_core::{Columns, Element, FEATURE_BLOCK, Features, LayerParameters, Parameters};
use dnn_kernels::Kernels;
use dnn_layers::{BatchStatistics, Network};
use dnn_store::asking;
use ndarray::{Array2, ArrayView2, s};
use rayon::iter::{
    IndexedParallelIterator, IntoParallelRefIterator, IntoParallelRefMutIterator, ParallelIterator,
};

use self::blocks::Blocks;
pub(crate) use self::blocks::Rule;
pub(crate) use self::gradients::FIRST_DRAWS;
pub use self::gradients::gradients;
pub(crate) use self::groups::{TILE as GROUP_TILE, group};
use self::inputs::Inputs;
pub(crate) use self::inputs::{Way, way};
use self::tile::{Tile, Use};
use crate::backward::share_of_weight;
use crate::cost::Objective;
use crate::dropout::{Draws, MaskPlan};
use crate::evaluation::Tally;
use crate::{Examples, TrainError};

/// A tile is worth a task from about this many multiplications on.
const LEAST_WORK: usize = 1 << 20;

/// The most examples that are measured at a time, and about the most numbers of one kind for them.
const PASS: usize = 1024;
const MOST_NUMBERS: usize = 1 << 23;

/// Something stopped being finite: which numbers, and of which layer, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotFinite {
    pub(crate) what: &'static str,
    pub(crate) layer: usize,
}

impl NotFinite {
    pub(crate) fn at(self, step: u64, epoch: u64, batch: usize) -> TrainError {
        let Self { what, layer } = self;
        TrainError::NotFinite { what, layer, step, epoch, batch }
    }

    /// The error of measuring these examples, in place of a step.
    pub(crate) fn among(self, examples: Range<usize>) -> TrainError {
        let Self { what, layer } = self;
        let (first, last) = (examples.start, examples.end.saturating_sub(1));
        TrainError::NotFiniteHere { what, layer, first, last }
    }
}

/// What one pass works on.
#[derive(Clone, Copy)]
pub(crate) struct Pass<'p, 'e, T> {
    pub(crate) network: &'p Network<T>,
    pub(crate) objective: Objective<'p, T>,
    pub(crate) examples: &'p Examples<'e, T>,
    pub(crate) columns: Columns<'p>,
    /// The product of the first layer's weights with all examples, where it is known: then the columns are a
    /// run, and the first layer has no gradient but that of its bias.
    pub(crate) product: Option<ArrayView2<'p, f64>>,
    /// Set in training: batch normalisation goes by the batch, and dropout drops.
    pub(crate) draws: Option<Draws<'p>>,
}

impl<T> Pass<'_, '_, T> {
    /// The first layer's product with these examples, where it is known.
    fn product_of(&self, columns: Columns<'_>) -> Option<ArrayView2<'_, f64>> {
        let product = self.product.as_ref()?;
        let Columns::Run { start, len } = columns else {
            unreachable!("products are those of a run of examples");
        };
        Some(product.slice(s![.., start..start + len]))
    }
}

/// The buffers of a training run.
pub(crate) struct Engine<T> {
    tile_width: usize,
    /// Examples that go through both phases together, if not the whole batch does.
    group: Option<usize>,
    tiles: Vec<Tile<T>>,
    /// Layers that a tile goes through without asking the others: each but the first begins with a batch
    /// normalisation.
    segments: Vec<Range<usize>>,
    /// Of the last batch, for each segment but the first.
    statistics: Vec<BatchStatistics<T>>,
    masks: MaskPlan,
    gradient: Parameters<T>,
    /// One buffer per block of features, for the layer with the most blocks. Only the first layer's
    /// pixels or gathered columns are ever put there; other layers' inputs are read in place.
    scratch: Vec<Vec<T>>,
    /// Phase 2 by kernels, where there are any.
    blocks: Option<Blocks<T>>,
    /// What the tiles of a step find ready.
    inputs: Inputs<T>,
    tally: Tally,
}

/// The number of examples per tile: a function of shapes alone.
pub(crate) fn tile_width(parameters: usize, batch: usize) -> usize {
    let worthwhile = (LEAST_WORK / parameters.max(1)).max(16);
    batch.div_ceil(8).max(worthwhile).next_multiple_of(8).min(256).min(batch.max(1))
}

/// The number of features per block of the gradient of a layer with so many inputs.
pub(crate) fn block_width<T: Element>(inputs: usize) -> usize {
    if T::Kernels::VECTOR { blocks::width(inputs) } else { FEATURE_BLOCK }
}

/// Examples that are measured at a time: fewer where layers are wide, so that their `Z` and `A` stay
/// small beside the parameters.
fn pass<T: Element>(network: &Network<T>, examples: usize) -> usize {
    (MOST_NUMBERS / units(network).max(1)).clamp(1, PASS).min(examples)
}

/// Numbers per example in all layers.
fn units<T: Element>(network: &Network<T>) -> usize {
    network.stages().iter().map(|stage| stage.units).sum()
}

/// Numbers per example that only training keeps.
fn training_units<T: Element>(network: &Network<T>) -> usize {
    let of = |stage: &dnn_layers::Stage| {
        let normalized = usize::from(stage.normalization.is_some());
        stage.units * (normalized + if stage.dropout > 0.0 { 2 } else { 0 })
    };
    network.stages().iter().map(of).sum()
}

/// Checks that the system grants the memory for steps on `batch` examples and for measuring up to
/// `examples` at the same time, with `more` bytes beside them; a batch of 0 means no steps.
pub(crate) fn check_memory<T: Element>(
    network: &Network<T>,
    batch: usize,
    examples: usize,
    more: u128,
) -> Result<(), TrainError> {
    let parameters = network.parameters().count();
    let numbers = |examples: usize, arrays: u128| {
        let width = tile_width(parameters, examples).max(1) as u128;
        (examples as u128).next_multiple_of(width) * (arrays * units(network) as u128)
    };
    let kept = batch as u128 * training_units(network) as u128;
    let batch = group(network, batch).unwrap_or(batch);
    // `Z`, `A` and `dZ` of a step, `Z` and `A` of a pass, the gradient, and what makes it.
    let gradient = if batch == 0 {
        0
    } else {
        let layers = || network.parameters().layers.iter().map(|layer| layer.weights.dim());
        let ready = inputs::numbers::<T>(layers(), batch);
        parameters as u128 + blocks::numbers::<T>(layers(), batch) + ready
    };
    let all = gradient + kept + numbers(batch, 3) + numbers(pass(network, examples), 2);
    let needed = all * T::PRECISION.bytes() as u128 + more;
    // Asked for in one piece and given back: the parts that follow are smaller.
    let granted = usize::try_from(needed)
        .is_ok_and(|bytes| asking(|| Vec::<u8>::new().try_reserve_exact(bytes)).is_ok());
    if granted { Ok(()) } else { Err(TrainError::Memory { needed }) }
}

impl<T: Element> Engine<T> {
    /// Buffers for steps on up to `batch` examples like these.
    pub(crate) fn new(network: &Network<T>, batch: usize, x: &Features<'_, T>) -> Self {
        let group = group(network, batch);
        let mut engine = match group {
            Some(group) => Self::with_tiles_of(network, (GROUP_TILE, group), Use::Training),
            None => Self::with_tiles(network, batch, Use::Training),
        };
        engine.group = group;
        engine.gradient = network.parameters().zeros_like();
        engine.inputs = Inputs::new(network, batch, x);
        engine.with_phase_2(network, group.unwrap_or(batch))
    }

    /// Buffers for steps on `batch` examples of which the first layer's [product](Pass::product) is given.
    pub(crate) fn for_products(network: &Network<T>, batch: usize) -> Self {
        let layers = &network.parameters().layers;
        let rest: usize =
            layers[1..].iter().map(|layer| layer.weights.len() + layer.bias.len()).sum();
        let width = tile_width(rest + layers[0].bias.len(), batch);
        let mut engine = Self::with_tiles_of(network, (width, batch), Use::Training);
        let zeros = |layer: &LayerParameters<T>| LayerParameters {
            weights: Array2::zeros(layer.weights.dim()),
            bias: Array2::zeros(layer.bias.dim()),
        };
        let first = LayerParameters {
            weights: Array2::zeros((layers[0].weights.nrows(), 0)),
            bias: Array2::zeros(layers[0].bias.dim()),
        };
        engine.gradient.layers = [first].into_iter().chain(layers[1..].iter().map(zeros)).collect();
        engine.with_phase_2(network, batch)
    }

    /// With the buffers of phase 2 for the gradient that there is room for.
    fn with_phase_2(mut self, network: &Network<T>, batch: usize) -> Self {
        self.blocks = Blocks::new(network, batch);
        if self.blocks.is_none() {
            self.scratch = vec![Vec::new(); largest_blocks(&self.gradient)];
        }
        self
    }

    /// Buffers for [`forward`](Self::forward) alone, over any number of examples.
    pub(crate) fn for_measuring(network: &Network<T>, examples: usize) -> Self {
        Self::with_tiles(network, pass(network, examples), Use::Measuring)
    }

    /// Buffers for [`forward`](Self::forward) alone, as training runs it, over so many examples at once.
    pub(crate) fn for_slopes(network: &Network<T>, examples: usize) -> Self {
        Self::with_tiles(network, examples, Use::Slopes)
    }

    fn with_tiles(network: &Network<T>, batch: usize, purpose: Use) -> Self {
        let width = tile_width(network.parameters().count(), batch);
        Self::with_tiles_of(network, (width, batch), purpose)
    }

    fn with_tiles_of(
        network: &Network<T>,
        (tile_width, batch): (usize, usize),
        purpose: Use,
    ) -> Self {
        let tile = |_| Tile::new(network, tile_width, purpose);
        let stages = network.stages();
        let mut starts = vec![0];
        starts.extend((0..stages.len()).filter(|&l| stages[l].normalization.is_some()));
        let ends = starts.iter().skip(1).copied().chain([stages.len()]);
        let standard = |&l: &usize| BatchStatistics::standard(stages[l].units);
        Self {
            tile_width,
            group: None,
            tiles: (0..batch.div_ceil(tile_width)).map(tile).collect(),
            segments: starts.iter().copied().zip(ends).map(|(start, end)| start..end).collect(),
            statistics: starts[1..].iter().map(standard).collect(),
            masks: MaskPlan::new(network),
            gradient: Parameters { layers: Vec::new() },
            scratch: Vec::new(),
            blocks: None,
            inputs: Inputs::in_place(),
            tally: Tally::new(network.outputs()),
        }
    }

    /// The most examples that one pass takes.
    pub(crate) fn capacity(&self) -> usize {
        self.tile_width * self.tiles.len()
    }

    /// Examples in a tile.
    pub(crate) fn tile_width(&self) -> usize {
        self.tile_width
    }

    /// `dZ` of the first layer, tile by tile.
    pub(crate) fn first_dz(&self) -> impl IndexedParallelIterator<Item = ArrayView2<'_, T>> {
        self.tiles.par_iter().map(|tile| tile.dz(0))
    }

    /// What the last pass counted.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The gradient of the last [`backward`](Self::backward).
    pub(crate) fn gradient(&self) -> &Parameters<T> {
        &self.gradient
    }

    /// The same, to be changed before parameters follow it.
    pub(crate) fn gradient_mut(&mut self) -> &mut Parameters<T> {
        &mut self.gradient
    }

    /// The statistics of the last batch, for each batch normalisation.
    pub(crate) fn statistics(&self) -> &[BatchStatistics<T>] {
        &self.statistics
    }

    /// The first half of phase 1: outputs and costs.
    pub(crate) fn forward(&mut self, pass: Pass<'_, '_, T>) -> Result<&Tally, NotFinite> {
        self.tally.clear();
        self.phase_1(&pass, 0..pass.columns.len(), false)?;
        Ok(&self.tally)
    }

    /// Phase 1 of the examples at the positions `batch`.
    fn phase_1(
        &mut self,
        pass: &Pass<'_, '_, T>,
        batch: Range<usize>,
        backward: bool,
    ) -> Result<(), NotFinite> {
        debug_assert!(batch.len() <= self.capacity(), "a batch larger than the buffers");
        match pass.draws {
            None => {
                let width = self.tile_width;
                self.tiles[..batch.len().div_ceil(width)].par_iter_mut().enumerate().for_each(
                    |(index, tile)| {
                        let columns = pass.columns.part(positions(index, width, &batch));
                        tile.forward(pass, columns);
                        tile.cost(pass, columns);
                    },
                );
                self.sum_up(batch.len())
            }
            Some(draws) => self.training_phase_1(pass, batch, draws, backward),
        }
    }

    /// Through one segment after another; all tiles have to have come to the end of one before the next
    /// begins, in either direction.
    fn training_phase_1(
        &mut self,
        pass: &Pass<'_, '_, T>,
        batch: Range<usize>,
        draws: Draws<'_>,
        backward: bool,
    ) -> Result<(), NotFinite> {
        let (network, width, m) = (pass.network, self.tile_width, batch.len());
        let used = m.div_ceil(width);
        let masks = &self.masks.masks(network, draws, pass.columns.len());
        self.inputs.prepare(network, &pass.examples.features, pass.columns);
        let inputs = &self.inputs;
        for (index, segment) in self.segments.iter().enumerate() {
            let tiles = &mut self.tiles[..used];
            let statistics = index.checked_sub(1).map(|it| &mut self.statistics[it]);
            let statistics = statistics.map(|it| {
                normalize::statistics(tiles, segment.start, m, it);
                &*it
            });
            let last = index + 1 == self.segments.len();
            tiles.par_iter_mut().enumerate().for_each(|(index, tile)| {
                let positions = positions(index, width, &batch);
                let columns = pass.columns.part(positions.clone());
                let given = (statistics, inputs);
                tile.forward_segment(pass, segment.clone(), given, positions, masks);
                if last {
                    tile.cost(pass, columns);
                    if backward {
                        tile.backward_segment(network, segment.clone());
                    }
                }
            });
        }
        self.sum_up(m)?;
        self.check_statistics()?;
        if !backward {
            return Ok(());
        }
        let share = share_of_weight::<T>(self.tally.weight());
        for (index, segment) in self.segments.iter().enumerate().rev().skip(1) {
            let (tiles, l) = (&mut self.tiles[..used], segment.end);
            let sums = normalize::backward(tiles, network, l, m, &self.statistics[index]);
            let gradient = &mut self.gradient.layers[l];
            for (unit, [gamma, beta]) in sums.into_iter().enumerate() {
                gradient.weights[(unit, 0)] = T::from_f64(gamma) * share;
                gradient.bias[(unit, 0)] = T::from_f64(beta) * share;
            }
            tiles.par_iter_mut().for_each(|tile| tile.backward_segment(network, segment.clone()));
        }
        Ok(())
    }

    /// Refuses statistics that overflow although the numbers themselves do not: the normalised numbers would
    /// all be 0, as if there was nothing to learn from.
    fn check_statistics(&self) -> Result<(), NotFinite> {
        for (index, BatchStatistics { mean, variance }) in self.statistics.iter().enumerate() {
            if !mean.iter().chain(variance).all(|value| value.is_finite()) {
                let layer = self.segments[index].end + 1;
                return Err(NotFinite { what: "the mean or variance", layer });
            }
        }
        Ok(())
    }

    /// Adds up what the tiles of `m` examples found.
    fn sum_up(&mut self, m: usize) -> Result<(), NotFinite> {
        for tile in &self.tiles[..m.div_ceil(self.tile_width)] {
            if let Some(not_finite) = tile.not_finite {
                return Err(not_finite);
            }
            self.tally.add(&tile.tally);
        }
        Ok(())
    }
}

/// Which positions of `batch` a tile takes.
fn positions(tile: usize, width: usize, batch: &Range<usize>) -> Range<usize> {
    let start = batch.start + tile * width;
    start..batch.end.min(start + width)
}

/// The most blocks of features that any layer's gradient has.
fn largest_blocks<T>(gradient: &Parameters<T>) -> usize {
    let inputs = gradient.layers.iter().map(|layer| layer.weights.ncols());
    inputs.max().unwrap_or(0).div_ceil(FEATURE_BLOCK)
}

fn all_finite<T: Element>(values: ArrayView2<'_, T>) -> bool {
    values.fold(true, |finite, value| finite & value.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_follow_from_shapes() {
        // A small network takes as many examples at a time as there are, up to 256.
        assert_eq!(tile_width(608, 50), 50);
        assert_eq!(tile_width(608, 300), 256);
        // A large one shares a batch out in eighths, at least 16 and a multiple of 8.
        assert_eq!(tile_width(245_000, 64), 16);
        assert_eq!(tile_width(245_000, 209), 32);
        assert_eq!(tile_width(245_000, 6002), 256);
        assert_eq!(tile_width(245_000, 1), 1);
    }
}
