//! Every single call of the course whose numbers were published, in `f64`, to 1e-9 (whole
//! runs are in `golden_runs.rs`).
#![allow(clippy::unwrap_used, reason = "a test may stop at a broken golden file")]

use crate::support::{
    assert_close, assert_parameters, integer, integers, labels, matrix, number, numbers, parameters,
};
use dnn_core::{
    Features, Initializer, LayerParameters, Parameters, RandomStream, Shape, initialize_parameters,
    initialize_parameters_deep,
};
use dnn_layers::{
    Activation, Dropout, Head, LayerCache, Network, linear_activation_forward, linear_forward,
    model_forward,
};
use dnn_train::{
    Adam, Batch, DropoutMasks, Examples, Moment, Momentum, Optimizer, Schedule, Trainer, add_l2,
    apply_dropout, course, l2_cost, linear_activation_backward, linear_backward, unobserved,
    update_parameters, update_parameters_with,
};
use ndarray::{Array2, Axis};
use serde_json::Value;

const LIMIT: f64 = 1e-9;

fn cases(file: &str, key: &str) -> Vec<Value> {
    let json: Value = serde_json::from_str(file).unwrap();
    let cases = json[key].as_array().unwrap().clone();
    assert!(!cases.is_empty(), "no case in the golden file");
    cases
}

#[test]
fn building_your_network_step_by_step() {
    for case in cases(include_str!("../golden/c1w4a1_step_by_step.json"), "cases") {
        let name = case["name"].as_str().unwrap();
        let (inputs, expected) = (&case["inputs"], &case["expected"]);
        match name {
            "sigmoid_0_2" | "activations_edge_values" => activations(inputs, expected),
            "initialize_parameters_2_2_1"
            | "initialize_parameters_3_2_1"
            | "initialize_parameters_deep_5_4_3" => initialization(inputs, expected, name),
            "linear_forward" => {
                let (a, w, b) = (matrix(&inputs["A"]), matrix(&inputs["W"]), matrix(&inputs["b"]));
                let z = linear_forward(a.view(), w.view(), b.view()).unwrap();
                assert_close(&z, &matrix(&expected["Z"]), LIMIT, name);
            }
            "linear_activation_forward" => {
                let a_prev = matrix(&inputs["A_prev"]);
                let (w, b) = (matrix(&inputs["W"]), matrix(&inputs["b"]));
                for (activation, key) in
                    [(Activation::Sigmoid, "A_sigmoid"), (Activation::Relu, "A_relu")]
                {
                    let cache =
                        linear_activation_forward(a_prev.view(), w.view(), b.view(), activation)
                            .unwrap();
                    assert_close(&cache.z, &matrix(&expected["Z"]), LIMIT, name);
                    assert_close(&cache.a, &matrix(&expected[key]), LIMIT, key);
                }
            }
            "L_model_forward_1hidden" | "L_model_forward_2hidden" => {
                let caches = forward(inputs, expected);
                assert!(caches.len() >= 2, "{name}");
            }
            "full_pass_2hidden_own_labels" => full_pass(inputs, expected),
            "compute_cost_111" | "compute_cost_110" => {
                let (al, y) = (matrix(&inputs["AL"]), matrix(&inputs["Y"]));
                let cost = course::compute_cost(al.view(), y.view()).unwrap();
                assert!((cost - number(&expected["cost"])).abs() <= LIMIT, "{name}: {cost}");
            }
            "linear_backward_1x2" | "linear_backward_3x4" => {
                let (dz, w) = (matrix(&inputs["dZ"]), matrix(&inputs["W"]));
                let a_prev = matrix(&inputs["A_prev"]);
                let found = linear_backward(dz.view(), a_prev.view(), w.view()).unwrap();
                assert_close(&found.da_prev, &matrix(&expected["dA_prev"]), LIMIT, name);
                assert_close(&found.weights, &matrix(&expected["dW"]), LIMIT, name);
                assert_close(&found.bias, &matrix(&expected["db"]), LIMIT, name);
            }
            "linear_activation_backward" => activation_backward(inputs, expected),
            "L_model_backward" => literal_backward(inputs, expected),
            "update_parameters" => update(inputs, expected, name),
            other => panic!("a golden case without a test: {other}"),
        }
    }
}

fn activations(inputs: &Value, expected: &Value) {
    let z = matrix(&inputs["Z"]);
    let sigmoid = expected.get("sigmoid").unwrap_or(&expected["A"]);
    assert_close(&z.mapv(|z| Activation::Sigmoid.value(z)), &matrix(sigmoid), LIMIT, "sigmoid");
    if let Some(relu) = expected.get("relu") {
        let a = z.mapv(|z| Activation::Relu.value(z));
        assert_close(&a, &matrix(relu), LIMIT, "relu");
        let ones = Array2::ones(z.raw_dim());
        let dz = dnn_train::relu_backward(ones.view(), z.view()).unwrap();
        assert_close(&dz, &matrix(&expected["relu_grad_mask"]), 0.0, "derivative of relu");
    }
}

/// From the seed alone.
fn initialization(inputs: &Value, expected: &Value, name: &str) {
    let mut stream = RandomStream::numpy_legacy(integer(&inputs["seed"]));
    let found: Parameters<f64> = if let Some(dims) = inputs.get("layer_dims") {
        let rule = Initializer::Normal(number(&inputs["scale"]));
        initialize_parameters_deep(&integers(dims), rule, &mut stream).unwrap()
    } else {
        let width = |key: &str| integer(&inputs[key]);
        initialize_parameters(width("n_x"), width("n_h"), width("n_y"), &mut stream).unwrap()
    };
    assert_parameters(&found, &parameters(expected, ""), LIMIT, name);
}

fn forward(inputs: &Value, expected: &Value) -> Vec<LayerCache<f64>> {
    let (x, parameters) = (matrix(&inputs["X"]), parameters(&inputs["parameters"], ""));
    let caches = model_forward(x.view(), &parameters, Activation::Relu, Head::Sigmoid).unwrap();
    let last = &caches[caches.len() - 1];
    assert_close(&last.a, &matrix(&expected["AL"]), LIMIT, "AL");
    for (l, cache) in caches.iter().enumerate() {
        if let Some(z) = expected.get(format!("Z{}", l + 1)) {
            assert_close(&cache.z, &matrix(z), LIMIT, "Z");
        }
    }
    // A network of the same parameters runs the same pass.
    let network = course::network_of(parameters).unwrap();
    let whole = network.forward(&dnn_core::Features::Real(x.view())).unwrap();
    assert_close(&whole.output().to_owned(), &last.a, 1e-15, "AL of the network");
    caches
}

fn full_pass(inputs: &Value, expected: &Value) {
    let (x, y) = (matrix(&inputs["X"]), matrix(&inputs["Y"]));
    let mut parameters_now = parameters(&inputs["parameters"], "");
    let caches = forward(inputs, expected);
    let al = &caches[2].a;
    let cost = course::compute_cost(al.view(), y.view()).unwrap();
    assert!((cost - number(&expected["cost"])).abs() <= LIMIT, "{cost}");
    let grads = &expected["grads"];
    let found =
        course::model_backward(al.view(), y.view(), x.view(), &parameters_now, &caches).unwrap();
    assert_parameters(&found.parameters, &parameters(grads, "d"), LIMIT, "gradient");
    for (l, da) in found.da.iter().enumerate() {
        assert_close(da, &matrix(&grads[format!("dA{l}")]), LIMIT, "dA");
    }
    let dal = course::cost_gradient(al.view(), y.view());
    assert_close(&dal, &matrix(&grads["dA3"]), LIMIT, "dAL");
    // Training goes from the logits instead, and arrives at the same numbers.
    let network = course::network_of(parameters_now.clone()).unwrap();
    let labels = labels(&inputs["Y"]);
    let examples = dnn_train::Examples::classes(dnn_core::Features::Real(x.view()), &labels);
    let (engine_cost, gradient) =
        crate::pairs::gradients(&network, &examples, dnn_train::Cost::BinaryCrossEntropy).unwrap();
    assert!((engine_cost - cost).abs() <= LIMIT);
    assert_parameters(&gradient, &parameters(grads, "d"), LIMIT, "gradient of the trainer");
    update_parameters(&mut parameters_now, &gradient, number(&inputs["learning_rate"])).unwrap();
    assert_parameters(
        &parameters_now,
        &parameters(&expected["updated"], ""),
        LIMIT,
        "after the update",
    );
}

fn activation_backward(inputs: &Value, expected: &Value) {
    let (da, w) = (matrix(&inputs["dA"]), matrix(&inputs["W"]));
    let (a_prev, z) = (matrix(&inputs["A_prev"]), matrix(&inputs["Z"]));
    for (activation, key) in [(Activation::Sigmoid, "sigmoid"), (Activation::Relu, "relu")] {
        let cache = LayerCache { a: z.mapv(|z| activation.value(z)), z: z.clone() };
        let found =
            linear_activation_backward(da.view(), a_prev.view(), w.view(), &cache, activation)
                .unwrap();
        let expect = |what: &str| matrix(&expected[format!("{key}_{what}")]);
        assert_close(&found.da_prev, &expect("dA_prev"), LIMIT, key);
        assert_close(&found.weights, &expect("dW"), LIMIT, key);
        assert_close(&found.bias, &expect("db"), LIMIT, key);
    }
}

/// The published `AL` of this case is no probability (1.79, 0.44).
fn literal_backward(inputs: &Value, expected: &Value) {
    let (al, y) = (matrix(&inputs["AL"]), matrix(&inputs["Y"]));
    let parameters_given = parameters(inputs, "");
    // The course numbers a layer's input like the layer: `A1` goes into layer 1.
    let caches = [
        LayerCache { z: matrix(&inputs["Z1"]), a: matrix(&inputs["A2"]) },
        LayerCache { z: matrix(&inputs["Z2"]), a: al.clone() },
    ];
    let x = matrix(&inputs["A1"]);
    let found =
        course::model_backward(al.view(), y.view(), x.view(), &parameters_given, &caches).unwrap();
    assert_parameters(&found.parameters, &parameters(expected, "d"), LIMIT, "L_model_backward");
    assert_close(&found.da[0], &matrix(&expected["dA0"]), LIMIT, "dA0");
    assert_close(&found.da[1], &matrix(&expected["dA1"]), LIMIT, "dA1");
    let dal = course::cost_gradient(al.view(), y.view());
    assert_close(&dal, &matrix(&expected["dA2"]), LIMIT, "dAL");
}

fn update(inputs: &Value, expected: &Value, name: &str) {
    let mut found = parameters(&inputs["parameters"], "");
    let gradient = parameters(&inputs["grads"], "d");
    update_parameters(&mut found, &gradient, number(&inputs["learning_rate"])).unwrap();
    assert_parameters(&found, &parameters(expected, ""), LIMIT, name);
}

/// A step of an optimiser with a memory, after `steps` others.
fn remembering(optimizer: Optimizer, steps: u64, inputs: &Value, expected: &Value) {
    let mut found = parameters(&inputs["parameters"], "");
    let gradient = parameters(&inputs["grads"], "d");
    let mut state = optimizer.start(&found);
    state.steps = steps;
    let rate = number(&inputs["learning_rate"]);
    update_parameters_with(optimizer, &mut state, &mut found, &gradient, rate).unwrap();
    assert_parameters(&found, &parameters(expected, ""), LIMIT, optimizer.name());
    for (name, memory) in optimizer.memory_names().iter().zip(&state.memory) {
        let expected = parameters(expected, &format!("{name}_d"));
        let memory = crate::pairs::paired(memory.iter().cloned());
        assert_parameters(&memory, &expected, LIMIT, &format!("{optimizer} {name}"));
    }
}

#[test]
fn initialization_rules() {
    for case in cases(include_str!("../golden/c2w1_initialization.json"), "init_cases") {
        let name = case["name"].as_str().unwrap();
        let rule = match name {
            "random_x10_3_2_1" => Initializer::Normal(10.0),
            "he_2_4_1" => Initializer::HeNormal,
            other => panic!("a golden case without a test: {other}"),
        };
        let dims = integers(&case["inputs"]["layer_dims"]);
        let found: Parameters<f64> =
            initialize_parameters_deep(&dims, rule, &mut RandomStream::numpy_legacy(3)).unwrap();
        assert_parameters(&found, &parameters(&case["expected"], ""), LIMIT, name);
    }
}

#[test]
fn optimization_methods() {
    for case in cases(include_str!("../golden/c2w2_optimization.json"), "cases") {
        let name = case["name"].as_str().unwrap();
        let (inputs, expected) = (&case["inputs"], &case["expected"]);
        match name {
            "update_parameters_with_gd" => update(inputs, expected, name),
            "random_mini_batches_148_by_64" => mini_batches_of_148(inputs, expected),
            "random_mini_batches_7_by_2" => mini_batches_of_7(inputs, expected),
            "learning_rate_decay" => decay(expected),
            "update_parameters_with_momentum" => {
                // The course's is an average: what is new counts by `1 - beta`.
                let beta = number(&inputs["beta"]);
                let momentum = Momentum { beta, dampening: beta, nesterov: false };
                remembering(Optimizer::Momentum(momentum), 0, inputs, expected);
            }
            "update_parameters_with_adam_t2" => {
                let [beta1, beta2, epsilon] =
                    ["beta1", "beta2", "epsilon"].map(|name| number(&inputs[name]));
                // At step 2, from a memory of zeros.
                remembering(Optimizer::Adam(Adam { beta1, beta2, epsilon }), 1, inputs, expected);
            }
            other => panic!("a golden case without a test: {other}"),
        }
    }
}

#[test]
fn regularization() {
    for case in cases(include_str!("../golden/c2w1_regularization.json"), "cases") {
        let name = case["name"].as_str().unwrap();
        let (inputs, expected) = (&case["inputs"], &case["expected"]);
        match name {
            "compute_cost_with_regularization" => {
                let (a, y) = (matrix(&inputs["A3"]), matrix(&inputs["Y"]));
                let parameters = parameters(&inputs["parameters"], "");
                let cost = course::compute_cost(a.view(), y.view()).unwrap();
                let l2 = l2_cost(&parameters, number(&inputs["lambda"]), y.ncols());
                assert!((cost + l2 - number(&expected["cost"])).abs() <= LIMIT, "{name}");
            }
            "backward_propagation_with_regularization" => backward_with_l2(inputs, expected),
            "forward_propagation_with_dropout" => forward_with_dropout(inputs, expected),
            "backward_propagation_with_dropout" => backward_with_dropout(inputs, expected),
            other => panic!("a golden case without a test: {other}"),
        }
    }
}

/// What the golden files hold, by file and section: a case more or less has to be written here, and tested.
const HELD: [(&str, &str, &str); 11] = [
    (
        include_str!("../golden/c1w4a1_step_by_step.json"),
        "cases",
        "sigmoid_0_2 activations_edge_values initialize_parameters_2_2_1 \
             initialize_parameters_3_2_1 initialize_parameters_deep_5_4_3 linear_forward \
             linear_activation_forward L_model_forward_1hidden L_model_forward_2hidden \
             full_pass_2hidden_own_labels compute_cost_111 compute_cost_110 linear_backward_1x2 \
             linear_backward_3x4 linear_activation_backward L_model_backward update_parameters",
    ),
    (
        include_str!("../golden/c1w4a2_application.json"),
        "small_end_to_end_cases",
        "L_layer_model_2iters L_layer_model_3iters",
    ),
    (
        include_str!("../golden/c1w4a2_application.json"),
        "training_runs",
        "four_layer_12288_20_7_5_1 two_layer_12288_7_1 four_layer_init_0.01",
    ),
    (
        include_str!("../golden/c2w1_gradient_checking.json"),
        "cases",
        "gradient_check_1d gradient_check_n",
    ),
    (include_str!("../golden/c2w1_initialization.json"), "init_cases", "random_x10_3_2_1 he_2_4_1"),
    (
        include_str!("../golden/c2w1_initialization.json"),
        "training_runs",
        "zeros random10 he small_0.01 xavier_1/n",
    ),
    (
        include_str!("../golden/c2w1_regularization.json"),
        "cases",
        "compute_cost_with_regularization backward_propagation_with_regularization \
             forward_propagation_with_dropout backward_propagation_with_dropout",
    ),
    (include_str!("../golden/c2w1_regularization.json"), "training_runs", "none L2_0.7"),
    (
        include_str!("../golden/c2w2_optimization.json"),
        "cases",
        "update_parameters_with_gd update_parameters_with_momentum \
             update_parameters_with_adam_t2 random_mini_batches_148_by_64 \
             random_mini_batches_7_by_2 learning_rate_decay",
    ),
    (include_str!("../golden/c2w2_optimization.json"), "training_runs", "gd"),
    (
        include_str!("../golden/c4w1_convolution.json"),
        "cases",
        "zero_pad_2 zero_pad_3 conv_single_step conv_single_step_v1_wrong_bias \
             conv_single_step_seed3 conv_forward_v2 conv_forward_v2a conv_forward_2021 \
             conv_forward_shapes_and_seed3 conv_forward_and_backward_v1_wrong_bias \
             conv_backward conv_backward_wrong_stride_ignored pool_forward_v1 pool_forward_v2 \
             pool_forward_v2a_stride1 pool_forward_v2a_stride2 pool_forward_f2_stride1 \
             create_mask_from_window create_mask_from_window_3x3 distribute_value pool_backward \
             c4w2_identity_block_inference c4w2_identity_block_training",
    ),
];

#[test]
fn every_case_and_run_is_listed() {
    for (text, section, names) in HELD {
        let found = cases(text, section);
        let found: Vec<&str> = found.iter().map(|case| case["name"].as_str().unwrap()).collect();
        assert_eq!(found, names.split_whitespace().collect::<Vec<_>>(), "{section}");
        let json: Value = serde_json::from_str(text).unwrap();
        for (section, list) in json.as_object().unwrap() {
            let known = ["cases", "init_cases", "small_end_to_end_cases", "training_runs"];
            assert!(!list.is_array() || known.contains(&section.as_str()), "{section}");
        }
    }
}

fn mask(value: &Value) -> Array2<bool> {
    matrix(value).mapv(|keep| keep == 1.0)
}

fn forward_with_dropout(inputs: &Value, expected: &Value) {
    let keep_prob = number(&inputs["keep_prob"]);
    let layers = parameters(inputs, "").layers;
    let mut a = matrix(&inputs["X"]);
    for (l, layer) in layers.iter().enumerate() {
        let last = l + 1 == layers.len();
        let activation = if last { Activation::Sigmoid } else { Activation::Relu };
        let (weights, bias) = (layer.weights.view(), layer.bias.view());
        a = linear_activation_forward(a.view(), weights, bias, activation).unwrap().a;
        if !last {
            let keep = mask(&inputs[format!("mask_D{}", l + 1)]);
            apply_dropout(a.view_mut(), keep.view(), keep_prob);
        }
        assert_close(&a, &matrix(&expected[format!("A{}", l + 1)]), LIMIT, "A with dropout");
    }
}

/// The trainer's own step with the masks of the course: its cost is that of the published outputs, and its
/// gradient that of the single calls.
#[test]
fn the_trainer_drops_what_the_course_drops() {
    let all = cases(include_str!("../golden/c2w1_regularization.json"), "cases");
    let case = all.iter().find(|case| case["name"] == "forward_propagation_with_dropout").unwrap();
    let (inputs, expected) = (&case["inputs"], &case["expected"]);
    let (x, start) = (matrix(&inputs["X"]), parameters(inputs, ""));
    let keep_prob = number(&inputs["keep_prob"]);
    let masks = [mask(&inputs["mask_D1"]), mask(&inputs["mask_D2"])];
    for (mask, draws) in masks.iter().zip(["uniform_D1", "uniform_D2"]) {
        assert_eq!(mask, matrix(&inputs[draws]).mapv(|draw| draw < keep_prob));
    }
    let labels: Vec<u32> = (0..x.ncols()).map(|example| u32::from(example % 3 == 1)).collect();
    let y = Array2::from_shape_fn((1, x.ncols()), |(_, example)| f64::from(labels[example]));
    // The single calls, from the published activations.
    let a = |l: usize| if l == 0 { x.clone() } else { matrix(&expected[format!("A{l}")]) };
    let mut dz = a(3) - &y;
    let mut layers = Vec::new();
    for l in (1..=3).rev() {
        let weights = start.layers[l - 1].weights.view();
        let mut found = linear_backward(dz.view(), a(l - 1).view(), weights).unwrap();
        layers.insert(0, LayerParameters { weights: found.weights, bias: found.bias });
        if l > 1 {
            apply_dropout(found.da_prev.view_mut(), masks[l - 2].view(), keep_prob);
            dz = dnn_train::relu_backward(found.da_prev.view(), a(l - 1).view()).unwrap();
        }
    }
    let mut builder = Network::<f64>::builder(Shape::flat(x.nrows()));
    for layer in &start.layers[..2] {
        let (units, activation) = (layer.weights.nrows(), Activation::Relu);
        builder = builder.hidden(&[units], activation);
        builder = builder.layer(Dropout { rate: 1.0 - keep_prob });
    }
    let mut network = builder.classes(["0", "1"]).build_with(start.clone()).unwrap();
    let given = DropoutMasks::new(move |_, layer, mut keep| keep.assign(&masks[layer - 1]));
    let trainer = Trainer {
        dropout_masks: Some(given),
        learning_rate: 1.0,
        batch: Batch::Full,
        epochs: 1,
        ..Trainer::default()
    };
    let examples = Examples::classes(Features::Real(x.view()), &labels);
    let history = trainer.fit(&mut network, &examples, None, &mut unobserved).unwrap();
    let cost = course::compute_cost(a(3).view(), y.view()).unwrap();
    assert!((history.epochs[0].cost - cost).abs() <= LIMIT, "{} {cost}", history.epochs[0].cost);
    let mut after = start;
    update_parameters(&mut after, &Parameters { layers }, 1.0).unwrap();
    assert_parameters(&network.dense_parameters(), &after, LIMIT, "a step with dropout");
}

fn backward_with_dropout(inputs: &Value, expected: &Value) {
    let of = |letter: &str, l: usize| matrix(&inputs[format!("{letter}{l}")]);
    let keep_prob = number(&inputs["keep_prob"]);
    let mut dz = of("A", 3) - matrix(&inputs["Y"]);
    for l in (1..=3).rev() {
        let a_prev = if l == 1 { matrix(&inputs["X"]) } else { of("A", l - 1) };
        let mut found = linear_backward(dz.view(), a_prev.view(), of("W", l).view()).unwrap();
        assert_close(&found.weights, &matrix(&expected[format!("dW{l}")]), LIMIT, "dW");
        if l > 1 {
            let keep = mask(&inputs[format!("D{}", l - 1)]);
            apply_dropout(found.da_prev.view_mut(), keep.view(), keep_prob);
            assert_close(&found.da_prev, &matrix(&expected[format!("dA{}", l - 1)]), LIMIT, "dA");
            dz = dnn_train::relu_backward(found.da_prev.view(), a_prev.view()).unwrap();
        }
    }
}

/// `dZ = A - Y` at the last layer and `dA` where `A` is above 0 in the others, as the course has it.
fn backward_with_l2(inputs: &Value, expected: &Value) {
    let of = |letter: &str, l: usize| matrix(&inputs[format!("{letter}{l}")]);
    let mut dz = of("A", 3) - matrix(&inputs["Y"]);
    let m = dz.ncols();
    let mut layers = Vec::new();
    let mut weights = Vec::new();
    for l in (1..=3).rev() {
        let a_prev = if l == 1 { matrix(&inputs["X"]) } else { of("A", l - 1) };
        let w = of("W", l);
        let gradients = linear_backward(dz.view(), a_prev.view(), w.view()).unwrap();
        dz = gradients.da_prev;
        dz.zip_mut_with(&a_prev, |dz, &a| *dz = if a > 0.0 { *dz } else { 0.0 });
        let bias = Array2::zeros(gradients.bias.raw_dim());
        weights.insert(0, LayerParameters { weights: w, bias });
        let layer = LayerParameters { weights: gradients.weights, bias: gradients.bias };
        layers.insert(0, layer);
    }
    let mut found = Parameters { layers };
    add_l2(&mut found, &Parameters { layers: weights }, number(&inputs["lambda"]), m);
    assert_parameters(&found, &parameters(expected, "d"), LIMIT, "gradients with L2");
}

fn mini_batches_of_148(inputs: &Value, expected: &Value) {
    let (m, size) = (integer(&inputs["m"]), integer(&inputs["mini_batch_size"]));
    let seed = || RandomStream::numpy_legacy(integer(&inputs["seed"]));
    let batches = course::random_mini_batches(m, size, &mut seed());
    assert_eq!(batches.concat(), integers(&expected["permutation"]));
    let lengths: Vec<usize> = batches.iter().map(Vec::len).collect();
    let shapes: Vec<usize> = expected["batch_X_shapes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|shape| integer(&shape[1]))
        .collect();
    assert_eq!(lengths, shapes);
    // X is randn(12288, 148) after seed 1: its first row is the first 148 draws.
    let mut draws = RandomStream::numpy_legacy(1);
    let row: Vec<f64> = (0..m).map(|_| draws.normal()).collect();
    let first: Vec<f64> = batches[0][..3].iter().map(|&column| row[column]).collect();
    let published = numbers(&expected["first_batch_row0_first3"]);
    assert!(first.iter().zip(&published).all(|(a, b)| (a - b).abs() <= LIMIT), "{first:?}");
}

fn mini_batches_of_7(inputs: &Value, expected: &Value) {
    let size: usize = integer(&inputs["mini_batch_size"]);
    let mut stream = RandomStream::numpy_legacy(integer(&inputs["seed"]));
    let (x, y) = (matrix(&inputs["X"]), matrix(&inputs["Y"]));
    let batches = course::random_mini_batches(x.ncols(), size, &mut stream);
    assert_eq!(batches.concat(), integers(&expected["permutation"]));
    for (k, batch) in batches.iter().enumerate() {
        let (x, y) = (x.select(Axis(1), batch), y.select(Axis(1), batch));
        assert_close(&x, &matrix(&expected["batches_X"][k]), LIMIT, "X of a batch");
        assert_close(&y, &matrix(&expected["batches_Y"][k]), 0.0, "Y of a batch");
    }
}

fn decay(expected: &Value) {
    let staircase = |decay, interval| Schedule::Staircase { decay, interval };
    let epoch = |epoch| Moment { step: epoch, steps_per_epoch: 1, steps: 10_000 };
    for (key, rate) in [
        (
            "inverse_time lr0=0.5 epoch=2 decay=1: lr0/(1+decay*epoch)",
            Schedule::InverseTime { decay: 1.0 }.rate(0.5, epoch(2)),
        ),
        (
            "scheduled lr0=0.5 epoch=100 decay=1 interval=100: lr0/(1+decay*floor(epoch/interval))",
            staircase(1.0, 100).rate(0.5, epoch(100)),
        ),
        (
            "scheduled lr0=0.5 epoch=10 decay=1 interval=100",
            staircase(1.0, 100).rate(0.5, epoch(10)),
        ),
        (
            "scheduled lr0=0.3 epoch=1000 decay=0.25 interval=100",
            staircase(0.25, 100).rate(0.3, epoch(1000)),
        ),
        (
            "scheduled lr0=0.3 epoch=100 decay=0.25 interval=100",
            staircase(0.25, 100).rate(0.3, epoch(100)),
        ),
    ] {
        assert!((rate - number(&expected[key])).abs() <= 1e-15, "{key}: {rate}");
    }
    assert_eq!(expected.as_object().unwrap().len(), 5);
}
