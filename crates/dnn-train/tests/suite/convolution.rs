//! Convolutional networks as a whole: against the course's functions, their own slopes, and themselves folded.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::ops::ControlFlow;

use crate::fits::{build, bytes, fit, full, labels, normal, size};
use crate::support::assert_close;
use dnn_core::{Element, Features, Shape};
use dnn_layers::{
    Activation, AveragePool2d, BatchNorm, Branch, Conv2d, ConvSettings, Dense, Dropout, Flatten,
    GlobalPool, Layer, MaxPool2d, Network, NetworkBuilder, Padding, PoolBy, PoolMode, PoolSettings,
    Predictor, Residual, Scale, Window, conv_forward, pool_forward,
};
use dnn_store::Scalar;
use dnn_train::{
    Checkpoint, Cost, Event, Examples, Trainer, check_gradients, conv_backward, gradients,
    pool_backward, unobserved,
};
use ndarray::{Array2, Array4, ArrayView2, Axis, array, s};

/// A convolution with its normalisation and activation.
fn conv(units: usize, stride: usize, activation: Activation) -> [Layer; 3] {
    let window = Window::square(3, stride, Padding::Each(1));
    let conv = Conv2d { units, window, groups: 1, bias: false };
    [conv.into(), BatchNorm::default().into(), activation.into()]
}

/// With everything that there is for pictures.
pub(crate) fn residual_layers() -> Vec<Layer> {
    let halving = Window::square(2, 2, Padding::Same);
    let depthwise = Window::square(3, 1, Padding::Same);
    let mut layers = conv(6, 2, Activation::Tanh).to_vec();
    layers.extend(conv(6, 1, Activation::Silu));
    layers.extend(conv(6, 1, Activation::Tanh));
    layers.push(Residual { layers: 6 }.into());
    layers.push(Dropout { rate: 0.2 }.into());
    layers.push(Conv2d { units: 6, window: depthwise, groups: 6, bias: true }.into());
    layers.push(MaxPool2d { window: halving }.into());
    layers.push(Conv2d { groups: 2, ..Conv2d::same(8, 2) }.into());
    layers.push(BatchNorm::default().into());
    layers.push(AveragePool2d { window: Window::square(2, 1, Padding::Valid) }.into());
    layers.push(GlobalPool { by: PoolBy::Both }.into());
    layers
}

/// A residual block with a projection: the shortcut has layers of its own.
pub(crate) fn projected_layers() -> Vec<Layer> {
    let halving = Window::square(1, 2, Padding::Valid);
    let mut layers = conv(4, 1, Activation::Tanh).to_vec();
    layers.push(Conv2d { units: 6, window: halving, groups: 1, bias: false }.into());
    layers.push(BatchNorm::default().into());
    layers.push(Branch { layers: 2 }.into());
    layers.extend(conv(6, 2, Activation::Tanh));
    layers.push(Conv2d::same(6, 3).into());
    layers.push(Residual { layers: 5 }.into());
    layers.push(Activation::Tanh.into());
    layers.push(GlobalPool { by: PoolBy::Both }.into());
    layers
}

fn network<T: Element + Scalar>(shape: Shape, layers: Vec<Layer>) -> Network<T> {
    let builder = layers.into_iter().fold(Network::<T>::builder(shape), NetworkBuilder::layer);
    build(builder.classes(["a", "b", "c"]))
}

/// `(n, m)` as `(m, rows, columns, channels)`.
fn pictures(values: ArrayView2<'_, f64>, shape: Shape) -> Array4<f64> {
    let Shape { height, width, channels } = shape;
    let numbers = values.t().iter().copied().collect();
    Array4::from_shape_vec((values.ncols(), height, width, channels), numbers).unwrap()
}

/// And back.
fn columns(values: &Array4<f64>) -> Array2<f64> {
    let (m, n) = (values.len_of(Axis(0)), values.len() / values.len_of(Axis(0)));
    Array2::from_shape_vec((m, n), values.iter().copied().collect()).unwrap().reversed_axes()
}

#[test]
fn a_convolution_and_its_gradients_are_those_of_the_course() {
    let shape = Shape::picture(7, 6, 3);
    for (kernel, stride, pad) in [(3, 1, 1), (3, 2, 0), (2, 2, 1), (1, 1, 0), (5, 3, 2)] {
        let window = Window::square(kernel, stride, Padding::Each(pad));
        let conv = Conv2d { units: 5, window, groups: 1, bias: true };
        let net: Network<f64> = network(shape, vec![conv.into(), Flatten {}.into()]);
        let (x, y) = (normal((net.features(), 6), 1), labels(3, 6, 2));
        let examples = Examples::classes(Features::Real(x.view()), &y);
        let caches = net.forward(&examples.features).unwrap();
        let [weights, bias] = [0, 1].map(|tensor| net.tensors()[tensor].values());
        // A row of the weights lies as a window does; the course has the units last.
        let dims = (kernel, kernel, 3, 5);
        let turned = weights.t().iter().copied().collect();
        let weights = Array4::from_shape_vec(dims, turned).unwrap();
        let bias = Array4::from_shape_vec((1, 1, 1, 5), bias.iter().copied().collect()).unwrap();
        let a_prev = pictures(x.view(), shape);
        let settings = ConvSettings { stride, pad };
        let (z, cache) =
            conv_forward(a_prev.view(), weights.view(), bias.view(), settings).unwrap();
        assert_close(&columns(&z), &caches.layer_output(0).to_owned(), 1e-12, "Z");
        // dZ of the convolution from that of the dense layer: the cost's mean over the examples.
        let (_, gradient) = gradients(&net, &examples, Cost::CategoricalCrossEntropy).unwrap();
        let mut delta = caches.output().to_owned();
        for (j, &class) in y.iter().enumerate() {
            delta[(class as usize, j)] -= 1.0;
        }
        let dz = net.tensor("dense1.weights").unwrap().t().dot(&delta) / 6.0;
        let dz = pictures(dz.view(), net.layer_output(0));
        let expected = conv_backward(dz.view(), &cache).unwrap();
        let numbers = expected.weights.iter().copied().collect();
        let dw = Array2::from_shape_vec((kernel * kernel * 3, 5), numbers).unwrap();
        assert_close(&gradient[0], &dw.reversed_axes(), 1e-12, "dW");
        let db = Array2::from_shape_vec((5, 1), expected.bias.iter().copied().collect()).unwrap();
        assert_close(&gradient[1], &db, 1e-12, "db");
    }
}

#[test]
fn pooling_is_that_of_the_course() {
    let shape = Shape::picture(6, 5, 3);
    for (size, stride) in [(2, 2), (3, 1), (2, 1)] {
        let window = Window::square(size, stride, Padding::Valid);
        for (layer, mode) in [
            (MaxPool2d { window }.into(), PoolMode::Max),
            (AveragePool2d { window }.into(), PoolMode::Average),
        ] {
            let layers: Vec<Layer> = vec![Conv2d::same(3, 1).into(), layer, Flatten {}.into()];
            let net: Network<f64> = network(shape, layers);
            let (x, y) = (normal((net.features(), 4), 1), labels(3, 4, 2));
            let examples = Examples::classes(Features::Real(x.view()), &y);
            let caches = net.forward(&examples.features).unwrap();
            let a_prev = pictures(caches.layer_output(0), net.layer_output(0));
            let settings = PoolSettings { window: size, stride, mode };
            let (a, cache) = pool_forward(a_prev.view(), settings).unwrap();
            assert_close(&columns(&a), &caches.layer_output(1).to_owned(), 1e-14, "A");
            let mut delta = caches.output().to_owned();
            for (j, &class) in y.iter().enumerate() {
                delta[(class as usize, j)] -= 1.0;
            }
            let da = net.tensor("dense1.weights").unwrap().t().dot(&delta) / 4.0;
            let da = pictures(da.view(), net.layer_output(1));
            // The weights of the 1 x 1 convolution before tell where the gradient went: dW = dZ X^T over all pixels.
            let back = pool_backward(da.view(), &cache).unwrap();
            let by_pixel = |values: Array4<f64>| {
                let pixels = values.len() / 3;
                values.into_shape_with_order((pixels, 3)).unwrap()
            };
            let expected = by_pixel(back).t().dot(&by_pixel(pictures(x.view(), shape)));
            let (_, gradient) = gradients(&net, &examples, Cost::CategoricalCrossEntropy).unwrap();
            assert_close(&gradient[0], &expected, 1e-12, "dW");
        }
    }
}

#[test]
fn the_first_of_equals_gets_the_gradient() {
    // One window, in which the second and the third number are the largest.
    let window = Window::square(2, 2, Padding::Valid);
    let identity = Conv2d { bias: false, ..Conv2d::same(1, 1) };
    let mut net = build(
        Network::<f64>::builder(Shape::picture(2, 2, 1))
            .layer(Conv2d { window: Window::square(2, 1, Padding::Same), ..identity })
            .layer(MaxPool2d { window })
            .outputs(1, dnn_layers::Head::Identity),
    );
    // The picture as it is, and a gradient of the weights that tells where dZ was.
    net.tensor_mut("conv1.weights").unwrap().assign(&array![[1.0, 0.0, 0.0, 0.0]]);
    net.tensor_mut("dense1.weights").unwrap().fill(1.0);
    let x = array![[1.0], [5.0], [5.0], [2.0]];
    let y = array![[0.0]];
    let examples = Examples::values(Features::Real(x.view()), y.view());
    let (_, gradient) = gradients(&net, &examples, Cost::MeanSquaredError).unwrap();
    // The cost is 25, dZ 10 at the second place and 0 at the third, whose windows begin with 5, 0, 2 and 5, 2.
    assert_eq!(gradient[0], array![[50.0, 0.0, 20.0, 0.0]]);
}

#[test]
fn gradients_of_whole_networks_are_their_slopes() {
    for layers in [residual_layers(), projected_layers()] {
        let net: Network<f64> = network(Shape::picture(9, 10, 3), layers);
        let (x, y) = (normal((net.features(), 12), 1), labels(3, 12, 2));
        let examples = Examples::classes(Features::Real(x.view()), &y);
        let found = check_gradients(&net, &examples, Cost::CategoricalCrossEntropy, 1e-5).unwrap();
        assert!(found.difference <= 1e-7, "{found:?}");
    }
}

#[test]
fn a_projected_shortcut_is_added_to_what_the_branch_makes() {
    let net: Network<f64> = network(Shape::picture(9, 10, 3), projected_layers());
    let x = normal((net.features(), 5), 1);
    let caches = net.forward(&Features::Real(x.view())).unwrap();
    assert_eq!((net.layer_name(5), net.layer_name(10)), ("branch1", "residual1"));
    // The branch has what the projection was given; the sum has what both made of it.
    assert_eq!(net.layer_output(5), Shape::picture(9, 10, 4));
    assert_eq!(caches.layer_output(5), caches.layer_output(2));
    assert_eq!(net.layer_output(10), Shape::picture(5, 5, 6));
    let sum = &caches.layer_output(9) + &caches.layer_output(4);
    assert_eq!(caches.layer_output(10), sum);
    // A pixel of the projection before its normalisation: every second one, by weights of its channels.
    let [pixels, projected] = [(2, 4), (3, 6)].map(|(layer, channels)| {
        let example = caches.layer_output(layer).column(3).to_vec();
        Array2::from_shape_vec((example.len() / channels, channels), example).unwrap()
    });
    let expected = net.tensor("conv2.weights").unwrap().dot(&pixels.row(4 * 10 + 6));
    let found = projected.row(2 * 5 + 3).to_owned().insert_axis(Axis(1));
    assert_close(&found, &expected.insert_axis(Axis(1)), 1e-13, "projection");
}

#[test]
fn a_folded_network_with_connections_gives_the_same_outputs() {
    for layers in [residual_layers(), projected_layers()] {
        folded_gives_the_same(layers);
    }
}

fn folded_gives_the_same(layers: Vec<Layer>) {
    let net: Network<f64> = network(Shape::picture(9, 10, 3), layers);
    let (x, y) = (normal((net.features(), 40), 1), labels(3, 40, 2));
    let examples = Examples::classes(Features::Real(x.view()), &y);
    let trainer = Trainer { batch: size(16), ..full(0.05, 3) };
    let (trained, _) = fit(&trainer, &net, &examples);
    let folded = trained.folded();
    assert!(folded.layers().iter().all(|layer| !layer.needs_whole_batch()));
    let outputs =
        |network: &Network<f64>| network.forward(&examples.features).unwrap().output().to_owned();
    assert_close(&outputs(&folded), &outputs(&trained), 1e-12, "folded");
    let mut predictor = Predictor::new(std::sync::Arc::new(trained.clone())).unwrap();
    for m in [1, 3, 40] {
        let some = Features::Real(x.slice(s![.., ..m]));
        let expected = trained.predict_probabilities(&some).unwrap();
        let found = predictor.probabilities(&some).unwrap().to_owned();
        assert_close(&found, &expected, 1e-12, "predicted");
    }
}

#[test]
fn every_stop_resumes_to_the_same_bits() {
    let net: Network<f32> = network(Shape::picture(9, 10, 3), residual_layers());
    let (pixels, y) = (bytes((net.features(), 40), 1), labels(3, 40, 2));
    let examples = Examples::classes(net.pixels(pixels.view()), &y);
    let trainer = Trainer {
        batch: size(16),
        optimizer: "adamw".parse().unwrap(),
        schedule: "one-cycle".parse().unwrap(),
        ..full(0.01, 4)
    };
    let mut saved = Vec::new();
    let mut straight = net.clone();
    trainer
        .fit(&mut straight, &examples, None, &mut |event| {
            if let Event::State(state) = event {
                saved.push(state.checkpoint().unwrap());
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert!(saved.len() >= 12, "{} stops", saved.len());
    for bytes in saved {
        let checkpoint = Checkpoint::from_bytes(&bytes).unwrap();
        let mut resumed = net.clone();
        trainer.resume(&mut resumed, checkpoint, &examples, None, &mut unobserved).unwrap();
        assert_eq!(resumed.to_bytes().unwrap(), straight.to_bytes().unwrap());
    }
}

#[test]
fn a_frozen_convolution_stays_as_it_is() {
    let layers = [conv(4, 1, Activation::Relu).to_vec(), vec![Dense { units: 5 }.into()]].concat();
    let mut net: Network<f32> = network(Shape::picture(5, 5, 1), layers);
    net.set_frozen("conv1.", true);
    let (pixels, y) = (bytes((25, 20), 1), labels(3, 20, 2));
    let examples = Examples::classes(net.pixels(pixels.view()), &y);
    let (trained, _) = fit(&full(0.1, 3), &net, &examples);
    assert_eq!(trained.tensor("conv1.weights"), net.tensor("conv1.weights"));
    assert_ne!(trained.tensor("dense1.weights"), net.tensor("dense1.weights"));
}

/// A bar that stands or lies anywhere: what a place-by-place sum cannot tell.
#[test]
fn bars_are_told_apart_wherever_they_are() {
    let side = 8;
    let of = |index: usize| {
        let (upright, at, from) = (index.is_multiple_of(2), index / 2 % side, index / 16 % 5);
        let mut picture = vec![0_u8; side * side];
        for step in from..from + 4 {
            let place = if upright { step * side + at } else { at * side + step };
            picture[place] = 255;
        }
        picture
    };
    let pictures: Vec<u8> = (0..80).flat_map(of).collect();
    let pixels = Array2::from_shape_vec((80, side * side), pictures).unwrap();
    let y: Vec<u32> = (0..80).map(|index| index % 2).collect();
    let window = Window::square(3, 1, Padding::Same);
    let net = build(
        Network::<f32>::builder(Shape::picture(side, side, 1))
            .layer(Conv2d { units: 4, window, groups: 1, bias: true })
            .layer(Activation::Relu)
            .layer(GlobalPool { by: PoolBy::Mean })
            .classes(["lies", "stands"]),
    );
    let examples = Examples::classes(net.pixels(pixels.t()), &y);
    let trainer = Trainer { optimizer: "adam".parse().unwrap(), batch: size(16), ..full(0.02, 60) };
    let (trained, _) = fit(&trainer, &net, &examples);
    let found = trained.predict(&examples.features).unwrap();
    let right = found.iter().zip(&y).filter(|(found, y)| **found == **y as usize).count();
    assert_eq!(right, 80);
}

#[test]
fn a_plan_says_how_convolutions_are_computed() {
    let layers = vec![Conv2d::same(5, 3).into(), Flatten {}.into()];
    let net: Network<f32> = network(Shape::picture(32, 32, 3), layers);
    let plan = Trainer::default().plan_for_pictures(&net, 100);
    assert_eq!((plan.layers[0].units, plan.layers[0].inputs, plan.layers[0].blocks()), (5, 27, 0));
    let text = plan.to_string();
    assert!(text.contains("5 x 27          Z a picture at a time; dW by tiles"), "{text}");
}

#[test]
fn tiles_that_add_to_the_same_sums_lose_none() {
    // Pictures so large that a tile has few of them, and so many that there are more than 16 tiles.
    let (shape, m, part) = (Shape::picture(32, 32, 3), 130, 10);
    let halving = MaxPool2d { window: Window::square(2, 2, Padding::Valid) };
    let layers: [Layer; 7] = [
        Conv2d::same(16, 3).into(),
        Activation::Relu.into(),
        halving.into(),
        Conv2d::same(4, 3).into(),
        GlobalPool { by: PoolBy::Mean }.into(),
        Flatten {}.into(),
        Scale {}.into(),
    ];
    let network = network::<f64>(shape, layers.to_vec());
    let (x, labels) = (normal((32 * 32 * 3, m), 1), labels(3, m, 2));
    let of = |range: std::ops::Range<usize>| {
        let x = x.slice(s![.., range.clone()]);
        let examples = Examples::classes(Features::Real(x), &labels[range]);
        gradients(&network, &examples, Cost::CategoricalCrossEntropy).unwrap().1
    };
    let mut expected = network.zeros();
    for start in (0..m).step_by(part) {
        for (sum, gradient) in expected.iter_mut().zip(of(start..start + part)) {
            sum.scaled_add(part as f64 / m as f64, &gradient);
        }
    }
    for ((found, expected), tensor) in of(0..m).iter().zip(&expected).zip(network.tensors()) {
        let apart = (found - expected).fold(0.0_f64, |most, it| most.max(it.abs()));
        assert!(apart < 1e-13, "{}: {apart:e}", tensor.name());
        assert!(expected.iter().any(|number| *number != 0.0), "{}", tensor.name());
    }
}
