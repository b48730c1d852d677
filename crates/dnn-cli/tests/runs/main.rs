//! Runs that are interrupted, killed, resumed, repeated and searched for (C2, C3, C8, C9, X2, T6, T11).
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

mod config;
mod interruptions;
mod kills;
mod limits;
mod listing;
mod logs;
mod network;
mod planted;
mod program;
mod regression;
mod released;
mod reported;
mod resume;
mod search;
mod verify;
