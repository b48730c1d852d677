//! Numbers that are not finite, and sizes that cannot be; what stops a plain run
//! is in `refusals.rs`.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use crate::pairs::Pairs;
use std::ops::ControlFlow;

use crate::fits::{
    apart, bits, build, classifier, fit, full, in_order, labels, normal, size, try_fit,
};
use crate::pairs::{dense, gradients};
use crate::support::assert_parameters;
use dnn_core::{Element, Features, Parameters, Shape};
use dnn_layers::{Activation, Head, Layer, Network};
use dnn_store::Scalar;
use dnn_train::{Batch, Cost, Event, Examples, Optimizer, TrainError, Trainer, evaluate};
use ndarray::{Array2, Axis, array, s};

/// A network with every kind of layer.
fn layered<T: Element + Scalar>(features: usize) -> Network<T> {
    let builder = Network::<T>::builder(Shape::flat(features));
    let layers = Layer::KINDS.into_iter().chain(dense(4, Activation::Relu));
    let builder = layers.fold(builder, dnn_layers::NetworkBuilder::layer);
    build(builder.classes(["a", "b", "c"]))
}

#[test]
fn an_input_that_is_not_finite_is_refused_wherever_it_comes_in() {
    let network = layered::<f64>(3);
    let labels = labels(3, 8, 1);
    for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        for place in [(0, 0), (2, 7)] {
            let mut x = normal((3, 8), 2);
            x[place] = bad;
            let examples = Examples::classes(Features::Real(x.view()), &labels);
            let cost = Cost::CategoricalCrossEntropy;
            let (same, fitted) = try_fit(&full(0.1, 1), &network, &examples);
            assert_eq!(same, network);
            for message in [
                fitted.unwrap_err().to_string(),
                evaluate(&network, &examples, cost).unwrap_err().to_string(),
                gradients(&network, &examples, cost).unwrap_err().to_string(),
                network.predict(&examples.features).unwrap_err().to_string(),
                network.forward(&examples.features).unwrap_err().to_string(),
            ] {
                let (row, column) = place;
                assert_eq!(
                    message,
                    format!(
                        "features holds {bad} in row {row}, column {column}; expected finite numbers"
                    )
                );
            }
        }
        let x = normal((3, 8), 2);
        let mut weights = [1.0; 8];
        weights[3] = bad;
        let examples = Examples::classes(Features::Real(x.view()), &labels).weighted(&weights);
        let message = try_fit(&full(0.1, 1), &network, &examples).1.unwrap_err().to_string();
        assert_eq!(
            message,
            format!(
                "weights of the examples: expected finite numbers of at least 0, found {bad} for \
                 example 3"
            )
        );
    }
}

#[test]
fn a_parameter_that_is_not_finite_stops_the_first_step_and_names_its_layer() {
    let (x, labels) = (normal((3, 8), 2), labels(3, 8, 1));
    let examples = Examples::classes(Features::Real(x.view()), &labels);
    for optimizer in ["sgd", "adam", "muon"] {
        let whole = layered::<f64>(3);
        let with_arrays = (0..whole.layers().len()).filter(|&l| !whole.layer_tensors(l).is_empty());
        for (layer, name) in with_arrays.map(|l| whole.layer_name(l)).enumerate() {
            for (of_bias, bad) in [(false, f64::NAN), (true, f64::NAN), (true, f64::INFINITY)] {
                let mut network = layered::<f64>(3);
                let mut parameters = network.pairs_mut().nth(layer).unwrap();
                let array = if of_bias { &mut parameters.bias } else { &mut parameters.weights };
                array[(1, 0)] = bad;
                let trainer =
                    Trainer { optimizer: optimizer.parse().unwrap(), ..in_order(4, 0.1, 2) };
                let (stopped, result) = try_fit(&trainer, &network, &examples);
                let error = result.unwrap_err();
                let TrainError::NotFinite { what, layer: found, step, epoch, batch } = error else {
                    panic!("{error}");
                };
                assert_eq!((what, &*found), ("output Z", name), "{bad}");
                assert_eq!((step, epoch, batch), (1, 1, 1));
                assert_eq!(bits(&stopped), bits(&network));
            }
        }
    }
}

/// Trains in batches of 5 until it stops; the network has to be as after the last step that was told of.
fn stops_or_stays_finite<T: Element + Scalar>(optimizer: &str, network: &Network<T>) -> bool {
    let (x, labels) = (normal((3, 20), 2).mapv(T::from_f64), labels(3, 20, 1));
    let examples = Examples::classes(Features::Real(x.view()), &labels);
    let optimizer: Optimizer = optimizer.parse().unwrap();
    let batch = if matches!(optimizer, Optimizer::Lbfgs(_)) { Batch::Full } else { size(5) };
    let trainer =
        Trainer { optimizer, learning_rate: 1e30, batch, epochs: 5, ..Trainer::default() };
    let (mut stopped, mut last, mut made) = (network.clone(), network.to_bytes().unwrap(), 0);
    let result = trainer.fit(&mut stopped, &examples, None, &mut |event| {
        if let Event::State(state) = event {
            last = state.network().expect("every number of a saved network is finite");
            made = state.step();
        }
        ControlFlow::Continue(())
    });
    assert_eq!(stopped.to_bytes().unwrap(), last, "{optimizer}: not the last good state");
    let Err(error) = result else { return false };
    let TrainError::NotFinite { layer, step, epoch, batch, .. } = &error else {
        panic!("{error}");
    };
    let mut names = (0..network.layers().len()).map(|l| network.layer_name(l));
    assert!(names.any(|name| name == layer), "{optimizer}: {error}");
    assert_eq!(*step, made + 1, "{optimizer}: {error}");
    assert_eq!((*epoch, *batch as u64), (made / 4 + 1, made % 4 + 1), "{optimizer}: {error}");
    true
}

#[test]
fn no_optimiser_survives_a_rate_of_1e30_in_silence() {
    for name in Optimizer::NAMES {
        let plain: Network<f32> = build(classifier(3, &[6, 5], 3));
        let stopped = stops_or_stays_finite(name, &plain);
        // A line search shortens any first step.
        assert_eq!(stopped, *name != "lbfgs", "{name}");
        if *name != "lbfgs" {
            stops_or_stays_finite(name, &layered::<f32>(3));
            stops_or_stays_finite(name, &layered::<f64>(3));
        }
        stops_or_stays_finite(name, &build::<f64>(classifier(3, &[6, 5], 3)));
    }
}

#[test]
fn a_variance_that_overflows_stops_the_run_and_names_the_layer() {
    // Z of the dense layer is about 1e25, its square is not in f32.
    let x = normal((3, 8), 2).mapv(|x| f32::from_f64(x * 1e25));
    let labels = labels(3, 8, 1);
    let examples = Examples::classes(Features::Real(x.view()), &labels);
    let network = layered::<f32>(3);
    let (stopped, result) = try_fit(&full(0.1, 3), &network, &examples);
    let error = result.unwrap_err();
    assert_eq!(
        error.to_string(),
        "the mean or variance of batch_norm1 stopped being finite at step 1 (epoch 1, batch 1); the \
         inputs or the first weights are too large"
    );
    assert_eq!(stopped, network);
}

fn finite_for_logits_of_ten_thousand<T: Element + Scalar>() {
    let x = array![[1.0, -1.0, 1.0, -1.0]].mapv(T::from_f64);
    let labels = [0, 0, 1, 1];
    for (cost, head) in [
        (Cost::BinaryCrossEntropy, Head::Sigmoid),
        (Cost::CategoricalCrossEntropy, Head::Softmax),
        (Cost::MeanSquaredError, Head::Sigmoid),
        (Cost::MeanSquaredError, Head::Softmax),
        (Cost::MeanSquaredError, Head::Identity),
    ] {
        let builder = Network::<T>::builder(Shape::flat(1));
        let mut network: Network<T> = build(match head {
            Head::Sigmoid => builder.classes(["a", "b"]),
            Head::Softmax => builder.softmax(["a", "b"]),
            head => builder.outputs(2, head),
        });
        for mut layer in network.pairs_mut() {
            let sign = |unit: usize| if unit == 0 { 1e4 } else { -1e4 };
            layer.weights.indexed_iter_mut().for_each(|((unit, _), weight)| {
                *weight = T::from_f64(sign(unit));
            });
        }
        let examples = Examples::classes(Features::Real(x.view()), &labels);
        let logits = network.forward(&examples.features).unwrap().logits().to_owned();
        assert!(logits.iter().all(|logit| Into::<f64>::into(*logit).abs() == 1e4));
        for label_smoothing in [0.0, 0.1] {
            let trainer = Trainer { cost: Some(cost), label_smoothing, ..full(1e-3, 2) };
            let (_, history) = fit(&trainer, &network, &examples);
            assert!(history.costs().all(f64::is_finite), "{cost}, {head}");
        }
        let (mean, gradient) = gradients(&network, &examples, cost).unwrap();
        assert_eq!(evaluate(&network, &examples, cost).unwrap().cost, mean);
        // Half of the examples are wrong, by a logit or by a difference of two.
        let expected = match (cost, head) {
            (Cost::BinaryCrossEntropy, _) => 5e3,
            (Cost::CategoricalCrossEntropy, _) => 1e4,
            (_, Head::Identity) => {
                (1e8 + (1e4 + 1.0) * (1e4 + 1.0)) / 4.0 + (1e8 + (1e4 - 1.0) * (1e4 - 1.0)) / 4.0
            }
            _ => 0.5,
        };
        assert!((mean / expected - 1.0).abs() < 1e-6, "{cost}, {head}: {mean}, not {expected}");
        let finite = gradient.layers[0].weights.iter().all(|dw| dw.is_finite());
        assert!(finite, "{cost}, {head}: {gradient:?}");
    }
}

#[test]
fn costs_and_gradients_are_finite_for_logits_of_ten_thousand() {
    finite_for_logits_of_ten_thousand::<f32>();
    finite_for_logits_of_ten_thousand::<f64>();
}

#[test]
fn a_batch_whose_examples_weigh_nothing_changes_nothing() {
    let (x, labels) = (normal((3, 4), 2), labels(3, 4, 1));
    let examples = Examples::classes(Features::Real(x.view()), &labels);
    let network: Network<f64> = build(classifier(3, &[4], 3));
    let trainer = in_order(2, 0.1, 1);
    let (half, history) = fit(&trainer, &network, &examples.weighted(&[1.0, 1.0, 0.0, 0.0]));
    assert!(history.costs().all(f64::is_finite), "{history:?}");
    let first = x.select(Axis(1), &[0, 1]);
    let alone = Examples::classes(Features::Real(first.view()), &labels[..2]);
    let (expected, expected_history) = fit(&trainer, &network, &alone);
    assert_eq!(bits(&half), bits(&expected));
    assert_eq!(history.epochs[0].cost, expected_history.epochs[0].cost);
}

#[test]
fn smoothed_numbers_and_means_over_one_example_are_refused() {
    let x = array![[1.0, 2.0]];
    let y = array![[3.0, 5.0]];
    let examples = Examples::values(Features::Real(x.view()), y.view());
    let trainer = Trainer { label_smoothing: 0.1, ..full(0.1, 1) };
    let message = try_fit(&trainer, &crate::fits::line(1.0), &examples).1.unwrap_err().to_string();
    assert_eq!(message, "label smoothing: expected classes as targets, found numbers");
    let (x, labels) = (normal((3, 5), 2), labels(3, 5, 1));
    let one = x.select(Axis(1), &[0]);
    let one = Examples::classes(Features::Real(one.view()), &labels[..1]);
    let five = Examples::classes(Features::Real(x.view()), &labels);
    for (trainer, examples) in
        [(in_order(1, 0.1, 1), &five), (full(0.1, 1), &one), (in_order(16, 0.1, 1), &one)]
    {
        let message = try_fit(&trainer, &layered(3), examples).1.unwrap_err().to_string();
        assert_eq!(
            message,
            "batch: expected at least 2 examples, over which batch normalisation can take a mean, \
             found 1"
        );
    }
    // A rest of one is no reason to refuse a run: it tells nothing of a variance, and is finite.
    let (trained, history) = fit(&in_order(2, 0.1, 3), &layered(3), &five);
    assert!(history.costs().all(f64::is_finite));
    assert!(trained.to_bytes().is_ok());
}

/// Widths, pixels and batches whose product no machine has.
#[test]
fn what_no_memory_holds_is_refused_before_it_is_asked_for() {
    let message = |input, widths: &[usize]| {
        let builder = Network::<f32>::builder(input).hidden(widths, Activation::Relu);
        let builder = builder.classes(["a", "b"]);
        builder.build(&mut crate::fits::draws(1)).unwrap_err().to_string()
    };
    let photo = Shape::picture(64, 64, 3);
    // 12288 inputs and a bias for each of a million units, and the same again less the inputs.
    assert_eq!(
        message(photo, &[1_000_000]),
        "a network of 12290000001 parameters; expected at most 2147483648"
    );
    let most = usize::MAX;
    let message_of = message(photo, &[1 << 32, 1 << 32]);
    assert!(message_of.ends_with("parameters; expected at most 2147483648"), "{message_of}");
    for widths in [&[most][..], &[most, most]] {
        let message = message(photo, widths);
        assert!(
            message.contains("at most 2^48 values, found 1 x 1 x 18446744073709551615"),
            "{message}"
        );
    }
    for input in [Shape::picture(most, most, 3), Shape::picture(1 << 24, 1 << 24, 3)] {
        let message = message(input, &[2]);
        assert!(message.contains("expected at least 1 in each direction"), "{message}");
    }
}

#[test]
fn a_layer_of_a_million_units_trains_and_says_what_memory_a_batch_would_need() {
    let network: Network<f32> = build(classifier(1, &[1_000_000], 2));
    let parameters = 3_000_001;
    assert_eq!(network.parameter_count(), parameters);
    let needed =
        |trainer: &Trainer, examples: usize| match trainer.check_memory(&network, examples, 0) {
            Err(TrainError::Memory { needed }) => Some(needed),
            other => {
                assert!(other.is_ok(), "{other:?}");
                None
            }
        };
    // The gradient, Z, A and dZ of a million units and one output, and at most as much again to make the
    // gradient from; 10^12 are whole tiles.
    let numbers = parameters as u128 + 3 * 1_000_001 * 1_000_000_000_000;
    let plain = needed(&full(0.1, 1), 1_000_000_000_000).unwrap();
    assert!((4 * numbers..=9 * numbers).contains(&plain), "{plain} for {numbers} numbers");
    assert_eq!(needed(&in_order(16, 0.1, 1), 1_000_000_000_000), None);
    assert!(needed(&full(0.1, 1), usize::MAX) > Some(1 << 80));
    let adam = Trainer { optimizer: "adam".parse().unwrap(), ..full(0.1, 1) };
    let more = needed(&adam, 1_000_000_000_000).unwrap() - plain;
    assert_eq!(more, 4 * 2 * parameters as u128, "two arrays are remembered");
    let x = array![[0.5_f32, -0.25, 0.75]];
    let examples = Examples::classes(Features::Real(x.view()), &[0, 1, 1]);
    let (trained, history) = fit(&in_order(2, 1e-7, 1), &network, &examples);
    assert!(history.epochs[0].cost.is_finite());
    assert_ne!(trained, network);
}

/// The gradients of batches in a row, each times the weight of its examples, over the weight of all.
fn accumulated(
    network: &Network<f64>,
    x: &Array2<f64>,
    labels: &[u32],
    weights: &[f64],
    batch: usize,
) -> Parameters<f64> {
    let mut sum = network.pairs().zeros_like();
    let all: f64 = weights.iter().sum();
    for start in (0..labels.len()).step_by(batch) {
        let part = start..labels.len().min(start + batch);
        let (columns, weights) = (x.slice(s![.., part.clone()]), &weights[part.clone()]);
        let examples = Examples::classes(Features::Real(columns), &labels[part]).weighted(weights);
        let (_, gradient) = gradients(network, &examples, Cost::CategoricalCrossEntropy).unwrap();
        let share = weights.iter().sum::<f64>() / all;
        for (sum, layer) in sum.layers.iter_mut().zip(&gradient.layers) {
            sum.weights.scaled_add(share, &layer.weights);
            sum.bias.scaled_add(share, &layer.bias);
        }
    }
    sum
}

/// Every size of batch from 1 to more than there are, a rest of 1 among them.
#[test]
fn every_size_of_batch_weighs_every_example_alike() {
    let (x, labels) = (normal((3, 11), 2), labels(3, 11, 1));
    let cost = Cost::CategoricalCrossEntropy;
    let network: Network<f64> = build(classifier(3, &[4], 3));
    let own: Vec<f64> = (0..11).map(|example| 0.5 + f64::from(example % 4)).collect();
    for weights in [vec![1.0; 11], own] {
        let examples = Examples::classes(Features::Real(x.view()), &labels).weighted(&weights);
        let expected = evaluate(&network, &examples, cost).unwrap().cost;
        let (_, whole) = gradients(&network, &examples, cost).unwrap();
        for batch in 1..=13 {
            let (mut steps, mut same) = (0, network.clone());
            // Steps too small to change a number.
            let history = in_order(batch, 1e-300, 1)
                .fit(&mut same, &examples, None, &mut |event| {
                    steps += usize::from(matches!(event, Event::Step { .. }));
                    ControlFlow::Continue(())
                })
                .unwrap();
            assert!(apart(&same, &network) < 1e-250);
            assert_eq!(steps, 11_usize.div_ceil(batch), "batches of {batch}");
            let found = history.epochs[0].cost;
            assert!((found - expected).abs() < 1e-12, "batches of {batch}: {found}, {expected}");
            let sum = accumulated(&network, &x, &labels, &weights, batch);
            assert_parameters(&sum, &whole, 1e-14, &format!("batches of {batch}"));
        }
    }
}
