//! AVX2 with FMA.

use std::arch::x86_64::{
    __m256, _CMP_NLE_UQ, _mm_add_ps, _mm_add_ss, _mm_cvtss_f32, _mm_loadl_epi64, _mm_movehl_ps,
    _mm_shuffle_ps, _mm256_add_ps, _mm256_and_ps, _mm256_castps256_ps128, _mm256_cmp_ps,
    _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32, _mm256_extractf128_ps, _mm256_fmadd_ps,
    _mm256_loadu_ps, _mm256_loadu_si256, _mm256_maskload_ps, _mm256_maskstore_ps, _mm256_max_ps,
    _mm256_set1_ps, _mm256_setzero_ps, _mm256_storeu_ps, _mm256_sub_ps,
};

use crate::simd::vectors::Simd;

/// AVX2 with fused multiply-add: 16 registers of 8 numbers.
#[derive(Clone, Copy)]
pub(crate) struct Avx2;

/// For each count, as many lanes switched on from here: `MASKS[8 - count..]`.
static MASKS: [i32; 16] = [-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0];

impl Simd for Avx2 {
    type V = __m256;
    const LANES: usize = 8;
    const ROWS: usize = 3;
    const EXAMPLES: usize = 3;
    const PIXELS: usize = 6;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self::V {
        // SAFETY: the caller has AVX.
        unsafe { _mm256_set1_ps(value) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self::V {
        // SAFETY: the caller has AVX, and 8 numbers there.
        unsafe { _mm256_loadu_ps(from) }
    }

    #[inline(always)]
    unsafe fn load_part(from: *const f32, count: usize) -> Self::V {
        // SAFETY: the caller has AVX, and `count` numbers there, up to 8: the others are not touched.
        unsafe {
            let mask = _mm256_loadu_si256(MASKS.as_ptr().add(8 - count.min(8)).cast());
            _mm256_maskload_ps(from, mask)
        }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self::V {
        // SAFETY: the caller has AVX2, and 8 bytes there.
        unsafe { _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        // SAFETY: the caller has AVX, and room for 8 numbers there.
        unsafe { _mm256_storeu_ps(to, v) }
    }

    #[inline(always)]
    unsafe fn store_part(to: *mut f32, v: Self::V, count: usize) {
        // SAFETY: the caller has AVX, and room for `count` numbers there: the others are not touched.
        unsafe {
            let mask = _mm256_loadu_si256(MASKS.as_ptr().add(8 - count.min(8)).cast());
            _mm256_maskstore_ps(to, mask, v);
        }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the caller has FMA.
        unsafe { _mm256_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller has AVX.
        unsafe { _mm256_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn subtract(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller has AVX.
        unsafe { _mm256_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn larger(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller has AVX. The second operand is what is left unless the first is larger.
        unsafe { _mm256_max_ps(b, a) }
    }

    #[inline(always)]
    unsafe fn relu(v: Self::V) -> Self::V {
        // SAFETY: the caller has AVX.
        unsafe {
            let stays = _mm256_cmp_ps::<_CMP_NLE_UQ>(v, _mm256_setzero_ps());
            _mm256_and_ps(stays, v)
        }
    }

    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        // SAFETY: the caller has AVX.
        unsafe {
            let four = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps::<1>(v));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
}
