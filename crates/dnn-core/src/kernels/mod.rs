//! Products of `f32` and 8-bit numbers at the speed of the processor: the one place of `unsafe`.
//!
//! Kernels are written once, over what vectors of an instruction set can do (`simd.rs`), and compiled for
//! each set; which one runs is found out at run time. Everything that is public here is safe: shapes are
//! checked before a pointer is made.
//!
//! | product | kernel |
//! |---|---|
//! | few units or few examples: `W X + b` | `dot`: rows of weights with examples as they lie |
//! | examples with each other, `X^T X`, and `dZ1` with these | `gram.rs`, also for `f64` |
//! | gradients `dZ X^T`, `W^T dZ`; many examples with packed weights | [`Terms::combine`]: without exact zeros |
//!
//! What it leaves out on purpose: `f64` elsewhere, and arrays that do not lie in one piece; these go to
//! matrixmultiply.

#![allow(unsafe_code, reason = "pointers and vector instructions; every block says why it may")]
#![allow(
    clippy::inline_always,
    clippy::needless_range_loop,
    reason = "loops over registers have to be unrolled inside of a caller with the instructions"
)]

mod combine;
mod dot;
pub(crate) mod gram;
mod launch;
mod lists;
mod simd;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

use std::mem::MaybeUninit;
use std::ops::Range;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis};

pub use combine::CHUNK;
pub use launch::{KernelPath, PlainLoop};
pub(crate) use lists::with_transposed;

use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use combine::Combine;
use dot::{Dot, FEATURES, MOST_EXAMPLES, NUMBERS};
use lists::{Entry, List, Transpose};
pub(crate) use simd::Source;
use simd::{LINE, MOST_LANES, fetch};

/// Numbers from which on lists of them are made in parallel.
const WORTH_THREADS: usize = 1 << 14;

/// What [`dot`] does with its sums.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Epilogue<'a> {
    /// Times this.
    pub(crate) scale: f32,
    /// Plus one of these for each unit.
    pub(crate) bias: Option<ArrayView1<'a, f32>>,
    /// And nothing below this.
    pub(crate) floor: f32,
}

/// Whether there are kernels for such numbers: they are `f32`.
pub fn exist_for<T: crate::Element>() -> bool {
    T::PRECISION == crate::Precision::F32
}

/// The step from one row to the next of an array whose rows are each in one piece, if they are.
fn row_stride(shape: (usize, usize), strides: &[isize]) -> Option<usize> {
    let (rows, columns) = shape;
    if rows == 0 || columns == 0 {
        return Some(columns);
    }
    let in_piece = columns <= 1 || strides[1] == 1;
    // A single row has no next one.
    let step = if rows <= 1 { Some(columns) } else { usize::try_from(strides[0]).ok() };
    step.filter(|&step| in_piece && step >= columns)
}

/// Whether [`dot`] can read such weights.
pub(crate) fn has_rows(values: ArrayView2<'_, f32>) -> bool {
    row_stride(values.dim(), values.strides()).is_some()
}

/// Units and examples whose sums are kept from chunk to chunk: more examples where there are fewer units.
const UNITS: usize = 128;
const SUMS: usize = UNITS * 8 * MOST_EXAMPLES;
const EXAMPLES: usize = 32 * MOST_EXAMPLES;

/// `out = scale W X + b` with nothing below a floor: `example` gives the examples.
///
/// # Panics
/// If the rows of `weights` or the columns of `out` are not each in one piece, or shapes do not fit.
pub(crate) fn dot<'x, E: Source + 'x>(
    path: KernelPath,
    weights: ArrayView2<'_, f32>,
    example: impl Fn(usize) -> &'x [E],
    epilogue: Epilogue<'_>,
    mut out: ArrayViewMut2<'_, f32>,
) {
    let (units, features) = weights.dim();
    let m = out.ncols();
    assert_eq!(out.nrows(), units, "one row of outputs for each unit");
    let row = row_stride(weights.dim(), weights.strides()).expect("weights of rows in one piece");
    let by_example = out.view().reversed_axes();
    let column = row_stride(by_example.dim(), by_example.strides());
    let column = column.expect("outputs of columns in one piece");
    let bias = epilogue.bias.map(|bias| {
        assert_eq!(bias.len(), units, "one bias for each unit");
        bias.to_slice().expect("a bias in one piece").as_ptr()
    });
    // Of a single example there is nothing to keep near.
    let at_a_time = if m == 1 { features.max(1) } else { FEATURES };
    let examples = SUMS / units.clamp(1, UNITS) / MOST_EXAMPLES * MOST_EXAMPLES;
    let examples = examples.min(EXAMPLES);
    let mut room = Room::new();
    let (numbers, sums) = room.pointers();
    for first in (0..units).step_by(UNITS) {
        let some = weights.slice(ndarray::s![first..units.min(first + UNITS), ..]);
        for start in (0..m).step_by(examples) {
            let count = (m - start).min(examples);
            let mut pointers = [std::ptr::null(); EXAMPLES];
            for (j, pointer) in pointers[..count].iter_mut().enumerate() {
                let x = example(start + j);
                assert_eq!(x.len(), features, "examples of as many features as the weights take");
                *pointer = x.as_ptr();
            }
            let place = out.slice_mut(ndarray::s![first.., start..start + count]).as_mut_ptr();
            // The sum over no features is a chunk, too.
            for from in (0..features.max(1)).step_by(at_a_time) {
                let chunk = from..features.min(from + at_a_time);
                // SAFETY: the shapes were checked above; `place` is the first of `count` columns, from
                // the unit `first` on, of which there is a bias, too; the chunk is one of features, and
                // the room is for as many units and examples.
                unsafe {
                    let at = pointers.map(|pointer| pointer.wrapping_add(chunk.start));
                    let kernel = Dot {
                        weights: some.as_ptr().add(chunk.start),
                        row,
                        units: some.nrows(),
                        features: chunk.len(),
                        examples: &at[..count],
                        is_first: from == 0,
                        is_last: chunk.end == features,
                        sums,
                        numbers,
                        scale: epilogue.scale,
                        bias: bias.map(|bias| bias.add(first)),
                        floor: epilogue.floor,
                        out: place,
                        column,
                    };
                    launch::launch(path, kernel);
                }
            }
        }
    }
}

/// What [`dot`] works in, on the stack: it is used again at once, and stays near the processor.
#[repr(align(64))]
struct Room {
    numbers: [MaybeUninit<f32>; NUMBERS],
    sums: [MaybeUninit<f32>; SUMS * MOST_LANES],
}

impl Room {
    #[expect(clippy::large_stack_arrays, reason = "near the processor, without an allocation")]
    fn new() -> Self {
        Self {
            numbers: [MaybeUninit::uninit(); NUMBERS],
            sums: [MaybeUninit::uninit(); SUMS * MOST_LANES],
        }
    }

    fn pointers(&mut self) -> (*mut f32, *mut f32) {
        (self.numbers.as_mut_ptr().cast(), self.sums.as_mut_ptr().cast())
    }
}

/// Zeros that begin at a line of the cache, which kernels read fastest.
pub fn aligned_zeros<T: crate::Element>((rows, columns): (usize, usize)) -> Array2<T> {
    let count = rows * columns;
    let all: Array1<T> = Array1::zeros(count + LINE / size_of::<T>());
    let offset = all.as_ptr().align_offset(LINE).min(LINE / size_of::<T>());
    let begins_at_a_line = all.slice_move(ndarray::s![offset..offset + count]);
    begins_at_a_line.into_shape_with_order((rows, columns)).expect("as many numbers")
}

/// The same numbers in rows, from a line of the cache on.
pub fn into_aligned<T: crate::Element>(values: Array2<T>) -> Array2<T> {
    if values.is_standard_layout() && values.as_ptr().align_offset(LINE) == 0 {
        return values;
    }
    let mut aligned = aligned_zeros(values.dim());
    aligned.assign(&values);
    aligned
}

/// So many numbers from the first line of the cache on, in memory that is grown once.
pub fn aligned<T: Copy + Default>(memory: &mut Vec<T>, count: usize) -> &mut [T] {
    let more = LINE / size_of::<T>().max(1);
    if memory.len() < count + more {
        memory.resize(count + more, T::default());
    }
    let offset = memory.as_ptr().align_offset(LINE).min(more);
    &mut memory[offset..offset + count]
}

/// A matrix `C` of coefficients, for [`combine`](Self::combine): for each row and each [`CHUNK`] of
/// columns, the list of what is not zero. Its memory is used again.
#[derive(Debug, Clone, Default)]
pub struct Terms {
    rows: usize,
    columns: usize,
    counts: Vec<u32>,
    /// Chunk by chunk, in it row by row, [`CHUNK`] places for each.
    entries: Vec<Entry>,
}

impl Terms {
    /// Memory for a matrix of up to so many rows and terms.
    pub fn with_capacity(rows: usize, terms: usize) -> Self {
        let mut made = Self::default();
        made.resize(rows, terms);
        made
    }

    /// Numbers that the lists of such a matrix take, in units of an `f32`.
    pub fn numbers(rows: usize, terms: usize) -> u128 {
        let chunks = terms.div_ceil(CHUNK) as u128;
        chunks * rows as u128 * (2 * CHUNK as u128 + 1)
    }

    /// Makes this the lists of a matrix of another shape, without any entry.
    fn resize(&mut self, rows: usize, terms: usize) {
        let places = terms.div_ceil(CHUNK) * rows;
        (self.rows, self.columns) = (rows, terms);
        self.counts.resize(places.max(self.counts.len()), 0);
        self.entries.resize((places * CHUNK).max(self.entries.len()), Entry::default());
    }

    /// Lists what is not zero in `coefficients`, `(rows, terms)`.
    pub fn list(&mut self, coefficients: ArrayView2<'_, f32>) {
        let (rows, terms) = coefficients.dim();
        self.resize(rows, terms);
        if rows == 0 {
            return;
        }
        let lists = self.counts.chunks_mut(rows).zip(self.entries.chunks_mut(rows * CHUNK));
        coefficients
            .axis_chunks_iter(Axis(1), CHUNK)
            .zip(lists)
            .for_each(|(part, lists)| list(KernelPath::best(), part, lists));
    }

    /// Has `make` write the coefficients of one chunk of terms after the other, which the first place of
    /// each is given for, and lists what of them is not zero; on other threads, too, if they are many.
    pub fn list_made(
        &mut self,
        mut coefficients: ArrayViewMut2<'_, f32>,
        make: impl Fn(usize, ArrayViewMut2<'_, f32>) + Sync,
    ) {
        let (rows, terms) = coefficients.dim();
        self.resize(rows, terms);
        if rows == 0 {
            return;
        }
        let many = rows * terms >= WORTH_THREADS;
        let chunks = terms.div_ceil(CHUNK);
        let parts = coefficients.axis_chunks_iter_mut(Axis(1), CHUNK).into_par_iter();
        let counts = self.counts.par_chunks_mut(rows);
        let lists = counts.zip(self.entries.par_chunks_mut(rows * CHUNK));
        let parts = parts.zip(lists).enumerate().with_min_len(if many { 1 } else { chunks.max(1) });
        parts.for_each(|(chunk, (mut part, lists))| {
            make(chunk * CHUNK, part.view_mut());
            list(KernelPath::best(), part.view(), lists);
        });
    }

    /// `out += C S` for some rows and the terms of one chunk, where `coefficients` is the whole `C` that
    /// was listed.
    ///
    /// # Shapes
    /// | `coefficients` | `source` | `out` |
    /// |---|---|---|
    /// | `(all rows, terms)` | `(terms of the chunk, width)` | `(rows, width)` |
    ///
    /// The rows of `source` and of `out` are each in one piece. `ahead` is what will be read next, if that lies
    /// where the processor does not guess it.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn combine_chunk(
        &self,
        path: KernelPath,
        coefficients: ArrayView2<'_, f32>,
        (rows, chunk): (Range<usize>, usize),
        (source, ahead): (ArrayView2<'_, f32>, &[f32]),
        out: ArrayViewMut2<'_, f32>,
    ) {
        assert_eq!(coefficients.dim(), (self.rows, self.columns), "other coefficients than listed");
        let coefficients =
            coefficients.slice(ndarray::s![rows.clone(), chunk_of(chunk, self.columns)]);
        let places = chunk * self.rows + rows.start..chunk * self.rows + rows.end;
        let counts = &self.counts[places.clone()];
        let entries = &self.entries[places.start * CHUNK..places.end * CHUNK];
        run_combine(path, coefficients, Some((counts, entries)), (source, ahead), out);
    }

    /// `out += C S` for all terms.
    ///
    /// # Panics
    /// As of [`combine_chunk`](Self::combine_chunk).
    pub fn combine(
        &self,
        path: KernelPath,
        coefficients: ArrayView2<'_, f32>,
        source: ArrayView2<'_, f32>,
        mut out: ArrayViewMut2<'_, f32>,
    ) {
        assert_eq!(source.nrows(), self.columns, "one row for each term");
        for chunk in 0..self.columns.div_ceil(CHUNK) {
            let part = source.slice(ndarray::s![chunk_of(chunk, self.columns), ..]);
            let place = (0..self.rows, chunk);
            self.combine_chunk(path, coefficients, place, (part, &[]), out.view_mut());
        }
    }
}

/// `out += C S` where zeros are few, all terms through the dense block.
///
/// # Panics
/// If shapes do not fit, or rows of `source` or `out` are not in one piece.
pub fn combine_dense(
    path: KernelPath,
    coefficients: ArrayView2<'_, f32>,
    source: ArrayView2<'_, f32>,
    out: ArrayViewMut2<'_, f32>,
) {
    run_combine(path, coefficients, None, (source, &[]), out);
}

/// `out += C S`, for the terms of one chunk with the counts and entries that list them, or for all terms without.
fn run_combine(
    path: KernelPath,
    coefficients: ArrayView2<'_, f32>,
    lists: Option<(&[u32], &[Entry])>,
    (source, ahead): (ArrayView2<'_, f32>, &[f32]),
    mut out: ArrayViewMut2<'_, f32>,
) {
    let ((rows, terms), width) = (coefficients.dim(), source.ncols());
    assert_eq!(source.nrows(), terms, "one row for each term");
    assert_eq!(out.dim(), (rows, width), "outputs of another shape");
    let stride = row_stride(source.dim(), source.strides()).expect("rows in one piece");
    let out_stride = row_stride(out.dim(), out.strides()).expect("rows in one piece");
    let step = |axis: usize, length: usize| {
        // A single number has no next one.
        let stride = if length > 1 { coefficients.strides()[axis] } else { 0 };
        usize::try_from(stride).expect("coefficients in rising order")
    };
    let (row, term) = (step(0, rows), step(1, terms));
    let (counts, entries) =
        lists.map_or((std::ptr::null(), std::ptr::null()), |(counts, entries)| {
            assert!(counts.len() == rows && entries.len() == rows * CHUNK, "lists of other rows");
            (counts.as_ptr(), entries.as_ptr())
        });
    let (coefficients, source) = (coefficients.as_ptr(), source.as_ptr());
    let out = out.as_mut_ptr();
    let kernel = Combine {
        coefficients,
        row,
        term,
        rows,
        terms,
        counts,
        entries,
        source,
        stride,
        width,
        out,
        out_stride,
        ahead,
    };
    // SAFETY: the shapes were checked above, and lists name terms of their chunk alone.
    unsafe { launch::launch(path, kernel) }
}

/// Whether so few of these numbers are not zero that lists of them are worth making.
pub(crate) fn is_sparse(path: KernelPath, values: ArrayView2<'_, f32>) -> bool {
    2 * path.vectorized(Alive(values)) < values.len()
}

/// Counts what is not zero.
struct Alive<'a>(ArrayView2<'a, f32>);

impl PlainLoop for Alive<'_> {
    type Output = usize;

    #[inline(always)]
    fn run(self) -> usize {
        let mut alive = 0;
        for row in self.0.rows() {
            if let Some(row) = row.to_slice() {
                let mut count = 0_u32;
                for &value in row {
                    count += u32::from(value != 0.0);
                }
                alive += count as usize;
            }
        }
        alive
    }
}

/// Has the processor fetch memory that is about to be used, if it is one that can be told.
#[inline(always)]
pub fn prefetch<T>(from: &[T]) {
    let start: *const u8 = from.as_ptr().cast();
    for line in (0..size_of_val(from)).step_by(LINE) {
        fetch(start.wrapping_add(line));
    }
}

/// Whether all of these numbers are finite.
pub(crate) fn all_finite<T: crate::Element>(values: &[T]) -> bool {
    KernelPath::best().vectorized(AllFinite(values))
}

struct AllFinite<'a, T>(&'a [T]);

impl<T: crate::Element> PlainLoop for AllFinite<'_, T> {
    type Output = bool;

    #[inline(always)]
    fn run(self) -> bool {
        let mut finite = true;
        for value in self.0 {
            finite &= value.is_finite();
        }
        finite
    }
}

/// The terms of a chunk.
fn chunk_of(chunk: usize, terms: usize) -> Range<usize> {
    chunk * CHUNK..terms.min((chunk + 1) * CHUNK)
}

/// Lists one chunk of all rows.
fn list(
    path: KernelPath,
    values: ArrayView2<'_, f32>,
    (counts, entries): (&mut [u32], &mut [Entry]),
) {
    let (rows, terms) = values.dim();
    assert!(counts.len() == rows && entries.len() == rows * CHUNK, "lists of other rows");
    let Some(stride) = row_stride(values.dim(), values.strides()).filter(|_| terms <= CHUNK) else {
        let lists = counts.iter_mut().zip(entries.chunks_exact_mut(CHUNK));
        for (row, (count, list)) in values.rows().into_iter().zip(lists) {
            let alive = (0..).zip(row).filter(|&(_, &value)| value != 0.0);
            let alive = alive.map(|(term, &value)| Entry { term, value });
            let written = list.iter_mut().zip(alive).map(|(to, entry)| *to = entry).count();
            *count = u32::try_from(written).expect("at most a chunk");
        }
        return;
    };
    let (counts, entries) = (counts.as_mut_ptr(), entries.as_mut_ptr());
    let kernel = List { from: values.as_ptr(), stride, rows, terms, counts, entries };
    // SAFETY: the shapes were checked above.
    unsafe { launch::launch(path, kernel) }
}

/// Writes `values` with rows and columns exchanged.
///
/// # Panics
/// If `out` is not of that shape, or rows of either are not in one piece.
pub fn transpose(path: KernelPath, values: ArrayView2<'_, f32>, mut out: ArrayViewMut2<'_, f32>) {
    let (rows, columns) = values.dim();
    assert_eq!(out.dim(), (columns, rows), "room for another shape");
    let stride = row_stride(values.dim(), values.strides()).expect("rows in one piece");
    let to_stride = row_stride(out.dim(), out.strides()).expect("rows in one piece");
    let (from, to) = (values.as_ptr(), out.as_mut_ptr());
    let kernel = Transpose { from, stride, rows, columns, to, to_stride };
    // SAFETY: the shapes were checked above.
    unsafe { launch::launch(path, kernel) }
}
