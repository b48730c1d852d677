//! Networks that are changed as a whole.

use dnn_core::{CoreError, Element, Shape};
use ndarray::{Array1, Axis};

use crate::architecture::Architecture;
use crate::layer::as_scale_and_shift;
use crate::{Head, Initial, Layer, Network, NetworkError, ParameterSpec, Tensor};

/// What becomes of an output: `scale * output + shift`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutputScale {
    /// The factor.
    pub scale: f64,
    /// What is added afterwards, in the unit of the result.
    pub shift: f64,
}

impl<T: Element> Network<T> {
    /// Divides the logits by a temperature, which makes probabilities less sure (above 1) or surer (below):
    /// the weights and the bias of the last layer are divided by it.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] if it is not a finite number above 0.
    ///
    /// # Examples
    /// ```
    /// use dnn_core::{Features, Initializer, Purpose, RandomStream, Shape};
    /// use dnn_layers::Network;
    /// use ndarray::array;
    ///
    /// let mut network = Network::<f64>::builder(Shape::flat(1))
    ///     .classes(["no", "yes"])
    ///     .initializer(Initializer::Constant(4.0))
    ///     .build(&mut RandomStream::new(0, Purpose::Initialization, 0))?;
    /// network.apply_temperature(2.0)?;
    /// let x = array![[1.0]];
    /// assert_eq!(network.forward(&Features::Real(x.view()))?.logits()[(0, 0)], 2.0);
    /// # Ok::<(), dnn_layers::NetworkError>(())
    /// ```
    pub fn apply_temperature(&mut self, temperature: f64) -> Result<(), NetworkError> {
        if !(temperature.is_finite() && temperature > 0.0) {
            return Err(CoreError::Invalid {
                what: "temperature",
                expected: "a finite number above 0",
                found: temperature.to_string(),
            }
            .into());
        }
        let temperature = T::from_f64(temperature);
        for tensor in self.last_tensors_mut() {
            tensor.values_mut().mapv_inplace(|value| value / temperature);
        }
        Ok(())
    }

    /// Multiplies each output by a scale and adds a shift, by the weights and the bias of the last layer: a network
    /// that was trained on standardised numbers gives them in their own unit then.
    ///
    /// # Shapes
    /// `by` has one entry for each of the `n_L` outputs.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] unless the outputs are numbers (an identity head), and each has its scale and
    /// shift, finite as what they lead to.
    ///
    /// # Examples
    /// ```
    /// use dnn_core::{Features, Initializer, Purpose, RandomStream, Shape};
    /// use dnn_layers::{Head, Network, OutputScale};
    /// use ndarray::array;
    ///
    /// let mut network = Network::<f64>::builder(Shape::flat(1))
    ///     .outputs(1, Head::Identity)
    ///     .initializer(Initializer::Constant(1.0))
    ///     .build(&mut RandomStream::new(0, Purpose::Initialization, 0))?;
    /// // From degrees Celsius to degrees Fahrenheit.
    /// network.scale_outputs(&[OutputScale { scale: 1.8, shift: 32.0 }])?;
    /// let x = array![[100.0]];
    /// assert_eq!(network.predict_outputs(&Features::Real(x.view()))?, array![[212.0]]);
    /// # Ok::<(), dnn_layers::NetworkError>(())
    /// ```
    pub fn scale_outputs(&mut self, by: &[OutputScale]) -> Result<(), NetworkError> {
        let invalid = |expected, found| {
            Err(CoreError::Invalid { what: "scale of outputs", expected, found }.into())
        };
        if self.head() != Head::Identity {
            return invalid("an identity head", format!("a {} head", self.head()));
        }
        if by.len() != self.outputs() {
            return invalid("one for each output", format!("{} for {}", by.len(), self.outputs()));
        }
        let [weights, bias] = self.last_tensors_mut() else {
            unreachable!("a dense layer has weights and a bias")
        };
        let (mut new_weights, mut new_bias) =
            (weights.values().to_owned(), bias.values().to_owned());
        for (unit, &OutputScale { scale, shift }) in by.iter().enumerate() {
            let scaled = |number: T| T::from_f64(number.into() * scale);
            new_weights.row_mut(unit).mapv_inplace(scaled);
            let bias = &mut new_bias[(unit, 0)];
            *bias = T::from_f64((*bias).into() * scale + shift);
        }
        if !new_weights.iter().chain(&new_bias).all(|number| number.is_finite()) {
            return invalid("numbers that stay finite", format!("{by:?}"));
        }
        weights.values_mut().assign(&new_weights);
        bias.values_mut().assign(&new_bias);
        Ok(())
    }

    /// The same function with fewer layers: each batch normalisation right after a dense layer or a convolution becomes
    /// a part of its weights, by the running statistics, and what prediction does not notice (dropout) goes.
    ///
    /// # Examples
    /// ```
    /// use dnn_core::{Purpose, RandomStream, Shape};
    /// use dnn_layers::{Activation, BatchNorm, Dense, Layer, Network};
    ///
    /// let network = Network::<f32>::builder(Shape::flat(4))
    ///     .layer(Dense { units: 8 })
    ///     .layer(BatchNorm::default())
    ///     .layer(Activation::Relu)
    ///     .classes(["no", "yes"])
    ///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
    /// let expected: [Layer; 3] =
    ///     [Dense { units: 8 }.into(), Activation::Relu.into(), Dense { units: 1 }.into()];
    /// assert_eq!(network.folded().layers(), expected);
    /// # Ok::<(), dnn_layers::NetworkError>(())
    /// ```
    pub fn folded(&self) -> Self {
        let (mut layers, mut arrays): (Vec<Layer>, Vec<Vec<Tensor<T>>>) = (Vec::new(), Vec::new());
        // For each layer, how many are left of those before it; and where connections begin, which are left as they are.
        let mut left_before = Vec::with_capacity(self.layers().len());
        let all = self.layers().iter().enumerate();
        let begins = all.filter_map(|(to, layer)| layer.goes_around().map(|around| to - around));
        let begins: Vec<usize> = begins.collect();
        for (l, layer) in self.layers().iter().enumerate() {
            left_before.push(layers.len());
            match (layer, layers.last(), arrays.last_mut()) {
                (
                    Layer::BatchNorm(norm),
                    Some(Layer::Dense(_) | Layer::Conv2d(_)),
                    Some(linear),
                ) if !begins.contains(&l) => {
                    let by = as_scale_and_shift(norm, self.layer_tensors(l));
                    scale_and_shift(linear, by);
                    if let Some(Layer::Conv2d(conv)) = layers.last_mut() {
                        conv.bias = true;
                    }
                }
                _ if layer.is_for_training_alone() && begins.is_empty() => {}
                _ => {
                    let around = layer.goes_around().map_or(0, |around| l - around);
                    layers.push(layer.going_around(layers.len() - left_before[around]));
                    arrays.push(self.layer_tensors(l).to_vec());
                }
            }
        }
        let architecture = Architecture { layers, ..self.architecture.clone() };
        let places = architecture.check::<T>().expect("a part of a network that was checked");
        let arrays = arrays.into_iter().flatten().map(Tensor::into_values).collect();
        let folded = Self::put_together(architecture, places, arrays, self.provenance.clone());
        let (preprocessing, is_mirrored) = (self.preprocessing.clone(), self.is_mirrored);
        Self { preprocessing, is_mirrored, ..folded }
    }

    /// Makes this the network of pictures of another size, with the same layers and arrays.
    ///
    /// # Errors
    /// [`NetworkError::LayerPlace`] where a layer does not go with the size, [`NetworkError::InputSize`] where one would
    /// need other arrays: nothing has changed then.
    ///
    /// # Examples
    /// ```
    /// use dnn_core::{Purpose, RandomStream, Shape};
    /// use dnn_layers::{Conv2d, GlobalPool, Network, PoolBy};
    ///
    /// let mut network = Network::<f32>::builder(Shape::picture(64, 64, 3))
    ///     .layer(Conv2d::same(8, 3))
    ///     .layer(GlobalPool { by: PoolBy::Mean })
    ///     .classes(["cat", "dog"])
    ///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
    /// network.set_input(Shape::picture(80, 96, 3))?;
    /// assert_eq!(network.features(), 80 * 96 * 3);
    /// assert!(network.set_input(Shape::picture(64, 64, 1)).is_err());
    /// # Ok::<(), dnn_layers::NetworkError>(())
    /// ```
    pub fn set_input(&mut self, input: Shape) -> Result<(), NetworkError> {
        let architecture = Architecture { input, ..self.architecture.clone() };
        let places = architecture.check::<T>()?;
        let specs = places.iter().flat_map(|place| &place.parameters);
        for (tensor, spec) in self.tensors.iter().zip(specs) {
            let (expected, found) = ((spec.rows, spec.columns), tensor.values().dim());
            if expected != found {
                let name = tensor.name().to_owned();
                return Err(NetworkError::InputSize { input, name, expected, found });
            }
        }
        (self.architecture, self.places) = (architecture, places);
        Ok(())
    }

    /// Freezes the arrays whose names begin with `prefix`, or thaws them: training leaves a frozen array as it is.
    /// Gives how many arrays that are.
    ///
    /// # Examples
    /// ```
    /// use dnn_core::{Purpose, RandomStream, Shape};
    /// use dnn_layers::{Activation, Network};
    ///
    /// let mut network = Network::<f32>::builder(Shape::flat(4))
    ///     .hidden(&[8], Activation::Relu)
    ///     .classes(["no", "yes"])
    ///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
    /// assert_eq!(network.set_frozen("dense1.", true), 2);
    /// assert!(network.tensors()[0].is_frozen() && !network.tensors()[2].is_frozen());
    /// # Ok::<(), dnn_layers::NetworkError>(())
    /// ```
    pub fn set_frozen(&mut self, prefix: &str, is_frozen: bool) -> usize {
        let named = self.tensors.iter_mut().filter(|tensor| tensor.name().starts_with(prefix));
        named.map(|tensor| tensor.set_frozen(is_frozen)).count()
    }

    fn last_tensors_mut(&mut self) -> &mut [Tensor<T>] {
        let last = self.ranges.last().cloned().unwrap_or(0..0);
        &mut self.tensors[last]
    }
}

/// Puts a scale and a shift of each unit into the weights and the bias of the layer before, which gets a bias if it has
/// none.
fn scale_and_shift<T: Element>(linear: &mut Vec<Tensor<T>>, by: [Array1<T>; 2]) {
    let [scale, shift] = by.map(|it| it.insert_axis(Axis(1)));
    let [weights, bias @ ..] = &mut linear[..] else {
        unreachable!("a layer of products has weights")
    };
    *weights.array_mut() *= &scale;
    if let [bias] = bias {
        let bias = bias.array_mut();
        *bias = &*bias * &scale + &shift;
    } else {
        let spec = ParameterSpec::for_each_unit("bias", shift.nrows(), Initial::Zeros);
        linear.push(Tensor::new("conv", 0, spec, shift));
    }
}
