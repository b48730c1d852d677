//! Products of pixels, as whole numbers.
//!
//! With `x = f p + o` for the pixels `p` of a channel, the product of two examples is a sum over channels of
//! `f^2 p q + f o p + f o q + o^2`, of which only the first needs all pairs:
//!
//! ```text
//! for a panel of 128 examples of the right side, for examples of the left side:
//!     sums of p q, exactly, for pixels that have one factor (of bytes: p (q - 128) and 128 times the sum of p)
//!     f^2 times these sums, and the shifts of both examples, and the constant, in f64
//! ```

use std::ops::Range;

use dnn_kernels::gram::{
    BYTE_ROWS, BYTE_SHIFT, BYTES, ByteStep, PANEL, ROWS, STEP, Step, add_byte_products,
    add_products, has_byte_products,
};
use dnn_kernels::{Pairs, for_each_part};
use ndarray::{ArrayView2, Axis, s};

use crate::pixel_scaling::Affine;
use crate::{Element, PixelScaling};

/// Pixels of a row of whole numbers. Fewer than 33,026 of them fit into 32 bits whatever they are; rows that
/// are a multiple of 4 KiB apart would meet in the same places of the cache.
const CHUNK: usize = 1024 - STEP;

/// Bytes of a row, and rows of the left side, whose products are made at a time: both sides stay near the
/// processor. The right side is copied once for so many rows.
const BYTE_CHUNK: usize = 4096 - BYTES;
const BYTE_BLOCK: usize = 11 * BYTE_ROWS;
const BYTE_BLOCKS: usize = 6 * BYTE_BLOCK;

/// Buffers of a task on whole numbers.
#[derive(Default)]
pub(super) struct Scratch {
    left: Vec<Step>,
    right: Vec<Step>,
    left_bytes: Vec<ByteStep>,
    right_bytes: Vec<ByteStep>,
    products: Vec<i32>,
    sums: Vec<i64>,
    totals: Vec<f64>,
}

/// One side of a product of pixels.
pub(super) struct PixelSide<'a> {
    pub(super) values: ArrayView2<'a, u8>,
    /// For each example, the sum over its pixels of factor times offset times pixel.
    pub(super) shifts: Vec<f64>,
    /// The sums of the pixels of each example, where all have one factor and are contiguous, and there are
    /// products of bytes.
    pub(super) sums: Option<Vec<i64>>,
}

impl<'a> PixelSide<'a> {
    pub(super) fn new(products: &PixelProducts, values: ArrayView2<'a, u8>) -> Self {
        let is_contiguous = values.nrows() <= 1 || values.strides()[0] == 1;
        let of_bytes = has_byte_products() && products.planes.len() == 1 && is_contiguous;
        let sums = of_bytes.then(|| {
            let mut sums = vec![0; values.ncols()];
            let examples = Pairs { first: &mut sums[..], second: values.axis_iter(Axis(1)) };
            for_each_part(examples, &|_, (sum, example)| {
                *sum = example.iter().map(|&x| i64::from(x)).sum();
            });
            sums
        });
        Self { values, shifts: products.shifts(values), sums }
    }

    /// Copies some pixels of each of some examples, with zeros up to a whole step, and rows of anything up to
    /// `count`.
    fn pack_bytes(
        &self,
        examples: Range<usize>,
        count: usize,
        pixels: &Range<usize>,
        out: &mut Vec<ByteStep>,
    ) {
        let steps = pixels.len().div_ceil(BYTES);
        out.resize(count * steps, ByteStep([0; BYTES]));
        for (example, row) in examples.zip(out.chunks_exact_mut(steps)) {
            let pixels = self.values.slice(s![pixels.clone(), example]);
            let pixels = pixels.to_slice().expect("contiguous pixels");
            for (to, pixels) in row.iter_mut().zip(pixels.chunks(BYTES)) {
                to.0[..pixels.len()].copy_from_slice(pixels);
                to.0[pixels.len()..].fill(0);
            }
        }
    }
}

/// Pixels that have the same factor: every `step`-th from `first` on.
#[derive(Clone, Copy)]
struct Plane {
    first: usize,
    step: usize,
    pixels: usize,
    factor: f64,
}

/// Some pixels of a plane.
#[derive(Clone)]
struct PlaneChunk {
    plane: Plane,
    chunk: Range<usize>,
}

/// The first example of the left side, and the first of the right side, of some products.
#[derive(Clone, Copy)]
pub(super) struct Corner {
    pub(super) row: usize,
    pub(super) column: usize,
}

/// How products of scaled pixels come of products of pixels: with `x = f p + o` for the pixels `p` of each
/// channel, `x y = f^2 p q + f o p + f o q + o^2`.
pub(super) struct PixelProducts {
    planes: Vec<Plane>,
    /// How the pixels of each channel are scaled.
    affines: Vec<Affine<f64>>,
    /// The sum of the squared offsets over all features.
    constant: f64,
}

impl PixelProducts {
    pub(super) fn new<T: Element>(values: ArrayView2<'_, u8>, scaling: PixelScaling) -> Self {
        let channels = scaling.channels();
        // What the plain products use, rounding included.
        let affine = |channel: usize| {
            let Affine { factor, offset }: Affine<T> = scaling.affine(channel);
            Affine { factor: factor.into(), offset: offset.into() }
        };
        let affines: Vec<Affine<f64>> = (0..channels).map(affine).collect();
        let features = values.nrows();
        let of_channel = |first: usize| features.saturating_sub(first).div_ceil(channels);
        let factor = affines[0].factor;
        let planes = if affines.iter().all(|affine| affine.factor == factor) {
            vec![Plane { first: 0, step: 1, pixels: features, factor }]
        } else {
            let factors = affines.iter().map(|affine| affine.factor).enumerate();
            let plane =
                |first, factor| Plane { first, step: channels, pixels: of_channel(first), factor };
            factors.map(|(first, factor)| plane(first, factor)).collect()
        };
        let offsets = affines.iter().map(|affine| affine.offset).enumerate();
        let squares = offsets.map(|(channel, offset)| of_channel(channel) as f64 * offset * offset);
        let constant = squares.sum();
        Self { planes, affines, constant }
    }

    /// [`PixelSide::shifts`] of these pixels.
    pub(super) fn shifts(&self, values: ArrayView2<'_, u8>) -> Vec<f64> {
        let mut shifts = vec![0.0; values.ncols()];
        if self.affines.iter().any(|affine| affine.offset != 0.0) {
            let examples = Pairs { first: &mut shifts[..], second: values.axis_iter(Axis(1)) };
            for_each_part(examples, &|_, (shift, example)| {
                for (channel, Affine { factor, offset }) in self.affines.iter().enumerate() {
                    let pixels = example.iter().skip(channel).step_by(self.affines.len());
                    let sum: u64 = pixels.map(|&pixel| u64::from(pixel)).sum();
                    *shift += factor * offset * sum as f64;
                }
            });
        }
        shifts
    }

    /// The pieces of each plane, none of them empty.
    fn chunks(&self) -> impl Iterator<Item = PlaneChunk> {
        self.planes.iter().flat_map(|&plane| {
            let starts = (0..plane.pixels).step_by(CHUNK);
            let end = move |start| plane.pixels.min(start + CHUNK);
            starts.map(move |start| PlaneChunk { plane, chunk: start..end(start) })
        })
    }

    /// The products of the examples from `corner` on: rows of the left side with one panel's columns of the right
    /// side. `panel` begins with the first of these rows.
    pub(super) fn panel<T: Element>(
        &self,
        [left, right]: [&PixelSide<'_>; 2],
        corner: Corner,
        scratch: &mut Scratch,
        panel: &mut [T],
    ) {
        if let (Some(sums), Some(_)) = (&left.sums, &right.sums) {
            return self.panel_of_bytes([left, right], sums, corner, scratch, panel);
        }
        let Corner { row: from, column: first } = corner;
        let Scratch { left: a, right: b, products, sums, totals, .. } = scratch;
        let columns = first..right.values.ncols().min(first + PANEL);
        let rows = left.values.ncols();
        sums.clear();
        sums.resize((rows - from).next_multiple_of(ROWS) * PANEL, 0);
        totals.clear();
        totals.resize(sums.len(), 0.0);
        for pixels in self.chunks() {
            let PlaneChunk { plane, chunk } = pixels.clone();
            pack(right.values, columns.clone(), PANEL, pixels.clone(), b);
            let blocks = (from..rows).step_by(PANEL).zip(sums.chunks_mut(PANEL * PANEL));
            for (start, sums) in blocks {
                let examples = start..rows.min(start + PANEL);
                let count = sums.len() / PANEL;
                pack(left.values, examples, count, pixels.clone(), a);
                products.clear();
                products.resize(sums.len(), 0);
                add_products(a, b, chunk.len().div_ceil(STEP), products);
                sums.iter_mut().zip(&*products).for_each(|(sum, &it)| *sum += i64::from(it));
            }
            if chunk.end == plane.pixels {
                // Below 2^53, and so exact, as long as there are fewer than 2^37 features.
                let scale = plane.factor * plane.factor;
                for (total, sum) in totals.iter_mut().zip(&mut *sums) {
                    *total += scale * std::mem::take(sum) as f64;
                }
            }
        }
        let out = panel.chunks_exact_mut(PANEL).zip(&left.shifts[from..]);
        for ((out, shift), totals) in out.zip(totals.chunks_exact(PANEL)) {
            let shift = shift + self.constant;
            for ((out, &total), other) in out.iter_mut().zip(totals).zip(columns.clone()) {
                *out = T::from_f64(total + (shift + right.shifts[other]));
            }
        }
    }

    /// The same by products of bytes; `left_sums` are those of the left side.
    fn panel_of_bytes<T: Element>(
        &self,
        [left, right]: [&PixelSide<'_>; 2],
        left_sums: &[i64],
        corner: Corner,
        scratch: &mut Scratch,
        panel: &mut [T],
    ) {
        let Corner { row: from, column: first } = corner;
        let Scratch { left_bytes: a, right_bytes: b, products, sums, .. } = scratch;
        let columns = first..right.values.ncols().min(first + PANEL);
        let (rows, features) = (left.values.ncols(), left.values.nrows());
        let scale = self.planes[0].factor * self.planes[0].factor;
        for start in (from..rows).step_by(BYTE_BLOCKS) {
            let examples = start..rows.min(start + BYTE_BLOCKS);
            sums.clear();
            sums.resize(examples.len().next_multiple_of(BYTE_ROWS) * PANEL, 0);
            for first in (0..features).step_by(BYTE_CHUNK) {
                let chunk = first..features.min(first + BYTE_CHUNK);
                right.pack_bytes(columns.clone(), PANEL, &chunk, b);
                let blocks = examples.clone().step_by(BYTE_BLOCK);
                for (start, sums) in blocks.zip(sums.chunks_mut(BYTE_BLOCK * PANEL)) {
                    let block = start..examples.end.min(start + BYTE_BLOCK);
                    left.pack_bytes(block, sums.len() / PANEL, &chunk, a);
                    products.clear();
                    products.resize(sums.len(), 0);
                    add_byte_products(a, b, chunk.len().div_ceil(BYTES), products);
                    sums.iter_mut().zip(&*products).for_each(|(sum, &it)| *sum += i64::from(it));
                }
            }
            let out = panel[(start - from) * PANEL..].chunks_exact_mut(PANEL).zip(examples);
            for ((out, example), sums) in out.zip(sums.chunks_exact(PANEL)) {
                let shift = left.shifts[example] + self.constant;
                let missing = i64::from(BYTE_SHIFT) * left_sums[example];
                for ((out, &sum), other) in out.iter_mut().zip(sums).zip(columns.clone()) {
                    let total = scale * (sum + missing) as f64;
                    *out = T::from_f64(total + (shift + right.shifts[other]));
                }
            }
        }
    }
}

/// Writes the pixels `chunk` of a plane as whole numbers, a row for each of the examples `columns`, with zeros
/// where there is none, and rows of zeros up to `count`.
fn pack(
    values: ArrayView2<'_, u8>,
    columns: Range<usize>,
    count: usize,
    pixels: PlaneChunk,
    out: &mut Vec<Step>,
) {
    let PlaneChunk { plane, chunk } = pixels;
    let steps = chunk.len().div_ceil(STEP);
    out.resize(count * steps, Step([0; STEP]));
    let mut rows = out.chunks_exact_mut(steps);
    for (column, row) in columns.zip(&mut rows) {
        let first = plane.first + chunk.start * plane.step;
        let pixels = values.slice(s![first..;plane.step, column]);
        // The last step may be a part of one.
        row[steps - 1].0.fill(0);
        if let Some(pixels) = pixels.as_slice() {
            let pixels = &pixels[..chunk.len()];
            let (whole, rest) = pixels.as_chunks::<STEP>();
            for (to, pixels) in row.iter_mut().zip(whole) {
                to.0 = pixels.map(i16::from);
            }
            let last = row[steps - 1].0.iter_mut();
            last.zip(rest).for_each(|(to, &pixel)| *to = i16::from(pixel));
        } else {
            let numbers = row.iter_mut().flat_map(|step| &mut step.0).take(chunk.len());
            numbers.zip(pixels).for_each(|(to, &pixel)| *to = i16::from(pixel));
        }
    }
    rows.for_each(|row| row.fill(Step([0; STEP])));
}
