//! The gradient of weights by kernels, block by block, each block straight to its target.
//!
//! A block is some features of one layer. Its task sums `dZ A_prev^T` over all examples of the batch, a
//! chunk of them at a time, in memory of its thread that stays in cache, and gives the whole to one
//! [`GradientTarget`]: there it is stored, or the parameters follow it at once, so that the gradient never goes to
//! main memory. Blocks and chunks follow from shapes alone.

#![allow(
    clippy::inline_always,
    clippy::needless_range_loop,
    reason = "a loop has to be a part of the function that is compiled for vectors"
)]

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dnn_core::{Columns, Element};
use dnn_kernels::bf16::{self, PairedRows, RoundedRows};
use dnn_kernels::{
    CHUNK, ChunkOfRows, KernelPath, Kernels, NonZeroIndex, PlainLoop, Products, aligned,
    aligned_zeros, join,
};
use dnn_layers::Network;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};

use super::part::{Part, part};
use super::target::GradientTarget;
use super::tile::Tile;
use crate::Examples;

/// Features of a block, by how many there are: few blocks are shared out more evenly if they are small.
const WIDE: usize = 256;
const NARROW: usize = 128;
const MANY: usize = 4096;
/// Examples whose inputs are made ready at a time.
const EXAMPLES: usize = 4 * CHUNK;
/// Units that are summed at a time, and where all examples are ready.
const UNITS: usize = 256;
const FEW_UNITS: usize = 32;
/// Beside the numbers of a row, so that rows do not meet in the same places of a cache.
const APART: usize = 16;
/// A gradient of fewer multiplications is not worth other threads.
const LEAST_WORK: usize = 1 << 18;

/// Features of a block of a layer with so many inputs.
pub(super) fn width(inputs: usize) -> usize {
    if inputs >= MANY { WIDE } else { NARROW }
}

/// Numbers that [`Blocks`] take for a network of these layers, `(units, inputs)`, and this batch.
pub(super) fn numbers<T: Element>(
    layers: impl Iterator<Item = (usize, usize)>,
    batch: usize,
) -> u128 {
    let of = |(units, _)| {
        let row = (batch as u128).next_multiple_of(APART as u128) + APART as u128;
        units as u128 * row + NonZeroIndex::<T>::numbers(units, batch)
    };
    let threads = rayon::current_num_threads() as u128;
    layers.map(of).sum::<u128>() + threads * ((EXAMPLES + UNITS) * (WIDE + APART)) as u128
}

/// The buffers of gradients by block.
pub(super) struct Blocks<T> {
    path: KernelPath,
    pub(super) tensors: Vec<LayerGradient<T>>,
    /// One for each thread.
    scratch: Vec<Mutex<Scratch<T>>>,
}

/// What is known of a dense layer between the phases.
pub(super) struct LayerGradient<T> {
    /// `dZ` for the whole batch.
    dz: Array2<T>,
    /// What of it is not zero.
    non_zero: NonZeroIndex<T>,
    /// The same in bf16, if products are made in that.
    rounded: Option<RoundedRows>,
    /// At least the length of `dZ`, the root of the sum of all squares.
    of_gradient: f64,
    /// The same of `A_prev`, unless that are the inputs of the network.
    of_input: Option<f64>,
}

/// What a task works in.
struct Scratch<T> {
    /// `A_prev^T` of a chunk of examples and the features of a block, from a line of the cache on.
    panel: Vec<T>,
    /// The sums of some units, likewise.
    sums: Vec<T>,
    /// The first as pairs of examples in bf16, if products are made in that.
    pairs: PairedRows,
}

/// Memory for `dZ` of so many units in bf16.
fn rounded(units: usize, batch: usize) -> RoundedRows {
    let mut rows = RoundedRows::default();
    rows.reserve(units, batch);
    rows
}

/// Memory for so many rows of a [`matrix`].
fn lines<T: Element>(rows: usize) -> Vec<T> {
    let mut memory = Vec::new();
    aligned(&mut memory, rows * (WIDE + APART));
    memory
}

/// Rows of a block's width, each from a line of the cache on.
fn matrix<T: Element>(memory: &mut Vec<T>, rows: usize) -> ArrayViewMut2<'_, T> {
    let numbers = aligned(memory, rows * (WIDE + APART));
    ArrayViewMut2::from_shape((rows, WIDE + APART), numbers).expect("of this size")
}

/// What the gradient of a layer's weights is made of.
pub(super) struct BlockJob<'j, 'e, T> {
    pub(super) layer: usize,
    /// The position of the weights among the arrays of the network.
    pub(super) tensor: usize,
    pub(super) share: T,
    pub(super) tiles: &'j [Tile<T>],
    pub(super) tile_width: usize,
    pub(super) examples: &'j Examples<'e, T>,
    pub(super) columns: Columns<'j>,
}

impl<T: Element> Blocks<T> {
    /// For steps on up to `batch` examples, if there are kernels for these numbers.
    pub(super) fn new(network: &Network<T>, batch: usize, products: Products) -> Option<Self> {
        if !T::Kernels::VECTOR {
            return None;
        }
        let is_bf16 = products == Products::Bf16;
        let of = |tensor: usize| {
            let is_weights = part(network, tensor) == Part::Weights;
            let units = if is_weights { network.tensors()[tensor].values().nrows() } else { 0 };
            LayerGradient {
                dz: aligned_zeros((units, batch.next_multiple_of(APART) + APART)),
                non_zero: NonZeroIndex::with_capacity(units, batch),
                rounded: is_bf16.then(|| rounded(units, batch)),
                of_gradient: 0.0,
                of_input: None,
            }
        };
        let scratch = || {
            let mut pairs = PairedRows::default();
            if is_bf16 {
                pairs.reserve(EXAMPLES, WIDE);
            }
            Mutex::new(Scratch { panel: lines(EXAMPLES), sums: lines(UNITS), pairs })
        };
        Some(Self {
            path: KernelPath::best(),
            tensors: (0..network.tensors().len()).map(of).collect(),
            scratch: (0..rayon::current_num_threads().max(1)).map(|_| scratch()).collect(),
        })
    }

    /// Whether no number of the gradient of layer `l` on `m` examples can stop being finite, nor any sum on
    /// the way: by Cauchy and Schwarz none is larger than the lengths of `dZ` and `A_prev` multiplied.
    pub(super) fn stays_in_range(&self, tensor: usize, m: usize, largest: f64) -> bool {
        let LayerGradient { of_gradient: dz, of_input, .. } = &self.tensors[tensor];
        let a = of_input.unwrap_or(largest * (m as f64).sqrt());
        // With room for rounding. Not with a NaN.
        dz * a < f64::from(f32::MAX) / 4.0
    }

    /// Sums the gradient and gives it to `target`; false if what came of it is not finite.
    pub(super) fn run(&self, job: &BlockJob<'_, '_, T>, target: GradientTarget<'_, T>) -> bool {
        let (units, inputs) = match &target {
            GradientTarget::Store(to) | GradientTarget::Add(to) => to.dim(),
            GradientTarget::Apply { weights, .. } => weights.dim(),
        };
        let blocks = inputs.div_ceil(width(inputs));
        let alone = units * inputs * job.columns.len() < LEAST_WORK;
        self.part(job, 0..blocks, inputs, alone, target)
    }

    /// Some blocks, halved until a task has one; `inputs` are those of the layer.
    fn part(
        &self,
        job: &BlockJob<'_, '_, T>,
        blocks: Range<usize>,
        inputs: usize,
        alone: bool,
        target: GradientTarget<'_, T>,
    ) -> bool {
        let width = width(inputs);
        if blocks.len() < 2 {
            let rows = blocks.start * width..inputs.min(blocks.end * width);
            return self.block(job, rows, target);
        }
        let middle = usize::midpoint(blocks.start, blocks.end);
        let (left, right) = target.split_at((middle - blocks.start) * width);
        let (first, second) = (blocks.start..middle, middle..blocks.end);
        let first = || self.part(job, first.clone(), inputs, alone, left);
        let second = || self.part(job, second.clone(), inputs, alone, right);
        let both = if alone { (first(), second()) } else { join(first, second) };
        both.0 && both.1
    }

    /// The block of the features `rows`.
    fn block(
        &self,
        job: &BlockJob<'_, '_, T>,
        rows: Range<usize>,
        mut target: GradientTarget<'_, T>,
    ) -> bool {
        let m = job.columns.len();
        let mut scratch = self.scratch();
        let Scratch { panel, sums, pairs } = &mut *scratch;
        let (mut panel, mut sums) = (matrix(panel, EXAMPLES), matrix(sums, UNITS));
        // Inputs that fit are made ready once, for a few units at a time; else as often as there are parts.
        let fits = m <= EXAMPLES;
        let at_a_time = if fits { FEW_UNITS } else { UNITS };
        let (units, mut finite) = (self.tensors[job.tensor].dz.nrows(), true);
        for first in (0..units).step_by(at_a_time) {
            let part = first..units.min(first + at_a_time);
            target.prefetch(part.end..units.min(part.end + FEW_UNITS));
            let mut sums = sums.slice_mut(s![..part.len(), ..rows.len()]);
            for row in sums.rows_mut() {
                row.into_slice().expect("rows in one piece").fill(T::zero());
            }
            for start in (0..m).step_by(EXAMPLES) {
                let positions = start..m.min(start + EXAMPLES);
                if let Some(dz) = &self.tensors[job.tensor].rounded {
                    if first == 0 || !fits {
                        let mut panel = panel.slice_mut(s![..positions.len(), ..rows.len()]);
                        job.fill(positions.clone(), rows.clone(), panel.view_mut());
                        pairs.fill(panel.view());
                    }
                    bf16::multiply(dz.part(part.clone(), positions), pairs, sums.view_mut());
                    continue;
                }
                if let Some(inputs) = job.in_place(positions.clone(), rows.clone()) {
                    self.multiply_sparse(job, part.clone(), start, inputs, sums.view_mut());
                    continue;
                }
                let mut panel = panel.slice_mut(s![..positions.len(), ..rows.len()]);
                if first == 0 || !fits {
                    job.fill(positions.clone(), rows.clone(), panel.view_mut());
                }
                self.multiply_sparse(job, part.clone(), start, panel.view(), sums.view_mut());
            }
            self.path.vectorized(Multiply { values: sums.view_mut(), by: job.share });
            finite &= target.take(part, sums);
        }
        finite
    }

    /// `sums += dZ A_prev^T` for some units and the examples from `start` on, whose inputs are given.
    fn multiply_sparse(
        &self,
        job: &BlockJob<'_, '_, T>,
        units: Range<usize>,
        start: usize,
        inputs: ArrayView2<'_, T>,
        mut sums: ArrayViewMut2<'_, T>,
    ) {
        let LayerGradient { dz, non_zero, .. } = &self.tensors[job.tensor];
        let dz = dz.slice(s![.., ..job.columns.len()]);
        for (index, chunk) in inputs.axis_chunks_iter(Axis(0), CHUNK).enumerate() {
            let part = ChunkOfRows { rows: units.clone(), chunk: start / CHUNK + index };
            let (path, sums) = (self.path, sums.view_mut());
            non_zero.multiply_sparse_chunk(path, dz, part, chunk.into(), sums);
        }
    }

    /// Memory that no other task uses now.
    fn scratch(&self) -> MutexGuard<'_, Scratch<T>> {
        let own = rayon::current_thread_index().unwrap_or(0);
        let places = self.scratch.iter().cycle().skip(own % self.scratch.len());
        let free = places.take(self.scratch.len()).find_map(|place| place.try_lock().ok());
        // More tasks than threads there are not, unless somebody else's pool runs some: they wait.
        free.unwrap_or_else(|| self.scratch[0].lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<T: Element> LayerGradient<T> {
    /// Takes over `dZ` of layer `l`, a dense one, from the tiles of `m` examples.
    pub(super) fn gather(&mut self, l: usize, tiles: &[Tile<T>], width: usize, m: usize) {
        let mut all = self.dz.slice_mut(s![.., ..m]);
        self.non_zero.fill_made(all.view_mut(), |start, mut part| {
            let mut done = 0;
            while done < part.ncols() {
                let (tile, first) = ((start + done) / width, (start + done) % width);
                let dz = tiles[tile].gradient(l);
                let some = first..dz.ncols().min(first + part.ncols() - done);
                let to = part.slice_mut(s![.., done..done + some.len()]);
                done += some.len();
                let dz = dz.slice_move(s![.., some]).reversed_axes();
                T::Kernels::transpose(KernelPath::best(), dz, to);
            }
        });
        if let Some(rounded) = &mut self.rounded {
            rounded.fill(all.view());
        }
        self.of_gradient = length(all.reversed_axes().view());
        let squares =
            |tile: &Tile<T>| tile.caches.layer_input(l).map(|input| length(input).powi(2));
        self.of_input = tiles.iter().map(squares).sum::<Option<f64>>().map(f64::sqrt);
    }
}

/// At least the root of the sum of the squares of columns that lie in one piece; infinite or NaN if a
/// number is, or may be in the square.
fn length<T: Element>(values: ArrayView2<'_, T>) -> f64 {
    /// Beside 1e38, squares of less may be 0.
    const UNSEEN: f64 = 1e-19;
    let mut sum = 0.0;
    for column in values.columns() {
        let column = column.to_slice().expect("columns in one piece");
        sum += KernelPath::best().vectorized(SumOfSquares(column));
    }
    sum.sqrt() + UNSEEN * (values.len() as f64).sqrt()
}

/// Multiplies rows, each in one piece.
struct Multiply<'a, T> {
    values: ArrayViewMut2<'a, T>,
    by: T,
}

impl<T: Element> PlainLoop for Multiply<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        for row in self.values.rows_mut() {
            for value in row.into_slice().expect("rows in one piece") {
                *value *= self.by;
            }
        }
    }
}

struct SumOfSquares<'a, T>(&'a [T]);

impl<T: Element> PlainLoop for SumOfSquares<'_, T> {
    type Output = f64;

    #[inline(always)]
    fn run(self) -> f64 {
        /// As many sums side by side, so that vectors can hold them.
        const LANES: usize = 16;
        let mut sums = [T::zero(); LANES];
        let mut parts = self.0.chunks_exact(LANES);
        for part in &mut parts {
            for lane in 0..LANES {
                sums[lane] += part[lane] * part[lane];
            }
        }
        for (sum, &x) in sums.iter_mut().zip(parts.remainder()) {
            *sum += x * x;
        }
        sums.iter().map(|&sum| Into::<f64>::into(sum)).sum()
    }
}

impl<T: Element> BlockJob<'_, '_, T> {
    /// `A_prev^T` of the examples at `positions` of the batch and the features `rows` where it is, if one tile has
    /// all of it near together.
    fn in_place(&self, positions: Range<usize>, rows: Range<usize>) -> Option<ArrayView2<'_, T>> {
        let tile = positions.start / self.tile_width;
        if positions.end > (tile + 1) * self.tile_width {
            return None;
        }
        let a = self.tiles[tile].caches.layer_input(self.layer)?;
        let first = positions.start % self.tile_width;
        let fits = rows.len() == a.nrows() && rows.len() <= NARROW && a.strides()[0] == 1;
        fits.then(|| a.reversed_axes().slice_move(s![first..first + positions.len(), ..]))
    }

    /// Writes `A_prev^T` of the examples at `positions` of the batch and the features `rows`.
    fn fill(&self, positions: Range<usize>, rows: Range<usize>, mut panel: ArrayViewMut2<'_, T>) {
        if self.tiles[0].caches.source(self.layer).is_none() {
            let columns = self.columns.part(positions);
            self.examples.features.write_examples(rows, columns, panel);
            return;
        }
        for (position, mut to) in positions.zip(panel.rows_mut()) {
            let tile = &self.tiles[position / self.tile_width];
            let a = tile.input(self.layer);
            to.assign(&a.slice(s![rows.clone(), position % self.tile_width]));
        }
    }
}
