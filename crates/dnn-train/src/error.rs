//! The errors of this crate.

use std::path::PathBuf;

use dnn_core::CoreError;
use dnn_layers::{Head, NetworkError};
use dnn_store::StoreError;
use thiserror::Error;

/// What can be wrong with a training run or an evaluation.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Shapes, names, numbers or memory.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// The network or its inputs.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A checkpoint could not be read or written, or is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What is wrong with a checkpoint.
    #[error("{}: {reason}", path.display())]
    InCheckpoint {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: Box<TrainError>,
    },
    /// A checkpoint is of a run with other settings.
    #[error("the checkpoint is of another run: {what}: expected {expected}, found {found}")]
    OtherRun {
        /// What differs.
        what: String,
        /// As the checkpoint's run has it.
        expected: String,
        /// As it is now.
        found: String,
    },
    /// Nothing to learn from or to measure on.
    #[error("there are no examples; expected at least 1")]
    NoExamples,
    /// Another number of targets than of examples.
    #[error("expected {expected} targets, one per example, found {found}")]
    TargetCount {
        /// Examples there are.
        expected: usize,
        /// Targets there are.
        found: usize,
    },
    /// A label names a class that does not exist.
    #[error("example {example} has label {label}; expected a label below {classes}")]
    Label {
        /// The example's column.
        example: usize,
        /// Its label.
        label: u32,
        /// How many classes there are.
        classes: usize,
    },
    /// Classes as targets of a single number.
    #[error("a single output with an identity head expects numbers as targets, found classes")]
    ClassTargets,
    /// A batch order that leaves examples out or takes them twice.
    #[error(
        "the batch order of epoch {epoch} is no order of the {examples} examples: expected each of \
         them once, found column {column} {found}"
    )]
    Order {
        /// The epoch, counted from 1.
        epoch: u64,
        /// How many examples there are.
        examples: usize,
        /// A column that is wrong.
        column: usize,
        /// In which way.
        found: &'static str,
    },
    /// Examples that cannot be augmented.
    #[error("augmentation expects pixels in column-major order, found {found}")]
    AugmentInput {
        /// What the features are.
        found: &'static str,
    },
    /// A target value cannot be.
    #[error(
        "example {example}, output {output}: expected a target that is {expected}, found {found}"
    )]
    TargetValue {
        /// The example's column.
        example: usize,
        /// The output's row.
        output: usize,
        /// What it may be.
        expected: &'static str,
        /// What it is.
        found: f64,
    },
    /// The cost is made for another head.
    #[error("{cost} expects a {expected} head, found a {found} head")]
    CostHead {
        /// The cost.
        cost: String,
        /// The head it goes with.
        expected: Head,
        /// The network's head.
        found: Head,
    },
    /// A number stopped being finite.
    #[error(
        "the {what} of {layer} stopped being finite at step {step} (epoch {epoch}, batch {batch}); \
         {}", cure(*step)
    )]
    NotFinite {
        /// Which numbers.
        what: &'static str,
        /// The name of the layer, as `dense1`.
        layer: String,
        /// Steps since the start, this one included.
        step: u64,
        /// The epoch, counted from 1.
        epoch: u64,
        /// The batch within the epoch, counted from 1.
        batch: usize,
    },
    /// A number is not finite where a network is only measured.
    #[error("the {what} of {layer} is not finite for the examples {first} to {last}")]
    NotFiniteHere {
        /// Which numbers.
        what: &'static str,
        /// The name of the layer, as `dense1`.
        layer: String,
        /// The first column of those measured together.
        first: usize,
        /// The last of them.
        last: usize,
    },
    /// The validation part could not be measured.
    #[error("cannot measure the validation part after step {step} (epoch {epoch})")]
    Validation {
        /// Steps since the start.
        step: u64,
        /// The epoch, counted from 1.
        epoch: u64,
        /// What is wrong.
        source: Box<TrainError>,
    },
    /// A checkpoint says what no run can have come to.
    #[error("checkpoint: expected arrays and counts that fit its network, found {found}")]
    Checkpoint {
        /// What does not fit.
        found: String,
    },
    /// There is not the memory for a run.
    #[error("the run needs {needed} bytes of memory beside the data, which cannot be had")]
    Memory {
        /// Bytes for the gradient and for the numbers of a batch and of what is measured.
        needed: u128,
    },
    /// The threads could not be started.
    #[error("cannot start {threads} threads; a smaller number may do")]
    Threads {
        /// How many were asked for.
        threads: usize,
        /// The cause.
        source: rayon::ThreadPoolBuildError,
    },
}

impl TrainError {
    /// A checkpoint whose parts do not fit one another.
    pub(crate) fn unfit(found: String) -> Self {
        Self::Checkpoint { found }
    }
}

/// What helps against numbers that stop being finite at `step`.
fn cure(step: u64) -> &'static str {
    if step == 1 {
        "the inputs or the first weights are too large"
    } else {
        "a smaller learning rate is the usual cure"
    }
}
