//! `config.json`: what a run is and where it was begun.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::{Result, RunError};
use crate::run_folder::{CONFIG, LARGEST_TEXT, RunFolder};

/// Settings by the name of their flag, with `_` for `-`. What is left out has its default.
pub type Settings = BTreeMap<String, String>;

/// `config.json`: all that was chosen for a run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct RunRecord {
    /// The program and its version.
    pub software: String,
    /// The kernels that it computes on.
    pub kernel_path: String,
    /// The name of the data.
    pub data: String,
    /// Where the data was; `None` for the built-in digits.
    pub data_path: Option<PathBuf>,
    /// SHA-256 of the data, in hexadecimal.
    pub data_sha256: String,
    /// The seed of all random streams.
    pub seed: u64,
    /// Threads that it was begun on.
    pub threads: usize,
    /// What the model's numbers follow from.
    pub settings: Settings,
    /// How picture files were read, where it was not by default.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub loading: Settings,
    /// What is kept of the run while it goes on, where it is not the default.
    #[serde(default, skip_serializing_if = "Settings::is_empty")]
    pub keeping: Settings,
    /// The model that the run started from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<PathBuf>,
}

impl RunRecord {
    /// That of the run in a folder.
    ///
    /// # Errors
    /// [`RunError::Store`] if it cannot be read, [`RunError::Data`] if it is none.
    pub fn read(run: &Path) -> Result<Self> {
        let path = run.join(CONFIG);
        serde_json::from_slice(&dnn_store::read_file(&path, LARGEST_TEXT)?).map_err(|error| {
            RunError::Data(format!("{} is not a run's config.json: {error}", path.display()))
        })
    }

    /// Writes it into the folder of its run.
    ///
    /// # Errors
    /// [`RunError::Store`] if it cannot be written.
    pub fn write(&self, folder: &RunFolder) -> Result<()> {
        folder.write_json(CONFIG, self)
    }
}
