//! The identity block of a residual network, step by step, as the course has it.
//!
//! ```text
//! A = relu(batch_norm(conv(X)))       filters of 1 x 1
//! A = relu(batch_norm(conv(A)))       filters of f x f
//! A =      batch_norm(conv(A))        filters of 1 x 1, as many as X has channels
//! out = relu(A + X)                   the way around the three
//! ```
//!
//! Every convolution has stride 1 and "same" padding, so that rows and columns stay as many as they are.
//!
//! # References
//! He, Zhang, Ren and Sun (2016), Deep residual learning for image recognition; Ioffe and Szegedy (2015), Batch
//! normalization.

use dnn_core::{CoreError, Element};
use ndarray::{Array1, Array4, ArrayView4, s};

use crate::convolution_steps::{ConvSettings, conv_forward, zero_pad};
use crate::{Activation, BatchNorm, Mode};

/// A convolution and its batch normalisation: one of the three on the main way of an [`identity_block`].
#[derive(Debug, Clone, PartialEq)]
pub struct ConvBatchNorm<T> {
    /// The filters, `(f, f, n_C_prev, n_C)`.
    pub weights: Array4<T>,
    /// `(1, 1, 1, n_C)`.
    pub bias: Array4<T>,
    /// `gamma` of each channel, `n_C` numbers.
    pub scale: Array1<T>,
    /// `beta` of each channel, `n_C` numbers.
    pub shift: Array1<T>,
    /// Mean of each channel in [`Mode::Prediction`], `n_C` numbers.
    pub mean: Array1<T>,
    /// Variance of each channel in [`Mode::Prediction`], `n_C` numbers, 0 or more.
    pub variance: Array1<T>,
    /// Added to the variance before its root is taken: above 0, at most 1.
    pub epsilon: f64,
}

impl<T: Element> ConvBatchNorm<T> {
    /// These filters with a bias of 0, scale 1, shift 0, mean 0, variance 1 and the epsilon of [`BatchNorm`].
    pub fn new(weights: Array4<T>) -> Self {
        let n_c = weights.dim().3;
        Self {
            weights,
            bias: Array4::zeros((1, 1, 1, n_c)),
            scale: Array1::ones(n_c),
            shift: Array1::zeros(n_c),
            mean: Array1::zeros(n_c),
            variance: Array1::ones(n_c),
            epsilon: BatchNorm::default().epsilon,
        }
    }
}

/// `relu(A + X)`, where `A` is `X` through three convolutions with batch normalisation, the first two with `ReLU`.
///
/// In [`Mode::Training`] each channel is normalised by its own mean and variance over pictures, rows and columns (the sum
/// of squares over their number, not over one less), in [`Mode::Prediction`] by those that `parts` have. Where the border
/// of "same" padding is odd, `f - 1` for an even `f`, the one pixel more is below and on the right.
///
/// # Shapes
/// | `x`, result | filters of the three `parts` |
/// |---|---|
/// | `(m, n_H, n_W, n_C)` | `(1, 1, n_C, F1)`, `(f, f, F1, F2)`, `(1, 1, F2, n_C)` |
///
/// # Errors
/// [`CoreError::Shape`] if something does not fit; [`CoreError::Invalid`] as [`conv_forward`], without examples, with
/// an epsilon outside its range, and with a variance that is below 0 or NaN.
///
/// # Examples
/// ```
/// use dnn_layers::{ConvBatchNorm, Mode, identity_block};
/// use ndarray::Array4;
///
/// // With a last scale of 0 the main way gives nothing: what comes out is relu(X).
/// let [first, middle, mut last] = [1, 3, 1].map(|f| ConvBatchNorm::new(Array4::ones((f, f, 2, 2))));
/// last.scale.fill(0.0);
/// let x = Array4::from_shape_fn((1, 3, 3, 2), |(_, h, w, _)| h as f64 - w as f64);
/// let out = identity_block(x.view(), &[first, middle, last], Mode::Training)?;
/// assert_eq!(out, x.mapv(|x| x.max(0.0)));
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
pub fn identity_block<T: Element>(
    x: ArrayView4<'_, T>,
    parts: &[ConvBatchNorm<T>; 3],
    mode: Mode,
) -> Result<Array4<T>, CoreError> {
    let relu = |z: Array4<T>| z.mapv_into(|z| Activation::Relu.value(z));
    let [first, middle, last] = parts;
    let a = relu(conv_batch_norm(x, first, mode)?);
    let a = relu(conv_batch_norm(a.view(), middle, mode)?);
    let a = conv_batch_norm(a.view(), last, mode)?;
    CoreError::expect_shape("X (m, n_H, n_W, n_C), for A + X", a.dim(), x.dim())?;
    Ok(relu(a + x))
}

/// `batch_norm(conv(A_prev))`, with stride 1 and "same" padding.
fn conv_batch_norm<T: Element>(
    a_prev: ArrayView4<'_, T>,
    part: &ConvBatchNorm<T>,
    mode: Mode,
) -> Result<Array4<T>, CoreError> {
    // f - 1 rows and columns: half of them above and left, and of an odd number the one more below and right.
    let border = part.weights.dim().0.saturating_sub(1);
    let odd = border % 2;
    let padded = zero_pad(a_prev, border - border / 2)?;
    let padded = padded.slice(s![.., odd.., odd.., ..]);
    let settings = ConvSettings { stride: 1, pad: 0 };
    let (z, _cache) = conv_forward(padded, part.weights.view(), part.bias.view(), settings)?;
    batch_norm(z, part, mode)
}

/// `gamma (z - mean) / sqrt(variance + epsilon) + beta`, channel by channel.
fn batch_norm<T: Element>(
    mut z: Array4<T>,
    part: &ConvBatchNorm<T>,
    mode: Mode,
) -> Result<Array4<T>, CoreError> {
    expect_normalization(&z, part)?;
    let epsilon = T::from_f64(part.epsilon);
    for c in 0..z.dim().3 {
        let mut channel = z.slice_mut(s![.., .., .., c]);
        let (mean, variance) = match mode {
            Mode::Prediction => (part.mean[c], part.variance[c]),
            Mode::Training => {
                let count = T::from_f64(channel.len() as f64);
                let mean = channel.sum() / count;
                let squares = channel.fold(T::zero(), |sum, &z| sum + (z - mean) * (z - mean));
                (mean, squares / count)
            }
        };
        if variance < T::zero() || variance.is_nan() {
            return Err(CoreError::Invalid {
                what: "variance of batch normalisation",
                expected: "0 or more",
                found: variance.to_string(),
            });
        }
        let (gamma, beta) = (part.scale[c], part.shift[c]);
        let std_dev = (variance + epsilon).sqrt();
        channel.mapv_inplace(|z| gamma * (z - mean) / std_dev + beta);
    }
    Ok(z)
}

fn expect_normalization<T: Element>(
    z: &Array4<T>,
    part: &ConvBatchNorm<T>,
) -> Result<(), CoreError> {
    let (m, _, _, n_c) = z.dim();
    CoreError::expect_examples(m)?;
    for (what, array) in [
        ("scale of batch normalisation", &part.scale),
        ("shift of batch normalisation", &part.shift),
        ("mean of batch normalisation", &part.mean),
        ("variance of batch normalisation", &part.variance),
    ] {
        CoreError::expect_shape(what, (n_c, 1), (array.len(), 1))?;
    }
    if part.epsilon > 0.0 && part.epsilon <= 1.0 {
        return Ok(());
    }
    Err(CoreError::Invalid {
        what: "epsilon of batch normalisation",
        expected: "a number above 0 and at most 1",
        found: part.epsilon.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn parts(filters: [[usize; 3]; 3]) -> [ConvBatchNorm<f64>; 3] {
        filters.map(|[f, from, to]| ConvBatchNorm::new(Array4::ones((f, f, from, to))))
    }

    #[test]
    fn a_window_of_an_even_size_reaches_below_and_to_the_right() {
        // Each pixel with those right, below and below right of it; nothing beyond the border.
        let mut part = ConvBatchNorm::new(Array4::ones((2, 2, 1, 1)));
        part.epsilon = f64::MIN_POSITIVE;
        let x = array![[[[1.0], [10.0]], [[100.0], [1000.0]]]];
        let z = conv_batch_norm(x.view(), &part, Mode::Prediction).unwrap();
        assert_eq!(z, array![[[[1111.0], [1010.0]], [[1100.0], [1000.0]]]]);
        // One of an odd size reaches all ways.
        part.weights = Array4::ones((3, 3, 1, 1));
        let z = conv_batch_norm(x.view(), &part, Mode::Prediction).unwrap();
        assert_eq!(z, Array4::from_elem((1, 2, 2, 1), 1111.0));
    }

    #[test]
    fn channels_are_normalised_on_their_own() {
        // Channel 0: mean 2, variance (1 + 1) / 2 = 1; channel 1: mean 10, variance (36 + 36) / 2 = 36.
        let z = array![[[[1.0, 4.0]]], [[[3.0, 16.0]]]];
        let mut part = ConvBatchNorm::new(Array4::ones((1, 1, 2, 2)));
        part.epsilon = f64::MIN_POSITIVE;
        part.scale = array![1.0, 2.0];
        part.shift = array![0.0, 5.0];
        let by_batch = batch_norm(z.clone(), &part, Mode::Training).unwrap();
        assert_eq!(by_batch, array![[[[-1.0, 3.0]]], [[[1.0, 7.0]]]]);
        // (4 - 1) / 2 * 2 + 5 = 8
        part.mean = array![0.0, 1.0];
        part.variance = array![1.0, 4.0];
        let by_running = batch_norm(z, &part, Mode::Prediction).unwrap();
        assert_eq!(by_running, array![[[[1.0, 8.0]]], [[[3.0, 20.0]]]]);
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let x = Array4::ones((2, 3, 3, 2));
        let refused = |x: &Array4<f64>, parts: &[ConvBatchNorm<f64>; 3], mode| {
            identity_block(x.view(), parts, mode).unwrap_err().to_string()
        };
        let fitting = parts([[1, 2, 4], [2, 4, 3], [1, 3, 2]]);
        assert!(identity_block(x.view(), &fitting, Mode::Training).is_ok());
        assert_eq!(
            refused(&x, &parts([[1, 2, 4], [2, 4, 3], [1, 3, 5]]), Mode::Prediction),
            "X (m, n_H, n_W, n_C), for A + X: expected shape (2, 3, 3, 5), found (2, 3, 3, 2)"
        );
        assert!(
            refused(&x, &parts([[1, 2, 4], [0, 4, 3], [1, 3, 2]]), Mode::Training)
                .starts_with("f: expected a window of at least 1")
        );
        let none = Array4::ones((0, 3, 3, 2));
        assert!(refused(&none, &fitting, Mode::Training).starts_with("examples: expected"));
        let mut short = fitting.clone();
        short[1].shift = array![0.0];
        assert_eq!(
            refused(&x, &short, Mode::Training),
            "shift of batch normalisation: expected shape (3, 1), found (1, 1)"
        );
        let mut below = fitting.clone();
        below[2].variance[0] = -1.0;
        assert_eq!(
            refused(&x, &below, Mode::Prediction),
            "variance of batch normalisation: expected 0 or more, found -1"
        );
        for epsilon in [0.0, 1.5, f64::NAN] {
            let mut wrong = fitting.clone();
            wrong[0].epsilon = epsilon;
            assert!(refused(&x, &wrong, Mode::Training).starts_with("epsilon of batch"));
        }
        let broken = Array4::from_elem((2, 3, 3, 2), f64::NAN);
        assert!(refused(&broken, &fitting, Mode::Training).ends_with("found NaN"));
    }
}
