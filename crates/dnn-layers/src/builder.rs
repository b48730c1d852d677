//! The way to a new network.

use std::marker::PhantomData;

use dnn_core::{
    Element, Initializer, LayerParameters, Parameters, PixelScaling, RandomStream,
    initialize_parameters_deep,
};
use ndarray::Array2;
use rand::Rng;

use crate::architecture::Architecture;
use crate::{Activation, Head, InputShape, Layer, Network, NetworkError};

/// Collects what a new network is made of; start with [`Network::builder`].
///
/// Of [`classes`](Self::classes), [`softmax`](Self::softmax) and [`outputs`](Self::outputs), one has to
/// be called; the last call counts.
#[derive(Debug, Clone)]
pub struct NetworkBuilder<T> {
    architecture: Architecture,
    initializer: Initializer,
    element: PhantomData<T>,
}

impl<T: Element> NetworkBuilder<T> {
    pub(crate) fn new(input: InputShape) -> Self {
        let architecture = Architecture {
            input,
            hidden: Vec::new(),
            outputs: 0,
            head: Head::Identity,
            classes: Vec::new(),
            scaling: PixelScaling::default(),
        };
        Self { architecture, initializer: Initializer::HeNormal, element: PhantomData }
    }

    /// Adds a dense layer for each width, all with one activation.
    pub fn hidden(mut self, widths: &[usize], activation: Activation) -> Self {
        let dense = |&units| Layer::Dense { units, activation };
        self.architecture.hidden.extend(widths.iter().map(dense));
        self
    }

    /// Adds one layer.
    ///
    /// # Examples
    /// ```
    /// use dnn_core::{Purpose, RandomStream};
    /// use dnn_layers::{Activation, InputShape, Layer, Network};
    ///
    /// let network = Network::<f32>::builder(InputShape::flat(4))
    ///     .layer(Layer::Dense { units: 8, activation: Activation::Identity })
    ///     .layer(Layer::batch_norm(Activation::Relu))
    ///     .layer(Layer::Dropout { rate: 0.2 })
    ///     .classes(["no", "yes"])
    ///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
    /// // Two dense layers, and the scale and shift of eight units.
    /// assert_eq!(network.parameters().count(), (4 * 8 + 8) + (8 + 8) + (8 + 1));
    /// # Ok::<(), dnn_layers::NetworkError>(())
    /// ```
    pub fn layer(mut self, layer: Layer) -> Self {
        self.architecture.hidden.push(layer);
        self
    }

    /// Ends the network in a choice between these classes, in the order of their labels: two give
    /// one sigmoid output (the probability of the second), more a softmax.
    pub fn classes<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        let classes: Vec<String> = names.into_iter().map(Into::into).collect();
        (self.architecture.head, self.architecture.outputs) =
            if classes.len() == 2 { (Head::Sigmoid, 1) } else { (Head::Softmax, classes.len()) };
        self.architecture.classes = classes;
        self
    }

    /// Ends the network in `outputs` numbers instead of classes: with [`Head::Identity`] for
    /// regression, with [`Head::Sigmoid`] for probabilities that are independent of one another.
    pub fn outputs(mut self, outputs: usize, head: Head) -> Self {
        self.architecture.classes.clear();
        (self.architecture.outputs, self.architecture.head) = (outputs, head);
        self
    }

    /// Ends the network in a softmax over these classes, even if they are two.
    pub fn softmax<S: Into<String>>(mut self, names: impl IntoIterator<Item = S>) -> Self {
        self.architecture.classes = names.into_iter().map(Into::into).collect();
        self.architecture.outputs = self.architecture.classes.len();
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
        let widths = self.architecture.check()?;
        let dense = initialize_parameters_deep(&widths, self.initializer, stream)?.layers;
        let mut dense = dense.into_iter();
        let stages = self.architecture.stages();
        let layers = stages
            .iter()
            .filter_map(|stage| match stage.normalization {
                // Normalised numbers stay as they are to begin with.
                Some(_) => Some(LayerParameters {
                    weights: Array2::ones((stage.units, 1)),
                    bias: Array2::zeros((stage.units, 1)),
                }),
                None => dense.next(),
            })
            .collect();
        Network::assemble(self.architecture, Parameters { layers }, None, None)
    }

    /// Gives the network with these parameters instead of drawn ones.
    ///
    /// # Errors
    /// As [`build`](Self::build), and [`NetworkError`] with the layer if the parameters do not fit.
    pub fn build_with(self, parameters: Parameters<T>) -> Result<Network<T>, NetworkError> {
        Network::assemble(self.architecture, parameters, None, None)
    }
}
