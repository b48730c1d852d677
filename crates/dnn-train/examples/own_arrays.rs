//! A network trained on arrays of one's own, measured on a part that it has not seen.
//!
//! `cargo run --release --example own_arrays`
#![allow(clippy::print_stdout, reason = "an example shows something")]

use std::error::Error;

use dnn_core::{Features, Purpose, RandomStream, Shape};
use dnn_layers::{Activation, Network};
use dnn_train::{Cost, Examples, Trainer, evaluate, unobserved};
use ndarray::{Array2, s};

fn main() -> Result<(), Box<dyn Error>> {
    // 500 points of 4 numbers, one a column, in any memory order; the class is whether their sum is above 0.
    let mut draws = RandomStream::new(7, Purpose::Data, 0);
    let x = Array2::from_shape_simple_fn((4, 500), || draws.normal());
    let labels: Vec<u32> = x.columns().into_iter().map(|x| u32::from(x.sum() > 0.0)).collect();
    // Networks compute in f32 or f64; f32 is the fast one.
    #[expect(clippy::cast_possible_truncation, reason = "f32 is precise enough for training")]
    let x = x.mapv(|number| number as f32);

    let training = Examples::classes(Features::Real(x.slice(s![.., ..400])), &labels[..400]);
    let validation = Examples::classes(Features::Real(x.slice(s![.., 400..])), &labels[400..]);
    let mut network = Network::<f32>::builder(Shape::flat(4))
        .hidden(&[16], Activation::Relu)
        .classes(["below", "above"])
        .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
    Trainer::default().fit(&mut network, &training, Some(&validation), &mut unobserved)?;

    let found = evaluate(&network, &validation, Cost::of_head(network.head()))?;
    let (accuracy, baseline) = (found.accuracy().unwrap_or(0.0), found.baseline().unwrap_or(0.0));
    println!("validation accuracy {accuracy:.2}, of always the commonest class {baseline:.2}");
    Ok(())
}
