//! Temperatures: what they mend, and that they ruin nothing where there is little to go by.
#![allow(clippy::unwrap_used, reason = "what is made here is well-formed")]

use crate::pairs::Pairs;
use dnn_core::{Features, Initializer, Purpose, RandomStream, Shape};
use dnn_layers::Network;
use dnn_train::{Examples, Metrics, fit_temperature, metrics};
use ndarray::{Array2, array};

/// A network of one input `x` whose logits are `0, slope x`; by one output, or by three of which the last is
/// never likely.
fn logistic(slope: f64, outputs: usize) -> Network<f64> {
    let builder = Network::<f64>::builder(Shape::flat(1)).initializer(Initializer::Zeros);
    let builder = match outputs {
        1 => builder.classes(["no", "yes"]),
        _ => builder.classes(["no", "yes", "never"]),
    };
    let mut network = builder.build(&mut RandomStream::new(0, Purpose::Initialization, 0)).unwrap();
    let mut only = network.pairs_mut().next().unwrap();
    only.weights[(usize::from(outputs > 1), 0)] = slope;
    if outputs > 1 {
        only.bias[(2, 0)] = -1e6;
    }
    network
}

/// Examples whose second class has the probability `1 / (1 + exp(-x))`.
fn drawn(m: usize, number: u64) -> (Array2<f64>, Vec<u32>) {
    let mut draws = RandomStream::new(3, Purpose::Data, number);
    let x = Array2::from_shape_simple_fn((1, m), || 2.0 * draws.normal());
    // A logistic number is above -x with that probability.
    let labels = x.iter().map(|x| {
        let u = draws.uniform();
        u32::from((u / (1.0 - u)).ln() > -x)
    });
    let labels = labels.collect();
    (x, labels)
}

fn measured(network: &Network<f64>, x: &Array2<f64>, labels: &[u32]) -> Metrics {
    let probabilities = network.predict_probabilities(&Features::Real(x.view())).unwrap();
    metrics(probabilities.view(), labels).unwrap()
}

#[test]
fn a_network_that_is_too_sure_becomes_as_sure_as_it_is_right() {
    let ((x, labels), (others, of_others)) = (drawn(3000, 0), drawn(3000, 1));
    for slope in [3.0, 1.0 / 3.0] {
        let mut network = logistic(slope, 1);
        let before = measured(&network, &others, &of_others);
        let examples = Examples::classes(Features::Real(x.view()), &labels);
        let temperature = fit_temperature(&network, &examples).unwrap().unwrap();
        assert!((temperature / slope - 1.0).abs() < 0.15, "{slope}: {temperature}");
        network.apply_temperature(temperature).unwrap();
        let after = measured(&network, &others, &of_others);
        assert!(after.log_loss < before.log_loss - 0.03, "{slope}: {}", after.log_loss);
        assert!(
            after.calibration_error < before.calibration_error / 2.0,
            "{slope}: {} and {}",
            before.calibration_error,
            after.calibration_error
        );
        assert_eq!(after.confusion, before.confusion);
    }
}

#[test]
fn one_logit_and_several_have_one_temperature() {
    let (x, labels) = drawn(200, 2);
    let examples = Examples::classes(Features::Real(x.view()), &labels);
    let [one, several] =
        [1, 3].map(|outputs| fit_temperature(&logistic(2.0, outputs), &examples).unwrap().unwrap());
    assert!((one - several).abs() < 1e-12, "{one} and {several}");
}

#[test]
fn where_nothing_is_wrong_there_is_no_temperature() {
    let x = array![[-3.0, -0.1, 0.1, 3.0]];
    for outputs in [1, 3] {
        let network = logistic(1.0, outputs);
        let of = |labels: &[u32]| {
            fit_temperature(&network, &Examples::classes(Features::Real(x.view()), labels)).unwrap()
        };
        assert_eq!(of(&[0, 0, 1, 1]), None);
        // Three in four right, the wrong one by little: it would be endlessly sure, but for the penalty.
        let one_wrong = of(&[0, 1, 1, 1]).unwrap();
        assert!((0.8..1.0).contains(&one_wrong), "{one_wrong}");
        // All wrong: less sure, whatever it costs.
        let all_wrong = of(&[1, 1, 0, 0]).unwrap();
        assert!((1.0..1.5).contains(&all_wrong), "{all_wrong}");
        // Logits that are all equal say nothing about a temperature.
        let same = fit_temperature(
            &logistic(0.0, outputs),
            &Examples::classes(Features::Real(x.view()), &[1, 1, 0, 0]),
        );
        assert_eq!(same.unwrap(), Some(1.0));
    }
}

#[test]
fn a_few_examples_move_a_temperature_little_and_many_all_the_way() {
    // One in eight wrong by a hair: the log loss alone falls to a temperature far below 1.
    let temperature = |times: usize| {
        let x =
            Array2::from_shape_fn((1, 8 * times), |(_, j)| if j % 8 == 0 { -0.01 } else { 2.0 });
        let labels = vec![1; 8 * times];
        let examples = Examples::classes(Features::Real(x.view()), &labels);
        fit_temperature(&logistic(1.0, 1), &examples).unwrap().unwrap()
    };
    let found = [1, 10, 100, 1000].map(temperature);
    assert!(found.is_sorted_by(|a, b| a > b), "{found:?}");
    assert!(found[0] > 0.9 && found[3] < 0.35, "{found:?}");
}
