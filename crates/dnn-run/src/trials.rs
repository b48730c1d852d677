//! What a search keeps: its plan and what came of each trial.

use std::path::{Path, PathBuf};

use dnn_train::{Evaluation, Monitor};
use serde::{Deserialize, Serialize};

use crate::config::RunConfig;
use crate::error::{Result, RunError};
use crate::run_folder::{RunFolder, SEARCH};
use crate::space::{Trial, Try};
use crate::text_file::{from_json, read_text};

const RESULTS: &str = "trials.jsonl";

/// `search.json`: all that a search follows from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SearchPlan {
    /// The program and its version.
    pub software: String,
    /// The settings that all trials share; what is left to a default may be tried.
    pub config: RunConfig,
    /// SHA-256 of the data; empty before it was loaded.
    pub data_sha256: String,
    /// What is tried.
    pub tries: Vec<Try>,
    /// Whether every combination is tried, or some that are drawn by the seed of the settings.
    pub grid: bool,
    /// How many are drawn.
    pub trials: usize,
}

impl SearchPlan {
    pub(crate) fn write(&self, folder: &RunFolder) -> Result<()> {
        folder.write_json(SEARCH, self)
    }

    /// What trials are compared by.
    ///
    /// # Errors
    /// [`RunError::Usage`] if that is not measured on the validation part.
    pub fn monitor(&self) -> Result<Monitor> {
        match self.config.training.monitor.unwrap_or(Monitor::ValidationCost) {
            monitor if monitor.needs_validation() => Ok(monitor),
            other => Err(RunError::Usage(format!(
                "trials are compared on the validation part: expected --monitor validation-cost or \
                 validation-accuracy, found {other}"
            ))),
        }
    }
}

/// A trial that begins.
#[derive(Debug, Clone, Copy)]
pub struct TrialBegins<'a> {
    /// Counted from 1.
    pub number: usize,
    /// How many there are.
    pub of: usize,
    /// Its settings.
    pub settings: &'a Trial,
}

/// What came of a trial: a line of `trials.jsonl`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrialOutcome {
    /// Counted from 1.
    pub trial: usize,
    /// Its settings, as text.
    pub settings: String,
    /// Of the model that came out; none if training diverged.
    pub validation_cost: Option<f64>,
    /// Of the model that came out; none if training diverged, or there are no classes.
    pub validation_accuracy: Option<f64>,
    /// Steps that were made.
    pub steps: u64,
    /// How long that took.
    pub seconds: f64,
}

impl TrialOutcome {
    pub(crate) fn measured(mut self, validation: Option<&Evaluation>) -> Self {
        self.validation_cost = validation.map(|part| part.cost);
        self.validation_accuracy = validation.and_then(Evaluation::accuracy);
        self
    }

    /// The smaller the better.
    pub(crate) fn rank(&self, monitor: Monitor) -> f64 {
        match monitor {
            Monitor::ValidationAccuracy => self.validation_accuracy.map_or(f64::INFINITY, |a| -a),
            _ => self.validation_cost.unwrap_or(f64::INFINITY),
        }
    }
}

/// The run folder of a trial.
pub(crate) fn trial_folder(search: &Path, number: usize) -> PathBuf {
    search.join(format!("trial-{number:03}"))
}

pub(crate) fn read_outcomes(folder: &Path) -> Result<Vec<TrialOutcome>> {
    let path = folder.join(RESULTS);
    let Some(text) = read_text(&path)? else { return Ok(Vec::new()) };
    let line = |line: &str| {
        from_json(line).map_err(|error| {
            RunError::Data(format!("{} has a line that is no trial: {error}", path.display()))
        })
    };
    text.lines().map(line).collect()
}

pub(crate) fn write_outcomes(folder: &RunFolder, outcomes: &[TrialOutcome]) -> Result<()> {
    let mut text = String::new();
    for outcome in outcomes {
        text += &format!("{}\n", serde_json::to_string(outcome)?);
    }
    folder.write(RESULTS, text.as_bytes())
}
