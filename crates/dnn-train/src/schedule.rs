//! Learning rates that change over a run, as pure functions of the step.

use std::fmt;
use std::str::FromStr;

use dnn_core::CoreError;

use crate::named_rule::{Rules, Setting};

/// Where in a run a step is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// Steps before this one.
    pub step: u64,
    /// Steps of an epoch, at least 1.
    pub steps_per_epoch: u64,
    /// Steps of the whole run, more than `step`.
    pub steps: u64,
}

impl Moment {
    /// Epochs before this one.
    ///
    /// # Examples
    /// ```
    /// let moment = dnn_train::Moment { step: 7, steps_per_epoch: 3, steps: 30 };
    /// assert_eq!(moment.epoch(), 2);
    /// ```
    pub fn epoch(&self) -> u64 {
        self.step / self.steps_per_epoch.max(1)
    }
}

/// How the learning rate of a step follows from the one that was asked for, `rate_0`.
///
/// As text it is a name, and numbers that are not the defaults: `cosine`, `step:factor=0.5,every=20`.
///
/// # References
/// The inverse decay and the staircase are the course's. Cosine: Loshchilov and Hutter (2017), SGDR:
/// stochastic gradient descent with warm restarts, without restarts. One cycle: Smith (2018), A
/// disciplined approach to neural network hyper-parameters, with both halves a cosine, as PyTorch has it. Trapezoid: Xing and others
/// (2018), A walk with SGD.
/// Plateau: PyTorch's `ReduceLROnPlateau` with a relative threshold.
///
/// # Examples
/// ```
/// use dnn_train::{Moment, Schedule};
///
/// let schedule: Schedule = "step:factor=0.5,every=2".parse()?;
/// let at = |step| schedule.rate(0.5, Moment { step, steps_per_epoch: 10, steps: 100 });
/// assert_eq!([at(0), at(19), at(20), at(40)], [0.5, 0.5, 0.25, 0.125]);
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Schedule {
    /// Always `rate_0`.
    #[default]
    Constant,
    /// `rate_0 / (1 + decay * epoch)`.
    InverseTime {
        /// How fast the rate falls, at least 0.
        decay: f64,
    },
    /// `rate_0 / (1 + decay * floor(epoch / interval))`: falls once every `interval` epochs.
    Staircase {
        /// How fast the rate falls, at least 0.
        decay: f64,
        /// Epochs between two falls, at least 1.
        interval: u64,
    },
    /// `rate_0 * factor^floor(epoch / every)`; every epoch, this is exponential decay.
    Step {
        /// What remains at each fall, above 0.
        factor: f64,
        /// Epochs between two falls, at least 1.
        every: u64,
    },
    /// `rate_0 * (end + (1 - end) * (1 + cos(pi * step / steps)) / 2)`: falls slowly, fast, slowly.
    Cosine {
        /// What would remain after the last step, 0 to 1.
        end: f64,
    },
    /// Rises from `start * rate_0` to `rate_0` in the first `rise` of the run, then falls to
    /// `end * start * rate_0`, both along a cosine.
    OneCycle {
        /// The part of the run in which the rate rises, 0 to below 1.
        rise: f64,
        /// The first rate, as a part of `rate_0`, above 0.
        start: f64,
        /// The last rate, as a part of the first, above 0.
        end: f64,
    },
    /// `rate_0 * min(1, (step + 1) / (rise * steps), (steps - step) / (fall * steps))`: rises in equal parts, stays, and falls in
    /// equal parts to almost 0.
    Trapezoid {
        /// The part of the run in which the rate rises, 0 to below 1.
        rise: f64,
        /// The part of the run in which it falls, above 0 and at most 1.
        fall: f64,
    },
    /// `rate_0 * ratio^(step / (steps - 1))`: rises, or falls, by the same factor at each of so many steps.
    /// It is for [`find_learning_rate`](crate::find_learning_rate), and has no name.
    Sweep {
        /// The last rate, as a multiple of the first, above 0.
        ratio: f64,
        /// Steps of the sweep.
        steps: u64,
    },
    /// `rate_0`, times `factor` whenever more than `patience` epochs in a row brought no improvement of
    /// what the run monitors by more than the share `threshold` of the best so far; not below the share
    /// `least` of `rate_0`. What it knows is a part of the run's state: [`rate`](Self::rate) alone stays at
    /// `rate_0`.
    Plateau {
        /// What remains at each fall, above 0 and at most 1.
        factor: f64,
        /// Epochs without improvement that are put up with.
        patience: u64,
        /// The share of the best by which an improvement has to surpass it, at least 0.
        threshold: f64,
        /// The share of `rate_0` that always remains, 0 to 1.
        least: f64,
    },
}

impl Rules for Schedule {
    const KIND: &'static str = "schedule";
    const KIND_OF_SETTING: &'static str = "setting of the schedule";
    const NAMES: &'static [&'static str] = &[
        "constant",
        "inverse-time",
        "staircase",
        "step",
        "exponential",
        "cosine",
        "one-cycle",
        "trapezoid",
        "plateau",
    ];

    fn named(name: &str) -> Option<Self> {
        Some(match name {
            "constant" => Self::Constant,
            "inverse-time" => Self::InverseTime { decay: 0.1 },
            "staircase" => Self::Staircase { decay: 1.0, interval: 10 },
            "step" => Self::Step { factor: 0.1, every: 10 },
            "exponential" => Self::Step { factor: 0.95, every: 1 },
            "cosine" => Self::Cosine { end: 0.0 },
            "one-cycle" => Self::OneCycle { rise: 0.3, start: 0.04, end: 1e-4 },
            "trapezoid" => Self::Trapezoid { rise: 0.1, fall: 0.4 },
            "plateau" => Self::Plateau { factor: 0.1, patience: 10, threshold: 1e-4, least: 0.0 },
            _ => return None,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Self::Constant => "constant",
            Self::InverseTime { .. } => "inverse-time",
            Self::Staircase { .. } => "staircase",
            Self::Step { every: 1, .. } => "exponential",
            Self::Step { .. } => "step",
            Self::Cosine { .. } => "cosine",
            Self::OneCycle { .. } => "one-cycle",
            Self::Trapezoid { .. } => "trapezoid",
            Self::Plateau { .. } => "plateau",
            Self::Sweep { .. } => "sweep",
        }
    }

    fn settings(&mut self) -> Vec<Setting<'_>> {
        match self {
            Self::Constant | Self::Sweep { .. } => Vec::new(),
            Self::InverseTime { decay } => vec![Setting::from_0("decay", decay)],
            Self::Staircase { decay, interval } => {
                vec![Setting::from_0("decay", decay), Setting::count("interval", interval)]
            }
            Self::Step { factor, every } => {
                vec![Setting::above_0("factor", factor), Setting::count("every", every)]
            }
            Self::Cosine { end } => vec![Setting::up_to_1("end", end)],
            Self::OneCycle { rise, start, end } => vec![
                Setting::share("rise", rise),
                Setting::above_0("start", start),
                Setting::above_0("end", end),
            ],
            Self::Trapezoid { rise, fall } => {
                vec![Setting::share("rise", rise), Setting::above_0_up_to_1("fall", fall)]
            }
            Self::Plateau { factor, patience, threshold, least } => vec![
                Setting::above_0_up_to_1("factor", factor),
                Setting::whole("patience", patience),
                Setting::from_0("threshold", threshold),
                Setting::up_to_1("least", least),
            ],
        }
    }
}

impl Schedule {
    /// The names of all schedules.
    pub const NAMES: &'static [&'static str] = <Self as Rules>::NAMES;

    /// Every schedule, with its default numbers; at the end the one that has no name.
    pub fn every() -> Vec<Self> {
        let mut all: Vec<Self> = Self::NAMES.iter().filter_map(|name| Self::named(name)).collect();
        all.push(Self::Sweep { ratio: 100.0, steps: 10 });
        all
    }

    /// Whether the rates of a run depend on how long it will be.
    pub fn depends_on_length(self) -> bool {
        matches!(self, Self::Cosine { .. } | Self::OneCycle { .. } | Self::Trapezoid { .. })
    }

    /// The learning rate of a step.
    ///
    /// # Examples
    /// ```
    /// use dnn_train::{Moment, Schedule};
    ///
    /// let schedule = Schedule::Staircase { decay: 1.0, interval: 100 };
    /// let epoch = |epoch| Moment { step: epoch, steps_per_epoch: 1, steps: 1000 };
    /// assert_eq!(schedule.rate(0.5, epoch(10)), 0.5);
    /// assert_eq!(schedule.rate(0.5, epoch(100)), 0.25);
    /// ```
    pub fn rate(self, rate_0: f64, moment: Moment) -> f64 {
        let epoch = moment.epoch();
        let passed = moment.step as f64 / moment.steps.max(1) as f64;
        match self {
            Self::Constant | Self::Plateau { .. } => rate_0,
            Self::InverseTime { decay } => rate_0 / (1.0 + decay * epoch as f64),
            Self::Staircase { decay, interval } => {
                rate_0 / (1.0 + decay * (epoch / interval.max(1)) as f64)
            }
            Self::Step { factor, every } => rate_0 * power(factor, epoch / every.max(1)),
            Self::Sweep { ratio, steps } => {
                let share = moment.step as f64 / steps.saturating_sub(1).max(1) as f64;
                rate_0 * libm::pow(ratio, share)
            }
            Self::Cosine { end } => along_cosine(rate_0, end * rate_0, passed),
            Self::Trapezoid { rise, fall } => {
                let steps = moment.steps.max(1) as f64;
                let over = (moment.step + 1) as f64;
                let left = moment.steps.saturating_sub(moment.step).max(1) as f64;
                let rising = if rise > 0.0 { over / (rise * steps) } else { 1.0 };
                rate_0 * rising.min(left / (fall * steps)).min(1.0)
            }
            Self::OneCycle { rise, start, end } => {
                let (first, last) = (start * rate_0, end * start * rate_0);
                // The last step is at the end, the top is between two steps at most once.
                let all = moment.steps.saturating_sub(1).max(1) as f64;
                let (top, step) = (rise * moment.steps as f64 - 1.0, moment.step as f64);
                if step < top {
                    along_cosine(first, rate_0, step / top)
                } else {
                    along_cosine(rate_0, last, (step - top.max(0.0)) / (all - top.max(0.0)))
                }
            }
        }
    }
}

/// From `first` at 0 to `last` at 1, along half a cosine.
fn along_cosine(first: f64, last: f64, share: f64) -> f64 {
    // The same last bit on every machine.
    last + (first - last) * (1.0 + libm::cos(std::f64::consts::PI * share)) / 2.0
}

/// `base^exponent` by products alone, the same on every machine.
pub(crate) fn power(base: f64, exponent: u64) -> f64 {
    let (mut result, mut square, mut rest) = (1.0, base, exponent);
    while rest > 0 {
        if rest & 1 == 1 {
            result *= square;
        }
        square *= square;
        rest >>= 1;
    }
    result
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f)
    }
}

impl FromStr for Schedule {
    type Err = CoreError;

    fn from_str(text: &str) -> Result<Self, CoreError> {
        Self::parse(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn powers_are_products() {
        assert_eq!(power(0.9, 0), 1.0);
        assert_eq!(power(0.5, 10), 1.0 / 1024.0);
        assert!((power(0.999, 12_345) - 0.999_f64.powf(12_345.0)).abs() < 1e-15);
        assert_eq!(power(0.9, u64::MAX), 0.0);
    }

    #[test]
    fn a_trapezoid_rises_stays_and_falls() {
        let schedule = Schedule::Trapezoid { rise: 0.2, fall: 0.5 };
        let at = |step| schedule.rate(0.5, Moment { step, steps_per_epoch: 5, steps: 20 });
        assert_eq!([at(0), at(1), at(3), at(4)], [0.125, 0.25, 0.5, 0.5]);
        assert_eq!([at(10), at(15), at(19)], [0.5, 0.25, 0.05]);
        let from_the_start = Schedule::Trapezoid { rise: 0.0, fall: 1.0 };
        let moment = |step| Moment { step, steps_per_epoch: 1, steps: 4 };
        assert_eq!([0, 1, 3].map(|step| from_the_start.rate(1.0, moment(step))), [1.0, 0.75, 0.25]);
    }

    #[test]
    fn every_schedule_is_listed() {
        dnn_core::assert_lists_every_variant!(
            Schedule::every(),
            Schedule::Constant,
            Schedule::InverseTime { .. },
            Schedule::Staircase { .. },
            Schedule::Step { every: 1, .. },
            Schedule::Step { .. },
            Schedule::Cosine { .. },
            Schedule::OneCycle { .. },
            Schedule::Trapezoid { .. },
            Schedule::Sweep { .. },
            Schedule::Plateau { .. },
        );
        assert_eq!(Schedule::every().len(), Schedule::NAMES.len() + 1);
    }

    #[test]
    fn every_schedule_is_its_text_and_stays_a_rate() {
        for name in Schedule::NAMES {
            let schedule: Schedule = name.parse().unwrap();
            assert_eq!(schedule.to_string(), *name);
            for (steps_per_epoch, epochs) in [(1, 1), (1, 2), (7, 30), (1, 1000)] {
                let steps = steps_per_epoch * epochs;
                for step in 0..steps {
                    let rate = schedule.rate(0.5, Moment { step, steps_per_epoch, steps });
                    assert!(rate > 0.0 && rate <= 0.5, "{name} at {step} of {steps}: {rate}");
                }
            }
        }
        for text in [
            "step:factor=0.5,every=20",
            "cosine:end=0.1",
            "one-cycle:rise=0.5,end=0.01",
            "trapezoid:rise=0.0,fall=0.25",
        ] {
            assert_eq!(text.parse::<Schedule>().unwrap().to_string(), text);
        }
        for (text, message) in [
            (
                "fall",
                "unknown schedule `fall`; expected one of constant, inverse-time, staircase, step, exponential, cosine, one-cycle, trapezoid, plateau",
            ),
            ("cosine:at=1", "unknown setting of the schedule `at`; expected one of end"),
            ("cosine:end=2", "end: expected a number from 0 to 1, found 2.0"),
            ("step:every=0", "every: expected a whole number of at least 1, found 0"),
            ("step:every=1.5", "every: expected a whole number, found 1.5"),
        ] {
            assert_eq!(text.parse::<Schedule>().unwrap_err().to_string(), message);
        }
    }
}
