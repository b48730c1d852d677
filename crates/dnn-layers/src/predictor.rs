//! Prediction in memory that is used again.

use std::sync::Arc;

use dnn_core::{BothPrecisions, Columns, Element, Features};
use dnn_kernels::{Kernels, PackedWeights, Products, take_turns};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, ShapeBuilder, s};

use crate::error::NO_CLASSES;
use crate::head::{class_probabilities, most_probable};
use crate::mirror::Mirror;
use crate::{
    DenseBy, ForwardCaches, ForwardInputs, Given, Layer, Network, NetworkError, PackedConvolutions,
};

/// Examples that a task takes through all layers at a time; packed weights are worth it from half as many
/// on.
const TILE: usize = 64;
/// About the most numbers of all layers in a tile.
const TILE_NUMBERS: usize = 1 << 16;
/// Units from which on packed weights are worth it.
const UNITS: usize = 24;

/// Predicts with a network again and again, in memory that is made by the first call of a size.
///
/// A picture at a time goes through kernels that read the weights as they lie; called by a thread of a rayon
/// pool, the other threads of it help with large layers, which is faster for one call after another, and
/// slower if these threads fell asleep in between. Many at a time go in tiles,
/// on the threads of the surrounding pool, through weights that are laid out for it once. Each thread that
/// predicts on its own makes a predictor of its own; they share the network. Asked for many at a time from
/// outside of a pool, this thread works along, and each other one is sent a small job, which is an allocation.
///
/// # Examples
/// ```
/// use std::sync::Arc;
///
/// use dnn_core::{Features, Purpose, RandomStream, Shape};
/// use dnn_layers::{Activation, Network, Predictor};
/// use ndarray::array;
///
/// let network = Network::<f32>::builder(Shape::flat(2))
///     .hidden(&[8], Activation::Tanh)
///     .classes(["left", "right"])
///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
/// let mut predictor = Predictor::new(Arc::new(network))?;
/// for point in [array![[0.5], [0.1]], array![[-2.0], [0.3]]] {
///     let probabilities = predictor.probabilities(&Features::Real(point.view()))?;
///     assert_eq!(probabilities.dim(), (2, 1));
/// }
/// # Ok::<(), dnn_layers::NetworkError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Predictor<T> {
    network: Arc<Network<T>>,
    /// The same function in dense layers alone, if the network has others: nothing to work out per call.
    folded: Option<Network<T>>,
    buffers: PredictBuffers<T>,
    probabilities: Array2<T>,
    classes: Vec<usize>,
}

impl<T: Element> Predictor<T> {
    /// A predictor of this network, which others may share.
    ///
    /// # Errors
    /// [`NetworkError::NoClasses`] for a network without classes.
    pub fn new(network: Arc<Network<T>>) -> Result<Self, NetworkError> {
        if network.classes().is_empty() {
            return Err(NO_CLASSES);
        }
        let probabilities = Array2::zeros((network.classes().len(), 1).f());
        let has_batches = network.layers().iter().any(Layer::needs_whole_batch);
        let folded = has_batches.then(|| network.folded());
        let buffers = PredictBuffers::new(folded.as_ref().unwrap_or(&network));
        Ok(Self { network, folded, buffers, probabilities, classes: Vec::new() })
    }

    /// The network.
    pub fn network(&self) -> &Network<T> {
        &self.network
    }

    /// The probability of every class, for every example, as
    /// [`Network::predict_probabilities`] has it, up to rounding.
    ///
    /// # Shapes
    /// `x` is `(n_x, m)`, the result `(classes, m)`.
    ///
    /// # Errors
    /// As [`Network::predict_probabilities`].
    pub fn probabilities(
        &mut self,
        x: &Features<'_, T>,
    ) -> Result<ArrayView2<'_, T>, NetworkError> {
        self.network.check(x)?;
        if self.probabilities.ncols() < x.len() {
            self.probabilities = Array2::zeros((self.probabilities.nrows(), x.len()).f());
        }
        let mut used = self.probabilities.slice_mut(s![.., ..x.len()]);
        let network = self.folded.as_ref().unwrap_or(&self.network);
        self.buffers.run(network, x, Wanted::Answers, used.view_mut())?;
        Ok(self.probabilities.slice(s![.., ..x.len()]))
    }

    /// The class of every example, as [`Network::predict`] has it.
    ///
    /// # Errors
    /// As [`Network::predict_probabilities`].
    pub fn predict(&mut self, x: &Features<'_, T>) -> Result<&[usize], NetworkError> {
        self.probabilities(x)?;
        let used = self.probabilities.slice(s![.., ..x.len()]);
        self.classes.clear();
        self.classes.extend(used.columns().into_iter().map(most_probable));
        Ok(&self.classes)
    }
}

/// What predictions are made in.
#[derive(Debug, Clone)]
pub(crate) struct PredictBuffers<T> {
    /// Examples of a tile.
    tile: usize,
    tiles: Vec<Tile<T>>,
    /// For each layer, once many examples came; `None` where it is of no use.
    packed: Vec<Option<PackedWeights<T>>>,
    /// From the first call on.
    convolutions: Option<PackedConvolutions<T>>,
}

/// What the examples of a tile go through.
#[derive(Debug, Clone)]
struct Tile<T> {
    caches: ForwardCaches<T>,
    /// Where answers look at the mirrors of pictures as well.
    mirror: Option<Mirror<T>>,
}

/// What is wanted of examples.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Class probabilities `(classes, m)`, or outputs `(n_L, m)`.
    Answers,
    /// `(n_L, m)`.
    Logits,
}

type Run<T> = fn(
    &mut PredictBuffers<T>,
    &Network<T>,
    &Features<'_, T>,
    Wanted,
    ArrayViewMut2<'_, T>,
) -> Result<(), NetworkError>;

static RUN: BothPrecisions<Run<f32>, Run<f64>> =
    BothPrecisions { f32: PredictBuffers::run_here, f64: PredictBuffers::run_here };

impl<T: Element> PredictBuffers<T> {
    pub(crate) fn new(network: &Network<T>) -> Self {
        let units = crate::network::units(network);
        let tile = (TILE_NUMBERS / units.max(1)).clamp(1, TILE);
        Self { tile, tiles: Vec::new(), packed: Vec::new(), convolutions: None }
    }

    /// What is wanted of all examples; the caller has checked `x`.
    pub(crate) fn run(
        &mut self,
        network: &Network<T>,
        x: &Features<'_, T>,
        wanted: Wanted,
        probabilities: ArrayViewMut2<'_, T>,
    ) -> Result<(), NetworkError> {
        RUN.of::<Run<T>>()(self, network, x, wanted, probabilities)
    }

    fn run_here(
        &mut self,
        network: &Network<T>,
        x: &Features<'_, T>,
        wanted: Wanted,
        mut probabilities: ArrayViewMut2<'_, T>,
    ) -> Result<(), NetworkError> {
        let (m, tile) = (x.len(), self.tile);
        self.make_ready(network, m);
        let by = Packed {
            dense: if 2 * m >= TILE { &self.packed[..] } else { &[] },
            convolutions: self.convolutions.as_ref(),
        };
        let len = |index: usize| tile.min(m - index * tile);
        let work = |of_tile: &mut Tile<T>, index: usize, out: ArrayViewMut2<'_, T>| {
            let columns = Columns::Run { start: index * tile, len: len(index) };
            of_tile.forward(network, by, ForwardInputs { x, columns });
            match wanted {
                Wanted::Answers => class_probabilities(of_tile.caches.output(), out),
                Wanted::Logits => {
                    let mut out = out;
                    out.assign(&of_tile.caches.logits());
                }
            }
        };
        let threads = if m == 1 && rayon::current_thread_index().is_some() {
            rayon::current_num_threads()
        } else {
            1
        };
        self.tiles.iter_mut().for_each(|tile| tile.caches.share_out(threads));
        let outs = probabilities.axis_chunks_iter_mut(Axis(1), tile).enumerate();
        take_turns(&mut self.tiles, outs, work);
        let overflow = |column: ndarray::ArrayView1<'_, T>| column.iter().any(|p| !p.is_finite());
        match probabilities.columns().into_iter().position(overflow) {
            Some(example) => Err(NetworkError::Overflow { example }),
            None => Ok(()),
        }
    }

    /// Makes what `m` examples need and is not there yet.
    fn make_ready(&mut self, network: &Network<T>, m: usize) {
        // One for each thread, which stays near its processor from one tile to the next.
        let wanted = match m.div_ceil(self.tile) {
            0 | 1 => 1,
            tiles => tiles.min(rayon::current_num_threads()),
        };
        // A single picture needs a column alone.
        let width = if m > 1 || !self.tiles.is_empty() { self.tile } else { 1 };
        if self.tiles.first().is_some_and(|first| first.caches.capacity() < self.tile.min(m)) {
            self.tiles.clear();
        }
        while self.tiles.len() < wanted {
            let mirror = network.is_mirrored().then(|| Mirror::new(network.outputs(), width));
            self.tiles.push(Tile { caches: network.answer_caches(width), mirror });
        }
        self.convolutions.get_or_insert_with(|| {
            let mut packed = PackedConvolutions::of(network, Products::Full);
            packed.pack(network);
            packed
        });
        if 2 * m < TILE || !self.packed.is_empty() {
            return;
        }
        let packed = |layer: usize| {
            let (Layer::Dense(_), [weights, _]) =
                (&network.layers()[layer], network.layer_tensors(layer))
            else {
                return None;
            };
            let (units, inputs) = weights.values().dim();
            if units < UNITS || !T::Kernels::VECTOR {
                return None;
            }
            let mut packed = PackedWeights::new(units, inputs);
            packed.fill(weights.values());
            Some(packed)
        };
        self.packed = (0..network.layers().len()).map(packed).collect();
    }
}

impl<T: Element> Tile<T> {
    /// All layers, for the pictures and, where answers look at them, for their mirrors.
    fn forward(
        &mut self,
        network: &Network<T>,
        by: Packed<'_, T>,
        inputs: ForwardInputs<'_, '_, T>,
    ) {
        let Self { caches, mirror } = self;
        forward(network, by, inputs, caches);
        let Some(mirror) = mirror else { return };
        let len = inputs.columns.len();
        mirror.logits.slice_mut(s![.., ..len]).assign(&caches.logits());
        let x = &mirror.of(inputs.x, inputs.columns, network.input());
        let columns = Columns::Run { start: 0, len };
        forward(network, by, ForwardInputs { x, columns }, caches);
        caches.average(mirror.logits.slice(s![.., ..len]), network.head());
    }
}

/// Weights that are laid out for prediction.
#[derive(Clone, Copy)]
struct Packed<'p, T> {
    dense: &'p [Option<PackedWeights<T>>],
    convolutions: Option<&'p PackedConvolutions<T>>,
}

/// All layers, by packed weights where there are any.
fn forward<T: Element>(
    network: &Network<T>,
    by: Packed<'_, T>,
    inputs: ForwardInputs<'_, '_, T>,
    caches: &mut ForwardCaches<T>,
) {
    for layer in 0..network.layers().len() {
        let dense = by.dense.get(layer).and_then(Option::as_ref);
        let dense = dense.map_or(DenseBy::Weights, DenseBy::Packed);
        let convolution = by.convolutions.and_then(|packed| packed.of_layer(layer));
        let given = Given { dense, convolution, ..Given::default() };
        network.forward_layer(layer, inputs, given, caches);
    }
}
