//! The left side of products with a Gram matrix: a matrix whose zeros are left out.
//!
//! ```text
//! for each block of 128 columns:
//!     on vectors:  the entries, units with the most non-zero ones first, and an index of these
//!     otherwise:   for each unit, its non-zero entries and their columns
//! ```

use std::cmp::Reverse;
use std::ops::Range;

use dnn_kernels::gram::{PANEL, SumOfRows};
use dnn_kernels::{
    CHUNK, ChunkOfRows, DenseRows, KernelPath, Kernels, NonZeroIndex, Pairs, PlainLoop,
    for_each_part,
};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};

use crate::Element;

/// Units whose sums stay near the processor.
pub(super) const UNITS: usize = 128;

/// A left factor `A` of products with a [`Gram`](crate::Gram) matrix, such as `dZ`, of which zeros are left out.
///
/// # Shapes
/// `(n, m)`: units by examples.
#[derive(Debug, Clone)]
pub struct SparseLeft<T> {
    pub(super) units: usize,
    pub(super) examples: usize,
    /// How many entries of each unit are not zero.
    non_zero: Vec<usize>,
    /// The units from the most non-zero entries to the fewest, so that kernels take those alike together; without
    /// vectors, as they come.
    order: Vec<usize>,
    /// Of [`PANEL`] columns each, the last one maybe of fewer.
    pub(super) blocks: Vec<Block<T>>,
}

/// Some columns of a [`SparseLeft`].
#[derive(Debug, Clone)]
pub(super) struct Block<T> {
    columns: Range<usize>,
    entries: Entries<T>,
}

/// The entries of a block.
#[derive(Debug, Clone)]
enum Entries<T> {
    /// All of them, and which are not zero: for vector kernels.
    Indexed { values: Array2<T>, index: NonZeroIndex<T> },
    /// For each unit as many places as there are columns, of which the first `counts[unit]` are used: the
    /// entries that are not zero, and their columns.
    Listed { values: Vec<T>, columns: Vec<u32>, counts: Vec<usize> },
}

/// Rows that a block is multiplied with, one for each of its columns.
#[derive(Clone, Copy)]
pub(super) struct Rows<'a, T> {
    pub(super) values: ArrayView2<'a, T>,
    /// What is read next, prefetched part by part with each [`CHUNK`] of rows.
    pub(super) ahead: [&'a [T]; PANEL / CHUNK],
}

impl<T: Element> SparseLeft<T> {
    /// Zeros: `n` units of `m` examples.
    ///
    /// # Panics
    /// If there are 2^32 examples or more.
    pub fn new(units: usize, examples: usize) -> Self {
        assert!(u32::try_from(examples).is_ok(), "{examples} examples");
        let starts = (0..examples).step_by(PANEL);
        let blocks = starts.map(|first| Block::new(units, first..examples.min(first + PANEL)));
        let (non_zero, order) = (vec![0; units], (0..units).collect());
        Self { units, examples, non_zero, order, blocks: blocks.collect() }
    }

    /// The bytes of such a factor.
    pub fn bytes(units: usize, examples: usize) -> u128 {
        let numbers = (units as u128).saturating_mul(examples as u128);
        // An index has columns and values once more, a list columns alone.
        let listed = if T::Kernels::VECTOR { size_of::<u64>() } else { size_of::<u32>() };
        numbers.saturating_mul((T::PRECISION.bytes() + listed) as u128)
    }

    /// Takes over these numbers, rounded to `T`, in parallel over examples.
    ///
    /// # Panics
    /// If they are of another shape.
    pub fn assign<U: Element>(&mut self, numbers: ArrayView2<'_, U>) {
        assert_eq!(numbers.dim(), (self.units, self.examples), "the shape of the factor");
        let Self { non_zero, order, blocks, .. } = self;
        if T::Kernels::VECTOR {
            let rows = Pairs { first: &mut non_zero[..], second: numbers.axis_iter(Axis(0)) };
            for_each_part(rows, &|_, (count, row)| {
                *count = row.iter().filter(|&&number| number != U::zero()).count();
            });
            order.sort_unstable_by_key(|&unit| (Reverse(non_zero[unit]), unit));
        }
        let second = numbers.axis_chunks_iter(Axis(1), PANEL);
        let parts = Pairs { first: &mut blocks[..], second };
        for_each_part(parts, &|_, (block, part)| block.assign(order, part));
    }

    /// Units whose sums stay near the processor together, in the order of the blocks.
    pub(super) fn groups(&self) -> impl Iterator<Item = Range<usize>> {
        let units = self.units;
        (0..units).step_by(UNITS).map(move |first| first..units.min(first + UNITS))
    }

    /// Adds the sums of some units, in the order of the blocks, to theirs.
    pub(super) fn add(
        &self,
        sums: &mut [[T; PANEL]; UNITS],
        units: &Range<usize>,
        to: ArrayViewMut2<'_, f64>,
    ) {
        let (numbers, rows) = (view(sums, units), &self.order[units.clone()]);
        KernelPath::best().vectorized(AddTo { numbers: numbers.view(), rows, to });
    }

    /// How many entries are listed as not zero.
    #[cfg(test)]
    pub(super) fn listed(&self) -> usize {
        let listed = |block: &Block<T>| match &block.entries {
            Entries::Indexed { .. } => 0,
            Entries::Listed { counts, .. } => counts.iter().sum(),
        };
        self.blocks.iter().map(listed).sum()
    }
}

/// The sums of so many units.
pub(super) fn view<'s, T>(
    sums: &'s mut [[T; PANEL]; UNITS],
    units: &Range<usize>,
) -> ArrayViewMut2<'s, T> {
    ArrayViewMut2::from(&mut sums[..units.len()])
}

impl<T: Element> Block<T> {
    fn new(units: usize, columns: Range<usize>) -> Self {
        let width = columns.len();
        let entries = if T::Kernels::VECTOR {
            let index = NonZeroIndex::with_capacity(units, width);
            Entries::Indexed { values: Array2::zeros((units, width)), index }
        } else {
            let places = units * width;
            let (values, columns) = (vec![T::zero(); places], vec![0; places]);
            Entries::Listed { values, columns, counts: vec![0; units] }
        };
        Self { columns, entries }
    }

    fn assign<U: Element>(&mut self, order: &[usize], numbers: ArrayView2<'_, U>) {
        match &mut self.entries {
            Entries::Indexed { values, index } => {
                for (mut to, &unit) in values.rows_mut().into_iter().zip(order) {
                    let number = |number: U| T::from_f64(number.into());
                    to.zip_mut_with(&numbers.row(unit), |to, &it| *to = number(it));
                }
                index.fill(values.view());
            }
            Entries::Listed { values, columns, counts } => {
                let first = u32::try_from(self.columns.start).expect("checked in `new`");
                let width = self.columns.len().max(1);
                let lists = values.chunks_exact_mut(width).zip(columns.chunks_exact_mut(width));
                let units = numbers.rows().into_iter().zip(lists).zip(counts);
                for ((row, (values, columns)), count) in units {
                    *count = 0;
                    for (&number, column) in row.iter().zip(first..) {
                        let number = T::from_f64(number.into());
                        // Written in any case; only what is not 0 counts.
                        (values[*count], columns[*count]) = (number, column);
                        *count += usize::from(number != T::zero());
                    }
                }
            }
        }
    }

    /// Columns of the factor, and so rows of what it is multiplied with.
    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// `products += A rows` for some units, in the numbers' own precision.
    ///
    /// # Panics
    /// If the block is not indexed, or shapes do not fit.
    pub(super) fn multiply(
        &self,
        units: &Range<usize>,
        rows: Rows<'_, T>,
        mut products: ArrayViewMut2<'_, T>,
    ) {
        let Entries::Indexed { values, index } = &self.entries else {
            unreachable!("only vector kernels go block by block");
        };
        let path = KernelPath::best();
        for (chunk, ahead) in (0..self.len().div_ceil(CHUNK)).zip(rows.ahead) {
            let terms = s![chunk * CHUNK..self.len().min((chunk + 1) * CHUNK), ..];
            let part = ChunkOfRows { rows: units.clone(), chunk };
            let right = DenseRows { values: rows.values.slice(terms), ahead };
            index.multiply_sparse_chunk(path, values.view(), part, right, products.view_mut());
        }
    }

    /// `sums += A panel` for some units and the rows of a whole panel, in the precision of the sums.
    ///
    /// # Panics
    /// If the block is not listed, or shapes do not fit.
    pub(super) fn multiply_listed(
        &self,
        units: Range<usize>,
        panel: &[T],
        sums: &mut [[f64; PANEL]],
    ) {
        let Entries::Listed { values, columns, counts } = &self.entries else {
            unreachable!("lists are for numbers without vector kernels");
        };
        for (unit, sums) in units.zip(sums) {
            let first = unit * self.len();
            let used = first..first + counts[unit];
            let (weights, places) = (&values[used.clone()], &columns[used]);
            T::Kernels::add_rows(KernelPath::best(), SumOfRows { weights, places, panel }, sums);
        }
    }
}

/// Adds numbers to those of higher precision in the rows that are named, which may be shorter.
struct AddTo<'a, T> {
    numbers: ArrayView2<'a, T>,
    rows: &'a [usize],
    to: ArrayViewMut2<'a, f64>,
}

impl<T: Element> PlainLoop for AddTo<'_, T> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
    #[inline(always)]
    fn run(self) {
        let Self { numbers, rows, mut to } = self;
        for (numbers, &row) in numbers.rows().into_iter().zip(rows) {
            let mut to = to.row_mut(row);
            let numbers = numbers.to_slice().expect("contiguous rows");
            if let Some(to) = to.as_slice_mut() {
                for (sum, &number) in to.iter_mut().zip(numbers) {
                    *sum += number.into();
                }
            } else {
                to.iter_mut().zip(numbers).for_each(|(sum, &number)| *sum += number.into());
            }
        }
    }
}
