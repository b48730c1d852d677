//! The directory with which TIFF files begin, and EXIF blocks, which are small TIFF files.

use image::metadata::Orientation;

/// What the fields are called that are looked for.
pub(super) mod tag {
    pub(in crate::picture) const SUBFILE: u16 = 254;
    pub(in crate::picture) const WIDTH: u16 = 256;
    pub(in crate::picture) const HEIGHT: u16 = 257;
    pub(in crate::picture) const BITS: u16 = 258;
    pub(in crate::picture) const COMPRESSION: u16 = 259;
    pub(in crate::picture) const PHOTOMETRIC: u16 = 262;
    pub(in crate::picture) const FILL_ORDER: u16 = 266;
    pub(in crate::picture) const STRIP_OFFSETS: u16 = 273;
    pub(in crate::picture) const ORIENTATION: u16 = 274;
    pub(in crate::picture) const SAMPLES: u16 = 277;
    pub(in crate::picture) const STRIP_BYTES: u16 = 279;
    pub(in crate::picture) const PLANAR: u16 = 284;
    pub(in crate::picture) const PREDICTOR: u16 = 317;
    pub(in crate::picture) const COLOR_MAP: u16 = 320;
    pub(in crate::picture) const TILE_OFFSETS: u16 = 324;
    pub(in crate::picture) const TILE_BYTES: u16 = 325;
    pub(in crate::picture) const EXTRA_SAMPLES: u16 = 338;
    pub(in crate::picture) const SAMPLE_FORMAT: u16 = 339;
    pub(in crate::picture) const DNG_VERSION: u16 = 50706;
}

/// Bytes of a field in a directory.
const FIELD: usize = 12;

/// The first directory of a file.
pub(super) struct Directory<'a> {
    bytes: &'a [u8],
    big_endian: bool,
    /// Where its fields begin, and how many there are.
    at: usize,
    count: usize,
}

/// Where the values of a field lie.
struct Values {
    place: usize,
    /// Bytes of one.
    width: usize,
    count: usize,
}

impl<'a> Directory<'a> {
    /// `None` where there is no directory.
    pub(super) fn first(bytes: &'a [u8]) -> Option<Self> {
        let big_endian = match bytes.first_chunk::<4>()? {
            b"II*\0" => false,
            b"MM\0*" => true,
            _ => return None,
        };
        let mut directory = Self { bytes, big_endian, at: 0, count: 0 };
        let start = directory.value(4, 4)? as usize;
        directory.count = directory.value(start, 2)? as usize;
        directory.at = start + 2;
        Some(directory)
    }

    /// The number of `width` bytes at `place`.
    fn value(&self, place: usize, width: usize) -> Option<u32> {
        let bytes = self.bytes.get(place..)?.get(..width)?;
        let join = |number: u32, byte: &u8| number << 8 | u32::from(*byte);
        Some(if self.big_endian {
            bytes.iter().fold(0, join)
        } else {
            bytes.iter().rev().fold(0, join)
        })
    }

    /// Where the fields lie.
    fn fields(&self) -> impl Iterator<Item = usize> {
        let at = self.at;
        (0..self.count).map(move |number| at + FIELD * number)
    }

    /// Of the field at this place.
    fn values_at(&self, field: usize) -> Option<Values> {
        let width = match self.value(field + 2, 2)? {
            3 | 8 => 2,
            4 | 9 | 11 | 13 => 4,
            5 | 10 | 12 | 16..=18 => 8,
            _ => 1,
        };
        let count = self.value(field + 4, 4)? as usize;
        // Up to four bytes lie in the field itself.
        let inside = count.checked_mul(width)? <= 4;
        let place = if inside { field + 8 } else { self.value(field + 8, 4)? as usize };
        Some(Values { place, width, count })
    }

    /// Whole numbers alone: bytes, and those of two or four bytes, with and without a sign.
    fn values(&self, tag: u16) -> Option<Values> {
        let is_field = |field: &usize| self.value(*field, 2) == Some(u32::from(tag));
        let field = self.fields().find(is_field)?;
        let is_whole = matches!(self.value(field + 2, 2)?, 1 | 3 | 4 | 6 | 8 | 9);
        if is_whole { self.values_at(field) } else { None }
    }

    /// Whether the file has all fields, and all of their values.
    pub(super) fn is_complete(&self) -> bool {
        self.fields().all(|field| {
            self.values_at(field).is_some_and(|Values { place, width, count }| {
                self.bytes.get(place..).is_some_and(|rest| rest.len() >= count * width)
            })
        })
    }

    /// The whole numbers of a field; `None` where there is none of that kind, or the file ends before them.
    pub(super) fn numbers(&self, tag: u16) -> Option<Vec<u32>> {
        let Values { place, width, count } = self.values(tag)?;
        self.bytes.get(place..)?.get(..count * width)?;
        (0..count).map(|number| self.value(place + number * width, width)).collect()
    }

    /// The whole number of a field that has one.
    pub(super) fn number(&self, tag: u16) -> Option<u32> {
        let Values { place, width, count } = self.values(tag)?;
        if count == 1 { self.value(place, width) } else { None }
    }

    /// A copy of the file in which this field, of one number of two bytes, has another.
    pub(super) fn with_number(&self, tag: u16, number: u16) -> Option<Vec<u8>> {
        let Values { place, width: 2, count: 1 } = self.values(tag)? else { return None };
        let mut bytes = self.bytes.to_vec();
        let new = if self.big_endian { number.to_be_bytes() } else { number.to_le_bytes() };
        bytes.get_mut(place..)?.get_mut(..2)?.copy_from_slice(&new);
        Some(bytes)
    }

    /// Whether another directory follows, of another page.
    pub(super) fn has_next(&self) -> bool {
        self.value(self.at + FIELD * self.count, 4).is_some_and(|next| next != 0)
    }

    /// How the picture lies; upright where the field says nothing, or nothing sensible.
    pub(super) fn orientation(&self) -> Orientation {
        let number = self.number(tag::ORIENTATION).and_then(|number| u8::try_from(number).ok());
        number.and_then(Orientation::from_exif).unwrap_or(Orientation::NoTransforms)
    }
}

/// The orientation in an EXIF block, which may begin as that of a JPEG does.
pub(super) fn exif_orientation(mut exif: &[u8]) -> Orientation {
    while let Some(rest) = exif.strip_prefix(b"Exif\0\0") {
        exif = rest;
    }
    Directory::first(exif).map_or(Orientation::NoTransforms, |directory| directory.orientation())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory of one field, of this type, count and four bytes.
    fn exif(big_endian: bool, kind: u16, count: u32, value: [u8; 4]) -> Vec<u8> {
        let two = |n: u16| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        let four = |n: u32| if big_endian { n.to_be_bytes() } else { n.to_le_bytes() };
        let start: &[u8] = if big_endian { b"MM\0*" } else { b"II*\0" };
        let parts: [&[u8]; 8] =
            [start, &four(8), &two(1), &two(274), &two(kind), &four(count), &value, &four(0)];
        parts.concat()
    }

    #[test]
    fn an_orientation_of_any_whole_type_is_found() {
        for (big_endian, kind, value, expected) in [
            (false, 3, [6, 0, 0, 0], 6),
            (true, 3, [0, 6, 0, 0], 6),
            (false, 4, [6, 0, 0, 0], 6),
            (true, 4, [0, 0, 0, 6], 6),
            (true, 1, [8, 0, 0, 0], 8),
            (false, 8, [3, 0, 9, 9], 3),
            (true, 9, [0, 0, 0, 2], 2),
            // Nonsense, a fraction, text.
            (false, 3, [9, 0, 0, 0], 1),
            (false, 4, [6, 1, 0, 0], 1),
            (false, 5, [6, 0, 0, 0], 1),
            (false, 2, [6, 0, 0, 0], 1),
        ] {
            let block = exif(big_endian, kind, 1, value);
            let prefixed = [b"Exif\0\0", &block[..]].concat();
            for block in [&block, &prefixed] {
                assert_eq!(exif_orientation(block).to_exif(), expected, "{kind} {value:?}");
                for end in 0..block.len() {
                    // Never a panic; without the number, upright.
                    exif_orientation(&block[..end]);
                }
            }
        }
        assert_eq!(exif_orientation(&exif(false, 3, 2, [6, 0, 6, 0])).to_exif(), 1);
    }
}
