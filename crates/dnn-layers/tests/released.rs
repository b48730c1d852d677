//! Model files of released versions, which must be read for ever: `fixtures/v0.1` says how they were made.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::path::{Path, PathBuf};

use dnn_core::{Element, Features, Precision};
use dnn_kernels::KernelPath;
use dnn_layers::{AnyNetwork, BatchNorm, Dense, Dropout, Layer, ModelFile, Network};
use dnn_store::{Hasher, Scalar};
use ndarray::Array2;
use serde_json::{Value, json};

/// Examples that each model is given.
const EXAMPLES: usize = 3;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v0.1")
}

/// All layers in order, the last dense one included: activations are layers of their own, and the identity is none.
fn layers<T: Element>(network: &Network<T>) -> Vec<String> {
    let of = |layer: &Layer| match layer {
        Layer::Dense(Dense { units }) => format!("dense {units}"),
        Layer::BatchNorm(BatchNorm { momentum, epsilon }) => {
            format!("batch-norm {momentum} {epsilon}")
        }
        Layer::Dropout(Dropout { rate }) => format!("dropout {rate}"),
        Layer::Activation(activation) => activation.to_string(),
        other => unreachable!("no {} in 0.1", other.kind()),
    };
    network.layers().iter().map(of).collect()
}

/// SHA-256 over every number, little endian: layer by layer weights in rows, bias, and for batch normalisation
/// running means and variances.
fn parameters_sha256<T: Element + Scalar>(network: &Network<T>) -> String {
    let numbers = network.tensors().iter().flat_map(|tensor| tensor.values().to_owned());
    let mut hasher = Hasher::new();
    for number in numbers {
        hasher.update(&little_endian(number));
    }
    hasher.finish_hex()
}

fn little_endian<T: Element>(number: T) -> Vec<u8> {
    let number: f64 = number.into();
    match T::PRECISION {
        // No digit is lost: the number is one of these.
        Precision::F32 => f32::from_f64(number).to_le_bytes().to_vec(),
        Precision::F64 => number.to_le_bytes().to_vec(),
    }
}

/// What the network gives for inputs that are functions of their place alone, as the bits of `f64`.
fn outputs<T: Element + Scalar>(network: &Network<T>, pixels: bool) -> Vec<String> {
    let shape = (network.features(), EXAMPLES);
    let level = |(row, column): (usize, usize)| (row * 31 + column * 57) % 256;
    let levels = Array2::from_shape_fn(shape, |place| u8::try_from(level(place)).unwrap());
    let numbers = levels.mapv(|level| T::from_f64(f64::from(level) / 64.0 - 2.0));
    let x = if pixels { network.pixels(levels.view()) } else { Features::Real(numbers.view()) };
    let outputs = network.predict_outputs(&x).unwrap();
    let columns = outputs.columns().into_iter().flat_map(|column| column.to_vec());
    columns.map(|output| hex(output.into())).collect()
}

fn hex(number: f64) -> String {
    format!("{:016x}", number.to_bits())
}

fn number(bits: &Value) -> f64 {
    f64::from_bits(u64::from_str_radix(bits.as_str().unwrap(), 16).unwrap())
}

fn described<T: Element + Scalar>(network: &Network<T>) -> Value {
    let (input, scaling) = (network.input(), network.scaling());
    let bits = |numbers: &[f64]| numbers.iter().map(|&number| hex(number)).collect::<Vec<_>>();
    json!({
        "precision": T::PRECISION.to_string(),
        "input": [input.height, input.width, input.channels],
        "layers": layers(network),
        "head": network.head().to_string(),
        "classes": network.classes(),
        "scaling": [bits(scaling.mean()), bits(scaling.std_dev())],
        "provenance": network.provenance(),
        "parameters_sha256": parameters_sha256(network),
        "outputs_of_numbers": outputs(network, false),
        "outputs_of_pixels": outputs(network, true),
    })
}

/// What the network in a file is, and the same after it was written and read again.
fn read(path: &Path) -> [Value; 2] {
    match ModelFile::read(path).unwrap().network {
        AnyNetwork::F32(network) => both(&network),
        AnyNetwork::F64(network) => both(&network),
    }
}

fn both<T: Element + Scalar>(network: &Network<T>) -> [Value; 2] {
    let again = Network::<T>::from_bytes(&network.to_bytes().unwrap()).unwrap();
    assert_eq!(&again, network);
    [described(network), described(&again)]
}

/// On another path of the processor the last bits of outputs are others.
fn compare(found: &Value, expected: &Value, name: &str, same_path: bool) {
    for (key, expected) in expected.as_object().unwrap() {
        let found = &found[key];
        if same_path || !key.starts_with("outputs") {
            assert_eq!(found, expected, "{name}: {key}");
            continue;
        }
        let (found, expected) = (found.as_array().unwrap(), expected.as_array().unwrap());
        assert_eq!(found.len(), expected.len(), "{name}: {key}");
        for (found, expected) in found.iter().map(number).zip(expected.iter().map(number)) {
            let near = 1e-4 * expected.abs().max(1.0);
            assert!((found - expected).abs() <= near, "{name}: {key}: {found}, not {expected}");
        }
    }
}

#[test]
fn models_of_0_1_are_read_and_give_the_same_bits() {
    let text = std::fs::read_to_string(folder().join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let path = KernelPath::best().to_string();
    let same_path = expected["kernel_path"] == path.as_str();
    if !same_path {
        let made = &expected["kernel_path"];
        dnn_testing::skipped(format_args!("the last bits: files were made on {made}, not {path}"));
    }
    let models = expected["models"].as_object().unwrap();
    assert_eq!(models.len(), 9);
    for (name, expected) in models {
        for found in read(&folder().join(format!("{name}.dnn"))) {
            compare(&found, expected, name, same_path);
        }
    }
}
