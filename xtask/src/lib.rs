//! The chores of this workspace that cargo alone does not do, apart from the command line.
//!
//! The one idea: a chore is a function that gives a value, and the program prints it; so a chore can be tested
//! without running the program. What needs the workspace's own crates is not here: the program builds and runs
//! it when it is asked for.

pub mod cargo;
pub mod ci;
pub mod counts;
