//! A convolution in bands of rows: what a band reads and gives stays near the processor, and threads may share a picture.
//!
//! ```text
//! for each band, in turn, by whichever thread comes first:
//!     the rows that it reads, with their border, to memory of the thread
//!     the product, to where it belongs; or to the same memory, and the largest of each 2 x 2 of it to where that belongs
//! ```
//! Every number is made by the same sum whatever the bands are.

use super::run;
use crate::aligned::aligned;
use crate::convolution::{Geometry, Taps, WindowProduct};
use crate::kernels::Number;
use crate::path::KernelPath;
use crate::pooling::Maximum;
use crate::take_turns::take_turns;

/// About the most numbers that a band reads and gives.
const BAND: usize = 1 << 14;
/// Multiplications from which on a picture is worth more than one thread, and bands for each of them then.
const SHARED: usize = 1 << 18;
const BANDS: usize = 2;

/// A convolution of one picture.
pub(super) struct Picture<'p, T> {
    pub(super) path: KernelPath,
    pub(super) geometry: &'p Geometry,
    /// Those of the picture with its border.
    pub(super) taps: Taps,
    pub(super) x: &'p [T],
    pub(super) weights: &'p [T],
    pub(super) bias: Option<&'p [T]>,
    pub(super) relu: bool,
    /// Whether the largest of each 2 x 2 is what is wanted.
    pub(super) maximum: bool,
}

/// Numbers that a band of so many rows of the output reads, and those that it gives.
fn numbers(geometry: &Geometry, rows: usize) -> [usize; 2] {
    let [_, columns, units] = geometry.output;
    let read = rows.saturating_sub(1) * geometry.stride[0] + geometry.kernel[0];
    [read * geometry.bordered().row_pitch(), rows * columns * units]
}

/// Rows of the output in a band, for as many threads.
fn rows(geometry: &Geometry, maximum: bool, threads: usize) -> usize {
    let [rows, columns, units] = geometry.output;
    let of_a_row: usize = numbers(geometry, 1).iter().sum();
    let bands = (rows * of_a_row).div_ceil(BAND);
    let (_, taps) = geometry.weights();
    let is_worthwhile = rows * columns * units * taps >= SHARED;
    let bands = if threads > 1 && is_worthwhile { bands.max(BANDS * threads) } else { bands };
    let rows = rows.div_ceil(bands.max(1)).max(1);
    if maximum { rows.next_multiple_of(2) } else { rows }
}

/// Numbers of memory that a thread needs beside others.
pub(super) fn memory(geometry: &Geometry, maximum: bool) -> usize {
    let [read, given] = numbers(geometry, rows(geometry, maximum, 1));
    // Up to a line of the cache more, so that both begin at one.
    read.next_multiple_of(LINE) + if maximum { given } else { 0 }
}

/// Numbers that what is read is filled up to.
const LINE: usize = 16;

impl<T: Number> Picture<'_, T> {
    /// Writes what is wanted to `out`, on as many threads of the surrounding pool as there are memories.
    pub(super) fn run(&self, memories: &mut [Vec<T>], out: &mut [T]) {
        let rows = rows(self.geometry, self.maximum, memories.len());
        let [_, given] = numbers(self.geometry, rows);
        let given = if self.maximum { given / 4 } else { given };
        let bands = out.chunks_mut(given.max(1)).enumerate();
        let used = memories.len().min(bands.len());
        let size = memory(self.geometry, self.maximum);
        // All of it now: a thread may come to its first band later.
        memories[..used].iter_mut().for_each(|memory| _ = aligned(memory, size));
        take_turns(&mut memories[..used], bands, |memory, band, out| {
            self.band(band * rows, rows, aligned(memory, size), out);
        });
    }

    /// The rows from `first` on, `most` of them or as many as there are.
    fn band(&self, first: usize, most: usize, memory: &mut [T], out: &mut [T]) {
        let rows = most.min(self.geometry.output[0] - first);
        let bordered = self.geometry.bordered();
        let [read, given] = numbers(self.geometry, rows);
        let from = first * self.geometry.stride[0];
        let (own, rest) = memory.split_at_mut(read.next_multiple_of(LINE).min(memory.len()));
        let (x, row_pitch) = if let Some(pitch) = bordered.without_border() {
            (self.x.get(from * pitch..).unwrap_or(&[]), pitch)
        } else {
            bordered.fill(from, self.x, &mut own[..read], |from, to| to.copy_from_slice(from));
            (&own[..read], bordered.row_pitch())
        };
        let taps = &Taps { rows, row_pitch, ..self.taps };
        let Self { path, weights, bias, relu, .. } = *self;
        let product = |out: &mut [T]| {
            run(path, WindowProduct { taps, x, weights, bias, relu, out });
        };
        if !self.maximum {
            return product(out);
        }
        let made = &mut rest[..given];
        product(made);
        let [_, columns, units] = self.geometry.output;
        path.vectorized(Maximum { width: columns, channels: units, x: made, out });
    }
}
