//! What is kept of a picture to tell it from others.

use sha2::{Digest as _, Sha256};

use crate::picture::Rgb;

/// Sides of the small copy.
pub(super) const SIDE: usize = 16;

/// Sides of the grid of brightness that the hash compares.
const GRID: usize = 9;

/// Where all pixels are within so many levels in each channel, a picture has a single colour: what
/// JPEG leaves of one.
const SINGLE: u8 = 6;

/// Where no cell of the small copy has channels further apart, a picture has no colour.
const COLORLESS: u8 = 3;

/// A picture, in about 1 KiB.
pub(super) struct Look {
    /// SHA-256 of the size and all pixels.
    pub(super) pixels: [u8; 32],
    /// Pixels in a row, upright.
    pub(super) width: usize,
    /// Rows, upright.
    pub(super) height: usize,
    /// Whether it has a single colour.
    pub(super) is_single: bool,
    /// Whether it is grey, whatever its file calls it.
    pub(super) is_grey: bool,
    /// [`SIDE`] x [`SIDE`] means, red, green and blue interleaved; the whole picture, stretched.
    pub(super) small: Box<[u8]>,
    /// Whether each cell of a grid is darker than its right and its lower neighbour.
    pub(super) hash: u128,
    /// The hash of the picture in a mirror.
    pub(super) mirrored: u128,
}

impl Look {
    pub(super) fn at(rgb: &Rgb) -> Self {
        let small = shrink(rgb, SIDE);
        let grid: Vec<u32> = shrink(rgb, GRID)
            .chunks_exact(3)
            .map(|cell| cell.iter().map(|&value| u32::from(value)).sum())
            .collect();
        let mirror: Vec<u32> =
            grid.chunks_exact(GRID).flat_map(|row| row.iter().rev().copied()).collect();
        let apart = |cell: &[u8]| {
            let (low, high) = (cell.iter().min(), cell.iter().max());
            high.zip(low).map_or(0, |(high, low)| high - low)
        };
        Self {
            pixels: digest(rgb.width, rgb.height, &rgb.pixels),
            width: rgb.width,
            height: rgb.height,
            is_single: is_single(&rgb.pixels, 3),
            is_grey: small.chunks_exact(3).all(|cell| apart(cell) <= COLORLESS),
            small: small.into(),
            hash: hash(&grid),
            mirrored: hash(&mirror),
        }
    }

    /// Mean absolute difference of two small copies, the other one in a mirror or not, 0 to 255.
    pub(super) fn distance(&self, other: &Self, mirror: bool) -> f32 {
        let rows = self.small.chunks_exact(3 * SIDE).zip(other.small.chunks_exact(3 * SIDE));
        let apart = |(a, b): (&u8, &u8)| u32::from(a.abs_diff(*b));
        let cells = |(a, b): (&[u8], &[u8])| a.iter().zip(b).map(apart).sum::<u32>();
        let sum: u32 = if mirror {
            rows.map(|(a, b)| a.chunks_exact(3).zip(b.rchunks_exact(3)).map(cells).sum::<u32>())
                .sum()
        } else {
            rows.map(cells).sum()
        };
        sum as f32 / self.small.len() as f32
    }
}

/// Whether all pixels have nearly one colour.
pub(super) fn is_single(pixels: &[u8], channels: usize) -> bool {
    (0..channels).all(|channel| {
        let values = || pixels.iter().skip(channel).step_by(channels);
        values().max().zip(values().min()).is_none_or(|(high, low)| high - low <= SINGLE)
    })
}

/// SHA-256 of a picture's size and pixels.
pub(super) fn digest(width: usize, height: usize, pixels: &[u8]) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update((width as u64).to_le_bytes());
    digest.update((height as u64).to_le_bytes());
    digest.update(pixels);
    digest.finalize().into()
}

/// The picture as `side` x `side` means of equal cells, channels interleaved.
fn shrink(rgb: &Rgb, side: usize) -> Vec<u8> {
    // A cell has at least one pixel, shared by neighbours where there are fewer pixels than cells.
    let span = |cell: usize, length: usize| {
        let first = cell * length / side;
        first..((cell + 1) * length / side).max(first + 1)
    };
    let mut cells = Vec::with_capacity(3 * side * side);
    for y in 0..side {
        let rows = span(y, rgb.height);
        for x in 0..side {
            let columns = span(x, rgb.width);
            let mut sums = [0_u64; 3];
            for row in rows.clone() {
                let from = 3 * (row * rgb.width + columns.start);
                for pixel in rgb.pixels[from..from + 3 * columns.len()].chunks_exact(3) {
                    for (sum, &value) in sums.iter_mut().zip(pixel) {
                        *sum += u64::from(value);
                    }
                }
            }
            let count = (rows.len() * columns.len()) as u64;
            cells
                .extend(sums.map(|sum| u8::try_from((sum + count / 2) / count).unwrap_or(u8::MAX)));
        }
    }
    cells
}

/// A difference hash: 64 comparisons to the right and 64 downwards.
fn hash(grid: &[u32]) -> u128 {
    let mut hash = 0;
    for y in 0..GRID - 1 {
        for x in 0..GRID - 1 {
            let here = grid[y * GRID + x];
            for neighbour in [grid[y * GRID + x + 1], grid[(y + 1) * GRID + x]] {
                hash = hash << 1 | u128::from(here < neighbour);
            }
        }
    }
    hash
}
