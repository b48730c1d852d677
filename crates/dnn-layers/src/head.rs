//! What a network ends in: how the last layer's numbers become answers.

use std::fmt;

use dnn_core::Element;
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, Axis, Zip};
use serde::{Deserialize, Serialize};

use crate::Activation;

/// The function on the last layer's `Z`, its logits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Head {
    /// Each output on its own a probability; one output tells two classes apart.
    Sigmoid,
    /// The outputs together are the probabilities of as many classes.
    Softmax,
    /// The outputs are numbers, for regression.
    Identity,
}

impl Head {
    /// Every head.
    pub const ALL: [Self; 3] = [Self::Sigmoid, Self::Softmax, Self::Identity];

    /// `a = h(z)`, column by column.
    ///
    /// # Shapes
    /// `z` and `a` are alike, `(n_L, m)`.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn apply<T: Element>(self, z: ArrayView2<'_, T>, mut a: ArrayViewMut2<'_, T>) {
        match self {
            Self::Sigmoid => Activation::Sigmoid.apply(z, a),
            Self::Identity => a.assign(&z),
            Self::Softmax => {
                for (z, mut a) in z.columns().into_iter().zip(a.columns_mut()) {
                    // Less the largest logit, so that no exponential overflows.
                    let largest = z.fold(T::neg_infinity(), |largest, &z| largest.max(z));
                    Zip::from(&mut a).and(z).for_each(|a, &z| *a = (z - largest).exp());
                    let sum = a.sum();
                    a.map_inplace(|a| *a /= sum);
                }
            }
        }
    }

    /// `dz` from `da`, in place: `gradient` holds `da` before and `dz` after. For softmax it is
    /// `dz = a * (da - sum(a * da))`, the sum over the column.
    ///
    /// # Shapes
    /// All three are alike, `(n_L, m)`.
    ///
    /// # Panics
    /// If the shapes differ.
    pub fn apply_derivative<T: Element>(
        self,
        z: ArrayView2<'_, T>,
        a: ArrayView2<'_, T>,
        mut gradient: ArrayViewMut2<'_, T>,
    ) {
        match self {
            Self::Sigmoid => Activation::Sigmoid.apply_derivative(z, a, gradient),
            Self::Identity => {}
            Self::Softmax => {
                for (a, mut gradient) in a.columns().into_iter().zip(gradient.columns_mut()) {
                    let mean = a.dot(&gradient);
                    Zip::from(&mut gradient).and(a).for_each(|g, &a| *g = a * (*g - mean));
                }
            }
        }
    }
}

/// From outputs `(n_L, m)` to class probabilities `(classes, m)`, or, where `out` has as many rows as they, to
/// the same outputs.
pub(crate) fn class_probabilities<T: Element>(
    output: ArrayView2<'_, T>,
    mut out: ArrayViewMut2<'_, T>,
) {
    if out.nrows() > output.nrows() {
        let (first, second) = out.view_mut().split_at(Axis(0), 1);
        Zip::from(first).and(second).and(output).for_each(|first, second, &p| {
            (*first, *second) = (T::one() - p, p);
        });
    } else {
        out.assign(&output);
    }
}

/// The index of the largest of these class probabilities, the first of equals: the class that
/// [`Network::predict`](crate::Network::predict) gives for a column of [`Network::predict_probabilities`](crate::Network::predict_probabilities).
///
/// # Panics
/// If there is no number.
pub fn most_probable<T: Element>(column: ArrayView1<'_, T>) -> usize {
    let mut best = 0;
    for (index, &value) in column.iter().enumerate() {
        if value > column[best] {
            best = index;
        }
    }
    best
}

impl fmt::Display for Head {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Sigmoid => "sigmoid",
            Self::Softmax => "softmax",
            Self::Identity => "identity",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    fn apply(head: Head, z: &Array2<f64>) -> Array2<f64> {
        let mut a = Array2::zeros(z.raw_dim());
        head.apply(z.view(), a.view_mut());
        a
    }

    #[test]
    fn softmax_by_hand() {
        // e^0 : e^ln 3 = 1 : 3, and equal logits share equally however large.
        let z = array![[0.0, 1e4], [3_f64.ln(), 1e4]];
        let expected = array![[0.25, 0.5], [0.75, 0.5]];
        assert!((apply(Head::Softmax, &z) - expected).iter().all(|d| d.abs() < 1e-15));
    }

    #[test]
    fn derivatives_are_the_slopes_of_the_values() {
        let z = array![[0.3, -1.0], [-0.4, 0.2], [1.1, 0.0]];
        let da = array![[0.5, 1.0], [-0.2, 0.3], [0.9, -0.7]];
        let eps = 1e-6;
        for head in Head::ALL {
            let mut found = da.clone();
            head.apply_derivative(z.view(), apply(head, &z).view(), found.view_mut());
            for index in ndarray::indices_of(&z) {
                let weighted = |step: f64| {
                    let mut moved = z.clone();
                    moved[index] += step;
                    (apply(head, &moved) * &da).sum()
                };
                let slope = (weighted(eps) - weighted(-eps)) / (2.0 * eps);
                assert!((found[index] - slope).abs() < 1e-9, "{head} {index:?}");
            }
        }
    }

    #[test]
    fn every_head_is_listed() {
        dnn_core::assert_lists_every_variant!(
            Head::ALL,
            Head::Sigmoid,
            Head::Softmax,
            Head::Identity,
        );
    }

    proptest! {
        #[test]
        fn softmax_sums_to_one_for_any_logits(
            column in prop::collection::vec(-1e4..1e4_f64, 1..8),
        ) {
            let z = Array2::from_shape_vec((column.len(), 1), column).unwrap();
            let a = apply(Head::Softmax, &z);
            prop_assert!((a.sum() - 1.0).abs() < 1e-12 && a.iter().all(|&p| (0.0..=1.0).contains(&p)));
        }
    }
}
