//! All examples of a batch, for a layer that needs them together: sums over all tiles, in their order.

use dnn_core::Element;
use dnn_kernels::for_each_part;
use dnn_layers::Network;

use super::tile::Tile;
use super::tile_numbers::{TileNumbers, most_units};

/// The examples of a batch at one layer.
pub(crate) struct Batch<'b, T> {
    pub(super) tiles: &'b mut [Tile<T>],
    pub(super) layer: usize,
    pub(super) examples: usize,
    pub(super) memory: &'b mut BatchMemory<T>,
    /// Whether the layer does the `ReLU` after it.
    pub(super) does_relu: bool,
}

/// What a layer works in that needs all examples together.
pub(crate) struct BatchMemory<T> {
    /// Sums over the batch.
    pub(crate) sums: Vec<f64>,
    /// Numbers of the units.
    pub(crate) means: Vec<f64>,
    pub(crate) units: [Vec<T>; 3],
}

impl<T: Element> BatchMemory<T> {
    /// Enough for every layer of this network.
    pub(super) fn of(network: &Network<T>) -> Self {
        let units = most_units(network);
        Self {
            sums: Vec::with_capacity(2 * units),
            means: Vec::with_capacity(units),
            units: [(); 3].map(|()| Vec::with_capacity(units)),
        }
    }
}

impl<T: Element> Batch<'_, T> {
    /// How many numbers each unit has: of pictures, each channel is a unit.
    pub(crate) fn numbers(&self, units: usize) -> usize {
        let places =
            self.tiles.first().map_or(1, |tile| tile.input(self.layer).nrows() / units.max(1));
        self.examples * places
    }

    /// Whether the layer does the `ReLU` after it, so that the gradient is that of the activation's output.
    pub(crate) fn does_relu(&self) -> bool {
        self.does_relu
    }

    /// What the layer works in.
    pub(crate) fn memory(&mut self) -> &mut BatchMemory<T> {
        self.memory
    }

    /// Leaves in the memory `count` sums over all examples, of those that `add` adds up for a tile.
    pub(crate) fn sums(
        &mut self,
        count: usize,
        add: impl Fn(TileNumbers<'_, T>, &mut [f64]) + Sync,
    ) {
        let layer = self.layer;
        for_each_part(&mut *self.tiles, &|_, tile| {
            let (numbers, sums) = tile.at_layer(layer);
            let sums = &mut sums[..count];
            sums.fill(0.0);
            add(numbers, sums);
        });
        let total = &mut self.memory.sums;
        total.clear();
        total.resize(count, 0.0);
        for tile in &*self.tiles {
            total.iter_mut().zip(&tile.sums).for_each(|(total, sum)| *total += sum);
        }
    }

    /// Works on every tile.
    pub(crate) fn each(&mut self, work: impl Fn(TileNumbers<'_, T>) + Sync) {
        let layer = self.layer;
        for_each_part(&mut *self.tiles, &|_, tile| work(tile.at_layer(layer).0));
    }
}
