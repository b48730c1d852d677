//! What a run reports while it goes on.

use std::ops::ControlFlow;

use crate::{EpochRecord, GramPlan, Snapshot, Warning};

/// A report from a run in progress.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// The run begins, or goes on: in this form.
    Plan(&'a GramPlan),
    /// A step was made.
    Step {
        /// The epoch, counted from 1.
        epoch: u64,
        /// The step, counted from 1 over the whole run.
        step: u64,
        /// The batch within the epoch, counted from 1.
        batch: usize,
        /// The mean cost of the batch before the step.
        cost: f64,
    },
    /// An epoch is over.
    Epoch(&'a EpochRecord),
    /// Something deserves a look.
    Warning(&'a Warning),
    /// The run can be saved as it is now: after every step, and after every epoch.
    State(Snapshot<'a>),
}

/// The observer for those who only want the result: hears nothing, ends nothing.
pub fn unobserved(_: Event<'_>) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Hears of everything that happens in a run, and may end it.
pub(crate) type Observer<'o> = dyn FnMut(Event<'_>) -> ControlFlow<()> + Send + 'o;
