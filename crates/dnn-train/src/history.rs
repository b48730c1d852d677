//! What a run keeps of its epochs.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Evaluation;

/// One epoch of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// Counted from 1.
    pub epoch: u64,
    /// Steps since the start of the run, those of this epoch included.
    pub step: u64,
    /// The learning rate of the epoch's last step.
    pub learning_rate: f64,
    /// The mean cost of the epoch's examples, each measured just before the step it was part of:
    /// with full batches, the cost before the epoch's one step.
    pub cost: f64,
    /// The share of the epoch's examples that were classified rightly, measured likewise.
    pub accuracy: Option<f64>,
    /// Set if within every batch of the epoch all examples were given one class, though they have
    /// several: the class of the last batch.
    pub single_class: Option<usize>,
    /// The validation part, measured after the epoch.
    pub validation: Option<Evaluation>,
    /// Whether what the run [monitors](crate::Monitor) was better than after all epochs before.
    #[serde(default)]
    pub best: bool,
}

/// The best epoch of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BestEpoch {
    /// Counted from 1.
    pub epoch: u64,
    /// Steps at its end, since the start of the run.
    pub step: u64,
    /// What was monitored.
    pub value: f64,
}

/// Something that deserves a look, though the run goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Warning {
    /// For several epochs on end, all examples of a batch were given the same class.
    SingleClass {
        /// The class of the last batch.
        class: usize,
        /// The epoch in which the warning was given.
        epoch: u64,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SingleClass { class, epoch } => write!(
                f,
                "up to epoch {epoch} all examples of a batch were given one class, at last class \
                 {class}: the network has not learned so far; other first weights (he-normal), \
                 another learning rate or scaled inputs are the usual cures"
            ),
        }
    }
}

/// What a run leaves behind beside the network.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct History {
    /// One record per epoch.
    pub epochs: Vec<EpochRecord>,
    /// What deserved a look.
    pub warnings: Vec<Warning>,
    /// The best epoch, if the run monitored anything.
    pub best: Option<BestEpoch>,
    /// Whether the run ended before its last epoch because nothing improved.
    pub stopped_early: bool,
}

impl History {
    /// Room for so many epochs, so that no step grows it; a longer run grows it a few times.
    pub(crate) fn for_epochs(epochs: u64) -> Self {
        let mut history = Self::default();
        history.warnings.reserve(1);
        history.epochs.reserve(usize::try_from(epochs.min(1 << 16)).unwrap_or(0));
        history
    }

    /// The cost of each epoch.
    pub fn costs(&self) -> impl Iterator<Item = f64> {
        self.epochs.iter().map(|record| record.cost)
    }
}
