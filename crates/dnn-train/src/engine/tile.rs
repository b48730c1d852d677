//! The buffers of some examples on their way through all layers.

use std::ops::Range;
use std::sync::Arc;

use dnn_core::{Element, Shape};
use dnn_kernels::{KernelPath, NonZeroIndex, PlainLoop, Products, aligned_zeros};
use dnn_layers::{ForwardCaches, Network};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, ShapeBuilder, s};

use super::tile_numbers::{TileNumbers, most_units};
use crate::convolution_memory::ConvolutionMemory;
use crate::tally::Tally;

/// Something stopped being finite: which numbers, and of which layer, counted from 0 among all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct NotFinite {
    pub(crate) what: &'static str,
    pub(crate) layer: usize,
}

/// Where the gradients of what the layers give are kept, and how those of their arrays are summed.
#[derive(Debug)]
pub(super) struct GradientPlaces<T> {
    /// For each layer the one whose place it is: its own, or that of the last one before it that does not work in
    /// place. None before the first of those.
    pub(super) of: Vec<Option<usize>>,
    /// Layers whose arrays' gradient is summed by block.
    pub(super) by_block: Vec<usize>,
    /// For each array, the shape of a tile's sums for its gradient.
    pub(super) sums: Vec<(usize, usize)>,
    /// For each layer, those to which a connection begins with what it gives.
    pub(super) connections: Vec<Vec<usize>>,
    /// Memory enough for every convolution on its way back.
    pub(super) convolution: ConvolutionMemory<T>,
}

impl<T> GradientPlaces<T> {
    fn of(&self, layer: usize) -> Option<usize> {
        self.of[layer]
    }
}

/// What the way back through a layer reads and writes, for the examples of a tile.
pub(super) struct WayBack<'w, T> {
    pub(super) caches: &'w ForwardCaches<T>,
    pub(super) gradient: ArrayViewMut2<'w, T>,
    /// If the layer does not work in place, and one before it has a gradient.
    pub(super) input_gradient: Option<ArrayViewMut2<'w, T>>,
    pub(super) non_zero: &'w mut NonZeroIndex<T>,
    pub(super) convolution: &'w mut ConvolutionMemory<T>,
    pub(super) sums_of_gradients: &'w mut [Array2<T>],
}

/// Numbers of an example of this shape.
pub(crate) fn size(shape: Shape) -> usize {
    shape.height * shape.width * shape.channels
}

/// What a tile may be lent: the buffers of some layers, and what convolutions work in.
pub(super) struct Memory<T> {
    caches: ForwardCaches<T>,
    gradients: Vec<Array2<T>>,
    around: Vec<Array2<T>>,
    convolution: ConvolutionMemory<T>,
}

/// The buffers of a tile.
pub(crate) struct Tile<T> {
    pub(crate) caches: ForwardCaches<T>,
    /// The gradients of the outputs of layers; those in the middle share a place.
    gradients: Vec<Array2<T>>,
    /// For each layer, the gradient that a connection to it takes back around others.
    around: Vec<Array2<T>>,
    places: Arc<GradientPlaces<T>>,
    /// What these examples add to the gradients that are summed by groups, one array for each of the network.
    pub(super) sums_of_gradients: Vec<Array2<T>>,
    pub(super) tally: Tally,
    pub(super) not_finite: Option<NotFinite>,
    /// Two sums for each unit of a layer that needs the whole batch.
    pub(super) sums: Vec<f64>,
    /// Memory for what of a gradient is not zero.
    non_zero: NonZeroIndex<T>,
    convolution: ConvolutionMemory<T>,
    /// Whether the sums of gradients are those of tiles before this one, which it adds to.
    pub(super) adds: bool,
    /// Which of the batch's examples the tile holds now, in training.
    pub(super) positions: Range<usize>,
}

/// What a tile's buffers are for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Use {
    Measuring,
    /// Forward as in training, and no further.
    Slopes,
    /// With products in these numbers.
    Training(Products),
}

impl Use {
    pub(super) fn is_training(self) -> bool {
        matches!(self, Self::Training(_))
    }

    /// In which numbers products are made.
    pub(super) fn products(self) -> Products {
        match self {
            Self::Measuring | Self::Slopes => Products::Full,
            Self::Training(products) => products,
        }
    }
}

impl<T: Element> Tile<T> {
    /// Buffers for `width` examples.
    pub(super) fn new(
        network: &Network<T>,
        width: usize,
        purpose: Use,
        places: &Arc<GradientPlaces<T>>,
    ) -> Self {
        let layers = network.layers();
        let gradient = |l: usize| {
            // Without a backward pass that of the last layer alone is needed, which the cost writes.
            let is_used = purpose.is_training() || l + 1 == layers.len();
            let is_wanted = is_used && places.of(l) == Some(l);
            let units = if is_wanted { size(network.layer_output(l)) } else { 0 };
            Array2::zeros((units, if is_wanted { width } else { 0 }).f())
        };
        let around = |l: usize| {
            let is_wanted = purpose.is_training() && layers[l].goes_around().is_some();
            let units = if is_wanted { size(network.layer_output(l)) } else { 0 };
            Array2::zeros((units, if is_wanted { width } else { 0 }).f())
        };
        let by_block = places.by_block.iter().filter(|&&l| l > 0);
        let widest = by_block.map(|&l| size(network.layer_output(l))).max().unwrap_or(0);
        let sums = places.sums.iter().map(|&shape| aligned_zeros(shape));
        Self {
            caches: match purpose {
                Use::Measuring => network.answer_caches(width),
                Use::Slopes | Use::Training(_) => {
                    network.training_caches_by(width, purpose.products())
                }
            },
            gradients: (0..layers.len()).map(gradient).collect(),
            around: (0..layers.len()).map(around).collect(),
            places: Arc::clone(places),
            sums_of_gradients: if purpose.is_training() { sums.collect() } else { Vec::new() },
            tally: Tally::new(network.outputs()),
            not_finite: None,
            sums: vec![0.0; 2 * most_units(network)],
            non_zero: match purpose {
                Use::Training(_) => NonZeroIndex::with_capacity(width, widest),
                Use::Measuring | Use::Slopes => NonZeroIndex::default(),
            },
            convolution: match purpose {
                Use::Training(_) => places.convolution.clone(),
                Use::Measuring | Use::Slopes => ConvolutionMemory::default(),
            },
            adds: false,
            positions: 0..0,
        }
    }

    /// Does without the buffers of these layers, which are given to it later.
    pub(super) fn give_up(&mut self, layers: &[bool]) {
        self.caches.give_up(layers);
        for buffers in [&mut self.gradients, &mut self.around] {
            for (buffer, _) in buffers.iter_mut().zip(layers).filter(|(_, lent)| **lent) {
                *buffer = Array2::zeros((buffer.nrows(), 0).f());
            }
        }
    }

    /// All buffers of a tile that are of use to another one.
    pub(super) fn into_memory(self) -> Memory<T> {
        let Self { caches, gradients, around, convolution, .. } = self;
        Memory { caches, gradients, around, convolution }
    }

    /// Exchanges the buffers of these layers.
    pub(super) fn exchange(&mut self, memory: &mut Memory<T>, layers: &[bool]) {
        self.caches.exchange(&mut memory.caches, layers);
        std::mem::swap(&mut self.convolution, &mut memory.convolution);
        let gradients = self.gradients.iter_mut().zip(&mut memory.gradients).zip(layers);
        let around = self.around.iter_mut().zip(&mut memory.around).zip(layers);
        for ((own, lent), _) in gradients.chain(around).filter(|(_, lent)| **lent) {
            std::mem::swap(own, lent);
        }
    }

    /// What layer `l` is given by another one.
    pub(crate) fn input(&self, l: usize) -> ArrayView2<'_, T> {
        self.caches.layer_input(l).expect("a layer that has another one before it")
    }

    /// The gradient of what layer `l` gives, for the examples that the tile holds now.
    pub(crate) fn gradient(&self, l: usize) -> ArrayView2<'_, T> {
        let place = self.places.of(l).expect("a layer that has a gradient");
        self.gradients[place].slice(s![.., ..self.caches.examples()])
    }

    /// Where the cost writes the gradient of the logits.
    pub(super) fn last_gradient_mut(&mut self) -> (&ForwardCaches<T>, ArrayViewMut2<'_, T>) {
        let used = s![.., ..self.caches.examples()];
        let last = self.gradients.last_mut().expect("a network has layers");
        (&self.caches, last.slice_mut(used))
    }

    /// Keeps the gradient of what layer `l` gives, for where a connection to it begins.
    pub(super) fn keep_around(&mut self, l: usize) {
        let used = s![.., ..self.caches.examples()];
        if let Some(place) = self.places.of(l) {
            self.around[l].slice_mut(used).assign(&self.gradients[place].slice(used));
        }
    }

    /// Adds to the gradient of what layer `l` gives what connections that begin there bring back.
    pub(super) fn add_around(&mut self, l: usize) {
        let used = s![.., ..self.caches.examples()];
        let Some(place) = self.places.of(l) else { return };
        for &to in &self.places.connections[l] {
            let mut gradient = self.gradients[place].slice_mut(used);
            gradient += &self.around[to].slice(used);
        }
    }

    /// Whether a connection begins with what layer `l` gives.
    pub(super) fn has_connection(&self, l: usize) -> bool {
        !self.places.connections[l].is_empty()
    }

    /// What the way back through layer `l` reads and writes, where there is a gradient of what it gives.
    pub(super) fn way_back(&mut self, l: usize) -> Option<WayBack<'_, T>> {
        let used = s![.., ..self.caches.examples()];
        let place = self.places.of(l)?;
        let (lower, upper) = self.gradients.split_at_mut(place);
        let to = l.checked_sub(1).and_then(|before| self.places.of(before));
        Some(WayBack {
            caches: &self.caches,
            gradient: upper[0].slice_mut(used),
            input_gradient: to.filter(|&to| to < place).map(|to| lower[to].slice_mut(used)),
            non_zero: &mut self.non_zero,
            convolution: &mut self.convolution,
            sums_of_gradients: &mut self.sums_of_gradients,
        })
    }

    /// The numbers of the examples at layer `l`, and sums for each unit of a layer that needs the whole batch.
    pub(super) fn at_layer(&mut self, l: usize) -> (TileNumbers<'_, T>, &mut [f64]) {
        let used = s![.., ..self.caches.examples()];
        let input = self.caches.layer_input(l).and_then(|input| input.reversed_axes().to_slice());
        let gradient = self.places.of(l).map(|place| &mut self.gradients[place]);
        // Forward alone, there is no gradient.
        let gradient = gradient.filter(|gradient| gradient.ncols() > 0);
        let gradient = gradient.map(|gradient| {
            gradient.slice_mut(used).reversed_axes().into_slice().expect("in one piece")
        });
        let input = input.expect("examples of a layer before, one behind another");
        (TileNumbers { input, gradient: gradient.unwrap_or_default() }, &mut self.sums)
    }

    /// Notes if layer `l` gives what is not finite, unless an earlier one did.
    pub(super) fn check_output(&mut self, network: &Network<T>, l: usize) {
        if self.not_finite.is_none()
            && self.caches.has_output(l)
            && !network.layer_tensors(l).is_empty()
            && !all_finite(self.caches.layer_output(l))
        {
            self.not_finite = Some(NotFinite { what: "output Z", layer: l });
        }
    }
}

pub(crate) fn all_finite<T: Element>(values: ArrayView2<'_, T>) -> bool {
    match values.to_slice_memory_order() {
        Some(values) => KernelPath::best().vectorized(AllFinite(values)),
        None => values.fold(true, |finite, value| finite & value.is_finite()),
    }
}

struct AllFinite<'a, T>(&'a [T]);

impl<T: Element> PlainLoop for AllFinite<'_, T> {
    type Output = bool;

    #[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
    #[inline(always)]
    fn run(self) -> bool {
        let (chunks, rest) = self.0.as_chunks::<64>();
        // A number times 0 is 0, or not a number.
        let mut products = [T::zero(); 64];
        for chunk in chunks {
            for (product, &value) in products.iter_mut().zip(chunk) {
                *product += value * T::zero();
            }
        }
        let products = products.iter().fold(T::zero(), |sum, &it| sum + it);
        let rest = rest.iter().fold(T::zero(), |sum, &it| sum + it * T::zero());
        (products + rest).is_finite()
    }
}
