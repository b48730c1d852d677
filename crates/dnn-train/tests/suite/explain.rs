//! Gradients of the input and class activation: against slopes of the logits, and a case by hand.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use crate::convolution::{projected_layers, residual_layers};
use crate::fits::{build, fit, full, labels, normal, size};
use crate::support::assert_close;
use dnn_core::{Element, Features, Shape};
use dnn_layers::{
    Activation, AveragePool2d, Conv2d, Dense, Flatten, GlobalPool, Layer, Network, NetworkBuilder,
    Padding, PoolBy, Window,
};
use dnn_store::Scalar;
use dnn_train::explain::{class_activation, has_class_activation, input_gradient};
use dnn_train::{Examples, Trainer, relative_difference};
use ndarray::{Array2, array};

fn network<T: Element + Scalar>(layers: Vec<Layer>, classes: &[&str]) -> Network<T> {
    let builder = Network::<T>::builder(Shape::picture(9, 10, 3));
    build(layers.into_iter().fold(builder, NetworkBuilder::layer).classes(classes.iter().copied()))
}

/// Of every kind, with running statistics that are not those of the beginning.
fn trained<T: Element + Scalar>(layers: Vec<Layer>, classes: &[&str]) -> Network<T> {
    let net = network::<T>(layers, classes);
    let x = normal((net.features(), 24), 1).mapv(T::from_f64);
    let y = labels(u32::try_from(classes.len()).unwrap(), 24, 2);
    let examples = Examples::classes(Features::Real(x.view()), &y);
    fit(&Trainer { batch: size(8), ..full(0.05, 2) }, &net, &examples).0
}

/// The logit of a class; of two classes with one logit, the first one's is its negative.
fn logit(net: &Network<f64>, x: &Array2<f64>, class: usize) -> f64 {
    let caches = net.forward(&Features::Real(x.view())).unwrap();
    match (net.outputs(), class) {
        (1, 0) => -caches.logits()[(0, 0)],
        (1, _) => caches.logits()[(0, 0)],
        _ => caches.logits()[(class, 0)],
    }
}

#[test]
fn the_gradient_of_the_input_is_the_slope_of_the_logit() {
    let epsilon = 1e-5;
    let cases = [
        (residual_layers(), &["a", "b"][..]),
        (residual_layers(), &["a", "b", "c"]),
        (projected_layers(), &["a", "b", "c"]),
    ];
    for (layers, classes) in cases {
        let net = trained::<f64>(layers, classes);
        let x = normal((net.features(), classes.len()), 7);
        let asked: Vec<usize> = (0..classes.len()).collect();
        let found = input_gradient(&net, &Features::Real(x.view()), &asked).unwrap();
        assert_eq!(found.dim(), x.dim());
        for class in asked {
            let at = |entry: usize, step: f64| {
                let mut x = x.column(class).to_owned().insert_axis(ndarray::Axis(1));
                x[(entry, 0)] += step;
                logit(&net, &x, class)
            };
            let slope = |entry| (at(entry, epsilon) - at(entry, -epsilon)) / (2.0 * epsilon);
            let slopes: Vec<f64> = (0..net.features()).map(slope).collect();
            let difference = relative_difference(&found.column(class).to_vec(), &slopes);
            assert!(difference <= 1e-7, "class {class} of {}: {difference}", classes.len());
        }
    }
}

#[test]
fn both_precisions_agree() {
    let net = trained::<f32>(residual_layers(), &["a", "b", "c"]);
    let mut same: Network<f64> = network(residual_layers(), &["a", "b", "c"]);
    for (to, from) in same.tensors_mut().iter_mut().zip(net.tensors()) {
        to.values_mut().assign(&from.values().mapv(f64::from));
    }
    let x = normal((net.features(), 3), 7);
    let x32 = x.mapv(f32::from_f64);
    let x = x32.mapv(f64::from);
    let (x, x32) = (Features::Real(x.view()), Features::Real(x32.view()));
    let found = input_gradient(&net, &x32, &[0, 1, 2]).unwrap().mapv(f64::from);
    assert_close(&found, &input_gradient(&same, &x, &[0, 1, 2]).unwrap(), 1e-4, "gradient");
    let [found, expected] = [
        class_activation(&net, &x32, &[0, 1, 2]).unwrap().maps.mapv(f64::from),
        class_activation(&same, &x, &[0, 1, 2]).unwrap().maps,
    ];
    assert!(expected.iter().any(|&number| number > 0.0), "{expected}");
    assert_close(&found, &expected, 1e-4, "map");
}

#[test]
fn class_activation_is_that_of_the_slopes() {
    let halving = Window::square(2, 2, Padding::Valid);
    let layers: Vec<Layer> = vec![
        Conv2d::same(4, 3).into(),
        Activation::Tanh.into(),
        Conv2d::same(5, 3).into(),
        AveragePool2d { window: halving }.into(),
        Flatten {}.into(),
        Dense { units: 6 }.into(),
        Activation::Tanh.into(),
    ];
    let net: Network<f64> = network(layers, &["a", "b", "c"]);
    let x = normal((net.features(), 1), 7);
    for class in 0..3 {
        let found = class_activation(&net, &Features::Real(x.view()), &[class]).unwrap();
        assert_eq!((found.layer, found.size), (2, [9, 10]));
        // A bias is added at every place: its slope is the sum of the gradient over all of them.
        let epsilon = 1e-5;
        let at = |unit: usize, step: f64| {
            let mut net = net.clone();
            net.tensor_mut("conv2.bias").unwrap()[(unit, 0)] += step;
            logit(&net, &x, class)
        };
        let alpha = |unit| (at(unit, epsilon) - at(unit, -epsilon)) / (2.0 * epsilon) / 90.0;
        let alpha: Vec<f64> = (0..5).map(alpha).collect();
        let caches = net.forward(&Features::Real(x.view())).unwrap();
        let numbers = caches.layer_output(2);
        let sum = |place: usize| (0..5).map(|k| alpha[k] * numbers[(place * 5 + k, 0)]).sum();
        let expected: Vec<f64> = (0..90).map(|place| f64::max(sum(place), 0.0)).collect();
        let difference = relative_difference(&found.maps.column(0).to_vec(), &expected);
        assert!(difference <= 1e-7, "class {class}: {difference}");
        assert!(expected.iter().any(|&number| number > 0.0), "class {class}");
    }
}

#[test]
fn a_class_activation_by_hand() {
    let mut net = build(
        Network::<f64>::builder(Shape::picture(2, 2, 1))
            .layer(Conv2d::same(2, 1))
            .layer(Activation::Relu)
            .layer(GlobalPool { by: PoolBy::Mean })
            .classes(["a", "b"]),
    );
    net.tensor_mut("conv1.weights").unwrap().assign(&array![[1.0], [-1.0]]);
    net.tensor_mut("dense1.weights").unwrap().assign(&array![[3.0, 2.0]]);
    let x = array![[4.0, 4.0], [0.0, 0.0], [0.0, 0.0], [-4.0, -4.0]];
    let found = class_activation(&net, &Features::Real(x.view()), &[1, 0]).unwrap();
    // A1 = relu(x) = 4 0 0 0 and A2 = relu(-x) = 0 0 0 4; alpha = 3/4 and 2/4. Everything speaks for b, nothing for a.
    assert_eq!((found.layer, found.size), (1, [2, 2]));
    assert_eq!(found.maps, array![[3.0, 0.0], [0.0, 0.0], [0.0, 0.0], [2.0, 0.0]]);
}

#[test]
fn what_cannot_be_explained_is_refused() {
    let net: Network<f64> = network(residual_layers(), &["a", "b", "c"]);
    let x = normal((net.features(), 2), 7);
    let features = Features::Real(x.view());
    assert!(has_class_activation(&net));
    let told =
        |classes: &[usize]| input_gradient(&net, &features, classes).unwrap_err().to_string();
    assert_eq!(told(&[0]), "expected 2 targets, one per example, found 1");
    assert_eq!(told(&[0, 3]), "example 1 has label 3; expected a label below 3");
    let narrow = x.slice(ndarray::s![1.., ..]);
    assert!(input_gradient(&net, &Features::Real(narrow), &[0, 1]).is_err());
    let dense: Network<f64> = network(vec![Dense { units: 4 }.into()], &["a", "b"]);
    assert!(!has_class_activation(&dense));
    let error = class_activation(&dense, &features, &[0, 1]).unwrap_err().to_string();
    assert!(error.contains("one with a convolution"), "{error}");
    assert!(input_gradient(&dense, &features, &[0, 1]).is_ok());
}
