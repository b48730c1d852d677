//! All examples of a batch, for a layer that needs them together: sums over all tiles, in their order.

use dnn_core::Element;
use dnn_kernels::KernelPath;
use ndarray::ArrayView2;
use rayon::iter::{IntoParallelRefMutIterator, ParallelIterator};

use super::pixels::{Rule, SumOfPixels};
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

    /// Sums one or two numbers of each entry over all examples and places: those that `of` gives for the entry in the
    /// two arrays, which `arrays` names, and its unit's number of `by`.
    ///
    /// # Shapes
    /// `by` has one number for each unit; the result has the first sums of all units, then the second ones.
    pub(crate) fn sums(
        &mut self,
        by: &[f64],
        arrays: impl Fn(&Tile<T>) -> [ArrayView2<'_, T>; 2] + Sync,
        of: impl Fn(f64, f64, f64) -> [f64; 2] + Sync,
    ) -> Vec<f64> {
        let units = by.len();
        self.tiles.par_iter_mut().for_each(|tile| {
            let mut sums = std::mem::take(&mut tile.sums);
            sums[..2 * units].fill(0.0);
            let [first, second] = arrays(tile);
            let slices = (first.reversed_axes().to_slice(), second.reversed_axes().to_slice());
            let (Some(first), Some(second)) = slices else {
                unreachable!("examples one behind another")
            };
            let sums_of = SumOfPixels { first, second, by, of: &of, sums: &mut sums[..2 * units] };
            KernelPath::best().vectorized(sums_of);
            tile.sums = sums;
        });
        let mut total = vec![0.0; 2 * units];
        for tile in &*self.tiles {
            total.iter_mut().zip(&tile.sums).for_each(|(total, sum)| *total += sum);
        }
        total
    }

    /// Sets the gradient of what the layer is given to what `rule` makes of the gradient of what it gives, of what it
    /// kept, and of the unit's numbers.
    pub(crate) fn set_input_gradients(&mut self, by: &[Vec<T>; 3], rule: impl Rule<T>) {
        let layer = self.layer;
        self.tiles.par_iter_mut().for_each(|tile| tile.set_input_gradient(layer, by, &rule));
    }
}
