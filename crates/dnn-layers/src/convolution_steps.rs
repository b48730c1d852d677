//! Convolution and pooling, step by step, as the course has them.
//!
//! Pictures are arrays of `(m, n_H, n_W, n_C)`: picture, row, column, channel. A window of `f` rows and `f` columns
//! moves over them, `stride` pixels at a time, and each of its places gives one pixel of the result:
//!
//! ```text
//! n_H, n_W = floor((n_prev - f + 2 pad) / stride) + 1
//! A_prev_pad = A_prev with pad rows and columns of 0 on each side
//! for each picture i, row h, column w and filter c:
//!     window = A_prev_pad[i, h stride .. h stride + f, w stride .. w stride + f, all channels]
//!     Z[i, h, w, c] = sum(window * W[.., .., .., c]) + b[c]
//! ```
//!
//! Pooling has no weights: `A[i, h, w, c]` is the maximum or the average of the window in channel `c` alone. The
//! backward pass is in `dnn-train`: `conv_backward` and `pool_backward`.
//!
//! As everywhere in deep learning, "convolution" is the cross-correlation: the filter is not turned around.
//!
//! These functions are written to be read beside the formulas, and are slow on purpose. No array that they take or make
//! may hold more than [`MAX_STEP_NUMBERS`].
//!
//! # References
//! LeCun, Bottou, Bengio and Haffner (1998), Gradient-based learning applied to document recognition. Dumoulin and Visin
//! (2016), A guide to convolution arithmetic for deep learning, for the sizes.

use dnn_core::{CoreError, Element};
use ndarray::{Array4, ArrayView2, ArrayView3, ArrayView4, Zip, s};

/// The most numbers that an array of the step-by-step functions may hold: 2 GiB of `f64`.
pub const MAX_STEP_NUMBERS: usize = 1 << 28;

/// How the window of a convolution moves; the course's `hparameters`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ConvSettings {
    /// Pixels from one place of the window to the next, at least 1.
    pub stride: usize,
    /// Rows and columns of 0 on each side of a picture.
    pub pad: usize,
}

/// What [`conv_forward`] was given and the backward pass needs again. It has views, no copies.
#[derive(Debug, Clone, PartialEq)]
pub struct ConvCache<'a, T> {
    /// What went in, `(m, n_H_prev, n_W_prev, n_C_prev)`.
    pub a_prev: ArrayView4<'a, T>,
    /// The filters, `(f, f, n_C_prev, n_C)`.
    pub weights: ArrayView4<'a, T>,
    /// How the window moves.
    pub settings: ConvSettings,
}

impl<T> ConvCache<'_, T> {
    /// `(m, n_H, n_W, n_C)`, the shape of `Z`.
    ///
    /// # Errors
    /// [`CoreError::Shape`] if the filters are not square or are for another number of channels,
    /// [`CoreError::Invalid`] as [`conv_output_size`], and beyond [`MAX_STEP_NUMBERS`].
    pub fn output_shape(&self) -> Result<[usize; 4], CoreError> {
        let (m, n_h_prev, n_w_prev, n_c_prev) = self.a_prev.dim();
        let (f, _, _, n_c) = self.weights.dim();
        let fitting = (f, f, n_c_prev, n_c);
        CoreError::expect_shape("W (f, f, n_C_prev, n_C)", fitting, self.weights.dim())?;
        expect_size("A_prev", self.a_prev.dim().into())?;
        expect_size("W", self.weights.dim().into())?;
        let ConvSettings { stride, pad } = self.settings;
        expect_room(self.a_prev.dim().into(), f, pad)?;
        let n_h = conv_output_size(n_h_prev, f, pad, stride)?;
        let n_w = conv_output_size(n_w_prev, f, pad, stride)?;
        Ok([m, n_h, n_w, n_c])
    }
}

/// `n = floor((n_prev - f + 2 pad) / stride) + 1`: the rows (or columns) that a window of `f` rows gives when it moves
/// over `n_prev` rows with `pad` more on either side.
///
/// # Errors
/// [`CoreError::Invalid`] if `f` or `stride` is 0, if `f` is more than `n_prev + 2 pad`, and if that is no `usize`.
///
/// # Examples
/// ```
/// use dnn_layers::conv_output_size;
///
/// // "Same": a window of 3 with a border of 1 keeps the size.
/// assert_eq!(conv_output_size(64, 3, 1, 1)?, 64);
/// // (7 - 3 + 0) / 2 + 1 = 3; of 8 rows the last is left out.
/// assert_eq!(conv_output_size(7, 3, 0, 2)?, 3);
/// assert_eq!(conv_output_size(8, 3, 0, 2)?, 3);
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
pub fn conv_output_size(
    n_prev: usize,
    f: usize,
    pad: usize,
    stride: usize,
) -> Result<usize, CoreError> {
    if f == 0 {
        return invalid("f", "a window of at least 1 row and column", f);
    }
    if stride == 0 {
        return invalid("stride", "at least 1", stride);
    }
    let Some(padded) = padded_size(n_prev, pad) else {
        return invalid("pad", COUNTED, pad);
    };
    if f > padded {
        let found = format!("{f} rows for {padded} rows");
        return invalid("f", "a window no larger than the picture with what is around it", found);
    }
    Ok((padded - f) / stride + 1)
}

/// `pad` rows and columns of 0 on each side of every picture.
///
/// # Shapes
/// | `x` | result |
/// |---|---|
/// | `(m, n_H, n_W, n_C)` | `(m, n_H + 2 pad, n_W + 2 pad, n_C)` |
///
/// # Errors
/// [`CoreError::Invalid`] if the result would hold more than [`MAX_STEP_NUMBERS`].
///
/// # Examples
/// ```
/// use dnn_layers::zero_pad;
/// use ndarray::{array, s};
///
/// // One picture of 1 x 2 pixels with one channel.
/// let x = array![[[[3.0], [5.0]]]];
/// let padded = zero_pad(x.view(), 1)?;
/// assert_eq!(
///     padded.slice(s![0, .., .., 0]),
///     array![[0.0, 0.0, 0.0, 0.0], [0.0, 3.0, 5.0, 0.0], [0.0, 0.0, 0.0, 0.0]]
/// );
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
pub fn zero_pad<T: Element>(x: ArrayView4<'_, T>, pad: usize) -> Result<Array4<T>, CoreError> {
    let (m, n_h, n_w, n_c) = x.dim();
    let mut padded = zeros("padded pictures", padded_shape([m, n_h, n_w, n_c], pad)?)?;
    padded.slice_mut(s![.., pad..pad + n_h, pad..pad + n_w, ..]).assign(&x);
    Ok(padded)
}

/// One number of `Z`: `sum(a_slice_prev * W) + b`, the bias once, after the sum.
///
/// # Shapes
/// | `a_slice_prev` | `weights` | `bias` |
/// |---|---|---|
/// | `(f, f, n_C_prev)` | `(f, f, n_C_prev)` | `(1, 1, 1)` |
///
/// # Errors
/// [`CoreError::Shape`] if they do not fit.
///
/// # Examples
/// ```
/// use dnn_layers::conv_single_step;
/// use ndarray::array;
///
/// let window = array![[[1.0], [2.0]], [[3.0], [4.0]]];
/// let filter = array![[[1.0], [0.0]], [[0.0], [-1.0]]];
/// // 1 * 1 + 4 * -1 + 0.5
/// let z = conv_single_step(window.view(), filter.view(), array![[[0.5]]].view())?;
/// assert_eq!(z, -2.5);
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
pub fn conv_single_step<T: Element>(
    a_slice_prev: ArrayView3<'_, T>,
    weights: ArrayView3<'_, T>,
    bias: ArrayView3<'_, T>,
) -> Result<T, CoreError> {
    CoreError::expect_shape("W (f, f, n_C_prev)", a_slice_prev.dim(), weights.dim())?;
    CoreError::expect_shape("b (1, 1, 1)", (1, 1, 1), bias.dim())?;
    let sum =
        Zip::from(a_slice_prev).and(weights).fold(T::zero(), |sum, &a, &weight| sum + a * weight);
    Ok(sum + bias[[0, 0, 0]])
}

/// `Z`, the filters over all pictures, and what the backward pass needs.
///
/// `Z[i, h, w, c] = sum(window * W[.., .., .., c]) + b[c]`, with the window at row `h stride` and column `w stride` of
/// the padded picture `i`.
///
/// # Shapes
/// | `a_prev` | `weights` | `bias` | `Z` |
/// |---|---|---|---|
/// | `(m, n_H_prev, n_W_prev, n_C_prev)` | `(f, f, n_C_prev, n_C)` | `(1, 1, 1, n_C)` | `(m, n_H, n_W, n_C)` |
///
/// `n_H` and `n_W` are as [`conv_output_size`] has them.
///
/// # Errors
/// As [`ConvCache::output_shape`] and [`zero_pad`]; [`CoreError::Shape`] if the bias does not fit.
///
/// # Examples
/// ```
/// use dnn_layers::{ConvSettings, conv_forward};
/// use ndarray::array;
///
/// // One row of four pixels in a border of 1; the filter takes the difference of two neighbours in its lower row.
/// let a_prev = array![[[[1.0], [4.0], [9.0], [16.0]]]];
/// let weights = array![[[[0.0]], [[0.0]]], [[[-1.0]], [[1.0]]]];
/// let bias = array![[[[0.5]]]];
/// let settings = ConvSettings { stride: 2, pad: 1 };
/// let (z, _cache) = conv_forward(a_prev.view(), weights.view(), bias.view(), settings)?;
/// // Rows (1 - 2 + 2) / 2 + 1 = 1, columns (4 - 2 + 2) / 2 + 1 = 3: 1 - 0, 9 - 4, 0 - 16, and the bias.
/// assert_eq!(z, array![[[[1.5], [5.5], [-15.5]]]]);
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
pub fn conv_forward<'a, T: Element>(
    a_prev: ArrayView4<'a, T>,
    weights: ArrayView4<'a, T>,
    bias: ArrayView4<'_, T>,
    settings: ConvSettings,
) -> Result<(Array4<T>, ConvCache<'a, T>), CoreError> {
    let cache = ConvCache { a_prev, weights, settings };
    let shape = cache.output_shape()?;
    CoreError::expect_shape("b (1, 1, 1, n_C)", (1, 1, 1, shape[3]), bias.dim())?;
    let (f, stride) = (weights.dim().0, settings.stride);
    let a_prev_pad = zero_pad(a_prev, settings.pad)?;
    let mut z = zeros("Z", shape)?;
    for ((i, h, w, c), z) in z.indexed_iter_mut() {
        let (top, left) = (h * stride, w * stride);
        let a_slice_prev = a_prev_pad.slice(s![i, top..top + f, left..left + f, ..]);
        let filter = weights.slice(s![.., .., .., c]);
        *z = conv_single_step(a_slice_prev, filter, bias.slice(s![0, .., .., c..=c]))?;
    }
    Ok((z, cache))
}

/// What pooling makes of a window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PoolMode {
    /// Its largest number.
    Max,
    /// The mean of its numbers.
    Average,
}

impl PoolMode {
    /// The number that stands for the window; NaN if one of its numbers is NaN.
    ///
    /// Of an empty window, the maximum is minus infinity and the average NaN.
    pub fn apply<T: Element>(self, window: ArrayView2<'_, T>) -> T {
        match self {
            Self::Max => {
                window.fold(
                    T::neg_infinity(),
                    |largest, &x| {
                        if x > largest || x.is_nan() { x } else { largest }
                    },
                )
            }
            Self::Average => window.sum() / T::from_f64(window.len() as f64),
        }
    }
}

/// The window of a pooling, how it moves, and what is made of it; the course's `hparameters` and `mode`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolSettings {
    /// Rows and columns of the window, `f`.
    pub window: usize,
    /// Pixels from one place of the window to the next, at least 1.
    pub stride: usize,
    /// What is made of it.
    pub mode: PoolMode,
}

/// What [`pool_forward`] was given and the backward pass needs again. It has a view, no copy.
#[derive(Debug, Clone, PartialEq)]
pub struct PoolCache<'a, T> {
    /// What went in, `(m, n_H_prev, n_W_prev, n_C)`.
    pub a_prev: ArrayView4<'a, T>,
    /// The window, its way and its mode.
    pub settings: PoolSettings,
}

impl<T> PoolCache<'_, T> {
    /// `(m, n_H, n_W, n_C)`, the shape of `A`.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] as [`conv_output_size`], and beyond [`MAX_STEP_NUMBERS`].
    pub fn output_shape(&self) -> Result<[usize; 4], CoreError> {
        let (m, n_h_prev, n_w_prev, n_c) = self.a_prev.dim();
        let PoolSettings { window: f, stride, .. } = self.settings;
        expect_size("A_prev", self.a_prev.dim().into())?;
        expect_room(self.a_prev.dim().into(), f, 0)?;
        let n_h = conv_output_size(n_h_prev, f, 0, stride)?;
        let n_w = conv_output_size(n_w_prev, f, 0, stride)?;
        Ok([m, n_h, n_w, n_c])
    }
}

/// `A`, the maximum or average of each window, channel by channel, and what the backward pass needs.
///
/// `A[i, h, w, c]` is that of `A_prev[i, h stride .. h stride + f, w stride .. w stride + f, c]`. There is no padding.
///
/// # Shapes
/// | `a_prev` | `A` |
/// |---|---|
/// | `(m, n_H_prev, n_W_prev, n_C)` | `(m, n_H, n_W, n_C)` |
///
/// `n_H` and `n_W` are as [`conv_output_size`] has them with `pad` 0.
///
/// # Errors
/// As [`PoolCache::output_shape`].
///
/// # Examples
/// ```
/// use dnn_layers::{PoolMode, PoolSettings, pool_forward};
/// use ndarray::array;
///
/// // One picture of 2 x 4 pixels with one channel.
/// let a_prev = array![[[[1.0], [2.0], [5.0], [6.0]], [[3.0], [4.0], [7.0], [8.0]]]];
/// let settings = PoolSettings { window: 2, stride: 2, mode: PoolMode::Max };
/// let (a, _cache) = pool_forward(a_prev.view(), settings)?;
/// assert_eq!(a, array![[[[4.0], [8.0]]]]);
/// let settings = PoolSettings { mode: PoolMode::Average, ..settings };
/// let (a, _cache) = pool_forward(a_prev.view(), settings)?;
/// assert_eq!(a, array![[[[2.5], [6.5]]]]);
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
pub fn pool_forward<T: Element>(
    a_prev: ArrayView4<'_, T>,
    settings: PoolSettings,
) -> Result<(Array4<T>, PoolCache<'_, T>), CoreError> {
    let cache = PoolCache { a_prev, settings };
    let PoolSettings { window: f, stride, mode } = settings;
    let mut a = zeros("A", cache.output_shape()?)?;
    for ((i, h, w, c), a) in a.indexed_iter_mut() {
        let (top, left) = (h * stride, w * stride);
        *a = mode.apply(a_prev.slice(s![i, top..top + f, left..left + f, c]));
    }
    Ok((a, cache))
}

/// What a border has to be.
const COUNTED: &str = "a border that can be counted";

/// `n + 2 pad`, if that is a `usize`.
fn padded_size(n: usize, pad: usize) -> Option<usize> {
    pad.checked_mul(2)?.checked_add(n)
}

/// `(m, n_H + 2 pad, n_W + 2 pad, n_C)`.
fn padded_shape(shape: [usize; 4], pad: usize) -> Result<[usize; 4], CoreError> {
    let [m, n_h, n_w, n_c] = shape;
    match (padded_size(n_h, pad), padded_size(n_w, pad)) {
        (Some(rows), Some(columns)) => Ok([m, rows, columns, n_c]),
        _ => invalid("pad", COUNTED, format!("{pad} around {}", as_text(shape))),
    }
}

/// [`CoreError::Invalid`] if a window of `f` rows and columns does not fit in pictures with their border.
fn expect_room(pictures: [usize; 4], f: usize, pad: usize) -> Result<(), CoreError> {
    let padded = padded_shape(pictures, pad)?;
    if f <= padded[1].min(padded[2]) {
        return Ok(());
    }
    let border = if pad == 0 { "no border".to_owned() } else { format!("a border of {pad}") };
    let found = format!("({f}, {f}) for pictures of {} with {border}", as_text(pictures));
    invalid("window (f, f)", "one no larger than the picture with what is around it", found)
}

/// `(m, n_H, n_W, n_C)` in numbers.
fn as_text([m, n_h, n_w, n_c]: [usize; 4]) -> String {
    format!("({m}, {n_h}, {n_w}, {n_c})")
}

/// An array of zeros, of at most [`MAX_STEP_NUMBERS`].
fn zeros<T: Element>(what: &'static str, shape: [usize; 4]) -> Result<Array4<T>, CoreError> {
    let count = expect_size(what, shape)?;
    let mut numbers = Vec::new();
    if numbers.try_reserve_exact(count).is_err() {
        return invalid(what, "an array that fits in memory", format!("{count} numbers"));
    }
    numbers.resize(count, T::zero());
    Ok(Array4::from_shape_vec(shape, numbers).expect("as many numbers as the shape has"))
}

/// How many numbers an array of this shape has; [`CoreError::Invalid`] if they are too many.
fn expect_size(what: &'static str, shape: [usize; 4]) -> Result<usize, CoreError> {
    // An empty array counts as well: its other axes have to fit.
    let size = shape.iter().try_fold(1_usize, |size, &n| size.checked_mul(n.max(1)));
    match size {
        Some(size) if size <= MAX_STEP_NUMBERS => Ok(shape.iter().product()),
        _ => invalid(what, "an array of at most 2^28 numbers", format!("shape {}", as_text(shape))),
    }
}

fn invalid<O>(
    what: &'static str,
    expected: &'static str,
    found: impl ToString,
) -> Result<O, CoreError> {
    Err(CoreError::Invalid { what, expected, found: found.to_string() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array3, array};

    fn numbered(shape: [usize; 4]) -> Array4<f32> {
        Array4::from_shape_fn(shape, |(i, h, w, c)| (i * 1000 + h * 100 + w * 10 + c) as f32)
    }

    fn text<O: std::fmt::Debug>(refused: Result<O, CoreError>) -> String {
        refused.unwrap_err().to_string()
    }

    #[test]
    fn sizes_are_those_of_the_places_that_fit() {
        for n_prev in 0..9 {
            for f in 1..5 {
                for (pad, stride) in [(0, 1), (0, 2), (1, 1), (1, 3), (2, 2)] {
                    let places = (0..n_prev + 2 * pad).step_by(stride);
                    let fit = places.filter(|start| start + f <= n_prev + 2 * pad).count();
                    let found = conv_output_size(n_prev, f, pad, stride).unwrap_or(0);
                    assert_eq!(found, fit, "{n_prev} {f} {pad} {stride}");
                }
            }
        }
        assert_eq!(conv_output_size(9, 2, 0, usize::MAX).unwrap(), 1);
    }

    #[test]
    fn sizes_that_cannot_be_are_refused() {
        assert_eq!(
            text(conv_output_size(4, 0, 0, 1)),
            "f: expected a window of at least 1 row and column, found 0"
        );
        assert_eq!(text(conv_output_size(4, 2, 0, 0)), "stride: expected at least 1, found 0");
        assert_eq!(
            text(conv_output_size(3, 6, 1, 1)),
            "f: expected a window no larger than the picture with what is around it, found 6 rows for 5 rows"
        );
        for pad in [usize::MAX, usize::MAX / 2] {
            assert_eq!(
                text(conv_output_size(4, 2, pad, 1)),
                format!("pad: expected a border that can be counted, found {pad}")
            );
        }
    }

    #[test]
    fn padding_keeps_every_pixel_in_its_place() {
        let x = numbered([2, 2, 3, 2]) + 1.0;
        let padded = zero_pad(x.view(), 2).unwrap();
        for ((i, h, w, c), &value) in padded.indexed_iter() {
            let inside = (2..4).contains(&h) && (2..5).contains(&w);
            assert_eq!(value, if inside { x[[i, h - 2, w - 2, c]] } else { 0.0 });
        }
        assert_eq!(zero_pad(x.view(), 0).unwrap(), x);
        assert_eq!(zero_pad(numbered([0, 2, 2, 1]).view(), 1).unwrap().dim(), (0, 4, 4, 1));
    }

    #[test]
    fn huge_borders_are_refused() {
        // 2^14 + 1 rows of as many pixels are more than 2^28.
        let pixel = array![[[[1.0]]]];
        assert_eq!(
            text(zero_pad(pixel.view(), 1 << 13)),
            "padded pictures: expected an array of at most 2^28 numbers, \
             found shape (1, 16385, 16385, 1)"
        );
        for pad in [1 << 40, usize::MAX / 4, usize::MAX] {
            assert!(text(zero_pad(pixel.view(), pad)).contains("(1, "), "{pad}");
            assert!(text(zero_pad(numbered([0, 1, 1, 1]).view(), pad)).contains("expected"));
            let settings = ConvSettings { stride: usize::MAX, pad };
            assert!(conv_forward(pixel.view(), pixel.view(), pixel.view(), settings).is_err());
        }
    }

    #[test]
    fn arrays_that_only_repeat_a_number_count_as_large_as_they_look() {
        let one = array![[[[1.0]]]];
        let large = one.broadcast((1, 1 << 20, 1 << 20, 1)).unwrap();
        let settings = ConvSettings { stride: 1 << 20, pad: 0 };
        let refused = text(conv_forward(large, one.view(), one.view(), settings));
        assert!(refused.starts_with("A_prev: expected an array of at most 2^28"), "{refused}");
        let settings = PoolSettings { window: 1, stride: 1 << 20, mode: PoolMode::Max };
        let refused = text(pool_forward(large, settings));
        assert!(refused.starts_with("A_prev: expected an array of at most 2^28"), "{refused}");
    }

    #[test]
    fn the_bias_is_added_once_and_the_filter_is_not_turned() {
        // 1 * 1 + 2 * 10 + 3 * 100 + 4 * 1000 + 0.5
        let window = array![[[1.0_f32], [2.0]], [[3.0], [4.0]]];
        let filter = array![[[1.0], [10.0]], [[100.0], [1000.0]]];
        let bias = array![[[0.5]]];
        let z = conv_single_step(window.view(), filter.view(), bias.view()).unwrap();
        assert_eq!(z, 4321.5);
    }

    #[test]
    fn windows_move_by_the_stride_over_rows_and_columns_that_differ() {
        let a_prev = numbered([2, 5, 6, 2]);
        // The lower left pixel of channel 1, and that of the upper right of channel 0, twice.
        let mut weights = Array4::zeros((3, 3, 2, 2));
        weights[[2, 0, 1, 0]] = 1.0;
        weights[[0, 2, 0, 1]] = 2.0;
        let bias = array![[[[0.25, 0.5]]]];
        let settings = ConvSettings { stride: 2, pad: 0 };
        let (z, cache) =
            conv_forward(a_prev.view(), weights.view(), bias.view(), settings).unwrap();
        assert_eq!(z.dim(), (2, 2, 2, 2));
        for ((i, h, w, c), &z) in z.indexed_iter() {
            let expected = match c {
                0 => a_prev[[i, 2 * h + 2, 2 * w, 1]] + 0.25,
                _ => 2.0 * a_prev[[i, 2 * h, 2 * w + 2, 0]] + 0.5,
            };
            assert_eq!(z, expected);
        }
        assert_eq!((cache.a_prev, cache.weights), (a_prev.view(), weights.view()));
    }

    #[test]
    fn shapes_that_do_not_fit_are_told() {
        let settings = ConvSettings { stride: 1, pad: 0 };
        let forward = |a: [usize; 4], w: [usize; 4], b: [usize; 4]| {
            let (a, w, b) = (numbered(a), numbered(w), numbered(b));
            text(conv_forward(a.view(), w.view(), b.view(), settings))
        };
        assert_eq!(
            forward([1, 4, 4, 3], [2, 3, 3, 8], [1, 1, 1, 8]),
            "W (f, f, n_C_prev, n_C): expected shape (2, 2, 3, 8), found (2, 3, 3, 8)"
        );
        assert_eq!(
            forward([1, 4, 4, 3], [2, 2, 4, 8], [1, 1, 1, 8]),
            "W (f, f, n_C_prev, n_C): expected shape (2, 2, 3, 8), found (2, 2, 4, 8)"
        );
        assert_eq!(
            forward([1, 4, 4, 3], [2, 2, 3, 8], [1, 1, 1, 7]),
            "b (1, 1, 1, n_C): expected shape (1, 1, 1, 8), found (1, 1, 1, 7)"
        );
        assert_eq!(
            forward([1, 4, 4, 3], [2, 2, 3, 8], [8, 1, 1, 8]),
            "b (1, 1, 1, n_C): expected shape (1, 1, 1, 8), found (8, 1, 1, 8)"
        );
        assert_eq!(
            forward([1, 4, 3, 3], [4, 4, 3, 8], [1, 1, 1, 8]),
            "window (f, f): expected one no larger than the picture with what is around it, \
             found (4, 4) for pictures of (1, 4, 3, 3) with no border"
        );
        let a_prev = numbered([1, 3, 4, 1]);
        let (weights, settings) = (numbered([6, 6, 1, 1]), ConvSettings { stride: 1, pad: 1 });
        assert!(
            text(conv_forward(a_prev.view(), weights.view(), a_prev.view(), settings))
                .ends_with("found (6, 6) for pictures of (1, 3, 4, 1) with a border of 1")
        );
        let settings = PoolSettings { window: 4, stride: 1, mode: PoolMode::Max };
        assert!(
            text(pool_forward(a_prev.view(), settings))
                .ends_with("found (4, 4) for pictures of (1, 3, 4, 1) with no border")
        );
        let window = Array3::<f64>::zeros((2, 2, 3));
        for (weights, bias, expected) in [
            ([2, 2, 2], [1, 1, 1], "W (f, f, n_C_prev): expected shape (2, 2, 3), found (2, 2, 2)"),
            ([2, 1, 3], [1, 1, 1], "W (f, f, n_C_prev): expected shape (2, 2, 3), found (2, 1, 3)"),
            ([2, 2, 3], [1, 1, 3], "b (1, 1, 1): expected shape (1, 1, 1), found (1, 1, 3)"),
        ] {
            let (weights, bias) = (Array3::zeros(weights), Array3::zeros(bias));
            let step = conv_single_step(window.view(), weights.view(), bias.view());
            assert_eq!(text(step), expected);
        }
    }

    #[test]
    fn pooling_takes_each_channel_on_its_own_and_passes_nan_on() {
        let a_prev = numbered([1, 3, 5, 2]);
        let settings = PoolSettings { window: 2, stride: 3, mode: PoolMode::Max };
        let (a, _) = pool_forward(a_prev.view(), settings).unwrap();
        assert_eq!(a, array![[[[110.0, 111.0], [140.0, 141.0]]]]);
        let settings = PoolSettings { mode: PoolMode::Average, ..settings };
        let (a, _) = pool_forward(a_prev.view(), settings).unwrap();
        assert_eq!(a, array![[[[55.0, 56.0], [85.0, 86.0]]]]);
        let window = array![[1.0, f64::NAN], [3.0, 2.0]];
        assert!(PoolMode::Max.apply(window.view()).is_nan());
        assert!(PoolMode::Average.apply(window.view()).is_nan());
        for (window, stride) in [(0, 1), (2, 0), (4, 1)] {
            let settings = PoolSettings { window, stride, mode: PoolMode::Max };
            assert!(matches!(
                pool_forward(a_prev.view(), settings),
                Err(CoreError::Invalid { .. })
            ));
        }
    }

    #[test]
    fn no_pictures_give_no_pictures() {
        let (weights, bias) = (numbered([2, 2, 3, 4]), numbered([1, 1, 1, 4]));
        let none = numbered([0, 3, 3, 3]);
        let settings = ConvSettings { stride: 1, pad: 1 };
        let (z, _) = conv_forward(none.view(), weights.view(), bias.view(), settings).unwrap();
        assert_eq!(z.dim(), (0, 4, 4, 4));
    }
}
