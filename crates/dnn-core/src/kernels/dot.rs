//! `Z = W X + b` by dot products of rows of weights with examples, each in one piece.
//!
//! The fastest way where there are few units or few examples: neither side is packed. A chunk of features at
//! a time, so that the weights of a chunk stay near the processor while all examples go by; bytes become
//! numbers once a chunk, for all units.

use super::launch::Kernel;
use super::prefetch;
use super::simd::{MOST_LANES, Simd, Source};

/// Rows of weights in a block; with a single example, twice as many.
const ROWS: usize = 4;
/// The most examples that any instruction set keeps in registers at a time.
pub(super) const MOST_EXAMPLES: usize = 6;
/// Features of a chunk: so many of a group of examples fit into the first cache beside those of a block of
/// rows.
pub(super) const FEATURES: usize = 1024;
/// Room for the numbers of a group of examples, each a little apart from a multiple of a page.
const APART: usize = FEATURES + 16;
pub(super) const NUMBERS: usize = MOST_EXAMPLES * APART;

/// `out = scale W X + b`, and nothing below `floor`, for a chunk of features: sums go on from chunk to
/// chunk in `sums`.
///
/// # Safety
/// `weights` has to point to `units` rows of `features` numbers, `row` apart, each of `examples` to
/// `features` of `E`, `bias` to `units` numbers, and `out` to room for as many numbers for each example,
/// `column` apart. Unless this chunk is first and last, `sums` has to point to [`MOST_LANES`] numbers for
/// each example and unit; with more than one example, `numbers` has to point to [`NUMBERS`], and there are at
/// most [`FEATURES`] features.
pub(super) struct Dot<'a, E> {
    pub(super) weights: *const f32,
    pub(super) row: usize,
    pub(super) units: usize,
    pub(super) features: usize,
    pub(super) examples: &'a [*const E],
    pub(super) is_first: bool,
    pub(super) is_last: bool,
    pub(super) sums: *mut f32,
    pub(super) numbers: *mut f32,
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
                    6 => self.group::<S, 6>(start),
                    5 => self.group::<S, 5>(start),
                    4 => self.group::<S, 4>(start),
                    3 => self.group::<S, 3>(start),
                    2 => self.group::<S, 2>(start),
                    // Bytes that one block of rows reads alone become numbers in registers.
                    _ => {
                        let example = [*self.examples.get_unchecked(start)];
                        self.rows::<S, E, { 2 * ROWS }, 1>(start, example);
                    }
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
    unsafe fn group<S: Simd, const X: usize>(&self, start: usize) {
        // SAFETY: there is room for as many numbers of the most examples.
        unsafe {
            let mut x = [std::ptr::null(); X];
            for j in 0..X {
                let from = *self.examples.get_unchecked(start + j);
                x[j] = E::numbers::<S>(from, self.features, self.numbers.add(j * APART));
            }
            // They lie far apart, and a processor's own guess goes on where one ends.
            for &next in self.examples.iter().skip(start + X).take(X) {
                prefetch(std::slice::from_raw_parts(next, self.features));
            }
            self.rows::<S, f32, ROWS, X>(start, x);
        }
    }

    /// All units of the examples that lie at `x`, which are those from `start` on.
    ///
    /// # Safety
    /// They exist.
    #[inline(always)]
    unsafe fn rows<S: Simd, N: Source, const R: usize, const X: usize>(
        &self,
        start: usize,
        x: [*const N; X],
    ) {
        let mut unit = 0;
        // SAFETY: all units that are asked for exist.
        unsafe {
            while unit + R <= self.units {
                self.block::<S, N, R, X>(unit, start, x);
                unit += R;
            }
            while unit + 2 <= self.units {
                self.block::<S, N, 2, X>(unit, start, x);
                unit += 2;
            }
            if unit < self.units {
                self.block::<S, N, 1, X>(unit, start, x);
            }
        }
    }

    /// `R` units of `X` examples.
    ///
    /// # Safety
    /// They exist.
    #[inline(always)]
    unsafe fn block<S: Simd, N: Source, const R: usize, const X: usize>(
        &self,
        unit: usize,
        start: usize,
        from: [*const N; X],
    ) {
        // SAFETY: the rows, the examples and the places exist, and reads stay within `features`.
        unsafe {
            let weights = self.weights.add(unit * self.row);
            let mut sums = [[S::splat(0.0); X]; R];
            let mut x = [S::splat(0.0); X];
            let whole = self.features - self.features % S::LANES;
            let mut feature = 0;
            while feature < whole {
                for j in 0..X {
                    x[j] = N::load::<S>(from[j].add(feature));
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
                    x[j] = N::load_part::<S>(from[j].add(whole), rest);
                }
                for i in 0..R {
                    let w = S::load_part(weights.add(i * self.row + whole), rest);
                    for j in 0..X {
                        sums[i][j] = S::multiply_add(w, x[j], sums[i][j]);
                    }
                }
            }
            // A copy: what has branches would keep the sums of the loop above out of registers.
            let mut done = [[S::splat(0.0); X]; R];
            for i in 0..R {
                for j in 0..X {
                    done[i][j] = sums[i][j];
                }
            }
            for i in 0..R {
                for j in 0..X {
                    self.keep::<S>(unit + i, start + j, done[i][j]);
                }
            }
        }
    }

    /// Adds a sum to what there is, or writes what all comes to.
    ///
    /// # Safety
    /// The unit and the example exist.
    #[inline(always)]
    unsafe fn keep<S: Simd>(&self, unit: usize, example: usize, mut sum: S::V) {
        let place = (example * self.units + unit) * MOST_LANES;
        // SAFETY: as the caller says; there is a place unless this chunk is first and last.
        unsafe {
            if !self.is_first {
                sum = S::add(S::load(self.sums.add(place)), sum);
            }
            if self.is_last {
                self.put(unit, example, S::sum(sum));
            } else {
                S::store(self.sums.add(place), sum);
            }
        }
    }

    /// Writes what a sum comes to.
    ///
    /// # Safety
    /// The unit and the example exist.
    #[inline(always)]
    unsafe fn put(&self, unit: usize, example: usize, sum: f32) {
        // SAFETY: as the caller says.
        unsafe {
            let bias = self.bias.map_or(0.0, |bias| *bias.add(unit));
            let z = self.scale * sum + bias;
            // Written so that NaN stays NaN.
            let z = if z <= self.floor { self.floor } else { z };
            *self.out.add(example * self.column + unit) = z;
        }
    }
}
