//! From settings to the layers of a new network.

use dnn_core::Shape;
use dnn_layers::{
    Activation, AveragePool2d, BatchNorm, Branch, ChannelDropout, Conv2d, Dense, Dropout, Flatten,
    GlobalPool, Layer, MaxPool2d, NetworkError, Padding, PoolBy, Residual, Window,
};

use crate::config::{LineLayer, NetworkLine, RunConfig, is_completed};
use crate::error::{Result, RunError};
use crate::words::point_at;

/// Units of the dense layer behind the convolutions of a short form.
const DENSE_AFTER_CONV: usize = 64;

/// The layers of a network but the last, which comes with the answers.
#[derive(Debug)]
pub(crate) struct Layout {
    pub(crate) layers: Vec<Layer>,
    /// What comes to each of them.
    shapes: Vec<Shape>,
    /// For each of them, which layer of the line it belongs to, by the order of its places.
    written_at: Vec<Option<usize>>,
    line: Option<NetworkLine>,
    input: Shape,
}

impl Layout {
    /// The layers that the settings ask for, for pictures of this shape.
    ///
    /// # Errors
    /// [`RunError::Network`] for a layer that does not go with the shape that comes to it; where a line asks for it,
    /// [`RunError::Usage`] with its place in the line.
    pub(crate) fn of(config: &RunConfig, input: Shape) -> Result<Self> {
        let line = config.network.network.clone();
        let layout = Self {
            layers: Vec::new(),
            shapes: Vec::new(),
            written_at: Vec::new(),
            line: line.clone(),
            input,
        };
        let mut making = Making { config, layout, shape: input, now: None, met: 0 };
        match &line {
            None | Some(NetworkLine::Auto) => making.hidden(&config.hidden().0)?,
            Some(NetworkLine::Dense(widths)) => making.hidden(widths)?,
            Some(NetworkLine::Conv(widths)) => making.convolutions(widths)?,
            Some(NetworkLine::Resnet(widths)) => making.stages(widths)?,
            Some(NetworkLine::Layers(layers)) => making.spelled_out(layers)?,
        }
        Ok(making.layout)
    }

    /// Leaves the first `count` layers.
    fn forget_after(&mut self, count: usize) {
        self.layers.truncate(count);
        self.shapes.truncate(count);
        self.written_at.truncate(count);
    }

    /// The error with the place in the line of the layer that it is about.
    pub(crate) fn explain(&self, error: NetworkError) -> RunError {
        let NetworkError::LayerPlace { position, .. } = error else { return error.into() };
        let before = position - 1;
        let Some((line, place)) =
            self.line.as_ref().zip(self.written_at.get(before).copied().flatten())
        else {
            return error.into();
        };
        let written = line.written();
        let place = written.places.get(place).cloned().unwrap_or_default();
        let advice = self.advice(before);
        RunError::Usage(format!("{error}{}", point_at(&written.text, place, &advice)))
    }

    /// What to do about the layer after the first `before` ones.
    fn advice(&self, before: usize) -> String {
        if !self.layers.iter().take(before + 1).any(computes) {
            return "begin with a layer that computes, such as `conv 16` or `dense 64`".to_owned();
        }
        let comes = self.shapes.get(before).copied().unwrap_or(self.input);
        format!(
            "pictures are {}, and {comes} comes to this layer: change it, or the layers before it, or give \
             larger pictures",
            self.input
        )
    }
}

/// Whether a layer takes the inputs of the network and computes with them.
fn computes(layer: &Layer) -> bool {
    matches!(layer, Layer::Conv2d(_) | Layer::Dense(_))
}

/// The convolution of 1 x 1 that brings pictures of one shape to another one, if they differ and there is one: its
/// windows are as far apart as it takes.
fn projection(from: Shape, to: Shape) -> Option<Conv2d> {
    if from == to {
        return None;
    }
    let stride = |from: usize, to: usize| (1..=from).find(|stride| (from - 1) / stride + 1 == to);
    let stride = [stride(from.height, to.height)?, stride(from.width, to.width)?];
    let window = Window { kernel: [1; 2], stride, padding: Padding::Valid };
    Some(Conv2d { units: to.channels, window, groups: 1, bias: true })
}

/// Layers, one after another.
struct Making<'a> {
    config: &'a RunConfig,
    layout: Layout,
    /// What the layers so far give.
    shape: Shape,
    /// The layer of the line that is at hand.
    now: Option<usize>,
    /// How many layers of the line were met.
    met: usize,
}

impl Making<'_> {
    fn hidden(&mut self, widths: &[usize]) -> Result<()> {
        for &units in widths {
            self.next_of_line();
            self.push(Dense { units })?;
            self.complete()?;
            self.dropout()?;
        }
        Ok(())
    }

    fn convolutions(&mut self, widths: &[usize]) -> Result<()> {
        for &units in widths {
            self.next_of_line();
            self.pooled_conv(units)?;
        }
        self.now = None;
        self.push(Flatten {})?;
        self.push(Dense { units: DENSE_AFTER_CONV })?;
        self.complete()?;
        self.dropout()
    }

    /// Stages of a convolution, pooling and a residual block of two convolutions; the activation of the second one comes
    /// after the sum, as He and others (2016) have it.
    fn stages(&mut self, widths: &[usize]) -> Result<()> {
        for &units in widths {
            self.next_of_line();
            self.pooled_conv(units)?;
            let before = self.layout.layers.len();
            self.conv(Conv2d::same(units, 3), true)?;
            let bias = !self.config.batch_norm();
            self.push(Conv2d { bias, ..Conv2d::same(units, 3) })?;
            self.batch_norm()?;
            self.connect(before)?;
            self.activation(self.config.network.activation)?;
        }
        self.now = None;
        self.push(GlobalPool { by: PoolBy::Mean })?;
        self.dropout()
    }

    /// A convolution, and pooling as long as there are two rows and columns.
    fn pooled_conv(&mut self, units: usize) -> Result<()> {
        self.conv(Conv2d::same(units, 3), true)?;
        if self.shape.height.min(self.shape.width) < 2 {
            return Ok(());
        }
        self.push(MaxPool2d { window: Window::square(2, 2, Padding::Valid) })
    }

    fn spelled_out(&mut self, layers: &[LineLayer]) -> Result<()> {
        for (place, layer) in layers.iter().enumerate() {
            self.next_of_line();
            let is_completed = is_completed(layers, place);
            match layer {
                LineLayer::Conv(conv) => self.conv(*conv, is_completed)?,
                &LineLayer::Depthwise { window, bias } => {
                    let channels = self.shape.channels;
                    let conv = Conv2d { units: channels, window, groups: channels, bias };
                    self.conv(conv, is_completed)?;
                }
                &LineLayer::MaxPool(window) => self.push(MaxPool2d { window })?,
                &LineLayer::AveragePool(window) => self.push(AveragePool2d { window })?,
                &LineLayer::GlobalPool(by) => self.push(GlobalPool { by })?,
                LineLayer::Flatten => self.push(Flatten {})?,
                &LineLayer::Dense(units) => {
                    self.push(Dense { units })?;
                    if is_completed {
                        self.complete()?;
                    }
                }
                LineLayer::BatchNorm => self.push(BatchNorm::default())?,
                &LineLayer::Dropout(rate) => self.push(Dropout { rate })?,
                &LineLayer::ChannelDropout(rate) => self.push(ChannelDropout { rate })?,
                &LineLayer::Activation(activation) => self.activation(activation)?,
                LineLayer::Residual(inside) => self.block(inside)?,
            }
        }
        Ok(())
    }

    /// A residual block: what the layers of the line give is added to what they are given, or, where that has another
    /// shape, to what a convolution of 1 x 1 makes of it.
    fn block(&mut self, inside: &[LineLayer]) -> Result<()> {
        let (of_line, before) = (self.now, self.layout.layers.len());
        let (comes, met) = (self.shape, self.met);
        self.spelled_out(inside)?;
        let Some(projection) = projection(comes, self.shape) else {
            self.now = of_line;
            return self.connect(before);
        };
        // The shortcut comes first: the shape that it has to come to is known only now.
        let is_norm = |layer: &Layer| matches!(layer, Layer::BatchNorm(_));
        let is_normalized = self.layout.layers[before..].iter().any(is_norm);
        self.layout.forget_after(before);
        (self.shape, self.met, self.now) = (comes, met, of_line);
        self.push(Conv2d { bias: !is_normalized, ..projection })?;
        if is_normalized {
            self.push(BatchNorm::default())?;
        }
        let branch = self.layout.layers.len();
        self.push(Branch { layers: branch - before })?;
        self.shape = comes;
        self.spelled_out(inside)?;
        self.now = of_line;
        self.connect(branch)
    }

    /// Adds what comes to the layer after the first `before` ones to what the last one gives.
    fn connect(&mut self, before: usize) -> Result<()> {
        self.push(Residual { layers: self.layout.layers.len() - before })
    }

    /// A convolution, and what comes after it by itself; batch normalisation has a bias of its own.
    fn conv(&mut self, conv: Conv2d, is_completed: bool) -> Result<()> {
        let bias = conv.bias && !(is_completed && self.config.batch_norm());
        self.push(Conv2d { bias, ..conv })?;
        if is_completed { self.complete() } else { Ok(()) }
    }

    /// What comes after convolutions and dense layers by itself.
    fn complete(&mut self) -> Result<()> {
        self.batch_norm()?;
        self.activation(self.config.network.activation)
    }

    fn batch_norm(&mut self) -> Result<()> {
        if self.config.batch_norm() { self.push(BatchNorm::default()) } else { Ok(()) }
    }

    fn activation(&mut self, activation: Activation) -> Result<()> {
        if activation == Activation::Identity { Ok(()) } else { self.push(activation) }
    }

    fn dropout(&mut self) -> Result<()> {
        let rate = self.config.dropout();
        if rate > 0.0 { self.push(Dropout { rate }) } else { Ok(()) }
    }

    /// What follows belongs to the next layer of the line.
    fn next_of_line(&mut self) {
        self.now = Some(self.met);
        self.met += 1;
    }

    fn push(&mut self, layer: impl Into<Layer>) -> Result<()> {
        let layer = layer.into();
        let (kind, output) = (layer.kind(), layer.output(self.shape));
        self.layout.layers.push(layer);
        self.layout.shapes.push(self.shape);
        self.layout.written_at.push(self.now);
        let position = self.layout.layers.len();
        self.shape = output.map_err(|reason| {
            self.layout.explain(NetworkError::LayerPlace { position, kind, reason })
        })?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layers of a line for pictures of this shape, in short.
    fn laid_out(line: &str, more: &str, input: Shape) -> Result<String> {
        let config = RunConfig::from_toml(&format!("[network]\nnetwork = \"{line}\"\n{more}"))?;
        let layout = Layout::of(&config, input)?;
        let told = layout.layers.iter().map(|layer| match layer {
            Layer::Conv2d(Conv2d { units, groups, bias, .. }) => {
                let (groups, bias) = (groups.min(&2), if *bias { "" } else { "!" });
                format!("conv{units}/{groups}{bias}")
            }
            Layer::Dense(Dense { units }) => format!("dense{units}"),
            Layer::BatchNorm(_) => "norm".to_owned(),
            Layer::Activation(activation) => activation.to_string(),
            Layer::Dropout(_) => "drop".to_owned(),
            Layer::Residual(Residual { layers }) => format!("+{layers}"),
            Layer::Branch(Branch { layers }) => format!("back{layers}"),
            other => other.kind().to_owned(),
        });
        Ok(told.collect::<Vec<_>>().join(" "))
    }

    #[test]
    fn lines_become_layers() {
        let norm = "batch_norm = true";
        for (line, more, layers) in [
            ("dense:8,4", "", "dense8 relu drop dense4 relu drop"),
            ("dense:8", norm, "dense8 norm relu drop"),
            ("conv:4,8", "", "conv4/1 relu max_pool conv8/1 relu max_pool flatten dense64 relu"),
            ("conv:4", "dropout = 0.5", "conv4/1 relu max_pool flatten dense64 relu drop"),
            ("conv:4", norm, "conv4/1! norm relu max_pool flatten dense64 norm relu"),
            // 4 x 6 is 2 x 3, 1 x 1, and there is nothing more to pool.
            (
                "conv:1,2,3",
                "activation = \"identity\"",
                "conv1/1 max_pool conv2/1 max_pool conv3/1 flatten dense64",
            ),
            ("resnet:4", "", "conv4/1 relu max_pool conv4/1 relu conv4/1 +3 relu global_pool"),
            (
                "resnet:4",
                norm,
                "conv4/1! norm relu max_pool conv4/1! norm relu conv4/1! norm +5 relu global_pool",
            ),
            ("conv 4, depthwise no-bias, tanh", norm, "conv4/1! norm relu conv4/2! tanh"),
            ("conv 4, batch-norm, dense 3, identity", norm, "conv4/1 norm dense3"),
            ("conv 4, dropout 0.1, elu, flatten", "", "conv4/1 relu drop elu:1 flatten"),
            // Another shape: a projection, without a norm and with one.
            ("conv 4, residual(conv 8)", "", "conv4/1 relu conv8/1 back1 conv8/1 relu +3"),
            (
                "conv 4, residual(conv 8 stride 2, conv 8, identity), relu",
                norm,
                "conv4/1! norm relu conv8/1! norm back2 conv8/1! norm relu conv8/1 +5 relu",
            ),
            (
                "conv 4, residual(pool, batch-norm)",
                "",
                "conv4/1 relu conv4/1! norm back2 max_pool norm +3",
            ),
            (
                "conv 4, residual(residual(conv 8), relu), relu",
                "",
                "conv4/1 relu conv8/1 back1 conv8/1 back1 conv8/1 relu +3 relu +7 relu",
            ),
            (
                "conv 4, residual(residual(conv 4), relu), relu",
                "",
                "conv4/1 relu conv4/1 relu +2 relu +4 relu",
            ),
        ] {
            let found = laid_out(line, more, Shape::picture(4, 6, 3)).unwrap();
            assert_eq!(found, layers, "{line} {more}");
        }
        let spelled = "conv 4, pool, residual(conv 4, conv 4, identity), relu, global-average-pool";
        let [spelled, short] =
            [spelled, "resnet:4"].map(|line| laid_out(line, "", Shape::picture(4, 6, 3)).unwrap());
        assert_eq!(spelled, short);
    }

    #[test]
    fn a_layer_that_does_not_fit_is_shown_in_its_line() {
        let error = |line| laid_out(line, "", Shape::picture(4, 6, 3)).unwrap_err().to_string();
        let message = error("conv 4, residual(conv 4, pool 3, pool 3)");
        let (reason, drawing) = message.split_once('\n').unwrap();
        assert!(
            reason.starts_with("layer 6, max_pool: window: expected a window that fits"),
            "{message}"
        );
        assert!(
            drawing.starts_with(
                "  | conv 4, residual(conv 4, pool 3, pool 3)\n  |                                  ^^^^^^\n  \
                 = pictures are 4 x 6 x 3, and 1 x 2 x 4 comes to this layer: "
            ),
            "{message}"
        );
        assert!(error("conv 4, residual(identity)").contains("\n  |         ^^^^^^^^^^^^^^^^^^\n"));
        assert!(error("conv:4,99999999999999").starts_with("line 2"));
    }
}
