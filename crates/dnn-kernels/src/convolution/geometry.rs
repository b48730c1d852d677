//! Where the windows of a convolution lie, and how their numbers are reached.

use ndarray::{ArrayView2, ArrayViewMut2, NdFloat};

use crate::aligned::aligned;

/// Units are filled up to a multiple of this, so that whole vectors can be read.
const VECTOR: usize = 16;

/// Where the windows of a convolution lie in a picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Geometry {
    /// Rows, columns and channels of what is read.
    pub input: [usize; 3],
    /// Rows, columns and units of what is written.
    pub output: [usize; 3],
    /// Rows and columns of a window.
    pub kernel: [usize; 2],
    /// Rows and columns from one window to the next.
    pub stride: [usize; 2],
    /// Rows above the picture and columns to its left that the first window begins with. Below and to the right, a
    /// window may reach as far out of the picture as it has to.
    pub before: [usize; 2],
    /// Channels and units are divided into so many groups; the units of each read its channels alone.
    pub groups: usize,
}

impl Geometry {
    /// Panics unless every number can be.
    pub(crate) fn check(&self) {
        let [_, _, channels] = self.input;
        let [_, _, units] = self.output;
        assert!(
            self.kernel.iter().chain(&self.stride).all(|&number| number > 0) && self.groups > 0,
            "a window has a size and a stride"
        );
        assert!(
            channels.is_multiple_of(self.groups) && units.is_multiple_of(self.groups),
            "groups of as many channels and units each"
        );
    }

    /// Rows and columns of the weights.
    pub(crate) fn weights(&self) -> (usize, usize) {
        let [rows, columns] = self.kernel;
        (self.output[2], rows * columns * self.input[2] / self.groups)
    }

    pub(crate) fn numbers_in(&self) -> usize {
        self.input.iter().product()
    }

    pub(crate) fn numbers_out(&self) -> usize {
        self.output.iter().product()
    }

    /// The picture with its border, of exactly the rows and columns that windows read.
    pub(crate) fn bordered(&self) -> Bordered {
        let size = [0, 1].map(|axis| match self.output[axis] {
            0 => 0,
            places => (places - 1) * self.stride[axis] + self.kernel[axis],
        });
        Bordered { picture: self.input, before: self.before, size }
    }

    /// How the numbers are reached in a picture with its border.
    pub(crate) fn taps(&self) -> Taps {
        let [rows, columns, all_units] = self.output;
        let channels = self.input[2];
        let (inputs, units) = (channels / self.groups, all_units / self.groups);
        let in_one = self.groups == 1;
        let is_depthwise = self.is_depthwise();
        Taps {
            rows,
            columns_out: columns,
            row_pitch: self.bordered().row_pitch(),
            pixel_in: channels,
            pixel_out: all_units,
            row_out: columns * all_units,
            stride: self.stride,
            kernel_rows: self.kernel[0],
            pieces: if in_one { 1 } else { self.kernel[1] },
            run: if in_one { self.kernel[1] * inputs } else { inputs },
            units,
            columns: if is_depthwise { all_units } else { units }.next_multiple_of(VECTOR),
            groups: self.groups,
            is_depthwise,
        }
    }

    pub(crate) fn is_depthwise(&self) -> bool {
        self.groups > 1 && self.input[2] == self.groups && self.output[2] == self.groups
    }

    /// Numbers of a picture, or of the gradient of the output, with its border.
    pub(crate) fn bordered_numbers(&self) -> usize {
        self.bordered().numbers().max(self.bordered_gradient().numbers())
    }

    /// On an axis, the pixels of the input whose place has this remainder by the stride.
    fn phase_of_axis(&self, axis: usize, remainder: usize) -> AxisPhase {
        let (kernel, stride) = (self.kernel[axis], self.stride[axis]);
        let from_border = remainder + self.before[axis];
        let first = from_border % stride;
        AxisPhase {
            remainder,
            places: self.input[axis].saturating_sub(remainder).div_ceil(stride),
            first,
            count: kernel.saturating_sub(first).div_ceil(stride),
            last_window: from_border / stride,
        }
    }

    /// The gradient of the output with the border that all [phases](Self::phases) need.
    pub(crate) fn bordered_gradient(&self) -> Bordered {
        let phases =
            |axis: usize| (0..self.stride[axis]).map(move |it| self.phase_of_axis(axis, it));
        let before = [0, 1].map(|axis| {
            let needed = |it: AxisPhase| it.count.saturating_sub(it.last_window + 1);
            phases(axis).map(needed).max().unwrap_or(0)
        });
        let size = [0, 1].map(|axis| {
            let read = |it: AxisPhase| before[axis] + it.last_window + it.places;
            phases(axis).map(read).max().unwrap_or(0)
        });
        Bordered { picture: self.output, before, size }
    }

    /// The convolutions that give the gradient of the input, each that of every `stride`-th pixel: windows a pixel apart
    /// in the gradient of the output, by those taps of the weights that reach the pixel, the last one first.
    pub(crate) fn phases(&self) -> impl Iterator<Item = Phase> + Clone + use<> {
        let geometry = *self;
        let [down, right] = self.stride;
        let mut start = 0;
        (0..down * right).map(move |index| {
            let axes = [(0, index / right), (1, index % right)];
            let axes = axes.map(|(axis, remainder)| geometry.phase_of_axis(axis, remainder));
            let phase = geometry.phase(axes, start);
            start += phase.taps.packed();
            phase
        })
    }

    /// One of these convolutions, whose packed weights begin at `start`.
    fn phase(&self, axes: [AxisPhase; 2], start: usize) -> Phase {
        let [rows, columns] = axes;
        let (channels, all_units) = (self.input[2], self.output[2]);
        let (inputs, units) = (channels / self.groups, all_units / self.groups);
        let in_one = self.groups == 1;
        let is_depthwise = self.is_depthwise();
        let bordered = self.bordered_gradient();
        let taps = Taps {
            rows: rows.places,
            columns_out: columns.places,
            row_pitch: bordered.row_pitch(),
            pixel_in: all_units,
            pixel_out: self.stride[1] * channels,
            row_out: self.stride[0] * self.input[1] * channels,
            stride: [1, 1],
            kernel_rows: rows.count,
            pieces: if in_one { 1 } else { columns.count },
            run: if in_one { columns.count * units } else { units },
            units: inputs,
            columns: if is_depthwise { channels } else { inputs }.next_multiple_of(VECTOR),
            groups: self.groups,
            is_depthwise,
        };
        let begins = [0, 1].map(|axis| {
            (bordered.before[axis] + axes[axis].last_window + 1).saturating_sub(axes[axis].count)
        });
        let out = (rows.remainder * self.input[1] + columns.remainder) * channels;
        Phase { taps, axes, begins, out, start }
    }

    /// Numbers of the packed weights of all [phases](Self::phases).
    pub(crate) fn packed_for_phases(&self) -> usize {
        self.phases().map(|phase| phase.taps.packed()).sum()
    }
}

/// On an axis, pixels of the input a stride apart, and which taps of which windows reach them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct AxisPhase {
    /// Where the first of them lies.
    remainder: usize,
    /// How many there are.
    places: usize,
    /// The first tap that reaches them; all others are a stride apart.
    pub(crate) first: usize,
    /// How many taps reach them.
    pub(crate) count: usize,
    /// The last window that reaches the first pixel, by its `first` tap.
    last_window: usize,
}

/// A part of the gradient of the input as a convolution of its own.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Phase {
    pub(crate) taps: Taps,
    pub(crate) axes: [AxisPhase; 2],
    /// Row and column of the gradient with its border at which the first window begins.
    begins: [usize; 2],
    /// Where its first number lies in the gradient of the input.
    pub(crate) out: usize,
    /// Where its weights lie among those of all phases.
    pub(crate) start: usize,
}

impl Phase {
    /// How its numbers are reached in a picture of this pitch, and where the first window begins.
    pub(crate) fn reached(&self, row_pitch: usize) -> (Taps, usize) {
        let [row, column] = self.begins;
        (Taps { row_pitch, ..self.taps }, row * row_pitch + column * self.taps.pixel_in)
    }
}

/// A picture inside a border of zeros.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bordered {
    pub(crate) picture: [usize; 3],
    /// Rows above and columns to the left.
    pub(crate) before: [usize; 2],
    /// Rows and columns with the border; what of the picture lies beyond is not read.
    pub(crate) size: [usize; 2],
}

impl Bordered {
    /// Numbers from one row to the next.
    pub(crate) fn row_pitch(&self) -> usize {
        self.size[1] * self.picture[2]
    }

    pub(crate) fn numbers(&self) -> usize {
        self.size[0] * self.row_pitch()
    }

    /// Numbers from one row to the next, if the picture can be read as it is.
    pub(crate) fn without_border(&self) -> Option<usize> {
        let [height, width, channels] = self.picture;
        let fits = self.before == [0, 0] && self.size[0] <= height && self.size[1] <= width;
        fits.then_some(width * channels)
    }

    /// Writes the picture with its border from row `first` on, as many rows as there is room for; `take` writes pieces of
    /// rows.
    pub(crate) fn fill<A, B: Copy + Default>(
        &self,
        first: usize,
        x: &[A],
        to: &mut [B],
        take: impl Fn(&[A], &mut [B]),
    ) {
        let [_, width, channels] = self.picture;
        let (pitch, row_of) = (self.row_pitch().max(1), (width * channels).max(1));
        let [above, left] = self.before;
        for (row, to) in to.chunks_exact_mut(pitch).enumerate() {
            let row = (first + row).checked_sub(above);
            let from = row.and_then(|row| x.chunks_exact(row_of).nth(row));
            let Some(from) = from else {
                to.fill(B::default());
                continue;
            };
            let start = (left * channels).min(to.len());
            let (border, rest) = to.split_at_mut(start);
            border.fill(B::default());
            let len = rest.len().min(from.len());
            take(&from[..len], &mut rest[..len]);
            rest[len..].fill(B::default());
        }
    }

    /// The numbers of the picture with its border, and from one row to the next.
    fn copy<'p, T: NdFloat + Default>(
        &self,
        x: &'p [T],
        memory: &'p mut Vec<T>,
    ) -> (&'p [T], usize) {
        if let Some(pitch) = self.without_border() {
            return (x, pitch);
        }
        let to = aligned(memory, self.numbers());
        self.fill(0, x, to, |from, to| to.copy_from_slice(from));
        (to, self.row_pitch())
    }

    /// Numbers from one row to the next as it is [filled](Self::fill), or read as it is.
    pub(crate) fn pitch(&self) -> usize {
        self.without_border().unwrap_or_else(|| self.row_pitch())
    }
}

/// How a convolution reaches its numbers; of one group, if there are several.
#[derive(Debug, Clone, Copy)]
pub struct Taps {
    /// Rows and columns of the output.
    pub(crate) rows: usize,
    pub(crate) columns_out: usize,
    /// Numbers from one row of the picture to the next, from one pixel of it to the next.
    pub(crate) row_pitch: usize,
    pub(crate) pixel_in: usize,
    /// The same of the output.
    pub(crate) row_out: usize,
    pub(crate) pixel_out: usize,
    pub(crate) stride: [usize; 2],
    pub(crate) kernel_rows: usize,
    /// Pieces of memory that a row of a window lies in, a pixel apart, and the numbers of each.
    pub(crate) pieces: usize,
    pub(crate) run: usize,
    /// Units of a group.
    pub(crate) units: usize,
    /// Numbers from one tap of the packed weights to the next.
    pub(crate) columns: usize,
    pub(crate) groups: usize,
    /// Whether each unit reads its own channel alone, all of them side by side.
    pub(crate) is_depthwise: bool,
}

impl Taps {
    /// Taps of a unit.
    pub(crate) fn count(&self) -> usize {
        self.kernel_rows * self.pieces * self.run
    }

    /// Channels of a group, where that is not all.
    pub(crate) fn inputs(&self) -> usize {
        if self.groups == 1 { self.pixel_in } else { self.run }
    }

    /// Numbers of the packed weights.
    pub(crate) fn packed(&self) -> usize {
        let groups = if self.is_depthwise { 1 } else { self.groups };
        groups * self.count() * self.columns
    }

    /// Whether there is a pixel of the output.
    pub(crate) fn is_needed(&self) -> bool {
        self.rows > 0 && self.columns_out > 0
    }

    /// Sums as a matrix of taps and units, if they are one.
    pub(crate) fn by_tap<'w, T>(&self, sums: &'w [T]) -> Option<ArrayView2<'w, T>> {
        let shape = (self.count(), self.columns);
        (self.groups == 1).then(|| ArrayView2::from_shape(shape, sums).expect("of this size"))
    }

    /// Packed weights as a matrix of taps and units, if they are one.
    pub(crate) fn by_tap_mut<'w, T>(&self, packed: &'w mut [T]) -> Option<ArrayViewMut2<'w, T>> {
        let shape = (self.count(), self.columns);
        (self.groups == 1).then(|| ArrayViewMut2::from_shape(shape, packed).expect("of this size"))
    }

    /// Where the first tap of a unit's group lies, and which column is the unit's.
    pub(crate) fn place(&self, unit: usize) -> (usize, usize) {
        if self.is_depthwise {
            return (0, unit);
        }
        let (group, unit) = (unit / self.units, unit % self.units);
        (group * self.count() * self.columns, unit)
    }

    /// How long the picture has to be from the first number of a group on, and the output.
    pub(crate) fn reach(&self) -> [usize; 2] {
        let (Some(rows), Some(columns)) =
            (self.rows.checked_sub(1), self.columns_out.checked_sub(1))
        else {
            return [0, 0];
        };
        let channels = if self.is_depthwise { self.groups } else { self.run };
        let units = if self.is_depthwise { self.groups } else { self.units };
        let written = rows * self.row_out + columns * self.pixel_out + units;
        if self.count() == 0 {
            return [0, written];
        }
        let read = (rows * self.stride[0] + self.kernel_rows - 1) * self.row_pitch
            + (columns * self.stride[1] + self.pieces - 1) * self.pixel_in
            + channels;
        [read, written]
    }
}

/// The picture with its border, and how its numbers are reached.
pub(crate) fn bordered<'p, T: NdFloat + Default>(
    geometry: &Geometry,
    x: &'p [T],
    memory: &'p mut Vec<T>,
) -> (&'p [T], Taps) {
    let (x, row_pitch) = geometry.bordered().copy(x, memory);
    (x, Taps { row_pitch, ..geometry.taps() })
}

/// The gradient of the output with its border for all [phases](Geometry::phases), and from one row of it to the next.
pub(crate) fn bordered_gradient<'p, T: NdFloat + Default>(
    geometry: &Geometry,
    dz: &'p [T],
    memory: &'p mut Vec<T>,
) -> (&'p [T], usize) {
    geometry.bordered_gradient().copy(dz, memory)
}
