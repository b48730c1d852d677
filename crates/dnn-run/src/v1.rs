//! Run and search folders of version 0.1: settings as texts in one map, and searches as command lines.

use std::path::PathBuf;

use serde::Deserialize;

use crate::config::{RunConfig, Settings};
use crate::error::{Result, RunError};
use crate::provenance;
use crate::record::RunRecord;
use crate::space::Try;
use crate::trials::SearchPlan;

/// `config.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct Config {
    software: String,
    kernel_path: String,
    data: String,
    data_path: Option<PathBuf>,
    data_sha256: String,
    seed: u64,
    threads: usize,
    settings: Settings,
    #[serde(default)]
    loading: Settings,
    #[serde(default)]
    keeping: Settings,
    from: Option<PathBuf>,
}

impl Config {
    /// The same as it is written now.
    pub(crate) fn into_record(self) -> Result<RunRecord> {
        let mut settings = self.settings;
        let from_sha256 = settings.get("from").cloned();
        settings.extend(self.loading);
        settings.extend(self.keeping);
        let mut config = provenance::from_records(&settings, self.seed)?;
        config.data.path = self.data_path;
        config.network.from = self.from;
        Ok(RunRecord {
            software: self.software,
            kernel_path: self.kernel_path,
            data: self.data,
            data_sha256: self.data_sha256,
            threads: self.threads,
            from_sha256,
            config,
        })
    }
}

/// `search.json`.
#[derive(Debug, Deserialize)]
pub(crate) struct Search {
    software: String,
    /// The flags that all trials share.
    arguments: Vec<String>,
    data_path: Option<PathBuf>,
    data_sha256: String,
    tries: Vec<Try>,
    grid: bool,
    trials: usize,
}

impl Search {
    /// The same as it is written now.
    pub(crate) fn into_plan(self) -> Result<SearchPlan> {
        let mut settings = Settings::new();
        for argument in &self.arguments {
            let flag = argument.strip_prefix("--").ok_or_else(|| {
                RunError::Data(format!("expected flags that all trials share, found {argument}"))
            })?;
            let (name, value) = flag.split_once('=').unwrap_or((flag, "true"));
            settings.insert(name.replace('-', "_"), value.to_owned());
        }
        let mut config = RunConfig::from_settings(&settings)?;
        config.data.path = self.data_path;
        Ok(SearchPlan {
            software: self.software,
            config,
            data_sha256: self.data_sha256,
            tries: self.tries,
            grid: self.grid,
            trials: self.trials,
        })
    }
}
