//! The legacy generator against vectors drawn with NumPy 2.4 itself.

#![allow(clippy::unwrap_used, reason = "a test may stop at a broken golden file")]

use dnn_core::{Mt19937, RandomStream};
use rand::Rng;
use serde_json::Value;

fn golden() -> Value {
    serde_json::from_str(include_str!("golden/rng_numpy_legacy.json")).unwrap()
}

fn floats(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

fn close(found: &[f64], expected: &[f64]) -> bool {
    found.len() == expected.len()
        && found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-15 * b.abs().max(1.0))
}

#[test]
fn words_uniforms_normals_and_permutations_are_numpys() {
    let golden = golden();
    let streams = golden["streams"].as_array().unwrap();
    assert!(!streams.is_empty());
    for case in streams {
        let seed = u32::try_from(case["seed"].as_u64().unwrap()).unwrap();
        let mut words = Mt19937::new(seed);
        for expected in case["mt19937_first8_u32"].as_array().unwrap() {
            assert_eq!(u64::from(words.next_u32()), expected.as_u64().unwrap());
        }
        let mut stream = RandomStream::numpy_legacy(seed);
        let uniform: Vec<f64> = (0..8).map(|_| stream.uniform()).collect();
        assert_eq!(uniform, floats(&case["rand_first8"]));
        let mut stream = RandomStream::numpy_legacy(seed);
        let normal: Vec<f64> = (0..9).map(|_| stream.normal()).collect();
        assert!(close(&normal, &floats(&case["randn_first9"])), "{seed}: {normal:?}");
        let order: Vec<f64> =
            RandomStream::numpy_legacy(seed).permutation(10).iter().map(|&i| i as f64).collect();
        assert_eq!(order, floats(&case["permutation_10"]));
        // randn(3), rand(2), randn(2): the spare normal number survives the uniform draws.
        let mut stream = RandomStream::numpy_legacy(seed);
        let mut mixed: Vec<f64> = (0..3).map(|_| stream.normal()).collect();
        mixed.extend([stream.uniform(), stream.uniform()]);
        mixed.extend([stream.normal(), stream.normal()]);
        assert!(close(&mixed, &floats(&case["mixed_randn3_rand2_randn2"])), "{seed}: {mixed:?}");
    }
}

#[test]
fn a_quarter_million_normals_keep_numpys_sums() {
    let golden = golden();
    let expected = &golden["randn_seed1_first_245760"];
    let mut stream = RandomStream::numpy_legacy(1);
    let drawn: Vec<f64> = (0..245_760).map(|_| stream.normal()).collect();
    let sum: f64 = drawn.iter().sum();
    let squares: f64 = drawn.iter().map(|x| x * x).sum();
    assert!((sum - expected["sum"].as_f64().unwrap()).abs() < 1e-9, "{sum}");
    assert!((squares - expected["sumsq"].as_f64().unwrap()).abs() < 1e-8, "{squares}");
    assert!(close(&drawn[245_755..], &floats(&expected["last5"])));
}
