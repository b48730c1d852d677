//! Whom a run talks to, and the clock that it is given.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use dnn_train::{EpochRecord, StepClock};

use crate::trials::{TrialBegins, TrialOutcome};

/// Hears what a run, a search or a loading has to say, and says when it is to stop.
///
/// Every method but [`note`](Self::note) has a default: nothing is done.
pub trait Observer: Send {
    /// Something that the user should know.
    fn note(&mut self, text: &str);

    /// Training begins, and will have so many epochs at most.
    fn training_begins(&mut self, epochs: u64) {
        let _ = epochs;
    }

    /// What the run has behind it when training begins; told only if that is something.
    fn epochs_before(&mut self, records: &[EpochRecord]) {
        let _ = records;
    }

    /// An epoch is over.
    fn epoch(&mut self, record: &EpochRecord) {
        let _ = record;
    }

    /// Training is over, however it ended.
    fn training_ends(&mut self) {}

    /// A trial of a search begins.
    fn trial_begins(&mut self, trial: &TrialBegins<'_>) {
        let _ = trial;
    }

    /// A trial of a search is over.
    fn trial_ends(&mut self, outcome: &TrialOutcome) {
        let _ = outcome;
    }

    /// Whether the run is to be saved and to end; it is asked after every step.
    fn wants_to_stop(&mut self) -> bool {
        false
    }
}

/// Hears, and does nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {
    fn note(&mut self, _: &str) {}
}

/// What time it is; a run knows it from here alone.
pub trait Clock: Sync {
    /// The time since some moment, always the same one; it never runs back.
    fn elapsed(&self) -> Duration;

    /// The time since the beginning of 1970.
    fn since_1970(&self) -> Duration;

    /// What tells a trainer how long its steps take, so that it goes on with fewer threads where that is faster;
    /// by default nothing does.
    fn of_steps(&self) -> Option<Arc<dyn StepClock>> {
        None
    }
}

/// The clock of the system.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    begun: Instant,
}

impl SystemClock {
    /// A clock that counts from now.
    pub fn start() -> Self {
        Self { begun: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn elapsed(&self) -> Duration {
        self.begun.elapsed()
    }

    fn since_1970(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn of_steps(&self) -> Option<Arc<dyn StepClock>> {
        Some(Arc::new(dnn_train::SystemClock::start()))
    }
}
