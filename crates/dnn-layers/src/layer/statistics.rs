//! Means and variances of batch normalisation.

use dnn_core::Element;
use ndarray::{Array1, ArrayViewMut1, Zip};

/// Mean and variance of each unit over a batch.
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

    /// Takes running averages a part of the way to this batch of `m` examples. The variance goes towards that of
    /// all examples as the batch lets it be estimated, `m / (m - 1)` times its own; a batch of one example
    /// tells nothing about it.
    ///
    /// # Panics
    /// If the lengths differ.
    pub(crate) fn update_running(&self, m: usize, momentum: f64, running: RunningMut<'_, T>) {
        let momentum = T::from_f64(momentum);
        let toward = |running: ArrayViewMut1<'_, T>, batch: &Array1<T>, scale: T| {
            Zip::from(running).and(batch).for_each(|running, &batch| {
                *running = (T::one() - momentum) * *running + momentum * (scale * batch);
            });
        };
        toward(running.mean, &self.mean, T::one());
        if m > 1 {
            let unbiased = T::from_f64(m as f64 / (m - 1) as f64);
            toward(running.variance, &self.variance, unbiased);
        }
    }

    /// Whether all of them are finite.
    pub fn are_finite(&self) -> bool {
        self.mean.iter().chain(&self.variance).all(|value| value.is_finite())
    }
}

/// The running averages of a layer.
pub(crate) struct RunningMut<'r, T> {
    pub(crate) mean: ArrayViewMut1<'r, T>,
    pub(crate) variance: ArrayViewMut1<'r, T>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn running_statistics_by_hand() {
        let (mut mean, mut variance) = (array![0.0], array![1.0]);
        let mut update = |batch: BatchStatistics<f64>, m| {
            let running = RunningMut { mean: mean.view_mut(), variance: variance.view_mut() };
            batch.update_running(m, 0.25, running);
            (mean[0], variance[0])
        };
        // 0.75 * 0 + 0.25 * 4; 0.75 * 1 + 0.25 * 3 * 4 / 3.
        let batch = BatchStatistics { mean: array![4.0], variance: array![3.0] };
        assert_eq!(update(batch, 4), (1.0, 1.75));
        let one = BatchStatistics { mean: array![1.0], variance: array![0.0] };
        assert_eq!(update(one, 1).1, 1.75, "one example has no variance");
    }
}
