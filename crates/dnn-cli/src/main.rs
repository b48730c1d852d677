//! The program `dnn`: train, evaluate and use picture classifiers.
//!
//! Results go to standard output, everything else (progress, warnings, errors) to standard error,
//! so that output can be piped. With `--json` standard output is one JSON object and nothing else.

mod args;
mod cache;
mod chart;
mod curves;
mod data;
mod doctor;
mod evaluate;
mod failure;
mod find_lr;
mod inspect;
mod interrupt;
mod metrics;
mod out_of_memory;
mod output;
mod predict;
mod progress;
mod runs;
mod search;
mod train;
mod verify;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _};

use crate::args::{Arguments, Command};

#[global_allocator]
static ALLOCATOR: out_of_memory::OrEnd = out_of_memory::OrEnd;

fn main() -> ExitCode {
    interrupt::outlive_file_size_limit();
    // The matches themselves too: they know what was given and what is a default.
    let matches = Arguments::command().get_matches();
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let given = matches.subcommand().map(|(_, given)| given).expect("a command is required");
    let outcome = match arguments.command {
        Command::Train(arguments) => train::run(&arguments, given),
        Command::Evaluate(arguments) => evaluate::run(&arguments, given),
        Command::Search(arguments) => search::run(&arguments, given),
        Command::Verify(arguments) => verify::run(&arguments, given),
        Command::Predict(arguments) => predict::run(&arguments, given),
        Command::Doctor(arguments) => doctor::run(&arguments, given),
        Command::Fetch(arguments) => dnn_fetch::command::run(&arguments)
            .map(|()| ExitCode::SUCCESS)
            .map_err(anyhow::Error::from),
        Command::Runs(arguments) => runs::run(&arguments),
        Command::Cache(arguments) => cache::run(&arguments),
        Command::Inspect(arguments) => inspect::run(&arguments).map(|()| ExitCode::SUCCESS),
    };
    match outcome {
        Ok(code) => code,
        Err(error) => failure::report(&error),
    }
}
