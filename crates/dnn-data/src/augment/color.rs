//! Brightness, contrast, saturation and the cut-out.

/// The factor 1.
const ONE: i32 = 65_536;

/// `p * f`.
pub(super) fn brightness<const C: usize>(pixels: &mut [[u8; C]], factor: i32) {
    for value in pixels.as_flattened_mut() {
        *value = away_from(0, *value, factor);
    }
}

/// `g + (p - g) * f`, with `g` the mean grey of the picture.
pub(super) fn contrast<const C: usize>(pixels: &mut [[u8; C]], factor: i32) {
    let sum: u64 = pixels.iter().map(|pixel| u64::from(grey(pixel))).sum();
    let mean = rounded_mean(sum, pixels.len());
    for value in pixels.as_flattened_mut() {
        *value = away_from(mean, *value, factor);
    }
}

/// `y + (p - y) * f`, with `y` the grey of the pixel.
pub(super) fn saturation<const C: usize>(pixels: &mut [[u8; C]], factor: i32) {
    for pixel in pixels {
        let grey = grey(pixel);
        *pixel = pixel.map(|value| away_from(grey, value, factor));
    }
}

/// Where a pixel lies.
#[derive(Clone, Copy)]
pub(super) struct Position {
    pub(super) row: usize,
    pub(super) column: usize,
}

/// Gives a square around a pixel the picture's mean colour; what is over the border is left out.
pub(super) fn cut_out<const C: usize>(
    pixels: &mut [[u8; C]],
    width: usize,
    side: usize,
    center: Position,
) {
    let mut sums = [0_u64; C];
    for pixel in pixels.iter() {
        sums.iter_mut().zip(pixel).for_each(|(sum, &value)| *sum += u64::from(value));
    }
    let mean = sums.map(|sum| rounded_mean(sum, pixels.len()));
    // An even side has its extra pixel below and to the right of none: it begins half a side before.
    let span = |at: usize| at.saturating_sub(side / 2)..at + side - side / 2;
    let rows =
        pixels.chunks_exact_mut(width).skip(span(center.row).start).take(span(center.row).len());
    for row in rows {
        row[span(center.column).start..span(center.column).end.min(width)].fill(mean);
    }
}

/// `(299 R + 587 G + 114 B) / 1000`, rounded; a grey pixel's own value.
fn grey<const C: usize>(pixel: &[u8; C]) -> u8 {
    match *pixel.as_slice() {
        [r, g, b] => {
            let sum = 299 * u32::from(r) + 587 * u32::from(g) + 114 * u32::from(b);
            u8::try_from((sum + 500) / 1000).expect("the weights add up to 1000")
        }
        _ => pixel[0],
    }
}

/// `from + (value - from) * factor`, rounded and kept in 0..=255.
fn away_from(from: u8, value: u8, factor: i32) -> u8 {
    let (from, value) = (i32::from(from), i32::from(value));
    let moved = from + (((value - from) * factor + ONE / 2) >> 16);
    u8::try_from(moved.clamp(0, 255)).expect("it was clamped")
}

/// The mean of bytes.
fn rounded_mean(sum: u64, count: usize) -> u8 {
    let count = count as u64;
    u8::try_from((sum + count / 2) / count).expect("a mean of bytes is a byte")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HALF: i32 = 32_768;

    #[test]
    fn grey_is_the_weighted_mean() {
        // 0.299 * 255 = 76.2, 0.587 * 255 = 149.7, 0.114 * 255 = 29.1.
        assert_eq!(
            [[255, 0, 0], [0, 255, 0], [0, 0, 255], [255; 3]].map(|p| grey(&p)),
            [76, 150, 29, 255]
        );
        assert_eq!(grey(&[7]), 7);
    }

    #[test]
    fn brightness_is_a_product() {
        let mut pixels = [[0, 3, 100], [200, 254, 255]];
        brightness(&mut pixels, ONE + HALF);
        // 1.5 * 3 = 4.5, rounded up; what is above 255 stays there.
        assert_eq!(pixels, [[0, 5, 150], [255, 255, 255]]);
        brightness(&mut pixels, 0);
        assert_eq!(pixels, [[0; 3]; 2]);
    }

    #[test]
    fn contrast_moves_away_from_the_mean_or_to_it() {
        // The mean is 30.
        let mut pixels = [[10], [20], [60]];
        contrast(&mut pixels, ONE + HALF);
        assert_eq!(pixels, [[0], [15], [75]]);
        // Now it is 30 again.
        contrast(&mut pixels, 0);
        assert_eq!(pixels, [[30]; 3]);
        // Grey of the colours: 76, 150 and 29; mean 85. Halfway: 42 or 43, and 170.
        let mut pixels = [[255, 0, 0], [0, 255, 0], [0, 0, 255]];
        contrast(&mut pixels, HALF);
        assert_eq!(pixels, [[170, 43, 43], [43, 170, 43], [43, 43, 170]]);
    }

    #[test]
    fn saturation_moves_each_pixel_away_from_its_grey_or_to_it() {
        let mut pixels = [[255, 0, 0], [90, 90, 90]];
        saturation(&mut pixels, HALF);
        // 76 + 179 / 2 = 165.5; 76 - 76 / 2 = 38.
        assert_eq!(pixels, [[166, 38, 38], [90, 90, 90]]);
        saturation(&mut pixels, 0);
        // 0.299 * 166 + 0.587 * 38 + 0.114 * 38 = 76.3.
        assert_eq!(pixels, [[76; 3], [90; 3]]);
    }

    #[test]
    fn a_factor_of_one_changes_nothing() {
        let all: Vec<[u8; 3]> = (0..=255).map(|v: u8| [v, v.wrapping_mul(7), 255 - v]).collect();
        for change in [brightness::<3>, contrast::<3>, saturation::<3>] {
            let mut pixels = all.clone();
            change(&mut pixels, ONE);
            assert_eq!(pixels, all);
        }
    }

    #[test]
    fn a_cut_out_has_the_mean_and_ends_at_the_border() {
        // 3 rows and 4 columns; the mean of 0 to 11 is 5.5, rounded up.
        let cut = |side, [row, column]: [usize; 2]| {
            let mut pixels: Vec<[u8; 1]> = (0..12).map(|value| [value]).collect();
            cut_out(&mut pixels, 4, side, Position { row, column });
            pixels.concat()
        };
        assert_eq!(cut(1, [1, 2]), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(cut(1, [0, 0]), [6, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(cut(2, [2, 3]), [0, 1, 2, 3, 4, 5, 6, 6, 8, 9, 6, 6]);
        assert_eq!(cut(2, [0, 0]), [6, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
        assert_eq!(cut(3, [1, 1]), [6, 6, 6, 3, 6, 6, 6, 7, 6, 6, 6, 11]);
        let mut colours = [[0, 10, 100], [10, 20, 200]];
        cut_out(&mut colours, 2, 1, Position { row: 0, column: 1 });
        assert_eq!(colours, [[0, 10, 100], [5, 15, 150]]);
    }
}
