//! Networks: a checked architecture and the parameters that fit it.

use dnn_core::{Columns, Element, Features, Parameters, PixelScaling};
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, ShapeBuilder, Zip};
use rayon::iter::{IndexedParallelIterator, IntoParallelIterator, ParallelIterator};

use crate::architecture::Architecture;
use crate::forward::LayerFunction;
use crate::{
    ForwardCaches, Head, InputShape, Layer, NetworkBuilder, NetworkError, Provenance, Summary,
};

/// The most examples that one task predicts at a time, and about the most numbers of one kind.
const TILE: usize = 256;
const MOST_NUMBERS: usize = 1 << 22;

/// A deep network of dense layers, ready to use: see the [crate docs](crate).
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
    parameters: Parameters<T>,
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
        parameters: Parameters<T>,
        provenance: Option<Provenance>,
    ) -> Result<Self, NetworkError> {
        let widths = architecture.check()?;
        for layer in &architecture.hidden {
            layer.activation().check::<T>()?;
        }
        let (expected, found) = (widths.len() - 1, parameters.layers.len());
        if expected != found {
            return Err(NetworkError::LayerCount { expected, found });
        }
        for (l, (layer, pair)) in parameters.layers.iter().zip(widths.windows(2)).enumerate() {
            let weights = ("weights", (pair[1], pair[0]), &layer.weights);
            let bias = ("bias", (pair[1], 1), &layer.bias);
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
        Ok(Self { architecture, parameters, provenance })
    }

    pub(crate) fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The shape of one example.
    pub fn input(&self) -> InputShape {
        self.architecture.input
    }

    /// The widths of the layers, input first: `[n_x, n_1, …, n_L]`.
    pub fn widths(&self) -> Vec<usize> {
        let outputs = self.parameters.layers.iter().map(|layer| layer.weights.nrows());
        std::iter::once(self.features()).chain(outputs).collect()
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

    /// What turns each weight layer's `Z` into its `A`, first layer first.
    pub(crate) fn functions(&self) -> impl ExactSizeIterator<Item = LayerFunction> {
        (0..self.parameters.layers.len()).map(|layer| self.function(layer))
    }

    /// What turns `Z` of weight layer `layer`, counted from 0, into its `A`.
    pub(crate) fn function(&self, layer: usize) -> LayerFunction {
        match self.architecture.hidden.get(layer) {
            Some(hidden) => LayerFunction::Hidden(hidden.activation()),
            None => LayerFunction::Head(self.architecture.head),
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
        let layers = &self.parameters.layers;
        ForwardCaches::new(layers.iter().map(|layer| layer.weights.nrows()), capacity)
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
        caches.fill(x, columns, self.parameters.layers.iter().zip(self.functions()));
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
            return Err(NetworkError::NoClasses);
        }
        self.check(x)?;
        let units: usize = self.parameters.layers.iter().map(|layer| layer.weights.nrows()).sum();
        let tile = (MOST_NUMBERS / units.max(1)).clamp(1, TILE);
        let mut probabilities = Array2::zeros((self.classes().len(), x.len()).f());
        probabilities
            .axis_chunks_iter_mut(Axis(1), tile)
            .into_par_iter()
            .enumerate()
            .for_each_init(
                || self.caches(tile.min(x.len())),
                |caches, (index, mut out)| {
                    let columns = Columns::Run { start: index * tile, len: out.ncols() };
                    self.forward_into(x, columns, caches);
                    self.class_probabilities(caches.output(), out.view_mut());
                },
            );
        let overflow = |column: ArrayView1<'_, T>| column.iter().any(|p| !p.is_finite());
        match probabilities.columns().into_iter().position(overflow) {
            Some(example) => Err(NetworkError::Overflow { example }),
            None => Ok(probabilities),
        }
    }

    /// From outputs `(n_L, m)` to class probabilities `(classes, m)`.
    fn class_probabilities(&self, output: ArrayView2<'_, T>, mut out: ArrayViewMut2<'_, T>) {
        if self.head() == Head::Sigmoid {
            let (first, second) = out.view_mut().split_at(Axis(0), 1);
            Zip::from(first).and(second).and(output).for_each(|first, second, &p| {
                (*first, *second) = (T::one() - p, p);
            });
        } else {
            out.assign(&output);
        }
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
