//! A model file in either precision.

use std::path::Path;

use dnn_core::{Element, Precision};
use dnn_layers::{Network, NetworkError, model_precision};
use dnn_store::Scalar;

/// No model file is larger: 16 GiB.
const LARGEST_FILE: u64 = 16 << 30;

/// What is done with a model, whatever its precision.
pub(crate) trait WithModel {
    fn run<T: Element + Scalar>(self, network: &Network<T>, sha256: &str) -> anyhow::Result<()>;
}

/// Loads the model file and hands it to `task`, with the SHA-256 of its bytes.
pub(crate) fn with_model(path: &Path, task: impl WithModel) -> anyhow::Result<()> {
    let bytes = dnn_store::read_file(path, LARGEST_FILE)?;
    let in_file = |error| match error {
        NetworkError::Store(error) => error.in_file(path).into(),
        other => other,
    };
    let sha256 = dnn_store::sha256_hex(&bytes);
    match model_precision(&bytes).map_err(in_file)? {
        Precision::F32 => task.run::<f32>(&Network::from_bytes(&bytes).map_err(in_file)?, &sha256),
        Precision::F64 => task.run::<f64>(&Network::from_bytes(&bytes).map_err(in_file)?, &sha256),
    }
}
