//! Learning rates that change over a run, as pure functions of the epoch.

use dnn_core::CoreError;

/// How the learning rate of an epoch follows from the first one, `rate_0`.
///
/// # References
/// Both decays are the course's.
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
        /// Epochs between two falls; 0 counts as 1.
        interval: u64,
    },
}

impl Schedule {
    /// Accepts a decay that never raises the rate.
    pub(crate) fn check(self) -> Result<(), CoreError> {
        match self {
            Self::InverseTime { decay } | Self::Staircase { decay, .. }
                if !(decay.is_finite() && decay >= 0.0) =>
            {
                Err(CoreError::Invalid {
                    what: "decay of the schedule",
                    expected: "a finite number of at least 0",
                    found: decay.to_string(),
                })
            }
            _ => Ok(()),
        }
    }

    /// The learning rate of `epoch`, counted from 0.
    ///
    /// # Examples
    /// ```
    /// use dnn_train::Schedule;
    ///
    /// let schedule = Schedule::Staircase { decay: 1.0, interval: 100 };
    /// assert_eq!(schedule.rate(0.5, 10), 0.5);
    /// assert_eq!(schedule.rate(0.5, 100), 0.25);
    /// ```
    pub fn rate(self, rate_0: f64, epoch: u64) -> f64 {
        match self {
            Self::Constant => rate_0,
            Self::InverseTime { decay } => rate_0 / (1.0 + decay * epoch as f64),
            Self::Staircase { decay, interval } => {
                rate_0 / (1.0 + decay * (epoch / interval.max(1)) as f64)
            }
        }
    }
}
