//! Batch normalisation: `gamma X_hat + beta`.

use dnn_core::{CoreError, Element, Shape};
use dnn_kernels::{KernelPath, PlainLoop};
use ndarray::{Array1, ArrayView1, ArrayView2, ArrayViewMut2};
use serde::{Deserialize, Serialize};

use super::channels::{by_channel, by_channel_mut};
use super::statistics::RunningMut;
use super::{BatchStatistics, Buffers, Forward, Layer, Mode, Step, invalid};
use crate::tensor::{Initial, ParameterSpec, Tensor};

/// `gamma X_hat + beta`, where `X_hat` is what the layer is given, less its mean and over its deviation, unit by
/// unit: those of the batch in training, running averages of them in prediction. Of pictures, each channel is a unit,
/// whose mean is that of all places of all examples.
///
/// | array | shape | before training | |
/// |---|---|---|---|
/// | `scale` | `(n, 1)` | 1 | `gamma`, trained |
/// | `shift` | `(n, 1)` | 0 | `beta`, trained |
/// | `mean` | `(n, 1)` | 0 | follows the batches |
/// | `variance` | `(n, 1)` | 1 | follows the batches |
///
/// # References
/// Ioffe and Szegedy (2015), Batch normalization.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BatchNorm {
    /// What share of the running averages each batch replaces: above 0, at most 1.
    pub momentum: f64,
    /// Added to the variance before its root is taken: above 0, at most 1.
    pub epsilon: f64,
}

impl Default for BatchNorm {
    fn default() -> Self {
        Self { momentum: 0.1, epsilon: 1e-5 }
    }
}

impl From<BatchNorm> for Layer {
    fn from(layer: BatchNorm) -> Self {
        Self::BatchNorm(layer)
    }
}

impl<T: Element> Forward<T> for BatchNorm {
    fn kind(&self) -> &'static str {
        "batch_norm"
    }

    fn output(&self, input: Shape) -> Result<Shape, CoreError> {
        let within = |number: f64| number > 0.0 && number <= 1.0;
        let expected = "a number above 0 and at most 1";
        if !within(self.momentum) {
            return invalid("momentum of batch normalisation", expected, self.momentum);
        }
        if !within(self.epsilon) {
            return invalid("epsilon of batch normalisation", expected, self.epsilon);
        }
        Ok(input)
    }

    fn parameters(&self, input: Shape) -> Vec<ParameterSpec> {
        let of = |name, initial| ParameterSpec::for_each_unit(name, input.channels, initial);
        vec![
            of("scale", Initial::Ones),
            of("shift", Initial::Zeros),
            of("mean", Initial::Zeros).not_trained(),
            of("variance", Initial::Ones).not_trained().at_least_0(),
        ]
    }

    fn needs_whole_batch(&self) -> bool {
        true
    }

    /// Training keeps `X_hat`.
    fn buffers(&self, input: Shape, mode: Mode) -> Buffers {
        let numbers = input.height * input.width * input.channels;
        let kept = if mode == Mode::Training { numbers } else { 0 };
        Buffers { output: true, kept }
    }

    fn update_running(&self, tensors: &mut [Tensor<T>], batch: &BatchStatistics<T>, m: usize) {
        let [_, _, mean, variance] = tensors else {
            unreachable!("batch normalisation has four arrays")
        };
        let running = RunningMut { mean: mean.unit_mut(), variance: variance.unit_mut() };
        batch.update_running(m, self.momentum, running);
    }

    fn forward(&self, step: Step<'_, '_, '_, T>) {
        let Step { tensors: [scale, shift, mean, variance], input, output, kept, given, .. } = step
        else {
            unreachable!("batch normalisation has four arrays")
        };
        let units = scale.values().nrows();
        let (x, output) = (by_channel(input.numbers(), units), by_channel_mut(output, units));
        let (scale, shift) = (scale.unit(), shift.unit());
        let running = (mean.unit(), variance.unit());
        let (mean, variance) = match given.statistics {
            Some(BatchStatistics { mean, variance }) => (mean.view(), variance.view()),
            None => running,
        };
        let inverse = inverse_std_dev(variance, self.epsilon);
        if kept.is_empty() && !output.is_empty() {
            let scale = inverse * scale;
            let shift = &shift - &(&mean * &scale);
            return scale_and_shift(x, scale.view(), shift.view(), output);
        }
        let mut normalized = by_channel_mut(kept, units);
        normalize(x, mean, inverse.view(), normalized.view_mut());
        scale_and_shift(normalized.view(), scale, shift, output);
    }
}

/// `1 / sqrt(variance + epsilon)`.
pub(crate) fn inverse_std_dev<T: Element>(variance: ArrayView1<'_, T>, epsilon: f64) -> Array1<T> {
    let epsilon = T::from_f64(epsilon);
    variance.mapv(|variance| T::one() / (variance + epsilon).sqrt())
}

/// Normalisation by the running statistics as one scale and one shift for each unit.
pub(crate) fn as_scale_and_shift<T: Element>(
    layer: &BatchNorm,
    tensors: &[Tensor<T>],
) -> [Array1<T>; 2] {
    let [scale, shift, mean, variance] = tensors else {
        unreachable!("batch normalisation has four arrays")
    };
    let scale = inverse_std_dev(variance.unit(), layer.epsilon) * scale.unit();
    let shift = &shift.unit() - &(&mean.unit() * &scale);
    [scale, shift]
}

/// `(x - mean) * inverse`, unit by unit.
fn normalize<T: Element>(
    x: ArrayView2<'_, T>,
    mean: ArrayView1<'_, T>,
    inverse: ArrayView1<'_, T>,
    to: ArrayViewMut2<'_, T>,
) {
    each(x, mean, inverse, to, |x, mean, inverse| (x - mean) * inverse);
}

/// `z = scale x + shift`, unit by unit.
fn scale_and_shift<T: Element>(
    x: ArrayView2<'_, T>,
    scale: ArrayView1<'_, T>,
    shift: ArrayView1<'_, T>,
    z: ArrayViewMut2<'_, T>,
) {
    each(x, scale, shift, z, |x, scale, shift| scale * x + shift);
}

/// A function of each number and two numbers of its unit.
fn each<T: Element>(
    x: ArrayView2<'_, T>,
    first: ArrayView1<'_, T>,
    second: ArrayView1<'_, T>,
    to: ArrayViewMut2<'_, T>,
    of: impl Fn(T, T, T) -> T,
) {
    let (first, second) = (first.as_standard_layout(), second.as_standard_layout());
    let (x, to) = (x.reversed_axes().to_slice(), to.reversed_axes().into_slice());
    let (Some(x), Some(to), Some(first), Some(second)) =
        (x, to, first.as_slice(), second.as_slice())
    else {
        unreachable!("pixels one behind another")
    };
    KernelPath::best().vectorized(EachPixel { x, first, second, to, of });
}

struct EachPixel<'a, T, F> {
    x: &'a [T],
    first: &'a [T],
    second: &'a [T],
    to: &'a mut [T],
    of: F,
}

impl<T: Element, F: Fn(T, T, T) -> T> PlainLoop for EachPixel<'_, T, F> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
    #[inline(always)]
    fn run(self) {
        let Self { x, first, second, to, of } = self;
        let units = first.len();
        for (x, to) in x.chunks_exact(units).zip(to.chunks_exact_mut(units)) {
            for (((to, &x), &first), &second) in to.iter_mut().zip(x).zip(first).zip(second) {
                *to = of(x, first, second);
            }
        }
    }
}
