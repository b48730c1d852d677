//! The way back through a dense layer: `dA_prev = W^T dZ`, `dW = dZ A_prev^T / m`, `db = sum(dZ) / m`.

use dnn_core::{Columns, CoreError, Element, Features, Shape, multiply};
use dnn_kernels::bf16;
use dnn_kernels::{KernelPath, Kernels, NonZeroIndex, PlainLoop};
use dnn_layers::{Activation, Dense, LayerCache};
use ndarray::{Array2, ArrayView2, ArrayViewMut1, ArrayViewMut2, Axis, ShapeBuilder};

use super::activation::activation_backward;
use super::{Backward, BackwardStep, GradientBy, share_of};
use crate::convolution_memory::{ConvolutionMemory, DensePairs};

impl<T: Element> Backward<T> for Dense {
    fn gradient_by(&self) -> GradientBy {
        GradientBy::Block
    }

    fn is_in_place(&self) -> bool {
        false
    }

    fn reserve(&self, input: Shape, memory: &mut ConvolutionMemory<T>) {
        let (inputs, examples) = (input.height * input.width * input.channels, memory.examples);
        if let Some(pairs) = &mut memory.pairs {
            pairs.left.reserve(examples, self.units);
            pairs.right.reserve(self.units, inputs.min(AT_A_TIME));
        }
    }

    fn input_gradient(&self, step: BackwardStep<'_, '_, T>) {
        let BackwardStep {
            tensors, gradient, input_gradient: Some(to), non_zero, convolution, ..
        } = step
        else {
            return;
        };
        if let Some(pairs) = &mut convolution.pairs {
            return propagate_pairs(pairs, tensors[0].values(), gradient.view(), to);
        }
        propagate_sparse(non_zero, tensors[0].values(), gradient.view(), to);
    }
}

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

/// `dA_prev = W^T dZ`.
pub(crate) fn propagate<T: Element>(
    weights: ArrayView2<'_, T>,
    dz: ArrayView2<'_, T>,
    da_prev: ArrayViewMut2<'_, T>,
) {
    multiply(T::one(), weights.reversed_axes(), dz, T::zero(), da_prev);
}

/// The same without the numbers of `dZ` that are 0, on vector kernels where there are any.
fn propagate_sparse<T: Element>(
    non_zero: &mut NonZeroIndex<T>,
    weights: ArrayView2<'_, T>,
    dz: ArrayView2<'_, T>,
    mut da_prev: ArrayViewMut2<'_, T>,
) {
    if !T::Kernels::VECTOR {
        return propagate(weights, dz, da_prev);
    }
    let by_example = dz.reversed_axes();
    da_prev.fill(T::zero());
    non_zero.fill(by_example);
    let path = KernelPath::best();
    non_zero.multiply_sparse(path, by_example, weights, da_prev.reversed_axes());
}

/// Inputs of which weights become pairs at a time.
const AT_A_TIME: usize = 256;

/// The same in bf16.
fn propagate_pairs<T: Element>(
    pairs: &mut DensePairs,
    weights: ArrayView2<'_, T>,
    dz: ArrayView2<'_, T>,
    mut da_prev: ArrayViewMut2<'_, T>,
) {
    da_prev.fill(T::zero());
    let DensePairs { left, right } = pairs;
    left.fill(dz.reversed_axes());
    let mut by_example = da_prev.reversed_axes();
    let parts = by_example.axis_chunks_iter_mut(Axis(1), AT_A_TIME);
    for (weights, to) in weights.axis_chunks_iter(Axis(1), AT_A_TIME).zip(parts) {
        right.fill(weights);
        bf16::multiply(left.all(), right, to);
    }
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
