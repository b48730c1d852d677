//! The tests of this crate as one program: what is generic is compiled, and linked, once for all of them.
//!
//! On its own is the one with an allocator of its own.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../common/mod.rs"]
mod common;

mod commit;
mod hostile;
mod round_trip;
