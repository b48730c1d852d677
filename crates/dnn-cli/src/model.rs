//! A model file in either precision.

use std::path::Path;

use dnn_core::{Element, Precision};
use dnn_layers::{ModelFile, Network};
use dnn_store::Scalar;

/// What is done with a model, whatever its precision.
pub(crate) trait WithModel {
    fn run<T: Element + Scalar>(self, network: &Network<T>, sha256: &str) -> anyhow::Result<()>;
}

/// Loads the model file and hands it to `task`, with the SHA-256 of its bytes.
pub(crate) fn with_model(path: &Path, task: impl WithModel) -> anyhow::Result<()> {
    let file = ModelFile::read(path)?;
    match file.precision() {
        Precision::F32 => task.run::<f32>(&file.network()?, &file.sha256()),
        Precision::F64 => task.run::<f64>(&file.network()?, &file.sha256()),
    }
}
