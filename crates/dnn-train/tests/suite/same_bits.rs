//! Runs that must come to the same: on any threads, from one seed, in another form of the data (weights
//! of examples and folded normalisation are in `layers.rs`).
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use crate::pairs::Pairs;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use dnn_core::{Element, Features, PixelScaling, Shape};
use dnn_layers::{Activation, Layer, Network};
use dnn_train::{Augment, BatchOrder, Clip, Cost, Examples, Trainer, evaluate, unobserved};
use ndarray::{ArrayView2, Axis, concatenate};
use rayon::iter::{IntoParallelIterator, ParallelIterator};

use crate::fits::{
    apart, bits, build, bytes, classifier, fit, full, in_order, labels, normal, size,
};

#[track_caller]
fn assert_same_bits_on_any_threads<T: Element + dnn_store::Scalar>(
    trainer: &Trainer,
    network: &Network<T>,
    examples: &Examples<'_, T>,
) {
    let on = |threads: Option<usize>| {
        let threads = threads.and_then(NonZeroUsize::new);
        let trainer = Trainer { threads, ..trainer.clone() };
        let (trained, history) = fit(&trainer, network, examples);
        (bits(&trained), history)
    };
    let expected = on(Some(1));
    assert_ne!(expected.0, bits(network), "nothing was learned");
    for threads in [Some(2), Some(3), Some(4), Some(8), None] {
        assert!(on(threads) == expected, "{threads:?} threads");
    }
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    assert!(pool.install(|| on(None)) == expected, "a pool of our own");
    assert!(while_busy(&pool, || on(None)) == expected, "a pool that others work in");
}

/// What `work` gives in a pool two of whose threads are busy with other parallel work all the time.
fn while_busy<R: Send>(pool: &rayon::ThreadPool, work: impl FnOnce() -> R + Send) -> R {
    let (started, over) = (AtomicUsize::new(0), AtomicBool::new(false));
    let (started, over) = (&started, &over);
    pool.in_place_scope(|scope| {
        for _ in 0..2 {
            scope.spawn(move |_| {
                started.fetch_add(1, Ordering::SeqCst);
                while !over.load(Ordering::SeqCst) {
                    (0..64_u32).into_par_iter().for_each(|number| {
                        std::hint::black_box((0..2000).fold(number, u32::wrapping_add));
                    });
                }
            });
        }
        // Work that waits for its parts must not be given one of these two instead.
        while started.load(Ordering::SeqCst) < 2 {
            std::thread::yield_now();
        }
        let result = pool.install(work);
        over.store(true, Ordering::SeqCst);
        result
    })
}

fn wide_and_short_batches<T: Element + dnn_store::Scalar>() {
    // 19 blocks of features; a full batch is 7 tiles, the last one short.
    let pixels = bytes((4800, 150), 1);
    let labels = labels(3, 150, 2);
    let builder = Network::<T>::builder(Shape::picture(40, 40, 3))
        .hidden(&[33, 7], Activation::Relu)
        .classes(["a", "b", "c"]);
    let network: Network<T> = build(builder);
    let examples = Examples::classes(network.pixels(pixels.view()), &labels);
    assert_same_bits_on_any_threads(&full(0.05, 3), &network, &examples);
    let held = Trainer { l2: 0.5, clip: Clip::Norm(0.1), ..full(0.05, 3) };
    assert_same_bits_on_any_threads(&held, &network, &examples);
    let reversed =
        Trainer { order: Some(BatchOrder::new(|_, columns| columns.reverse())), ..full(0.05, 2) };
    assert_same_bits_on_any_threads(&reversed, &network, &examples);
    // Shuffled batches of 64, 64 and 22.
    let shuffled = Trainer { batch: size(64), ..full(0.05, 2) };
    assert_same_bits_on_any_threads(&shuffled, &network, &examples);
}

/// Every kind of layer, a memory, weights, changed pictures and a schedule, all at once.
fn everything_at_once<T: Element + dnn_store::Scalar>() {
    let pixels = bytes((300, 600), 1);
    let labels = labels(3, 600, 2);
    let layers = Layer::KINDS.into_iter().chain(Layer::KINDS);
    let builder = layers
        .fold(Network::<T>::builder(Shape::picture(10, 10, 3)), dnn_layers::NetworkBuilder::layer);
    let network: Network<T> = build(builder.classes(["a", "b", "c"]));
    let examples = Examples::classes(network.pixels(pixels.view()), &labels);
    let trainer = Trainer {
        optimizer: "adamw".parse().unwrap(),
        schedule: "one-cycle".parse().unwrap(),
        class_weights: "balanced".parse().unwrap(),
        label_smoothing: 0.1,
        l2: 0.1,
        clip: Clip::Norm(0.5),
        augment: Some(Augment::new(|epoch, example, pixels, out| {
            out.copy_from_slice(pixels);
            out.rotate_left(usize::try_from(epoch).unwrap() + example % 7);
        })),
        batch: size(290),
        ..full(0.01, 2)
    };
    assert_same_bits_on_any_threads(&trainer, &network, &examples);
}

#[test]
fn any_number_of_threads_gives_the_same_bits_in_f32() {
    wide_and_short_batches::<f32>();
    everything_at_once::<f32>();
}

#[test]
fn any_number_of_threads_gives_the_same_bits_in_f64() {
    wide_and_short_batches::<f64>();
    everything_at_once::<f64>();
}

#[test]
fn a_scaling_folded_into_the_first_weights_gives_the_same_outputs() {
    let pixels = bytes((4 * 3, 40), 3);
    let scaling = PixelScaling::per_channel(&[0.4, 0.5, 0.6], &[0.2, 0.3, 0.25]).unwrap();
    let builder = || {
        let builder = Network::<f64>::builder(Shape::picture(2, 2, 3));
        builder.hidden(&[7], Activation::Tanh).classes(["a", "b", "c"])
    };
    let scaled: Network<f64> = build(builder().scaling(scaling));
    // W (p / 255 - mean) / deviation + b, as weights of p / 255.
    let mut parameters = scaled.pairs();
    let first = &mut parameters.layers[0];
    for (input, mut column) in first.weights.columns_mut().into_iter().enumerate() {
        let (mean, deviation) = ([0.4, 0.5, 0.6][input % 3], [0.2, 0.3, 0.25][input % 3]);
        column /= deviation;
        first.bias.column_mut(0).scaled_add(-mean, &column);
    }
    let folded = builder().build_with(parameters).unwrap();
    let outputs = |network: &Network<f64>| {
        network.predict_probabilities(&network.pixels(pixels.view())).unwrap()
    };
    let apart = outputs(&scaled) - outputs(&folded);
    assert!(apart.iter().all(|d| d.abs() < 1e-13), "{apart}");
}

#[test]
fn another_order_of_a_batch_is_the_same_batch() {
    let (x, labels) = (normal((5, 30), 1), labels(3, 30, 2));
    let layers = Layer::KINDS;
    let builder = layers[..2]
        .iter()
        .cloned()
        .fold(Network::builder(Shape::flat(5)), dnn_layers::NetworkBuilder::layer);
    let network: Network<f64> = build(builder.classes(["a", "b", "c"]));
    let examples = Examples::classes(Features::Real(x.view()), &labels);
    let (expected, _) = fit(&full(0.2, 20), &network, &examples);
    let turned = BatchOrder::new(|epoch, columns| {
        columns.rotate_left(usize::try_from(epoch).unwrap());
    });
    let (found, _) = fit(&Trainer { order: Some(turned), ..full(0.2, 20) }, &network, &examples);
    assert!(apart(&found, &expected) < 1e-12, "{}", apart(&found, &expected));
    assert_ne!(bits(&found), bits(&network));
}

#[test]
fn a_run_is_a_function_of_its_seed() {
    let (x, labels) = (normal((6, 50), 1), labels(3, 50, 2));
    let examples = Examples::classes(Features::Real(x.view()), &labels);
    let network: Network<f64> = build(classifier(6, &[8], 3));
    let trained = |seed| {
        let trainer = Trainer { seed, batch: size(16), epochs: 4, ..Trainer::default() };
        bits(&fit(&trainer, &network, &examples).0)
    };
    assert_eq!(trained(1), trained(1));
    assert_ne!(trained(1), trained(2));
}

#[test]
fn a_full_batch_is_one_batch_of_everything() {
    let (x, labels) = (normal((5, 40), 1), labels(3, 40, 2));
    let examples = Examples::classes(Features::Real(x.view()), &labels);
    let network: Network<f64> = build(classifier(5, &[7], 3));
    let (whole, history) = fit(&full(0.1, 5), &network, &examples);
    for batch in [40, 41, usize::MAX] {
        let (one, other) = fit(&in_order(batch, 0.1, 5), &network, &examples);
        assert!(bits(&one) == bits(&whole) && other == history, "{batch}");
    }
}

#[test]
fn pixels_train_as_the_numbers_they_stand_for() {
    let pixels = bytes((12 * 25, 30), 3);
    let real = pixels.mapv(|pixel| f64::from(pixel) / 255.0);
    let labels = labels(2, 30, 4);
    let network: Network<f64> = build(classifier(300, &[6], 2));
    let train = |features| {
        let trainer = Trainer { batch: size(8), ..full(0.05, 5) };
        fit(&trainer, &network, &Examples::classes(features, &labels)).0
    };
    let of_pixels = train(network.pixels(pixels.view()));
    let difference = apart(&of_pixels, &train(Features::Real(real.view())));
    assert!(difference < 1e-12, "{difference:e}");
    assert!(apart(&of_pixels, &network) > 1e-3);
}

#[test]
fn every_example_twice_is_the_same_data() {
    let (x, labels) = (normal((5, 21), 1), labels(3, 21, 2));
    let network: Network<f64> = build(classifier(5, &[7], 3));
    let train = |x: ArrayView2<'_, f64>, labels: &[u32]| {
        let examples = Examples::classes(Features::Real(x), labels);
        fit(&full(0.2, 20), &network, &examples).0
    };
    let twice = concatenate![Axis(1), x, x];
    let once = train(x.view(), &labels);
    let difference = apart(&once, &train(twice.view(), &[&labels[..], &labels].concat()));
    assert!(difference < 1e-12, "{difference:e}");
    assert!(apart(&once, &network) > 1e-3);
}

#[test]
fn permuted_classes_give_permuted_outputs() {
    // Class `c` of the second network is class `ORDER[c]` of the first, class `c` of the first
    // class `RENAMED[c]` of the second.
    const ORDER: [usize; 3] = [2, 0, 1];
    const RENAMED: [u32; 3] = [1, 2, 0];
    let (x, labels) = (normal((5, 30), 1), labels(3, 30, 2));
    let network: Network<f64> = build(classifier(5, &[7], 3));
    let mut parameters = network.pairs();
    let last = &mut parameters.layers[1];
    last.weights = last.weights.select(Axis(0), &ORDER);
    let permuted = classifier(5, &[7], 3).build_with(parameters).unwrap();
    let renamed: Vec<u32> = labels.iter().map(|&c| RENAMED[c as usize]).collect();
    let outputs = |network: &Network<f64>, labels: &[u32]| {
        let features = Features::Real(x.view());
        let examples = Examples::classes(features, labels);
        let (trained, _) = fit(&full(0.2, 20), network, &examples);
        trained.predict_probabilities(&features).unwrap()
    };
    let expected = outputs(&network, &labels).select(Axis(0), &ORDER);
    let found = outputs(&permuted, &renamed);
    assert!((&found - &expected).iter().all(|d| d.abs() < 1e-12));
}

#[test]
fn measuring_a_validation_part_leaves_the_run_as_it_is() {
    let (x, far) = (normal((4, 50), 1), normal((4, 130), 3));
    let (x, far) = (x.mapv(f32::from_f64), far.mapv(f32::from_f64));
    let (labels, others) = (labels(3, 50, 2), labels(3, 130, 4));
    let training = Examples::classes(Features::Real(x.view()), &labels);
    let validation = Examples::classes(Features::Real(far.view()), &others);
    let network: Network<f32> = build(classifier(4, &[6], 3));
    let trainer = Trainer { batch: size(16), ..full(0.1, 5) };
    let (alone, expected) = fit(&trainer, &network, &training);
    let mut beside = network.clone();
    let mut history =
        trainer.fit(&mut beside, &training, Some(&validation), &mut unobserved).unwrap();
    assert_eq!(bits(&beside), bits(&alone));
    let measured = history.epochs[4].validation.clone().unwrap();
    let again = evaluate(&beside, &validation, Cost::CategoricalCrossEntropy).unwrap();
    assert_eq!(measured.classification, again.classification);
    assert!((measured.cost - again.cost).abs() < 1e-6);
    for (record, alone) in history.epochs.iter_mut().zip(&expected.epochs) {
        // Epochs are compared by the validation part now.
        record.best = alone.best;
        assert_eq!(record.validation.take().unwrap().examples, 130);
    }
    assert_eq!(history, expected);
}
