//! Which threads make the steps of a run, and how they wait for one another. No bit of a result depends on it.

mod adaptive;
mod spinning;
mod system_clock;

pub use adaptive::StepClock;
pub(crate) use adaptive::{AdaptiveThreads, StepTimer, install};
pub(crate) use spinning::with_spinning_workers;
pub use system_clock::SystemClock;
