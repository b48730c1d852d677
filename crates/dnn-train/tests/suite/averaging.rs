//! The moving average of the weights, and pictures mixed two by two.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::ops::ControlFlow;

use crate::fits::{build, bytes, full, labels, size};
use dnn_core::Shape;
use dnn_layers::{Activation, BatchNorm, Network};
use dnn_train::{
    Batch, Checkpoint, Cost, Event, Examples, TrainError, Trainer, evaluate, unobserved,
};
use ndarray::Array2;

const DECAY: f64 = 0.8;

fn network() -> Network<f64> {
    let builder =
        Network::<f64>::builder(Shape::picture(3, 4, 2)).hidden(&[9], Activation::Identity);
    build(builder.layer(BatchNorm::default()).layer(Activation::Relu).classes(["a", "b", "c"]))
}

fn trainer() -> Trainer {
    Trainer { averaging: Some(DECAY), epochs: 6, batch: size(7), ..Trainer::default() }
}

struct Data {
    pixels: Array2<u8>,
    labels: Vec<u32>,
}

impl Data {
    fn new() -> Self {
        Self { pixels: bytes((24, 20), 1), labels: labels(3, 20, 2) }
    }

    fn examples(&self, network: &Network<f64>) -> Examples<'_, f64> {
        Examples::classes(network.pixels(self.pixels.view()), &self.labels)
    }
}

#[test]
fn the_average_of_all_arrays_is_measured_kept_and_given_back() {
    let (data, first, trainer) = (Data::new(), network(), trainer());
    let examples = data.examples(&first);
    let mut expected: Vec<_> = first.tensors().iter().map(|it| it.values().to_owned()).collect();
    let (mut trained, mut last, mut costs) = (first.clone(), None, Vec::new());
    let history = trainer.fit(&mut trained, &examples, Some(&examples), &mut |event| {
        match event {
            Event::State(state) => {
                let saved = Checkpoint::<f64>::from_bytes(&state.checkpoint().unwrap()).unwrap();
                if last != Some(state.step()) {
                    last = Some(state.step());
                    let step = state.step() as f64;
                    let stays = DECAY.min((1.0 + step) / (10.0 + step));
                    for (average, tensor) in expected.iter_mut().zip(saved.network().tensors()) {
                        *average = &*average * stays + &tensor.values() * (1.0 - stays);
                    }
                }
                let model = Network::<f64>::from_bytes(&state.network().unwrap()).unwrap();
                for (average, tensor) in expected.iter().zip(model.tensors()) {
                    let near = |(x, y): (&f64, &f64)| (x - y).abs() < 1e-12;
                    assert!(average.iter().zip(tensor.values()).all(near), "{}", tensor.name());
                }
                assert_ne!(model, *saved.network());
                costs
                    .push(evaluate(&model, &examples, Cost::CategoricalCrossEntropy).unwrap().cost);
            }
            Event::Epoch(record) => {
                assert!(record.validation.is_some());
            }
            _ => {}
        }
        ControlFlow::Continue(())
    });
    let history = history.unwrap();
    for (average, tensor) in expected.iter().zip(trained.tensors()) {
        assert!((average - &tensor.values()).iter().all(|it| it.abs() < 1e-12));
    }
    let cost = history.epochs[5].validation.as_ref().unwrap().cost;
    assert!((cost - costs[costs.len() - 1]).abs() < 1e-12);

    // The best of the averages, which need not be the last.
    let best = Trainer { restore_best: true, ..trainer.clone() };
    let mut kept = first.clone();
    let history = best.fit(&mut kept, &examples, Some(&examples), &mut unobserved).unwrap();
    let costs = history.epochs.iter().map(|it| it.validation.as_ref().unwrap().cost);
    let least = costs.fold(f64::INFINITY, f64::min);
    let found = evaluate(&kept, &examples, Cost::CategoricalCrossEntropy).unwrap().cost;
    assert!((found - least).abs() < 1e-12);
}

#[test]
fn a_checkpoint_of_a_run_without_an_average_is_none_of_one_with() {
    let (data, first) = (Data::new(), network());
    let examples = data.examples(&first);
    let checkpoint = |trainer: &Trainer| {
        let mut saved = Vec::new();
        let fitted = trainer.fit(&mut first.clone(), &examples, None, &mut |event| match event {
            Event::State(state) => {
                saved = state.checkpoint().unwrap();
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        });
        fitted.unwrap();
        Checkpoint::<f64>::from_bytes(&saved).unwrap()
    };
    let with = trainer();
    let without = Trainer { averaging: None, ..with.clone() };
    let mixing = Trainer { mixing: Some("mixup".parse().unwrap()), ..with.clone() };
    for (saved, resumed) in
        [(&with, &without), (&without, &with), (&with, &mixing), (&mixing, &with)]
    {
        let mut network = first.clone();
        let result =
            resumed.resume(&mut network, checkpoint(saved), &examples, None, &mut unobserved);
        assert!(matches!(result.unwrap_err(), TrainError::OtherRun { .. }));
    }
}

#[test]
fn mixed_pictures_teach_mixed_targets() {
    let (data, first) = (Data::new(), network());
    let examples = data.examples(&first);
    for mixing in ["mixup:alpha=1", "cutmix:share=1"] {
        let trainer = Trainer {
            averaging: None,
            mixing: Some(mixing.parse().unwrap()),
            epochs: 300,
            learning_rate: 0.05,
            ..trainer()
        };
        let trained = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            let mut network = first.clone();
            let fit = || trainer.fit(&mut network, &examples, None, &mut unobserved);
            let history = pool.install(fit).unwrap();
            (network, history)
        };
        let (network, history) = trained(1);
        assert!(trained(3) == (network.clone(), history.clone()), "{mixing}");
        // What is learned is the pictures, and less surely than from the pictures alone.
        let evaluation = evaluate(&network, &examples, Cost::CategoricalCrossEntropy).unwrap();
        let mut plain = first.clone();
        let without = Trainer { mixing: None, ..trainer.clone() };
        without.fit(&mut plain, &examples, None, &mut unobserved).unwrap();
        let sure = evaluate(&plain, &examples, Cost::CategoricalCrossEntropy).unwrap();
        assert_eq!(evaluation.accuracy(), Some(1.0), "{mixing}");
        assert!(evaluation.cost > 2.0 * sure.cost, "{mixing}");
        assert!(history.epochs[299].cost > evaluation.cost, "{mixing}");
    }
}

#[test]
fn what_does_not_go_together_is_refused() {
    let (data, first) = (Data::new(), network());
    let examples = data.examples(&first);
    let refused = |trainer: Trainer| {
        let fitted = trainer.fit(&mut first.clone(), &examples, None, &mut unobserved);
        fitted.unwrap_err().to_string()
    };
    let error = refused(Trainer { averaging: Some(1.0), ..trainer() });
    assert_eq!(error, "weight averaging: expected a number from 0 and below 1, found 1.0");
    let mixing = Some("mixup".parse().unwrap());
    let lbfgs = Trainer { optimizer: "lbfgs".parse().unwrap(), batch: Batch::Full, ..trainer() };
    let error = refused(Trainer { mixing, averaging: None, ..lbfgs });
    assert_eq!(error, "L-BFGS: expected the same cost at every step, found mixing");
    // Neither goes with the products of pictures with each other.
    for trainer in
        [Trainer { mixing, ..full(0.1, 3) }, Trainer { averaging: Some(0.5), ..full(0.1, 3) }]
    {
        let plan = trainer.gram_plan(&first, 20, 0).unwrap();
        assert!(!plan.taken && ["mixing", "weight averaging"].contains(&plan.reason), "{plan:?}");
    }
}
