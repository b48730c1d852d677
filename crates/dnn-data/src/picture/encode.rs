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
