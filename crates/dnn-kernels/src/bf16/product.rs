//! The product of windows with weights in pairs: some pixels of a row and some vectors of units in registers.
//!
//! A product of matrices is one, too: the rows of its left side are the pixels, and each window is the whole of one.

use super::instructions::{Instructions, Kernel, Pairs};
use crate::convolution::Taps;

/// Where windows and weights lie, of one group.
#[derive(Clone, Copy)]
pub(crate) struct Product {
    /// Rows and columns of the output.
    pub(crate) rows: usize,
    pub(crate) columns: usize,
    /// Numbers from the windows of one row of the output to those of the next, and from one window to the next.
    pub(crate) row_apart: usize,
    pub(crate) apart: usize,
    /// Rows of a window, and the numbers from one to the next.
    pub(crate) kernel_rows: usize,
    pub(crate) kernel_apart: usize,
    /// Pieces of a row of a window, the numbers from one to the next, and the pairs of each.
    pub(crate) pieces: usize,
    pub(crate) piece_apart: usize,
    pub(crate) pairs: usize,
    pub(crate) units: usize,
    /// Pairs from one row of the weights to the next.
    pub(crate) weights_apart: usize,
    /// Numbers from one row of the output to the next, and from one pixel to the next.
    pub(crate) out_row_apart: usize,
    pub(crate) out_apart: usize,
}

/// What sums begin with.
#[derive(Clone, Copy)]
pub(crate) enum Start<'a> {
    Zero,
    /// A number for each unit.
    Bias(&'a [f32]),
    /// What is there.
    Output,
}

impl Product {
    /// That of a convolution.
    pub(crate) fn of_taps(taps: &Taps) -> Self {
        Self {
            rows: taps.rows,
            columns: taps.columns_out,
            row_apart: taps.stride[0] * taps.row_pitch,
            apart: taps.stride[1] * taps.pixel_in,
            kernel_rows: taps.kernel_rows,
            kernel_apart: taps.row_pitch,
            pieces: taps.pieces,
            piece_apart: taps.pixel_in,
            pairs: taps.run.div_ceil(2),
            units: taps.units,
            weights_apart: taps.columns,
            out_row_apart: taps.row_out,
            out_apart: taps.pixel_out,
        }
    }

    /// Pairs of the weights.
    pub(crate) fn packed(&self) -> usize {
        self.kernel_rows * self.pieces * self.pairs * self.weights_apart
    }

    /// How many numbers are read, and written.
    fn reach(&self) -> [usize; 2] {
        let (Some(rows), Some(columns)) = (self.rows.checked_sub(1), self.columns.checked_sub(1))
        else {
            return [0, 0];
        };
        let written = rows * self.out_row_apart + columns * self.out_apart + self.units;
        if self.packed() == 0 {
            return [0, written];
        }
        let window = (self.kernel_rows - 1) * self.kernel_apart
            + (self.pieces - 1) * self.piece_apart
            + 2 * self.pairs;
        let read = rows * self.row_apart + columns * self.apart + window;
        [read, written]
    }
}

/// `out = x * W + start`, of one group.
///
/// The last pair of a window's piece may reach a number beyond it, which is multiplied with the 0 of its weight: where
/// it is not finite, so is the sum.
///
/// # Panics
/// If numbers, weights, biases or the output are shorter than what is reached.
pub(crate) fn multiply(
    instructions: Instructions,
    product: &Product,
    x: &[u16],
    weights: &[u32],
    start: Start<'_>,
    out: &mut [f32],
) {
    let [read, written] = product.reach();
    assert!(x.len() >= read && out.len() >= written, "a picture of another convolution");
    let whole = product.weights_apart >= product.units.next_multiple_of(16);
    assert!(whole && weights.len() >= product.packed(), "weights of another convolution");
    if let Start::Bias(bias) = start {
        assert!(bias.len() >= product.units, "one bias for each unit");
    }
    let (x, weights, out) = (x.as_ptr(), weights.as_ptr(), out.as_mut_ptr());
    // SAFETY: the lengths were checked above.
    unsafe { run_windows(instructions, Windows { product, x, weights, start, out }) }
}

/// Compiled here, and not once more by every crate that multiplies matrices of its numbers.
///
/// # Safety
/// As of [`Windows`].
#[inline(never)]
pub(super) unsafe fn run_windows(instructions: Instructions, windows: Windows<'_>) {
    // SAFETY: the caller's.
    unsafe { instructions.run(windows) }
}

/// Of so many that are left, how many go into registers at once.
#[inline(always)]
pub(super) fn at_once(left: usize) -> usize {
    match left {
        // Two blocks of eight are faster than one of twelve and a rest.
        8..12 | 13..=16 => 8,
        12.. => 12,
        6 | 7 => 6,
        4 | 5 => 4,
        2 | 3 => 2,
        _ => 1,
    }
}

/// A product in memory; what [`multiply`] checks has to hold.
pub(super) struct Windows<'a> {
    pub(super) product: &'a Product,
    pub(super) x: *const u16,
    pub(super) weights: *const u32,
    pub(super) start: Start<'a>,
    pub(super) out: *mut f32,
}

impl Kernel for Windows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Pairs>(self) {
        let &Product { rows, columns, units, .. } = self.product;
        let mut unit = 0;
        while unit < units {
            let left = units - unit;
            // A row of few pixels leaves registers for more vectors.
            let vectors = match left.div_ceil(S::LANES) {
                3.. if columns <= 6 => 4,
                vectors => vectors.min(2),
            };
            for row in 0..rows {
                let mut column = 0;
                while column < columns {
                    let left = columns - column;
                    // SAFETY: the block lies in the output, and its windows in the picture.
                    column += unsafe {
                        match vectors {
                            4 => self.few_pixels::<S>(left, row, column, unit),
                            2 => self.pixels::<S, 2>(left, row, column, unit),
                            _ => self.pixels::<S, 1>(left, row, column, unit),
                        }
                    };
                }
            }
            unit += vectors * S::LANES;
        }
    }
}

impl Windows<'_> {
    /// The next pixels of a row, of which so many are left; says how many it made.
    ///
    /// # Safety
    /// The pixels and the units from `unit` on exist.
    #[inline(always)]
    unsafe fn pixels<S: Pairs, const V: usize>(
        &self,
        left: usize,
        row: usize,
        column: usize,
        unit: usize,
    ) -> usize {
        // SAFETY: as the caller says.
        unsafe {
            match at_once(left) {
                12 => self.block::<S, 12, V>(row, column, unit),
                8 => self.block::<S, 8, V>(row, column, unit),
                6 => self.block::<S, 6, V>(row, column, unit),
                4 => self.block::<S, 4, V>(row, column, unit),
                2 => self.block::<S, 2, V>(row, column, unit),
                _ => self.block::<S, 1, V>(row, column, unit),
            }
        }
    }

    /// The same for rows of up to 6 pixels and 4 vectors of units.
    ///
    /// # Safety
    /// As [`pixels`](Self::pixels).
    #[inline(always)]
    unsafe fn few_pixels<S: Pairs>(
        &self,
        left: usize,
        row: usize,
        column: usize,
        unit: usize,
    ) -> usize {
        // SAFETY: as the caller says.
        unsafe {
            match at_once(left) {
                6 => self.block::<S, 6, 4>(row, column, unit),
                4 => self.block::<S, 4, 4>(row, column, unit),
                2 => self.block::<S, 2, 4>(row, column, unit),
                _ => self.block::<S, 1, 4>(row, column, unit),
            }
        }
    }

    /// `P` pixels of a row and `V` vectors of units.
    ///
    /// # Safety
    /// They exist.
    #[inline(always)]
    unsafe fn block<S: Pairs, const P: usize, const V: usize>(
        &self,
        row: usize,
        column: usize,
        unit: usize,
    ) -> usize {
        let it = self.product;
        let to = row * it.out_row_apart + column * it.out_apart + unit;
        // SAFETY: the windows of the pixels lie in the picture, and packed weights are filled up to whole vectors.
        unsafe {
            let mut sums = self.started::<S, P, V>(to, unit);
            let first = self.x.add(row * it.row_apart + column * it.apart);
            // Wrapping: of four vectors the last ones may lie beyond the last row, and are not read then.
            let mut weights = self.weights.wrapping_add(unit);
            let vectors = (it.weights_apart - unit) / S::LANES;
            for kernel_row in 0..it.kernel_rows {
                for piece in 0..it.pieces {
                    let x = first.add(kernel_row * it.kernel_apart + piece * it.piece_apart);
                    for pair in 0..it.pairs {
                        let mut of_units = [S::load_pairs(weights); V];
                        for v in 1..V {
                            if V <= 2 || v < vectors {
                                of_units[v] = S::load_pairs(weights.add(v * S::LANES));
                            }
                        }
                        for p in 0..P {
                            let of_pixel = S::splat_pair(x.add(p * it.apart + 2 * pair));
                            for v in 0..V {
                                sums[p][v] = S::multiply_add(sums[p][v], of_pixel, of_units[v]);
                            }
                        }
                        weights = weights.wrapping_add(it.weights_apart);
                    }
                }
            }
            self.store::<S, P, V>(to, unit, sums);
        }
        P
    }

    /// What the sums of a block begin with.
    ///
    /// # Safety
    /// As [`block`](Self::block); `to` is where its first pixel lies in the output.
    #[inline(always)]
    unsafe fn started<S: Pairs, const P: usize, const V: usize>(
        &self,
        to: usize,
        unit: usize,
    ) -> [[S::V; V]; P] {
        // SAFETY: the bias and the output are read only where there are units.
        unsafe {
            let mut sums = [[S::splat(0.0); V]; P];
            for v in 0..V {
                let lanes = unit + v * S::LANES;
                let count = self.product.units.saturating_sub(lanes).min(S::LANES);
                for p in 0..P {
                    sums[p][v] = match self.start {
                        Start::Zero => S::splat(0.0),
                        Start::Bias(bias) => S::load_part(bias.as_ptr().wrapping_add(lanes), count),
                        Start::Output => {
                            let from = to + p * self.product.out_apart + v * S::LANES;
                            S::load_part(self.out.wrapping_add(from), count)
                        }
                    };
                }
            }
            sums
        }
    }

    /// Writes the sums of a block.
    ///
    /// # Safety
    /// As [`started`](Self::started).
    #[inline(always)]
    unsafe fn store<S: Pairs, const P: usize, const V: usize>(
        &self,
        to: usize,
        unit: usize,
        sums: [[S::V; V]; P],
    ) {
        let it = self.product;
        for p in 0..P {
            for v in 0..V {
                let to = self.out.wrapping_add(to + p * it.out_apart + v * S::LANES);
                // SAFETY: the output is written only where there are units.
                unsafe {
                    match it.units.saturating_sub(unit + v * S::LANES) {
                        count if count >= S::LANES => S::store(to, sums[p][v]),
                        count => S::store_part(to, sums[p][v], count),
                    }
                }
            }
        }
    }
}
