//! Model files: a network in dnn's container.

use std::path::{Path, PathBuf};

use dnn_core::{Element, LayerParameters, Parameters, Precision};
use dnn_store::{Container, DType, Format, Scalar, StoredTensor, Tensor, Values};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::{Network, NetworkError, Provenance};

/// What marks a model file. Files of major version 1 are read for ever.
const FORMAT: Format = Format { magic: *b"dnnmodel", name: "model file", major: 1, minor: 0 };

/// No model file is larger: 16 GiB.
const LARGEST_FILE: u64 = 16 << 30;

/// The metadata block of a model file. Its shape, and the order of the variants of every enum in
/// it, are part of the format.
#[derive(Serialize, Deserialize)]
struct Content {
    architecture: Architecture,
    provenance: Option<Provenance>,
}

/// What the container calls `T`.
const fn dtype(precision: Precision) -> DType {
    match precision {
        Precision::F32 => DType::F32,
        Precision::F64 => DType::F64,
    }
}

/// The name of an array in the file; layers are counted from 1.
fn tensor_name(layer: usize, array: &str) -> String {
    format!("layers.{layer}.{array}")
}

impl<T: Element + Scalar> Network<T> {
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
        let mut arrays = Vec::new();
        for (l, layer) in self.parameters().layers.iter().enumerate() {
            for (array, values) in [("weights", &layer.weights), ("bias", &layer.bias)] {
                // A copy only where a caller's parameters came in another order of memory.
                let values = values.as_standard_layout();
                arrays.push((tensor_name(l + 1, array), [values.nrows(), values.ncols()], values));
            }
        }
        let tensors: Vec<Tensor<'_>> = arrays
            .iter()
            .map(|(name, dims, values)| {
                let values = values.as_slice().expect("the standard layout is a slice");
                Tensor { name, dims, values: Values::new(values) }
            })
            .collect();
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
        let found = precision_of(&container)?;
        if found != T::PRECISION {
            return Err(NetworkError::Precision { expected: T::PRECISION, found });
        }
        let layers = container
            .tensors()
            .chunks(2)
            .enumerate()
            .map(|(l, pair)| read_layer(l + 1, pair))
            .collect::<Result<_, _>>()?;
        let Content { architecture, provenance } = container.content;
        Self::assemble(architecture, Parameters { layers }, provenance)
    }

    /// Writes the network to `path`: the old file stays whole until the new one is.
    ///
    /// # Errors
    /// As [`to_bytes`](Self::to_bytes), and [`NetworkError::Store`] with the path if it cannot be
    /// written.
    ///
    /// # Examples
    /// ```
    /// use dnn_core::{Purpose, RandomStream};
    /// use dnn_layers::{InputShape, Network};
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("model.dnn");
    /// let network = Network::<f32>::builder(InputShape::picture(8, 8, 1))
    ///     .classes(["cat", "dog"])
    ///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
    /// network.save(&path)?;
    /// assert_eq!(Network::load(&path)?, network);
    /// # Ok::<(), dnn_layers::NetworkError>(())
    /// ```
    pub fn save(&self, path: impl AsRef<Path>) -> Result<(), NetworkError> {
        Ok(dnn_store::commit(path.as_ref(), &self.to_bytes()?)?)
    }

    /// Reads a network from `path`.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes), and [`NetworkError::Store`] with the path if it cannot
    /// be read.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, NetworkError> {
        ModelFile::read(path)?.network()
    }
}

/// The bytes of a model file, for a caller who takes either precision or wants their digest.
///
/// # Examples
/// ```
/// use dnn_core::{Precision, Purpose, RandomStream};
/// use dnn_layers::{InputShape, ModelFile, Network};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("model.dnn");
/// # Network::<f32>::builder(InputShape::picture(8, 8, 1))
/// #     .classes(["cat", "dog"])
/// #     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?
/// #     .save(&path)?;
/// let file = ModelFile::read(&path)?;
/// match file.precision() {
///     Precision::F32 => println!("{}", file.network::<f32>()?.summary()),
///     Precision::F64 => println!("{}", file.network::<f64>()?.summary()),
/// }
/// # Ok::<(), dnn_layers::NetworkError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ModelFile {
    path: PathBuf,
    bytes: Vec<u8>,
    precision: Precision,
}

impl ModelFile {
    /// Reads the file at `path` and checks that it is whole and undamaged.
    ///
    /// # Errors
    /// [`NetworkError::Store`] with the path if it cannot be read or is no such file.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, NetworkError> {
        let path = path.as_ref().to_owned();
        let bytes = dnn_store::read_file(&path, LARGEST_FILE)?;
        let precision = dnn_store::decode::<Content>(&FORMAT, &bytes)
            .map_err(NetworkError::from)
            .and_then(|container| precision_of(&container))
            .map_err(|error| in_file(error, &path))?;
        Ok(Self { path, bytes, precision })
    }

    /// The precision of the network's numbers.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// SHA-256 of the whole file, in hexadecimal: equal runs give equal files.
    pub fn sha256(&self) -> String {
        dnn_store::sha256_hex(&self.bytes)
    }

    /// The network.
    ///
    /// # Errors
    /// As [`Network::from_bytes`].
    pub fn network<T: Element + Scalar>(&self) -> Result<Network<T>, NetworkError> {
        Network::from_bytes(&self.bytes).map_err(|error| in_file(error, &self.path))
    }
}

/// Puts the path into an error about the file's bytes.
fn in_file(error: NetworkError, path: &Path) -> NetworkError {
    match error {
        NetworkError::Store(error) => error.in_file(path).into(),
        other => other,
    }
}

/// The precision of the first tensor; the others are compared with it as they are read.
fn precision_of(container: &Container<'_, Content>) -> Result<Precision, NetworkError> {
    let unfit = |found: String| NetworkError::Tensor { expected: tensor_name(1, "weights"), found };
    let first = container.tensors().first().ok_or_else(|| unfit("no tensor".to_owned()))?;
    [Precision::F32, Precision::F64]
        .into_iter()
        .find(|&precision| dtype(precision) == first.dtype())
        .ok_or_else(|| unfit(format!("one of {}", first.dtype())))
}

/// The weights and the bias of `layer`, which stand in this order.
fn read_layer<T: Element + Scalar>(
    layer: usize,
    pair: &[StoredTensor<'_>],
) -> Result<LayerParameters<T>, NetworkError> {
    let read = |position: usize, array: &str| {
        let expected = tensor_name(layer, array);
        let unfit = |found: String| NetworkError::Tensor { expected: expected.clone(), found };
        let tensor = pair.get(position).ok_or_else(|| unfit("no tensor".to_owned()))?;
        if tensor.name() != expected {
            return Err(unfit(format!("`{}`", tensor.name())));
        }
        let [rows, columns] = *tensor.dims() else {
            return Err(unfit(format!("one with {} axes instead of 2", tensor.dims().len())));
        };
        Array2::from_shape_vec((rows, columns), tensor.to_vec()?)
            .map_err(|error| unfit(error.to_string()))
    };
    Ok(LayerParameters { weights: read(0, "weights")?, bias: read(1, "bias")? })
}
