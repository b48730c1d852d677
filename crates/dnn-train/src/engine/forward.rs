//! The way forward of a step: outputs and costs, in parallel over tiles of examples.

use std::mem::swap;
use std::ops::Range;

use dnn_core::{Columns, Element};
use dnn_kernels::{Chunks, for_each_part};
use dnn_layers::{BatchStatistics, DenseBy, ForwardInputs, Given, Layer, PackedConvolutions};

use super::batch::Batch;
use super::first_layer::FirstLayer;
use super::tile::{NotFinite, Tile};
use super::{Engine, StepContext};
use crate::backward::backward;
use crate::dropout::Masks;
use crate::tally::Tally;

impl<T: Element> Engine<T> {
    /// Outputs and costs of the examples: those of training if it [draws](StepContext::draws), else those of
    /// prediction.
    pub(crate) fn forward(&mut self, context: StepContext<'_, '_, T>) -> Result<&Tally, NotFinite> {
        self.tally.clear();
        let batch = 0..context.columns.len();
        if context.draws.is_some() {
            self.training_forward(&context, batch, |_| {})?;
        } else {
            let width = self.tile_width;
            self.packed.pack(context.network);
            let Self { tiles, lent, purpose, places, packed, .. } = self;
            let make = || Tile::new(context.network, width, *purpose, places).into_memory();
            let tiles = &mut tiles[..batch.len().div_ceil(width)];
            for_each_part(tiles, &|index, tile| {
                let columns = context.columns.part(positions(index, width, &batch));
                lent.with(tile, make, |tile| {
                    tile.predict(&context, columns, packed);
                    tile.cost(&context, columns);
                });
            });
            self.sum_up(batch.len())?;
        }
        Ok(&self.tally)
    }

    /// Outputs and costs of the examples at the positions `batch`, as training has them; `after` is called for
    /// each tile once it knows its cost.
    ///
    /// One segment after another: all tiles have to have come to the end of one before the next begins.
    pub(super) fn training_forward(
        &mut self,
        context: &StepContext<'_, '_, T>,
        batch: Range<usize>,
        after: impl Fn(&mut Tile<T>) + Sync,
    ) -> Result<(), NotFinite> {
        debug_assert!(batch.len() <= self.capacity(), "a batch larger than the buffers");
        let Some(draws) = context.draws else { unreachable!("asked for by training alone") };
        let (network, width, m) = (context.network, self.tile_width, batch.len());
        let used = m.div_ceil(width);
        let masks = &self.masks.masks(network, draws, context.columns.len());
        self.first_layer.prepare(network, &context.examples.features, context.columns);
        self.packed.pack(network);
        let (first_layer, packed) = (&self.first_layer, &self.packed);
        for (index, segment) in self.segments.iter().enumerate() {
            let tiles = &mut self.tiles[..used];
            let statistics = index.checked_sub(1).map(|it| &mut self.statistics[it]);
            let statistics = statistics.map(|it| {
                let layer = segment.start;
                let memory = &mut self.batch_memory;
                let does_relu = network.does_relu(layer);
                let mut all = Batch { tiles, layer, examples: m, memory, does_relu };
                backward::<T>(&network.layers()[layer]).batch_statistics(&mut all, it);
                &*it
            });
            let tiles = &mut self.tiles[..used];
            let (lent, purpose, places) = (&self.lent, self.purpose, &self.places);
            let make = || Tile::new(network, width, purpose, places).into_memory();
            let (first, last) = (index == 0, index + 1 == self.segments.len());
            let go = |index: usize, tile: &mut Tile<T>| {
                let positions = positions(index, width, &batch);
                tile.positions = positions.clone();
                if first {
                    tile.not_finite = None;
                }
                lent.with(tile, make, |tile| {
                    if statistics.is_some_and(|it| !it.are_finite()) {
                        tile.check_output(network, segment.start - 1);
                    }
                    for l in segment.clone() {
                        let known = Known { first_layer, packed, statistics, masks };
                        tile.forward_layer(context, l, known, positions.clone());
                    }
                    if last {
                        tile.cost(context, context.columns.part(positions));
                        after(tile);
                    }
                });
            };
            let together = self.together;
            for_each_part(Chunks::of(tiles, together), &|index, tiles| {
                one_after_another(index * together, tiles, &go);
            });
        }
        self.sum_up(m)?;
        self.check_statistics()
    }

    /// Refuses statistics that overflow although the numbers themselves do not: the normalised numbers would
    /// all be 0, as if there was nothing to learn from.
    fn check_statistics(&self) -> Result<(), NotFinite> {
        match self.statistics.iter().position(|statistics| !statistics.are_finite()) {
            Some(index) => {
                let layer = self.segments[index + 1].start;
                Err(NotFinite { what: "mean or variance", layer })
            }
            None => Ok(()),
        }
    }

    /// Adds up what the tiles of `m` examples found.
    fn sum_up(&mut self, m: usize) -> Result<(), NotFinite> {
        for tile in &self.tiles[..m.div_ceil(self.tile_width)] {
            if let Some(not_finite) = tile.not_finite {
                return Err(not_finite);
            }
            self.tally.add(&tile.tally);
        }
        Ok(())
    }
}

/// Has tiles go, the first of which has this index, each adding to the sums of gradients of those before it: the first one
/// has them all at the end.
fn one_after_another<T: Element>(
    first: usize,
    tiles: &mut [Tile<T>],
    go: &impl Fn(usize, &mut Tile<T>),
) {
    for at in 0..tiles.len() {
        tiles[at].adds = at > 0;
        if at > 0 {
            let (before, behind) = tiles.split_at_mut(at);
            swap(&mut before[at - 1].sums_of_gradients, &mut behind[0].sums_of_gradients);
        }
        go(first + at, &mut tiles[at]);
    }
    if let [first, .., last] = tiles {
        swap(&mut first.sums_of_gradients, &mut last.sums_of_gradients);
    }
}

/// What all tiles of a step know.
#[derive(Clone, Copy)]
struct Known<'k, T> {
    first_layer: &'k FirstLayer<T>,
    packed: &'k PackedConvolutions<T>,
    /// Of the segment's first layer, if that needs the whole batch.
    statistics: Option<&'k BatchStatistics<T>>,
    masks: &'k Masks<'k>,
}

/// Which positions of `batch` a tile takes.
pub(super) fn positions(tile: usize, width: usize, batch: &Range<usize>) -> Range<usize> {
    let start = batch.start + tile * width;
    start..batch.end.min(start + width)
}

impl<T: Element> Tile<T> {
    /// The outputs of all layers as prediction has them.
    fn predict(
        &mut self,
        context: &StepContext<'_, '_, T>,
        columns: Columns<'_>,
        packed: &PackedConvolutions<T>,
    ) {
        let (network, inputs) = (context.network, context.inputs(columns));
        self.not_finite = None;
        for l in 0..network.layers().len() {
            let dense = context.product_of(l, columns).unwrap_or_default();
            let given = Given { dense, convolution: packed.of_layer(l), ..Given::default() };
            network.forward_layer(l, inputs, given, &mut self.caches);
            self.check_output(network, l);
        }
    }

    /// The output of layer `l` as training has it; `positions` are those of the tile within the batch.
    fn forward_layer(
        &mut self,
        context: &StepContext<'_, '_, T>,
        l: usize,
        known: Known<'_, T>,
        positions: Range<usize>,
    ) {
        let network = context.network;
        let columns = context.columns.part(positions.clone());
        let dense = context.product_of(l, columns);
        let dense = dense.unwrap_or_else(|| known.first_layer.of_layer(l, positions.clone()));
        let inputs = context.inputs(columns);
        let rate = network.layers()[l].drop_rate();
        if rate > 0.0 {
            let mut masks = known.masks.of_layer(l, rate);
            let mut keep = |j: usize, keep: &mut [bool]| masks.fill(positions.start + j, keep);
            let given = Given { dense, keep: Some(&mut keep), ..Given::default() };
            network.forward_layer(l, inputs, given, &mut self.caches);
        } else {
            let (convolution, statistics) = (known.packed.of_layer(l), known.statistics);
            let given = Given { dense, convolution, statistics, keep: None };
            network.forward_layer(l, inputs, given, &mut self.caches);
        }
        // What batch normalisation is given shows in the statistics.
        if !network.layers().get(l + 1).is_some_and(Layer::needs_whole_batch) {
            self.check_output(network, l);
        }
    }

    /// Costs, and the gradient of the logits.
    fn cost(&mut self, context: &StepContext<'_, '_, T>, columns: Columns<'_>) {
        let StepContext { network, objective, examples, .. } = *context;
        let depth = network.layers().len();
        let (caches, dz) = self.last_gradient_mut();
        let (z, a) = (caches.logits(), caches.output());
        let sum = objective.sum_and_gradient(network.head(), z, a, examples, columns, dz);
        if self.not_finite.is_none() && !sum.cost.is_finite() {
            self.not_finite = Some(NotFinite { what: "cost", layer: depth - 1 });
        }
        let outputs = self.caches.output();
        self.tally.clear();
        self.tally.add_outputs(network, outputs, &examples.targets, columns, sum);
    }
}

impl<'e, T: Element> StepContext<'_, 'e, T> {
    fn inputs<'i>(&'i self, columns: Columns<'i>) -> ForwardInputs<'i, 'e, T> {
        ForwardInputs { x: &self.examples.features, columns }
    }

    /// The product of layer `l` with these examples, where it is known.
    fn product_of(&self, l: usize, columns: Columns<'_>) -> Option<DenseBy<'_, T>> {
        let product = self.product.as_ref().filter(|_| l == self.network.first_layer())?;
        let Columns::Run { start, len } = columns else {
            unreachable!("products are those of a run of examples");
        };
        Some(DenseBy::Product(product.slice(ndarray::s![.., start..start + len])))
    }
}
