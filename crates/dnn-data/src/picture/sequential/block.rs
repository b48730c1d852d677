//! One block of coefficients, from the bits of a scan to pixels.

use super::bits::Bits;
use super::codes::Codes;
use super::transform::{LARGEST_SUM, level, transform};

/// Where the coefficients lie in a block of 8x8, row-major, in the order of the file.
#[rustfmt::skip]
const ZIGZAG: [u8; 64] = [
     0,  1,  8, 16,  9,  2,  3, 10, 17, 24, 32, 25, 18, 11,  4,  5,
    12, 19, 26, 33, 40, 48, 41, 34, 27, 20, 13,  6,  7, 14, 21, 28,
    35, 42, 49, 56, 57, 50, 43, 36, 29, 22, 15, 23, 30, 37, 44, 51,
    58, 59, 52, 45, 38, 31, 39, 46, 53, 60, 61, 54, 47, 55, 62, 63,
];

/// No mean of a block of samples of 8 bits is as far from middle grey, whatever it is divided by.
const LARGEST_MEAN: u32 = 1 << 12;

/// What the blocks of one component have in common.
pub(super) struct Tables<'a> {
    pub(super) dc: &'a Codes,
    pub(super) ac: &'a Codes,
    /// In the order of the file.
    pub(super) quantisation: &'a [u16; 64],
}

/// Reads a block and writes its pixels where `out` begins, rows `stride` apart; `mean` is that of the block
/// before, and becomes that of this one. `None` where anything is not as it should be.
pub(super) type BlockReader =
    fn(&mut Bits<'_>, &Tables<'_>, mean: &mut i32, out: &mut [u8], stride: usize) -> Option<()>;

/// The reader of blocks that become `width` x `height` pixels.
pub(super) fn block_reader(width: usize, height: usize) -> Option<BlockReader> {
    Some(match (width, height) {
        (1, 1) => read_block::<1, 1, 2>,
        (2, 1) => read_block::<2, 1, 3>,
        (1, 2) => read_block::<1, 2, 3>,
        (2, 2) => read_block::<2, 2, 5>,
        (4, 2) => read_block::<4, 2, 9>,
        (2, 4) => read_block::<2, 4, 9>,
        (4, 4) => read_block::<4, 4, 17>,
        (8, 4) => read_block::<8, 4, 33>,
        (4, 8) => read_block::<4, 8, 33>,
        (8, 8) => read_block::<8, 8, 65>,
        _ => return None,
    })
}

/// Where the coefficients that a block of `W` x `H` pixels needs lie in it, row-major.
struct Needed<const W: usize, const H: usize>;

impl<const W: usize, const H: usize> Needed<W, H> {
    /// By the order of the file; `W * H` for those that are not needed.
    const PLACES: [u8; 64] = {
        let mut places = [0; 64];
        let mut at = 0;
        while at < 64 {
            let (x, y) = (ZIGZAG[at] as usize % 8, ZIGZAG[at] as usize / 8);
            let place = if x < W && y < H { y * W + x } else { W * H };
            #[allow(clippy::cast_possible_truncation, reason = "at most 64")]
            let place = place as u8;
            places[at] = place;
            at += 1;
        }
        places
    };

    /// How many of the file's order hold all of them.
    const COUNT: usize = {
        let mut count = 64;
        while Self::PLACES[count - 1] as usize == W * H {
            count -= 1;
        }
        count
    };
}

/// The `ROOM` is `W * H + 1`: what is not needed lands in the last place.
fn read_block<const W: usize, const H: usize, const ROOM: usize>(
    bits: &mut Bits<'_>,
    tables: &Tables<'_>,
    mean: &mut i32,
    out: &mut [u8],
    stride: usize,
) -> Option<()> {
    let mut own = *bits;
    own.refill()?;
    *mean += tables.dc.read(&mut own)?.1;
    if mean.unsigned_abs() > LARGEST_MEAN {
        return None;
    }
    let mut coefficients = [0; ROOM];
    let first = *mean * i32::from(tables.quantisation[0]);
    coefficients[0] = first;
    let mut sum = first.unsigned_abs();
    let mut place = 1;
    // Of 56 bits, a mean leaves enough for one symbol; else they are enough for two.
    let mut held = 1;
    while place < Needed::<W, H>::COUNT {
        if held == 0 {
            own.refill()?;
            held = 2;
        }
        held -= 1;
        let (symbol, value) = tables.ac.read(&mut own)?;
        if symbol.is_end() {
            place = 64;
            break;
        }
        place += symbol.run();
        let value = value * i32::from(*tables.quantisation.get(place)?);
        coefficients[usize::from(Needed::<W, H>::PLACES[place])] = value;
        sum += value.unsigned_abs();
        place += 1;
    }
    tables.ac.skip(&mut own, place)?;
    *bits = own;
    if sum > LARGEST_SUM {
        return None;
    }
    let rows = out.chunks_mut(stride);
    if W * H > 4 && sum == first.unsigned_abs() {
        let level = level((first + 4) >> 3);
        rows.take(H).for_each(|row| row[..W].fill(level));
    } else {
        let (coefficients, _) = coefficients.as_chunks::<W>();
        let pixels = transform::<W, H>(*coefficients.first_chunk()?);
        rows.zip(&pixels).for_each(|(row, pixels)| row[..W].copy_from_slice(pixels));
    }
    Some(())
}
