//! All of a network but its numbers.

use dnn_core::{CoreError, PixelScaling};
use serde::{Deserialize, Serialize};

use crate::{Activation, Head, NetworkError};

/// The shape of one example.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct InputShape {
    /// Rows of pixels.
    pub height: usize,
    /// Columns of pixels.
    pub width: usize,
    /// Channels of a pixel: 1 grey, 3 red, green and blue.
    pub channels: usize,
}

impl InputShape {
    /// Pictures of `height` rows, `width` columns and `channels` interleaved channels.
    pub const fn picture(height: usize, width: usize, channels: usize) -> Self {
        Self { height, width, channels }
    }

    /// Plain lists of `features` numbers.
    pub const fn flat(features: usize) -> Self {
        Self::picture(1, features, 1)
    }

    /// Features per example, `n_x = height * width * channels`.
    ///
    /// # Errors
    /// [`NetworkError::InputShape`] if one of them is 0 or the product is above 2^48.
    pub fn features(self) -> Result<usize, NetworkError> {
        let Self { height, width, channels } = self;
        height
            .checked_mul(width)
            .and_then(|pixels| pixels.checked_mul(channels))
            .filter(|&features| features > 0 && features as u64 <= 1 << 48)
            .ok_or(NetworkError::InputShape { height, width, channels })
    }
}

/// A hidden layer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Layer {
    /// Every unit is connected to every number of the layer before: `g(W A_prev + b)`.
    Dense {
        /// How many units.
        units: usize,
        /// Their activation `g`.
        activation: Activation,
    },
}

impl Layer {
    /// How many numbers the layer gives.
    pub fn units(&self) -> usize {
        match self {
            Self::Dense { units, .. } => *units,
        }
    }

    /// The layer's activation.
    pub fn activation(&self) -> Activation {
        match self {
            Self::Dense { activation, .. } => *activation,
        }
    }
}

/// The most parameters a network has: 8 GiB of `f32`.
const MOST_PARAMETERS: u128 = 1 << 31;

fn check_size(widths: &[usize]) -> Result<(), NetworkError> {
    let of_layer = |pair: &[usize]| (pair[0] as u128 + 1).saturating_mul(pair[1] as u128);
    let found = widths.windows(2).map(of_layer).fold(0, u128::saturating_add);
    if found > MOST_PARAMETERS {
        return Err(NetworkError::TooManyParameters { found, most: MOST_PARAMETERS });
    }
    Ok(())
}

/// The parts of a network that are chosen, not learned; checked by [`Architecture::check`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Architecture {
    pub(crate) input: InputShape,
    pub(crate) hidden: Vec<Layer>,
    pub(crate) outputs: usize,
    pub(crate) head: Head,
    pub(crate) classes: Vec<String>,
    pub(crate) scaling: PixelScaling,
}

impl Architecture {
    /// Checks everything that later code relies on, and gives the widths `[n_x, n_1, …, n_L]`.
    pub(crate) fn check(&self) -> Result<Vec<usize>, NetworkError> {
        if self.outputs == 0 {
            return Err(NetworkError::NoOutputs);
        }
        let mut widths = vec![self.input.features()?];
        widths.extend(self.hidden.iter().map(Layer::units));
        widths.push(self.outputs);
        if let Some(layer) = widths.iter().position(|&width| width == 0) {
            return Err(CoreError::ZeroWidth { layer }.into());
        }
        check_size(&widths)?;
        self.check_classes()?;
        let channels = self.scaling.channels();
        if channels != 1 && channels != self.input.channels {
            return Err(NetworkError::Scaling { expected: self.input.channels, found: channels });
        }
        Ok(widths)
    }

    fn check_classes(&self) -> Result<(), NetworkError> {
        let found = self.classes.len();
        let (fits, expected) = match self.head {
            Head::Sigmoid if self.outputs == 1 => (found == 2 || found == 0, "2"),
            Head::Sigmoid | Head::Identity => (found == 0, "no"),
            Head::Softmax if found < 2 => (false, "at least 2"),
            Head::Softmax => (found == self.outputs, "as many"),
        };
        if !fits {
            let (head, outputs) = (self.head, self.outputs);
            return Err(NetworkError::Classes { head, outputs, expected, found });
        }
        let mut sorted: Vec<&String> = self.classes.iter().collect();
        sorted.sort();
        match sorted.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(NetworkError::RepeatedClass { name: pair[0].clone() }),
            None => Ok(()),
        }
    }
}
