//! Where a run ended, and by what: for its summary, `--json` and the model.

use dnn_train::History;
use serde_json::{Map, Value};

use crate::recorder::{Ending, Recorded};
use dnn_run::record::Settings;

/// The settings of a model that say what came of a run and ask for nothing.
pub(crate) const OF_THE_RESULT: [&str; 3] = ["ended_by", "epochs_run", "best_epoch"];

/// The end of a run that was not interrupted.
pub(crate) struct Ended {
    /// The flag by which it ended; `None` for one that made all its epochs.
    by: Option<&'static str>,
    /// Epochs that were made to their end, since the start of the run.
    epochs: u64,
    /// Epochs that were asked for.
    asked: u64,
    pub(crate) step: u64,
    /// The epoch after which the weights are, where that is the best one and not the last.
    best_epoch: Option<u64>,
}

impl Ended {
    pub(crate) fn new(recorded: &Recorded, history: &History, asked: u64) -> Self {
        let by = match recorded.ending {
            Ending::StepLimit => Some("steps"),
            Ending::TimeLimit => Some("time-limit"),
            _ => history.stopped_early.then_some("early-stopping"),
        };
        let best_epoch = history.best.map(|best| best.epoch);
        Self { by, epochs: recorded.epochs, asked, step: recorded.last, best_epoch }
    }

    /// Adds what the settings alone do not say to those that a model keeps.
    pub(crate) fn add_to(&self, settings: &mut Settings) {
        let mut set = |name: &str, value: String| settings.insert(name.to_owned(), value);
        if let Some(by) = self.by {
            set("ended_by", by.to_owned());
            set("epochs_run", self.epochs.to_string());
        }
        if self.by == Some("time-limit") {
            // For whoever makes the run again, on a machine that is slower or faster.
            set("steps", self.step.to_string());
        }
        if let Some(epoch) = self.best_epoch {
            set("best_epoch", epoch.to_string());
        }
    }

    pub(crate) fn add_to_json(&self, object: &mut Map<String, Value>) {
        object.insert("steps".to_owned(), self.step.into());
        object.insert("epochs".to_owned(), self.epochs.into());
        object.insert("ended_by".to_owned(), self.by.unwrap_or("epochs").into());
        object.insert("best_epoch".to_owned(), self.best_epoch.into());
    }

    /// One line.
    pub(crate) fn text(&self) -> String {
        let Self { by, epochs, asked, step, best_epoch } = *self;
        let mut text = match by {
            Some(by @ ("steps" | "time-limit")) => {
                let whole = if epochs == 1 { "whole epoch" } else { "whole epochs" };
                format!("by --{by} at step {step}, after {epochs} {whole} of {asked}")
            }
            Some(by) => format!("by --{by} after epoch {epochs} of {asked}, step {step}"),
            None => format!("after epoch {epochs} of {asked}, step {step}"),
        };
        if let Some(best) = best_epoch {
            text += &format!("; the weights are those after epoch {best}, the best");
        }
        text
    }
}
