//! What a vector of one instruction set can do; kernels are written once, over this.
//!
//! Every function is inlined into a caller that is compiled for the instruction set, and is sound only
//! there: see [`dispatch`](crate::dispatch).

use crate::entry::Entry;

/// No vector is longer.
pub(crate) const MOST_LANES: usize = 16;

/// Vectors of `f32` of one instruction set.
///
/// # Safety
/// Each function may be called only where the instruction set is known to exist. Pointers have to be
/// good for [`LANES`](Self::LANES) numbers, or for as many as `count` says.
pub(crate) trait Simd: Copy {
    /// The vector.
    type V: Copy;
    /// Numbers in a vector.
    const LANES: usize;
    /// Rows that a dense block of [the sparse product](crate::sparse) keeps in registers, 4 vectors of each.
    const ROWS: usize;
    /// Examples that a block of [`dot`](crate::dot) keeps in registers beside 4 rows of weights.
    const EXAMPLES: usize;
    /// Pixels, or taps, that a block of [a convolution](crate::convolution) keeps in registers, 2 vectors of units of
    /// each.
    const PIXELS: usize;

    /// All lanes this number.
    unsafe fn splat(value: f32) -> Self::V;
    /// The numbers from here on.
    unsafe fn load(from: *const f32) -> Self::V;
    /// The first `count` lanes from here on, the others 0.
    unsafe fn load_part(from: *const f32, count: usize) -> Self::V;
    /// The bytes from here on, as numbers.
    unsafe fn load_bytes(from: *const u8) -> Self::V;
    /// Writes all lanes.
    unsafe fn store(to: *mut f32, v: Self::V);
    /// Writes the first `count` lanes.
    unsafe fn store_part(to: *mut f32, v: Self::V, count: usize);
    /// `a b + c`.
    unsafe fn multiply_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V;
    /// `a + b`.
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V;
    /// `a - b`.
    unsafe fn subtract(a: Self::V, b: Self::V) -> Self::V;
    /// `b` where it is larger, else `a`.
    unsafe fn larger(a: Self::V, b: Self::V) -> Self::V;
    /// 0 in place of what is not above 0; NaN stays NaN.
    unsafe fn relu(v: Self::V) -> Self::V;
    /// The sum of the lanes, in an order that is always the same.
    unsafe fn sum(v: Self::V) -> f32;

    /// Turns a square of as many rows and columns as there are lanes.
    #[inline(always)]
    unsafe fn transpose(from: *const f32, stride: usize, to: *mut f32, to_stride: usize) {
        for row in 0..Self::LANES {
            for column in 0..Self::LANES {
                // SAFETY: the caller has the square, and room for one.
                unsafe { *to.add(column * to_stride + row) = *from.add(row * stride + column) };
            }
        }
    }

    /// Writes an entry for each number that is not zero, of as many as there are lanes, for the terms from
    /// `first` on, and says how many these are. There has to be room for all of them; the rest of it is left
    /// with anything.
    #[inline(always)]
    unsafe fn list_non_zero(from: *const f32, first: u32, to: *mut Entry<f32>) -> usize {
        let mut count = 0;
        for (lane, term) in (0..Self::LANES).zip(first..) {
            // SAFETY: the caller has the numbers, and room for an entry of each.
            unsafe {
                let value = *from.add(lane);
                // Written always and counted where it is wanted: no branch to guess.
                to.add(count).write(Entry { term, value });
                count += usize::from(value != 0.0);
            }
        }
        count
    }
}
