//! How much the examples of a class count.

use std::fmt;
use std::str::FromStr;

use dnn_core::{CoreError, Element};

use crate::examples::class_count;
use crate::{Examples, Targets, TrainError};

/// How much the examples of each class count in training.
///
/// As text: `equal`, `balanced`, or one number per class as in `1,2.5,1`.
///
/// # Examples
/// ```
/// use dnn_train::ClassWeights;
///
/// let weights: ClassWeights = "1,2.5".parse()?;
/// assert_eq!(weights, ClassWeights::Given(vec![1.0, 2.5]));
/// assert_eq!(weights.to_string(), "1,2.5");
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Default)]
#[non_exhaustive]
pub enum ClassWeights {
    /// All alike.
    #[default]
    Equal,
    /// So that every class counts alike, however many examples it has: `m / (classes * m_class)`.
    Balanced,
    /// As these numbers say, one for each class, at least 0.
    Given(Vec<f64>),
}

impl ClassWeights {
    /// One weight for each class, if they are not all alike.
    pub(crate) fn of<T: Element>(
        &self,
        training: &Examples<'_, T>,
        outputs: usize,
    ) -> Result<Option<Vec<T>>, TrainError> {
        let invalid = |expected, found| {
            Err(CoreError::Invalid { what: "class weights", expected, found }.into())
        };
        let labels = match (self, &training.targets) {
            (Self::Equal, _) => return Ok(None),
            (_, Targets::Classes(labels)) => labels,
            (_, Targets::Values(_)) => {
                return invalid("classes as targets", "numbers".to_owned());
            }
        };
        let classes = class_count(outputs);
        let weights = match self {
            Self::Equal => return Ok(None),
            Self::Given(weights) => weights.clone(),
            Self::Balanced => balanced(labels, classes),
        };
        if weights.len() != classes {
            return invalid("one per class", format!("{} for {classes}", weights.len()));
        }
        let fits = |weight: &f64| *weight >= 0.0 && T::from_f64(*weight).is_finite();
        if let Some(weight) = weights.iter().find(|weight| !fits(weight)) {
            return invalid("finite numbers of at least 0", weight.to_string());
        }
        if !labels.iter().any(|&label| weights[label as usize] > 0.0) {
            return invalid("one above 0 for a class with examples", "none".to_owned());
        }
        Ok(Some(weights.into_iter().map(T::from_f64).collect()))
    }
}

/// `m / (classes * m_class)`, over the classes that have examples.
fn balanced(labels: &[u32], classes: usize) -> Vec<f64> {
    let mut counts = vec![0_usize; classes];
    for &label in labels {
        counts[label as usize] += 1;
    }
    let present = counts.iter().filter(|&&count| count > 0).count();
    let weight = |&count: &usize| match count {
        0 => 0.0,
        count => labels.len() as f64 / (present as f64 * count as f64),
    };
    counts.iter().map(weight).collect()
}

impl fmt::Display for ClassWeights {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Equal => f.pad("equal"),
            Self::Balanced => f.pad("balanced"),
            Self::Given(weights) => {
                f.pad(&weights.iter().map(f64::to_string).collect::<Vec<_>>().join(","))
            }
        }
    }
}

impl FromStr for ClassWeights {
    type Err = CoreError;

    fn from_str(text: &str) -> Result<Self, CoreError> {
        match text {
            "equal" => return Ok(Self::Equal),
            "balanced" => return Ok(Self::Balanced),
            _ => {}
        }
        let number = |part: &str| {
            part.trim().parse().ok().filter(|weight: &f64| weight.is_finite() && *weight >= 0.0)
        };
        let weights = text.split(',').map(number).collect::<Option<_>>();
        weights.map(Self::Given).ok_or_else(|| CoreError::Invalid {
            what: "class weights",
            expected: "`equal`, `balanced` or numbers of at least 0 like 1,2.5",
            found: text.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dnn_core::Features;
    use ndarray::Array2;

    #[test]
    fn balanced_as_scikit_learn_has_it() {
        // compute_class_weight("balanced", classes=[0, 1, 2], y=[0, 0, 0, 1, 2, 2])
        assert_eq!(balanced(&[0, 0, 0, 1, 2, 2], 3), [6.0 / 9.0, 2.0, 1.0]);
        assert_eq!(balanced(&[0, 2], 3), [1.0, 0.0, 1.0], "a class without examples");
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let x = Array2::<f64>::zeros((1, 3));
        let examples = Examples::classes(Features::Real(x.view()), &[0, 0, 1]);
        let refuse = |weights: ClassWeights| weights.of(&examples, 3).unwrap_err().to_string();
        assert_eq!(
            refuse(ClassWeights::Given(vec![1.0])),
            "class weights: expected one per class, found 1 for 3"
        );
        assert_eq!(
            refuse(ClassWeights::Given(vec![1.0, f64::NAN, 1.0])),
            "class weights: expected finite numbers of at least 0, found NaN"
        );
        assert_eq!(
            refuse(ClassWeights::Given(vec![0.0, 0.0, 1.0])),
            "class weights: expected one above 0 for a class with examples, found none"
        );
        let values = Array2::zeros((3, 3));
        let numbers = Examples::values(Features::Real(x.view()), values.view());
        let error = ClassWeights::Balanced.of(&numbers, 3).unwrap_err().to_string();
        assert_eq!(error, "class weights: expected classes as targets, found numbers");
        assert!("1,x".parse::<ClassWeights>().is_err());
    }
}
