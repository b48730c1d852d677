//! The gradient of a convolution's weights in pairs of pixels: some taps and two vectors of units in registers, over all
//! pixels of a picture.

use super::instructions::{Instructions, Kernel, Pairs};
use super::product::at_once;
use crate::convolution::Taps;

/// Where taps and pixels lie, of one group.
#[derive(Clone, Copy)]
pub(crate) struct Gradient {
    /// Rows of the output, and pairs of pixels in each.
    rows: usize,
    pub(crate) pairs: usize,
    /// Pairs from the windows of one row of the output to those of the next, and from those of two pixels to those of
    /// the next two.
    row_apart: usize,
    apart: usize,
    /// Rows of a window, and the pairs from one to the next.
    kernel_rows: usize,
    kernel_apart: usize,
    /// Pieces of a row of a window, the pairs from one to the next, and the taps of each.
    pieces: usize,
    piece_apart: usize,
    run: usize,
    /// Units up to whole vectors: numbers from one tap of the sums to the next, and pairs from two pixels to the next.
    pub(crate) columns: usize,
}

impl Gradient {
    /// That of a convolution.
    pub(crate) fn of_taps(taps: &Taps) -> Self {
        Self {
            rows: taps.rows,
            pairs: taps.columns_out.div_ceil(2),
            row_apart: taps.stride[0] * taps.row_pitch,
            apart: 2 * taps.stride[1] * taps.pixel_in,
            kernel_rows: taps.kernel_rows,
            kernel_apart: taps.row_pitch,
            pieces: taps.pieces,
            piece_apart: taps.pixel_in,
            run: taps.run,
            columns: taps.columns,
        }
    }

    /// Pairs of pixels of all rows, with their units.
    pub(crate) fn pixels(&self) -> usize {
        self.rows * self.pairs * self.columns
    }

    fn taps(&self) -> usize {
        self.kernel_rows * self.pieces * self.run
    }

    /// How many pairs are read.
    fn reach(&self) -> usize {
        let (Some(rows), Some(pairs)) = (self.rows.checked_sub(1), self.pairs.checked_sub(1))
        else {
            return 0;
        };
        let window = (self.kernel_rows - 1) * self.kernel_apart
            + (self.pieces - 1) * self.piece_apart
            + self.run;
        rows * self.row_apart + pairs * self.apart + window
    }
}

/// `sums += x^T dz`, where `x` has each number with that of the next pixel, and `dz` pairs of pixels.
///
/// # Panics
/// If the picture, its gradient or the sums are shorter than what is reached.
pub(crate) fn add_gradient(
    instructions: Instructions,
    gradient: &Gradient,
    x: &[u32],
    dz: &[u32],
    sums: &mut [f32],
) {
    assert!(x.len() >= gradient.reach(), "a picture of another convolution");
    assert!(gradient.columns.is_multiple_of(16), "whole vectors of units");
    assert!(dz.len() >= gradient.pixels(), "a gradient of another convolution");
    assert!(sums.len() >= gradient.taps() * gradient.columns, "a gradient of other weights");
    let (x, dz, sums) = (x.as_ptr(), dz.as_ptr(), sums.as_mut_ptr());
    // SAFETY: the lengths were checked above.
    unsafe { instructions.run(Taken { gradient, x, dz, sums }) }
}

struct Taken<'a> {
    gradient: &'a Gradient,
    x: *const u32,
    dz: *const u32,
    sums: *mut f32,
}

impl Kernel for Taken<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Pairs>(self) {
        let it = self.gradient;
        // SAFETY: the taps and units of every block exist.
        unsafe {
            if it.kernel_rows == 3 && it.pieces == 1 && it.columns == S::LANES {
                // All taps of a window of few channels are read at once.
                match it.run {
                    9 => return self.block::<S, 3, 9, 1>(0, 0, 0),
                    3 => return self.block::<S, 3, 3, 1>(0, 0, 0),
                    _ => {}
                }
            }
            let mut tap = 0;
            for kernel_row in 0..it.kernel_rows {
                for piece in 0..it.pieces {
                    let from = kernel_row * it.kernel_apart + piece * it.piece_apart;
                    let mut at = 0;
                    while at < it.run {
                        let count = at_once(it.run - at);
                        let mut unit = 0;
                        while unit < it.columns {
                            if unit + 2 * S::LANES <= it.columns {
                                self.taps::<S, 2>(count, from + at, tap, unit);
                                unit += 2 * S::LANES;
                            } else {
                                self.taps::<S, 1>(count, from + at, tap, unit);
                                unit += S::LANES;
                            }
                        }
                        at += count;
                        tap += count;
                    }
                }
            }
        }
    }
}

impl Taken<'_> {
    /// So many taps, one of the numbers that [`at_once`] gives.
    ///
    /// # Safety
    /// They and the units from `unit` on exist.
    #[inline(always)]
    unsafe fn taps<S: Pairs, const V: usize>(
        &self,
        count: usize,
        from: usize,
        tap: usize,
        unit: usize,
    ) {
        // SAFETY: as the caller says.
        unsafe {
            match count {
                12 => self.block::<S, 1, 12, V>(from, tap, unit),
                8 => self.block::<S, 1, 8, V>(from, tap, unit),
                6 => self.block::<S, 1, 6, V>(from, tap, unit),
                4 => self.block::<S, 1, 4, V>(from, tap, unit),
                2 => self.block::<S, 1, 2, V>(from, tap, unit),
                _ => self.block::<S, 1, 1, V>(from, tap, unit),
            }
        }
    }

    /// `R` neighbouring taps of each of `K` rows of the window, and `V` vectors of units.
    ///
    /// # Safety
    /// They exist.
    #[inline(always)]
    unsafe fn block<S: Pairs, const K: usize, const R: usize, const V: usize>(
        &self,
        from: usize,
        tap: usize,
        unit: usize,
    ) {
        let it = self.gradient;
        // SAFETY: the windows lie in the picture and the pixels in its gradient; both units and sums are filled up to
        // whole vectors.
        unsafe {
            let to = self.sums.add(tap * it.columns + unit);
            let place =
                |k: usize, r: usize, v: usize| to.add((k * R + r) * it.columns + v * S::LANES);
            let mut sums = [[[S::splat(0.0); V]; R]; K];
            for k in 0..K {
                for r in 0..R {
                    for v in 0..V {
                        sums[k][r][v] = S::load(place(k, r, v));
                    }
                }
            }
            let mut dz = self.dz.add(unit);
            for row in 0..it.rows {
                let mut x = self.x.add(from + row * it.row_apart);
                for _ in 0..it.pairs {
                    let mut of_units = [S::load_pairs(dz); V];
                    for v in 1..V {
                        of_units[v] = S::load_pairs(dz.add(v * S::LANES));
                    }
                    for k in 0..K {
                        for r in 0..R {
                            let of_tap = S::splat_pair(x.add(k * it.kernel_apart + r).cast());
                            for v in 0..V {
                                let sum = &mut sums[k][r][v];
                                *sum = S::multiply_add(*sum, of_tap, of_units[v]);
                            }
                        }
                    }
                    x = x.wrapping_add(it.apart);
                    dz = dz.wrapping_add(it.columns);
                }
            }
            for k in 0..K {
                for r in 0..R {
                    for v in 0..V {
                        S::store(place(k, r, v), sums[k][r][v]);
                    }
                }
            }
        }
    }
}
