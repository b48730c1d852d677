//! Networks and gradients as pairs of arrays, layer by layer: weights and bias, or scale and shift.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![allow(dead_code, reason = "not every test program uses everything")]

use dnn_core::{Element, LayerParameters, Parameters};
use dnn_layers::{Activation, BatchNorm, Dense, Dropout, Layer, Network, Tensor};
use dnn_train::{Cost, Examples, GradientCheck, TrainError};
use ndarray::{Array2, ArrayViewMut2};

/// A dense layer and its activation.
pub(crate) fn dense(units: usize, activation: Activation) -> Vec<Layer> {
    let activation = Some(activation).filter(|&it| it != Activation::Identity);
    std::iter::once(Dense { units }.into()).chain(activation.map(Into::into)).collect()
}

/// Batch normalisation and its activation.
pub(crate) fn norm(activation: Activation) -> Vec<Layer> {
    vec![BatchNorm::default().into(), activation.into()]
}

/// Dropout as a list of layers.
pub(crate) fn drop_out(rate: f64) -> Vec<Layer> {
    vec![Dropout { rate }.into()]
}

/// The two trained arrays of a layer, to be changed.
pub(crate) struct PairMut<'a, T> {
    pub(crate) weights: ArrayViewMut2<'a, T>,
    pub(crate) bias: ArrayViewMut2<'a, T>,
}

/// A network's trained arrays in pairs.
pub(crate) trait Pairs<T: 'static> {
    fn pairs(&self) -> Parameters<T>;
    fn pairs_mut(&mut self) -> impl Iterator<Item = PairMut<'_, T>>;
}

impl<T: Element> Pairs<T> for Network<T> {
    fn pairs(&self) -> Parameters<T> {
        let trained = self.tensors().iter().filter(|tensor| tensor.spec().is_trained);
        paired(trained.map(|tensor| tensor.values().to_owned()))
    }

    fn pairs_mut(&mut self) -> impl Iterator<Item = PairMut<'_, T>> {
        let mut trained = self.tensors_mut().iter_mut().filter(|it| it.spec().is_trained);
        std::iter::from_fn(move || {
            let (weights, bias) = (trained.next()?, trained.next()?);
            Some(PairMut { weights: weights.values_mut(), bias: bias.values_mut() })
        })
    }
}

/// The arrays of a gradient in pairs.
pub(crate) fn paired<T>(arrays: impl IntoIterator<Item = Array2<T>>) -> Parameters<T> {
    let mut arrays = arrays.into_iter().filter(|array| !array.is_empty());
    let layers = std::iter::from_fn(|| {
        Some(LayerParameters { weights: arrays.next()?, bias: arrays.next()? })
    });
    Parameters { layers: layers.collect() }
}

/// Pairs as the arrays of a gradient of this network.
pub(crate) fn arrays<T: Element>(network: &Network<T>, pairs: &Parameters<T>) -> Vec<Array2<T>> {
    let mut pairs = pairs.arrays().cloned();
    let of = |tensor: &Tensor<T>| {
        if tensor.is_trained() { pairs.next() } else { Some(Array2::zeros((0, 0))) }
    };
    network.tensors().iter().filter_map(of).collect()
}

/// The product's gradients, in pairs.
pub(crate) fn gradients<T: Element>(
    network: &Network<T>,
    examples: &Examples<'_, T>,
    cost: Cost,
) -> Result<(f64, Parameters<T>), TrainError> {
    let (mean, gradient) = dnn_train::gradients(network, examples, cost)?;
    Ok((mean, paired(gradient)))
}

/// The product's check of a gradient that is given in pairs.
pub(crate) fn compare_gradients<T: Element>(
    network: &Network<T>,
    examples: &Examples<'_, T>,
    cost: Cost,
    epsilon: f64,
    gradient: &Parameters<T>,
) -> Result<GradientCheck, TrainError> {
    dnn_train::compare_gradients(network, examples, cost, epsilon, &arrays(network, gradient))
}
