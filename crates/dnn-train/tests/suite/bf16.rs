//! Training with products in bf16, beside the same in full.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use dnn_core::{Features, Shape};
use dnn_layers::{
    Activation, AveragePool2d, BatchNorm, Conv2d, Dense, Flatten, GlobalPool, Layer, MaxPool2d,
    Network, NetworkBuilder, Padding, PoolBy, Residual, Window,
};
use dnn_train::{Checkpoint, Event, Examples, Products, Trainer, unobserved};
use ndarray::Array2;

use crate::fits::{bits, build, bytes, fit, full, labels, normal, size};

/// Whether this processor makes such products; if not, the test says so.
fn exist() -> bool {
    let exist = Products::Bf16.exist();
    if !exist {
        dnn_testing::skipped("the instructions AVX512_BF16");
    }
    exist
}

fn in_bf16(trainer: &Trainer) -> Trainer {
    Trainer { products: Products::Bf16, ..trainer.clone() }
}

fn network(shape: Shape, layers: Vec<Layer>) -> Network<f32> {
    let builder = layers.into_iter().fold(Network::<f32>::builder(shape), NetworkBuilder::layer);
    build(builder.classes(["a", "b", "c"]))
}

/// Convolutions of all kinds, and dense layers after them.
fn convolutional() -> Vec<Layer> {
    let halving = Window::square(2, 2, Padding::Same);
    let depthwise = Window::square(3, 1, Padding::Same);
    let two_apart = Window::square(3, 2, Padding::Each(1));
    vec![
        // The normalisation takes a bias away, and with it its gradient.
        Conv2d { window: two_apart, bias: false, ..Conv2d::same(6, 3) }.into(),
        BatchNorm::default().into(),
        Activation::Relu.into(),
        Conv2d::same(6, 3).into(),
        Activation::Tanh.into(),
        Residual { layers: 2 }.into(),
        Conv2d { units: 6, window: depthwise, groups: 6, bias: true }.into(),
        MaxPool2d { window: halving }.into(),
        Conv2d { groups: 2, ..Conv2d::same(20, 2) }.into(),
        Activation::Relu.into(),
        Flatten {}.into(),
        Dense { units: 33 }.into(),
        Activation::Relu.into(),
    ]
}

/// A dense layer that is computed in parallel over units, one by tiles, and a short one.
fn dense() -> Vec<Layer> {
    vec![
        Dense { units: 300 }.into(),
        Activation::Relu.into(),
        Dense { units: 37 }.into(),
        Activation::Tanh.into(),
    ]
}

/// The change of every array in one step, which is its gradient times the learning rate.
fn step(net: &Network<f32>, examples: &Examples<'_, f32>, products: Products) -> Vec<Array2<f64>> {
    let trainer = Trainer { products, ..full(0.5, 1) };
    let (after, _) = fit(&trainer, net, examples);
    let pairs = net.tensors().iter().zip(after.tensors());
    let wide = |values: ndarray::ArrayView2<'_, f32>| values.mapv(f64::from);
    pairs.map(|(before, after)| wide(before.values()) - wide(after.values())).collect()
}

#[expect(clippy::cast_possible_truncation, reason = "numbers of f32 are wanted")]
fn narrow(values: &Array2<f64>) -> Array2<f32> {
    values.mapv(|value| value as f32)
}

fn length(values: &Array2<f64>) -> f64 {
    values.iter().map(|value| value * value).sum::<f64>().sqrt()
}

/// The same layers without a place at which a gradient jumps.
fn smooth(layer: Layer) -> Layer {
    match layer {
        Layer::Activation(_) => Activation::Tanh.into(),
        Layer::MaxPool2d(MaxPool2d { window }) => AveragePool2d { window }.into(),
        other => other,
    }
}

/// Two operands are rounded by up to 2^-9 of their size each; what layers before made of that, and sums in which most
/// cancels, add to it.
#[test]
fn gradients_are_those_in_full_up_to_the_rounding_of_products() {
    if !exist() {
        return;
    }
    let (image, vector) = (Shape::picture(12, 13, 3), Shape::flat(7001));
    for (shape, layers) in [(image, convolutional()), (vector, dense())] {
        let net = network(shape, layers.into_iter().map(smooth).collect());
        for m in [2, 7, 40] {
            let (x, y) = (narrow(&normal((net.features(), m), 1)), labels(3, m, 2));
            let examples = Examples::classes(Features::Real(x.view()), &y);
            let [whole, rounded] =
                [Products::Full, Products::Bf16].map(|products| step(&net, &examples, products));
            for ((tensor, expected), found) in net.tensors().iter().zip(&whole).zip(&rounded) {
                let apart = length(&(found - expected)) / length(expected).max(1e-12);
                assert!(apart < 0.03, "{} of {m}: {apart}", tensor.name());
            }
            assert!(whole.iter().zip(&rounded).any(|(one, other)| one != other), "bf16 was used");
        }
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits_and_every_stop_resumes_to_them() {
    if !exist() {
        return;
    }
    for (shape, layers) in
        [(Shape::picture(12, 13, 3), convolutional()), (Shape::flat(7001), dense())]
    {
        let net = network(shape, layers);
        let (pixels, y) = (bytes((net.features(), 70), 1), labels(3, 70, 2));
        let examples = Examples::classes(net.pixels(pixels.view()), &y);
        let optimizer = "adamw".parse().unwrap();
        let trainer = in_bf16(&Trainer { optimizer, batch: size(32), ..full(0.002, 2) });
        let on = |threads: usize| {
            let trainer = Trainer { threads: NonZeroUsize::new(threads), ..trainer.clone() };
            bits(&fit(&trainer, &net, &examples).0)
        };
        let expected = on(1);
        assert_ne!(expected, bits(&net), "nothing was learned");
        for threads in [2, 3, 8] {
            assert!(on(threads) == expected, "{threads} threads");
        }
        let mut saved = Vec::new();
        let observer = &mut |event: Event<'_>| {
            if let Event::State(state) = event {
                saved.push(state.checkpoint().unwrap());
            }
            ControlFlow::Continue(())
        };
        trainer.fit(&mut net.clone(), &examples, None, observer).unwrap();
        assert!(saved.len() >= 6, "{} stops", saved.len());
        for bytes in &saved {
            let mut resumed = net.clone();
            let checkpoint = Checkpoint::from_bytes(bytes).unwrap();
            trainer.resume(&mut resumed, checkpoint, &examples, None, &mut unobserved).unwrap();
            assert!(bits(&resumed) == expected);
        }
        let whole = Trainer { products: Products::Full, ..trainer.clone() };
        let checkpoint = Checkpoint::from_bytes(&saved[0]).unwrap();
        let other = whole.resume(&mut net.clone(), checkpoint, &examples, None, &mut unobserved);
        let message = other.unwrap_err().to_string();
        assert!(message.contains("dropout masks, products, found"), "{message}");
    }
}

/// A bar that stands or lies anywhere.
#[test]
fn a_network_learns_in_bf16_what_it_learns_in_full() {
    if !exist() {
        return;
    }
    let side = 8;
    let of = |index: usize| {
        let (upright, at, from) = (index.is_multiple_of(2), index / 2 % side, index / 16 % 5);
        let mut picture = vec![0_u8; side * side];
        for step in from..from + 4 {
            let place = if upright { step * side + at } else { at * side + step };
            picture[place] = 255;
        }
        picture
    };
    let pictures: Vec<u8> = (0..80).flat_map(of).collect();
    let pixels = Array2::from_shape_vec((80, side * side), pictures).unwrap();
    let y: Vec<u32> = (0..80).map(|index| index % 2).collect();
    let net = build(
        Network::<f32>::builder(Shape::picture(side, side, 1))
            .layer(Conv2d::same(8, 3))
            .layer(Activation::Relu)
            .layer(GlobalPool { by: PoolBy::Mean })
            .layer(Dense { units: 16 })
            .layer(Activation::Relu)
            .classes(["lies", "stands"]),
    );
    let examples = Examples::classes(net.pixels(pixels.t()), &y);
    let trainer = Trainer { optimizer: "adam".parse().unwrap(), batch: size(16), ..full(0.02, 60) };
    for trainer in [in_bf16(&trainer), trainer] {
        let (trained, _) = fit(&trainer, &net, &examples);
        let found = trained.predict(&examples.features).unwrap();
        let right = found.iter().zip(&y).filter(|(found, y)| **found == **y as usize).count();
        assert_eq!(right, 80, "{}", trainer.products);
    }
}

#[test]
fn networks_of_f64_are_refused() {
    let error = in_bf16(&full(0.1, 1)).check::<f64>().unwrap_err().to_string();
    assert_eq!(error, "products in bf16: expected a network of f32, found f64");
}
