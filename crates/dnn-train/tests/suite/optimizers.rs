//! Every optimiser against PyTorch's, step by step, and what all of them have in common.
#![allow(clippy::unwrap_used, reason = "a test may stop at a broken golden file")]

use crate::pairs::Pairs;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use crate::support::{assert_parameters, integer, matrix, number, numbers, parameters};
use dnn_core::{Features, LayerParameters, Parameters, Purpose, RandomStream, Shape};
use dnn_layers::{Activation, Head, Network};
use dnn_train::{
    Batch, Checkpoint, Clip, Event, Examples, Moment, Optimizer, OptimizerState, Schedule, Trainer,
    unobserved, update_parameters_with,
};
use ndarray::{Array2, array};
use serde_json::Value;

/// How far numbers may be from PyTorch's, which sums in another order.
const CLOSE: f64 = 1e-10;

/// The network of the golden file.
fn network(start: &Parameters<f64>) -> Network<f64> {
    let mut network = Network::builder(Shape::flat(start.layers[0].weights.ncols()))
        .hidden(&[start.layers[0].weights.nrows()], Activation::Tanh)
        .classes(["a", "b", "c"])
        .build(&mut RandomStream::new(1, Purpose::Initialization, 0))
        .unwrap();
    for (mut layer, start) in network.pairs_mut().zip(&start.layers) {
        layer.weights.assign(&start.weights);
        layer.bias.assign(&start.bias);
    }
    network
}

#[test]
fn ten_steps_are_those_of_pytorch() {
    let golden: Value =
        serde_json::from_str(include_str!("../golden/pytorch_optimizers.json")).unwrap();
    let x = matrix(&golden["X"]);
    let y: Vec<u32> = golden["Y"].as_array().unwrap().iter().map(integer).collect();
    let start = parameters(&golden["parameters"], "");
    let runs = golden["runs"].as_object().unwrap();
    let mut names = Vec::new();
    for (text, run) in runs {
        let optimizer: Optimizer = text.parse().unwrap();
        assert_eq!(optimizer.to_string(), *text);
        names.push(optimizer.name());
        let costs = numbers(&run["costs"]);
        for (epochs, expected) in [(1, "after_first_step"), (10, "after_last_step")] {
            let mut network = network(&start);
            let trainer = Trainer {
                optimizer,
                learning_rate: number(&run["learning_rate"]),
                batch: Batch::Full,
                epochs,
                ..Trainer::default()
            };
            let examples = Examples::classes(Features::Real(x.view()), &y);
            let history = trainer.fit(&mut network, &examples, None, &mut unobserved).unwrap();
            for (found, expected) in history.costs().zip(&costs) {
                assert!((found - expected).abs() <= CLOSE, "{text}: {found}, expected {expected}");
            }
            let expected = parameters(&run[expected], "");
            assert_parameters(&network.pairs(), &expected, CLOSE, text);
        }
    }
    // None was forgotten. Muon is AdamW on dense layers, and is held against its formulas in `muon.rs`.
    for name in Optimizer::NAMES.iter().filter(|&&name| name != "muon") {
        assert!(names.contains(name), "{name} is not in the golden file");
    }
}

#[test]
fn rates_are_those_of_pytorch() {
    let golden: Value =
        serde_json::from_str(include_str!("../golden/pytorch_optimizers.json")).unwrap();
    let rate_0 = number(&golden["schedule_rate"]);
    let moment = |step| Moment { step, steps_per_epoch: 4, steps: 40 };
    let mut names = vec!["inverse-time".to_owned(), "staircase".to_owned()];
    for (text, rates) in golden["schedules"].as_object().unwrap() {
        let schedule: Schedule = text.parse().unwrap();
        assert_eq!(schedule.to_string(), *text);
        names.push(text.split(':').next().unwrap().to_owned());
        let rates = numbers(rates);
        assert_eq!(rates.len(), 40);
        for (step, expected) in rates.into_iter().enumerate() {
            let found = schedule.rate(rate_0, moment(step as u64));
            assert!((found - expected).abs() <= 1e-14, "{text} at {step}: {found}, {expected}");
        }
    }
    // What a plateau knows is seen by the rates of a whole run; a trapezoid is held against its formula beside it.
    names.extend(["plateau", "trapezoid"].map(str::to_owned));
    // The two that PyTorch does not have are in the course's golden files.
    for name in Schedule::NAMES {
        assert!(names.iter().any(|other| other == name), "{name} is not in the golden file");
    }
}

#[test]
fn a_plateau_lowers_the_rate_as_pytorch_does() {
    let golden: Value =
        serde_json::from_str(include_str!("../golden/pytorch_optimizers.json")).unwrap();
    let plateau = &golden["plateau"];
    let told = numbers(&plateau["told"]);
    let rate_0 = number(&golden["schedule_rate"]);
    // An example whose cost does not follow from any parameter: 0 x + b for a target that is moved.
    let x = array![[0.0]];
    let trainer = Trainer {
        learning_rate: rate_0,
        schedule: plateau["schedule"].as_str().unwrap().parse().unwrap(),
        batch: Batch::Full,
        epochs: 1,
        ..Trainer::default()
    };
    // One epoch at a time, as a resumed run of another target, so that each is told its own cost.
    let (mut network, mut saved) = (line(), None::<Vec<u8>>);
    let mut rates = Vec::new();
    for (epochs, cost) in (1..).zip(&told) {
        for mut layer in network.pairs_mut() {
            layer.weights.fill(0.0);
            layer.bias.fill(0.0);
        }
        let y = array![[cost.sqrt()]];
        let examples = Examples::values(Features::Real(x.view()), y.view());
        let trainer = Trainer { epochs, ..trainer.clone() };
        let before = saved.take();
        let mut observer = |event: Event<'_>| {
            match event {
                Event::Epoch(record) => {
                    assert!((record.cost - cost).abs() < 1e-12, "{} {cost}", record.cost);
                    rates.push(record.learning_rate);
                }
                Event::State(state) if state.epochs() == epochs => {
                    saved = Some(state.checkpoint().unwrap());
                }
                _ => {}
            }
            ControlFlow::Continue(())
        };
        match before {
            None => trainer.fit(&mut network, &examples, None, &mut observer).unwrap(),
            Some(bytes) => {
                let mut checkpoint = Checkpoint::from_bytes(&bytes).unwrap();
                for mut layer in checkpoint.network_mut().pairs_mut() {
                    layer.bias.fill(0.0);
                }
                trainer.resume(&mut network, checkpoint, &examples, None, &mut observer).unwrap()
            }
        };
    }
    // The rate of an epoch is what PyTorch says after the one before.
    assert_eq!(rates[0], rate_0);
    for (found, expected) in rates[1..].iter().zip(numbers(&plateau["rates"])) {
        assert!((found - expected).abs() <= 1e-14, "{found}, expected {expected}");
    }
}

/// `1 x + 0`.
fn line() -> Network<f64> {
    let mut network: Network<f64> = Network::builder(Shape::flat(1))
        .outputs(1, Head::Identity)
        .build(&mut RandomStream::new(1, Purpose::Initialization, 0))
        .unwrap();
    for mut layer in network.pairs_mut() {
        layer.weights.fill(1.0);
        layer.bias.fill(0.0);
    }
    network
}

/// The rates are also seen by their effect.
#[test]
fn a_run_takes_the_rate_of_each_step_after_its_warm_up() {
    let golden: Value =
        serde_json::from_str(include_str!("../golden/pytorch_optimizers.json")).unwrap();
    let warm_up = numbers(&golden["warm_up_of_5"]);
    let (x, y) = (array![[1.0]], array![[0.0]]);
    let examples = Examples::values(Features::Real(x.view()), y.view());
    let mut network = line();
    let trainer = Trainer {
        learning_rate: 0.3,
        batch: Batch::Full,
        epochs: 8,
        warm_up: 5,
        ..Trainer::default()
    };
    let history = trainer.fit(&mut network, &examples, None, &mut unobserved).unwrap();
    let found: Vec<f64> = history.epochs.iter().map(|record| record.learning_rate).collect();
    for (found, expected) in found.iter().zip(&warm_up) {
        assert!((found - expected).abs() <= 1e-15, "{found:?}");
    }
    // The same steps by hand: the cost is `(w + b)^2`.
    let (mut weight, mut bias) = (1.0, 0.0);
    for rate in &warm_up[..8] {
        let gradient = 2.0 * (weight + bias);
        (weight, bias) = (weight - rate * gradient, bias - rate * gradient);
    }
    let pairs = network.pairs();
    let layer = &pairs.layers[0];
    assert!((layer.weights[(0, 0)] - weight).abs() < 1e-12, "{layer:?}, {weight}");
}

/// Parameters of two layers, the first of which is more than one task updates.
fn large(seed: u64) -> Parameters<f64> {
    let mut draws = RandomStream::new(seed, Purpose::Data, 0);
    let mut array =
        |rows, columns| Array2::from_shape_simple_fn((rows, columns), || draws.normal());
    let mut layer =
        |rows, columns| LayerParameters { weights: array(rows, columns), bias: array(rows, 1) };
    Parameters { layers: vec![layer(700, 300), layer(5, 700)] }
}

#[test]
fn every_optimiser_gives_the_same_bits_on_any_threads_and_goes_on_from_its_state() {
    for name in Optimizer::NAMES.iter().filter(|&&name| name != "lbfgs") {
        let optimizer: Optimizer = name.parse().unwrap();
        let rate = optimizer.default_learning_rate();
        let steps = |threads: usize, pause: bool| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| {
                let mut parameters = large(1);
                let mut state = optimizer.start(&parameters);
                assert_eq!(state.memory.len(), optimizer.memory_names().len());
                for step in 0..4 {
                    if pause && step == 2 {
                        // What can be seen of a state is all of it.
                        let OptimizerState { steps, memory } = state;
                        state = OptimizerState { steps, memory };
                    }
                    let gradients = large(step + 2);
                    update_parameters_with(
                        optimizer,
                        &mut state,
                        &mut parameters,
                        &gradients,
                        rate,
                    )
                    .unwrap();
                }
                assert_eq!(state.steps, 4);
                (parameters, state)
            })
        };
        let expected = steps(1, false);
        assert_ne!(expected.0, large(1), "{name}");
        for threads in [2, 3, 8] {
            assert!(steps(threads, threads == 3) == expected, "{name} on {threads} threads");
        }
    }
}

#[test]
fn a_rule_is_its_formula_in_single_precision_too() {
    let layer = |w: f32, b: f32| LayerParameters { weights: array![[w]], bias: array![[b]] };
    let of = |w, b| Parameters { layers: vec![layer(w, b)] };
    // One step from a weight of 2 and a bias of 1 with gradients of 3 and -4, at a rate of 0.5.
    for (text, weight, bias) in [
        ("sgd", 0.5, 3.0),
        ("momentum:beta=0.5,dampening=0.5", 1.25, 2.0),
        ("nesterov:beta=0.5", 2.0 - 0.5 * 4.5, 1.0 + 0.5 * 6.0),
        // Every first step of a rule that divides by its own size is the rate, or a known multiple.
        ("adam", 1.5, 1.5),
        ("adagrad", 1.5, 1.5),
        ("rmsprop:rho=0.75", 1.0, 2.0),
        // The weight shrinks by half of the rate before, the bias does not.
        ("adamw:weight_decay=0.5", 1.0, 1.5),
        // The same at a tenth of the rate, as nothing here is a convolution.
        ("muon:weight_decay=0.5", 2.0 * (1.0 - 0.05 * 0.5) - 0.05, 1.05),
    ] {
        let optimizer: Optimizer = text.parse().unwrap();
        let mut parameters = of(2.0, 1.0);
        let mut state = optimizer.start(&parameters);
        update_parameters_with(optimizer, &mut state, &mut parameters, &of(3.0, -4.0), 0.5)
            .unwrap();
        let found = &parameters.layers[0];
        let apart = [found.weights[(0, 0)] - weight, found.bias[(0, 0)] - bias];
        assert!(apart.iter().all(|apart| apart.abs() < 1e-6), "{text}: {found:?}");
    }
}

#[test]
fn states_and_settings_that_do_not_fit_are_refused() {
    let parameters = || Parameters {
        layers: vec![LayerParameters { weights: array![[1.0]], bias: array![[1.0]] }],
    };
    let adam: Optimizer = "adam".parse().unwrap();
    let step = |optimizer: Optimizer, state: &mut OptimizerState<f64>| {
        update_parameters_with(optimizer, state, &mut parameters(), &parameters(), 0.1)
            .map_err(|error| error.to_string())
    };
    let mut other = Optimizer::GradientDescent.start(&parameters());
    let message = step(adam, &mut other).unwrap_err();
    assert!(message.ends_with("found 0 for 2"), "{message}");
    let mut state = adam.start(&parameters());
    state.memory[1][0] = Array2::zeros((2, 1));
    let message = step(adam, &mut state).unwrap_err();
    assert_eq!(message, "memory of the optimiser: expected shape (1, 1), found (2, 1)");
    state.memory[1].clear();
    assert!(step(adam, &mut state).unwrap_err().ends_with("found fewer"));
    let wild = Optimizer::Momentum(dnn_train::Momentum { beta: 1.5, ..Default::default() });
    let message = step(wild, &mut wild.start(&parameters())).unwrap_err();
    assert_eq!(message, "beta: expected a number from 0 and below 1, found 1.5");
    let x = array![[1.0, 2.0]];
    let examples = Examples::classes(Features::Real(x.view()), &[0, 1]);
    let mut network = Network::<f64>::builder(Shape::flat(1))
        .classes(["a", "b"])
        .build(&mut RandomStream::new(1, Purpose::Initialization, 0))
        .unwrap();
    let trainer = Trainer { optimizer: wild, threads: NonZeroUsize::new(1), ..Trainer::default() };
    let error = trainer.fit(&mut network, &examples, None, &mut unobserved).unwrap_err();
    assert_eq!(error.to_string(), message);
}

#[test]
fn a_gradient_is_clipped_before_the_step_and_l2_counts_by_all_examples() {
    // `w` of 1 and `b` of 0 on two examples of 1 with targets of -3: the gradients are 8 and 8.
    let (x, y) = (array![[1.0, 1.0]], array![[-3.0, -3.0]]);
    let examples = Examples::values(Features::Real(x.view()), y.view());
    let after = |trainer: Trainer| {
        let mut network = line();
        let trainer = Trainer { learning_rate: 0.25, epochs: 1, batch: Batch::Full, ..trainer };
        let history = trainer.fit(&mut network, &examples, None, &mut unobserved).unwrap();
        let pairs = network.pairs();
        let layer = &pairs.layers[0];
        (layer.weights[(0, 0)], layer.bias[(0, 0)], history.epochs[0].cost)
    };
    let plain = Trainer::default();
    assert_eq!(after(plain.clone()), (-1.0, -2.0, 16.0));
    assert_eq!(after(Trainer { clip: Clip::Value(2.0), ..plain.clone() }), (0.5, -0.5, 16.0));
    let (weight, bias, _) = after(Trainer { clip: Clip::Norm(2.0_f64.sqrt()), ..plain.clone() });
    assert!((weight - 0.75).abs() < 1e-15 && (bias + 0.25).abs() < 1e-15, "{weight} {bias}");
    // 3 / 2 is added to `dw`, and 3 / 4 to the cost.
    assert_eq!(after(Trainer { l2: 3.0, ..plain.clone() }), (-1.375, -2.0, 16.75));
    for (trainer, message) in [
        (
            Trainer { l2: -1.0, ..plain.clone() },
            "lambda of L2: expected a finite number of at least 0, found -1.0",
        ),
        (
            Trainer { clip: Clip::Norm(0.0), ..plain.clone() },
            "limit of the gradient: expected a finite number above 0, found 0.0",
        ),
        (
            Trainer { clip: Clip::Value(f64::NAN), ..plain },
            "limit of the gradient: expected a finite number above 0, found NaN",
        ),
    ] {
        let mut network = line();
        let error = trainer.fit(&mut network, &examples, None, &mut unobserved).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}
