//! A network at a glance.

use std::fmt;

use dnn_core::{Element, Shape};

use crate::{Layer, Network, Tensor};

/// A table of a network's layers; print it with `{}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    rows: Vec<Row>,
    /// All parameters.
    parameters: usize,
    /// Their bytes.
    bytes: usize,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    layer: String,
    output: String,
    function: String,
    parameters: usize,
    bytes: usize,
}

impl<T: Element> Network<T> {
    /// A table of the layers with their shapes, parameters and bytes.
    pub fn summary(&self) -> Summary {
        Summary::new(self)
    }
}

impl Row {
    fn of(layer: &str, output: Shape) -> Self {
        let (layer, output) = (layer.to_owned(), output.to_string());
        Self { layer, output, function: String::new(), parameters: 0, bytes: 0 }
    }
}

impl Summary {
    pub(crate) fn new<T: Element>(network: &Network<T>) -> Self {
        let mut rows = vec![Row::of("input", network.input())];
        for (l, layer) in network.layers().iter().enumerate() {
            let last = rows.len() - 1;
            match layer {
                // Beside the layer that it follows, if that has parameters.
                Layer::Activation(it) if l > 0 && rows[last].parameters > 0 => {
                    rows[last].function = it.to_string();
                    continue;
                }
                _ => {}
            }
            let count = |tensor: &Tensor<T>| tensor.values().len();
            let trained = network.layer_tensors(l).iter().filter(|it| it.spec().is_trained);
            let parameters = trained.map(count).sum();
            let function = match layer {
                Layer::Activation(it) => it.to_string(),
                Layer::Dropout(it) => it.rate.to_string(),
                _ => String::new(),
            };
            let bytes = parameters * T::PRECISION.bytes();
            let row = Row::of(network.layer_name(l), network.layer_output(l));
            rows.push(Row { function, parameters, bytes, ..row });
        }
        if let Some(last) = rows.last_mut() {
            last.function = network.head().to_string();
        }
        let parameters = network.parameter_count();
        Self { rows, parameters, bytes: parameters * T::PRECISION.bytes() }
    }

    /// How many parameters there are in all.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// How many bytes the parameters take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

/// A number with its thousands apart: `1,234,567`.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut line = |layer: &str, output: &str, function: &str, count: &str, bytes: &str| {
            writeln!(f, "{layer:<12}  {output:<14}  {function:<15}  {count:>13}  {bytes:>14}")
        };
        line("layer", "output", "function", "parameters", "bytes")?;
        for row in &self.rows {
            let (count, bytes) = (grouped(row.parameters), grouped(row.bytes));
            line(&row.layer, &row.output, &row.function, &count, &bytes)?;
        }
        line("total", "", "", &grouped(self.parameters), &grouped(self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use crate::{Activation, Network};
    use dnn_core::{Purpose, RandomStream, Shape};

    #[test]
    fn counts_and_bytes_of_a_small_network_by_hand() {
        let network = Network::<f32>::builder(Shape::picture(8, 8, 3))
            .hidden(&[20], Activation::LeakyRelu(0.01))
            .classes(["a", "b", "c"])
            .build(&mut RandomStream::new(0, Purpose::Initialization, 0))
            .unwrap();
        // 192 * 20 + 20 = 3860; 20 * 3 + 3 = 63.
        let text = network.summary().to_string();
        let lines: Vec<Vec<&str>> = text.lines().map(|l| l.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["input", "8", "x", "8", "x", "3", "0", "0"]);
        assert_eq!(lines[2], ["dense1", "20", "leaky-relu:0.01", "3,860", "15,440"]);
        assert_eq!(lines[3], ["dense2", "3", "softmax", "63", "252"]);
        assert_eq!(lines[4], ["total", "3,923", "15,692"]);
        assert_eq!(network.summary().parameters(), 3923);
        assert_eq!(network.summary().bytes(), 15_692);
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "the columns line up: {text}");
    }
}
