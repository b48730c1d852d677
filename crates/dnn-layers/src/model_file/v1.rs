//! Model files of major version 1, which dnn 0.1 wrote. They are read for ever, so nothing here changes.
//!
//! The metadata are the records below, one behind another as bincode writes them: names are not in the file, and
//! neither are those of variants, which are numbers from 0 on. Minor version 1 added [`HiddenLayer::BatchNorm`] and
//! [`HiddenLayer::Dropout`].
//!
//! The tensors are those of the layers with arrays, in order and counted from 1, the last dense one included: of
//! each `layers.N.weights` and `layers.N.bias`, which of batch normalisation are scale and shift, and for it also
//! `layers.N.mean` and `layers.N.variance`.

use std::collections::BTreeMap;

use dnn_core::{PixelScaling, Shape};
use dnn_store::Format;
use serde::Deserialize;

use super::{ArrayOf, Contents, check_depth, to_usize};
use crate::architecture::Architecture;
use crate::{Activation, BatchNorm, Dense, Dropout, NetworkError};

const FORMAT: Format = Format { magic: super::MAGIC, name: super::NAME, major: 1, minor: 1 };

#[derive(Deserialize)]
struct Content {
    network: Network,
    provenance: Option<Provenance>,
}

#[derive(Deserialize)]
struct Network {
    input: Input,
    hidden: Vec<HiddenLayer>,
    /// Units of the last layer, a dense one that is not among the hidden ones.
    outputs: u64,
    head: Head,
    classes: Vec<String>,
    scaling: Scaling,
}

#[derive(Deserialize)]
struct Input {
    height: u64,
    width: u64,
    channels: u64,
}

/// Activations are their names, with their number if they have one: `leaky-relu:0.1`.
#[derive(Deserialize)]
enum HiddenLayer {
    Dense { units: u64, activation: String },
    BatchNorm { activation: String, momentum: f64, epsilon: f64 },
    Dropout { rate: f64 },
}

#[derive(Deserialize)]
enum Head {
    Sigmoid,
    Softmax,
    Identity,
}

#[derive(Deserialize)]
struct Scaling {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

#[derive(Deserialize)]
struct Provenance {
    software: String,
    kernel_path: String,
    data_sha256: String,
    seed: u64,
    settings: BTreeMap<String, String>,
}

/// What the file says.
pub(super) fn read(bytes: &[u8]) -> Result<Contents<'_>, NetworkError> {
    let container = dnn_store::decode::<Content>(&FORMAT, bytes)?;
    let tensors = container.tensors().to_vec();
    let Content { network, provenance } = container.content;
    Ok(Contents {
        architecture: architecture(network)?,
        tensors,
        name: tensor_name,
        flags: None,
        preprocessing: None,
        is_mirrored: false,
        provenance: provenance.map(|it| crate::Provenance {
            software: it.software,
            kernel_path: it.kernel_path,
            data_sha256: it.data_sha256,
            seed: it.seed,
            settings: it.settings,
        }),
    })
}

fn architecture(network: Network) -> Result<Architecture, NetworkError> {
    let Network { input, hidden, outputs, head, classes, scaling } = network;
    check_depth(hidden.len())?;
    let mut layers = Vec::with_capacity(2 * hidden.len() + 1);
    for layer in hidden {
        let activation = match layer {
            HiddenLayer::Dense { units, activation } => {
                layers.push(Dense { units: to_usize(units) }.into());
                Some(activation)
            }
            HiddenLayer::BatchNorm { activation, momentum, epsilon } => {
                layers.push(BatchNorm { momentum, epsilon }.into());
                Some(activation)
            }
            HiddenLayer::Dropout { rate } => {
                layers.push(Dropout { rate }.into());
                None
            }
        };
        if let Some(activation) = activation {
            let activation: Activation = activation.parse()?;
            if activation != Activation::Identity {
                layers.push(activation.into());
            }
        }
    }
    layers.push(Dense { units: to_usize(outputs) }.into());
    Ok(Architecture {
        input: Shape {
            height: to_usize(input.height),
            width: to_usize(input.width),
            channels: to_usize(input.channels),
        },
        layers,
        head: match head {
            Head::Sigmoid => crate::Head::Sigmoid,
            Head::Softmax => crate::Head::Softmax,
            Head::Identity => crate::Head::Identity,
        },
        classes,
        scaling: PixelScaling::per_channel(&scaling.mean, &scaling.deviation)?,
    })
}

fn tensor_name(array: ArrayOf<'_>) -> String {
    let name = match array.name {
        "scale" => "weights",
        "shift" => "bias",
        name => name,
    };
    format!("layers.{}.{name}", array.layer_with_arrays)
}
