//! Gram matrices, and products with them.
//!
//! The one idea: what gradient descent on fixed examples needs of them is how each lies to each, which is one
//! number for every pair, whatever the number of features.

mod pixels;

use std::ops::Range;

use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use self::pixels::{PixelPlan, Pixels, Scratch};
use crate::kernels::gram::{PANEL, add_rows};
use crate::kernels::{CHUNK, KernelPath, PlainLoop, Terms, aligned_zeros};
use crate::products::feature_blocks;
use crate::{Columns, Element, Features, PixelScaling, multiply};

/// Rows of real numbers that are multiplied at a time.
const REAL_ROWS: usize = 256;
/// Units whose sums stay near the processor.
const UNITS: usize = 128;

/// `K = X^T Y`: the products of all examples of `X` with all of `Y`; of one set, its Gram matrix `X^T X`.
///
/// Pixels are multiplied as whole numbers, exactly, and scaled afterwards; real numbers are summed in `f64`
/// over blocks of features in their own precision. Of a symmetric matrix one half is computed. The bits
/// depend on the features alone, not on the number of threads.
///
/// # Shapes
/// | what | shape |
/// |---|---|
/// | `X` | `(n_x, m)` |
/// | `Y` | `(n_x, m_y)` |
/// | `K` | `(m, m_y)` |
///
/// # Examples
/// ```
/// use dnn_core::{Combination, Features, Gram};
/// use ndarray::{Array2, array};
///
/// let x = array![[1.0, 2.0], [0.0, 3.0]];
/// let gram = Gram::of(&Features::Real(x.view()));
/// assert_eq!([gram.at(0, 0), gram.at(0, 1), gram.at(1, 1)], [1.0, 2.0, 13.0]);
///
/// let mut dz = Combination::new(1, 2, 2);
/// dz.blocks_mut().iter_mut().for_each(|block| block.assign(array![[1.0, -1.0]].view()));
/// let mut out = Array2::zeros((1, 2));
/// gram.multiply_into(&dz, out.view_mut());
/// assert_eq!(out, array![[-1.0, -11.0]]);
/// ```
#[derive(Debug, Clone)]
pub struct Gram<T> {
    /// Panels of [`PANEL`] columns, one a row, each row after row.
    panels: Array2<T>,
    rows: usize,
    columns: usize,
}

impl<T: Element> Gram<T> {
    /// `X^T X`.
    pub fn of(x: &Features<'_, T>) -> Self {
        let mut gram = Self::products(x, x, true);
        gram.mirror();
        gram
    }

    /// `X^T Y`.
    ///
    /// # Panics
    /// If they have other numbers of features.
    pub fn between(x: &Features<'_, T>, y: &Features<'_, T>) -> Self {
        assert_eq!(x.width(), y.width(), "examples of other numbers of features");
        Self::products(x, y, false)
    }

    /// The bytes of such a matrix.
    pub fn bytes(rows: usize, columns: usize) -> u128 {
        let columns = columns.div_ceil(PANEL) as u128 * PANEL as u128;
        let numbers = (rows as u128).saturating_mul(columns);
        numbers.saturating_mul(T::PRECISION.bytes() as u128)
    }

    /// Examples of `X`, `m`.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Examples of `Y`.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// One number of it.
    ///
    /// # Panics
    /// If there is no such row or column.
    pub fn at(&self, row: usize, column: usize) -> T {
        assert!(row < self.rows && column < self.columns, "({row}, {column})");
        self.panels[(column / PANEL, row * PANEL + column % PANEL)]
    }

    /// All products, or with `lower` those on and below the blocks of the diagonal.
    fn products(x: &Features<'_, T>, y: &Features<'_, T>, lower: bool) -> Self {
        let (rows, columns) = (x.len(), y.len());
        let mut panels = aligned_zeros((columns.div_ceil(PANEL), rows * PANEL));
        let all = panels.as_slice_mut().expect("one after the other");
        let tasks = all.par_chunks_mut((rows * PANEL).max(1)).enumerate();
        match (x, y) {
            (&Features::Pixels { values, scaling }, &Features::Pixels { values: right, .. })
                if has_scaling(y, scaling) =>
            {
                let plan = PixelPlan::new::<T>(values, scaling);
                let left = Pixels::new(&plan, values);
                let right = Pixels::new(&plan, right);
                tasks.for_each_init(Scratch::default, |scratch, (index, panel)| {
                    let (first, of) = (index * PANEL, [&left, &right]);
                    plan.panel(of, if lower { first } else { 0 }, first, scratch, panel);
                });
            }
            _ => tasks.for_each_init(Default::default, |scratch, (index, panel)| {
                let first = index * PANEL;
                let width = PANEL.min(columns - first);
                let right = Columns::Run { start: first, len: width };
                real_panel((x, if lower { first } else { 0 }), (y, right), scratch, panel);
            }),
        }
        Self { panels, rows, columns }
    }

    /// Fills what lies above the blocks of the diagonal with what lies below.
    fn mirror(&mut self) {
        const BLOCK: usize = PANEL * PANEL;
        let len = self.rows * PANEL;
        let panels = self.panels.as_slice_mut().expect("one after the other");
        for index in 1..self.columns.div_ceil(PANEL) {
            let (done, rest) = panels.split_at_mut(index * len);
            let above = rest[..index * BLOCK].par_chunks_mut(BLOCK);
            above.zip(done.par_chunks(len)).for_each(|(block, panel)| {
                let below = &panel[index * BLOCK..];
                for (j, row) in below.chunks_exact(PANEL).take(PANEL).enumerate() {
                    for (i, &number) in row.iter().enumerate() {
                        block[i * PANEL + j] = number;
                    }
                }
            });
        }
    }

    /// `out = A K`, parallel over columns of `K`: the numbers of each block of `A` are summed in their own
    /// precision, the blocks in `f64`.
    ///
    /// # Shapes
    /// | `A` | `K` | `out` |
    /// |---|---|---|
    /// | `(n, m)` | `(m, m_y)` | `(n, m_y)` |
    ///
    /// # Panics
    /// If the shapes do not fit.
    #[expect(clippy::large_stack_arrays, reason = "sums near the processor, without an allocation")]
    pub fn multiply_into(&self, a: &Combination<T>, out: ArrayViewMut2<'_, f64>) {
        let mut out = out;
        assert_eq!(out.dim(), (a.units, self.columns), "a place for each sum");
        assert_eq!(a.examples, self.rows, "a number for each row");
        let panels = self.panels.as_slice().expect("one after the other");
        let panels = panels.par_chunks((self.rows * PANEL).max(1));
        let parts = out.axis_chunks_iter_mut(Axis(1), PANEL).into_par_iter();
        parts.zip(panels).for_each(|(mut out, panel)| {
            let mut products = [[0.0; PANEL]; UNITS];
            let mut sums = [[0.0; PANEL]; UNITS];
            for (group, mut out) in out.axis_chunks_iter_mut(Axis(0), UNITS).enumerate() {
                let units = group * UNITS..group * UNITS + out.nrows();
                let products = products[..units.len()].as_flattened_mut();
                let sums = &mut sums[..units.len()];
                sums.as_flattened_mut().fill(0.0);
                for block in &a.blocks {
                    if block.kernel_combine(units.clone(), panel, products).is_some() {
                        let sums = sums.as_flattened_mut();
                        KernelPath::best().vectorized(AddTo { sums, numbers: products });
                    } else {
                        block.combine(units.clone(), panel, sums);
                    }
                }
                for (mut out, sums) in out.rows_mut().into_iter().zip(sums) {
                    out.iter_mut().zip(sums).for_each(|(out, sum)| *out = *sum);
                }
            }
        });
    }
}

/// Whether these are pixels with this scaling.
fn has_scaling<T>(x: &Features<'_, T>, expected: PixelScaling) -> bool {
    matches!(x, Features::Pixels { scaling, .. } if *scaling == expected)
}

/// A left factor `A` of products with a [`Gram`] matrix, of which zeros are left out.
///
/// # Shapes
/// `(n, m)`, in blocks of `(n, width)`, the last one maybe shorter.
#[derive(Debug, Clone)]
pub struct Combination<T> {
    units: usize,
    examples: usize,
    blocks: Vec<CombinationBlock<T>>,
}

/// Some columns of a [`Combination`].
#[derive(Debug, Clone)]
pub struct CombinationBlock<T> {
    /// The columns.
    columns: Range<usize>,
    /// The numbers, and which of them are not zero, where there are kernels for both.
    dense: Array2<T>,
    terms: Terms,
    /// For each unit, as many numbers as there are columns, of which the first count.
    numbers: Vec<T>,
    places: Vec<u32>,
    counts: Vec<usize>,
    units: usize,
}

impl<T: Element> Combination<T> {
    /// Zeros: `n` units of `m` examples, in blocks of up to `width` examples.
    ///
    /// # Panics
    /// If there are 2^32 examples or more.
    pub fn new(units: usize, examples: usize, width: usize) -> Self {
        assert!(u32::try_from(examples).is_ok(), "{examples} examples");
        let width = width.max(1);
        let has_kernels = T::as_f32(Array2::zeros((0, 0)).view()).is_some();
        let block = |first: usize| {
            let columns = first..examples.min(first + width);
            let (dense, listed) = if has_kernels { (units, 0) } else { (0, units) };
            CombinationBlock {
                dense: Array2::zeros((dense, columns.len())),
                terms: Terms::with_capacity(dense, columns.len()),
                numbers: vec![T::zero(); listed * columns.len()],
                places: vec![0; listed * columns.len()],
                counts: vec![0; listed],
                units,
                columns,
            }
        };
        Self { units, examples, blocks: (0..examples).step_by(width).map(block).collect() }
    }

    /// The bytes of such a factor.
    pub fn bytes(units: usize, examples: usize) -> u128 {
        let numbers = (units as u128).saturating_mul(examples as u128);
        numbers.saturating_mul((T::PRECISION.bytes() + size_of::<u32>()) as u128)
    }

    /// The blocks, in the order of the examples, to be filled each on its own.
    pub fn blocks_mut(&mut self) -> &mut [CombinationBlock<T>] {
        &mut self.blocks
    }
}

impl<T: Element> CombinationBlock<T> {
    /// Takes over the numbers of the block, rounded to `T`.
    ///
    /// # Panics
    /// If they are others in number.
    pub fn assign<U: Element>(&mut self, numbers: ArrayView2<'_, U>) {
        assert_eq!(numbers.dim(), (self.units, self.columns.len()), "the shape of the block");
        if self.counts.is_empty() {
            self.dense.zip_mut_with(&numbers, |to, &number| *to = T::from_f64(number.into()));
            if let Some(dense) = T::as_f32(self.dense.view()) {
                self.terms.list(dense);
            }
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

    /// The products of `units` with the columns of a panel, by kernels where there are any.
    fn kernel_combine(&self, units: Range<usize>, panel: &[T], products: &mut [f32]) -> Option<()> {
        let dense = T::as_f32(self.dense.view())?;
        let panel = T::as_f32(ArrayView2::from_shape((1, panel.len()), panel).ok()?)?.to_slice()?;
        let panel = &panel[self.columns.start * PANEL..];
        let ahead = |chunk: usize| {
            let from = (chunk * CHUNK).min(self.columns.len()) * PANEL;
            &panel[from.min(panel.len())..(from + CHUNK * PANEL).min(panel.len())]
        };
        let rows = &panel[..self.columns.len() * PANEL];
        let rows = ArrayView2::from_shape((self.columns.len(), PANEL), rows).ok()?;
        products.fill(0.0);
        let mut out = ArrayViewMut2::from_shape((units.len(), PANEL), products).ok()?;
        let path = KernelPath::best();
        for chunk in 0..rows.nrows().div_ceil(CHUNK) {
            let part = chunk * CHUNK..rows.nrows().min((chunk + 1) * CHUNK);
            let (place, part) = ((units.clone(), chunk), rows.slice(s![part, ..]));
            self.terms.combine_chunk(path, dense, place, (part, ahead(chunk + 1)), out.view_mut());
        }
        Some(())
    }

    /// The same without kernels.
    fn combine(&self, units: Range<usize>, panel: &[T], sums: &mut [[f64; PANEL]]) {
        for (unit, sums) in units.zip(sums) {
            let (numbers, places) = self.of_unit(unit);
            add_rows(numbers, places, panel, sums);
        }
    }

    fn of_unit(&self, unit: usize) -> (&[T], &[u32]) {
        let first = unit * self.columns.len();
        let used = first..first + self.counts[unit];
        (&self.numbers[used.clone()], &self.places[used])
    }
}

/// Adds numbers to sums of higher precision.
struct AddTo<'a> {
    sums: &'a mut [f64],
    numbers: &'a [f32],
}

impl PlainLoop for AddTo<'_> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
    #[inline(always)]
    fn run(self) {
        for (sum, &number) in self.sums.iter_mut().zip(self.numbers) {
            *sum += f64::from(number);
        }
    }
}

/// The products of the examples from `from` on of the one side with those of a panel on the other.
fn real_panel<T: Element>(
    (x, from): (&Features<'_, T>, usize),
    (y, right): (&Features<'_, T>, Columns<'_>),
    (left_scratch, right_scratch): &mut (Vec<T>, Vec<T>),
    panel: &mut [T],
) {
    let (rows, width) = (x.len(), right.len());
    let mut products = Array2::zeros((REAL_ROWS, width));
    let mut totals = Array2::<f64>::zeros((REAL_ROWS, width));
    for start in (from..rows).step_by(REAL_ROWS) {
        let left = Columns::Run { start, len: REAL_ROWS.min(rows - start) };
        let mut products = products.slice_mut(s![..left.len(), ..]);
        let mut totals = totals.slice_mut(s![..left.len(), ..]);
        totals.fill(0.0);
        for features in feature_blocks(x.width()) {
            let a = x.block(features.clone(), left, left_scratch);
            let b = y.block(features, right, right_scratch);
            multiply(T::one(), a.reversed_axes(), b, T::zero(), products.view_mut());
            totals.zip_mut_with(&products, |total, &it| *total += it.into());
        }
        let out = panel[start * PANEL..].chunks_exact_mut(PANEL);
        for (out, totals) in out.zip(totals.rows()) {
            out.iter_mut().zip(totals).for_each(|(out, &total)| *out = T::from_f64(total));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Purpose, RandomStream};
    use ndarray::ShapeBuilder;
    use proptest::prelude::*;

    fn bytes(shape: (usize, usize), column_major: bool, seed: u64) -> Array2<u8> {
        let mut stream = RandomStream::new(seed, Purpose::Data, 0);
        Array2::from_shape_simple_fn(shape.set_f(column_major), || {
            u8::try_from(stream.up_to(255)).unwrap()
        })
    }

    /// The definition.
    fn naive(x: &Array2<f64>, y: &Array2<f64>) -> Array2<f64> {
        x.t().dot(y)
    }

    fn dense<T: Element>(gram: &Gram<T>) -> Array2<f64> {
        Array2::from_shape_fn((gram.rows(), gram.columns()), |(i, j)| gram.at(i, j).into())
    }

    /// How far apart, as a part of the largest number.
    fn apart(found: &Array2<f64>, expected: &Array2<f64>) -> f64 {
        assert_eq!(found.dim(), expected.dim());
        let largest = expected.iter().fold(1e-300, |most, value| value.abs().max(most));
        found.iter().zip(expected).map(|(a, b)| (a - b).abs() / largest).fold(0.0, f64::max)
    }

    fn scaled(bytes: &Array2<u8>, scaling: PixelScaling) -> Array2<f64> {
        Array2::from_shape_fn(bytes.dim(), |(i, j)| {
            let channel = i % scaling.channels();
            let value = f64::from(bytes[(i, j)]) / 255.0 - scaling.mean()[channel];
            value / scaling.deviation()[channel]
        })
    }

    #[test]
    fn pixels_are_multiplied_exactly() {
        // A deviation of 1/255 leaves pixels as they are: whole numbers, which the oracle has in 64 bits.
        let scaling = PixelScaling::per_channel(&[0.0], &[1.0 / 255.0]).unwrap();
        let mut bright = bytes((40_000, 5), true, 1);
        bright.column_mut(0).fill(255);
        bright.column_mut(4).fill(255);
        for values in [bytes((1, 1), true, 2), bytes((100, 130), false, 3), bright] {
            let features: Features<'_, f64> = Features::Pixels { values: values.view(), scaling };
            let gram = Gram::of(&features);
            for i in 0..values.ncols() {
                for j in 0..values.ncols() {
                    let pairs = values.column(i).into_iter().zip(values.column(j));
                    let sum: i64 = pairs.map(|(&a, &b)| i64::from(a) * i64::from(b)).sum();
                    assert_eq!(gram.at(i, j), sum as f64, "{i}, {j}");
                }
            }
        }
    }

    #[test]
    fn channels_with_scalings_of_their_own_and_nothing_at_all() {
        for (mean, deviation) in [
            (&[0.0][..], &[1.0][..]),
            (&[0.4, 0.5, 0.6], &[0.25; 3]),
            (&[0.4, 0.5, 0.6], &[0.2, 0.25, 0.3]),
            (&[0.0; 3], &[0.2, 0.25, 0.3]),
        ] {
            let scaling = PixelScaling::per_channel(mean, deviation).unwrap();
            for (n_x, m, m_y) in [(3, 1, 2), (6300, 70, 3), (33, 4, 129), (3, 0, 2), (0, 2, 2)] {
                let (x, y) = (bytes((n_x, m), true, 4), bytes((n_x, m_y), false, 5));
                let left = Features::Pixels { values: x.view(), scaling };
                let right = Features::Pixels { values: y.view(), scaling };
                let (x, y) = (scaled(&x, scaling), scaled(&y, scaling));
                assert!(apart(&dense(&Gram::of(&left)), &naive(&x, &x)) < 1e-13);
                let found = dense(&Gram::between(&left, &right));
                assert!(apart(&found, &naive(&x, &y)) < 1e-13, "{scaling}, {n_x} {m} {m_y}");
                // Pixels beside numbers, and numbers beside each other.
                let numbers = Features::Real(y.view());
                assert!(apart(&dense(&Gram::between(&left, &numbers)), &naive(&x, &y)) < 1e-13);
                assert!(apart(&dense(&Gram::of(&numbers)), &naive(&y, &y)) < 1e-13);
            }
        }
    }

    #[test]
    fn the_same_bits_on_any_threads() {
        let values = bytes((700, 300), true, 6);
        let real = values.mapv(f32::from);
        let pixels = Features::Pixels { values: values.view(), scaling: PixelScaling::default() };
        for features in [pixels, Features::Real(real.view())] {
            let mut stream = RandomStream::new(7, Purpose::Data, 0);
            let dz = Array2::from_shape_simple_fn((3, 300), || f32::from_f64(stream.normal()));
            let run = || {
                let gram = Gram::of(&features);
                let mut a = Combination::new(3, 300, 128);
                fill(&mut a, &dz);
                let mut out = Array2::zeros((3, 300));
                gram.multiply_into(&a, out.view_mut());
                (gram.panels, out)
            };
            let on = |threads: usize| {
                rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(run)
            };
            let expected = on(1);
            for threads in [2, 3, 4, 8] {
                assert!(on(threads) == expected, "{threads} threads");
            }
        }
    }

    fn fill<T: Element>(a: &mut Combination<T>, numbers: &Array2<T>) {
        for block in a.blocks_mut() {
            block.assign(numbers.slice(s![.., block.columns.clone()]));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn products_leave_out_zeros_and_nothing_else(
            (n, m, m_y) in (prop_oneof![0..3_usize, 60..70_usize], 0..150_usize, 0..150_usize),
            width in 1..140_usize,
            seed in 0..1000_u64,
        ) {
            let mut stream = RandomStream::new(seed, Purpose::Data, 0);
            let mut normal = |shape| Array2::from_shape_simple_fn(shape, || stream.normal());
            let (x, y) = (normal((5, m)), normal((5, m_y)));
            let mut numbers = normal((n, m));
            numbers.mapv_inplace(|value| value.max(0.0));
            let gram = Gram::between(&Features::Real(x.view()), &Features::Real(y.view()));
            let mut a = Combination::new(n, m, width);
            // What was there before does not stay.
            fill(&mut a, &Array2::from_elem((n, m), 9.0));
            fill(&mut a, &numbers);
            let count: usize = a.blocks.iter().flat_map(|block| &block.counts).sum();
            prop_assert_eq!(count, numbers.iter().filter(|&&value| value != 0.0).count());
            let mut out = Array2::from_elem((n, m_y), f64::NAN);
            gram.multiply_into(&a, out.view_mut());
            prop_assert!(apart(&out, &numbers.dot(&naive(&x, &y))) < 1e-12);
        }
    }
}
