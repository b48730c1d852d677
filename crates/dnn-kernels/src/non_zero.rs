//! Which entries of a matrix are not zero, as [`Kernels::multiply_sparse`] wants to find them ready.

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2, Axis, s};

use crate::dispatch::PlainLoop;
use crate::entry::{CHUNK, Entry, Lists, ListsMut};
use crate::kernels::{Kernels, Number};
use crate::operands::{DenseRows, SparseRows};
use crate::parallel::{Chunks, Pairs, each_in_order, for_each_part};
use crate::path::KernelPath;

/// Numbers from which on lists of them are made in parallel.
const WORTH_THREADS: usize = 1 << 14;

/// Which entries of a matrix `C` are not zero: for each row and each [`CHUNK`] of terms (columns of `C`), the list
/// of them. Its memory is used again.
///
/// # Examples
/// ```
/// use dnn_kernels::{KernelPath, NonZeroIndex};
/// use ndarray::{Array2, array};
///
/// // Half of dZ is 0, as ReLU leaves it.
/// let (dz, weights) = (array![[2.0_f32, 0.0], [0.0, -1.0]], array![[1.0, 3.0, 5.0], [2.0, 4.0, 6.0]]);
/// let mut index = NonZeroIndex::default();
/// index.fill(dz.view());
/// let mut out = Array2::zeros((2, 3));
/// index.multiply_sparse(KernelPath::best(), dz.view(), weights.view(), out.view_mut());
/// assert_eq!(out, array![[2.0, 6.0, 10.0], [-2.0, -4.0, -6.0]]);
/// ```
#[derive(Debug, Clone, Default)]
pub struct NonZeroIndex<T> {
    rows: usize,
    terms: usize,
    counts: Vec<u32>,
    /// Chunk by chunk, in it row by row, [`CHUNK`] places for each.
    entries: Vec<Entry<T>>,
}

/// Some rows of one chunk of terms.
#[derive(Debug, Clone)]
pub struct ChunkOfRows {
    /// Which rows.
    pub rows: Range<usize>,
    /// Which chunk.
    pub chunk: usize,
}

impl<T: Number> NonZeroIndex<T> {
    /// The index of a matrix of zeros, with the memory for one of up to so many rows and terms.
    pub fn with_capacity(rows: usize, terms: usize) -> Self {
        let mut made = Self::default();
        made.grow(rows, terms);
        Self { rows, terms, ..made }
    }

    /// Numbers that the index of such a matrix takes the memory of.
    pub fn numbers(rows: usize, terms: usize) -> u128 {
        let chunks = terms.div_ceil(CHUNK) as u128;
        chunks * rows as u128 * (2 * CHUNK as u128 + 1)
    }

    /// Makes room for the lists of a matrix. Until they are there, this is the index of none.
    fn grow(&mut self, rows: usize, terms: usize) {
        let places = terms.div_ceil(CHUNK) * rows;
        (self.rows, self.terms) = (0, 0);
        self.counts.resize(places.max(self.counts.len()), 0);
        self.entries.resize((places * CHUNK).max(self.entries.len()), Entry::default());
    }

    /// Takes over the entries of `c`, `(rows, terms)`, that are not zero.
    pub fn fill(&mut self, c: ArrayView2<'_, T>) {
        let (rows, terms) = c.dim();
        self.grow(rows, terms);
        if rows > 0 {
            let lists = self.counts.chunks_mut(rows).zip(self.entries.chunks_mut(rows * CHUNK));
            for (part, (counts, entries)) in c.axis_chunks_iter(Axis(1), CHUNK).zip(lists) {
                T::Kernels::list_non_zero(KernelPath::best(), part, ListsMut { counts, entries });
            }
        }
        (self.rows, self.terms) = (rows, terms);
    }

    /// Has `make` write `c` chunk by chunk of its terms, given the first term of each, and takes over the
    /// entries that are not zero; on other threads, too, if they are many.
    pub fn fill_made(
        &mut self,
        mut c: ArrayViewMut2<'_, T>,
        make: impl Fn(usize, ArrayViewMut2<'_, T>) + Sync,
    ) {
        let (rows, terms) = c.dim();
        self.grow(rows, terms);
        if rows > 0 {
            let parts = c.axis_chunks_iter_mut(Axis(1), CHUNK);
            let counts = Chunks::of(&mut self.counts, rows);
            let second =
                Pairs { first: counts, second: Chunks::of(&mut self.entries, rows * CHUNK) };
            let parts = Pairs { first: parts, second };
            let share_out =
                if rows * terms >= WORTH_THREADS { for_each_part } else { each_in_order };
            share_out(parts, &|chunk, (mut part, (counts, entries))| {
                make(chunk * CHUNK, part.view_mut());
                let lists = ListsMut { counts, entries };
                T::Kernels::list_non_zero(KernelPath::best(), part.view(), lists);
            });
        }
        (self.rows, self.terms) = (rows, terms);
    }

    /// `out += C S` for some rows and the terms of one chunk, where `c` is the whole `C` that this is the index
    /// of.
    ///
    /// # Shapes
    /// | `c` | `source` | `out` |
    /// |---|---|---|
    /// | `(all rows, terms)` | `(terms of the chunk, width)` | `(rows, width)` |
    ///
    /// The rows of `source` and of `out` are each contiguous.
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn multiply_sparse_chunk(
        &self,
        path: KernelPath,
        c: ArrayView2<'_, T>,
        part: ChunkOfRows,
        source: DenseRows<'_, T>,
        out: ArrayViewMut2<'_, T>,
    ) {
        assert_eq!(c.dim(), (self.rows, self.terms), "another matrix than the one in the index");
        let ChunkOfRows { rows, chunk } = part;
        let values = c.slice(s![rows.clone(), chunk_of(chunk, self.terms)]);
        let places = chunk * self.rows + rows.start..chunk * self.rows + rows.end;
        let counts = &self.counts[places.clone()];
        let entries = &self.entries[places.start * CHUNK..places.end * CHUNK];
        let left = SparseRows { values, non_zero: Some(Lists { counts, entries }) };
        T::Kernels::multiply_sparse(path, left, source, out);
    }

    /// `out += C S` for all rows and terms.
    ///
    /// # Panics
    /// As of [`multiply_sparse_chunk`](Self::multiply_sparse_chunk).
    pub fn multiply_sparse(
        &self,
        path: KernelPath,
        c: ArrayView2<'_, T>,
        source: ArrayView2<'_, T>,
        mut out: ArrayViewMut2<'_, T>,
    ) {
        assert_eq!(source.nrows(), self.terms, "one row for each term");
        for chunk in 0..self.terms.div_ceil(CHUNK) {
            let part = source.slice(s![chunk_of(chunk, self.terms), ..]);
            let rows = ChunkOfRows { rows: 0..self.rows, chunk };
            self.multiply_sparse_chunk(path, c, rows, part.into(), out.view_mut());
        }
    }
}

/// The terms of a chunk.
fn chunk_of(chunk: usize, terms: usize) -> Range<usize> {
    chunk * CHUNK..terms.min((chunk + 1) * CHUNK)
}

/// `out += C S` where zeros are few, all terms through the dense block.
///
/// # Panics
/// If shapes do not fit, or rows of `source` or `out` are not contiguous.
pub fn multiply_dense<T: Number>(
    path: KernelPath,
    c: ArrayView2<'_, T>,
    source: ArrayView2<'_, T>,
    out: ArrayViewMut2<'_, T>,
) {
    let left = SparseRows { values: c, non_zero: None };
    T::Kernels::multiply_sparse(path, left, source.into(), out);
}

/// Whether so few of these numbers are not zero that an index of them is worth making; rows that are not in one
/// piece count as zeros.
pub fn is_sparse<T: Number>(path: KernelPath, values: ArrayView2<'_, T>) -> bool {
    2 * path.vectorized(CountNonZero(values)) < values.len()
}

/// Counts what is not zero.
struct CountNonZero<'a, T>(ArrayView2<'a, T>);

impl<T: Number> PlainLoop for CountNonZero<'_, T> {
    type Output = usize;

    #[inline(always)]
    fn run(self) -> usize {
        let mut total = 0;
        for row in self.0.rows() {
            if let Some(row) = row.to_slice() {
                let mut count = 0_u32;
                for &value in row {
                    count += u32::from(value != T::zero());
                }
                total += count as usize;
            }
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use ndarray::{Array2, ShapeBuilder};
    use proptest::prelude::*;

    use super::*;
    use crate::sparse::multiply::plain;
    use crate::test_support::{
        Draws, amid, assert_close, assert_untouched, cases, inner, inner_mut, panics, under_miri,
        wide,
    };

    proptest! {
        #![proptest_config(cases(96))]

        #[test]
        fn products_equal_the_formula_with_any_share_of_zeros_on_every_path(
            rows in 0..14_usize,
            terms in prop_oneof![0..9_usize, 120..140_usize, 250..260_usize],
            width in 0..150_usize,
            seed in 0..1000_u64,
            zeros in 0..=4_u64,
            by_column: bool,
        ) {
            let (terms, width) = (under_miri(80, terms), under_miri(50, width));
            let mut draws = Draws::new(seed);
            let mut c = Array2::zeros((rows, terms).set_f(by_column));
            c.assign(&draws.matrix((rows, terms)));
            c.map_inplace(|c| if draws.up_to(3) < zeros { *c = 0.0 });
            let source = amid(&draws.matrix((terms, width)));
            let (wide_c, wide_source) = (wide(c.view()), wide(inner(&source)));
            let mut expected = Array2::ones((rows, width));
            let left = SparseRows { values: wide_c.view(), non_zero: None };
            plain(left, wide_source.view(), expected.view_mut());
            let mut index = NonZeroIndex::default();
            // What was listed before leaves no trace.
            index.fill(draws.matrix((3, 300)).view());
            index.fill(c.view());
            for path in KernelPath::all() {
                let mut all = amid(&Array2::ones((rows, width)));
                index.multiply_sparse(path, c.view(), inner(&source), inner_mut(&mut all));
                assert_close(inner(&all), &expected, 30.0, &format!("{path}"));
                assert_untouched(&all);
                let mut all = amid(&Array2::ones((rows, width)));
                multiply_dense(path, c.view(), inner(&source), inner_mut(&mut all));
                assert_close(inner(&all), &expected, 30.0, &format!("dense on {path}"));
                assert_untouched(&all);
            }
            // Without vectors, too.
            let mut index = NonZeroIndex::default();
            index.fill(wide_c.view());
            let mut out = Array2::ones((rows, width));
            index.multiply_sparse(KernelPath::best(), wide_c.view(), wide_source.view(), out.view_mut());
            prop_assert!((out - expected).iter().all(|apart| apart.abs() < 1e-10));
        }

        #[test]
        fn what_is_made_chunk_by_chunk_is_indexed_as_a_whole(
            rows in prop_oneof![0..5_usize, 100..110_usize],
            terms in prop_oneof![0..5_usize, 190..260_usize],
            seed in 0..1000_u64,
        ) {
            let rows = under_miri(10, rows);
            let mut draws = Draws::new(seed);
            let mut values = draws.matrix((rows, terms));
            values.map_inplace(|c| if draws.up_to(1) == 0 { *c = 0.0 });
            let mut made = Array2::zeros((rows, terms));
            let (mut index, mut whole) = (NonZeroIndex::default(), NonZeroIndex::default());
            index.fill_made(made.view_mut(), |first, mut part| {
                let end = first + part.ncols();
                part.assign(&values.slice(s![.., first..end]));
            });
            whole.fill(values.view());
            prop_assert_eq!(&made, &values);
            let source = draws.matrix((terms, 3));
            let out = |index: &NonZeroIndex<f32>| {
                let mut out = Array2::zeros((rows, 3));
                index.multiply_sparse(KernelPath::best(), values.view(), source.view(), out.view_mut());
                out
            };
            prop_assert_eq!(out(&index), out(&whole));
        }
    }

    #[test]
    fn what_is_not_finite_stays_so() {
        for path in KernelPath::all() {
            for bad in [f32::NAN, f32::INFINITY] {
                let mut x = Array2::from_elem((2, 20), 1.0);
                x[(1, 19)] = bad;
                let mut index = NonZeroIndex::default();
                index.fill(x.view());
                let mut out = Array2::zeros((2, 5));
                let ones = Array2::ones((20, 5));
                index.multiply_sparse(path, x.view(), ones.view(), out.view_mut());
                assert!(out.row(0).iter().all(|&z| z == 20.0));
                assert!(out.row(1).iter().all(|z| !z.is_finite()), "{path}");
            }
        }
    }

    #[test]
    fn an_index_that_was_not_finished_is_of_no_matrix() {
        let mut index = NonZeroIndex::default();
        index.fill(Array2::<f32>::ones((3, 70)).view());
        let mut made = Array2::zeros((1, 3));
        assert!(panics(|| index.fill_made(made.view_mut(), |_, _| panic!("in the middle"))));
        let (source, mut out) = (Array2::zeros((3, 2)), Array2::zeros((1, 2)));
        let path = KernelPath::best();
        assert!(panics(|| index.multiply_sparse(path, made.view(), source.view(), out.view_mut())));
        let zeros = NonZeroIndex::with_capacity(1, 3);
        zeros.multiply_sparse(path, made.view(), Array2::ones((3, 2)).view(), out.view_mut());
        assert_eq!(out, Array2::zeros((1, 2)));
    }

    #[test]
    fn shapes_that_do_not_fit_are_refused() {
        let mut index = NonZeroIndex::default();
        index.fill(Array2::<f32>::zeros((2, 3)).view());
        for (rows, terms, width) in [(3, 3, 4), (2, 4, 4), (2, 3, 5)] {
            let (other, source) = (Array2::zeros((rows, terms)), Array2::zeros((3, width)));
            let mut out = Array2::zeros((2, 4));
            let path = KernelPath::best();
            assert!(panics(|| {
                index.multiply_sparse(path, other.view(), source.view(), out.view_mut());
            }));
        }
    }

    #[test]
    fn sparse_is_what_is_mostly_zero() {
        let mut values = Array2::<f32>::zeros((2, 4));
        for (count, sparse) in [(3, true), (4, false)] {
            values.iter_mut().take(count).for_each(|value| *value = 1.0);
            assert_eq!(is_sparse(KernelPath::best(), values.view()), sparse, "{count} of 8");
        }
    }
}
