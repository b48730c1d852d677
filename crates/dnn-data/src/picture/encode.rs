//! Pixels as a file that every viewer shows.

use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder as _};

use crate::{DataError, ImageShape, Result};

/// `pixels` of `shape`, row-major with channels interleaved, as the bytes of a PNG file.
///
/// # Errors
/// [`DataError::Shape`] unless the shape has 1 or 3 channels and sides that PNG can hold;
/// [`DataError::PixelCount`] unless there are as many pixels as it says.
pub fn encode_png(pixels: &[u8], shape: ImageShape) -> Result<Vec<u8>> {
    let unfit = || DataError::Shape { shape };
    let color = match shape.channels {
        1 => ExtendedColorType::L8,
        3 => ExtendedColorType::Rgb8,
        _ => return Err(unfit()),
    };
    let side = |side: usize| u32::try_from(side).map_err(|_| unfit());
    let (width, height) = (side(shape.width)?, side(shape.height)?);
    let expected = shape.features().filter(|&features| features > 0).ok_or_else(unfit)?;
    if pixels.len() != expected {
        return Err(DataError::PixelCount { expected, found: pixels.len(), shape });
    }
    let mut file = Vec::new();
    PngEncoder::new(&mut file).write_image(pixels, width, height, color).map_err(|_| unfit())?;
    Ok(file)
}

/// Something that a PNG file says of its picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PngText<'t> {
    /// What is said, of 1 to 79 Latin letters: `Title`, `Description` and `Software` are known to viewers.
    pub keyword: &'t str,
    /// Any text.
    pub text: &'t str,
}

/// As [`encode_png`], with texts in the file (`iTXt`), which `exiftool` and `identify -verbose` show.
///
/// # Errors
/// As [`encode_png`].
pub fn encode_png_with(pixels: &[u8], shape: ImageShape, texts: &[PngText<'_>]) -> Result<Vec<u8>> {
    let file = encode_png(pixels, shape)?;
    // Behind the signature and the header, which come first.
    let (head, rest) = file.split_at(HEAD);
    let chunks = texts.iter().flat_map(text_chunk);
    Ok(head.iter().copied().chain(chunks).chain(rest.iter().copied()).collect())
}

/// The signature, and a header of 13 bytes with its length, kind and checksum.
const HEAD: usize = 8 + 4 + 4 + 13 + 4;

/// A chunk `iTXt`: keyword, not compressed, no language, and the text in UTF-8.
fn text_chunk(PngText { keyword, text }: &PngText<'_>) -> Vec<u8> {
    let keyword: Vec<u8> = keyword.bytes().filter(u8::is_ascii_graphic).take(79).collect();
    let text = text.replace('\0', " ");
    let content = [&keyword[..], &[0; 5], text.as_bytes()].concat();
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let checked = [b"iTXt", &content[..]].concat();
    let mut checksum = flate2::Crc::new();
    checksum.update(&checked);
    [&length.to_be_bytes()[..], &checked, &checksum.sum().to_be_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picture::{Decoding, decode};

    #[test]
    fn a_file_with_texts_is_the_same_picture() {
        let shape = ImageShape { height: 2, width: 3, channels: 3 };
        let pixels: Vec<u8> = (0..18).collect();
        let texts = [
            PngText { keyword: "Title", text: "猫 98.1 %" },
            PngText { keyword: "Software", text: "dnn" },
        ];
        let file = encode_png_with(&pixels, shape, &texts).unwrap();
        // The decoder is strict, and looks at every checksum.
        let (decoded, _) = decode(&file, &Decoding::default()).unwrap();
        assert_eq!(decoded.pixels, pixels);
        let text = "iTXtTitle\0\0\0\0\0猫 98.1 %".as_bytes();
        let place = file.windows(text.len()).position(|window| window == text).unwrap();
        assert_eq!(file[place - 4..place], [0, 0, 0, 20]);
        assert_eq!(
            encode_png_with(&pixels, shape, &[]).unwrap(),
            encode_png(&pixels, shape).unwrap()
        );
    }
}
