//! A network at a glance.

use std::fmt;

use dnn_core::{Element, Shape};

use crate::{AveragePool2d, Initial, Layer, MaxPool2d, Network, Tensor, Window};

/// A table of a network's layers; print it with `{}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    rows: Vec<Row>,
    /// All parameters.
    parameters: usize,
    /// Their bytes.
    bytes: usize,
    /// Operations of a forward pass.
    flop: u64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Row {
    layer: String,
    output: String,
    function: String,
    parameters: usize,
    bytes: usize,
    flop: u64,
}

impl<T: Element> Network<T> {
    /// A table of the layers with their shapes, parameters, bytes and operations.
    pub fn summary(&self) -> Summary {
        Summary::new(self)
    }
}

impl Row {
    fn of(layer: &str, output: Shape) -> Self {
        let (layer, output) = (layer.to_owned(), output.to_string());
        Self { layer, output, function: String::new(), parameters: 0, bytes: 0, flop: 0 }
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
                    let function = &mut rows[last].function;
                    *function += if function.is_empty() { "" } else { ", " };
                    *function += &it.to_string();
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
                Layer::ChannelDropout(it) => it.rate.to_string(),
                Layer::Conv2d(it) => window_text(&it.window),
                Layer::MaxPool2d(MaxPool2d { window })
                | Layer::AveragePool2d(AveragePool2d { window }) => window_text(window),
                Layer::GlobalPool(it) => it.by.to_string(),
                Layer::Residual(it) => format!("around {}", it.layers),
                Layer::Branch(it) => format!("back {}", it.layers),
                _ => String::new(),
            };
            let bytes = parameters * T::PRECISION.bytes();
            let (name, output) = (network.layer_name(l), network.layer_output(l));
            let flop = flop(network.layer_tensors(l), output);
            rows.push(Row { function, parameters, bytes, flop, ..Row::of(name, output) });
        }
        if let Some(last) = rows.last_mut() {
            last.function = network.head().to_string();
        }
        let parameters = network.parameter_count();
        let flop = rows.iter().map(|row| row.flop).fold(0, u64::saturating_add);
        Self { rows, parameters, bytes: parameters * T::PRECISION.bytes(), flop }
    }

    /// How many parameters there are in all.
    pub fn parameters(&self) -> usize {
        self.parameters
    }

    /// How many bytes the parameters take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Floating point operations of the forward pass of one example: two for each multiplication of a dense layer or
    /// a convolution.
    pub fn flop(&self) -> u64 {
        self.flop
    }
}

/// Rows and columns, and how far one window is from the next: `3 x 3 / 2`.
fn window_text(window: &Window) -> String {
    let Window { kernel: [rows, columns], stride, .. } = window;
    let stride = match stride {
        [1, 1] => String::new(),
        [down, right] if down == right => format!(" / {down}"),
        [down, right] => format!(" / {down} x {right}"),
    };
    format!("{rows} x {columns}{stride}")
}

/// Operations of one example's way through a layer with these arrays: every weight is multiplied with a number and added
/// to a sum once for each place of the output.
fn flop<T: Element>(tensors: &[Tensor<T>], output: Shape) -> u64 {
    let weights = tensors.iter().filter(|tensor| tensor.spec().initial == Initial::Drawn);
    let weights: u64 = weights.map(|tensor| tensor.values().len() as u64).sum();
    let places = (output.height as u64).saturating_mul(output.width as u64);
    weights.saturating_mul(places).saturating_mul(2)
}

/// Millions, to three places.
fn millions(number: u64) -> String {
    let thousands = number.saturating_add(500) / 1000;
    let whole = usize::try_from(thousands / 1000).unwrap_or(usize::MAX);
    format!("{}.{:03}", grouped(whole), thousands % 1000)
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
        let widest = |least: usize, text: fn(&Row) -> &str| {
            self.rows.iter().map(|row| text(row).chars().count()).fold(least, usize::max)
        };
        let (first, second) = (widest(12, |row| &row.layer), widest(14, |row| &row.output));
        let third = widest(15, |row| &row.function);
        let mut line = |texts: [&str; 3], numbers: [&str; 3]| {
            let ([layer, output, function], [count, bytes, flop]) = (texts, numbers);
            write!(f, "{layer:<first$}  {output:<second$}  {function:<third$}")?;
            writeln!(f, "  {count:>13}  {bytes:>14}  {flop:>13}")
        };
        line(["layer", "output", "function"], ["parameters", "bytes", "MFLOP"])?;
        for row in &self.rows {
            let texts = [&row.layer, &row.output, &row.function].map(String::as_str);
            let numbers = [grouped(row.parameters), grouped(row.bytes), millions(row.flop)];
            line(texts, numbers.each_ref().map(String::as_str))?;
        }
        let numbers = [grouped(self.parameters), grouped(self.bytes), millions(self.flop)];
        line(["total", "", ""], numbers.each_ref().map(String::as_str))
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        Activation, BatchNorm, Conv2d, GlobalPool, Head, MaxPool2d, Network, Padding, PoolBy,
        Window,
    };
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
        assert_eq!(lines[1], ["input", "8", "x", "8", "x", "3", "0", "0", "0.000"]);
        assert_eq!(lines[2], ["dense1", "20", "leaky-relu:0.01", "3,860", "15,440", "0.008"]);
        assert_eq!(lines[3], ["dense2", "3", "softmax", "63", "252", "0.000"]);
        assert_eq!(lines[4], ["total", "3,923", "15,692", "0.008"]);
        assert_eq!(network.summary().parameters(), 3923);
        assert_eq!(network.summary().bytes(), 15_692);
        assert_eq!(network.summary().flop(), 2 * (192 * 20 + 20 * 3));
        let widths: Vec<usize> = text.lines().map(|line| line.chars().count()).collect();
        assert!(widths.windows(2).all(|pair| pair[0] == pair[1]), "the columns line up: {text}");
    }

    #[test]
    fn convolutions_have_windows_shapes_and_operations() {
        let window = Window::square(2, 2, Padding::Valid);
        let network = Network::<f32>::builder(Shape::picture(40, 48, 3))
            .layer(Conv2d { groups: 1, ..Conv2d::same(16, 5) })
            .layer(BatchNorm::default())
            .layer(Activation::Relu)
            .layer(MaxPool2d { window })
            .layer(GlobalPool { by: PoolBy::Both })
            .outputs(1, Head::Identity)
            .build(&mut RandomStream::new(0, Purpose::Initialization, 0))
            .unwrap();
        // 40 x 48 places of 16 x 5 x 5 x 3 multiplications, and 2 x 16.
        let flop = 2 * (1920 * 1200 + 32);
        assert_eq!(network.summary().flop(), flop);
        let text = network.summary().to_string();
        let line = |start: &str| {
            let line = text.lines().find(|line| line.starts_with(start)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("conv1"), "conv1 40 x 48 x 16 5 x 5 1,216 4,864 4.608");
        assert_eq!(line("batch_norm1"), "batch_norm1 40 x 48 x 16 relu 32 128 0.000");
        assert_eq!(line("max_pool1"), "max_pool1 20 x 24 x 16 2 x 2 / 2 0 0 0.000");
        assert_eq!(line("global_pool1"), "global_pool1 32 max and mean 0 0 0.000");
        assert!(line("total").ends_with(" 4.608"), "{text}");
        assert_eq!(super::millions(1_234_567_890), "1,234.568");
    }
}
