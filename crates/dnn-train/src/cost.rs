//! Costs, each beside its gradient.

use std::fmt;
use std::ops::Range;

use dnn_core::{Columns, Element};
use dnn_layers::{Activation, Head};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2};

use crate::examples::class_count;
use crate::{Examples, Targets, TrainError};

/// What training makes small: the mean over the examples of the cost of one.
///
/// The cross-entropies are computed from the logits `z`, so that they are finite for any finite
/// logit; `y` is the target, `a` the output, `n` the number of outputs.
///
/// | cost | head | of one example | `dz` |
/// |---|---|---|---|
/// | binary cross-entropy | sigmoid | `sum(y softplus(-z) + (1 - y) softplus(z)) / n` | `(a - y) / n` |
/// | categorical cross-entropy | softmax | `sum(y (logsumexp(z) - z))` | `a sum(y) - y` |
/// | mean squared error | any | `sum((a - y)^2) / n` | `2 (a - y) / n` through the head |
///
/// With one output and `y` in {0, 1} the first is the course's
/// `-(y ln a + (1 - y) ln(1 - a))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cost {
    /// For independent probabilities; for two classes.
    BinaryCrossEntropy,
    /// For the probabilities of several classes.
    CategoricalCrossEntropy,
    /// For numbers; also, as the Brier score, for probabilities.
    MeanSquaredError,
}

impl Cost {
    /// Every cost.
    pub const ALL: [Self; 3] =
        [Self::BinaryCrossEntropy, Self::CategoricalCrossEntropy, Self::MeanSquaredError];

    /// The default cost of a head: maximum likelihood.
    pub fn of_head(head: Head) -> Self {
        match head {
            Head::Sigmoid => Self::BinaryCrossEntropy,
            Head::Softmax => Self::CategoricalCrossEntropy,
            _ => Self::MeanSquaredError,
        }
    }

    pub(crate) fn check_head(self, found: Head) -> Result<(), TrainError> {
        let expected = match self {
            Self::BinaryCrossEntropy => Head::Sigmoid,
            Self::CategoricalCrossEntropy => Head::Softmax,
            Self::MeanSquaredError => return Ok(()),
        };
        if found == expected {
            return Ok(());
        }
        Err(TrainError::CostHead { cost: self.to_string(), expected, found })
    }
}

/// What a pass makes small: a cost, and how much each example counts in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Objective<'a, T> {
    pub(crate) cost: Cost,
    /// The share of a class target that goes to all classes alike.
    pub(crate) smoothing: T,
    /// How much an example of each class counts.
    pub(crate) class_weights: Option<&'a [T]>,
    /// Where examples are mixed two by two, the share that each has of its own target; the rest is that of the one as far
    /// from the other end.
    pub(crate) own: Option<&'a [T]>,
}

/// The weighted sum of the costs of some examples, and the sum of their weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct CostSum {
    pub(crate) cost: f64,
    pub(crate) weight: f64,
}

impl<T: Element> Objective<'_, T> {
    /// A cost of targets as they are, in which every example counts alike.
    pub(crate) fn plain(cost: Cost) -> Self {
        Self { cost, smoothing: T::zero(), class_weights: None, own: None }
    }

    /// The sum of the costs of the examples `columns`, and `dz` of each, both times its weight.
    ///
    /// # Shapes
    /// `z`, `a` and `dz` are `(n_L, columns)`; `examples` are all examples.
    pub(crate) fn sum_and_gradient(
        &self,
        head: Head,
        z: ArrayView2<'_, T>,
        a: ArrayView2<'_, T>,
        examples: &Examples<'_, T>,
        columns: Columns<'_>,
        mut dz: ArrayViewMut2<'_, T>,
    ) -> CostSum {
        let (outputs, targets) = (z.nrows(), &examples.targets);
        let (mut sum, mut weights) = (0.0, 0.0);
        let all_alike = self.smoothing / T::from_f64(class_count(outputs) as f64);
        for j in 0..columns.len() {
            let example = columns.at(j);
            let target = |output| {
                let mut value = targets.value(example, output, outputs);
                if let Some(own) = self.own {
                    let other = targets.value(own.len() - 1 - example, output, outputs);
                    value = own[example] * value + (T::one() - own[example]) * other;
                }
                value * (T::one() - self.smoothing) + all_alike
            };
            let (z, a, mut dz) = (z.column(j), a.column(j), dz.column_mut(j));
            let mut cost = match self.cost {
                Cost::BinaryCrossEntropy => binary_cross_entropy(z, a, target, dz.view_mut()),
                Cost::CategoricalCrossEntropy => {
                    categorical_cross_entropy(z, a, target, dz.view_mut())
                }
                Cost::MeanSquaredError => squared_error(a, target, dz.view_mut()),
            };
            if let Some(weight) = self.weight(examples, example) {
                cost *= weight;
                dz *= weight;
                weights += weight.into();
            } else {
                weights += 1.0;
            }
            sum += cost.into();
        }
        if self.cost == Cost::MeanSquaredError {
            head.apply_derivative(z, a, dz);
        }
        CostSum { cost: sum, weight: weights }
    }

    /// How much an example counts; `None` for 1.
    pub(crate) fn weight(&self, examples: &Examples<'_, T>, example: usize) -> Option<T> {
        let own = examples.weights.map(|weights| weights[example]);
        let of_class = match (self.class_weights, &examples.targets) {
            (Some(weights), Targets::Classes(labels)) => Some(weights[labels[example] as usize]),
            _ => None,
        };
        match (own, of_class) {
            (Some(own), Some(of_class)) => Some(own * of_class),
            (own, of_class) => own.or(of_class),
        }
    }

    /// The sum of the weights of all examples.
    pub(crate) fn weight_of_all(&self, examples: &Examples<'_, T>) -> f64 {
        (0..examples.len())
            .map(|example| self.weight(examples, example).map_or(1.0, Into::into))
            .sum()
    }
}

/// The outputs of one example.
fn outputs_of<T>(a: ArrayView1<'_, T>) -> Range<usize> {
    0..a.len()
}

fn binary_cross_entropy<T: Element>(
    z: ArrayView1<'_, T>,
    a: ArrayView1<'_, T>,
    target: impl Fn(usize) -> T,
    mut dz: ndarray::ArrayViewMut1<'_, T>,
) -> T {
    let n = T::from_f64(z.len() as f64);
    let softplus = |z| Activation::Softplus.value(z);
    let mut cost = T::zero();
    for i in outputs_of(z) {
        let y = target(i);
        cost += y * softplus(-z[i]) + (T::one() - y) * softplus(z[i]);
        dz[i] = (a[i] - y) / n;
    }
    cost / n
}

fn categorical_cross_entropy<T: Element>(
    z: ArrayView1<'_, T>,
    a: ArrayView1<'_, T>,
    target: impl Fn(usize) -> T,
    mut dz: ndarray::ArrayViewMut1<'_, T>,
) -> T {
    let largest = z.fold(T::neg_infinity(), |largest, &z| largest.max(z));
    let log_sum = z.fold(T::zero(), |sum, &z| sum + (z - largest).exp()).ln();
    let (mut cost, mut weight) = (T::zero(), T::zero());
    for i in outputs_of(z) {
        let y = target(i);
        weight += y;
        // Not `0 * infinity`: a class that is not wanted adds nothing, however unlikely it is.
        if y > T::zero() {
            cost += y * (log_sum - (z[i] - largest));
        }
    }
    for i in outputs_of(z) {
        dz[i] = a[i] * weight - target(i);
    }
    cost
}

/// The squared error and `da`; the head's derivative comes after.
fn squared_error<T: Element>(
    a: ArrayView1<'_, T>,
    target: impl Fn(usize) -> T,
    mut da: ndarray::ArrayViewMut1<'_, T>,
) -> T {
    let n = T::from_f64(a.len() as f64);
    let two = T::from_f64(2.0);
    let mut cost = T::zero();
    for i in outputs_of(a) {
        let error = a[i] - target(i);
        cost += error * error;
        da[i] = two * error / n;
    }
    cost / n
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::BinaryCrossEntropy => "binary cross-entropy",
            Self::CategoricalCrossEntropy => "categorical cross-entropy",
            Self::MeanSquaredError => "mean squared error",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dnn_core::Features;
    use ndarray::{Array2, array};

    fn cost<'a>(
        cost: Cost,
        head: Head,
        z: &'a Array2<f64>,
        targets: Targets<'a, f64>,
    ) -> (f64, Array2<f64>) {
        cost_of(Objective::plain(cost), head, z, targets)
    }

    fn cost_of<'a>(
        objective: Objective<'_, f64>,
        head: Head,
        z: &'a Array2<f64>,
        targets: Targets<'a, f64>,
    ) -> (f64, Array2<f64>) {
        let mut a = Array2::zeros(z.raw_dim());
        head.apply(z.view(), a.view_mut());
        let mut dz = Array2::zeros(z.raw_dim());
        let columns = Columns::Run { start: 0, len: z.ncols() };
        // The features play no part.
        let examples = Examples { features: Features::Real(z.view()), targets, weights: None };
        let sum =
            objective.sum_and_gradient(head, z.view(), a.view(), &examples, columns, dz.view_mut());
        (sum.cost, dz)
    }

    #[test]
    fn costs_and_gradients_by_hand() {
        let ln3 = 3_f64.ln();
        // Sigmoid of ln 3 is 3/4: -ln(3/4) for label 1, -ln(1/4) for label 0.
        let (sum, dz) = cost(
            Cost::BinaryCrossEntropy,
            Head::Sigmoid,
            &array![[ln3, ln3]],
            Targets::Classes(&[1, 0]),
        );
        assert!((sum - ((4.0_f64 / 3.0).ln() + 4_f64.ln())).abs() < 1e-15);
        assert!((&dz - &array![[-0.25, 0.75]]).iter().all(|d: &f64| d.abs() < 1e-15));
        // Softmax of (0, ln 3) is (1/4, 3/4).
        let (sum, dz) = cost(
            Cost::CategoricalCrossEntropy,
            Head::Softmax,
            &array![[0.0], [ln3]],
            Targets::Classes(&[0]),
        );
        assert!((sum - 4_f64.ln()).abs() < 1e-15);
        assert!((&dz - &array![[-0.75], [0.75]]).iter().all(|d: &f64| d.abs() < 1e-15));
        // ((3 - 1)^2 + (0 - 2)^2) / 2 = 4, and 2 * 2 / 2 = 2.
        let values = array![[1.0], [2.0]];
        let (sum, dz) = cost(
            Cost::MeanSquaredError,
            Head::Identity,
            &array![[3.0], [0.0]],
            Targets::Values(values.view()),
        );
        assert_eq!((sum, dz), (4.0, array![[2.0], [-2.0]]));
    }

    #[test]
    fn a_mixed_example_has_the_mixture_of_two_targets() {
        let own = [0.75, 1.0, 0.6];
        for (cost, head, z, labels) in [
            (
                Cost::CategoricalCrossEntropy,
                Head::Softmax,
                array![[0.5, 1.0, -1.0], [0.0, 2.0, 0.3]],
                [0, 1, 1],
            ),
            (Cost::BinaryCrossEntropy, Head::Sigmoid, array![[0.5, 1.0, -1.0]], [1, 0, 0]),
            (Cost::MeanSquaredError, Head::Sigmoid, array![[0.5, 1.0, -1.0]], [1, 0, 0]),
        ] {
            for smoothing in [0.0, 0.1] {
                let plain = Objective { smoothing, ..Objective::plain(cost) };
                let mixed = Objective { own: Some(&own), ..plain };
                let found = cost_of(mixed, head, &z, Targets::Classes(&labels));
                // The same targets, written out.
                let classes = class_count(z.nrows()) as f64;
                let targets = Array2::from_shape_fn(z.raw_dim(), |(i, j)| {
                    let value = |j| Targets::<f64>::Classes(&labels).value(j, i, z.nrows());
                    let mixed = own[j] * value(j) + (1.0 - own[j]) * value(2 - j);
                    mixed * (1.0 - smoothing) + smoothing / classes
                });
                let expected =
                    cost_of(Objective::plain(cost), head, &z, Targets::Values(targets.view()));
                assert!((found.0 - expected.0).abs() < 1e-15, "{cost}");
                assert!((&found.1 - &expected.1).iter().all(|it| it.abs() < 1e-15), "{cost}");
            }
        }
    }

    #[test]
    fn costs_are_finite_for_logits_of_ten_thousand() {
        for z in [-1e4, 1e4] {
            for label in [0, 1] {
                let wrong = (z > 0.0) != (label == 1);
                let expected = if wrong { 1e4 } else { 0.0 };
                let targets = Targets::Classes(std::slice::from_ref(&label));
                let logit = array![[z]];
                let (sum, _) = cost(Cost::BinaryCrossEntropy, Head::Sigmoid, &logit, targets);
                assert_eq!(sum, expected);
                let logits = array![[0.0], [z]];
                let (sum, _) = cost(Cost::CategoricalCrossEntropy, Head::Softmax, &logits, targets);
                assert_eq!(sum, expected);
            }
        }
    }

    #[test]
    fn every_cost_is_listed() {
        dnn_core::assert_lists_every_variant!(
            Cost::ALL,
            Cost::BinaryCrossEntropy,
            Cost::CategoricalCrossEntropy,
            Cost::MeanSquaredError,
        );
    }

    #[test]
    fn a_cost_for_another_head_says_so() {
        let error = Cost::BinaryCrossEntropy.check_head(Head::Softmax).unwrap_err().to_string();
        assert_eq!(error, "binary cross-entropy expects a sigmoid head, found a softmax head");
        assert!(Cost::CategoricalCrossEntropy.check_head(Head::Sigmoid).is_err());
        for head in Head::ALL {
            assert!(Cost::of_head(head).check_head(head).is_ok());
            assert!(Cost::MeanSquaredError.check_head(head).is_ok());
        }
    }
}
