//! The errors of this crate.

use std::path::PathBuf;

use dnn_core::{CoreError, PixelScaling, Precision};
use dnn_store::StoreError;
use thiserror::Error;

use crate::{Head, Layer};

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
    /// The input has no size, or one that cannot be.
    #[error(
        "input shape {height} x {width} x {channels}; expected at least 1 in each direction and at most 2^48 values"
    )]
    InputShape {
        /// Rows of pixels.
        height: usize,
        /// Columns of pixels.
        width: usize,
        /// Channels of a pixel.
        channels: usize,
    },
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
    #[error("hidden layer {position}, {layer:?}: expected it {expected}")]
    LayerOrder {
        /// Its place among the hidden layers, counted from 1.
        position: usize,
        /// The layer.
        layer: Layer,
        /// How it could be.
        expected: &'static str,
    },
    /// A layer's parameters do not fit the architecture.
    #[error("layer {layer}: {what}: expected shape {expected:?}, found {found:?}")]
    Layer {
        /// 1 is the first weight layer.
        layer: usize,
        /// Weights or bias.
        what: &'static str,
        /// The shape the architecture asks for.
        expected: (usize, usize),
        /// The shape that is there.
        found: (usize, usize),
    },
    /// The running statistics of batch normalisation do not fit the architecture.
    #[error(
        "expected a finite mean and a variance of at least 0 for each normalised unit, found {found}"
    )]
    Statistics {
        /// What is there.
        found: String,
    },
    /// Another number of weight layers than the architecture has.
    #[error("expected parameters for {expected} layers, found {found}")]
    LayerCount {
        /// Layers of the architecture.
        expected: usize,
        /// Layers of the parameters.
        found: usize,
    },
    /// A parameter is NaN or infinite.
    #[error("layer {layer}: {what} hold numbers that are not finite")]
    NotFinite {
        /// 1 is the first weight layer.
        layer: usize,
        /// Weights or bias.
        what: &'static str,
    },
    /// The model was saved in the other precision.
    #[error("expected a model in {expected}, found one in {found}")]
    Precision {
        /// The precision asked for.
        expected: Precision,
        /// The precision of the file.
        found: Precision,
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
