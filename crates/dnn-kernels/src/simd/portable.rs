//! Vectors for any processor, in plain Rust.

use super::vectors::Simd;

/// Eight numbers, for compilers to make of them what the processor has.
#[derive(Clone, Copy)]
pub(crate) struct Portable;

impl Simd for Portable {
    type V = [f32; 8];
    const LANES: usize = 8;
    const ROWS: usize = 2;
    const EXAMPLES: usize = 1;
    const PIXELS: usize = 4;

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
    unsafe fn subtract(a: Self::V, b: Self::V) -> Self::V {
        let mut rest = a;
        rest.iter_mut().zip(b).for_each(|(rest, b)| *rest -= b);
        rest
    }

    #[inline(always)]
    unsafe fn larger(a: Self::V, b: Self::V) -> Self::V {
        let mut largest = a;
        largest.iter_mut().zip(b).for_each(|(a, b)| *a = if b > *a { b } else { *a });
        largest
    }

    #[inline(always)]
    unsafe fn relu(v: Self::V) -> Self::V {
        v.map(|value| if value <= 0.0 { 0.0 } else { value })
    }

    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        ((v[0] + v[4]) + (v[2] + v[6])) + ((v[1] + v[5]) + (v[3] + v[7]))
    }
}
