//! What this workspace measures, apart from the command line: benchmarks of every crate, and whole workloads
//! beside other software.
//!
//! The one idea: a measurement is a function that gives a report, and the program prints it; so it can be tested
//! without running the program.

pub mod bench;
pub mod worker;
pub mod workloads;

/// The examples of the README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;

/// Those of the page on the library.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/library.md")]
pub struct Library;

/// That of the page to learn with.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/learn.md")]
pub struct Learn;
