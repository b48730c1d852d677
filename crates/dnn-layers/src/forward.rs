//! The forward pass, step by step, and the caches that the backward pass reads.
//!
//! A cache holds `Z` and `A` of a layer, nothing else: the inputs and the parameters are the
//! caller's already, and a copy of them would only cost memory.

use dnn_core::{Columns, CoreError, Element, Features, LayerParameters, Parameters};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, ShapeBuilder, s};

use crate::{Activation, Head};

/// `Z` and `A` of one layer.
///
/// # Shapes
/// Both are `(n[l], m)`.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerCache<T> {
    /// `W A_prev + b`.
    pub z: Array2<T>,
    /// `g(Z)`.
    pub a: Array2<T>,
}

/// `Z = W A_prev + b`.
///
/// # Shapes
/// | `a_prev` | `weights` | `bias` | result |
/// |---|---|---|---|
/// | `(n_prev, m)` | `(n, n_prev)` | `(n, 1)` | `(n, m)` |
///
/// # Errors
/// [`CoreError::Shape`] if they do not fit.
pub fn linear_forward<T: Element>(
    a_prev: ArrayView2<'_, T>,
    weights: ArrayView2<'_, T>,
    bias: ArrayView2<'_, T>,
) -> Result<Array2<T>, CoreError> {
    let (n, n_prev) = weights.dim();
    let m = a_prev.ncols();
    CoreError::expect_shape("A_prev", (n_prev, m), a_prev.dim())?;
    CoreError::expect_shape("bias", (n, 1), bias.dim())?;
    let mut z = Array2::zeros((n, m).f());
    let columns = Columns::Run { start: 0, len: m };
    let features = Features::Real(a_prev);
    linear_into(&features, columns, weights, bias, &mut Vec::new(), z.view_mut());
    Ok(z)
}

/// `Z = W A_prev + b` and `A = g(Z)`.
///
/// # Shapes
/// As [`linear_forward`]; both results are `(n, m)`.
///
/// # Errors
/// [`CoreError::Shape`] if they do not fit.
pub fn linear_activation_forward<T: Element>(
    a_prev: ArrayView2<'_, T>,
    weights: ArrayView2<'_, T>,
    bias: ArrayView2<'_, T>,
    activation: Activation,
) -> Result<LayerCache<T>, CoreError> {
    let z = linear_forward(a_prev, weights, bias)?;
    let mut a = Array2::zeros(z.dim().f());
    activation.apply(z.view(), a.view_mut());
    Ok(LayerCache { z, a })
}

/// `[linear -> activation] x (L-1) -> linear -> head`: the caches of all layers, the last of which
/// holds the outputs `AL`. The course's network has `ReLU` and a sigmoid head.
///
/// # Shapes
/// `x` is `(n_x, m)`; `caches[l]` holds arrays of `(n[l+1], m)`.
///
/// # Errors
/// [`CoreError::Shape`] if a layer does not fit the one before it, [`CoreError::TooFewWidths`]
/// without layers.
///
/// # Examples
/// ```
/// use dnn_core::{RandomStream, initialize_parameters};
/// use dnn_layers::{Activation, Head, model_forward};
/// use ndarray::array;
///
/// let parameters = initialize_parameters(2, 3, 1, &mut RandomStream::numpy_legacy(1))?;
/// let x = array![[0.5, -1.0], [0.25, 2.0]];
/// let caches = model_forward(x.view(), &parameters, Activation::Relu, Head::Sigmoid)?;
/// println!("Z1 = {}", caches[0].z);
/// println!("AL = {}", caches[1].a);
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
pub fn model_forward<T: Element>(
    x: ArrayView2<'_, T>,
    parameters: &Parameters<T>,
    activation: Activation,
    head: Head,
) -> Result<Vec<LayerCache<T>>, CoreError> {
    let (last, hidden) =
        parameters.layers.split_last().ok_or(CoreError::TooFewWidths { found: 0 })?;
    let mut caches: Vec<LayerCache<T>> = Vec::with_capacity(parameters.layers.len());
    for layer in hidden {
        let a_prev = caches.last().map_or(x, |cache| cache.a.view());
        let (weights, bias) = (layer.weights.view(), layer.bias.view());
        caches.push(linear_activation_forward(a_prev, weights, bias, activation)?);
    }
    let a_prev = caches.last().map_or(x, |cache| cache.a.view());
    let z = linear_forward(a_prev, last.weights.view(), last.bias.view())?;
    let mut a = Array2::zeros(z.dim().f());
    head.apply(z.view(), a.view_mut());
    caches.push(LayerCache { z, a });
    Ok(caches)
}

/// `z = W X + b` for the examples `columns` of `x`: the one place where it is computed.
fn linear_into<T: Element>(
    x: &Features<'_, T>,
    columns: Columns<'_>,
    weights: ArrayView2<'_, T>,
    bias: ArrayView2<'_, T>,
    scratch: &mut Vec<T>,
    mut z: ArrayViewMut2<'_, T>,
) {
    x.multiply_into(weights, columns, scratch, z.view_mut());
    let bias = bias.column(0);
    for mut column in z.columns_mut() {
        column += &bias;
    }
}

/// `Z` and `A` of every layer for a batch of examples, in buffers that later batches of at most
/// the same size use again.
#[derive(Debug, Clone)]
pub struct ForwardCaches<T> {
    layers: Vec<LayerCache<T>>,
    scratch: Vec<T>,
    examples: usize,
}

impl<T: Element> ForwardCaches<T> {
    /// Buffers for up to `capacity` examples of a network whose weight layers have these widths.
    pub(crate) fn new(widths: impl IntoIterator<Item = usize>, capacity: usize) -> Self {
        let buffer = |width: usize| Array2::zeros((width, capacity).f());
        let layers = widths
            .into_iter()
            .map(|width| LayerCache { z: buffer(width), a: buffer(width) })
            .collect();
        Self { layers, scratch: Vec::new(), examples: 0 }
    }

    /// How many examples the caches hold now.
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// How many weight layers there are.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there is no layer.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// `Z` of weight layer `layer`, counted from 0.
    ///
    /// # Shapes
    /// `(n[layer + 1], m)`.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn z(&self, layer: usize) -> ArrayView2<'_, T> {
        self.layers[layer].z.slice(s![.., ..self.examples])
    }

    /// `A` of weight layer `layer`, counted from 0.
    ///
    /// # Shapes
    /// `(n[layer + 1], m)`.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn a(&self, layer: usize) -> ArrayView2<'_, T> {
        self.layers[layer].a.slice(s![.., ..self.examples])
    }

    /// `Z` of the last layer, its logits.
    ///
    /// # Panics
    /// If there is no layer.
    pub fn logits(&self) -> ArrayView2<'_, T> {
        self.z(self.layers.len() - 1)
    }

    /// `A` of the last layer, the outputs `AL`.
    ///
    /// # Panics
    /// If there is no layer.
    pub fn output(&self) -> ArrayView2<'_, T> {
        self.a(self.layers.len() - 1)
    }

    /// Fills the caches of one layer after another.
    ///
    /// `functions` gives the activation or head of each layer.
    pub(crate) fn fill<'p>(
        &mut self,
        x: &Features<'_, T>,
        columns: Columns<'_>,
        layers: impl ExactSizeIterator<Item = (&'p LayerParameters<T>, LayerFunction)>,
    ) {
        assert_eq!(self.layers.len(), layers.len(), "caches of a network of another depth");
        self.examples = columns.len();
        let used = s![.., ..self.examples];
        for (l, (parameters, function)) in layers.enumerate() {
            let (done, rest) = self.layers.split_at_mut(l);
            let LayerCache { z, a } = &mut rest[0];
            let (weights, bias) = (parameters.weights.view(), parameters.bias.view());
            let (mut z, a) = (z.slice_mut(used), a.slice_mut(used));
            match done.last() {
                None => linear_into(x, columns, weights, bias, &mut self.scratch, z.view_mut()),
                Some(previous) => {
                    let a_prev = Features::Real(previous.a.slice(used));
                    let all = Columns::Run { start: 0, len: columns.len() };
                    linear_into(&a_prev, all, weights, bias, &mut self.scratch, z.view_mut());
                }
            }
            match function {
                LayerFunction::Hidden(activation) => activation.apply(z.view(), a),
                LayerFunction::Head(head) => head.apply(z.view(), a),
            }
        }
    }
}

/// What turns a layer's `Z` into its `A`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum LayerFunction {
    /// A hidden layer's activation.
    Hidden(Activation),
    /// The head of the last layer.
    Head(Head),
}
