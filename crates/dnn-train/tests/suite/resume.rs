//! Runs that are interrupted end in the same bits as runs that are not.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::ops::ControlFlow;

use crate::fits::{build, bytes, labels, normal, size};
use dnn_core::{Features, Shape};
use dnn_layers::{Activation, BatchNorm, Dropout, Network};
use dnn_train::{
    Augment, Batch, Checkpoint, ClassWeights, Clip, EarlyStopping, Event, Examples, Monitor,
    Optimizer, Schedule, TrainError, Trainer, unobserved,
};

/// A network with every kind of layer.
fn network() -> Network<f32> {
    build(
        Network::<f32>::builder(Shape::picture(4, 4, 1))
            .hidden(&[10], Activation::Identity)
            .layer(BatchNorm::default())
            .layer(Activation::Relu)
            .layer(Dropout { rate: 0.2 })
            .hidden(&[6], Activation::Tanh)
            .layer(Dropout { rate: 0.1 })
            .classes(["a", "b", "c"]),
    )
}

/// Everything that has a state, or draws.
fn everything() -> Trainer {
    Trainer {
        optimizer: "adam".parse().unwrap(),
        learning_rate: 0.02,
        schedule: "one-cycle".parse().unwrap(),
        warm_up: 3,
        l2: 0.1,
        clip: Clip::Norm(1.0),
        class_weights: ClassWeights::Balanced,
        label_smoothing: 0.05,
        monitor: Some(Monitor::ValidationCost),
        early_stopping: Some(EarlyStopping { patience: 3, min_delta: 0.0 }),
        batch: size(7),
        epochs: 10,
        seed: 5,
        augment: Some(Augment::new(|epoch, example, pixels, out| {
            let shift = (epoch + example as u64) % 3;
            out.iter_mut()
                .zip(pixels)
                .for_each(|(out, pixel)| *out = pixel.rotate_left(u32::try_from(shift).unwrap()));
        })),
        ..Trainer::default()
    }
}

/// 26 examples are four batches of 7: 40 steps in ten epochs.
#[test]
fn forty_of_forty_stop_points_end_in_the_same_bits() {
    let (pixels, far) = (bytes((16, 26), 1), bytes((16, 20), 2));
    let (y, y_far) = (labels(3, 26, 3), labels(3, 20, 4));
    let first = network();
    let training = Examples::classes(first.pixels(pixels.view()), &y);
    let validation = Examples::classes(first.pixels(far.view()), &y_far);
    let on = |threads: usize| Trainer { threads: threads.try_into().ok(), ..everything() };
    let patient = EarlyStopping { patience: 100, min_delta: 0.0 };
    for early_stopping in [patient, everything().early_stopping.unwrap()] {
        let on = |threads| Trainer { early_stopping: Some(early_stopping), ..on(threads) };
        let (mut straight, mut states) = (first.clone(), Vec::new());
        let history = on(2)
            .fit(&mut straight, &training, Some(&validation), &mut |event| {
                if let Event::State(state) = event {
                    states.push((state.step(), state.epochs(), state.checkpoint().unwrap()));
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        let expected = straight.to_bytes().unwrap();
        let best = history.best.unwrap();
        if early_stopping == patient {
            assert_eq!((history.epochs.len(), history.stopped_early), (10, false));
            // One state after each step, one after each epoch.
            assert_eq!(states.len(), 40 + 10);
        } else {
            assert!(history.stopped_early, "{best:?}");
            assert_eq!(history.epochs.len() as u64, best.epoch + 3);
        }
        for (index, (step, epochs, saved)) in states.iter().enumerate() {
            let checkpoint = Checkpoint::from_bytes(saved).unwrap();
            assert_eq!((checkpoint.step(), checkpoint.epochs()), (*step, *epochs));
            let mut resumed = first.clone();
            let trainer = on(1 + index % 3);
            let rest = trainer
                .resume(&mut resumed, checkpoint, &training, Some(&validation), &mut unobserved)
                .unwrap();
            assert!(resumed.to_bytes().unwrap() == expected, "stopped after step {step}");
            let epochs = usize::try_from(*epochs).unwrap();
            assert_eq!(rest.epochs, history.epochs[epochs..], "stopped after step {step}");
            assert_eq!(rest.best, history.best);
        }
    }
}

/// Gains that are too small to end the wait are better all the same; a checkpoint between them keeps what patience
/// waits to see beaten.
#[test]
fn a_wait_goes_on_where_it_was() {
    let (pixels, y) = (bytes((16, 20), 1), labels(3, 20, 2));
    let first: Network<f32> =
        build(Network::<f32>::builder(Shape::picture(4, 4, 1)).classes(["a", "b", "c"]));
    let training = Examples::classes(first.pixels(pixels.view()), &y);
    let (patience, min_delta) = (3, 0.005);
    let trainer = Trainer {
        learning_rate: 0.3,
        early_stopping: Some(EarlyStopping { patience, min_delta }),
        batch: Batch::Full,
        epochs: 2000,
        ..Trainer::default()
    };
    let (mut straight, mut states) = (first.clone(), Vec::new());
    let history = trainer
        .fit(&mut straight, &training, None, &mut |event| {
            if let Event::State(state) = event {
                states.push((state.epochs(), state.checkpoint().unwrap()));
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    // Epochs until so many in a row were not better by more than the margin than the last that was, or than the best.
    let costs: Vec<f64> = history.costs().collect();
    let epochs_by = |against_best: bool| {
        let (mut reference, mut best, mut waited) = (f64::INFINITY, f64::INFINITY, 0);
        let ends = |&cost: &f64| {
            let before = if against_best { best } else { reference };
            (reference, waited) =
                if before - cost > min_delta { (cost, 0) } else { (reference, waited + 1) };
            best = best.min(cost);
            waited == patience
        };
        costs.iter().position(ends).map(|index| index + 1)
    };
    assert_eq!(epochs_by(false), Some(costs.len()), "{costs:?}");
    let shorter = epochs_by(true);
    assert!(shorter.is_some_and(|epochs| epochs < costs.len()), "{shorter:?} of {costs:?}");
    let least = costs.iter().copied().fold(f64::INFINITY, f64::min);
    assert_eq!(history.best.unwrap().value, least);
    for (epochs, saved) in states.iter().step_by(3) {
        let checkpoint = Checkpoint::from_bytes(saved).unwrap();
        let mut resumed = first.clone();
        let rest =
            trainer.resume(&mut resumed, checkpoint, &training, None, &mut unobserved).unwrap();
        assert!(resumed == straight, "stopped after {epochs} epochs");
        assert_eq!(rest.epochs, history.epochs[usize::try_from(*epochs).unwrap()..]);
        assert_eq!(rest.best, history.best);
    }
}

#[test]
fn every_optimiser_and_schedule_goes_on_exactly() {
    let (x, y) = (normal((5, 20), 1), labels(3, 20, 2));
    let training = Examples::classes(Features::Real(x.view()), &y);
    let first: Network<f64> = build(crate::fits::classifier(5, &[4], 3));
    for optimizer in Optimizer::NAMES {
        for schedule in Schedule::NAMES {
            let optimizer: Optimizer = optimizer.parse().unwrap();
            let batch = match optimizer {
                Optimizer::Lbfgs(_) => Batch::Full,
                _ => size(6),
            };
            let trainer = Trainer {
                optimizer,
                learning_rate: optimizer.default_learning_rate(),
                schedule: match *schedule {
                    "plateau" => "plateau:patience=0,threshold=0.5".parse().unwrap(),
                    other => other.parse().unwrap(),
                },
                batch,
                epochs: 6,
                ..Trainer::default()
            };
            let mut straight = first.clone();
            trainer.fit(&mut straight, &training, None, &mut unobserved).unwrap();
            for stop in 1..=5 {
                let (mut resumed, mut saved) = (first.clone(), Vec::new());
                trainer
                    .fit(&mut resumed, &training, None, &mut |event| match event {
                        Event::State(state) if state.step() == stop => {
                            saved = state.checkpoint().unwrap();
                            ControlFlow::Break(())
                        }
                        _ => ControlFlow::Continue(()),
                    })
                    .unwrap();
                let checkpoint = Checkpoint::from_bytes(&saved).unwrap();
                trainer.resume(&mut resumed, checkpoint, &training, None, &mut unobserved).unwrap();
                assert!(resumed == straight, "{optimizer}, {schedule}, stopped at {stop}");
            }
        }
    }
}

/// A checkpoint after this step.
fn stopped(
    trainer: &Trainer,
    first: &Network<f64>,
    training: &Examples<'_, f64>,
    step: u64,
) -> Vec<u8> {
    let mut saved = Vec::new();
    trainer
        .fit(&mut first.clone(), training, None, &mut |event| match event {
            Event::State(state) if state.step() == step => {
                saved = state.checkpoint().unwrap();
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        })
        .unwrap();
    saved
}

#[test]
fn more_epochs_extend_a_run_and_other_settings_are_refused() {
    let (x, y) = (normal((5, 20), 1), labels(3, 20, 2));
    let training = Examples::classes(Features::Real(x.view()), &y);
    let first: Network<f64> = build(crate::fits::classifier(5, &[4], 3));
    let trainer = Trainer { batch: size(6), epochs: 3, ..Trainer::default() };
    // The last state of a run that is over, extended by three epochs.
    let mut last = Vec::new();
    trainer
        .fit(&mut first.clone(), &training, None, &mut |event| {
            if let Event::State(state) = event {
                last = state.checkpoint().unwrap();
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    let longer = Trainer { epochs: 6, ..trainer.clone() };
    let (mut extended, mut straight) = (first.clone(), first.clone());
    let checkpoint = Checkpoint::from_bytes(&last).unwrap();
    let rest = longer.resume(&mut extended, checkpoint, &training, None, &mut unobserved).unwrap();
    assert_eq!(rest.epochs.iter().map(|record| record.epoch).collect::<Vec<_>>(), [4, 5, 6]);
    longer.fit(&mut straight, &training, None, &mut unobserved).unwrap();
    assert_eq!(extended, straight);

    let saved = stopped(&trainer, &first, &training, 4);
    let refuse = |trainer: &Trainer, network: &Network<f64>| {
        let checkpoint = Checkpoint::from_bytes(&saved).unwrap();
        let mut network = network.clone();
        let error =
            trainer.resume(&mut network, checkpoint, &training, None, &mut unobserved).unwrap_err();
        assert!(matches!(error, TrainError::OtherRun { .. }), "{error:?}");
        error.to_string()
    };
    assert_eq!(
        refuse(&Trainer { seed: 2, ..trainer.clone() }, &first),
        "the checkpoint is of another run: seed: expected 1, found 2"
    );
    assert_eq!(
        refuse(&Trainer { optimizer: "adam".parse().unwrap(), ..trainer.clone() }, &first),
        "the checkpoint is of another run: optimiser: expected sgd, found adam"
    );
    let wider: Network<f64> = build(crate::fits::classifier(5, &[5], 3));
    assert!(refuse(&trainer, &wider).contains("network: expected"));
    // A schedule over the whole run is laid out for its length.
    let cosine = Trainer { schedule: "cosine".parse().unwrap(), ..trainer.clone() };
    let checkpoint = Checkpoint::from_bytes(&stopped(&cosine, &first, &training, 4)).unwrap();
    let longer = Trainer { epochs: 6, ..cosine };
    let error = longer
        .resume(&mut first.clone(), checkpoint, &training, None, &mut unobserved)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "the checkpoint is of another run: epochs, which the schedule depends on: expected 3, found 6"
    );
}

#[test]
fn a_checkpoint_that_is_cut_or_changed_is_refused() {
    let (x, y) = (normal((3, 8), 1), labels(2, 8, 2));
    let training = Examples::classes(Features::Real(x.view()), &y);
    let first: Network<f64> = build(crate::fits::classifier(3, &[2], 2));
    let trainer = Trainer { optimizer: "adam".parse().unwrap(), ..Trainer::default() };
    let saved = stopped(&trainer, &first, &training, 1);
    for len in 0..saved.len() {
        assert!(Checkpoint::<f64>::from_bytes(&saved[..len]).is_err(), "cut at {len}");
    }
    for index in 0..saved.len() {
        let mut changed = saved.clone();
        changed[index] ^= 0x20;
        assert!(Checkpoint::<f64>::from_bytes(&changed).is_err(), "changed at {index}");
    }
    let error = Checkpoint::<f32>::from_bytes(&saved).unwrap_err().to_string();
    assert_eq!(error, "expected a model in f32, found one in f64");
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run.checkpoint");
    std::fs::write(&path, &saved[..100]).unwrap();
    let error = Checkpoint::<f64>::load(&path).unwrap_err();
    assert!(matches!(error, TrainError::InCheckpoint { .. }));
    assert!(error.to_string().starts_with(&format!("{}: ", path.display())), "{error}");
    std::fs::write(&path, &saved).unwrap();
    assert_eq!(Checkpoint::<f64>::load(&path).unwrap().step(), 1);
}

#[test]
fn the_best_weights_come_back() {
    let (x, y) = (normal((5, 20), 1), labels(3, 20, 2));
    let (far, y_far) = (normal((5, 20), 3), labels(3, 20, 4));
    let training = Examples::classes(Features::Real(x.view()), &y);
    let validation = Examples::classes(Features::Real(far.view()), &y_far);
    let first: Network<f64> = build(crate::fits::classifier(5, &[4], 3));
    let trainer = Trainer { batch: size(6), epochs: 30, ..Trainer::default() };
    let trainer = Trainer { restore_best: true, ..trainer };
    let mut network = first.clone();
    let history = trainer.fit(&mut network, &training, Some(&validation), &mut unobserved).unwrap();
    let best = history.best.unwrap();
    assert!(best.epoch < 30, "labels at random are learned by heart: {best:?}");
    // The same run, ended there.
    let short = Trainer { epochs: best.epoch, restore_best: false, ..trainer.clone() };
    let mut ended = first.clone();
    short.fit(&mut ended, &training, Some(&validation), &mut unobserved).unwrap();
    assert_eq!(network, ended);
    let costs = history.epochs.iter().map(|record| record.validation.as_ref().unwrap().cost);
    let lowest = costs.fold(f64::INFINITY, f64::min);
    assert_eq!(best.value, lowest);
    // What is not there cannot be monitored.
    let error = trainer_for(Monitor::ValidationCost)
        .fit(&mut network, &training, None, &mut unobserved)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "monitor: expected cost or accuracy, as there is no validation part, found validation-cost"
    );
}

fn trainer_for(monitor: Monitor) -> Trainer {
    Trainer { monitor: Some(monitor), ..Trainer::default() }
}
