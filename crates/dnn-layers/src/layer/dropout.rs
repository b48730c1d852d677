//! Dropout: some numbers become 0 in training.

use dnn_core::{CoreError, Element, Shape};
use ndarray::Zip;
use serde::{Deserialize, Serialize};

use super::{Buffers, Forward, Layer, Mode, Step, invalid};

/// Sets a share of the numbers of the layer before to 0 in training, anew in every step, and scales the others up
/// so that the expected sum stays. Prediction does not notice it.
///
/// # References
/// Srivastava and others (2014), Dropout; "inverted", as scaling is done in training.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Dropout {
    /// The share that is dropped: from 0 and below 1. The course's `keep_prob` is 1 less this.
    pub rate: f64,
}

/// Beyond this share next to nothing is left, and what is would be scaled to nonsense.
const MOST_DROPPED: f64 = 1.0 - 1e-6;

pub(super) fn check_rate(rate: f64) -> Result<(), CoreError> {
    if (0.0..=MOST_DROPPED).contains(&rate) {
        return Ok(());
    }
    invalid("rate of dropout", "a number from 0 and below 1", rate)
}

impl From<Dropout> for Layer {
    fn from(layer: Dropout) -> Self {
        Self::Dropout(layer)
    }
}

impl<T: Element> Forward<T> for Dropout {
    fn kind(&self) -> &'static str {
        "dropout"
    }

    fn output(&self, input: Shape) -> Result<Shape, CoreError> {
        check_rate(self.rate).map(|()| input)
    }

    fn drop_rate(&self) -> f64 {
        self.rate
    }

    fn drawn(&self, input: Shape) -> usize {
        if self.rate > 0.0 { input.height * input.width * input.channels } else { 0 }
    }

    fn is_for_training_alone(&self) -> bool {
        true
    }

    /// Training keeps the factors: 0 for what is dropped, `1 / (1 - rate)` for what is kept.
    fn buffers(&self, input: Shape, mode: Mode) -> Buffers {
        let output = mode == Mode::Training && self.rate > 0.0;
        let units = input.height * input.width * input.channels;
        Buffers { output, kept: if output { units } else { 0 } }
    }

    fn forward(&self, step: Step<'_, '_, '_, T>) {
        let Step { input, mut output, kept: mut factors, given, .. } = step;
        let (x, Some(keep)) = (input.numbers(), given.keep) else {
            unreachable!("training says what is dropped")
        };
        let factor_of_kept = T::one() / T::from_f64(1.0 - self.rate);
        let mut stays = vec![true; x.nrows()];
        for (j, x) in x.columns().into_iter().enumerate() {
            keep(j, &mut stays);
            let (factors, output) = (factors.column_mut(j), output.column_mut(j));
            Zip::from(factors).and(output).and(x).and(&stays[..]).for_each(
                |factor, to, &x, &stays| {
                    *factor = if stays { factor_of_kept } else { T::zero() };
                    *to = x * *factor;
                },
            );
        }
    }
}
