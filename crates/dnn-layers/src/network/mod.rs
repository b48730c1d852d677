//! Networks: a checked architecture and the arrays that fit it.

mod change;
mod forward;
mod predict;

use std::ops::Range;

use dnn_core::{CoreError, Element, LayerParameters, Parameters, PixelScaling, Shape};
use dnn_kernels::{aligned_zeros, into_aligned};
use ndarray::{Array2, ArrayView2, ArrayViewMut2};

use crate::architecture::{Architecture, Place};
use crate::{BatchStatistics, Head, Layer, NetworkError, Preprocessing, Provenance, Tensor};

pub use change::OutputScale;
pub use forward::ForwardInputs;

/// A deep network, ready to use: see the [crate docs](crate).
///
/// # Examples
/// ```
/// use dnn_core::{Features, Purpose, RandomStream, Shape};
/// use dnn_layers::{Activation, Network};
/// use ndarray::array;
///
/// let network = Network::<f32>::builder(Shape::flat(2))
///     .hidden(&[8], Activation::Tanh)
///     .classes(["left", "right"])
///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
/// let points = array![[0.5, -2.0, 1.0], [0.1, 0.3, -0.7]]; // three points, one per column
/// let classes = network.predict(&Features::Real(points.view()))?;
/// assert_eq!(classes.len(), 3);
/// # Ok::<(), dnn_layers::NetworkError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Network<T> {
    architecture: Architecture,
    /// The shapes and names of the layers, as they follow from the architecture.
    places: Vec<Place>,
    /// The arrays of all layers, in their order.
    tensors: Vec<Tensor<T>>,
    /// Which of them are those of each layer.
    ranges: Vec<Range<usize>>,
    preprocessing: Option<Preprocessing>,
    is_mirrored: bool,
    provenance: Option<Provenance>,
}

impl<T: PartialEq> PartialEq for Network<T> {
    /// Places and ranges follow from the rest.
    fn eq(&self, other: &Self) -> bool {
        self.architecture == other.architecture
            && self.tensors == other.tensors
            && self.preprocessing == other.preprocessing
            && self.is_mirrored == other.is_mirrored
            && self.provenance == other.provenance
    }
}

impl<T: Element> Network<T> {
    /// The one constructor: everything is checked here. `arrays` are those of all layers, in the order of
    /// [`Layer::parameters`].
    pub(crate) fn assemble(
        architecture: Architecture,
        arrays: Vec<Array2<T>>,
        provenance: Option<Provenance>,
    ) -> Result<Self, NetworkError> {
        let places = architecture.check::<T>()?;
        let specs = places.iter().flat_map(|place| {
            place.parameters.iter().map(|spec| (format!("{}.{}", place.name, spec.name), spec))
        });
        let expected = places.iter().map(|place| place.parameters.len()).sum();
        if arrays.len() != expected {
            return Err(NetworkError::ArrayCount { expected, found: arrays.len() });
        }
        for ((name, spec), values) in specs.zip(&arrays) {
            let (expected, found) = ((spec.rows, spec.columns), values.dim());
            if found != expected {
                return Err(NetworkError::ArrayShape { name, expected, found });
            }
            if !values.iter().all(|value| value.is_finite()) {
                return Err(NetworkError::NotFinite { name });
            }
            if spec.is_at_least_0 && values.iter().any(|&value| value < T::zero()) {
                return Err(NetworkError::Negative { name });
            }
        }
        Ok(Self::put_together(architecture, places, arrays, provenance))
    }

    /// A network of parts that fit one another.
    fn put_together(
        architecture: Architecture,
        places: Vec<Place>,
        arrays: Vec<Array2<T>>,
        provenance: Option<Provenance>,
    ) -> Self {
        let (mut tensors, mut ranges) = (Vec::with_capacity(arrays.len()), Vec::new());
        let mut arrays = arrays.into_iter();
        for (layer, place) in places.iter().enumerate() {
            let first = tensors.len();
            for (&spec, values) in place.parameters.iter().zip(&mut arrays) {
                tensors.push(Tensor::new(&place.name, layer, spec, into_aligned(values)));
            }
            ranges.push(first..tensors.len());
        }
        let (preprocessing, is_mirrored) = (None, false);
        Self { architecture, places, tensors, ranges, preprocessing, is_mirrored, provenance }
    }

    /// The shape of one example.
    pub fn input(&self) -> Shape {
        self.architecture.input
    }

    /// The widths of the dense layers, input first: `[n_x, n_1, …, n_L]`.
    pub fn widths(&self) -> Vec<usize> {
        let dense = self.layers().iter().filter_map(|layer| match layer {
            Layer::Dense(dense) => Some(dense.units),
            _ => None,
        });
        std::iter::once(self.features()).chain(dense).collect()
    }

    /// Features per example, `n_x`.
    pub fn features(&self) -> usize {
        let Shape { height, width, channels } = self.input();
        height * width * channels
    }

    /// All layers, in order; the last one gives the logits.
    pub fn layers(&self) -> &[Layer] {
        &self.architecture.layers
    }

    /// The name of a layer, counted from 0, by its kind and its number among those of the kind: `dense1`.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn layer_name(&self, layer: usize) -> &str {
        &self.places[layer].name
    }

    /// The shape of what a layer is given, counted from 0.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn layer_input(&self, layer: usize) -> Shape {
        self.places[layer].input
    }

    /// The shape of what a layer gives, counted from 0.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn layer_output(&self, layer: usize) -> Shape {
        self.places[layer].output
    }

    /// The layer that takes the inputs of the network, counted from 0: the first with numbers of its own.
    pub fn first_layer(&self) -> usize {
        let has_arrays = |place: &Place| !place.parameters.is_empty();
        self.places.iter().position(has_arrays).expect("a network has a dense layer")
    }

    /// What the last layer ends in.
    pub fn head(&self) -> Head {
        self.architecture.head
    }

    /// Numbers per example that the last layer gives, `n_L`.
    pub fn outputs(&self) -> usize {
        self.architecture.outputs()
    }

    /// The class names in the order of their labels; empty if the outputs are numbers.
    pub fn classes(&self) -> &[String] {
        &self.architecture.classes
    }

    /// How pixels become the numbers this network sees.
    pub fn scaling(&self) -> PixelScaling {
        self.architecture.scaling
    }

    /// How a picture becomes the input, if anybody said: another way gives other answers.
    pub fn preprocessing(&self) -> Option<&Preprocessing> {
        self.preprocessing.as_ref()
    }

    /// Says how a picture becomes the input.
    pub fn set_preprocessing(&mut self, preprocessing: Preprocessing) {
        self.preprocessing = Some(preprocessing);
    }

    /// Whether the logits of an answer are the means of those for the picture and for its mirror, left for right.
    pub fn is_mirrored(&self) -> bool {
        self.is_mirrored
    }

    /// Says whether answers look at the mirror of a picture as well.
    pub fn set_mirrored(&mut self, is_mirrored: bool) {
        self.is_mirrored = is_mirrored;
    }

    /// Where the network came from, if anybody said.
    pub fn provenance(&self) -> Option<&Provenance> {
        self.provenance.as_ref()
    }

    /// Says where the network came from.
    pub fn set_provenance(&mut self, provenance: Provenance) {
        self.provenance = Some(provenance);
    }

    /// The named arrays of all layers, in their order.
    pub fn tensors(&self) -> &[Tensor<T>] {
        &self.tensors
    }

    /// The same, to be changed in place; their shapes stay.
    pub fn tensors_mut(&mut self) -> &mut [Tensor<T>] {
        &mut self.tensors
    }

    /// The named arrays of one layer, counted from 0.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn layer_tensors(&self, layer: usize) -> &[Tensor<T>] {
        &self.tensors[self.tensor_range(layer)]
    }

    /// Which of the [`tensors`](Self::tensors) are those of a layer, counted from 0.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn tensor_range(&self, layer: usize) -> Range<usize> {
        self.ranges[layer].clone()
    }

    /// The numbers of the array of this name, as `dense1.weights`.
    ///
    /// # Examples
    /// ```
    /// use dnn_core::{Purpose, RandomStream, Shape};
    /// use dnn_layers::{Activation, Network};
    ///
    /// let network = Network::<f32>::builder(Shape::flat(4))
    ///     .hidden(&[8], Activation::Relu)
    ///     .classes(["no", "yes"])
    ///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
    /// let weights = network.tensor("dense1.weights").expect("a dense layer has weights");
    /// assert_eq!(weights.dim(), (8, 4));
    /// assert!(network.tensor("dense3.weights").is_none());
    /// # Ok::<(), dnn_layers::NetworkError>(())
    /// ```
    pub fn tensor(&self, name: &str) -> Option<ArrayView2<'_, T>> {
        self.tensors.iter().find(|tensor| tensor.name() == name).map(Tensor::values)
    }

    /// The same, to be changed in place.
    pub fn tensor_mut(&mut self, name: &str) -> Option<ArrayViewMut2<'_, T>> {
        self.tensors.iter_mut().find(|tensor| tensor.name() == name).map(Tensor::values_mut)
    }

    /// Zeros in the shape of every array that training changes by a gradient, and an empty array in the place of each
    /// other one: what a gradient of the network, or the memory of an optimiser, is made of.
    pub fn zeros(&self) -> Vec<Array2<T>> {
        let of = |tensor: &Tensor<T>| {
            let shape = if tensor.is_trained() { tensor.values().dim() } else { (0, 0) };
            aligned_zeros(shape)
        };
        self.tensors.iter().map(of).collect()
    }

    /// How many numbers all arrays that a gradient may change have.
    pub fn parameter_count(&self) -> usize {
        let trained = self.tensors.iter().filter(|tensor| tensor.spec().is_trained);
        trained.map(|tensor| tensor.values().len()).sum()
    }

    /// A copy of the weights and biases of the dense layers, as the step-by-step functions
    /// ([`model_forward`](crate::model_forward)) take them.
    pub fn dense_parameters(&self) -> Parameters<T> {
        let dense = (0..self.layers().len()).filter_map(|l| match self.layer_tensors(l) {
            [weights, bias] if matches!(self.layers()[l], Layer::Dense(_)) => {
                let (weights, bias) = (weights.values().to_owned(), bias.values().to_owned());
                Some(LayerParameters { weights, bias })
            }
            _ => None,
        });
        Parameters { layers: dense.collect() }
    }

    /// Puts in the weights and biases of the dense layers; everything else stays.
    ///
    /// # Errors
    /// [`CoreError`] if they are not of these shapes.
    pub fn set_dense_parameters(&mut self, parameters: &Parameters<T>) -> Result<(), CoreError> {
        let dense =
            (0..self.layers().len()).filter(|&l| matches!(self.layers()[l], Layer::Dense(_)));
        let dense: Vec<usize> = dense.map(|l| self.ranges[l].start).collect();
        if dense.len() != parameters.layers.len() {
            return Err(CoreError::Invalid {
                what: "parameters",
                expected: "those of as many dense layers as the network has",
                found: format!("{} for {}", parameters.layers.len(), dense.len()),
            });
        }
        for (&first, LayerParameters { weights, bias }) in dense.iter().zip(&parameters.layers) {
            CoreError::expect_shape("weights", self.tensors[first].values().dim(), weights.dim())?;
            CoreError::expect_shape("bias", self.tensors[first + 1].values().dim(), bias.dim())?;
        }
        for (first, LayerParameters { weights, bias }) in dense.into_iter().zip(&parameters.layers)
        {
            self.tensors[first].values_mut().assign(weights);
            self.tensors[first + 1].values_mut().assign(bias);
        }
        Ok(())
    }

    /// Takes what a batch of `m` examples tells into the running averages of a layer that
    /// [needs the whole batch](Layer::needs_whole_batch).
    ///
    /// # Panics
    /// If there is no such layer, or the lengths differ.
    pub fn update_running(&mut self, layer: usize, batch: &BatchStatistics<T>, m: usize) {
        let Shape { height, width, .. } = self.layer_input(layer);
        let m = m * height * width;
        let tensors = &mut self.tensors[self.ranges[layer].clone()];
        self.architecture.layers[layer].forward::<T>().update_running(tensors, batch, m);
    }
}

/// Numbers per example that all layers with arrays give.
pub(crate) fn units<T: Element>(network: &Network<T>) -> usize {
    let size = |shape: &Shape| shape.height * shape.width * shape.channels;
    let with_arrays = network.places.iter().filter(|place| !place.parameters.is_empty());
    with_arrays.map(|place| size(&place.output)).sum()
}
