//! Two circles and three ways to draw the first weights: zeros, far too large, and He's.
//!
//! ```text
//! cargo run --release --example circles [-- PICTURE.svg]
//! ```
//!
//! What to look at: from zeros all units of a layer stay equal, the cost stays at ln 2 and the
//! network answers the same everywhere. From weights ten times too large it starts out sure and
//! wrong, and is still repairing that at the end. With He's rule the same network, data and
//! learning rate find the circle. The picture, `target/circles.svg` unless named, shows what the
//! three networks say about every point of the plane.

#[macro_use]
#[path = "support/say.rs"]
mod say;

#[path = "../tests/support/circles.rs"]
mod circles;
#[path = "support/panels.rs"]
mod panels;

use std::env;
use std::error::Error;
use std::f64::consts::LN_2;
use std::fs;
use std::path::PathBuf;

use circles::circles;
use dnn_core::{Features, Initializer, RandomStream};
use dnn_layers::Network;
use dnn_train::{Cost, Examples, TrainError, course, evaluate};
use ndarray::Array2;
use panels::{Panel, svg};

const WIDTHS: [usize; 4] = [2, 10, 5, 1];
const LEARNING_RATE: f64 = 0.01;
const ITERATIONS: u64 = 15_000;

/// What the course printed for one rule.
struct Published {
    name: &'static str,
    rule: Initializer,
    /// Iterations from one cost to the next.
    every: usize,
    costs: &'static [f64],
    /// Accuracies.
    train: f64,
    test: f64,
}

const PUBLISHED: [Published; 3] = [
    Published {
        name: "zeros",
        rule: Initializer::Zeros,
        every: 14_000,
        costs: &[LN_2, LN_2],
        train: 0.5,
        test: 0.5,
    },
    Published {
        name: "randn * 10",
        rule: Initializer::Normal(10.0),
        every: 1000,
        costs: &[
            f64::INFINITY,
            0.624_243,
            0.597_881,
            0.563_624,
            0.550_096,
            0.544_339,
            0.537_358,
            0.469_575,
            0.397_663,
            0.393_442,
            0.392_016,
            0.389_140,
            0.386_126,
            0.384_969,
            0.382_749,
        ],
        train: 0.83,
        test: 0.86,
    },
    Published {
        name: "He",
        rule: Initializer::HeNormal,
        every: 1000,
        costs: &[
            0.883_054, 0.687_983, 0.675_129, 0.652_612, 0.608_296, 0.530_494, 0.413_865, 0.311_780,
            0.236_962, 0.185_973, 0.150_156, 0.123_251, 0.099_177, 0.084_571, 0.073_579,
        ],
        train: 0.9933,
        test: 0.96,
    },
];

fn main() -> Result<(), Box<dyn Error>> {
    let path =
        env::args_os().nth(1).map_or_else(|| PathBuf::from("target/circles.svg"), PathBuf::from);
    let (train, test) = (circles(1, 300), circles(2, 100));
    say!("{WIDTHS:?}, learning rate {LEARNING_RATE}, {ITERATIONS} iterations");
    say!("300 training and 100 test points, half of each on either circle: baseline 0.5");
    let mut panels = Vec::new();
    for published in &PUBLISHED {
        let (network, costs) = fit(published.rule, &train.0, &train.1)?;
        let accuracies =
            [accuracy(&network, &train.0, &train.1)?, accuracy(&network, &test.0, &test.1)?];
        report(published, &costs, accuracies);
        let [on_train, on_test] = accuracies;
        panels.push(Panel {
            title: format!("First weights: {}", published.name),
            subtitle: format!("accuracy: train {on_train:.3}, test {on_test:.3}"),
            network,
        });
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(&path, svg(&panels, &train.0, &train.1)?)?;
    say!("\nThe three boundaries are drawn in {}", path.display());
    Ok(())
}

/// The trained network, and the cost of each iteration.
fn fit(
    rule: Initializer,
    points: &Array2<f64>,
    labels: &[u32],
) -> Result<(Network<f64>, Vec<f64>), TrainError> {
    let (parameters, costs) = course::l_layer_model(
        &Features::Real(points.view()),
        labels,
        &WIDTHS,
        LEARNING_RATE,
        ITERATIONS,
        rule,
        &mut RandomStream::numpy_legacy(3),
    )?;
    Ok((course::network_of(parameters)?, costs))
}

fn accuracy(
    network: &Network<f64>,
    points: &Array2<f64>,
    labels: &[u32],
) -> Result<f64, Box<dyn Error>> {
    let examples = Examples::classes(Features::Real(points.view()), labels);
    let evaluation = evaluate(network, &examples, Cost::BinaryCrossEntropy)?;
    Ok(evaluation.accuracy().ok_or("circles have classes")?)
}

fn report(published: &Published, costs: &[f64], [train, test]: [f64; 2]) {
    say!("\nFirst weights: {}\n", published.name);
    say!("  {:>14}  {:>9}  {:>9}", "iteration", "cost", "published");
    let found = costs.iter().enumerate().step_by(published.every);
    for ((iteration, cost), expected) in found.zip(published.costs) {
        say!("  {iteration:>14}  {cost:>9.6}  {expected:>9.6}");
    }
    for (part, found, expected) in
        [("train", train, published.train), ("test", test, published.test)]
    {
        let name = format!("{part} accuracy");
        say!("  {name:>14}  {found:>9.4}  {expected:>9.4}");
    }
    if published.costs[0].is_infinite() {
        say!("\n  The course takes the logarithm of a probability rounded to 0, hence `inf`; here");
        say!("  the cost comes from the logits and is large but finite. This run is chaotic: the");
        say!("  order in which a sum is added up moves its costs, but not its accuracies.");
    }
}
