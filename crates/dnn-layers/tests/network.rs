//! Networks as their users meet them: building, predicting, and every way to get it wrong.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use dnn_core::{
    Columns, Features, Initializer, LayerParameters, Parameters, PixelScaling, Purpose,
    RandomStream, Shape,
};
use dnn_layers::{
    Activation, BatchNorm, Dense, Dropout, ForwardInputs, Head, Network, NetworkBuilder,
    linear_forward, model_forward,
};
use ndarray::{Array2, Axis, ShapeBuilder, array};
use proptest::prelude::*;

fn stream(seed: u64) -> RandomStream {
    RandomStream::new(seed, Purpose::Initialization, 0)
}

fn builder(features: usize) -> NetworkBuilder<f64> {
    Network::<f64>::builder(Shape::flat(features))
}

#[test]
fn a_network_by_hand() {
    // z1 = relu([1 -1; 0 2] x + [0; 1]), z2 = [1 1] z1 - 3; x = (1, 2) gives z1 = (0, 5), z2 = 2.
    let parameters = Parameters {
        layers: vec![
            LayerParameters {
                weights: array![[1.0, -1.0], [0.0, 2.0]],
                bias: array![[0.0], [1.0]],
            },
            LayerParameters { weights: array![[1.0, 1.0]], bias: array![[-3.0]] },
        ],
    };
    let network = builder(2)
        .hidden(&[2], Activation::Relu)
        .classes(["no", "yes"])
        .build_with(parameters.clone())
        .unwrap();
    let x = array![[1.0, 0.0], [2.0, 0.0]];
    let caches = network.forward(&Features::Real(x.view())).unwrap();
    assert_eq!(caches.layer_output(0), array![[-1.0, 0.0], [5.0, 1.0]]);
    assert_eq!(caches.layer_output(1), array![[0.0, 0.0], [5.0, 1.0]]);
    assert_eq!(caches.logits(), array![[2.0, -2.0]]);
    let p = 1.0 / (1.0 + (-2.0_f64).exp());
    let probabilities = network.predict_probabilities(&Features::Real(x.view())).unwrap();
    assert!((probabilities - array![[1.0 - p, p], [p, 1.0 - p]]).iter().all(|d| d.abs() < 1e-15));
    assert_eq!(network.predict(&Features::Real(x.view())).unwrap(), [1, 0]);
    // The step-by-step functions are the same computation.
    let steps = model_forward(x.view(), &parameters, Activation::Relu, Head::Sigmoid).unwrap();
    assert_eq!(steps[0].z, caches.layer_output(0));
    assert_eq!(steps[0].a, caches.layer_output(1));
    assert_eq!(steps[1].a, caches.output());
}

#[test]
fn exactly_one_half_is_the_first_class() {
    let network = builder(1)
        .classes(["a", "b"])
        .initializer(Initializer::Zeros)
        .build(&mut stream(0))
        .unwrap();
    assert_eq!(network.predict(&Features::Real(array![[7.0]].view())).unwrap(), [0]);
}

#[test]
fn pixels_and_their_scaled_numbers_predict_alike() {
    let scaling = PixelScaling::per_channel(&[0.4, 0.5, 0.6], &[0.2, 0.3, 0.25]).unwrap();
    let network = Network::<f64>::builder(Shape::picture(11, 10, 3))
        .hidden(&[9], Activation::Gelu)
        .classes(["x", "y", "z"])
        .scaling(scaling)
        .build(&mut stream(4))
        .unwrap();
    // More pictures than one tile holds.
    let mut draws = RandomStream::new(5, Purpose::Data, 0);
    let pixels =
        Array2::from_shape_simple_fn((330, 300).f(), || u8::try_from(draws.up_to(255)).unwrap());
    let (mean, deviation) = ([0.4, 0.5, 0.6], [0.2, 0.3, 0.25]);
    let real = Array2::from_shape_fn((330, 300), |(i, j)| {
        (f64::from(pixels[(i, j)]) / 255.0 - mean[i % 3]) / deviation[i % 3]
    });
    let from_pixels = network.predict_probabilities(&network.pixels(pixels.view())).unwrap();
    let from_numbers = network.predict_probabilities(&Features::Real(real.view())).unwrap();
    assert!((&from_pixels - &from_numbers).iter().all(|d| d.abs() < 1e-12));
    assert!(from_pixels.sum_axis(Axis(0)).iter().all(|sum| (sum - 1.0).abs() < 1e-12));
    assert_ne!(from_pixels.column(0), from_pixels.column(299));
}

#[test]
fn heads_follow_from_the_classes() {
    let two = builder(3).classes(["cat", "dog"]).build(&mut stream(0)).unwrap();
    assert_eq!((two.head(), two.outputs(), two.widths()), (Head::Sigmoid, 1, vec![3, 1]));
    let ten =
        builder(3).classes((0..10).map(|digit| digit.to_string())).build(&mut stream(0)).unwrap();
    assert_eq!((ten.head(), ten.outputs(), ten.widths()), (Head::Softmax, 10, vec![3, 10]));
    let softmax = builder(3).softmax(["cat", "dog"]).build(&mut stream(0)).unwrap();
    assert_eq!((softmax.head(), softmax.outputs()), (Head::Softmax, 2));
    let numbers = builder(3).outputs(2, Head::Identity).build(&mut stream(0)).unwrap();
    let error = numbers.predict(&Features::Real(Array2::zeros((3, 1)).view())).unwrap_err();
    assert!(error.to_string().starts_with("expected a network built with classes"), "{error}");
}

#[test]
fn every_wrong_layer_says_expected_and_found() {
    let dense = |units| Dense { units };
    let classes = ["a", "b"];
    for (wrong, message) in [
        (
            builder(0).classes(classes),
            "expected at least 1 in each direction and at most 2^48 values, found 1 x 0 x 1",
        ),
        (builder(usize::MAX).classes(classes), "at most 2^48 values"),
        (
            builder(2).layer(dense(4)).layer(dense(0)).classes(classes),
            "layer 2, dense: units of a dense layer: expected at least 1, found 0",
        ),
        (
            builder(2).layer(dense(50_000)).layer(dense(50_000)).classes(classes),
            "a network of 2500250001 parameters; expected at most 2147483648",
        ),
        (
            builder(2).layer(dense(1 << 47)).layer(dense(1 << 47)).classes(classes),
            "parameters; expected at most 2147483648",
        ),
        (
            builder(2).layer(dense(usize::MAX)).classes(classes),
            "layer 1, dense: shape: expected at least 1 in each direction and at most 2^48 values",
        ),
        (
            builder(2).layer(Activation::Relu).layer(dense(3)).classes(classes),
            "layer 1, activation: its place: expected one after a dense layer",
        ),
        (
            builder(2).layer(dense(3)).layer(Dropout { rate: 1.0 }).classes(classes),
            "layer 2, dropout: rate of dropout: expected a number from 0 and below 1, found 1",
        ),
        (
            builder(2)
                .layer(dense(3))
                .layer(BatchNorm { momentum: 0.1, epsilon: 0.0 })
                .classes(classes),
            "layer 2, batch_norm: epsilon of batch normalisation: expected a number above 0 and at most 1",
        ),
        (
            builder(2).hidden(&[3], Activation::Elu(f64::NAN)).classes(classes),
            "number of the activation: expected a finite number, found NaN",
        ),
    ] {
        let error = wrong.build(&mut stream(0)).unwrap_err().to_string();
        assert!(error.contains(message), "{error} does not say: {message}");
    }
}

#[test]
fn every_wrong_end_of_a_network_says_expected_and_found() {
    for (wrong, message) in [
        (
            builder(2).classes(["only"]),
            "a softmax head with 1 outputs expects at least 2 classes, found 1",
        ),
        (builder(2).classes(Vec::<String>::new()), "the network has no outputs; expected classes"),
        (builder(2).hidden(&[3], Activation::Relu), "the network has no outputs; expected classes"),
        (builder(2).outputs(2, Head::Softmax), "classes, found 0"),
        (builder(2).classes(["a", "b", "a"]), "class name `a` appears twice"),
        (
            builder(6)
                .classes(["a", "b"])
                .scaling(PixelScaling::per_channel(&[0.0; 3], &[1.0; 3]).unwrap()),
            "pixel scaling of 3 channels for pictures of 1 channels",
        ),
    ] {
        let error = wrong.build(&mut stream(0)).unwrap_err().to_string();
        assert!(error.contains(message), "{error} does not say: {message}");
    }
}

#[test]
fn an_activation_number_that_only_f64_holds_is_refused_in_f32() {
    let error = Network::<f32>::builder(Shape::flat(1))
        .hidden(&[1], Activation::LeakyRelu(1e300))
        .classes(["a", "b"])
        .build(&mut stream(0))
        .unwrap_err();
    let message =
        "layer 2, activation: number of the activation: expected a finite number, found 1";
    assert!(error.to_string().starts_with(message), "{error}");
}

/// Finite weights and inputs whose product is not.
#[test]
fn outputs_that_overflow_are_an_error_that_names_the_example() {
    let network = Network::<f32>::builder(Shape::flat(2))
        .classes(["a", "b", "c"])
        .initializer(Initializer::Constant(1e30))
        .build(&mut stream(0))
        .unwrap();
    let x = array![[1.0, 1e30], [0.0, 1e30]];
    let error = network.predict(&Features::Real(x.view())).unwrap_err().to_string();
    assert_eq!(error, "the outputs of example 1 are not finite; expected numbers");
}

#[test]
fn pixels_with_a_scaling_of_their_own_are_refused() {
    let network = builder(4).classes(["a", "b"]).build(&mut stream(0)).unwrap();
    let pixels = Array2::<u8>::zeros((4, 1));
    let scaling = PixelScaling::per_channel(&[0.5], &[0.5]).unwrap();
    let features = Features::Pixels { values: pixels.view(), scaling };
    let error = network.forward(&features).unwrap_err().to_string();
    assert_eq!(
        error,
        "pixels with another scaling than the network's own: expected mean 0, deviation 1, found \
         mean 0.5, deviation 0.5"
    );
    assert!(network.forward(&network.pixels(pixels.view())).is_ok());
}

#[test]
#[should_panic(expected = "caches of a network of another depth")]
fn caches_of_another_network_are_not_filled() {
    let shallow = builder(1).classes(["a", "b"]).build(&mut stream(0)).unwrap();
    let deep = builder(1)
        .hidden(&[1], Activation::Relu)
        .classes(["a", "b"])
        .build(&mut stream(0))
        .unwrap();
    let x = array![[1.0]];
    let all = Columns::Run { start: 0, len: 1 };
    let x = Features::Real(x.view());
    shallow.forward_into(ForwardInputs { x: &x, columns: all }, &mut deep.caches(1));
}

#[test]
fn parameters_that_do_not_fit_name_the_layer() {
    let layer = |units: usize, inputs: usize| LayerParameters::<f64> {
        weights: Array2::zeros((units, inputs)),
        bias: Array2::zeros((units, 1)),
    };
    let build = |layers| {
        let network = builder(2).hidden(&[3], Activation::Relu).classes(["a", "b"]);
        network.build_with(Parameters { layers }).unwrap_err().to_string()
    };
    assert_eq!(
        build(vec![layer(3, 2), layer(1, 4)]),
        "dense2.weights: expected shape (1, 3), found (1, 4)"
    );
    assert_eq!(build(vec![layer(3, 2)]), "expected parameters for 2 layers, found 1");
    let mut bad = layer(1, 3);
    bad.bias[(0, 0)] = f64::NAN;
    assert_eq!(build(vec![layer(3, 2), bad]), "dense2.bias holds numbers that are not finite");
}

#[test]
fn bad_inputs_say_expected_and_found() {
    let network = builder(3).classes(["a", "b"]).build(&mut stream(0)).unwrap();
    let predict = |x: Array2<f64>| network.predict(&Features::Real(x.view()));
    let error = predict(Array2::zeros((2, 5))).unwrap_err().to_string();
    assert_eq!(error, "features: expected shape (3, 5), found (2, 5)");
    let error = predict(array![[0.0], [f64::INFINITY], [0.0]]).unwrap_err().to_string();
    assert_eq!(error, "features holds inf in row 1, column 0; expected finite numbers");
    assert_eq!(predict(Array2::zeros((3, 0))).unwrap(), Vec::<usize>::new());
    let weights = array![[1.0, 2.0]];
    let bias = array![[1.0], [2.0]];
    let a_prev = array![[1.0], [2.0]];
    let error = linear_forward(a_prev.view(), weights.view(), bias.view()).unwrap_err();
    assert_eq!(error.to_string(), "bias: expected shape (1, 1), found (2, 1)");
    let error = linear_forward(bias.t(), weights.view(), bias.view()).unwrap_err();
    assert_eq!(error.to_string(), "A_prev: expected shape (2, 2), found (1, 2)");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn permuted_columns_give_permuted_outputs_and_batches_do_not_matter(
        seed in 0..1000_u64,
        m in 1..40_usize,
        hidden in prop::collection::vec(1..9_usize, 0..3),
        which in 0..9_usize,
    ) {
        let network = builder(5)
            .hidden(&hidden, Activation::ALL[which])
            .classes(["a", "b", "c"])
            .build(&mut stream(seed))
            .unwrap();
        let mut draws = RandomStream::new(seed, Purpose::Data, 0);
        let x = Array2::from_shape_simple_fn((5, m).f(), || draws.normal());
        let features = Features::Real(x.view());
        let whole = network.forward(&features).unwrap();
        let order = draws.permutation(m);
        let mut caches = network.caches(m);
        let inputs = |columns| ForwardInputs { x: &features, columns };
        network.forward_into(inputs(Columns::Listed(&order)), &mut caches);
        let permuted = whole.output().select(Axis(1), &order);
        prop_assert!((&caches.output() - &permuted).iter().all(|d: &f64| d.abs() < 1e-12));
        // A smaller batch in the same buffers.
        network.forward_into(inputs(Columns::Run { start: m - 1, len: 1 }), &mut caches);
        prop_assert_eq!(caches.examples(), 1);
        let last = whole.output().slice(ndarray::s![.., m - 1..]).to_owned();
        prop_assert!((&caches.output() - &last).iter().all(|d: &f64| d.abs() < 1e-12));
    }
}
