//! What of a matrix is not zero, and the matrix with rows and columns exchanged: what other kernels want to
//! find ready.

use std::mem::MaybeUninit;
use std::ops::Range;

use ndarray::ArrayView2;

use super::combine::CHUNK;
use super::gram::PANEL;
use super::launch::{Kernel, KernelPath, launch};
use super::row_stride;
use super::simd::Simd;

/// One number of a row that is not zero: of which term, and what.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Entry {
    pub(super) term: u32,
    pub(super) value: f32,
}

/// Lists what is not zero in each of some rows of up to [`CHUNK`] numbers.
///
/// # Safety
/// `from` has to point to `rows` rows of `terms` numbers, `stride` apart, `counts` to a place for each row, and
/// `entries` to [`CHUNK`] places for each.
pub(super) struct List {
    pub(super) from: *const f32,
    pub(super) stride: usize,
    pub(super) rows: usize,
    pub(super) terms: usize,
    pub(super) counts: *mut u32,
    pub(super) entries: *mut Entry,
}

impl Kernel for List {
    type Output = ();

    #[inline(always)]
    #[expect(clippy::cast_possible_truncation, reason = "places in a chunk")]
    unsafe fn run<S: Simd>(self) {
        for row in 0..self.rows {
            let (mut alive, mut term) = (0, 0);
            // SAFETY: the row, its count and its places exist; no more are alive than terms are seen, so
            // that a vector of entries has room where one of terms has.
            unsafe {
                let from = self.from.add(row * self.stride);
                let entries = self.entries.add(row * CHUNK);
                while term + S::LANES <= self.terms {
                    alive += S::list(from.add(term), term as u32, entries.add(alive));
                    term += S::LANES;
                }
                while term < self.terms {
                    let value = *from.add(term);
                    entries.add(alive).write(Entry { term: term as u32, value });
                    alive += usize::from(value != 0.0);
                    term += 1;
                }
                *self.counts.add(row) = alive as u32;
            }
        }
    }
}

/// Writes a matrix with rows and columns exchanged.
///
/// # Safety
/// `from` has to point to `rows` rows of `columns` numbers, `stride` apart, and `to` to room for as many with
/// rows and columns exchanged, `to_stride` apart.
pub(super) struct Transpose {
    pub(super) from: *const f32,
    pub(super) stride: usize,
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) to: *mut f32,
    pub(super) to_stride: usize,
}

impl Kernel for Transpose {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let &Self { from, stride, rows, columns, to, to_stride } = &self;
        let whole = |count: usize| count - count % S::LANES;
        // SAFETY: all squares and single numbers are of the matrix.
        unsafe {
            for row in (0..whole(rows)).step_by(S::LANES) {
                for column in (0..whole(columns)).step_by(S::LANES) {
                    let (from, to) =
                        (from.add(row * stride + column), to.add(column * to_stride + row));
                    S::transpose(from, stride, to, to_stride);
                }
                self.singly(row..row + S::LANES, whole(columns)..columns);
            }
            self.singly(whole(rows)..rows, 0..columns);
        }
    }
}

impl Transpose {
    /// What does not fill a square.
    ///
    /// # Safety
    /// These rows and columns exist.
    #[inline(always)]
    unsafe fn singly(&self, rows: Range<usize>, columns: Range<usize>) {
        for row in rows {
            for column in columns.clone() {
                // SAFETY: as the caller says.
                unsafe {
                    *self.to.add(column * self.to_stride + row) =
                        *self.from.add(row * self.stride + column);
                }
            }
        }
    }
}

/// Gives `then` the same numbers with rows and columns exchanged, which lie near the processor.
///
/// # Panics
/// If there are more than [`PANEL`] rows or columns, or rows are not in one piece.
#[expect(clippy::large_stack_arrays, reason = "near the processor, without an allocation")]
pub(crate) fn with_transposed<R>(
    path: KernelPath,
    values: ArrayView2<'_, f32>,
    then: impl FnOnce(ArrayView2<'_, f32>) -> R,
) -> R {
    #[repr(align(64))]
    struct Room([[MaybeUninit<f32>; PANEL]; PANEL]);
    let (rows, columns) = values.dim();
    assert!(rows.max(columns) <= PANEL, "{rows} rows, {columns} columns");
    let stride = row_stride(values.dim(), values.strides()).expect("rows in one piece");
    let mut room = Room([[MaybeUninit::uninit(); PANEL]; PANEL]);
    let to: *mut f32 = room.0.as_mut_ptr().cast();
    let kernel = Transpose { from: values.as_ptr(), stride, rows, columns, to, to_stride: rows };
    // SAFETY: there is room for as many numbers, `rows` in a row, all of which the kernel writes.
    unsafe {
        launch(path, kernel);
        then(ArrayView2::from_shape_ptr((columns, rows), to))
    }
}
