//! The shape of one example: of a picture, of a network's input, of what a layer gives.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::CoreError;

/// Rows, columns and channels of one example.
///
/// An example is one contiguous column of a matrix, row by row, the channels of a pixel side by side. So a picture,
/// the input of a network and what any of its layers gives are the same kind of thing: a list of inputs is one row
/// of one channel ([`flat`](Self::flat)), the units of a layer are channels of a single place
/// ([`units`](Self::units)).
///
/// # Examples
/// ```
/// use dnn_core::Shape;
///
/// let picture = Shape::picture(2, 3, 3);
/// assert_eq!(picture.features()?, 18);
/// assert_eq!(picture.to_string(), "2 x 3 x 3");
/// assert_eq!(Shape::units(18).to_string(), "18");
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels: of a picture 1 for grey, 3 for red, green and blue.
    pub channels: usize,
}

impl Shape {
    /// The most features of an example: 2^48.
    pub const MOST_FEATURES: u64 = 1 << 48;

    /// Pictures of `height` rows, `width` columns and `channels` interleaved channels.
    pub const fn picture(height: usize, width: usize, channels: usize) -> Self {
        Self { height, width, channels }
    }

    /// Plain lists of `features` numbers.
    pub const fn flat(features: usize) -> Self {
        Self::picture(1, features, 1)
    }

    /// The units of a layer, each a channel of the one place.
    pub const fn units(units: usize) -> Self {
        Self::picture(1, 1, units)
    }

    /// Features per example, `height * width * channels`.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] if one of them is 0 or the product is above [`MOST_FEATURES`](Self::MOST_FEATURES).
    pub fn features(self) -> Result<usize, CoreError> {
        let Self { height, width, channels } = self;
        height
            .checked_mul(width)
            .and_then(|pixels| pixels.checked_mul(channels))
            .filter(|&features| features > 0 && features as u64 <= Self::MOST_FEATURES)
            .ok_or_else(|| CoreError::Invalid {
                what: "shape",
                expected: "at least 1 in each direction and at most 2^48 values",
                found: format!("{height} x {width} x {channels}"),
            })
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self { height: 1, width: count, channels: 1 }
            | Self { height: 1, width: 1, channels: count } => write!(f, "{count}"),
            Self { height, width, channels } => write!(f, "{height} x {width} x {channels}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_without_features_and_with_too_many_are_refused() {
        for shape in [Shape::flat(0), Shape::picture(3, 0, 1), Shape::picture(1 << 40, 1 << 40, 1)]
        {
            let error = shape.features().unwrap_err().to_string();
            assert!(error.contains("at least 1 in each direction"), "{error}");
        }
        assert_eq!(Shape::picture(4, 5, 3).features(), Ok(60));
    }
}
