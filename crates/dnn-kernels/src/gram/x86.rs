//! Products of whole numbers on x86-64: VNNI and AVX2.

use std::arch::x86_64::{
    __m128i, __m256i, __m512i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_loadu_si128,
    _mm_shuffle_epi32, _mm_storeu_si128, _mm_unpackhi_epi64, _mm256_add_epi32,
    _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_load_si256, _mm256_madd_epi16,
    _mm256_setzero_si256, _mm512_add_epi32, _mm512_castsi512_si256, _mm512_dpbusd_epi32,
    _mm512_dpwssd_epi32, _mm512_extracti64x4_epi64, _mm512_load_si512, _mm512_set1_epi8,
    _mm512_setzero_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32,
    _mm512_unpacklo_epi64, _mm512_xor_si512,
};

use super::steps::{BYTE_ROWS, BYTE_SHIFT, ByteStep, PANEL, ROWS, Step};

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn add_products_vnni(a: &[Step], b: &[Step], length: usize, out: &mut [i32]) {
    const WIDTH: usize = 4;
    let groups = a.chunks_exact(ROWS * length).zip(out.chunks_exact_mut(ROWS * PANEL));
    for (a, out) in groups {
        for (j, b) in b.chunks_exact(WIDTH * length).enumerate() {
            let mut sums = [[_mm512_setzero_si512(); WIDTH]; ROWS];
            for f in 0..length {
                // SAFETY: `f` is below the length of a row, and there are ROWS and WIDTH of them.
                let load = |rows: &[Step], row: usize| unsafe {
                    _mm512_load_si512(rows.as_ptr().add(row * length + f).cast())
                };
                let right = [load(b, 0), load(b, 1), load(b, 2), load(b, 3)];
                for (i, sums) in sums.iter_mut().enumerate() {
                    let left = load(a, i);
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum = _mm512_dpwssd_epi32(*sum, left, right);
                    }
                }
            }
            for (out, sums) in out.chunks_exact_mut(PANEL).zip(sums) {
                add_four(&mut out[j * WIDTH..], sums);
            }
        }
    }
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
pub(super) fn add_byte_products(a: &[ByteStep], b: &[ByteStep], length: usize, out: &mut [i32]) {
    const WIDTH: usize = 4;
    let shift = _mm512_set1_epi8(BYTE_SHIFT.cast_signed());
    let groups = a.chunks_exact(BYTE_ROWS * length).zip(out.chunks_exact_mut(BYTE_ROWS * PANEL));
    for (a, out) in groups {
        for (j, b) in b.chunks_exact(WIDTH * length).enumerate() {
            let mut sums = [[_mm512_setzero_si512(); WIDTH]; BYTE_ROWS];
            for f in 0..length {
                // SAFETY: `f` is below the length of a row, and there are BYTE_ROWS and WIDTH of them.
                let load = |rows: &[ByteStep], row: usize| unsafe {
                    _mm512_load_si512(rows.as_ptr().add(row * length + f).cast())
                };
                let mut right = [shift; WIDTH];
                for (row, right) in right.iter_mut().enumerate() {
                    *right = _mm512_xor_si512(load(b, row), shift);
                }
                for (i, sums) in sums.iter_mut().enumerate() {
                    let left = load(a, i);
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum = _mm512_dpbusd_epi32(*sum, left, right);
                    }
                }
            }
            for (out, sums) in out.chunks_exact_mut(PANEL).zip(sums) {
                add_four(&mut out[j * WIDTH..], sums);
            }
        }
    }
}

/// Adds the sum of the lanes of each to the first four places.
#[target_feature(enable = "avx512f")]
fn add_four(out: &mut [i32], [a, b, c, d]: [__m512i; 4]) {
    let ab = _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    let cd = _mm512_add_epi32(_mm512_unpacklo_epi32(c, d), _mm512_unpackhi_epi32(c, d));
    let all = _mm512_add_epi32(_mm512_unpacklo_epi64(ab, cd), _mm512_unpackhi_epi64(ab, cd));
    let (low, high) = (_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64::<1>(all));
    let half = _mm256_add_epi32(low, high);
    let (low, high) = (_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half));
    let out: *mut __m128i = out[..4].as_mut_ptr().cast();
    // SAFETY: these are four places.
    unsafe {
        let sums = _mm_add_epi32(_mm_loadu_si128(out), _mm_add_epi32(low, high));
        _mm_storeu_si128(out, sums);
    }
}

#[target_feature(enable = "avx2")]
pub(super) fn add_products_avx2(a: &[Step], b: &[Step], length: usize, out: &mut [i32]) {
    const WIDTH: usize = 2;
    /// Vectors in a step.
    const VECTORS: usize = 2;
    let groups = a.chunks_exact(ROWS * length).zip(out.chunks_exact_mut(ROWS * PANEL));
    for (a, out) in groups {
        for (j, b) in b.chunks_exact(WIDTH * length).enumerate() {
            let mut sums = [[_mm256_setzero_si256(); WIDTH]; ROWS];
            for f in 0..VECTORS * length {
                // SAFETY: `f` is below the vectors of a row, and there are ROWS and WIDTH rows.
                let load = |rows: &[Step], row: usize| unsafe {
                    let vectors: *const __m256i = rows.as_ptr().cast();
                    _mm256_load_si256(vectors.add(VECTORS * row * length + f))
                };
                let right = [load(b, 0), load(b, 1)];
                for (i, sums) in sums.iter_mut().enumerate() {
                    let left = load(a, i);
                    for (sum, right) in sums.iter_mut().zip(right) {
                        *sum = _mm256_add_epi32(*sum, _mm256_madd_epi16(left, right));
                    }
                }
            }
            for (out, sums) in out.chunks_exact_mut(PANEL).zip(sums) {
                for (out, sum) in out[j * WIDTH..].iter_mut().zip(sums) {
                    *out += sum_of_lanes(sum);
                }
            }
        }
    }
}

#[target_feature(enable = "avx2")]
fn sum_of_lanes(sum: __m256i) -> i32 {
    let four = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256::<1>(sum));
    let two = _mm_add_epi32(four, _mm_unpackhi_epi64(four, four));
    let one = _mm_add_epi32(two, _mm_shuffle_epi32::<1>(two));
    _mm_cvtsi128_si32(one)
}
