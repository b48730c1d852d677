//! What a forward pass leaves for a backward pass.
//!
//! Each layer keeps its output, and some a little more; the inputs and the parameters are the caller's already, and a
//! copy of them would only cost memory.

use dnn_core::Element;
use ndarray::{Array2, ArrayView2, ArrayViewMut2, ShapeBuilder, s};

use crate::Head;
use crate::architecture::{Architecture, Place};
use crate::buffers_for::BuffersFor;
use crate::layer::Scratch;

/// The outputs of every layer for a batch of examples, in buffers that later batches of at most the same size use
/// again.
///
/// The `Z` of a dense layer is its output; the `A` is that of the activation after it, or, of the last layer,
/// that of the [head](Self::output).
#[derive(Debug, Clone)]
pub struct ForwardCaches<T> {
    layers: Vec<LayerBuffers<T>>,
    /// What the head makes of the logits.
    head: Array2<T>,
    scratch: Scratch<T>,
    examples: usize,
}

#[derive(Debug, Clone)]
struct LayerBuffers<T> {
    /// The last layer before this one with an output of its own; none where these are the inputs of the network.
    source: Option<usize>,
    /// `(n, capacity)`, or without columns if the layer passes on what it is given.
    output: Array2<T>,
    /// What the way back needs beside input and output, or without columns.
    kept: Array2<T>,
    has_output: bool,
}

/// The buffers that the forward pass of one layer reads and writes.
pub(crate) struct LayerViews<'c, T> {
    /// What the layer is given, unless that are the inputs of the network.
    pub(crate) input: Option<ArrayView2<'c, T>>,
    /// What the layer was given that a connection goes around to this one, if there is one.
    pub(crate) skipped: Option<ArrayView2<'c, T>>,
    pub(crate) output: ArrayViewMut2<'c, T>,
    pub(crate) kept: ArrayViewMut2<'c, T>,
    pub(crate) scratch: &'c mut Scratch<T>,
}

impl<T: Element> ForwardCaches<T> {
    pub(crate) fn new(
        architecture: &Architecture,
        places: &[Place],
        capacity: usize,
        purpose: BuffersFor,
    ) -> Self {
        let buffer = |rows: usize, is_wanted: bool| {
            Array2::zeros((rows, if is_wanted { capacity } else { 0 }).f())
        };
        let mut source = None;
        let mut layers = Vec::with_capacity(places.len());
        for (l, place) in places.iter().enumerate() {
            let buffers = architecture.buffers::<T>(l, place.input, purpose);
            let does_maximum = place.does_maximum && purpose == BuffersFor::Answers;
            let shape = if does_maximum { places[l + 2].output } else { place.output };
            let units = shape.height * shape.width * shape.channels;
            layers.push(LayerBuffers {
                source,
                output: buffer(units, buffers.output),
                kept: buffer(buffers.kept, buffers.kept > 0),
                has_output: buffers.output,
            });
            if buffers.output {
                source = Some(l);
            }
        }
        let head = buffer(architecture.outputs(), true);
        let mut scratch = Scratch::new(purpose.products(), capacity);
        if capacity > 0 {
            for (layer, place) in architecture.layers.iter().zip(places) {
                layer.forward::<T>().reserve(place.input, &mut scratch);
            }
        }
        Self { layers, head, scratch, examples: 0 }
    }

    /// The most examples that they can hold.
    pub(crate) fn capacity(&self) -> usize {
        self.head.ncols()
    }

    /// How many threads of the surrounding pool share an example where a layer is large enough for that.
    pub(crate) fn share_out(&mut self, threads: usize) {
        self.scratch.convolution.set_threads(threads);
    }

    /// How many examples the caches hold now.
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// How many layers there are.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there is no layer.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// Whether layer `layer` has an output of its own, and does not pass on what it is given.
    pub fn has_output(&self, layer: usize) -> bool {
        self.layers[layer].has_output
    }

    /// The layer whose output layer `layer` is given; none where that are the inputs of the network.
    pub fn source(&self, layer: usize) -> Option<usize> {
        self.layers[layer].source
    }

    /// What layer `layer` gives, counted from 0.
    ///
    /// # Shapes
    /// `(n, m)`, where the layer's output has `n` [features](dnn_core::Shape::features).
    ///
    /// # Panics
    /// If there is no such layer, or it passes on the inputs of the network.
    pub fn layer_output(&self, layer: usize) -> ArrayView2<'_, T> {
        let own = &self.layers[layer];
        let from = if own.has_output { Some(layer) } else { own.source };
        let from = from.expect("a layer that has numbers");
        self.layers[from].output.slice(s![.., ..self.examples])
    }

    /// What layer `layer` is given; none where that are the inputs of the network.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn layer_input(&self, layer: usize) -> Option<ArrayView2<'_, T>> {
        self.layers[layer].source.map(|source| self.layer_output(source))
    }

    /// What layer `layer` has kept for the way back, in [training buffers](crate::Network::training_caches):
    /// the factors of dropout.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn kept(&self, layer: usize) -> ArrayView2<'_, T> {
        let kept = &self.layers[layer].kept;
        kept.slice(s![.., ..self.examples.min(kept.ncols())])
    }

    /// The output of the last layer, its logits.
    ///
    /// # Panics
    /// If there is no layer.
    pub fn logits(&self) -> ArrayView2<'_, T> {
        self.layer_output(self.layers.len() - 1)
    }

    /// What the head makes of the logits: the outputs `AL` of the network.
    pub fn output(&self) -> ArrayView2<'_, T> {
        self.head.slice(s![.., ..self.examples])
    }

    /// Gives up the memory of these layers, until it is [exchanged](Self::exchange) for other one.
    pub fn give_up(&mut self, layers: &[bool]) {
        for (layer, _) in self.layers.iter_mut().zip(layers).filter(|(_, given_up)| **given_up) {
            layer.output = Array2::zeros((layer.output.nrows(), 0).f());
            layer.kept = Array2::zeros((layer.kept.nrows(), 0).f());
        }
    }

    /// Exchanges the memory of these layers, and what products are made in, with those of other caches of the same
    /// network.
    ///
    /// # Panics
    /// If there are not as many layers.
    pub fn exchange(&mut self, other: &mut Self, layers: &[bool]) {
        assert!(layers.len() == self.layers.len() && layers.len() == other.layers.len());
        for (l, _) in layers.iter().enumerate().filter(|(_, exchanged)| **exchanged) {
            std::mem::swap(&mut self.layers[l], &mut other.layers[l]);
        }
        std::mem::swap(&mut self.scratch, &mut other.scratch);
    }

    /// Makes this a batch of the examples that come next.
    pub(crate) fn start(&mut self, examples: usize) {
        self.examples = examples;
    }

    /// `around` layers before this one a connection begins, if there is one.
    pub(crate) fn views(&mut self, layer: usize, around: Option<usize>) -> LayerViews<'_, T> {
        let begins = around.and_then(|around| self.layers[layer - around].source);
        let used = s![.., ..self.examples];
        let (done, rest) = self.layers.split_at_mut(layer);
        let LayerBuffers { source, output, kept, .. } = &mut rest[0];
        let columns = self.examples.min(kept.ncols());
        LayerViews {
            input: source.map(|source| done[source].output.slice(used)),
            skipped: begins.map(|begins| done[begins].output.slice(used)),
            output: output.slice_mut(used),
            kept: kept.slice_mut(s![.., ..columns]),
            scratch: &mut self.scratch,
        }
    }

    /// Puts the mean with other logits in place of the logits, and what the head makes of it.
    pub(crate) fn average(&mut self, other: ArrayView2<'_, T>, head: Head) {
        let used = s![.., ..self.examples];
        let Some(last) = self.layers.last_mut() else { return };
        let half = T::from_f64(0.5);
        let mut logits = last.output.slice_mut(used);
        logits.zip_mut_with(&other, |logit, &other| *logit = half * (*logit + other));
        head.apply(logits.view(), self.head.slice_mut(used));
    }

    /// Logits, and where the head's outputs go.
    pub(crate) fn head_views(&mut self) -> Option<(ArrayView2<'_, T>, ArrayViewMut2<'_, T>)> {
        let used = s![.., ..self.examples];
        let last = self.layers.last()?;
        Some((last.output.slice(used), self.head.slice_mut(used)))
    }
}
