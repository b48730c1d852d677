//! What a vector of one instruction set can do; the kernels are written once, over this.
//!
//! Every function is inlined into a caller that is compiled for the instruction set, and is sound only
//! there: see [`launch`](super::launch).

use super::lists::Entry;

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
    /// Rows that a dense block of [`combine`](super::combine) keeps in registers, 4 vectors of each.
    const ROWS: usize;
    /// Examples that a block of [`dot`](super::dot) keeps in registers beside 4 rows of weights.
    const EXAMPLES: usize;

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

    /// Lists which of as many numbers as there are lanes are not zero, those of the terms from `first` on, and
    /// says how many are. There has to be room for all of them, of which the rest is left with anything.
    #[inline(always)]
    unsafe fn list(from: *const f32, first: u32, to: *mut Entry) -> usize {
        let mut alive = 0;
        for (lane, term) in (0..Self::LANES).zip(first..) {
            // SAFETY: the caller has the numbers, and room for an entry of each.
            unsafe {
                let value = *from.add(lane);
                // Written always and counted where it is wanted: no branch to guess.
                to.add(alive).write(Entry { term, value });
                alive += usize::from(value != 0.0);
            }
        }
        alive
    }
}

/// What an example is made of: bytes or numbers.
///
/// # Safety
/// As of [`Simd`].
pub(crate) trait Source: Copy + Into<f32> {
    /// The numbers from here on.
    unsafe fn load<S: Simd>(from: *const Self) -> S::V;
    /// The first `count` of them, the other lanes 0.
    unsafe fn load_part<S: Simd>(from: *const Self, count: usize) -> S::V;
    /// Where `count` of them lie as numbers: in `room`, of as many, unless they do so already.
    unsafe fn numbers<S: Simd>(from: *const Self, count: usize, room: *mut f32) -> *const f32;
}

impl Source for f32 {
    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const Self) -> S::V {
        // SAFETY: the caller's promises are passed on.
        unsafe { S::load(from) }
    }

    #[inline(always)]
    unsafe fn load_part<S: Simd>(from: *const Self, count: usize) -> S::V {
        // SAFETY: the caller's promises are passed on.
        unsafe { S::load_part(from, count) }
    }

    #[inline(always)]
    unsafe fn numbers<S: Simd>(from: *const Self, _: usize, _: *mut f32) -> *const f32 {
        from
    }
}

/// No vector is longer.
pub(super) const MOST_LANES: usize = 16;

impl Source for u8 {
    #[inline(always)]
    unsafe fn load<S: Simd>(from: *const Self) -> S::V {
        // SAFETY: the caller's promises are passed on.
        unsafe { S::load_bytes(from) }
    }

    #[inline(always)]
    unsafe fn load_part<S: Simd>(from: *const Self, count: usize) -> S::V {
        debug_assert!(count <= MOST_LANES, "more than any vector has");
        let mut bytes = [0_u8; MOST_LANES];
        // SAFETY: the caller has `count` bytes there, no more than the longest vector has lanes.
        unsafe {
            std::ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), count);
            S::load_bytes(bytes.as_ptr())
        }
    }

    #[inline(always)]
    unsafe fn numbers<S: Simd>(from: *const Self, count: usize, room: *mut f32) -> *const f32 {
        let whole = count - count % S::LANES;
        // SAFETY: the caller has `count` bytes there, and room for as many numbers; of memory that is fetched
        // ahead nothing is read.
        unsafe {
            let mut at = 0;
            while at < whole {
                // The next numbers of the same example, once for each line of a cache.
                if at.is_multiple_of(LINE) {
                    fetch(from.wrapping_add(count + at));
                }
                S::store(room.add(at), S::load_bytes(from.add(at)));
                at += S::LANES;
            }
            let rest = count - whole;
            if rest > 0 {
                S::store_part(room.add(whole), Self::load_part::<S>(from.add(whole), rest), rest);
            }
        }
        room
    }
}

/// Bytes that come from memory together.
pub(super) const LINE: usize = 64;

/// Has the processor fetch memory that is about to be used, if it is one that can be told; any address will do.
#[inline(always)]
pub(super) fn fetch(from: *const u8) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        // SAFETY: every x86-64 processor has this instruction, which changes nothing that can be seen.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(from.cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = from;
}

/// Eight numbers, for compilers to make of them what the processor has.
#[derive(Clone, Copy)]
pub(super) struct Portable;

impl Simd for Portable {
    type V = [f32; 8];
    const LANES: usize = 8;
    const ROWS: usize = 2;
    const EXAMPLES: usize = 1;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::V {
        [value; 8]
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: the caller has 8 numbers there.
        unsafe { from.cast::<[f32; 8]>().read_unaligned() }
    }

    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self::V {
        let mut v = [0.0; 8];
        // SAFETY: the caller has `count` numbers there, at most 8.
        unsafe { std::ptr::copy_nonoverlapping(from, v.as_mut_ptr(), count.min(8)) };
        v
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self::V {
        // SAFETY: the caller has 8 bytes there.
        let bytes = unsafe { from.cast::<[u8; 8]>().read_unaligned() };
        bytes.map(f32::from)
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        // SAFETY: the caller has room for 8 numbers there.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(v) }
    }

    #[inline(always)]
    unsafe fn store_part(to: *mut f32, v: Self::V, count: usize) {
        // SAFETY: the caller has room for `count` numbers there, at most 8.
        unsafe { std::ptr::copy_nonoverlapping(v.as_ptr(), to, count.min(8)) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        let mut sum = c;
        for (sum, (a, b)) in sum.iter_mut().zip(a.into_iter().zip(b)) {
            *sum += a * b;
        }
        sum
    }

    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        let mut sum = a;
        sum.iter_mut().zip(b).for_each(|(sum, b)| *sum += b);
        sum
    }

    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]))
    }
}
