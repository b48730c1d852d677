//! One step of training, over buffers that are allocated once.
//!
//! Phase 1 runs in parallel over tiles of examples: forward, cost, and back to every `dZ`. Phase 2
//! runs in parallel over blocks of features: each block of `dW = dZ A_prev^T / m` is summed by one
//! task, tile after tile. Tiles and blocks follow from shapes, never from threads.

use std::ops::Range;

use dnn_core::{Columns, Element, FEATURE_BLOCK, Features, Parameters};
use dnn_layers::{ForwardCaches, Network};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, ShapeBuilder, s};
use rayon::iter::{
    IndexedParallelIterator, IntoParallelIterator, IntoParallelRefMutIterator, ParallelIterator,
};

use crate::backward::{accumulate_bias, propagate, share_of};
use crate::evaluation::Tally;
use crate::{Cost, Examples, TrainError};

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

/// The buffers of a training run.
pub(crate) struct Engine<T> {
    tile_width: usize,
    tiles: Vec<Tile<T>>,
    gradient: Parameters<T>,
    /// One buffer per block of features, for the layer with the most blocks. Only the first layer's
    /// pixels or gathered columns are ever put there; other layers' inputs are read in place.
    scratch: Vec<Vec<T>>,
    tally: Tally,
}

/// A tile of examples on its way through all layers.
struct Tile<T> {
    caches: ForwardCaches<T>,
    /// `dZ` of each layer, after phase 1.
    dz: Vec<Array2<T>>,
    tally: Tally,
    not_finite: Option<NotFinite>,
}

/// The number of examples per tile: a function of shapes alone.
fn tile_width(parameters: usize, batch: usize) -> usize {
    let worthwhile = (LEAST_WORK / parameters.max(1)).max(16);
    batch.div_ceil(8).max(worthwhile).next_multiple_of(8).min(256).min(batch.max(1))
}

/// Examples that are measured at a time: fewer where layers are wide, so that their `Z` and `A` stay
/// small beside the parameters.
fn pass<T: Element>(network: &Network<T>, examples: usize) -> usize {
    (MOST_NUMBERS / units(network).max(1)).clamp(1, PASS).min(examples)
}

/// Numbers per example in all layers.
fn units<T: Element>(network: &Network<T>) -> usize {
    network.parameters().layers.iter().map(|layer| layer.weights.nrows()).sum()
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
        let tiles = examples.next_multiple_of(tile_width(parameters, examples).max(1));
        arrays * tiles as u128 * units(network) as u128
    };
    // `Z`, `A` and `dZ` of a step, `Z` and `A` of a pass, and the gradient.
    let gradient = if batch == 0 { 0 } else { parameters as u128 };
    let all = gradient + numbers(batch, 3) + numbers(pass(network, examples), 2);
    let needed = all * T::PRECISION.bytes() as u128 + more;
    // Asked for in one piece and given back: the parts that follow are smaller.
    let granted = usize::try_from(needed)
        .is_ok_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok());
    if granted { Ok(()) } else { Err(TrainError::Memory { needed }) }
}

impl<T: Element> Engine<T> {
    /// Buffers for steps on up to `batch` examples.
    pub(crate) fn new(network: &Network<T>, batch: usize) -> Self {
        let mut engine = Self::with_tiles(network, batch, true);
        engine.gradient = network.parameters().zeros_like();
        engine.scratch = vec![Vec::new(); largest_layer_blocks(network)];
        engine
    }

    /// Buffers for [`forward`](Self::forward) alone, over any number of examples.
    pub(crate) fn for_measuring(network: &Network<T>, examples: usize) -> Self {
        Self::with_tiles(network, pass(network, examples), false)
    }

    fn with_tiles(network: &Network<T>, batch: usize, backward: bool) -> Self {
        let tile_width = tile_width(network.parameters().count(), batch);
        let (widths, depth) = (network.widths(), network.parameters().layers.len());
        let dz = |l: usize| {
            // Measuring needs that of the last layer alone, which the cost writes.
            let columns = if backward || l + 1 == depth { tile_width } else { 0 };
            Array2::zeros((widths[l + 1], columns).f())
        };
        let tile = || Tile {
            caches: network.caches(tile_width),
            dz: (0..depth).map(dz).collect(),
            tally: Tally::new(network.outputs()),
            not_finite: None,
        };
        Self {
            tile_width,
            tiles: (0..batch.div_ceil(tile_width)).map(|_| tile()).collect(),
            gradient: Parameters { layers: Vec::new() },
            scratch: Vec::new(),
            tally: Tally::new(network.outputs()),
        }
    }

    /// The most examples that one pass takes.
    pub(crate) fn capacity(&self) -> usize {
        self.tile_width * self.tiles.len()
    }

    /// The gradient of the last [`backward`](Self::backward).
    pub(crate) fn gradient(&self) -> &Parameters<T> {
        &self.gradient
    }

    /// The same, to be changed before parameters follow it.
    pub(crate) fn gradient_mut(&mut self) -> &mut Parameters<T> {
        &mut self.gradient
    }

    /// The first half of phase 1 for the examples `columns`: their outputs and costs.
    pub(crate) fn forward(
        &mut self,
        network: &Network<T>,
        cost: Cost,
        examples: &Examples<'_, T>,
        columns: Columns<'_>,
    ) -> Result<&Tally, NotFinite> {
        self.phase_1(network, cost, examples, columns, false)
    }

    /// Both phases for the examples `columns`: also the gradient of their mean cost.
    pub(crate) fn backward(
        &mut self,
        network: &Network<T>,
        cost: Cost,
        examples: &Examples<'_, T>,
        columns: Columns<'_>,
    ) -> Result<&Tally, NotFinite> {
        self.phase_1(network, cost, examples, columns, true)?;
        let (width, m) = (self.tile_width, columns.len());
        let tiles = &self.tiles[..m.div_ceil(width)];
        for (l, gradient) in self.gradient.layers.iter_mut().enumerate() {
            let blocks = gradient.weights.axis_chunks_iter_mut(Axis(1), FEATURE_BLOCK);
            let finite = blocks
                .into_par_iter()
                .zip(self.scratch.par_iter_mut())
                .enumerate()
                .map(|(block, (dw, scratch))| {
                    let first = block * FEATURE_BLOCK;
                    let rows = first..first + dw.ncols();
                    weight_gradient(l, tiles, examples, columns, rows, scratch, dw)
                })
                .reduce(|| true, |a, b| a && b);
            gradient.bias.fill(T::zero());
            for tile in tiles {
                accumulate_bias(tile.dz(l), gradient.bias.view_mut());
            }
            gradient.bias *= share_of::<T>(m);
            if !finite || !all_finite(gradient.bias.view()) {
                return Err(NotFinite { what: "the gradient", layer: l + 1 });
            }
        }
        Ok(&self.tally)
    }

    fn phase_1(
        &mut self,
        network: &Network<T>,
        cost: Cost,
        examples: &Examples<'_, T>,
        columns: Columns<'_>,
        backward: bool,
    ) -> Result<&Tally, NotFinite> {
        debug_assert!(columns.len() <= self.capacity(), "a batch larger than the buffers");
        let (width, m) = (self.tile_width, columns.len());
        let tiles = &mut self.tiles[..m.div_ceil(width)];
        tiles.par_iter_mut().enumerate().for_each(|(index, tile)| {
            let columns = columns.part(index * width..m.min((index + 1) * width));
            tile.forward(network, cost, examples, columns);
            if backward {
                tile.backward(network);
            }
        });
        self.tally.clear();
        for tile in tiles {
            if let Some(not_finite) = tile.not_finite {
                return Err(not_finite);
            }
            self.tally.add(&tile.tally);
        }
        Ok(&self.tally)
    }
}

/// The most blocks of features that any layer has.
fn largest_layer_blocks<T: Element>(network: &Network<T>) -> usize {
    let inputs = network.parameters().layers.iter().map(|layer| layer.weights.ncols());
    inputs.max().unwrap_or(0).div_ceil(FEATURE_BLOCK)
}

/// `dw = dZ A_prev^T / m` for the features `rows`, tile after tile; false if it is not finite.
fn weight_gradient<T: Element>(
    l: usize,
    tiles: &[Tile<T>],
    examples: &Examples<'_, T>,
    columns: Columns<'_>,
    rows: Range<usize>,
    scratch: &mut Vec<T>,
    mut dw: ArrayViewMut2<'_, T>,
) -> bool {
    let share = share_of(columns.len());
    dw.fill(T::zero());
    let mut start = 0;
    for tile in tiles {
        let (dz, dw, rows) = (tile.dz(l), dw.view_mut(), rows.clone());
        let len = tile.caches.examples();
        if l == 0 {
            let columns = columns.part(start..start + len);
            examples.features.accumulate_gradient(share, dz, rows, columns, scratch, dw);
        } else {
            let a_prev = Features::Real(tile.caches.a(l - 1));
            let columns = Columns::Run { start: 0, len };
            a_prev.accumulate_gradient(share, dz, rows, columns, scratch, dw);
        }
        start += len;
    }
    all_finite(dw.view())
}

impl<T: Element> Tile<T> {
    /// `dZ` of layer `l` for the examples that the tile holds now.
    fn dz(&self, l: usize) -> ArrayView2<'_, T> {
        self.dz[l].slice(s![.., ..self.caches.examples()])
    }

    /// Outputs, costs and `dZ` of the last layer.
    fn forward(
        &mut self,
        network: &Network<T>,
        cost: Cost,
        examples: &Examples<'_, T>,
        columns: Columns<'_>,
    ) {
        network.forward_into(&examples.features, columns, &mut self.caches);
        let depth = self.caches.len();
        self.not_finite = (0..depth)
            .find(|&l| !all_finite(self.caches.z(l)))
            .map(|l| NotFinite { what: "the output Z", layer: l + 1 });
        let (z, a) = (self.caches.logits(), self.caches.output());
        let dz = self.dz[depth - 1].slice_mut(s![.., ..columns.len()]);
        let targets = &examples.targets;
        let sum = cost.sum_and_gradient(network.head(), (z, a), targets, columns, dz);
        if self.not_finite.is_none() && !sum.is_finite() {
            self.not_finite = Some(NotFinite { what: "the cost", layer: depth });
        }
        self.tally.clear();
        self.tally.add_outputs(network, a, targets, columns, sum);
    }

    /// `dZ` of every layer from that of the last; `dA` of the input is never computed.
    fn backward(&mut self, network: &Network<T>) {
        let used = s![.., ..self.caches.examples()];
        for l in (1..self.dz.len()).rev() {
            let (lower, upper) = self.dz.split_at_mut(l);
            let mut gradient = lower[l - 1].slice_mut(used);
            let weights = network.parameters().layers[l].weights.view();
            propagate(weights, upper[0].slice(used), gradient.view_mut());
            let (z, a) = (self.caches.z(l - 1), self.caches.a(l - 1));
            network.hidden()[l - 1].activation().apply_derivative(z, a, gradient);
        }
    }
}

fn all_finite<T: Element>(values: ArrayView2<'_, T>) -> bool {
    values.fold(true, |finite, value| finite & value.is_finite())
}

/// The mean cost of the examples and its gradient, by the trainer's own path.
///
/// # Shapes
/// The gradient has the shapes of the network's parameters.
///
/// # Errors
/// [`TrainError`] if the examples or the cost do not fit the network, or something is not finite.
pub fn gradients<T: Element>(
    network: &Network<T>,
    examples: &Examples<'_, T>,
    cost: Cost,
) -> Result<(f64, Parameters<T>), TrainError> {
    examples.check(network, cost)?;
    check_memory(network, examples.len(), 0, 0)?;
    let mut engine = Engine::new(network, examples.len());
    let all = Columns::Run { start: 0, len: examples.len() };
    let tally = engine
        .backward(network, cost, examples, all)
        .map_err(|found| found.among(0..examples.len()))?;
    let mean = tally.mean_cost();
    Ok((mean, engine.gradient))
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
