//! From an error to a message and an exit code.

use std::io;
use std::process::ExitCode;

use dnn_data::DataError;
use dnn_layers::NetworkError;
use dnn_store::StoreError;
use dnn_train::TrainError;

use crate::output::note;

/// Settings or a command line that cannot be.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Data that does not go with the model.
#[derive(Debug)]
pub(crate) struct UnfitData(pub(crate) String);

impl std::fmt::Display for UnfitData {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for UnfitData {}

/// Writes the error to standard error and gives its exit code.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        // Whoever read our output has seen enough.
        return ExitCode::SUCCESS;
    }
    note(&format!("error: {error:#}"));
    ExitCode::from(exit_code(error))
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let causes = error.chain().filter_map(|cause| cause.downcast_ref::<io::Error>());
    causes.map(io::Error::kind).any(|kind| kind == io::ErrorKind::BrokenPipe)
}

/// The first cause that has a code decides.
fn exit_code(error: &anyhow::Error) -> u8 {
    error.chain().find_map(code_of).unwrap_or(1)
}

fn code_of(cause: &(dyn std::error::Error + 'static)) -> Option<u8> {
    const USAGE: u8 = 2;
    const DATA: u8 = 3;
    const IO: u8 = 4;
    const CORRUPT: u8 = 5;
    const DIVERGED: u8 = 6;
    let of_store = |error: &StoreError| if error.is_corrupt() { CORRUPT } else { IO };
    let of_network = |error: &NetworkError| match error {
        NetworkError::Store(error) => of_store(error),
        NetworkError::InFile { .. } => CORRUPT,
        NetworkError::Overflow { .. } => DIVERGED,
        _ => USAGE,
    };
    if cause.is::<Usage>() {
        Some(USAGE)
    } else if cause.is::<UnfitData>() {
        Some(DATA)
    } else if let Some(error) = cause.downcast_ref::<DataError>() {
        Some(if error.is_io() { IO } else { DATA })
    } else if let Some(error) = cause.downcast_ref::<TrainError>() {
        Some(match error {
            TrainError::NotFinite { .. }
            | TrainError::NotFiniteHere { .. }
            | TrainError::Validation { .. } => DIVERGED,
            TrainError::Network(error) => of_network(error),
            _ => USAGE,
        })
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
