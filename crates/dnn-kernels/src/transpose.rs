//! A matrix with rows and columns exchanged, square by square in registers.
//!
//! ```text
//! for each square of as many rows and columns as a vector has lanes:
//!     load its rows, exchange what lies across the diagonal, store its columns
//! what does not fill a square: number by number
//! ```

use std::ops::Range;

use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

use crate::dispatch::{Kernel, dispatch};
use crate::layout::row_stride;
use crate::path::KernelPath;
use crate::simd::Simd;

/// The formula as it stands.
pub(crate) fn plain<T: NdFloat>(values: ArrayView2<'_, T>, mut out: ArrayViewMut2<'_, T>) {
    out.assign(&values.reversed_axes());
}

/// The same on vectors.
///
/// # Panics
/// If `out` is not of that shape, or rows of either are not contiguous.
pub(crate) fn by_vectors(
    path: KernelPath,
    values: ArrayView2<'_, f32>,
    mut out: ArrayViewMut2<'_, f32>,
) {
    let (rows, columns) = values.dim();
    assert_eq!(out.dim(), (columns, rows), "room for another shape");
    let stride = row_stride(values.dim(), values.strides()).expect("contiguous rows");
    let to_stride = row_stride(out.dim(), out.strides()).expect("contiguous rows");
    let (from, to) = (values.as_ptr(), out.as_mut_ptr());
    let kernel = Transpose { from, stride, rows, columns, to, to_stride };
    // SAFETY: the shapes were checked above.
    unsafe { dispatch(path, kernel) }
}

/// Writes a matrix with rows and columns exchanged.
///
/// # Safety
/// `from` has to point to `rows` rows of `columns` numbers, `stride` apart, and `to` to room for as many with
/// rows and columns exchanged, `to_stride` apart.
struct Transpose {
    from: *const f32,
    stride: usize,
    rows: usize,
    columns: usize,
    to: *mut f32,
    to_stride: usize,
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

#[cfg(test)]
mod tests {
    use ndarray::Array2;
    use proptest::prelude::*;

    use super::*;
    use crate::test_support::{Draws, amid, assert_untouched, cases, inner, inner_mut, panics};

    proptest! {
        #![proptest_config(cases(96))]

        #[test]
        fn a_transpose_is_one_on_every_path(rows in 0..40_usize, columns in 0..40_usize, seed in 0..1000_u64) {
            let values = Draws::new(seed).matrix((rows, columns));
            for path in KernelPath::all() {
                let mut all = amid(&Array2::ones((columns, rows)));
                by_vectors(path, inner(&amid(&values)), inner_mut(&mut all));
                prop_assert_eq!(inner(&all), values.t(), "{}", path);
                assert_untouched(&all);
            }
            let mut out = Array2::zeros((columns, rows));
            plain(values.view(), out.view_mut());
            prop_assert_eq!(out, values.t());
        }
    }

    #[test]
    fn room_of_another_shape_is_refused() {
        let (values, mut out) = (Array2::zeros((2, 3)), Array2::zeros((2, 3)));
        assert!(panics(|| by_vectors(KernelPath::best(), values.view(), out.view_mut())));
    }
}
