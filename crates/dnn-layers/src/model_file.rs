//! Model files: a network in dnn's container.

use std::path::Path;

use dnn_core::{Element, PixelScaling, Precision, Shape};
use dnn_kernels::aligned_zeros;
use dnn_store::{Container, DType, Format, Scalar, StoredTensor, Tensor as StoreTensor, Values};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::architecture::Architecture;
use crate::{
    Activation, BatchNorm, Dense, Dropout, Flatten, Head, Layer, Network, NetworkError, Provenance,
    Tensor,
};

/// What marks a model file. Files of major version 1 are read for ever.
/// Minor version 1 added batch normalisation and dropout.
const FORMAT: Format = Format { magic: *b"dnnmodel", name: "model file", major: 1, minor: 1 };

/// No model file is larger: the most parameters in `f64`, and their metadata.
const LARGEST_FILE: u64 = (16 << 30) + (1 << 26);

/// The metadata block of a model file. Its shape, and the order of the variants of every enum in
/// it, are part of the format.
#[derive(Serialize, Deserialize)]
struct Content {
    architecture: Layout,
    provenance: Option<Provenance>,
}

#[derive(Serialize, Deserialize)]
struct Layout {
    input: Shape,
    hidden: Vec<HiddenLayer>,
    outputs: usize,
    head: Head,
    classes: Vec<String>,
    scaling: PixelScaling,
}

#[derive(Serialize, Deserialize)]
enum HiddenLayer {
    Dense { units: usize, activation: Activation },
    BatchNorm { activation: Activation, momentum: f64, epsilon: f64 },
    Dropout { rate: f64 },
    Flatten,
}

impl Layout {
    fn of(architecture: &Architecture) -> Self {
        let mut hidden = Vec::new();
        let identity = Activation::Identity;
        for layer in &architecture.layers {
            match (layer, hidden.last_mut()) {
                (Layer::Dense(it), _) => {
                    hidden.push(HiddenLayer::Dense { units: it.units, activation: identity });
                }
                (&Layer::BatchNorm(BatchNorm { momentum, epsilon }), _) => {
                    hidden.push(HiddenLayer::BatchNorm { activation: identity, momentum, epsilon });
                }
                (Layer::Flatten(_), _) => hidden.push(HiddenLayer::Flatten),
                (Layer::Dropout(it), _) => hidden.push(HiddenLayer::Dropout { rate: it.rate }),
                (
                    Layer::Activation(it),
                    Some(
                        HiddenLayer::Dense { activation, .. }
                        | HiddenLayer::BatchNorm { activation, .. },
                    ),
                ) => *activation = *it,
                _ => {}
            }
        }
        hidden.pop();
        let Architecture { input, head, classes, scaling, .. } = architecture.clone();
        Self { input, hidden, outputs: architecture.outputs(), head, classes, scaling }
    }

    fn architecture(self) -> Architecture {
        let Self { input, hidden, outputs, head, classes, scaling } = self;
        let mut layers: Vec<Layer> = Vec::new();
        for layer in hidden {
            let activation = match layer {
                HiddenLayer::Dense { units, activation } => {
                    layers.push(Dense { units }.into());
                    activation
                }
                HiddenLayer::BatchNorm { activation, momentum, epsilon } => {
                    layers.push(BatchNorm { momentum, epsilon }.into());
                    activation
                }
                HiddenLayer::Flatten => {
                    layers.push(Flatten {}.into());
                    Activation::Identity
                }
                HiddenLayer::Dropout { rate } => {
                    layers.push(Dropout { rate }.into());
                    Activation::Identity
                }
            };
            if activation != Activation::Identity {
                layers.push(activation.into());
            }
        }
        layers.push(Dense { units: outputs }.into());
        Architecture { input, layers, head, classes, scaling }
    }
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

/// What the layout calls an array of this name.
fn old_name(name: &str) -> &str {
    match name {
        "scale" => "weights",
        "shift" => "bias",
        name => name,
    }
}

fn old_names<T: Element>(tensors: &[Tensor<T>]) -> impl Iterator<Item = String> {
    let (mut layer, mut last) = (0, None);
    tensors.iter().map(move |tensor| {
        if last != Some(tensor.layer()) {
            (layer, last) = (layer + 1, Some(tensor.layer()));
        }
        tensor_name(layer, old_name(tensor.spec().name))
    })
}

impl<T: Element + Scalar> Network<T> {
    /// The network as the bytes of a model file. Equal networks give equal bytes.
    ///
    /// # Errors
    /// [`NetworkError::Store`] if a parameter is not finite, or the network is too large for the
    /// format.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NetworkError> {
        let content = Content {
            architecture: Layout::of(self.architecture()),
            provenance: self.provenance().cloned(),
        };
        let arrays: Vec<(String, [usize; 2], Vec<T>)> = old_names(self.tensors())
            .zip(self.tensors())
            .map(|(name, tensor)| {
                let values = tensor.values();
                // In row-major order, whatever order a caller's parameters came in.
                (name, [values.nrows(), values.ncols()], values.iter().copied().collect())
            })
            .collect();
        let tensors: Vec<StoreTensor<'_>> = arrays
            .iter()
            .map(|(name, dims, values)| StoreTensor { name, dims, values: Values::new(values) })
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
        Self::from_container(dnn_store::decode(&FORMAT, bytes)?)
    }

    fn from_container(container: Container<'_, Content>) -> Result<Self, NetworkError> {
        let found = precision_of(&container)?;
        if found != T::PRECISION {
            return Err(NetworkError::Precision { expected: T::PRECISION, found });
        }
        let mut tensors = container.tensors().to_vec().into_iter();
        let Content { architecture, provenance } = container.content;
        let architecture = architecture.architecture();
        let places = architecture.check::<T>()?;
        let (mut arrays, mut layer) = (Vec::new(), 0);
        for place in &places {
            layer += usize::from(!place.parameters.is_empty());
            for spec in &place.parameters {
                arrays.push(read_array::<T>(layer, old_name(spec.name), tensors.next().as_ref())?);
            }
        }
        if let Some(more) = tensors.next() {
            let found = format!("`{}`", more.name());
            return Err(NetworkError::Tensor { expected: "no more".to_owned(), found });
        }
        Self::assemble(architecture, arrays, provenance)
    }

    /// Writes the network to `path`: the old file stays whole until the new one is.
    ///
    /// # Errors
    /// As [`to_bytes`](Self::to_bytes), and [`NetworkError::Store`] with the path if it cannot be
    /// written.
    ///
    /// # Examples
    /// ```
    /// use dnn_core::{Purpose, RandomStream, Shape};
    /// use dnn_layers::Network;
    ///
    /// # let folder = tempfile::tempdir().unwrap();
    /// # let path = folder.path().join("model.dnn");
    /// let network = Network::<f32>::builder(Shape::picture(8, 8, 1))
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
    /// [`NetworkError::Store`] if the file cannot be read, [`NetworkError::InFile`] with what
    /// [`from_bytes`](Self::from_bytes) finds wrong with it.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, NetworkError> {
        let path = path.as_ref();
        let bytes = dnn_store::read_file(path, LARGEST_FILE)?;
        Self::from_bytes(&bytes).map_err(|reason| in_file(path, reason))
    }
}

/// A network of either precision.
#[derive(Debug, Clone, PartialEq)]
pub enum AnyNetwork {
    /// In 32-bit floats.
    F32(Network<f32>),
    /// In 64-bit floats.
    F64(Network<f64>),
}

/// A model file, for a caller who takes either precision or wants its digest.
///
/// # Examples
/// ```
/// use dnn_core::{Purpose, RandomStream, Shape};
/// use dnn_layers::{AnyNetwork, ModelFile, Network};
///
/// # let folder = tempfile::tempdir().unwrap();
/// # let path = folder.path().join("model.dnn");
/// # Network::<f32>::builder(Shape::picture(8, 8, 1))
/// #     .classes(["cat", "dog"])
/// #     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?
/// #     .save(&path)?;
/// let file = ModelFile::read(&path)?;
/// println!("sha256 {}", file.sha256);
/// match file.network {
///     AnyNetwork::F32(network) => println!("{}", network.summary()),
///     AnyNetwork::F64(network) => println!("{}", network.summary()),
/// }
/// # Ok::<(), dnn_layers::NetworkError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ModelFile {
    /// The network in the file.
    pub network: AnyNetwork,
    /// SHA-256 of the whole file, in hexadecimal: equal runs give equal files.
    pub sha256: String,
}

impl ModelFile {
    /// Reads the file at `path`.
    ///
    /// # Errors
    /// As [`Network::load`].
    pub fn read(path: impl AsRef<Path>) -> Result<Self, NetworkError> {
        let path = path.as_ref();
        let bytes = dnn_store::read_file(path, LARGEST_FILE)?;
        let network = read_any(&bytes).map_err(|reason| in_file(path, reason))?;
        Ok(Self { network, sha256: dnn_store::sha256_hex(&bytes) })
    }
}

fn read_any(bytes: &[u8]) -> Result<AnyNetwork, NetworkError> {
    let container = dnn_store::decode(&FORMAT, bytes)?;
    Ok(match precision_of(&container)? {
        Precision::F32 => AnyNetwork::F32(Network::from_container(container)?),
        Precision::F64 => AnyNetwork::F64(Network::from_container(container)?),
    })
}

fn in_file(path: &Path, reason: NetworkError) -> NetworkError {
    NetworkError::InFile { path: path.to_owned(), reason: Box::new(reason) }
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

/// An array of `layer`, which has to be this tensor.
fn read_array<T: Element + Scalar>(
    layer: usize,
    array: &str,
    tensor: Option<&StoredTensor<'_>>,
) -> Result<Array2<T>, NetworkError> {
    let expected = tensor_name(layer, array);
    let unfit = |found: String| NetworkError::Tensor { expected: expected.clone(), found };
    let tensor = tensor.ok_or_else(|| unfit("no tensor".to_owned()))?;
    if tensor.name() != expected {
        return Err(unfit(format!("`{}`", tensor.name())));
    }
    let [rows, columns] = *tensor.dims() else {
        return Err(unfit(format!("one with {} axes instead of 2", tensor.dims().len())));
    };
    // Straight to its place: a file and two copies of what is in it would be too much memory.
    let mut values = aligned_zeros((rows, columns));
    tensor.copy_to(values.as_slice_mut().expect("in one piece"))?;
    Ok(values)
}
