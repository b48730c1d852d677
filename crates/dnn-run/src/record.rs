//! `config.json`: what a run is and where it was begun.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::config::RunConfig;
use crate::error::{Context as _, Result, RunError};
use crate::run_folder::{CONFIG, LARGEST_TEXT, RunFolder};
use crate::v1;

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
    /// That of the run in a folder, of this version or 0.1.
    ///
    /// # Errors
    /// [`RunError::Store`] if it cannot be read, [`RunError::Data`] if it is none, [`RunError::Context`] with the
    /// file for a setting that is none.
    pub fn read(run: &Path) -> Result<Self> {
        let path = run.join(CONFIG);
        let bytes = dnn_store::read_file(&path, LARGEST_TEXT)?;
        let other = |error: serde_json::Error| {
            RunError::Data(format!("{} is not a run's config.json: {error}", path.display()))
        };
        let value: Value = serde_json::from_slice(&bytes).map_err(other)?;
        if value.get("settings").is_some() {
            let config: v1::Config = serde_json::from_value(value).map_err(other)?;
            return config.into_record().context(|| format!("the settings in {}", path.display()));
        }
        serde_json::from_value(value).map_err(other)
    }

    /// Writes it into the folder of its run.
    pub(crate) fn write(&self, folder: &RunFolder) -> Result<()> {
        folder.write_json(CONFIG, self)
    }
}
