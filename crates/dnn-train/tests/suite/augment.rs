//! Training on pictures that change with every epoch.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use dnn_core::{Features, Shape};
use dnn_train::{Augment, Batch, Examples, TrainError, Trainer, unobserved};
use ndarray::{Array2, ShapeBuilder};

use crate::fits::{bits, build, bytes, classifier, fit, labels, normal, size, try_fit};

const FEATURES: usize = 30;
const EXAMPLES: usize = 50;

/// What the tests change a picture to: another thing for every epoch and example.
fn changed(epoch: u64, example: usize, pixel: u8) -> u8 {
    pixel.wrapping_mul(3).wrapping_add(u8::try_from(epoch * 7 + example as u64 % 11).unwrap())
}

fn augment() -> Augment {
    Augment::new(|epoch, example, pixels, out| {
        for (out, &pixel) in out.iter_mut().zip(pixels) {
            *out = changed(epoch, example, pixel);
        }
    })
}

fn trainer(batch: Batch, epochs: u64) -> Trainer {
    Trainer { batch, epochs, learning_rate: 0.05, ..Trainer::default() }
}

#[test]
fn an_epoch_sees_exactly_the_changed_pictures() {
    let pixels = bytes((FEATURES, EXAMPLES), 1);
    let labels = labels(3, EXAMPLES, 2);
    let network = build(classifier::<f64>(FEATURES, &[7], 3));
    for batch in [Batch::Full, size(8), size(1)] {
        let augmented = Trainer { augment: Some(augment()), ..trainer(batch, 1) };
        let whole = Examples::classes(network.pixels(pixels.view()), &labels);
        let (a, history) = fit(&augmented, &network, &whole);
        let by_hand = Array2::from_shape_fn((FEATURES, EXAMPLES).f(), |(row, example)| {
            changed(1, example, pixels[(row, example)])
        });
        let examples = Examples::classes(network.pixels(by_hand.view()), &labels);
        let (b, expected) = fit(&trainer(batch, 1), &network, &examples);
        assert_eq!(bits(&a), bits(&b), "{batch}");
        assert_eq!(history.epochs[0].cost.to_bits(), expected.epochs[0].cost.to_bits());
        let (plain, _) = fit(&trainer(batch, 1), &network, &whole);
        assert_ne!(bits(&a), bits(&plain), "{batch}: nothing was changed");
    }
}

#[test]
fn every_epoch_sees_other_pictures_and_numbers_to_approach_go_along() {
    let pixels = bytes((FEATURES, EXAMPLES), 1);
    let values = normal((2, EXAMPLES), 4).mapv(|value| 1.0 / (1.0 + value.exp()));
    let builder = dnn_layers::Network::<f64>::builder(Shape::flat(FEATURES));
    let network = build(builder.outputs(2, dnn_layers::Head::Sigmoid));
    let trainer = trainer(size(8), 1);
    let mut by_hand = network.clone();
    // Two epochs of one run, and two runs of one epoch each with that epoch's order and pictures.
    for epoch in 1..=2 {
        let now = Array2::from_shape_fn((FEATURES, EXAMPLES).f(), |(row, example)| {
            changed(epoch, example, pixels[(row, example)])
        });
        let order = dnn_train::BatchOrder::new(move |_, columns| {
            dnn_core::RandomStream::new(1, dnn_core::Purpose::Shuffle, epoch).shuffle(columns);
        });
        let examples = Examples::values(network.pixels(now.view()), values.view());
        let trainer = Trainer { order: Some(order), ..trainer.clone() };
        trainer.fit(&mut by_hand, &examples, None, &mut unobserved).unwrap();
    }
    let examples = Examples::values(network.pixels(pixels.view()), values.view());
    let both = Trainer { augment: Some(augment()), epochs: 2, ..trainer };
    let (network, _) = fit(&both, &network, &examples);
    assert_eq!(bits(&network), bits(&by_hand));
}

#[test]
fn what_cannot_be_augmented_is_refused() {
    let augmented = Trainer { augment: Some(augment()), ..trainer(size(8), 1) };
    let labels = labels(3, EXAMPLES, 2);
    let network = build(classifier::<f64>(FEATURES, &[7], 3));
    let real = normal((FEATURES, EXAMPLES), 1);
    let (same, result) =
        try_fit(&augmented, &network, &Examples::classes(Features::Real(real.view()), &labels));
    assert_eq!(
        result.unwrap_err().to_string(),
        "augmentation expects pixels in column-major order, found real numbers"
    );
    assert_eq!(bits(&same), bits(&network));
    let rows = Array2::<u8>::zeros((FEATURES, EXAMPLES));
    let examples = Examples::classes(network.pixels(rows.view()), &labels);
    let (_, result) = try_fit(&augmented, &network, &examples);
    assert!(
        matches!(result, Err(TrainError::AugmentInput { found }) if found.contains("row-major"))
    );
}
