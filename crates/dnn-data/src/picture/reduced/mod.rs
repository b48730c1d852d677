//! Common JPEGs, decoded at a half, a quarter or an eighth of their size.
//!
//! The one idea: the low frequencies of a block of 8x8 are a smaller block. Of each block only as many
//! coefficients are used as it has pixels afterwards, in each direction; the others are read and passed
//! over. Chroma that the file has at half the size keeps the coefficients for twice as many pixels, so that
//! nothing is enlarged. All arithmetic is of whole numbers, so that equal files give equal bytes on every
//! machine.
//!
//! Only what most files are is understood: one scan of baseline or extended sequential Huffman coding,
//! 8 bits a sample, grey or luma and chroma, chroma at full or half size in each direction. Anything else,
//! and anything at all that is not as it should be, gives `None`: then the strict decoder decides what the
//! file is and what is wrong with it. What it leaves out on purpose: colour spaces (the caller knows that
//! three components are luma and chroma), progressive files and every way of going on after a fault.
//!
//! # References
//! ITU-T T.81 (1992), annexes B, C and F; the colours are those of JFIF (ITU-T T.871).

mod bits;
mod block;
mod codes;
mod color;
mod header;
mod scan;
mod transform;

use header::Header;

use crate::picture::Rgb;
use crate::picture::plan::Reduction;

/// The picture at a reduced size: `ceil(width / divisor)` x `ceil(height / divisor)`, as it lies in the
/// file; `None` for [`Reduction::Full`] and for every file that is not of the common kind without a
/// fault.
pub(super) fn decode_reduced(bytes: &[u8], reduction: Reduction) -> Option<Rgb> {
    if reduction == Reduction::Full {
        return None;
    }
    let header = Header::read(bytes)?;
    let divisor = reduction.divisor();
    let (width, height) = (header.width.div_ceil(divisor), header.height.div_ceil(divisor));
    let pixels = scan::decode(bytes, &header, 8 / divisor, (width, height))?;
    Some(Rgb { width, height, pixels })
}

#[cfg(test)]
mod tests;
