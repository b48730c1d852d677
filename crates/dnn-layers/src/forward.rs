//! The forward pass, step by step, and the caches that the backward pass reads.
//!
//! A cache holds `Z` and `A` of a layer, nothing else: the inputs and the parameters are the
//! caller's already, and a copy of them would only cost memory.

use dnn_core::{Columns, CoreError, Element, Features, LayerParameters, Parameters};
use dnn_kernels::{PackedScratch, PackedWeights};
use ndarray::{Array2, ArrayView1, ArrayView2, ArrayViewMut2, Axis, ShapeBuilder, Zip, s};

#[cfg(doc)]
use crate::Network;
use crate::{Activation, BatchStatistics, Head, Stage};

/// `Z` and `A` of one layer.
///
/// # Shapes
/// Both are `(n[l], m)`.
#[derive(Debug, Clone, PartialEq)]
pub struct LayerCache<T> {
    /// `W A_prev + b`.
    pub z: Array2<T>,
    /// `g(Z)`.
    pub a: Array2<T>,
}

/// `Z = W A_prev + b`.
///
/// # Shapes
/// | `a_prev` | `weights` | `bias` | result |
/// |---|---|---|---|
/// | `(n_prev, m)` | `(n, n_prev)` | `(n, 1)` | `(n, m)` |
///
/// # Errors
/// [`CoreError::Shape`] if they do not fit.
pub fn linear_forward<T: Element>(
    a_prev: ArrayView2<'_, T>,
    weights: ArrayView2<'_, T>,
    bias: ArrayView2<'_, T>,
) -> Result<Array2<T>, CoreError> {
    let (n, n_prev) = weights.dim();
    let m = a_prev.ncols();
    CoreError::expect_shape("A_prev", (n_prev, m), a_prev.dim())?;
    CoreError::expect_shape("bias", (n, 1), bias.dim())?;
    let mut z = Array2::zeros((n, m).f());
    let columns = Columns::Run { start: 0, len: m };
    let features = Features::Real(a_prev);
    linear_into(&features, columns, weights, bias, &mut Vec::new(), z.view_mut());
    Ok(z)
}

/// `Z = W A_prev + b` and `A = g(Z)`.
///
/// # Shapes
/// As [`linear_forward`]; both results are `(n, m)`.
///
/// # Errors
/// [`CoreError::Shape`] if they do not fit.
pub fn linear_activation_forward<T: Element>(
    a_prev: ArrayView2<'_, T>,
    weights: ArrayView2<'_, T>,
    bias: ArrayView2<'_, T>,
    activation: Activation,
) -> Result<LayerCache<T>, CoreError> {
    let z = linear_forward(a_prev, weights, bias)?;
    let mut a = Array2::zeros(z.dim().f());
    activation.apply(z.view(), a.view_mut());
    Ok(LayerCache { z, a })
}

/// `[linear -> activation] x (L-1) -> linear -> head`: the caches of all layers, the last of which
/// holds the outputs `AL`. The course's network has `ReLU` and a sigmoid head.
///
/// # Shapes
/// `x` is `(n_x, m)`; `caches[l]` holds arrays of `(n[l+1], m)`.
///
/// # Errors
/// [`CoreError::Shape`] if a layer does not fit the one before it, [`CoreError::TooFewWidths`]
/// without layers.
///
/// # Examples
/// ```
/// use dnn_core::{RandomStream, initialize_parameters};
/// use dnn_layers::{Activation, Head, model_forward};
/// use ndarray::array;
///
/// let parameters = initialize_parameters(2, 3, 1, &mut RandomStream::numpy_legacy(1))?;
/// let x = array![[0.5, -1.0], [0.25, 2.0]];
/// let caches = model_forward(x.view(), &parameters, Activation::Relu, Head::Sigmoid)?;
/// println!("Z1 = {}", caches[0].z);
/// println!("AL = {}", caches[1].a);
/// # Ok::<(), dnn_core::CoreError>(())
/// ```
pub fn model_forward<T: Element>(
    x: ArrayView2<'_, T>,
    parameters: &Parameters<T>,
    activation: Activation,
    head: Head,
) -> Result<Vec<LayerCache<T>>, CoreError> {
    let (last, hidden) =
        parameters.layers.split_last().ok_or(CoreError::TooFewWidths { found: 0 })?;
    let mut caches: Vec<LayerCache<T>> = Vec::with_capacity(parameters.layers.len());
    for layer in hidden {
        let a_prev = caches.last().map_or(x, |cache| cache.a.view());
        let (weights, bias) = (layer.weights.view(), layer.bias.view());
        caches.push(linear_activation_forward(a_prev, weights, bias, activation)?);
    }
    let a_prev = caches.last().map_or(x, |cache| cache.a.view());
    let z = linear_forward(a_prev, last.weights.view(), last.bias.view())?;
    let mut a = Array2::zeros(z.dim().f());
    head.apply(z.view(), a.view_mut());
    caches.push(LayerCache { z, a });
    Ok(caches)
}

/// `z = W X + b` for the examples `columns` of `x`: the one place where it is computed.
fn linear_into<T: Element>(
    x: &Features<'_, T>,
    columns: Columns<'_>,
    weights: ArrayView2<'_, T>,
    bias: ArrayView2<'_, T>,
    scratch: &mut Vec<T>,
    z: ArrayViewMut2<'_, T>,
) {
    x.linear_into(weights, bias.index_axis_move(Axis(1), 0), columns, scratch, z);
}

/// `Z` and `A` of every layer for a batch of examples, in buffers that later batches of at most
/// the same size use again.
#[derive(Debug, Clone)]
pub struct ForwardCaches<T> {
    layers: Vec<LayerCache<T>>,
    /// What only training needs: one for each layer, or none.
    training: Vec<TrainingCache<T>>,
    scratch: Vec<T>,
    packed: PackedScratch<T>,
    examples: usize,
}

/// Where the `Z` of a dense layer comes from.
#[derive(Debug, Clone, Copy)]
pub enum LinearBy<'a, T> {
    /// The layer's weights as they are.
    Weights,
    /// The same weights, laid out for many examples.
    Packed(&'a PackedWeights<T>),
    /// `Z` is known: `(n, m)`.
    Given(ArrayView2<'a, T>),
}

/// What the backward pass needs beside `Z` and `A`; without columns where it does not.
#[derive(Debug, Clone)]
struct TrainingCache<T> {
    /// `X_hat` of batch normalisation.
    normalized: Array2<T>,
    /// 0 for what dropout drops, `1 / (1 - rate)` for what it keeps.
    factors: Array2<T>,
    /// `A` times the factors.
    dropped: Array2<T>,
}

impl<T: Element> ForwardCaches<T> {
    /// Buffers for up to `capacity` examples of a network of these layers.
    pub(crate) fn new(stages: &[Stage], capacity: usize, training: bool) -> Self {
        let buffer = |width: usize, wanted: bool| {
            Array2::zeros((width, if wanted { capacity } else { 0 }).f())
        };
        let layers = stages
            .iter()
            .map(|stage| LayerCache { z: buffer(stage.units, true), a: buffer(stage.units, true) })
            .collect();
        let training = stages
            .iter()
            .filter(|_| training)
            .map(|stage| TrainingCache {
                normalized: buffer(stage.units, stage.normalization.is_some()),
                factors: buffer(stage.units, stage.dropout > 0.0),
                dropped: buffer(stage.units, stage.dropout > 0.0),
            })
            .collect();
        let (scratch, packed) = (Vec::new(), PackedScratch::default());
        Self { layers, training, scratch, packed, examples: 0 }
    }

    /// The most examples that they can hold.
    pub(crate) fn capacity(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.z.ncols())
    }

    /// How many examples the caches hold now.
    pub fn examples(&self) -> usize {
        self.examples
    }

    /// How many layers with parameters there are.
    pub fn len(&self) -> usize {
        self.layers.len()
    }

    /// Whether there is no layer.
    pub fn is_empty(&self) -> bool {
        self.layers.is_empty()
    }

    /// `Z` of layer `layer`, counted from 0 among those with parameters.
    ///
    /// # Shapes
    /// `(n[layer + 1], m)`.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn z(&self, layer: usize) -> ArrayView2<'_, T> {
        self.layers[layer].z.slice(s![.., ..self.examples])
    }

    /// `A` of layer `layer`, counted from 0 among those with parameters; before dropout.
    ///
    /// # Shapes
    /// `(n[layer + 1], m)`.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn a(&self, layer: usize) -> ArrayView2<'_, T> {
        self.layers[layer].a.slice(s![.., ..self.examples])
    }

    /// What the layer after `layer` is given: `A`, after dropout in training.
    ///
    /// # Shapes
    /// `(n[layer + 1], m)`.
    ///
    /// # Panics
    /// If there is no such layer.
    pub fn passed_on(&self, layer: usize) -> ArrayView2<'_, T> {
        match self.training.get(layer) {
            Some(cache) if cache.dropped.ncols() > 0 => {
                cache.dropped.slice(s![.., ..self.examples])
            }
            _ => self.a(layer),
        }
    }

    /// `X_hat` of batch normalisation, in [training buffers](Network::training_caches).
    ///
    /// # Panics
    /// If the layer is of another kind.
    pub fn normalized(&self, layer: usize) -> ArrayView2<'_, T> {
        self.training[layer].normalized.slice(s![.., ..self.examples])
    }

    /// What dropout multiplied `A` by, in [training buffers](Network::training_caches).
    ///
    /// # Panics
    /// If nothing is dropped there.
    pub fn dropout_factors(&self, layer: usize) -> ArrayView2<'_, T> {
        self.training[layer].factors.slice(s![.., ..self.examples])
    }

    /// `Z` of the last layer, its logits.
    ///
    /// # Panics
    /// If there is no layer.
    pub fn logits(&self) -> ArrayView2<'_, T> {
        self.z(self.layers.len() - 1)
    }

    /// `A` of the last layer, the outputs `AL`.
    ///
    /// # Panics
    /// If there is no layer.
    pub fn output(&self) -> ArrayView2<'_, T> {
        self.a(self.layers.len() - 1)
    }

    /// Makes this a batch of the examples that come next.
    pub(crate) fn start(&mut self, examples: usize) {
        self.examples = examples;
    }

    /// `Z` of a dense layer.
    pub(crate) fn linear(
        &mut self,
        (l, by): (usize, LinearBy<'_, T>),
        x: &Features<'_, T>,
        columns: Columns<'_>,
        parameters: &LayerParameters<T>,
    ) {
        let used = s![.., ..self.examples];
        let (done, rest) = self.layers.split_at_mut(l);
        let (weights, bias) = (parameters.weights.view(), parameters.bias.view());
        let mut z = rest[0].z.slice_mut(used);
        let mut run = |x: &Features<'_, T>, columns| match by {
            LinearBy::Weights => {
                linear_into(x, columns, weights, bias, &mut self.scratch, z.view_mut());
            }
            LinearBy::Packed(packed) => {
                let (bias, scratch) = (bias.column(0), &mut self.packed);
                x.linear_packed_into(packed, bias, columns, scratch, z.view_mut());
            }
            LinearBy::Given(given) => z.assign(&given),
        };
        let Some(previous) = done.last() else {
            return run(x, columns);
        };
        let a_prev = match self.training.get(l - 1) {
            Some(cache) if cache.dropped.ncols() > 0 => cache.dropped.slice(used),
            _ => previous.a.slice(used),
        };
        let all = Columns::Run { start: 0, len: self.examples };
        run(&Features::Real(a_prev), all);
    }

    /// `Z` of the first layer from `W X`.
    pub(crate) fn shift(&mut self, product: ArrayView2<'_, f64>, bias: &Array2<T>) {
        let used = s![.., ..self.examples];
        let mut z = self.layers[0].z.slice_mut(used);
        let bias = bias.column(0);
        for (z, product) in z.columns_mut().into_iter().zip(product.columns()) {
            Zip::from(z).and(product).and(bias).for_each(|z, &product, &bias| {
                *z = T::from_f64(product + bias.into());
            });
        }
    }

    /// `Z` of batch normalisation by these statistics, and `X_hat` if somebody will ask for it.
    pub(crate) fn normalize(
        &mut self,
        l: usize,
        statistics: &BatchStatistics<T>,
        epsilon: f64,
        parameters: &LayerParameters<T>,
    ) {
        let used = s![.., ..self.examples];
        let (done, rest) = self.layers.split_at_mut(l);
        let (x, mut z) = (done[l - 1].a.slice(used), rest[0].z.slice_mut(used));
        let normalized = self.training.get_mut(l).map(|cache| cache.normalized.slice_mut(used));
        let Some(mut normalized) = normalized else {
            let (scale, shift) = statistics.as_scale_and_shift(epsilon, parameters);
            return scale_and_shift(x, scale.view(), shift.view(), z.view_mut());
        };
        let (mean, inverse) = (&statistics.mean, statistics.inverse_deviation(epsilon));
        Zip::from(normalized.columns_mut()).and(x.columns()).for_each(|mut to, from| {
            Zip::from(&mut to)
                .and(from)
                .and(mean)
                .and(&inverse)
                .for_each(|to, &x, &mean, &inverse| *to = (x - mean) * inverse);
        });
        let (scale, shift) = (parameters.weights.column(0), parameters.bias.column(0));
        scale_and_shift(normalized.view(), scale, shift, z.view_mut());
    }

    /// `A` from `Z`.
    pub(crate) fn activate(&mut self, l: usize, function: LayerFunction) {
        let used = s![.., ..self.examples];
        let LayerCache { z, a } = &mut self.layers[l];
        let (z, a) = (z.slice(used), a.slice_mut(used));
        match function {
            LayerFunction::Hidden(activation) => activation.apply(z, a),
            LayerFunction::Head(head) => head.apply(z, a),
        }
    }

    /// Drops some of `A` on its way to the next layer, in [training
    /// buffers](Network::training_caches): `keep` is asked for each example of the batch, by its position
    /// in it, and says of each unit whether it stays.
    ///
    /// # Panics
    /// If nothing is dropped there.
    pub fn drop_out(&mut self, layer: usize, rate: f64, mut keep: impl FnMut(usize, &mut [bool])) {
        let used = s![.., ..self.examples];
        let a = self.layers[layer].a.slice(used);
        let TrainingCache { factors, dropped, .. } = &mut self.training[layer];
        let (mut factors, mut dropped) = (factors.slice_mut(used), dropped.slice_mut(used));
        let kept = T::one() / T::from_f64(1.0 - rate);
        let mut stays = vec![true; a.nrows()];
        for (j, a) in a.columns().into_iter().enumerate() {
            keep(j, &mut stays);
            let (factors, dropped) = (factors.column_mut(j), dropped.column_mut(j));
            Zip::from(factors).and(dropped).and(a).and(&stays[..]).for_each(
                |factor, dropped, &a, &stays| {
                    *factor = if stays { kept } else { T::zero() };
                    *dropped = a * *factor;
                },
            );
        }
    }
}

/// `z = scale x + shift`, unit by unit.
fn scale_and_shift<T: Element>(
    x: ArrayView2<'_, T>,
    scale: ArrayView1<'_, T>,
    shift: ArrayView1<'_, T>,
    mut z: ArrayViewMut2<'_, T>,
) {
    Zip::from(z.columns_mut()).and(x.columns()).for_each(|z, x| {
        Zip::from(z)
            .and(x)
            .and(scale)
            .and(shift)
            .for_each(|z, &x, &scale, &shift| *z = scale * x + shift);
    });
}

/// What turns a layer's `Z` into its `A`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum LayerFunction {
    /// A hidden layer's activation.
    Hidden(Activation),
    /// The head of the last layer.
    Head(Head),
}
