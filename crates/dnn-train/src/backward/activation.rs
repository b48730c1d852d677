//! The way back through an activation: `dZ = dA * g'(Z)`.

use dnn_core::{CoreError, Element};
use dnn_layers::Activation;
use ndarray::{Array2, ArrayView2};

use super::{Backward, BackwardStep};

impl<T: Element> Backward<T> for Activation {
    fn input_gradient(&self, step: BackwardStep<'_, '_, T>) {
        let BackwardStep { input, output, gradient, .. } = step;
        self.apply_derivative(
            input.expect("an activation has numbers before it"),
            output,
            gradient,
        );
    }
}

/// `dZ = dA * g'(Z)` for any activation; `a` is `g(Z)`.
pub(super) fn activation_backward<T: Element>(
    da: ArrayView2<'_, T>,
    z: ArrayView2<'_, T>,
    a: ArrayView2<'_, T>,
    activation: Activation,
) -> Result<Array2<T>, CoreError> {
    CoreError::expect_shape("dA", z.dim(), da.dim())?;
    CoreError::expect_shape("A", z.dim(), a.dim())?;
    let mut dz = da.to_owned();
    activation.apply_derivative(z, a, dz.view_mut());
    Ok(dz)
}

/// `dZ` of a `ReLU`: `dA` where `Z > 0`, else 0.
///
/// # Shapes
/// Both, and the result, are `(n, m)`.
///
/// # Errors
/// [`CoreError::Shape`] if they differ.
pub fn relu_backward<T: Element>(
    da: ArrayView2<'_, T>,
    z: ArrayView2<'_, T>,
) -> Result<Array2<T>, CoreError> {
    activation_backward(da, z, z, Activation::Relu)
}

/// `dZ` of a sigmoid `s`: `dA * s * (1 - s)`.
///
/// # Shapes
/// Both, and the result, are `(n, m)`.
///
/// # Errors
/// [`CoreError::Shape`] if they differ.
pub fn sigmoid_backward<T: Element>(
    da: ArrayView2<'_, T>,
    z: ArrayView2<'_, T>,
) -> Result<Array2<T>, CoreError> {
    let s = z.mapv(|z| Activation::Sigmoid.value(z));
    activation_backward(da, z, s.view(), Activation::Sigmoid)
}
