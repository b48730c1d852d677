//! Every published training run on points in the plane and on random inputs, from the seed alone.
#![allow(clippy::unwrap_used, reason = "a test may stop at a broken golden file")]

use std::ops::ControlFlow;

use crate::support::{
    assert_parameters, integer, integers, labels, matrix, number, numbers, parameters,
};
use dnn_core::{Features, Initializer, Parameters, RandomStream, initialize_parameters_deep};
use dnn_train::{Batch, BatchOrder, Cost, Event, Examples, Trainer, course, evaluate, unobserved};
use ndarray::Array2;
use serde_json::Value;

const CURVE: f64 = 1e-8;

fn golden(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Points of `datasets_2d.json`.
fn points(name: &str) -> (Array2<f64>, Vec<u32>) {
    let data = golden(include_str!("../golden/datasets_2d.json"));
    (matrix(&data[name]["X"]), labels(&data[name]["Y"]))
}

fn accuracy(parameters: &Parameters<f64>, x: &Array2<f64>, labels: &[u32]) -> f64 {
    let network = course::network_of(parameters.clone()).unwrap();
    let examples = Examples::classes(Features::Real(x.view()), labels);
    evaluate(&network, &examples, Cost::BinaryCrossEntropy).unwrap().accuracy().unwrap()
}

#[track_caller]
fn assert_curve(costs: &[f64], expected: &Value, name: &str) {
    let expected = expected.as_object().unwrap();
    assert!(expected.len() >= 3, "{name}");
    for (iteration, cost) in expected {
        let found = costs[iteration.parse::<usize>().unwrap()];
        let apart = (found - number(cost)).abs();
        assert!(apart <= CURVE, "{name} at {iteration}: {found}, {apart:e} apart");
    }
}

#[test]
fn two_and_three_iterations_of_an_l_layer_model() {
    let golden = golden(include_str!("../golden/c1w4a2_application.json"));
    let cases = golden["small_end_to_end_cases"].as_array().unwrap();
    assert_eq!(cases.len(), 2);
    for case in cases {
        let (inputs, expected) = (&case["inputs"], &case["expected"]);
        let mut draws = RandomStream::numpy_legacy(1);
        let x = Array2::from_shape_simple_fn((10, 10), || draws.normal());
        crate::support::assert_close(&x, &matrix(&inputs["X"]), 1e-12, "X");
        let labels = labels(&inputs["Y"]);
        let dims = integers(&inputs["layer_dims"]);
        let rate = number(&inputs["learning_rate"]);
        let iterations = integer(&inputs["num_iterations"]);
        let (found, costs) = course::l_layer_model(
            &Features::Real(x.view()),
            &labels,
            &dims,
            rate,
            iterations,
            Initializer::InverseSqrt,
            &mut RandomStream::numpy_legacy(1),
        )
        .unwrap();
        for (cost, expected) in costs.iter().zip(numbers(&expected["costs_each_iteration"])) {
            assert!((cost - expected).abs() <= 1e-9, "{cost} {expected}");
        }
        assert_parameters(&found, &parameters(&expected["parameters"], ""), 1e-9, "parameters");
        let network = course::network_of(found).unwrap();
        let examples = Examples::classes(Features::Real(x.view()), &labels);
        let after = evaluate(&network, &examples, Cost::BinaryCrossEntropy).unwrap().cost;
        assert!((after - number(&expected["cost_after_last_update"])).abs() <= 1e-9);
    }
}

/// The initialisation runs on circles.
#[test]
fn circles_under_five_initializations() {
    let golden = golden(include_str!("../golden/c2w1_initialization.json"));
    let (train, test) =
        (points("make_circles_train300_seed1"), points("make_circles_test100_seed2"));
    let runs = golden["training_runs"].as_array().unwrap();
    assert_eq!(runs.len(), 5);
    for run in runs {
        let name = run["name"].as_str().unwrap();
        let (inputs, expected) = (&run["inputs"], &run["expected"]);
        let rule = match name {
            "zeros" => Initializer::Zeros,
            "random10" => Initializer::Normal(10.0),
            "he" => Initializer::HeNormal,
            "small_0.01" => Initializer::Normal(0.01),
            "xavier_1/n" => Initializer::LeCunNormal,
            other => panic!("a golden run without a test: {other}"),
        };
        let dims = integers(&inputs["layer_dims"]);
        let stream = || RandomStream::numpy_legacy(3);
        let first: Parameters<f64> =
            initialize_parameters_deep(&dims, rule, &mut stream()).unwrap();
        assert_parameters(&first, &parameters(&inputs["init_parameters"], ""), 1e-12, name);
        let rate = number(&inputs["learning_rate"]);
        let iterations = integer(&inputs["num_iterations"]);
        let x = Features::Real(train.0.view());
        let (found, costs) =
            course::l_layer_model(&x, &train.1, &dims, rate, iterations, rule, &mut stream())
                .unwrap();
        // Chaotic: merely reordering a sum moves its costs by 4e-3, so its accuracies alone.
        if name != "random10" {
            assert_curve(&costs, &expected["costs_every_1000"], name);
        }
        for (part, key) in [(&train, "train_accuracy"), (&test, "test_accuracy")] {
            let found = accuracy(&found, &part.0, &part.1);
            assert!((found - number(&expected[key])).abs() < 1e-12, "{name} {key}: {found}");
        }
    }
}

/// The football runs, without regularisation and with L2.
#[test]
fn football_with_and_without_l2() {
    let golden = golden(include_str!("../golden/c2w1_regularization.json"));
    let runs = golden["training_runs"].as_array().unwrap();
    assert_eq!(runs.len(), 2);
    let (train, test) = (points("football_train211"), points("football_test200"));
    let examples = Examples::classes(Features::Real(train.0.view()), &train.1);
    for run in runs {
        let (inputs, expected) = (&run["inputs"], &run["expected"]);
        let dims = integers(&inputs["layer_dims"]);
        let mut stream = RandomStream::numpy_legacy(3);
        let first =
            initialize_parameters_deep(&dims, Initializer::InverseSqrt, &mut stream).unwrap();
        let mut network = course::network_of(first).unwrap();
        let trainer = Trainer {
            learning_rate: number(&inputs["learning_rate"]),
            l2: number(&inputs["lambda"]),
            batch: Batch::Full,
            epochs: integer(&inputs["num_iterations"]),
            ..Trainer::default()
        };
        let history = trainer.fit(&mut network, &examples, None, &mut unobserved).unwrap();
        let costs: Vec<f64> = history.costs().collect();
        let name = run["name"].as_str().unwrap();
        assert_curve(&costs, &expected["costs"], name);
        for (part, key) in [(&train, "train_accuracy"), (&test, "test_accuracy")] {
            let found = accuracy(&network.dense_parameters(), &part.0, &part.1);
            assert!((found - number(&expected[key])).abs() < 1e-12, "{name} {key}: {found}");
        }
    }
}

/// Mini-batch gradient descent on moons: the published cost is that of an epoch's last batch.
#[test]
fn moons_by_mini_batches() {
    let golden = golden(include_str!("../golden/c2w2_optimization.json"));
    let runs = golden["training_runs"].as_array().unwrap();
    assert_eq!(runs.len(), 1);
    let run = &runs[0];
    let (inputs, expected) = (&run["inputs"], &run["expected"]);
    let (x, labels) = points("make_moons_300_noise02_seed3");
    let examples = Examples::classes(Features::Real(x.view()), &labels);
    let dims = integers(&inputs["layer_dims"]);
    let mut stream = RandomStream::numpy_legacy(3);
    let first = initialize_parameters_deep(&dims, Initializer::HeNormal, &mut stream).unwrap();
    let mut network = course::network_of(first).unwrap();
    let size: usize = integer(&inputs["mini_batch_size"]);
    let trainer = Trainer {
        learning_rate: number(&inputs["learning_rate"]),
        batch: Batch::Size(size.try_into().unwrap()),
        epochs: integer(&inputs["epochs"]),
        // The course re-seeds with 10 + 1 + epoch, its epochs counted from 0.
        order: Some(BatchOrder::new(|epoch, columns| {
            RandomStream::numpy_legacy(u32::try_from(10 + epoch).unwrap()).shuffle(columns);
        })),
        ..Trainer::default()
    };
    let mut last_batch = Vec::new();
    let history = trainer
        .fit(&mut network, &examples, Some(&examples), &mut |event| {
            match event {
                Event::Step { batch: 1, cost, .. } => last_batch.push(cost),
                Event::Step { cost, .. } => *last_batch.last_mut().unwrap() = cost,
                _ => {}
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_curve(&last_batch, &expected["last_minibatch_cost_every_1000_epochs"], "moons");
    let whole: Vec<f64> =
        history.epochs.iter().map(|epoch| epoch.validation.as_ref().unwrap().cost).collect();
    assert_curve(&whole, &expected["full_data_cost_after_that_epoch"], "moons, all points");
    let found = evaluate(&network, &examples, Cost::BinaryCrossEntropy).unwrap();
    let expected = number(&expected["train_accuracy"]);
    assert!((found.accuracy().unwrap() - expected).abs() < 1e-12);
}
