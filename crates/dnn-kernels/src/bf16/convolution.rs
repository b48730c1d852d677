//! Convolutions of a picture in bf16: the memory that they work in beside that of [`Convolution`](crate::Convolution).

use super::gradient::{Gradient, add_gradient};
use super::instructions::Instructions;
use super::layout::{Rows, join_neighbours, join_rows};
use super::product::{Product, Start, multiply};
use super::rounding::round;
use crate::aligned::aligned;
use crate::convolution::{Geometry, Taps};

/// Memory for convolutions in bf16, used again from one picture to the next.
#[derive(Debug, Clone, Default)]
pub(crate) struct ConvolutionPairs {
    instructions: Instructions,
    /// Packed weights, pairs of taps.
    weights: Vec<u32>,
    /// A picture with its border.
    picture: Vec<u16>,
    /// Each of its numbers with that of the next pixel.
    neighbours: Vec<u32>,
    /// Pairs of pixels of a gradient.
    dz: Vec<u32>,
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

    /// Takes all memory that convolutions of this geometry work in, forward and back.
    pub(crate) fn reserve(&mut self, geometry: &Geometry) {
        let exchanged = geometry.exchanged();
        let packed = |taps: &Taps| taps.groups * Product::of_taps(taps).packed();
        aligned(&mut self.weights, packed(&geometry.taps()).max(packed(&exchanged.taps())));
        let numbers = geometry.numbers_in().max(geometry.padded_numbers());
        let read = numbers + beyond(geometry);
        aligned(&mut self.picture, read.max(exchanged.numbers_in() + beyond(&exchanged)));
        aligned(&mut self.neighbours, numbers);
        let gradient = Gradient::of_taps(&geometry.taps());
        aligned(&mut self.dz, gradient.pixels());
    }

    /// Takes over packed weights of `f32`.
    pub(crate) fn pack(&mut self, taps: &Taps, packed: &[f32]) {
        let product = Product::of_taps(taps);
        let to = aligned(&mut self.weights, taps.groups * product.packed());
        let step = taps.columns;
        let pieces = packed.chunks_exact((taps.run * step).max(1));
        for (from, to) in pieces.zip(to.chunks_exact_mut((product.pairs * step).max(1))) {
            let rows = Rows { from, count: taps.run, width: step, step };
            join_rows(self.instructions, rows, to, step);
        }
    }

    /// The convolution of one picture with weights that were [taken over](Self::pack).
    pub(crate) fn forward(&mut self, geometry: &Geometry, x: &[f32], outputs: Outputs<'_>) {
        let (x, taps) = padded(self.instructions, geometry, x, &mut self.picture);
        run(self.instructions, &taps, x, &mut self.weights, outputs);
    }

    /// The gradient of the input, with exchanged weights that were [taken over](Self::pack).
    pub(crate) fn input_gradient(&mut self, geometry: &Geometry, dz: &[f32], dx: &mut [f32]) {
        let taps = geometry.exchanged().taps();
        let picture = spread(self.instructions, geometry, dz, &mut self.picture);
        let outputs = Outputs { bias: None, out: dx };
        run(self.instructions, &taps, picture, &mut self.weights, outputs);
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
        let (x, taps) = padded(instructions, geometry, x, &mut self.picture);
        let apart = beyond(geometry);
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
fn run(
    instructions: Instructions,
    taps: &Taps,
    x: &[u16],
    weights: &mut Vec<u32>,
    outputs: Outputs<'_>,
) {
    let Outputs { bias, out } = outputs;
    let product = Product::of_taps(taps);
    let size = product.packed();
    let weights = aligned(weights, taps.groups * size);
    for (group, weights) in weights.chunks_exact(size.max(1)).enumerate() {
        let units = group * taps.units;
        let start = bias.map_or(Start::Zero, |bias| Start::Bias(&bias[units..][..taps.units]));
        let x = &x[group * taps.inputs()..];
        multiply(instructions, &product, x, weights, start, &mut out[units..]);
    }
}

/// Numbers beyond the last window that its last pair may reach, or with which its last pixel makes pairs.
fn beyond(geometry: &Geometry) -> usize {
    geometry.stride[1] * geometry.input[2]
}

/// The picture in bf16 with its border, and how its numbers are reached.
fn padded<'p>(
    instructions: Instructions,
    geometry: &Geometry,
    x: &[f32],
    memory: &'p mut Vec<u16>,
) -> (&'p [u16], Taps) {
    assert_eq!(x.len(), geometry.numbers_in(), "inputs of another convolution");
    let taps = geometry.taps();
    let [_, width, channels] = geometry.input;
    if geometry.is_inside() {
        let to = aligned(memory, x.len() + beyond(geometry));
        let (numbers, rest) = to.split_at_mut(x.len());
        round(instructions, x, numbers);
        rest.fill(0);
        return (to, Taps { row_pitch: width * channels, ..taps });
    }
    let pitch = taps.row_pitch;
    let [rows, _] = geometry.read();
    let to = aligned(memory, rows * pitch + beyond(geometry));
    let [above, left] = geometry.before;
    let start = (left * channels).min(pitch);
    let len = (pitch - start).min(width * channels);
    let (picture, rest) = to.split_at_mut(rows * pitch);
    rest.fill(0);
    for (row, to) in picture.chunks_exact_mut(pitch.max(1)).enumerate() {
        let from = row.checked_sub(above).filter(|&row| row < geometry.input[0]);
        let Some(row) = from else {
            to.fill(0);
            continue;
        };
        to[..start].fill(0);
        let from = &x[row * width * channels..][..len];
        round(instructions, from, &mut to[start..start + len]);
        to[start + len..].fill(0);
    }
    (to, taps)
}

/// The gradient of the output in bf16 where the windows of the [exchanged](Geometry::exchanged) convolution find it: its
/// pixels a stride apart, in a border.
fn spread<'p>(
    instructions: Instructions,
    geometry: &Geometry,
    dz: &[f32],
    memory: &'p mut Vec<u16>,
) -> &'p [u16] {
    assert_eq!(dz.len(), geometry.numbers_out(), "a gradient of another convolution");
    let [_, columns, units] = geometry.output;
    let [rows_to, columns_to, _] = geometry.exchanged().input;
    let to = aligned(memory, rows_to * columns_to * units + units);
    to.fill(0);
    // Where a pixel comes to lie on an axis, if that is read at all.
    let place = |axis: usize, at: usize, end: usize| {
        let place = at * geometry.stride[axis] + geometry.kernel[axis] - 1;
        place.checked_sub(geometry.before[axis]).filter(|&place| place < end)
    };
    // Pixels side by side stay so: a row is one piece.
    let at_a_time = if geometry.stride[1] == 1 { columns } else { 1 };
    for (row, from) in dz.chunks_exact((columns * units).max(1)).enumerate() {
        let Some(row) = place(0, row, rows_to) else { continue };
        let mut column = 0;
        while column < columns {
            let Some(to_column) = place(1, column, columns_to) else {
                column += 1;
                continue;
            };
            let pixels = at_a_time.min(columns - column).min(columns_to - to_column);
            let from = &from[column * units..][..pixels * units];
            let to = &mut to[(row * columns_to + to_column) * units..][..pixels * units];
            round(instructions, from, to);
            column += pixels;
        }
    }
    to
}
