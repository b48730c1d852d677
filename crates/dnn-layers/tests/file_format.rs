//! A reader of model files made from `docs/file-format.md` alone: without the crates' own decoder, and without serde.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::BTreeMap;

use dnn_core::{Features, PixelScaling, Purpose, RandomStream, Shape};
use dnn_layers::{Activation, BatchNorm, Dense, Dropout, Flatten, Network};
use ndarray::{Array2, Axis, array};

/// What is left of the metadata.
struct Metadata<'a>(&'a [u8]);

impl Metadata<'_> {
    fn take(&mut self, count: usize) -> &[u8] {
        let (taken, rest) = self.0.split_at(count);
        self.0 = rest;
        taken
    }

    fn whole(&mut self) -> usize {
        let width = match self.take(1)[0] {
            251 => 2,
            252 => 4,
            253 => 8,
            small => return usize::from(small),
        };
        let mut bytes = [0; 8];
        bytes[..width].copy_from_slice(self.take(width));
        usize::try_from(u64::from_le_bytes(bytes)).unwrap()
    }

    fn real(&mut self) -> f64 {
        f64::from_le_bytes(self.take(8).try_into().unwrap())
    }

    fn flag(&mut self) -> bool {
        self.take(1)[0] == 1
    }

    fn text(&mut self) -> String {
        let length = self.whole();
        String::from_utf8(self.take(length).to_vec()).unwrap()
    }

    fn list<X>(&mut self, read: impl Fn(&mut Self) -> X) -> Vec<X> {
        (0..self.whole()).map(|_| read(self)).collect()
    }

    fn perhaps<X>(&mut self, read: impl Fn(&mut Self) -> X) -> Option<X> {
        self.flag().then(|| read(self))
    }

    fn record(&mut self) -> Record {
        let kind = self.text();
        let length = self.whole();
        Record { kind, value: self.take(length).to_vec() }
    }
}

struct Record {
    kind: String,
    value: Vec<u8>,
}

struct Model {
    input: [usize; 3],
    layers: Vec<Record>,
    head: String,
    classes: Vec<String>,
    mean: Vec<f64>,
    deviation: Vec<f64>,
    flags: Vec<[bool; 3]>,
    fit_and_filter: Option<[String; 2]>,
    tensors: BTreeMap<String, Array2<f64>>,
}

fn number(file: &[u8], at: usize, bytes: usize) -> usize {
    let mut number = [0; 8];
    number[..bytes].copy_from_slice(&file[at..at + bytes]);
    usize::try_from(u64::from_le_bytes(number)).unwrap()
}

fn read(file: &[u8]) -> Model {
    assert_eq!(&file[..8], b"dnnmodel");
    assert_eq!((number(file, 8, 2), file[12], file[13]), (2, 1, 0));
    let (length, data_length) = (number(file, 14, 8), number(file, 22, 8));
    let hashed = [&file[..30], &file[62..]].concat();
    let digest: String =
        file[30..62].iter().fold(String::new(), |hex, byte| hex + &format!("{byte:02x}"));
    assert_eq!(dnn_store::sha256_hex(&hashed), digest);
    let mut metadata = Metadata(&file[62..62 + length]);
    let table = metadata.list(|it| (it.text(), it.whole(), it.list(Metadata::whole)));
    let (mut tensors, mut at) = (BTreeMap::new(), (62 + length).next_multiple_of(64));
    let start = at;
    for (name, kind, dims) in table {
        at = at.next_multiple_of(64);
        let width = [1, 4, 8][kind];
        let bytes = &file[at..at + width * dims.iter().product::<usize>()];
        let values = bytes.chunks(width).map(|value| match width {
            4 => f64::from(f32::from_le_bytes(value.try_into().unwrap())),
            _ => f64::from_le_bytes(value.try_into().unwrap()),
        });
        let values = Array2::from_shape_vec((dims[0], dims[1]), values.collect()).unwrap();
        assert!(tensors.insert(name, values).is_none());
        at += bytes.len();
    }
    assert_eq!((at, at - start), (file.len(), data_length));
    let model = Model {
        input: [metadata.whole(), metadata.whole(), metadata.whole()],
        layers: metadata.list(Metadata::record),
        head: metadata.text(),
        classes: metadata.list(Metadata::text),
        mean: metadata.list(Metadata::real),
        deviation: metadata.list(Metadata::real),
        flags: metadata.list(|it| [it.flag(), it.flag(), it.flag()]),
        fit_and_filter: metadata.perhaps(|it| {
            let record = it.record();
            assert_eq!(record.kind, "resize");
            let mut value = Metadata(&record.value);
            [value.text(), value.text()]
        }),
        tensors,
    };
    assert_eq!(metadata.0, [0], "no provenance, and no byte is left");
    model
}

/// The outputs of the model for one example of pixels, computed by what the page says.
fn outputs(model: &Model, pixels: &[u8]) -> Vec<f64> {
    let channels = model.mean.len();
    let scaled = pixels.iter().enumerate().map(|(place, &pixel)| {
        let channel = place % channels;
        (f64::from(pixel) / 255.0 - model.mean[channel]) / model.deviation[channel]
    });
    let mut x = Array2::from_shape_vec((pixels.len(), 1), scaled.collect()).unwrap();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for Record { kind, value } in &model.layers {
        let count = counts.entry(kind).or_default();
        *count += 1;
        let tensor = |name: &str| &model.tensors[&format!("{kind}{count}.{name}")];
        let mut value = Metadata(value);
        match &kind[..] {
            "dense" => {
                assert_eq!(value.whole(), tensor("weights").nrows());
                x = tensor("weights").dot(&x) + tensor("bias");
            }
            "batch_norm" => {
                let (_momentum, epsilon) = (value.real(), value.real());
                let root = tensor("variance").mapv(|variance| (variance + epsilon).sqrt());
                x = tensor("scale") * (x - tensor("mean")) / root + tensor("shift");
            }
            "activation" => match &value.text()[..] {
                "leaky-relu:0.1" => x.mapv_inplace(|z| if z > 0.0 { z } else { 0.1 * z }),
                other => panic!("the test has no `{other}`"),
            },
            "dropout" => assert!(value.real() < 1.0),
            "flatten" => {}
            other => panic!("the page has no `{other}`"),
        }
        assert!(value.0.is_empty());
    }
    assert_eq!(model.head, "softmax");
    let sum = x.mapv(f64::exp).sum();
    x.mapv(|z| z.exp() / sum).remove_axis(Axis(1)).to_vec()
}

#[test]
fn the_page_is_enough_to_compute_what_a_model_gives() {
    let mut network = Network::<f64>::builder(Shape::picture(2, 1, 3))
        .layer(Flatten {})
        .layer(Dense { units: 300 })
        .layer(BatchNorm { momentum: 0.2, epsilon: 1e-3 })
        .layer(Activation::LeakyRelu(0.1))
        .layer(Dropout { rate: 0.25 })
        .layer(Dense { units: 4 })
        .classes(["cat", "dog", "übrig"])
        .scaling(PixelScaling::per_channel(&[0.4, 0.5, 0.6], &[0.2, 0.3, 0.25]).unwrap())
        .build(&mut RandomStream::new(1, Purpose::Initialization, 0))
        .unwrap();
    for name in ["scale", "shift", "mean", "variance"] {
        let mut values = network.tensor_mut(&format!("batch_norm1.{name}")).unwrap();
        for (unit, value) in values.iter_mut().enumerate() {
            *value = 0.5 + (unit % 7) as f64 / 8.0;
        }
    }
    let (fit, filter) = ("crop".to_owned(), "lanczos".to_owned());
    network.set_preprocessing(dnn_layers::Preprocessing { fit, filter });
    network.set_frozen("dense2.", true);
    let model = read(&network.to_bytes().unwrap());
    assert_eq!(model.input, [2, 1, 3]);
    assert_eq!(model.classes, ["cat", "dog", "übrig"]);
    assert_eq!(model.fit_and_filter.as_ref().unwrap(), &["crop", "lanczos"]);
    let flags = |name: &str| {
        model.flags[network.tensors().iter().position(|tensor| tensor.name() == name).unwrap()]
    };
    assert_eq!(flags("dense1.weights"), [true, true, false]);
    assert_eq!(flags("batch_norm1.mean"), [false, false, false]);
    assert_eq!(flags("dense2.bias"), [true, false, true]);
    assert_eq!((model.flags.len(), model.tensors.len()), (10, 10));
    let pixels = array![[0_u8], [255], [17], [128], [200], [99]];
    let expected = network.predict_outputs(&network.pixels(pixels.view())).unwrap();
    let found = outputs(&model, &pixels.iter().copied().collect::<Vec<u8>>());
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
    let real = network.predict_outputs(&Features::Real(Array2::zeros((6, 1)).view())).unwrap();
    assert_ne!(real, expected, "pixels are scaled");
}
