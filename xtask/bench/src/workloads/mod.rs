//! Whole workloads, ours beside those of other software, in one run.
//!
//! The one idea: machines are noisy, so nobody is measured alone. All workers are alive together and take
//! turns, a loop of plain multiplications among them that says how fast the machine is at the moment;
//! disturbed samples are dropped by one written rule ([`statistics`]); ratios are those within a round.
//! And nobody is measured who does something else: the costs of the first steps have to agree.

pub mod bits;
mod busy;
mod cases;
pub mod chart;
pub mod entrants;
pub mod growth;
mod list;
pub mod loaded;
mod measure;
mod options;
mod pictures;
mod prepare;
pub mod python;
pub mod rates;
pub mod report;
pub mod shapes;
mod stage;
pub mod statistics;
mod turns;

pub use busy::Busy;
pub use list::{Body, Choice, Source, Workload, named, workloads};
pub use measure::measure;
pub use options::Options;
pub use prepare::Store;
pub use stage::Stage;
pub use turns::{Entrant, Plan, Played, play};
