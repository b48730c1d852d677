//! What is counted of examples: costs, and which class each was given.

use dnn_core::{Columns, Element};
use dnn_layers::Network;
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use crate::cost::CostSum;
use crate::examples::class_count;
use crate::{LabelSets, Regression, Targets};

/// What [`evaluate`](crate::evaluate) finds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// How many examples were measured.
    pub examples: usize,
    /// Their mean cost.
    pub cost: f64,
    /// Right and wrong, where the targets are classes.
    pub classification: Option<Classification>,
    /// How near the outputs come, where the targets are numbers; only by [`evaluate`](crate::evaluate), not while a run goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub regression: Option<Regression>,
    /// How many labels are right, where the head is a sigmoid and the targets are numbers that are all 0 or 1; only
    /// by [`evaluate`](crate::evaluate).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<LabelSets>,
}

impl Evaluation {
    /// The share of the examples that were classified rightly, 0 to 1.
    pub fn accuracy(&self) -> Option<f64> {
        self.classification.as_ref().map(Classification::accuracy)
    }

    /// Between which accuracies the true one lies with 95 % confidence, 0 to 1: see
    /// [`Classification::interval`].
    pub fn interval(&self) -> Option<(f64, f64)> {
        self.classification.as_ref().map(Classification::interval)
    }

    /// The accuracy of always answering with the commonest class of these examples, 0 to 1.
    pub fn baseline(&self) -> Option<f64> {
        self.classification.as_ref().map(Classification::baseline)
    }
}

/// Counts of classified examples.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Classification {
    /// How many predictions were right.
    pub correct: usize,
    /// How many examples each class has.
    pub actual: Vec<usize>,
    /// How many examples were given each class.
    pub predicted: Vec<usize>,
}

impl Classification {
    fn share(&self, count: usize) -> f64 {
        count as f64 / self.actual.iter().sum::<usize>() as f64
    }

    /// The share of right predictions, 0 to 1.
    pub fn accuracy(&self) -> f64 {
        self.share(self.correct)
    }

    /// Wilson's score interval for the accuracy at 95 % confidence, `z = 1.96`:
    /// `(p + z^2/2m ± z sqrt(p (1 - p) / m + z^2/4m^2)) / (1 + z^2/m)`.
    ///
    /// # References
    /// Wilson, "Probable inference, the law of succession, and statistical inference", 1927.
    pub fn interval(&self) -> (f64, f64) {
        const Z: f64 = 1.959_963_984_540_054;
        let m = self.actual.iter().sum::<usize>() as f64;
        let p = self.accuracy();
        let z2 = Z * Z / m;
        let middle = p + z2 / 2.0;
        let reach = Z * (p * (1.0 - p) / m + z2 / (4.0 * m)).sqrt();
        ((middle - reach) / (1.0 + z2), (middle + reach) / (1.0 + z2))
    }

    /// The accuracy of always answering with the commonest class, 0 to 1.
    pub fn baseline(&self) -> f64 {
        self.share(self.actual.iter().copied().max().unwrap_or(0))
    }

    /// The class that every example was given, if it was one class although there are several: the
    /// mark of a network that does not learn.
    pub fn single_class(&self) -> Option<usize> {
        let stuck = present(&self.predicted) == 1 && present(&self.actual) > 1;
        self.predicted.iter().position(|&count| count > 0).filter(|_| stuck)
    }
}

/// How many classes were counted at all.
fn present(counts: &[usize]) -> usize {
    counts.iter().filter(|&&count| count > 0).count()
}

/// Sums over examples, from which an [`Evaluation`] is made.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Tally {
    pub(crate) examples: usize,
    /// The sum of the weights of the examples: their number if none was given one.
    pub(crate) weight: f64,
    pub(crate) cost: f64,
    pub(crate) counts: Classification,
    pub(crate) classified: bool,
}

impl Tally {
    pub(crate) fn new(outputs: usize) -> Self {
        let zeros = vec![0; class_count(outputs)];
        let counts = Classification { correct: 0, actual: zeros.clone(), predicted: zeros };
        Self { examples: 0, weight: 0.0, cost: 0.0, counts, classified: false }
    }

    /// Accepts counts of a file for a network of so many outputs, or says what is wrong with them.
    pub(crate) fn check(&self, outputs: usize) -> Result<(), String> {
        let Classification { correct, actual, predicted } = &self.counts;
        let places = class_count(outputs);
        if [actual.len(), predicted.len()] != [places, places] {
            return Err("counts of another number of classes".to_owned());
        }
        let sum = |counts: &[usize]| counts.iter().try_fold(0_usize, |sum, &n| sum.checked_add(n));
        let expected = Some(if self.classified { self.examples } else { 0 });
        let sums_fit = [sum(actual), sum(predicted)] == [expected; 2];
        // No larger than the sums, once these fit.
        let most = || actual.iter().zip(predicted).map(|(a, p)| a.min(p)).sum::<usize>();
        if !sums_fit || *correct > most() {
            return Err(format!(
                "counts of classes that are not those of {} examples",
                self.examples
            ));
        }
        if !(self.weight.is_finite() && self.weight >= 0.0 && self.cost.is_finite()) {
            return Err(format!("a cost of {} for a weight of {}", self.cost, self.weight));
        }
        Ok(())
    }

    pub(crate) fn examples(&self) -> usize {
        self.examples
    }

    pub(crate) fn clear(&mut self) {
        (self.examples, self.weight, self.cost, self.classified) = (0, 0.0, 0.0, false);
        self.counts.correct = 0;
        self.counts.actual.fill(0);
        self.counts.predicted.fill(0);
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.examples += other.examples;
        self.weight += other.weight;
        self.cost += other.cost;
        self.classified |= other.classified;
        self.counts.correct += other.counts.correct;
        let add = |sums: &mut [usize], counts: &[usize]| {
            sums.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
        };
        add(&mut self.counts.actual, &other.counts.actual);
        add(&mut self.counts.predicted, &other.counts.predicted);
    }

    /// Adds `penalty` to the cost of each example of `batch`.
    pub(crate) fn add_penalty(&mut self, batch: &Self, penalty: f64) {
        self.cost += penalty * batch.weight;
    }

    /// The sum of the weights of the examples.
    pub(crate) fn weight(&self) -> f64 {
        self.weight
    }

    /// Counts the outputs `(n_L, columns)` of the examples `columns`, whose costs sum to `sum`.
    pub(crate) fn add_outputs<T: Element>(
        &mut self,
        network: &Network<T>,
        outputs: ArrayView2<'_, T>,
        targets: &Targets<'_, T>,
        columns: Columns<'_>,
        sum: CostSum,
    ) {
        self.examples += columns.len();
        self.weight += sum.weight;
        self.cost += sum.cost;
        let Targets::Classes(labels) = targets else {
            return;
        };
        self.classified = true;
        for (position, output) in outputs.columns().into_iter().enumerate() {
            let (predicted, actual) =
                (network.decide(output), labels[columns.at(position)] as usize);
            self.counts.predicted[predicted] += 1;
            self.counts.actual[actual] += 1;
            self.counts.correct += usize::from(predicted == actual);
        }
    }

    pub(crate) fn mean_cost(&self) -> f64 {
        if self.weight > 0.0 { self.cost / self.weight } else { 0.0 }
    }

    pub(crate) fn accuracy(&self) -> Option<f64> {
        self.classified.then(|| self.counts.accuracy())
    }

    pub(crate) fn single_class(&self) -> Option<usize> {
        self.counts.single_class().filter(|_| self.classified)
    }

    pub(crate) fn has_several_classes(&self) -> bool {
        self.classified && present(&self.counts.actual) > 1
    }

    pub(crate) fn evaluation(&self) -> Evaluation {
        Evaluation {
            examples: self.examples,
            cost: self.mean_cost(),
            classification: self.classified.then(|| self.counts.clone()),
            regression: None,
            labels: None,
        }
    }
}
