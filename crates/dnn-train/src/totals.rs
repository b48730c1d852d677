//! What the steps of a run add up to.

use crate::evaluation::Tally;
use crate::{EpochRecord, Evaluation};

/// The steps of a run so far, and the examples of the epoch in progress.
#[derive(Debug)]
pub(crate) struct Totals {
    steps: u64,
    epoch: Tally,
    answers: Answers,
}

/// Which classes the batches of an epoch were given; a batch of one class tells nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Answers {
    /// No batch has told.
    Unknown,
    /// In every batch a single class, in the last one this.
    Single(usize),
    /// In some batch several.
    Several,
}

impl Totals {
    pub(crate) fn new(outputs: usize) -> Self {
        Self {
            steps: 0,
            epoch: Tally::new(outputs),
            answers: Answers::Unknown,
        }
    }

    /// Steps since the start of the run.
    pub(crate) fn steps(&self) -> u64 {
        self.steps
    }

    /// Starts an epoch.
    pub(crate) fn start_epoch(&mut self) {
        self.epoch.clear();
        self.answers = Answers::Unknown;
    }

    /// Counts a step on the examples of `batch`.
    pub(crate) fn add(&mut self, batch: &Tally) {
        self.steps += 1;
        self.epoch.add(batch);
        if batch.has_several_classes() {
            self.answers = match (self.answers, batch.single_class()) {
                (Answers::Unknown | Answers::Single(_), Some(class)) => Answers::Single(class),
                _ => Answers::Several,
            };
        }
    }

    /// The record of the epoch.
    pub(crate) fn record(
        &self,
        epoch: u64,
        learning_rate: f64,
        validation: Option<Evaluation>,
    ) -> EpochRecord {
        EpochRecord {
            epoch,
            step: self.steps,
            learning_rate,
            cost: self.epoch.mean_cost(),
            accuracy: self.epoch.accuracy(),
            single_class: match self.answers {
                Answers::Single(class) => Some(class),
                Answers::Unknown | Answers::Several => None,
            },
            validation,
        }
    }
}
