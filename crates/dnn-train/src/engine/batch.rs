//! All examples of a batch, for a layer that needs them together: sums over all tiles, in their order.

use dnn_core::Element;
use ndarray::ArrayView2;
use rayon::iter::{IntoParallelRefMutIterator, ParallelIterator};

use super::tile::Tile;

/// The examples of a batch at one layer.
pub(crate) struct Batch<'b, T> {
    pub(super) tiles: &'b mut [Tile<T>],
    pub(super) layer: usize,
    pub(super) examples: usize,
}

impl<T: Element> Batch<'_, T> {
    /// Which layer it is, counted from 0.
    pub(crate) fn layer(&self) -> usize {
        self.layer
    }

    /// How many numbers each unit has: of pictures, each channel is a unit.
    pub(crate) fn numbers(&self, units: usize) -> usize {
        let places =
            self.tiles.first().map_or(1, |tile| tile.input(self.layer).nrows() / units.max(1));
        self.examples * places
    }

    /// Sums one or two numbers of each entry over all examples and places: for each unit those that `of` gives for the
    /// unit and its entry in the two arrays, which `arrays` names.
    pub(crate) fn sums(
        &mut self,
        units: usize,
        arrays: impl Fn(&Tile<T>) -> [ArrayView2<'_, T>; 2] + Sync,
        of: impl Fn(usize, f64, f64) -> [f64; 2] + Sync,
    ) -> Vec<[f64; 2]> {
        self.tiles.par_iter_mut().for_each(|tile| {
            let mut sums = std::mem::take(&mut tile.sums);
            sums[..units].fill([0.0; 2]);
            let [first, second] = arrays(tile);
            for (first, second) in first.columns().into_iter().zip(second.columns()) {
                let (Some(first), Some(second)) = (first.to_slice(), second.to_slice()) else {
                    unreachable!("examples in one piece")
                };
                for (first, second) in first.chunks_exact(units).zip(second.chunks_exact(units)) {
                    let numbers = first.iter().zip(second).zip(&mut sums[..units]);
                    for (unit, ((&first, &second), sum)) in numbers.enumerate() {
                        let [a, b] = of(unit, first.into(), second.into());
                        sum[0] += a;
                        sum[1] += b;
                    }
                }
            }
            tile.sums = sums;
        });
        let mut total = vec![[0.0; 2]; units];
        for tile in &*self.tiles {
            for (total, sum) in total.iter_mut().zip(&tile.sums) {
                total[0] += sum[0];
                total[1] += sum[1];
            }
        }
        total
    }

    /// Sets the gradient of what the layer is given to what `rule` makes of unit, the gradient of what it gives, and
    /// what it kept.
    pub(crate) fn set_input_gradients(
        &mut self,
        units: usize,
        rule: impl Fn(usize, T, T) -> T + Sync,
    ) {
        let layer = self.layer;
        self.tiles.par_iter_mut().for_each(|tile| tile.set_input_gradient(layer, units, &rule));
    }
}
