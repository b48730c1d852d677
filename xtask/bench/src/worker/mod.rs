//! Our side of a measurement: a program that does one job whenever it is told to.
//!
//! The one idea: a worker lives as long as the measurement, so that all workers can take turns; it speaks
//! lines. Every peer's driver in `xtask/bench/peers` speaks the same:
//!
//! | line it is given | what it does | line it answers |
//! |---|---|---|
//! | `open JOB` | reads the job (a JSON file) and its data | `{"ready": true, "versions": {…}}`, or `{"skip": "why"}` |
//! | `check` | trains from the first weights | `{"costs": […]}` of the first steps; probabilities if it predicts |
//! | `go` | one round | `{"seconds": …, "value": …}` |
//! | `close` | forgets the job | `{"closed": true}` |
//!
//! What goes wrong is answered as `{"error": "why"}`. The worker ends when its input does.
//!
//! With products in bf16 it trains in mini-batches, and skips all else. As processes of their own our program does a job [`once`], gives the [`bits`] that it ends in, or
//! [`spin`]s.

mod bits;
mod convolution;
mod fma;
mod job;
mod once;
mod ours;
mod peak;
mod protocol;
mod serve;
mod spin;
mod train;

pub mod npy;

pub use bits::{Bits, bits};
pub(crate) use convolution::{Pass, Passes, Picture};
pub(crate) use fma::{bf16_rate, round as fma_round};
pub use job::{CHECKED_STEPS, Job, Kind, WeightedLayer};
pub use once::{Once, once};
pub use ours::{first_network, read_examples};
pub use protocol::{Link, Order, Turn};
pub use serve::{serve, serve_in_bf16};
pub use spin::spin;
