//! The two things that an example may be made of, read into vectors of numbers.

use super::vectors::{MOST_LANES, Simd};
use crate::prefetch::{CACHE_LINE, prefetch_line};

/// What an example is made of: bytes or numbers.
///
/// # Safety
/// As of [`Simd`].
pub(crate) trait Input: Copy + Into<f32> {
    /// The numbers from here on.
    unsafe fn load<S: Simd>(from: *const Self) -> S::V;
    /// The first `count` of them, the other lanes 0.
    unsafe fn load_part<S: Simd>(from: *const Self, count: usize) -> S::V;
    /// Where `count` of them lie as numbers: in `room`, of as many, unless they do so already.
    unsafe fn numbers<S: Simd>(from: *const Self, count: usize, room: *mut f32) -> *const f32;
}

impl Input for f32 {
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

impl Input for u8 {
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
        // SAFETY: the caller has `count` bytes there, and room for as many numbers; of memory that is prefetched
        // ahead nothing is read.
        unsafe {
            let mut at = 0;
            while at < whole {
                // The next numbers of the same example, once for each line of a cache.
                if at.is_multiple_of(CACHE_LINE) {
                    prefetch_line(from.wrapping_add(count + at));
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
