//! AVX-512 Foundation.

use std::arch::x86_64::{
    __m512, __m512i, _CMP_NEQ_UQ, _CMP_NLE_UQ, _mm_loadu_si128, _mm256_add_ps, _mm256_castpd_ps,
    _mm512_add_epi32, _mm512_add_ps, _mm512_castpd_ps, _mm512_castps_pd, _mm512_castps_si512,
    _mm512_castps512_ps256, _mm512_cmp_ps_mask, _mm512_cvtepi32_ps, _mm512_cvtepu8_epi32,
    _mm512_extractf64x4_pd, _mm512_fmadd_ps, _mm512_loadu_ps, _mm512_mask_storeu_ps,
    _mm512_maskz_compress_epi32, _mm512_maskz_compress_ps, _mm512_maskz_loadu_ps,
    _mm512_maskz_mov_ps, _mm512_max_ps, _mm512_permutex2var_epi32, _mm512_set1_epi32,
    _mm512_set1_ps, _mm512_setr_epi32, _mm512_setzero_ps, _mm512_shuffle_f32x4, _mm512_storeu_ps,
    _mm512_storeu_si512, _mm512_sub_ps, _mm512_unpackhi_pd, _mm512_unpackhi_ps, _mm512_unpacklo_pd,
    _mm512_unpacklo_ps,
};

use super::avx2::Avx2;
use crate::entry::Entry;
use crate::simd::vectors::Simd;

/// AVX-512: 32 registers of 16 numbers.
#[derive(Clone, Copy)]
pub(crate) struct Avx512;

/// The first `count` of 16 lanes.
#[inline(always)]
fn first(count: usize) -> u16 {
    if count >= 16 { u16::MAX } else { (1 << count) - 1 }
}

impl Simd for Avx512 {
    type V = __m512;
    const LANES: usize = 16;
    const ROWS: usize = 6;
    const EXAMPLES: usize = 6;
    const PIXELS: usize = 12;

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
    unsafe fn load_bytes(from: *const u8) -> Self::V {
        // SAFETY: the caller has AVX-512, and 16 bytes there.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn store(to: *mut f32, v: Self::V) {
        // SAFETY: the caller has AVX-512, and room for 16 numbers there.
        unsafe { _mm512_storeu_ps(to, v) }
    }

    #[inline(always)]
    unsafe fn store_part(to: *mut f32, v: Self::V, count: usize) {
        // SAFETY: the caller has AVX-512, and room for `count` numbers there: the others are not
        // touched.
        unsafe { _mm512_mask_storeu_ps(to, first(count), v) }
    }

    #[inline(always)]
    unsafe fn multiply_add(a: Self::V, b: Self::V, c: Self::V) -> Self::V {
        // SAFETY: the caller has AVX-512.
        unsafe { _mm512_fmadd_ps(a, b, c) }
    }

    #[inline(always)]
    unsafe fn add(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller has AVX-512.
        unsafe { _mm512_add_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn subtract(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller has AVX-512.
        unsafe { _mm512_sub_ps(a, b) }
    }

    #[inline(always)]
    unsafe fn larger(a: Self::V, b: Self::V) -> Self::V {
        // SAFETY: the caller has AVX-512. The second operand is what is left unless the first is larger.
        unsafe { _mm512_max_ps(b, a) }
    }

    #[inline(always)]
    unsafe fn relu(v: Self::V) -> Self::V {
        // SAFETY: the caller has AVX-512.
        unsafe {
            let stays = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(v, _mm512_setzero_ps());
            _mm512_maskz_mov_ps(stays, v)
        }
    }

    #[inline(always)]
    unsafe fn sum(v: Self::V) -> f32 {
        // SAFETY: the caller has AVX-512, and with it AVX.
        unsafe {
            let upper = _mm256_castpd_ps(_mm512_extractf64x4_pd::<1>(_mm512_castps_pd(v)));
            Avx2::sum(_mm256_add_ps(_mm512_castps512_ps256(v), upper))
        }
    }

    #[inline(always)]
    unsafe fn transpose(from: *const f32, stride: usize, to: *mut f32, to_stride: usize) {
        // SAFETY: the caller has AVX-512, 16 rows of 16 numbers, and room for as many.
        unsafe {
            let mut rows = [_mm512_setzero_ps(); 16];
            for i in 0..16 {
                rows[i] = _mm512_loadu_ps(from.add(i * stride));
            }
            // Of each four rows the columns of each part of four: `four[4 g + k]` has the columns `4 part + k`.
            let mut four = rows;
            for g in 0..4 {
                let [a, b, c, d] = [rows[4 * g], rows[4 * g + 1], rows[4 * g + 2], rows[4 * g + 3]];
                let low_ab = _mm512_castps_pd(_mm512_unpacklo_ps(a, b));
                let low_cd = _mm512_castps_pd(_mm512_unpacklo_ps(c, d));
                let high_ab = _mm512_castps_pd(_mm512_unpackhi_ps(a, b));
                let high_cd = _mm512_castps_pd(_mm512_unpackhi_ps(c, d));
                four[4 * g] = _mm512_castpd_ps(_mm512_unpacklo_pd(low_ab, low_cd));
                four[4 * g + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(low_ab, low_cd));
                four[4 * g + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(high_ab, high_cd));
                four[4 * g + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(high_ab, high_cd));
            }
            for k in 0..4 {
                let [a, b, c, d] = [four[k], four[4 + k], four[8 + k], four[12 + k]];
                let even_ab = _mm512_shuffle_f32x4::<0x88>(a, b);
                let even_cd = _mm512_shuffle_f32x4::<0x88>(c, d);
                let odd_ab = _mm512_shuffle_f32x4::<0xdd>(a, b);
                let odd_cd = _mm512_shuffle_f32x4::<0xdd>(c, d);
                let to = to.add(k * to_stride);
                let part = 4 * to_stride;
                _mm512_storeu_ps(to, _mm512_shuffle_f32x4::<0x88>(even_ab, even_cd));
                _mm512_storeu_ps(to.add(part), _mm512_shuffle_f32x4::<0x88>(odd_ab, odd_cd));
                _mm512_storeu_ps(to.add(2 * part), _mm512_shuffle_f32x4::<0xdd>(even_ab, even_cd));
                _mm512_storeu_ps(to.add(3 * part), _mm512_shuffle_f32x4::<0xdd>(odd_ab, odd_cd));
            }
        }
    }

    #[inline(always)]
    unsafe fn list_non_zero(from: *const f32, first: u32, to: *mut Entry<f32>) -> usize {
        // SAFETY: the caller has AVX-512, 16 numbers, and room for 16 entries, each a term and its number.
        unsafe {
            let values = _mm512_loadu_ps(from);
            let non_zero = _mm512_cmp_ps_mask::<_CMP_NEQ_UQ>(values, _mm512_setzero_ps());
            let lanes = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let terms = _mm512_add_epi32(lanes, _mm512_set1_epi32(first.cast_signed()));
            let terms = _mm512_maskz_compress_epi32(non_zero, terms);
            let values = _mm512_castps_si512(_mm512_maskz_compress_ps(non_zero, values));
            let low = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
            let high = _mm512_add_epi32(low, _mm512_set1_epi32(8));
            let to: *mut __m512i = to.cast();
            _mm512_storeu_si512(to, _mm512_permutex2var_epi32(terms, low, values));
            _mm512_storeu_si512(to.add(1), _mm512_permutex2var_epi32(terms, high, values));
            non_zero.count_ones() as usize
        }
    }
}
