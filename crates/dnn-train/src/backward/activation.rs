//! The way back through an activation: `dZ = dA * g'(Z)`.

use dnn_core::{CoreError, Element};
use dnn_layers::Activation;
use ndarray::{Array, Array2, ArrayView, ArrayView2, Dimension};

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
pub(super) fn activation_backward<T: Element, D: Dimension>(
    da: ArrayView<'_, T, D>,
    z: ArrayView<'_, T, D>,
    a: ArrayView<'_, T, D>,
    activation: Activation,
) -> Result<Array<T, D>, CoreError> {
    CoreError::expect_shape("dA", z.raw_dim(), da.raw_dim())?;
    CoreError::expect_shape("A", z.raw_dim(), a.raw_dim())?;
    let mut dz = da.to_owned();
    activation.apply_derivative(z, a, dz.view_mut());
    Ok(dz)
}

/// `dZ` of a `ReLU`: `dA` where `Z > 0`, else 0, number by number.
///
/// # Shapes
/// Both, and the result, are of one shape with any number of axes: `(n, m)` behind a dense layer,
/// `(m, n_H, n_W, n_C)` behind a convolution.
///
/// # Errors
/// [`CoreError::Shape`] if they differ.
///
/// # Examples
/// ```
/// use dnn_train::relu_backward;
/// use ndarray::array;
///
/// // One picture of 1 x 3 pixels with one channel.
/// let (da, z) = (array![[[[5.0], [6.0], [7.0]]]], array![[[[-1.0], [0.0], [2.0]]]]);
/// assert_eq!(relu_backward(da.view(), z.view())?, array![[[[0.0], [0.0], [7.0]]]]);
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
pub fn relu_backward<T: Element, D: Dimension>(
    da: ArrayView<'_, T, D>,
    z: ArrayView<'_, T, D>,
) -> Result<Array<T, D>, CoreError> {
    activation_backward(da, z.clone(), z, Activation::Relu)
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
