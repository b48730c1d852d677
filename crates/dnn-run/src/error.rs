//! The errors of this crate.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;

use dnn_core::CoreError;
use dnn_data::DataError;
use dnn_layers::NetworkError;
use dnn_store::StoreError;
use dnn_train::TrainError;
use thiserror::Error;

/// What can be wrong with a run.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum RunError {
    /// A setting, or a folder that cannot be used in this way.
    #[error("{0}")]
    Usage(String),
    /// Data, on its own or with the model.
    #[error("{0}")]
    Data(String),
    /// A picture file that cannot be used.
    #[error("{0}")]
    BadFile(String),
    /// Data that is not there.
    #[error("{0}")]
    Missing(String),
    /// The observer wanted the run to stop; it is saved, and can be resumed.
    #[error("interrupted after step {step}; {} can be resumed", run.display())]
    Interrupted {
        /// The folder of the run.
        run: PathBuf,
        /// The last step.
        step: u64,
    },
    /// A file or folder cannot be read or written.
    #[error("{what}")]
    Io {
        /// What could not be done, with the path.
        what: String,
        /// The system's reason.
        source: io::Error,
    },
    /// An error, and what was being done when it came up.
    #[error("{what}")]
    Context {
        /// What was being done, or where.
        what: String,
        /// What went wrong.
        source: Box<RunError>,
    },
    /// The data could not be loaded or divided.
    #[error(transparent)]
    Load(#[from] DataError),
    /// A network or a model file.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// Training or measuring.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// A file of the run folder.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Shapes or numbers.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// A record that has no form in JSON.
    #[error("cannot write it as JSON")]
    Json(#[from] serde_json::Error),
}

impl RunError {
    /// What is wrong with the data as it lies on disk, if that is the cause.
    pub fn load_error(&self) -> Option<&DataError> {
        match self {
            Self::Load(error) => Some(error),
            Self::Context { source, .. } => source.load_error(),
            _ => None,
        }
    }
}

impl RunError {
    /// Whether training or measuring met numbers that are not finite.
    pub fn is_divergence(&self) -> bool {
        match self {
            Self::Context { source, .. } => source.is_divergence(),
            Self::Network(error) | Self::Train(TrainError::Network(error)) => {
                matches!(error, NetworkError::Overflow { .. })
            }
            Self::Train(error) => matches!(
                error,
                TrainError::NotFinite { .. }
                    | TrainError::NotFiniteHere { .. }
                    | TrainError::Validation { .. }
            ),
            _ => false,
        }
    }

    /// The message with all causes, the first cause last.
    pub(crate) fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source();
        while let Some(error) = cause {
            text += &format!(": {error}");
            cause = error.source();
        }
        text
    }
}

/// The outcome of what can go wrong with a run.
pub type Result<T, E = RunError> = std::result::Result<T, E>;

/// What was being done, added to an error.
pub(crate) trait Context<T> {
    /// Adds what `what` says, if there is an error.
    fn context(self, what: impl FnOnce() -> String) -> Result<T>;
}

impl<T, E: Into<Cause>> Context<T> for std::result::Result<T, E> {
    fn context(self, what: impl FnOnce() -> String) -> Result<T> {
        self.map_err(|error| match error.into() {
            Cause::Io(source) => RunError::Io { what: what(), source },
            Cause::Run(source) => RunError::Context { what: what(), source: Box::new(source) },
        })
    }
}

/// An error before what was being done is added to it.
pub(crate) enum Cause {
    Io(io::Error),
    Run(RunError),
}

impl From<io::Error> for Cause {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<E: Into<RunError>> From<E> for Cause {
    fn from(error: E) -> Self {
        Self::Run(error.into())
    }
}
