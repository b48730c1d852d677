//! Phase 2 by kernels: the gradient of the weights, block by block, each block straight to its sink.
//!
//! A block is some features of one layer. Its task sums `dZ A_prev^T` over all examples of the batch, a
//! chunk of them at a time, in memory of its thread that stays in cache, and gives the whole to one
//! [`Sink`]: there it is stored, or the parameters follow it at once, so that the gradient never goes to
//! main memory. Blocks and chunks follow from shapes alone.

#![allow(
    clippy::inline_always,
    clippy::needless_range_loop,
    reason = "a loop has to be a part of the function that is compiled for vectors"
)]

use std::ops::Range;
use std::sync::{Mutex, MutexGuard, PoisonError};

use dnn_core::{Columns, Element};
use dnn_kernels::{
    CHUNK, ChunkOfRows, KernelPath, Kernels, NonZeroIndex, PlainLoop, aligned, aligned_zeros,
    prefetch,
};
use dnn_layers::Network;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};

use super::tile::Tile;
use crate::Examples;
use crate::optimizer::{Memory, Step, split_memory};

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

/// Where a block of a gradient goes.
pub(crate) enum Sink<'a, T> {
    /// Into the gradient.
    Store(ArrayViewMut2<'a, T>),
    /// To what is in the gradient.
    Add(ArrayViewMut2<'a, T>),
    /// Into the weights, which follow it.
    Apply { weights: ArrayViewMut2<'a, T>, memory: Memory<'a, T>, rule: Rule<T> },
}

/// What is made of a gradient before the parameters follow it, and how they do.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule<T> {
    pub(crate) step: Step,
    /// This share of the weights is added to their gradient.
    pub(crate) l2: T,
    /// The gradient is brought to between this number and its negative.
    pub(crate) clip: Option<T>,
}

impl<T: Element> Sink<'_, T> {
    /// Cuts it in two, by features.
    fn split_at(self, feature: usize) -> (Self, Self) {
        let axis = Axis(1);
        match self {
            Self::Store(gradient) => {
                let (left, right) = gradient.split_at(axis, feature);
                (Self::Store(left), Self::Store(right))
            }
            Self::Add(gradient) => {
                let (left, right) = gradient.split_at(axis, feature);
                (Self::Add(left), Self::Add(right))
            }
            Self::Apply { weights, memory, rule } => {
                let (left, right) = weights.split_at(axis, feature);
                let [left_memory, right_memory] = split_memory(memory, axis, feature);
                (
                    Self::Apply { weights: left, memory: left_memory, rule },
                    Self::Apply { weights: right, memory: right_memory, rule },
                )
            }
        }
    }

    /// Has the processor fetch what the gradient of these units will change.
    fn fetch(&self, units: Range<usize>) {
        let rows = s![units, ..];
        let fetch = |values: ArrayView2<'_, T>| {
            values.rows().into_iter().filter_map(|row| row.to_slice()).for_each(prefetch);
        };
        if let Self::Apply { weights, memory, .. } = self {
            fetch(weights.slice(rows));
            memory.iter().flatten().for_each(|memory| fetch(memory.slice(rows)));
        }
    }

    /// Takes the gradient of some units; false if what came of it is not finite.
    fn take(&mut self, units: Range<usize>, mut gradient: ArrayViewMut2<'_, T>) -> bool {
        let rows = s![units, ..];
        match self {
            Self::Store(to) => {
                to.slice_mut(rows).assign(&gradient);
                super::all_finite(gradient.view())
            }
            Self::Add(to) => {
                let (to, gradient) = (to.slice_mut(rows), gradient.view());
                KernelPath::best().vectorized(Add { to, gradient });
                true
            }
            Self::Apply { weights, memory, rule } => {
                let weights = weights.slice_mut(rows);
                rule.prepare(&mut gradient, weights.view());
                let [first, second] = memory;
                let memory = [first, second].map(|it| it.as_mut().map(|it| it.slice_mut(rows)));
                rule.step.update_block(weights, gradient.view(), memory, true)
            }
        }
    }
}

impl<T: Element> Rule<T> {
    /// L2 and clipping of the gradient of some weights.
    fn prepare(&self, gradient: &mut ArrayViewMut2<'_, T>, weights: ArrayView2<'_, T>) {
        let lines = gradient.rows_mut().into_iter().zip(weights.rows());
        if self.l2 == T::zero() && self.clip.is_none() {
            return;
        }
        for (mut gradient, weights) in lines {
            if self.l2 != T::zero() {
                gradient.zip_mut_with(&weights, |dw, &w| *dw += self.l2 * w);
            }
            self.clip(&mut gradient.view_mut().insert_axis(Axis(0)));
        }
    }

    /// Clipping alone, as of a bias.
    pub(super) fn clip(&self, gradient: &mut ArrayViewMut2<'_, T>) {
        if let Some(limit) = self.clip {
            gradient.map_inplace(|value| *value = value.max(-limit).min(limit));
        }
    }
}

/// The buffers of phase 2.
pub(super) struct Blocks<T> {
    path: KernelPath,
    pub(super) layers: Vec<Gathered<T>>,
    /// One for each thread.
    scratch: Vec<Mutex<Scratch<T>>>,
}

/// What is known of a dense layer between the phases.
pub(super) struct Gathered<T> {
    /// `dZ` for the whole batch.
    dz: Array2<T>,
    /// What of it is not zero.
    non_zero: NonZeroIndex<T>,
    /// At least the lengths of `dZ`, and of `A_prev` unless that is the input: the roots of the sums of all
    /// squares.
    lengths: [f64; 2],
}

/// What a task works in.
struct Scratch<T> {
    /// `A_prev^T` of a chunk of examples and the features of a block, from a line of the cache on.
    panel: Vec<T>,
    /// The sums of some units, likewise.
    sums: Vec<T>,
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
pub(super) struct Job<'j, 'e, T> {
    pub(super) l: usize,
    pub(super) share: T,
    pub(super) tiles: &'j [Tile<T>],
    pub(super) tile_width: usize,
    pub(super) examples: &'j Examples<'e, T>,
    pub(super) columns: Columns<'j>,
}

impl<T: Element> Blocks<T> {
    /// For steps on up to `batch` examples, if there are vector kernels for these numbers.
    pub(super) fn new(network: &Network<T>, batch: usize) -> Option<Self> {
        if !T::Kernels::VECTOR {
            return None;
        }
        let layer = |stage: &dnn_layers::Stage| {
            let units = if stage.normalization.is_none() { stage.units } else { 0 };
            Gathered {
                dz: aligned_zeros((units, batch.next_multiple_of(APART) + APART)),
                non_zero: NonZeroIndex::with_capacity(units, batch),
                lengths: [0.0; 2],
            }
        };
        let scratch = || Mutex::new(Scratch { panel: lines(EXAMPLES), sums: lines(UNITS) });
        Some(Self {
            path: KernelPath::best(),
            layers: network.stages().iter().map(layer).collect(),
            scratch: (0..rayon::current_num_threads().max(1)).map(|_| scratch()).collect(),
        })
    }

    /// Whether no number of the gradient of layer `l` on `m` examples can stop being finite, nor any sum on
    /// the way: by Cauchy and Schwarz none is larger than the lengths of `dZ` and `A_prev` multiplied.
    pub(super) fn stays_in_range(&self, l: usize, m: usize, largest: f64) -> bool {
        let [dz, a] = self.layers[l].lengths;
        let a = if l == 0 { largest * (m as f64).sqrt() } else { a };
        // With room for rounding. Not with a NaN.
        dz * a < f64::from(f32::MAX) / 4.0
    }

    /// Sums the gradient and gives it to `sink`; false if what came of it is not finite.
    pub(super) fn run(&self, job: &Job<'_, '_, T>, sink: Sink<'_, T>) -> bool {
        let (units, inputs) = match &sink {
            Sink::Store(to) | Sink::Add(to) => to.dim(),
            Sink::Apply { weights, .. } => weights.dim(),
        };
        let blocks = inputs.div_ceil(width(inputs));
        let alone = units * inputs * job.columns.len() < LEAST_WORK;
        self.part(job, (0..blocks, inputs), alone, sink)
    }

    /// Some blocks, halved until a task has one; `inputs` are those of the layer.
    fn part(
        &self,
        job: &Job<'_, '_, T>,
        (blocks, inputs): (Range<usize>, usize),
        alone: bool,
        sink: Sink<'_, T>,
    ) -> bool {
        let width = width(inputs);
        if blocks.len() < 2 {
            let rows = blocks.start * width..inputs.min(blocks.end * width);
            return self.block(job, rows, sink);
        }
        let middle = usize::midpoint(blocks.start, blocks.end);
        let (left, right) = sink.split_at((middle - blocks.start) * width);
        let (first, second) = (blocks.start..middle, middle..blocks.end);
        let first = || self.part(job, (first.clone(), inputs), alone, left);
        let second = || self.part(job, (second.clone(), inputs), alone, right);
        let both = if alone { (first(), second()) } else { rayon::join(first, second) };
        both.0 && both.1
    }

    /// The block of the features `rows`.
    fn block(&self, job: &Job<'_, '_, T>, rows: Range<usize>, mut sink: Sink<'_, T>) -> bool {
        let m = job.columns.len();
        let mut scratch = self.scratch();
        let Scratch { panel, sums } = &mut *scratch;
        let (mut panel, mut sums) = (matrix(panel, EXAMPLES), matrix(sums, UNITS));
        // Inputs that fit are made ready once, for a few units at a time; else as often as there are parts.
        let fits = m <= EXAMPLES;
        let at_a_time = if fits { FEW_UNITS } else { UNITS };
        let (units, mut finite) = (self.layers[job.l].dz.nrows(), true);
        for first in (0..units).step_by(at_a_time) {
            let part = first..units.min(first + at_a_time);
            sink.fetch(part.end..units.min(part.end + FEW_UNITS));
            let mut sums = sums.slice_mut(s![..part.len(), ..rows.len()]);
            for row in sums.rows_mut() {
                row.into_slice().expect("rows in one piece").fill(T::zero());
            }
            for start in (0..m).step_by(EXAMPLES) {
                let positions = start..m.min(start + EXAMPLES);
                if let Some(inputs) = job.in_place(positions.clone(), rows.clone()) {
                    self.combine(job, (part.clone(), start), inputs, sums.view_mut());
                    continue;
                }
                let mut panel = panel.slice_mut(s![..positions.len(), ..rows.len()]);
                if first == 0 || !fits {
                    job.fill(positions.clone(), rows.clone(), panel.view_mut());
                }
                self.combine(job, (part.clone(), start), panel.view(), sums.view_mut());
            }
            self.path.vectorized(Multiply { values: sums.view_mut(), by: job.share });
            finite &= sink.take(part, sums);
        }
        finite
    }

    /// `sums += dZ A_prev^T` for some units and the examples from `start` on, whose inputs are given.
    fn combine(
        &self,
        job: &Job<'_, '_, T>,
        (units, start): (Range<usize>, usize),
        inputs: ArrayView2<'_, T>,
        mut sums: ArrayViewMut2<'_, T>,
    ) {
        let Gathered { dz, non_zero, .. } = &self.layers[job.l];
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

impl<T: Element> Gathered<T> {
    /// Takes over `dZ` of layer `l`, a dense one, from the tiles of `m` examples.
    pub(super) fn gather(&mut self, l: usize, (tiles, width): (&[Tile<T>], usize), m: usize) {
        let mut all = self.dz.slice_mut(s![.., ..m]);
        self.non_zero.fill_made(all.view_mut(), |start, mut part| {
            let mut done = 0;
            while done < part.ncols() {
                let (tile, first) = ((start + done) / width, (start + done) % width);
                let dz = tiles[tile].dz(l);
                let some = first..dz.ncols().min(first + part.ncols() - done);
                let to = part.slice_mut(s![.., done..done + some.len()]);
                done += some.len();
                let dz = dz.slice_move(s![.., some]).reversed_axes();
                T::Kernels::transpose(KernelPath::best(), dz, to);
            }
        });
        let squares = |tile: &Tile<T>| length(tile.caches.passed_on(l - 1)).powi(2);
        let a = if l == 0 { 0.0 } else { tiles.iter().map(squares).sum::<f64>().sqrt() };
        self.lengths = [length(all.reversed_axes().view()), a];
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

/// Adds rows, each in one piece.
struct Add<'a, T> {
    to: ArrayViewMut2<'a, T>,
    gradient: ArrayView2<'a, T>,
}

impl<T: Element> PlainLoop for Add<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(mut self) {
        for (to, row) in self.to.rows_mut().into_iter().zip(self.gradient.rows()) {
            let to = to.into_slice().expect("rows in one piece");
            for (to, &dw) in to.iter_mut().zip(row.to_slice().expect("rows in one piece")) {
                *to += dw;
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

impl<T: Element> Job<'_, '_, T> {
    /// `A_prev^T` of the examples at `positions` of the batch and the features `rows` where it is, if one tile has
    /// all of it near together.
    fn in_place(&self, positions: Range<usize>, rows: Range<usize>) -> Option<ArrayView2<'_, T>> {
        let tile = positions.start / self.tile_width;
        if self.l == 0 || positions.end > (tile + 1) * self.tile_width {
            return None;
        }
        let a = self.tiles[tile].caches.passed_on(self.l - 1);
        let first = positions.start % self.tile_width;
        let fits = rows.len() == a.nrows() && rows.len() <= NARROW && a.strides()[0] == 1;
        fits.then(|| a.reversed_axes().slice_move(s![first..first + positions.len(), ..]))
    }

    /// Writes `A_prev^T` of the examples at `positions` of the batch and the features `rows`.
    fn fill(&self, positions: Range<usize>, rows: Range<usize>, mut panel: ArrayViewMut2<'_, T>) {
        if self.l == 0 {
            let columns = self.columns.part(positions);
            self.examples.features.write_examples(rows, columns, panel);
            return;
        }
        for (position, mut to) in positions.zip(panel.rows_mut()) {
            let tile = &self.tiles[position / self.tile_width];
            let a = tile.caches.passed_on(self.l - 1);
            to.assign(&a.slice(s![rows.clone(), position % self.tile_width]));
        }
    }
}
