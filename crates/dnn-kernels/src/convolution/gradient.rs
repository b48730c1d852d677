//! The gradient of the weights: some taps and two vectors of units in registers, over all pixels of a picture.

use super::{Taps, WindowGradient};
use crate::dispatch::{Kernel, dispatch};
use crate::path::KernelPath;
use crate::simd::Simd;

/// `sums += x^T * dz` on vectors, of one group.
///
/// # Panics
/// If a picture, its gradient or the sums are shorter than what is reached.
pub(crate) fn by_vectors(path: KernelPath, gradient: WindowGradient<'_, f32>) {
    let WindowGradient { taps, x, dz, sums, is_first } = gradient;
    let [read, written] = taps.reach();
    assert!(x.len() >= read && dz.len() >= written, "a picture of another convolution");
    assert!(sums.len() >= taps.count() * taps.columns, "a gradient of other weights");
    let gradient =
        Gradient { taps, x: x.as_ptr(), dz: dz.as_ptr(), sums: sums.as_mut_ptr(), is_first };
    // SAFETY: the lengths were checked above.
    unsafe { dispatch(path, gradient) }
}

/// Pointers are to the first number of a group.
struct Gradient<'t> {
    taps: &'t Taps,
    x: *const f32,
    dz: *const f32,
    sums: *mut f32,
    /// Whether nothing is in the sums yet.
    is_first: bool,
}

impl Kernel for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let taps = self.taps;
        let mut tap = 0;
        for kernel_row in 0..taps.kernel_rows {
            for piece in 0..taps.pieces {
                let from = kernel_row * taps.row_pitch + piece * taps.pixel_in;
                let mut at = 0;
                while at < taps.run {
                    let mut made = 0;
                    for unit in (0..taps.units).step_by(2 * S::LANES) {
                        let left = taps.run - at;
                        let from = from + at;
                        // SAFETY: the taps and units exist.
                        made = unsafe {
                            match taps.units - unit {
                                units if units >= 2 * S::LANES => {
                                    self.taps::<S, 2, true>(left, from, tap, unit)
                                }
                                units if units > S::LANES => {
                                    self.taps::<S, 2, false>(left, from, tap, unit)
                                }
                                units if units == S::LANES => {
                                    self.taps::<S, 1, true>(left, from, tap, unit)
                                }
                                _ => self.taps::<S, 1, false>(left, from, tap, unit),
                            }
                        };
                    }
                    at += made;
                    tap += made;
                }
            }
        }
    }
}

impl Gradient<'_> {
    /// The next taps of a piece, of which so many are left; says how many it made.
    ///
    /// # Safety
    /// The taps and the units from `unit` on exist.
    #[inline(always)]
    unsafe fn taps<S: Simd, const V: usize, const WHOLE: bool>(
        &self,
        left: usize,
        from: usize,
        tap: usize,
        unit: usize,
    ) -> usize {
        // SAFETY: as the caller says.
        unsafe {
            match left.min(S::PIXELS) {
                12.. => self.block::<S, 12, V, WHOLE>(from, tap, unit),
                9..=11 => self.block::<S, 9, V, WHOLE>(from, tap, unit),
                6..=8 => self.block::<S, 6, V, WHOLE>(from, tap, unit),
                4 | 5 => self.block::<S, 4, V, WHOLE>(from, tap, unit),
                3 => self.block::<S, 3, V, WHOLE>(from, tap, unit),
                2 => self.block::<S, 2, V, WHOLE>(from, tap, unit),
                _ => self.block::<S, 1, V, WHOLE>(from, tap, unit),
            }
        }
    }

    /// `R` taps and `V` vectors of units; whether the vectors are whole.
    ///
    /// # Safety
    /// They exist.
    #[inline(always)]
    unsafe fn block<S: Simd, const R: usize, const V: usize, const WHOLE: bool>(
        &self,
        from: usize,
        tap: usize,
        unit: usize,
    ) -> usize {
        let taps = self.taps;
        let apart = taps.stride[1] * taps.pixel_in;
        let units = (taps.units - unit).min(V * S::LANES);
        // SAFETY: the windows lie in the picture and the pixels in its gradient, which is read only where there are
        // units; sums are filled up to whole vectors.
        unsafe {
            let mut sums = [[S::splat(0.0); V]; R];
            let to = self.sums.add(tap * taps.columns + unit);
            if !self.is_first {
                for r in 0..R {
                    for v in 0..V {
                        sums[r][v] = S::load(to.add(r * taps.columns + v * S::LANES));
                    }
                }
            }
            let mut dz = self.dz.add(unit);
            for row in 0..taps.rows {
                let mut x = self.x.add(from + row * taps.stride[0] * taps.row_pitch);
                for _ in 0..taps.columns_out {
                    let mut of_units = [S::splat(0.0); V];
                    for v in 0..V {
                        let from = dz.add(v * S::LANES);
                        of_units[v] = if WHOLE {
                            S::load(from)
                        } else {
                            let count = units.saturating_sub(v * S::LANES).min(S::LANES);
                            S::load_part(from, count)
                        };
                    }
                    for r in 0..R {
                        let number = S::splat(*x.add(r));
                        for v in 0..V {
                            sums[r][v] = S::multiply_add(number, of_units[v], sums[r][v]);
                        }
                    }
                    x = x.wrapping_add(apart);
                    dz = dz.wrapping_add(taps.pixel_out);
                }
            }
            for r in 0..R {
                for v in 0..V {
                    S::store(to.add(r * taps.columns + v * S::LANES), sums[r][v]);
                }
            }
        }
        R
    }
}
