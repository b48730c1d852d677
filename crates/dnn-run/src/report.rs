//! What a run has come to: data for whoever prints, draws or compares it.

use std::path::{Path, PathBuf};

use dnn_train::History;
use serde::{Deserialize, Serialize};

use crate::config::Settings;
use crate::error::{Result, RunError};
use crate::parts::MeasuredPart;
use crate::recorder::{Ending, Recorded};
use crate::run_folder::{MODEL, REPORT, RunFolder};
use crate::text_file::{from_json, read_text};

/// What a run that was not interrupted has come to; `report.json` in its folder.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The model.
    #[serde(skip)]
    pub model: PathBuf,
    /// SHA-256 of its file, in hexadecimal.
    pub model_sha256: String,
    /// How well it does on each part.
    pub parts: Vec<MeasuredPart>,
    /// Where the run ended.
    pub end: RunEnd,
    /// How long training took since it was begun or last resumed.
    pub seconds: f64,
    /// Examples of each second of it.
    pub examples_per_second: f64,
    /// What the user should know of the model, with what to do.
    pub notes: Vec<String>,
}

/// What a run ended by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndedBy {
    /// All epochs were made.
    Epochs,
    /// Epochs brought no improvement.
    EarlyStopping,
    /// The number of steps that was given.
    Steps,
    /// The time that was given.
    TimeLimit,
}

impl EndedBy {
    /// The setting that ended the run.
    pub fn name(self) -> &'static str {
        match self {
            Self::Epochs => "epochs",
            Self::EarlyStopping => "early-stopping",
            Self::Steps => "steps",
            Self::TimeLimit => "time-limit",
        }
    }
}

/// The end of a run that was not interrupted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunEnd {
    /// What it ended by.
    pub by: EndedBy,
    /// Epochs that were made to their end, since the start of the run.
    pub epochs: u64,
    /// Epochs that were asked for.
    pub asked: u64,
    /// Its last step.
    pub step: u64,
    /// The epoch after which the weights are, where the best ones were kept.
    pub best_epoch: Option<u64>,
}

impl RunEnd {
    pub(crate) fn new(recorded: &Recorded, history: &History, asked: u64) -> Self {
        let by = match recorded.ending {
            Ending::StepLimit => EndedBy::Steps,
            Ending::TimeLimit => EndedBy::TimeLimit,
            _ if history.stopped_early => EndedBy::EarlyStopping,
            _ => EndedBy::Epochs,
        };
        let best_epoch = history.best.map(|best| best.epoch);
        Self { by, epochs: recorded.epochs, asked, step: recorded.last, best_epoch }
    }

    /// Adds what the settings alone do not say to those that a model keeps.
    pub(crate) fn add_to(&self, settings: &mut Settings) {
        let mut set = |name: &str, value: String| settings.insert(name.to_owned(), value);
        if self.by != EndedBy::Epochs {
            set("ended_by", self.by.name().to_owned());
            set("epochs_run", self.epochs.to_string());
        }
        if self.by == EndedBy::TimeLimit {
            // For whoever makes the run again, on a machine that is slower or faster.
            set("steps", self.step.to_string());
        }
        if let Some(epoch) = self.best_epoch {
            set("best_epoch", epoch.to_string());
        }
    }
}

impl Report {
    /// The part of this name, if there is one.
    pub fn part(&self, name: &str) -> Option<&MeasuredPart> {
        self.parts.iter().find(|part| part.name == name)
    }

    pub(crate) fn write(&self, folder: &RunFolder) -> Result<()> {
        folder.write_json(REPORT, self)
    }

    /// That of the run in a folder, if it came to its end.
    ///
    /// # Errors
    /// [`RunError::Store`] if it cannot be read, [`RunError::Data`] if it is none.
    pub fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(REPORT);
        let Some(text) = read_text(&path)? else { return Ok(None) };
        let report: Self = from_json(&text).map_err(|error| {
            RunError::Data(format!("{} is not a run's {REPORT}: {error}", path.display()))
        })?;
        Ok(Some(Self { model: folder.join(MODEL), ..report }))
    }
}
