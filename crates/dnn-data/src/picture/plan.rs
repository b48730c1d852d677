//! Which part of a picture is used, how large it becomes, and how much smaller it may be decoded.

use image::metadata::Orientation;

use crate::picture::{Filter, Fit, Preprocessing};
use crate::{ImageShape, ImageSize};

/// A picture is decoded smaller only while its sides stay this many hundredths of the wanted ones.
///
/// Against scaling down all pixels, photographs of 96 pixels a side differ at just this by 0.9, 1.3 and
/// 2.1 levels on average at a half, a quarter and an eighth (by 1.2, 1.7 and 2.5 with 125, by 3.3, 3.6 and
/// 3.7 with 100), and those of 200 to 260 pixels by 0.3, 0.5 and 0.7.
const LEAST_MARGIN: u128 = 140;

/// How much smaller than in its file a picture is decoded: each of its pixels stands for a square of
/// the file's pixels, whose side is the divisor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Reduction {
    Full,
    Half,
    Quarter,
    Eighth,
}

impl Reduction {
    /// How many pixels of the file lie in a row of one pixel.
    pub(super) fn divisor(self) -> usize {
        match self {
            Self::Full => 1,
            Self::Half => 2,
            Self::Quarter => 4,
            Self::Eighth => 8,
        }
    }

    /// The most that a picture of this size in its file may be reduced and still give what `to`
    /// asks for.
    ///
    /// [`Filter::Nearest`] takes pixels as they are in the file, so that nothing is reduced for it.
    pub(super) fn of(size: ImageSize, orientation: Orientation, to: &Preprocessing) -> Self {
        if to.filter == Filter::Nearest {
            return Self::Full;
        }
        let plan = DecodePlan::new(upright(size, orientation), to.shape, to.fit);
        let enough = |reduction: &Self| {
            let least = LEAST_MARGIN * reduction.divisor() as u128;
            let side = |part: usize, wanted: usize| part as u128 * 100 >= wanted as u128 * least;
            side(plan.part[2], plan.size.width) && side(plan.part[3], plan.size.height)
        };
        let largest_first = [Self::Eighth, Self::Quarter, Self::Half];
        largest_first.into_iter().find(enough).unwrap_or(Self::Full)
    }

    /// Left, top, width and height, in the pixels of an upright picture that was decoded this much
    /// smaller, of what `part` is in an upright picture of `size` in the file.
    ///
    /// Where a side is no multiple of the divisor, the last pixel of the file's row or column stands
    /// for less than a square; turning may have brought it to the left or the top.
    pub(super) fn area(
        self,
        part: [usize; 4],
        size: ImageSize,
        orientation: Orientation,
    ) -> [f64; 4] {
        use Orientation::{
            FlipHorizontal, FlipVertical, Rotate90, Rotate180, Rotate270, Rotate270FlipH,
        };
        let divisor = self.divisor();
        let [left, top, width, height] = part.map(|side| side as f64 / divisor as f64);
        let lacking = |side: usize| (side.next_multiple_of(divisor) - side) as f64 / divisor as f64;
        let from_right =
            matches!(orientation, FlipHorizontal | Rotate180 | Rotate90 | Rotate270FlipH);
        let from_bottom =
            matches!(orientation, FlipVertical | Rotate180 | Rotate270 | Rotate270FlipH);
        let left = if from_right { left + lacking(size.width) } else { left };
        let top = if from_bottom { top + lacking(size.height) } else { top };
        [left, top, width, height]
    }
}

/// The size of a picture once it is upright.
pub(super) fn upright(size: ImageSize, orientation: Orientation) -> ImageSize {
    let ImageSize { width, height } = size;
    if orientation.to_exif() >= 5 { ImageSize { width: height, height: width } } else { size }
}

/// Which part of a picture becomes how large, and where it goes.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct DecodePlan {
    /// Left, top, width and height of the part that is used.
    pub(super) part: [usize; 4],
    /// Its size afterwards.
    pub(super) size: ImageSize,
}

impl DecodePlan {
    /// For an upright picture of `w` x `h`.
    pub(super) fn new(picture: ImageSize, shape: ImageShape, fit: Fit) -> Self {
        let ImageSize { width: w, height: h } = picture;
        let ImageShape { width, height, .. } = shape;
        // `a b / c` to the nearest whole number, from 1 to `most`.
        let share = |a: usize, b: usize, c: usize, most: usize| {
            let nearest = (2 * a as u128 * b as u128 + c as u128) / (2 * c as u128);
            usize::try_from(nearest).unwrap_or(most).clamp(1, most)
        };
        let wider = w as u128 * height as u128 > h as u128 * width as u128;
        let (whole, wanted) = ([0, 0, w, h], ImageSize { width, height });
        let (part, size) = match fit {
            Fit::Stretch => (whole, wanted),
            Fit::Pad if wider => (whole, ImageSize { width, height: share(h, width, w, height) }),
            Fit::Pad => (whole, ImageSize { width: share(w, height, h, width), height }),
            Fit::Crop if wider => {
                let part = share(h, width, height, w);
                ([(w - part) / 2, 0, part, h], wanted)
            }
            Fit::Crop => {
                let part = share(w, height, width, h);
                ([0, (h - part) / 2, w, part], wanted)
            }
        };
        Self { part, size }
    }

    /// Whether nothing of the shape is left over.
    pub(super) fn fills(&self, shape: ImageShape) -> bool {
        self.size == ImageSize { width: shape.width, height: shape.height }
    }

    /// Copies the scaled picture into the middle of `out`, as grey if that has one channel.
    pub(super) fn place(&self, scaled: &[u8], shape: ImageShape, out: &mut [u8]) {
        out.fill(0);
        let ImageSize { width, height } = self.size;
        let (left, top) = ((shape.width - width) / 2, (shape.height - height) / 2);
        let rows = out.chunks_exact_mut(shape.width * shape.channels).skip(top);
        for (row, from) in rows.zip(scaled.chunks_exact(3 * width)) {
            let row = &mut row[left * shape.channels..(left + width) * shape.channels];
            if shape.channels == 3 {
                row.copy_from_slice(from);
            } else {
                row.iter_mut().zip(from.chunks_exact(3)).for_each(|(grey, rgb)| *grey = luma(rgb));
            }
        }
    }
}

/// Grey by ITU-R BT.601, to the nearest.
fn luma(rgb: &[u8]) -> u8 {
    let [red, green, blue] = [0, 1, 2].map(|channel| u32::from(rgb[channel]));
    u8::try_from((299 * red + 587 * green + 114 * blue + 500) / 1000).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reduction([width, height]: [usize; 2], exif: u8, to: &str) -> usize {
        let orientation = Orientation::from_exif(exif).unwrap();
        let size = ImageSize { width, height };
        Reduction::of(size, orientation, &to.parse().unwrap()).divisor()
    }

    #[test]
    fn the_used_part_stays_larger_than_what_is_wanted() {
        for (sides, exif, to, expected) in [
            // 375 / 4 is 1.46 times 64; 359 / 4 is 1.402 times, 358 / 4 is 1.398.
            ([500, 375], 1, "64x64x3 stretch bilinear", 4),
            ([500, 359], 1, "64x64x3 stretch bilinear", 4),
            ([500, 358], 1, "64x64x3 stretch bilinear", 2),
            ([96, 96], 1, "64x64x3 stretch bilinear", 1),
            ([4000, 3000], 1, "64x64x1 crop lanczos", 8),
            ([4000, 3000], 1, "64x64x3 stretch nearest", 1),
            // Padded, 1000 x 100 becomes 64 x 6; cropped, 100 x 100 becomes 64 x 64.
            ([1000, 100], 1, "64x64x3 pad bicubic", 8),
            ([1000, 100], 1, "64x64x3 crop bicubic", 1),
            ([1000, 100], 1, "64x64x3 stretch bicubic", 1),
            // 20 rows of 200 pixels, of a picture that lies on its side.
            ([100, 600], 6, "20x200x3 stretch bilinear", 2),
            ([100, 600], 1, "20x200x3 stretch bilinear", 1),
            ([1, 1], 1, "1x1x3 stretch bilinear", 1),
        ] {
            assert_eq!(reduction(sides, exif, to), expected, "{sides:?} {exif} {to}");
        }
    }

    #[test]
    fn an_area_begins_where_the_file_has_pixels() {
        const SIZE: ImageSize = ImageSize { width: 30, height: 33 };
        let area = |exif| {
            let orientation = Orientation::from_exif(exif).unwrap();
            Reduction::Quarter.area([8, 4, 16, 12], SIZE, orientation)
        };
        // 30 pixels are 7.5 of 8, 33 are 8.25 of 9.
        let (x, y) = (0.5, 0.75);
        let lacking =
            [(0.0, 0.0), (x, 0.0), (x, y), (0.0, y), (0.0, 0.0), (x, 0.0), (x, y), (0.0, y)];
        for (exif, (x, y)) in (1..).zip(lacking) {
            assert_eq!(area(exif), [2.0 + x, 1.0 + y, 4.0, 3.0], "{exif}");
        }
        let whole = Reduction::Full.area([8, 4, 16, 12], SIZE, Orientation::Rotate180);
        assert_eq!(whole, [8.0, 4.0, 16.0, 12.0]);
    }
}
