//! The left side of products with a Gram matrix.

use std::cmp::Reverse;
use std::ops::Range;

use dnn_kernels::gram::{PANEL, SumOfRows};
use dnn_kernels::{CHUNK, ChunkOfRows, DenseRows, KernelPath, Kernels, NonZeroIndex, PlainLoop};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::iter::{
    IndexedParallelIterator, IntoParallelIterator, IntoParallelRefMutIterator, ParallelIterator,
};

use crate::Element;

/// Units whose sums stay near the processor.
pub(super) const UNITS: usize = 128;

/// A left factor `A` of products with a [`Gram`](crate::Gram) matrix, of which zeros are left out.
///
/// # Shapes
/// `(n, m)`.
#[derive(Debug, Clone)]
pub struct Combination<T> {
    pub(super) units: usize,
    pub(super) examples: usize,
    /// How many numbers of each unit are not zero, and the units from the most to the fewest: kernels take those
    /// of a kind together. Where there are no kernels, as they come.
    alive: Vec<usize>,
    pub(super) order: Vec<usize>,
    /// Of [`PANEL`] columns each, the last one maybe of fewer.
    pub(super) blocks: Vec<Block<T>>,
}

/// Some columns of a [`Combination`].
#[derive(Debug, Clone)]
pub(super) struct Block<T> {
    columns: Range<usize>,
    /// The numbers, and which of them are not zero, where there are kernels for both.
    dense: Array2<T>,
    index: NonZeroIndex<T>,
    /// For each unit, as many numbers as there are columns, of which the first count.
    numbers: Vec<T>,
    places: Vec<u32>,
    pub(super) counts: Vec<usize>,
}

impl<T: Element> Combination<T> {
    /// Zeros: `n` units of `m` examples.
    ///
    /// # Panics
    /// If there are 2^32 examples or more.
    pub fn new(units: usize, examples: usize) -> Self {
        assert!(u32::try_from(examples).is_ok(), "{examples} examples");
        let block = |first: usize| {
            let columns = first..examples.min(first + PANEL);
            let (dense, listed) = if T::Kernels::VECTOR { (units, 0) } else { (0, units) };
            Block {
                dense: Array2::zeros((dense, columns.len())),
                index: NonZeroIndex::with_capacity(dense, columns.len()),
                numbers: vec![T::zero(); listed * columns.len()],
                places: vec![0; listed * columns.len()],
                counts: vec![0; listed],
                columns,
            }
        };
        let blocks = (0..examples).step_by(PANEL).map(block).collect();
        Self { units, examples, alive: vec![0; units], order: (0..units).collect(), blocks }
    }

    /// The bytes of such a factor.
    pub fn bytes(units: usize, examples: usize) -> u128 {
        let numbers = (units as u128).saturating_mul(examples as u128);
        // Kernels list places with the numbers, and have these in their rows as well.
        let listed = if T::Kernels::VECTOR { size_of::<u64>() } else { size_of::<u32>() };
        numbers.saturating_mul((T::PRECISION.bytes() + listed) as u128)
    }

    /// Takes over these numbers, rounded to `T`, in parallel over examples.
    ///
    /// # Panics
    /// If they are of another shape.
    pub fn assign<U: Element>(&mut self, numbers: ArrayView2<'_, U>) {
        assert_eq!(numbers.dim(), (self.units, self.examples), "the shape of the factor");
        let Self { alive, order, blocks, .. } = self;
        if T::Kernels::VECTOR {
            let rows = numbers.axis_iter(Axis(0)).into_par_iter();
            alive.par_iter_mut().zip(rows).for_each(|(alive, row)| {
                *alive = row.iter().filter(|&&number| number != U::zero()).count();
            });
            order.sort_unstable_by_key(|&unit| (Reverse(alive[unit]), unit));
        }
        let parts = numbers.axis_chunks_iter(Axis(1), PANEL).into_par_iter();
        blocks.par_iter_mut().zip(parts).for_each(|(block, part)| block.assign(order, part));
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
}

/// The sums of so many units.
pub(super) fn view<'s, T>(
    sums: &'s mut [[T; PANEL]; UNITS],
    units: &Range<usize>,
) -> ArrayViewMut2<'s, T> {
    ArrayViewMut2::from(&mut sums[..units.len()])
}

impl<T: Element> Block<T> {
    fn assign<U: Element>(&mut self, order: &[usize], numbers: ArrayView2<'_, U>) {
        if self.counts.is_empty() {
            for (mut to, &unit) in self.dense.rows_mut().into_iter().zip(order) {
                to.zip_mut_with(&numbers.row(unit), |to, &number| *to = T::from_f64(number.into()));
            }
            self.index.fill(self.dense.view());
            return;
        }
        let first = u32::try_from(self.columns.start).expect("checked in `new`");
        let width = self.columns.len().max(1);
        let lists = self.numbers.chunks_exact_mut(width).zip(self.places.chunks_exact_mut(width));
        let units = numbers.rows().into_iter().zip(lists).zip(&mut self.counts);
        for ((row, (list, places)), count) in units {
            *count = 0;
            for (&number, place) in row.iter().zip(first..) {
                let number = T::from_f64(number.into());
                // Written in any case; only what is not 0 counts.
                (list[*count], places[*count]) = (number, place);
                *count += usize::from(number != T::zero());
            }
        }
    }

    /// Columns of the factor, and so rows of what it is multiplied with.
    pub(super) fn len(&self) -> usize {
        self.columns.len()
    }

    /// Adds the products of `units` with a row for each column, by kernels; the parts of what is read next are
    /// fetched, one with each chunk of columns.
    ///
    /// # Panics
    /// If there are no kernels, or shapes do not fit.
    pub(super) fn multiply(
        &self,
        units: &Range<usize>,
        (rows, ahead): (ArrayView2<'_, T>, [&[T]; PANEL / CHUNK]),
        mut products: ArrayViewMut2<'_, T>,
    ) {
        let path = KernelPath::best();
        for (chunk, ahead) in (0..self.len().div_ceil(CHUNK)).zip(ahead) {
            let values = rows.slice(s![chunk * CHUNK..self.len().min((chunk + 1) * CHUNK), ..]);
            let part = ChunkOfRows { rows: units.clone(), chunk };
            let (dense, right) = (self.dense.view(), DenseRows { values, ahead });
            self.index.multiply_sparse_chunk(path, dense, part, right, products.view_mut());
        }
    }

    /// The same with the columns of a panel, in the precision of the sums and without kernels.
    pub(super) fn multiply_plainly(
        &self,
        units: Range<usize>,
        panel: &[T],
        sums: &mut [[f64; PANEL]],
    ) {
        for (unit, sums) in units.zip(sums) {
            let first = unit * self.len();
            let used = first..first + self.counts[unit];
            let (weights, places) = (&self.numbers[used.clone()], &self.places[used]);
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
            let numbers = numbers.to_slice().expect("rows in one piece");
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
