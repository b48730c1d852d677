//! Cat or not: the course's application, on its own 209 + 50 pictures, with its own numbers.
//!
//! ```text
//! cargo run --release --example cat_non_cat -- FOLDER
//! ```
//!
//! `FOLDER` holds `train_catvnoncat.h5` and `test_catvnoncat.h5`; without it the environment
//! variable `DNN_TEST_DATA` is asked. The pictures come with the course, not with this repository.
//!
//! What to look at: the costs of the four-layer network agree with the published ones to the last
//! digit printed. An accuracy means nothing without its baseline, that of always giving the
//! commonest answer: the two-layer network knows its training pictures by heart and is barely above
//! it on new ones. The third network is the four-layer one again, with smaller first weights: its
//! cost falls too, but only to the entropy of the classes, where it says "not a cat" to everything,
//! and most of the test pictures are cats. The trainer warns of the third one.

#[macro_use]
#[path = "support/say.rs"]
mod say;

#[path = "../tests/support/cat_non_cat.rs"]
mod cat_non_cat;

use std::env;
use std::error::Error;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Instant;

use cat_non_cat::{TEST, TRAIN, read};
use dnn_core::{Features, Initializer, PixelScaling, RandomStream, Shape};
use dnn_data::ImageDataset;
use dnn_layers::{Activation, Network};
use dnn_train::{Batch, Cost, Event, Examples, History, Trainer, evaluate};

const ITERATIONS: u64 = 2500;
const LEARNING_RATE: f64 = 0.0075;

/// What the course printed for the four-layer network, every 100 iterations.
const PUBLISHED: [f64; 25] = [
    0.771_749, 0.672_053, 0.648_263, 0.611_507, 0.567_047, 0.540_138, 0.52793, 0.465_477,
    0.369_126, 0.391_747, 0.315_187, 0.2727, 0.237_419, 0.199_601, 0.189_263, 0.161_189, 0.148_214,
    0.137_775, 0.12974, 0.121_225, 0.113_821, 0.107_839, 0.102_855, 0.100_897, 0.092_878,
];

fn main() -> ExitCode {
    match reproduce() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn reproduce() -> Result<(), Box<dyn Error>> {
    let folder = folder()?;
    let (train, test) = (read(&folder, TRAIN)?, read(&folder, TEST)?);
    for (part, pictures) in [("training", &train), ("test", &test)] {
        let cats: u32 = pictures.labels().iter().sum();
        say!("{} {part} pictures, {cats} of them cats", pictures.len());
    }
    let parts = [&train, &test];

    say!("\n[12288, 20, 7, 5, 1], first weights randn / sqrt(n_prev)");
    let costs = run(&[20, 7, 5], Initializer::InverseSqrt, parts)?;
    say!("  published: train 206/209 = 0.9856, test 40/50 = 0.8000");
    say!("\n  iteration      cost  published");
    for ((iteration, cost), published) in costs.iter().enumerate().step_by(100).zip(PUBLISHED) {
        say!("  {iteration:>9}  {cost:.6}   {published:.6}");
    }

    say!("\n[12288, 7, 1], first weights randn * 0.01");
    run(&[7], Initializer::Normal(0.01), parts)?;
    say!("  published: cost 0.693050 -> 0.044215, train 1.00, test 0.72");

    say!("\n[12288, 20, 7, 5, 1], first weights randn * 0.01");
    run(&[20, 7, 5], Initializer::Normal(0.01), parts)?;
    say!(
        "  the entropy of the classes, the cost of knowing nothing but their shares: {:.6}",
        entropy(train.labels())
    );
    Ok(())
}

/// The folder with the pictures: the argument, or the environment variable.
fn folder() -> Result<PathBuf, String> {
    let wanted = format!("a folder with the course's {TRAIN} and {TEST}");
    let named = env::args_os().nth(1).or_else(|| env::var_os("DNN_TEST_DATA"));
    let folder = PathBuf::from(
        named.ok_or_else(|| format!("name {wanted}, as the argument or in DNN_TEST_DATA"))?,
    );
    match [TRAIN, TEST].iter().find(|file| !folder.join(file).is_file()) {
        Some(file) => Err(format!("no {file} in {}; name {wanted}", folder.display())),
        None => Ok(folder),
    }
}

/// Trains a network with these hidden layers and reports on it; gives the cost of each iteration.
fn run(
    hidden: &[usize],
    initializer: Initializer,
    [train, test]: [&ImageDataset; 2],
) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut network = Network::<f64>::builder(Shape::picture(64, 64, 3))
        .hidden(hidden, Activation::Relu)
        .classes(["not a cat", "cat"])
        .initializer(initializer)
        .build(&mut RandomStream::numpy_legacy(1))?;
    let trainer = Trainer {
        learning_rate: LEARNING_RATE,
        batch: Batch::Full,
        epochs: ITERATIONS,
        ..Trainer::default()
    };
    let start = Instant::now();
    let history = trainer.fit(&mut network, &examples(train), None, &mut |event| {
        if let Event::Warning(warning) = event {
            say!("  warning: {warning}");
        }
        ControlFlow::Continue(())
    })?;
    report_costs(&history, start.elapsed().as_secs_f64());
    for (part, pictures) in [("train", train), ("test", test)] {
        report_accuracy(part, &network, &examples(pictures))?;
    }
    Ok(history.costs().collect())
}

fn examples(pictures: &ImageDataset) -> Examples<'_, f64> {
    let (values, scaling) = (pictures.pixels(), PixelScaling::default());
    Examples::classes(Features::Pixels { values, scaling }, pictures.labels())
}

fn report_costs(history: &History, seconds: f64) {
    if let [first, .., last] = &history.epochs[..] {
        say!(
            "  cost {:.6} -> {:.6} in {} iterations, {seconds:.1} s",
            first.cost,
            last.cost,
            last.epoch
        );
    }
}

/// One line: right answers, accuracy, baseline, and what the network says.
fn report_accuracy(
    part: &str,
    network: &Network<f64>,
    examples: &Examples<'_, f64>,
) -> Result<(), Box<dyn Error>> {
    let evaluation = evaluate(network, examples, Cost::BinaryCrossEntropy)?;
    let counts = evaluation.classification.ok_or("pictures have classes")?;
    let says = match counts.single_class() {
        Some(class) => format!(", says `{}` to every picture", network.classes()[class]),
        None => String::new(),
    };
    say!(
        "  {part:<5} {}/{} = {:.4} right, baseline {:.4}{says}",
        counts.correct,
        examples.len(),
        counts.accuracy(),
        counts.baseline()
    );
    Ok(())
}

/// `-sum(p ln p)` over the shares of the two classes.
fn entropy(labels: &[u32]) -> f64 {
    let cats = labels.iter().sum::<u32>();
    let p = f64::from(cats) / labels.len() as f64;
    -(p * p.ln() + (1.0 - p) * (1.0 - p).ln())
}
