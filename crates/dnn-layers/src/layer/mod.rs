//! The kinds of layers, one file each.
//!
//! A kind says what it makes of a shape, which arrays it has, and how it goes forward; its way back is in the file
//! of the same name in `dnn-train`. To add one: its two files, a variant and an arm here, and an arm there
//! (`docs/adding-a-layer.md`).

mod activation;
mod average_pool;
mod batch_norm;
mod branch;
mod channel_dropout;
mod channels;
mod conv;
mod dense;
mod dropout;
mod flatten;
mod global_pool;
mod max_pool;
mod residual;
mod scale;
mod statistics;
mod window;

use dnn_core::{BothPrecisions, Columns, CoreError, Element, Features, Shape};
use dnn_kernels::{Convolution, ConvolutionWeights, PackedScratch, Products};
use dnn_store::{Record, StoreError};
use ndarray::{ArrayView2, ArrayViewMut2};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

pub use self::activation::Activation;
pub use self::average_pool::AveragePool2d;
pub use self::batch_norm::BatchNorm;
pub(crate) use self::batch_norm::as_scale_and_shift;
pub use self::branch::Branch;
pub use self::channel_dropout::ChannelDropout;
pub use self::channels::{by_channel, by_channel_mut};
pub use self::conv::Conv2d;
use self::dense::DensePairs;
pub(crate) use self::dense::linear_into;
pub use self::dense::{Dense, DenseBy};
pub use self::dropout::Dropout;
pub use self::flatten::Flatten;
pub use self::global_pool::{GlobalPool, PoolBy};
pub use self::max_pool::MaxPool2d;
pub use self::residual::Residual;
pub use self::scale::Scale;
pub use self::statistics::BatchStatistics;
pub use self::window::{Padding, Places, Window};

use crate::tensor::{ParameterSpec, Tensor};

/// A layer of a network.
///
/// A match on the kinds is complete, so that the compiler names the places that a new one has to be added to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Layer {
    /// Every unit is connected to every number of the layer before.
    Dense(Dense),
    /// Brings each channel to a mean and a deviation that are learned.
    BatchNorm(BatchNorm),
    /// A function of each number.
    Activation(Activation),
    /// Sets a share of the numbers to 0 in training.
    Dropout(Dropout),
    /// Forgets rows and columns.
    Flatten(Flatten),
    /// Multiplies each unit by a factor and adds an offset, both learned.
    Scale(Scale),
    /// Every unit sees a window of the picture at a time.
    Conv2d(Conv2d),
    /// The largest number of each window, channel by channel.
    MaxPool2d(MaxPool2d),
    /// The mean of each window, channel by channel.
    AveragePool2d(AveragePool2d),
    /// One or two numbers for each channel of the whole picture.
    GlobalPool(GlobalPool),
    /// Adds what some layers before it were given.
    Residual(Residual),
    /// Gives again what some layers before it were given.
    Branch(Branch),
    /// Sets a share of the channels to 0 in training.
    ChannelDropout(ChannelDropout),
}

type ForwardOf<T> = fn(&Layer) -> &dyn Forward<T>;

/// All kinds of layers.
static FORWARD: BothPrecisions<ForwardOf<f32>, ForwardOf<f64>> =
    BothPrecisions { f32: Layer::forward_of, f64: Layer::forward_of };

impl Layer {
    /// One of every kind, in an order in which they can follow one another.
    pub const KINDS: [Self; 13] = [
        Self::Conv2d(Conv2d::same(6, 3)),
        Self::BatchNorm(BatchNorm { momentum: 0.1, epsilon: 1e-5 }),
        Self::Activation(Activation::Tanh),
        Self::Branch(Branch { layers: 2 }),
        Self::Residual(Residual { layers: 1 }),
        Self::ChannelDropout(ChannelDropout { rate: 0.25 }),
        Self::MaxPool2d(MaxPool2d { window: Window::square(2, 1, Padding::Same) }),
        Self::AveragePool2d(AveragePool2d { window: Window::square(3, 2, Padding::Same) }),
        Self::GlobalPool(GlobalPool { by: PoolBy::Both }),
        Self::Flatten(Flatten {}),
        Self::Dense(Dense { units: 8 }),
        Self::Dropout(Dropout { rate: 0.25 }),
        Self::Scale(Scale {}),
    ];

    /// What the kind does on its way forward.
    pub(crate) fn forward<T: Element>(&self) -> &dyn Forward<T> {
        FORWARD.of::<ForwardOf<T>>()(self)
    }

    /// The one place where the kinds are told apart.
    fn forward_of<T: Element>(&self) -> &dyn Forward<T> {
        match self {
            Self::Dense(layer) => layer,
            Self::BatchNorm(layer) => layer,
            Self::Activation(layer) => layer,
            Self::Dropout(layer) => layer,
            Self::Flatten(layer) => layer,
            Self::Scale(layer) => layer,
            Self::Conv2d(layer) => layer,
            Self::MaxPool2d(layer) => layer,
            Self::AveragePool2d(layer) => layer,
            Self::GlobalPool(layer) => layer,
            Self::Residual(layer) => layer,
            Self::Branch(layer) => layer,
            Self::ChannelDropout(layer) => layer,
        }
    }

    /// The name of the kind, as in `dense1.weights`.
    pub fn kind(&self) -> &'static str {
        self.forward::<f32>().kind()
    }

    /// The shape that the layer gives for this shape of what it is given.
    ///
    /// # Errors
    /// [`CoreError`] if a number of the layer cannot be, or it does not go with the shape.
    pub fn output(&self, input: Shape) -> Result<Shape, CoreError> {
        self.forward::<f32>().output(input)
    }

    /// The arrays of the layer for this shape of what it is given.
    pub fn parameters(&self, input: Shape) -> Vec<ParameterSpec> {
        self.forward::<f32>().parameters(input)
    }

    /// Whether all examples of a batch have to come to this layer before any goes on: it learns from the
    /// [statistics](BatchStatistics) of the batch.
    pub fn needs_whole_batch(&self) -> bool {
        self.forward::<f32>().needs_whole_batch()
    }

    /// Whether prediction does not notice the layer.
    pub fn is_for_training_alone(&self) -> bool {
        self.forward::<f32>().is_for_training_alone()
    }

    /// How many layers before it a connection to this layer goes around, if there is one.
    pub fn goes_around(&self) -> Option<usize> {
        self.forward::<f32>().goes_around()
    }

    /// Whether the layer gives what the first of the layers was given that it [goes around](Self::goes_around), and nothing
    /// of what came to it.
    pub fn gives_again(&self) -> bool {
        self.forward::<f32>().gives_again()
    }

    /// The same layer, going around so many layers, if it goes around any.
    pub(crate) fn going_around(&self, layers: usize) -> Self {
        self.forward::<f32>().going_around(layers).unwrap_or_else(|| self.clone())
    }

    /// The share of its numbers that the layer sets to 0 in training, drawn anew in every step.
    pub fn drop_rate(&self) -> f64 {
        self.forward::<f32>().drop_rate()
    }

    /// How many draws it takes for each example of this shape what stays: one for each number, or for each channel.
    pub fn drawn(&self, input: Shape) -> usize {
        self.forward::<f32>().drawn(input)
    }
}

/// Where a layer keeps what it makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Buffers {
    /// Whether it has an output of its own; else it passes on what it is given.
    pub(crate) output: bool,
    /// Numbers per example that the way back needs beside input and output.
    pub(crate) kept: usize,
}

/// What a forward pass is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// Answers.
    Prediction,
    /// A backward pass: batch normalisation goes by the batch, and dropout drops.
    Training,
}

/// What a kind of layer says of itself, and its forward pass.
///
/// Implemented by each kind for every [`Element`]; only [`forward`](Self::forward) depends on it.
pub(crate) trait Forward<T: Element>: AsRecord {
    /// See [`Layer::kind`].
    fn kind(&self) -> &'static str;

    /// See [`Layer::output`].
    fn output(&self, input: Shape) -> Result<Shape, CoreError>;

    /// See [`Layer::parameters`].
    fn parameters(&self, _input: Shape) -> Vec<ParameterSpec> {
        Vec::new()
    }

    /// See [`Layer::needs_whole_batch`].
    fn needs_whole_batch(&self) -> bool {
        false
    }

    /// See [`Layer::drop_rate`].
    fn drop_rate(&self) -> f64 {
        0.0
    }

    /// See [`Layer::drawn`].
    fn drawn(&self, _input: Shape) -> usize {
        0
    }

    /// See [`Layer::goes_around`].
    fn goes_around(&self) -> Option<usize> {
        None
    }

    /// See [`Layer::going_around`].
    fn going_around(&self, _layers: usize) -> Option<Layer> {
        None
    }

    /// See [`Layer::gives_again`].
    fn gives_again(&self) -> bool {
        false
    }

    /// See [`Layer::is_for_training_alone`].
    fn is_for_training_alone(&self) -> bool {
        false
    }

    /// Whether the layer takes the inputs of a network, which may be pixels.
    fn takes_features(&self) -> bool {
        false
    }

    /// What it needs for each example.
    fn buffers(&self, _input: Shape, _mode: Mode) -> Buffers {
        Buffers { output: true, kept: 0 }
    }

    /// Takes the memory that its products work in.
    fn reserve(&self, _input: Shape, _scratch: &mut Scratch<T>) {}

    /// Checks the layer's own numbers in this precision.
    fn check(&self) -> Result<(), CoreError> {
        Ok(())
    }

    /// Takes what a batch of `m` examples tells into the layer's running averages.
    fn update_running(&self, _tensors: &mut [Tensor<T>], _batch: &BatchStatistics<T>, _m: usize) {}

    /// Writes the output, unless the layer passes on what it is given.
    fn forward(&self, step: Step<'_, '_, '_, T>);
}

/// A layer in a model file: its own struct, as a record of its kind. So that struct is a part of the format.
pub(crate) trait AsRecord {
    /// The record of this layer, whose kind has this name.
    fn to_record(&self, kind: &str) -> Result<Record, StoreError>;

    /// The layer of this kind in a record.
    fn read_record(&self, record: &Record) -> Result<Layer, StoreError>;
}

impl<L: Serialize + DeserializeOwned + Into<Layer>> AsRecord for L {
    fn to_record(&self, kind: &str) -> Result<Record, StoreError> {
        Record::new(kind, self)
    }

    fn read_record(&self, record: &Record) -> Result<Layer, StoreError> {
        record.read::<L>().map(Into::into)
    }
}

/// What a layer is given, and where its output goes.
pub(crate) struct Step<'s, 'x, 'g, T> {
    pub(crate) tensors: &'s [Tensor<T>],
    /// The shape of an example of the input.
    pub(crate) shape: Shape,
    pub(crate) input: Input<'s, 'x, T>,
    /// What the first of the layers was given that a connection [goes around](Layer::goes_around).
    pub(crate) skipped: Option<ArrayView2<'s, T>>,
    /// `(n, m)`.
    pub(crate) output: ArrayViewMut2<'s, T>,
    /// As many rows as [`Buffers::kept`] says, or no columns.
    pub(crate) kept: ArrayViewMut2<'s, T>,
    pub(crate) scratch: &'s mut Scratch<T>,
    /// Whether the layer does the `ReLU` after it.
    pub(crate) relu: bool,
    /// Whether the layer does the pooling after that, too.
    pub(crate) maximum: bool,
    pub(crate) given: Given<'g, T>,
}

/// What the layer before gave, or the examples of a network.
#[derive(Clone, Copy)]
pub(crate) enum Input<'s, 'x, T> {
    Features { x: &'s Features<'x, T>, columns: Columns<'s> },
    Numbers(ArrayView2<'s, T>),
}

impl<'s, T: Element> Input<'s, '_, T> {
    /// What the layer before gave.
    ///
    /// # Panics
    /// For the inputs of the network: a network's constructor lets no layer come there that does not
    /// [take](Forward::takes_features) them.
    pub(crate) fn numbers(&self) -> ArrayView2<'s, T> {
        match self {
            Self::Numbers(numbers) => *numbers,
            Self::Features { .. } => unreachable!("checked when the network was made"),
        }
    }
}

/// Says which units of the example at this position stay.
pub type Keep<'k> = dyn FnMut(usize, &mut [bool]) + 'k;

/// What somebody else knows of a layer's step.
pub struct Given<'g, T> {
    /// Where a dense layer's product comes from.
    pub dense: DenseBy<'g, T>,
    /// The weights of a convolution, laid out for the way forward; if not, they are laid out for this step.
    pub convolution: Option<&'g ConvolutionWeights<T>>,
    /// The statistics of the batch, for a layer that [needs the whole of it](Layer::needs_whole_batch): in
    /// training, or its own running ones.
    pub statistics: Option<&'g BatchStatistics<T>>,
    /// For a layer that [drops](Layer::drop_rate) numbers: asked for each example, by its position in the forward
    /// pass, which units stay.
    pub keep: Option<&'g mut Keep<'g>>,
}

impl<T> Default for Given<'_, T> {
    /// Nothing is known.
    fn default() -> Self {
        Self { dense: DenseBy::Weights, convolution: None, statistics: None, keep: None }
    }
}

/// Memory of products, used again from layer to layer.
#[derive(Debug, Clone)]
pub(crate) struct Scratch<T> {
    /// Some numbers of each unit.
    pub(crate) units: Vec<T>,
    pub(crate) features: Vec<T>,
    pub(crate) packed: PackedScratch<T>,
    pub(crate) convolution: Convolution<T>,
    /// Where nobody else has laid out the weights of a convolution.
    pub(crate) weights: ConvolutionWeights<T>,
    /// For products of dense layers in bf16, if that is what is made.
    pub(crate) pairs: Option<DensePairs<T>>,
    /// The most examples that go forward at a time.
    pub(crate) examples: usize,
}

impl<T: Element> Default for Scratch<T> {
    fn default() -> Self {
        Self {
            units: Vec::new(),
            features: Vec::new(),
            packed: PackedScratch::default(),
            convolution: Convolution::default(),
            weights: ConvolutionWeights::default(),
            pairs: None,
            examples: 0,
        }
    }
}

impl<T: Element> Scratch<T> {
    /// For products in these numbers.
    pub(crate) fn new(products: Products, examples: usize) -> Self {
        let mut made = Self { examples, ..Self::default() };
        made.convolution.set_products(products);
        made.weights.set_products(products);
        made.pairs = (products == Products::Bf16).then(DensePairs::default);
        made
    }
}

/// Refuses a number of a layer.
pub(crate) fn invalid<V>(
    what: &'static str,
    expected: &'static str,
    found: impl ToString,
) -> Result<V, CoreError> {
    Err(CoreError::Invalid { what, expected, found: found.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_listed() {
        dnn_core::assert_lists_every_variant!(
            Layer::KINDS,
            Layer::Dense(_),
            Layer::BatchNorm(_),
            Layer::Activation(_),
            Layer::Dropout(_),
            Layer::Flatten(_),
            Layer::Scale(_),
            Layer::Conv2d(_),
            Layer::MaxPool2d(_),
            Layer::AveragePool2d(_),
            Layer::GlobalPool(_),
            Layer::Residual(_),
            Layer::Branch(_),
            Layer::ChannelDropout(_),
        );
    }
}
