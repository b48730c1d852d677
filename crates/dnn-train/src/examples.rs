//! Inputs together with what they should give.

use dnn_core::{CoreError, Element, Features};
use dnn_layers::{Head, Network};
use ndarray::ArrayView2;

use crate::{Cost, TrainError};

/// What each example should give.
#[derive(Debug, Clone, Copy)]
pub enum Targets<'a, T> {
    /// The class of each example, as an index; length `m`.
    Classes(&'a [u32]),
    /// The numbers of each example, `(n_L, m)`.
    Values(ArrayView2<'a, T>),
}

impl<T: Element> Targets<'_, T> {
    /// How many examples these are for.
    pub fn len(&self) -> usize {
        match self {
            Self::Classes(labels) => labels.len(),
            Self::Values(values) => values.ncols(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What output `output` of `outputs` should be for `example`: a class is 1 at its own output,
    /// or, of two classes at a single output, the label itself.
    #[inline]
    pub(crate) fn value(&self, example: usize, output: usize, outputs: usize) -> T {
        match self {
            Self::Classes(labels) => {
                let wanted = if outputs == 1 { 1 } else { output };
                if labels[example] as usize == wanted { T::one() } else { T::zero() }
            }
            Self::Values(values) => values[(output, example)],
        }
    }
}

/// Inputs and targets, one example per column.
///
/// # Examples
/// ```
/// use dnn_core::Features;
/// use dnn_train::{Examples, Targets};
/// use ndarray::array;
///
/// let x = array![[0.0, 1.0, 2.0]];
/// let labels = [0, 1, 1];
/// let examples = Examples::classes(Features::Real(x.view()), &labels);
/// assert_eq!(examples.len(), 3);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Examples<'a, T> {
    /// `(n_x, m)`.
    pub features: Features<'a, T>,
    /// For as many examples.
    pub targets: Targets<'a, T>,
    /// How much each example counts, at least 0, length `m`; all alike if `None`. A mean cost is the sum
    /// of weight times cost over the sum of the weights.
    pub weights: Option<&'a [T]>,
}

impl<'a, T: Element> Examples<'a, T> {
    /// Examples with a class each.
    pub fn classes(features: Features<'a, T>, labels: &'a [u32]) -> Self {
        Self { features, targets: Targets::Classes(labels), weights: None }
    }

    /// Examples with numbers to approach, `(n_L, m)`.
    pub fn values(features: Features<'a, T>, values: ArrayView2<'a, T>) -> Self {
        Self { features, targets: Targets::Values(values), weights: None }
    }

    /// The same examples, each counted as often as its weight says: one of weight 2 as if it were there
    /// twice.
    ///
    /// # Examples
    /// ```
    /// use dnn_core::Features;
    /// use dnn_train::Examples;
    /// use ndarray::array;
    ///
    /// let x = array![[0.0, 1.0]];
    /// let examples = Examples::classes(Features::Real(x.view()), &[0, 1]).weighted(&[1.0, 2.0]);
    /// assert_eq!(examples.weights, Some(&[1.0, 2.0][..]));
    /// ```
    pub fn weighted(self, weights: &'a [T]) -> Self {
        Self { weights: Some(weights), ..self }
    }

    /// How many examples, `m`.
    pub fn len(&self) -> usize {
        self.features.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The same examples for a shorter time; array views do not shorten on their own.
    pub(crate) fn reborrow(&self) -> Examples<'_, T> {
        let features = match &self.features {
            Features::Real(values) => Features::Real(values.reborrow()),
            Features::Pixels { values, scaling } => {
                Features::Pixels { values: values.reborrow(), scaling: *scaling }
            }
        };
        let targets = match &self.targets {
            Targets::Classes(labels) => Targets::Classes(labels),
            Targets::Values(values) => Targets::Values(values.reborrow()),
        };
        Examples { features, targets, weights: self.weights }
    }

    /// Checks everything that a pass over these examples relies on.
    pub(crate) fn check(&self, network: &Network<T>, cost: Cost) -> Result<(), TrainError> {
        cost.check_head(network.head())?;
        network.check(&self.features)?;
        let (m, outputs) = (self.len(), network.outputs());
        if m == 0 {
            return Err(TrainError::NoExamples);
        }
        if self.targets.len() != m {
            return Err(TrainError::TargetCount { expected: m, found: self.targets.len() });
        }
        self.check_weights()?;
        match self.targets {
            Targets::Classes(_) if network.head() == Head::Identity && outputs == 1 => {
                Err(TrainError::ClassTargets)
            }
            Targets::Classes(labels) => {
                let classes = class_count(outputs);
                match labels.iter().position(|&label| label as usize >= classes) {
                    Some(example) => {
                        Err(TrainError::Label { example, label: labels[example], classes })
                    }
                    None => Ok(()),
                }
            }
            Targets::Values(values) if values.nrows() == outputs => check_values(values, cost),
            Targets::Values(values) => Err(CoreError::Shape {
                what: "targets",
                expected: (outputs, m),
                found: values.dim(),
            }
            .into()),
        }
    }
}

impl<T: Element> Examples<'_, T> {
    fn check_weights(&self) -> Result<(), TrainError> {
        let Some(weights) = self.weights else { return Ok(()) };
        let invalid = |expected, found| {
            Err(CoreError::Invalid { what: "weights of the examples", expected, found }.into())
        };
        if weights.len() != self.len() {
            return invalid("one per example", format!("{} for {}", weights.len(), self.len()));
        }
        let fits = |weight: &T| weight.is_finite() && *weight >= T::zero();
        if let Some(example) = weights.iter().position(|weight| !fits(weight)) {
            let found = format!("{} for example {example}", weights[example]);
            return invalid("finite numbers of at least 0", found);
        }
        if weights.iter().all(|weight| *weight == T::zero()) {
            return invalid("one above 0", "none".to_owned());
        }
        Ok(())
    }
}

/// How many classes `outputs` outputs can tell apart.
pub(crate) fn class_count(outputs: usize) -> usize {
    if outputs == 1 { 2 } else { outputs }
}

fn check_values<T: Element>(values: ArrayView2<'_, T>, cost: Cost) -> Result<(), TrainError> {
    let (expected, fits): (_, fn(f64) -> bool) = match cost {
        Cost::MeanSquaredError => ("finite", f64::is_finite),
        _ => ("between 0 and 1", |value| (0.0..=1.0).contains(&value)),
    };
    for ((output, example), &value) in values.indexed_iter() {
        let found = value.into();
        if !fits(found) {
            return Err(TrainError::TargetValue { example, output, expected, found });
        }
    }
    Ok(())
}
