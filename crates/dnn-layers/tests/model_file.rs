//! Model files: what goes in comes out, and nothing else gets in.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeMap;
use std::panic::catch_unwind;

use dnn_core::{Features, PixelScaling, Purpose, RandomStream, Shape};
use dnn_layers::{
    Activation, AnyNetwork, BatchNorm, Dense, Dropout, Flatten, Layer, ModelFile, Network,
    NetworkBuilder, NetworkError, Preprocessing, Provenance,
};
use dnn_store::{DType, Format, Hasher, Record, Tensor, Values};
use ndarray::Array2;
use serde::Serialize;

fn network() -> Network<f32> {
    let mut network = Network::<f32>::builder(Shape::picture(2, 1, 3))
        .hidden(&[2], Activation::LeakyRelu(0.1))
        .classes(["cat", "dog", "übrig"])
        .scaling(PixelScaling::per_channel(&[0.4, 0.5, 0.6], &[0.2, 0.3, 0.25]).unwrap())
        .build(&mut RandomStream::new(1, Purpose::Initialization, 0))
        .unwrap();
    network.set_provenance(Provenance {
        software: "dnn 0.1.0".to_owned(),
        kernel_path: "test".to_owned(),
        data_sha256: "00".repeat(32),
        seed: 1,
        settings: BTreeMap::from([("epochs".to_owned(), "3".to_owned())]),
    });
    network
}

/// Makes the digest of a changed file right again, so that later checks are reached.
fn repair(bytes: &mut [u8]) {
    let mut hasher = Hasher::new();
    hasher.update(&bytes[..30]);
    hasher.update(&bytes[62..]);
    bytes[30..62].copy_from_slice(&hasher.finish());
}

#[test]
fn what_goes_in_comes_out_to_the_last_bit() {
    let mut network = network();
    network.tensor_mut("dense1.weights").unwrap()[(0, 0)] = -0.0;
    network.tensor_mut("dense1.weights").unwrap()[(0, 1)] = f32::MIN_POSITIVE / 2.0;
    let bytes = network.to_bytes().unwrap();
    let read = Network::<f32>::from_bytes(&bytes).unwrap();
    assert_eq!(read, network);
    assert_eq!(read.to_bytes().unwrap(), bytes);
    assert_eq!(read.tensor("dense1.weights").unwrap()[(0, 0)].to_bits(), (-0.0_f32).to_bits());
    let x = Array2::from_elem((6, 2), 0.5);
    let features = Features::Real(x.view());
    assert_eq!(
        read.predict_probabilities(&features).unwrap(),
        network.predict_probabilities(&features).unwrap()
    );
}

#[test]
fn saving_replaces_a_file_and_loading_names_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.dnn");
    std::fs::write(&path, "something else").unwrap();
    let error = Network::<f32>::load(&path).unwrap_err().to_string();
    assert!(error.contains("model.dnn"), "{error}");
    network().save(&path).unwrap();
    let file = ModelFile::read(&path).unwrap();
    assert_eq!(file.sha256, dnn_store::sha256_hex(&network().to_bytes().unwrap()));
    assert_eq!(file.network, AnyNetwork::F32(network()));
    assert_eq!(Network::<f32>::load(&path).unwrap(), network());
    let error = Network::<f32>::load(folder.path().join("none.dnn")).unwrap_err();
    assert!(error.to_string().contains("none.dnn"), "{error}");
    let error = network().save(folder.path().join("no/such/model.dnn")).unwrap_err();
    assert!(error.to_string().contains("no/such"), "{error}");
}

#[test]
fn the_other_precision_is_refused_by_name() {
    let bytes = network().to_bytes().unwrap();
    let error = Network::<f64>::from_bytes(&bytes).unwrap_err().to_string();
    assert_eq!(error, "expected a model in f64, found one in f32");
}

#[test]
fn a_file_cut_at_any_byte_is_refused() {
    let bytes = network().to_bytes().unwrap();
    for length in 0..bytes.len() {
        let outcome = catch_unwind(|| Network::<f32>::from_bytes(&bytes[..length]).unwrap_err());
        let error = outcome.unwrap_or_else(|_| panic!("panic at length {length}"));
        assert!(!error.to_string().is_empty());
    }
}

#[test]
fn a_file_with_any_bit_flipped_is_refused_and_never_a_panic_even_with_its_hash_repaired() {
    let bytes = network().to_bytes().unwrap();
    let mut accepted = 0;
    for bit in 0..8 * bytes.len() {
        let mut flipped = bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let outcome = catch_unwind(|| Network::<f32>::from_bytes(&flipped).unwrap_err());
        let error = outcome.unwrap_or_else(|_| panic!("panic or accepted: bit {bit}"));
        assert!(matches!(error, NetworkError::Store(_)), "bit {bit}: {error}");
        repair(&mut flipped);
        let outcome = catch_unwind(|| Network::<f32>::from_bytes(&flipped))
            .unwrap_or_else(|_| panic!("panic: bit {bit} with the hash repaired"));
        if let Ok(network) = outcome {
            accepted += 1;
            let tensors = network.tensors();
            assert!(tensors.iter().all(|tensor| tensor.values().iter().all(|w| w.is_finite())));
        }
    }
    // With a right hash a changed weight, letter or seed is a valid network of its own.
    assert!(accepted > 0);
}

/// As a larger change than a bit: bytes set, runs copied, pieces cut out, all with a right hash.
#[test]
fn twenty_thousand_changes_with_a_repaired_hash_never_panic() {
    let bytes = network().to_bytes().unwrap();
    let mut draws = RandomStream::new(11, Purpose::Data, 0);
    let mut below = |bound: usize| draws.up_to(u32::try_from(bound - 1).unwrap()) as usize;
    for change in 0..20_000 {
        let mut changed = bytes.clone();
        for _ in 0..=below(4) {
            let (from, to) = (below(changed.len() - 8), below(changed.len() - 8));
            match below(4) {
                0 => changed[to] = u8::try_from(below(256)).unwrap(),
                // Lengths as bincode and the header write them.
                1 => changed[to..to + 8].fill(0xff),
                2 => changed.copy_within(from..from + 8, to),
                _ => drop(changed.drain(to.max(62)..(to + below(8)).max(62))),
            }
        }
        repair(&mut changed);
        let outcome = catch_unwind(|| Network::<f32>::from_bytes(&changed).is_ok());
        assert!(outcome.is_ok(), "panic at change {change}");
    }
}

#[test]
fn parts_that_do_not_fit_one_another_name_the_layer() {
    // The same file with the units of its one hidden layer changed from 2 to 3 in the metadata.
    let bytes = network().to_bytes().unwrap();
    let mut errors = Vec::new();
    for position in 62..bytes.len() {
        if bytes[position] == 2 {
            let mut changed = bytes.clone();
            changed[position] = 3;
            repair(&mut changed);
            if let Err(error) = Network::<f32>::from_bytes(&changed) {
                errors.push(error.to_string());
            }
        }
    }
    let expected = "dense1.weights: expected shape (3, 6), found (2, 6)";
    assert!(errors.iter().any(|error| error == expected), "{errors:#?}");
}

/// Written by version 0.1.0; it must load for ever.
#[test]
fn the_first_file_of_all_still_loads() {
    let bytes = include_bytes!("fixtures/v0.1.0.dnn");
    assert_eq!(Network::<f32>::from_bytes(bytes).unwrap(), network());
}

/// A network with every kind of layer, in which something is frozen, and with preprocessing.
fn every_kind() -> Network<f32> {
    let builder = Network::<f32>::builder(Shape::picture(2, 2, 3));
    let builder = Layer::KINDS.into_iter().fold(builder, NetworkBuilder::layer);
    let mut network = builder
        .layer(Activation::Elu(0.5))
        .softmax(["cat", "dog"])
        .build(&mut RandomStream::new(1, Purpose::Initialization, 0))
        .unwrap();
    let (fit, filter) = ("crop".to_owned(), "lanczos".to_owned());
    network.set_preprocessing(Preprocessing { fit, filter });
    assert_eq!(network.set_frozen("conv1.", true), 2);
    network
}

#[test]
fn every_kind_of_layer_comes_back_with_what_is_frozen_and_the_preprocessing() {
    let network = every_kind();
    let bytes = network.to_bytes().unwrap();
    let read = Network::<f32>::from_bytes(&bytes).unwrap();
    assert_eq!(read, network);
    assert_eq!(read.to_bytes().unwrap(), bytes);
    assert!(read.tensors()[0].is_frozen() && !read.tensors().last().unwrap().is_frozen());
    assert_eq!(read.preprocessing().unwrap().fit, "crop");
}

/// Written by the first version with this layout; it must load for ever.
#[test]
fn files_of_version_2_0_still_load() {
    let bytes = include_bytes!("fixtures/v2.0.dnn");
    let expected = version_2();
    assert_eq!(Network::<f32>::from_bytes(bytes).unwrap(), expected);
    assert_eq!(expected.to_bytes().unwrap(), bytes);
}

/// What version 2.0 knew: nothing is ever added here.
fn version_2() -> Network<f32> {
    let mut network = Network::<f32>::builder(Shape::picture(2, 1, 3))
        .layer(Flatten {})
        .layer(Dense { units: 3 })
        .layer(BatchNorm { momentum: 0.2, epsilon: 1e-4 })
        .layer(Activation::LeakyRelu(0.1))
        .layer(Dropout { rate: 0.25 })
        .classes(["cat", "dog", "übrig"])
        .scaling(PixelScaling::per_channel(&[0.4, 0.5, 0.6], &[0.2, 0.3, 0.25]).unwrap())
        .build(&mut RandomStream::new(1, Purpose::Initialization, 0))
        .unwrap();
    network.set_frozen("batch_norm1.scale", true);
    let (fit, filter) = ("pad".to_owned(), "bicubic".to_owned());
    network.set_preprocessing(Preprocessing { fit, filter });
    network.set_provenance(self::network().provenance().unwrap().clone());
    network
}

#[test]
#[ignore = "writes the fixture of a new version"]
fn write_the_fixture() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures");
    version_2().save(format!("{folder}/v2.0.dnn")).unwrap();
}

const FORMAT: Format = Format { magic: *b"dnnmodel", name: "model file", major: 2, minor: 0 };

/// The metadata of version 2, written down a second time.
#[derive(Serialize)]
struct Forged {
    input: [u64; 3],
    layers: Vec<Record>,
    head: &'static str,
    classes: Vec<&'static str>,
    scaling: [Vec<f64>; 2],
    flags: Vec<[bool; 3]>,
    preprocessing: Option<Record>,
    provenance: Option<()>,
    #[serde(skip)]
    tensors: Vec<ForgedTensor>,
}

struct ForgedTensor {
    name: &'static str,
    dims: Vec<usize>,
    dtype: DType,
}

fn record<T: Serialize>(kind: &str, value: T) -> Record {
    Record::new(kind, &value).unwrap()
}

fn tensor(name: &'static str, dims: &[usize]) -> ForgedTensor {
    ForgedTensor { name, dims: dims.to_vec(), dtype: DType::F32 }
}

/// Three inputs, two hidden units, one output; all numbers are 0.
fn forged() -> Forged {
    Forged {
        input: [1, 3, 1],
        layers: vec![record("dense", 2_u64), record("activation", "relu"), record("dense", 1_u64)],
        head: "sigmoid",
        classes: vec!["no", "yes"],
        scaling: [vec![0.0], vec![1.0]],
        flags: [[true, true, false], [true, false, false]].repeat(2),
        preprocessing: None,
        provenance: None,
        tensors: vec![
            tensor("dense1.weights", &[2, 3]),
            tensor("dense1.bias", &[2, 1]),
            tensor("dense2.weights", &[1, 2]),
            tensor("dense2.bias", &[1, 1]),
        ],
    }
}

impl Forged {
    fn to_bytes(&self) -> Vec<u8> {
        let (singles, doubles) = ([0.0_f32; 64], [0.0_f64; 64]);
        let tensors: Vec<Tensor<'_>> = self
            .tensors
            .iter()
            .map(|tensor| {
                let count = tensor.dims.iter().product::<usize>();
                let values = match tensor.dtype {
                    DType::F32 => Values::F32(&singles[..count]),
                    DType::F64 => Values::F64(&doubles[..count]),
                    DType::U8 => Values::U8(&[0; 64][..count]),
                };
                Tensor { name: tensor.name, dims: &tensor.dims, values }
            })
            .collect();
        dnn_store::encode(&FORMAT, self, &tensors).unwrap()
    }
}

#[test]
fn the_layout_is_the_one_that_is_written_down() {
    let network = Network::<f32>::builder(Shape::flat(3))
        .hidden(&[2], Activation::Relu)
        .classes(["no", "yes"])
        .initializer(dnn_core::Initializer::Zeros)
        .build(&mut RandomStream::new(1, Purpose::Initialization, 0))
        .unwrap();
    assert_eq!(network.to_bytes().unwrap(), forged().to_bytes());
}

/// What is said of a file after this change.
fn message_after(change: fn(&mut Forged)) -> String {
    let mut forged = forged();
    change(&mut forged);
    Network::<f32>::from_bytes(&forged.to_bytes()).unwrap_err().to_string()
}

/// A part of a message, and the change that leads to it.
struct Wrong(&'static str, fn(&mut Forged));

fn assert_named(all: &[Wrong]) {
    for Wrong(expected, change) in all {
        let found = message_after(*change);
        assert!(found.contains(expected), "`{found}` does not say `{expected}`");
    }
}

#[test]
fn what_this_version_does_not_know_is_named() {
    let newer = "which this version of dnn does not know (it knows";
    let unknown = message_after(|it| it.layers[1] = record("conv2d", (3_u64, 3_u64, 8_u64)));
    assert!(
        unknown.starts_with(&format!("model file: layer 2 is of kind `conv2d`, {newer} conv, "))
    );
    assert!(unknown.ends_with("); a newer version wrote the file: read it with that one"));
    assert!(
        message_after(|it| it.head = "cosine")
            .contains(&format!("head is of kind `cosine`, {newer}"))
    );
    let unknown = message_after(|it| it.preprocessing = Some(record("tiles", 4_u64)));
    assert!(
        unknown.contains(&format!("preprocessing is of kind `tiles`, {newer} resize, mirrored)"))
    );
}

#[test]
fn records_and_numbers_that_cannot_be_are_named() {
    assert_named(&[
        // Records with more bytes than their kind has, with fewer, or with those of another one.
        Wrong("model file: layer 1 (dense): expected 1 bytes of metadata, found 2", |it| {
            it.layers[0] = record("dense", (2_u64, 1_u8));
        }),
        Wrong("layer 3 (dense): cannot decode the metadata: ", |it| {
            it.layers[2] = record("dense", ());
        }),
        Wrong("layer 2 (batch_norm): cannot decode", |it| {
            it.layers[1] = record("batch_norm", 2_u64);
        }),
        Wrong("model file: preprocessing (resize): ", |it| {
            it.preprocessing = Some(record("resize", 0));
        }),
        Wrong(
            "layer 2 (activation): cannot decode the metadata: unknown activation `swish`",
            |it| {
                it.layers[1] = record("activation", "swish");
            },
        ),
        // Numbers and places that cannot be.
        Wrong("layer 1, dense: units of a dense layer: expected at least 1, found 0", |it| {
            it.layers[0] = record("dense", 0_u64);
        }),
        Wrong("layer 2, batch_norm: momentum of batch normalisation: ", |it| {
            it.layers[1] = record("batch_norm", (f64::NAN, 0.1));
        }),
        Wrong("layer 2, dropout: rate of dropout: ", |it| it.layers[1] = record("dropout", 1.5)),
        Wrong("layer 1, activation: ", |it| it.layers.swap(0, 1)),
        Wrong("parameters; expected at most", |it| it.layers[0] = record("dense", 1_u64 << 40)),
        Wrong("expected at most 65536 layers, found 65537", |it| {
            it.layers = vec![record("flatten", ()); (1 << 16) + 1];
        }),
    ]);
}

#[test]
fn tensors_that_are_not_those_of_the_layers_are_named() {
    assert_named(&[
        Wrong("expected tensor `dense2.bias`, found no tensor", |it| drop(it.tensors.pop())),
        Wrong("expected tensor `dense1.bias`, found `dense1.shift`", |it| {
            it.tensors[1] = tensor("dense1.shift", &[2, 1]);
        }),
        Wrong("expected tensor `no more`, found `dense3.bias`", |it| {
            it.tensors.push(tensor("dense3.bias", &[1, 1]));
        }),
        Wrong("expected tensor `dense1.weights`, found `dense1.bias`", |it| it.tensors.swap(0, 1)),
        Wrong("dense1.weights: expected shape (2, 3), found (3, 2)", |it| {
            it.tensors[0] = tensor("dense1.weights", &[3, 2]);
        }),
        Wrong("expected tensor `dense1.bias`, found one with 1 axes instead of 2", |it| {
            it.tensors[1] = tensor("dense1.bias", &[2]);
        }),
        Wrong("expected f32 values in tensor \"dense2.bias\", found f64", |it| {
            it.tensors[3].dtype = DType::F64;
        }),
        Wrong("found one of u8", |it| it.tensors[0].dtype = DType::U8),
        Wrong("expected tensor `weights`, found no tensor", |it| it.tensors.clear()),
        Wrong("expected tensor `with flags for each of 4`, found flags for 3", |it| {
            it.flags.pop();
        }),
        Wrong(
            "expected tensor `dense1.bias` with the flags `trained: true, decays: false`, found \
             `trained: true, decays: true`",
            |it| it.flags[1] = [true, true, false],
        ),
        Wrong("a sigmoid head with 1 outputs expects 2 classes, found 3", |it| {
            it.classes.push("maybe");
        }),
    ]);
}

#[test]
fn a_file_of_a_later_version_says_so() {
    let later = Format { major: 3, ..FORMAT };
    let bytes = dnn_store::encode(&later, &"who knows", &[]).unwrap();
    let error = Network::<f32>::from_bytes(&bytes).unwrap_err().to_string();
    assert_eq!(
        error,
        "expected model file version 2.x, which this build reads, found 3.0; a newer version of dnn wrote it: \
         read it with that one"
    );
}
