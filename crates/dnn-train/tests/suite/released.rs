//! Checkpoints of released versions, which must be resumed for ever: `fixtures/v0.1` says how they were made. Those in
//! `fixtures/v2.0` are of the same runs.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::damaged::{Outcomes, damage, mutations};
use crate::fits::{bits, build, size};
use dnn_core::{Element, Precision, Shape};
use dnn_data::ImageDataset;
use dnn_kernels::KernelPath;
use dnn_layers::{Activation, BatchNorm, Dropout, Network, NetworkBuilder};
use dnn_store::{Hasher, Scalar};
use dnn_train::{
    Batch, Checkpoint, ClassWeights, Clip, EarlyStopping, Event, Examples, GramChoice, History,
    Monitor, Trainer, unobserved,
};
use serde_json::{Value, json};

fn folder(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(version)
}

/// The runs of which there are checkpoints of format 2.0, too: they go on to the same bits.
const OF_2_0: [&str; 4] = ["everything", "gram-momentum", "lbfgs", "patience"];

/// A run on some of the built-in digits, and the step after which it was saved.
struct Released {
    name: &'static str,
    precision: Precision,
    /// Layers of every kind, or a plain network.
    every_layer: bool,
    trainer: Trainer,
    step: u64,
}

/// 36 digits in batches of 8 are five steps to an epoch.
fn by(optimizer: &str, learning_rate: f64) -> Trainer {
    let optimizer = optimizer.parse().unwrap();
    let (batch, epochs, seed) = (size(8), 4, 5);
    Trainer { optimizer, learning_rate, batch, epochs, seed, ..Trainer::default() }
}

/// Everything that has a state, or draws.
fn everything() -> Trainer {
    Trainer {
        schedule: "one-cycle".parse().unwrap(),
        warm_up: 3,
        l2: 0.1,
        clip: Clip::Norm(1.0),
        class_weights: ClassWeights::Balanced,
        label_smoothing: 0.05,
        monitor: Some(Monitor::ValidationCost),
        early_stopping: Some(EarlyStopping { patience: 3, min_delta: 0.0 }),
        ..by("adamw:weight_decay=0.1", 0.02)
    }
}

fn released() -> Vec<Released> {
    let run = |name, trainer, step| Released {
        name,
        precision: Precision::F32,
        every_layer: false,
        trainer,
        step,
    };
    let full = |trainer: Trainer| Trainer { batch: Batch::Full, epochs: 12, ..trainer };
    let patient = Some(EarlyStopping { patience: 50, min_delta: 10.0 });
    let plateau = Trainer {
        schedule: "plateau:patience=0,threshold=0.5".parse().unwrap(),
        restore_best: true,
        ..by("adam", 0.02)
    };
    let gram = |optimizer: &str, gram| Trainer { gram, ..full(by(optimizer, 0.05)) };
    let sgd = by("sgd", 0.1);
    vec![
        Released { every_layer: true, ..run("sgd", sgd.clone(), 7) },
        run("momentum", by("momentum", 0.02), 8),
        Released { precision: Precision::F64, ..run("nesterov", by("nesterov", 0.02), 9) },
        run("rmsprop", by("rmsprop", 0.002), 11),
        run("adagrad", by("adagrad", 0.02), 4),
        Released { every_layer: true, ..run("adam-plateau", plateau, 10) },
        Released { every_layer: true, ..run("everything", everything(), 12) },
        Released {
            precision: Precision::F64,
            every_layer: true,
            ..run("everything-f64", everything(), 13)
        },
        run("lbfgs", full(by("lbfgs:history=3", 1.0)), 6),
        run("patience", Trainer { early_stopping: patient, ..sgd.clone() }, 17),
        run("over", sgd, 20),
        run("gram-sgd", gram("sgd", GramChoice::Always), 5),
        Released {
            every_layer: true,
            ..run(
                "gram-momentum",
                Trainer {
                    early_stopping: patient,
                    l2: 0.2,
                    ..gram("momentum", GramChoice::Always)
                },
                5,
            )
        },
    ]
}

fn network<T: Element + Scalar>(every_layer: bool) -> Network<T> {
    let builder = Network::<T>::builder(Shape::picture(8, 8, 1));
    let builder: NetworkBuilder<T> = if every_layer {
        builder
            .hidden(&[3], Activation::Identity)
            .layer(BatchNorm::default())
            .layer(Activation::LeakyRelu(0.1))
            .layer(Dropout { rate: 0.2 })
            .hidden(&[4], Activation::Tanh)
    } else {
        builder.hidden(&[3], Activation::Elu(0.5))
    };
    build(builder.classes((0..10).map(|class| class.to_string())))
}

/// The digits that runs train on, and those that they are measured by.
fn digits() -> [ImageDataset; 2] {
    let all = dnn_data::digits().train;
    let part = |from: usize, to: usize| all.select(&(from..to).collect::<Vec<_>>());
    [part(0, 36), part(36, 60)]
}

fn examples<'a, T: Element>(network: &Network<T>, part: &'a ImageDataset) -> Examples<'a, T> {
    Examples::classes(network.pixels(part.pixels()), part.labels())
}

/// SHA-256 over the bits of every weight and bias as numbers of 64 bits, little endian, layer by layer.
fn parameters_sha256<T: Element + Scalar>(network: &Network<T>) -> String {
    let mut hasher = Hasher::new();
    for bits in bits(network) {
        hasher.update(&bits.to_le_bytes());
    }
    hasher.finish_hex()
}

/// What a checkpoint holds, and what the run comes to from there.
fn resumed<T: Element + Scalar>(run: &Released, bytes: &[u8]) -> Value {
    let checkpoint = Checkpoint::<T>::from_bytes(bytes).unwrap();
    let (step, epochs) = (checkpoint.step(), checkpoint.epochs());
    assert_eq!(step, run.step, "{}", run.name);
    let held = parameters_sha256(checkpoint.network());
    let mut network = network::<T>(run.every_layer);
    let [training, validation] = digits();
    let [x, y] = [examples(&network, &training), examples(&network, &validation)];
    // A run that is over is made longer.
    let more = if run.name == "over" { 2 } else { 0 };
    let trainer = Trainer { epochs: run.trainer.epochs + more, ..run.trainer.clone() };
    let history = trainer.resume(&mut network, checkpoint, &x, Some(&y), &mut unobserved).unwrap();
    json!({
        "step": step,
        "epochs": epochs,
        "parameters_sha256": held,
        "resumed": outcome(&network, &history, &y),
    })
}

/// What a run has come to.
fn outcome<T: Element + Scalar>(
    network: &Network<T>,
    history: &History,
    validation: &Examples<'_, T>,
) -> Value {
    let probabilities = network.predict_probabilities(&validation.features).unwrap();
    let first = probabilities.columns().into_iter().take(3).flat_map(|column| column.to_vec());
    json!({
        "parameters_sha256": parameters_sha256(network),
        "costs": history.costs().map(hex).collect::<Vec<_>>(),
        "probabilities": first.map(|it| hex(it.into())).collect::<Vec<_>>(),
        "best_epoch": history.best.map(|best| best.epoch),
        "stopped_early": history.stopped_early,
    })
}

fn hex(number: f64) -> String {
    format!("{:016x}", number.to_bits())
}

fn number(bits: &Value) -> f64 {
    f64::from_bits(u64::from_str_radix(bits.as_str().unwrap(), 16).unwrap())
}

/// On another path of the processor a run ends near.
fn near(found: &Value, expected: &Value, name: &str) {
    for key in ["costs", "probabilities"] {
        let (found, expected) = (&found[key], &expected[key]);
        let (found, expected) = (found.as_array().unwrap(), expected.as_array().unwrap());
        assert_eq!(found.len(), expected.len(), "{name}: {key}");
        for (found, expected) in found.iter().map(number).zip(expected.iter().map(number)) {
            let near = 1e-2 * expected.abs().max(1.0);
            assert!((found - expected).abs() <= near, "{name}: {key}: {found}, not {expected}");
        }
    }
}

#[test]
fn checkpoints_of_released_versions_are_resumed_to_the_same_bits() {
    let text = std::fs::read_to_string(folder("v0.1").join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&text).unwrap();
    let path = KernelPath::best().to_string();
    let same_path = expected["kernel_path"] == path.as_str();
    if !same_path {
        let made = &expected["kernel_path"];
        dnn_testing::skipped(format_args!("the last bits: files were made on {made}, not {path}"));
    }
    let runs = released();
    assert_eq!(expected["checkpoints"].as_object().unwrap().len(), runs.len());
    for run in runs {
        let expected = &expected["checkpoints"][run.name];
        let versions = if OF_2_0.contains(&run.name) { &["v0.1", "v2.0"][..] } else { &["v0.1"] };
        for version in versions {
            let file = folder(version).join(format!("{}.checkpoint", run.name));
            let bytes = std::fs::read(file).unwrap();
            let mut found = match run.precision {
                Precision::F32 => resumed::<f32>(&run, &bytes),
                Precision::F64 => resumed::<f64>(&run, &bytes),
            };
            if !same_path {
                near(&found["resumed"], &expected["resumed"], run.name);
                found["resumed"] = expected["resumed"].clone();
            }
            assert_eq!(&found, expected, "{} of {version}", run.name);
        }
    }
}

/// As today's in `damaged.rs`.
#[test]
fn a_damaged_checkpoint_of_0_1_is_refused_or_goes_on() {
    let [training, _] = digits();
    let mut outcomes = Outcomes::default();
    let runs = released().into_iter().filter(|run| OF_2_0.contains(&run.name));
    for Released { name, every_layer, trainer, .. } in runs {
        let first = network::<f32>(every_layer);
        let examples = examples(&first, &training);
        // No end, so that every count is added to.
        let trainer = Trainer { epochs: u64::MAX, ..trainer };
        let goes_on = |file: &[u8]| {
            let checkpoint = Checkpoint::<f32>::from_bytes(file).ok()?;
            let (mut network, mut left) = (first.clone(), 4);
            let resumed = trainer.resume(&mut network, checkpoint, &examples, None, &mut |event| {
                if matches!(event, Event::State(_)) {
                    left -= 1;
                }
                if left == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            });
            Some(resumed.is_ok())
        };
        let file = std::fs::read(folder("v0.1").join(format!("{name}.checkpoint"))).unwrap();
        damage(&file, true, mutations(OF_2_0.len()), &mut outcomes, goes_on);
    }
    eprintln!("checkpoints of 0.1: {outcomes}");
    assert!(outcomes.refused > 100 && outcomes.used > 100, "{outcomes}");
}

#[test]
#[ignore = "writes the fixtures of a new version"]
fn write_the_fixtures() {
    let [training, validation] = digits();
    for run in released().iter().filter(|run| OF_2_0.contains(&run.name)) {
        let mut network = network::<f32>(run.every_layer);
        let [x, y] = [examples(&network, &training), examples(&network, &validation)];
        let file = folder("v2.0").join(format!("{}.checkpoint", run.name));
        run.trainer
            .fit(&mut network, &x, Some(&y), &mut |event| {
                if let Event::State(state) = event
                    && state.step() == run.step
                {
                    std::fs::write(&file, state.checkpoint().unwrap()).unwrap();
                }
                ControlFlow::Continue(())
            })
            .unwrap();
    }
}
