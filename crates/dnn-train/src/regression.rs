//! How near numbers come to those that were wanted, and how many labels are right.

use dnn_core::Element;
use ndarray::{ArrayView1, ArrayView2, Axis, Zip};
use serde::{Deserialize, Serialize};

/// Numbers beside those that were wanted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Regression {
    /// The coefficient of determination: 1 less the sum of the squared errors over that of the squared distances of
    /// the targets from their mean; 1 for no error, 0 for whoever always answers with the mean of these examples.
    /// Of several outputs the plain mean. An output whose targets are all equal has none and is left out; `None`
    /// where all are left out.
    pub r2: Option<f64>,
    /// The mean over outputs and examples of the distance of an output from its target.
    pub mean_absolute_error: f64,
    /// The mean squared error of always answering with the mean of these examples.
    pub baseline: f64,
}

/// Independent labels, each of which holds or does not.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelSets {
    /// Of each label, the share of examples in which it was answered rightly, 0 to 1.
    pub accuracy: Vec<f64>,
    /// The share of examples in which all labels were, 0 to 1.
    pub subset_accuracy: f64,
}

impl Regression {
    /// # Shapes
    /// Both are `(n_L, m)`.
    pub(crate) fn of<T: Element>(outputs: ArrayView2<'_, T>, targets: ArrayView2<'_, T>) -> Self {
        let count = targets.len() as f64;
        let (mut shares, mut absolute, mut spread) = (Vec::new(), 0.0, 0.0);
        for (found, wanted) in outputs.rows().into_iter().zip(targets.rows()) {
            let mean = sum(wanted, |y| y) / wanted.len() as f64;
            let of_targets = sum(wanted, |y| (y - mean).powi(2));
            let mut of_errors = 0.0;
            Zip::from(found).and(wanted).for_each(|&a, &y| {
                let error: f64 = a.into() - y.into();
                of_errors += error * error;
                absolute += error.abs();
            });
            spread += of_targets;
            if wanted.iter().any(|&y| y != wanted[0]) {
                shares.push(1.0 - of_errors / of_targets);
            }
        }
        let mean = || shares.iter().sum::<f64>() / shares.len() as f64;
        Self {
            r2: (!shares.is_empty()).then(mean),
            mean_absolute_error: absolute / count,
            baseline: spread / count,
        }
    }
}

impl LabelSets {
    /// A label is said to hold where its probability is above 0.5.
    ///
    /// # Shapes
    /// Both are `(n_L, m)`; `targets` are 0 or 1.
    pub(crate) fn of<T: Element>(outputs: ArrayView2<'_, T>, targets: ArrayView2<'_, T>) -> Self {
        let half = T::from_f64(0.5);
        let share = |right: usize, of: usize| right as f64 / of as f64;
        let is_right = |(&p, &y): (&T, &T)| (p > half) == (y > half);
        let right = |found: ArrayView1<'_, T>, wanted: ArrayView1<'_, T>| {
            found.iter().zip(&wanted).filter(|&pair| is_right(pair)).count()
        };
        let labels = outputs.rows().into_iter().zip(targets.rows());
        let sets = outputs.axis_iter(Axis(1)).zip(targets.axis_iter(Axis(1)));
        let whole = sets.filter(|&(found, wanted)| right(found, wanted) == found.len()).count();
        Self {
            accuracy: labels
                .map(|(found, wanted)| share(right(found, wanted), found.len()))
                .collect(),
            subset_accuracy: share(whole, targets.ncols()),
        }
    }

    /// Whether these targets are labels that hold or do not.
    pub(crate) fn are<T: Element>(targets: ArrayView2<'_, T>) -> bool {
        targets.iter().all(|&y| y == T::zero() || y == T::one())
    }
}

fn sum<T: Element>(numbers: ArrayView1<'_, T>, of: impl Fn(f64) -> f64) -> f64 {
    numbers.iter().map(|&number| of(number.into())).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn regressions_by_hand() {
        // Errors 1, 0, -1, 0 around 1, 2, 3, 4: 1 - 2 / 5; and a constant that has no share.
        let targets = array![[1.0, 2.0, 3.0, 4.0], [7.0, 7.0, 7.0, 7.0]];
        let outputs = array![[2.0, 2.0, 2.0, 4.0], [7.0, 7.0, 7.0, 5.0]];
        let found = Regression::of(outputs.view(), targets.view());
        assert!(found.r2.is_some_and(|r2| (r2 - 0.6).abs() < 1e-15), "{found:?}");
        assert_eq!((found.mean_absolute_error, found.baseline), (0.5, 5.0 / 8.0));
        let constant = Regression::of(
            outputs.slice(ndarray::s![1.., ..]),
            targets.slice(ndarray::s![1.., ..]),
        );
        assert_eq!(constant.r2, None);
        // Large numbers lose nothing: the spread is not a difference of squares.
        let far = Regression::of((&outputs + 1e9).view(), (&targets + 1e9).view());
        assert!(far.r2.is_some_and(|r2| (r2 - 0.6).abs() < 1e-6), "{far:?}");
    }

    #[test]
    fn label_sets_by_hand() {
        let targets = array![[1.0_f32, 0.0, 1.0, 0.0], [1.0, 1.0, 0.0, 0.0]];
        let outputs = array![[0.9_f32, 0.5, 0.4, 0.1], [0.7, 0.8, 0.9, 0.2]];
        let found = LabelSets::of(outputs.view(), targets.view());
        assert_eq!(found.accuracy, [0.75, 0.75]);
        assert_eq!(found.subset_accuracy, 0.75);
        assert!(LabelSets::are(targets.view()) && !LabelSets::are(outputs.view()));
    }
}
