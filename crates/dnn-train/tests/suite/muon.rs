//! Muon against its formulas in plain loops, and what it promises of a run.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::ops::ControlFlow;

use crate::fits::{bits, build, bytes, draws, fit, full, labels, normal, size, try_fit};
use dnn_core::{Element, Features, Shape};
use dnn_layers::{
    Activation, BatchNorm, Conv2d, Dense, Flatten, GlobalPool, Layer, MaxPool2d, Network, Padding,
    PoolBy, Window,
};
use dnn_store::Scalar;
use dnn_train::{
    Checkpoint, Cost, Event, Examples, Optimizer, TrainError, Trainer, evaluate, gradients,
    unobserved,
};
use ndarray::{Array2, ShapeBuilder};

fn muon(text: &str) -> Optimizer {
    text.parse().unwrap()
}

/// A convolution with more columns than rows, one with more rows than columns, and a dense head.
fn two_convolutions<T: Element + Scalar>() -> Network<T> {
    let builder = Network::<T>::builder(Shape::picture(5, 4, 3))
        .layer(Conv2d::same(4, 3))
        .layer(Activation::Tanh)
        .layer(Conv2d::same(7, 1))
        .layer(Activation::Tanh)
        .layer(Flatten {});
    build(builder.classes(["a", "b", "c"]))
}

type Matrix = Vec<Vec<f64>>;

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    let mut out = vec![vec![0.0; b[0].len()]; a.len()];
    for i in 0..a.len() {
        for j in 0..b[0].len() {
            for k in 0..b.len() {
                out[i][j] += a[i][k] * b[k][j];
            }
        }
    }
    out
}

fn transposed(a: &Matrix) -> Matrix {
    (0..a[0].len()).map(|j| a.iter().map(|row| row[j]).collect()).collect()
}

fn norm(a: &Matrix) -> f64 {
    a.iter().flatten().map(|value| value * value).sum::<f64>().sqrt()
}

/// The iteration by its definition, without a look at which side is shorter.
fn newton_schulz(g: &Matrix, steps: usize) -> Matrix {
    let length = norm(g) + 1e-7;
    let mut x: Matrix = g.iter().map(|row| row.iter().map(|g| g / length).collect()).collect();
    for _ in 0..steps {
        let first = product(&product(&x, &transposed(&x)), &x);
        let second = product(&product(&x, &transposed(&x)), &first);
        for i in 0..x.len() {
            for j in 0..x[0].len() {
                x[i][j] = 3.4445 * x[i][j] - 4.775 * first[i][j] + 2.0315 * second[i][j];
            }
        }
    }
    x
}

/// An array and what is remembered of it.
struct Remembered {
    values: Matrix,
    v: Matrix,
    s: Matrix,
}

impl Remembered {
    fn start(values: &Array2<f64>) -> Self {
        let values: Matrix = values.rows().into_iter().map(|row| row.to_vec()).collect();
        let zeros = || vec![vec![0.0; values[0].len()]; values.len()];
        Self { v: zeros(), s: zeros(), values }
    }

    fn muon_step(&mut self, gradient: &Array2<f64>, rate: f64) {
        let mut direction = self.v.clone();
        for ((i, j), &g) in gradient.indexed_iter() {
            self.v[i][j] = 0.9 * self.v[i][j] + g;
            direction[i][j] = g + 0.9 * self.v[i][j];
        }
        let update = newton_schulz(&direction, 3);
        for ((i, j), _) in gradient.indexed_iter() {
            self.values[i][j] -= rate * update[i][j];
        }
        let scale = (self.values.len() as f64).sqrt() / norm(&self.values);
        self.values.iter_mut().flatten().for_each(|value| *value *= scale);
    }

    fn adamw_step(&mut self, gradient: &Array2<f64>, rate: f64, t: i32, decay: f64) {
        for ((i, j), &g) in gradient.indexed_iter() {
            self.v[i][j] = 0.9 * self.v[i][j] + 0.1 * g;
            self.s[i][j] = 0.99 * self.s[i][j] + 0.01 * g * g;
            let v = self.v[i][j] / (1.0 - 0.9_f64.powi(t));
            let s = self.s[i][j] / (1.0 - 0.99_f64.powi(t));
            self.values[i][j] *= 1.0 - rate * decay;
            self.values[i][j] -= rate * v / (s.sqrt() + 1e-8);
        }
    }
}

#[test]
fn ten_steps_are_those_of_plain_loops() {
    let (x, y) = (normal((60, 40), 1), labels(3, 40, 2));
    let examples = Examples::classes(Features::Real(x.view()), &y);
    for (text, ratio, schedule) in
        [("muon", 0.1, "constant"), ("muon:adam_ratio=0.5", 0.5, "cosine")]
    {
        let mut network = two_convolutions::<f64>();
        let trainer = Trainer {
            optimizer: muon(text),
            schedule: schedule.parse().unwrap(),
            ..full(0.02, 10)
        };
        let (found, history) = fit(&trainer, &network, &examples);
        let tensors = network.tensors().iter();
        let mut oracle: Vec<Remembered> =
            tensors.map(|it| Remembered::start(&it.values().to_owned())).collect();
        for (t, record) in (1..).zip(&history.epochs) {
            let cost = Cost::CategoricalCrossEntropy;
            let (_, gradient) = gradients(&network, &examples, cost).unwrap();
            // The schedule is the one rate; the other follows it.
            let rate = record.learning_rate;
            let arrays = network.tensors_mut().iter_mut().zip(&mut oracle);
            for ((tensor, array), gradient) in arrays.zip(&gradient) {
                match tensor.name() {
                    "conv1.weights" | "conv2.weights" => array.muon_step(gradient, rate),
                    "dense1.weights" => array.adamw_step(gradient, rate * ratio, t, 0.05),
                    _ => array.adamw_step(gradient, rate * ratio, t, 0.0),
                }
                for ((i, j), value) in tensor.values_mut().indexed_iter_mut() {
                    *value = array.values[i][j];
                }
            }
        }
        assert_eq!(oracle.len(), 6);
        for (found, expected) in found.tensors().iter().zip(network.tensors()) {
            let apart = &found.values() - &expected.values();
            let apart = apart.fold(0.0_f64, |most, d| most.max(d.abs()));
            assert!(apart <= 1e-10, "{text}, {}: {apart:e}", found.name());
        }
        assert!(history.epochs[9].cost < history.epochs[0].cost);
    }
}

#[test]
fn convolutions_keep_their_norm_and_frozen_ones_all_they_are() {
    let (x, y) = (normal((60, 40), 1), labels(3, 40, 2));
    let examples = Examples::classes(Features::Real(x.view()), &y);
    let mut network = two_convolutions::<f64>();
    assert_eq!(network.set_frozen("conv1.", true), 2);
    let trainer = Trainer { optimizer: muon("muon"), batch: size(16), ..full(0.02, 3) };
    let (trained, _) = fit(&trainer, &network, &examples);
    for (after, before) in trained.tensors().iter().zip(network.tensors()) {
        let same = after.values() == before.values();
        assert_eq!(same, after.name().starts_with("conv1."), "{}", after.name());
    }
    let weights = trained.tensors().iter().find(|it| it.name() == "conv2.weights").unwrap();
    let squares: f64 = weights.values().iter().map(|w| w * w).sum();
    assert!((squares - 7.0).abs() < 1e-12, "{squares}");
}

/// Wide enough for several tasks of each product, with normalisation, and groups.
fn wide<T: Element + Scalar>() -> Network<T> {
    let grouped = Conv2d { groups: 4, bias: false, ..Conv2d::same(64, 3) };
    let builder = Network::<T>::builder(Shape::picture(3, 3, 4))
        .layer(Conv2d::same(120, 3))
        .layer(BatchNorm::default())
        .layer(Activation::Relu)
        .layer(grouped)
        .layer(Activation::Relu)
        .layer(Conv2d::same(100, 3))
        .layer(Flatten {})
        .layer(Dense { units: 5 });
    build(builder.classes(["a", "b", "c"]))
}

fn same_bits_on_any_threads<T: Element + Scalar>() {
    let (pixels, y) = (bytes((36, 20), 1), labels(3, 20, 2));
    let network = wide::<T>();
    let examples = Examples::classes(network.pixels(pixels.view()), &y);
    let on = |threads: usize| {
        let threads = threads.try_into().ok();
        let optimizer = muon("muon");
        let trainer = Trainer { optimizer, threads, batch: size(8), ..full(0.02, 2) };
        let (trained, history) = fit(&trainer, &network, &examples);
        (trained.to_bytes().unwrap(), history)
    };
    let expected = on(1);
    for threads in [2, 3, 8] {
        assert!(on(threads) == expected, "{threads} threads");
    }
}

#[test]
fn any_number_of_threads_gives_the_same_bits() {
    same_bits_on_any_threads::<f32>();
    same_bits_on_any_threads::<f64>();
}

#[test]
fn a_run_goes_on_from_every_step_to_the_same_bits() {
    let (pixels, y) = (bytes((36, 20), 1), labels(3, 20, 2));
    let first = wide::<f32>();
    let examples = Examples::classes(first.pixels(pixels.view()), &y);
    let optimizer = muon("muon:beta=0.8,steps=2,weight_decay=0.1");
    let schedule = "cosine".parse().unwrap();
    let trainer = Trainer { optimizer, schedule, batch: size(8), ..full(0.02, 2) };
    let (mut straight, mut saved) = (first.clone(), Vec::new());
    trainer
        .fit(&mut straight, &examples, None, &mut |event| {
            if let Event::State(state) = event {
                saved.push(state.checkpoint().unwrap());
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(saved.len(), 6 + 2);
    for bytes in saved {
        let checkpoint = Checkpoint::from_bytes(&bytes).unwrap();
        let step = checkpoint.step();
        let mut resumed = first.clone();
        trainer.resume(&mut resumed, checkpoint, &examples, None, &mut unobserved).unwrap();
        assert!(resumed == straight, "stopped after step {step}");
        let other = Trainer { optimizer: muon("muon"), ..trainer.clone() };
        let checkpoint = Checkpoint::from_bytes(&bytes).unwrap();
        let refused = other.resume(&mut resumed, checkpoint, &examples, None, &mut unobserved);
        assert!(matches!(refused, Err(TrainError::OtherRun { .. })), "{refused:?}");
    }
}

#[test]
fn a_gradient_or_a_step_that_is_not_finite_stops_the_run() {
    let (x, y) = (normal((60, 8), 1), labels(3, 8, 2));
    let examples = Examples::classes(Features::Real(x.view()), &y);
    let network = two_convolutions::<f64>();
    let trainer = |rate| Trainer { optimizer: muon("muon"), ..full(rate, 2) };
    // The weights after the first step are finite, their norm is not.
    let (_, result) = try_fit(&trainer(1e200), &network, &examples);
    let error = result.unwrap_err();
    let TrainError::NotFinite { what, layer, step, .. } = &error else { panic!("{error}") };
    assert_eq!((*what, &layer[..], *step), ("weights", "conv1", 1), "{error}");
    let mut bad = network.clone();
    *bad.tensors_mut()[0].entry_mut((1, 2)) = f64::NAN;
    let (same, result) = try_fit(&trainer(0.02), &bad, &examples);
    let error = result.unwrap_err();
    let TrainError::NotFinite { layer, step, .. } = &error else { panic!("{error}") };
    assert_eq!((&layer[..], *step), ("conv1", 1), "{error}");
    assert_eq!(bits(&same), bits(&bad));
}

#[test]
fn the_plan_says_why_the_gradient_is_stored() {
    let (x, y) = (normal((60, 8), 1).mapv(f32::from_f64), labels(3, 8, 2));
    let examples = Examples::classes(Features::Real(x.view()), &y);
    let trainer = Trainer { optimizer: muon("muon"), ..full(0.02, 1) };
    let plan = trainer.plan(&two_convolutions::<f32>(), &examples);
    assert_eq!(plan.stored_because, Some("Muon looks at it as a whole"));
}

/// Pictures of noise with a bar of three pixels at any place, lying or upright: which of them no single pixel tells.
fn bars(m: usize, seed: u64) -> (Array2<f32>, Vec<u32>) {
    let mut draws = draws(seed);
    let mut x = Array2::from_shape_simple_fn((64, m).f(), || f32::from_f64(0.3 * draws.normal()));
    let mut upright = Vec::new();
    for mut picture in x.columns_mut() {
        let is_upright = draws.up_to(1);
        let (along, across) = (draws.up_to(5) as usize, draws.up_to(7) as usize);
        for k in along..along + 3 {
            let pixel = if is_upright == 1 { k * 8 + across } else { across * 8 + k };
            picture[pixel] += 2.0;
        }
        upright.push(is_upright);
    }
    (x, upright)
}

#[test]
fn bars_are_told_apart_wherever_they_lie() {
    let window = Window::square(2, 2, Padding::Valid);
    let layers: [Layer; 8] = [
        Conv2d { bias: false, ..Conv2d::same(8, 3) }.into(),
        BatchNorm::default().into(),
        Activation::Relu.into(),
        MaxPool2d { window }.into(),
        Conv2d { bias: false, ..Conv2d::same(12, 3) }.into(),
        BatchNorm::default().into(),
        Activation::Relu.into(),
        GlobalPool { by: PoolBy::Both }.into(),
    ];
    let builder = Network::<f32>::builder(Shape::picture(8, 8, 1));
    let builder = layers.into_iter().fold(builder, dnn_layers::NetworkBuilder::layer);
    let network: Network<f32> = build(builder.classes(["lying", "upright"]));
    let ((x, y), (far, y_far)) = (bars(400, 1), bars(400, 2));
    let examples = Examples::classes(Features::Real(x.view()), &y);
    let others = Examples::classes(Features::Real(far.view()), &y_far);
    let schedule = "one-cycle".parse().unwrap();
    let optimizer = muon("muon");
    let trainer = Trainer { optimizer, schedule, batch: size(32), ..full(0.02, 5) };
    let (trained, _) = fit(&trainer, &network, &examples);
    let measured = evaluate(&trained, &others, Cost::BinaryCrossEntropy).unwrap();
    let accuracy = measured.accuracy().unwrap();
    assert!(accuracy > 0.97, "{accuracy}");
}
