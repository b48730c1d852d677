//! The layers of a network in one line: what `--network` takes.
//!
//! A line is `auto`, one of three short forms, or all layers spelled out:
//! ```text
//! line     = "auto"  |  short ":" width ("," width)*  |  layers
//! short    = "dense" | "conv" | "resnet"
//! layers   = layer ("," layer)*
//! layer    = "conv" units option*      | "depthwise" option*     | "pool" option*
//!          | "average-pool" option*    | "global-max-pool"       | "global-average-pool"
//!          | "global-pool"             | "flatten"               | "dense" units
//!          | "batch-norm"              | "dropout" share         | "residual" "(" layers ")"
//!          | "channel-dropout" share   | an activation, as in `relu` or `leaky-relu:0.1`
//! option   = window | "stride" window | "pad" ("same" | "valid" | number)
//!          | "groups" number           | "no-bias"
//! window   = number ("x" number)?
//! ```
//! The parser descends by these rules, one function each. Its input is bounded (the length of the line, the number of
//! layers, how deep they are nested), so that a line from anywhere can be given to it. A [`NetworkLine`] as text is a line
//! that is read as the same again.

mod text;
mod word;

#[cfg(test)]
mod tests;

use std::ops::Range;
use std::str::FromStr;

use dnn_core::CoreError;
use dnn_layers::{Activation, Conv2d, Padding, PoolBy, Window};

use self::word::{LineError, Words};

/// The most bytes of a line. No line of as many layers as there may be is longer in its own form.
const MOST_BYTES: usize = 100_000;

/// The most layers of a line.
const MOST_LAYERS: usize = 1000;

/// How deep residual blocks may stand in one another.
const MOST_NESTED: usize = 8;

/// The most units of a layer.
const MOST_UNITS: usize = 1_000_000_000;

/// The most rows and columns of windows, and groups.
const MOST: usize = 1 << 16;

/// The window of a convolution where none is given.
const CONV_KERNEL: [usize; 2] = [3; 2];

/// The window of pooling where none is given.
const POOL_KERNEL: [usize; 2] = [2; 2];

/// What stands for a layer.
const LAYERS: &str = "conv, depthwise, pool, average-pool, global-max-pool, global-average-pool, global-pool, \
                      flatten, dense, batch-norm, dropout, channel-dropout, residual(…), or an activation like relu or \
                      leaky-relu:0.1";

/// The layers of a network, as `--network` takes them.
///
/// # Examples
/// ```
/// use dnn_run::NetworkLine;
///
/// let line: NetworkLine = "conv 16 3x3 stride 1, pool 2, dense 64".parse()?;
/// assert_eq!(line.to_string(), "conv 16, pool, dense 64");
/// let error = "conv 16, pol".parse::<NetworkLine>().unwrap_err().to_string();
/// assert!(error.starts_with("expected a layer, found `pol`\n  | conv 16, pol\n  |          ^^^\n"), "{error}");
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub enum NetworkLine {
    /// `auto`: what the pictures ask for.
    Auto,
    /// `dense:256,128`: hidden layers of these widths.
    Dense(Vec<usize>),
    /// `conv:16,32`: convolutions of these widths, each with pooling behind it, and a dense layer.
    Conv(Vec<usize>),
    /// `resnet:24,48`: stages of residual blocks of these widths.
    Resnet(Vec<usize>),
    /// Every layer is spelled out.
    Layers(Vec<LineLayer>),
}

/// A layer that a [`NetworkLine`] spells out.
#[derive(Debug, Clone, PartialEq)]
pub enum LineLayer {
    /// `conv 16 5x5 stride 2`.
    Conv(Conv2d),
    /// `depthwise 3x3`: a convolution that sees each channel on its own.
    Depthwise {
        /// Where its windows lie.
        window: Window,
        /// Whether a bias is added.
        bias: bool,
    },
    /// `pool 3 stride 2`: the largest number of each window.
    MaxPool(Window),
    /// `average-pool 2`: the mean of each window.
    AveragePool(Window),
    /// `global-max-pool`, `global-average-pool` or, for both, `global-pool`.
    GlobalPool(PoolBy),
    /// `flatten`.
    Flatten,
    /// `dense 64`.
    Dense(usize),
    /// `batch-norm`.
    BatchNorm,
    /// `dropout 0.3`.
    Dropout(f64),
    /// `channel-dropout 0.1`.
    ChannelDropout(f64),
    /// `relu`, `leaky-relu:0.1`, `identity`.
    Activation(Activation),
    /// `residual(conv 16, conv 16)`: what these layers give is added to what they are given.
    Residual(Vec<LineLayer>),
}

impl NetworkLine {
    /// Whether every layer is spelled out, dropout too.
    pub fn is_spelled_out(&self) -> bool {
        matches!(self, Self::Layers(_))
    }

    /// Whether there is a layer that the activation of the settings, and their batch normalisation, come after by
    /// themselves.
    pub fn completes_layers(&self) -> bool {
        match self {
            Self::Auto | Self::Dense(_) | Self::Conv(_) | Self::Resnet(_) => true,
            Self::Layers(layers) => any_completed(layers),
        }
    }
}

/// Whether the layer at this place is a convolution or dense layer without an activation or batch normalisation spelled
/// out behind it: then those of the settings come there by themselves.
pub(crate) fn is_completed(layers: &[LineLayer], place: usize) -> bool {
    use LineLayer::{Activation, BatchNorm, Conv, Dense, Depthwise};
    let computes = matches!(layers[place], Conv(_) | Depthwise { .. } | Dense(_));
    computes && !matches!(layers.get(place + 1), Some(Activation(_) | BatchNorm))
}

fn any_completed(layers: &[LineLayer]) -> bool {
    layers.iter().enumerate().any(|(place, layer)| match layer {
        LineLayer::Residual(inside) => any_completed(inside),
        _ => is_completed(layers, place),
    })
}

impl FromStr for NetworkLine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.len() > MOST_BYTES {
            return Err(format!(
                "expected a line of at most {MOST_BYTES} bytes, found {} bytes",
                text.len()
            ));
        }
        if text.trim() == "auto" {
            return Ok(Self::Auto);
        }
        let parser = Parser { words: Words::of(text), layers: 0, nested: 0 };
        parser.line().map_err(|error| error.drawn_on(text))
    }
}

type Parsed<T> = Result<T, LineError>;

struct Parser<'t> {
    words: Words<'t>,
    /// How many were met.
    layers: usize,
    /// In how many residual blocks this place is.
    nested: usize,
}

/// What is said of windows, in any order.
#[derive(Default)]
struct Options {
    kernel: Option<[usize; 2]>,
    stride: Option<[usize; 2]>,
    padding: Option<Padding>,
    groups: Option<usize>,
    no_bias: Option<()>,
}

/// The options that a layer takes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Conv,
    Depthwise,
    Pool,
}

impl Takes {
    fn advice(self) -> &'static str {
        match self {
            Self::Conv => {
                "a convolution is written like `conv 16 5x5 stride 2 pad valid groups 4 no-bias`; all but the \
                 units may be left out, and pad is same, valid or a number"
            }
            Self::Depthwise => {
                "it is written like `depthwise 5x5 stride 2 pad valid no-bias`; all of that may be left out, \
                 and pad is same, valid or a number"
            }
            Self::Pool => {
                "pooling is written like `pool 3 stride 2 pad same`; all of that may be left out, and pad is \
                 same, valid or a number"
            }
        }
    }

    fn expected(self) -> &'static str {
        match self {
            Self::Conv => "a window like 5x5, stride, pad, groups, no-bias or a comma",
            Self::Depthwise => "a window like 5x5, stride, pad, no-bias or a comma",
            Self::Pool => "a window like 3 or 3x2, stride, pad or a comma",
        }
    }
}

impl Parser<'_> {
    fn line(mut self) -> Parsed<NetworkLine> {
        let start = self.words;
        let short = self.words.next().and_then(|word| {
            let (name, _) = word.text.split_once(':')?;
            let of: fn(Vec<usize>) -> NetworkLine = match name {
                "dense" => NetworkLine::Dense,
                "conv" => NetworkLine::Conv,
                "resnet" => NetworkLine::Resnet,
                _ => return None,
            };
            self.words = start.from(word.range.start + name.len() + 1);
            Some(of)
        });
        if let Some(of) = short {
            return Ok(of(self.widths()?));
        }
        self.words = start;
        let layers = self.layers()?;
        match self.words.next() {
            None => Ok(NetworkLine::Layers(layers)),
            Some(word) => Err(LineError {
                expected: "a comma or the end of the line",
                place: word.range,
                advice: "layers are separated by commas, as in `conv 16, pool, dense 64`"
                    .to_owned(),
            }),
        }
    }

    fn widths(&mut self) -> Parsed<Vec<usize>> {
        let advice = "a short form stands alone, with a width for each layer, as in `conv:16,32`; to add other layers, \
                      spell all of them out, as in `conv 16, pool, dense 64`";
        let mut widths = Vec::new();
        loop {
            let place = self.words.next_place();
            self.count(place)?;
            widths.push(self.number(
                1..=MOST_UNITS,
                "a width, a whole number of at least 1",
                advice,
            )?);
            let place = self.words.next_place();
            match self.words.next() {
                None => return Ok(widths),
                Some(word) if word.text == "," => {}
                Some(_) => {
                    let expected = "a comma or the end of the line";
                    return Err(LineError { expected, place, advice: advice.to_owned() });
                }
            }
        }
    }

    fn layers(&mut self) -> Parsed<Vec<LineLayer>> {
        let mut layers = Vec::new();
        loop {
            layers.push(self.layer()?);
            if !self.words.skip(",") {
                return Ok(layers);
            }
        }
    }

    fn layer(&mut self) -> Parsed<LineLayer> {
        let place = self.words.next_place();
        self.count(place.clone())?;
        let name = self.words.next().map_or("", |word| word.text);
        let layer = match name {
            "conv" => return self.conv(),
            "depthwise" => return self.depthwise(),
            "pool" => LineLayer::MaxPool(self.pool()?),
            "average-pool" => LineLayer::AveragePool(self.pool()?),
            "global-max-pool" => LineLayer::GlobalPool(PoolBy::Maximum),
            "global-average-pool" => LineLayer::GlobalPool(PoolBy::Mean),
            "global-pool" => LineLayer::GlobalPool(PoolBy::Both),
            "flatten" => LineLayer::Flatten,
            "dense" => LineLayer::Dense(self.units("a dense layer is written like `dense 64`")?),
            "batch-norm" => LineLayer::BatchNorm,
            "dropout" => LineLayer::Dropout(self.share()?),
            "channel-dropout" => LineLayer::ChannelDropout(self.share()?),
            "residual" => return self.residual(),
            _ => LineLayer::Activation(activation(name, place)?),
        };
        Ok(layer)
    }

    fn conv(&mut self) -> Parsed<LineLayer> {
        let units = self.units(Takes::Conv.advice())?;
        let options = self.options(Takes::Conv)?;
        Ok(LineLayer::Conv(Conv2d {
            units,
            window: options.window_of_conv(),
            groups: options.groups.unwrap_or(1),
            bias: options.no_bias.is_none(),
        }))
    }

    fn depthwise(&mut self) -> Parsed<LineLayer> {
        let options = self.options(Takes::Depthwise)?;
        let (window, bias) = (options.window_of_conv(), options.no_bias.is_none());
        Ok(LineLayer::Depthwise { window, bias })
    }

    fn pool(&mut self) -> Parsed<Window> {
        let options = self.options(Takes::Pool)?;
        let kernel = options.kernel.unwrap_or(POOL_KERNEL);
        Ok(Window {
            kernel,
            stride: options.stride.unwrap_or(kernel),
            padding: options.padding.unwrap_or(Padding::Valid),
        })
    }

    fn residual(&mut self) -> Parsed<LineLayer> {
        let place = self.words.next_place();
        let error = |expected, place| LineError {
            expected,
            place,
            advice: "a residual block is written like `residual(conv 16, conv 16)`".to_owned(),
        };
        if !self.words.skip("(") {
            return Err(error("a parenthesis, `(`", place));
        }
        if self.nested == MOST_NESTED {
            return Err(error("residual blocks in one another to a depth of at most 8", place));
        }
        self.nested += 1;
        let layers = self.layers()?;
        self.nested -= 1;
        let place = self.words.next_place();
        if !self.words.skip(")") {
            return Err(error("a comma or a parenthesis, `)`", place));
        }
        Ok(LineLayer::Residual(layers))
    }

    /// What is said of windows, up to a comma, a parenthesis or the end.
    fn options(&mut self, takes: Takes) -> Parsed<Options> {
        let mut options = Options::default();
        while let Some(word) = self.words.next_in_layer() {
            let (place, is_conv) = (word.range.clone(), takes == Takes::Conv);
            match word.text {
                "stride" => {
                    let stride = self.window("a stride like 2 or 2x1", takes)?;
                    said_once(&mut options.stride, stride, place, takes)?;
                }
                "pad" => {
                    let padding = self.padding(takes)?;
                    said_once(&mut options.padding, padding, place, takes)?;
                }
                "groups" if is_conv => {
                    let groups =
                        self.number(1..=MOST_UNITS, "a number of groups", takes.advice())?;
                    said_once(&mut options.groups, groups, place, takes)?;
                }
                "no-bias" if takes != Takes::Pool => {
                    said_once(&mut options.no_bias, (), place, takes)?;
                }
                text => {
                    // A lone number beside the units of a convolution could be anything.
                    let fits = takes == Takes::Pool || text.contains('x');
                    let kernel = word::window(text, MOST).filter(|_| fits);
                    let Some(kernel) = kernel else {
                        let advice = takes.advice().to_owned();
                        return Err(LineError { expected: takes.expected(), place, advice });
                    };
                    said_once(&mut options.kernel, kernel, place, takes)?;
                }
            }
        }
        Ok(options)
    }

    fn window(&mut self, expected: &'static str, takes: Takes) -> Parsed<[usize; 2]> {
        let place = self.words.next_place();
        let window = self.words.next_in_layer().and_then(|word| word::window(word.text, MOST));
        window.ok_or_else(|| LineError { expected, place, advice: takes.advice().to_owned() })
    }

    fn padding(&mut self, takes: Takes) -> Parsed<Padding> {
        let place = self.words.next_place();
        let padding = self.words.next_in_layer().and_then(|word| match word.text {
            "same" => Some(Padding::Same),
            "valid" => Some(Padding::Valid),
            text => word::number(text).filter(|&pad| pad <= MOST).map(Padding::Each),
        });
        let expected = "same, valid or a whole number of rows and columns";
        padding.ok_or_else(|| LineError { expected, place, advice: takes.advice().to_owned() })
    }

    fn units(&mut self, advice: &str) -> Parsed<usize> {
        self.number(1..=MOST_UNITS, "a number of units, at least 1", advice)
    }

    fn number(
        &mut self,
        within: std::ops::RangeInclusive<usize>,
        expected: &'static str,
        advice: &str,
    ) -> Parsed<usize> {
        let place = self.words.next_place();
        let number = self.words.next_in_layer().and_then(|word| word::number(word.text));
        let advice = match number {
            Some(number) if within.contains(&number) => return Ok(number),
            Some(number) if number > *within.end() => format!("the most is {}", within.end()),
            _ => advice.to_owned(),
        };
        Err(LineError { expected, place, advice })
    }

    fn share(&mut self) -> Parsed<f64> {
        let place = self.words.next_place();
        let share = self.words.next_in_layer().and_then(|word| word.text.parse().ok());
        share.filter(|share| (0.0..1.0).contains(share)).ok_or_else(|| LineError {
            expected: "a share from 0 up to but not including 1",
            place,
            advice: "dropout is written like `dropout 0.3`, by channel like `channel-dropout 0.1`"
                .to_owned(),
        })
    }

    fn count(&mut self, place: Range<usize>) -> Parsed<()> {
        self.layers += 1;
        if self.layers <= MOST_LAYERS {
            return Ok(());
        }
        let advice = "leave layers out".to_owned();
        Err(LineError { expected: "the end of the line after 1000 layers", place, advice })
    }
}

impl Options {
    fn window_of_conv(&self) -> Window {
        Window {
            kernel: self.kernel.unwrap_or(CONV_KERNEL),
            stride: self.stride.unwrap_or([1; 2]),
            padding: self.padding.unwrap_or(Padding::Same),
        }
    }
}

/// Notes what was said, unless that was said before.
fn said_once<T>(slot: &mut Option<T>, value: T, place: Range<usize>, takes: Takes) -> Parsed<()> {
    if slot.replace(value).is_none() {
        return Ok(());
    }
    let advice = takes.advice().to_owned();
    Err(LineError { expected: "each option once", place, advice })
}

fn activation(name: &str, place: Range<usize>) -> Parsed<Activation> {
    match name.parse() {
        Ok(activation) => Ok(activation),
        Err(CoreError::UnknownName { .. }) => {
            let advice = format!("a layer is one of {LAYERS}");
            Err(LineError { expected: "a layer", place, advice })
        }
        Err(_) => {
            let advice = "its number is written like `leaky-relu:0.1`".to_owned();
            Err(LineError { expected: "an activation with a finite number", place, advice })
        }
    }
}
