//! The metrics against scikit-learn's, and at their edges.
#![allow(clippy::unwrap_used, reason = "a test may stop at a broken golden file")]

use crate::support::{integers, matrix, number, numbers};
use dnn_train::metrics;
use ndarray::{Array2, array};
use serde_json::Value;

const CLOSE: f64 = 1e-12;

#[track_caller]
fn assert_near(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() <= CLOSE, "{what}: {found}, expected {expected}");
}

/// An area, or none where the golden file has null.
#[track_caller]
fn assert_area(found: Option<f64>, expected: &Value) {
    assert_eq!(found.is_none(), expected.is_null(), "{found:?}, expected {expected}");
    if let Some(found) = found {
        assert_near(found, number(expected), "area");
    }
}

#[test]
fn every_number_is_that_of_scikit_learn() {
    let golden: Value =
        serde_json::from_str(include_str!("../golden/sklearn_metrics.json")).unwrap();
    let cases = golden["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 9);
    for case in cases {
        let labels: Vec<u32> =
            integers(&case["labels"]).into_iter().map(|label| label.try_into().unwrap()).collect();
        let found = metrics(matrix(&case["probabilities"]).view(), &labels).unwrap();
        for (value, key) in [
            (found.accuracy, "accuracy"),
            (found.log_loss, "log_loss"),
            (found.brier, "brier"),
            (found.calibration_error, "calibration_error"),
        ] {
            assert_near(value, number(&case[key]), key);
        }
        assert_area(found.roc_auc, &case["roc_auc"]);
        for (average, key) in
            [(found.macro_average, "macro_average"), (found.weighted_average, "weighted_average")]
        {
            assert_near(average.precision, number(&case[key]["precision"]), key);
            assert_near(average.recall, number(&case[key]["recall"]), key);
            assert_near(average.f1, number(&case[key]["f1"]), key);
        }
        let [precision, recall, f1] = ["precision", "recall", "f1"].map(|key| numbers(&case[key]));
        let support = integers(&case["support"]);
        assert_eq!(found.classes.len(), support.len());
        for (k, class) in found.classes.iter().enumerate() {
            assert_near(class.precision, precision[k], "precision");
            assert_near(class.recall, recall[k], "recall");
            assert_near(class.f1, f1[k], "f1");
            assert_area(class.roc_auc, &case["roc_auc_of_each"][k]);
            assert_eq!(class.support, support[k]);
        }
        let confusion: Vec<Vec<usize>> =
            case["confusion"].as_array().unwrap().iter().map(integers).collect();
        assert_eq!(found.confusion, confusion);
        let counted: usize = found.reliability.iter().map(|bin| bin.examples).sum();
        assert_eq!((counted, found.reliability.len()), (labels.len(), 10));
    }
}

#[test]
fn a_class_that_does_not_occur_pulls_no_average_down() {
    // The first of four classes has no example and is no answer; everything is right.
    let probabilities = Array2::from_shape_fn((4, 6), |(k, j)| f64::from(u8::from(k == 1 + j % 3)));
    let found = metrics(probabilities.view(), &[1, 2, 3, 1, 2, 3]).unwrap();
    let average = found.macro_average;
    assert_eq!((average.precision, average.recall, average.f1), (1.0, 1.0, 1.0));
    assert_eq!(found.weighted_average, average);
    assert_eq!((found.roc_auc, found.classes[0].roc_auc), (Some(1.0), None));
    // As an answer it counts: of three right and three wrong answers, a mean over four classes.
    let found = metrics(
        Array2::from_shape_fn((4, 6), |(k, j)| f64::from(u8::from(k == [1, 2, 3, 0, 0, 0][j])))
            .view(),
        &[1, 2, 3, 1, 2, 3],
    )
    .unwrap();
    assert_eq!(found.macro_average.precision, 0.75);
    assert_eq!(found.macro_average.recall, 0.375);
}

#[test]
fn classes_without_examples_and_sure_answers_are_no_trouble() {
    // All of class 0, all sure, one of them wrong.
    let probabilities = array![[1.0_f32, 1.0, 0.0], [0.0, 0.0, 1.0], [0.0, 0.0, 0.0]];
    let found = metrics(probabilities.view(), &[0, 0, 0]).unwrap();
    assert_eq!(found.confusion, [[2, 1, 0], [0, 0, 0], [0, 0, 0]]);
    let all: f64 = -f64::EPSILON.ln() / 3.0;
    assert!((found.log_loss - all).abs() < 1e-6, "{}", found.log_loss);
    assert_eq!((found.roc_auc, found.classes[2].f1), (None, 0.0));
}

#[test]
fn what_is_no_probability_is_refused() {
    let message = |probabilities: Array2<f64>, labels: &[u32]| {
        metrics(probabilities.view(), labels).unwrap_err().to_string()
    };
    let good = || array![[0.5, 0.25], [0.5, 0.75]];
    assert!(message(Array2::zeros((2, 0)), &[]).contains("at least"));
    assert!(message(Array2::zeros((0, 1)), &[0]).ends_with("at least one class, found none"));
    assert_eq!(message(good(), &[0]), "labels: expected shape (1, 2), found (1, 1)");
    assert_eq!(
        message(good(), &[0, 2]),
        "labels: expected numbers below that of the classes, found 2"
    );
    assert_eq!(
        message(array![[1.5], [0.0]], &[0]),
        "probabilities: expected numbers from 0 to 1, found 1.5"
    );
    assert!(message(array![[f64::NAN], [0.0]], &[0]).ends_with("found NaN"));
}
