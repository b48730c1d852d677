//! The dual (Gram) form of full-batch gradient descent: the same runs as by weights, on the products of examples.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use crate::pairs::Pairs;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

use crate::fits::{apart, build, bytes, classifier, full, labels, normal, size};
use dnn_core::{Element, Features, PixelScaling, Shape};
use dnn_layers::{Activation, BatchNorm, Dropout, Network};
use dnn_train::{
    Augment, Batch, BatchOrder, Checkpoint, ClassWeights, Clip, EarlyStopping, Event, Examples,
    GramChoice, History, Monitor, TrainError, Trainer, unobserved,
};

/// Steps that both forms are compared over.
const STEPS: u64 = 50;

fn by_weights(trainer: &Trainer) -> Trainer {
    Trainer { gram: GramChoice::Never, ..trainer.clone() }
}

fn by_products(trainer: &Trainer) -> Trainer {
    Trainer { gram: GramChoice::Always, ..trainer.clone() }
}

/// The network after the run, its history, and which form the run said that it took.
fn run<T: Element + dnn_store::Scalar>(
    trainer: &Trainer,
    first: &Network<T>,
    training: &Examples<'_, T>,
    validation: Option<&Examples<'_, T>>,
) -> (Network<T>, History, bool) {
    let (mut network, mut taken) = (first.clone(), None);
    let history = trainer
        .fit(&mut network, training, validation, &mut |event| {
            if let Event::Plan(plan) = event {
                assert!(taken.replace(plan.taken).is_none(), "told once");
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    (network, history, taken.unwrap())
}

/// The largest relative difference between the costs of all epochs, those of the validation part included.
fn costs_apart(a: &History, b: &History) -> f64 {
    assert_eq!(a.epochs.len(), b.epochs.len());
    let costs = |history: &History| -> Vec<f64> {
        let validation = history.epochs.iter().filter_map(|epoch| epoch.validation.as_ref());
        history.costs().chain(validation.map(|it| it.cost)).collect()
    };
    let (a, b) = (costs(a), costs(b));
    assert_eq!(a.len(), b.len());
    a.iter().zip(&b).map(|(a, b)| (a - b).abs() / b.abs()).fold(0.0, f64::max)
}

/// Runs both forms of everything that is linear in the gradient.
fn both_forms_agree(
    first: &Network<f64>,
    training: &Examples<'_, f64>,
    validation: &Examples<'_, f64>,
    trainers: &[(&str, Trainer)],
) {
    for (name, trainer) in trainers {
        let trainer = Trainer { epochs: STEPS, batch: Batch::Full, ..trainer.clone() };
        let (plain, expected, taken) =
            run(&by_weights(&trainer), first, training, Some(validation));
        assert!(!taken, "{name}");
        let (gram, found, taken) = run(&by_products(&trainer), first, training, Some(validation));
        assert!(taken, "{name}");
        assert!(apart(&plain, first) > 1e-3, "{name}: nothing was learned");
        assert!(apart(&plain, &gram) < 1e-10, "{name}: {:e} apart", apart(&plain, &gram));
        let costs = costs_apart(&found, &expected);
        assert!(costs < 1e-10, "{name}: costs {costs:e} apart");
        let alone = run(&by_products(&trainer), first, training, None).0;
        assert_eq!(alone, gram, "{name}: measuring changed the run");
    }
}

#[test]
fn every_linear_rule_is_the_same_by_products_of_examples() {
    let (x, y) = (normal((30, 40), 1), labels(3, 40, 2));
    let (far, y_far) = (normal((30, 70), 3), labels(3, 70, 4));
    let mut weights: Vec<f64> = (0..40).map(|example| f64::from(example % 5)).collect();
    weights[7] = 0.0;
    let training = Examples::classes(Features::Real(x.view()), &y);
    let validation = Examples::classes(Features::Real(far.view()), &y_far);
    let first: Network<f64> = build(classifier(30, &[9, 4], 3));
    let base = full(0.05, STEPS);
    let with = |optimizer: &str| Trainer { optimizer: optimizer.parse().unwrap(), ..base.clone() };
    let scheduled = |schedule: &str| Trainer {
        schedule: schedule.parse().unwrap(),
        warm_up: 7,
        ..with("nesterov:beta=0.7")
    };
    let trainers = [
        ("sgd", base.clone()),
        ("momentum", with("momentum:beta=0.8")),
        ("dampening", with("momentum:beta=0.8,dampening=0.8")),
        ("nesterov", with("nesterov:beta=0.8")),
        ("l2", Trainer { l2: 2.0, ..base.clone() }),
        ("l2 and momentum", Trainer { l2: 2.0, ..with("momentum:beta=0.8") }),
        ("l2 and nesterov", Trainer { l2: 2.0, ..with("nesterov:beta=0.8,dampening=0.3") }),
        ("cosine", scheduled("cosine")),
        ("exponential", scheduled("exponential")),
        ("plateau", scheduled("plateau:patience=0,threshold=0.5")),
        ("class weights", Trainer { class_weights: ClassWeights::Balanced, ..base.clone() }),
        ("label smoothing", Trainer { label_smoothing: 0.1, ..base.clone() }),
    ];
    both_forms_agree(&first, &training, &validation, &trainers);
    let weighted = training.weighted(&weights);
    let trainers = [("sample weights", Trainer { l2: 2.0, ..with("momentum:beta=0.8") })];
    both_forms_agree(&first, &weighted, &validation, &trainers);
}

#[test]
fn other_layers_work_as_ever_after_a_first_one_on_pixels() {
    let (pixels, far) = (bytes((48, 30), 1), bytes((48, 9), 2));
    let (y, y_far) = (labels(2, 30, 3), labels(2, 9, 4));
    for deviation in [[0.25; 3], [0.2, 0.25, 0.3]] {
        let scaling = PixelScaling::per_channel(&[0.4, 0.5, 0.6], &deviation).unwrap();
        let builder = Network::<f64>::builder(Shape::picture(4, 4, 3))
            .hidden(&[10], Activation::Identity)
            .layer(BatchNorm::default())
            .layer(Activation::Relu)
            .layer(Dropout { rate: 0.2 })
            .hidden(&[6], Activation::Tanh)
            .layer(Dropout { rate: 0.1 })
            .classes(["a", "b"])
            .scaling(scaling);
        let first: Network<f64> = build(builder);
        let training = Examples::classes(first.pixels(pixels.view()), &y);
        let validation = Examples::classes(first.pixels(far.view()), &y_far);
        let trainer = Trainer { l2: 0.1, optimizer: "momentum".parse().unwrap(), ..full(0.01, 1) };
        both_forms_agree(&first, &training, &validation, &[("all layers", trainer)]);
    }
}

#[test]
fn a_network_of_one_layer_and_a_single_example() {
    let (x, y) = (normal((30, 1), 1), labels(3, 1, 2));
    let training = Examples::classes(Features::Real(x.view()), &y);
    for hidden in [&[][..], &[5]] {
        let first: Network<f64> = build(classifier(30, hidden, 3));
        both_forms_agree(&first, &training, &training, &[("one example", full(0.01, 1))]);
    }
    let none = Examples::classes(Features::Real(x.slice(ndarray::s![.., ..0])), &[]);
    let mut network: Network<f64> = build(classifier(30, &[5], 3));
    let error = by_products(&full(0.1, 3)).fit(&mut network, &none, None, &mut unobserved);
    assert!(matches!(error, Err(TrainError::NoExamples)));
}

/// 48 x 48 x 3 pixels, 300 examples, a network of 20-7 units.
fn pictures() -> (ndarray::Array2<u8>, Vec<u32>) {
    (bytes((6912, 300), 1), labels(2, 300, 2))
}

fn picture_network<T: Element + dnn_store::Scalar>() -> Network<T> {
    let builder = Network::<T>::builder(Shape::picture(48, 48, 3))
        .hidden(&[20, 7], Activation::Relu)
        .classes(["a", "b"]);
    build(builder)
}

#[test]
fn single_precision_stays_near_double() {
    let (pixels, y) = pictures();
    let (mut wide, narrow) = (picture_network::<f64>(), picture_network::<f32>());
    for (mut to, from) in wide.pairs_mut().zip(&narrow.pairs().layers) {
        to.weights.assign(&from.weights.mapv(f64::from));
        to.bias.assign(&from.bias.mapv(f64::from));
    }
    for optimizer in ["sgd", "nesterov"] {
        let optimizer = optimizer.parse().unwrap();
        let trainer = by_products(&Trainer { optimizer, ..full(0.002, 500) });
        let exact = Examples::classes(wide.pixels(pixels.view()), &y);
        let rounded = Examples::classes(narrow.pixels(pixels.view()), &y);
        let expected: Vec<f64> = run(&trainer, &wide, &exact, None).1.costs().collect();
        assert!(expected[499] < 0.9 * expected[0], "nothing was learned");
        let apart = |trainer: &Trainer, steps: usize| {
            let found = run(trainer, &narrow, &rounded, None).1;
            let pairs = found.costs().zip(&expected).take(steps);
            pairs.map(|(found, expected)| (found - expected).abs() / expected).fold(0.0, f64::max)
        };
        let first = apart(&trainer, 10);
        assert!(first < 1e-6, "{first:e}");
        // What rounding comes to in the end depends on the run; by weights it comes to as much.
        let (all, usual) = (apart(&trainer, 500), apart(&by_weights(&trainer), 500));
        assert!(all < 4.0 * usual.max(1e-4), "{all:e}, by weights {usual:e}");
    }
}

#[test]
fn the_form_is_chosen_by_counts_and_told() {
    let (pixels, y) = pictures();
    let first = picture_network::<f32>();
    let training = Examples::classes(first.pixels(pixels.view()), &y);
    let plan = |trainer: &Trainer| trainer.gram_plan(&first, 300, 0).unwrap();
    let auto = full(0.002, 40);
    assert!(plan(&auto).taken);
    assert_eq!(plan(&auto).reason, "fewer operations");
    let (by_choice, _, taken) = run(&auto, &first, &training, None);
    assert!(taken && by_choice == run(&by_products(&auto), &first, &training, None).0);
    // Products cost more than they save in a run of a single step.
    assert_eq!(plan(&full(0.002, 1)).reason, "more operations");
    assert!(!run(&full(0.002, 1), &first, &training, None).2);
    assert_eq!(plan(&by_weights(&auto)).reason, "as it was asked for");
    let many = auto.gram_plan(&first, 30_000, 0).unwrap();
    assert!(!many.taken && many.bytes > 1 << 30);
    let wide = picture_network::<f64>();
    let long = full(0.002, 1_000_000).gram_plan(&wide, 13_000, 0).unwrap();
    assert_eq!(long.reason, "too much memory");
    let small: Network<f32> = build(classifier(9, &[2], 2));
    assert_eq!(full(0.1, 9).gram_plan(&small, 3, 0).unwrap().reason, "a small run");
    assert_eq!(
        plan(&auto).to_string(),
        "first layer in dual (Gram) form (fewer operations): 4.67e8 multiplications, as plain form 3.32e9, \
         1 MiB"
    );
}

#[test]
fn what_is_not_linear_in_the_gradient_is_refused_by_name() {
    let (x, y) = (bytes((12, 10), 1), labels(2, 10, 2));
    let builder = Network::<f32>::builder(Shape::picture(2, 2, 3)).classes(["a", "b"]);
    let first: Network<f32> = build(builder);
    let training = Examples::classes(first.pixels(x.view()), &y);
    let base = full(0.1, 3);
    for (reason, trainer) in [
        ("mini-batches", Trainer { batch: size(4), ..base.clone() }),
        (
            "an optimiser that is not linear in the gradient",
            Trainer { optimizer: "adam".parse().unwrap(), ..base.clone() },
        ),
        (
            "an optimiser that is not linear in the gradient",
            Trainer { optimizer: "lbfgs".parse().unwrap(), ..base.clone() },
        ),
        ("clipped gradients", Trainer { clip: Clip::Norm(1.0), ..base.clone() }),
        (
            "augmentation",
            Trainer {
                augment: Some(Augment::new(|_, _, from, to| to.copy_from_slice(from))),
                ..base.clone()
            },
        ),
        (
            "an order of the examples that was given",
            Trainer { order: Some(BatchOrder::new(|_, _| {})), ..base.clone() },
        ),
    ] {
        let mut network = first.clone();
        let error =
            by_products(&trainer).fit(&mut network, &training, None, &mut unobserved).unwrap_err();
        assert_eq!(
            error.to_string(),
            format!(
                "dual (Gram) form: expected full batches in their own order and steps that are linear in \
                 the gradient, found {reason}"
            )
        );
        assert_eq!(network, first);
        assert_eq!(trainer.gram_plan(&first, 10, 0).unwrap().reason, reason);
        run(&trainer, &first, &training, None);
    }
}

#[test]
fn the_same_bits_on_any_threads() {
    let (pixels, y) = pictures();
    let (far, y_far) = (bytes((6912, 100), 3), labels(2, 100, 4));
    let first = picture_network::<f32>();
    let training = Examples::classes(first.pixels(pixels.view()), &y);
    let validation = Examples::classes(first.pixels(far.view()), &y_far);
    let optimizer = "nesterov".parse().unwrap();
    let trainer = by_products(&Trainer { l2: 0.5, optimizer, ..full(0.002, 12) });
    let on = |threads: usize| {
        let threads = NonZeroUsize::new(threads);
        let trainer = Trainer { threads, ..trainer.clone() };
        let (network, history, _) = run(&trainer, &first, &training, Some(&validation));
        (network.to_bytes().unwrap(), history)
    };
    let expected = on(1);
    for threads in [2, 3, 4, 8] {
        assert!(on(threads) == expected, "{threads} threads");
    }
}

/// A run in the dual form with as much to remember as a run can have.
fn with_much_to_remember(optimizer: &str, monitor: Monitor) -> Trainer {
    Trainer {
        optimizer: optimizer.parse().unwrap(),
        schedule: "plateau:patience=0,threshold=0.5".parse().unwrap(),
        warm_up: 3,
        l2: 0.1,
        class_weights: ClassWeights::Balanced,
        monitor: Some(monitor),
        early_stopping: Some(EarlyStopping { patience: 4, min_delta: 0.0 }),
        seed: 5,
        ..by_products(&full(0.05, 25))
    }
}

#[test]
fn every_stop_point_ends_in_the_same_bits_and_the_form_stays() {
    let (pixels, far) = (bytes((48, 26), 1), bytes((48, 20), 2));
    let (y, y_far) = (labels(3, 26, 3), labels(3, 20, 4));
    let builder = Network::<f32>::builder(Shape::picture(4, 4, 3))
        .hidden(&[10], Activation::Identity)
        .layer(BatchNorm::default())
        .layer(Activation::Relu)
        .layer(Dropout { rate: 0.2 })
        .classes(["a", "b", "c"]);
    let first: Network<f32> = build(builder);
    let training = Examples::classes(first.pixels(pixels.view()), &y);
    let validation = Examples::classes(first.pixels(far.view()), &y_far);
    for (optimizer, monitor) in [
        ("sgd", Monitor::ValidationCost),
        ("momentum", Monitor::Cost),
        ("nesterov:dampening=0.5", Monitor::ValidationCost),
    ] {
        let trainer = with_much_to_remember(optimizer, monitor);
        let (mut straight, mut states) = (first.clone(), Vec::new());
        let history = trainer
            .fit(&mut straight, &training, Some(&validation), &mut |event| {
                if let Event::State(state) = event {
                    states.push((state.checkpoint().unwrap(), state.network().unwrap()));
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        let quiet = run(&trainer, &first, &training, Some(&validation));
        assert!(quiet.0 == straight && quiet.1 == history, "looking at a run changed it");
        // The number of epochs would make another choice today; the run keeps its form.
        let resuming = Trainer { gram: GramChoice::Auto, ..trainer.clone() };
        for (saved, shown) in &states {
            let checkpoint = Checkpoint::from_bytes(saved).unwrap();
            assert_eq!(checkpoint.network().to_bytes().unwrap(), *shown);
            let mut resumed = first.clone();
            let rest = resuming
                .resume(&mut resumed, checkpoint, &training, Some(&validation), &mut unobserved)
                .unwrap();
            assert!(resumed.to_bytes().unwrap() == straight.to_bytes().unwrap());
            let told = history.epochs.len() - rest.epochs.len();
            assert_eq!(rest.epochs, history.epochs[told..]);
            assert_eq!(rest.best, history.best);
        }
        let (saved, _) = &states[states.len() / 2];
        let checkpoint = Checkpoint::from_bytes(saved).unwrap();
        let error = by_weights(&trainer)
            .resume(&mut first.clone(), checkpoint, &training, Some(&validation), &mut unobserved)
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "the checkpoint is of another run: dual (Gram) form: expected always, found never"
        );
    }
}

#[test]
fn runs_are_extended_and_changed_networks_go_on() {
    let (x, y) = (normal((30, 20), 1), labels(3, 20, 2));
    let training = Examples::classes(Features::Real(x.view()), &y);
    let first: Network<f64> = build(classifier(30, &[4], 3));
    let short = by_products(&Trainer { optimizer: "momentum".parse().unwrap(), ..full(0.05, 5) });
    let mut saved = Vec::new();
    let mut ended = first.clone();
    short
        .fit(&mut ended, &training, None, &mut |event| {
            if let Event::State(state) = event {
                saved = state.checkpoint().unwrap();
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    let longer = Trainer { epochs: 12, gram: GramChoice::Auto, ..short.clone() };
    let mut extended = first.clone();
    let checkpoint = Checkpoint::from_bytes(&saved).unwrap();
    assert_eq!(*checkpoint.network(), ended);
    longer.resume(&mut extended, checkpoint, &training, None, &mut unobserved).unwrap();
    let straight = run(&Trainer { epochs: 12, ..short.clone() }, &first, &training, None).0;
    assert_eq!(extended, straight);
    // Other weights than the run had are those it goes on from.
    let mut checkpoint = Checkpoint::<f64>::from_bytes(&saved).unwrap();
    for mut layer in checkpoint.network_mut().pairs_mut() {
        layer.weights.fill(0.0);
    }
    let mut changed = first.clone();
    longer.resume(&mut changed, checkpoint, &training, None, &mut unobserved).unwrap();
    // The first layer has no gradient where the others are 0, and began at 0 itself.
    assert!(changed.pairs().layers[0].weights.iter().all(|weight| weight.abs() < 1.0));
    assert!(apart(&changed, &extended) > 1e-3);
    // Checkpoints of runs by weights stay so.
    let plain = by_weights(&short);
    plain
        .fit(&mut first.clone(), &training, None, &mut |event| {
            if let Event::State(state) = event {
                saved = state.checkpoint().unwrap();
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    let checkpoint = Checkpoint::<f64>::from_bytes(&saved).unwrap();
    let error = short
        .resume(&mut first.clone(), checkpoint, &training, None, &mut unobserved)
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "the checkpoint is of another run: dual (Gram) form: expected never, found always"
    );
}

#[test]
fn a_checkpoint_that_is_cut_or_changed_is_refused() {
    let (x, y) = (normal((5, 3), 1), labels(2, 3, 2));
    let training = Examples::classes(Features::Real(x.view()), &y);
    let mut network: Network<f64> = build(classifier(5, &[2], 2));
    let mut saved = Vec::new();
    let trainer = Trainer { restore_best: true, ..by_products(&full(0.1, 2)) };
    trainer
        .fit(&mut network, &training, None, &mut |event| {
            if let Event::State(state) = event {
                saved = state.checkpoint().unwrap();
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    Checkpoint::<f64>::from_bytes(&saved).unwrap();
    for len in 0..saved.len() {
        assert!(Checkpoint::<f64>::from_bytes(&saved[..len]).is_err(), "cut at {len}");
    }
    for index in 0..saved.len() {
        let mut changed = saved.clone();
        changed[index] ^= 0x20;
        assert!(Checkpoint::<f64>::from_bytes(&changed).is_err(), "changed at {index}");
    }
}
