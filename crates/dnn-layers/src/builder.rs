//! The way to a new network.

use std::marker::PhantomData;

use dnn_core::{CoreError, Element, Initializer, Parameters, PixelScaling, RandomStream, Shape};
use dnn_kernels::aligned_zeros;
use ndarray::Array2;
use rand::Rng;

use crate::architecture::{Architecture, Place};
use crate::tensor::{Initial, ParameterSpec};
use crate::{Activation, Dense, Head, Layer, Network, NetworkError};

/// Collects what a new network is made of; start with [`Network::builder`].
///
/// Of [`classes`](Self::classes), [`softmax`](Self::softmax) and [`outputs`](Self::outputs), one has to
/// be called; the last call counts. The dense layer that gives the logits is added by itself.
#[derive(Debug, Clone)]
pub struct NetworkBuilder<T> {
    architecture: Architecture,
    outputs: usize,
    initializer: Initializer,
    element: PhantomData<T>,
}

impl<T: Element> Network<T> {
    /// Starts a network for examples of this shape.
    pub fn builder(input: Shape) -> NetworkBuilder<T> {
        NetworkBuilder::new(input)
    }
}

impl<T: Element> NetworkBuilder<T> {
    pub(crate) fn new(input: Shape) -> Self {
        let architecture = Architecture {
            input,
            layers: Vec::new(),
            head: Head::Identity,
            classes: Vec::new(),
            scaling: PixelScaling::default(),
        };
        let initializer = Initializer::HeNormal;
        Self { architecture, outputs: 0, initializer, element: PhantomData }
    }

    /// Adds a dense layer for each width, each with this activation after it.
    pub fn hidden(mut self, widths: &[usize], activation: Activation) -> Self {
        for &units in widths {
            self.architecture.layers.push(Dense { units }.into());
            if activation != Activation::Identity {
                self.architecture.layers.push(activation.into());
            }
        }
        self
    }

    /// Adds one layer.
    ///
    /// # Examples
    /// ```
    /// use dnn_core::{Purpose, RandomStream, Shape};
    /// use dnn_layers::{Activation, BatchNorm, Dense, Dropout, Network};
    ///
    /// let network = Network::<f32>::builder(Shape::flat(4))
    ///     .layer(Dense { units: 8 })
    ///     .layer(BatchNorm::default())
    ///     .layer(Activation::Relu)
    ///     .layer(Dropout { rate: 0.2 })
    ///     .classes(["no", "yes"])
    ///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
    /// assert_eq!(network.parameter_count(), (4 * 8 + 8) + (8 + 8) + (8 + 1));
    /// # Ok::<(), dnn_layers::NetworkError>(())
    /// ```
    pub fn layer(mut self, layer: impl Into<Layer>) -> Self {
        self.architecture.layers.push(layer.into());
        self
    }

    /// Ends the network in a choice between these classes, in the order of their labels: two give
    /// one sigmoid output (the probability of the second), more a softmax.
    pub fn classes<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        let classes: Vec<String> = names.into_iter().map(Into::into).collect();
        (self.architecture.head, self.outputs) =
            if classes.len() == 2 { (Head::Sigmoid, 1) } else { (Head::Softmax, classes.len()) };
        self.architecture.classes = classes;
        self
    }

    /// Ends the network in `outputs` numbers instead of classes: with [`Head::Identity`] for
    /// regression, with [`Head::Sigmoid`] for probabilities that are independent of one another.
    pub fn outputs(mut self, outputs: usize, head: Head) -> Self {
        self.architecture.classes.clear();
        (self.outputs, self.architecture.head) = (outputs, head);
        self
    }

    /// Ends the network in a softmax over these classes, even if they are two.
    pub fn softmax<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.architecture.classes = names.into_iter().map(Into::into).collect();
        self.outputs = self.architecture.classes.len();
        self.architecture.head = Head::Softmax;
        self
    }

    /// The rule for the first weights; He's normal rule if not called.
    pub fn initializer(mut self, initializer: Initializer) -> Self {
        self.initializer = initializer;
        self
    }

    /// How pixels become numbers; division by 255 if not called.
    pub fn scaling(mut self, scaling: PixelScaling) -> Self {
        self.architecture.scaling = scaling;
        self
    }

    /// Draws the first weights and gives the network.
    ///
    /// # Errors
    /// [`NetworkError`] if the input has no size, a layer no units, the network no outputs or too many
    /// parameters, the classes do not fit, a name appears twice, the scaling is for other pictures, a
    /// number of an activation or of the initialiser cannot be used, a drawn weight is not finite, or
    /// there is no memory for the weights.
    pub fn build<R: Rng>(self, stream: &mut RandomStream<R>) -> Result<Network<T>, NetworkError> {
        let initializer = self.initializer;
        let architecture = self.finished()?;
        let places = architecture.check::<T>()?;
        let specs = places.iter().flat_map(|place| &place.parameters);
        let arrays = specs.map(|spec| match spec.initial {
            Initial::Drawn => initializer.weights(spec.rows, spec.columns, stream),
            Initial::Zeros | Initial::Ones => Ok(constant(spec)),
        });
        let arrays = arrays.collect::<Result<_, CoreError>>()?;
        Network::assemble(architecture, arrays, None)
    }

    /// Gives the network with these weights and biases of its dense layers instead of drawn ones.
    ///
    /// # Errors
    /// As [`build`](Self::build), and [`NetworkError`] with the array if the parameters do not fit.
    pub fn build_with(self, parameters: Parameters<T>) -> Result<Network<T>, NetworkError> {
        let architecture = self.finished()?;
        let places = architecture.check::<T>()?;
        let is_dense =
            |place: &&Place| place.parameters.iter().any(|it| it.initial == Initial::Drawn);
        let (expected, found) = (places.iter().filter(is_dense).count(), parameters.layers.len());
        if expected != found {
            return Err(NetworkError::LayerCount { expected, found });
        }
        let mut dense = parameters.layers.into_iter();
        let mut arrays: Vec<Array2<T>> = Vec::new();
        for place in &places {
            if is_dense(&place) {
                arrays.extend(dense.next().into_iter().flat_map(|it| [it.weights, it.bias]));
            } else {
                arrays.extend(place.parameters.iter().map(constant));
            }
        }
        Network::assemble(architecture, arrays, None)
    }

    /// With the layer that gives the logits.
    fn finished(self) -> Result<Architecture, NetworkError> {
        let Self { mut architecture, outputs, .. } = self;
        if outputs == 0 {
            return Err(NetworkError::NoOutputs);
        }
        architecture.layers.push(Dense { units: outputs }.into());
        Ok(architecture)
    }
}

/// An array that is not drawn.
fn constant<T: Element>(spec: &ParameterSpec) -> Array2<T> {
    let mut values = aligned_zeros((spec.rows, spec.columns));
    if spec.initial == Initial::Ones {
        values.fill(T::one());
    }
    values
}
