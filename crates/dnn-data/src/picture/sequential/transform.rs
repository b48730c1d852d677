//! From the lowest frequencies of a block to its pixels.
//!
//! A block of 8x8 with coefficients `F(u, v)` is, at `W` x `H` pixels, by the inverse transform of that
//! size, which keeps the block's mean:
//!
//! `f(x, y) = 128 + sum C(u) C(v) F(u, v) cos((2x + 1) u pi / 2W) cos((2y + 1) v pi / 2H) / 8`
//!
//! over `u < W`, `v < H`, where `C(0) = 1` and `C(u) = sqrt(2)`; one direction after the other.

/// Bits after the point of the cosines, in a direction of `side` pixels; up to two there are none but 1.
const fn point(side: usize) -> u32 {
    if side > 2 { 13 } else { 0 }
}

/// Bits after the point of what lies between the two directions, the first of which has `side` pixels.
const fn between(side: usize) -> u32 {
    if side > 2 { 2 } else { 0 }
}

/// The largest sum of the sizes of a block's coefficients: twice what a block of 8-bit samples can have
/// before it is quantised. Up to this, nothing below overflows: each direction at most doubles by `C`,
/// so that the last sum is below `2^14 * 2 * 2^(2 + 13) = 2^30`.
pub(super) const LARGEST_SUM: u32 = 1 << 14;

/// `sqrt(2) cos(n pi / 16) * 2^13`, rounded.
const C: [i32; 8] = [11585, 11363, 10703, 9633, 8192, 6436, 4433, 2260];

/// The inverse transform in one direction, times `2^point(N)`, of many columns at once: `from` and the
/// result have one row for each frequency and place.
#[inline]
fn inverse<const N: usize, const LANES: usize>(from: [[i32; LANES]; N]) -> [[i32; LANES]; N] {
    let mut to = [[0; LANES]; N];
    for lane in 0..LANES {
        let column = from.map(|row| row[lane]);
        let place = inverse_of(column);
        for (to, value) in to.iter_mut().zip(place) {
            to[lane] = value;
        }
    }
    to
}

#[inline]
fn inverse_of<const N: usize>(from: [i32; N]) -> [i32; N] {
    let one = |value: i32| value << point(N);
    let mut to = [0; N];
    match N {
        1 => to[0] = one(from[0]),
        2 => (to[0], to[1]) = (one(from[0] + from[1]), one(from[0] - from[1])),
        4 => {
            let even = [one(from[0] + from[2]), one(from[0] - from[2])];
            let odd = [C[2] * from[1] + C[6] * from[3], C[6] * from[1] - C[2] * from[3]];
            for (place, (even, odd)) in even.into_iter().zip(odd).enumerate() {
                (to[place], to[3 - place]) = (even + odd, even - odd);
            }
        }
        _ => {
            let even: [i32; 4] = inverse_of([from[0], from[2], from[4], from[6]]);
            let x = [from[1], from[3], from[5], from[7]];
            let odd = [
                C[1] * x[0] + C[3] * x[1] + C[5] * x[2] + C[7] * x[3],
                C[3] * x[0] - C[7] * x[1] - C[1] * x[2] - C[5] * x[3],
                C[5] * x[0] - C[1] * x[1] + C[7] * x[2] + C[3] * x[3],
                C[7] * x[0] - C[5] * x[1] + C[3] * x[2] - C[1] * x[3],
            ];
            for (place, (even, odd)) in even.into_iter().zip(odd).enumerate() {
                (to[place], to[7 - place]) = (even + odd, even - odd);
            }
        }
    }
    to
}

/// `value / 2^bits`, to the nearest.
#[inline]
fn rounded(value: i32, bits: u32) -> i32 {
    (value + ((1 << bits) >> 1)) >> bits
}

/// The pixels of a block of `W` x `H` coefficients, row-major.
#[inline]
pub(super) fn transform<const W: usize, const H: usize>(
    coefficients: [[i32; W]; H],
) -> [[u8; W]; H] {
    let down = inverse(coefficients);
    down.map(|row| {
        let row = row.map(|value| rounded(value, point(H) - between(H)));
        inverse_of(row).map(|value| level(rounded(value, between(H) + point(W) + 3)))
    })
}

/// The pixel of what differs from middle grey by `value`.
#[inline]
pub(super) fn level(value: i32) -> u8 {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 255")]
    let level = (value + 128).clamp(0, 255) as u8;
    level
}

#[cfg(test)]
mod tests {
    use std::f64::consts::{PI, SQRT_2};

    use super::*;

    /// The formula of the module, as it stands there.
    fn oracle<const W: usize, const H: usize>(f: [[i32; W]; H], x: usize, y: usize) -> f64 {
        let factor = |u: usize, x: usize, n: usize| {
            let c = if u == 0 { 1.0 } else { SQRT_2 };
            c * ((2 * x + 1) as f64 * u as f64 * PI / (2 * n) as f64).cos()
        };
        let terms = (0..H).flat_map(|v| (0..W).map(move |u| (u, v)));
        let sum: f64 =
            terms.map(|(u, v)| f64::from(f[v][u]) * factor(u, x, W) * factor(v, y, H)).sum();
        128.0 + sum / 8.0
    }

    fn check<const W: usize, const H: usize>() {
        let mut state = 1_u32;
        let mut draw = |most: i32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8).cast_signed() % (2 * most + 1) - most
        };
        for round in 0..400 {
            // From blocks of one frequency to the largest sums.
            let mut f = [[0; W]; H];
            if round % 4 == 0 {
                let most = LARGEST_SUM.cast_signed();
                f[draw(100).unsigned_abs() as usize % H][draw(100).unsigned_abs() as usize % W] =
                    if round % 8 == 0 { most } else { -most };
            } else {
                f = f.map(|row| {
                    row.map(|_| draw((LARGEST_SUM / 64).cast_signed() * (round % 4) / 3))
                });
            }
            let found = transform(f);
            for (x, y) in (0..W).flat_map(|x| (0..H).map(move |y| (x, y))) {
                let expected = oracle(f, x, y).clamp(0.0, 255.0);
                // Half for the last rounding, a part for that in between and the cosines'.
                let off = (f64::from(found[y][x]) - expected).abs();
                assert!(off <= 0.8, "{W}x{H} {f:?} at {x} {y}: {} {expected}", found[y][x]);
            }
        }
    }

    #[test]
    fn every_size_agrees_with_the_formula() {
        check::<1, 1>();
        check::<2, 1>();
        check::<1, 2>();
        check::<2, 2>();
        check::<4, 2>();
        check::<2, 4>();
        check::<4, 4>();
        check::<8, 4>();
        check::<4, 8>();
        check::<8, 8>();
    }

    #[test]
    fn a_block_of_one_level_stays_one() {
        // Eight times the level's distance from 128.
        let mut f = [[0; 4]; 4];
        f[0][0] = -800;
        assert_eq!(transform(f), [[28; 4]; 4]);
    }
}
