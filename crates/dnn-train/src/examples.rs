//! Inputs together with what they should give.

use dnn_core::{Element, Features};
use ndarray::ArrayView2;

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
}

/// How many classes `outputs` outputs can tell apart.
pub(crate) fn class_count(outputs: usize) -> usize {
    if outputs == 1 { 2 } else { outputs }
}
