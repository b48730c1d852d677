//! L2 regularisation and the clipping of gradients.

use std::ops::Range;

use dnn_core::{Element, LayerParameters, Parameters};
use dnn_kernels::join;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis};

use crate::optimizer::each;

/// Numbers that are summed one after the other.
const RUN: usize = 1 << 14;

/// What L2 regularisation adds to the mean cost of `m` examples: `lambda / (2 m)` times the sum of the
/// squares of all weights. Biases are left out.
///
/// # Examples
/// ```
/// use dnn_core::{LayerParameters, Parameters};
/// use ndarray::array;
///
/// let layer = LayerParameters { weights: array![[1.0, 2.0]], bias: array![[9.0]] };
/// let cost = dnn_train::l2_cost(&Parameters { layers: vec![layer] }, 0.4, 10);
/// assert!((cost - 0.4 / 20.0 * 5.0).abs() < 1e-15);
/// ```
pub fn l2_cost<T: Element>(parameters: &Parameters<T>, lambda: f64, m: usize) -> f64 {
    l2_cost_of(parameters.layers.iter().map(|layer| layer.weights.view()), lambda, m as f64)
}

/// [`l2_cost`] of some weights, where all examples together weigh `m`.
pub(crate) fn l2_cost_of<'w, T: Element>(
    weights: impl Iterator<Item = ArrayView2<'w, T>>,
    lambda: f64,
    m: f64,
) -> f64 {
    l2_cost_of_squares(weights.map(sum_of_squares).sum(), lambda, m)
}

/// [`l2_cost`] of weights whose squares have this sum.
pub(crate) fn l2_cost_of_squares(squares: f64, lambda: f64, m: f64) -> f64 {
    lambda / (2.0 * m) * squares
}

/// Adds the derivative of [`l2_cost`] to a gradient: `lambda / m * W` to each `dW`.
///
/// # Panics
/// If the gradient has other shapes than the parameters.
pub fn add_l2<T: Element>(
    gradients: &mut Parameters<T>,
    parameters: &Parameters<T>,
    lambda: f64,
    m: usize,
) {
    assert_eq!(gradients.layers.len(), parameters.layers.len(), "a gradient for each layer");
    for (gradient, layer) in gradients.layers.iter_mut().zip(&parameters.layers) {
        add_l2_to(gradient.weights.view_mut(), layer.weights.view(), lambda, m as f64);
    }
}

/// [`add_l2`] for some weights, where all examples together weigh `m`.
pub(crate) fn add_l2_to<T: Element>(
    gradient: ArrayViewMut2<'_, T>,
    weights: ArrayView2<'_, T>,
    lambda: f64,
    m: f64,
) {
    let share = T::from_f64(lambda / m);
    // What is not finite here will not be after the update either, which looks.
    each(gradient, weights, |dw, w| dw + share * w);
}

/// Brings every number of a gradient to between `-limit` and `limit`.
///
/// # Examples
/// ```
/// use dnn_core::{LayerParameters, Parameters};
/// use ndarray::array;
///
/// let layer = LayerParameters { weights: array![[1.0, -7.0]], bias: array![[3.0]] };
/// let mut gradients = Parameters { layers: vec![layer] };
/// dnn_train::clip_by_value(&mut gradients, 2.0);
/// assert_eq!(gradients.layers[0].weights, array![[1.0, -2.0]]);
/// assert_eq!(gradients.layers[0].bias, array![[2.0]]);
/// ```
pub fn clip_by_value<T: Element>(gradients: &mut Parameters<T>, limit: f64) {
    gradients.arrays_mut().for_each(|array| clip_array(array, limit));
}

/// [`clip_by_value`] for one array.
pub(crate) fn clip_array<T: Element>(gradient: &mut Array2<T>, limit: f64) {
    let limit = T::from_f64(limit);
    change(gradient.view_mut(), &|value: T| value.max(-limit).min(limit));
}

/// Scales a gradient down to the Euclidean norm `limit` if it is longer, all layers as one vector; gives
/// the norm that it had.
///
/// # References
/// Pascanu, Mikolov and Bengio (2013), On the difficulty of training recurrent neural networks.
///
/// # Examples
/// ```
/// use dnn_core::{LayerParameters, Parameters};
/// use ndarray::array;
///
/// let layer = LayerParameters { weights: array![[3.0, 0.0]], bias: array![[4.0]] };
/// let mut gradients = Parameters { layers: vec![layer] };
/// assert_eq!(dnn_train::clip_by_norm(&mut gradients, 1.0), 5.0);
/// assert!((gradients.layers[0].weights[(0, 0)] - 0.6_f64).abs() < 1e-15);
/// ```
pub fn clip_by_norm<T: Element>(gradients: &mut Parameters<T>, limit: f64) -> f64 {
    let of_layer = |layer: &LayerParameters<T>| {
        sum_of_squares(layer.weights.view()) + sum_of_squares(layer.bias.view())
    };
    let norm = gradients.layers.iter().map(of_layer).sum::<f64>().sqrt();
    scale_to(gradients.arrays_mut(), norm, limit);
    norm
}

/// [`clip_by_norm`] for the arrays of layers, whose squares are summed layer by layer; `layers` says where
/// those of each are.
pub(crate) fn clip_layers_by_norm<T: Element>(
    gradient: &mut [Array2<T>],
    layers: impl Iterator<Item = Range<usize>>,
    limit: f64,
) {
    let of_layer = |range: Range<usize>| -> f64 {
        gradient[range].iter().map(|array| sum_of_squares(array.view())).sum()
    };
    let norm = layers.map(of_layer).sum::<f64>().sqrt();
    scale_to(gradient.iter_mut(), norm, limit);
}

/// Multiplies arrays of this norm until it is the limit, if it is larger.
fn scale_to<'a, T: Element>(
    arrays: impl Iterator<Item = &'a mut Array2<T>>,
    norm: f64,
    limit: f64,
) {
    if norm > limit {
        let scale = T::from_f64(limit / norm);
        arrays.for_each(|array| scale_by(array.view_mut(), scale));
    }
}

/// Multiplies every number of an array, in parallel.
pub(crate) fn scale_by<T: Element>(values: ArrayViewMut2<'_, T>, scale: T) {
    change(values, &|value| value * scale);
}

/// Changes every number of an array, in parallel.
fn change<T: Element>(values: ArrayViewMut2<'_, T>, of: &(impl Fn(T) -> T + Sync)) {
    let (rows, columns) = values.dim();
    if rows < 2 || rows * columns <= RUN {
        let mut values = values;
        return values.mapv_inplace(of);
    }
    let (upper, lower) = values.split_at(Axis(0), rows / 2);
    join(|| change(upper, of), || change(lower, of));
}

/// The sum of the squares, in `f64` and in an order that follows from the shape alone.
pub(crate) fn sum_of_squares<T: Element>(values: ArrayView2<'_, T>) -> f64 {
    let (rows, columns) = values.dim();
    let square = |sum: f64, value: &T| {
        let value: f64 = (*value).into();
        sum + value * value
    };
    if rows * columns <= RUN {
        return values.fold(0.0, square);
    }
    let (axis, length) = if rows > 1 { (Axis(0), rows) } else { (Axis(1), columns) };
    let (first, second) = values.split_at(axis, length / 2);
    let (first, second) = join(|| sum_of_squares(first), || sum_of_squares(second));
    first + second
}

#[cfg(test)]
mod tests {
    use dnn_core::LayerParameters;
    use ndarray::array;

    use super::*;

    #[test]
    fn the_derivative_is_the_slope_of_the_cost() {
        let of = |w: f64| Parameters {
            layers: vec![LayerParameters { weights: array![[w, 2.0]], bias: array![[5.0]] }],
        };
        let mut gradient = of(0.0).zeros_like();
        add_l2(&mut gradient, &of(1.5), 0.7, 3);
        let eps = 1e-4;
        let slope =
            (l2_cost(&of(1.5 + eps), 0.7, 3) - l2_cost(&of(1.5 - eps), 0.7, 3)) / (2.0 * eps);
        assert!((gradient.layers[0].weights[(0, 0)] - slope).abs() < 1e-10);
        assert_eq!(gradient.layers[0].bias, array![[0.0]]);
    }

    #[test]
    fn sums_are_whole_in_every_shape_and_the_same_on_any_threads() {
        for (rows, columns) in [(0, 5), (1, 1), (1, 100_000), (100_000, 1), (700, 301)] {
            let values = Array2::from_shape_fn((rows, columns), |(i, j)| ((i + 3 * j) % 7) as f32);
            let expected: f64 = values.iter().map(|&value| f64::from(value * value)).sum();
            for threads in [1, 2, 5] {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                assert_eq!(pool.install(|| sum_of_squares(values.view())), expected);
            }
        }
    }

    #[test]
    fn a_short_gradient_is_not_scaled() {
        let layer = LayerParameters { weights: array![[3.0_f32]], bias: array![[4.0]] };
        let mut gradients = Parameters { layers: vec![layer] };
        let before = gradients.clone();
        assert_eq!(clip_by_norm(&mut gradients, 5.0), 5.0);
        assert_eq!(gradients, before);
        clip_by_value(&mut gradients, 4.0);
        assert_eq!(gradients, before);
    }
}
