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

    /// By the running statistics: `dX = g / std_dev * dZ`.
    fn prediction_gradient(&self, step: BackwardStep<'_, '_, T>) {
        let BackwardStep { tensors, gradient, input_gradient: Some(mut to), .. } = step else {
            return;
        };
        let [gamma, _, _, variance] = [0, 1, 2, 3].map(|it| tensors[it].values());
        let epsilon = T::from_f64(self.epsilon);
        let by = variance.mapv(|variance| T::one() / (variance + epsilon).sqrt()) * gamma;
        for (mut dx, dz) in to.columns_mut().into_iter().zip(gradient.columns()) {
            for (entry, (dx, dz)) in dx.iter_mut().zip(dz).enumerate() {
                *dx = by[(entry % by.nrows(), 0)] * *dz;
            }
        }
    }

    /// Mean and variance of what the layer is given.
    fn batch_statistics(&self, batch: &mut Batch<'_, T>, statistics: &mut BatchStatistics<T>) {
        let (layer, units) = (batch.layer(), statistics.mean.len());
        let m = batch.numbers(units) as f64;
        let mut means =
            batch.sums(&vec![0.0; units], |tile| [tile.input(layer); 2], |x, _, _| [x, 0.0]);
        means.truncate(units);
        for sum in &mut means {
            *sum /= m;
        }
        // In two passes: the difference of two large sums would lose the small variances.
        let squares = batch.sums(
            &means,
            |tile| [tile.input(layer); 2],
            |x, _, mean| {
                let apart = x - mean;
                [apart * apart, 0.0]
            },
        );
        for (unit, (mean, sum)) in means.into_iter().zip(squares).enumerate() {
            statistics.mean[unit] = T::from_f64(mean);
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
        let units = gamma.len();
        let sums = batch.sums(
            &vec![0.0; units],
            |tile| [tile.gradient(layer), tile.caches.kept(layer)],
            |dz, x_hat, _| [dz * x_hat, dz],
        );
        let means = |sums: &[f64]| {
            sums.iter().map(|&sum| T::from_f64(sum) * share_of::<T>(m)).collect::<Vec<T>>()
        };
        let (of_products, of_gradients) = sums.split_at(units);
        let by = [scale.to_vec(), means(of_products), means(of_gradients)];
        batch.set_input_gradients(
            &by,
            |dz: T, x_hat: T, [scale, dz_x_hat_mean, dz_mean]: [T; 3]| {
                scale * (dz - dz_mean - x_hat * dz_x_hat_mean)
            },
        );
        for (gradient, sums) in gradients.iter_mut().zip([of_products, of_gradients]) {
            for (entry, &sum) in gradient.iter_mut().zip(sums) {
                *entry = T::from_f64(sum) * share;
            }
        }
    }
}
