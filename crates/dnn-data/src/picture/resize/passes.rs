//! The loops that weigh pixels.
//!
//! Both passes are one loop: sums of rows, each times one weight. Down the columns the rows are those of the picture.
//! Along a row they would be single pixels; so rows of the picture are taken [`ROWS`] at a time and turned, a
//! perfect shuffle of bytes, and pixels become rows of `3 * ROWS` bytes:
//!
//! ```text
//! for each block of 16 rows of the result:
//!     rows[r]        = sum over y: down[y] * picture row y       all columns that are used
//!     turned[3x + c] = the 16 bytes rows[..][3x + c]
//!     pixels[x']     = sum over x: along[x] * turned pixel x     3 x 16 bytes
//!     out[r][3x' + c] = pixels[x'][c][r]
//! ```

#![expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]

use dnn_kernels::{KernelPath, PlainLoop};

use super::weights::Weights;

/// How many rows are turned together.
const ROWS: usize = 16;
/// Bytes of a pixel of all of them.
const TURNED: usize = 3 * ROWS;

/// Rows of bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bytes<'a> {
    /// From the first row that is used, or counts as the first.
    pub(super) bytes: &'a [u8],
    /// From the beginning of a row to that of the next.
    pub(super) stride: usize,
}

/// Both passes over a picture, or one of them.
#[derive(Debug)]
pub(super) struct Passes<'a> {
    /// From the first column that counts as the first.
    pub(super) from: Bytes<'a>,
    /// How many bytes of a row are used.
    pub(super) used: usize,
    pub(super) down: Option<&'a Weights>,
    pub(super) along: Option<&'a Weights>,
    /// Which pixel is the first in `from`.
    pub(super) left: usize,
    pub(super) scratch: &'a mut Scratch,
    pub(super) out: &'a mut [u8],
    /// Bytes of a row of `out`.
    pub(super) width: usize,
}

/// What the passes work in, used again from one picture to the next.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    /// [`ROWS`] rows between the passes.
    rows: Vec<u8>,
    /// The same, turned.
    turned: Vec<u8>,
    /// Pixels of the result, turned.
    pixels: Vec<u8>,
}

impl Passes<'_> {
    /// Writes all of `out`.
    pub(super) fn run(self, path: KernelPath) {
        match (self.down, self.along) {
            (down, Some(along)) => self.run_along(path, down, along),
            (Some(down), None) => {
                let rows = self.out.chunks_exact_mut(self.width);
                for ((first, weights), out) in down.runs().zip(rows) {
                    let from = self.from.skip(first);
                    path.vectorized(DownRow { from, weights, bits: down.bits(), out });
                }
            }
            (None, None) => {}
        }
    }

    fn run_along(self, path: KernelPath, down: Option<&Weights>, along: &Weights) {
        let Self { from, used, left, scratch, out, width, .. } = self;
        let stride = used.next_multiple_of(ROWS);
        let Scratch { rows, turned, pixels } = scratch;
        rows.resize(ROWS * stride, 0);
        turned.resize(ROWS * stride, 0);
        pixels.resize(ROWS * width.next_multiple_of(ROWS), 0);
        let mut runs = down.map(|down| (down.runs(), down.bits()));
        for (block, out) in out.chunks_mut(ROWS * width).enumerate() {
            let height = out.len() / width;
            for (r, row) in rows.chunks_exact_mut(stride).take(height).enumerate() {
                let out = &mut row[..used];
                if let Some((runs, bits)) = &mut runs {
                    let (first, weights) = runs.next().expect("a run for each row");
                    path.vectorized(DownRow { from: from.skip(first), weights, bits: *bits, out });
                } else {
                    out.copy_from_slice(&from.skip(block * ROWS + r).bytes[..used]);
                }
            }
            turn_rows(rows, stride, turned);
            path.vectorized(AlongRows { turned, left, along, pixels });
            turn_back(pixels, width, out);
        }
    }
}

impl<'a> Bytes<'a> {
    /// Without the first rows.
    fn skip(self, rows: usize) -> Bytes<'a> {
        Bytes { bytes: &self.bytes[rows * self.stride..], ..self }
    }
}

/// One row of the result of the pass down the columns.
struct DownRow<'a> {
    /// From the first row that weighs anything.
    from: Bytes<'a>,
    weights: &'a [i16],
    bits: u32,
    out: &'a mut [u8],
}

impl PlainLoop for DownRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { from: Bytes { bytes, stride }, weights, bits, out } = self;
        match out.len() {
            64.. => weigh_blocks::<64>(bytes, stride, weights, bits, out),
            8.. => weigh_blocks::<8>(bytes, stride, weights, bits, out),
            _ => weigh_blocks::<1>(bytes, stride, weights, bits, out),
        }
    }
}

/// The pass along [`ROWS`] rows that are turned.
struct AlongRows<'a> {
    turned: &'a [u8],
    /// Which pixel is the first that is turned.
    left: usize,
    along: &'a Weights,
    /// The result, turned.
    pixels: &'a mut [u8],
}

impl PlainLoop for AlongRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { turned, left, along, pixels } = self;
        for ((first, weights), pixel) in along.runs().zip(pixels.as_chunks_mut().0) {
            let turned = &turned[TURNED * (first - left)..];
            weigh_block::<TURNED>(turned, TURNED, weights, along.bits(), pixel);
        }
    }
}

/// Writes rows as columns: 16 bytes of each row, one below the other, for each byte of a row.
fn turn_rows(rows: &[u8], stride: usize, turned: &mut [u8]) {
    for (column, block) in turned.as_chunks_mut::<{ ROWS * ROWS }>().0.iter_mut().enumerate() {
        let mut bytes = [0; ROWS * ROWS];
        for (r, row) in bytes.as_chunks_mut::<ROWS>().0.iter_mut().enumerate() {
            row.copy_from_slice(&rows[r * stride + column * ROWS..][..ROWS]);
        }
        *block = transposed(bytes);
    }
}

/// Writes columns as the rows of `out`, each `width` bytes long.
fn turn_back(pixels: &[u8], width: usize, out: &mut [u8]) {
    for (column, block) in pixels.as_chunks::<{ ROWS * ROWS }>().0.iter().enumerate() {
        let bytes = transposed(*block);
        let begin = column * ROWS;
        for (row, bytes) in out.chunks_exact_mut(width).zip(bytes.as_chunks::<ROWS>().0) {
            match row[begin..].first_chunk_mut::<ROWS>() {
                Some(row) => *row = *bytes,
                None => row[begin..].copy_from_slice(&bytes[..width - begin]),
            }
        }
    }
}

/// 16 x 16 bytes, rows as columns: each shuffle moves one bit of the column's number to that of the row.
fn transposed(bytes: [u8; ROWS * ROWS]) -> [u8; ROWS * ROWS] {
    shuffled(shuffled(shuffled(shuffled(bytes))))
}

/// The first half of the bytes, and the second between them.
fn shuffled(bytes: [u8; ROWS * ROWS]) -> [u8; ROWS * ROWS] {
    const HALF: usize = ROWS * ROWS / 2;
    let mut out = [0; ROWS * ROWS];
    for i in 0..HALF {
        out[2 * i] = bytes[i];
        out[2 * i + 1] = bytes[HALF + i];
    }
    out
}

/// The last block reaches back over the one before it, so that all are equally wide.
#[inline(always)]
fn weigh_blocks<const N: usize>(
    rows: &[u8],
    stride: usize,
    weights: &[i16],
    bits: u32,
    out: &mut [u8],
) {
    let last = out.len() - N;
    for begin in (0..out.len()).step_by(N) {
        let begin = begin.min(last);
        let block = out[begin..].first_chunk_mut().expect("at most the last block");
        weigh_block::<N>(&rows[begin..], stride, weights, bits, block);
    }
}

/// `out[i]`: the sum of what stands at `i` of each row, times the row's weight, rounded, from 0 to 255.
///
/// In this form the sums stay in registers; with two weights at a time, or as rows of sums, they do not, or there are
/// no vectors at all.
#[inline(always)]
fn weigh_block<const N: usize>(
    rows: &[u8],
    stride: usize,
    weights: &[i16],
    bits: u32,
    out: &mut [u8; N],
) {
    let mut sums = [(1 << bits) >> 1; N];
    for (number, weight) in weights.iter().enumerate() {
        let row: &[u8; N] = rows[number * stride..].first_chunk().expect("rows are long enough");
        for i in 0..N {
            sums[i] += i32::from(row[i]) * i32::from(*weight);
        }
    }
    for i in 0..N {
        #[expect(clippy::cast_sign_loss, reason = "0 to 255")]
        let level = (sums[i] >> bits).clamp(0, 255) as u8;
        out[i] = level;
    }
}
