//! What the steps of a run add up to.

use crate::examples::class_count;
use crate::tally::Tally;
use crate::{EpochRecord, Evaluation, Warning};

/// Epochs in a row, and steps in them, in which every batch was given one class before a run warns:
/// many networks start like that and get over it.
const STUCK_EPOCHS: u64 = 10;
const STUCK_STEPS: u64 = 100;

/// The steps of a run so far, and the examples of the epoch in progress.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Totals {
    pub(crate) steps: u64,
    pub(crate) epoch: Tally,
    pub(crate) answers: Answers,
}

/// Which classes the batches of an epoch were given; a batch of one class tells nothing, so that
/// with batches of one example the whole epoch has to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Answers {
    /// No batch has told.
    Unknown,
    /// In every batch a single class, in the last one this.
    Single(usize),
    /// In some batch several.
    Several,
}

impl Totals {
    pub(crate) fn new(outputs: usize) -> Self {
        Self { steps: 0, epoch: Tally::new(outputs), answers: Answers::Unknown }
    }

    /// Accepts counts of a file for a network of so many outputs, or says what is wrong with them.
    pub(crate) fn check(&self, outputs: usize) -> Result<(), String> {
        match self.answers {
            Answers::Single(class) if class >= class_count(outputs) => {
                Err(format!("class {class} of {}, counted from 0", class_count(outputs)))
            }
            _ => self.epoch.check(outputs),
        }
    }

    /// Examples of the epoch so far, or of the one that has just been recorded.
    pub(crate) fn examples(&self) -> usize {
        self.epoch.examples()
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

    /// Counts a step on a batch, each example of which costs `penalty` more than it says.
    pub(crate) fn add(&mut self, batch: &Tally, penalty: f64) {
        self.steps += 1;
        self.epoch.add(batch);
        self.epoch.add_penalty(batch, penalty);
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
                Answers::Several => None,
                Answers::Unknown => self.epoch.single_class(),
            },
            validation,
            best: false,
        }
    }
}

/// Looks out for a network that does not learn.
#[derive(Debug, Clone, PartialEq, Default)]
pub(crate) struct Watch {
    /// Epochs in a row in which every batch was given one class.
    pub(crate) stuck: u64,
    pub(crate) warned: bool,
}

impl Watch {
    /// Accepts what a file says after so many records, or says what is wrong with it.
    pub(crate) fn check(&self, records: u64) -> Result<(), String> {
        if self.stuck > records {
            return Err(format!("{} epochs of one class in {records}", self.stuck));
        }
        Ok(())
    }

    /// The warning that is due after this epoch of `epochs`, if any; there is one per run.
    pub(crate) fn warning(&mut self, record: &EpochRecord, epochs: u64) -> Option<Warning> {
        let class = record.single_class;
        self.stuck = if class.is_some() { self.stuck + 1 } else { 0 };
        let steps = self.stuck * (record.step / record.epoch);
        let long = self.stuck >= STUCK_EPOCHS && steps >= STUCK_STEPS;
        // A short run has no time for more, and must not end in silence.
        let at_the_end = record.epoch == epochs && self.stuck >= STUCK_EPOCHS.min(epochs);
        if self.warned || !(long || at_the_end) {
            return None;
        }
        let class = class?;
        self.warned = true;
        Some(Warning::SingleClass { class, epoch: record.epoch })
    }
}
