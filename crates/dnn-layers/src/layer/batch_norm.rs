//! Batch normalisation: `gamma X_hat + beta`.

#![allow(clippy::needless_range_loop, reason = "several slices side by side, as vectors")]

use dnn_core::{CoreError, Element, Shape};
use dnn_kernels::{KernelPath, PlainLoop};
use ndarray::{Array1, ArrayView1};
use serde::{Deserialize, Serialize};

use super::channels::{by_channel, by_channel_mut};
use super::statistics::RunningMut;
use super::{Activation, BatchStatistics, Forward, Layer, Scratch, Step, invalid};
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

    fn reserve(&self, input: Shape, scratch: &mut Scratch<T>) {
        let numbers = (2 * input.channels).max(scratch.units.len());
        scratch.units.resize(numbers, T::zero());
    }

    fn update_running(&self, tensors: &mut [Tensor<T>], batch: &BatchStatistics<T>, m: usize) {
        let [_, _, mean, variance] = tensors else {
            unreachable!("batch normalisation has four arrays")
        };
        let running = RunningMut { mean: mean.unit_mut(), variance: variance.unit_mut() };
        batch.update_running(m, self.momentum, running);
    }

    fn forward(&self, step: Step<'_, '_, '_, T>) {
        let Step {
            tensors: [scale, shift, mean, variance],
            input,
            output,
            scratch,
            given,
            relu,
            ..
        } = step
        else {
            unreachable!("batch normalisation has four arrays")
        };
        let units = scale.values().nrows();
        let (x, to) = (by_channel(input.numbers(), units), by_channel_mut(output, units));
        let (x, to) = (x.reversed_axes().to_slice(), to.reversed_axes().into_slice());
        let (Some(x), Some(to)) = (x, to) else { unreachable!("pixels one behind another") };
        let [scale, shift, mean, variance] =
            [scale, shift, mean, variance].map(|it| it.unit().to_slice().expect("one column"));
        let epsilon = T::from_f64(self.epsilon);
        let inverse_std_dev = |variance: T| T::one() / (variance + epsilon).sqrt();
        scratch.units.resize((2 * units).max(scratch.units.len()), T::zero());
        let (first, rest) = scratch.units.split_at_mut(units);
        let second = &mut rest[..units];
        let Some(BatchStatistics { mean, variance }) = given.statistics else {
            for unit in 0..units {
                first[unit] = inverse_std_dev(variance[unit]) * scale[unit];
                second[unit] = shift[unit] - mean[unit] * first[unit];
            }
            let (by, of) = ([&*first, second], |x: T, [scale, shift]: [T; 2]| scale * x + shift);
            if relu {
                each(x, by, to, |x, by| Activation::Relu.value(of(x, by)));
            } else {
                each(x, by, to, of);
            }
            return;
        };
        for (inverse, &variance) in first.iter_mut().zip(variance) {
            *inverse = inverse_std_dev(variance);
        }
        let by = [mean.as_slice().expect("one piece"), first, scale, shift];
        if relu {
            each(x, by, to, |x, by| Activation::Relu.value(normalized_and_scaled(x, by)));
        } else {
            each(x, by, to, normalized_and_scaled);
        }
    }
}

/// `gamma x_hat + beta`, of the numbers of a unit: its mean, one over its standard deviation, `gamma` and `beta`.
#[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
#[inline(always)]
fn normalized_and_scaled<T: Element>(x: T, by: [T; 4]) -> T {
    let [mean, inverse, scale, shift] = by;
    scale * ((x - mean) * inverse) + shift
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

/// Number `i` of each; [`array::map`] is not always a part of the loop.
#[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
#[inline(always)]
fn each_at<T: Element, const N: usize>(by: &[&[T]; N], i: usize) -> [T; N] {
    let mut numbers = [T::zero(); N];
    for n in 0..N {
        numbers[n] = by[n][i];
    }
    numbers
}

/// So many numbers of each from `start` on.
#[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
#[inline(always)]
fn part<'a, T, const N: usize>(by: &[&'a [T]; N], start: usize) -> [&'a [T]; N] {
    let mut parts = *by;
    for n in 0..N {
        parts[n] = &by[n][start..][..LANES];
    }
    parts
}

/// A function of each number and some numbers of its unit; pixels lie one behind another.
fn each<T: Element, const N: usize>(
    x: &[T],
    by: [&[T]; N],
    to: &mut [T],
    of: impl Fn(T, [T; N]) -> T,
) {
    KernelPath::best().vectorized(EachPixel { x, by, to, of });
}

struct EachPixel<'a, T, F, const N: usize> {
    x: &'a [T],
    by: [&'a [T]; N],
    to: &'a mut [T],
    of: F,
}

/// Numbers that a loop over units works on at a time: a vector, or several of them.
const LANES: usize = 16;

impl<T: Element, F: Fn(T, [T; N]) -> T, const N: usize> PlainLoop for EachPixel<'_, T, F, N> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
    #[inline(always)]
    fn run(self) {
        let Self { x, by, to, of } = self;
        let units = by[0].len();
        let whole = units - units % LANES;
        for (x, to) in x.chunks_exact(units).zip(to.chunks_exact_mut(units)) {
            for start in (0..whole).step_by(LANES) {
                let (x, to) = (&x[start..][..LANES], &mut to[start..][..LANES]);
                let by = part(&by, start);
                for i in 0..LANES {
                    to[i] = of(x[i], each_at(&by, i));
                }
            }
            for unit in whole..units {
                to[unit] = of(x[unit], each_at(&by, unit));
            }
        }
    }
}
