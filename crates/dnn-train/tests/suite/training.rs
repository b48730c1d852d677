//! What the trainer promises beside its bits: learning, weights, warnings, events, evaluation.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use crate::pairs::Pairs;
use std::ops::ControlFlow;

use dnn_core::{Element, Features, Initializer, LayerParameters, Parameters, Shape};
use dnn_layers::{Head, Network, NetworkBuilder};
use dnn_train::{Cost, Event, Examples, History, Schedule, Trainer, Warning, evaluate};
use ndarray::{Array2, ShapeBuilder, array};

use crate::fits::{bits, build, classifier, fit, full, in_order, labels, line, normal, size};

fn learns_what_can_be_learned<T: Element + dnn_store::Scalar>() {
    // A line with a gap of 0.4 around it.
    let points: Vec<f64> = normal((2, 400), 5)
        .columns()
        .into_iter()
        .filter(|point| (point[0] + 2.0 * point[1]).abs() > 0.2)
        .flat_map(|point| point.to_vec())
        .collect();
    let x = Array2::from_shape_vec((2, points.len() / 2).f(), points).unwrap();
    let side = |point: ndarray::ArrayView1<'_, f64>| u32::from(point[0] + 2.0 * point[1] > 0.0);
    let labels: Vec<u32> = x.columns().into_iter().map(side).collect();
    let x = x.mapv(T::from_f64);
    let examples = Examples::classes(Features::Real(x.view()), &labels);
    let trainer = Trainer { epochs: 60, ..Trainer::default() };
    let (trained, _) = fit(&trainer, &build::<T>(classifier(2, &[8], 2)), &examples);
    let evaluation = evaluate(&trained, &examples, Cost::BinaryCrossEntropy).unwrap();
    assert_eq!(evaluation.accuracy(), Some(1.0));
    assert!(evaluation.baseline().unwrap() < 0.6);
}

#[test]
fn a_separable_toy_is_learned_whole() {
    learns_what_can_be_learned::<f32>();
    learns_what_can_be_learned::<f64>();
}

#[test]
fn random_labels_are_memorised() {
    let (x, labels) = (normal((8, 24), 6), labels(3, 24, 7));
    let examples = Examples::classes(Features::Real(x.view()), &labels);
    let network: Network<f64> = build(classifier(8, &[64], 3));
    let (_, history) = fit(&full(0.5, 300), &network, &examples);
    let last = history.epochs.last().unwrap();
    assert_eq!(last.accuracy, Some(1.0));
    // Chance is ln 3 = 1.1; this run reaches 0.01.
    assert!(last.cost < 0.05, "{}", last.cost);
}

#[test]
fn a_last_short_batch_weighs_what_it_holds() {
    // a stays 0, so that an example costs y^2: 1, 4 | 9, 16 | 25.
    let (x, y) = (array![[1.0, 1.0, 1.0, 1.0, 1.0]], array![[1.0, 2.0, 3.0, 4.0, 5.0]]);
    let examples = Examples::values(Features::Real(x.view()), y.view());
    let mut costs = Vec::new();
    let history = in_order(2, 1e-300, 2)
        .fit(&mut line::<f64>(0.0), &examples, None, &mut |event| {
            if let Event::Step { cost, .. } = event {
                costs.push(cost);
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(costs, [2.5, 12.5, 25.0, 2.5, 12.5, 25.0]);
    // 55 / 5 in each epoch, not the mean of the three, 13.3.
    assert!(history.costs().eq([11.0, 11.0]));
    // dw = db = 2 (0 - 1): w = b = 0.5. Then a = 1, dw = db = 2 (1 - 4) of one example: w = b = 2.
    let (x, y) = (array![[1.0, 1.0, 1.0]], array![[1.0, 1.0, 4.0]]);
    let examples = Examples::values(Features::Real(x.view()), y.view());
    let (trained, _) = fit(&in_order(2, 0.25, 1), &line(0.0), &examples);
    assert_eq!(bits(&trained), [2.0_f64.to_bits(); 2]);
}

/// Warnings and the number of epochs before each, heard and kept.
fn warnings(
    builder: NetworkBuilder<f64>,
    labels: &[u32],
    trainer: &Trainer,
) -> Vec<(u64, Warning)> {
    let x = normal((2, labels.len()), 1);
    let examples = Examples::classes(Features::Real(x.view()), labels);
    let (mut heard, mut epochs) = (Vec::new(), 0);
    let history = trainer
        .fit(&mut build::<f64>(builder), &examples, None, &mut |event| {
            match event {
                Event::Epoch(_) => epochs += 1,
                Event::Warning(warning) => heard.push((epochs, warning.clone())),
                _ => {}
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    let kept: Vec<&Warning> = history.warnings.iter().collect();
    assert!(kept.iter().copied().eq(heard.iter().map(|(_, warning)| warning)));
    heard
}

#[test]
fn one_class_for_everything_is_warned_of_once() {
    let labels = [0, 1, 0, 1, 0, 1, 0, 1];
    let zeros = classifier(2, &[4], 2).initializer(Initializer::Zeros);
    let small = classifier(2, &[10; 6], 2).initializer(Initializer::Normal(0.01));
    for builder in [zeros.clone(), small] {
        let found = warnings(builder, &labels, &full(0.1, 300));
        assert_eq!(found.len(), 1, "{found:?}");
        let (epochs, warning) = &found[0];
        // Many networks start like this: it takes 100 steps.
        assert_eq!(*epochs, 100);
        let Warning::SingleClass { class, epoch } = warning else {
            panic!("{warning:?}");
        };
        assert_eq!((*class < 2, *epoch), (true, 100));
        let text = warning.to_string();
        assert!(text.starts_with("up to epoch 100 all examples of a batch were given"), "{text}");
    }
    // Ten epochs of ten steps are as many; a shorter run warns at its end.
    let tenths = [[0, 1]; 10].concat();
    assert_eq!(warnings(zeros.clone(), &tenths, &in_order(2, 0.1, 30))[0].0, 10);
    assert_eq!(warnings(zeros.clone(), &labels, &full(0.1, 50))[0].0, 50);
    assert_eq!(warnings(zeros, &labels, &full(0.1, 3))[0].0, 3);
}

#[test]
fn no_warning_without_a_reason() {
    let zeros = || classifier(2, &[4], 2).initializer(Initializer::Zeros);
    assert_eq!(warnings(zeros(), &[1; 8], &full(0.1, 30)), []);
    let labels = [0, 1, 0, 1, 0, 1, 0, 1];
    assert_eq!(warnings(zeros(), &labels, &full(0.1, 0)), []);
    assert_eq!(warnings(classifier(2, &[16], 2), &labels, &full(0.5, 30)), []);
}

#[test]
fn events_come_in_order_and_the_history_keeps_the_epochs() {
    let (x, labels) = (normal((2, 5), 1), [0, 1, 0, 1, 1]);
    let examples = Examples::classes(Features::Real(x.view()), &labels);
    let mut network: Network<f64> = build(classifier(2, &[3], 2));
    let mut heard = Vec::new();
    let trainer = Trainer { batch: size(2), ..full(0.1, 2) };
    let history = trainer
        .fit(&mut network, &examples, None, &mut |event| {
            match event {
                Event::Step { epoch, step, batch, .. } => heard.push((epoch, step, Some(batch))),
                Event::Epoch(record) => heard.push((record.epoch, record.step, None)),
                // Six steps may well end with one class for everything.
                _ => {}
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    let expected = [
        (1, 1, Some(1)),
        (1, 2, Some(2)),
        (1, 3, Some(3)),
        (1, 3, None),
        (2, 4, Some(1)),
        (2, 5, Some(2)),
        (2, 6, Some(3)),
        (2, 6, None),
    ];
    assert_eq!(heard, expected);
    let kept: Vec<_> = history.epochs.iter().map(|one| (one.epoch, one.step)).collect();
    assert_eq!(kept, [(1, 3), (2, 6)]);
    let before = network.clone();
    let (after, history) = fit(&full(0.1, 0), &before, &examples);
    assert_eq!((after, history), (before, History::default()));
}

#[test]
fn a_break_ends_the_run_with_the_parameters_of_that_step() {
    let (x, labels) = (normal((2, 6), 1), [0, 1, 0, 1, 1, 0]);
    let examples = Examples::classes(Features::Real(x.view()), &labels);
    let network: Network<f64> = build(classifier(2, &[3], 2));
    let run = |last_step, epochs, at_epoch: bool| {
        let mut trained = network.clone();
        let mut steps = 0;
        let history = in_order(2, 0.1, epochs)
            .fit(&mut trained, &examples, None, &mut |event| {
                let stop = match event {
                    Event::Step { step, .. } => {
                        steps = step;
                        step == last_step && !at_epoch
                    }
                    Event::Epoch(record) => record.step == last_step && at_epoch,
                    _ => false,
                };
                if stop { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })
            .unwrap();
        assert_eq!(steps, last_step);
        (bits(&trained), history)
    };
    // Three steps an epoch.
    let whole = run(3, 1, false);
    assert!(whole.1.epochs.is_empty(), "the epoch in progress leaves no record");
    let epoch = run(3, 9, true);
    assert_eq!((&epoch.0, epoch.1.epochs.len()), (&whole.0, 1));
    let (third, _) = fit(&in_order(2, 0.1, 1), &network, &examples);
    assert_eq!(whole.0, bits(&third));
    let (fifth, history) = run(5, 9, false);
    assert_eq!(history.epochs.len(), 1);
    // The same by hand: three steps, then two on the first four examples.
    let four = x.slice(ndarray::s![.., ..4]);
    let first_four = Examples::classes(Features::Real(four), &labels[..4]);
    assert_eq!(fifth, bits(&fit(&in_order(2, 0.1, 1), &third, &first_four).0));
}

#[test]
fn an_evaluation_counts_by_hand() {
    // z = x, and -x, 0: the class is 0 where x > 0, 1 where x < 0, and 0 where all are equal.
    let layer =
        LayerParameters { weights: array![[1.0], [-1.0], [0.0]], bias: Array2::zeros((3, 1)) };
    let network = classifier(1, &[], 3).build_with(Parameters { layers: vec![layer] }).unwrap();
    let x = array![[1.0, 2.0, -1.0, -2.0, 0.0, 3.0]];
    let examples = Examples::classes(Features::Real(x.view()), &[0, 1, 1, 2, 2, 1]);
    let found = evaluate(&network, &examples, Cost::CategoricalCrossEntropy).unwrap();
    let counts = found.classification.as_ref().unwrap();
    assert_eq!((found.examples, counts.correct), (6, 2));
    assert_eq!(counts.actual, [1, 3, 2]);
    assert_eq!(counts.predicted, [4, 2, 0]);
    assert_eq!(found.accuracy(), Some(1.0 / 3.0));
    assert_eq!(found.baseline(), Some(0.5));
    assert_eq!(counts.single_class(), None);
    // Numbers have no accuracy: ((1 - 0)^2 + (2 - 0)^2) / 2.
    let (x, y) = (array![[1.0, 2.0]], array![[0.0, 0.0]]);
    let numbers = Examples::values(Features::Real(x.view()), y.view());
    let found = evaluate(&line(1.0), &numbers, Cost::MeanSquaredError).unwrap();
    assert_eq!((found.cost, found.accuracy(), found.baseline()), (2.5, None, None));
}

#[test]
fn several_sigmoids_are_judged_by_the_largest() {
    // Output i is sure of example i.
    let weights = Array2::from_shape_fn((3, 3), |(i, j)| if i == j { 9.0 } else { -9.0 });
    let layer = LayerParameters { weights, bias: Array2::zeros((3, 1)) };
    let network = Network::<f64>::builder(Shape::flat(3))
        .outputs(3, Head::Sigmoid)
        .build_with(Parameters { layers: vec![layer] })
        .unwrap();
    let x = Array2::eye(3);
    let examples = Examples::classes(Features::Real(x.view()), &[0, 1, 2]);
    let found = evaluate(&network, &examples, Cost::BinaryCrossEntropy).unwrap();
    let counts = found.classification.unwrap();
    assert_eq!((counts.correct, counts.predicted), (3, vec![1, 1, 1]));
}

#[test]
fn an_evaluation_in_passes_is_the_mean_over_all() {
    // Passes of 1024, 1024 and 452; example i costs i^2.
    let x = Array2::from_shape_fn((1, 2500), |(_, i)| i as f64);
    let y = Array2::zeros((1, 2500));
    let examples = Examples::values(Features::Real(x.view()), y.view());
    let found = evaluate(&line(1.0), &examples, Cost::MeanSquaredError).unwrap();
    // Sum of the squares below n: (n - 1) n (2n - 1) / 6.
    let mean = (2499.0 * 4999.0) / 6.0;
    assert_eq!(found.examples, 2500);
    assert!((found.cost - mean).abs() < 1e-9 * mean, "{}", found.cost);
    let labels: Vec<u32> = (0..2500).map(|i| u32::from(i >= 1500)).collect();
    // The probability is above 0.5 from x = 1 on: right are 0 and 1500..2500.
    let network: Network<f64> =
        build(classifier(1, &[], 2).initializer(Initializer::Constant(1.0)));
    let examples = Examples::classes(Features::Real(x.view()), &labels);
    let found = evaluate(&network, &examples, Cost::BinaryCrossEntropy).unwrap();
    let counts = found.classification.unwrap();
    assert_eq!((counts.correct, counts.predicted), (1001, vec![1, 2499]));
}

#[test]
fn a_schedule_sets_the_rate_of_each_epoch_and_of_its_steps() {
    // a = w + b, cost (a - 1)^2, x = 1: w and b both go by rate * 2 (1 - a).
    let (x, y) = (array![[1.0]], array![[1.0]]);
    let examples = Examples::values(Features::Real(x.view()), y.view());
    for (schedule, rates) in [
        (Schedule::Constant, [0.125, 0.125, 0.125, 0.125]),
        (Schedule::InverseTime { decay: 1.0 }, [0.125, 0.125 / 2.0, 0.125 / 3.0, 0.125 / 4.0]),
        (Schedule::Staircase { decay: 1.0, interval: 2 }, [0.125, 0.125, 0.0625, 0.0625]),
    ] {
        let trainer = Trainer { schedule, ..full(0.125, 4) };
        let (trained, history) = fit(&trainer, &line(0.0), &examples);
        let recorded: Vec<f64> = history.epochs.iter().map(|one| one.learning_rate).collect();
        assert_eq!(recorded, rates);
        let mut expected: f64 = 0.0;
        for (cost, rate) in history.costs().zip(rates) {
            assert!((cost - (2.0 * expected - 1.0).powi(2)).abs() < 1e-15);
            expected += rate * 2.0 * (1.0 - 2.0 * expected);
        }
        let found = trained.pairs().layers[0].weights[(0, 0)];
        assert!((found - expected).abs() < 1e-15, "{schedule:?}: {found}");
    }
}
