//! The backward pass, step by step.
//!
//! Each function gives new arrays with all that a reader wants to look at. The trainer runs the
//! same formulas over its own buffers.

use dnn_core::{Columns, CoreError, Element, Features, LayerParameters, Parameters, multiply};
use dnn_kernels::{KernelPath, PlainLoop};
use dnn_layers::{Activation, LayerCache};
use ndarray::{Array2, ArrayView2, ArrayViewMut1, ArrayViewMut2, ShapeBuilder};

/// The gradients at one layer.
///
/// # Shapes
/// | `da_prev` | `weights` | `bias` |
/// |---|---|---|
/// | `(n_prev, m)` | `(n, n_prev)` | `(n, 1)` |
#[derive(Debug, Clone, PartialEq)]
pub struct LinearGradients<T> {
    /// `dA_prev = W^T dZ`.
    pub da_prev: Array2<T>,
    /// `dW = dZ A_prev^T / m`.
    pub weights: Array2<T>,
    /// `db`: the sum of each row of `dZ`, over `m`.
    pub bias: Array2<T>,
}

/// The gradients of a whole network.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelGradients<T> {
    /// `dA0, dA1, …, dA(L-1)`: `da[l]` belongs to the output of layer `l`, `da[0]` to the input.
    pub da: Vec<Array2<T>>,
    /// `dW` and `db` of each layer.
    pub parameters: Parameters<T>,
}

/// From `dZ` to `dA_prev`, `dW` and `db`.
///
/// # Shapes
/// | `dz` | `a_prev` | `weights` |
/// |---|---|---|
/// | `(n, m)` | `(n_prev, m)` | `(n, n_prev)` |
///
/// # Errors
/// [`CoreError::Shape`] if they do not fit, [`CoreError::Invalid`] without examples.
///
/// # Examples
/// ```
/// use dnn_train::linear_backward;
/// use ndarray::array;
///
/// // One unit, two inputs, one example: dA_prev = W^T dZ, dW = dZ A_prev^T.
/// let (dz, a_prev, weights) = (array![[2.0]], array![[3.0], [5.0]], array![[7.0, 11.0]]);
/// let gradients = linear_backward(dz.view(), a_prev.view(), weights.view())?;
/// assert_eq!(gradients.da_prev, array![[14.0], [22.0]]);
/// assert_eq!(gradients.weights, array![[6.0, 10.0]]);
/// assert_eq!(gradients.bias, array![[2.0]]);
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
pub fn linear_backward<T: Element>(
    dz: ArrayView2<'_, T>,
    a_prev: ArrayView2<'_, T>,
    weights: ArrayView2<'_, T>,
) -> Result<LinearGradients<T>, CoreError> {
    let (n, n_prev) = weights.dim();
    let m = dz.ncols();
    CoreError::expect_examples(m)?;
    CoreError::expect_shape("dZ", (n, m), dz.dim())?;
    CoreError::expect_shape("A_prev", (n_prev, m), a_prev.dim())?;
    let mut da_prev = Array2::zeros((n_prev, m).f());
    propagate(weights, dz, da_prev.view_mut());
    let share = share_of(m);
    let mut dw = Array2::zeros((n, n_prev));
    let columns = Columns::Run { start: 0, len: m };
    let features = Features::Real(a_prev);
    features.accumulate_gradient(share, dz, 0..n_prev, columns, &mut Vec::new(), dw.view_mut());
    let mut db = Array2::zeros((n, 1));
    accumulate_bias(dz, db.view_mut());
    db *= share;
    Ok(LinearGradients { da_prev, weights: dw, bias: db })
}

/// `1 / m`, the share of one example in the mean.
pub(crate) fn share_of<T: Element>(m: usize) -> T {
    T::one() / T::from_f64(m as f64)
}

/// `1 / weight`, the share in the mean of one example of weight 1; nothing if all weigh nothing.
pub(crate) fn share_of_weight<T: Element>(weight: f64) -> T {
    if weight > 0.0 { T::one() / T::from_f64(weight) } else { T::zero() }
}

/// `dA_prev = W^T dZ`.
pub(crate) fn propagate<T: Element>(
    weights: ArrayView2<'_, T>,
    dz: ArrayView2<'_, T>,
    da_prev: ArrayViewMut2<'_, T>,
) {
    multiply(T::one(), weights.reversed_axes(), dz, T::zero(), da_prev);
}

/// Adds the sum of each row of `dz` to `db`, example after example.
pub(crate) fn accumulate_bias<T: Element>(dz: ArrayView2<'_, T>, mut db: ArrayViewMut2<'_, T>) {
    KernelPath::best().vectorized(AddExamples { dz, db: db.column_mut(0) });
}

struct AddExamples<'a, T> {
    dz: ArrayView2<'a, T>,
    db: ArrayViewMut1<'a, T>,
}

impl<T: Element> PlainLoop for AddExamples<'_, T> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
    #[inline(always)]
    fn run(self) {
        let Self { dz, mut db } = self;
        for example in dz.columns() {
            if let (Some(dz), Some(db)) = (example.to_slice(), db.as_slice_mut()) {
                for (sum, &dz) in db.iter_mut().zip(dz) {
                    *sum += dz;
                }
            } else {
                db += &example;
            }
        }
    }
}

/// `dZ = dA * g'(Z)` for any activation; `a` is `g(Z)`.
fn activation_backward<T: Element>(
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

/// From `dA` of a layer to `dA_prev`, `dW` and `db`.
///
/// # Shapes
/// | `da` | `a_prev` | `weights` | `cache` |
/// |---|---|---|---|
/// | `(n, m)` | `(n_prev, m)` | `(n, n_prev)` | `(n, m)` twice |
///
/// # Errors
/// [`CoreError::Shape`] if they do not fit.
pub fn linear_activation_backward<T: Element>(
    da: ArrayView2<'_, T>,
    a_prev: ArrayView2<'_, T>,
    weights: ArrayView2<'_, T>,
    cache: &LayerCache<T>,
    activation: Activation,
) -> Result<LinearGradients<T>, CoreError> {
    let dz = activation_backward(da, cache.z.view(), cache.a.view(), activation)?;
    linear_backward(dz.view(), a_prev, weights)
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
