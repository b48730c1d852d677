//! Run folders side by side.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use dnn_data::natural_order;
use dnn_layers::ModelFile;
use dnn_train::Evaluation;
use serde::Serialize;

use crate::config::Settings;
use crate::error::{Context as _, Result};
use crate::history_file;
use crate::model::with_network;
use crate::parts::MeasuredPart;
use crate::record::RunRecord;
use crate::report::{EndedBy, Report};
use crate::run_folder::{CONFIG, MODEL};

/// The run folders in a folder.
#[derive(Debug, Clone, Serialize)]
pub struct RunList {
    /// By their names, numbers in them by their value.
    pub runs: Vec<RunSummary>,
    /// Those whose records cannot be read.
    pub unreadable: Vec<UnreadableRun>,
}

/// A run folder whose records cannot be read.
#[derive(Debug, Clone, Serialize)]
pub struct UnreadableRun {
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong.
    pub reason: String,
}

/// A run folder in short.
#[derive(Debug, Clone, Serialize)]
pub struct RunSummary {
    /// Where it is.
    pub path: PathBuf,
    /// How far it came.
    pub state: RunState,
    /// Epochs that were made to their end.
    pub epochs: u64,
    /// Epochs that were asked for.
    pub asked: u64,
    /// How long training took since it was begun or last resumed, if it ended.
    pub seconds: Option<f64>,
    /// How well it does on each part; while it goes on, what the last epoch says.
    pub parts: Vec<MeasuredPart>,
    /// Its settings, with the name of its data as `data`.
    pub settings: Settings,
}

/// How far a run came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunState {
    /// It came to its end.
    Finished,
    /// It ended by a number of steps or a time, and has a model; it can be resumed.
    Stopped,
    /// It was interrupted or is at work, and can be resumed.
    Resumable,
}

impl RunState {
    /// One word.
    pub fn name(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Stopped => "stopped",
            Self::Resumable => "resumable",
        }
    }
}

impl RunList {
    /// The run folders in `folder`, or that folder alone if it is one.
    ///
    /// # Errors
    /// [`RunError::Io`](crate::RunError::Io) if the folder cannot be read. A run that cannot be is no error, but
    /// listed as such.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut paths = if folder.join(CONFIG).is_file() {
            vec![folder.to_owned()]
        } else {
            let context = || format!("cannot read {}", folder.display());
            let entries = fs::read_dir(folder).context(context)?;
            let paths: std::io::Result<Vec<PathBuf>> =
                entries.map(|entry| Ok(entry?.path())).collect();
            paths.context(context)?.into_iter().filter(|path| path.join(CONFIG).is_file()).collect()
        };
        let text = |path: &PathBuf| path.to_string_lossy().into_owned();
        paths.sort_by(|a, b| natural_order(&text(a), &text(b)));
        let mut list = Self { runs: Vec::new(), unreadable: Vec::new() };
        for path in paths {
            match RunSummary::read(&path) {
                Ok(summary) => list.runs.push(summary),
                Err(error) => {
                    let reason = error.with_causes();
                    list.unreadable.push(UnreadableRun { path, reason });
                }
            }
        }
        Ok(list)
    }

    /// The names of the settings in which these runs differ.
    pub fn differing(&self) -> Vec<String> {
        let names: BTreeSet<&String> =
            self.runs.iter().flat_map(|run| run.settings.keys()).collect();
        let differs = |name: &&String| {
            let mut texts = self.runs.iter().map(|run| run.settings.get(*name));
            let first = texts.next();
            texts.any(|text| Some(text) != first)
        };
        names.into_iter().filter(differs).cloned().collect()
    }
}

impl RunSummary {
    fn read(path: &Path) -> Result<Self> {
        let record = RunRecord::read(path)?;
        let history = history_file::read_all(path)?;
        let epochs = history.last().map_or(0, |record| record.epoch);
        let asked = record.config.epochs();
        let report = Report::read(path)?;
        let state = match &report {
            Some(report) => {
                state_of(report.end.by == EndedBy::Steps || report.end.by == EndedBy::TimeLimit)
            }
            None if epochs >= asked && path.join(MODEL).is_file() => RunState::Finished,
            None => state_by_model(path),
        };
        let mut settings = record.config.settings();
        settings.remove("path");
        settings.insert("data".to_owned(), record.data);
        let seconds = report.as_ref().map(|report| report.seconds);
        let last = history.into_iter().last().and_then(|record| record.validation);
        let of_last =
            last.map(|evaluation| MeasuredPart { name: "validation".to_owned(), evaluation });
        let parts = report.map_or_else(|| of_last.into_iter().collect(), |report| report.parts);
        Ok(Self { path: path.to_owned(), state, epochs, asked, seconds, parts, settings })
    }

    /// The part that runs are compared by: nothing is chosen by the test part where there is another.
    pub fn compared_by(&self) -> Option<&MeasuredPart> {
        let part = |name: &str| self.parts.iter().find(|part| part.name == name);
        part("validation").or_else(|| part("test")).or_else(|| part("train"))
    }

    /// Its share of right answers, where there are classes.
    pub fn accuracy(&self) -> Option<f64> {
        self.compared_by().map(|part| &part.evaluation).and_then(Evaluation::accuracy)
    }
}

fn state_of(stopped: bool) -> RunState {
    if stopped { RunState::Stopped } else { RunState::Finished }
}

/// What the model of 0.1, which left no report, says of its run; a run without a model is not over.
fn state_by_model(path: &Path) -> RunState {
    let Ok(model) = ModelFile::read(path.join(MODEL)) else { return RunState::Resumable };
    let provenance = with_network!(&model.network, network => network.provenance().cloned());
    let ended_by = provenance.and_then(|it| it.settings.get("ended_by").cloned());
    match ended_by.as_deref() {
        Some("steps" | "time-limit") => RunState::Stopped,
        Some(_) => RunState::Finished,
        None => RunState::Resumable,
    }
}
