//! The forward pass, step by step, as the course has it.
//!
//! Each function gives new arrays with all that a reader wants to look at. A network runs the same formulas over
//! its own buffers.

use dnn_core::{Columns, CoreError, Element, Features, Parameters};
use ndarray::{Array2, ArrayView2, ShapeBuilder};

use crate::layer::linear_into;
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
    let bias = bias.column(0);
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
