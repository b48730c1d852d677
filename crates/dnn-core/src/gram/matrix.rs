//! Gram matrices, panel by panel.
//!
//! ```text
//! for a panel of 128 columns, in parallel: for the rows from the diagonal on (or all of them):
//!     pixels with one scaling: products of whole numbers, scaled afterwards
//!     otherwise: for a block of features: totals += the products, in the numbers' own precision
//! ```

use dnn_kernels::gram::PANEL;
use dnn_kernels::{Kernels, aligned_zeros, for_each_part};
use ndarray::{Array2, ArrayView2, s};

use super::pixels::{Corner, PixelProducts, PixelSide, Scratch};
use crate::products::feature_blocks;
use crate::{Columns, Element, Features, PixelScaling, multiply};

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
/// use dnn_core::{Features, Gram, SparseLeft};
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
    pub(super) numbers: Array2<T>,
    pub(super) layout: Layout,
}

/// Where the numbers of a matrix lie.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Layout {
    rows: usize,
    columns: usize,
    /// Whether a panel begins at the diagonal: what lies above it is what lies below.
    pub(super) half: bool,
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
    pub(super) fn panel(&self, panel: usize) -> &[T] {
        let numbers = self.numbers.as_slice().expect("one after the other");
        let place = |panel| usize::try_from(self.layout.start(panel)).expect("memory was granted");
        &numbers[place(panel)..place(panel + 1)]
    }

    /// The rows of a panel that belong to another panel's columns.
    ///
    /// # Panics
    /// If they are not kept.
    pub(super) fn block(&self, row: usize, panel: usize) -> ArrayView2<'_, T> {
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
        let tasks = &mut panels[..];
        match (x, y) {
            (&Features::Pixels { values, scaling }, &Features::Pixels { values: right, .. })
                if has_scaling(y, scaling) =>
            {
                let products = PixelProducts::new::<T>(values, scaling);
                let left = PixelSide::new(&products, values);
                let right = PixelSide::new(&products, right);
                for_each_part(tasks, &|index, (from, panel)| {
                    let corner = Corner { row: *from, column: index * PANEL };
                    products.panel([&left, &right], corner, &mut Scratch::default(), panel);
                });
            }
            _ => for_each_part(tasks, &|index, (from, panel)| {
                let first = index * PANEL;
                let right = Columns::Run { start: first, len: PANEL.min(columns - first) };
                real_panel(x, *from, y, right, &mut Default::default(), panel);
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
