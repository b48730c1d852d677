//! Gradient checking: is the gradient really the slope of the cost?
//!
//! ```text
//! cargo run --release --example gradient_check
//! ```
//!
//! Every parameter is moved a little up and a little down, and the change of the cost is compared
//! with the gradient of the backward pass. What to look at: the right gradient differs by about
//! 1e-10, the broken ones by far more, and each mistake is found in its own layer and entry (rows
//! and columns count from 0). The table at the end shows why the step epsilon is 1e-5 and why a
//! check is made in `f64`: larger steps see the curvature of the cost, smaller ones drown in
//! rounding.

#[macro_use]
#[path = "support/say.rs"]
mod say;

use std::error::Error;

use dnn_core::{Element, Features, Purpose, RandomStream, Shape};
use dnn_layers::{Activation, Network};
use dnn_train::{
    Cost, Examples, GradientCheck, TrainError, check_gradients, compare_gradients, gradients,
};
use ndarray::Array2;

/// Four features, two hidden layers, three classes.
const FEATURES: usize = 4;
const HIDDEN: [usize; 2] = [5, 4];
const CLASSES: [&str; 3] = ["red", "green", "blue"];
const LABELS: [u32; 7] = [0, 1, 2, 2, 1, 0, 1];
const COST: Cost = Cost::CategoricalCrossEntropy;

/// The step to take in `f64`, and the difference above which a gradient is taken to be wrong.
const EPSILON: f64 = 1e-5;
const LIMIT: f64 = 1e-7;

fn main() -> Result<(), Box<dyn Error>> {
    let network: Network<f64> = network()?;
    let x = inputs();
    let examples = Examples::classes(Features::Real(x.view()), &LABELS);
    say!("{}", network.summary());

    let check = check_gradients(&network, &examples, COST, EPSILON)?;
    report("The gradient that training uses", &check);

    let (_, mut gradient) = gradients(&network, &examples, COST)?;
    // The arrays of the gradient are those of the network: dense1.weights, dense1.bias, dense2.weights, …
    gradient[2][(2, 3)] *= -1.0;
    let check = compare_gradients(&network, &examples, COST, EPSILON, &gradient)?;
    report("The sign of one weight's gradient, dW2 [2, 3], turned", &check);

    let (_, mut gradient) = gradients(&network, &examples, COST)?;
    gradient[1] *= examples.len() as f64;
    let check = compare_gradients(&network, &examples, COST, EPSILON, &gradient)?;
    report("db1 summed over the examples, not averaged", &check);

    say!("\nDifference by the size of the step\n");
    say!("  {:>7}  {:>9}  {:>9}", "epsilon", "f64", "f32");
    for exponent in 1..=9 {
        let epsilon = 10_f64.powi(-exponent);
        let (double, single) = (cell::<f64>(epsilon), cell::<f32>(epsilon));
        say!("  {epsilon:>7.0e}  {double:>9}  {single:>9}");
    }
    say!("\nAt first each tenth of epsilon makes the f64 difference a hundredth; below 1e-5");
    say!("the costs above and below agree in ever more digits, and rounding is what is left.");
    say!("In f32 rounding takes over from 1e-2 on: no step comes near the limit. A step that");
    say!("rounding swallows whole shows as `-`.");
    Ok(())
}

/// The network, the same in both precisions but for rounding.
fn network<T: Element>() -> Result<Network<T>, TrainError> {
    let mut stream = RandomStream::new(1, Purpose::Initialization, 0);
    let mut network = Network::<T>::builder(Shape::flat(FEATURES))
        .hidden(&HIDDEN, Activation::Tanh)
        .classes(CLASSES)
        .build(&mut stream)?;
    // A bias of 0 would hide mistakes that multiply it.
    for bias in network.tensors_mut().iter_mut().filter(|tensor| tensor.spec().name == "bias") {
        bias.values_mut().mapv_inplace(|_| T::from_f64(0.3 * stream.normal()));
    }
    Ok(network)
}

/// As many examples as labels.
fn inputs<T: Element>() -> Array2<T> {
    let mut stream = RandomStream::new(1, Purpose::Data, 0);
    Array2::from_shape_simple_fn((FEATURES, LABELS.len()), || T::from_f64(stream.normal()))
}

/// What a check of the right gradient finds with this step in the precision `T`, to be printed; `-`
/// if it finds nothing.
fn cell<T: Element>(epsilon: f64) -> String {
    let x = inputs::<T>();
    let examples = Examples::classes(Features::Real(x.view()), &LABELS);
    network::<T>()
        .and_then(|network| check_gradients(&network, &examples, COST, epsilon))
        .ok()
        .map_or_else(|| "-".to_owned(), |check| format!("{:.1e}", check.difference))
}

fn report(title: &str, check: &GradientCheck) {
    let verdict = if check.difference < LIMIT { "right" } else { "WRONG" };
    say!("\n{title}: {verdict}\n");
    say!("  all {} parameters  {:.1e}   (limit {LIMIT:.0e})", check.parameters, check.difference);
    for (l, difference) in (1..).zip(&check.layers) {
        let mark = if *difference < LIMIT { "" } else { "   <-" };
        say!("  layer {l}            {difference:.1e}{mark}");
    }
    let worst = &check.worst;
    say!(
        "  furthest apart: {} {:?}: gradient {:.10}, slope {:.10}",
        worst.tensor,
        worst.index,
        worst.analytic,
        worst.numeric
    );
}
