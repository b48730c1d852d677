//! Batch normalisation: the statistics of a batch, and the way back through them.

use std::mem::take;

use dnn_core::Element;
use dnn_kernels::KernelPath;
use dnn_layers::{Activation, BatchNorm, BatchStatistics, Tensor};
use ndarray::Array2;

use super::{Backward, BackwardStep, GradientBy, share_of};
use crate::engine::batch::Batch;
use crate::engine::pixels::{ChangePixels, SumOfPixels};
use crate::engine::tile_numbers::TileNumbers;

impl<T: Element> Backward<T> for BatchNorm {
    fn gradient_by(&self) -> GradientBy {
        GradientBy::WholeBatch
    }

    /// [`batch_gradient`](Backward::batch_gradient) has done it.
    fn input_gradient(&self, _: BackwardStep<'_, '_, T>) {}

    /// By the running statistics: `dX = g / std_dev * dZ`.
    fn prediction_gradient(&self, step: BackwardStep<'_, '_, T>) {
        let BackwardStep { tensors, mut gradient, .. } = step;
        let [gamma, _, _, variance] = [0, 1, 2, 3].map(|it| tensors[it].values());
        let epsilon = T::from_f64(self.epsilon);
        let by = variance.mapv(|variance| T::one() / (variance + epsilon).sqrt()) * gamma;
        for mut dz in gradient.columns_mut() {
            for (entry, dz) in dz.iter_mut().enumerate() {
                *dz *= by[(entry % by.nrows(), 0)];
            }
        }
    }

    /// Mean and variance of what the layer is given.
    fn batch_statistics(&self, batch: &mut Batch<'_, T>, statistics: &mut BatchStatistics<T>) {
        let units = statistics.mean.len();
        let m = batch.numbers(units) as f64;
        batch.sums(units, |TileNumbers { input: x, .. }, sums| {
            let of = |x: T, _, []: [f64; 0]| [x.into()];
            KernelPath::best().vectorized(SumOfPixels { first: x, second: x, by: [], of, sums });
        });
        let mut means = take(&mut batch.memory().means);
        means.clear();
        means.extend(batch.memory().sums.iter().map(|sum| sum / m));
        // In two passes: the difference of two large sums would lose the small variances.
        batch.sums(units, |TileNumbers { input: x, .. }, sums| {
            let of = |x: T, _, [mean]: [f64; 1]| {
                let apart = Into::<f64>::into(x) - mean;
                [apart * apart]
            };
            let by = [&means[..]];
            KernelPath::best().vectorized(SumOfPixels { first: x, second: x, by, of, sums });
        });
        for (unit, (mean, sum)) in means.iter().zip(&batch.memory().sums).enumerate() {
            statistics.mean[unit] = T::from_f64(*mean);
            statistics.variance[unit] = T::from_f64(sum / m);
        }
        batch.memory().means = means;
    }

    /// With `g` for `gamma`: `dX = g / std_dev * (dZ - (sum(dZ) + X_hat sum(dZ X_hat)) / m)`; the gradient of
    /// `gamma` is the sum of `dZ X_hat`, that of `beta` the sum of `dZ`. `X_hat` is made again, and with a `ReLU` after the
    /// layer `dZ` of the gradient of that: nothing of either was kept.
    fn batch_gradient(
        &self,
        batch: &mut Batch<'_, T>,
        tensors: &[Tensor<T>],
        statistics: &BatchStatistics<T>,
        gradients: &mut [Array2<T>],
        share: T,
    ) {
        if batch.does_relu() {
            let slope = |z: T| Activation::Relu.derivative(z, z);
            self.through(batch, tensors, statistics, slope);
        } else {
            self.through(batch, tensors, statistics, |_| T::one());
        }
        let sums = &batch.memory().sums;
        for (gradient, sums) in gradients.iter_mut().zip(sums.chunks_exact(sums.len() / 2)) {
            for (entry, &sum) in gradient.iter_mut().zip(sums) {
                *entry = T::from_f64(sum) * share;
            }
        }
    }
}

/// The numbers of a unit that make `X_hat` and `Z`: mean, one over the standard deviation, `gamma` and `beta`.
type OfUnit<T> = [T; 4];

#[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
#[inline(always)]
fn x_hat<T: Element>(x: T, [mean, inverse, ..]: OfUnit<T>) -> T {
    (x - mean) * inverse
}

/// `dZ` of the gradient after an activation of this slope.
#[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
#[inline(always)]
fn dz<T: Element>(da: T, x_hat: T, [_, _, gamma, beta]: OfUnit<T>, slope: impl Fn(T) -> T) -> T {
    da * slope(gamma * x_hat + beta)
}

/// What [`BatchNorm`] does with the gradients of all tiles.
trait Through<T: Element> {
    /// Leaves the sums of `dZ X_hat` and of `dZ`, and in the place of the gradient that of the input.
    fn through(
        &self,
        batch: &mut Batch<'_, T>,
        tensors: &[Tensor<T>],
        statistics: &BatchStatistics<T>,
        slope: impl Fn(T) -> T + Copy + Sync,
    );
}

impl<T: Element> Through<T> for BatchNorm {
    fn through(
        &self,
        batch: &mut Batch<'_, T>,
        tensors: &[Tensor<T>],
        statistics: &BatchStatistics<T>,
        slope: impl Fn(T) -> T + Copy + Sync,
    ) {
        let [mut inverse, mut of_products, mut of_gradients] = take(&mut batch.memory().units);
        let epsilon = T::from_f64(self.epsilon);
        inverse.clear();
        inverse.extend(statistics.variance.iter().map(|&it| T::one() / (it + epsilon).sqrt()));
        let column = |index: usize| {
            let values: ndarray::ArrayView2<'_, T> = tensors[index].values();
            values.to_slice().expect("one column")
        };
        let mean = statistics.mean.as_slice().expect("one piece");
        let (units, m) = (mean.len(), batch.numbers(mean.len()));
        let by = [mean, &inverse, column(0), column(1)];
        batch.sums(2 * units, |TileNumbers { input, gradient }, sums| {
            let of = |da: T, x: T, by: OfUnit<T>| {
                let x_hat = x_hat(x, by);
                let dz: f64 = dz(da, x_hat, by, slope).into();
                [dz * Into::<f64>::into(x_hat), dz]
            };
            let sums = SumOfPixels { first: gradient, second: input, by, of, sums };
            KernelPath::best().vectorized(sums);
        });
        let (products, sums) = batch.memory().sums.split_at(units);
        for (means, sums) in [(&mut of_products, products), (&mut of_gradients, sums)] {
            means.clear();
            means.extend(sums.iter().map(|&sum| T::from_f64(sum) * share_of::<T>(m)));
        }
        let [mean, inverse_of, gamma, beta] = by;
        let by = [mean, inverse_of, gamma, beta, &of_products, &of_gradients];
        batch.each(|TileNumbers { input, gradient }| {
            let of = |da: T, x: T, by: [T; 6]| {
                let [mean, inverse, gamma, beta, of_products, of_gradients] = by;
                let of_unit = [mean, inverse, gamma, beta];
                let x_hat = x_hat(x, of_unit);
                let dz = dz(da, x_hat, of_unit, slope);
                inverse * gamma * (dz - of_gradients - x_hat * of_products)
            };
            let change = ChangePixels { numbers: gradient, other: input, by, of };
            KernelPath::best().vectorized(change);
        });
        batch.memory().units = [inverse, of_products, of_gradients];
    }
}
