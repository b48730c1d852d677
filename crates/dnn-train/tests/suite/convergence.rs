//! Floors under what is learned, with margin; more of it is in `training.rs`.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use crate::fits::{build, classifier, fit, labels, normal, size};
use dnn_core::{Features, Initializer, Shape};
use dnn_layers::{Activation, Dense, Dropout, Layer, Network};
use dnn_train::{Batch, Cost, Examples, Optimizer, Trainer, evaluate};
use ndarray::{Array2, Axis};

/// Points to both sides of a circle of radius 1, none of them near it.
fn ring() -> (Array2<f64>, Vec<u32>) {
    let points = normal((2, 300), 5);
    let radius = |column: usize| {
        let point = points.column(column);
        point.dot(&point).sqrt()
    };
    let apart: Vec<usize> = (0..300).filter(|&c| (radius(c) - 1.0).abs() > 0.2).collect();
    let labels = apart.iter().map(|&c| u32::from(radius(c) > 1.0)).collect();
    (points.select(Axis(1), &apart), labels)
}

/// The accuracy on the ring after so many epochs.
fn on_the_ring(network: &Network<f64>, trainer: &Trainer) -> f64 {
    let (x, labels) = ring();
    let examples = Examples::classes(Features::Real(x.view()), &labels);
    let (trained, _) = fit(trainer, network, &examples);
    evaluate(&trained, &examples, Cost::BinaryCrossEntropy).unwrap().accuracy().unwrap()
}

#[test]
fn every_optimiser_learns_a_ring_whole() {
    let network: Network<f64> = build(classifier(2, &[16], 2));
    for name in Optimizer::NAMES {
        let optimizer: Optimizer = name.parse().unwrap();
        let batch = if *name == "lbfgs" { Batch::Full } else { size(16) };
        // Ten times the usual rates, which are made for larger networks.
        let scale = if *name == "lbfgs" { 1.0 } else { 10.0 };
        let learning_rate = scale * optimizer.default_learning_rate();
        let trainer =
            Trainer { optimizer, learning_rate, batch, epochs: 200, ..Trainer::default() };
        assert_eq!(on_the_ring(&network, &trainer), 1.0, "{name}");
    }
}

#[test]
fn every_activation_and_kind_of_layer_learns_a_ring_whole() {
    let trainer = Trainer {
        optimizer: "adam".parse().unwrap(),
        learning_rate: 0.02,
        epochs: 150,
        ..Trainer::default()
    };
    let builder = || Network::<f64>::builder(Shape::flat(2)).classes(["in", "out"]);
    for activation in Activation::ALL {
        let network = build(builder().hidden(&[16], activation));
        let found = on_the_ring(&network, &trainer);
        // No line parts a ring from what is around it.
        let learned = if activation == Activation::Identity { found < 0.9 } else { found == 1.0 };
        assert!(learned, "{activation}: {found}");
    }
    let layers = Layer::KINDS.map(|layer| match layer {
        Layer::Dense(_) => Dense { units: 32 }.into(),
        Layer::Dropout(_) => Dropout { rate: 0.1 }.into(),
        other => other,
    });
    let network = build(layers.into_iter().fold(builder(), dnn_layers::NetworkBuilder::layer));
    assert!(on_the_ring(&network, &trainer) > 0.98);
}

#[test]
fn labels_at_random_are_memorised_by_every_optimiser_with_a_memory() {
    let (x, y) = (normal((8, 24), 6), labels(3, 24, 7));
    let examples = Examples::classes(Features::Real(x.view()), &y);
    let builder = classifier(8, &[64], 3).initializer(Initializer::HeUniform);
    let network: Network<f64> = build(builder);
    for (name, learning_rate, epochs) in
        [("momentum", 0.1, 200), ("rmsprop", 0.01, 200), ("adam", 0.01, 200), ("lbfgs", 1.0, 50)]
    {
        let optimizer = name.parse().unwrap();
        let trainer = Trainer { optimizer, ..crate::fits::full(learning_rate, epochs) };
        let (_, history) = fit(&trainer, &network, &examples);
        let last = history.epochs.last().unwrap();
        // Chance is a third, and a cost of ln 3 = 1.1.
        assert_eq!(last.accuracy, Some(1.0), "{name}");
        assert!(last.cost < 0.05, "{name}: {}", last.cost);
    }
}
