//! `Z = W X + b` by dot products of rows of weights with examples, each in one piece.
//!
//! The fastest way where there are few units or few examples: neither side is packed, bytes become
//! numbers in a register.

use super::launch::Kernel;
use super::simd::{Simd, Source};

/// Rows of weights in a block; with a single example, twice as many.
const ROWS: usize = 4;
/// The most examples that any instruction set takes at a time.
pub(super) const MOST_EXAMPLES: usize = 6;

/// `out = scale W X + b`, and nothing below `floor`.
///
/// # Safety
/// `weights` has to point to `units` rows of `features` numbers, `row` apart, each of `examples` to
/// `features` of `E`, `bias` to `units` numbers, and `out` to room for as many numbers for each example,
/// `column` apart.
pub(super) struct Dot<'a, E> {
    pub(super) weights: *const f32,
    pub(super) row: usize,
    pub(super) units: usize,
    pub(super) features: usize,
    pub(super) examples: &'a [*const E],
    pub(super) scale: f32,
    pub(super) bias: Option<*const f32>,
    pub(super) floor: f32,
    pub(super) out: *mut f32,
    pub(super) column: usize,
}

impl<E: Source> Kernel for Dot<'_, E> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let mut start = 0;
        while start < self.examples.len() {
            let count = (self.examples.len() - start).min(S::EXAMPLES);
            // SAFETY: the examples `start..start + count` exist.
            unsafe {
                match count {
                    6 => self.rows::<S, ROWS, 6>(start),
                    5 => self.rows::<S, ROWS, 5>(start),
                    4 => self.rows::<S, ROWS, 4>(start),
                    3 => self.rows::<S, ROWS, 3>(start),
                    2 => self.rows::<S, ROWS, 2>(start),
                    _ => self.rows::<S, { 2 * ROWS }, 1>(start),
                }
            }
            start += count;
        }
    }
}

impl<E: Source> Dot<'_, E> {
    /// All units of the `X` examples from `start` on.
    ///
    /// # Safety
    /// They exist.
    #[inline(always)]
    unsafe fn rows<S: Simd, const R: usize, const X: usize>(&self, start: usize) {
        let mut unit = 0;
        // SAFETY: all units that are asked for exist.
        unsafe {
            while unit + R <= self.units {
                self.block::<S, R, X>(unit, start);
                unit += R;
            }
            while unit + 2 <= self.units {
                self.block::<S, 2, X>(unit, start);
                unit += 2;
            }
            if unit < self.units {
                self.block::<S, 1, X>(unit, start);
            }
        }
    }

    /// `R` units of `X` examples.
    ///
    /// # Safety
    /// They exist.
    #[inline(always)]
    unsafe fn block<S: Simd, const R: usize, const X: usize>(&self, unit: usize, start: usize) {
        // SAFETY: the rows, the examples and the places exist, and reads stay within `features`.
        unsafe {
            let weights = self.weights.add(unit * self.row);
            let mut sums = [[S::splat(0.0); X]; R];
            let mut x = [S::splat(0.0); X];
            let whole = self.features - self.features % S::LANES;
            let mut feature = 0;
            while feature < whole {
                for j in 0..X {
                    x[j] = E::load::<S>(self.examples.get_unchecked(start + j).add(feature));
                }
                for i in 0..R {
                    let w = S::load(weights.add(i * self.row + feature));
                    for j in 0..X {
                        sums[i][j] = S::multiply_add(w, x[j], sums[i][j]);
                    }
                }
                feature += S::LANES;
            }
            let rest = self.features - whole;
            if rest > 0 {
                for j in 0..X {
                    let example = self.examples.get_unchecked(start + j).add(whole);
                    x[j] = E::load_part::<S>(example, rest);
                }
                for i in 0..R {
                    let w = S::load_part(weights.add(i * self.row + whole), rest);
                    for j in 0..X {
                        sums[i][j] = S::multiply_add(w, x[j], sums[i][j]);
                    }
                }
            }
            for j in 0..X {
                let out = self.out.add((start + j) * self.column + unit);
                for i in 0..R {
                    let bias = self.bias.map_or(0.0, |bias| *bias.add(unit + i));
                    let z = self.scale * S::sum(sums[i][j]) + bias;
                    // Written so that NaN stays NaN.
                    *out.add(i) = if z <= self.floor { self.floor } else { z };
                }
            }
        }
    }
}
