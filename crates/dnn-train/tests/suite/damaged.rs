//! Model files and checkpoints with any damage and a right digest: refused, or used without a panic.
//!
//! A few thousand each in an ordinary test; `DNN_MUTATIONS=300000 cargo test --workspace --test suite damaged
//! -- --nocapture` makes as many of each and says what came of them. This profile checks every overflow.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::fits::{build, bytes, labels, normal, size};
use dnn_core::{Element, Features, Purpose, RandomStream, Shape};
use dnn_layers::{Activation, BatchNorm, Dropout, Network};
use dnn_store::Hasher;
use dnn_train::{
    Batch, Checkpoint, Clip, EarlyStopping, Event, Examples, GramChoice, Trainer, unobserved,
};
use ndarray::Array2;
use rayon::ThreadPoolBuilder;

/// The header's bytes: lengths of metadata and data, then the digest, then the metadata.
const LENGTHS: usize = 14;
const DIGEST: usize = 30;
const HEADER: usize = 62;

/// Mutations of each file that is damaged, where the variable does not say how many of each kind.
const USUAL: usize = 2000;

pub(crate) fn mutations(files: usize) -> usize {
    let asked = std::env::var("DNN_MUTATIONS").ok();
    asked.map_or(USUAL, |text| text.parse::<usize>().unwrap().div_ceil(files))
}

/// What became of damaged files.
#[derive(Default)]
pub(crate) struct Outcomes {
    pub(crate) refused: usize,
    pub(crate) refused_in_use: usize,
    pub(crate) used: usize,
}

impl fmt::Display for Outcomes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { refused, refused_in_use, used } = self;
        write!(f, "{refused} refused, {refused_in_use} refused in use, {used} used, no panic")
    }
}

fn below(draws: &mut RandomStream, bound: usize) -> usize {
    draws.up_to(u32::try_from(bound - 1).unwrap()) as usize
}

/// The lengths of metadata and data of a file.
fn lengths(file: &[u8]) -> (usize, usize) {
    let number = |at: usize| u64::from_le_bytes(file[at..at + 8].try_into().unwrap());
    let parts = (number(LENGTHS), number(LENGTHS + 8));
    (usize::try_from(parts.0).unwrap(), usize::try_from(parts.1).unwrap())
}

/// A file with the header of `like` around any metadata and data, with lengths and a digest that agree.
fn rebuilt(like: &[u8], metadata: &[u8], data: &[u8]) -> Vec<u8> {
    let mut file = like[..LENGTHS].to_vec();
    file.extend((metadata.len() as u64).to_le_bytes());
    file.extend((data.len() as u64).to_le_bytes());
    file.extend([0; HEADER - DIGEST]);
    file.extend(metadata);
    file.resize(file.len().next_multiple_of(64), 0);
    file.extend(data);
    repair(&mut file);
    file
}

fn repair(file: &mut [u8]) {
    let mut hasher = Hasher::new();
    hasher.update(&file[..DIGEST]);
    hasher.update(&file[HEADER..]);
    file[DIGEST..HEADER].copy_from_slice(&hasher.finish());
}

/// Numbers that wrap, that are out of every range, or that are none.
fn extreme(draws: &mut RandomStream) -> [u8; 8] {
    let whole = [0, 1, 1 << 31, 1 << 32, 1 << 62, 1 << 63, u64::MAX - 1, u64::MAX];
    let real = [0.0, -0.0, -1.0, 1.0, f64::MAX, f64::MIN_POSITIVE, f64::INFINITY, f64::NAN];
    let choice = below(draws, 16);
    if choice < 8 { whole[choice].to_le_bytes() } else { real[choice - 8].to_le_bytes() }
}

/// One to three changes, in half of the cases near the end, where a checkpoint has its counts.
fn scribble(draws: &mut RandomStream, bytes: &mut Vec<u8>, keeps_length: bool) {
    for _ in 0..=below(draws, 3) {
        let first = match below(draws, 2) {
            0 => bytes.len().saturating_sub(120),
            _ => 0,
        };
        let at = first + below(draws, bytes.len() - first);
        let end = bytes.len().min(at + 8);
        match below(draws, if keeps_length { 3 } else { 6 }) {
            0 => bytes[at] = u8::try_from(below(draws, 256)).unwrap(),
            1 => bytes[at] = u8::try_from(below(draws, 4)).unwrap(),
            2 => bytes[at..end].copy_from_slice(&extreme(draws)[..end - at]),
            // A whole number of eight bytes as bincode writes it, where one of one byte may have been.
            3 => {
                let number = [&[253][..], &extreme(draws)].concat();
                bytes.splice(at..=at, number);
            }
            4 => drop(bytes.drain(at..bytes.len().min(at + 1 + below(draws, 4)))),
            _ => bytes.insert(at, u8::try_from(below(draws, 256)).unwrap()),
        }
        if bytes.is_empty() {
            return;
        }
    }
}

/// `file` with damage in its metadata, in its data, or in a model file that its data begin with.
fn damaged(draws: &mut RandomStream, file: &[u8], has_inner: bool) -> Vec<u8> {
    let length = lengths(file).0;
    let mut metadata = file[HEADER..HEADER + length].to_vec();
    let mut data = file[(HEADER + length).next_multiple_of(64)..].to_vec();
    match below(draws, 8) {
        0 => scribble(draws, &mut data, true),
        1 if has_inner => {
            let (inner, numbers) = lengths(&data);
            let end = (HEADER + inner).next_multiple_of(64) + numbers;
            let mut changed = data[HEADER..HEADER + inner].to_vec();
            scribble(draws, &mut changed, true);
            data[HEADER..HEADER + inner].copy_from_slice(&changed);
            repair(&mut data[..end]);
        }
        _ => scribble(draws, &mut metadata, false),
    }
    rebuilt(file, &metadata, &data)
}

/// Damages `file` so many times, and counts what `used` makes of it: nothing if it is refused, or whether its
/// use went well.
pub(crate) fn damage(
    file: &[u8],
    has_inner: bool,
    count: usize,
    outcomes: &mut Outcomes,
    mut used: impl FnMut(&[u8]) -> Option<bool>,
) {
    let mut draws = RandomStream::new(7, Purpose::Data, 0);
    for round in 0..count {
        let changed = damaged(&mut draws, file, has_inner);
        let outcome = catch_unwind(AssertUnwindSafe(|| used(&changed)));
        match outcome.unwrap_or_else(|_| panic!("panic in round {round}")) {
            None => outcomes.refused += 1,
            Some(false) => outcomes.refused_in_use += 1,
            Some(true) => outcomes.used += 1,
        }
    }
}

/// A network with every kind of layer.
fn network() -> Network<f32> {
    build(
        Network::<f32>::builder(Shape::picture(4, 4, 1))
            .hidden(&[5], Activation::Identity)
            .layer(BatchNorm::default())
            .layer(Activation::LeakyRelu(0.1))
            .layer(Dropout { rate: 0.2 })
            .hidden(&[4], Activation::Tanh)
            .classes(["a", "b", "c"]),
    )
}

fn predicts(file: &[u8]) -> Option<bool> {
    let network = Network::<f32>::from_bytes(file).ok()?;
    assert!(!network.summary().to_string().is_empty());
    assert_eq!(Network::from_bytes(&network.to_bytes().unwrap()).unwrap(), network);
    let pixels = Array2::from_elem((network.features(), 2), 200_u8);
    Some(network.predict_probabilities(&network.pixels(pixels.view())).is_ok())
}

#[test]
fn a_damaged_model_file_is_refused_or_predicts() {
    let single = build(
        Network::<f32>::builder(Shape::flat(3))
            .hidden(&[4], Activation::Relu)
            .classes(["no", "yes"]),
    );
    // And one of format 1.
    let old = include_bytes!("../../../dnn-layers/tests/fixtures/v0.1/softmax-f32.dnn");
    let files = [network().to_bytes().unwrap(), single.to_bytes().unwrap(), old.to_vec()];
    let mut outcomes = Outcomes::default();
    for file in &files {
        damage(file, false, mutations(files.len()), &mut outcomes, predicts);
    }
    eprintln!("model files: {outcomes}");
    assert!(outcomes.refused > 100 && outcomes.used > 100, "{outcomes}");
}

/// A run and what it trains on.
struct Run {
    trainer: Trainer,
    first: Network<f32>,
    pixels: Array2<u8>,
    real: Array2<f32>,
}

/// Batches with every kind of state; the dual (Gram) form; L-BFGS.
fn runs() -> [Run; 3] {
    // No epoch gains as much, so that the number which patience waits to see beaten is saved, too.
    let early_stopping = Some(EarlyStopping { patience: 50, min_delta: 10.0 });
    let batches = Trainer {
        optimizer: "adam".parse().unwrap(),
        schedule: "plateau:patience=0,threshold=0.5".parse().unwrap(),
        clip: Clip::Norm(1.0),
        l2: 0.1,
        early_stopping,
        batch: size(7),
        epochs: 3,
        ..Trainer::default()
    };
    let gram = Trainer {
        optimizer: "momentum".parse().unwrap(),
        gram: GramChoice::Always,
        early_stopping,
        batch: Batch::Full,
        epochs: 3,
        ..Trainer::default()
    };
    let lbfgs = Trainer {
        optimizer: "lbfgs".parse().unwrap(),
        learning_rate: 1.0,
        batch: Batch::Full,
        epochs: 3,
        ..Trainer::default()
    };
    let plain = || build(crate::fits::classifier(16, &[4], 3));
    [(batches, network()), (gram, plain()), (lbfgs, plain())].map(|(trainer, first)| Run {
        trainer,
        first,
        pixels: bytes((16, 20), 1),
        real: normal((16, 20), 1).mapv(f32::from_f64),
    })
}

impl Run {
    fn examples<'a>(&'a self, labels: &'a [u32]) -> Examples<'a, f32> {
        let features = match self.trainer.gram {
            GramChoice::Always => Features::Real(self.real.view()),
            _ => self.first.pixels(self.pixels.view()),
        };
        Examples::classes(features, labels)
    }
}

#[test]
fn a_damaged_checkpoint_is_refused_or_goes_on() {
    let labels = labels(3, 20, 2);
    let runs = runs();
    let pool = ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let mut outcomes = Outcomes::default();
    for run in &runs {
        let (examples, mut saved) = (run.examples(&labels), Vec::new());
        run.trainer
            .fit(&mut run.first.clone(), &examples, Some(&examples), &mut |event| {
                if let Event::State(state) = event {
                    saved.push(state.checkpoint().unwrap());
                }
                ControlFlow::Continue(())
            })
            .unwrap();
        // Within an epoch or after its last step, and when it is recorded.
        let files = [&saved[saved.len() / 2], &saved[saved.len() / 2 + 1]];
        // No end, so that every count is added to.
        let trainer = Trainer { epochs: u64::MAX, ..run.trainer.clone() };
        let goes_on = |file: &[u8]| {
            let checkpoint = Checkpoint::<f32>::from_bytes(file).ok()?;
            let (mut network, mut left) = (run.first.clone(), 8);
            let resumed = trainer.resume(
                &mut network,
                checkpoint,
                &examples,
                Some(&examples),
                &mut |event| match event {
                    Event::State(_) if left == 0 => ControlFlow::Break(()),
                    Event::State(_) => {
                        left -= 1;
                        ControlFlow::Continue(())
                    }
                    _ => ControlFlow::Continue(()),
                },
            );
            Some(resumed.is_ok())
        };
        pool.install(|| {
            for file in files {
                damage(file, true, mutations(2 * runs.len()), &mut outcomes, goes_on);
            }
        });
    }
    eprintln!("checkpoints: {outcomes}");
    assert!(outcomes.refused > 100 && outcomes.used > 100, "{outcomes}");
}

/// Counts that no run comes to, each in a file that is whole otherwise.
#[test]
fn counts_that_no_run_comes_to_are_refused_by_name() {
    let labels = labels(3, 20, 2);
    let run = &runs()[0];
    let (examples, mut saved) = (run.examples(&labels), Vec::new());
    run.trainer
        .fit(&mut run.first.clone(), &examples, None, &mut |event| {
            if let Event::State(state) = event {
                saved.push(state.checkpoint().unwrap());
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    // After the first of three steps of the second epoch.
    let file = &saved[4];
    assert_eq!(Checkpoint::<f32>::from_bytes(file).unwrap().step(), 4);
    let length = lengths(file).0;
    let metadata = &file[HEADER..HEADER + length];
    let data = &file[(HEADER + length).next_multiple_of(64)..];
    // Epoch 2, 1 batch of it, 1 record, 4 steps, and 7 examples of the epoch so far.
    let start = [2, 1, 1, 4, 7];
    let place = metadata.windows(start.len()).rposition(|it| *it == start).unwrap();
    let message = |position: usize, number: &[u8]| {
        let mut changed = metadata.to_vec();
        changed.splice(place + position..=place + position, number.iter().copied());
        let error = Checkpoint::<f32>::from_bytes(&rebuilt(file, &changed, data));
        let error = error.and_then(|checkpoint| {
            let mut network = run.first.clone();
            run.trainer.resume(&mut network, checkpoint, &examples, None, &mut unobserved)
        });
        error.unwrap_err().to_string()
    };
    let huge = [&[253][..], &u64::MAX.to_le_bytes()].concat();
    for (position, number, found) in [
        (0, &[0][..], "epoch 0"),
        (0, &huge, "epoch 18446744073709551615"),
        (0, &[1], "1 records of epochs in epoch 1"),
        (1, &[2], "4 steps, 2 of them in epoch 2, at 3 for each"),
        (1, &huge, "4 steps, 18446744073709551615 of them in epoch 2, at 3 for each"),
        (2, &[0], "0 records of epochs in epoch 2"),
        (3, &huge, "18446744073709551615 steps"),
        (3, &[5], "4 steps of the optimiser in 5 of the run"),
        (4, &[8], "counts of classes that are not those of 8 examples"),
    ] {
        let expected =
            format!("checkpoint: expected arrays and counts that fit its network, found {found}");
        assert_eq!(message(position, number), expected);
    }
}

/// Arrays by other names, in another order or of a later version, each in a file that is whole otherwise.
#[test]
fn arrays_and_numbers_that_do_not_belong_are_refused_by_name() {
    let labels = labels(3, 20, 2);
    let run = &runs()[0];
    let (examples, mut saved) = (run.examples(&labels), Vec::new());
    run.trainer
        .fit(&mut run.first.clone(), &examples, None, &mut |event| {
            if let Event::State(state) = event {
                saved.push(state.checkpoint().unwrap());
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    // Within the first epoch: there is no best one.
    let file = &saved[0];
    let length = lengths(file).0;
    let metadata = &file[HEADER..HEADER + length];
    let data = &file[(HEADER + length).next_multiple_of(64)..];
    let message = |metadata: &[u8]| {
        Checkpoint::<f32>::from_bytes(&rebuilt(file, metadata, data)).unwrap_err().to_string()
    };
    let renamed = |from: &str, to: &str| {
        let mut changed = metadata.to_vec();
        let at = changed.windows(from.len()).position(|it| it == from.as_bytes()).unwrap();
        changed[at..at + from.len()].copy_from_slice(to.as_bytes());
        message(&changed)
    };
    let unfit = "checkpoint: expected arrays and counts that fit its network, found";
    assert_eq!(renamed("network", "netwerk"), format!("{unfit} `netwerk` for `network`"));
    let other = renamed("memory.0.", "memory.7.");
    assert!(other.starts_with(&format!("{unfit} `memory.7.")), "{other}");
    assert!(other.contains(" for `memory.0."), "{other}");
    // The end: nothing for patience to beat, 1 step of the optimiser, its 2 memories, no best network.
    let (start, end) = metadata.split_at(length - 4);
    assert_eq!(end, [0, 1, 2, 0]);
    let with = |end: &[&[u8]]| message(&[start, &end.concat()].concat());
    let beaten = with(&[&[1], &0.5_f64.to_le_bytes(), &[1, 2, 0]]);
    assert_eq!(beaten, format!("{unfit} 0.5 to be beaten, and no best epoch"));
    assert_eq!(with(&[&[0, 1, 3, 0]]), format!("{unfit} fewer arrays"));
    assert_eq!(with(&[&[0, 1, 1, 0]]), format!("{unfit} more arrays"));
    let best = with(&[&[0, 1, 2, 1]]);
    assert!(best.ends_with(" for `best`"), "{best}");
    let mut later = file.clone();
    later[8] = 3;
    repair(&mut later);
    let later = Checkpoint::<f32>::from_bytes(&later).unwrap_err().to_string();
    assert!(later.contains("found 3.0; a newer version of dnn wrote it"), "{later}");
}
