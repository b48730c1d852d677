//! The functions of the course whose published numbers need their literal form.
//!
//! | the course | here |
//! |---|---|
//! | `sigmoid`, `relu` | [`Activation::value`], [`Activation::apply`] |
//! | `sigmoid_backward`, `relu_backward` | [`crate::sigmoid_backward`], [`crate::relu_backward`] |
//! | `initialize_parameters`, `initialize_parameters_deep` | [`dnn_core::initialize_parameters`], [`dnn_core::initialize_parameters_deep`] |
//! | `linear_forward`, `linear_activation_forward` | [`dnn_layers::linear_forward`], [`dnn_layers::linear_activation_forward`] |
//! | `L_model_forward` | [`dnn_layers::model_forward`] |
//! | `compute_cost` | [`compute_cost`] |
//! | `linear_backward`, `linear_activation_backward` | [`crate::linear_backward`], [`crate::linear_activation_backward`] |
//! | `L_model_backward` | [`model_backward`] |
//! | `update_parameters` | [`crate::update_parameters`] |
//! | `two_layer_model`, `L_layer_model` | [`l_layer_model`], with three widths or more |
//! | `predict` | [`predict`] |
//! | `random_mini_batches` | [`random_mini_batches`] |
//! | `gradient_check_n` | [`crate::check_gradients`] |
//! | `np.random.seed` | [`RandomStream::numpy_legacy`] |
//! | `zero_pad`, `conv_single_step`, `conv_forward` | [`zero_pad`], [`conv_single_step`], [`conv_forward`] |
//! | `pool_forward` | [`pool_forward`] |
//! | `conv_backward` | [`conv_backward`] |
//! | `create_mask_from_window`, `distribute_value`, `pool_backward` | [`create_mask_from_window`], [`distribute_value`], [`pool_backward`] |
//! | `identity_block` | [`identity_block`] |
//!
//! The functions of whole networks start the backward pass at `dAL = -(Y / AL - (1 - Y) / (1 - AL))`, for any `AL`, even
//! one that is no probability, and divide by what they are told to. Training itself goes from the
//! logits, where nothing divides by 0 and no logarithm of 0 is taken.

use dnn_core::{
    CoreError, Element, Features, Initializer, Parameters, RandomStream, Shape,
    initialize_parameters_deep,
};
use dnn_layers::{Activation, Head, LayerCache, Network, model_forward};
pub use dnn_layers::{
    ConvBatchNorm, ConvCache, ConvSettings, PoolCache, PoolMode, PoolSettings, conv_forward,
    conv_output_size, conv_single_step, identity_block, pool_forward, zero_pad,
};
use dnn_store::Scalar;
use ndarray::{Array2, ArrayView2, Zip};
use rand::Rng;

use crate::{Batch, Examples, ModelGradients, TrainError, Trainer, sigmoid_backward, unobserved};
pub use crate::{
    ConvGradients, conv_backward, create_mask_from_window, distribute_value, pool_backward,
};

/// `-(1/m) sum(Y ln AL + (1 - Y) ln(1 - AL))`, as written: infinite for a sure
/// and wrong answer, not a number for a sure and right one (`0 ln 0`).
///
/// # Shapes
/// Both are `(1, m)`.
///
/// # Errors
/// [`CoreError::Shape`] if they differ, [`CoreError::Invalid`] without examples.
///
/// # Examples
/// ```
/// use dnn_train::course::compute_cost;
/// use ndarray::array;
///
/// let cost = compute_cost(array![[0.8, 0.9, 0.4]].view(), array![[1.0, 1.0, 1.0]].view())?;
/// assert!((cost - 0.41493159961539694_f64).abs() < 1e-15);
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
pub fn compute_cost<T: Element>(
    al: ArrayView2<'_, T>,
    y: ArrayView2<'_, T>,
) -> Result<T, CoreError> {
    CoreError::expect_shape("Y", al.dim(), y.dim())?;
    CoreError::expect_examples(al.ncols())?;
    let one = T::one();
    let sum = Zip::from(al)
        .and(y)
        .fold(T::zero(), |sum, &a, &y| sum + y * a.ln() + (one - y) * (one - a).ln());
    Ok(-sum / T::from_f64(al.ncols() as f64))
}

/// All gradients of a network with `ReLU` hidden layers and a sigmoid at the end, from the literal
/// `dAL`.
///
/// # Shapes
/// | `al`, `y` | `x` | `caches` |
/// |---|---|---|
/// | `(1, m)` | `(n_x, m)` | what [`model_forward`] gave |
///
/// # Errors
/// As [`model_backward`](crate::model_backward).
pub fn model_backward<T: Element>(
    al: ArrayView2<'_, T>,
    y: ArrayView2<'_, T>,
    x: ArrayView2<'_, T>,
    parameters: &Parameters<T>,
    caches: &[LayerCache<T>],
) -> Result<ModelGradients<T>, CoreError> {
    CoreError::expect_shape("Y", al.dim(), y.dim())?;
    let last = caches.last().ok_or(CoreError::TooFewWidths { found: 0 })?;
    let dal = cost_gradient(al, y);
    let dz = sigmoid_backward(dal.view(), last.z.view())?;
    crate::model_backward(dz.view(), x, parameters, caches, Activation::Relu)
}

/// `dAL = -(Y / AL - (1 - Y) / (1 - AL))`.
///
/// # Shapes
/// All are `(1, m)`.
///
/// # Panics
/// If the shapes differ.
pub fn cost_gradient<T: Element>(al: ArrayView2<'_, T>, y: ArrayView2<'_, T>) -> Array2<T> {
    let one = T::one();
    Zip::from(al).and(y).map_collect(|&a, &y| -(y / a - (one - y) / (one - a)))
}

/// The course's `L_layer_model`: full-batch gradient descent on `[linear -> ReLU] x (L-1) -> linear
/// -> sigmoid`. Gives the parameters and the cost before each iteration.
///
/// # Shapes
/// | `x` | `labels` | `layer_dims` |
/// |---|---|---|
/// | `(n_x, m)` | `m` numbers, 0 or 1 | `[n_x, n_1, …, 1]` |
///
/// # Errors
/// [`TrainError`] if something does not fit, or stops being finite.
///
/// # Examples
/// ```
/// use dnn_core::{Features, Initializer, RandomStream};
/// use dnn_train::course::l_layer_model;
/// use ndarray::array;
///
/// let x = array![[0.0, 1.0, 2.0, 3.0]];
/// let mut stream = RandomStream::numpy_legacy(1);
/// let (_, costs) = l_layer_model::<f64, _>(
///     &Features::Real(x.view()), &[0, 0, 1, 1], &[1, 4, 1], 0.1, 200, Initializer::InverseSqrt,
///     &mut stream,
/// )?;
/// assert!(costs[199] < costs[0]);
/// # Ok::<(), dnn_train::TrainError>(())
/// ```
pub fn l_layer_model<'a, T: Element + Scalar, R: Rng>(
    x: &Features<'a, T>,
    labels: &'a [u32],
    layer_dims: &[usize],
    learning_rate: f64,
    iterations: u64,
    initializer: Initializer,
    stream: &mut RandomStream<R>,
) -> Result<(Parameters<T>, Vec<f64>), TrainError> {
    let parameters = initialize_parameters_deep(layer_dims, initializer, stream)?;
    let mut network = network_of(parameters)?;
    let trainer =
        Trainer { learning_rate, epochs: iterations, batch: Batch::Full, ..Trainer::default() };
    let examples = Examples::classes(*x, labels);
    let history = trainer.fit(&mut network, &examples, None, &mut unobserved)?;
    Ok((network.dense_parameters(), history.costs().collect()))
}

/// The course's network with these parameters: `ReLU` hidden layers, one sigmoid output, classes
/// `0` and `1`.
///
/// # Errors
/// [`TrainError`] if the parameters do not chain or do not end in one output.
pub fn network_of<T: Element>(parameters: Parameters<T>) -> Result<Network<T>, TrainError> {
    let widths = parameters.widths()?;
    let builder = Network::<T>::builder(Shape::flat(widths[0]))
        .hidden(&widths[1..widths.len() - 1], Activation::Relu)
        .classes(["0", "1"]);
    Ok(builder.build_with(parameters)?)
}

/// The course's `predict`: 1 where `AL` is strictly above 0.5, else 0.
///
/// # Shapes
/// `x` is `(n_x, m)`, the result `(1, m)`.
///
/// # Errors
/// [`CoreError::Shape`] if the parameters do not chain or `x` does not fit.
pub fn predict<T: Element>(
    x: ArrayView2<'_, T>,
    parameters: &Parameters<T>,
) -> Result<Array2<T>, CoreError> {
    let caches = model_forward(x, parameters, Activation::Relu, Head::Sigmoid)?;
    let al = &caches[caches.len() - 1].a;
    Ok(al.mapv(|p| if p > T::from_f64(0.5) { T::one() } else { T::zero() }))
}

/// The course's `random_mini_batches`: the columns `0..m` in random order, cut into batches of
/// `size`; the last may be smaller.
///
/// # Panics
/// If `size` is 0.
pub fn random_mini_batches<R: Rng>(
    m: usize,
    size: usize,
    stream: &mut RandomStream<R>,
) -> Vec<Vec<usize>> {
    stream.permutation(m).chunks(size).map(<[usize]>::to_vec).collect()
}
