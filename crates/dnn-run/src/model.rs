//! The model file that a path stands for.

use std::path::{Path, PathBuf};

use dnn_layers::{AnyNetwork, ModelFile};
use dnn_train::Monitor;

use crate::error::{Result, RunError};
use crate::observer::Observer;
use crate::run_folder::{CONFIG, MODEL, SEARCH};
use crate::trials::{SearchPlan, read_outcomes, trial_folder};

/// A path stands for a model: a file itself; the model of a run folder; the best one of a search folder.
///
/// # Errors
/// [`RunError::Usage`] for a folder without a model.
pub fn file_of(path: &Path, observer: &mut dyn Observer) -> Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let model = path.join(MODEL);
    if model.is_file() {
        return Ok(model);
    }
    if path.join(SEARCH).is_file() {
        let best = best_trial(path)?;
        observer.note(&format!(
            "note: the best trial in {} is number {}",
            path.display(),
            best.number
        ));
        return Ok(best.model);
    }
    let begun = path.join(CONFIG).is_file();
    let path = path.display();
    Err(RunError::Usage(if begun {
        format!("the run in {path} has no model yet; to finish it: dnn train --resume {path}")
    } else {
        format!(
            "expected a model file, or the folder of a run or search; {path} is a folder without {MODEL}"
        )
    }))
}

/// The best trial in the folder of a search, so far.
struct BestTrial {
    number: usize,
    model: PathBuf,
}

fn best_trial(folder: &Path) -> Result<BestTrial> {
    let plan = SearchPlan::read(folder)?;
    let monitor = plan.config.training.monitor.unwrap_or(Monitor::ValidationCost);
    let outcomes = read_outcomes(folder)?;
    let trained = outcomes.iter().filter(|outcome| outcome.validation_cost.is_some());
    let best = trained.min_by(|a, b| a.rank(monitor).total_cmp(&b.rank(monitor)));
    let best = best.ok_or_else(|| {
        let folder = folder.display();
        RunError::Usage(format!(
            "the search in {folder} has no model yet; dnn search --resume {folder}"
        ))
    })?;
    Ok(BestTrial { number: best.trial, model: trial_folder(folder, best.trial).join(MODEL) })
}

/// Loads the model that a path stands for.
///
/// # Errors
/// As [`file_of`], and [`RunError::Network`] for a file that is no whole model.
pub fn load(path: &Path, observer: &mut dyn Observer) -> Result<ModelFile> {
    Ok(ModelFile::read(file_of(path, observer)?)?)
}

/// Does the same with a network of either precision.
macro_rules! with_network {
    ($any:expr, $network:ident => $body:expr) => {
        match $any {
            dnn_layers::AnyNetwork::F32($network) => $body,
            dnn_layers::AnyNetwork::F64($network) => $body,
        }
    };
}
pub(crate) use with_network;

/// The names of the classes of a network; none where its outputs are numbers.
pub fn classes(network: &AnyNetwork) -> &[String] {
    with_network!(network, network => network.classes())
}
