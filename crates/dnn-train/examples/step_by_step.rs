//! One step of training with every number shown: a network of three layers goes forward, backward,
//! and takes one step of gradient descent.
//!
//! ```text
//! cargo run --release --example step_by_step
//! ```
//!
//! What to look at: each block has the name, the formula and the shape of one matrix, then its
//! numbers. Columns are examples, so that `Z1`, `A1`, `dZ1` and `dA1` have four columns each, one
//! per example, while `dW1` has the shape of `W1`. Follow one column of `X` down to `AL`, and one
//! zero of `A1` back to the zero in `dZ1`: a `ReLU` that is off passes nothing back. The last line
//! is the point of it all: the cost after the step is lower than before.
//!
//! The draws, and every number up to `AL`, are those of the course's forward example with seed 6;
//! the labels `Y` are our own. The small weights at the start are the course's with seed 3.

#[macro_use]
#[path = "support/say.rs"]
mod say;

use std::error::Error;

use dnn_core::{
    Initializer, LayerParameters, Mt19937, Parameters, RandomStream, initialize_parameters_deep,
};
use dnn_layers::{Activation, Head, LayerCache, linear_activation_forward, model_forward};
use dnn_train::{course, linear_backward, relu_backward, sigmoid_backward, update_parameters};
use ndarray::{Array2, array};

/// Five features, hidden layers of four and three units, one output.
const WIDTHS: [usize; 4] = [5, 4, 3, 1];
const LEARNING_RATE: f64 = 0.0075;

fn main() -> Result<(), Box<dyn Error>> {
    heading("1. First weights, as initialize_parameters_deep draws them");
    let mut stream = RandomStream::numpy_legacy(3);
    let small: Parameters<f64> =
        initialize_parameters_deep(&WIDTHS, Initializer::Normal(0.01), &mut stream)?;
    show_parameters(&small, |name| match name.as_bytes()[0] {
        b'W' => "randn * 0.01".to_owned(),
        _ => "zeros".to_owned(),
    });
    say!("\nWith weights this small, the numbers below would all be nearly 0. So, as in the");
    say!("course's own example, they are drawn larger from here on, and the biases too.");

    heading("2. The examples and the parameters");
    let mut stream = RandomStream::numpy_legacy(6);
    let x = draw(WIDTHS[0], 4, &mut stream);
    let layers = WIDTHS.windows(2).map(|pair| LayerParameters {
        weights: draw(pair[1], pair[0], &mut stream),
        bias: draw(pair[1], 1, &mut stream),
    });
    let mut parameters = Parameters { layers: layers.collect() };
    let y = array![[1.0, 0.0, 1.0, 0.0]];
    show("X", "four examples of five features", &x);
    show("Y", "what AL should become", &y);
    show_parameters(&parameters, |_| "randn".to_owned());

    heading("3. Forward: [linear -> ReLU] x 2 -> linear -> sigmoid");
    let caches = forward(&x, &parameters)?;
    let al = &caches[caches.len() - 1].a;
    let cost = course::compute_cost(al.view(), y.view())?;
    say!("\ncost = -(1/m) sum(Y ln AL + (1 - Y) ln(1 - AL)) = {cost:.8}");

    heading("4. Backward, from the cost to the first layer");
    let gradients = backward(&x, &y, &parameters, &caches)?;

    heading("5. One step of gradient descent");
    update_parameters(&mut parameters, &gradients, LEARNING_RATE)?;
    show_parameters(&parameters, |name| format!("{name} - {LEARNING_RATE} d{name}"));
    let caches = model_forward(x.view(), &parameters, Activation::Relu, Head::Sigmoid)?;
    let after = course::compute_cost(caches[2].a.view(), y.view())?;
    say!("\ncost before the step {cost:.8}, after it {after:.8}");
    Ok(())
}

/// A matrix of standard normal numbers, drawn row by row.
fn draw(rows: usize, columns: usize, stream: &mut RandomStream<Mt19937>) -> Array2<f64> {
    Array2::from_shape_simple_fn((rows, columns), || stream.normal())
}

/// Layer by layer, what [`model_forward`] does at once.
fn forward(
    x: &Array2<f64>,
    parameters: &Parameters<f64>,
) -> Result<Vec<LayerCache<f64>>, Box<dyn Error>> {
    let mut caches: Vec<LayerCache<f64>> = Vec::new();
    for (l, layer) in (1..).zip(&parameters.layers) {
        let (activation, name) = if l < parameters.layers.len() {
            (Activation::Relu, "relu")
        } else {
            (Activation::Sigmoid, "sigmoid")
        };
        let a_prev = caches.last().map_or(x.view(), |cache| cache.a.view());
        let (weights, bias) = (layer.weights.view(), layer.bias.view());
        let cache = linear_activation_forward(a_prev, weights, bias, activation)?;
        let input = input_name(l);
        show(&format!("Z{l}"), &format!("W{l} {input} + b{l}"), &cache.z);
        show(&format!("A{l}"), &format!("{name}(Z{l})"), &cache.a);
        caches.push(cache);
    }
    let at_once = model_forward(x.view(), parameters, Activation::Relu, Head::Sigmoid)?;
    say!("\nA3 is AL, the probability of class 1. model_forward gives all of this in one call:");
    say!("the same numbers? {}", at_once == caches);
    Ok(caches)
}

/// Layer by layer, what [`course::model_backward`] does at once.
fn backward(
    x: &Array2<f64>,
    y: &Array2<f64>,
    parameters: &Parameters<f64>,
    caches: &[LayerCache<f64>],
) -> Result<Parameters<f64>, Box<dyn Error>> {
    let depth = caches.len();
    let al = caches[depth - 1].a.view();
    let mut da = course::cost_gradient(al, y.view());
    let mut rule = "-(Y / AL - (1 - Y) / (1 - AL))".to_owned();
    let mut gradients = parameters.zeros_like();
    for l in (1..=depth).rev() {
        show(&format!("dA{l}"), &rule, &da);
        let z = caches[l - 1].z.view();
        let (dz, derivative) = if l == depth {
            let derivative = format!("dA{l} * A{l} * (1 - A{l}), which is AL - Y");
            (sigmoid_backward(da.view(), z)?, derivative)
        } else {
            let derivative = format!("dA{l} where Z{l} > 0, else 0");
            (relu_backward(da.view(), z)?, derivative)
        };
        show(&format!("dZ{l}"), &derivative, &dz);
        let a_prev = if l == 1 { x.view() } else { caches[l - 2].a.view() };
        let found = linear_backward(dz.view(), a_prev, parameters.layers[l - 1].weights.view())?;
        let input = input_name(l);
        let (weights, bias) = (format!("dZ{l} {input}^T / m"), format!("rowsum(dZ{l}) / m"));
        show(&format!("dW{l}"), &weights, &found.weights);
        show(&format!("db{l}"), &bias, &found.bias);
        da = found.da_prev;
        rule = format!("W{l}^T dZ{l}");
        gradients.layers[l - 1] = LayerParameters { weights: found.weights, bias: found.bias };
    }
    let at_once = course::model_backward(al, y.view(), x.view(), parameters, caches)?;
    say!("\ncourse::model_backward gives all of this in one call:");
    say!("the same numbers? {}", at_once.parameters == gradients);
    Ok(gradients)
}

/// What layer `l` takes in.
fn input_name(l: usize) -> String {
    if l == 1 { "X".to_owned() } else { format!("A{}", l - 1) }
}

fn heading(text: &str) {
    say!("\n{text}\n{}", "-".repeat(text.len()));
}

/// All weights and biases; `formula` makes the formula of each from its name.
fn show_parameters(parameters: &Parameters<f64>, formula: impl Fn(&str) -> String) {
    for (l, layer) in (1..).zip(&parameters.layers) {
        let (weights, bias) = (format!("W{l}"), format!("b{l}"));
        show(&weights, &formula(&weights), &layer.weights);
        show(&bias, &formula(&bias), &layer.bias);
    }
}

/// Name, formula and shape, then the numbers row by row.
fn show(name: &str, formula: &str, values: &Array2<f64>) {
    let (rows, columns) = values.dim();
    say!("\n{name} = {formula}   ({rows}, {columns})");
    for row in values.rows() {
        let cells: String = row.iter().map(|&value| cell(value)).collect();
        say!("  {cells}");
    }
}

/// A number in a column of its own; an exact 0 without decimals, so that it catches the eye.
fn cell(value: f64) -> String {
    if value == 0.0 { format!("{:13}", 0) } else { format!("{value:13.8}") }
}
