//! The way back through each kind of layer, one file each, with the names that they have in `dnn-layers`; and the
//! backward pass step by step, as the course has it.
//!
//! To add a kind: its file, and an arm in [`backward`] (`docs/adding-a-layer.md`).

mod activation;
mod average_pool;
mod batch_norm;
mod branch;
mod channel_dropout;
mod conv;
mod convolution_steps;
mod dense;
mod dropout;
mod flatten;
mod global_pool;
mod max_pool;
mod model;
mod residual;
mod scale;

use dnn_core::{BothPrecisions, Element, Shape};
use dnn_kernels::{ConvolutionWeights, NonZeroIndex};
use dnn_layers::{BatchStatistics, ForwardInputs, Layer, Tensor};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};

pub use self::activation::{relu_backward, sigmoid_backward};
pub(crate) use self::conv::AddPixels;
pub use self::convolution_steps::{
    ConvGradients, conv_backward, create_mask_from_window, distribute_value, pool_backward,
};
pub(crate) use self::dense::accumulate_bias;
pub use self::dense::{LinearGradients, linear_activation_backward, linear_backward};
pub use self::model::{ModelGradients, model_backward};

use crate::convolution_memory::ConvolutionMemory;
use crate::engine::batch::Batch;

type BackwardOf<T> = fn(&Layer) -> &dyn Backward<T>;

static BACKWARD: BothPrecisions<BackwardOf<f32>, BackwardOf<f64>> =
    BothPrecisions { f32: backward_of, f64: backward_of };

/// What a kind of layer does on the way back.
pub(crate) fn backward<T: Element>(layer: &Layer) -> &dyn Backward<T> {
    BACKWARD.of::<BackwardOf<T>>()(layer)
}

/// The one place where the kinds of layers are told apart.
fn backward_of<T: Element>(layer: &Layer) -> &dyn Backward<T> {
    match layer {
        Layer::Dense(layer) => layer,
        Layer::BatchNorm(layer) => layer,
        Layer::Activation(layer) => layer,
        Layer::Dropout(layer) => layer,
        Layer::Flatten(layer) => layer,
        Layer::Scale(layer) => layer,
        Layer::Conv2d(layer) => layer,
        Layer::MaxPool2d(layer) => layer,
        Layer::AveragePool2d(layer) => layer,
        Layer::GlobalPool(layer) => layer,
        Layer::Residual(layer) => layer,
        Layer::Branch(layer) => layer,
        Layer::ChannelDropout(layer) => layer,
    }
}

/// How the gradient of a layer's arrays is summed over the examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GradientBy {
    /// There are no arrays.
    Nothing,
    /// As `dZ A_prev^T` and the sum of `dZ`, for layers with many weights: each block of features is summed
    /// whole by one task, after all examples have been back.
    Block,
    /// By groups of examples, for layers with few parameters: each tile makes its own sums, which are added by a
    /// fixed binary tree.
    Group,
    /// With the way back itself, for layers that need the whole batch.
    WholeBatch,
}

/// The way back through a kind of layer.
pub(crate) trait Backward<T: Element> {
    /// How the gradient of the layer's arrays is summed.
    fn gradient_by(&self) -> GradientBy {
        GradientBy::Nothing
    }

    /// Whether the gradient of what the layer is given takes the place of that of what it gives.
    fn is_in_place(&self) -> bool {
        true
    }

    /// Takes the memory that its way back works in.
    fn reserve(&self, _input: Shape, _memory: &mut ConvolutionMemory<T>) {}

    /// From the gradient of what the layer gives to that of what it is given, for the examples of a tile.
    fn input_gradient(&self, step: BackwardStep<'_, '_, T>);

    /// The same where the way forward was that of prediction; differs by [`GradientBy::WholeBatch`] alone, where nothing
    /// depends on the other examples then.
    fn prediction_gradient(&self, step: BackwardStep<'_, '_, T>) {
        self.input_gradient(step);
    }

    /// Sums for the gradient of the layer's array `tensor`, which has this many rows and columns; by
    /// [`GradientBy::Group`].
    fn sums(&self, _of: SumsOf<'_, T>, own: (usize, usize)) -> (usize, usize) {
        own
    }

    /// Whether the way back through a `ReLU` before it can be done [with its own](BackwardStep::after_relu).
    fn does_relu_before(&self) -> bool {
        false
    }

    /// Adds to the sums of the layer's arrays what the examples of a tile give to their gradient, or sets them to it if
    /// these are the [first](BackwardStep::is_first); by [`GradientBy::Group`].
    fn parameter_gradient(&self, _step: &mut BackwardStep<'_, '_, T>, _sums: &mut [Array2<T>]) {}

    /// The gradient of the layer's array `tensor`: `share` times the sums over all examples; by [`GradientBy::Group`].
    fn store_gradient(&self, stored: StoredGradient<'_, T>) {
        let StoredGradient { sums, share, gradient, .. } = stored;
        gradient.zip_mut_with(sums, |to, &sum| *to = sum * share);
    }

    /// What the way forward needs to know of the batch; by [`GradientBy::WholeBatch`].
    fn batch_statistics(&self, _batch: &mut Batch<'_, T>, _statistics: &mut BatchStatistics<T>) {}

    /// The gradients of the arrays, each sum over the examples times `share`, and of what the layer is given; by
    /// [`GradientBy::WholeBatch`].
    fn batch_gradient(
        &self,
        _batch: &mut Batch<'_, T>,
        _tensors: &[Tensor<T>],
        _statistics: &BatchStatistics<T>,
        _gradients: &mut [Array2<T>],
        _share: T,
    ) {
    }
}

/// Which array it is whose gradient is summed.
pub(crate) struct SumsOf<'s, T> {
    /// The shape of an example of the layer's input.
    pub(crate) shape: Shape,
    /// Which of the layer's arrays it is.
    pub(crate) tensor: usize,
    /// What convolutions work in, and how they make their products.
    pub(crate) convolution: &'s ConvolutionMemory<T>,
}

/// Sums over all examples, and where the gradient goes that they make.
pub(crate) struct StoredGradient<'s, T> {
    pub(crate) of: SumsOf<'s, T>,
    pub(crate) sums: &'s Array2<T>,
    pub(crate) share: T,
    pub(crate) gradient: &'s mut Array2<T>,
}

/// What is known of a layer's examples on the way back.
pub(crate) struct BackwardStep<'s, 'x, T> {
    pub(crate) tensors: &'s [Tensor<T>],
    /// The shape of an example of the input.
    pub(crate) shape: Shape,
    /// What the layer was given, unless that were the inputs of the network.
    pub(crate) input: Option<ArrayView2<'s, T>>,
    /// The inputs of the network.
    pub(crate) inputs: ForwardInputs<'s, 'x, T>,
    pub(crate) output: ArrayView2<'s, T>,
    /// What it kept of its way forward.
    pub(crate) kept: ArrayView2<'s, T>,
    /// The gradient of the output; if the layer works in place, of the input afterwards.
    pub(crate) gradient: ArrayViewMut2<'s, T>,
    /// Where the gradient of the input goes otherwise.
    pub(crate) input_gradient: Option<ArrayViewMut2<'s, T>>,
    /// Memory for listing what of a gradient is not zero.
    pub(crate) non_zero: &'s mut NonZeroIndex<T>,
    pub(crate) convolution: &'s mut ConvolutionMemory<T>,
    /// Whether nothing is in the sums of this layer's arrays yet.
    pub(crate) is_first: bool,
    /// Whether the way back through the `ReLU` before the layer is to be done here, too.
    pub(crate) after_relu: bool,
    /// The weights of a convolution, laid out for the way back.
    pub(crate) packed: Option<&'s ConvolutionWeights<T>>,
}

/// `1 / m`, the share of one example in the mean.
pub(crate) fn share_of<T: Element>(m: usize) -> T {
    T::one() / T::from_f64(m as f64)
}

/// `1 / weight`, the share in the mean of one example of weight 1; nothing if all weigh nothing.
pub(crate) fn share_of_weight<T: Element>(weight: f64) -> T {
    if weight > 0.0 { T::one() / T::from_f64(weight) } else { T::zero() }
}
