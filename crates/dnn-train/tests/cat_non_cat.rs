//! The course's application, cat or not, from the seed alone: every cost, prediction and parameter.
//!
//! The pictures are not part of this repository. Set `DNN_TEST_DATA` to a folder with
//! `train_catvnoncat.h5` and `test_catvnoncat.h5`; without it the three runs say that they are
//! skipped.
#![allow(clippy::unwrap_used, reason = "a test may stop at a broken golden file")]

#[path = "support/cat_non_cat.rs"]
mod cat_non_cat;
mod support;

use cat_non_cat::{TEST, TRAIN, read};
use dnn_core::{Features, Initializer, Parameters, PixelScaling, RandomStream};
use dnn_core::{LayerParameters, initialize_parameters_deep};
use dnn_data::ImageDataset;
use dnn_train::{Batch, Cost, Examples, GramChoice, Trainer, course, evaluate, unobserved};
use ndarray::Array2;
use serde_json::Value;
use support::{integer, integers, labels, number, numbers};

/// How far costs and probabilities may be from those of NumPy, which sums in another order.
const CLOSE: f64 = 1e-8;
/// The same for sums over a parameter, relative to the sum of the absolute values.
const RELATIVE: f64 = 1e-9;

#[test]
fn four_layers_learn() {
    run("four_layer_12288_20_7_5_1", Initializer::InverseSqrt);
}

#[test]
fn two_layers_learn() {
    run("two_layer_12288_7_1", Initializer::Normal(0.01));
}

#[test]
fn four_layers_with_small_first_weights_do_not_learn() {
    run("four_layer_init_0.01", Initializer::Normal(0.01));
}

/// Repeats the golden run `name`, or says that it is skipped.
fn run(name: &str, rule: Initializer) {
    let Some(folder) = dnn_testing::folder_with(&[TRAIN, TEST]) else { return };
    let golden: Value =
        serde_json::from_str(include_str!("golden/c1w4a2_application.json")).unwrap();
    let runs = golden["training_runs"].as_array().unwrap();
    assert_eq!(runs.len(), 3, "as many golden runs as tests");
    let run = runs.iter().find(|run| run["name"] == name).unwrap();
    let (inputs, expected) = (&run["inputs"], &run["expected"]);
    let (train, test) = (read(&folder, TRAIN).unwrap(), read(&folder, TEST).unwrap());
    assert_eq!(train.labels(), labels(&expected["train_labels"]));
    assert_eq!(test.labels(), labels(&expected["test_labels"]));

    let dims = integers(&inputs["layer_dims"]);
    let stream = || RandomStream::numpy_legacy(1);
    assert_first(&initialize_parameters_deep(&dims, rule, &mut stream()).unwrap(), expected);
    let (parameters, costs) = course::l_layer_model(
        &features(&train),
        train.labels(),
        &dims,
        number(&inputs["learning_rate"]),
        integer(&inputs["num_iterations"]),
        rule,
        &mut stream(),
    )
    .unwrap();
    let every_100: Vec<f64> = costs.iter().copied().step_by(100).collect();
    assert_all_close(&every_100, &expected["costs_every_100"], "costs");
    assert_close(costs[2499], &expected["cost_iter_2499"], "last cost");
    assert_checksums(&parameters, &expected["final_param_checksum_sum_sumsq"]);
    assert_answers(parameters, &train, &test, expected);
    if name.starts_with("four_layer_1") {
        let costs = costs_by_weights(&train, &dims, inputs, rule);
        assert_all_close(&costs, &expected["costs_every_100"], "costs by weights");
    }
}

/// The same costs by the weights of the first layer; the course's function takes the products of the
/// pictures.
fn costs_by_weights(
    train: &ImageDataset,
    dims: &[usize],
    inputs: &Value,
    rule: Initializer,
) -> Vec<f64> {
    let first = initialize_parameters_deep(dims, rule, &mut RandomStream::numpy_legacy(1)).unwrap();
    let mut network = course::network_of::<f64>(first).unwrap();
    let examples = Examples::classes(features(train), train.labels());
    let by_products = Trainer {
        learning_rate: number(&inputs["learning_rate"]),
        epochs: integer(&inputs["num_iterations"]),
        batch: Batch::Full,
        ..Trainer::default()
    };
    assert!(by_products.gram_plan(&network, examples.len(), 0).unwrap().taken);
    let trainer = Trainer { gram: GramChoice::Never, ..by_products };
    let history = trainer.fit(&mut network, &examples, None, &mut unobserved).unwrap();
    history.costs().step_by(100).collect()
}

fn features(pictures: &ImageDataset) -> Features<'_, f64> {
    Features::Pixels { values: pictures.pixels(), scaling: PixelScaling::default() }
}

/// Costs, accuracies, predictions and probabilities of the trained network.
fn assert_answers(
    parameters: Parameters<f64>,
    train: &ImageDataset,
    test: &ImageDataset,
    expected: &Value,
) {
    let network = course::network_of(parameters).unwrap();
    for (pictures, part, cost) in
        [(train, "train", "cost_after_2500_updates"), (test, "test", "test_cost")]
    {
        let x = features(pictures);
        let examples = Examples::classes(x, pictures.labels());
        let found = evaluate(&network, &examples, Cost::BinaryCrossEntropy).unwrap();
        assert_close(found.cost, &expected[cost], cost);
        let accuracy = number(&expected[format!("{part}_accuracy")]);
        assert_eq!(found.accuracy(), Some(accuracy), "{part} accuracy");
        assert_eq!(
            network.predict(&x).unwrap(),
            integers(&expected[format!("{part}_predictions")]),
            "{part} predictions"
        );
    }
    let probabilities = network.predict_probabilities(&features(test)).unwrap();
    let cat = probabilities.row(1).to_vec();
    assert_all_close(&cat, &expected["test_probabilities"], "test probabilities");
}

/// The first parameters: five of each array, and their checksums.
#[track_caller]
fn assert_first(first: &Parameters<f64>, expected: &Value) {
    for (name, values) in arrays(first) {
        let expected = numbers(&expected["init_first5_rowmajor"][&name]);
        assert!(!expected.is_empty(), "{name}");
        for (found, expected) in values.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-14, "{name}: {found}");
        }
    }
    assert_checksums(first, &expected["init_checksum_sum_sumsq"]);
}

/// The sum and the sum of squares of every weight matrix and bias.
#[track_caller]
fn assert_checksums(parameters: &Parameters<f64>, expected: &Value) {
    let arrays = arrays(parameters);
    assert_eq!(arrays.len(), expected.as_object().unwrap().len());
    for (name, values) in arrays {
        let expected = numbers(&expected[&name]);
        // Terms of a sum cancel, so that its own size says nothing about its rounding.
        let scale: f64 = values.iter().map(|value| value.abs()).sum();
        let squares: f64 = values.iter().map(|value| value * value).sum();
        for (found, expected, scale) in
            [(values.sum(), expected[0], scale), (squares, expected[1], squares)]
        {
            let apart = (found - expected).abs();
            assert!(apart <= RELATIVE * scale, "{name}: {found}, {apart:e} apart of {scale}");
        }
    }
}

/// `W1, b1, W2, …` with their names.
fn arrays(parameters: &Parameters<f64>) -> Vec<(String, &Array2<f64>)> {
    (1..)
        .zip(&parameters.layers)
        .flat_map(|(l, LayerParameters { weights, bias }): (usize, _)| {
            [(format!("W{l}"), weights), (format!("b{l}"), bias)]
        })
        .collect()
}

#[track_caller]
fn assert_close(found: f64, expected: &Value, what: &str) {
    let apart = (found - number(expected)).abs();
    assert!(apart <= CLOSE, "{what}: {found}, {apart:e} apart");
}

#[track_caller]
fn assert_all_close(found: &[f64], expected: &Value, what: &str) {
    let expected = expected.as_array().unwrap();
    assert_eq!(found.len(), expected.len(), "{what}");
    assert!(!found.is_empty(), "{what}");
    for (index, (&found, expected)) in found.iter().zip(expected).enumerate() {
        assert_close(found, expected, &format!("{what}, number {index}"));
    }
}
