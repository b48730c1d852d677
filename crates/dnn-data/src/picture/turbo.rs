//! JPEG by libjpeg-turbo, in builds with the feature `turbojpeg`.
//!
//! The one idea: it only makes pixels. The strict decoder has read the header before, and where a file
//! is not plain, or libjpeg-turbo so much as warns, nothing comes from here and the strict decoder says
//! what the file is. So the same files are refused, in the same words, with and without the feature.
//!
//! What it leaves out on purpose: progressive files, in which libjpeg-turbo passes over faults that the
//! strict decoder refuses; colours that it brings to red, green and blue by another rule than
//! [`decode`](crate::picture::decode()); and any state between two pictures, since a decoder that is used
//! again takes tables that a file lacks from the file before.

use turbojpeg::{Colorspace, Decompressor, Image, PixelFormat, ScalingFactor, Subsamp};
use zune_jpeg::zune_core::colorspace::ColorSpace;

use crate::ImageSize;
use crate::picture::Rgb;
use crate::picture::plan::Reduction;
use crate::picture::structure::find_ff;

/// The picture in `bytes`, as it lies in the file, reduced; `None` where the strict decoder has to look at
/// it, which found this size and these colours in the header.
pub(super) fn decode_turbo(
    bytes: &[u8],
    size: ImageSize,
    colors: Option<ColorSpace>,
    reduction: Reduction,
) -> Option<Rgb> {
    let expected = match colors? {
        ColorSpace::Luma => Colorspace::Gray,
        ColorSpace::YCbCr => Colorspace::YCbCr,
        ColorSpace::RGB => Colorspace::RGB,
        _ => return None,
    };
    walk(bytes)?;
    let mut decoder = Decompressor::new().ok()?;
    let header = decoder.read_header(bytes).ok()?;
    // Each decoder has rules of its own for telling colours.
    let found = ImageSize { width: header.width, height: header.height };
    let same = header.colorspace == expected && found == size;
    // At a fraction, chroma of a quarter of the width would be too coarse.
    let common = matches!(
        header.subsamp,
        Subsamp::None | Subsamp::Sub2x1 | Subsamp::Sub1x2 | Subsamp::Sub2x2 | Subsamp::Gray
    );
    if !same || !common {
        return None;
    }
    let scale = ScalingFactor::new(1, reduction.divisor());
    decoder.set_scaling_factor(scale).ok()?;
    let (width, height) = (scale.scale(size.width), scale.scale(size.height));
    let mut pixels = vec![0; 3 * width * height];
    let format = PixelFormat::RGB;
    let image = Image { pixels: &mut pixels[..], width, pitch: 3 * width, height, format };
    // What libjpeg-turbo only warns of is an error here.
    decoder.decompress(bytes, image).ok()?;
    Some(Rgb { width, height, pixels })
}

/// Walks the segments of a JPEG; `None` unless it is in baseline or extended sequential coding, with one
/// scan, and has what it needs in the order in which programs write it and nothing else.
///
/// libjpeg-turbo goes on in silence where a table of codes is missing (it has some of its own) and where
/// other markers come than these; the strict decoder does not.
fn walk(bytes: &[u8]) -> Option<()> {
    let mut at = 2;
    let mut frames = 0;
    // A bit for each table of codes that is there: from bit 0 on those for DC, from bit 4 on those for AC.
    let mut tables = 0;
    loop {
        let &[0xff, code, high, low] = bytes.get(at..)?.first_chunk::<4>()? else { return None };
        let after = at + 2 + usize::from(u16::from_be_bytes([high, low]));
        let body = bytes.get(at + 4..after)?;
        at = after;
        match code {
            0xc0 | 0xc1 => frames += 1,
            0xc4 => tables |= tables_in(body)?,
            0xda => {
                let whole = frames == 1 && needed_tables(body)? & !tables == 0;
                return (whole && bytes.get(after_scan(bytes, at)?)? == &0xd9).then_some(());
            }
            // Quantisation, restarts, what programs keep for themselves, comments.
            0xdb | 0xdd | 0xe0..=0xef | 0xfe => {}
            _ => return None,
        }
    }
}

/// The bits of the tables of codes in a segment of them.
fn tables_in(mut body: &[u8]) -> Option<u8> {
    let mut tables = 0;
    while let Some((&[which], rest)) = body.split_first_chunk::<1>() {
        let (counts, rest) = rest.split_first_chunk::<16>()?;
        let symbols = counts.iter().map(|&count| usize::from(count)).sum::<usize>();
        body = rest.get(symbols..)?;
        tables |= match which {
            0..=3 => 1 << which,
            0x10..=0x13 => 0x10 << (which & 3),
            _ => return None,
        };
    }
    Some(tables)
}

/// The bits of the tables of codes that a scan with this header uses.
fn needed_tables(body: &[u8]) -> Option<u8> {
    let (&count, rest) = body.split_first()?;
    let components = rest.get(..2 * usize::from(count))?;
    components.chunks_exact(2).try_fold(0, |needed, component| {
        let (dc, ac) = (component[1] >> 4, component[1] & 15);
        (dc < 4 && ac < 4).then(|| needed | 1 << dc | 0x10 << ac)
    })
}

/// Where the code of the marker lies that ends the scan that begins at `at`.
fn after_scan(bytes: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at = find_ff(bytes, at)? + 1;
        // Stuffed zeros and restarts are part of a scan.
        if !matches!(bytes.get(at)?, 0x00 | 0xd0..=0xd7) {
            return Some(at);
        }
    }
}

#[cfg(test)]
mod tests;
