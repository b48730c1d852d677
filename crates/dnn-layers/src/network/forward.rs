//! The forward pass of a network.

use dnn_core::{Columns, Element, Features};
use dnn_kernels::Products;
use ndarray::ArrayView2;

use crate::buffers_for::BuffersFor;
use crate::caches::LayerViews;
use crate::layer::{Given, Input, Step};
use crate::{ForwardCaches, Network, NetworkError};

/// The examples that a forward pass is about.
#[derive(Debug, Clone, Copy)]
pub struct ForwardInputs<'i, 'x, T> {
    /// `(n_x, m)`.
    pub x: &'i Features<'x, T>,
    /// Which of them.
    pub columns: Columns<'i>,
}

impl<T: Element> Network<T> {
    /// The pixels of pictures as inputs of this network, scaled its own way.
    pub fn pixels<'a>(&self, values: ArrayView2<'a, u8>) -> Features<'a, T> {
        Features::Pixels { values, scaling: self.scaling() }
    }

    /// Checks that `x` can be this network's inputs.
    ///
    /// # Errors
    /// [`NetworkError::Core`] as of [`Features::check`], [`NetworkError::OtherScaling`] if pixels
    /// would be scaled otherwise than the network was built for.
    pub fn check(&self, x: &Features<'_, T>) -> Result<(), NetworkError> {
        x.check(self.features())?;
        match *x {
            Features::Pixels { scaling: found, .. } if found != self.scaling() => {
                let (expected, found) = (Box::new(self.scaling()), Box::new(found));
                Err(NetworkError::OtherScaling { expected, found })
            }
            _ => Ok(()),
        }
    }

    /// The outputs of every layer.
    ///
    /// # Shapes
    /// `x` is `(n_x, m)`.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    ///
    /// # Examples
    /// ```
    /// use dnn_core::{Features, Purpose, RandomStream, Shape};
    /// use dnn_layers::{Activation, Network};
    /// use ndarray::array;
    ///
    /// let network = Network::<f64>::builder(Shape::flat(2))
    ///     .hidden(&[3], Activation::Relu)
    ///     .classes(["no", "yes"])
    ///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
    /// let x = array![[0.5], [0.1]];
    /// let caches = network.forward(&Features::Real(x.view()))?;
    /// println!("Z1 = {}", caches.layer_output(0)); // dense1
    /// println!("A1 = {}", caches.layer_output(1)); // activation1
    /// println!("Z2 = {}", caches.logits()); // dense2
    /// println!("A2 = {}", caches.output()); // the head
    /// # Ok::<(), dnn_layers::NetworkError>(())
    /// ```
    pub fn forward(&self, x: &Features<'_, T>) -> Result<ForwardCaches<T>, NetworkError> {
        self.check(x)?;
        let mut caches = self.caches(x.len());
        let columns = Columns::Run { start: 0, len: x.len() };
        self.forward_into(ForwardInputs { x, columns }, &mut caches);
        Ok(caches)
    }

    /// Buffers for [`forward_into`](Self::forward_into) with up to `capacity` examples.
    pub fn caches(&self, capacity: usize) -> ForwardCaches<T> {
        ForwardCaches::new(&self.architecture, &self.places, capacity, BuffersFor::Outputs)
    }

    /// Buffers for answers: where a layer [does the `ReLU` after it](Self::does_relu), what lies between is not kept.
    pub fn answer_caches(&self, capacity: usize) -> ForwardCaches<T> {
        ForwardCaches::new(&self.architecture, &self.places, capacity, BuffersFor::Answers)
    }

    /// Buffers for a forward pass that a backward pass follows, with up to `capacity` examples.
    pub fn training_caches(&self, capacity: usize) -> ForwardCaches<T> {
        self.training_caches_by(capacity, Products::Full)
    }

    /// The same where the products of dense layers and convolutions are made in these numbers.
    ///
    /// # Panics
    /// If this processor does not make such products, or they are not for this type.
    pub fn training_caches_by(&self, capacity: usize, products: Products) -> ForwardCaches<T> {
        let purpose = BuffersFor::Training(products);
        ForwardCaches::new(&self.architecture, &self.places, capacity, purpose)
    }

    /// Whether layer `layer` is a convolution or batch normalisation that does the `ReLU` after it, in
    /// [training buffers](Self::training_caches) and those for [answers](Self::answer_caches): its output there is that of
    /// the activation, which passes it on.
    pub fn does_relu(&self, layer: usize) -> bool {
        self.places[layer].does_relu
    }

    /// Numbers per example that [`training_caches`](Self::training_caches) hold beside those of
    /// [`caches`](Self::caches).
    pub fn kept_for_training(&self) -> usize {
        let numbers = |purpose| {
            let of = |(l, place): (usize, &crate::architecture::Place)| {
                let buffers = self.architecture.buffers::<T>(l, place.input, purpose);
                let units = place.output.height * place.output.width * place.output.channels;
                buffers.kept + if buffers.output { units } else { 0 }
            };
            self.places.iter().enumerate().map(of).sum::<usize>()
        };
        numbers(BuffersFor::Training(Products::Full)).saturating_sub(numbers(BuffersFor::Outputs))
    }

    /// As [`forward`](Self::forward) for some of the examples, into buffers that exist.
    ///
    /// The caller has checked `x` with [`check`](Self::check).
    ///
    /// # Panics
    /// If the shapes do not fit, a column does not exist, or `caches` is too small.
    pub fn forward_into(&self, inputs: ForwardInputs<'_, '_, T>, caches: &mut ForwardCaches<T>) {
        for layer in 0..self.layers().len() {
            self.forward_layer(layer, inputs, Given::default(), caches);
        }
    }

    /// The output of one layer, counted from 0, after those before it; with the last layer also the head's.
    ///
    /// # Panics
    /// As [`forward_into`](Self::forward_into); in [training buffers](Self::training_caches) if a layer that
    /// drops numbers is not told which stay; and if what is given has another shape.
    pub fn forward_layer(
        &self,
        layer: usize,
        inputs: ForwardInputs<'_, '_, T>,
        given: Given<'_, T>,
        caches: &mut ForwardCaches<T>,
    ) {
        assert_eq!(caches.len(), self.layers().len(), "caches of a network of another depth");
        caches.start(inputs.columns.len());
        if caches.has_output(layer) {
            let ForwardInputs { x, columns } = inputs;
            let around = self.layers()[layer].goes_around();
            let relu = self.does_relu(layer) && !caches.has_output(layer + 1);
            let maximum = self.places[layer].does_maximum && !caches.has_output(layer + 2);
            let LayerViews { input, skipped, output, kept, scratch } = caches.views(layer, around);
            let input = input.map_or(Input::Features { x, columns }, Input::Numbers);
            let tensors = self.layer_tensors(layer);
            let shape = self.layer_input(layer);
            let step = Step {
                tensors,
                shape,
                input,
                skipped,
                output,
                kept,
                scratch,
                relu,
                maximum,
                given,
            };
            self.layers()[layer].forward::<T>().forward(step);
        }
        if layer + 1 == self.layers().len()
            && let Some((logits, output)) = caches.head_views()
        {
            self.head().apply(logits, output);
        }
    }
}
