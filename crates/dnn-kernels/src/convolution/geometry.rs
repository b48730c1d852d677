//! Where the windows of a convolution lie, and how their numbers are reached.

use ndarray::{ArrayViewMut2, NdFloat};

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

    /// Rows and columns that all windows together read.
    pub(crate) fn read(&self) -> [usize; 2] {
        [0, 1].map(|axis| match self.output[axis] {
            0 => 0,
            places => (places - 1) * self.stride[axis] + self.kernel[axis],
        })
    }

    /// Numbers of a picture with its border.
    pub(crate) fn padded_numbers(&self) -> usize {
        let [rows, columns] = self.read();
        rows * columns * self.input[2]
    }

    /// Whether no window reaches out of the picture.
    pub(crate) fn is_inside(&self) -> bool {
        let [rows, columns] = self.read();
        self.before == [0, 0] && rows <= self.input[0] && columns <= self.input[1]
    }

    /// The convolution that gives the gradient of the input, of the [spread](spread) gradient.
    pub(crate) fn exchanged(&self) -> Self {
        let [rows, columns, channels] = self.input;
        let [kernel_rows, kernel_columns] = self.kernel;
        Self {
            input: [rows + kernel_rows - 1, columns + kernel_columns - 1, self.output[2]],
            output: [rows, columns, channels],
            kernel: self.kernel,
            stride: [1, 1],
            before: [0, 0],
            groups: self.groups,
        }
    }

    /// How the numbers are reached in a picture of exactly the rows and columns that are read.
    pub(crate) fn taps(&self) -> Taps {
        let [rows, columns, all_units] = self.output;
        let channels = self.input[2];
        let (inputs, units) = (channels / self.groups, all_units / self.groups);
        let is_depthwise = self.groups > 1 && inputs == 1 && units == 1;
        let in_one = self.groups == 1;
        Taps {
            rows,
            columns_out: columns,
            row_pitch: self.read()[1] * channels,
            pixel_in: channels,
            pixel_out: all_units,
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
}

/// How a convolution reaches its numbers; of one group, if there are several.
#[derive(Debug, Clone, Copy)]
pub struct Taps {
    /// Rows and columns of the output.
    pub(crate) rows: usize,
    pub(crate) columns_out: usize,
    /// Numbers from one row of the picture to the next, from one pixel of it to the next, and of the output.
    pub(crate) row_pitch: usize,
    pub(crate) pixel_in: usize,
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
        let channels = if self.is_depthwise { self.pixel_in } else { self.run };
        let units = if self.is_depthwise { self.pixel_out } else { self.units };
        let read = (rows * self.stride[0] + self.kernel_rows - 1) * self.row_pitch
            + (columns * self.stride[1] + self.pieces - 1) * self.pixel_in
            + channels;
        [read, ((rows * self.columns_out + self.columns_out - 1) * self.pixel_out) + units]
    }
}

/// The picture with its border, and how its numbers are reached: as it is where no window reaches out of it.
pub(crate) fn padded<'p, T: NdFloat + Default>(
    geometry: &Geometry,
    x: &'p [T],
    taps: Taps,
    memory: &'p mut Vec<T>,
) -> (&'p [T], Taps) {
    assert_eq!(x.len(), geometry.numbers_in(), "inputs of another convolution");
    let [_, width, channels] = geometry.input;
    if geometry.is_inside() {
        return (x, Taps { row_pitch: width * channels, ..taps });
    }
    let [rows, _] = geometry.read();
    let to = aligned(memory, rows * taps.row_pitch);
    let [above, left] = geometry.before;
    for (row, to) in to.chunks_exact_mut(taps.row_pitch.max(1)).enumerate() {
        let from = row.checked_sub(above).and_then(|row| x.chunks_exact(width * channels).nth(row));
        let Some(from) = from else {
            to.fill(T::zero());
            continue;
        };
        let start = (left * channels).min(to.len());
        let (border, rest) = to.split_at_mut(start);
        border.fill(T::zero());
        let len = rest.len().min(from.len());
        rest[..len].copy_from_slice(&from[..len]);
        rest[len..].fill(T::zero());
    }
    (to, taps)
}

/// The gradient of the output where the windows of the [exchanged](Geometry::exchanged) convolution find it: its
/// pixels a stride apart, in a border.
pub(crate) fn spread<'p, T: NdFloat + Default>(
    geometry: &Geometry,
    dz: &[T],
    memory: &'p mut Vec<T>,
) -> &'p [T] {
    assert_eq!(dz.len(), geometry.numbers_out(), "a gradient of another convolution");
    let [_, columns, units] = geometry.output;
    let [rows_to, columns_to, _] = geometry.exchanged().input;
    let to = aligned(memory, rows_to * columns_to * units);
    to.fill(T::zero());
    // Where a pixel comes to lie on an axis, if that is read at all.
    let place = |axis: usize, at: usize, end: usize| {
        let place = at * geometry.stride[axis] + geometry.kernel[axis] - 1;
        place.checked_sub(geometry.before[axis]).filter(|&place| place < end)
    };
    for (row, from) in dz.chunks_exact((columns * units).max(1)).enumerate() {
        let Some(row) = place(0, row, rows_to) else { continue };
        for (column, from) in from.chunks_exact(units).enumerate() {
            if let Some(column) = place(1, column, columns_to) {
                to[(row * columns_to + column) * units..][..units].copy_from_slice(from);
            }
        }
    }
    to
}
