//! A model file in either precision.

use std::path::{Path, PathBuf};

use dnn_core::Element;
use dnn_layers::{AnyNetwork, ModelFile, Network};
use dnn_store::Scalar;

use crate::failure::Refusal;
use crate::search;
use dnn_run::run_folder::{CONFIG, MODEL, SEARCH};

/// What is done with a model, whatever its precision.
pub(crate) trait WithModel {
    type Outcome;

    fn run<T: Element + Scalar>(
        self,
        network: &Network<T>,
        sha256: &str,
    ) -> anyhow::Result<Self::Outcome>;
}

/// The model file that a path stands for: a file itself; the model of a run folder; the best one of a
/// search folder.
pub(crate) fn file_of(path: &Path) -> anyhow::Result<PathBuf> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let model = path.join(MODEL);
    if model.is_file() {
        return Ok(model);
    }
    if path.join(SEARCH).is_file() {
        return search::best_model(path);
    }
    let begun = path.join(CONFIG).is_file();
    let path = path.display();
    let message = if begun {
        format!("the run in {path} has no model yet; to finish it: dnn train --resume {path}")
    } else {
        format!(
            "expected a model file, or the folder of a run or search; {path} is a folder without {MODEL}"
        )
    };
    Err(Refusal::Usage(message).into())
}

/// Loads the model file and hands it to `task`, with the SHA-256 of its bytes.
pub(crate) fn with_model<W: WithModel>(path: &Path, task: W) -> anyhow::Result<W::Outcome> {
    let ModelFile { network, sha256 } = ModelFile::read(file_of(path)?)?;
    match network {
        AnyNetwork::F32(network) => task.run(&network, &sha256),
        AnyNetwork::F64(network) => task.run(&network, &sha256),
    }
}
