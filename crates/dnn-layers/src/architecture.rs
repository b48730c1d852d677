//! All of a network but its numbers.

use dnn_core::{CoreError, Element, PixelScaling};
use ndarray::{ArrayView2, ArrayViewMut2};
use serde::{Deserialize, Serialize};

use crate::forward::LayerFunction;
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
    /// `g(gamma X_hat + beta)`, where `X_hat` is what the dense layer right before gives, whose activation
    /// is the identity, less its mean and over its deviation, unit by unit: those of the batch in training,
    /// running averages of them in prediction. `gamma` and `beta` are learned; they are the weights,
    /// `(n, 1)`, and the bias of this layer.
    ///
    /// # References
    /// Ioffe and Szegedy (2015), Batch normalization.
    BatchNorm {
        /// The activation `g`.
        activation: Activation,
        /// What share of the running averages each batch replaces: above 0, at most 1.
        momentum: f64,
        /// Added to the variance before its root is taken: above 0.
        epsilon: f64,
    },
    /// Sets a share of the numbers of the layer before to 0 in training, anew in every step, and scales
    /// the others up so that the expected sum stays. Prediction does not notice it.
    ///
    /// # References
    /// Srivastava and others (2014), Dropout; "inverted", as scaling is done in training.
    Dropout {
        /// The share that is dropped: from 0 and below 1. The course's `keep_prob` is 1 less this.
        rate: f64,
    },
}

impl Layer {
    /// One of every kind, in an order in which they can follow one another.
    pub const KINDS: [Self; 3] = [
        Self::Dense { units: 8, activation: Activation::Identity },
        Self::batch_norm(Activation::Tanh),
        Self::Dropout { rate: 0.25 },
    ];

    /// Batch normalisation with the usual numbers: momentum 0.1, epsilon 1e-5.
    pub const fn batch_norm(activation: Activation) -> Self {
        Self::BatchNorm { activation, momentum: 0.1, epsilon: 1e-5 }
    }

    /// The layer's activation, if it is of a kind that has one.
    pub fn activation(&self) -> Option<Activation> {
        match self {
            Self::Dense { activation, .. } | Self::BatchNorm { activation, .. } => {
                Some(*activation)
            }
            Self::Dropout { .. } => None,
        }
    }
}

/// How a layer with parameters works, and what follows it before the next one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stage {
    /// Set for batch normalisation, else the layer is dense.
    pub normalization: Option<Normalization>,
    /// From `Z` to `A`.
    pub(crate) function: LayerFunction,
    /// The share of `A` that training drops.
    pub dropout: f64,
    /// Numbers per example.
    pub units: usize,
}

/// The numbers of batch normalisation that are chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Normalization {
    /// What share of the running averages each batch replaces.
    pub momentum: f64,
    /// Added to the variance.
    pub epsilon: f64,
}

impl Stage {
    /// `dz` from `da` of a hidden layer, in place: see [`Activation::apply_derivative`].
    ///
    /// # Panics
    /// If the shapes differ, or for the last layer, whose derivative belongs to the cost.
    pub fn apply_derivative<T: Element>(
        &self,
        z: ArrayView2<'_, T>,
        a: ArrayView2<'_, T>,
        gradient: ArrayViewMut2<'_, T>,
    ) {
        match self.function {
            LayerFunction::Hidden(activation) => activation.apply_derivative(z, a, gradient),
            LayerFunction::Head(_) => unreachable!("the cost gives dZ of the last layer"),
        }
    }
}

/// Beyond this share next to nothing is left, and what is would be scaled to nonsense.
const MOST_DROPPED: f64 = 1.0 - 1e-6;

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
    /// Checks everything that later code relies on, and gives the widths `[n_x, n_1, …, n_L]` of the
    /// dense layers.
    pub(crate) fn check(&self) -> Result<Vec<usize>, NetworkError> {
        if self.outputs == 0 {
            return Err(NetworkError::NoOutputs);
        }
        let mut widths = vec![self.input.features()?];
        widths.extend(self.hidden.iter().filter_map(|layer| match layer {
            Layer::Dense { units, .. } => Some(*units),
            _ => None,
        }));
        widths.push(self.outputs);
        if let Some(layer) = widths.iter().position(|&width| width == 0) {
            return Err(CoreError::ZeroWidth { layer }.into());
        }
        check_size(&widths)?;
        self.check_order()?;
        self.check_classes()?;
        let channels = self.scaling.channels();
        if channels != 1 && channels != self.input.channels {
            return Err(NetworkError::Scaling { expected: self.input.channels, found: channels });
        }
        Ok(widths)
    }

    /// Checks that each layer can follow the one before it, and its numbers.
    fn check_order(&self) -> Result<(), NetworkError> {
        let mut before: Option<&Layer> = None;
        for (position, layer) in self.hidden.iter().enumerate() {
            let refuse = |expected| {
                Err(NetworkError::LayerOrder { position: position + 1, layer: *layer, expected })
            };
            match (layer, before) {
                (Layer::Dense { .. }, _)
                | (
                    Layer::BatchNorm { .. },
                    Some(Layer::Dense { activation: Activation::Identity, .. }),
                )
                | (Layer::Dropout { .. }, Some(Layer::Dense { .. } | Layer::BatchNorm { .. })) => {}
                (Layer::BatchNorm { .. }, _) => {
                    return refuse("right after a dense layer whose activation is the identity");
                }
                (Layer::Dropout { .. }, _) => return refuse("after a layer with parameters"),
            }
            match *layer {
                Layer::BatchNorm { momentum, .. } if !(momentum > 0.0 && momentum <= 1.0) => {
                    return refuse("with a momentum above 0 and at most 1");
                }
                Layer::BatchNorm { epsilon, .. } if !(epsilon > 0.0 && epsilon <= 1.0) => {
                    return refuse("with an epsilon above 0 and at most 1");
                }
                Layer::Dropout { rate } if !(0.0..=MOST_DROPPED).contains(&rate) => {
                    return refuse("with a rate from 0 and below 1");
                }
                _ => before = Some(layer),
            }
        }
        Ok(())
    }

    /// The layers with parameters, the last one included, once everything is checked.
    pub(crate) fn stages(&self) -> Vec<Stage> {
        let mut stages: Vec<Stage> = Vec::with_capacity(self.hidden.len() + 1);
        let (dropout, mut width) = (0.0, 0);
        for layer in &self.hidden {
            match *layer {
                Layer::Dense { units, activation } => {
                    width = units;
                    let function = LayerFunction::Hidden(activation);
                    stages.push(Stage { normalization: None, function, dropout, units });
                }
                Layer::BatchNorm { activation, momentum, epsilon } => {
                    let normalization = Some(Normalization { momentum, epsilon });
                    let function = LayerFunction::Hidden(activation);
                    stages.push(Stage { normalization, function, dropout, units: width });
                }
                Layer::Dropout { rate } => {
                    if let Some(stage) = stages.last_mut() {
                        stage.dropout = rate;
                    }
                }
            }
        }
        let function = LayerFunction::Head(self.head);
        stages.push(Stage { normalization: None, function, dropout, units: self.outputs });
        stages
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed() {
        dnn_core::assert_lists_every_variant!(
            Layer::KINDS,
            Layer::Dense { .. },
            Layer::BatchNorm { .. },
            Layer::Dropout { .. },
        );
    }
}
