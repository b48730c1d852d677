//! What a run is: from data to a trained network in a folder that can be resumed, compared and verified.
//!
//! What it leaves out on purpose: command lines, progress bars and exit codes (`dnn-cli`). It prints nothing and
//! reads no clock.
#![allow(clippy::missing_errors_doc, reason = "most of these modules are not public for long")]

pub mod advice;
pub mod checkpoints;
mod error;
pub mod history_file;
mod lock;
pub mod parts;
pub mod record;
pub mod regression;
pub mod run_folder;
pub mod space;
pub mod tensorboard;
pub mod words;

pub use error::{Result, RunError};
