//! Sequential JPEGs, in two ways: common ones at a half, a quarter or an eighth of their size, and those of
//! an uncommon layout at their own.
//!
//! The one idea of the first: the low frequencies of a block of 8x8 are a smaller block. Of each block only as
//! many coefficients are used as it has pixels afterwards, in each direction; the others are read and passed
//! over. Chroma that the file has at half the size keeps the coefficients for twice as many pixels, so that
//! nothing is enlarged. Only what most files are is understood: one scan, grey or luma and chroma, chroma at
//! full or half size in each direction.
//!
//! The second, [`decode_whole`], is for what the strict decoder draws wrongly or not at all: several scans, and
//! sampling factors of which the first component's are not the largest. Each component is decoded on its
//! own, and enlarged as libjpeg does it.
//!
//! Both read baseline or extended sequential Huffman coding of 8 bits a sample, in whole numbers alone, so that
//! equal files give equal bytes on every machine. Anything that is not as it should be gives `None`. What
//! they leave out on purpose: telling colour spaces (the caller does), progressive files and every way of
//! going on after a fault.
//!
//! # References
//! ITU-T T.81 (1992), annexes A, B, C and F; the colours are those of JFIF (ITU-T T.871).

mod bits;
mod block;
mod codes;
mod color;
mod header;
mod scan;
mod transform;
mod whole;

pub(super) use whole::decode_whole;

use header::{Header, Next};

use crate::ImageSize;
use crate::picture::Rgb;
use crate::picture::plan::Reduction;

/// The picture at a reduced size: `ceil(width / divisor)` x `ceil(height / divisor)`, as it lies in the
/// file; `None` for [`Reduction::Full`] and for every file that is not of the common kind without a
/// fault.
pub(super) fn decode_reduced(bytes: &[u8], reduction: Reduction) -> Option<Rgb> {
    if reduction == Reduction::Full || !bytes.starts_with(&[0xff, 0xd8]) {
        return None;
    }
    let mut header = Header::default();
    let Next::Scan(scan) = header.read_segments(bytes, 2)? else { return None };
    if !header.is_common() || scan.places.len() != header.components.len() {
        return None;
    }
    let divisor = reduction.divisor();
    let width = header.width.div_ceil(divisor);
    let height = header.height.div_ceil(divisor);
    let size = ImageSize { width, height };
    let pixels = scan::decode(bytes, &header, &scan, 8 / divisor, size)?;
    Some(Rgb { width, height, pixels })
}

#[cfg(test)]
mod tests;
