//! The engine on the kernels for `f32`: its gradient beside that in `f64`, the same steps whether the
//! gradient is stored or not, the same bits on any threads.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![allow(clippy::cast_possible_truncation, reason = "made-up data")]

use std::num::NonZeroUsize;

use crate::fits::{bits, build, bytes, classifier, fit, full, labels, normal, size, try_fit};
use crate::pairs::{Pairs, dense, drop_out, gradients, norm};
use dnn_core::{Features, Parameters, PixelScaling, Purpose, RandomStream, Shape};
use dnn_layers::{Activation, Head, Layer, Network, NetworkBuilder};
use dnn_train::{ClassWeights, Clip, Cost, Examples, Trainer, clip_by_value, update_parameters};
use ndarray::{Array2, ShapeBuilder, s};

fn with_layers<T: dnn_core::Element + dnn_store::Scalar>(
    features: usize,
    hidden: &[Layer],
) -> NetworkBuilder<T> {
    let channels = if features.is_multiple_of(3) { 3 } else { 1 };
    let input = Shape::picture(1, features / channels, channels);
    let builder = Network::<T>::builder(input);
    hidden.iter().cloned().fold(builder, NetworkBuilder::layer)
}

/// The two networks of these hidden layers with the same weights.
fn pair(
    features: usize,
    hidden: &[Layer],
    scaling: PixelScaling,
    head: Head,
) -> (Network<f32>, Network<f64>) {
    let mut draws = RandomStream::new(4, Purpose::Initialization, 0);
    let outputs = |narrow: NetworkBuilder<f32>| match head {
        Head::Identity => narrow.outputs(3, head),
        _ => narrow.classes(["a", "b", "c"]),
    };
    let narrow = outputs(with_layers::<f32>(features, hidden).scaling(scaling));
    let narrow = narrow.build(&mut draws).unwrap();
    let wide = with_layers::<f64>(features, hidden).scaling(scaling);
    let wide = match head {
        Head::Identity => wide.outputs(3, head),
        _ => wide.classes(["a", "b", "c"]),
    };
    let mut wide = wide.build(&mut draws).unwrap();
    for (mut to, from) in wide.pairs_mut().zip(&narrow.pairs().layers) {
        to.weights.assign(&from.weights.mapv(f64::from));
        to.bias.assign(&from.bias.mapv(f64::from));
    }
    (narrow, wide)
}

/// How far apart two gradients are, over the size of the larger.
fn apart(found: &Parameters<f32>, expected: &Parameters<f64>) -> f64 {
    let (mut difference, mut size) = (0.0, 0.0);
    for (found, expected) in found.layers.iter().zip(&expected.layers) {
        let weights = found.weights.iter().zip(&expected.weights);
        for (&found, &expected) in weights.chain(found.bias.iter().zip(&expected.bias)) {
            difference += (f64::from(found) - expected).powi(2);
            size += expected.powi(2);
        }
    }
    (difference / size).sqrt()
}

#[test]
fn the_gradient_is_that_of_f64_with_every_layer_and_batch() {
    let mut compared = 0;
    for activation in Activation::ALL {
        let (linear, drop) = (|| dense(21, Activation::Identity), || drop_out(0.3));
        let of = |units| dense(units, activation);
        for hidden in [
            vec![],
            of(33),
            [linear(), norm(activation)].concat(),
            [of(20), drop(), of(7), of(5)].concat(),
            [dense(70, Activation::Tanh), drop(), linear(), norm(activation), drop(), of(3)]
                .concat(),
        ] {
            for (m, features) in [(3, 1), (2, 7), (130, 65), (300, 300)] {
                let (x, y) = (normal((features, m), 11 + m as u64), labels(3, m, 5));
                let narrow = x.mapv(|x| x as f32);
                let x = narrow.mapv(f64::from);
                let scaling = PixelScaling::default();
                let (small, large) = pair(features, &hidden, scaling, Head::Softmax);
                let cost = Cost::CategoricalCrossEntropy;
                let found = Examples::classes(Features::Real(narrow.view()), &y);
                let expected = Examples::classes(Features::Real(x.view()), &y);
                let (found_cost, found) = gradients(&small, &found, cost).unwrap();
                let (expected_cost, expected) = gradients(&large, &expected, cost).unwrap();
                let apart_by = (found_cost - expected_cost).abs();
                assert!(apart_by < 1e-5 * (1.0 + expected_cost), "{hidden:?} {m}: {apart_by:e}");
                let apart = apart(&found, &expected);
                assert!(apart < 1e-5, "{hidden:?}, {m} examples of {features}: {apart:e}");
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "{compared}");
}

#[test]
fn pixels_in_any_order_and_scaling_have_the_gradient_of_f64() {
    let three = PixelScaling::per_channel(&[0.4, 0.5, 0.6], &[0.2, 0.25, 0.3]).unwrap();
    let shifted = PixelScaling::per_channel(&[0.5], &[0.25]).unwrap();
    for scaling in [PixelScaling::default(), shifted, three] {
        for (m, features) in [(1, 3), (7, 21), (131, 4200)] {
            let all = bytes((features + 2, m + 1), 3);
            let by_column = all.slice(s![2.., 1..]);
            let mut by_row = Array2::zeros((features, m));
            by_row.assign(&by_column);
            let y = normal((3, m), 4);
            let narrow = y.mapv(|y| y as f32);
            let y = narrow.mapv(f64::from);
            let hidden = [dense(20, Activation::Relu), dense(4, Activation::Tanh)].concat();
            let (small, large) = pair(features, &hidden, scaling, Head::Identity);
            let cost = Cost::MeanSquaredError;
            for pixels in [by_column, by_row.view()] {
                let found = Examples::values(small.pixels(pixels), narrow.view());
                let expected = Examples::values(large.pixels(pixels), y.view());
                let (_, found) = gradients(&small, &found, cost).unwrap();
                let (_, expected) = gradients(&large, &expected, cost).unwrap();
                let apart = apart(&found, &expected);
                assert!(apart < 1e-5, "{scaling}, {m} examples of {features}: {apart:e}");
            }
        }
    }
}

/// A classifier of pictures with some layers, wide enough for many blocks.
fn wide() -> (Network<f32>, Array2<u8>, Vec<u32>) {
    let pixels = bytes((4800, 150), 1);
    let hidden = [dense(33, Activation::Relu), drop_out(0.2), dense(7, Activation::Relu)].concat();
    let builder = with_layers::<f32>(4800, &hidden).classes(["a", "b", "c"]);
    (build(builder), pixels, labels(3, 150, 2))
}

#[test]
fn parameters_that_follow_at_once_are_those_that_follow_a_stored_gradient() {
    let (network, pixels, labels) = wide();
    let examples = Examples::classes(network.pixels(pixels.view()), &labels);
    for optimizer in ["sgd", "momentum", "nesterov", "rmsprop", "adagrad", "adam", "adamw"] {
        for (l2, batch) in [(0.0, 150), (0.3, 150), (0.3, 64)] {
            let at_once = Trainer {
                optimizer: optimizer.parse().unwrap(),
                batch: size(batch),
                l2,
                ..full(0.001, 3)
            };
            // A limit that no gradient comes to.
            let stored = Trainer { clip: Clip::Norm(1e30), ..at_once.clone() };
            assert_eq!(at_once.plan(&network, &examples).stored_because, None);
            assert!(stored.plan(&network, &examples).stored_because.is_some());
            let (first, history) = fit(&at_once, &network, &examples);
            let (second, expected) = fit(&stored, &network, &examples);
            assert_ne!(bits(&first), bits(&network), "nothing was learned");
            assert_eq!(bits(&first), bits(&second), "{optimizer}, L2 {l2}, batch {batch}");
            assert_eq!(history, expected);
        }
    }
}

#[test]
fn clipped_values_are_those_of_a_stored_gradient() {
    let (network, pixels, labels) = wide();
    let examples = Examples::classes(network.pixels(pixels.view()), &labels);
    let trainer = Trainer { clip: Clip::Value(1e-3), ..full(0.5, 1) };
    let (trained, _) = fit(&trainer, &network, &examples);
    let (_, mut gradient) = gradients(&network, &examples, Cost::CategoricalCrossEntropy).unwrap();
    let before = gradient.clone();
    clip_by_value(&mut gradient, 1e-3);
    assert_ne!(gradient, before);
    let mut expected = network.pairs();
    update_parameters(&mut expected, &gradient, 0.5).unwrap();
    assert_eq!(trained.pairs(), expected);
}

#[test]
fn the_same_bits_on_any_threads_with_every_optimiser() {
    let (network, pixels, labels) = wide();
    let examples = Examples::classes(network.pixels(pixels.view()), &labels);
    for (optimizer, batch) in [("sgd", 150), ("momentum", 64), ("adam", 150), ("adamw", 17)] {
        let trainer = Trainer {
            optimizer: optimizer.parse().unwrap(),
            batch: size(batch),
            class_weights: ClassWeights::Balanced,
            l2: 0.1,
            ..full(0.001, 2)
        };
        let on = |threads| {
            let threads = NonZeroUsize::new(threads);
            let (trained, history) =
                fit(&Trainer { threads, ..trainer.clone() }, &network, &examples);
            (bits(&trained), history)
        };
        let expected = on(1);
        for threads in [2, 3, 4, 8] {
            assert!(on(threads) == expected, "{optimizer} on {threads} threads");
        }
    }
}

#[test]
fn a_gradient_that_may_go_out_of_range_is_looked_at_before_any_parameter_follows() {
    // a = 0, dz2 = 2e10 and dz1 = 2e9, so that dw1 = 2e47, while db2 is fine and comes before it.
    let builder = Network::<f32>::builder(Shape::flat(1))
        .hidden(&[1], Activation::Identity)
        .outputs(1, Head::Identity);
    let mut network: Network<f32> = build(builder);
    for (mut layer, weight) in network.pairs_mut().zip([0.0, 0.1]) {
        layer.weights.fill(weight);
    }
    let (x, y) = (Array2::from_elem((1, 1), 1e38_f32), Array2::from_elem((1, 1), -1e10_f32));
    let examples = Examples::values(Features::Real(x.view()), y.view());
    let (stopped, result) = try_fit(&full(0.1, 1), &network, &examples);
    let error = result.unwrap_err().to_string();
    assert!(error.starts_with("the gradient of dense1 stopped being finite"), "{error}");
    assert_eq!(bits(&stopped), bits(&network));
}

#[test]
fn the_plan_says_what_is_done_and_why() {
    let (network, pixels, labels) = wide();
    let examples = Examples::classes(network.pixels(pixels.view()), &labels);
    let plan = full(0.1, 1).plan(&network, &examples);
    assert_eq!(plan.kernels, dnn_core::kernel_path());
    assert!(plan.kernels.starts_with("dnn/"));
    let text = plan.to_string();
    assert!(text.contains("fused: parameters follow each block of the gradient"), "{text}");
    assert!(text.contains("dW in 19 blocks of up to 256 inputs"), "{text}");
    let clipped = Trainer { clip: Clip::Norm(1.0), ..full(0.1, 1) };
    let text = clipped.plan(&network, &examples).to_string();
    assert!(text.contains("after the whole gradient: clipping goes by its norm"), "{text}");
    let wide: Network<f64> = build(classifier(4800, &[3], 3));
    let examples = Examples::classes(wide.pixels(pixels.view()), &labels);
    let plan = full(0.1, 1).plan(&wide, &examples);
    assert_eq!(plan.stored_because, Some("there are no kernels for f64"));
}

#[test]
fn columns_of_numbers_in_row_major_order_train_as_well() {
    let x = normal((40, 60), 7).mapv(|x| x as f32);
    let mut by_column = Array2::zeros((40, 60).f());
    by_column.assign(&x);
    let mut by_row = Array2::zeros((40, 60));
    by_row.assign(&x);
    let labels = labels(3, 60, 2);
    let network: Network<f32> = build(classifier(40, &[9], 3));
    let trained = |x: &Array2<f32>| {
        let examples = Examples::classes(Features::Real(x.view()), &labels);
        fit(&Trainer { batch: size(16), ..full(0.1, 3) }, &network, &examples).0
    };
    let (first, second) = (trained(&by_column), trained(&by_row));
    for (a, b) in first.pairs().layers.iter().zip(&second.pairs().layers) {
        assert!((&a.weights - &b.weights).iter().all(|d| d.abs() < 1e-5));
    }
}

#[test]
fn groups_give_the_gradient_of_the_whole_batch() {
    // So wide that a group has its fewest examples, and so many of these that there are three groups.
    let (features, m) = (22_000, 1000);
    let hidden = [dense(6, Activation::Relu), drop_out(0.3)].concat();
    let (narrow, wide) = pair(features, &hidden, PixelScaling::default(), Head::Softmax);
    let (pixels, labels) = (bytes((features, m), 5), labels(3, m, 6));
    let weights: Vec<f32> = (0..m).map(|j| 1.0 + (j % 3) as f32).collect();
    let wide_weights: Vec<f64> = weights.iter().map(|&weight| weight.into()).collect();
    let examples = Examples::classes(narrow.pixels(pixels.view()), &labels).weighted(&weights);
    let plan = full(0.1, 1).plan(&narrow, &examples);
    assert_eq!((plan.group, plan.tile), (Some(384), 24));
    let (cost, found) = gradients(&narrow, &examples, Cost::CategoricalCrossEntropy).unwrap();
    let examples_wide =
        Examples::classes(wide.pixels(pixels.view()), &labels).weighted(&wide_weights);
    let (expected_cost, expected) =
        gradients(&wide, &examples_wide, Cost::CategoricalCrossEntropy).unwrap();
    assert!((cost / expected_cost - 1.0).abs() < 1e-5, "{cost} {expected_cost}");
    assert!(apart(&found, &expected) < 1e-5, "{:e}", apart(&found, &expected));
    let trained = |threads: usize| {
        let trainer = Trainer { threads: NonZeroUsize::new(threads), ..full(1e-3, 3) };
        bits(&fit(&trainer, &narrow, &examples).0)
    };
    assert_ne!(trained(1), bits(&narrow), "nothing was learned");
    for threads in [2, 3, 4, 8] {
        assert!(trained(threads) == trained(1), "{threads} threads");
    }
}

#[test]
fn inputs_that_are_mostly_zero_have_the_gradient_of_f64_and_the_same_bits_on_any_threads() {
    let (features, m) = (150, 130);
    let pixels = bytes((features, m), 8).mapv(|pixel| pixel.saturating_sub(180));
    let labels = labels(3, m, 9);
    let hidden = [dense(33, Activation::Relu), dense(7, Activation::Tanh)].concat();
    let shifted = PixelScaling::per_channel(&[0.5], &[0.25]).unwrap();
    for (scaling, leaves_out) in [(PixelScaling::default(), true), (shifted, false)] {
        let (small, large) = pair(features, &hidden, scaling, Head::Softmax);
        let examples = Examples::classes(small.pixels(pixels.view()), &labels);
        let says = full(0.1, 1).plan(&small, &examples).to_string();
        assert_eq!(says.contains("without inputs that are 0"), leaves_out, "{says}");
        let (_, found) = gradients(&small, &examples, Cost::CategoricalCrossEntropy).unwrap();
        let expected = Examples::classes(large.pixels(pixels.view()), &labels);
        let (_, expected) = gradients(&large, &expected, Cost::CategoricalCrossEntropy).unwrap();
        assert!(apart(&found, &expected) < 1e-5, "{:e}", apart(&found, &expected));
        let trained = |threads: usize| {
            let threads = NonZeroUsize::new(threads);
            let trainer = Trainer {
                threads,
                batch: size(64),
                optimizer: "adam".parse().unwrap(),
                ..full(0.01, 2)
            };
            bits(&fit(&trainer, &small, &examples).0)
        };
        assert_ne!(trained(1), bits(&small), "nothing was learned");
        for threads in [2, 3, 4, 8] {
            assert!(trained(threads) == trained(1), "{threads} threads");
        }
    }
}
