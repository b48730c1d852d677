//! Model files: a network in dnn's container.
//!
//! Each major version has its layout in a file of its own, as structs that never change. [`v2`] is written; all
//! are read. What a file says comes to one form, [`Contents`], before anything is made of it.

mod v1;
mod v2;

use std::path::Path;

use dnn_core::{Element, Precision};
use dnn_kernels::aligned_zeros;
use dnn_store::{DType, Scalar, StoredTensor};
use ndarray::Array2;

use crate::architecture::Architecture;
use crate::{Network, NetworkError, Preprocessing, Provenance};

/// The first bytes of a model file of any version, and what messages call it.
const MAGIC: [u8; 8] = *b"dnnmodel";
const NAME: &str = "model file";

/// No model file is larger: the most parameters in `f64`, and their metadata.
const LARGEST_FILE: u64 = (16 << 30) + (1 << 26);

/// The most layers of a network in a file: more than anybody trains, and few enough to be nothing in memory.
const MOST_LAYERS: usize = 1 << 16;

/// What a file says, whatever its version.
struct Contents<'a> {
    architecture: Architecture,
    tensors: Vec<StoredTensor<'a>>,
    /// What the version calls an array.
    name: fn(ArrayOf<'_>) -> String,
    /// One for each tensor, from version 2 on.
    flags: Option<Vec<Flags>>,
    preprocessing: Option<Preprocessing>,
    /// Whether answers look at the mirror of a picture as well.
    is_mirrored: bool,
    provenance: Option<Provenance>,
}

/// An array in its place.
struct ArrayOf<'n> {
    /// The name of its layer, as in `dense1`.
    layer: &'n str,
    /// The position of its layer among those that have arrays, from 1 on.
    layer_with_arrays: usize,
    /// Its name in the layer.
    name: &'n str,
}

/// What becomes of a tensor in training, by the file.
struct Flags {
    trained: bool,
    decays: bool,
    frozen: bool,
}

/// Refuses a number of layers before anything is made of them.
fn check_depth(found: usize) -> Result<(), NetworkError> {
    if found > MOST_LAYERS {
        return Err(NetworkError::TooManyLayers { found, most: MOST_LAYERS });
    }
    Ok(())
}

/// A count in a file; one that does not fit is as impossible as the largest.
fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

impl<T: Element + Scalar> Network<T> {
    /// The network as the bytes of a model file. Equal networks give equal bytes.
    ///
    /// # Errors
    /// [`NetworkError::Store`] if a parameter is not finite, or the network is too large for the
    /// format.
    pub fn to_bytes(&self) -> Result<Vec<u8>, NetworkError> {
        v2::write(self)
    }

    /// The network in the bytes of a model file.
    ///
    /// # Errors
    /// [`NetworkError::Store`] if the bytes are not a whole, undamaged model file,
    /// [`NetworkError::Precision`] if it holds numbers of the other precision, and the errors of
    /// building a network if its parts do not fit one another.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, NetworkError> {
        read(bytes)?.network()
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

/// What the bytes of a file of any version say.
fn read(bytes: &[u8]) -> Result<Contents<'_>, NetworkError> {
    match v2::FORMAT.version_of(bytes)?.major {
        1 => v1::read(bytes),
        _ => v2::read(bytes),
    }
}

fn read_any(bytes: &[u8]) -> Result<AnyNetwork, NetworkError> {
    let contents = read(bytes)?;
    Ok(match contents.precision()? {
        Precision::F32 => AnyNetwork::F32(contents.network()?),
        Precision::F64 => AnyNetwork::F64(contents.network()?),
    })
}

fn in_file(path: &Path, reason: NetworkError) -> NetworkError {
    NetworkError::InFile { path: path.to_owned(), reason: Box::new(reason) }
}

impl Contents<'_> {
    /// The precision of the first tensor; the others are compared with it as they are read.
    fn precision(&self) -> Result<Precision, NetworkError> {
        let unfit = |found: String| NetworkError::Tensor { expected: "weights".to_owned(), found };
        let first = self.tensors.first().ok_or_else(|| unfit("no tensor".to_owned()))?;
        match first.dtype() {
            DType::F32 => Ok(Precision::F32),
            DType::F64 => Ok(Precision::F64),
            other @ DType::U8 => Err(unfit(format!("one of {other}"))),
        }
    }

    /// The network, if all parts of it fit one another.
    fn network<T: Element + Scalar>(self) -> Result<Network<T>, NetworkError> {
        let found = self.precision()?;
        if found != T::PRECISION {
            return Err(NetworkError::Precision { expected: T::PRECISION, found });
        }
        let arrays = self.arrays()?;
        let mut network = Network::assemble(self.architecture, arrays, self.provenance)?;
        if let Some(flags) = self.flags {
            apply(&flags, &mut network)?;
        }
        network.set_mirrored(self.is_mirrored);
        if let Some(preprocessing) = self.preprocessing {
            network.set_preprocessing(preprocessing);
        }
        Ok(network)
    }

    /// The arrays of all layers, each of which has to be the next tensor.
    fn arrays<T: Element + Scalar>(&self) -> Result<Vec<Array2<T>>, NetworkError> {
        let (mut tensors, mut layer_with_arrays) = (self.tensors.iter(), 0);
        let mut arrays = Vec::with_capacity(self.tensors.len());
        for place in self.architecture.check::<T>()? {
            layer_with_arrays += usize::from(!place.parameters.is_empty());
            for spec in &place.parameters {
                let of = ArrayOf { layer: &place.name, layer_with_arrays, name: spec.name };
                arrays.push(read_array((self.name)(of), tensors.next())?);
            }
        }
        match tensors.next() {
            None => Ok(arrays),
            Some(more) => {
                let found = format!("`{}`", more.name());
                Err(NetworkError::Tensor { expected: "no more".to_owned(), found })
            }
        }
    }
}

/// The tensor, which has to have this name.
fn read_array<T: Element + Scalar>(
    expected: String,
    tensor: Option<&StoredTensor<'_>>,
) -> Result<Array2<T>, NetworkError> {
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

/// Freezes the tensors that the file says are frozen; the rest of the flags has to be what the layers say.
fn apply<T: Element>(flags: &[Flags], network: &mut Network<T>) -> Result<(), NetworkError> {
    let tensors = network.tensors_mut();
    if flags.len() != tensors.len() {
        let expected = format!("with flags for each of {}", tensors.len());
        return Err(NetworkError::Tensor { expected, found: format!("flags for {}", flags.len()) });
    }
    for (tensor, flags) in tensors.iter_mut().zip(flags) {
        let spec = tensor.spec();
        if (flags.trained, flags.decays) != (spec.is_trained, spec.decays) {
            let say = |trained, decays| format!("trained: {trained}, decays: {decays}");
            let name = tensor.name();
            let expected = format!("{name}` with the flags `{}", say(spec.is_trained, spec.decays));
            let found = format!("`{}`", say(flags.trained, flags.decays));
            return Err(NetworkError::Tensor { expected, found });
        }
        tensor.set_frozen(flags.frozen);
    }
    Ok(())
}
