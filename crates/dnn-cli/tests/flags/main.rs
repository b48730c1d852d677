//! The program's flags: what they write, and where they have no effect.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

#[path = "../support/mod.rs"]
mod support;

mod automatic;
mod effect;
mod evaluate;
mod made;
mod models;
mod plot;
mod predict;
mod size;
