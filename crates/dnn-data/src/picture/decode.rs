//! From the bytes of a file to red, green and blue.

use std::io::Cursor;

use image::codecs::{bmp::BmpDecoder, gif::GifDecoder, png::PngDecoder, webp::WebPDecoder};
use image::metadata::Orientation;
use image::{ColorType, ImageDecoder, ImageError};

use crate::contain::contain_panic;
use crate::picture::directory::exif_orientation;
use crate::picture::plan::Reduction;
use crate::picture::sniff::{BY_MAGICK, sniff};
use crate::picture::structure::{
    GifFrames, bmp_ends, gif_frames, png_structure, webp_end, without,
};
use crate::picture::tiff::decode_tiff;
use crate::picture::{Decoding, Format, Info, Limits, Note, PictureError, Preprocessing, jpeg};

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

/// Decodes the picture in `bytes`; its content, not a name, says which format it has.
///
/// Every kind of picture becomes 8-bit red, green and blue by one rule:
///
/// | in the file | rule |
/// |---|---|
/// | grey | the same value in all three channels |
/// | palette | its colours |
/// | transparent | laid on white: `(c * alpha + 255 * (255 - alpha) + 127) / 255` |
/// | 16 bits a channel | `(v + 128) / 257`, the nearest of 8 bits |
/// | a BMP whose alpha is 0 throughout | opaque |
/// | CMYK, YCCK | `c * k / 255` of the inverted values that JPEGs hold (a TIFF: of 255 less its values), rounded |
/// | EXIF orientation 2 to 8 | turned upright (JPEG, PNG before its pixels, WebP, TIFF's own); anything else in that field is ignored |
/// | several frames or pages | the first |
/// | colour profile | ignored: values are taken as they are |
///
/// A file that is damaged, cut short or has data after its end that its format does not allow is an
/// error; [`Decoding::lenient`] asks for what can be saved of a JPEG.
///
/// # Errors
/// What [`PictureError`] lists. Nothing is allocated for pixels before the size in the header is
/// within the [`Limits`] and the file is long enough to hold that many.
///
/// # Examples
/// ```
/// use dnn_data::picture::{Decoding, decode};
///
/// let error = decode(b"<html>Not found</html>", &Decoding::default()).unwrap_err();
/// assert_eq!(
///     error.to_string(),
///     "expected a picture (JPEG, PNG, WebP, GIF, BMP or TIFF), found an HTML page, perhaps of a failed \
///      download"
/// );
/// ```
pub fn decode(bytes: &[u8], how: &Decoding) -> Result<(Rgb, Info), PictureError> {
    decode_as(bytes, how, None).map(|picture| (picture.rgb, picture.info))
}

/// [`decode`], but a JPEG may be decoded at a reduced size where that is enough for `to`.
pub(super) fn decode_for(
    bytes: &[u8],
    how: &Decoding,
    to: &Preprocessing,
) -> Result<Upright, PictureError> {
    decode_as(bytes, how, Some(to))
}

/// An upright picture, perhaps smaller than in its file.
pub(super) struct Upright {
    pub(super) rgb: Rgb,
    pub(super) info: Info,
    /// How much smaller `rgb` is than the file says.
    pub(super) reduction: Reduction,
    /// How it lay in the file.
    pub(super) orientation: Orientation,
}

fn decode_as(
    bytes: &[u8],
    how: &Decoding,
    to: Option<&Preprocessing>,
) -> Result<Upright, PictureError> {
    let format = sniff(bytes)?;
    contain(format, || match format {
        Format::Jpeg => jpeg::decode_jpeg(bytes, how, to),
        _ => decode_other(format, bytes, &how.limits),
    })
}

/// Turns a panic of a decoder into an error.
pub(super) fn contain<R>(
    format: Format,
    decode: impl FnOnce() -> Result<R, PictureError>,
) -> Result<R, PictureError> {
    contain_panic(decode).unwrap_or_else(|reason| Err(PictureError::Panicked { format, reason }))
}

fn decode_other(format: Format, bytes: &[u8], limits: &Limits) -> Result<Upright, PictureError> {
    let mut notes = Vec::new();
    let Decoded { rgb, width, height, orientation } = match format {
        Format::Png => png(bytes, limits, &mut notes),
        Format::WebP => webp(bytes, limits, &mut notes),
        Format::Gif => gif(bytes, limits, &mut notes),
        Format::Tiff => decode_tiff(bytes, limits, &mut notes),
        _ => bmp(bytes, limits, &mut notes),
    }?;
    notes.sort_unstable();
    let info = Info { format, width, height, notes };
    Ok(Upright { rgb, info, reduction: Reduction::Full, orientation })
}

/// The upright picture, and its width, height and orientation in the file.
pub(super) struct Decoded {
    pub(super) rgb: Rgb,
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) orientation: Orientation,
}

fn png(bytes: &[u8], limits: &Limits, notes: &mut Vec<Note>) -> Result<Decoded, PictureError> {
    let format = Format::Png;
    let fail = |error: ImageError| explain(format, error);
    // Before the decoder, whose own refusal has no numbers.
    let side = |at| bytes.get(at..at + 4).and_then(|side| side.try_into().ok());
    if let (Some(width), Some(height)) = (side(16), side(20)) {
        ClaimedSize {
            format,
            width: u32::from_be_bytes(width),
            height: u32::from_be_bytes(height),
            bytes_per_pixel: 4,
            file_bytes: bytes.len(),
            most_pixels_per_byte: MOST_PIXELS_PER_BYTE,
        }
        .check(limits)?;
    }
    let structure = png_structure(bytes).map_err(|reason| PictureError::damaged(format, reason))?;
    if structure.end < bytes.len() {
        notes.push(Note::TrailingBytes);
    }
    // The colour type of the header, where palettes can still be told.
    if bytes.get(25) == Some(&3) {
        notes.push(Note::Palette);
    }
    // What a decoder would inflate and we would not look at is not given to it.
    let reader = Cursor::new(without(bytes, &structure.beside));
    let decoder = PngDecoder::with_limits(reader, image_limits(limits)).map_err(fail)?;
    if decoder.is_apng().map_err(fail)? {
        notes.push(Note::Animated);
    }
    read(format, decoder, bytes.len(), limits, notes)
}

fn webp(bytes: &[u8], limits: &Limits, notes: &mut Vec<Note>) -> Result<Decoded, PictureError> {
    let format = Format::WebP;
    let end = webp_end(bytes).map_err(|reason| PictureError::damaged(format, reason))?;
    if end < bytes.len() {
        notes.push(Note::TrailingBytes);
    }
    let decoder = WebPDecoder::new(Cursor::new(bytes)).map_err(|error| explain(format, error))?;
    if decoder.has_animation() {
        notes.push(Note::Animated);
    }
    // One colour takes no bits a pixel.
    read(format, decoder, usize::MAX, limits, notes)
}

fn gif(bytes: &[u8], limits: &Limits, notes: &mut Vec<Note>) -> Result<Decoded, PictureError> {
    let format = Format::Gif;
    let GifFrames { count, end } =
        gif_frames(bytes).map_err(|reason| PictureError::damaged(format, reason))?;
    notes.push(Note::Palette);
    if count > 1 {
        notes.push(Note::Animated);
    }
    if end < bytes.len() {
        notes.push(Note::TrailingBytes);
    }
    let decoder = GifDecoder::new(Cursor::new(bytes)).map_err(|error| explain(format, error))?;
    read(format, decoder, bytes.len(), limits, notes)
}

fn bmp(bytes: &[u8], limits: &Limits, notes: &mut Vec<Note>) -> Result<Decoded, PictureError> {
    let format = Format::Bmp;
    if !bmp_ends(bytes) {
        return Err(PictureError::damaged(format, "it is cut short: its end marker is missing"));
    }
    let decoder = BmpDecoder::new(Cursor::new(bytes)).map_err(|error| explain(format, error))?;
    read(format, decoder, bytes.len(), limits, notes)
}

fn image_limits(limits: &Limits) -> image::Limits {
    let mut image_limits = image::Limits::default();
    image_limits.max_image_width = Some(limits.width);
    image_limits.max_image_height = Some(limits.height);
    image_limits.max_alloc = Some(limits.memory);
    image_limits
}

/// The most pixels that a byte of a compressed file can stand for, with room to spare: deflate packs
/// 1032 to one, and PNG has pixels of one bit; the others pack less.
const MOST_PIXELS_PER_BYTE: u64 = 8 * 1032;

/// What the header of a file claims, and what that would take.
pub(super) struct ClaimedSize {
    pub(super) format: Format,
    pub(super) width: u32,
    pub(super) height: u32,
    /// In memory, with the decoder's buffers.
    pub(super) bytes_per_pixel: u64,
    /// The length of the file.
    pub(super) file_bytes: usize,
    /// The most pixels that a byte of the file can stand for.
    pub(super) most_pixels_per_byte: u64,
}

impl ClaimedSize {
    /// Refuses sizes beyond the limits, and sizes that the file cannot hold.
    pub(super) fn check(&self, limits: &Limits) -> Result<(), PictureError> {
        let &Self { format, width, height, .. } = self;
        let too_large = |limit| PictureError::TooLarge { format, width, height, limit };
        if width == 0 || height == 0 {
            return Err(PictureError::damaged(format, format!("its size is {width}x{height}")));
        }
        if width > limits.width || height > limits.height {
            return Err(too_large(format!("{}x{} pixels", limits.width, limits.height)));
        }
        let pixels = u64::from(width) * u64::from(height);
        if pixels.saturating_mul(self.bytes_per_pixel) > limits.memory {
            return Err(too_large(format!("{} MiB decoded", limits.memory >> 20)));
        }
        if pixels > (self.file_bytes as u64).saturating_mul(self.most_pixels_per_byte) {
            let reason =
                format!("{} bytes cannot hold its {width}x{height} pixels", self.file_bytes);
            return Err(PictureError::damaged(format, reason));
        }
        Ok(())
    }
}

fn read(
    format: Format,
    mut decoder: impl ImageDecoder,
    bytes: usize,
    limits: &Limits,
    notes: &mut Vec<Note>,
) -> Result<Decoded, PictureError> {
    let fail = |error: ImageError| explain(format, error);
    let (width, height) = decoder.dimensions();
    let color = decoder.color_type();
    // The decoder's pixels, those narrowed to a byte a channel, and ours.
    let narrowed =
        if color.bytes_per_pixel() > color.channel_count() { color.channel_count() } else { 0 };
    let bytes_per_pixel = u64::from(color.bytes_per_pixel()) + u64::from(narrowed) + 3;
    ClaimedSize {
        format,
        width,
        height,
        bytes_per_pixel,
        file_bytes: bytes,
        most_pixels_per_byte: MOST_PIXELS_PER_BYTE,
    }
    .check(limits)?;
    decoder.set_limits(image_limits(limits)).map_err(fail)?;
    let exif = decoder.exif_metadata().ok().flatten();
    let orientation = exif.map_or(Orientation::NoTransforms, |exif| exif_orientation(&exif));
    let total = usize::try_from(decoder.total_bytes()).unwrap_or(usize::MAX);
    let mut pixels = vec![0; total];
    decoder.read_image(&mut pixels).map_err(fail)?;
    if format == Format::Bmp {
        fill_unused_alpha(&mut pixels, color);
    }
    let pixels = to_rgb(pixels, color, notes)
        .ok_or_else(|| PictureError::damaged(format, format!("unknown colours {color:?}")))?;
    let rgb = Rgb { width: width as usize, height: height as usize, pixels };
    Ok(Decoded { rgb: turn(rgb, orientation, notes), width, height, orientation })
}

/// Makes a BMP opaque whose alpha is 0 throughout: programs that know of no alpha leave it so.
fn fill_unused_alpha(pixels: &mut [u8], color: ColorType) {
    let alphas = || 3..pixels.len();
    if color == ColorType::Rgba8 && alphas().step_by(4).all(|place| pixels[place] == 0) {
        pixels.iter_mut().skip(3).step_by(4).for_each(|alpha| *alpha = u8::MAX);
    }
}

fn explain(format: Format, error: ImageError) -> PictureError {
    match error {
        ImageError::Unsupported(error) => PictureError::Unsupported {
            kind: format!("this kind of {format} ({error})"),
            advice: BY_MAGICK,
        },
        other => PictureError::damaged(format, other),
    }
}

/// Red, green and blue by the rules of [`decode`].
pub(super) fn to_rgb(pixels: Vec<u8>, color: ColorType, notes: &mut Vec<Note>) -> Option<Vec<u8>> {
    let (pixels, channels) = match color {
        ColorType::L8 | ColorType::La8 | ColorType::Rgb8 | ColorType::Rgba8 => {
            (pixels, color.channel_count())
        }
        ColorType::L16 | ColorType::La16 | ColorType::Rgb16 | ColorType::Rgba16 => {
            notes.push(Note::SixteenBit);
            (narrow(&pixels), color.channel_count())
        }
        _ => return None,
    };
    let white = |value: u8, alpha: u8| {
        let (value, alpha) = (u32::from(value), u32::from(alpha));
        let mixed = (value * alpha + 255 * (255 - alpha) + 127) / 255;
        u8::try_from(mixed).unwrap_or(u8::MAX)
    };
    if color.has_alpha() {
        let alphas = pixels.chunks_exact(usize::from(channels)).filter_map(|pixel| pixel.last());
        if alphas.into_iter().any(|&alpha| alpha < 255) {
            notes.push(Note::Transparent);
        }
    }
    if !color.has_color() {
        notes.push(Note::Grey);
    }
    Some(match channels {
        1 => pixels.iter().flat_map(|&grey| [grey; 3]).collect(),
        2 => pixels.chunks_exact(2).flat_map(|pixel| [white(pixel[0], pixel[1]); 3]).collect(),
        3 => pixels,
        _ => {
            let laid = |pixel: &[u8]| [0, 1, 2].map(|channel| white(pixel[channel], pixel[3]));
            pixels.chunks_exact(4).flat_map(laid).collect()
        }
    })
}

/// The nearest 8-bit values of 16-bit ones in the machine's own byte order.
pub(super) fn narrow(pixels: &[u8]) -> Vec<u8> {
    let values = pixels.chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]]));
    values.map(|value| u8::try_from((u32::from(value) + 128) / 257).unwrap_or(u8::MAX)).collect()
}

/// The picture upright, with a note if it was not.
pub(super) fn turn(rgb: Rgb, orientation: Orientation, notes: &mut Vec<Note>) -> Rgb {
    if orientation == Orientation::NoTransforms {
        return rgb;
    }
    notes.push(Note::Oriented(orientation.to_exif()));
    let Rgb { width, height, pixels } = rgb;
    // Where the pixel of row `y` and column `x` of the upright picture lies in the file.
    let (right, bottom) = (width - 1, height - 1);
    let from = |x: usize, y: usize| match orientation {
        Orientation::NoTransforms => (x, y),
        Orientation::FlipHorizontal => (right - x, y),
        Orientation::Rotate180 => (right - x, bottom - y),
        Orientation::FlipVertical => (x, bottom - y),
        Orientation::Rotate90FlipH => (y, x),
        Orientation::Rotate90 => (y, bottom - x),
        Orientation::Rotate270FlipH => (right - y, bottom - x),
        Orientation::Rotate270 => (right - y, x),
    };
    let sideways = orientation.to_exif() >= 5;
    let (new_width, new_height) = if sideways { (height, width) } else { (width, height) };
    let mut turned = Vec::with_capacity(pixels.len());
    for y in 0..new_height {
        for x in 0..new_width {
            let (from_x, from_y) = from(x, y);
            let place = 3 * (from_y * width + from_x);
            turned.extend_from_slice(&pixels[place..place + 3]);
        }
    }
    Rgb { width: new_width, height: new_height, pixels: turned }
}

#[cfg(test)]
mod tests {
    use rayon::iter::{IntoParallelIterator, ParallelIterator};

    use super::*;

    #[test]
    fn a_panic_of_a_decoder_is_an_error_and_the_thread_goes_on() {
        let error = contain::<()>(Format::Png, || panic!("row {} is missing", 3)).unwrap_err();
        let reason = "row 3 is missing".to_owned();
        assert_eq!(error, PictureError::Panicked { format: Format::Png, reason });
        // What a programmer wrote is no help to a user.
        let words = error.to_string();
        assert!(words.starts_with("the PNG decoder cannot read it: ") && !words.contains("row"));
        assert_eq!(contain(Format::Gif, || Ok(5)), Ok(5));
    }

    #[test]
    fn one_panic_among_many_is_one_error_and_the_pool_can_be_used_again() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        for _ in 0..2 {
            let failed: Vec<usize> = pool.install(|| {
                let all = (0..200).into_par_iter();
                all.filter(|&n| {
                    contain(Format::Png, || if n == 77 { panic!("injected") } else { Ok(n) })
                        .is_err()
                })
                .collect()
            });
            assert_eq!(failed, [77]);
        }
    }

    #[test]
    fn every_orientation_comes_upright() {
        // A picture of 2x3 whose pixels are numbered as they should be seen, and how each
        // orientation stores it (TIFF 6.0: row 0 of the file is the top, right, bottom, … side).
        let seen = [1, 2, 3, 4, 5, 6];
        let stored: [(u8, usize, [u8; 6]); 8] = [
            (1, 2, [1, 2, 3, 4, 5, 6]),
            (2, 2, [2, 1, 4, 3, 6, 5]),
            (3, 2, [6, 5, 4, 3, 2, 1]),
            (4, 2, [5, 6, 3, 4, 1, 2]),
            (5, 3, [1, 3, 5, 2, 4, 6]),
            (6, 3, [2, 4, 6, 1, 3, 5]),
            (7, 3, [6, 4, 2, 5, 3, 1]),
            (8, 3, [5, 3, 1, 6, 4, 2]),
        ];
        for (exif, width, numbers) in stored {
            let pixels = numbers.iter().flat_map(|&number| [number; 3]).collect();
            let rgb = Rgb { width, height: 6 / width, pixels };
            let mut notes = Vec::new();
            let upright = turn(rgb, Orientation::from_exif(exif).unwrap(), &mut notes);
            let numbers: Vec<u8> = upright.pixels.chunks(3).map(|pixel| pixel[0]).collect();
            assert_eq!((upright.width, upright.height, &numbers[..]), (2, 3, &seen[..]), "{exif}");
            let note = if exif == 1 { vec![] } else { vec![Note::Oriented(exif)] };
            assert_eq!(notes, note);
        }
    }

    #[test]
    fn sixteen_bits_become_the_nearest_eight() {
        for value in 0..=u16::MAX {
            let nearest = (f64::from(value) * 255.0 / 65535.0).round();
            assert_eq!(f64::from(narrow(&value.to_ne_bytes())[0]), nearest, "{value}");
        }
    }
}
