//! Gradients of the shipped path against the slopes of the cost (normalised and dropped
//! layers are in `layers.rs`).
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use crate::pairs::Pairs;
use crate::pairs::{compare_gradients, gradients};
use crate::support::{assert_parameters, labels, matrix, number, parameters};
use dnn_core::{
    Element, Features, Initializer, Parameters, PixelScaling, Purpose, RandomStream, Shape,
};
use dnn_layers::{Activation, BatchNorm, Dropout, Head, Network, NetworkBuilder, model_forward};
use dnn_train::{Cost, Examples, check_gradients, course, relative_difference};
use ndarray::{Array2, ShapeBuilder};
use serde_json::Value;

const EPSILON: f64 = 1e-5;
const LIMIT: f64 = 1e-7;

/// Costs, with every head they go with.
fn costs_and_heads() -> Vec<(Cost, Head)> {
    let mut pairs = vec![
        (Cost::BinaryCrossEntropy, Head::Sigmoid),
        (Cost::CategoricalCrossEntropy, Head::Softmax),
    ];
    pairs.extend(Head::ALL.map(|head| (Cost::MeanSquaredError, head)));
    pairs
}

fn with_head<T: Element>(builder: NetworkBuilder<T>, head: Head) -> NetworkBuilder<T> {
    match head {
        Head::Sigmoid => builder.classes(["a", "b"]),
        Head::Softmax => builder.classes(["a", "b", "c"]),
        _ => builder.outputs(3, head),
    }
}

#[test]
fn every_activation_cost_depth_and_batch() {
    let mut checked = 0;
    let mut largest: f64 = 0.0;
    for activation in Activation::ALL {
        for (cost, head) in costs_and_heads() {
            for depth in 1..=4 {
                for m in [1, 2, 7] {
                    let mut draws = RandomStream::new(7 + checked, Purpose::Data, 0);
                    // Weights that leave no head saturated: there slopes drown in rounding.
                    let builder = Network::<f64>::builder(Shape::flat(4))
                        .hidden(&[5, 4, 3][..depth - 1], activation)
                        .initializer(Initializer::XavierUniform);
                    let mut network: Network<f64> =
                        with_head(builder, head).build(&mut draws).unwrap();
                    for mut layer in network.pairs_mut() {
                        layer.bias.mapv_inplace(|_| 0.3 * draws.normal());
                    }
                    let x = Array2::from_shape_simple_fn((4, m).f(), || draws.normal());
                    let classes = if head == Head::Sigmoid { 1 } else { 2 };
                    let labels: Vec<u32> = (0..m).map(|_| draws.up_to(classes)).collect();
                    let examples = Examples::classes(Features::Real(x.view()), &labels);
                    let check = check_gradients(&network, &examples, cost, EPSILON).unwrap();
                    largest = largest.max(check.difference);
                    assert!(
                        check.difference <= LIMIT,
                        "{activation}, {cost}, {head}, depth {depth}, batch {m}: {check:?}"
                    );
                    checked += 1;
                }
            }
        }
    }
    assert_eq!(checked, Activation::ALL.len() as u64 * 5 * 4 * 3);
    // What the documentation of `GradientCheck` promises.
    assert!(largest < 5e-9, "{largest:e}");
    println!("{checked} gradients, largest difference {largest:.2e}");
}

#[test]
fn numbers_and_shares_as_targets_pixels_as_inputs_and_several_tiles_and_blocks() {
    // Two blocks of features; 300 examples of so small a network are two tiles.
    let mut draws = RandomStream::new(1, Purpose::Data, 0);
    let scaling = PixelScaling::per_channel(&[0.4, 0.5, 0.6], &[0.2, 0.3, 0.25]).unwrap();
    let pixels =
        Array2::from_shape_simple_fn((300, 300).f(), || u8::try_from(draws.up_to(255)).unwrap());
    for (cost, head) in costs_and_heads() {
        let builder = Network::<f64>::builder(Shape::picture(10, 10, 3))
            .hidden(&[2], Activation::Tanh)
            .scaling(scaling);
        let network = match head {
            Head::Softmax => builder.softmax(["a", "b"]),
            _ => builder.outputs(2, head),
        }
        .build(&mut draws)
        .unwrap();
        // Shares that do not even sum to 1.
        let targets = Array2::from_shape_simple_fn((2, 300), || draws.uniform());
        let examples = Examples::values(network.pixels(pixels.view()), targets.view());
        let check = check_gradients(&network, &examples, cost, EPSILON).unwrap();
        assert!(check.difference <= LIMIT, "{cost}, {head}: {check:?}");
    }
}

#[test]
fn planted_errors_are_caught_and_named() {
    let mut draws = RandomStream::new(3, Purpose::Data, 0);
    let network = Network::<f64>::builder(Shape::flat(3))
        .hidden(&[4, 4], Activation::Silu)
        .classes(["a", "b", "c"])
        .build(&mut draws)
        .unwrap();
    let x = Array2::from_shape_simple_fn((3, 7).f(), || draws.normal());
    let examples = Examples::classes(Features::Real(x.view()), &[0, 1, 2, 0, 1, 2, 1]);
    let cost = Cost::CategoricalCrossEntropy;
    let (_, right) = gradients(&network, &examples, cost).unwrap();
    let check = |gradient: &Parameters<f64>| {
        compare_gradients(&network, &examples, cost, EPSILON, gradient).unwrap()
    };
    assert!(check(&right).difference <= LIMIT);
    for layer in 0..3 {
        // The wrong sign.
        let mut wrong = right.clone();
        wrong.layers[layer].weights.mapv_inplace(|g| -g);
        let found = check(&wrong);
        assert!(found.layers[layer] > 0.5 && found.difference > 1e-2, "{found:?}");
        assert_eq!(found.worst.tensor, format!("dense{}.weights", layer + 1));
        // A single entry, a little off.
        let mut wrong = right.clone();
        wrong.layers[layer].bias[(1, 0)] += 1e-4;
        let found = check(&wrong);
        assert!(found.difference > LIMIT, "{found:?}");
        assert_eq!(found.worst.index, (1, 0));
        assert_eq!(found.worst.tensor, format!("dense{}.bias", layer + 1));
    }
}

/// Inputs from which no `Z` comes so near to 0 that a step of the check could cross a kink.
fn off_the_kinks(network: &Network<f32>, m: usize, draws: &mut RandomStream) -> Array2<f32> {
    for _ in 0..200 {
        let x = Array2::from_shape_simple_fn((4, m).f(), || f32::from_f64(draws.normal()));
        let caches = network.forward(&Features::Real(x.view())).unwrap();
        if (0..caches.len()).all(|l| {
            let is_z = !network.layer_tensors(l).is_empty();
            !is_z || caches.layer_output(l).iter().all(|z| z.abs() > 0.02)
        }) {
            return x;
        }
    }
    panic!("every draw is near a kink");
}

#[test]
fn f32_gradients_agree_to_a_hundredth() {
    let mut checked = 0;
    let mut largest: f64 = 0.0;
    for activation in Activation::ALL {
        for (cost, head) in costs_and_heads() {
            for (normalized, m) in [(false, 1), (false, 2), (false, 7), (true, 7)] {
                let mut draws = RandomStream::new(5 + checked, Purpose::Data, 0);
                let builder =
                    Network::<f32>::builder(Shape::flat(4)).initializer(Initializer::XavierUniform);
                let builder = if normalized {
                    builder
                        .hidden(&[4], Activation::Identity)
                        .layer(BatchNorm::default())
                        .layer(activation)
                        .layer(Dropout { rate: 0.25 })
                } else {
                    builder.hidden(&[4], activation).layer(Dropout { rate: 0.25 })
                };
                let network = with_head(builder, head).build(&mut draws).unwrap();
                let x = off_the_kinks(&network, m, &mut draws);
                let classes = if head == Head::Sigmoid { 1 } else { 2 };
                let labels: Vec<u32> = (0..m).map(|_| draws.up_to(classes)).collect();
                let examples = Examples::classes(Features::Real(x.view()), &labels);
                let check = check_gradients(&network, &examples, cost, 2e-3).unwrap();
                largest = largest.max(check.difference);
                assert!(
                    check.difference <= 1e-2,
                    "{activation}, {cost}, {head}, batch {m}: {check:?}"
                );
                checked += 1;
            }
        }
    }
    assert_eq!(checked, Activation::ALL.len() as u64 * 5 * 4);
    println!("{checked} gradients in f32, largest difference {largest:.2e}");
}

/// The course's own two cases.
#[test]
fn published_differences() {
    let golden: Value =
        serde_json::from_str(include_str!("../golden/c2w1_gradient_checking.json")).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2);

    // J = theta x at one point: the difference is the rounding of these very operations.
    let (inputs, expected) = (&cases[0]["inputs"], &cases[0]["expected"]);
    let (x, theta) = (number(&inputs["x"]), number(&inputs["theta"]));
    let epsilon = number(&inputs["epsilon"]);
    let slope = ((theta + epsilon) * x - (theta - epsilon) * x) / (2.0 * epsilon);
    let difference = relative_difference(&[x], &[slope]);
    assert_eq!(difference, number(&expected["difference"]));

    let (inputs, expected) = (&cases[1]["inputs"], &cases[1]["expected"]);
    let (x, parameters_given) = (matrix(&inputs["X"]), parameters(&inputs["parameters"], ""));
    let network = course::network_of(parameters_given).unwrap();
    let labels = labels(&inputs["Y"]);
    let examples = Examples::classes(Features::Real(x.view()), &labels);
    let cost = Cost::BinaryCrossEntropy;
    let (found, gradient) = gradients(&network, &examples, cost).unwrap();
    assert!((found - number(&expected["cost"])).abs() <= 1e-9);
    assert_parameters(&gradient, &parameters(&expected["grads"], "d"), 1e-9, "gradient");
    // The published mistakes, dW2 doubled and db1 four times too large.
    let mut buggy = gradient.clone();
    buggy.layers[1].weights *= 2.0;
    buggy.layers[0].bias *= 4.0;
    let difference = |epsilon, gradient| {
        compare_gradients(&network, &examples, cost, epsilon, gradient).unwrap().difference
    };
    let found = difference(1e-7, &buggy);
    let published = number(&expected["difference_buggy_dW2x2_db1x4"]);
    assert!((found / published - 1.0).abs() < 1e-6, "{found} {published}");
    // With the literal cost, rounding in its logarithms rules: at 1e-7 a right gradient exceeds the
    // course's own limit. From the logits the same gradient is a hundred times closer.
    for (epsilon, key) in [
        (1e-5, "difference_correct_backprop_eps1e-5"),
        (1e-7, "difference_correct_backprop_eps1e-7"),
    ] {
        let published = number(&expected[key]);
        let literal = literal_difference(&x, &matrix(&inputs["Y"]), &network, &gradient, epsilon);
        assert!((literal / published - 1.0).abs() < 0.1, "{literal:e} {published:e}");
        let found = difference(epsilon, &gradient);
        assert!(found < published / 10.0, "{found:e} {published:e}");
    }
}

/// The course's own check: slopes of the literal cost.
fn literal_difference(
    x: &Array2<f64>,
    y: &Array2<f64>,
    network: &Network<f64>,
    gradient: &Parameters<f64>,
    epsilon: f64,
) -> f64 {
    let cost = |parameters: &Parameters<f64>| {
        let caches = model_forward(x.view(), parameters, Activation::Relu, Head::Sigmoid).unwrap();
        course::compute_cost(caches[2].a.view(), y.view()).unwrap()
    };
    let (mut analytic, mut numeric) = (Vec::new(), Vec::new());
    for (l, layer) in gradient.layers.iter().enumerate() {
        for (of_bias, values) in [(false, &layer.weights), (true, &layer.bias)] {
            for (index, &entry) in values.indexed_iter() {
                let moved = |step: f64| {
                    let mut parameters = network.pairs();
                    let layer = &mut parameters.layers[l];
                    let array = if of_bias { &mut layer.bias } else { &mut layer.weights };
                    array[index] += step;
                    cost(&parameters)
                };
                analytic.push(entry);
                numeric.push((moved(epsilon) - moved(-epsilon)) / (2.0 * epsilon));
            }
        }
    }
    relative_difference(&analytic, &numeric)
}

#[test]
fn bad_calls_say_expected_and_found() {
    let network = Network::<f64>::builder(Shape::flat(1))
        .classes(["a", "b"])
        .build(&mut RandomStream::new(0, Purpose::Data, 0))
        .unwrap();
    let x = ndarray::array![[1.0]];
    let examples = Examples::classes(Features::Real(x.view()), &[1]);
    let cost = Cost::BinaryCrossEntropy;
    for epsilon in [0.0, -1.0, f64::NAN] {
        let error = check_gradients(&network, &examples, cost, epsilon).unwrap_err().to_string();
        assert!(error.starts_with("epsilon: expected a finite number above 0, found"), "{error}");
    }
    let mut gradient = network.pairs();
    gradient.layers[0].bias[(0, 0)] = f64::NAN;
    let error = compare_gradients(&network, &examples, cost, 1e-5, &gradient).unwrap_err();
    assert_eq!(error.to_string(), "gradient: expected finite numbers, found NaN in dense1.bias");
    // Rounding swallows the step: no slope, and no NaN in its place.
    let error = check_gradients(&network, &examples, cost, 1e-30).unwrap_err().to_string();
    assert!(error.starts_with("epsilon: expected a step that changes every parameter"), "{error}");
    let mut gradient = network.pairs();
    gradient.layers.pop();
    let error = compare_gradients(&network, &examples, cost, 1e-5, &gradient).unwrap_err();
    assert!(error.to_string().starts_with("gradient: expected the shapes"), "{error}");
}
