//! Products of a sparse matrix with a Gram matrix.
//!
//! ```text
//! half of a symmetric matrix:  see symmetric.rs
//! on vectors:  for a panel, 128 units and a block of 128 examples: sums = A K of the block; out += sums, in f64
//! otherwise:   for a panel, a unit and a block: sums = the rows of K that A names, each times its entry; likewise
//! ```

use dnn_kernels::gram::PANEL;
use dnn_kernels::{CHUNK, Kernels, for_each_part};
use ndarray::{ArrayViewMut2, Axis};

use super::matrix::Gram;
use super::sparse_left::{Rows, SparseLeft, UNITS, view};
use super::symmetric::Symmetric;
use crate::Element;

impl<T: Element> Gram<T> {
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
        let parts = out.axis_chunks_iter_mut(Axis(1), PANEL);
        for_each_part(parts, &|panel, out| self.multiply_panel(a, panel, out));
    }

    /// The columns of a panel of `A K`. Never a part of its caller, which rayon calls from within itself: on each stack
    /// there is room for the sums of one at a time.
    #[inline(never)]
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
