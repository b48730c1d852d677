//! The weights of all convolutions of a network, as the kernels want them.

use dnn_core::Element;
use dnn_kernels::{ConvolutionWeights, Products, for_each_part};

use crate::{Layer, Network};

/// The weights of the convolutions of a network, laid out once for many pictures and all threads.
#[derive(Debug, Clone)]
pub struct PackedConvolutions<T> {
    /// For each layer, if it is one.
    layers: Vec<Option<ConvolutionWeights<T>>>,
}

impl<T> Default for PackedConvolutions<T> {
    /// Those of no layer.
    fn default() -> Self {
        Self { layers: Vec::new() }
    }
}

impl<T: Element> PackedConvolutions<T> {
    /// Room for those of this network, for products in these numbers, without weights yet.
    ///
    /// # Panics
    /// As [`ConvolutionWeights::set_products`].
    pub fn of(network: &Network<T>, products: Products) -> Self {
        let is_one = |layer: &Layer| matches!(layer, Layer::Conv2d(_));
        let room = |layer| {
            is_one(layer).then(|| {
                let mut weights = ConvolutionWeights::default();
                weights.set_products(products);
                weights
            })
        };
        Self { layers: network.layers().iter().map(room).collect() }
    }

    /// Takes the weights of the network for its way forward.
    pub fn pack(&mut self, network: &Network<T>) {
        for_each_part(&mut self.layers[..], &|l, packed| {
            if let (Some(packed), Layer::Conv2d(layer)) = (packed, &network.layers()[l]) {
                packed.pack(&layer.geometry_of(network, l), network.layer_tensors(l)[0].values());
            }
        });
    }

    /// Takes the weights of the layers behind the first `from` ones for the way back.
    pub fn pack_exchanged(&mut self, network: &Network<T>, from: usize) {
        let behind = self.layers.get_mut(from..).unwrap_or_default();
        for_each_part(behind, &|index, packed| {
            let l = from + index;
            if let (Some(packed), Layer::Conv2d(layer)) = (packed, &network.layers()[l]) {
                let weights = network.layer_tensors(l)[0].values();
                packed.pack_exchanged(&layer.geometry_of(network, l), weights);
            }
        });
    }

    /// Those of layer `l`, if it is a convolution.
    pub fn of_layer(&self, l: usize) -> Option<&ConvolutionWeights<T>> {
        self.layers.get(l).and_then(Option::as_ref)
    }
}
