//! Batch normalisation, dropout, label smoothing and weights: against PyTorch, against slopes, against
//! what they stand for.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use crate::fits::{apart, bits, fit, full, labels, normal, size};
use crate::pairs::{Pairs, compare_gradients, dense, drop_out, gradients, norm};
use crate::support::{
    assert_close, assert_parameters, integer, matrix, number, numbers, parameters,
};
use dnn_core::{Features, Parameters, Purpose, RandomStream, Shape};
use dnn_layers::{
    Activation, BatchNorm, ChannelDropout, Conv2d, Dropout, GlobalPool, Layer, Network,
    NetworkBuilder, PoolBy,
};
use dnn_train::{
    Batch, ClassWeights, Clip, Cost, DropoutMasks, Examples, Trainer, check_gradients, evaluate,
    unobserved,
};
use ndarray::{Array2, Axis, array, concatenate};
use serde_json::Value;

const CLOSE: f64 = 1e-10;

/// A network of these hidden layers for three classes.
fn network(features: usize, hidden: &[Layer]) -> Network<f64> {
    let builder = Network::<f64>::builder(Shape::flat(features));
    let builder = hidden.iter().cloned().fold(builder, NetworkBuilder::layer);
    let mut draws = RandomStream::new(4, Purpose::Initialization, 0);
    builder.classes(["a", "b", "c"]).build(&mut draws).unwrap()
}

fn with(mut network: Network<f64>, parameters: &Parameters<f64>) -> Network<f64> {
    for (mut layer, start) in network.pairs_mut().zip(&parameters.layers) {
        layer.weights.assign(&start.weights);
        layer.bias.assign(&start.bias);
    }
    network
}

#[test]
fn ten_steps_are_those_of_pytorch() {
    let golden: Value =
        serde_json::from_str(include_str!("../golden/pytorch_layers.json")).unwrap();
    let x = matrix(&golden["X"]);
    let y: Vec<u32> = golden["Y"].as_array().unwrap().iter().map(integer).collect();
    let examples = Examples::classes(Features::Real(x.view()), &y);
    let trainer = Trainer {
        optimizer: "adam".parse().unwrap(),
        learning_rate: number(&golden["learning_rate"]),
        batch: Batch::Full,
        epochs: 10,
        ..Trainer::default()
    };
    let normalized = [dense(4, Activation::Identity), norm(Activation::Tanh)].concat();
    let plain = dense(4, Activation::Tanh);
    let weights = ClassWeights::Given(numbers(&golden["class_weights"]));
    let smoothing = number(&golden["label_smoothing"]);
    for (key, hidden, trainer) in [
        ("batch_norm", &normalized[..], trainer.clone()),
        ("smoothed", &plain, Trainer { label_smoothing: smoothing, ..trainer.clone() }),
        ("weighted", &plain, Trainer { class_weights: weights, ..trainer.clone() }),
    ] {
        let run = &golden[key];
        let without_norm = |mut all: Parameters<f64>| {
            if key != "batch_norm" {
                all.layers.remove(1);
            }
            all
        };
        let start = without_norm(parameters(&run["start"], ""));
        let mut network = with(network(x.nrows(), hidden), &start);
        let history = trainer.fit(&mut network, &examples, None, &mut unobserved).unwrap();
        for (found, expected) in history.costs().zip(numbers(&run["costs"])) {
            assert!((found - expected).abs() <= CLOSE, "{key}: {found}, expected {expected}");
        }
        let end = without_norm(parameters(&run["end"], ""));
        // Adam divides by the root of a square, and the bias before a batch normalisation has no
        // gradient: what rounding leaves of it is blown up to steps of any size.
        let mut found = network.pairs();
        if key == "batch_norm" {
            found.layers[0].bias.assign(&end.layers[0].bias);
            let shifts = network.tensor("batch_norm1.shift").unwrap().dim();
            let [mean, variance] = ["mean", "variance"]
                .map(|name| network.tensor(&format!("batch_norm1.{name}")).unwrap().to_owned());
            assert_eq!((mean.dim(), variance.dim()), (shifts, shifts));
            for (found, expected) in variance.iter().zip(numbers(&run["variance"])) {
                assert!((found - expected).abs() <= CLOSE, "{found}, expected {expected}");
            }
        }
        assert_parameters(&found, &end, CLOSE, key);
        if key != "batch_norm" {
            let outputs = network.forward(&examples.features).unwrap().output().to_owned();
            assert_close(&outputs, &matrix(&run["outputs"]), CLOSE, key);
        }
    }
}

#[test]
fn gradients_are_the_slopes_with_every_layer_and_batch() {
    let mut largest: f64 = 0.0;
    let mut checked = 0;
    for activation in Activation::ALL {
        let (linear, drop) = (|| dense(5, Activation::Identity), || drop_out(0.3));
        let norm = || norm(activation);
        for hidden in [
            [linear(), norm()].concat(),
            [dense(5, activation), drop()].concat(),
            [linear(), norm(), drop(), dense(4, Activation::Identity), norm()].concat(),
            [dense(6, Activation::Tanh), drop(), linear(), norm(), dense(3, activation), drop()]
                .concat(),
        ] {
            // 300 examples of so small a network are two tiles.
            let kinked = matches!(
                activation,
                Activation::Relu | Activation::Relu6 | Activation::LeakyRelu(_)
            );
            for m in [1, 2, 7, 300] {
                let normalizes = hidden.iter().any(Layer::needs_whole_batch);
                if kinked && m == 300 {
                    // Of so many numbers one lies at the kink.
                    continue;
                }
                let mut network = network(4, &hidden);
                if m == 1 {
                    // One example is normalised to 0, where a kink is.
                    network.pairs_mut().for_each(|mut layer| layer.bias.fill(0.3));
                }
                let (x, y) = (normal((4, m), 11 + m as u64), labels(3, m, 5));
                let examples = Examples::classes(Features::Real(x.view()), &y);
                let cost = Cost::CategoricalCrossEntropy;
                let check = check_gradients(&network, &examples, cost, 1e-5).unwrap();
                // A batch of two is normalised to plus and minus 1, whatever the weights before it are,
                // but for epsilon: slopes that are all but 0 drown in rounding.
                let few = m == 2 && normalizes;
                let limit = if few { 1e-4 } else { 1e-7 };
                assert!(check.difference <= limit, "{hidden:?}, batch {m}: {check:?}");
                if !few {
                    largest = largest.max(check.difference);
                }
                checked += 1;
            }
        }
    }
    // Of the eleven activations three are kinked where there are numbers.
    assert_eq!(checked, 11 * 4 * 4 - 3 * 4);
    println!("{checked} gradients, largest difference {largest:.2e}");
}

#[test]
fn a_gradient_that_forgets_a_layer_is_caught() {
    let kept = [dense(5, Activation::Identity), norm(Activation::Tanh)].concat();
    let hidden = [kept.clone(), drop_out(0.3)].concat();
    let (x, y) = (normal((4, 7), 11), labels(3, 7, 5));
    let examples = Examples::classes(Features::Real(x.view()), &y);
    let cost = Cost::CategoricalCrossEntropy;
    let start = network(4, &hidden);
    let (_, right) = gradients(&start, &examples, cost).unwrap();
    let difference = |gradient: &Parameters<f64>| {
        compare_gradients(&start, &examples, cost, 1e-5, gradient).unwrap().difference
    };
    assert!(difference(&right) <= 1e-7);
    // As without dropout; as of the scale and the shift of normalisation with the wrong sign.
    let kept = with(network(4, &kept), &start.pairs());
    assert!(difference(&gradients(&kept, &examples, cost).unwrap().1) > 1e-2);
    for of_bias in [false, true] {
        let mut wrong = right.clone();
        let layer = &mut wrong.layers[1];
        let array = if of_bias { &mut layer.bias } else { &mut layer.weights };
        array.mapv_inplace(|value| -value);
        assert!(difference(&wrong) > 1e-2);
    }
}

#[test]
fn folding_gives_the_same_outputs_and_a_network_without_normalisation() {
    let hidden = [
        dense(8, Activation::Identity),
        norm(Activation::Relu),
        drop_out(0.5),
        dense(6, Activation::Identity),
        norm(Activation::Tanh),
        dense(5, Activation::Elu(1.0)),
    ]
    .concat();
    let (x, y) = (normal((4, 60), 1), labels(3, 60, 2));
    let examples = Examples::classes(Features::Real(x.view()), &y);
    let (trained, _) =
        fit(&Trainer { batch: size(16), ..full(0.1, 5) }, &network(4, &hidden), &examples);
    let folded = trained.folded();
    let of = |units, activation| dense(units, activation);
    let left = [of(8, Activation::Relu), of(6, Activation::Tanh), of(5, Activation::Elu(1.0))];
    assert_eq!(folded.layers(), [left.concat(), of(3, Activation::Identity)].concat());
    let outputs =
        |network: &Network<f64>| network.forward(&examples.features).unwrap().output().to_owned();
    assert_close(&outputs(&folded), &outputs(&trained), 1e-13, "folded");
    // Files hold all of it, and files of before have nothing of it.
    assert_eq!(Network::from_bytes(&trained.to_bytes().unwrap()).unwrap(), trained);
    assert_eq!(Network::from_bytes(&folded.to_bytes().unwrap()).unwrap(), folded);
}

#[test]
fn dropout_drops_its_share_scales_the_rest_and_leaves_prediction_alone() {
    let linear = dense(64, Activation::Identity);
    let hidden = [linear.clone(), drop_out(0.25)].concat();
    let dropping = network(3, &hidden);
    let plain = with(network(3, &linear), &dropping.pairs());
    let (x, y) = (normal((3, 400), 3), labels(3, 400, 4));
    let examples = Examples::classes(Features::Real(x.view()), &y);
    let cost = Cost::CategoricalCrossEntropy;
    assert_eq!(
        evaluate(&dropping, &examples, cost).unwrap(),
        evaluate(&plain, &examples, cost).unwrap()
    );
    // Masks that are given: nothing dropped is scaled alone, and the gradient follows.
    let scaled = {
        let mut layers = plain.pairs();
        layers.layers[0].weights /= 0.75;
        layers.layers[0].bias /= 0.75;
        with(plain.clone(), &layers)
    };
    let (mean, _) = gradients(&scaled, &examples, cost).unwrap();
    let all = DropoutMasks::new(|_, layer, mut keep| {
        assert_eq!((layer, keep.dim()), (1, (64, 400)));
        keep.fill(true);
    });
    let trainer = Trainer { dropout_masks: Some(all), ..full(0.1, 1) };
    let (_, history) = fit(&trainer, &dropping, &examples);
    assert!((history.epochs[0].cost - mean).abs() < 1e-12);
    // Drawn ones: other ones for each seed and step, of the right share.
    let run = |seed, epochs| fit(&Trainer { seed, ..full(0.01, epochs) }, &dropping, &examples);
    let (one, other) = (run(1, 2), run(2, 2));
    assert_ne!(bits(&one.0), bits(&other.0));
    assert_eq!(bits(&one.0), bits(&run(1, 2).0));
    let costs: Vec<f64> = run(1, 40).1.costs().collect();
    assert!(costs.windows(2).any(|pair| pair[1] > pair[0]), "other units in every step");
}

#[test]
fn the_share_that_is_dropped_is_the_rate() {
    // One unit of weight 0 and bias 1 before an identity: the outputs are the factors themselves.
    let builder = Network::<f64>::builder(Shape::flat(1))
        .hidden(&[100], Activation::Identity)
        .layer(Dropout { rate: 0.3 })
        .outputs(100, dnn_layers::Head::Identity);
    let mut network = crate::fits::build(builder);
    for (l, mut layer) in network.pairs_mut().enumerate() {
        layer.weights.fill(0.0);
        layer.bias.fill(if l == 0 { 1.0 } else { 0.0 });
        if l == 1 {
            layer.weights.diag_mut().fill(1.0);
        }
    }
    let (x, y) = (Array2::zeros((1, 200)), Array2::zeros((100, 200)));
    let examples = Examples::values(Features::Real(x.view()), y.view());
    let (cost, _) = gradients(&network, &examples, Cost::MeanSquaredError).unwrap();
    // The mean of the squares is the share that is kept over the square of what it should be.
    let share = cost * 0.7 * 0.7;
    assert!((share - 0.7).abs() < 0.01, "{share} of 20,000 were kept");
}

#[test]
fn dropout_by_channel_drops_whole_channels() {
    // Every channel is 1 everywhere, and an output is the mean of one: 0 or 2. Had each place a draw of its own, means
    // would be near 1.
    let mut network = crate::fits::build(
        Network::<f64>::builder(Shape::picture(4, 5, 1))
            .layer(Conv2d::same(6, 1))
            .layer(ChannelDropout { rate: 0.5 })
            .layer(GlobalPool { by: PoolBy::Mean })
            .outputs(6, dnn_layers::Head::Identity),
    );
    network.tensor_mut("conv1.weights").unwrap().fill(0.0);
    network.tensor_mut("conv1.bias").unwrap().fill(1.0);
    network.tensor_mut("dense1.weights").unwrap().assign(&Array2::eye(6));
    let (x, y) = (normal((20, 400), 1), Array2::zeros((6, 400)));
    let examples = Examples::values(Features::Real(x.view()), y.view());
    let (cost, _) = gradients(&network, &examples, Cost::MeanSquaredError).unwrap();
    assert!((cost / 4.0 - 0.5).abs() < 0.04, "{} of 2,400 channels were kept", cost / 4.0);
    let outputs = network.predict_outputs(&examples.features).unwrap();
    assert!(outputs.iter().all(|&output| (output - 1.0).abs() < 1e-12));
    // Masks that are given: without the first channel, five outputs of 2.
    let first = DropoutMasks::new(|_, layer, mut keep| {
        assert_eq!((layer, keep.dim()), (1, (6, 400)));
        keep.indexed_iter_mut().for_each(|((channel, _), keep)| *keep = channel > 0);
    });
    let trainer = Trainer { dropout_masks: Some(first), ..full(0.1, 1) };
    let (trained, history) = fit(&trainer, &network, &examples);
    assert!((history.epochs[0].cost - 20.0 / 6.0).abs() < 1e-12, "{history:?}");
    // What was dropped learned nothing.
    let moved = |unit: usize| trained.tensor("conv1.bias").unwrap()[(unit, 0)] != 1.0;
    assert_eq!([0, 1, 5].map(moved), [false, true, true]);
}

#[test]
fn an_example_of_weight_two_is_that_example_twice() {
    let (x, y) = (normal((4, 30), 1), labels(3, 30, 2));
    let weights: Vec<f64> = (0..30).map(|example| f64::from(1 + example % 2)).collect();
    let twice: Vec<usize> = (0..30).filter(|example| example % 2 == 1).collect();
    let x_twice = concatenate![Axis(1), x, x.select(Axis(1), &twice)];
    let y_twice: Vec<u32> = y.iter().copied().chain(twice.iter().map(|&e| y[e])).collect();
    let start = network(4, &dense(6, Activation::Tanh));
    let trainer = Trainer { l2: 0.5, ..full(0.3, 40) };
    let examples = Examples::classes(Features::Real(x.view()), &y);
    let (weighted, costs) = fit(&trainer, &start, &examples.weighted(&weights));
    let doubled = Examples::classes(Features::Real(x_twice.view()), &y_twice);
    let (repeated, expected) = fit(&trainer, &start, &doubled);
    assert!(apart(&weighted, &repeated) < 1e-12, "{}", apart(&weighted, &repeated));
    for (found, expected) in costs.costs().zip(expected.costs()) {
        assert!((found - expected).abs() < 1e-12);
    }
    // The weight of a class is that of each of its examples.
    let of_class = [2.0, 1.0, 3.0];
    let given =
        Trainer { class_weights: ClassWeights::Given(of_class.to_vec()), ..trainer.clone() };
    let by_example: Vec<f64> = y.iter().map(|&label| of_class[label as usize]).collect();
    let (by_class, _) = fit(&given, &start, &examples);
    let (by_example, _) = fit(&trainer, &start, &examples.weighted(&by_example));
    assert_eq!(bits(&by_class), bits(&by_example));
    // With batches and changed pictures, weights go with their examples.
    let ones = vec![1.0; 30];
    let batched = Trainer { batch: size(7), ..trainer };
    let (plain, _) = fit(&batched, &start, &examples);
    let (unit, _) = fit(&batched, &start, &examples.weighted(&ones));
    assert!(apart(&plain, &unit) < 1e-12);
}

#[test]
fn running_statistics_come_to_those_of_the_data() {
    let hidden = [dense(1, Activation::Identity), norm(Activation::Identity)].concat();
    let mut start = network(1, &hidden);
    for mut layer in start.pairs_mut().take(1) {
        layer.weights.fill(1.0);
    }
    let x = array![[1.0, 2.0, 3.0, 6.0]];
    let examples = Examples::classes(Features::Real(x.view()), &[0, 1, 2, 0]);
    // Steps so small that nothing else moves.
    let (trained, _) = fit(&full(1e-12, 400), &start, &examples);
    let [mean, variance] = ["mean", "variance"]
        .map(|name| trained.tensor(&format!("batch_norm1.{name}")).unwrap()[(0, 0)]);
    assert!((mean - 3.0).abs() < 1e-9, "{mean}");
    // 14 / 3, as of all examples that these four are drawn from.
    assert!((variance - 14.0 / 3.0).abs() < 1e-9, "{variance}");
}

#[test]
fn running_statistics_of_a_line_search_are_those_of_where_it_ends() {
    let norm = vec![BatchNorm { momentum: 1.0, epsilon: 1e-5 }.into(), Activation::Tanh.into()];
    let start = network(4, &[dense(5, Activation::Identity), norm].concat());
    let (x, y) = (normal((4, 30), 1), labels(3, 30, 2));
    let examples = Examples::classes(Features::Real(x.view()), &y);
    for (learning_rate, rule) in [
        (1.0, "lbfgs"),
        (30.0, "lbfgs"),
        (1e3, "lbfgs:evaluations=1"),
        (1e3, "lbfgs:evaluations=3"),
    ] {
        let optimizer = rule.parse().unwrap();
        let trainer = Trainer { optimizer, ..full(learning_rate, 3) };
        let (trained, _) = fit(&trainer, &start, &examples);
        let caches = trained.forward(&examples.features).unwrap();
        let mean = caches.layer_output(0).mean_axis(Axis(1)).unwrap();
        for (found, expected) in trained.tensor("batch_norm1.mean").unwrap().iter().zip(&mean) {
            assert!((found - expected).abs() < 1e-12, "{rule} from {learning_rate}: {found}");
        }
    }
}

#[test]
fn what_is_frozen_stays_and_everything_else_trains() {
    let hidden =
        [dense(8, Activation::Identity), norm(Activation::Tanh), dense(6, Activation::Tanh)];
    let start = network(4, &hidden.concat());
    let (x, y) = (normal((4, 60), 1), labels(3, 60, 2));
    let examples = Examples::classes(Features::Real(x.view()), &y);
    for optimizer in ["sgd", "adam", "adamw", "lbfgs"] {
        for frozen in ["dense1.", "batch_norm1.", "dense3.", "dense2.bias", "dense2.weights"] {
            for (batch, clip) in [(Batch::Full, Clip::Never), (size(16), Clip::Norm(0.5))] {
                let is_lbfgs = optimizer == "lbfgs";
                if is_lbfgs && batch != Batch::Full {
                    continue;
                }
                let optimizer = optimizer.parse().unwrap();
                let trainer = Trainer { optimizer, batch, clip, l2: 0.1, ..full(0.01, 3) };
                let mut first = start.clone();
                assert!(first.set_frozen(frozen, true) > 0);
                let (trained, _) = fit(&trainer, &first, &examples);
                for (before, after) in first.tensors().iter().zip(trained.tensors()) {
                    let stays = before.name().starts_with(frozen) && before.spec().is_trained;
                    let same = before.values() == after.values();
                    // The bias before a batch normalisation has no gradient to speak of.
                    let is_dead = before.name() == "dense1.bias";
                    assert!(same == stays || is_dead, "{frozen} frozen: {}", before.name());
                }
                let kept = Network::from_bytes(&trained.to_bytes().unwrap()).unwrap();
                assert_eq!(kept, trained);
                assert!(kept.tensors().iter().any(dnn_layers::Tensor::is_frozen));
            }
        }
    }
    // Nothing at all changes where everything is frozen, and the cost is that of the network.
    let mut all = start.clone();
    all.set_frozen("", true);
    let (same, history) = fit(&full(0.1, 2), &all, &examples);
    let trained = |it: &Network<f64>| it.tensors().iter().filter(|it| it.spec().is_trained).count();
    assert_eq!(trained(&same), trained(&all));
    assert!(history.costs().all(f64::is_finite));
    // A gradient without what is frozen is a part of the whole gradient.
    let cost = Cost::CategoricalCrossEntropy;
    let mut some = start.clone();
    some.set_frozen("dense1.", true);
    let whole = dnn_train::gradients(&start, &examples, cost).unwrap().1;
    let part = dnn_train::gradients(&some, &examples, cost).unwrap().1;
    for (tensor, (whole, part)) in some.tensors().iter().zip(whole.iter().zip(&part)) {
        assert!(if tensor.is_trained() { part == whole } else { part.is_empty() });
    }
    some.set_frozen("dense1.", false);
    assert_eq!(dnn_train::gradients(&some, &examples, cost).unwrap().1, whole);
}
