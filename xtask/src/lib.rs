//! The chores of this workspace that cargo alone does not do, apart from the command line.
//!
//! The one idea: a chore is a function that gives a value, and the program prints it; so a chore can
//! be tested without running the program.

pub mod bench;
pub mod worker;
pub mod workloads;

/// The library example of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
