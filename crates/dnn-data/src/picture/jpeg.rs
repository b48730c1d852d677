//! JPEG, strictly: `image` would take half a file for a whole one.

use std::borrow::Cow;
use std::io::Cursor;

use image::metadata::Orientation;
use zune_jpeg::JpegDecoder;
use zune_jpeg::errors::DecodeErrors;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

use crate::ImageSize;
use crate::picture::decode::{ClaimedSize, Upright, turn};
use crate::picture::directory::exif_orientation;
use crate::picture::plan::Reduction;
use crate::picture::sequential::{decode_reduced, decode_whole};
use crate::picture::sniff::BY_MAGICK;
use crate::picture::structure::{JpegStructure, jpeg_structure};
#[cfg(feature = "turbojpeg")]
use crate::picture::turbo::decode_turbo;
use crate::picture::{Decoding, Format, Info, Note, PictureError, Preprocessing, Rgb};

/// What gives the pixels of JPEG files in this build. With the feature `turbojpeg` libjpeg-turbo does where
/// it can, at a fraction of the size where that is enough; two builds give equal pixels only where this is
/// equal.
pub const JPEG_DECODER: &str =
    if cfg!(feature = "turbojpeg") { "libjpeg-turbo 3, zune-jpeg 0.5" } else { "zune-jpeg 0.5" };

/// A block of 8x8 takes at least one bit in a first scan, and 4:2:0 has 6 blocks on 256 pixels; twice
/// that, to be safe.
const MOST_PIXELS_PER_BYTE: u64 = 1024;

/// Decodes the JPEG in `bytes`: at a reduced size where that is enough for `to`, else, and where it is
/// `None`, at its own.
pub(super) fn decode_jpeg(
    bytes: &[u8],
    how: &Decoding,
    to: Option<&Preprocessing>,
) -> Result<Upright, PictureError> {
    match decode(bytes, how, to, true) {
        Err(PictureError::Damaged { .. }) if how.lenient => {
            let mut picture = decode(bytes, how, None, false)?;
            picture.info.notes.push(Note::Damaged);
            picture.info.notes.sort_unstable();
            Ok(picture)
        }
        outcome => outcome,
    }
}

fn decode(
    bytes: &[u8],
    how: &Decoding,
    to: Option<&Preprocessing>,
    strict: bool,
) -> Result<Upright, PictureError> {
    let structure = jpeg_structure(bytes);
    check_frame(&structure)?;
    let damaged = |reason: &str| PictureError::damaged(Format::Jpeg, reason);
    if strict && structure.end.is_none() {
        return Err(damaged("it is cut short: its end marker is missing"));
    }
    let plain = structure.is_plain();
    let readable = if plain { Cow::Borrowed(bytes) } else { with_plain_factors(bytes, &structure) };
    let mut decoder = decoder(&readable, strict);
    decoder.decode_headers().map_err(explain)?;
    let header = decoder.info().ok_or_else(|| damaged("it has no frame header"))?;
    let (width, height) = (u32::from(header.width), u32::from(header.height));
    // Three bytes a pixel, and six of coefficients where a scan does not hold a whole block.
    ClaimedSize {
        format: Format::Jpeg,
        width,
        height,
        bytes_per_pixel: 9,
        file_bytes: bytes.len(),
        most_pixels_per_byte: MOST_PIXELS_PER_BYTE,
    }
    .check(&how.limits)?;
    let mut notes = Vec::new();
    let colors = colors(&decoder, &structure);
    match colors {
        Some(ColorSpace::Luma) => notes.push(Note::Grey),
        Some(ColorSpace::CMYK | ColorSpace::YCCK) => notes.push(Note::Cmyk),
        _ => {}
    }
    let orientation =
        decoder.exif().map_or(Orientation::NoTransforms, |exif| exif_orientation(exif));
    let size = ImageSize { width: width as usize, height: height as usize };
    let wanted = to.map_or(Reduction::Full, |to| Reduction::of(size, orientation, to));
    let fast = decode_turbo(bytes, size, colors, wanted);
    let (rgb, reduction) = if let Some(rgb) = fast.or_else(|| decode_smaller(bytes, wanted, colors))
    {
        (rgb, wanted)
    } else if !plain {
        let whole = colors.and_then(|colors| decode_whole(bytes, colors));
        (whole.ok_or_else(|| damaged(UNREADABLE))?, Reduction::Full)
    } else {
        let pixels = decoder.decode().map_err(explain)?;
        (Rgb { width: size.width, height: size.height, pixels }, Reduction::Full)
    };
    let rgb = turn(rgb, orientation, &mut notes);
    if structure.end.is_some_and(|end| bytes[end..].iter().any(|&byte| byte != 0)) {
        notes.push(Note::TrailingBytes);
    }
    notes.sort_unstable();
    let info = Info { format: Format::Jpeg, width, height, notes };
    Ok(Upright { rgb, info, reduction, orientation })
}

/// Why a file is refused that [`decode_whole`] cannot decode.
const UNREADABLE: &str = "its scans do not hold the picture that its header describes";

/// The file with equal sampling factors, which the strict decoder needs to read the header of any file.
fn with_plain_factors<'a>(bytes: &'a [u8], structure: &JpegStructure) -> Cow<'a, [u8]> {
    let mut copy = bytes.to_vec();
    for &(place, _) in &structure.factors {
        copy[place] = 0x11;
    }
    Cow::Owned(copy)
}

/// The colours of the components. One mark of Adobe's means CMYK with four and RGB with three, another YCCK and
/// `YCbCr`; the decoder counts only later.
fn colors(decoder: &JpegDecoder<Cursor<&[u8]>>, structure: &JpegStructure) -> Option<ColorSpace> {
    match (decoder.input_colorspace()?, structure.factors.len()) {
        (ColorSpace::CMYK, 3) => Some(ColorSpace::RGB),
        (ColorSpace::YCCK, 3) => Some(ColorSpace::YCbCr),
        (colors, _) => Some(colors),
    }
}

/// The strict decoder, or one that goes on after a fault.
pub(super) fn decoder(bytes: &[u8], strict: bool) -> JpegDecoder<Cursor<&[u8]>> {
    let options = DecoderOptions::default()
        .set_strict_mode(strict)
        // Ours are checked below, with the numbers in the message.
        .set_max_width(usize::from(u16::MAX))
        .set_max_height(usize::from(u16::MAX))
        .jpeg_set_out_colorspace(ColorSpace::RGB);
    JpegDecoder::new_with_options(Cursor::new(bytes), options)
}

/// The picture at the wanted size; `None` where that is its own, or the file is not one of the common kind
/// without a fault, so that the strict decoder has to say what it is.
fn decode_smaller(bytes: &[u8], wanted: Reduction, colors: Option<ColorSpace>) -> Option<Rgb> {
    match colors? {
        ColorSpace::Luma | ColorSpace::YCbCr => decode_reduced(bytes, wanted),
        _ => None,
    }
}

/// Nothing: libjpeg-turbo is no part of this build.
#[cfg(not(feature = "turbojpeg"))]
fn decode_turbo(_: &[u8], _: ImageSize, _: Option<ColorSpace>, _: Reduction) -> Option<Rgb> {
    None
}

/// Refuses the kinds of JPEG that hardly any program writes.
fn check_frame(structure: &JpegStructure) -> Result<(), PictureError> {
    let kind = match structure.frame {
        Some(0xc3) => "lossless JPEG".to_owned(),
        Some(0xc5..=0xc7) => "hierarchical JPEG".to_owned(),
        Some(0xc9..=0xcf) => "JPEG in arithmetic coding".to_owned(),
        Some(_) if structure.precision == 12 => "JPEG with 12 bits a channel".to_owned(),
        Some(_) if structure.is_height_late() => {
            "JPEG that gives its height after its pixels".to_owned()
        }
        _ if structure.is_plain() => return Ok(()),
        _ if structure.is_progressive() || structure.is_fractional() => {
            let coding = if structure.is_progressive() { "progressive JPEG" } else { "JPEG" };
            format!("{coding} with the sampling factors {}", structure.factors_in_words())
        }
        _ => return Ok(()),
    };
    Err(PictureError::Unsupported { kind, advice: BY_MAGICK })
}

fn explain(error: DecodeErrors) -> PictureError {
    match error {
        DecodeErrors::Unsupported(scheme) => PictureError::Unsupported {
            kind: format!("this kind of JPEG ({scheme:?})"),
            advice: BY_MAGICK,
        },
        other => PictureError::damaged(Format::Jpeg, other),
    }
}
