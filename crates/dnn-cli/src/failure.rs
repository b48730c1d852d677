//! From an error to a message and an exit code.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use dnn_core::CoreError;
use dnn_data::DataError;
use dnn_fetch::FetchError;
use dnn_layers::NetworkError;
use dnn_run::RunError;
use dnn_run::words::plain_message;
use dnn_store::StoreError;
use dnn_train::TrainError;

use crate::output::{note, say};

const DIVERGED: u8 = 6;

/// Writes the error to standard error and gives its exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        // Whoever read our output has seen enough.
        return ExitCode::SUCCESS;
    }
    say(&plain_message(&format!("error: {error:#}")));
    if let Some(advice) = error.chain().find_map(advice) {
        note(&format!("note: {advice}"));
    }
    ExitCode::from(exit_code(error))
}

/// What to do about an error whose own message, from a library, cannot name our commands.
fn advice(cause: &(dyn Error + 'static)) -> Option<&'static str> {
    if let Some(RunError::BadFile(_)) = cause.downcast_ref() {
        return Some("`--bad-files skip` goes on without files that cannot be used");
    }
    if let Some(RunError::Train(TrainError::Core(CoreError::Invalid { what, .. }))) =
        cause.downcast_ref()
        && *what == "products in bf16"
    {
        return Some("`--precision f32` runs on every processor");
    }
    let data = match cause.downcast_ref::<RunError>() {
        Some(error) => error.load_error(),
        None => cause.downcast_ref::<DataError>(),
    };
    match data? {
        DataError::BadPicture { .. } => Some(
            "`dnn doctor` names every bad file of a folder; `--bad-files skip` goes on without them, \
             `--bad-files quarantine` puts them aside",
        ),
        DataError::TooManyBad { .. } => {
            Some("`dnn doctor` names every bad file of a folder; `--max-bad` lets more be left out")
        }
        _ => None,
    }
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.map(io::Error::kind).any(|kind| kind == io::ErrorKind::BrokenPipe)
}

/// The first cause that has a code decides.
fn exit_code(error: &anyhow::Error) -> u8 {
    error.chain().find_map(code_of).unwrap_or(1)
}

const USAGE: u8 = 2;
const DATA: u8 = 3;
const IO: u8 = 4;
const CORRUPT: u8 = 5;

fn code_of(cause: &(dyn Error + 'static)) -> Option<u8> {
    if let Some(error) = cause.downcast_ref::<RunError>() {
        of_run(error)
    } else if let Some(error) = cause.downcast_ref::<DataError>() {
        Some(of_data(error))
    } else if let Some(error) = cause.downcast_ref::<FetchError>() {
        Some(of_fetch(error))
    } else if let Some(error) = cause.downcast_ref::<TrainError>() {
        Some(of_train(error))
    } else if let Some(error) = cause.downcast_ref::<NetworkError>() {
        Some(of_network(error))
    } else if let Some(error) = cause.downcast_ref::<StoreError>() {
        Some(of_store(error))
    } else if cause.is::<io::Error>() {
        Some(IO)
    } else {
        None
    }
}

fn of_run(error: &RunError) -> Option<u8> {
    Some(match error {
        RunError::Usage(_) => USAGE,
        RunError::Data(_) | RunError::BadFile(_) => DATA,
        RunError::Missing(_) | RunError::Io { .. } => IO,
        RunError::Context { source, .. } => return of_run(source),
        RunError::Load(error) => of_data(error),
        RunError::Network(error) => of_network(error),
        RunError::Train(error) => of_train(error),
        RunError::Store(error) => of_store(error),
        _ => return None,
    })
}

fn of_data(error: &DataError) -> u8 {
    if error.is_io() { IO } else { DATA }
}

fn of_fetch(error: &FetchError) -> u8 {
    match error {
        _ if error.is_usage() => USAGE,
        _ if error.is_io() => IO,
        _ if error.is_damaged() => CORRUPT,
        _ => DATA,
    }
}

fn of_store(error: &StoreError) -> u8 {
    if error.is_corrupt() { CORRUPT } else { IO }
}

fn of_network(error: &NetworkError) -> u8 {
    match error {
        NetworkError::Store(error) => of_store(error),
        NetworkError::InFile { .. } => CORRUPT,
        NetworkError::Overflow { .. } => DIVERGED,
        _ => USAGE,
    }
}

fn of_train(error: &TrainError) -> u8 {
    match error {
        TrainError::NotFinite { .. }
        | TrainError::NotFiniteHere { .. }
        | TrainError::Validation { .. } => DIVERGED,
        TrainError::Network(error) => of_network(error),
        TrainError::Store(error) => of_store(error),
        TrainError::InCheckpoint { .. } | TrainError::Checkpoint { .. } => CORRUPT,
        _ => USAGE,
    }
}
