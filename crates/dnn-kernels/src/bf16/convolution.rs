//! Convolutions of a picture in bf16: the memory that they work in beside that of [`Convolution`](crate::Convolution).

use super::gradient::{Gradient, add_gradient};
use super::instructions::Instructions;
use super::layout::{Rows, join_neighbours, join_rows};
use super::product::{Product, Start, multiply};
use super::rounding::round;
use crate::aligned::aligned;
use crate::convolution::{Bordered, Geometry, Taps};

/// Memory for convolutions in bf16, used again from one picture to the next.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConvolutionPairs {
    instructions: Instructions,
    /// A picture with its border.
    picture: Vec<u16>,
    /// Each of its numbers with that of the next pixel.
    neighbours: Vec<u32>,
    /// Pairs of pixels of a gradient.
    dz: Vec<u32>,
}

/// Packed weights in pairs of taps.
#[derive(Debug, Clone, Default)]
pub(crate) struct WeightPairs {
    instructions: Instructions,
    pairs: Vec<u32>,
}

impl WeightPairs {
    /// Takes over packed weights of `f32`, which are those of convolutions one after another.
    pub(crate) fn pack(&mut self, parts: impl Iterator<Item = Taps> + Clone, packed: &[f32]) {
        let count = parts.clone().map(|taps| packed_pairs(&taps)).sum();
        self.pairs.resize(count, 0);
        let (mut from, mut to) = (packed, &mut self.pairs[..]);
        for taps in parts {
            let (own, rest) = from.split_at(taps.packed());
            let (own_to, rest_to) = to.split_at_mut(packed_pairs(&taps));
            (from, to) = (rest, rest_to);
            let (product, step) = (Product::of_taps(&taps), taps.columns);
            let pieces = own.chunks_exact((taps.run * step).max(1));
            for (from, to) in pieces.zip(own_to.chunks_exact_mut((product.pairs * step).max(1))) {
                let rows = Rows { from, count: taps.run, width: step, step };
                join_rows(self.instructions, rows, to, step);
            }
        }
    }
}

/// Pairs of the packed weights of all groups.
fn packed_pairs(taps: &Taps) -> usize {
    taps.groups * Product::of_taps(taps).packed()
}

/// The bias, and where the output goes.
pub(crate) struct Outputs<'a> {
    pub(crate) bias: Option<&'a [f32]>,
    pub(crate) out: &'a mut [f32],
}

impl ConvolutionPairs {
    #[cfg(test)]
    pub(crate) fn with(instructions: Instructions) -> Self {
        Self { instructions, ..Self::default() }
    }

    /// Room for weights for these.
    #[cfg(test)]
    pub(crate) fn room(&self) -> WeightPairs {
        WeightPairs { instructions: self.instructions, pairs: Vec::new() }
    }

    /// Takes all memory that convolutions of this geometry work in, forward and back.
    pub(crate) fn reserve(&mut self, geometry: &Geometry) {
        let numbers = geometry.numbers_in().max(geometry.bordered().numbers());
        let back = geometry.numbers_out().max(geometry.bordered_gradient().numbers());
        aligned(&mut self.picture, (numbers + beyond(geometry)).max(back + geometry.output[2]));
        aligned(&mut self.neighbours, numbers);
        let gradient = Gradient::of_taps(&geometry.taps());
        aligned(&mut self.dz, gradient.pixels());
    }

    /// The convolution of one picture.
    pub(crate) fn forward(
        &mut self,
        geometry: &Geometry,
        weights: &WeightPairs,
        x: &[f32],
        outputs: Outputs<'_>,
    ) {
        let bordered = geometry.bordered();
        let x = rounded(self.instructions, bordered, beyond(geometry), x, &mut self.picture);
        let taps = Taps { row_pitch: bordered.pitch(), ..geometry.taps() };
        run(self.instructions, &taps, x, &weights.pairs, outputs);
    }

    /// The gradient of the input, with exchanged weights.
    pub(crate) fn input_gradient(
        &mut self,
        geometry: &Geometry,
        weights: &WeightPairs,
        dz: &[f32],
        dx: &mut [f32],
    ) {
        let bordered = geometry.bordered_gradient();
        let more = geometry.output[2];
        let dz = rounded(self.instructions, bordered, more, dz, &mut self.picture);
        let mut weights = &weights.pairs[..];
        for phase in geometry.phases() {
            let (own, rest) = weights.split_at(packed_pairs(&phase.taps));
            weights = rest;
            if phase.taps.is_needed() {
                let (taps, begins) = phase.reached(bordered.pitch());
                // Without a tap nothing is read.
                let x = dz.get(begins..).unwrap_or(&[]);
                let outputs = Outputs { bias: None, out: &mut dx[phase.out..] };
                run(self.instructions, &taps, x, own, outputs);
            }
        }
    }

    /// Adds what one picture gives to the sums of the gradient of the weights.
    pub(crate) fn add_gradient(
        &mut self,
        geometry: &Geometry,
        x: &[f32],
        dz: &[f32],
        sums: &mut [f32],
    ) {
        let instructions = self.instructions;
        let (apart, bordered) = (beyond(geometry), geometry.bordered());
        let x = rounded(instructions, bordered, apart, x, &mut self.picture);
        let taps = Taps { row_pitch: bordered.pitch(), ..geometry.taps() };
        let neighbours = aligned(&mut self.neighbours, x.len() - apart);
        join_neighbours(instructions, x, apart, neighbours);
        let gradient = Gradient::of_taps(&taps);
        let pixels = aligned(&mut self.dz, gradient.pixels());
        for (group, sums) in sums.chunks_exact_mut(taps.packed() / taps.groups).enumerate() {
            let row = (gradient.pairs * gradient.columns).max(1);
            let rows = dz.chunks_exact((taps.columns_out * taps.pixel_out).max(1));
            for (from, to) in rows.zip(pixels.chunks_exact_mut(row)) {
                let (from, width) = (&from[group * taps.units..], taps.units);
                let rows = Rows { from, count: taps.columns_out, width, step: taps.pixel_out };
                join_rows(instructions, rows, to, gradient.columns);
            }
            let x = &neighbours[group * taps.inputs()..];
            add_gradient(instructions, &gradient, x, pixels, sums);
        }
    }
}

/// The product of a picture with packed weights, group by group.
fn run(instructions: Instructions, taps: &Taps, x: &[u16], weights: &[u32], outputs: Outputs<'_>) {
    let Outputs { bias, out } = outputs;
    let product = Product::of_taps(taps);
    let size = product.packed();
    for group in 0..taps.groups {
        let (weights, units) = (&weights[group * size..][..size], group * taps.units);
        let start = bias.map_or(Start::Zero, |bias| Start::Bias(&bias[units..][..taps.units]));
        // Without a tap nothing is read.
        let x = x.get(group * taps.inputs()..).unwrap_or(&[]);
        multiply(instructions, &product, x, weights, start, &mut out[units..]);
    }
}

/// Numbers beyond the last window that its last pair may reach, or with which its last pixel makes pairs.
fn beyond(geometry: &Geometry) -> usize {
    geometry.stride[1] * geometry.input[2]
}

/// A picture in bf16 with its border, and so many zeros behind it.
fn rounded<'p>(
    instructions: Instructions,
    bordered: Bordered,
    zeros: usize,
    x: &[f32],
    memory: &'p mut Vec<u16>,
) -> &'p [u16] {
    let is_whole = bordered.without_border().is_some();
    let numbers = if is_whole { x.len() } else { bordered.numbers() };
    let to = aligned(memory, numbers + zeros);
    let (picture, rest) = to.split_at_mut(numbers);
    rest.fill(0);
    if is_whole {
        round(instructions, x, picture);
    } else {
        bordered.fill(0, x, picture, |from, to| round(instructions, from, to));
    }
    to
}
