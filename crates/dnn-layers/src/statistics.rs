//! Means and variances of batch normalisation.

use dnn_core::{Element, LayerParameters};
use ndarray::{Array1, Zip};

/// Mean and variance of each unit.
///
/// # Shapes
/// Both have length `n`.
#[derive(Debug, Clone, PartialEq)]
pub struct BatchStatistics<T> {
    /// `sum(x) / m`.
    pub mean: Array1<T>,
    /// `sum((x - mean)^2) / m`.
    pub variance: Array1<T>,
}

impl<T: Element> BatchStatistics<T> {
    /// Mean 0 and variance 1: what is known before the first batch.
    pub fn standard(units: usize) -> Self {
        Self { mean: Array1::zeros(units), variance: Array1::ones(units) }
    }

    /// `1 / sqrt(variance + epsilon)`.
    pub fn inverse_deviation(&self, epsilon: f64) -> Array1<T> {
        let epsilon = T::from_f64(epsilon);
        self.variance.mapv(|variance| T::one() / (variance + epsilon).sqrt())
    }

    /// Goes a part of the way to the statistics of a batch of `m` examples. The variance goes towards that of
    /// all examples as the batch lets it be estimated, `m / (m - 1)` times its own; a batch of one example
    /// tells nothing about it.
    ///
    /// # Panics
    /// If the lengths differ.
    pub fn follow(&mut self, batch: &Self, m: usize, momentum: f64) {
        let toward = |running: &mut Array1<T>, batch: &Array1<T>, scale: T| {
            let momentum = T::from_f64(momentum);
            Zip::from(running).and(batch).for_each(|running, &batch| {
                *running = (T::one() - momentum) * *running + momentum * (scale * batch);
            });
        };
        toward(&mut self.mean, &batch.mean, T::one());
        if m > 1 {
            let unbiased = T::from_f64(m as f64 / (m - 1) as f64);
            toward(&mut self.variance, &batch.variance, unbiased);
        }
    }

    /// Normalisation by these statistics as one scale and one shift for each unit.
    pub(crate) fn as_scale_and_shift(
        &self,
        epsilon: f64,
        parameters: &LayerParameters<T>,
    ) -> (Array1<T>, Array1<T>) {
        let scale = self.inverse_deviation(epsilon) * parameters.weights.column(0);
        let shift = &parameters.bias.column(0) - &(&self.mean * &scale);
        (scale, shift)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn running_statistics_by_hand() {
        let mut running = BatchStatistics::<f64>::standard(1);
        let batch = BatchStatistics { mean: array![4.0], variance: array![3.0] };
        running.follow(&batch, 4, 0.25);
        // 0.75 * 0 + 0.25 * 4; 0.75 * 1 + 0.25 * 3 * 4 / 3.
        assert_eq!(running, BatchStatistics { mean: array![1.0], variance: array![1.75] });
        running.follow(&BatchStatistics { mean: array![1.0], variance: array![0.0] }, 1, 0.25);
        assert_eq!(running.variance, array![1.75], "one example has no variance");
    }
}
