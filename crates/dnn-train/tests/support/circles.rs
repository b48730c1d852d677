//! The course's two circles of points in the plane.

use std::f64::consts::TAU;

use dnn_core::RandomStream;
use ndarray::{Array2, ShapeBuilder};

/// Radius of the inner circle; the outer one has radius 1.
const INNER: f64 = 0.8;
/// Standard deviation of the noise on each coordinate.
const NOISE: f64 = 0.05;

/// `m` noisy points, half of them on the outer circle (label 0), half on the inner one (label 1),
/// as scikit-learn's `make_circles(m, noise=.05)` makes them after `numpy.random.seed(seed)`.
///
/// The points of a circle stand at equal angles, outer circle first; then their order is shuffled;
/// then every coordinate gets its noise, point by point, x before y.
///
/// # Shapes
/// The points are `(2, m)`, the labels have length `m`.
pub(crate) fn circles(seed: u32, m: usize) -> (Array2<f64>, Vec<u32>) {
    let outer = m / 2;
    let on_circle = |index: usize, points: usize, radius: f64| {
        let angle = index as f64 * (TAU / points as f64);
        [radius * angle.cos(), radius * angle.sin()]
    };
    let exact = |point: usize| match point.checked_sub(outer) {
        None => on_circle(point, outer, 1.0),
        Some(index) => on_circle(index, m - outer, INNER),
    };
    let mut stream = RandomStream::numpy_legacy(seed);
    let order = stream.permutation(m);
    let noisy = order
        .iter()
        .flat_map(|&point| exact(point))
        .map(|coordinate| coordinate + NOISE * stream.normal());
    let points = Array2::from_shape_vec((2, m).f(), noisy.collect())
        .expect("every point has two coordinates");
    let labels = order.iter().map(|&point| u32::from(point >= outer));
    (points, labels.collect())
}
