//! Which learning rate to begin with.

use std::ops::ControlFlow;

use dnn_core::{CoreError, Element};
use dnn_layers::Network;
use dnn_store::Scalar;
use serde::Serialize;

use crate::{Event, Examples, Optimizer, Schedule, TrainError, Trainer};

/// The first rate, as a part of the last one.
const SPAN: f64 = 1e-8;
/// The last rate, unless the optimiser's default is 1.
const LAST: f64 = 10.0;
/// How much of the smoothed cost is the cost before.
const SMOOTHING: f64 = 0.9;
/// A cost so many times the lowest one ends the search.
const TOO_HIGH: f64 = 4.0;

/// What [`find_learning_rate`] finds.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RateSweep {
    /// One point for each step, by rising rate.
    pub points: Vec<RatePoint>,
    /// The rate at which the smoothed cost falls fastest, if it falls at all.
    pub suggestion: Option<f64>,
}

/// A step of a sweep.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct RatePoint {
    /// Its rate.
    pub learning_rate: f64,
    /// The mean cost of its batch, before the step.
    pub cost: f64,
    /// An average over the steps before that forgets by and by.
    pub smoothed: f64,
}

/// Trains a copy of `network` for up to `steps` steps at rates that rise from 1e-7 to 10, each by the same
/// factor, until the cost explodes; schedule and warm-up of the trainer play no part, all else is as in
/// [`fit`](Trainer::fit).
///
/// # Errors
/// Those of [`fit`](Trainer::fit), except that a number stops being finite: that only ends the search.
/// [`CoreError::Invalid`] for L-BFGS, whose rate is best at 1, and for fewer than 10 steps.
///
/// # References
/// Smith (2017), Cyclical learning rates for training neural networks, section 3.3.
///
/// # Examples
/// ```
/// use dnn_core::{Features, Purpose, RandomStream, Shape};
/// use dnn_layers::{Activation, Network};
/// use dnn_train::{Examples, Trainer, find_learning_rate};
/// use ndarray::array;
///
/// let x = array![[0.0, 0.0, 1.0, 1.0], [0.0, 1.0, 0.0, 1.0]];
/// let xor = Examples::classes(Features::Real(x.view()), &[0, 1, 1, 0]);
/// let network = Network::<f64>::builder(Shape::flat(2))
///     .hidden(&[8], Activation::Tanh)
///     .classes(["equal", "different"])
///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
/// let sweep = find_learning_rate(&Trainer::default(), &network, &xor, 100)?;
/// assert!(sweep.suggestion.is_some_and(|rate| rate > 1e-4 && rate < 10.0));
/// # Ok::<(), dnn_train::TrainError>(())
/// ```
pub fn find_learning_rate<T: Element + Scalar>(
    trainer: &Trainer,
    network: &Network<T>,
    training: &Examples<'_, T>,
    steps: u64,
) -> Result<RateSweep, TrainError> {
    let invalid =
        |what, expected, found: String| Err(CoreError::Invalid { what, expected, found }.into());
    if let Optimizer::Lbfgs(_) = trainer.optimizer {
        return invalid("learning rate finder", "an optimiser of single steps", "lbfgs".to_owned());
    }
    if steps < 10 {
        return invalid("steps", "at least 10", steps.to_string());
    }
    let per_epoch = training.len().div_ceil(trainer.batch_len(training.len()).max(1)).max(1);
    let sweep = Trainer {
        learning_rate: LAST * SPAN,
        schedule: Schedule::Sweep { ratio: 1.0 / SPAN, steps },
        warm_up: 0,
        early_stopping: None,
        restore_best: false,
        epochs: steps.div_ceil(per_epoch as u64),
        ..trainer.clone()
    };
    let mut points: Vec<RatePoint> = Vec::new();
    let (mut average, mut weight, mut lowest) = (0.0, 1.0, f64::INFINITY);
    let result = sweep.fit(&mut network.clone(), training, None, &mut |event| {
        let Event::Step { step, cost, .. } = event else { return ControlFlow::Continue(()) };
        average = SMOOTHING * average + (1.0 - SMOOTHING) * cost;
        weight *= SMOOTHING;
        let smoothed = average / (1.0 - weight);
        lowest = smoothed.min(lowest);
        points.push(RatePoint { learning_rate: sweep.rate_at(step - 1), cost, smoothed });
        if step >= steps || smoothed > TOO_HIGH * lowest {
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    });
    match result {
        Ok(_) | Err(TrainError::NotFinite { .. }) => {}
        Err(error) => return Err(error),
    }
    let suggestion = steepest(&points);
    Ok(RateSweep { points, suggestion })
}

/// The rate at which the smoothed cost falls fastest before it is lowest, over the logarithm of the rate.
fn steepest(points: &[RatePoint]) -> Option<f64> {
    /// Over so many points a slope is taken; so many at the beginning tell nothing.
    const REACH: usize = 5;
    let lowest = points
        .iter()
        .enumerate()
        .min_by(|(_, a), (_, b)| a.smoothed.total_cmp(&b.smoothed))
        .map(|(index, _)| index)?;
    let slope = |index: usize| points[index + REACH].smoothed - points[index - REACH].smoothed;
    (REACH..(lowest + 1).min(points.len().saturating_sub(REACH)))
        .min_by(|&a, &b| slope(a).total_cmp(&slope(b)))
        .filter(|&index| slope(index) < 0.0)
        .map(|index| points[index].learning_rate)
}

impl Trainer {
    /// The rate of a step of a sweep, counted from 0.
    fn rate_at(&self, step: u64) -> f64 {
        let moment = crate::Moment { step, steps_per_epoch: 1, steps: u64::MAX };
        self.schedule.rate(self.learning_rate, moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_steepest_fall_is_found_and_a_curve_that_rises_has_none() {
        let curve = |cost: fn(f64) -> f64| -> Vec<RatePoint> {
            (0..100)
                .map(|index| {
                    let power = f64::from(index) * 0.08 - 7.0;
                    let smoothed = cost(power);
                    RatePoint { learning_rate: 10_f64.powf(power), cost: smoothed, smoothed }
                })
                .collect()
        };
        // Falls fastest at 1e-3, lowest near 1e-1, then rises.
        let rate = steepest(&curve(|x| -(x + 3.0).tanh() + (x + 0.5).max(0.0))).unwrap();
        assert!((rate.log10() + 3.0).abs() < 0.1, "{rate}");
        assert_eq!(steepest(&curve(|x| x)), None);
        assert_eq!(steepest(&[]), None);
    }
}
