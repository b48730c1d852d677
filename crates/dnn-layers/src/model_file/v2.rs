//! Model files of major version 2, which are written.
//!
//! The metadata are the records below, one behind another as bincode writes them; `docs/file-format.md` has them
//! byte by byte. Within the major version they keep their shape. What may come to be later is told apart by name:
//! a layer is a [`Record`] of its kind with the bytes of that kind's own struct, and so a kind that a reader does
//! not know is named, and not misread. A kind whose struct changes gets another name.
//!
//! The tensors are the arrays of all layers in order, by their names in the network, as in `dense1.weights`.

use std::collections::BTreeMap;

use dnn_core::{Element, PixelScaling, Shape};
use dnn_store::{Format, Record, Scalar, Tensor as StoreTensor, Values};
use ndarray::ArrayView2;
use serde::{Deserialize, Serialize};

use super::{ArrayOf, Contents, Flags, check_depth, to_usize};
use crate::architecture::Architecture;
use crate::{Head, Layer, Network, NetworkError, Preprocessing, Tensor};

pub(super) const FORMAT: Format =
    Format { magic: super::MAGIC, name: super::NAME, major: 2, minor: 0 };

#[derive(Serialize, Deserialize)]
struct Content {
    input: Input,
    layers: Vec<Record>,
    head: String,
    classes: Vec<String>,
    scaling: Scaling,
    /// One for each tensor, in their order.
    flags: Vec<TensorFlags>,
    /// How a picture becomes the input: a [`Resize`], if anything is known; inside a [`Mirrored`] where answers look at
    /// the mirror as well.
    preprocessing: Option<Record>,
    provenance: Option<Provenance>,
}

#[derive(Serialize, Deserialize)]
struct Input {
    height: u64,
    width: u64,
    channels: u64,
}

#[derive(Serialize, Deserialize)]
struct Scaling {
    mean: Vec<f64>,
    deviation: Vec<f64>,
}

#[derive(Serialize, Deserialize)]
struct TensorFlags {
    trained: bool,
    decays: bool,
    frozen: bool,
}

/// The kind `resize` of preprocessing.
#[derive(Serialize, Deserialize)]
struct Resize {
    fit: String,
    filter: String,
}

/// The kind `mirrored` of preprocessing.
#[derive(Serialize, Deserialize)]
struct Mirrored {
    resize: Option<Resize>,
}

/// The names of these kinds.
const RESIZE: &str = "resize";
const MIRRORED: &str = "mirrored";

#[derive(Serialize, Deserialize)]
struct Provenance {
    software: String,
    kernel_path: String,
    data_sha256: String,
    seed: u64,
    settings: BTreeMap<String, String>,
}

/// The network as the bytes of a file.
pub(super) fn write<T: Element + Scalar>(network: &Network<T>) -> Result<Vec<u8>, NetworkError> {
    let views: Vec<ArrayView2<'_, T>> = network.tensors().iter().map(Tensor::values).collect();
    // Rows one behind another, whatever order a caller's numbers came in; as a rule they are so already.
    let arrays: Vec<_> = views.iter().map(|view| view.as_standard_layout()).collect();
    let dims: Vec<[usize; 2]> = views.iter().map(|view| [view.nrows(), view.ncols()]).collect();
    let tensors: Vec<StoreTensor<'_>> = network
        .tensors()
        .iter()
        .zip(&dims)
        .zip(&arrays)
        .map(|((tensor, dims), array)| StoreTensor {
            name: tensor.name(),
            dims,
            values: Values::new(array.as_slice().expect("the standard layout is a slice")),
        })
        .collect();
    Ok(dnn_store::encode(&FORMAT, &content(network)?, &tensors)?)
}

fn content<T: Element>(network: &Network<T>) -> Result<Content, NetworkError> {
    let Shape { height, width, channels } = network.input();
    let scaling = network.scaling();
    let record = |layer: &Layer| layer.forward::<T>().to_record(layer.kind());
    let resize = network.preprocessing();
    let resize = resize.map(|it| Resize { fit: it.fit.clone(), filter: it.filter.clone() });
    let preprocessing = match resize {
        resize if network.is_mirrored() => Some(Record::new(MIRRORED, &Mirrored { resize })),
        resize => resize.map(|it| Record::new(RESIZE, &it)),
    };
    let flags = network.tensors().iter().map(|tensor| TensorFlags {
        trained: tensor.spec().is_trained,
        decays: tensor.spec().decays,
        frozen: tensor.is_frozen(),
    });
    Ok(Content {
        input: Input { height: height as u64, width: width as u64, channels: channels as u64 },
        layers: network.layers().iter().map(record).collect::<Result<_, _>>()?,
        head: network.head().to_string(),
        classes: network.classes().to_vec(),
        scaling: Scaling { mean: scaling.mean().to_vec(), deviation: scaling.std_dev().to_vec() },
        flags: flags.collect(),
        preprocessing: preprocessing.transpose()?,
        provenance: network.provenance().map(|it| Provenance {
            software: it.software.clone(),
            kernel_path: it.kernel_path.clone(),
            data_sha256: it.data_sha256.clone(),
            seed: it.seed,
            settings: it.settings.clone(),
        }),
    })
}

/// What the file says.
pub(super) fn read(bytes: &[u8]) -> Result<Contents<'_>, NetworkError> {
    let container = dnn_store::decode::<Content>(&FORMAT, bytes)?;
    let tensors = container.tensors().to_vec();
    let content = container.content;
    let Content { input, layers, head, classes, scaling, flags, preprocessing, .. } = content;
    let provenance = content.provenance;
    let is_mirrored = preprocessing.as_ref().is_some_and(|record| record.kind() == MIRRORED);
    let resize = preprocessing.map(|record| resize_of(&record)).transpose()?.flatten();
    check_depth(layers.len())?;
    let flags = flags.into_iter().map(|TensorFlags { trained, decays, frozen }| Flags {
        trained,
        decays,
        frozen,
    });
    Ok(Contents {
        architecture: Architecture {
            input: Shape {
                height: to_usize(input.height),
                width: to_usize(input.width),
                channels: to_usize(input.channels),
            },
            layers: (layers.iter().enumerate())
                .map(|(position, record)| layer(position, record))
                .collect::<Result<_, _>>()?,
            head: head_of(&head)?,
            classes,
            scaling: PixelScaling::per_channel(&scaling.mean, &scaling.deviation)?,
        },
        tensors,
        name: tensor_name,
        flags: Some(flags.collect()),
        preprocessing: resize.map(|Resize { fit, filter }| Preprocessing { fit, filter }),
        is_mirrored,
        provenance: provenance.map(|it| crate::Provenance {
            software: it.software,
            kernel_path: it.kernel_path,
            data_sha256: it.data_sha256,
            seed: it.seed,
            settings: it.settings,
        }),
    })
}

/// The layer in a record, by its position from 0 on.
fn layer(position: usize, record: &Record) -> Result<Layer, NetworkError> {
    let what = || format!("layer {}", position + 1);
    let Some(kind) = Layer::KINDS.iter().find(|kind| kind.kind() == record.kind()) else {
        return Err(unknown(what(), record.kind(), &Layer::KINDS.map(|kind| kind.kind())));
    };
    kind.forward::<f64>().read_record(record).map_err(|reason| NetworkError::Record {
        what: what(),
        kind: kind.kind(),
        reason: Box::new(reason),
    })
}

fn head_of(name: &str) -> Result<Head, NetworkError> {
    let names = Head::ALL.map(|head| head.to_string());
    let found = Head::ALL.into_iter().zip(&names).find(|(_, known)| *known == name);
    found.map(|(head, _)| head).ok_or_else(|| unknown("head".to_owned(), name, &names))
}

/// What a record of the preprocessing says of the size, whichever its kind.
fn resize_of(record: &Record) -> Result<Option<Resize>, NetworkError> {
    let what = "preprocessing".to_owned();
    let (kind, resize) = match record.kind() {
        RESIZE => (RESIZE, record.read().map(Some)),
        MIRRORED => (MIRRORED, record.read().map(|it: Mirrored| it.resize)),
        other => return Err(unknown(what, other, &[RESIZE, MIRRORED])),
    };
    resize.map_err(|reason| NetworkError::Record { what, kind, reason: Box::new(reason) })
}

fn unknown<S: AsRef<str>>(what: String, kind: &str, known: &[S]) -> NetworkError {
    let known: Vec<&str> = known.iter().map(AsRef::as_ref).collect();
    NetworkError::UnknownKind { what, found: kind.to_owned(), known: known.join(", ") }
}

fn tensor_name(array: ArrayOf<'_>) -> String {
    format!("{}.{}", array.layer, array.name)
}
