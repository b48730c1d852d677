//! A first convolution that whitens.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use crate::fits::{build, bytes, labels, size};
use dnn_core::{Features, Shape};
use dnn_layers::{Activation, Conv2d, GlobalPool, Layer, Network, NetworkBuilder, PoolBy};
use dnn_train::{Examples, Trainer, unobserved};
use ndarray::{Array2, s};

const SHAPE: Shape = Shape::picture(7, 6, 2);

fn network(layers: &[Layer]) -> Network<f64> {
    let last: [Layer; 2] = [Activation::Relu.into(), GlobalPool { by: PoolBy::Maximum }.into()];
    let layers = layers.iter().cloned().chain(last);
    let builder = layers.fold(Network::<f64>::builder(SHAPE), NetworkBuilder::layer);
    build(builder.classes(["a", "b"]))
}

/// Pictures whose pixels have something to do with each other.
fn pictures() -> Array2<u8> {
    let drawn = bytes((84, 40), 1);
    Array2::from_shape_fn((84, 40), |(at, j)| {
        let before = drawn[(at.saturating_sub(2), j)];
        u8::try_from((u16::from(drawn[(at, j)]) + 3 * u16::from(before)) / 4).unwrap()
    })
}

fn trainer() -> Trainer {
    Trainer {
        whitening: true,
        epochs: 3,
        batch: size(8),
        learning_rate: 0.01,
        ..Trainer::default()
    }
}

#[test]
fn what_the_first_convolution_gives_is_white_and_its_weights_stay() {
    let (pixels, labels) = (pictures(), labels(2, 40, 2));
    // Twice as many units as numbers in a window: each component, and its negative.
    let first = network(&[Conv2d::same(36, 3).into()]);
    let features = first.pixels(pixels.view());
    let examples = Examples::classes(features, &labels);
    let mut trained = first.clone();
    trainer().fit(&mut trained, &examples, None, &mut unobserved).unwrap();
    let weights = trained.tensor("conv1.weights").unwrap();
    assert!(trained.tensors()[0].is_frozen() && !trained.tensors()[1].is_frozen());
    assert_ne!(trained.tensors()[1].values(), first.tensors()[1].values());

    // All windows that lie whole in the pictures.
    let mut patches = Vec::new();
    for j in 0..40 {
        let mut numbers = Vec::new();
        let picture =
            Array2::from_shape_vec((7, 12), examples.features.example(j, &mut numbers).to_vec());
        let picture = picture.unwrap();
        for (top, left) in (0..5).flat_map(|top| (0..4).map(move |left| (top, left))) {
            patches.extend(picture.slice(s![top..top + 3, 2 * left..2 * left + 6]).iter().copied());
        }
    }
    let patches = Array2::from_shape_vec((800, 18), patches).unwrap();
    let given = patches.dot(&weights.t());
    let centred = &given - &given.mean_axis(ndarray::Axis(0)).unwrap();
    let covariance = centred.t().dot(&centred) / 800.0;
    for ((i, j), &found) in covariance.indexed_iter() {
        let expected = match (i / 2 == j / 2, i == j) {
            (true, true) => 1.0,
            (true, false) => -1.0,
            (false, _) => 0.0,
        };
        // The smallest components are made a little smaller, on purpose.
        assert!((found - expected).abs() < 0.02, "{i}, {j}: {found}");
    }
    // The same, and the same bits, with fewer units.
    let fewer = network(&[Conv2d::same(7, 3).into()]);
    let mut of_fewer = fewer.clone();
    trainer().fit(&mut of_fewer, &examples, None, &mut unobserved).unwrap();
    assert_eq!(of_fewer.tensor("conv1.weights").unwrap(), weights.slice(s![..7, ..]));
}

#[test]
fn what_cannot_be_whitened_is_refused() {
    let (pixels, labels) = (pictures(), labels(2, 40, 2));
    let refused = |network: &Network<f64>, pixels: &Array2<u8>| {
        let examples = Examples::classes(network.pixels(pixels.view()), &labels);
        let fitted = trainer().fit(&mut network.clone(), &examples, None, &mut unobserved);
        fitted.unwrap_err().to_string()
    };
    let first = network(&[Conv2d::same(4, 3).into()]);
    let error = refused(&first, &Array2::from_elem((84, 40), 7));
    assert!(
        error.starts_with("whitening: expected pictures of at least the size of a window"),
        "{error}"
    );
    let error = refused(&network(&[Conv2d::same(37, 3).into()]), &pixels);
    assert_eq!(
        error,
        "whitening: expected at most two units for each number of the first window, found 37 units for 18 numbers of a window"
    );
    let expected =
        "whitening: expected a network that begins with a convolution of all channels, found";
    let by_channel = Conv2d { groups: 2, ..Conv2d::same(4, 3) };
    let error = refused(&network(&[by_channel.into()]), &pixels);
    assert_eq!(error, format!("{expected} conv1 in 2 groups"));
    let dense = Network::<f64>::builder(SHAPE).hidden(&[3], Activation::Relu).classes(["a", "b"]);
    assert_eq!(refused(&build(dense), &pixels), format!("{expected} dense1"));
    // A window as large as no picture.
    let error = refused(&network(&[Conv2d::same(4, 9).into()]), &pixels);
    assert!(error.contains("found 0 patches"), "{error}");
    // Numbers in place of pixels are as good.
    let real = pixels.mapv(|pixel| f64::from(pixel) / 255.0);
    let examples = Examples::classes(Features::Real(real.view()), &labels);
    let mut network = first.clone();
    trainer().fit(&mut network, &examples, None, &mut unobserved).unwrap();
    assert!(network.tensors()[0].is_frozen());
}
