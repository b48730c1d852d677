//! The size and the shape of pictures.

use std::fmt;

/// How many pixels a picture has in each direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageSize {
    /// Pixels in a row.
    pub width: usize,
    /// Rows of pixels.
    pub height: usize,
}

impl fmt::Display for ImageSize {
    /// As in `640x480`, the width first.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// The shape of one picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ImageShape {
    /// Rows of pixels.
    pub height: usize,
    /// Pixels in a row.
    pub width: usize,
    /// Values in a pixel: 1 for grey, 3 for red, green, blue.
    pub channels: usize,
}

impl ImageShape {
    /// The number of values in a picture, `height * width * channels`; `None` where it cannot be
    /// addressed.
    ///
    /// # Examples
    ///
    /// ```
    /// let shape = dnn_data::ImageShape { height: 64, width: 64, channels: 3 };
    /// assert_eq!(shape.features(), Some(12288));
    /// ```
    pub fn features(&self) -> Option<usize> {
        self.height.checked_mul(self.width)?.checked_mul(self.channels)
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.height, self.width, self.channels)
    }
}
