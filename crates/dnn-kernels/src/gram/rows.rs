//! Sums of rows of a panel, each times a weight: a product with a Gram matrix of which zeros are left out.
//!
//! ```text
//! for 32 columns at a time: for each weight: sums += weight * panel[place]
//! out += sums
//! ```

use ndarray::NdFloat;

use super::steps::PANEL;
use crate::path::KernelPath;

/// `sum over k of weights[k] panel[places[k]]`, in the numbers' own precision from 0 on, in the order of `k`.
#[derive(Debug, Clone, Copy)]
pub struct SumOfRows<'a, T> {
    /// One number for each row of the sum.
    pub weights: &'a [T],
    /// The places of these rows.
    pub places: &'a [u32],
    /// All rows of [`PANEL`] numbers, one after the other.
    pub panel: &'a [T],
}

impl<T> SumOfRows<'_, T> {
    /// Panics unless there is a place for each weight, and a row of the panel at each place.
    fn check(&self) {
        assert_eq!(self.weights.len(), self.places.len(), "a place for each weight");
        let mut after = 0;
        for &place in self.places {
            after = place.saturating_add(1).max(after);
        }
        assert!(after as usize <= self.panel.len() / PANEL, "a place beyond the last row");
    }
}

/// The formula as it stands.
pub(crate) fn plain<T: NdFloat + Into<f64>>(sum: SumOfRows<'_, T>, out: &mut [f64; PANEL]) {
    sum.check();
    let mut sums = [T::zero(); PANEL];
    for (&weight, &place) in sum.weights.iter().zip(sum.places) {
        let row = &sum.panel[place as usize * PANEL..][..PANEL];
        for (sum, &number) in sums.iter_mut().zip(row) {
            *sum += weight * number;
        }
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        *out += sum.into();
    }
}

/// The same on vectors, with fused products.
///
/// # Panics
/// If the sum names a row that does not exist, or the processor has not got the path.
pub(crate) fn by_vectors(path: KernelPath, sum: SumOfRows<'_, f64>, out: &mut [f64; PANEL]) {
    assert!(path.exists(), "kernels for instructions that this processor does not have");
    #[cfg(target_arch = "x86_64")]
    if path != KernelPath::Portable {
        sum.check();
        // SAFETY: both other paths have AVX2 and FMA; there is one weight for each place, and every place is a
        // row of the panel.
        return unsafe { x86::add_rows(sum, out) };
    }
    plain(sum, out);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        _mm256_add_pd, _mm256_broadcast_sd, _mm256_fmadd_pd, _mm256_loadu_pd, _mm256_setzero_pd,
        _mm256_storeu_pd,
    };

    use super::{PANEL, SumOfRows};

    /// # Safety
    /// There is a weight for each place, and the panel has a row of [`PANEL`] numbers there.
    #[target_feature(enable = "avx2,fma")]
    pub(super) unsafe fn add_rows(sum: SumOfRows<'_, f64>, out: &mut [f64; PANEL]) {
        const PART: usize = 32;
        let (weights, panel) = (sum.weights.as_ptr(), sum.panel.as_ptr());
        // A part of a row at a time stays in registers.
        for (part, out) in out.chunks_exact_mut(PART).enumerate() {
            let mut sums = [_mm256_setzero_pd(); 8];
            for (k, &place) in sum.places.iter().enumerate() {
                // SAFETY: the caller vouches for the weight and the row, a part of which is 8 vectors of 4.
                unsafe {
                    let weight = _mm256_broadcast_sd(&*weights.add(k));
                    let row = panel.add(place as usize * PANEL + part * PART);
                    for (lane, sum) in sums.iter_mut().enumerate() {
                        *sum = _mm256_fmadd_pd(weight, _mm256_loadu_pd(row.add(4 * lane)), *sum);
                    }
                }
            }
            for (out, sum) in out.chunks_exact_mut(4).zip(sums) {
                // SAFETY: `out` is 4 numbers long here.
                unsafe {
                    let after = _mm256_add_pd(_mm256_loadu_pd(out.as_ptr()), sum);
                    _mm256_storeu_pd(out.as_mut_ptr(), after);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::{Kernels, Number};
    use crate::test_support::Draws;

    fn rows_are_added<T: Number + From<f32>>(close: f64) {
        for rows in [0, 1, 7, 200] {
            let mut draws = Draws::new(rows as u64);
            let mut numbers = |count| -> Vec<T> {
                (0..count).map(|_| <T as From<f32>>::from(draws.number())).collect()
            };
            let (panel, weights) = (numbers(rows * PANEL), numbers(rows / 2));
            let places: Vec<u32> =
                (0..rows / 2).map(|k| u32::try_from(rows - 1 - 2 * k).unwrap()).collect();
            let sum = SumOfRows { weights: &weights, places: &places, panel: &panel };
            let expected = |j: usize| {
                let terms = weights.iter().zip(&places).map(|(&weight, &place)| {
                    let number: f64 = panel[place as usize * PANEL + j].into();
                    Into::<f64>::into(weight) * number
                });
                0.25 + terms.sum::<f64>()
            };
            let mut found = [0.25; PANEL];
            plain(sum, &mut found);
            let mut all = vec![("plain".to_owned(), found)];
            for path in KernelPath::all() {
                let mut found = [0.25; PANEL];
                T::Kernels::add_rows(path, sum, &mut found);
                all.push((path.to_string(), found));
            }
            for (path, found) in all {
                for (j, found) in found.into_iter().enumerate() {
                    let expected = expected(j);
                    assert!((found - expected).abs() < close, "{path}, {rows}: {found} {expected}");
                }
            }
        }
    }

    #[test]
    fn rows_are_added_where_they_are_named() {
        rows_are_added::<f32>(1e-4);
        rows_are_added::<f64>(1e-12);
    }

    #[test]
    #[should_panic(expected = "a place beyond the last row")]
    fn a_row_that_is_not_there_is_refused() {
        let sum = SumOfRows { weights: &[1.0], places: &[2], panel: &[0.0; 2 * PANEL] };
        by_vectors(KernelPath::best(), sum, &mut [0.0; PANEL]);
    }

    #[test]
    #[should_panic(expected = "a place for each weight")]
    fn a_weight_without_a_row_is_refused() {
        let sum = SumOfRows { weights: &[1.0, 2.0], places: &[0], panel: &[0.0; PANEL] };
        by_vectors(KernelPath::best(), sum, &mut [0.0; PANEL]);
    }
}
