//! From the bytes of a file to red, green and blue.

use crate::picture::{Decoding, Format, Info, PictureError};

/// A decoded picture, upright.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// `height * width * 3` values 0..=255, row-major, red, green and blue interleaved.
    pub pixels: Vec<u8>,
}

/// Decodes the picture in `bytes`.
///
/// # Errors
/// What [`PictureError`] lists.
pub fn decode(bytes: &[u8], _how: &Decoding) -> Result<(Rgb, Info), PictureError> {
    if bytes.is_empty() {
        return Err(PictureError::Empty);
    }
    let mut decoder = zune_jpeg::JpegDecoder::new(std::io::Cursor::new(bytes));
    let damaged = |reason: String| PictureError::Damaged { format: Format::Jpeg, reason };
    let pixels = decoder.decode().map_err(|error| damaged(error.to_string()))?;
    let (width, height) = decoder.dimensions().ok_or_else(|| damaged("no size".to_owned()))?;
    let info = Info {
        format: Format::Jpeg,
        width: u32::try_from(width).unwrap_or(u32::MAX),
        height: u32::try_from(height).unwrap_or(u32::MAX),
        notes: Vec::new(),
    };
    Ok((Rgb { width, height, pixels }, info))
}
