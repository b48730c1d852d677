//! What is made of samples: which of them count, and what they come to.
//!
//! The rule, in the order in which it is applied:
//!
//! 1. A sample is dropped if the machine gave more than [`MOST_STOLEN`] of the time of its processors to
//!    somebody else's machine meanwhile.
//! 2. A round is dropped if the loop of multiplications just before or just after it ran slower than
//!    [`SLOW`] times its median rate of the run.
//! 3. A sample is dropped that lies more than [`FAR`] scaled median absolute deviations from the median
//!    of those left.
//!
//! Where fewer than [`FEWEST`] samples would be left, all are kept, and the row says so.

use serde::Serialize;

/// The largest share of stolen time.
pub const MOST_STOLEN: f64 = 0.02;
/// The slowest rate of the loop, as a share of its median.
pub const SLOW: f64 = 0.85;
/// The farthest from the median, in deviations.
pub const FAR: f64 = 3.5;
/// Fewer samples than these are no measurement.
pub const FEWEST: usize = 3;

/// One turn of one entrant.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Sample {
    /// How long it took.
    pub seconds: f64,
    /// The share of the processors' time that was stolen meanwhile.
    pub stolen: f64,
    /// The most memory that its process had, where that is known.
    pub peak_bytes: Option<u64>,
}

/// The median and the quartiles.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// A quarter of the values is below.
    pub lower: f64,
    /// Half of them.
    pub median: f64,
    /// A quarter is above.
    pub upper: f64,
}

/// The value that a share `at` of the sorted values lies below, between neighbours by proportion.
fn quantile(sorted: &[f64], at: f64) -> f64 {
    let place = at * (sorted.len() - 1) as f64;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "an index")]
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (place - below as f64) * (sorted[above] - sorted[below])
}

impl Spread {
    /// That of some values; `None` of none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Option<Self> {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |share| quantile(&values, share);
        (!values.is_empty()).then(|| Self { lower: at(0.25), median: at(0.5), upper: at(0.75) })
    }
}

/// Which values lie farther than [`FAR`] scaled median absolute deviations from their median.
///
/// The scale, 1.4826, makes the deviation that of a normal distribution.
///
/// # References
/// Iglewicz and Hoaglin (1993), How to detect and handle outliers.
pub fn outliers(values: &[f64]) -> Vec<bool> {
    let Some(Spread { median, .. }) = Spread::of(values.iter().copied()) else { return Vec::new() };
    let deviations = values.iter().map(|value| (value - median).abs());
    let deviation = 1.4826 * Spread::of(deviations).map_or(0.0, |spread| spread.median);
    // Equal values have no deviation; then nothing within a millionth is far.
    let limit = FAR * deviation.max(1e-6 * median.abs() / FAR);
    values.iter().map(|value| (value - median).abs() > limit).collect()
}

/// Which samples of an entrant count, and whether the machine was too disturbed to choose.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Kept {
    /// For each round, whether its sample counts.
    pub rounds: Vec<bool>,
    /// Whether too few would have been left, so that all count.
    pub disturbed: bool,
}

/// Applies the rule to the samples of one entrant, a round each. `rates` are those of the loop: before
/// the first round, between the rounds, and after the last.
pub fn keep(samples: &[Sample], rates: &[f64]) -> Kept {
    let usual = Spread::of(rates.iter().copied()).map_or(0.0, |spread| spread.median);
    let slow = |round: usize| rates.iter().skip(round).take(2).any(|&rate| rate < SLOW * usual);
    let mut rounds: Vec<bool> = samples
        .iter()
        .enumerate()
        .map(|(round, sample)| sample.stolen <= MOST_STOLEN && !slow(round))
        .collect();
    let left: Vec<usize> = (0..samples.len()).filter(|&round| rounds[round]).collect();
    let times: Vec<f64> = left.iter().map(|&round| samples[round].seconds).collect();
    for (&round, far) in left.iter().zip(outliers(&times)) {
        rounds[round] = !far;
    }
    let count = rounds.iter().filter(|&&kept| kept).count();
    let disturbed = count < FEWEST.min(samples.len());
    if disturbed {
        rounds.fill(true);
    }
    Kept { rounds, disturbed }
}

/// The samples of one entrant, and which of them count.
#[derive(Debug, Clone, Copy)]
pub struct Measured<'a> {
    /// A sample for each round.
    pub samples: &'a [Sample],
    /// Which count.
    pub kept: &'a Kept,
}

/// How many times as long as `ours` the other took, round by round, where both samples count; over the
/// medians if there is no such round.
pub fn ratio(other: Measured<'_>, ours: Measured<'_>) -> Option<Spread> {
    let counts = other.kept.rounds.iter().zip(&ours.kept.rounds);
    let rounds = other.samples.iter().zip(ours.samples).zip(counts);
    let both = rounds.filter(|(_, (other, ours))| **other && **ours);
    Spread::of(both.map(|((other, ours), _)| other.seconds / ours.seconds)).or_else(|| {
        let [other, ours] = [other, ours].map(|Measured { samples, kept }| times(samples, kept));
        Spread::of([other?.median / ours?.median])
    })
}

/// The times of the samples that count.
pub fn times(samples: &[Sample], kept: &Kept) -> Option<Spread> {
    let counted = samples.iter().zip(&kept.rounds).filter(|(_, kept)| **kept);
    Spread::of(counted.map(|(sample, _)| sample.seconds))
}

/// The slope of the straight line through `(log x, log y)` by least squares: the power of `x` that `y`
/// grows with.
///
/// `None` for fewer than two different `x`, or a number that is not above 0.
pub fn log_slope(points: &[(f64, f64)]) -> Option<f64> {
    if points.iter().any(|&(x, y)| x <= 0.0 || y <= 0.0) {
        return None;
    }
    let logs: Vec<(f64, f64)> = points.iter().map(|&(x, y)| (x.ln(), y.ln())).collect();
    let n = logs.len() as f64;
    let (mean_x, mean_y) = logs.iter().fold((0.0, 0.0), |(a, b), (x, y)| (a + x / n, b + y / n));
    let (mut above, mut below) = (0.0, 0.0);
    for (x, y) in logs {
        above += (x - mean_x) * (y - mean_y);
        below += (x - mean_x).powi(2);
    }
    (below > 0.0).then(|| above / below)
}

/// How far two lists of numbers are apart, relative to the larger of each pair.
pub fn apart(found: &[f64], expected: &[f64]) -> f64 {
    if found.len() != expected.len() || found.is_empty() {
        return f64::INFINITY;
    }
    let pairs = found.iter().zip(expected);
    pairs.map(|(a, b)| if a == b { 0.0 } else { (a - b).abs() / a.abs().max(b.abs()) }).fold(
        0.0,
        // Not a number is infinitely far from any.
        |most: f64, one| if one.is_nan() { f64::INFINITY } else { most.max(one) },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn samples(seconds: &[f64]) -> Vec<Sample> {
        let sample = |&seconds| Sample { seconds, stolen: 0.0, peak_bytes: None };
        seconds.iter().map(sample).collect()
    }

    #[test]
    fn medians_and_quartiles_lie_between_neighbours_by_proportion() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0, 5.0]).unwrap();
        assert_eq!(spread, Spread { lower: 2.0, median: 3.0, upper: 4.0 });
        let spread = Spread::of([1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(spread, Spread { lower: 1.75, median: 2.5, upper: 3.25 });
        assert_eq!(Spread::of([7.0]).unwrap().upper, 7.0);
        assert_eq!(Spread::of([]), None);
    }

    #[test]
    fn what_is_far_by_the_median_deviation_is_an_outlier() {
        // Median 10, deviations 1 0 1 0 1 90: their median 1, so the limit is 3.5 * 1.4826 = 5.19.
        let found = outliers(&[9.0, 10.0, 11.0, 10.0, 11.0, 100.0]);
        assert_eq!(found, [false, false, false, false, false, true]);
        assert_eq!(outliers(&[2.0; 5]), [false; 5]);
        assert_eq!(outliers(&[2.0, 2.0, 2.0, 3.0]), [false, false, false, true]);
        assert!(outliers(&[]).is_empty());
    }

    #[test]
    fn disturbed_samples_are_dropped_by_each_part_of_the_rule() {
        let mut stolen = samples(&[1.0, 1.01, 1.02, 1.0, 1.01, 9.0]);
        stolen[0].stolen = 0.03;
        // The loop was slow between rounds 2 and 3, counted from 0.
        let rates = [100.0, 101.0, 99.0, 60.0, 100.0, 100.0, 100.0];
        let kept = keep(&stolen, &rates);
        assert_eq!(
            kept.rounds, [true; 6],
            "only rounds 1, 4 and 5 are left, and one of them is far"
        );
        assert!(kept.disturbed);
        let rates = [100.0; 7];
        let kept = keep(&stolen, &rates);
        assert_eq!(kept.rounds, [false, true, true, true, true, false]);
        assert!(!kept.disturbed);
        let rates = [100.0, 100.0, 100.0, 100.0, 100.0, 100.0, 60.0];
        assert_eq!(keep(&samples(&[1.0; 6]), &rates).rounds, [true, true, true, true, true, false]);
        // Two rounds are no measurement, but nothing was dropped of them either.
        assert!(!keep(&samples(&[1.0, 1.0]), &[]).disturbed);
    }

    #[test]
    fn ratios_are_those_within_a_round_that_counts_for_both() {
        let (ours, theirs) = (samples(&[1.0, 2.0, 1.0, 5.0]), samples(&[2.0, 6.0, 2.0, 1.0]));
        let all = Kept { rounds: vec![true; 4], disturbed: false };
        let three = Kept { rounds: vec![true, true, true, false], disturbed: false };
        let median = |theirs_kept: &Kept, ours_kept: &Kept| {
            let other = Measured { samples: &theirs, kept: theirs_kept };
            ratio(other, Measured { samples: &ours, kept: ours_kept }).unwrap().median
        };
        assert_eq!(median(&three, &all), 2.0);
        let first = Kept { rounds: vec![true, false, false, false], disturbed: false };
        let last = Kept { rounds: vec![false, false, false, true], disturbed: false };
        assert_eq!(median(&last, &first), 1.0);
    }

    #[test]
    fn a_power_is_the_slope_of_the_logarithms() {
        let points: Vec<(f64, f64)> = [1.0, 2.0, 4.0, 8.0].map(|x| (x, 3.0 * x * x)).into();
        assert!((log_slope(&points).unwrap() - 2.0).abs() < 1e-12);
        assert_eq!(log_slope(&[(2.0, 1.0)]), None);
        assert_eq!(log_slope(&[(2.0, 1.0), (3.0, 0.0)]), None);
    }

    #[test]
    fn lists_are_as_far_apart_as_their_farthest_pair() {
        assert_eq!(apart(&[1.0, 2.0], &[1.0, 4.0]), 0.5);
        assert_eq!(apart(&[0.0], &[0.0]), 0.0);
        assert_eq!(apart(&[1.0], &[]), f64::INFINITY);
        assert_eq!(apart(&[f64::NAN, 1.0], &[1.0, 1.0]), f64::INFINITY);
    }
}
