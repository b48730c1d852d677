//! A line as text: the shortest one that is read as the same again.

use std::fmt;
use std::ops::Range;

use dnn_layers::{Activation, Conv2d, Padding, PoolBy, Window};

use super::{CONV_KERNEL, LineLayer, NetworkLine, POOL_KERNEL};

/// The text of a line, and where each layer stands in it.
#[derive(Debug, Default)]
pub(crate) struct Written {
    pub(crate) text: String,
    /// In bytes: a place for each width of a short form, or for each layer, a residual block before what is in it.
    pub(crate) places: Vec<Range<usize>>,
}

impl NetworkLine {
    /// Its text, with the places of its layers.
    pub(crate) fn written(&self) -> Written {
        let mut written = Written::default();
        match self {
            Self::Auto => written.text += "auto",
            Self::Dense(widths) => written.short("dense:", widths),
            Self::Conv(widths) => written.short("conv:", widths),
            Self::Resnet(widths) => written.short("resnet:", widths),
            Self::Layers(layers) => written.layers(layers),
        }
        written
    }
}

impl fmt::Display for NetworkLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.written().text)
    }
}

impl Written {
    fn short(&mut self, form: &str, widths: &[usize]) {
        self.text += form;
        for (number, width) in widths.iter().enumerate() {
            self.text += if number == 0 { "" } else { "," };
            let start = self.text.len();
            self.text += &width.to_string();
            self.places.push(start..self.text.len());
        }
    }

    fn layers(&mut self, layers: &[LineLayer]) {
        for (number, layer) in layers.iter().enumerate() {
            self.text += if number == 0 { "" } else { ", " };
            let (place, start) = (self.places.len(), self.text.len());
            self.places.push(start..start);
            self.layer(layer);
            self.places[place].end = self.text.len();
        }
    }

    fn layer(&mut self, layer: &LineLayer) {
        match layer {
            LineLayer::Conv(conv) => self.text += &conv_text(conv),
            LineLayer::Depthwise { window, bias } => {
                self.text += &format!("depthwise {}", by(window.kernel));
                self.text += &rest_of_conv(window, *bias);
            }
            LineLayer::MaxPool(window) => self.pool("pool", window),
            LineLayer::AveragePool(window) => self.pool("average-pool", window),
            LineLayer::GlobalPool(by) => {
                self.text += match by {
                    PoolBy::Maximum => "global-max-pool",
                    PoolBy::Mean => "global-average-pool",
                    PoolBy::Both => "global-pool",
                }
            }
            LineLayer::Flatten => self.text += "flatten",
            LineLayer::Dense(units) => self.text += &format!("dense {units}"),
            LineLayer::BatchNorm => self.text += "batch-norm",
            LineLayer::Dropout(rate) => self.text += &format!("dropout {}", short_number(*rate)),
            LineLayer::ChannelDropout(rate) => {
                self.text += &format!("channel-dropout {}", short_number(*rate));
            }
            LineLayer::Activation(activation) => self.text += &activation_text(*activation),
            LineLayer::Residual(layers) => {
                self.text += "residual(";
                self.layers(layers);
                self.text += ")";
            }
        }
    }

    fn pool(&mut self, name: &str, window: &Window) {
        let Window { kernel, stride, padding } = window;
        self.text += name;
        if *kernel != POOL_KERNEL {
            self.text += &format!(" {}", short_by(*kernel));
        }
        if stride != kernel {
            self.text += &format!(" stride {}", short_by(*stride));
        }
        if *padding != Padding::Valid {
            self.text += &padding_text(*padding);
        }
    }
}

fn conv_text(conv: &Conv2d) -> String {
    let Conv2d { units, window, groups, bias } = conv;
    let mut text = format!("conv {units}");
    if window.kernel != CONV_KERNEL {
        text += &format!(" {}", by(window.kernel));
    }
    if *groups != 1 {
        text += &format!(" groups {groups}");
    }
    text + &rest_of_conv(window, *bias)
}

fn rest_of_conv(window: &Window, bias: bool) -> String {
    let mut text = String::new();
    if window.stride != [1; 2] {
        text += &format!(" stride {}", short_by(window.stride));
    }
    if window.padding != Padding::Same {
        text += &padding_text(window.padding);
    }
    text += if bias { "" } else { " no-bias" };
    text
}

fn padding_text(padding: Padding) -> String {
    match padding {
        Padding::Same => " pad same".to_owned(),
        Padding::Valid => " pad valid".to_owned(),
        Padding::Each(pad) => format!(" pad {pad}"),
    }
}

fn by([rows, columns]: [usize; 2]) -> String {
    format!("{rows}x{columns}")
}

fn short_by(window: [usize; 2]) -> String {
    if window[0] == window[1] { window[0].to_string() } else { by(window) }
}

fn activation_text(activation: Activation) -> String {
    match activation {
        Activation::LeakyRelu(slope) => format!("leaky-relu:{}", short_number(slope)),
        Activation::Elu(scale) => format!("elu:{}", short_number(scale)),
        _ => activation.to_string(),
    }
}

/// With an exponent where that is shorter: 1e300 in full has 301 digits.
fn short_number(number: f64) -> String {
    let (plain, exponent) = (number.to_string(), format!("{number:e}"));
    if plain.len() <= exponent.len().max(8) { plain } else { exponent }
}
