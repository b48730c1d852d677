//! A model file in either precision.

use std::path::Path;

use dnn_core::Element;
use dnn_layers::{AnyNetwork, ModelFile, Network};
use dnn_store::Scalar;

/// What is done with a model, whatever its precision.
pub(crate) trait WithModel {
    type Outcome;

    fn run<T: Element + Scalar>(
        self,
        network: &Network<T>,
        sha256: &str,
    ) -> anyhow::Result<Self::Outcome>;
}

/// Loads the model file and hands it to `task`, with the SHA-256 of its bytes.
pub(crate) fn with_model<W: WithModel>(path: &Path, task: W) -> anyhow::Result<W::Outcome> {
    let ModelFile { network, sha256 } = ModelFile::read(path)?;
    match network {
        AnyNetwork::F32(network) => task.run(&network, &sha256),
        AnyNetwork::F64(network) => task.run(&network, &sha256),
    }
}
