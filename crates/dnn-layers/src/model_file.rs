//! Model files: a network in dnn's container.

use std::path::Path;

use dnn_core::{Element, LayerParameters, Parameters, Precision};
use dnn_store::{DType, Format, StoredTensor, Tensor, Values};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::{Network, NetworkError, Provenance};

/// What marks a model file. Version 1 files are read for ever.
const FORMAT: Format = Format { magic: *b"dnnmodel", name: "model file", major: 1, minor: 0 };

/// No model file is larger: 16 GiB.
const LARGEST_FILE: u64 = 16 << 30;

/// The metadata block of a model file.
#[derive(Serialize, Deserialize)]
struct Content {
    architecture: Architecture,
    provenance: Option<Provenance>,
}

impl<T: Element> Network<T> {
    /// The network as the bytes of a model file. Equal networks give equal bytes.
    ///
    /// # Errors
    /// [`NetworkError::Store`] if a parameter is not finite, or the network is too large for the
    /// format.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NetworkError> {
        let content = Content {
            architecture: self.architecture().clone(),
            provenance: self.provenance().cloned(),
        };
        let layers = &self.parameters().layers;
        let names: Vec<[String; 2]> = (1..=layers.len()).map(tensor_names).collect();
        let mut tensors = Vec::with_capacity(2 * layers.len());
        let arrays: Vec<[Stored; 2]> =
            layers.iter().map(|l| [Stored::new(&l.weights), Stored::new(&l.bias)]).collect();
        for (names, arrays) in names.iter().zip(&arrays) {
            for (name, array) in names.iter().zip(arrays) {
                tensors.push(Tensor { name, dims: &array.dims, values: array.values.borrow() });
            }
        }
        Ok(dnn_store::encode(&FORMAT, &content, &tensors)?)
    }

    /// The network in the bytes of a model file.
    ///
    /// # Errors
    /// [`NetworkError::Store`] if the bytes are not a whole, undamaged model file,
    /// [`NetworkError::Precision`] if it holds numbers of the other precision, and the errors of
    /// building a network if its parts do not fit one another.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NetworkError> {
        let container = dnn_store::decode::<Content>(&FORMAT, bytes)?;
        let Content { architecture, provenance } = container.content;
        let layers = read_layers(container.tensors)?;
        Self::assemble(architecture, Parameters { layers }, provenance)
    }
}
