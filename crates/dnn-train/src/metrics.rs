//! How good probabilities are: precision, recall, ranking, calibration.

use dnn_core::{CoreError, Element};
use ndarray::{Array2, ArrayView2};
use serde::Serialize;

/// Bins of the reliability table.
const BINS: usize = 10;

/// What is known of one class against all others.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ClassMetrics {
    /// Of the examples that were called this class, the share that is of it; 0 if none was.
    pub precision: f64,
    /// Of the examples of this class, the share that was called it; 0 if there is none.
    pub recall: f64,
    /// The harmonic mean of the two; 0 if both are.
    pub f1: f64,
    /// Examples of this class.
    pub support: usize,
    /// How often an example of the class has a higher probability of it than another example, ties half;
    /// `None` where one of the two kinds is missing.
    pub roc_auc: Option<f64>,
}

/// A mean over the classes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Average {
    /// Of the precisions.
    pub precision: f64,
    /// Of the recalls.
    pub recall: f64,
    /// Of the F1 scores.
    pub f1: f64,
}

/// The examples whose answer was given with about the same confidence.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct ReliabilityBin {
    /// How many there are, with a confidence above a tenth and up to the next.
    pub examples: usize,
    /// Their mean probability of the class that was answered; 0 without examples.
    pub confidence: f64,
    /// The share of right answers among them; 0 without examples.
    pub accuracy: f64,
}

/// What can be said of probabilities where the classes are known.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Metrics {
    /// The share of right answers.
    pub accuracy: f64,
    /// Each class.
    pub classes: Vec<ClassMetrics>,
    /// The plain mean over the classes that have an example or were an answer: one that is neither says nothing.
    pub macro_average: Average,
    /// The mean over the classes, each by its share of the examples.
    pub weighted_average: Average,
    /// The mean of `-ln p` of the right class; `p` counts as no less than 2.2e-16, and as no more than 1 less
    /// that, whatever the precision of the probabilities is.
    pub log_loss: f64,
    /// The mean squared distance of the probabilities from the truth, summed over the classes; half of
    /// that for two classes.
    pub brier: f64,
    /// Two classes: that of the second. More: the plain mean over the classes that have one, each against the
    /// rest. `None` where no class has one: all examples are of one class.
    pub roc_auc: Option<f64>,
    /// The expected calibration error: how far confidence is from accuracy in the bins of
    /// [`reliability`](Self::reliability), each by its share of the examples.
    pub calibration_error: f64,
    /// Ten bins of equal width.
    pub reliability: Vec<ReliabilityBin>,
    /// How often each class (row) was called each class (column).
    pub confusion: Vec<Vec<usize>>,
}

/// Measures probabilities against the true classes.
///
/// The answer is the class with the largest probability, the first of equals.
///
/// # Shapes
/// `probabilities` is `(classes, m)`, each column of which sums to 1, as
/// [`Network::predict_probabilities`](dnn_layers::Network::predict_probabilities) gives it; `labels` has
/// length `m`.
///
/// # Errors
/// [`CoreError::Invalid`] without examples or classes, for a probability that is not from 0 to 1, or for
/// a label without a class; [`CoreError::Shape`] for another number of labels.
///
/// # References
/// Each number is that of scikit-learn's `precision_recall_fscore_support` (with `zero_division=0`), `log_loss`,
/// `brier_score_loss`, `roc_auc_score` and `confusion_matrix`, given the same probabilities as `f64`: its
/// `log_loss` lets a probability count as no less than the epsilon of the type it comes in, 1.2e-7 for `f32`,
/// so that sure and wrong answers cost at most 15.9 there and 36.0 here. Where a class has no example,
/// `roc_auc_score` of several classes is refused or not a number; here that class is left out. Calibration: Guo
/// et al. (2017), On calibration of modern neural networks.
///
/// # Examples
/// ```
/// use ndarray::array;
///
/// let probabilities = array![[0.9, 0.4, 0.3], [0.1, 0.6, 0.7]];
/// let metrics = dnn_train::metrics(probabilities.view(), &[0, 1, 0])?;
/// assert_eq!(metrics.confusion, [[1, 1], [0, 1]]);
/// assert_eq!((metrics.classes[1].precision, metrics.classes[1].recall), (0.5, 1.0));
/// assert_eq!(metrics.roc_auc, Some(0.5));
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
pub fn metrics<T: Element>(
    probabilities: ArrayView2<'_, T>,
    labels: &[u32],
) -> Result<Metrics, CoreError> {
    let probabilities = checked(probabilities, labels)?;
    let (count, m) = (probabilities.nrows(), labels.len());
    let mut confusion = vec![vec![0; count]; count];
    let mut bins = [(0_usize, 0.0_f64, 0_usize); BINS];
    let (mut log_loss, mut squares, mut correct) = (0.0, 0.0, 0);
    for (column, &label) in probabilities.columns().into_iter().zip(labels) {
        let (label, answer) = (label as usize, dnn_layers::most_probable(column));
        let right = usize::from(answer == label);
        confusion[label][answer] += 1;
        correct += right;
        log_loss -= column[label].clamp(f64::EPSILON, 1.0 - f64::EPSILON).ln();
        let truth = |class: usize| f64::from(u8::from(class == label));
        squares += column.iter().enumerate().map(|(k, p)| (p - truth(k)).powi(2)).sum::<f64>();
        let bin = &mut bins[bin_of(column[answer])];
        *bin = (bin.0 + 1, bin.1 + column[answer], bin.2 + right);
    }
    let classes: Vec<ClassMetrics> = (0..count)
        .map(|class| {
            let scores = probabilities.row(class).to_vec();
            of_class(class, &confusion, area(&scores, labels, class))
        })
        .collect();
    let areas: Vec<f64> = classes.iter().filter_map(|class| class.roc_auc).collect();
    let mean = || areas.iter().sum::<f64>() / areas.len() as f64;
    let roc_auc = if count == 2 { classes[1].roc_auc } else { (!areas.is_empty()).then(mean) };
    let occurs =
        |&class: &usize| classes[class].support > 0 || confusion.iter().any(|row| row[class] > 0);
    let occurring = (0..count).filter(occurs).count();
    let share = |part: usize, of: usize| if of == 0 { 0.0 } else { part as f64 / of as f64 };
    let reliability: Vec<ReliabilityBin> = bins
        .iter()
        .map(|&(examples, sum, right)| ReliabilityBin {
            examples,
            confidence: if examples == 0 { 0.0 } else { sum / examples as f64 },
            accuracy: share(right, examples),
        })
        .collect();
    let gap = |bin: &ReliabilityBin| share(bin.examples, m) * (bin.accuracy - bin.confidence).abs();
    Ok(Metrics {
        accuracy: share(correct, m),
        macro_average: average(&classes, |_| 1.0 / occurring as f64),
        weighted_average: average(&classes, |class| share(class.support, m)),
        log_loss: log_loss / m as f64,
        brier: squares / m as f64 / if count == 2 { 2.0 } else { 1.0 },
        roc_auc,
        calibration_error: reliability.iter().map(gap).sum(),
        reliability,
        classes,
        confusion,
    })
}

/// The same numbers as `f64`, if they are probabilities of the classes of these labels.
fn checked<T: Element>(
    probabilities: ArrayView2<'_, T>,
    labels: &[u32],
) -> Result<Array2<f64>, CoreError> {
    let (classes, m) = probabilities.dim();
    CoreError::expect_examples(m)?;
    CoreError::expect_shape("labels", (1, m), (1, labels.len()))?;
    let invalid = |what, expected, found: String| Err(CoreError::Invalid { what, expected, found });
    if classes == 0 {
        return invalid("probabilities", "at least one class", "none".to_owned());
    }
    let probabilities = probabilities.mapv(Into::<f64>::into);
    if let Some(other) = probabilities.iter().find(|p| !(0.0..=1.0).contains(*p)) {
        return invalid("probabilities", "numbers from 0 to 1", other.to_string());
    }
    match labels.iter().find(|&&label| label as usize >= classes) {
        Some(label) => invalid("labels", "numbers below that of the classes", label.to_string()),
        None => Ok(probabilities),
    }
}

/// The bin `(k / 10, (k + 1) / 10]` of a confidence; 0 is in the first.
fn bin_of(confidence: f64) -> usize {
    (0..BINS).find(|&bin| confidence <= (bin + 1) as f64 / BINS as f64).unwrap_or(BINS - 1)
}

fn of_class(class: usize, confusion: &[Vec<usize>], roc_auc: Option<f64>) -> ClassMetrics {
    let right = confusion[class][class];
    let support: usize = confusion[class].iter().sum();
    let called: usize = confusion.iter().map(|row| row[class]).sum();
    let share = |of: usize| if of == 0 { 0.0 } else { right as f64 / of as f64 };
    let f1 =
        if support + called == 0 { 0.0 } else { 2.0 * right as f64 / (support + called) as f64 };
    ClassMetrics { precision: share(called), recall: share(support), f1, support, roc_auc }
}

fn average(classes: &[ClassMetrics], weight: impl Fn(&ClassMetrics) -> f64) -> Average {
    let sum = |of: fn(&ClassMetrics) -> f64| {
        classes.iter().map(|class| weight(class) * of(class)).sum::<f64>()
    };
    Average {
        precision: sum(|class| class.precision),
        recall: sum(|class| class.recall),
        f1: sum(|class| class.f1),
    }
}

/// The area under the ROC curve of one class against the rest, by the ranks of its examples (Mann and
/// Whitney); equal scores share their mean rank.
fn area(scores: &[f64], labels: &[u32], class: usize) -> Option<f64> {
    let is_one = |&example: &usize| labels[example] as usize == class;
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|&a, &b| scores[a].total_cmp(&scores[b]));
    let ones = order.iter().filter(|&example| is_one(example)).count();
    let others = order.len() - ones;
    if ones == 0 || others == 0 {
        return None;
    }
    // Twice the sum of ranks, which are halves at the most: exact.
    let (mut doubled, mut before) = (0_u128, 0);
    for equal in order.chunk_by(|&a, &b| scores[a] == scores[b]) {
        let in_it = equal.iter().filter(|&example| is_one(example)).count();
        doubled += in_it as u128 * (2 * before + equal.len() + 1) as u128;
        before += equal.len();
    }
    let least = ones as u128 * (ones as u128 + 1);
    Some((doubled - least) as f64 / 2.0 / (ones as f64 * others as f64))
}
