//! What other software takes for the same job, in one run.
//!
//! The one idea: machines are noisy, so nobody is measured alone. In each round every contender has its
//! turn, in an order that moves on from round to round, in a process of its own that times itself; what
//! is reported is the median over the rounds, and ratios are those within a round.

pub mod loading;
mod rounds;

pub use rounds::{Contender, Measured, Report, Turn};
