//! Crop, flip, rotation and shift as one movement.

use super::Augmentation;
use super::draws::{self, Draws};
use crate::ImageSize;

/// One pixel in fixed point: positions have 32 bits after the point.
const ONE: i64 = 1 << 32;

/// Where each pixel of the changed picture comes from.
///
/// With `c` the centre of the picture, `o` the offset of the crop and `d` the shift, the pixel at `p`
/// comes from `c + o + F (s R (p - c - d))`: `R` turns by the angle, `s` is the scale of the crop and
/// `F` changes the sign of the horizontal part where the picture is mirrored.
pub(super) struct Movement {
    height: usize,
    width: usize,
    /// Where the pixel in the first row and column comes from, (x, y).
    origin: [i64; 2],
    /// How far that moves from one column to the next.
    along_row: [i64; 2],
    /// How far that moves from one row to the next.
    along_column: [i64; 2],
}

impl Movement {
    /// The movement that the draws choose.
    pub(super) fn new(
        augmentation: &Augmentation,
        mirrored: bool,
        draws: &Draws,
        ImageSize { width, height }: ImageSize,
    ) -> Self {
        let Augmentation { shift, crop, rotate, .. } = *augmentation;
        let angle = rotate * draws.either_way(draws::ROTATE);
        let scale = 1.0 - (1.0 - crop) * draws.unit(draws::CROP);
        let shifted = |word| {
            let steps = draws.below(word, 2 * shift as usize + 1);
            steps as f64 - f64::from(shift)
        };
        // Half of what the part leaves free, to either side.
        let offset = |word, side: usize| draws.either_way(word) * (1.0 - scale) * side as f64 / 2.0;
        Self::of(
            [height, width],
            mirrored,
            scale,
            angle,
            [shifted(draws::SHIFT_X), shifted(draws::SHIFT_Y)],
            [offset(draws::CROP_X, width), offset(draws::CROP_Y, height)],
        )
    }

    /// The movement of these amounts; the angle, in degrees, is counter-clockwise.
    fn of(
        [height, width]: [usize; 2],
        mirrored: bool,
        scale: f64,
        angle: f64,
        shift: [f64; 2],
        offset: [f64; 2],
    ) -> Self {
        // From the crate `libm`, because those of the system differ in the last bit.
        let radians = angle * (std::f64::consts::PI / 180.0);
        let (sin, cos) = (scale * libm::sin(radians), scale * libm::cos(radians));
        let sign = if mirrored { -1.0 } else { 1.0 };
        let along_row = [sign * cos, sin].map(fixed);
        let along_column = [sign * -sin, cos].map(fixed);
        // The centre is half a pixel off the grid where a side is even: exact in fixed point.
        let centre = [(width - 1) as f64 / 2.0, (height - 1) as f64 / 2.0];
        let [back_x, back_y] = [0, 1].map(|axis| fixed(centre[axis] + shift[axis]));
        let origin = std::array::from_fn(|axis| {
            let turned = multiply(along_row[axis], back_x) + multiply(along_column[axis], back_y);
            fixed(centre[axis]) + fixed(offset[axis]) - turned
        });
        Self { height, width, origin, along_row, along_column }
    }

    /// Writes the moved picture.
    pub(super) fn apply<const C: usize>(&self, pixels: &[[u8; C]], out: &mut [[u8; C]]) {
        // Without an angle and a crop every pixel comes whole from one place.
        let whole = self.along_row[0].abs() == ONE && self.along_column == [0, ONE];
        if whole {
            self.copy(pixels, out);
        } else {
            self.interpolate(pixels, out);
        }
    }

    /// The movement by whole pixels: rows are copied, or copied backwards.
    fn copy<const C: usize>(&self, pixels: &[[u8; C]], out: &mut [[u8; C]]) {
        let [x, y] = self.origin.map(|position| position >> 32);
        let step = self.along_row[0] >> 32;
        for (row, out) in (y..).zip(out.chunks_exact_mut(self.width)) {
            let from = clamped(row, self.height) * self.width;
            let from = &pixels[from..from + self.width];
            let mut column = x;
            for pixel in out {
                *pixel = from[clamped(column, self.width)];
                column += step;
            }
        }
    }

    /// The movement in general.
    fn interpolate<const C: usize>(&self, pixels: &[[u8; C]], out: &mut [[u8; C]]) {
        // Half of 1/256 pixel more, so that cutting a position to 8 bits rounds it.
        let [mut row_x, mut row_y] = self.origin.map(|position| position + (1 << 23));
        for out in out.chunks_exact_mut(self.width) {
            let (mut x, mut y) = (row_x, row_y);
            for pixel in out {
                *pixel = self.between(pixels, x, y);
                x += self.along_row[0];
                y += self.along_row[1];
            }
            row_x += self.along_column[0];
            row_y += self.along_column[1];
        }
    }

    /// The four pixels around a position, weighted by how near they are.
    fn between<const C: usize>(&self, pixels: &[[u8; C]], x: i64, y: i64) -> [u8; C] {
        let (column, row) = (x >> 32, y >> 32);
        let [left, right] = [column, column + 1].map(|column| clamped(column, self.width));
        let [above, below] = [row, row + 1].map(|row| clamped(row, self.height) * self.width);
        let [x, y] = [x, y].map(|position| u32::from(position.to_le_bytes()[3]));
        let (upper_left, upper_right) = (pixels[above + left], pixels[above + right]);
        let (lower_left, lower_right) = (pixels[below + left], pixels[below + right]);
        std::array::from_fn(|c| {
            let mix = |a: u8, b: u8| u32::from(a) * (256 - x) + u32::from(b) * x;
            let upper = mix(upper_left[c], upper_right[c]);
            let lower = mix(lower_left[c], lower_right[c]);
            let sum = upper * (256 - y) + lower * y + (1 << 15);
            // At most 255 * 2^16 + 2^15, so the third byte is the whole number.
            sum.to_le_bytes()[2]
        })
    }
}

/// The nearest position inside the picture.
fn clamped(position: i64, side: usize) -> usize {
    usize::try_from(position).unwrap_or(0).min(side - 1)
}

/// A number in fixed point, to the nearest 2^-32.
#[expect(clippy::cast_possible_truncation, reason = "positions are far below 2^31")]
fn fixed(number: f64) -> i64 {
    (number * ONE as f64).round() as i64
}

/// The product of two numbers in fixed point.
#[expect(clippy::cast_possible_truncation, reason = "positions are far below 2^31")]
fn multiply(a: i64, b: i64) -> i64 {
    ((i128::from(a) * i128::from(b)) >> 32) as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of 2 rows and 3 columns, moved.
    fn moved(movement: &Movement) -> Vec<u8> {
        let pixels = [[1], [2], [3], [4], [5], [6]];
        let mut out = [[0]; 6];
        movement.apply(&pixels, &mut out);
        out.concat()
    }

    fn by(mirrored: bool, shift: [f64; 2]) -> Movement {
        Movement::of([2, 3], mirrored, 1.0, 0.0, shift, [0.0; 2])
    }

    #[test]
    fn a_mirrored_and_a_moved_picture_are_those_worked_by_hand() {
        assert_eq!(moved(&by(false, [0.0, 0.0])), [1, 2, 3, 4, 5, 6]);
        assert_eq!(moved(&by(true, [0.0, 0.0])), [3, 2, 1, 6, 5, 4]);
        // To the right, where the left column is repeated; up, where the lower row is.
        assert_eq!(moved(&by(false, [1.0, 0.0])), [1, 1, 2, 4, 4, 5]);
        assert_eq!(moved(&by(false, [0.0, -1.0])), [4, 5, 6, 4, 5, 6]);
        assert_eq!(moved(&by(false, [-2.0, 1.0])), [3, 3, 3, 3, 3, 3]);
        // Mirrored first: 3 2 1 over 6 5 4, then to the right.
        assert_eq!(moved(&by(true, [1.0, 0.0])), [3, 3, 2, 6, 6, 5]);
        // Further than the picture is wide.
        assert_eq!(moved(&by(false, [9.0, 0.0])), [1, 1, 1, 4, 4, 4]);
    }

    #[test]
    fn quarter_turns_are_exact_and_counter_clockwise() {
        let turned = |angle| {
            let pixels = [[1, 10, 0], [2, 20, 0], [3, 30, 0], [4, 40, 0]];
            let mut out = [[0; 3]; 4];
            Movement::of([2, 2], false, 1.0, angle, [0.0; 2], [0.0; 2]).apply(&pixels, &mut out);
            out.map(|pixel| (pixel[0], pixel[1]))
        };
        assert_eq!(turned(90.0), [(2, 20), (4, 40), (1, 10), (3, 30)]);
        assert_eq!(turned(-90.0), [(3, 30), (1, 10), (4, 40), (2, 20)]);
        assert_eq!(turned(180.0), [(4, 40), (3, 30), (2, 20), (1, 10)]);
    }

    #[test]
    fn an_enlarged_part_is_interpolated_as_worked_by_hand() {
        // One row of four, the middle half enlarged: from 0.75, 1.25, 1.75 and 2.25.
        let pixels = [[0], [100], [200], [100]];
        let mut out = [[0]; 4];
        let middle = |offset| Movement::of([1, 4], false, 0.5, 0.0, [0.0; 2], [offset, 0.0]);
        middle(0.0).apply(&pixels, &mut out);
        assert_eq!(out.concat(), [75, 125, 175, 175]);
        // The left half: from -0.25, 0.25, 0.75 and 1.25; the first repeats the edge.
        middle(-1.0).apply(&pixels, &mut out);
        assert_eq!(out.concat(), [0, 25, 75, 125]);
    }

    #[test]
    fn copying_is_interpolation_at_whole_positions() {
        let pixels: Vec<[u8; 1]> = (0..35).map(|value| [value * 7]).collect();
        for (mirrored, x, y) in [(false, 0.0, 0.0), (true, 2.0, -1.0), (false, -3.0, 4.0)] {
            let movement = Movement::of([5, 7], mirrored, 1.0, 0.0, [x, y], [0.0; 2]);
            let (mut copied, mut interpolated) = (vec![[0]; 35], vec![[0]; 35]);
            movement.copy(&pixels, &mut copied);
            movement.interpolate(&pixels, &mut interpolated);
            assert_eq!(copied, interpolated);
        }
    }

    /// The formula of [`Movement`] in 64-bit floats.
    fn naive(
        pixels: &[u8],
        [h, w]: [usize; 2],
        flip: bool,
        s: f64,
        degrees: f64,
        d: [f64; 2],
        o: [f64; 2],
    ) -> Vec<f64> {
        let (sin, cos) = degrees.to_radians().sin_cos();
        let c = [(w - 1) as f64 / 2.0, (h - 1) as f64 / 2.0];
        let at = |x: f64, y: f64| {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "clamped to the picture"
            )]
            let inside = |v: f64, side: usize| v.clamp(0.0, (side - 1) as f64) as usize;
            f64::from(pixels[inside(y, h) * w + inside(x, w)])
        };
        let one = |place: usize| {
            let (u, v) = ((place % w) as f64 - c[0] - d[0], (place / w) as f64 - c[1] - d[1]);
            let sign = if flip { -1.0 } else { 1.0 };
            let x = c[0] + o[0] + sign * s * (cos * u - sin * v);
            let y = c[1] + o[1] + s * (sin * u + cos * v);
            let (left, up) = (x.floor(), y.floor());
            let (a, b) = (x - left, y - up);
            (at(left, up) * (1.0 - a) + at(left + 1.0, up) * a) * (1.0 - b)
                + (at(left, up + 1.0) * (1.0 - a) + at(left + 1.0, up + 1.0) * a) * b
        };
        (0..h * w).map(one).collect()
    }

    #[test]
    fn every_movement_is_that_of_the_formula() {
        let mut stream = crate::stream::Stream::new(1, *b"test\0\0\0\0");
        for size in [[1, 1], [1, 5], [6, 1], [7, 8], [16, 16]] {
            let pixels: Vec<u8> =
                (0..size[0] * size[1]).map(|_| (stream.word() >> 24) as u8).collect();
            let source: Vec<[u8; 1]> = pixels.iter().map(|&value| [value]).collect();
            for _ in 0..50 {
                let mut unit = || f64::from(stream.word()) / f64::from(u32::MAX);
                let (flip, s, angle) = (unit() < 0.5, 0.3 + 0.7 * unit(), 360.0 * unit() - 180.0);
                let (d, o) = ([(unit() * 5.0).floor(), -2.0], [unit(), unit() - 0.5]);
                let expected = naive(&pixels, size, flip, s, angle, d, o);
                let mut found = vec![[0]; source.len()];
                Movement::of(size, flip, s, angle, d, o).apply(&source, &mut found);
                for (expected, [found]) in expected.iter().zip(found) {
                    // Positions to 1/512 pixel along two axes: at most 2 * 255 / 512, and half for rounding.
                    assert!((expected - f64::from(found)).abs() <= 1.5, "{expected} {found}");
                }
            }
        }
    }
}
