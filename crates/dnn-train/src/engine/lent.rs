//! Buffers that a thread lends to one tile after another.
//!
//! The pictures between convolutions take far more memory than anything else, and nobody looks at them once their tile has
//! gone back. So the tiles of a batch use the same few buffers in turn, which stay near the processor.

use std::sync::{Mutex, PoisonError};

use dnn_core::Element;
use dnn_layers::Network;

use super::plan::is_picture;
use super::tile::{Memory, Tile, Use};
use crate::backward::{GradientBy, backward};

/// What is lent.
pub(super) struct Lent<T> {
    /// For each layer, whether its output is a part of it; nothing is, if this is empty.
    layers: Vec<bool>,
    free: Mutex<Vec<Memory<T>>>,
}

impl<T: Element> Lent<T> {
    /// Nothing.
    pub(super) fn nothing() -> Self {
        Self { layers: Vec::new(), free: Mutex::new(Vec::new()) }
    }

    /// What tiles of this network can do with in turn: pictures that no gradient by block reads later. Nothing if some
    /// layer needs the whole batch: then every tile waits in the middle of its way.
    pub(super) fn of(network: &Network<T>, purpose: Use) -> Self {
        let layers = network.layers();
        if purpose != Use::Measuring && layers.iter().any(dnn_layers::Layer::needs_whole_batch) {
            return Self::nothing();
        }
        let caches = match purpose {
            Use::Measuring => network.answer_caches(0),
            Use::Slopes | Use::Training(_) => network.training_caches(0),
        };
        let by_block = |l: &usize| backward::<T>(&layers[*l]).gradient_by() == GradientBy::Block;
        let read_later: Vec<usize> =
            (0..layers.len()).filter(by_block).filter_map(|l| caches.source(l)).collect();
        let is_lent = |l| is_picture(network.layer_output(l)) && !read_later.contains(&l);
        let lent: Vec<bool> = (0..layers.len()).map(is_lent).collect();
        if !lent.contains(&true) {
            return Self::nothing();
        }
        Self { layers: lent, free: Mutex::new(Vec::new()) }
    }

    /// Makes ready for so many tiles at a time.
    pub(super) fn fill(&mut self, tiles: usize, make: impl Fn() -> Memory<T>) {
        if !self.layers.is_empty() {
            let free = self.free.get_mut().unwrap_or_else(PoisonError::into_inner);
            free.reserve(2 * tiles);
            free.extend((0..tiles).map(|_| make()));
        }
    }

    /// For each layer, whether its buffers are lent; nothing is, if this is empty.
    pub(super) fn layers(&self) -> &[bool] {
        &self.layers
    }

    /// Runs `work` on a tile with all of its buffers; `make` makes those that are not there yet.
    pub(super) fn with(
        &self,
        tile: &mut Tile<T>,
        make: impl Fn() -> Memory<T>,
        work: impl FnOnce(&mut Tile<T>),
    ) {
        if self.layers.is_empty() {
            return work(tile);
        }
        let free = || self.free.lock().unwrap_or_else(PoisonError::into_inner);
        let found = free().pop();
        let mut memory = found.unwrap_or_else(make);
        tile.exchange(&mut memory, &self.layers);
        work(tile);
        tile.exchange(&mut memory, &self.layers);
        free().push(memory);
    }
}
