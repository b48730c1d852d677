//! The backward pass of a whole network, step by step.
//!
//! Each function gives new arrays with all that a reader wants to look at. The trainer runs the same formulas over
//! its own buffers.

use dnn_core::{CoreError, Element, LayerParameters, Parameters};
use dnn_layers::{Activation, LayerCache};
use ndarray::{Array2, ArrayView2};

use super::dense::{LinearGradients, linear_activation_backward, linear_backward};

/// The gradients of a whole network.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelGradients<T> {
    /// `dA0, dA1, …, dA(L-1)`: `da[l]` belongs to the output of layer `l`, `da[0]` to the input.
    pub da: Vec<Array2<T>>,
    /// `dW` and `db` of each layer.
    pub parameters: Parameters<T>,
}

/// The gradients of all layers, from `dZ` of the last.
///
/// With a sigmoid or softmax head and its cross-entropy, that is `AL - Y`.
///
/// # Shapes
/// | `dz_last` | `x` | `caches` |
/// |---|---|---|
/// | `(n_L, m)` | `(n_x, m)` | what [`model_forward`](dnn_layers::model_forward) gave |
///
/// # Errors
/// [`CoreError::Shape`] if something does not fit, [`CoreError::TooFewWidths`] without layers,
/// [`CoreError::Invalid`] with another number of caches than of layers.
pub fn model_backward<T: Element>(
    dz_last: ArrayView2<'_, T>,
    x: ArrayView2<'_, T>,
    parameters: &Parameters<T>,
    caches: &[LayerCache<T>],
    activation: Activation,
) -> Result<ModelGradients<T>, CoreError> {
    let depth = parameters.layers.len();
    if depth == 0 {
        return Err(CoreError::TooFewWidths { found: 0 });
    }
    if caches.len() != depth {
        return Err(CoreError::Invalid {
            what: "caches",
            expected: "one per layer",
            found: format!("{} for {depth} layers", caches.len()),
        });
    }
    let mut layers = Vec::with_capacity(depth);
    let mut da: Vec<Array2<T>> = Vec::with_capacity(depth);
    for l in (0..depth).rev() {
        let weights = parameters.layers[l].weights.view();
        let a_prev = if l == 0 { x } else { caches[l - 1].a.view() };
        let LinearGradients { da_prev, weights, bias } = match da.last() {
            None => linear_backward(dz_last, a_prev, weights)?,
            Some(da) => {
                linear_activation_backward(da.view(), a_prev, weights, &caches[l], activation)?
            }
        };
        layers.push(LayerParameters { weights, bias });
        da.push(da_prev);
    }
    layers.reverse();
    da.reverse();
    Ok(ModelGradients { da, parameters: Parameters { layers } })
}
