//! `config.json`: what a run is and where it was begun.

use serde::{Deserialize, Serialize};

use crate::config::RunConfig;
use crate::error::Result;
use crate::run_folder::{CONFIG, RunFolder};

/// This program and its version, as models and run folders record it.
pub const SOFTWARE: &str = concat!("dnn ", env!("CARGO_PKG_VERSION"));

/// `config.json`: all that was chosen for a run, with values for everything that was left to a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The program and its version.
    pub software: String,
    /// The kernels that it computes on.
    pub kernel_path: String,
    /// The name of the data.
    pub data: String,
    /// SHA-256 of the data, in hexadecimal.
    pub data_sha256: String,
    /// Threads that it was begun on.
    pub threads: usize,
    /// SHA-256 of the model that training started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_sha256: Option<String>,
    /// The settings; its paths are absolute.
    pub config: RunConfig,
}

impl RunRecord {
    /// Writes it into the folder of its run.
    pub(crate) fn write(&self, folder: &RunFolder) -> Result<()> {
        folder.write_json(CONFIG, self)
    }
}
