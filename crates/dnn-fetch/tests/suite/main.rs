//! The tests of this crate as one program: what is generic is compiled, and linked, once for all of them.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../common/mod.rs"]
mod common;

mod archives;
mod downloads;
mod fetch;
#[cfg(unix)]
mod fetched;
