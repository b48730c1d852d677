//! The product of windows with weights: some pixels of a row and two vectors of units in registers.

use super::{Taps, WindowProduct};
use crate::dispatch::{Kernel, dispatch};
use crate::path::KernelPath;
use crate::simd::Simd;

/// `out = W * x + b` on vectors, of one group.
///
/// # Panics
/// If a picture, the weights, the bias or the output are shorter than what is reached.
pub(crate) fn by_vectors(path: KernelPath, product: WindowProduct<'_, f32>) {
    let WindowProduct { taps, x, weights, bias, relu, out } = product;
    let [read, written] = taps.reach();
    assert!(x.len() >= read && out.len() >= written, "a picture of another convolution");
    assert!(weights.len() >= taps.count() * taps.columns, "weights of another convolution");
    assert!(bias.is_none_or(|bias| bias.len() >= taps.units), "one bias for each unit");
    let bias = bias.map(<[f32]>::as_ptr);
    let product = Product {
        taps,
        x: x.as_ptr(),
        weights: weights.as_ptr(),
        bias,
        relu,
        out: out.as_mut_ptr(),
    };
    // SAFETY: the lengths were checked above.
    unsafe { dispatch(path, product) }
}

/// Windows that lie as far apart as the geometry says.
const ANY: usize = 0;

/// Pointers are to the first number of a group.
struct Product<'t> {
    taps: &'t Taps,
    x: *const f32,
    weights: *const f32,
    bias: Option<*const f32>,
    relu: bool,
    out: *mut f32,
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let taps = self.taps;
        for unit in (0..taps.units).step_by(2 * S::LANES) {
            let units = (taps.units - unit).min(2 * S::LANES);
            for row in 0..taps.rows {
                let mut column = 0;
                while column < taps.columns_out {
                    let left = taps.columns_out - column;
                    // SAFETY: the block lies in the output, and its windows in the picture.
                    column += unsafe {
                        if units > S::LANES {
                            self.pixels::<S, 2>(S::PIXELS, left, row, column, unit)
                        } else {
                            self.pixels::<S, 1>(12, left, row, column, unit)
                        }
                    };
                }
            }
        }
    }
}

impl Product<'_> {
    /// The next pixels of a row, of which so many are left; says how many it made.
    ///
    /// # Safety
    /// The pixels and the units from `unit` on exist.
    #[inline(always)]
    unsafe fn pixels<S: Simd, const V: usize>(
        &self,
        most: usize,
        left: usize,
        row: usize,
        column: usize,
        unit: usize,
    ) -> usize {
        // SAFETY: as the caller says.
        unsafe {
            match left.min(most) {
                // Windows of few channels are short: the places of their pixels are not to be computed for each.
                12.. => match self.taps.stride[1] * self.taps.pixel_in {
                    3 => self.block::<S, 12, V, 3>(row, column, unit),
                    6 => self.block::<S, 12, V, 6>(row, column, unit),
                    _ => self.block::<S, 12, V, ANY>(row, column, unit),
                },
                8..=11 => self.block::<S, 8, V, ANY>(row, column, unit),
                6 | 7 => self.block::<S, 6, V, ANY>(row, column, unit),
                4 | 5 => self.block::<S, 4, V, ANY>(row, column, unit),
                2 | 3 => self.block::<S, 2, V, ANY>(row, column, unit),
                _ => self.block::<S, 1, V, ANY>(row, column, unit),
            }
        }
    }

    /// Where the row of the picture begins that is in a row of the windows of a row of pixels.
    ///
    /// # Safety
    /// It exists.
    #[inline(always)]
    unsafe fn row(&self, row: usize, kernel_row: usize) -> *const f32 {
        // SAFETY: as the caller says.
        unsafe { self.x.add((row * self.taps.stride[0] + kernel_row) * self.taps.row_pitch) }
    }

    /// `P` pixels of a row, whose windows are `APART` numbers apart, or [`ANY`] number, and `V` vectors of units.
    ///
    /// `ReLU` has a loop of its own: one that does more is not unrolled, and then the sums are in memory.
    ///
    /// # Safety
    /// They exist, and the windows lie so.
    #[inline(always)]
    unsafe fn block<S: Simd, const P: usize, const V: usize, const APART: usize>(
        &self,
        row: usize,
        column: usize,
        unit: usize,
    ) -> usize {
        let taps = self.taps;
        let apart = if APART == ANY { taps.stride[1] * taps.pixel_in } else { APART };
        let units = (taps.units - unit).min(V * S::LANES);
        // SAFETY: windows lie in the picture, weights fill whole vectors; bias and output end with the units.
        unsafe {
            let mut sums = [[S::splat(0.0); V]; P];
            if let Some(bias) = self.bias {
                for v in 0..V {
                    let count = units.saturating_sub(v * S::LANES).min(S::LANES);
                    let bias = S::load_part(bias.add(unit + v * S::LANES), count);
                    for p in 0..P {
                        sums[p][v] = bias;
                    }
                }
            }
            let mut weights = self.weights.add(unit);
            for kernel_row in 0..taps.kernel_rows {
                for piece in 0..taps.pieces {
                    let x = self.row(row, kernel_row).add(column * apart + piece * taps.pixel_in);
                    for at in 0..taps.run {
                        let mut of_units = [S::splat(0.0); V];
                        for v in 0..V {
                            of_units[v] = S::load(weights.add(v * S::LANES));
                        }
                        for p in 0..P {
                            let number = S::splat(*x.add(p * apart + at));
                            for v in 0..V {
                                sums[p][v] = S::multiply_add(number, of_units[v], sums[p][v]);
                            }
                        }
                        weights = weights.add(taps.columns);
                    }
                }
            }
            if self.relu {
                for p in 0..P {
                    for v in 0..V {
                        sums[p][v] = S::relu(sums[p][v]);
                    }
                }
            }
            let to = self.out.add(row * taps.row_out + column * taps.pixel_out + unit);
            for p in 0..P {
                for v in 0..V {
                    let to = to.add(p * taps.pixel_out + v * S::LANES);
                    match units.saturating_sub(v * S::LANES) {
                        count if count >= S::LANES => S::store(to, sums[p][v]),
                        count => S::store_part(to, sums[p][v], count),
                    }
                }
            }
        }
        P
    }
}
