//! How far a run has come, beside its numbers.

use crate::stopping::{Comparison, Plateau};
use crate::totals::{Totals, Watch};

/// Where a run is, beside its numbers.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Progress {
    /// The epoch in progress, counted from 1.
    pub(crate) epoch: u64,
    /// Steps of it that are made.
    pub(crate) batches: usize,
    /// Epochs that have been recorded.
    pub(crate) records: u64,
    pub(crate) totals: Totals,
    pub(crate) watch: Watch,
    pub(crate) comparison: Comparison,
    pub(crate) plateau: Plateau,
}

/// No run makes more steps or epochs; counts up to here can be added to.
const MOST: u64 = 1 << 62;

impl Progress {
    /// Before the first step of a network with so many outputs.
    pub(crate) fn start(outputs: usize) -> Self {
        Self {
            epoch: 1,
            batches: 0,
            records: 0,
            totals: Totals::new(outputs),
            watch: Watch::default(),
            comparison: Comparison::default(),
            plateau: Plateau::default(),
        }
    }

    /// Accepts what a file says of a run of a network of so many outputs, or says what is wrong with it.
    pub(super) fn check(&self, outputs: usize) -> Result<(), String> {
        let (epoch, records, steps) = (self.epoch, self.records, self.totals.steps());
        if !(1..=MOST).contains(&epoch) {
            return Err(format!("epoch {epoch}"));
        }
        if steps > MOST {
            return Err(format!("{steps} steps"));
        }
        if records != epoch - 1 {
            return Err(format!("{records} records of epochs in epoch {epoch}"));
        }
        self.totals.check(outputs)?;
        self.watch.check(records)?;
        self.comparison.check(records, steps)?;
        self.plateau.check(records)
    }

    /// Accepts where it says that it is in epochs over so many examples in batches of so many, or says what
    /// is wrong with it.
    pub(super) fn check_place(&self, examples: usize, batch: usize) -> Result<(), String> {
        let per_epoch = examples.div_ceil(batch.max(1));
        let (epoch, batches, steps) = (self.epoch, self.batches, self.totals.steps());
        let made = u128::from(self.records) * per_epoch as u128 + batches as u128;
        if batches > per_epoch || made != u128::from(steps) {
            return Err(format!(
                "{steps} steps, {batches} of them in epoch {epoch}, at {per_epoch} for each"
            ));
        }
        // Counts begin anew with the first batch of an epoch.
        let counted = match (batches, self.records) {
            (0, 0) => 0,
            (0, _) => examples,
            _ => examples.min(batches.saturating_mul(batch)),
        };
        let found = self.totals.examples();
        if found != counted {
            return Err(format!("{found} examples in {batches} batches of {batch}"));
        }
        Ok(())
    }
}
