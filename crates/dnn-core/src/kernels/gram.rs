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

/// What bytes of the right side are less by in [`add_byte_products`].
pub(crate) const BYTE_SHIFT: u8 = 128;

/// `out[i][j] += sum over f of left[i][f] (right[j][f] - 128)`, exactly as long as it fits, of bytes as they
/// lie; false, and nothing done, where this processor has no instructions for it.
///
/// # Shapes
/// `left` and `right` have rows of one length, `right` up to [`PANEL`] of them; `out` is
/// `(left rows, PANEL)`, row after row.
///
/// # Panics
/// If the lengths differ.
pub(crate) fn add_byte_products(left: &[&[u8]], right: &[&[u8]], out: &mut [i32]) -> bool {
    let length = left.iter().chain(right).next().map_or(0, |row| row.len());
    assert!(left.iter().chain(right).all(|row| row.len() == length), "rows of one length");
    assert!(right.len() <= PANEL && out.len() == left.len() * PANEL, "a place for every product");
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vnni") {
        // SAFETY: the processor has these instructions.
        unsafe { x86::add_byte_products(left, right, length, out) };
        return true;
    }
    false
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
        __m256i, _mm_add_epi32, _mm_cvtsi128_si32, _mm_shuffle_epi32, _mm_unpackhi_epi64,
        _mm256_add_epi32, _mm256_add_pd, _mm256_broadcast_sd, _mm256_castsi256_si128,
        _mm256_extracti128_si256, _mm256_fmadd_pd, _mm256_load_si256, _mm256_loadu_pd,
        _mm256_madd_epi16, _mm256_setzero_pd, _mm256_setzero_si256, _mm256_storeu_pd,
        _mm512_dpbusd_epi32, _mm512_dpwssd_epi32, _mm512_load_si512, _mm512_loadu_si512,
        _mm512_maskz_loadu_epi8, _mm512_reduce_add_epi32, _mm512_set1_epi8, _mm512_setzero_si512,
        _mm512_xor_si512,
    };

    use super::{PANEL, ROWS, Step, add_rows_plainly, check_places};
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
                    for (out, sum) in out[j * WIDTH..].iter_mut().zip(sums) {
                        *out += _mm512_reduce_add_epi32(sum);
                    }
                }
            }
        }
    }

    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    pub(super) fn add_byte_products(
        left: &[&[u8]],
        right: &[&[u8]],
        length: usize,
        out: &mut [i32],
    ) {
        const HIGH: usize = 6;
        const WIDE: usize = 4;
        let rows = left.chunks(HIGH).zip(out.chunks_mut(HIGH * PANEL));
        for (left, out) in rows {
            for (j, right) in right.chunks(WIDE).enumerate() {
                let at = j * WIDE;
                match (<&[&[u8]; HIGH]>::try_from(left), <&[&[u8]; WIDE]>::try_from(right)) {
                    (Ok(left), Ok(right)) => byte_block(*left, *right, length, at, out),
                    _ => {
                        for (left, out) in left.iter().zip(out.chunks_mut(PANEL)) {
                            for (j, right) in right.iter().enumerate() {
                                byte_block([*left], [*right], length, at + j, out);
                            }
                        }
                    }
                }
            }
        }
    }

    /// A block of products of rows of this length, to the columns from `at` on.
    #[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
    fn byte_block<const R: usize, const C: usize>(
        left: [&[u8]; R],
        right: [&[u8]; C],
        length: usize,
        at: usize,
        out: &mut [i32],
    ) {
        const LANES: usize = 64;
        let shift = _mm512_set1_epi8(i8::MIN);
        let mut sums = [[_mm512_setzero_si512(); C]; R];
        let whole = length - length % LANES;
        for f in (0..whole).step_by(LANES) {
            // SAFETY: every row has as many bytes.
            let load = |row: &[u8]| unsafe { _mm512_loadu_si512(row.as_ptr().add(f).cast()) };
            let mut shifted = [shift; C];
            for j in 0..C {
                shifted[j] = _mm512_xor_si512(load(right[j]), shift);
            }
            for i in 0..R {
                let left = load(left[i]);
                for j in 0..C {
                    sums[i][j] = _mm512_dpbusd_epi32(sums[i][j], left, shifted[j]);
                }
            }
        }
        if whole < length {
            let mask = (1_u64 << (length - whole)) - 1;
            // SAFETY: every row has as many bytes from there on as the mask has ones: others are not touched.
            let load = |row: &[u8]| unsafe {
                _mm512_maskz_loadu_epi8(mask, row.as_ptr().add(whole).cast())
            };
            for i in 0..R {
                // A byte that is not there is 0 on the left side.
                let left = load(left[i]);
                for j in 0..C {
                    let right = _mm512_xor_si512(load(right[j]), shift);
                    sums[i][j] = _mm512_dpbusd_epi32(sums[i][j], left, right);
                }
            }
        }
        for (out, sums) in out.chunks_mut(PANEL).zip(sums) {
            for (out, sum) in out[at..].iter_mut().zip(sums) {
                *out += _mm512_reduce_add_epi32(sum);
            }
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

    fn slices(rows: &[Vec<u8>]) -> Vec<&[u8]> {
        rows.iter().map(Vec::as_slice).collect()
    }

    #[test]
    fn products_of_bytes_as_they_lie_are_exact() {
        for (rows, columns, length) in
            [(0, 1, 5_u64), (1, 1, 0), (7, PANEL, 63), (13, 9, 64), (6, 4, 4096), (12, 127, 200)]
        {
            let mut stream = RandomStream::new(length, Purpose::Data, 0);
            let mut bytes = |rows: usize| -> Vec<Vec<u8>> {
                let mut byte = || u8::try_from(stream.up_to(255)).unwrap();
                (0..rows).map(|_| (0..length).map(|_| byte()).collect()).collect()
            };
            let (left, right) = (bytes(rows), bytes(columns));
            let mut out = vec![3; rows * PANEL];
            if !add_byte_products(&slices(&left), &slices(&right), &mut out) {
                println!("no instructions for bytes here");
                return;
            }
            for (i, left) in left.iter().enumerate() {
                for (j, right) in right.iter().enumerate() {
                    let pairs = left.iter().zip(right);
                    let sum: i32 = pairs.map(|(&a, &b)| i32::from(a) * (i32::from(b) - 128)).sum();
                    assert_eq!(out[i * PANEL + j], 3 + sum, "{rows} {columns} {length}: {i} {j}");
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
