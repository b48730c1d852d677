//! Where the windows of convolutions and pooling lie.

use dnn_core::{CoreError, Shape};
use serde::{Deserialize, Serialize};

use super::invalid;

/// The most rows and columns of a window, and from one window to the next.
const MOST: usize = 1 << 16;

/// What is around a picture, for windows that reach out of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Padding {
    /// As much as it takes for `ceil(n / stride)` windows along an axis of `n`: with a stride of 1 the output is as large
    /// as the input. What does not divide evenly is below and to the right, as TensorFlow has it.
    #[default]
    Same,
    /// Nothing: `floor((n - kernel) / stride) + 1` windows.
    Valid,
    /// So many rows and columns on each side: `floor((n + 2 pad - kernel) / stride) + 1` windows.
    Each(usize),
}

/// The windows of a convolution or of pooling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Window {
    /// Rows and columns of a window.
    pub kernel: [usize; 2],
    /// Rows and columns from one window to the next.
    pub stride: [usize; 2],
    /// What is around the picture.
    pub padding: Padding,
}

/// Where the windows lie in pictures of one size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Places {
    /// Windows below one another, and side by side.
    pub count: [usize; 2],
    /// Rows above and columns to the left of the picture that the first window begins with.
    pub before: [usize; 2],
}

impl Window {
    /// Square windows.
    pub const fn square(kernel: usize, stride: usize, padding: Padding) -> Self {
        Self { kernel: [kernel; 2], stride: [stride; 2], padding }
    }

    /// Where the windows lie in what has this shape.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] if a number cannot be, or no window fits.
    pub fn places(&self, input: Shape) -> Result<Places, CoreError> {
        let within = |numbers: [usize; 2]| numbers.iter().all(|it| (1..=MOST).contains(it));
        let of = |[rows, columns]: [usize; 2]| format!("{rows} x {columns}");
        if !within(self.kernel) {
            return invalid("window", "from 1 to 65,536 rows and columns", of(self.kernel));
        }
        if !within(self.stride) {
            return invalid("stride", "from 1 to 65,536 rows and columns", of(self.stride));
        }
        if let Padding::Each(pad) = self.padding
            && pad >= self.kernel[0].min(self.kernel[1])
        {
            return invalid("padding", "less than the window", pad);
        }
        let (mut count, mut before) = ([0; 2], [0; 2]);
        for (axis, size) in [input.height, input.width].into_iter().enumerate() {
            let (kernel, stride) = (self.kernel[axis], self.stride[axis]);
            let (all, above) = match self.padding {
                Padding::Same => {
                    let last = (size.div_ceil(stride) - 1) * stride;
                    let around = (last + kernel).saturating_sub(size);
                    (size + around, around / 2)
                }
                Padding::Valid => (size, 0),
                Padding::Each(pad) => (size + 2 * pad, pad),
            };
            let Some(apart) = all.checked_sub(kernel) else {
                let expected = "a window that fits into its input";
                return invalid("window", expected, format!("{} in {input}", of(self.kernel)));
            };
            (count[axis], before[axis]) = (apart / stride + 1, above);
        }
        Ok(Places { count, before })
    }

    /// Whether these are windows of 2 x 2 side by side that cover pictures of this shape.
    pub fn is_halving(&self, input: Shape) -> bool {
        let even = input.height.is_multiple_of(2) && input.width.is_multiple_of(2);
        let plain = !matches!(self.padding, Padding::Each(1..));
        self.kernel == [2, 2] && self.stride == [2, 2] && even && plain
    }

    /// For the window at this row and column: which rows and columns of the input it covers.
    pub fn covers(
        &self,
        places: &Places,
        input: Shape,
        at: [usize; 2],
    ) -> [std::ops::Range<usize>; 2] {
        let size = [input.height, input.width];
        [0, 1].map(|axis| {
            let first = at[axis] * self.stride[axis];
            let end = (first + self.kernel[axis]).saturating_sub(places.before[axis]);
            first.saturating_sub(places.before[axis])..end.min(size[axis])
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_lie_where_other_libraries_have_them() {
        // Worked out by hand, as TensorFlow documents `same`: 5 in steps of 2 are 3 windows, one row on each side; of an
        // even size the row is below.
        for (size, kernel, stride, padding, count, before) in [
            (5, 3, 1, Padding::Same, 5, 1),
            (5, 3, 2, Padding::Same, 3, 1),
            (6, 3, 2, Padding::Same, 3, 0),
            (6, 2, 2, Padding::Same, 3, 0),
            (5, 2, 2, Padding::Same, 3, 0),
            (6, 4, 1, Padding::Same, 6, 1),
            (1, 3, 2, Padding::Same, 1, 1),
            (7, 3, 2, Padding::Valid, 3, 0),
            (7, 7, 1, Padding::Valid, 1, 0),
            (224, 7, 2, Padding::Each(3), 112, 3),
        ] {
            let window = Window::square(kernel, stride, padding);
            let places = window.places(Shape::picture(size, size, 3)).unwrap();
            let expected = Places { count: [count; 2], before: [before; 2] };
            assert_eq!(places, expected, "{size} {window:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let input = Shape::picture(4, 9, 1);
        for (window, words) in [
            (Window::square(0, 1, Padding::Same), "found 0 x 0"),
            (Window::square(3, 0, Padding::Same), "stride"),
            (Window::square(5, 1, Padding::Valid), "found 5 x 5 in 4 x 9 x 1"),
            (Window::square(2, 1, Padding::Each(2)), "less than the window"),
            (Window::square(usize::MAX, 1, Padding::Same), "65,536"),
        ] {
            let error = window.places(input).unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
