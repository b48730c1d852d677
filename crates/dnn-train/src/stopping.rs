//! What a run looks at after each epoch: to keep the best weights, to stop, to lower its rate.

use std::fmt;
use std::str::FromStr;

use dnn_core::CoreError;

use crate::{BestEpoch, EpochRecord, Evaluation};

/// The number by which epochs are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Monitor {
    /// The cost of the validation part: the less, the better.
    ValidationCost,
    /// The accuracy on the validation part: the more, the better.
    ValidationAccuracy,
    /// The cost of the training examples.
    Cost,
    /// The accuracy on the training examples.
    Accuracy,
}

impl Monitor {
    /// Every monitor.
    pub const ALL: [Self; 4] =
        [Self::ValidationCost, Self::ValidationAccuracy, Self::Cost, Self::Accuracy];

    fn name(self) -> &'static str {
        match self {
            Self::ValidationCost => "validation-cost",
            Self::ValidationAccuracy => "validation-accuracy",
            Self::Cost => "cost",
            Self::Accuracy => "accuracy",
        }
    }

    /// Whether it needs a validation part.
    pub fn needs_validation(self) -> bool {
        matches!(self, Self::ValidationCost | Self::ValidationAccuracy)
    }

    /// Its number in the record of an epoch, if it is there.
    pub fn value(self, record: &EpochRecord) -> Option<f64> {
        let validation = record.validation.as_ref();
        match self {
            Self::ValidationCost => validation.map(|part| part.cost),
            Self::ValidationAccuracy => validation.and_then(Evaluation::accuracy),
            Self::Cost => Some(record.cost),
            Self::Accuracy => record.accuracy,
        }
    }

    /// By how much `value` is better than `than`; below 0 if it is worse.
    fn gain(self, value: f64, than: f64) -> f64 {
        match self {
            Self::ValidationCost | Self::Cost => than - value,
            Self::ValidationAccuracy | Self::Accuracy => value - than,
        }
    }
}

impl fmt::Display for Monitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Monitor {
    type Err = CoreError;

    fn from_str(text: &str) -> Result<Self, CoreError> {
        Self::ALL.into_iter().find(|monitor| monitor.name() == text).ok_or_else(|| {
            CoreError::UnknownName {
                kind: "monitor",
                found: text.to_owned(),
                expected: Self::ALL.map(Self::name).join(", "),
            }
        })
    }
}

/// When a run that no longer improves ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct EarlyStopping {
    /// Epochs in a row without improvement after which it ends, at least 1.
    pub patience: u64,
    /// Only an epoch that is better by more than this, at least 0, than the last one that ended the wait ends it
    /// again. It is for the patience alone: the best epoch, whose weights are kept, is the best one, by whatever it
    /// is better. In Keras' `EarlyStopping` it is not, so that the weights given back may be worse than others
    /// that were seen.
    pub min_delta: f64,
}

impl Default for EarlyStopping {
    /// Ten epochs without any improvement.
    fn default() -> Self {
        Self { patience: 10, min_delta: 0.0 }
    }
}

/// What has been best so far.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Comparison {
    pub(crate) best: Option<BestEpoch>,
    /// Epochs in a row that were not better than the reference by more than the margin.
    pub(crate) waited: u64,
    /// What has to be beaten by more than the margin, where that is not the best value: smaller gains came since.
    pub(crate) reference: Option<f64>,
}

impl Comparison {
    /// Accepts what a file says after so many records and steps, or says what is wrong with it.
    pub(crate) fn check(&self, records: u64, steps: u64) -> Result<(), String> {
        if self.waited > records {
            return Err(format!("{} epochs without improvement in {records}", self.waited));
        }
        match (self.best, self.reference) {
            (None, Some(reference)) => {
                return Err(format!("{reference} to be beaten, and no best epoch"));
            }
            (_, Some(reference)) if !reference.is_finite() => {
                return Err(format!("{reference} to be beaten"));
            }
            _ => {}
        }
        let possible = |best: BestEpoch| {
            (1..=records).contains(&best.epoch) && best.step <= steps && best.value.is_finite()
        };
        match self.best.filter(|&best| !possible(best)) {
            Some(BestEpoch { epoch, step, value }) => {
                Err(format!("{value} after step {step} as best, in epoch {epoch} of {records}"))
            }
            None => Ok(()),
        }
    }

    /// Compares an epoch with the best one before; true if it is better. Only one that is better than the
    /// reference by more than `min_delta` ends the wait, and is the reference from then on.
    pub(crate) fn note(&mut self, monitor: Monitor, min_delta: f64, record: &EpochRecord) -> bool {
        let Some(value) = monitor.value(record) else { return false };
        let best = self.best.map(|best| best.value);
        let reference = self.reference.or(best);
        let better = best.is_none_or(|best| monitor.gain(value, best) > 0.0);
        let ends_wait = reference.is_none_or(|before| monitor.gain(value, before) > min_delta);
        if better {
            self.best = Some(BestEpoch { epoch: record.epoch, step: record.step, value });
        }
        if ends_wait {
            (self.waited, self.reference) = (0, None);
        } else {
            self.waited += 1;
            self.reference = reference.filter(|_| better || self.reference.is_some());
        }
        better
    }
}

/// When a plateau schedule lowers the rate, and by how much.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PlateauRule {
    pub(crate) factor: f64,
    pub(crate) patience: u64,
    pub(crate) threshold: f64,
}

/// How far a plateau schedule has lowered the rate.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Plateau {
    pub(crate) best: Option<f64>,
    pub(crate) waited: u64,
    pub(crate) scale: f64,
}

impl Default for Plateau {
    fn default() -> Self {
        Self { best: None, waited: 0, scale: 1.0 }
    }
}

impl Plateau {
    /// Accepts what a file says after so many records, or says what is wrong with it.
    pub(crate) fn check(&self, records: u64) -> Result<(), String> {
        let Self { best, waited, scale } = *self;
        if waited > records
            || !(0.0..=1.0).contains(&scale)
            || best.is_some_and(|it| !it.is_finite())
        {
            return Err(format!(
                "a plateau of {waited} epochs in {records}, the rate times {scale}"
            ));
        }
        Ok(())
    }

    /// Looks at an epoch; after more than `patience` in a row that are not better than the best by the
    /// share `threshold` of it, the rate falls by `factor`.
    pub(crate) fn note(&mut self, monitor: Monitor, rule: PlateauRule, record: &EpochRecord) {
        let PlateauRule { factor, patience, threshold } = rule;
        let Some(value) = monitor.value(record) else { return };
        let better = |best: f64| monitor.gain(value, best) > threshold * best.abs();
        if self.best.is_none_or(better) {
            self.best = Some(value);
            self.waited = 0;
            return;
        }
        self.waited += 1;
        if self.waited > patience {
            self.scale *= factor;
            self.waited = 0;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(epoch: u64, cost: f64) -> EpochRecord {
        let (step, learning_rate) = (epoch * 3, 0.1);
        let (accuracy, single_class, validation) = (Some(cost), None, None);
        EpochRecord {
            epoch,
            step,
            learning_rate,
            cost,
            accuracy,
            single_class,
            validation,
            best: false,
        }
    }

    #[test]
    fn the_best_epoch_is_the_best_and_the_margin_is_for_the_wait_alone() {
        let mut found = Comparison::default();
        let noted: Vec<(bool, u64)> = [5.0, 4.9, 4.0, 4.0, 3.5, 3.6, 3.4]
            .iter()
            .zip(1..)
            .map(|(&cost, epoch)| {
                (found.note(Monitor::Cost, 0.5, &record(epoch, cost)), found.waited)
            })
            .collect();
        // From 4.0 on, 3.5 is no more than the margin better, and 3.4 is.
        let expected =
            [(true, 0), (true, 1), (true, 0), (false, 1), (true, 2), (false, 3), (true, 0)];
        assert_eq!(noted, expected);
        let best = Some(BestEpoch { epoch: 7, step: 21, value: 3.4 });
        assert_eq!(found, Comparison { best, waited: 0, reference: None });
        let mut found = Comparison::default();
        assert!(found.note(Monitor::Accuracy, 0.0, &record(1, 0.5)));
        assert!(!found.note(Monitor::Accuracy, 0.0, &record(2, 0.4)));
        assert!(found.note(Monitor::Accuracy, 0.1, &record(3, 0.6)));
        assert_eq!(found.waited, 2, "a gain of a tenth is not more than a tenth");
        assert!(!found.note(Monitor::ValidationCost, 0.0, &record(4, 0.0)), "not measured");
    }

    #[test]
    fn nothing_is_to_be_beaten_before_there_is_a_best_epoch() {
        let best = Some(BestEpoch { epoch: 1, step: 3, value: 0.5 });
        let check = |best, reference| Comparison { best, waited: 0, reference }.check(2, 6);
        assert_eq!(check(best, Some(0.7)), Ok(()));
        assert_eq!(check(None, None), Ok(()));
        assert_eq!(check(None, Some(0.7)).unwrap_err(), "0.7 to be beaten, and no best epoch");
        assert_eq!(check(best, Some(f64::NAN)).unwrap_err(), "NaN to be beaten");
    }

    #[test]
    fn monitors_are_their_names() {
        for monitor in Monitor::ALL {
            assert_eq!(monitor.to_string().parse(), Ok(monitor));
        }
        let error = "loss".parse::<Monitor>().unwrap_err().to_string();
        assert_eq!(
            error,
            "unknown monitor `loss`; expected one of validation-cost, validation-accuracy, cost, accuracy"
        );
    }
}
