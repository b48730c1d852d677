//! Made-up data, small networks and short runs.
#![allow(dead_code, reason = "each test crate uses the part it needs")]
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use crate::pairs::Pairs;
use std::num::NonZeroUsize;

use dnn_core::{Element, Initializer, Purpose, RandomStream, Shape};
use dnn_layers::{Activation, Head, Network, NetworkBuilder};
use dnn_train::{Batch, BatchOrder, Examples, History, TrainError, Trainer, unobserved};
use ndarray::{Array2, ShapeBuilder};

pub(crate) fn draws(seed: u64) -> RandomStream {
    RandomStream::new(seed, Purpose::Data, 0)
}

pub(crate) fn normal(shape: (usize, usize), seed: u64) -> Array2<f64> {
    let mut draws = draws(seed);
    Array2::from_shape_simple_fn(shape.f(), || draws.normal())
}

pub(crate) fn bytes(shape: (usize, usize), seed: u64) -> Array2<u8> {
    let mut draws = draws(seed);
    Array2::from_shape_simple_fn(shape.f(), || u8::try_from(draws.up_to(255)).unwrap())
}

pub(crate) fn labels(classes: u32, m: usize, seed: u64) -> Vec<u32> {
    let mut draws = draws(seed);
    (0..m).map(|_| draws.up_to(classes - 1)).collect()
}

/// The network, its first weights drawn from one seed for all.
pub(crate) fn build<T: Element + dnn_store::Scalar>(builder: NetworkBuilder<T>) -> Network<T> {
    let mut stream = RandomStream::new(3, Purpose::Initialization, 0);
    builder.build(&mut stream).unwrap()
}

pub(crate) fn classifier<T: Element + dnn_store::Scalar>(
    features: usize,
    hidden: &[usize],
    classes: u32,
) -> NetworkBuilder<T> {
    Network::<T>::builder(Shape::flat(features))
        .hidden(hidden, Activation::Relu)
        .classes((0..classes).map(|class| class.to_string()))
}

/// `a = w x + b`, with `w` this number and `b` 0.
pub(crate) fn line<T: Element + dnn_store::Scalar>(weight: f64) -> Network<T> {
    let builder = Network::<T>::builder(Shape::flat(1)).outputs(1, Head::Identity);
    build(builder.initializer(Initializer::Constant(weight)))
}

pub(crate) fn try_fit<T: Element + dnn_store::Scalar>(
    trainer: &Trainer,
    network: &Network<T>,
    examples: &Examples<'_, T>,
) -> (Network<T>, Result<History, TrainError>) {
    let mut network = network.clone();
    let result = trainer.fit(&mut network, examples, None, &mut unobserved);
    (network, result)
}

pub(crate) fn fit<T: Element + dnn_store::Scalar>(
    trainer: &Trainer,
    network: &Network<T>,
    examples: &Examples<'_, T>,
) -> (Network<T>, History) {
    let (network, result) = try_fit(trainer, network, examples);
    (network, result.unwrap())
}

pub(crate) fn full(learning_rate: f64, epochs: u64) -> Trainer {
    Trainer { learning_rate, epochs, batch: Batch::Full, ..Trainer::default() }
}

pub(crate) fn size(batch: usize) -> Batch {
    Batch::Size(NonZeroUsize::new(batch).unwrap())
}

/// Batches of this many, cut from the examples as they lie.
pub(crate) fn in_order(batch: usize, learning_rate: f64, epochs: u64) -> Trainer {
    Trainer {
        batch: size(batch),
        order: Some(BatchOrder::new(|_, _| {})),
        ..full(learning_rate, epochs)
    }
}

/// Every parameter, to the bit.
pub(crate) fn bits<T: Element + dnn_store::Scalar>(network: &Network<T>) -> Vec<u64> {
    let pairs = network.pairs();
    pairs.arrays().flatten().map(|&value| Into::<f64>::into(value).to_bits()).collect()
}

/// The largest difference between two networks' parameters.
pub(crate) fn apart(a: &Network<f64>, b: &Network<f64>) -> f64 {
    let pairs = bits(a).into_iter().zip(bits(b));
    pairs.fold(0.0, |largest, (a, b)| largest.max((f64::from_bits(a) - f64::from_bits(b)).abs()))
}
