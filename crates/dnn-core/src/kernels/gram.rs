//! The two inner loops of the Gram form: products of whole numbers, and sums of rows.
//!
//! Whole numbers are exact on every path. Sums of rows are taken in one order on every path, with fused
//! products where there are vectors and without where there are none.
#![allow(unsafe_code, reason = "vector instructions are called where the processor has them")]
#![allow(clippy::inline_always, reason = "a loop takes on the instructions of its caller")]

use crate::Element;

/// Columns of a panel of a Gram matrix.
pub(crate) const PANEL: usize = 128;
/// Rows of whole numbers that are multiplied at a time.
pub(crate) const ROWS: usize = 4;
/// Whole numbers that are multiplied at a time.
pub(crate) const STEP: usize = 32;

/// A part of a row of whole numbers, one line of the cache.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct Step(pub(crate) [i16; STEP]);

/// `out[i][j] += sum over f of a[i][f] b[j][f]`, exactly as long as it fits.
///
/// # Shapes
/// | `a` | `b` | `out` |
/// |---|---|---|
/// | `(rows, length)` | `(PANEL, length)` | `(rows, PANEL)` |
///
/// all row after row; `rows` is a multiple of [`ROWS`], `length` is in steps.
pub(crate) fn add_products(a: &[Step], b: &[Step], length: usize, out: &mut [i32]) {
    assert_eq!(b.len(), PANEL * length, "a whole panel");
    assert_eq!(a.len() % (ROWS * length.max(1)), 0, "whole groups of rows");
    assert_eq!(out.len() * length, a.len() * PANEL, "a place for every product");
    if length == 0 {
        return;
    }
    #[cfg(target_arch = "x86_64")]
    {
        if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vnni") {
            // SAFETY: the processor has these instructions.
            return unsafe { x86::add_products_vnni(a, b, length, out) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has these instructions.
            return unsafe { x86::add_products_avx2(a, b, length, out) };
        }
    }
    add_products_plainly(a, b, length, out);
}

/// [`add_products`] without vector instructions of our own choice.
fn add_products_plainly(a: &[Step], b: &[Step], length: usize, out: &mut [i32]) {
    for (a, out) in a.chunks_exact(length).zip(out.chunks_exact_mut(PANEL)) {
        for (b, out) in b.chunks_exact(length).zip(out) {
            for (a, b) in a.iter().zip(b) {
                let pairs = a.0.iter().zip(&b.0);
                *out += pairs.map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>();
            }
        }
    }
}

/// Bytes that are multiplied at a time.
pub(crate) const BYTES: usize = 64;
/// Rows of bytes that are multiplied at a time.
pub(crate) const BYTE_ROWS: usize = 6;
/// What bytes of the right side are less by in [`add_byte_products`].
pub(crate) const BYTE_SHIFT: u8 = 128;

/// A part of a row of bytes, one line of the cache.
#[derive(Debug, Clone, Copy, PartialEq)]
#[repr(C, align(64))]
pub(crate) struct ByteStep(pub(crate) [u8; BYTES]);

/// Whether this processor has instructions for [`add_byte_products`].
pub(crate) fn has_byte_products() -> bool {
    #[cfg(target_arch = "x86_64")]
    {
        is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vnni")
    }
    #[cfg(not(target_arch = "x86_64"))]
    {
        false
    }
}

/// `out[i][j] += sum over f of a[i][f] (b[j][f] - 128)`, exactly as long as it fits. What is left over of the
/// last step is 0 in `a`.
///
/// # Shapes
/// As of [`add_products`], with [`BYTE_ROWS`] for [`ROWS`].
///
/// # Panics
/// If they are others, or [there are no instructions](has_byte_products).
pub(crate) fn add_byte_products(a: &[ByteStep], b: &[ByteStep], length: usize, out: &mut [i32]) {
    assert_eq!(b.len(), PANEL * length, "a whole panel");
    assert_eq!(a.len() % (BYTE_ROWS * length.max(1)), 0, "whole groups of rows");
    assert_eq!(out.len() * length, a.len() * PANEL, "a place for every product");
    assert!(has_byte_products(), "no instructions for bytes");
    #[cfg(target_arch = "x86_64")]
    if length > 0 {
        // SAFETY: the processor has these instructions.
        unsafe { x86::add_byte_products(a, b, length, out) };
    }
}

/// `out[j] += sum over k of weights[k] panel[places[k]][j]`, summed in the numbers' own precision from 0 on
/// in the order of `k`.
///
/// # Shapes
/// `panel` is `(rows, PANEL)`, row after row, and `out` has length `PANEL`.
///
/// # Panics
/// If a place is no row.
pub(crate) fn add_rows<T: Element>(
    weights: &[T],
    places: &[u32],
    panel: &[T],
    out: &mut [f64; PANEL],
) {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the processor has these instructions.
        return unsafe { x86::add_rows(weights, places, panel, out) };
    }
    add_rows_plainly(weights, places, panel, out);
}

/// Panics unless there is a place for each weight, and a row of the panel at each place.
#[inline(always)]
fn check_places<T>(weights: &[T], places: &[u32], panel: &[T]) {
    assert_eq!(weights.len(), places.len(), "a place for each weight");
    let mut after = 0;
    for &place in places {
        after = place.saturating_add(1).max(after);
    }
    assert!(after as usize <= panel.len() / PANEL, "a place beyond the last row");
}

/// [`add_rows`] without vector instructions of our own choice.
fn add_rows_plainly<T: Element>(
    weights: &[T],
    places: &[u32],
    panel: &[T],
    out: &mut [f64; PANEL],
) {
    check_places(weights, places, panel);
    let mut sums = [T::zero(); PANEL];
    for (&weight, &place) in weights.iter().zip(places) {
        let row = &panel[place as usize * PANEL..][..PANEL];
        for (sum, &number) in sums.iter_mut().zip(row) {
            *sum += weight * number;
        }
    }
    for (out, sum) in out.iter_mut().zip(sums) {
        *out += sum.into();
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::{
        __m128i, __m256i, __m512i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_loadu_si128,
        _mm_shuffle_epi32, _mm_storeu_si128, _mm_unpackhi_epi64, _mm256_add_epi32, _mm256_add_pd,
        _mm256_broadcast_sd, _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_fmadd_pd,
        _mm256_load_si256, _mm256_loadu_pd, _mm256_madd_epi16, _mm256_setzero_pd,
        _mm256_setzero_si256, _mm256_storeu_pd, _mm512_add_epi32, _mm512_castsi512_si256,
        _mm512_dpbusd_epi32, _mm512_dpwssd_epi32, _mm512_extracti64x4_epi64, _mm512_load_si512,
        _mm512_set1_epi8, _mm512_setzero_si512, _mm512_unpackhi_epi32, _mm512_unpackhi_epi64,
        _mm512_unpacklo_epi32, _mm512_unpacklo_epi64, _mm512_xor_si512,
    };

    use super::{
        BYTE_ROWS, BYTE_SHIFT, ByteStep, PANEL, ROWS, Step, add_rows_plainly, check_places,
    };
    use crate::{Element, Precision};

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
    pub(super) fn add_byte_products(
        a: &[ByteStep],
        b: &[ByteStep],
        length: usize,
        out: &mut [i32],
    ) {
        const WIDTH: usize = 4;
        let shift = _mm512_set1_epi8(BYTE_SHIFT.cast_signed());
        let groups =
            a.chunks_exact(BYTE_ROWS * length).zip(out.chunks_exact_mut(BYTE_ROWS * PANEL));
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

    #[target_feature(enable = "avx2,fma")]
    pub(super) fn add_rows<T: Element>(
        weights: &[T],
        places: &[u32],
        panel: &[T],
        out: &mut [f64; PANEL],
    ) {
        check_places(weights, places, panel);
        match T::PRECISION {
            // `f32` has kernels that combine rows of any length.
            Precision::F32 => add_rows_plainly(weights, places, panel, out),
            // SAFETY: the numbers are of this type; there is one for each place, and every place is a row of
            // the panel.
            Precision::F64 => unsafe {
                add_rows_f64(weights.as_ptr().cast(), places, panel.as_ptr().cast(), out);
            },
        }
    }

    /// # Safety
    /// There is a weight for each place, and the panel has a row of [`PANEL`] numbers there.
    #[target_feature(enable = "avx2,fma")]
    unsafe fn add_rows_f64(
        weights: *const f64,
        places: &[u32],
        panel: *const f64,
        out: &mut [f64; PANEL],
    ) {
        const PART: usize = 32;
        // A part of a row at a time stays in registers.
        for (part, out) in out.chunks_exact_mut(PART).enumerate() {
            let mut sums = [_mm256_setzero_pd(); 8];
            for (k, &place) in places.iter().enumerate() {
                // SAFETY: the caller vouches for the weight and the row, a part of which is 8 vectors of 4.
                unsafe {
                    let weight = _mm256_broadcast_sd(&*weights.add(k));
                    let row = panel.add(place as usize * PANEL + part * PART);
                    for (lane, sum) in sums.iter_mut().enumerate() {
                        *sum = _mm256_fmadd_pd(weight, _mm256_loadu_pd(row.add(4 * lane)), *sum);
                    }
                }
            }
            for (out, sum) in out.chunks_exact_mut(4).zip(sums) {
                // SAFETY: `out` is 4 numbers long here.
                unsafe {
                    let after = _mm256_add_pd(_mm256_loadu_pd(out.as_ptr()), sum);
                    _mm256_storeu_pd(out.as_mut_ptr(), after);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Purpose, RandomStream};

    fn whole_numbers(steps: usize, seed: u64) -> Vec<Step> {
        let mut stream = RandomStream::new(seed, Purpose::Data, 0);
        let mut number = || i16::try_from(stream.up_to(255)).unwrap();
        (0..steps).map(|_| Step([(); STEP].map(|()| number()))).collect()
    }

    /// The definition, in integers that hold everything.
    fn naive(a: &[Step], b: &[Step], length: usize) -> Vec<i64> {
        let rows = |all: &[Step]| -> Vec<Vec<i16>> {
            let row = |row: &[Step]| row.iter().flat_map(|step| step.0).collect();
            all.chunks_exact(length).map(row).collect()
        };
        let dot = |a: &[i16], b: &[i16]| -> i64 {
            a.iter().zip(b).map(|(&a, &b)| i64::from(a) * i64::from(b)).sum()
        };
        let b = rows(b);
        rows(a).iter().flat_map(|a| b.iter().map(|b| dot(a, b)).collect::<Vec<_>>()).collect()
    }

    type Products = fn(&[Step], &[Step], usize, &mut [i32]);

    /// Every path that this machine has.
    fn paths() -> Vec<(&'static str, Products)> {
        let mut paths: Vec<(&'static str, Products)> =
            vec![("plain", add_products_plainly), ("chosen", add_products)];
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx2") {
            // SAFETY: the processor has these instructions.
            paths.push(("avx2", |a, b, length, out| unsafe {
                x86::add_products_avx2(a, b, length, out);
            }));
        }
        paths
    }

    #[test]
    fn products_of_whole_numbers_are_exact_on_every_path() {
        for (rows, length) in [(0, 1), (4, 1), (8, 2), (12, 32)] {
            let (a, b) = (whole_numbers(rows * length, 1), whole_numbers(PANEL * length, 2));
            for (name, add) in paths() {
                let mut out = vec![3; rows * PANEL];
                add(&a, &b, length, &mut out);
                let found: Vec<i64> = out.iter().map(|&out| i64::from(out) - 3).collect();
                assert_eq!(found, naive(&a, &b, length), "{name}, {rows} x {length} steps");
            }
        }
        // The longest block of the brightest pixels: 33,024 times 255 squared fits, in any order.
        let length = 33_024 / STEP;
        let bright = |rows: usize| vec![Step([255; STEP]); rows * length];
        let (a, b) = (bright(ROWS), bright(PANEL));
        for (name, add) in paths() {
            let mut out = vec![0; ROWS * PANEL];
            add(&a, &b, length, &mut out);
            assert!(out.iter().all(|&out| out == 2_147_385_600), "{name}");
        }
        add_products(&[], &[], 0, &mut []);
    }

    #[test]
    fn products_of_bytes_are_exact() {
        if !has_byte_products() {
            dnn_testing::skipped("this processor has no products of bytes");
            return;
        }
        for (rows, length) in [(0, 1), (6, 0), (6, 1), (18, 2), (12, 63)] {
            let mut stream = RandomStream::new(length as u64, Purpose::Data, 0);
            let mut steps = |count: usize| -> Vec<ByteStep> {
                let mut byte = || u8::try_from(stream.up_to(255)).unwrap();
                (0..count).map(|_| ByteStep([(); BYTES].map(|()| byte()))).collect()
            };
            let (a, b) = (steps(rows * length), steps(PANEL * length));
            let mut out = vec![3; if length > 0 { rows * PANEL } else { 0 }];
            add_byte_products(&a, &b, length, &mut out);
            for (i, a) in a.chunks(length.max(1)).enumerate() {
                for (j, b) in b.chunks(length.max(1)).enumerate() {
                    let pairs = a.iter().zip(b).flat_map(|(a, b)| a.0.iter().zip(&b.0));
                    let sum: i32 = pairs.map(|(&a, &b)| i32::from(a) * (i32::from(b) - 128)).sum();
                    assert_eq!(out[i * PANEL + j], 3 + sum, "{rows} {length}: {i} {j}");
                }
            }
        }
    }

    fn rows_are_added<T: Element>(close: f64) {
        for rows in [0, 1, 7, 200] {
            let mut stream = RandomStream::new(rows as u64, Purpose::Data, 0);
            let mut normal =
                |count| -> Vec<T> { (0..count).map(|_| T::from_f64(stream.normal())).collect() };
            let (panel, weights) = (normal(rows * PANEL), normal(rows / 2));
            let places: Vec<u32> =
                (0..rows / 2).map(|k| u32::try_from(rows - 1 - 2 * k).unwrap()).collect();
            let (mut chosen, mut plain) = ([0.25; PANEL], [0.25; PANEL]);
            add_rows(&weights, &places, &panel, &mut chosen);
            add_rows_plainly(&weights, &places, &panel, &mut plain);
            for j in 0..PANEL {
                let terms = weights.iter().zip(&places).map(|(&weight, &place)| {
                    let (weight, number): (f64, f64) =
                        (weight.into(), panel[place as usize * PANEL + j].into());
                    weight * number
                });
                let expected = 0.25 + terms.sum::<f64>();
                assert!((chosen[j] - expected).abs() < close, "{rows}: {} {expected}", chosen[j]);
                assert!((plain[j] - expected).abs() < close, "{rows}: {} {expected}", plain[j]);
            }
        }
    }

    #[test]
    fn rows_are_added_where_they_are_named() {
        rows_are_added::<f32>(1e-4);
        rows_are_added::<f64>(1e-12);
    }

    #[test]
    #[should_panic(expected = "a place beyond the last row")]
    fn a_row_that_is_not_there_is_refused() {
        add_rows(&[1.0_f32], &[2], &[0.0; 2 * PANEL], &mut [0.0; PANEL]);
    }
}
