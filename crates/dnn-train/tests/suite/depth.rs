//! Many layers: nothing goes deeper into the stack with each of them.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::ops::ControlFlow;

use crate::fits::{build, labels, normal, size};
use crate::pairs::{dense, drop_out, gradients, norm};
use dnn_core::{Element, Features, Shape};
use dnn_layers::{Activation, Layer, Network, NetworkBuilder};
use dnn_store::Scalar;
use dnn_train::{
    Batch, Checkpoint, Clip, Cost, Event, Examples, Trainer, evaluate, find_learning_rate,
};
use ndarray::Array2;

const LAYERS: usize = 3000;

/// So many layers, each of them `repeated`.
fn deep<T: Element + Scalar>(repeated: &[Layer]) -> Network<T> {
    let builder = Network::<T>::builder(Shape::flat(4));
    let layers = (0..LAYERS).flat_map(|_| repeated);
    build(layers.cloned().fold(builder, NetworkBuilder::layer).classes(["a", "b", "c"]))
}

/// Two steps on a stack of its own that is no larger than that of a thread usually is.
fn trains<T: Element + Scalar>(repeated: &[Layer], trainer: &Trainer) {
    let first: Network<T> = deep(repeated);
    let x: Array2<T> = normal((4, 40), 1).mapv(T::from_f64);
    let y = labels(3, 40, 2);
    let examples = Examples::classes(Features::Real(x.view()), &y);
    let (mut network, mut saved) = (first.clone(), Vec::new());
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).stack_size(1 << 20).build().unwrap();
    pool.install(|| {
        trainer.fit(&mut network, &examples, Some(&examples), &mut |event| match event {
            Event::State(state) if state.step() == 2 => {
                saved = state.checkpoint().unwrap();
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        })
    })
    .unwrap();
    let checkpoint = Checkpoint::<T>::from_bytes(&saved).unwrap();
    assert_eq!((checkpoint.step(), checkpoint.network()), (2, &network));
    assert_ne!(network.tensors(), first.tensors());
    assert_eq!(network.layers(), first.layers());
    assert!(evaluate(&network, &examples, Cost::CategoricalCrossEntropy).is_ok());
}

#[test]
fn a_deep_network_trains_as_a_shallow_one_does() {
    let plain = dense(2, Activation::Tanh);
    let normalized = [dense(2, Activation::Identity), norm(Activation::Tanh)].concat();
    let dropping = [normalized.clone(), drop_out(0.1)].concat();
    let batches = Trainer { batch: size(20), epochs: 1, ..Trainer::default() };
    let full = Trainer { batch: Batch::Full, epochs: 2, ..Trainer::default() };
    trains::<f32>(&plain, &batches);
    trains::<f64>(&plain, &Trainer { clip: Clip::Norm(1.0), ..batches.clone() });
    trains::<f32>(&normalized, &Trainer { optimizer: "adam".parse().unwrap(), ..batches });
    trains::<f32>(&dropping, &full);
}

#[test]
fn gradients_and_the_rate_finder_take_a_deep_network() {
    let first: Network<f64> = deep(&dense(2, Activation::Tanh));
    let x = normal((4, 10), 1);
    let y = labels(3, 10, 2);
    let examples = Examples::classes(Features::Real(x.view()), &y);
    let found = gradients(&first, &examples, Cost::CategoricalCrossEntropy).unwrap();
    assert_eq!(found.1.layers.len(), LAYERS + 1);
    let trainer = Trainer { batch: size(5), ..Trainer::default() };
    assert!(find_learning_rate(&trainer, &first, &examples, 10).is_ok());
}
