//! The way back through a convolution and a pooling, step by step, as the course has it.
//!
//! The forward pass, its shapes and its formulas are in `dnn-layers`: [`conv_forward`](dnn_layers::conv_forward) and
//! [`pool_forward`](dnn_layers::pool_forward). What a pixel of the result gets of the gradient goes back to the window
//! that the pixel came from, at the same stride:
//!
//! ```text
//! for each picture i, row h, column w and filter c:
//!     window = [i, h stride .. h stride + f, w stride .. w stride + f, all channels]
//!     dA_prev_pad[window]  += W[.., .., .., c] * dZ[i, h, w, c]
//!     dW[.., .., .., c]    += A_prev_pad[window] * dZ[i, h, w, c]
//!     db[c]                += dZ[i, h, w, c]
//! dA_prev = dA_prev_pad without its border
//! ```
//!
//! The sums are over the pictures too, and are not divided by their number: that is for whoever makes `dZ`.
//!
//! # References
//! LeCun, Bottou, Bengio and Haffner (1998), Gradient-based learning applied to document recognition.

use dnn_core::{CoreError, Element};
use dnn_layers::{
    ConvCache, ConvSettings, MAX_STEP_NUMBERS, PoolCache, PoolMode, PoolSettings, zero_pad,
};
use ndarray::{Array2, Array4, ArrayView2, ArrayView4, Zip, s};

/// The gradients at one convolution.
///
/// # Shapes
/// | `da_prev` | `weights` | `bias` |
/// |---|---|---|
/// | `(m, n_H_prev, n_W_prev, n_C_prev)` | `(f, f, n_C_prev, n_C)` | `(1, 1, 1, n_C)` |
#[derive(Debug, Clone, PartialEq)]
pub struct ConvGradients<T> {
    /// `dA_prev`: each window's filters times `dZ`, added where the windows overlap.
    pub da_prev: Array4<T>,
    /// `dW`: the sum of all windows times `dZ`.
    pub weights: Array4<T>,
    /// `db`: the sum of `dZ` over pictures, rows and columns.
    pub bias: Array4<T>,
}

/// From `dZ` to `dA_prev`, `dW` and `db`, each a sum over the pictures.
///
/// # Shapes
/// | `dz` | `cache` |
/// |---|---|
/// | `(m, n_H, n_W, n_C)` | what [`conv_forward`](dnn_layers::conv_forward) gave |
///
/// # Errors
/// [`CoreError::Shape`] if `dz` has another shape than `Z`; what
/// [`ConvCache::output_shape`] finds wrong with the cache.
///
/// # Examples
/// ```
/// use dnn_layers::{ConvSettings, conv_forward};
/// use dnn_train::conv_backward;
/// use ndarray::{Array4, array};
///
/// // One picture of 1 x 3 pixels in a border of 1, and one filter of 2 x 2. The upper row of both windows, and the
/// // lower left pixel of the first, are border.
/// let a_prev = array![[[[3.0], [5.0], [7.0]]]];
/// let weights = array![[[[1.0]], [[2.0]]], [[[10.0]], [[20.0]]]];
/// let settings = ConvSettings { stride: 2, pad: 1 };
/// let bias = Array4::zeros((1, 1, 1, 1));
/// let (z, cache) = conv_forward(a_prev.view(), weights.view(), bias.view(), settings)?;
/// // 20 * 3 and 10 * 5 + 20 * 7.
/// assert_eq!(z, array![[[[60.0], [190.0]]]]);
/// let gradients = conv_backward(array![[[[1.0], [-1.0]]]].view(), &cache)?;
/// assert_eq!(gradients.da_prev, array![[[[20.0], [-10.0], [-20.0]]]]);
/// assert_eq!(gradients.weights, array![[[[0.0]], [[0.0]]], [[[-5.0]], [[-4.0]]]]);
/// assert_eq!(gradients.bias, array![[[[0.0]]]]);
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
pub fn conv_backward<T: Element>(
    dz: ArrayView4<'_, T>,
    cache: &ConvCache<'_, T>,
) -> Result<ConvGradients<T>, CoreError> {
    let ConvCache { a_prev, weights, settings: ConvSettings { stride, pad } } = *cache;
    CoreError::expect_shape("dZ (m, n_H, n_W, n_C)", cache.output_shape()?, dz.dim().into())?;
    let (f, _, _, n_c) = weights.dim();
    let (_, n_h_prev, n_w_prev, _) = a_prev.dim();
    let a_prev_pad = zero_pad(a_prev, pad)?;
    let mut da_prev_pad = Array4::zeros(a_prev_pad.raw_dim());
    let mut dw = Array4::zeros(weights.raw_dim());
    let mut db = Array4::zeros((1, 1, 1, n_c));
    for ((i, h, w, c), &dz) in dz.indexed_iter() {
        let (top, left) = (h * stride, w * stride);
        let window = s![i, top..top + f, left..left + f, ..];
        let filter = s![.., .., .., c];
        da_prev_pad.slice_mut(window).scaled_add(dz, &weights.slice(filter));
        dw.slice_mut(filter).scaled_add(dz, &a_prev_pad.slice(window));
        db[[0, 0, 0, c]] += dz;
    }
    let inside = s![.., pad..pad + n_h_prev, pad..pad + n_w_prev, ..];
    Ok(ConvGradients { da_prev: da_prev_pad.slice(inside).to_owned(), weights: dw, bias: db })
}

/// Where the maximum of a window is: `true` at every number that is equal to it.
///
/// **Equal maxima**: all of them are `true`, as in the course, so that [`pool_backward`] gives the whole gradient to each.
/// `Layer::MaxPool2d` of a network gives it to the first of them alone, row by row. With real numbers ties are rare, but
/// after a `ReLU` whole windows are often 0.
///
/// A window in which a number is NaN has no maximum: its mask is `false` everywhere.
///
/// # Shapes
/// Both are `(f, f)`.
///
/// # Examples
/// ```
/// use dnn_train::create_mask_from_window;
/// use ndarray::array;
///
/// let window = array![[1.0, 4.0], [4.0, 2.0]];
/// assert_eq!(create_mask_from_window(window.view()), array![[false, true], [true, false]]);
/// ```
pub fn create_mask_from_window<T: Element>(window: ArrayView2<'_, T>) -> Array2<bool> {
    let largest = PoolMode::Max.apply(window);
    window.mapv(|x| x == largest)
}

/// `dz` spread evenly over a window: `dz / (rows columns)` everywhere.
///
/// # Shapes
/// The result is `(rows, columns)`.
///
/// # Errors
/// [`CoreError::Invalid`] without rows or columns, or beyond [`MAX_STEP_NUMBERS`].
///
/// # Examples
/// ```
/// use dnn_train::distribute_value;
/// use ndarray::array;
///
/// assert_eq!(distribute_value(2.0, 2, 2)?, array![[0.5, 0.5], [0.5, 0.5]]);
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
pub fn distribute_value<T: Element>(
    dz: T,
    rows: usize,
    columns: usize,
) -> Result<Array2<T>, CoreError> {
    match rows.checked_mul(columns) {
        Some(count) if (1..=MAX_STEP_NUMBERS).contains(&count) => {
            Ok(Array2::from_elem((rows, columns), dz / T::from_f64(count as f64)))
        }
        _ => Err(CoreError::Invalid {
            what: "window (rows, columns)",
            expected: "at least 1 and at most 2^28 numbers",
            found: format!("shape ({rows}, {columns})"),
        }),
    }
}

/// From `dA` of a pooling to `dA_prev`.
///
/// Each number of `dA` goes back to its window, in its channel: with [`PoolMode::Max`] to where the maximum is, with
/// [`PoolMode::Average`] in equal shares. Where windows overlap, what they give is added.
///
/// **Equal maxima** of a window each get the whole number: [`create_mask_from_window`].
///
/// # Shapes
/// | `da` | `cache` | result |
/// |---|---|---|
/// | `(m, n_H, n_W, n_C)` | what [`pool_forward`](dnn_layers::pool_forward) gave | `(m, n_H_prev, n_W_prev, n_C)` |
///
/// # Errors
/// [`CoreError::Shape`] if `da` has another shape than `A`; what [`PoolCache::output_shape`] finds wrong with the cache.
///
/// # Examples
/// ```
/// use dnn_layers::{PoolMode, PoolSettings, pool_forward};
/// use dnn_train::pool_backward;
/// use ndarray::array;
///
/// // One picture of 2 x 2 pixels, one window.
/// let a_prev = array![[[[1.0], [9.0]], [[3.0], [4.0]]]];
/// let settings = PoolSettings { window: 2, stride: 1, mode: PoolMode::Max };
/// let (_, cache) = pool_forward(a_prev.view(), settings)?;
/// let da = array![[[[8.0]]]];
/// assert_eq!(pool_backward(da.view(), &cache)?, array![[[[0.0], [8.0]], [[0.0], [0.0]]]]);
/// let settings = PoolSettings { mode: PoolMode::Average, ..settings };
/// let (_, cache) = pool_forward(a_prev.view(), settings)?;
/// assert_eq!(pool_backward(da.view(), &cache)?, array![[[[2.0], [2.0]], [[2.0], [2.0]]]]);
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
pub fn pool_backward<T: Element>(
    da: ArrayView4<'_, T>,
    cache: &PoolCache<'_, T>,
) -> Result<Array4<T>, CoreError> {
    let PoolCache { a_prev, settings: PoolSettings { window: f, stride, mode } } = *cache;
    CoreError::expect_shape("dA (m, n_H, n_W, n_C)", cache.output_shape()?, da.dim().into())?;
    let mut da_prev = Array4::zeros(a_prev.raw_dim());
    for ((i, h, w, c), &da) in da.indexed_iter() {
        let (top, left) = (h * stride, w * stride);
        let window = s![i, top..top + f, left..left + f, c];
        let mut da_window = da_prev.slice_mut(window);
        match mode {
            PoolMode::Max => {
                let mask = create_mask_from_window(a_prev.slice(window));
                Zip::from(&mut da_window).and(&mask).for_each(|to, &is_largest| {
                    if is_largest {
                        *to += da;
                    }
                });
            }
            PoolMode::Average => da_window += &distribute_value(da, f, f)?,
        }
    }
    Ok(da_prev)
}
