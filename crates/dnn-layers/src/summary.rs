//! A network at a glance.

use std::fmt;

use dnn_core::Element;

use crate::Network;
use crate::forward::LayerFunction;

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

impl Summary {
    pub(crate) fn new<T: Element>(network: &Network<T>) -> Self {
        let input = network.input();
        let mut rows = vec![Row {
            layer: "input".to_owned(),
            output: match (input.height, input.channels) {
                (1, 1) => input.width.to_string(),
                _ => format!("{} x {} x {}", input.height, input.width, input.channels),
            },
            function: String::new(),
            parameters: 0,
            bytes: 0,
        }];
        let layers = &network.parameters().layers;
        for (l, (layer, stage)) in layers.iter().zip(network.stages()).enumerate() {
            let kind = if stage.normalization.is_some() { "norm" } else { "dense" };
            rows.push(Row {
                layer: format!("{kind} {}", l + 1),
                output: stage.units.to_string(),
                function: match stage.function {
                    LayerFunction::Hidden(activation) => activation.to_string(),
                    LayerFunction::Head(head) => head.to_string(),
                },
                parameters: layer.count(),
                bytes: layer.count() * T::PRECISION.bytes(),
            });
            if stage.dropout > 0.0 {
                rows.push(Row {
                    layer: "dropout".to_owned(),
                    output: stage.units.to_string(),
                    function: stage.dropout.to_string(),
                    parameters: 0,
                    bytes: 0,
                });
            }
        }
        let parameters = network.parameters().count();
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
            writeln!(f, "{layer:<10}  {output:<14}  {function:<15}  {count:>13}  {bytes:>14}")
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
    use crate::{Activation, InputShape, Network};
    use dnn_core::{Purpose, RandomStream};

    #[test]
    fn counts_and_bytes_of_a_small_network_by_hand() {
        let network = Network::<f32>::builder(InputShape::picture(8, 8, 3))
            .hidden(&[20], Activation::LeakyRelu(0.01))
            .classes(["a", "b", "c"])
            .build(&mut RandomStream::new(0, Purpose::Initialization, 0))
            .unwrap();
        // 192 * 20 + 20 = 3860; 20 * 3 + 3 = 63.
        let text = network.summary().to_string();
        let lines: Vec<Vec<&str>> = text.lines().map(|l| l.split_whitespace().collect()).collect();
        assert_eq!(lines[1], ["input", "8", "x", "8", "x", "3", "0", "0"]);
        assert_eq!(lines[2], ["dense", "1", "20", "leaky-relu:0.01", "3,860", "15,440"]);
        assert_eq!(lines[3], ["dense", "2", "3", "softmax", "63", "252"]);
        assert_eq!(lines[4], ["total", "3,923", "15,692"]);
        assert_eq!(network.summary().parameters(), 3923);
        assert_eq!(network.summary().bytes(), 15_692);
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "the columns line up: {text}");
    }
}
