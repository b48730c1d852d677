//! Products with a symmetric matrix of which one half is kept: each number is read once and used twice.
//!
//! The one idea: a square block below the diagonal adds to two groups of columns of the result. Squares are
//! taken by halving, first the triangles on both sides, then the square between them, as two pairs of smaller
//! ones: of those that run at the same time no two add to the same group. So nothing is kept aside, and every
//! sum is added up in one order, whatever the number of threads.

use std::ops::Range;

use dnn_kernels::gram::PANEL;
use dnn_kernels::{KernelPath, TransposeBuffer, join};
use ndarray::{ArrayViewMut2, Axis, s};

use super::matrix::Gram;
use super::sparse_left::{Rows, SparseLeft, UNITS, view};
use crate::Element;

/// Panels on a side of a square that is one task: small enough to share, large enough to fetch ahead in.
const TASK: usize = 3;

/// A symmetric matrix, and what it is multiplied with.
#[derive(Clone, Copy)]
pub(super) struct Symmetric<'k, T> {
    pub(super) gram: &'k Gram<T>,
    pub(super) a: &'k SparseLeft<T>,
}

/// Columns of the result, those of some panels.
struct Group<'o> {
    panels: Range<usize>,
    out: ArrayViewMut2<'o, f64>,
}

impl Group<'_> {
    fn split(&mut self) -> (Group<'_>, Group<'_>) {
        let Range { start, end } = self.panels;
        let middle = start + (end - start).div_ceil(2);
        let (left, right) = self.out.view_mut().split_at(Axis(1), (middle - start) * PANEL);
        (Group { panels: start..middle, out: left }, Group { panels: middle..end, out: right })
    }

    fn of_panel(&mut self, panel: usize) -> ArrayViewMut2<'_, f64> {
        let first = (panel - self.panels.start) * PANEL;
        let last = self.out.ncols().min(first + PANEL);
        self.out.slice_mut(s![.., first..last])
    }
}

impl<T: Element> Symmetric<'_, T> {
    /// `out = A K`.
    pub(super) fn multiply(self, mut out: ArrayViewMut2<'_, f64>) {
        out.fill(0.0);
        let panels = 0..self.a.blocks.len();
        if !panels.is_empty() {
            self.triangle(&mut Group { panels, out });
        }
    }

    /// All products within a group.
    fn triangle(self, group: &mut Group<'_>) {
        if group.panels.len() == 1 {
            return self.diagonal(group.panels.start, group.out.view_mut());
        }
        let (mut above, mut below) = group.split();
        join(|| self.triangle(&mut above), || self.triangle(&mut below));
        self.square(&mut above, &mut below);
    }

    /// All products within a panel. Like [`task`](Self::task) never a part of its caller, which calls itself: on each
    /// stack there is room for the sums of one at a time.
    #[inline(never)]
    fn diagonal(self, panel: usize, mut out: ArrayViewMut2<'_, f64>) {
        let rows = self.gram.block(panel, panel);
        for units in self.a.groups() {
            let mut sums = [[T::zero(); PANEL]; UNITS];
            let rows = Rows { values: rows, ahead: [&[]; 2] };
            self.a.blocks[panel].multiply(&units, rows, view(&mut sums, &units));
            self.a.add(&mut sums, &units, out.view_mut());
        }
    }

    /// All products between two groups, of which the one comes before the other, and which differ by at most
    /// one panel.
    fn square(self, above: &mut Group<'_>, below: &mut Group<'_>) {
        if above.panels.len().max(below.panels.len()) <= TASK {
            return self.a.groups().for_each(|units| self.task(&units, above, below));
        }
        let ((mut a, mut b), (mut c, mut d)) = (above.split(), below.split());
        join(|| self.square(&mut a, &mut c), || self.square(&mut b, &mut d));
        join(|| self.square(&mut a, &mut d), || self.square(&mut b, &mut c));
    }

    /// The same for some units by one thread, block after block as they lie.
    #[inline(never)]
    fn task(self, units: &Range<usize>, above: &mut Group<'_>, below: &mut Group<'_>) {
        let mut sums = [[[T::zero(); PANEL]; UNITS]; TASK];
        let mut transposed = TransposeBuffer::new();
        let rows = below.panels.clone();
        for panel in above.panels.clone() {
            let mut of_panel = [[T::zero(); PANEL]; UNITS];
            for (row, of_row) in rows.clone().zip(&mut sums) {
                let next =
                    if row + 1 < rows.end { (row + 1, panel) } else { (rows.start, panel + 1) };
                let ahead = (next.1 < above.panels.end).then(|| self.gram.block(next.0, next.1));
                let ahead = ahead.and_then(|block| block.to_slice()).unwrap_or_default();
                let quarter = |part: usize| {
                    let of = |part: usize| ahead.len() * part / 4;
                    &ahead[of(part)..of(part + 1)]
                };
                let block = self.gram.block(row, panel);
                let rows = Rows { values: block, ahead: [quarter(0), quarter(1)] };
                self.a.blocks[row].multiply(units, rows, view(&mut of_panel, units));
                let columns = transposed.transpose(KernelPath::best(), block);
                let rows = Rows { values: columns, ahead: [quarter(2), quarter(3)] };
                let of_row = view(of_row, units).slice_move(s![.., ..columns.ncols()]);
                self.a.blocks[panel].multiply(units, rows, of_row);
            }
            self.a.add(&mut of_panel, units, above.of_panel(panel));
        }
        for (row, of_row) in rows.zip(&mut sums) {
            self.a.add(of_row, units, below.of_panel(row));
        }
    }
}
