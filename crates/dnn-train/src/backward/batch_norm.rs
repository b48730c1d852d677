//! Batch normalisation: the statistics of a batch, and the way back through them.

use dnn_core::Element;
use dnn_layers::{BatchNorm, BatchStatistics, Tensor};
use ndarray::Array2;

use super::{Backward, BackwardStep, GradientBy, share_of};
use crate::engine::batch::Batch;

impl<T: Element> Backward<T> for BatchNorm {
    fn gradient_by(&self) -> GradientBy {
        GradientBy::WholeBatch
    }

    fn is_in_place(&self) -> bool {
        false
    }

    /// [`batch_gradient`](Backward::batch_gradient) has done it.
    fn input_gradient(&self, _: BackwardStep<'_, '_, T>) {}

    /// Mean and variance of what the layer is given.
    fn batch_statistics(&self, batch: &mut Batch<'_, T>, statistics: &mut BatchStatistics<T>) {
        let (layer, units) = (batch.layer(), statistics.mean.len());
        let m = batch.numbers(units) as f64;
        let means = batch.sums(units, |tile| [tile.input(layer); 2], |_, x, _| [x, 0.0]);
        let means: Vec<f64> = means.into_iter().map(|[sum, _]| sum / m).collect();
        // In two passes: the difference of two large sums would lose the small variances.
        let squares = batch.sums(
            units,
            |tile| [tile.input(layer); 2],
            |unit, x, _| {
                let apart = x - means[unit];
                [apart * apart, 0.0]
            },
        );
        for (unit, [sum, _]) in squares.into_iter().enumerate() {
            statistics.mean[unit] = T::from_f64(means[unit]);
            statistics.variance[unit] = T::from_f64(sum / m);
        }
    }

    /// With `g` for `gamma`: `dX = g / std_dev * (dZ - (sum(dZ) + X_hat sum(dZ X_hat)) / m)`; the gradient of
    /// `gamma` is the sum of `dZ X_hat`, that of `beta` the sum of `dZ`.
    fn batch_gradient(
        &self,
        batch: &mut Batch<'_, T>,
        tensors: &[Tensor<T>],
        statistics: &BatchStatistics<T>,
        gradients: &mut [Array2<T>],
        share: T,
    ) {
        let gamma = tensors[0].values();
        let gamma = gamma.column(0);
        let (layer, m) = (batch.layer(), batch.numbers(gamma.len()));
        let epsilon = T::from_f64(self.epsilon);
        let inverse = statistics.variance.mapv(|it| T::one() / (it + epsilon).sqrt());
        let scale = inverse * gamma;
        let sums = batch.sums(
            gamma.len(),
            |tile| [tile.gradient(layer), tile.caches.kept(layer)],
            |_, dz, x_hat| [dz * x_hat, dz],
        );
        let means: Vec<[T; 2]> =
            sums.iter().map(|sum| sum.map(|sum| T::from_f64(sum) * share_of::<T>(m))).collect();
        batch.set_input_gradients(gamma.len(), |unit, dz, x_hat| {
            let [dz_x_hat_mean, dz_mean] = means[unit];
            scale[unit] * (dz - dz_mean - x_hat * dz_x_hat_mean)
        });
        for (gradient, of) in gradients.iter_mut().zip([0, 1]) {
            for (entry, sums) in gradient.iter_mut().zip(&sums) {
                *entry = T::from_f64(sums[of]) * share;
            }
        }
    }
}
