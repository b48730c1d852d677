//! A part of a picture, brought to another size.

use std::cell::RefCell;

use super::Augmentation;
use super::draws::{self, Draws};
use crate::ImageSize;

/// Weights are whole numbers that add up to this.
const ONE: u32 = 1 << 14;
/// Bits after the point of what is between the two passes.
const BETWEEN: u32 = 8;

/// A part of a picture: its corner and its sides in pixels, fractions of them too.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Part {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) width: f64,
    pub(super) height: f64,
}

impl Part {
    /// The part that the draws choose.
    pub(super) fn new(augmentation: &Augmentation, draws: &Draws, size: ImageSize) -> Self {
        let Augmentation { crop, ratio, .. } = *augmentation;
        let scale = 1.0 - (1.0 - crop) * draws.unit(draws::CROP);
        // From the crate `libm`, because those of the system differ in the last bit. Half of the ratio's logarithm
        // for each side.
        let apart = libm::exp(draws.either_way(draws::RATIO) * libm::log(ratio) / 2.0);
        let side = |of: usize, share: f64| of as f64 * share.min(1.0);
        let (width, height) = (side(size.width, scale * apart), side(size.height, scale / apart));
        let corner = |word, of: usize, side: f64| (of as f64 - side) * draws.unit(word);
        Self {
            left: corner(draws::CROP_X, size.width, width),
            top: corner(draws::CROP_Y, size.height, height),
            width,
            height,
        }
    }
}

/// Where the numbers of one side come from: for each of them a run of pixels and their weights.
#[derive(Debug, Default)]
struct Taps {
    /// The first pixel of each.
    first: Vec<usize>,
    /// The weights of all, `count` for each, 0 where there are fewer.
    weights: Vec<u32>,
    count: usize,
}

impl Taps {
    /// Those of `to` numbers made of the part of `from` pixels that begins at `start`: a triangle as wide as two
    /// pixels, or where that is wider, two of the numbers, so that nothing between them is passed over.
    fn fill(&mut self, from: usize, start: f64, side: f64, to: usize) {
        let scale = side / to as f64;
        let reach = scale.max(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a small number above 0"
        )]
        let most = (2.0 * reach).ceil() as usize + 1;
        self.count = most.min(from);
        self.first.clear();
        self.weights.clear();
        for number in 0..to {
            let centre = start + (number as f64 + 0.5) * scale;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "cut off at 0"
            )]
            let first = ((centre - reach).max(0.0) as usize).min(from - self.count);
            let weight =
                |pixel: usize| (1.0 - (pixel as f64 + 0.5 - centre).abs() / reach).max(0.0);
            let sum: f64 = (first..first + self.count).map(weight).sum();
            let begin = self.weights.len();
            self.weights.extend((first..first + self.count).map(|pixel| {
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "0 to ONE"
                )]
                let whole = (weight(pixel) / sum * f64::from(ONE)).round() as u32;
                whole
            }));
            // What rounding took or gave goes to the largest, so that white stays white.
            let of_number = &mut self.weights[begin..];
            let found: u32 = of_number.iter().sum();
            let largest = of_number.iter_mut().max().expect("at least one pixel");
            *largest = *largest + ONE - found;
            self.first.push(first);
        }
    }

    fn weights(&self, number: usize) -> &[u32] {
        &self.weights[number * self.count..][..self.count]
    }
}

/// What resampling works in, used again from one picture to the next.
#[derive(Debug, Default)]
struct Buffers {
    columns: Taps,
    rows: Taps,
    sums: Vec<u32>,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
}

/// Writes `part` of a picture of size `from`, brought to the size `to`, left for right where it is mirrored.
pub(super) fn resample<const C: usize>(
    pixels: &[[u8; C]],
    from: ImageSize,
    part: Part,
    mirrored: bool,
    to: ImageSize,
    out: &mut [[u8; C]],
) {
    BUFFERS.with_borrow_mut(|Buffers { columns, rows, sums }| {
        columns.fill(from.width, part.left, part.width, to.width);
        rows.fill(from.height, part.top, part.height, to.height);
        for (row, out) in out.chunks_exact_mut(to.width).enumerate() {
            sums.clear();
            sums.resize(from.width * C, 1 << (13 - BETWEEN));
            let first = rows.first[row];
            for (source, &weight) in pixels[first * from.width..]
                .chunks_exact(from.width)
                .zip(rows.weights(row))
                .filter(|(_, weight)| **weight > 0)
            {
                let source = source.as_flattened();
                sums.iter_mut()
                    .zip(source)
                    .for_each(|(sum, &number)| *sum += weight * u32::from(number));
            }
            for sum in &mut *sums {
                *sum >>= 14 - BETWEEN;
            }
            let (sums, _) = sums.as_chunks::<C>();
            for (column, pixel) in out.iter_mut().enumerate() {
                let number = if mirrored { to.width - 1 - column } else { column };
                *pixel = weighted(&sums[columns.first[number]..], columns.weights(number));
            }
        }
    });
}

/// The weighted sum of pixels that have [`BETWEEN`] bits after the point.
#[inline]
fn weighted<const C: usize>(pixels: &[[u32; C]], weights: &[u32]) -> [u8; C] {
    let mut sums = [1 << (13 + BETWEEN); C];
    for (pixel, &weight) in pixels.iter().zip(weights) {
        for c in 0..C {
            sums[c] += weight * pixel[c];
        }
    }
    sums.map(|sum| (sum >> (14 + BETWEEN)).to_le_bytes()[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn size(height: usize, width: usize) -> ImageSize {
        ImageSize { width, height }
    }

    fn whole(size: ImageSize) -> Part {
        Part { left: 0.0, top: 0.0, width: size.width as f64, height: size.height as f64 }
    }

    #[test]
    fn a_row_of_four_as_worked_by_hand() {
        let pixels = [[0], [100], [200], [100]];
        let row = |part: Part, mirrored, to: usize| {
            let mut out = vec![[0]; to];
            resample(&pixels, size(1, 4), part, mirrored, size(1, to), &mut out);
            out.concat()
        };
        let all = whole(size(1, 4));
        assert_eq!(row(all, false, 4), [0, 100, 200, 100]);
        assert_eq!(row(all, true, 4), [100, 200, 100, 0]);
        // Half as many: around 1 the pixels at 0.5, 1.5 and 2.5 weigh 3 : 3 : 1, around 3 those at 1.5, 2.5 and 3.5
        // weigh 1 : 3 : 3.
        assert_eq!(row(all, false, 2), [71, 143]);
        // The middle half twice as large: from 1.25, 1.75, 2.25 and 2.75.
        let middle = Part { left: 1.0, width: 2.0, ..all };
        assert_eq!(row(middle, false, 4), [75, 125, 175, 175]);
    }

    /// Each number by the formula, in 64-bit floats.
    fn naive(pixels: &[u8], from: ImageSize, part: Part, to: ImageSize) -> Vec<f64> {
        let weights = |start: f64, side: f64, to: usize, number: usize, from: usize| {
            let scale = side / to as f64;
            let (centre, reach) = (start + (number as f64 + 0.5) * scale, scale.max(1.0));
            let weight = |p: usize| (1.0 - (p as f64 + 0.5 - centre).abs() / reach).max(0.0);
            let all: Vec<f64> = (0..from).map(weight).collect();
            let sum: f64 = all.iter().sum();
            all.into_iter().map(move |weight| weight / sum).collect::<Vec<f64>>()
        };
        let mut out = Vec::new();
        for row in 0..to.height {
            let of_rows = weights(part.top, part.height, to.height, row, from.height);
            for column in 0..to.width {
                let of_columns = weights(part.left, part.width, to.width, column, from.width);
                let mut sum = 0.0;
                for (y, wy) in of_rows.iter().enumerate() {
                    for (x, wx) in of_columns.iter().enumerate() {
                        sum += wy * wx * f64::from(pixels[y * from.width + x]);
                    }
                }
                out.push(sum);
            }
        }
        out
    }

    #[test]
    fn every_size_is_that_of_the_formula() {
        let mut stream = crate::stream::Stream::new(1, *b"test\0\0\0\0");
        let sizes = [size(1, 1), size(1, 5), size(9, 2), size(16, 16), size(31, 40)];
        for from in sizes {
            let pixels: Vec<[u8; 1]> =
                (0..from.height * from.width).map(|_| [(stream.word() >> 24) as u8]).collect();
            for to in sizes {
                for _ in 0..5 {
                    let mut unit = || f64::from(stream.word()) / f64::from(u32::MAX);
                    let side = |of: usize, share: f64| of as f64 * (0.2 + 0.8 * share);
                    let (width, height) = (side(from.width, unit()), side(from.height, unit()));
                    let left = (from.width as f64 - width) * unit();
                    let top = (from.height as f64 - height) * unit();
                    let part = Part { left, top, width, height };
                    let mut found = vec![[0]; to.height * to.width];
                    resample(&pixels, from, part, false, to, &mut found);
                    let expected = naive(pixels.as_flattened(), from, part, to);
                    for (expected, [found]) in expected.iter().zip(found) {
                        // Half for rounding, and a little for weights to 1/16384.
                        assert!((expected - f64::from(found)).abs() < 0.6, "{expected} {found}");
                    }
                }
            }
        }
    }

    #[test]
    fn white_stays_white_and_colours_stay_apart() {
        let pixels = vec![[255, 0, 17]; 13 * 11];
        let mut out = vec![[0; 3]; 7 * 5];
        let part = Part { left: 0.3, top: 1.7, width: 9.1, height: 8.2 };
        resample(&pixels, size(11, 13), part, true, size(7, 5), &mut out);
        assert!(out.iter().all(|pixel| *pixel == [255, 0, 17]), "{out:?}");
    }
}
