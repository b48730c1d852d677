//! Products of matrices in bf16: `out += L R`, and `W X + b` by it.

use std::ops::Range;

use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, Axis, s};

use super::instructions::Instructions;
use super::layout::{RowsAt, join_rows_at};
use super::product::{Product, Start, Windows, run_windows};
use super::rounding::round;
use crate::aligned::{aligned, aligned_already};
use crate::kernels::{Kernels, Number};
use crate::layout::row_stride;
use crate::parallel::{Chunks, Pairs, for_each_part};
use crate::path::KernelPath;

/// Numbers of a vector.
const LANES: usize = 16;
/// Between rows, so that they do not meet in the same places of a cache.
const APART: usize = 32;
/// Inputs that are turned, and of weights that are rounded, at a time; and units of these.
const INPUTS: usize = 256;
const ROUNDED: usize = 2048;
const UNITS: usize = 48;

/// The left side of a product: rows of numbers in bf16.
#[derive(Debug, Clone, Default)]
pub struct RoundedRows {
    instructions: Instructions,
    numbers: Vec<u16>,
    rows: usize,
    width: usize,
}

/// Some rows of the left side, and of these some terms.
#[derive(Debug, Clone, Copy)]
pub struct RoundedPart<'a> {
    instructions: Instructions,
    numbers: &'a [u16],
    rows: usize,
    terms: usize,
    step: usize,
}

fn step_of(width: usize) -> usize {
    width.next_multiple_of(APART) + APART
}

/// The same numbers as those of `f32`, which they have to be.
fn f32s<T: Number>(values: &[T]) -> &[f32] {
    T::f32s(values).expect("products in bf16 are for f32 alone")
}

impl RoundedRows {
    #[cfg(test)]
    pub(super) fn with(instructions: Instructions) -> Self {
        Self { instructions, ..Self::default() }
    }

    /// Takes the memory for so many rows.
    pub fn reserve(&mut self, rows: usize, width: usize) {
        aligned(&mut self.numbers, rows * step_of(width));
    }

    /// Takes over numbers, each rounded.
    ///
    /// # Panics
    /// If rows are not each contiguous, or the numbers are not those of `f32`.
    pub fn fill<T: Number>(&mut self, values: ArrayView2<'_, T>) {
        (self.rows, self.width) = values.dim();
        let step = step_of(self.width);
        let numbers = aligned(&mut self.numbers, self.rows * step);
        for (row, to) in values.rows().into_iter().zip(numbers.chunks_exact_mut(step)) {
            let row = row.to_slice().expect("contiguous rows");
            let (to, rest) = to.split_at_mut(row.len());
            round(self.instructions, f32s(row), to);
            rest.fill(0);
        }
    }

    /// Some rows, and of these the terms from an even one on.
    ///
    /// # Panics
    /// If they do not exist.
    pub fn part(&self, rows: Range<usize>, terms: Range<usize>) -> RoundedPart<'_> {
        assert!(rows.start <= rows.end && rows.end <= self.rows, "no such rows");
        assert!(terms.start <= terms.end && terms.end <= self.width, "no such terms");
        assert!(terms.start.is_multiple_of(2), "pairs begin at an even term");
        let step = step_of(self.width);
        let numbers = aligned_already(&self.numbers, self.rows * step);
        let numbers = &numbers[(rows.start * step + terms.start).min(self.rows * step)..];
        let (rows, terms) = (rows.len(), terms.len());
        RoundedPart { instructions: self.instructions, numbers, rows, terms, step }
    }

    /// All of them.
    pub fn all(&self) -> RoundedPart<'_> {
        self.part(0..self.rows, 0..self.width)
    }
}

/// The right side of a product: pairs of rows of numbers in bf16.
#[derive(Debug, Clone, Default)]
pub struct PairedRows {
    instructions: Instructions,
    pairs: Vec<u32>,
    rows: usize,
    width: usize,
}

/// Memory in which examples are turned.
#[derive(Debug, Clone, Default)]
pub struct TurnScratch<T> {
    numbers: Vec<T>,
    turned: Vec<T>,
}

impl PairedRows {
    #[cfg(test)]
    pub(super) fn with(instructions: Instructions) -> Self {
        Self { instructions, ..Self::default() }
    }

    /// Takes the memory for so many rows.
    pub fn reserve(&mut self, rows: usize, width: usize) {
        aligned(&mut self.pairs, rows.div_ceil(2) * width.next_multiple_of(LANES));
    }

    /// Takes over numbers, each rounded.
    ///
    /// # Panics
    /// If rows are not each contiguous, or the numbers are not those of `f32`.
    pub fn fill<T: Number>(&mut self, values: ArrayView2<'_, T>) {
        (self.rows, self.width) = values.dim();
        let step = self.width.next_multiple_of(LANES);
        let to = aligned(&mut self.pairs, self.rows.div_ceil(2) * step);
        join(self.instructions, values, to, step);
    }

    /// Takes over the inputs of examples, which `write(inputs, to)` writes, one example in each row of `to`: a row has
    /// those of all examples.
    ///
    /// # Panics
    /// If the numbers are not those of `f32`.
    pub fn fill_turned<T: Number>(
        &mut self,
        shape: (usize, usize),
        scratch: &mut TurnScratch<T>,
        write: impl Fn(Range<usize>, ArrayViewMut2<'_, T>),
    ) {
        let (all, at_a_time) = self.room(shape, scratch);
        let instructions = all.instructions;
        let numbers = all.numbers.chunks_mut(at_a_time.numbers);
        let turned = all.turned.chunks_mut(at_a_time.numbers);
        let pairs = all.pairs.chunks_mut(at_a_time.pairs);
        for (index, ((numbers, turned), pairs)) in numbers.zip(turned).zip(pairs).enumerate() {
            Room { instructions, numbers, turned, pairs }.turn(index, shape, &write);
        }
    }

    /// The same, in parallel over inputs.
    ///
    /// # Panics
    /// As [`fill_turned`](Self::fill_turned).
    pub fn fill_turned_in_parallel<T: Number>(
        &mut self,
        shape: (usize, usize),
        scratch: &mut TurnScratch<T>,
        write: impl Fn(Range<usize>, ArrayViewMut2<'_, T>) + Sync,
    ) {
        let (all, at_a_time) = self.room(shape, scratch);
        let instructions = all.instructions;
        let numbers = Chunks::of(all.numbers, at_a_time.numbers);
        let turned = Chunks::of(all.turned, at_a_time.numbers);
        let pairs = Chunks::of(all.pairs, at_a_time.pairs);
        let blocks = Pairs { first: Pairs { first: numbers, second: turned }, second: pairs };
        for_each_part(blocks, &|index, ((numbers, turned), pairs)| {
            Room { instructions, numbers, turned, pairs }.turn(index, shape, &write);
        });
    }

    /// Room for all inputs, and how much of it some take.
    fn room<'m, T: Number>(
        &'m mut self,
        shape: (usize, usize),
        scratch: &'m mut TurnScratch<T>,
    ) -> (Room<'m, T>, AtATime) {
        let (inputs, examples) = shape;
        (self.rows, self.width) = shape;
        let step = examples.next_multiple_of(LANES);
        let room = Room {
            instructions: self.instructions,
            numbers: aligned(&mut scratch.numbers, inputs * examples),
            turned: aligned(&mut scratch.turned, inputs * examples),
            pairs: aligned(&mut self.pairs, inputs.div_ceil(2) * step),
        };
        let numbers = (INPUTS * examples).max(1);
        (room, AtATime { numbers, pairs: (INPUTS / 2 * step).max(1) })
    }
}

/// Numbers and pairs of [`INPUTS`].
struct AtATime {
    numbers: usize,
    pairs: usize,
}

/// Room for inputs of examples: as they are, turned, and as pairs.
struct Room<'m, T> {
    instructions: Instructions,
    numbers: &'m mut [T],
    turned: &'m mut [T],
    pairs: &'m mut [u32],
}

impl<T: Number> Room<'_, T> {
    /// Takes over [`INPUTS`] of all, after so many times as many.
    fn turn(
        self,
        index: usize,
        shape: (usize, usize),
        write: &impl Fn(Range<usize>, ArrayViewMut2<'_, T>),
    ) {
        let (inputs, examples) = shape;
        let part = index * INPUTS..inputs.min((index + 1) * INPUTS);
        let Self { instructions, numbers, turned, pairs } = self;
        let of = |shape, numbers| ArrayViewMut2::from_shape(shape, numbers).expect("of this size");
        let (by_example, by_input) = ((examples, part.len()), (part.len(), examples));
        let (mut x, mut turned) = (of(by_example, numbers), of(by_input, turned));
        write(part, x.view_mut());
        T::Kernels::transpose(KernelPath::best(), x.view(), turned.view_mut());
        join(instructions, turned.view(), pairs, examples.next_multiple_of(LANES));
    }
}

impl<T: Number> TurnScratch<T> {
    /// Takes the memory for so many inputs and examples.
    pub fn reserve(&mut self, inputs: usize, examples: usize) {
        aligned(&mut self.numbers, inputs * examples);
        aligned(&mut self.turned, inputs * examples);
    }
}

/// Pairs of rows, each rounded, `step` pairs apart.
fn join<T: Number>(
    instructions: Instructions,
    values: ArrayView2<'_, T>,
    to: &mut [u32],
    step: usize,
) {
    let (rows, width) = values.dim();
    let apart = row_stride(values.dim(), values.strides()).expect("contiguous rows");
    assert!(T::f32s(&[]).is_some(), "products in bf16 are for f32 alone");
    let rows = RowsAt { from: values.as_ptr().cast(), count: rows, width, step: apart };
    // SAFETY: the view has these rows of f32, as was just seen.
    unsafe { join_rows_at(instructions, rows, to, step) }
}

/// `out += L R`, where `R` has a row for each term.
///
/// # Shapes
/// | `left` | `right` | `out` |
/// |---|---|---|
/// | `(rows, terms)` | `(terms, width)` | `(rows, width)`, each row contiguous |
///
/// # Panics
/// If the shapes do not fit, or the numbers are not those of `f32`.
pub fn multiply<T: Number>(left: RoundedPart<'_>, right: &PairedRows, out: ArrayViewMut2<'_, T>) {
    let terms = 0..right.rows;
    multiply_terms(left, right, terms, out);
}

/// The same for some terms of the right side, from an even one on.
fn multiply_terms<T: Number>(
    left: RoundedPart<'_>,
    right: &PairedRows,
    terms: Range<usize>,
    mut out: ArrayViewMut2<'_, T>,
) {
    let RoundedPart { instructions, numbers, rows, terms: count, step } = left;
    assert_eq!(count, terms.len(), "one row for each term");
    assert!(terms.start.is_multiple_of(2) && terms.end <= right.rows, "no such terms");
    assert_eq!(out.dim(), (rows, right.width), "outputs of another shape");
    assert!(T::f32s(&[]).is_some(), "products in bf16 are for f32 alone");
    let out_apart = row_stride(out.dim(), out.strides()).expect("contiguous rows");
    if out.is_empty() {
        return;
    }
    let weights_apart = right.width.next_multiple_of(LANES);
    let pairs = aligned_already(&right.pairs, right.rows.div_ceil(2) * weights_apart);
    let pairs = &pairs[terms.start / 2 * weights_apart..];
    let product = Product {
        rows: 1,
        columns: rows,
        row_apart: 0,
        apart: step,
        kernel_rows: 1,
        kernel_apart: 0,
        pieces: 1,
        piece_apart: 0,
        pairs: count.div_ceil(2),
        units: right.width,
        weights_apart,
        // There is one row.
        out_row_apart: 0,
        out_apart,
    };
    assert!(numbers.len() >= (rows - 1) * step + 2 * product.pairs, "rows of another width");
    assert!(pairs.len() >= product.packed(), "fewer pairs than terms");
    let (x, weights, out) = (numbers.as_ptr(), pairs.as_ptr(), out.as_mut_ptr().cast::<f32>());
    let windows = Windows { product: &product, x, weights, start: Start::Output, out };
    // SAFETY: left and right side are as long as was just seen, and the view has as many rows of f32.
    unsafe { run_windows(instructions, windows) }
}

/// Memory for [`linear`], used again from call to call.
#[derive(Debug, Clone, Default)]
pub struct LinearScratch<T> {
    weights: RoundedRows,
    sums: Vec<T>,
}

impl<T: Number> LinearScratch<T> {
    #[cfg(test)]
    pub(super) fn with(instructions: Instructions) -> Self {
        Self { weights: RoundedRows::with(instructions), sums: Vec::new() }
    }

    /// Takes the memory for so many units, inputs and examples.
    pub fn reserve(&mut self, units: usize, inputs: usize, examples: usize) {
        self.weights.reserve(units.min(UNITS), inputs.min(ROUNDED));
        aligned(&mut self.sums, units.min(UNITS) * examples);
    }
}

/// `out = W X + b`, where the right side has the inputs of all examples.
///
/// # Shapes
/// | `weights` | `bias` | `x` | `out` |
/// |---|---|---|---|
/// | `(units, inputs)`, each row contiguous | `units` | `(inputs, examples)` | `(units, examples)` |
///
/// # Panics
/// If the shapes do not fit, or the numbers are not those of `f32`.
pub fn linear<T: Number>(
    weights: ArrayView2<'_, T>,
    bias: ArrayView1<'_, T>,
    x: &PairedRows,
    scratch: &mut LinearScratch<T>,
    mut out: ArrayViewMut2<'_, T>,
) {
    let (units, inputs) = weights.dim();
    assert_eq!((x.rows, x.width), (inputs, out.ncols()), "examples of other inputs");
    assert_eq!((out.nrows(), bias.len()), (units, units), "one output and bias for each unit");
    let m = out.ncols();
    for first in (0..units).step_by(UNITS) {
        let part = first..units.min(first + UNITS);
        let sums = aligned(&mut scratch.sums, part.len() * m);
        let sums = ArrayViewMut2::from_shape((part.len(), m), sums);
        let mut sums = sums.expect("of this size");
        for (mut sums, &bias) in sums.rows_mut().into_iter().zip(bias.slice(s![part.clone()])) {
            sums.fill(bias);
        }
        for first in (0..inputs).step_by(ROUNDED) {
            let inputs = first..inputs.min(first + ROUNDED);
            scratch.weights.fill(weights.slice(s![part.clone(), inputs.clone()]));
            multiply_terms(scratch.weights.all(), x, inputs, sums.view_mut());
        }
        let out = out.slice_axis_mut(Axis(0), part.into());
        let mut by_example = out.reversed_axes();
        by_example.assign(&sums.reversed_axes());
    }
}
