//! Dropout by channel: some channels of pictures become 0 in training.

use dnn_core::{CoreError, Element, Shape};
use serde::{Deserialize, Serialize};

use super::dropout::check_rate;
use super::{Buffers, Forward, Layer, Mode, Step};

/// Sets a share of the channels of each picture to 0 in training, whole and anew in every step, and scales the others up
/// so that the expected sum stays. Prediction does not notice it.
///
/// Neighbours in a picture know much of one another: what [`Dropout`](super::Dropout) takes from one place, the places
/// around it still say. Units alone are channels of a single place, of which both drop the same.
///
/// # References
/// Tompson, Goroshin, Jain, `LeCun` and Bregler (2015), Efficient object localization using convolutional networks,
/// `SpatialDropout`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct ChannelDropout {
    /// The share of channels that is dropped: from 0 and below 1.
    pub rate: f64,
}

impl From<ChannelDropout> for Layer {
    fn from(layer: ChannelDropout) -> Self {
        Self::ChannelDropout(layer)
    }
}

impl<T: Element> Forward<T> for ChannelDropout {
    fn kind(&self) -> &'static str {
        "channel_dropout"
    }

    fn output(&self, input: Shape) -> Result<Shape, CoreError> {
        check_rate(self.rate).map(|()| input)
    }

    fn drop_rate(&self) -> f64 {
        self.rate
    }

    fn drawn(&self, input: Shape) -> usize {
        if self.rate > 0.0 { input.channels } else { 0 }
    }

    fn is_for_training_alone(&self) -> bool {
        true
    }

    /// Training keeps the factor of each channel: 0 for what is dropped, `1 / (1 - rate)` for what is kept.
    fn buffers(&self, input: Shape, mode: Mode) -> Buffers {
        let output = mode == Mode::Training && self.rate > 0.0;
        Buffers { output, kept: if output { input.channels } else { 0 } }
    }

    fn forward(&self, step: Step<'_, '_, '_, T>) {
        let Step { shape, input, mut output, kept: mut factors, given, .. } = step;
        let (x, Some(keep)) = (input.numbers(), given.keep) else {
            unreachable!("training says what is dropped")
        };
        let factor_of_kept = T::one() / T::from_f64(1.0 - self.rate);
        let mut stays = vec![true; shape.channels];
        for (j, x) in x.columns().into_iter().enumerate() {
            keep(j, &mut stays);
            let (mut factors, mut output) = (factors.column_mut(j), output.column_mut(j));
            for (factor, &stays) in factors.iter_mut().zip(&stays) {
                *factor = if stays { factor_of_kept } else { T::zero() };
            }
            let of_channel = factors.iter().cycle();
            for ((to, &x), &factor) in output.iter_mut().zip(x).zip(of_channel) {
                *to = x * factor;
            }
        }
    }
}
