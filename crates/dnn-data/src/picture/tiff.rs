//! TIFF: the first page, of the kinds that programs for pictures write.
//!
//! The one idea: the directory says what a file is, and only what is known to come out right is given to the
//! decoder. It reads no palettes, so that it is given their indices as levels of grey. What it leaves out
//! on purpose: JPEG inside a TIFF, which it would decode leniently; floating-point and scientific pictures; and
//! the raw files of cameras, whose first picture is a preview.

use std::borrow::Cow;
use std::io::Cursor;

use image::ColorType;
use tiff::TiffError;
use tiff::decoder::{Decoder, DecodingResult};

use crate::picture::decode::{ClaimedSize, Decoded, narrow, to_rgb, turn};
use crate::picture::directory::{Directory, tag};
use crate::picture::sniff::{BY_DARKTABLE, BY_MAGICK};
use crate::picture::{Format, Limits, Note, PictureError, Rgb};

/// The compressions that are read, by their numbers in the file.
const NONE: u32 = 1;
const GROUP_4: u32 = 4;
const LZW: u32 = 5;
const DEFLATE: [u32; 2] = [8, 32946];
const PACK_BITS: u32 = 32773;

/// What a sample stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Colors {
    Grey,
    Rgb,
    Palette,
    Cmyk,
}

impl Colors {
    fn channels(self) -> usize {
        match self {
            Self::Grey | Self::Palette => 1,
            Self::Rgb => 3,
            Self::Cmyk => 4,
        }
    }
}

/// A channel beside the colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Alpha {
    /// None, or one of unknown meaning, which is passed over.
    None,
    /// The colours are multiplied by it.
    Associated,
    Unassociated,
}

/// What the directory says of the first page.
struct Layout {
    width: u32,
    height: u32,
    bits: u32,
    samples: usize,
    colors: Colors,
    alpha: Alpha,
    compression: u32,
    is_planar: bool,
    is_tiled: bool,
}

pub(super) fn decode_tiff(
    bytes: &[u8],
    limits: &Limits,
    notes: &mut Vec<Note>,
) -> Result<Decoded, PictureError> {
    let directory = Directory::first(bytes).ok_or_else(|| damaged("its directory is missing"))?;
    let layout = Layout::read(&directory)?;
    layout.check(bytes, &directory, limits)?;
    if directory.has_next() {
        notes.push(Note::Pages);
    }
    let levels = levels(bytes, &directory, &layout, limits)?;
    if layout.bits == 16 {
        notes.push(Note::SixteenBit);
    }
    let pixels = match layout.colors {
        Colors::Palette => {
            notes.push(Note::Palette);
            look_up(&levels, &palette(&directory, layout.bits)?)?
        }
        Colors::Cmyk => {
            notes.push(Note::Cmyk);
            inks_to_rgb(&levels, levels.len() / layout.pixels())
        }
        Colors::Grey | Colors::Rgb => layout.to_rgb(levels, notes)?,
    };
    let (width, height, orientation) = (layout.width, layout.height, directory.orientation());
    let rgb = Rgb { width: width as usize, height: height as usize, pixels };
    Ok(Decoded { rgb: turn(rgb, orientation, notes), width, height, orientation })
}

fn damaged(reason: &str) -> PictureError {
    PictureError::damaged(Format::Tiff, reason)
}

fn unsupported(kind: String, advice: &'static str) -> PictureError {
    PictureError::Unsupported { kind, advice }
}

impl Layout {
    fn read(directory: &Directory<'_>) -> Result<Self, PictureError> {
        // The decoder makes room for as many values as a field says.
        if !directory.is_complete() {
            return Err(damaged("its directory is cut short"));
        }
        let number = |tag| directory.number(tag);
        let needed = |tag, name: &str| {
            number(tag).ok_or_else(|| damaged(&format!("its directory has no {name}")))
        };
        let is_raw = directory.numbers(tag::DNG_VERSION).is_some();
        let is_preview = number(tag::SUBFILE).is_some_and(|kind| kind & 1 == 1);
        let photometric = needed(tag::PHOTOMETRIC, "PhotometricInterpretation")?;
        if is_raw || is_preview || matches!(photometric, 32803 | 34892) {
            return Err(unsupported("a camera's raw file".to_owned(), BY_DARKTABLE));
        }
        let refuse = |what: String| unsupported(format!("TIFF with {what}"), BY_MAGICK);
        let colors = match photometric {
            0 | 1 => Colors::Grey,
            2 => Colors::Rgb,
            3 => Colors::Palette,
            5 => Colors::Cmyk,
            other => return Err(refuse(format!("colours of kind {other}"))),
        };
        let samples = number(tag::SAMPLES).unwrap_or(1) as usize;
        let bits = directory.numbers(tag::BITS).unwrap_or_else(|| vec![1]);
        let bits = match &bits[..] {
            [first, rest @ ..] if rest.iter().all(|bits| bits == first) => *first,
            _ => return Err(refuse("channels of unequal bits".to_owned())),
        };
        let formats = directory.numbers(tag::SAMPLE_FORMAT).unwrap_or_default();
        if formats.iter().any(|&format| format != 1) {
            return Err(refuse("numbers that are no levels".to_owned()));
        }
        let extra = directory.numbers(tag::EXTRA_SAMPLES).unwrap_or_default();
        let layout = Self {
            width: needed(tag::WIDTH, "ImageWidth")?,
            height: needed(tag::HEIGHT, "ImageLength")?,
            bits,
            samples,
            colors,
            alpha: match (samples == colors.channels() + 1, extra.first()) {
                (true, Some(1)) => Alpha::Associated,
                (true, Some(2)) => Alpha::Unassociated,
                _ => Alpha::None,
            },
            compression: number(tag::COMPRESSION).unwrap_or(1),
            is_planar: number(tag::PLANAR) == Some(2),
            is_tiled: directory.numbers(tag::TILE_OFFSETS).is_some(),
        };
        match layout.refusal(directory) {
            Some(what) => Err(refuse(what)),
            None => Ok(layout),
        }
    }

    /// What of it is not read, in words.
    fn refusal(&self, directory: &Directory<'_>) -> Option<String> {
        match self.compression {
            NONE | GROUP_4 | LZW | PACK_BITS => {}
            deflate if DEFLATE.contains(&deflate) => {}
            6 | 7 => return Some("JPEG inside".to_owned()),
            other => return Some(format!("compression {other}")),
        }
        let beside = self.samples.checked_sub(self.colors.channels());
        let known = match (self.colors, self.bits) {
            (Colors::Grey, 1 | 2 | 4) | (Colors::Palette, 1 | 2 | 4 | 8) => self.samples == 1,
            (Colors::Grey | Colors::Rgb | Colors::Cmyk, 8 | 16) => matches!(beside, Some(0 | 1)),
            _ => false,
        };
        if !known || (self.colors == Colors::Cmyk && self.alpha != Alpha::None) {
            return Some(format!("{} times {} bits a pixel", self.samples, self.bits));
        }
        if self.is_tiled && self.is_planar {
            return Some("tiles of single channels".to_owned());
        }
        let is_plain = |tag| directory.number(tag).is_none_or(|number| number == 1);
        if !is_plain(tag::FILL_ORDER) {
            return Some("its bits in reversed order".to_owned());
        }
        // The decoder adds up the differences of channels that it has passed over.
        let passed_over = beside == Some(1) && self.alpha == Alpha::None;
        if passed_over && !is_plain(tag::PREDICTOR) {
            return Some("a channel of unknown meaning and differences for levels".to_owned());
        }
        None
    }

    fn pixels(&self) -> usize {
        self.width as usize * self.height as usize
    }

    /// Checks the size, and that the file has all of its strips or tiles.
    fn check(
        &self,
        bytes: &[u8],
        directory: &Directory<'_>,
        limits: &Limits,
    ) -> Result<(), PictureError> {
        let bits = self.bits as usize * self.samples;
        let most_pixels_per_byte = match self.compression {
            NONE => (8 / bits).max(1) as u64,
            // A row that is like the one above takes one bit.
            GROUP_4 => 8 * u64::from(self.width),
            // No code of 12 bits stands for more than 4096 bytes.
            _ => 8 * 4096,
        };
        // The decoder's pixels, those narrowed to a byte a channel, ours before and after their turn.
        let bytes_per_pixel = (bits.div_ceil(8) + self.samples + 6) as u64;
        ClaimedSize {
            format: Format::Tiff,
            width: self.width,
            height: self.height,
            bytes_per_pixel,
            file_bytes: bytes.len(),
            most_pixels_per_byte,
        }
        .check(limits)?;
        let list = |strips, tiles| directory.numbers(strips).or_else(|| directory.numbers(tiles));
        let missing = || damaged("its list of strips or tiles is missing");
        let places = list(tag::STRIP_OFFSETS, tag::TILE_OFFSETS).ok_or_else(missing)?;
        let counts = list(tag::STRIP_BYTES, tag::TILE_BYTES).ok_or_else(missing)?;
        let mut total = 0;
        for (&place, &count) in places.iter().zip(&counts) {
            if u64::from(place) + u64::from(count) > bytes.len() as u64 {
                return Err(damaged("it is cut short"));
            }
            total += u64::from(count);
        }
        let row = (u64::from(self.width) * bits as u64).div_ceil(8);
        if self.compression == NONE && total < row * u64::from(self.height) {
            return Err(damaged("its strips or tiles are too short for its size"));
        }
        Ok(())
    }

    /// Grey or colours, laid on white where they are transparent.
    fn to_rgb(&self, levels: Vec<u8>, notes: &mut Vec<Note>) -> Result<Vec<u8>, PictureError> {
        let color = match (self.colors, levels.len() / self.pixels()) {
            (Colors::Grey, 1) => ColorType::L8,
            (Colors::Grey, 2) => ColorType::La8,
            (_, 3) => ColorType::Rgb8,
            (_, 4) => ColorType::Rgba8,
            _ => return Err(damaged("it has not as many channels as it says")),
        };
        let mut levels = levels;
        let channels = usize::from(color.channel_count());
        if color.has_alpha() && self.alpha != Alpha::Unassociated {
            for pixel in levels.chunks_exact_mut(channels) {
                let Some((alpha, colors)) = pixel.split_last_mut() else { continue };
                if self.alpha == Alpha::None {
                    *alpha = u8::MAX;
                } else if *alpha < u8::MAX && !notes.contains(&Note::Transparent) {
                    notes.push(Note::Transparent);
                }
                // On white: the colours are multiplied already, the white is not.
                let white = u8::MAX - *alpha;
                for color in colors {
                    *color = color.saturating_add(white);
                }
                *alpha = u8::MAX;
            }
        }
        to_rgb(levels, color, notes).ok_or_else(|| damaged("its colours are unknown"))
    }
}

/// The samples of all pixels, a byte each, interleaved; of palettes, their indices.
fn levels(
    bytes: &[u8],
    directory: &Directory<'_>,
    layout: &Layout,
    limits: &Limits,
) -> Result<Vec<u8>, PictureError> {
    let file = match layout.colors {
        // Grey, black at 0.
        Colors::Palette => {
            let copy = directory.with_number(tag::PHOTOMETRIC, 1);
            Cow::Owned(copy.ok_or_else(|| damaged("its PhotometricInterpretation is no number"))?)
        }
        _ => Cow::Borrowed(bytes),
    };
    let mut own = tiff::decoder::Limits::default();
    own.decoding_buffer_size = usize::try_from(limits.memory).unwrap_or(usize::MAX);
    own.intermediate_buffer_size = own.decoding_buffer_size;
    let fail = |error| explain(error, layout, limits);
    let mut decoder = Decoder::new(Cursor::new(&file[..])).map_err(fail)?.with_limits(own);
    let mut result = DecodingResult::U8(Vec::new());
    let read = decoder.read_image_to_buffer(&mut result).map_err(fail)?;
    if result.as_buffer(0).as_bytes().len() != read.complete_len {
        return Err(damaged("its channels do not fit into the memory that it may take"));
    }
    let levels = match result {
        DecodingResult::U8(levels) if layout.bits < 8 => unpack(&levels, layout),
        DecodingResult::U8(levels) => levels,
        DecodingResult::U16(levels) => {
            let bytes: Vec<u8> = levels.into_iter().flat_map(u16::to_ne_bytes).collect();
            narrow(&bytes)
        }
        _ => return Err(damaged("its numbers are no levels")),
    };
    if levels.len() < layout.pixels() || !levels.len().is_multiple_of(layout.pixels()) {
        return Err(damaged("it has not as many pixels as it says"));
    }
    Ok(if layout.is_planar { interleave(&levels, layout.pixels()) } else { levels })
}

/// The levels of rows of 1, 2 or 4 bits a pixel; of palettes, their indices.
fn unpack(packed: &[u8], layout: &Layout) -> Vec<u8> {
    let (width, bits) = (layout.width as usize, layout.bits as usize);
    let most = (1_u8 << bits) - 1;
    let scale = if layout.colors == Colors::Palette { 1 } else { u8::MAX / most };
    let rows = packed.chunks_exact((width * bits).div_ceil(8));
    let levels = rows.flat_map(|row| {
        (0..width).map(move |x| {
            let first = x * bits;
            (row[first / 8] >> (8 - bits - first % 8) & most) * scale
        })
    });
    levels.collect()
}

/// Channels that follow one another, pixel by pixel.
fn interleave(planes: &[u8], pixels: usize) -> Vec<u8> {
    let channels = planes.len() / pixels;
    let places = (0..pixels).flat_map(|pixel| (0..channels).map(move |c| c * pixels + pixel));
    places.map(|place| planes[place]).collect()
}

/// The colours of a palette: all red, then all green, then all blue in the file, of 16 bits, or, as some programs
/// have it, of 8.
fn palette(directory: &Directory<'_>, bits: u32) -> Result<Vec<[u8; 3]>, PictureError> {
    let map = directory.numbers(tag::COLOR_MAP).unwrap_or_default();
    let count = 1 << bits;
    if map.len() != 3 * count {
        return Err(damaged("its palette is missing or too short"));
    }
    let is_narrow = map.iter().all(|&level| u8::try_from(level).is_ok());
    let level = |place: usize| {
        let level = if is_narrow { map[place] } else { map[place] >> 8 };
        u8::try_from(level).unwrap_or(u8::MAX)
    };
    Ok((0..count).map(|index| [0, 1, 2].map(|channel| level(channel * count + index))).collect())
}

fn look_up(indices: &[u8], palette: &[[u8; 3]]) -> Result<Vec<u8>, PictureError> {
    let color = |&index: &u8| palette.get(usize::from(index)).copied();
    let colors: Option<Vec<[u8; 3]>> = indices.iter().map(color).collect();
    colors.map(|colors| colors.concat()).ok_or_else(|| damaged("its palette is too short"))
}

/// Cyan, magenta, yellow and black, as amounts of ink, with `channels` a pixel.
fn inks_to_rgb(levels: &[u8], channels: usize) -> Vec<u8> {
    let paper = |ink: u8| u32::from(u8::MAX - ink);
    let pixel = |inks: &[u8]| {
        [0, 1, 2].map(|channel| {
            let level = (paper(inks[channel]) * paper(inks[3]) + 127) / 255;
            u8::try_from(level).unwrap_or(u8::MAX)
        })
    };
    levels.chunks_exact(channels.max(4)).flat_map(pixel).collect()
}

fn explain(error: TiffError, layout: &Layout, limits: &Limits) -> PictureError {
    match error {
        TiffError::UnsupportedError(kind) => {
            unsupported(format!("this kind of TIFF ({kind})"), BY_MAGICK)
        }
        TiffError::LimitsExceeded => PictureError::TooLarge {
            format: Format::Tiff,
            width: layout.width,
            height: layout.height,
            limit: format!("{} MiB decoded", limits.memory >> 20),
        },
        // The decoder loses the end of some that are whole.
        _ if layout.is_tiled && layout.compression == LZW => {
            unsupported("TIFF with such tiles in LZW".to_owned(), BY_MAGICK)
        }
        other => PictureError::damaged(Format::Tiff, other),
    }
}
