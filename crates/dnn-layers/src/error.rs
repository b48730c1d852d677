//! The errors of this crate.

use std::path::PathBuf;

use dnn_core::{CoreError, PixelScaling, Precision, Shape};
use dnn_store::StoreError;
use thiserror::Error;

use crate::Head;

/// The answer to whoever asks a network without classes for them.
pub(crate) const NO_CLASSES: NetworkError =
    NetworkError::NoClasses { instead: "Network::predict_outputs(&x)" };

/// What can be wrong with a network, its inputs or its file.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum NetworkError {
    /// Shapes, names, numbers or memory.
    #[error(transparent)]
    Core(#[from] CoreError),
    /// The file could not be read or written, or is damaged.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The network does not end in anything.
    #[error("the network has no outputs; expected classes, or a number of outputs and their head")]
    NoOutputs,
    /// The classes do not fit the head.
    #[error("a {head} head with {outputs} outputs expects {expected} classes, found {found}")]
    Classes {
        /// The head.
        head: Head,
        /// Its outputs.
        outputs: usize,
        /// How many classes would fit, in words.
        expected: &'static str,
        /// How many there are.
        found: usize,
    },
    /// One class name stands for two classes.
    #[error("class name `{name}` appears twice; expected different names")]
    RepeatedClass {
        /// The name.
        name: String,
    },
    /// Classes were asked of a network that has none.
    #[error(
        "expected a network built with classes, found one whose outputs are numbers; call {instead} for them"
    )]
    NoClasses {
        /// The call that gives its outputs.
        instead: &'static str,
    },
    /// The scaling is for other pictures.
    #[error("pixel scaling of {found} channels for pictures of {expected} channels")]
    Scaling {
        /// Channels of the input.
        expected: usize,
        /// Channels of the scaling.
        found: usize,
    },
    /// Pixels came with another scaling than the network was built with.
    #[error(
        "pixels with another scaling than the network's own: expected {expected}, found {found}"
    )]
    OtherScaling {
        /// The network's.
        expected: Box<PixelScaling>,
        /// The one that came with the pixels.
        found: Box<PixelScaling>,
    },
    /// More parameters than a model file holds.
    #[error("a network of {found} parameters; expected at most {most}")]
    TooManyParameters {
        /// How many the layers would have.
        found: u128,
        /// How many there may be.
        most: u128,
    },
    /// The outputs of an example are not finite although it is: the network's numbers overflow.
    #[error("the outputs of example {example} are not finite; expected numbers")]
    Overflow {
        /// The example's column.
        example: usize,
    },
    /// What is wrong with a model file.
    // The reason is part of the message, so it is not given as a source a second time.
    #[error("{}: {reason}", path.display())]
    InFile {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: Box<NetworkError>,
    },
    /// A layer stands where it cannot be, or has a number that cannot be.
    #[error("layer {position}, {kind}: {reason}")]
    LayerPlace {
        /// Its place among all layers, counted from 1.
        position: usize,
        /// What kind of layer it is.
        kind: &'static str,
        /// What is wrong.
        reason: CoreError,
    },
    /// An array has another shape than its layer asks for.
    #[error("{name}: expected shape {expected:?}, found {found:?}")]
    ArrayShape {
        /// The name of the array.
        name: String,
        /// The shape that the layer asks for.
        expected: (usize, usize),
        /// The shape that is there.
        found: (usize, usize),
    },
    /// Pictures of another size would need other arrays.
    #[error(
        "pictures of {input} would need {name} of shape {expected:?}, found {found:?}; only a network whose last \
         pooling is global takes pictures of several sizes"
    )]
    InputSize {
        /// The shape that was asked for.
        input: Shape,
        /// The array that would have another shape.
        name: String,
        /// The shape that the layer would ask for.
        expected: (usize, usize),
        /// The shape that is there.
        found: (usize, usize),
    },
    /// Another number of arrays than the layers have.
    #[error("expected {expected} arrays for the layers, found {found}")]
    ArrayCount {
        /// Arrays of all layers.
        expected: usize,
        /// Arrays that are there.
        found: usize,
    },
    /// Parameters of another number of dense layers than the network has.
    #[error("expected parameters for {expected} layers, found {found}")]
    LayerCount {
        /// Dense layers of the network.
        expected: usize,
        /// Layers of the parameters.
        found: usize,
    },
    /// A number of an array is NaN or infinite.
    #[error("{name} holds numbers that are not finite")]
    NotFinite {
        /// The name of the array.
        name: String,
    },
    /// A number of an array is below 0, and cannot be.
    #[error("{name} holds numbers below 0; expected a variance")]
    Negative {
        /// The name of the array.
        name: String,
    },
    /// The model was saved in the other precision.
    #[error("expected a model in {expected}, found one in {found}")]
    Precision {
        /// The precision asked for.
        expected: Precision,
        /// The precision of the file.
        found: Precision,
    },
    /// More layers than a model file holds.
    #[error("model file: expected at most {most} layers, found {found}")]
    TooManyLayers {
        /// How many there are.
        found: usize,
        /// How many there may be.
        most: usize,
    },
    /// A model file has something of a kind that this version does not know.
    #[error(
        "model file: {what} is of kind `{found}`, which this version of dnn does not know (it knows {known}); \
         a newer version wrote the file: read it with that one"
    )]
    UnknownKind {
        /// What it is, as `layer 3`.
        what: String,
        /// Its kind.
        found: String,
        /// The kinds that are known.
        known: String,
    },
    /// The bytes of a part of a model file are not those of its kind.
    #[error("model file: {what} ({kind}): {reason}")]
    Record {
        /// What it is, as `layer 3`.
        what: String,
        /// Its kind.
        kind: &'static str,
        /// What is wrong with its bytes.
        reason: Box<StoreError>,
    },
    /// The tensors of a model file are not those of a network.
    #[error("model file: expected tensor `{expected}`, found {found}")]
    Tensor {
        /// The name in its place.
        expected: String,
        /// What is there.
        found: String,
    },
}
