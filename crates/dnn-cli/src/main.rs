//! The program `dnn`: train, evaluate and use picture classifiers.
//!
//! Results go to standard output, everything else (progress, warnings, errors) to standard error,
//! so that output can be piped. With `--json` standard output is one JSON object and nothing else.

mod args;
mod data;
mod doctor;
mod evaluate;
mod failure;
mod inspect;
mod metrics;
mod model;
mod output;
mod parts;
mod predict;
mod progress;
mod run_folder;
mod train;

use std::process::ExitCode;

use clap::Parser;

use crate::args::{Arguments, Command};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let outcome = match arguments.command {
        Command::Train(arguments) => train::run(&arguments),
        Command::Evaluate(arguments) => evaluate::run(&arguments),
        Command::Predict(arguments) => predict::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Fetch(arguments) => dnn_fetch::command::run(&arguments)
            .map(|()| ExitCode::SUCCESS)
            .map_err(anyhow::Error::from),
        Command::Inspect(arguments) => inspect::run(&arguments).map(|()| ExitCode::SUCCESS),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}
