//! What batch normalisation needs of a whole batch: sums over all tiles, in their order.

use dnn_core::Element;
use dnn_layers::{BatchStatistics, Network};
use ndarray::ArrayView2;
use rayon::iter::{IntoParallelRefMutIterator, ParallelIterator};

use super::tile::Tile;
use crate::backward::share_of;

/// Sums one or two numbers of each entry over all examples: for each unit those that `of` gives for the
/// unit and its entry in the two arrays, which `arrays` names.
fn sums<T: Element>(
    tiles: &mut [Tile<T>],
    units: usize,
    arrays: impl Fn(&Tile<T>) -> [ArrayView2<'_, T>; 2] + Sync,
    of: impl Fn(usize, f64, f64) -> [f64; 2] + Sync,
) -> Vec<[f64; 2]> {
    tiles.par_iter_mut().for_each(|tile| {
        let mut sums = std::mem::take(&mut tile.sums);
        sums[..units].fill([0.0; 2]);
        let [first, second] = arrays(tile);
        for (first, second) in first.columns().into_iter().zip(second.columns()) {
            for (unit, sum) in sums[..units].iter_mut().enumerate() {
                let [a, b] = of(unit, first[unit].into(), second[unit].into());
                sum[0] += a;
                sum[1] += b;
            }
        }
        tile.sums = sums;
    });
    let mut total = vec![[0.0; 2]; units];
    for tile in tiles {
        for (total, sum) in total.iter_mut().zip(&tile.sums) {
            total[0] += sum[0];
            total[1] += sum[1];
        }
    }
    total
}

/// Mean and variance of what the normalised layer `l` is given, over a batch of `m` examples.
pub(super) fn statistics<T: Element>(
    tiles: &mut [Tile<T>],
    l: usize,
    m: usize,
    statistics: &mut BatchStatistics<T>,
) {
    let units = statistics.mean.len();
    let m = m as f64;
    let means = sums(tiles, units, |tile| [tile.caches.a(l - 1); 2], |_, x, _| [x, 0.0]);
    let means: Vec<f64> = means.into_iter().map(|[sum, _]| sum / m).collect();
    // In two passes: the difference of two large sums would lose the small variances.
    let squares = sums(
        tiles,
        units,
        |tile| [tile.caches.a(l - 1); 2],
        |unit, x, _| {
            let apart = x - means[unit];
            [apart * apart, 0.0]
        },
    );
    for (unit, [sum, _]) in squares.into_iter().enumerate() {
        statistics.mean[unit] = T::from_f64(means[unit]);
        statistics.variance[unit] = T::from_f64(sum / m);
    }
}

/// The gradient of the normalised layer `l` and `dZ` of the layer before it, from its own `dZ`; gives the
/// sums over all examples of `dZ X_hat` and of `dZ`.
///
/// With `g` for `gamma`: `dX = g / deviation * (dZ - (sum(dZ) + X_hat sum(dZ X_hat)) / m)`.
pub(super) fn backward<T: Element>(
    tiles: &mut [Tile<T>],
    network: &Network<T>,
    l: usize,
    m: usize,
    statistics: &BatchStatistics<T>,
) -> Vec<[f64; 2]> {
    let gamma = network.parameters().layers[l].weights.column(0);
    let epsilon = network.stages()[l].normalization.map_or(0.0, |it| it.epsilon);
    let scale = statistics.inverse_deviation(epsilon) * gamma;
    let sums = sums(
        tiles,
        gamma.len(),
        |tile| [tile.dz(l), tile.caches.normalized(l)],
        |_, dz, x_hat| [dz * x_hat, dz],
    );
    let means: Vec<[T; 2]> =
        sums.iter().map(|sum| sum.map(|sum| T::from_f64(sum) * share_of::<T>(m))).collect();
    tiles.par_iter_mut().for_each(|tile| {
        tile.backward_normalized(l, |unit, dz, x_hat| {
            let [dz_x_hat_mean, dz_mean] = means[unit];
            scale[unit] * (dz - dz_mean - x_hat * dz_x_hat_mean)
        });
    });
    sums
}
