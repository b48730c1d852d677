//! Training on pictures of other sizes than the network's, and answers that look at mirrors.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::ops::ControlFlow;

use crate::fits::{build, bytes, labels, size};
use dnn_core::{Features, Shape};
use dnn_layers::{
    Activation, BatchNorm, Conv2d, Dense, Flatten, GlobalPool, Layer, Network, NetworkBuilder,
    NetworkError, PoolBy, Predictor,
};
use dnn_train::{
    Augment, Checkpoint, Cost, Event, Examples, TrainError, Trainer, TrainingSize, evaluate,
    fit_temperature, unobserved,
};
use ndarray::Array2;

const OWN: Shape = Shape::picture(6, 7, 2);
const KEPT: usize = 8 * 8 * 2;

fn network(last: &[Layer]) -> Network<f32> {
    let first = [Conv2d::same(4, 3).into(), BatchNorm::default().into(), Activation::Relu.into()];
    let layers = first.into_iter().chain(last.iter().cloned());
    let builder = layers.fold(Network::<f32>::builder(OWN), NetworkBuilder::layer);
    build(builder.classes(["a", "b", "c"]))
}

fn pooled() -> Network<f32> {
    network(&[GlobalPool { by: PoolBy::Both }.into()])
}

/// Pictures of 4 x 4, then of 5 x 8, cut out of larger ones.
fn trainer() -> Trainer {
    let sizes = [(4, 4, 0.0), (5, 8, 0.5)].map(|(height, width, from)| TrainingSize {
        shape: Shape::picture(height, width, 2),
        from,
    });
    let cut = Augment::new(|epoch, example, pixels, out| {
        let epoch = usize::try_from(epoch).unwrap();
        let start = (epoch + example) % (pixels.len() - out.len() + 1);
        out.copy_from_slice(&pixels[start..start + out.len()]);
    });
    let sizes = sizes.to_vec();
    Trainer {
        optimizer: "muon".parse().unwrap(),
        schedule: "one-cycle".parse().unwrap(),
        label_smoothing: 0.05,
        restore_best: true,
        mixing: Some("mixup:alpha=1".parse().unwrap()),
        whitening: true,
        averaging: Some(0.9),
        augment: Some(cut),
        sizes,
        epochs: 8,
        batch: size(8),
        ..Trainer::default()
    }
}

struct Data {
    kept: Array2<u8>,
    own: Array2<u8>,
    labels: Vec<u32>,
}

fn data() -> Data {
    let own = OWN.height * OWN.width * OWN.channels;
    Data { kept: bytes((KEPT, 30), 1), own: bytes((own, 30), 2), labels: labels(3, 30, 3) }
}

impl Data {
    fn training(&self, network: &Network<f32>) -> Examples<'_, f32> {
        Examples::classes(network.pixels(self.kept.view()), &self.labels)
    }

    fn validation(&self, network: &Network<f32>) -> Examples<'_, f32> {
        Examples::classes(network.pixels(self.own.view()), &self.labels)
    }
}

#[test]
fn a_run_of_several_sizes_is_one_result_wherever_it_stops_and_whoever_computes_it() {
    let (data, trainer, first) = (data(), trainer(), pooled());
    let (training, validation) = (data.training(&first), data.validation(&first));
    let trained = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let (mut network, mut saved) = (first.clone(), Vec::new());
        let history = pool.install(|| {
            trainer.fit(&mut network, &training, Some(&validation), &mut |event| {
                if let Event::State(state) = event {
                    let model = Network::<f32>::from_bytes(&state.network().unwrap()).unwrap();
                    assert_eq!(model.input(), OWN);
                    saved.push(state.checkpoint().unwrap());
                }
                ControlFlow::Continue(())
            })
        });
        (network, history.unwrap(), saved)
    };
    let expected = trained(1);
    assert_eq!(expected.0.input(), OWN);
    assert_ne!(expected.0, first);
    for threads in [2, 3, 8] {
        let found = trained(threads);
        assert!(found.0 == expected.0 && found.1 == expected.1, "{threads} threads");
    }
    // Four steps and a record an epoch.
    assert_eq!(expected.2.len(), 8 * 5);
    for saved in &expected.2 {
        let mut network = first.clone();
        let checkpoint = Checkpoint::from_bytes(saved).unwrap();
        let resumed =
            trainer.resume(&mut network, checkpoint, &training, Some(&validation), &mut unobserved);
        resumed.unwrap();
        assert_eq!(network, expected.0);
    }
}

#[test]
fn a_checkpoint_knows_the_sizes_of_its_run() {
    let data = data();
    let trainer = Trainer { schedule: "constant".parse().unwrap(), ..trainer() };
    let (first, mut saved) = (pooled(), Vec::new());
    let training = data.training(&first);
    let stopped = trainer.fit(&mut first.clone(), &training, None, &mut |event| match event {
        Event::State(state) => {
            saved = state.checkpoint().unwrap();
            ControlFlow::Break(())
        }
        _ => ControlFlow::Continue(()),
    });
    stopped.unwrap();
    let longer = Trainer { epochs: 9, ..trainer.clone() };
    let other = Trainer { sizes: trainer.sizes[..1].to_vec(), ..trainer.clone() };
    for (changed, what) in [(longer, "epochs, which the sizes depend on"), (other, "sizes")] {
        let checkpoint = Checkpoint::<f32>::from_bytes(&saved).unwrap();
        let resumed =
            changed.resume(&mut first.clone(), checkpoint, &training, None, &mut unobserved);
        let error = resumed.unwrap_err();
        assert!(
            matches!(&error, TrainError::OtherRun { what: found, .. } if found == what),
            "{error}"
        );
    }
}

#[test]
fn each_epoch_has_its_size() {
    let trainer = Trainer { epochs: 5, ..trainer() };
    let sides = |epoch| trainer.training_shape(epoch).unwrap().height;
    assert_eq!([1, 2, 3, 4, 5].map(sides), [4, 4, 4, 5, 5]);
    assert_eq!(Trainer::default().training_shape(1), None);
}

#[test]
fn sizes_that_cannot_be_are_refused() {
    let data = data();
    let refused = |network: Network<f32>, change: &dyn Fn(&mut Trainer)| {
        let mut trainer = trainer();
        change(&mut trainer);
        let training = data.training(&network);
        trainer.fit(&mut network.clone(), &training, None, &mut unobserved).unwrap_err()
    };
    let flat = network(&[Flatten {}.into(), Dense { units: 5 }.into()]);
    let error = refused(flat, &|_| {});
    assert!(matches!(&error, TrainError::Network(NetworkError::InputSize { .. })), "{error}");
    assert!(
        error.to_string().contains("dense1.weights of shape (5, 64), found (5, 168)"),
        "{error}"
    );
    let error = refused(pooled(), &|trainer| trainer.augment = None).to_string();
    assert!(error.contains("expected a change of the pictures that gives them"), "{error}");
    for starts in [[0.5, 0.6], [0.0, 0.0], [0.0, 1.0]] {
        let error = refused(pooled(), &|trainer| {
            for (size, start) in trainer.sizes.iter_mut().zip(starts) {
                size.from = start;
            }
        });
        assert!(error.to_string().contains("begin with 0, rise and stay below 1"), "{error}");
    }
    let grey = |trainer: &mut Trainer| trainer.sizes[0].shape.channels = 1;
    let error = refused(pooled(), &grey).to_string();
    assert!(error.contains("channels") || error.contains("conv1.weights"), "{error}");
}

#[test]
fn answers_that_look_at_mirrors_are_means_of_logits() {
    let (data, mut network) = (data(), pooled());
    let row = OWN.width * OWN.channels;
    let mirror = Array2::from_shape_fn(data.own.dim(), |(at, example)| {
        let (start, pixel, channel) = (at / row * row, at % row / 2, at % 2);
        data.own[(start + (OWN.width - 1 - pixel) * 2 + channel, example)]
    });
    let logits = |network: &Network<f32>, pixels: &Array2<u8>| {
        network.predict_logits(&network.pixels(pixels.view())).unwrap()
    };
    let (one, other) = (logits(&network, &data.own), logits(&network, &mirror));
    assert_ne!(one, other);
    let plain = network.clone();
    network.set_mirrored(true);
    let mean = (&one + &other) * 0.5;
    assert_eq!(logits(&network, &data.own), mean);
    assert_eq!(logits(&network, &mirror), mean);

    // Probabilities, of one picture and of many, of real numbers, and from a file.
    let mut expected = mean.clone();
    network.head().apply(mean.view(), expected.view_mut());
    let pixels = network.pixels(data.own.view());
    assert_eq!(network.predict_probabilities(&pixels).unwrap(), expected);
    let file = Network::<f32>::from_bytes(&network.to_bytes().unwrap()).unwrap();
    assert_eq!(file, network);
    assert_ne!(file, plain);
    let mut predictor = Predictor::new(file.into()).unwrap();
    for (found, expected) in predictor.probabilities(&pixels).unwrap().iter().zip(&expected) {
        // Batch normalisation is folded there.
        assert!((found - expected).abs() < 1e-5);
    }
    let numbers = data.own.mapv(|pixel| f32::from(pixel) / 255.0);
    let first = Features::Real(numbers.slice(ndarray::s![.., ..1]));
    let found = network.predict_probabilities(&first).unwrap();
    assert!((&found - &expected.slice(ndarray::s![.., ..1])).iter().all(|it| it.abs() < 1e-5));

    // And what is measured.
    let examples = Examples::classes(pixels, &data.labels);
    let evaluation = evaluate(&network, &examples, Cost::CategoricalCrossEntropy).unwrap();
    let losses = data.labels.iter().enumerate();
    let loss: f64 = losses.map(|(j, &label)| -f64::from(expected[(label as usize, j)]).ln()).sum();
    assert!((evaluation.cost - loss / 30.0).abs() < 1e-6);
    let temperatures = [&network, &plain].map(|it| fit_temperature(it, &examples).unwrap());
    assert_ne!(temperatures[0], temperatures[1]);
}
