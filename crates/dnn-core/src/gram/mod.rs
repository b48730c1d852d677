//! Gram matrices, and products with them: the dual form of a linear layer.
//!
//! The one idea: gradient descent on fixed examples changes weights by sums of these examples, `W + S X^T`. What
//! the layer gives for them, `W X + S (X^T X)`, needs the products of the examples with each other alone: one number
//! for every pair, whatever the number of features.
//!
//! ```text
//! once:          K = X^T X
//! in each step:  Z = W X + S K,  S -= learning_rate dZ / m
//! at the end:    W + S X^T
//! ```
//!
//! The dual form of ridge regression and of kernel methods: Saunders, Gammerman and Vovk, "Ridge regression
//! learning algorithm in dual variables" (1998).

mod pixels;
mod sparse_left;
mod symmetric;
mod weights;

use dnn_kernels::gram::PANEL;
use dnn_kernels::{CHUNK, Kernels, aligned_zeros};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, s};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use self::pixels::{Corner, PixelProducts, PixelSide, Scratch};
use self::sparse_left::{Rows, UNITS, view};
use self::symmetric::Symmetric;
use crate::products::feature_blocks;
use crate::{Columns, Element, Features, PixelScaling, multiply};

pub use self::sparse_left::SparseLeft;

/// Rows of real numbers that are multiplied at a time.
const REAL_ROWS: usize = 256;

/// `K = X^T Y`: the products of all examples of `X` with all of `Y`; of one set, its Gram matrix `X^T X`.
///
/// Pixels are multiplied as whole numbers, exactly, and scaled afterwards; real numbers are summed in `f64`
/// over blocks of features in their own precision. Of a symmetric matrix one half is computed, and in `f32`
/// no more is kept: products with it read each number once for both of its places. The bits depend on the
/// features alone, not on the number of threads.
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
/// use dnn_core::{SparseLeft, Features, Gram};
/// use ndarray::{Array2, array};
///
/// let x = array![[1.0, 2.0], [0.0, 3.0]];
/// let gram = Gram::of(&Features::Real(x.view()));
/// assert_eq!([gram.at(0, 0), gram.at(0, 1), gram.at(1, 1)], [1.0, 2.0, 13.0]);
///
/// let mut dz = SparseLeft::new(1, 2);
/// dz.assign(array![[1.0, -1.0]].view());
/// let mut out = Array2::zeros((1, 2));
/// gram.multiply_into(&dz, out.view_mut());
/// assert_eq!(out, array![[-1.0, -11.0]]);
/// ```
#[derive(Debug, Clone)]
pub struct Gram<T> {
    /// One panel of [`PANEL`] columns after the other, each row after row.
    numbers: Array2<T>,
    layout: Layout,
}

/// Where the numbers of a matrix lie.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Layout {
    rows: usize,
    columns: usize,
    /// Whether a panel begins at the diagonal: what lies above it is what lies below.
    half: bool,
}

impl Layout {
    fn panels(self) -> usize {
        self.columns.div_ceil(PANEL)
    }

    /// The first row of a panel.
    fn first_row(self, panel: usize) -> usize {
        if self.half { panel * PANEL } else { 0 }
    }

    /// Where a panel begins; after the last one, all numbers there are.
    fn start(self, panel: usize) -> u128 {
        let (rows, panel, width) = (self.rows as u128, panel as u128, PANEL as u128);
        let left_out = if self.half { width * panel * panel.saturating_sub(1) / 2 } else { 0 };
        rows.saturating_mul(panel).saturating_sub(left_out).saturating_mul(width)
    }

    fn bytes<T: Element>(self) -> u128 {
        self.start(self.panels()).saturating_mul(T::PRECISION.bytes() as u128)
    }
}

impl<T: Element> Gram<T> {
    /// `X^T X`.
    pub fn of(x: &Features<'_, T>) -> Self {
        let mut gram = Self::products(x, x, Some(Self::symmetric(x.len())));
        gram.mirror();
        gram
    }

    /// `X^T Y`.
    ///
    /// # Panics
    /// If they have other numbers of features.
    pub fn between(x: &Features<'_, T>, y: &Features<'_, T>) -> Self {
        assert_eq!(x.width(), y.width(), "examples of other numbers of features");
        Self::products(x, y, None)
    }

    /// The bytes of `X^T X`.
    pub fn bytes_of(examples: usize) -> u128 {
        Self::symmetric(examples).bytes::<T>()
    }

    /// The bytes of `X^T Y`.
    pub fn bytes_between(rows: usize, columns: usize) -> u128 {
        Layout { rows, columns, half: false }.bytes::<T>()
    }

    fn symmetric(examples: usize) -> Layout {
        Layout { rows: examples, columns: examples, half: T::Kernels::VECTOR }
    }

    /// Examples of `X`, `m`.
    pub fn rows(&self) -> usize {
        self.layout.rows
    }

    /// Examples of `Y`.
    pub fn columns(&self) -> usize {
        self.layout.columns
    }

    /// One number of it.
    ///
    /// # Panics
    /// If there is no such row or column.
    pub fn at(&self, row: usize, column: usize) -> T {
        let layout = self.layout;
        assert!(row < layout.rows && column < layout.columns, "({row}, {column})");
        let above = row < layout.first_row(column / PANEL);
        let (row, column) = if above { (column, row) } else { (row, column) };
        let panel = column / PANEL;
        self.panel(panel)[(row - layout.first_row(panel)) * PANEL + column % PANEL]
    }

    /// The rows of a panel that are kept.
    fn panel(&self, panel: usize) -> &[T] {
        let numbers = self.numbers.as_slice().expect("one after the other");
        let place = |panel| usize::try_from(self.layout.start(panel)).expect("memory was granted");
        &numbers[place(panel)..place(panel + 1)]
    }

    /// The rows of a panel that belong to another panel's columns.
    ///
    /// # Panics
    /// If they are not kept.
    fn block(&self, row: usize, panel: usize) -> ArrayView2<'_, T> {
        let numbers = self.panel(panel);
        let rows = numbers.len() / PANEL;
        let numbers = ArrayView2::from_shape((rows, PANEL), numbers).expect("whole rows");
        let first = row * PANEL - self.layout.first_row(panel);
        let rows = first..rows.min(first + PANEL);
        numbers.slice_move(s![rows, ..])
    }

    /// All products, or those on and below the blocks of the diagonal, if `symmetric` says where they go.
    fn products(x: &Features<'_, T>, y: &Features<'_, T>, symmetric: Option<Layout>) -> Self {
        let (rows, columns) = (x.len(), y.len());
        let layout = symmetric.unwrap_or(Layout { rows, columns, half: false });
        let first_row = |panel: usize| if symmetric.is_some() { panel * PANEL } else { 0 };
        let count = usize::try_from(layout.start(layout.panels())).expect("memory was granted");
        let mut numbers = aligned_zeros((1, count));
        let mut rest = numbers.as_slice_mut().expect("one after the other");
        let mut panels = Vec::with_capacity(layout.panels());
        for index in 0..layout.panels() {
            let len = (rows - layout.first_row(index)) * PANEL;
            let (panel, after) = rest.split_at_mut(len);
            rest = after;
            let first = first_row(index);
            panels.push((first, &mut panel[(first - layout.first_row(index)) * PANEL..]));
        }
        let tasks = panels.into_par_iter().enumerate();
        match (x, y) {
            (&Features::Pixels { values, scaling }, &Features::Pixels { values: right, .. })
                if has_scaling(y, scaling) =>
            {
                let products = PixelProducts::new::<T>(values, scaling);
                let left = PixelSide::new(&products, values);
                let right = PixelSide::new(&products, right);
                tasks.for_each_init(Scratch::default, |scratch, (index, (from, panel))| {
                    let corner = Corner { row: from, column: index * PANEL };
                    products.panel([&left, &right], corner, scratch, panel);
                });
            }
            _ => tasks.for_each_init(Default::default, |scratch, (index, (from, panel))| {
                let first = index * PANEL;
                let right = Columns::Run { start: first, len: PANEL.min(columns - first) };
                real_panel(x, from, y, right, scratch, panel);
            }),
        }
        Self { numbers, layout }
    }

    /// Fills what lies above the blocks of the diagonal with what lies below, where both are kept.
    fn mirror(&mut self) {
        const BLOCK: usize = PANEL * PANEL;
        let Layout { rows, half, .. } = self.layout;
        if half {
            return;
        }
        let (panels, len) = (self.layout.panels(), rows * PANEL);
        let numbers = self.numbers.as_slice_mut().expect("one after the other");
        for index in 1..panels {
            let (done, rest) = numbers.split_at_mut(index * len);
            let above = rest[..index * BLOCK].chunks_mut(BLOCK);
            above.zip(done.chunks(len)).for_each(|(block, panel)| {
                let below = &panel[index * BLOCK..];
                for (j, row) in below.chunks_exact(PANEL).take(PANEL).enumerate() {
                    for (i, &number) in row.iter().enumerate() {
                        block[i * PANEL + j] = number;
                    }
                }
            });
        }
    }

    /// `out = A K`, in parallel: the numbers of each block of `A` are summed in their own precision, the blocks
    /// in `f64`.
    ///
    /// # Shapes
    /// | `A` | `K` | `out` |
    /// |---|---|---|
    /// | `(n, m)` | `(m, m_y)` | `(n, m_y)` |
    ///
    /// # Panics
    /// If the shapes do not fit.
    pub fn multiply_into(&self, a: &SparseLeft<T>, mut out: ArrayViewMut2<'_, f64>) {
        assert_eq!(out.dim(), (a.units, self.columns()), "a place for each sum");
        assert_eq!(a.examples, self.rows(), "a number for each row");
        if self.layout.half {
            return Symmetric { gram: self, a }.multiply(out);
        }
        let parts = out.axis_chunks_iter_mut(Axis(1), PANEL).into_par_iter();
        parts.enumerate().for_each(|(panel, out)| self.multiply_panel(a, panel, out));
    }

    /// The columns of a panel of `A K`.
    #[expect(clippy::large_stack_arrays, reason = "sums near the processor, without an allocation")]
    fn multiply_panel(&self, a: &SparseLeft<T>, panel: usize, mut out: ArrayViewMut2<'_, f64>) {
        out.fill(0.0);
        for units in a.groups() {
            if T::Kernels::VECTOR {
                for (row, block) in a.blocks.iter().enumerate() {
                    let next = (row + 1 < a.blocks.len()).then(|| self.block(row + 1, panel));
                    let next = next.and_then(|next| next.to_slice()).unwrap_or_default();
                    let ahead = next.split_at(next.len().min(CHUNK * PANEL));
                    let mut sums = [[T::zero(); PANEL]; UNITS];
                    let rows = Rows { values: self.block(row, panel), ahead: ahead.into() };
                    block.multiply(&units, rows, view(&mut sums, &units));
                    a.add(&mut sums, &units, out.view_mut());
                }
                continue;
            }
            let mut sums = [[0.0; PANEL]; UNITS];
            for block in &a.blocks {
                block.multiply_listed(units.clone(), self.panel(panel), &mut sums);
            }
            for (unit, sums) in units.zip(&sums) {
                out.row_mut(unit).iter_mut().zip(sums).for_each(|(out, sum)| *out = *sum);
            }
        }
    }
}

/// Whether these are pixels with this scaling.
fn has_scaling<T>(x: &Features<'_, T>, expected: PixelScaling) -> bool {
    matches!(x, Features::Pixels { scaling, .. } if *scaling == expected)
}

/// The products of the examples from `from` on of the one side with those of a panel on the other; `panel`
/// begins with these rows.
fn real_panel<T: Element>(
    x: &Features<'_, T>,
    from: usize,
    y: &Features<'_, T>,
    right: Columns<'_>,
    [left_scratch, right_scratch]: &mut [Vec<T>; 2],
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
        let out = panel[(start - from) * PANEL..].chunks_exact_mut(PANEL);
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
            value / scaling.std_dev()[channel]
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
        let values = bytes((700, 900), true, 6);
        let real = values.mapv(f32::from);
        let pixels = Features::Pixels { values: values.view(), scaling: PixelScaling::default() };
        for features in [pixels, Features::Real(real.view())] {
            let mut stream = RandomStream::new(7, Purpose::Data, 0);
            let dz = Array2::from_shape_simple_fn((3, 900), || f32::from_f64(stream.normal()));
            let run = || {
                let gram = Gram::of(&features);
                let mut a = SparseLeft::new(3, 900);
                a.assign(dz.view());
                let mut out = Array2::zeros((3, 900));
                gram.multiply_into(&a, out.view_mut());
                (gram.numbers, out)
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

    /// `A` is `(n, m)`, `K` `(m, m_y)`.
    #[derive(Debug, Clone, Copy)]
    struct Sizes {
        n: usize,
        m: usize,
        m_y: usize,
    }

    /// `A` with zeros, `K` and what should come of them, of numbers that are what they are in `f32`.
    fn problem<T: Element>(sizes: Sizes, seed: u64) -> (Array2<T>, [Array2<T>; 2]) {
        let Sizes { n, m, m_y } = sizes;
        let mut stream = RandomStream::new(seed, Purpose::Data, 0);
        let mut normal = |shape| {
            Array2::from_shape_simple_fn(shape, || T::from_f64((8.0 * stream.normal()).round()))
        };
        let (x, y) = (normal((5, m)), normal((5, m_y)));
        let mut numbers = normal((n, m));
        for (unit, mut row) in numbers.rows_mut().into_iter().enumerate() {
            // Some units are mostly 0, some hardly.
            let least = T::from_f64(4.0 * (unit % 5) as f64 - 8.0);
            row.mapv_inplace(|value| if value < least { T::zero() } else { value });
        }
        (numbers, [x, y])
    }

    fn products_are_right<T: Element>(sizes: Sizes, seed: u64, close: f64) {
        let (numbers, [x, y]) = problem::<T>(sizes, seed);
        let Sizes { n, m, m_y } = sizes;
        let mut a = SparseLeft::new(n, m);
        // What was there before does not stay.
        a.assign(Array2::<T>::from_elem((n, m), T::one()).view());
        a.assign(numbers.view());
        let wide = |values: &Array2<T>| values.mapv(Into::<f64>::into);
        let (x, y, numbers) = (Features::Real(x.view()), y, wide(&numbers));
        let Features::Real(left) = x else { unreachable!("just made") };
        let left = wide(&left.to_owned());
        let mut out = Array2::from_elem((n, m_y), f64::NAN);
        Gram::between(&x, &Features::Real(y.view())).multiply_into(&a, out.view_mut());
        assert!(apart(&out, &numbers.dot(&naive(&left, &wide(&y)))) < close, "between {sizes:?}");
        for column_major in [false, true] {
            let mut out = Array2::from_elem((n, m).set_f(column_major), f64::NAN);
            Gram::of(&x).multiply_into(&a, out.view_mut());
            assert!(apart(&out, &numbers.dot(&naive(&left, &left))) < close, "of {sizes:?}");
        }
    }

    #[test]
    fn products_with_many_panels() {
        for m in [PANEL, 3 * PANEL + 1, 7 * PANEL, 9 * PANEL - 5] {
            products_are_right::<f32>(Sizes { n: 7, m, m_y: 1 }, 1, 1e-5);
            products_are_right::<f64>(Sizes { n: 7, m, m_y: 1 }, 1, 1e-12);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn products_leave_out_zeros_and_nothing_else(
            n in prop_oneof![0..3_usize, 30..70_usize],
            m in 0..600_usize,
            m_y in 0..150_usize,
            seed in 0..1000_u64,
        ) {
            let sizes = Sizes { n, m, m_y };
            products_are_right::<f32>(sizes, seed, 1e-5);
            products_are_right::<f64>(sizes, seed, 1e-12);
            let (numbers, _) = problem::<f64>(sizes, seed);
            let mut a = SparseLeft::<f64>::new(n, m);
            a.assign(numbers.view());
            prop_assert_eq!(a.listed(), numbers.iter().filter(|&&value| value != 0.0).count());
        }
    }
}
