//! Reading golden files.
#![allow(dead_code, reason = "each test crate uses the part it needs")]

use dnn_core::{LayerParameters, Parameters};
use ndarray::Array2;
use serde_json::Value;

/// A matrix, given as a list of rows.
pub(crate) fn matrix(value: &Value) -> Array2<f64> {
    let rows = value.as_array().expect("a list of rows");
    let columns = rows[0].as_array().expect("a row").len();
    let numbers = rows.iter().flat_map(|row| row.as_array().expect("a row")).map(number);
    Array2::from_shape_vec((rows.len(), columns), numbers.collect()).expect("rows of one length")
}

/// A number, or `"inf"`.
pub(crate) fn number(value: &Value) -> f64 {
    match value.as_str() {
        Some("inf") => f64::INFINITY,
        _ => value.as_f64().expect("a number"),
    }
}

/// A list of numbers.
pub(crate) fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().expect("a list").iter().map(number).collect()
}

/// A whole number.
pub(crate) fn integer<I: TryFrom<u64>>(value: &Value) -> I {
    let integer = value.as_u64().expect("a whole number");
    I::try_from(integer).ok().expect("a number that fits")
}

/// A list of whole numbers.
pub(crate) fn integers(value: &Value) -> Vec<usize> {
    value.as_array().expect("a list").iter().map(integer).collect()
}

/// Labels of 0 and 1, given as one row or as a plain list.
pub(crate) fn labels(value: &Value) -> Vec<u32> {
    let list = match &value[0] {
        Value::Array(row) => row,
        _ => value.as_array().expect("a list"),
    };
    list.iter().map(|v| u32::from(number(v) == 1.0)).collect()
}

/// `W1, b1, W2, …` (or `dW1, db1, …` with the prefix `d`).
pub(crate) fn parameters(value: &Value, prefix: &str) -> Parameters<f64> {
    let layer = |l: usize| {
        let weights = value.get(format!("{prefix}W{l}"))?;
        Some(LayerParameters {
            weights: matrix(weights),
            bias: matrix(&value[format!("{prefix}b{l}")]),
        })
    };
    Parameters { layers: (1..).map_while(layer).collect() }
}

/// The largest absolute difference of two matrices of one shape.
#[track_caller]
pub(crate) fn assert_close(found: &Array2<f64>, expected: &Array2<f64>, limit: f64, what: &str) {
    assert_eq!(found.dim(), expected.dim(), "{what}");
    let apart = (found - expected).fold(0.0_f64, |a, d| a.max(d.abs()));
    assert!(apart <= limit, "{what}: {apart:e} apart");
}

/// Compares all weights and biases.
#[track_caller]
pub(crate) fn assert_parameters(
    found: &Parameters<f64>,
    expected: &Parameters<f64>,
    limit: f64,
    what: &str,
) {
    assert_eq!(found.layers.len(), expected.layers.len(), "{what}");
    assert!(!found.layers.is_empty(), "{what}");
    for (l, (found, expected)) in found.layers.iter().zip(&expected.layers).enumerate() {
        assert_close(&found.weights, &expected.weights, limit, &format!("{what} W{}", l + 1));
        assert_close(&found.bias, &expected.bias, limit, &format!("{what} b{}", l + 1));
    }
}
