//! Networks: a checked architecture and the parameters that fit it.

use dnn_core::{Columns, CoreError, Element, Features, LayerParameters, Parameters, PixelScaling};
use dnn_kernels::into_aligned;
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, ShapeBuilder, Zip};

use crate::architecture::Architecture;
use crate::error::NO_CLASSES;
use crate::forward::LayerFunction;
use crate::predictor::Workshop;
use crate::{
    BatchStatistics, ForwardCaches, Head, InputShape, Layer, LinearBy, NetworkBuilder,
    NetworkError, Normalization, Predictor, Provenance, Stage, Summary,
};

/// A deep network, ready to use: see the [crate docs](crate).
///
/// # Examples
/// ```
/// use dnn_core::{Features, Purpose, RandomStream};
/// use dnn_layers::{Activation, InputShape, Network};
/// use ndarray::array;
///
/// let network = Network::<f32>::builder(InputShape::flat(2))
///     .hidden(&[8], Activation::Tanh)
///     .classes(["left", "right"])
///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
/// let points = array![[0.5, -2.0, 1.0], [0.1, 0.3, -0.7]]; // three points, one per column
/// let classes = network.predict(&Features::Real(points.view()))?;
/// assert_eq!(classes.len(), 3);
/// # Ok::<(), dnn_layers::NetworkError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Network<T> {
    architecture: Architecture,
    /// The layers with parameters, as they follow from the architecture.
    stages: Vec<Stage>,
    parameters: Parameters<T>,
    /// The running statistics of each batch normalisation, in order.
    statistics: Vec<BatchStatistics<T>>,
    provenance: Option<Provenance>,
}

/// The parameters of one layer, to be changed in place; their shapes stay.
#[derive(Debug)]
pub struct LayerParametersMut<'a, T> {
    /// `(n, n_prev)`.
    pub weights: ArrayViewMut2<'a, T>,
    /// `(n, 1)`.
    pub bias: ArrayViewMut2<'a, T>,
}

impl<T: Element> Network<T> {
    /// Starts a network for examples of this shape.
    pub fn builder(input: InputShape) -> NetworkBuilder<T> {
        NetworkBuilder::new(input)
    }

    /// The one constructor: everything is checked here.
    pub(crate) fn assemble(
        architecture: Architecture,
        mut parameters: Parameters<T>,
        statistics: Option<Vec<BatchStatistics<T>>>,
        provenance: Option<Provenance>,
    ) -> Result<Self, NetworkError> {
        let widths = architecture.check()?;
        for activation in architecture.hidden.iter().filter_map(Layer::activation) {
            activation.check::<T>()?;
        }
        let stages = architecture.stages();
        let (expected, found) = (stages.len(), parameters.layers.len());
        if expected != found {
            return Err(NetworkError::LayerCount { expected, found });
        }
        let mut inputs = widths[0];
        for (l, (layer, stage)) in parameters.layers.iter().zip(&stages).enumerate() {
            let columns = if stage.normalization.is_some() { 1 } else { inputs };
            inputs = stage.units;
            let weights = ("weights", (stage.units, columns), &layer.weights);
            let bias = ("bias", (stage.units, 1), &layer.bias);
            for (what, expected, values) in [weights, bias] {
                let (layer, found) = (l + 1, values.dim());
                if found != expected {
                    return Err(NetworkError::Layer { layer, what, expected, found });
                }
                if !values.iter().all(|value| value.is_finite()) {
                    return Err(NetworkError::NotFinite { layer, what });
                }
            }
        }
        let statistics = check_statistics(&stages, statistics)?;
        for layer in &mut parameters.layers {
            layer.weights = into_aligned(std::mem::take(&mut layer.weights));
        }
        Ok(Self { architecture, stages, parameters, statistics, provenance })
    }

    pub(crate) fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The shape of one example.
    pub fn input(&self) -> InputShape {
        self.architecture.input
    }

    /// The widths of the dense layers, input first: `[n_x, n_1, …, n_L]`.
    pub fn widths(&self) -> Vec<usize> {
        let dense = self.stages.iter().filter(|stage| stage.normalization.is_none());
        std::iter::once(self.features()).chain(dense.map(|stage| stage.units)).collect()
    }

    /// Features per example, `n_x`.
    pub fn features(&self) -> usize {
        self.parameters.layers[0].weights.ncols()
    }

    /// The hidden layers.
    pub fn hidden(&self) -> &[Layer] {
        &self.architecture.hidden
    }

    /// What the last layer ends in.
    pub fn head(&self) -> Head {
        self.architecture.head
    }

    /// Numbers per example that the last layer gives, `n_L`.
    pub fn outputs(&self) -> usize {
        self.architecture.outputs
    }

    /// The class names in the order of their labels; empty if the outputs are numbers.
    pub fn classes(&self) -> &[String] {
        &self.architecture.classes
    }

    /// How pixels become the numbers this network sees.
    pub fn scaling(&self) -> PixelScaling {
        self.architecture.scaling
    }

    /// Where the network came from, if anybody said.
    pub fn provenance(&self) -> Option<&Provenance> {
        self.provenance.as_ref()
    }

    /// Says where the network came from.
    pub fn set_provenance(&mut self, provenance: Provenance) {
        self.provenance = Some(provenance);
    }

    /// The weights and biases.
    pub fn parameters(&self) -> &Parameters<T> {
        &self.parameters
    }

    /// The weights and biases of each layer, to be changed in place.
    pub fn layers_mut(&mut self) -> impl Iterator<Item = LayerParametersMut<'_, T>> {
        self.parameters.layers.iter_mut().map(|layer| LayerParametersMut {
            weights: layer.weights.view_mut(),
            bias: layer.bias.view_mut(),
        })
    }

    /// How each layer with parameters works, in the order of [`parameters`](Self::parameters).
    pub fn stages(&self) -> &[Stage] {
        &self.stages
    }

    /// The running means and variances of each batch normalisation, in order.
    pub fn statistics(&self) -> &[BatchStatistics<T>] {
        &self.statistics
    }

    /// The same, to be changed in place; their lengths have to stay.
    pub fn statistics_mut(&mut self) -> &mut [BatchStatistics<T>] {
        &mut self.statistics
    }

    /// Divides the logits by a temperature, which makes probabilities less sure (above 1) or surer (below):
    /// the weights and the bias of the last layer are divided by it.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] if it is not a finite number above 0.
    ///
    /// # Examples
    /// ```
    /// use dnn_core::{Features, Initializer, Purpose, RandomStream};
    /// use dnn_layers::{InputShape, Network};
    /// use ndarray::array;
    ///
    /// let mut network = Network::<f64>::builder(InputShape::flat(1))
    ///     .classes(["no", "yes"])
    ///     .initializer(Initializer::Constant(4.0))
    ///     .build(&mut RandomStream::new(0, Purpose::Initialization, 0))?;
    /// network.cool(2.0)?;
    /// let x = array![[1.0]];
    /// assert_eq!(network.forward(&Features::Real(x.view()))?.logits()[(0, 0)], 2.0);
    /// # Ok::<(), dnn_layers::NetworkError>(())
    /// ```
    pub fn cool(&mut self, temperature: f64) -> Result<(), NetworkError> {
        if !(temperature.is_finite() && temperature > 0.0) {
            return Err(CoreError::Invalid {
                what: "temperature",
                expected: "a finite number above 0",
                found: temperature.to_string(),
            }
            .into());
        }
        let last = self.parameters.layers.last_mut().expect("a network has a last layer");
        let temperature = T::from_f64(temperature);
        last.weights.mapv_inplace(|weight| weight / temperature);
        last.bias.mapv_inplace(|bias| bias / temperature);
        Ok(())
    }

    /// Multiplies each output by a scale and adds a shift, by the weights and the bias of the last layer: a network
    /// that was trained on standardised numbers gives them in their own unit then.
    ///
    /// # Shapes
    /// `by` has a scale and a shift for each of the `n_L` outputs.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] unless the outputs are numbers (an identity head), and each has its scale and
    /// shift, finite as what they lead to.
    ///
    /// # Examples
    /// ```
    /// use dnn_core::{Features, Initializer, Purpose, RandomStream};
    /// use dnn_layers::{Head, InputShape, Network};
    /// use ndarray::array;
    ///
    /// let mut network = Network::<f64>::builder(InputShape::flat(1))
    ///     .outputs(1, Head::Identity)
    ///     .initializer(Initializer::Constant(1.0))
    ///     .build(&mut RandomStream::new(0, Purpose::Initialization, 0))?;
    /// // From degrees Celsius to degrees Fahrenheit.
    /// network.scale_outputs(&[(1.8, 32.0)])?;
    /// let x = array![[100.0]];
    /// assert_eq!(network.predict_outputs(&Features::Real(x.view()))?, array![[212.0]]);
    /// # Ok::<(), dnn_layers::NetworkError>(())
    /// ```
    pub fn scale_outputs(&mut self, by: &[(f64, f64)]) -> Result<(), NetworkError> {
        let invalid = |expected, found| {
            Err(CoreError::Invalid { what: "scale of outputs", expected, found }.into())
        };
        if self.head() != Head::Identity {
            return invalid("an identity head", format!("a {} head", self.head()));
        }
        if by.len() != self.outputs() {
            return invalid("one for each output", format!("{} for {}", by.len(), self.outputs()));
        }
        let mut last = self.parameters.layers.last().expect("a network has a last layer").clone();
        for (unit, &(scale, shift)) in by.iter().enumerate() {
            let scaled = |number: T| T::from_f64(number.into() * scale);
            last.weights.row_mut(unit).mapv_inplace(scaled);
            let bias = &mut last.bias[(unit, 0)];
            *bias = T::from_f64((*bias).into() * scale + shift);
        }
        if !last.weights.iter().chain(&last.bias).all(|number| number.is_finite()) {
            return invalid("numbers that stay finite", format!("{by:?}"));
        }
        let own = self.parameters.layers.last_mut().expect("a network has a last layer");
        own.weights.assign(&last.weights);
        own.bias.assign(&last.bias);
        Ok(())
    }

    /// The same function with dense layers alone: each batch normalisation becomes a part of the weights
    /// before it, by its running statistics, and dropout, which prediction does not notice, goes.
    ///
    /// # Examples
    /// ```
    /// use dnn_core::{Purpose, RandomStream};
    /// use dnn_layers::{Activation, InputShape, Layer, Network};
    ///
    /// let network = Network::<f32>::builder(InputShape::flat(4))
    ///     .layer(Layer::Dense { units: 8, activation: Activation::Identity })
    ///     .layer(Layer::batch_norm(Activation::Relu))
    ///     .classes(["no", "yes"])
    ///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
    /// let dense = Layer::Dense { units: 8, activation: Activation::Relu };
    /// assert_eq!(network.folded().hidden(), [dense]);
    /// # Ok::<(), dnn_layers::NetworkError>(())
    /// ```
    pub fn folded(&self) -> Self {
        let mut layers: Vec<LayerParameters<T>> = Vec::with_capacity(self.parameters.layers.len());
        let mut hidden: Vec<Layer> = Vec::with_capacity(self.stages.len());
        let mut statistics = self.statistics.iter();
        for (stage, parameters) in self.stages.iter().zip(&self.parameters.layers) {
            let before = layers.last_mut().zip(statistics.as_slice().first());
            if let (Some(Normalization { epsilon, .. }), Some((dense, running))) =
                (stage.normalization, before)
            {
                let (scale, shift) = running.as_scale_and_shift(epsilon, parameters);
                let scale = scale.insert_axis(Axis(1));
                dense.weights *= &scale;
                dense.bias = &dense.bias * &scale + &shift.insert_axis(Axis(1));
                hidden.pop();
                statistics.next();
            } else {
                layers.push(parameters.clone());
            }
            if let LayerFunction::Hidden(activation) = stage.function {
                hidden.push(Layer::Dense { units: stage.units, activation });
            }
        }
        let architecture = Architecture { hidden, ..self.architecture.clone() };
        Self {
            stages: architecture.stages(),
            architecture,
            parameters: Parameters { layers },
            statistics: Vec::new(),
            provenance: self.provenance.clone(),
        }
    }

    /// A table of the layers with their shapes, parameters and bytes.
    pub fn summary(&self) -> Summary {
        Summary::new(self)
    }

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

    /// `Z` and `A` of every layer.
    ///
    /// # Shapes
    /// `x` is `(n_x, m)`.
    ///
    /// # Errors
    /// As [`check`](Self::check).
    pub fn forward(&self, x: &Features<'_, T>) -> Result<ForwardCaches<T>, NetworkError> {
        self.check(x)?;
        let mut caches = self.caches(x.len());
        self.forward_into(x, Columns::Run { start: 0, len: x.len() }, &mut caches);
        Ok(caches)
    }

    /// Buffers for [`forward_into`](Self::forward_into) with up to `capacity` examples.
    pub fn caches(&self, capacity: usize) -> ForwardCaches<T> {
        ForwardCaches::new(&self.stages, capacity, false)
    }

    /// Buffers for [`forward_layer`](Self::forward_layer) with up to `capacity` examples.
    pub fn training_caches(&self, capacity: usize) -> ForwardCaches<T> {
        ForwardCaches::new(&self.stages, capacity, true)
    }

    /// As [`forward`](Self::forward) for the examples `columns` alone, into buffers that exist.
    ///
    /// The caller has checked `x` with [`check`](Self::check).
    ///
    /// # Panics
    /// If the shapes do not fit, a column does not exist, or `caches` is too small.
    pub fn forward_into(
        &self,
        x: &Features<'_, T>,
        columns: Columns<'_>,
        caches: &mut ForwardCaches<T>,
    ) {
        let mut statistics = self.statistics.iter();
        for (layer, stage) in self.stages.iter().enumerate() {
            let running = stage.normalization.and_then(|_| statistics.next());
            self.forward_layer(layer, x, columns, running, caches);
        }
    }

    /// `Z` and `A` of the first layer from the product of its weights with the inputs, `Z = W X + b`.
    ///
    /// # Shapes
    /// `product` is `(n_1, m)`.
    ///
    /// # Panics
    /// If the shapes do not fit or `caches` is too small.
    pub fn forward_first(&self, product: ArrayView2<'_, f64>, caches: &mut ForwardCaches<T>) {
        assert_eq!(caches.len(), self.stages.len(), "caches of a network of another depth");
        caches.start(product.ncols());
        caches.shift(product, &self.parameters.layers[0].bias);
        caches.activate(0, self.stages[0].function);
    }

    /// `Z` and `A` of one layer, counted from 0 among those with parameters, after those before it; batch
    /// normalisation goes by `statistics`. What dropout does comes after it, see
    /// [`ForwardCaches::drop_out`].
    ///
    /// # Panics
    /// As [`forward_into`](Self::forward_into), and if a batch normalisation is given no statistics.
    pub fn forward_layer(
        &self,
        layer: usize,
        x: &Features<'_, T>,
        columns: Columns<'_>,
        statistics: Option<&BatchStatistics<T>>,
        caches: &mut ForwardCaches<T>,
    ) {
        self.forward_layer_by((layer, LinearBy::Weights), x, columns, statistics, caches);
    }

    /// The same, with the way in which a dense layer comes to its `Z`.
    ///
    /// # Panics
    /// As [`forward_layer`](Self::forward_layer), and if packed weights or a given `Z` have another shape.
    pub fn forward_layer_by(
        &self,
        (layer, by): (usize, LinearBy<'_, T>),
        x: &Features<'_, T>,
        columns: Columns<'_>,
        statistics: Option<&BatchStatistics<T>>,
        caches: &mut ForwardCaches<T>,
    ) {
        assert_eq!(caches.len(), self.stages.len(), "caches of a network of another depth");
        let (stage, parameters) = (&self.stages[layer], &self.parameters.layers[layer]);
        caches.start(columns.len());
        match stage.normalization {
            None => caches.linear((layer, by), x, columns, parameters),
            Some(Normalization { epsilon, .. }) => {
                let statistics = statistics.expect("statistics for a batch normalisation");
                caches.normalize(layer, statistics, epsilon, parameters);
            }
        }
        caches.activate(layer, stage.function);
    }

    /// The probability of every class, for every example.
    ///
    /// # Shapes
    /// `x` is `(n_x, m)`, the result `(classes, m)`; every column sums to 1.
    ///
    /// # Errors
    /// [`NetworkError::NoClasses`] for a network without classes, [`NetworkError::Overflow`] if the
    /// outputs of an example are not finite, and as [`check`](Self::check).
    pub fn predict_probabilities(&self, x: &Features<'_, T>) -> Result<Array2<T>, NetworkError> {
        if self.classes().is_empty() {
            return Err(NO_CLASSES);
        }
        self.check(x)?;
        let mut probabilities = Array2::zeros((self.classes().len(), x.len()).f());
        Workshop::new(self).run(self, x, probabilities.view_mut())?;
        Ok(probabilities)
    }

    /// What the network gives for every example: the numbers of a regression, with a sigmoid head the probability
    /// of each label, with a softmax head that of each class.
    ///
    /// # Shapes
    /// `x` is `(n_x, m)`, the result `(n_L, m)`.
    ///
    /// # Errors
    /// [`NetworkError::Overflow`] if the outputs of an example are not finite, and as [`check`](Self::check).
    ///
    /// # Examples
    /// ```
    /// use dnn_core::{Features, Initializer, Purpose, RandomStream};
    /// use dnn_layers::{Head, InputShape, Network};
    /// use ndarray::array;
    ///
    /// // The sum of two numbers.
    /// let network = Network::<f64>::builder(InputShape::flat(2))
    ///     .outputs(1, Head::Identity)
    ///     .initializer(Initializer::Constant(1.0))
    ///     .build(&mut RandomStream::new(0, Purpose::Initialization, 0))?;
    /// let x = array![[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]];
    /// assert_eq!(network.predict_outputs(&Features::Real(x.view()))?, array![[11.0, 22.0, 33.0]]);
    /// # Ok::<(), dnn_layers::NetworkError>(())
    /// ```
    pub fn predict_outputs(&self, x: &Features<'_, T>) -> Result<Array2<T>, NetworkError> {
        self.check(x)?;
        let mut outputs = Array2::zeros((self.outputs(), x.len()).f());
        Workshop::new(self).run(self, x, outputs.view_mut())?;
        Ok(outputs)
    }

    /// From outputs `(n_L, m)` to class probabilities `(classes, m)`, or, where `out` has as many rows as they, to
    /// the same outputs.
    pub(crate) fn class_probabilities(output: ArrayView2<'_, T>, mut out: ArrayViewMut2<'_, T>) {
        if out.nrows() > output.nrows() {
            let (first, second) = out.view_mut().split_at(Axis(0), 1);
            Zip::from(first).and(second).and(output).for_each(|first, second, &p| {
                (*first, *second) = (T::one() - p, p);
            });
        } else {
            out.assign(&output);
        }
    }

    /// Predicts again and again in memory of its own: see [`Predictor`].
    ///
    /// # Errors
    /// [`NetworkError::NoClasses`] for a network without classes.
    pub fn predictor(&self) -> Result<Predictor<'_, T>, NetworkError> {
        Predictor::new(self)
    }

    /// The class of every example, as its index in [`classes`](Self::classes).
    ///
    /// Of two classes the second wins with a probability strictly above 0.5; of more the most
    /// probable one, the first of equals.
    ///
    /// # Shapes
    /// `x` is `(n_x, m)`, the result has length `m`.
    ///
    /// # Errors
    /// As [`predict_probabilities`](Self::predict_probabilities).
    pub fn predict(&self, x: &Features<'_, T>) -> Result<Vec<usize>, NetworkError> {
        let probabilities = self.predict_probabilities(x)?;
        Ok(probabilities.columns().into_iter().map(most_probable).collect())
    }

    /// The class that these outputs of one example speak for, as [`predict`](Self::predict) has it;
    /// without classes, the largest of several outputs.
    ///
    /// # Shapes
    /// `output` is a column of `AL`, length `n_L`.
    pub fn decide(&self, output: ArrayView1<'_, T>) -> usize {
        match self.head() {
            Head::Sigmoid if self.outputs() == 1 => usize::from(output[0] > T::from_f64(0.5)),
            _ => most_probable(output),
        }
    }
}

/// Accepts statistics for each batch normalisation; without any, those to begin with.
fn check_statistics<T: Element>(
    stages: &[Stage],
    found: Option<Vec<BatchStatistics<T>>>,
) -> Result<Vec<BatchStatistics<T>>, NetworkError> {
    let normalized = || stages.iter().filter(|stage| stage.normalization.is_some());
    let Some(found) = found else {
        return Ok(normalized().map(|stage| BatchStatistics::standard(stage.units)).collect());
    };
    let unfit = |found: String| NetworkError::Statistics { found };
    if found.len() != normalized().count() {
        return Err(unfit(format!("{} for {}", found.len(), normalized().count())));
    }
    for (statistics, stage) in found.iter().zip(normalized()) {
        let lengths = [statistics.mean.len(), statistics.variance.len()];
        if lengths != [stage.units; 2] {
            return Err(unfit(format!("{lengths:?} numbers for {} units", stage.units)));
        }
        let finite = |value: &T| value.is_finite();
        let positive = |value: &T| value.is_finite() && *value >= T::zero();
        if !statistics.mean.iter().all(finite) || !statistics.variance.iter().all(positive) {
            return Err(unfit("numbers that cannot be".to_owned()));
        }
    }
    Ok(found)
}

/// The index of the largest of these class probabilities, the first of equals: the class that
/// [`Network::predict`] gives for a column of [`Network::predict_probabilities`].
///
/// # Panics
/// If there is no number.
pub fn most_probable<T: Element>(column: ArrayView1<'_, T>) -> usize {
    let mut best = 0;
    for (index, &value) in column.iter().enumerate() {
        if value > column[best] {
            best = index;
        }
    }
    best
}
