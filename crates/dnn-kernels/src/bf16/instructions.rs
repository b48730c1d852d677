//! What is done with vectors of pairs, by `AVX512_BF16` and in plain Rust.

use super::number::{from_bf16, to_bf16};
use crate::products::Products;

/// Which instructions run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Instructions {
    /// `AVX512_BF16` of x86-64.
    #[default]
    Avx512Bf16,
    /// The same in plain Rust, for tests.
    #[cfg_attr(not(test), expect(dead_code, reason = "the oracle"))]
    Plain,
}

/// A loop over pairs that is compiled for each of them.
pub(crate) trait Kernel {
    /// What it gives.
    type Output;

    /// Runs it.
    ///
    /// # Safety
    /// The processor has the instructions, and the kernel's own pointers are good for what it says.
    unsafe fn run<S: Pairs>(self) -> Self::Output;
}

impl Instructions {
    /// Runs a kernel.
    ///
    /// # Safety
    /// The kernel's own pointers are good for what it says.
    ///
    /// # Panics
    /// If the processor has no such instructions.
    pub(crate) unsafe fn run<K: Kernel>(self, kernel: K) -> K::Output {
        if self == Self::Avx512Bf16 {
            assert!(Products::Bf16.exist(), "products that this processor does not make");
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the instructions exist, and the caller vouches for the pointers.
            return unsafe { x86::on_avx512_bf16(kernel) };
        }
        // SAFETY: the caller vouches for the pointers.
        unsafe { kernel.run::<Plain>() }
    }
}

/// Vectors of 16 sums in `f32`, and of 16 pairs in bf16.
///
/// # Safety
/// Each function may be called only where the instructions are known to exist. Pointers have to be good for
/// [`LANES`](Self::LANES) numbers or pairs, or for as many as `count` says.
pub(crate) trait Pairs: Copy {
    /// Sums.
    type V: Copy;
    /// Pairs.
    type P: Copy;
    /// Numbers of one, and pairs of the other.
    const LANES: usize = 16;

    /// All lanes this number.
    unsafe fn splat(value: f32) -> Self::V;
    /// The numbers from here on.
    unsafe fn load(from: *const f32) -> Self::V;
    /// The first `count` lanes from here on, the others 0.
    unsafe fn load_part(from: *const f32, count: usize) -> Self::V;
    /// Writes all lanes.
    unsafe fn store(to: *mut f32, v: Self::V);
    /// Writes the first `count` lanes.
    unsafe fn store_part(to: *mut f32, v: Self::V, count: usize);
    /// The numbers in bf16.
    unsafe fn store_rounded(to: *mut u16, v: Self::V);
    /// Pairs of the lanes of two vectors, each rounded.
    unsafe fn join(first: Self::V, second: Self::V) -> Self::P;
    /// Pairs of the numbers from here and from there on.
    unsafe fn join_bits(first: *const u16, second: *const u16) -> Self::P;
    /// The pairs from here on.
    unsafe fn load_pairs(from: *const u32) -> Self::P;
    /// Writes them.
    unsafe fn store_pairs(to: *mut u32, pairs: Self::P);
    /// All lanes the pair that begins here.
    unsafe fn splat_pair(from: *const u16) -> Self::P;
    /// `sum + a[1] b[1] + a[0] b[0]` in each lane.
    unsafe fn multiply_add(sum: Self::V, a: Self::P, b: Self::P) -> Self::V;
}

/// The definition of each, which the instructions are tested against.
#[derive(Clone, Copy)]
pub(crate) struct Plain;

/// 0 for what is not 0 but too small for a normal number.
fn flushed(value: f32) -> f32 {
    if value.is_subnormal() { 0.0_f32.copysign(value) } else { value }
}

/// `sum + a b`, rounded once.
fn add_product(sum: f32, a: u16, b: u16) -> f32 {
    let [sum, a, b] = [sum, from_bf16(a), from_bf16(b)].map(flushed);
    flushed(a.mul_add(b, sum))
}

impl Pairs for Plain {
    type V = [f32; 16];
    type P = [[u16; 2]; 16];

    unsafe fn splat(value: f32) -> Self::V {
        [value; 16]
    }

    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: the caller has 16 numbers there.
        unsafe { from.cast::<[f32; 16]>().read_unaligned() }
    }

    unsafe fn load_part(from: *const f32, count: usize) -> Self::V {
        let mut v = [0.0; 16];
        // SAFETY: the caller has `count` numbers there, at most 16.
        unsafe { std::ptr::copy_nonoverlapping(from, v.as_mut_ptr(), count.min(16)) };
        v
    }

    unsafe fn store(to: *mut f32, v: Self::V) {
        // SAFETY: the caller has room for 16 numbers there.
        unsafe { to.cast::<[f32; 16]>().write_unaligned(v) }
    }

    unsafe fn store_part(to: *mut f32, v: Self::V, count: usize) {
        // SAFETY: the caller has room for `count` numbers there, at most 16.
        unsafe { std::ptr::copy_nonoverlapping(v.as_ptr(), to, count.min(16)) }
    }

    unsafe fn store_rounded(to: *mut u16, v: Self::V) {
        // SAFETY: the caller has room for 16 numbers there.
        unsafe { to.cast::<[u16; 16]>().write_unaligned(v.map(to_bf16)) }
    }

    unsafe fn join(first: Self::V, second: Self::V) -> Self::P {
        std::array::from_fn(|lane| [to_bf16(first[lane]), to_bf16(second[lane])])
    }

    unsafe fn join_bits(first: *const u16, second: *const u16) -> Self::P {
        // SAFETY: the caller has 16 numbers at both.
        std::array::from_fn(|lane| unsafe { [*first.add(lane), *second.add(lane)] })
    }

    unsafe fn load_pairs(from: *const u32) -> Self::P {
        // SAFETY: the caller has 16 pairs there.
        unsafe { from.cast::<Self::P>().read_unaligned() }
    }

    unsafe fn store_pairs(to: *mut u32, pairs: Self::P) {
        // SAFETY: the caller has room for 16 pairs there.
        unsafe { to.cast::<Self::P>().write_unaligned(pairs) }
    }

    unsafe fn splat_pair(from: *const u16) -> Self::P {
        // SAFETY: the caller has a pair there.
        unsafe { [from.cast::<[u16; 2]>().read_unaligned(); 16] }
    }

    unsafe fn multiply_add(sum: Self::V, a: Self::P, b: Self::P) -> Self::V {
        std::array::from_fn(|lane| {
            let ([a0, a1], [b0, b1]) = (a[lane], b[lane]);
            add_product(add_product(sum[lane], a1, b1), a0, b0)
        })
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m256bh, __m256i, __m512, __m512bh, __m512i, _mm256_loadu_si256, _mm256_storeu_si256,
        _mm512_cvtepu16_epi32, _mm512_cvtneps_pbh, _mm512_dpbf16_ps, _mm512_loadu_ps,
        _mm512_loadu_si512, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_or_si512,
        _mm512_set1_epi32, _mm512_set1_ps, _mm512_slli_epi32, _mm512_storeu_ps,
        _mm512_storeu_si512,
    };
    use std::mem::transmute;

    use super::{Kernel, Pairs};

    #[derive(Clone, Copy)]
    pub(super) struct Avx512Bf16;

    /// # Safety
    /// As of [`Kernel::run`].
    #[target_feature(enable = "avx512f,avx512bf16,avx2,fma")]
    pub(super) unsafe fn on_avx512_bf16<K: Kernel>(kernel: K) -> K::Output {
        // SAFETY: the caller's promises are passed on.
        unsafe { kernel.run::<Avx512Bf16>() }
    }

    /// The first `count` of 16 lanes.
    #[inline(always)]
    fn first(count: usize) -> u16 {
        if count >= 16 { u16::MAX } else { (1 << count) - 1 }
    }

    /// The numbers of a vector in bf16, each in the lower half of a lane.
    ///
    /// # Safety
    /// The processor has `AVX512_BF16`.
    #[inline(always)]
    unsafe fn rounded(v: __m512) -> __m512i {
        // SAFETY: the caller has AVX512_BF16; a vector of numbers in bf16 is one of 256 bits.
        unsafe { _mm512_cvtepu16_epi32(transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(v))) }
    }

    /// The same bits as numbers in bf16.
    #[inline(always)]
    fn pairs(bits: __m512i) -> __m512bh {
        // SAFETY: any 512 bits are 32 numbers in bf16.
        unsafe { transmute::<__m512i, __m512bh>(bits) }
    }

    /// Pairs of the lower halves of the lanes.
    ///
    /// # Safety
    /// The processor has AVX-512.
    #[inline(always)]
    unsafe fn joined(first: __m512i, second: __m512i) -> __m512i {
        // SAFETY: the caller has AVX-512.
        unsafe { _mm512_or_si512(first, _mm512_slli_epi32::<16>(second)) }
    }

    impl Pairs for Avx512Bf16 {
        type V = __m512;
        type P = __m512i;

        #[inline(always)]
        unsafe fn splat(value: f32) -> Self::V {
            // SAFETY: the caller has AVX-512.
            unsafe { _mm512_set1_ps(value) }
        }

        #[inline(always)]
        unsafe fn load(from: *const f32) -> Self::V {
            // SAFETY: the caller has AVX-512, and 16 numbers there.
            unsafe { _mm512_loadu_ps(from) }
        }

        #[inline(always)]
        unsafe fn load_part(from: *const f32, count: usize) -> Self::V {
            // SAFETY: the caller has AVX-512, and `count` numbers there: the others are not touched.
            unsafe { _mm512_maskz_loadu_ps(first(count), from) }
        }

        #[inline(always)]
        unsafe fn store(to: *mut f32, v: Self::V) {
            // SAFETY: the caller has AVX-512, and room for 16 numbers there.
            unsafe { _mm512_storeu_ps(to, v) }
        }

        #[inline(always)]
        unsafe fn store_part(to: *mut f32, v: Self::V, count: usize) {
            // SAFETY: the caller has AVX-512, and room for `count` numbers there: the others are not touched.
            unsafe { _mm512_mask_storeu_ps(to, first(count), v) }
        }

        #[inline(always)]
        unsafe fn store_rounded(to: *mut u16, v: Self::V) {
            // SAFETY: the caller has AVX512_BF16, and room for 16 numbers there.
            unsafe {
                let rounded = transmute::<__m256bh, __m256i>(_mm512_cvtneps_pbh(v));
                _mm256_storeu_si256(to.cast(), rounded);
            }
        }

        #[inline(always)]
        unsafe fn join(first: Self::V, second: Self::V) -> Self::P {
            // SAFETY: the caller has AVX512_BF16.
            unsafe { joined(rounded(first), rounded(second)) }
        }

        #[inline(always)]
        unsafe fn join_bits(first: *const u16, second: *const u16) -> Self::P {
            // SAFETY: the caller has AVX-512, and 16 numbers at both.
            unsafe {
                let [first, second] = [first, second]
                    .map(|from| _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.cast())));
                joined(first, second)
            }
        }

        #[inline(always)]
        unsafe fn load_pairs(from: *const u32) -> Self::P {
            // SAFETY: the caller has AVX-512, and 16 pairs there.
            unsafe { _mm512_loadu_si512(from.cast()) }
        }

        #[inline(always)]
        unsafe fn store_pairs(to: *mut u32, pairs: Self::P) {
            // SAFETY: the caller has AVX-512, and room for 16 pairs there.
            unsafe { _mm512_storeu_si512(to.cast(), pairs) }
        }

        #[inline(always)]
        unsafe fn splat_pair(from: *const u16) -> Self::P {
            // SAFETY: the caller has AVX-512, and a pair there.
            unsafe { _mm512_set1_epi32(from.cast::<i32>().read_unaligned()) }
        }

        #[inline(always)]
        unsafe fn multiply_add(sum: Self::V, a: Self::P, b: Self::P) -> Self::V {
            // SAFETY: the caller has AVX512_BF16; vectors of 512 bits are pairs in bf16 whatever they are called.
            unsafe { _mm512_dpbf16_ps(sum, pairs(a), pairs(b)) }
        }
    }
}
