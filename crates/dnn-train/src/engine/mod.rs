//! One step of training, over buffers that are allocated once.
//!
//! ```text
//! forward:   tiles of examples go through all layers, side by side      forward.rs
//! backward:  each tile goes back to the gradient of every output        backward.rs
//! gradient:  those of the arrays are summed, by block or by group       gradient.rs
//! update:    the parameters follow them                                 update.rs
//! ```
//! Tiles, groups and blocks follow from shapes ([`plan`]), never from threads.

mod backward;
pub(crate) mod batch;
mod blocks;
mod context;
mod first_layer;
mod forward;
mod gradient;
mod lent;
mod outside;
mod part;
pub(crate) mod pixels;
pub(crate) mod plan;
mod target;
mod tile;
pub(crate) mod tile_numbers;
mod update;

use std::ops::Range;
use std::sync::Arc;

use dnn_core::{Element, Features};
use dnn_kernels::Products;
use dnn_layers::{BatchStatistics, Network, PackedConvolutions};
use ndarray::{Array2, ArrayView2};

use self::batch::BatchMemory;
use self::blocks::Blocks;
pub(crate) use self::context::StepContext;
use self::first_layer::FirstLayer;
use self::lent::Lent;
pub(crate) use self::outside::FIRST_DRAWS;
pub use self::outside::gradients;
use self::part::{Part, part};
pub(crate) use self::target::Rule;
pub(crate) use self::tile::NotFinite;
use self::tile::{GradientPlaces, Tile, Use};
use crate::dropout::MaskPlan;
use crate::tally::Tally;

/// The buffers of a training run.
pub(crate) struct Engine<T> {
    tile_width: usize,
    /// Tiles that go one after another and add to the same sums of gradients.
    together: usize,
    /// Examples that go forward and back together, if not the whole batch does.
    group: Option<usize>,
    tiles: Vec<Tile<T>>,
    /// What the tiles use in turn.
    lent: Lent<T>,
    purpose: Use,
    places: Arc<GradientPlaces<T>>,
    /// Layers that a tile goes through without asking the others: each but the first begins with one that needs the
    /// whole batch.
    segments: Vec<Range<usize>>,
    /// Of the last batch, for each segment but the first.
    statistics: Vec<BatchStatistics<T>>,
    masks: MaskPlan,
    /// What each array of the network is for its gradient.
    parts: Vec<Part>,
    /// One array for each of the network; without numbers where nothing is trained.
    gradient: Vec<Array2<T>>,
    /// One buffer per block of features, for the layer with the most blocks, where there are no kernels. Only the
    /// first layer's pixels or gathered columns are ever put there; other layers' inputs are read in place.
    scratch: Vec<Vec<T>>,
    /// Gradients by block by kernels, where there are any.
    blocks: Option<Blocks<T>>,
    /// What the tiles of a step find ready.
    first_layer: FirstLayer<T>,
    /// The weights of convolutions, laid out for the way forward and for the way back.
    packed: PackedConvolutions<T>,
    packed_back: PackedConvolutions<T>,
    batch_memory: BatchMemory<T>,
    tally: Tally,
}

impl<T: Element> Engine<T> {
    /// Buffers for steps on up to `batch` examples like these.
    pub(crate) fn new(
        network: &Network<T>,
        batch: usize,
        x: &Features<'_, T>,
        products: Products,
    ) -> Self {
        let group = plan::group(network, batch);
        let mut engine = match group {
            Some(group) => {
                Self::with_tiles_of(network, plan::GROUP_TILE, group, Use::Training(products))
            }
            None => Self::with_tiles(network, batch, Use::Training(products)),
        };
        engine.group = group;
        engine.gradient = network.zeros();
        engine.first_layer = FirstLayer::new(network, batch, x, products);
        engine.with_gradient_buffers(network, group.unwrap_or(batch), products)
    }

    /// Buffers for steps on `batch` examples of which the first layer's [product](StepContext::product) is given.
    pub(crate) fn for_products(network: &Network<T>, batch: usize, products: Products) -> Self {
        let first = network.tensor_range(network.first_layer()).start;
        let weights = network.tensors()[first].values();
        let width = plan::tile_width(network.parameter_count() - weights.len(), batch);
        let mut engine = Self::with_tiles_of(network, width, batch, Use::Training(products));
        engine.gradient = network.zeros();
        engine.gradient[first] = Array2::zeros((weights.nrows(), 0));
        engine.with_gradient_buffers(network, batch, products)
    }

    /// With the buffers that make the gradient that there is room for.
    fn with_gradient_buffers(
        mut self,
        network: &Network<T>,
        batch: usize,
        products: Products,
    ) -> Self {
        self.blocks = Blocks::new(network, batch, products);
        if self.blocks.is_none() {
            let inputs = self.gradient.iter().map(Array2::ncols).max().unwrap_or(0);
            self.scratch = vec![Vec::new(); inputs.div_ceil(dnn_core::FEATURE_BLOCK)];
        }
        self
    }

    /// Buffers for [`forward`](Self::forward) alone, over any number of examples.
    pub(crate) fn for_measuring(network: &Network<T>, examples: usize) -> Self {
        Self::with_tiles(network, plan::measured_at_a_time(network, examples), Use::Measuring)
    }

    /// Buffers for [`forward`](Self::forward) alone, as training runs it, over so many examples at once.
    pub(crate) fn for_slopes(network: &Network<T>, examples: usize) -> Self {
        Self::with_tiles(network, examples, Use::Slopes)
    }

    fn with_tiles(network: &Network<T>, batch: usize, purpose: Use) -> Self {
        let width = plan::tile_of(network, batch);
        Self::with_tiles_of(network, width, batch, purpose)
    }

    fn with_tiles_of(network: &Network<T>, tile_width: usize, batch: usize, purpose: Use) -> Self {
        let places = Arc::new(plan::gradient_places(network, purpose.products(), tile_width));
        let mut lent = Lent::of(network, purpose);
        let at_a_time = rayon::current_num_threads().min(batch.div_ceil(tile_width));
        lent.fill(at_a_time, || Tile::new(network, tile_width, purpose, &places).into_memory());
        let tile = |_| {
            let mut tile = Tile::new(network, tile_width, purpose, &places);
            tile.give_up(lent.layers());
            tile
        };
        let segments = plan::segments(network);
        let standard = |segment: &Range<usize>| {
            BatchStatistics::standard(network.layer_output(segment.start).channels)
        };
        Self {
            tile_width,
            together: plan::tiles_together(network, tile_width, batch),
            group: None,
            tiles: (0..batch.div_ceil(tile_width)).map(tile).collect(),
            lent,
            purpose,
            places,
            statistics: segments[1..].iter().map(standard).collect(),
            segments,
            masks: MaskPlan::new(network),
            parts: (0..network.tensors().len()).map(|it| part(network, it)).collect(),
            gradient: Vec::new(),
            scratch: Vec::new(),
            blocks: None,
            first_layer: FirstLayer::by_weights(),
            packed: PackedConvolutions::of(network, purpose.products()),
            packed_back: PackedConvolutions::of(network, purpose.products()),
            batch_memory: BatchMemory::of(network),
            tally: Tally::new(network.outputs()),
        }
    }

    /// The most examples that one pass takes.
    pub(crate) fn capacity(&self) -> usize {
        self.tile_width * self.tiles.len()
    }

    /// Examples in a tile.
    pub(crate) fn tile_width(&self) -> usize {
        self.tile_width
    }

    /// The gradient of what the first layer gives, of one tile.
    pub(crate) fn first_dz(&self, first_layer: usize, tile: usize) -> ArrayView2<'_, T> {
        self.tiles[tile].gradient(first_layer)
    }

    /// What the last pass counted.
    pub(crate) fn tally(&self) -> &Tally {
        &self.tally
    }

    /// The gradient of the last step, one array for each of the network.
    pub(crate) fn gradient(&self) -> &[Array2<T>] {
        &self.gradient
    }

    /// The same, to be changed before parameters follow it.
    pub(crate) fn gradient_mut(&mut self) -> &mut [Array2<T>] {
        &mut self.gradient
    }

    /// The statistics of the last batch, for each layer that needs them, in order.
    pub(crate) fn statistics(&self) -> &[BatchStatistics<T>] {
        &self.statistics
    }
}
