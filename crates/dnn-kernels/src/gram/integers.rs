//! Products of whole numbers, for Gram matrices of 8-bit pixels: exact on every path.
//!
//! ```text
//! for 4 (of bytes: 6) rows of a: for 4 rows of b (AVX2: 2):
//!     for each step: sums[i][j] += pairwise products of a[i] and b[j]
//!     out[i][j] += the sum of the lanes
//! ```
//!
//! VNNI multiplies unsigned bytes with signed ones alone: those of the right side are taken less 128, and the
//! caller adds 128 times the sum of the left side afterwards.

use super::steps::{BYTE_ROWS, ByteStep, PANEL, ROWS, Step};
#[cfg(all(target_arch = "x86_64", not(miri)))]
use super::x86;

/// `out[i][j] += sum over f of a[i][f] b[j][f]`, exactly as long as it fits.
///
/// # Shapes
/// | `a` | `b` | `out` |
/// |---|---|---|
/// | `(rows, length)` | `(PANEL, length)` | `(rows, PANEL)` |
///
/// all row after row; `rows` is a multiple of [`ROWS`], `length` is in steps.
pub fn add_products(a: &[Step], b: &[Step], length: usize, out: &mut [i32]) {
    assert_eq!(b.len(), PANEL * length, "a whole panel");
    assert_eq!(a.len() % (ROWS * length.max(1)), 0, "whole groups of rows");
    assert_eq!(out.len() * length, a.len() * PANEL, "a place for every product");
    if length == 0 {
        return;
    }
    #[cfg(all(target_arch = "x86_64", not(miri)))]
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
    plain(a, b, length, out);
}

/// The formula as it stands.
fn plain(a: &[Step], b: &[Step], length: usize, out: &mut [i32]) {
    for (a, out) in a.chunks_exact(length).zip(out.chunks_exact_mut(PANEL)) {
        for (b, out) in b.chunks_exact(length).zip(out) {
            for (a, b) in a.iter().zip(b) {
                let pairs = a.0.iter().zip(&b.0);
                *out += pairs.map(|(&a, &b)| i32::from(a) * i32::from(b)).sum::<i32>();
            }
        }
    }
}

/// Whether this processor has instructions for [`add_byte_products`].
pub fn has_byte_products() -> bool {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vnni")
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
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
pub fn add_byte_products(a: &[ByteStep], b: &[ByteStep], length: usize, out: &mut [i32]) {
    assert_eq!(b.len(), PANEL * length, "a whole panel");
    assert_eq!(a.len() % (BYTE_ROWS * length.max(1)), 0, "whole groups of rows");
    assert_eq!(out.len() * length, a.len() * PANEL, "a place for every product");
    assert!(has_byte_products(), "no instructions for bytes");
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    if length > 0 {
        // SAFETY: the processor has these instructions.
        unsafe { x86::add_byte_products(a, b, length, out) };
    }
}

#[cfg(test)]
mod tests {
    use super::super::steps::{BYTES, STEP};
    use super::*;
    use crate::test_support::Draws;

    type Products = fn(&[Step], &[Step], usize, &mut [i32]);

    fn whole_numbers(steps: usize, seed: u64) -> Vec<Step> {
        let mut draws = Draws::new(seed);
        (0..steps).map(|_| Step([(); STEP].map(|()| i16::from(draws.byte())))).collect()
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

    /// Every path that this machine has.
    fn paths() -> Vec<(&'static str, Products)> {
        let mut paths: Vec<(&'static str, Products)> =
            vec![("plain", plain), ("chosen", add_products)];
        #[cfg(all(target_arch = "x86_64", not(miri)))]
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
        let all = [(0, 1), (4, 1), (8, 2), (12, 32)];
        let all = if cfg!(miri) { &all[..2] } else { &all[..] };
        for &(rows, length) in all {
            let (a, b) = (whole_numbers(rows * length, 1), whole_numbers(PANEL * length, 2));
            for (name, add) in paths() {
                let mut out = vec![3; rows * PANEL];
                add(&a, &b, length, &mut out);
                let found: Vec<i64> = out.iter().map(|&out| i64::from(out) - 3).collect();
                assert_eq!(found, naive(&a, &b, length), "{name}, {rows} x {length} steps");
            }
        }
        add_products(&[], &[], 0, &mut []);
    }

    #[test]
    #[cfg_attr(miri, ignore = "16 million products")]
    fn the_longest_block_of_the_brightest_pixels_fits() {
        // 33,024 times 255 squared, in any order.
        let length = 33_024 / STEP;
        let bright = |rows: usize| vec![Step([255; STEP]); rows * length];
        let (a, b) = (bright(ROWS), bright(PANEL));
        for (name, add) in paths() {
            let mut out = vec![0; ROWS * PANEL];
            add(&a, &b, length, &mut out);
            assert!(out.iter().all(|&out| out == 2_147_385_600), "{name}");
        }
    }

    #[test]
    fn products_of_bytes_are_exact() {
        if !has_byte_products() {
            dnn_testing::skipped("this processor has no products of bytes");
            return;
        }
        for (rows, length) in [(0, 1), (6, 0), (6, 1), (18, 2), (12, 63)] {
            let mut draws = Draws::new(length as u64);
            let mut steps = |count: usize| -> Vec<ByteStep> {
                (0..count).map(|_| ByteStep([(); BYTES].map(|()| draws.byte()))).collect()
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
}
