//! From settings to the layers of a new network.

use dnn_core::Shape;
use dnn_layers::{
    Activation, AveragePool2d, BatchNorm, Conv2d, Dense, Dropout, Flatten, GlobalPool, Layer,
    MaxPool2d, NetworkError, Padding, Window,
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
        let layout = Self { layers: Vec::new(), written_at: Vec::new(), line: line.clone(), input };
        let mut making = Making { config, layout, shape: input, now: None, met: 0 };
        match &line {
            None => making.hidden(&config.hidden().0)?,
            Some(NetworkLine::Dense(widths)) => making.hidden(widths)?,
            Some(NetworkLine::Conv(widths)) => making.convolutions(widths)?,
            Some(NetworkLine::Resnet(widths)) => making.residual(Residual::Stages(widths))?,
            Some(NetworkLine::Layers(layers)) => making.spelled_out(layers)?,
        }
        Ok(making.layout)
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
        let comes = (self.layers.iter().take(before))
            .try_fold(self.input, |shape, layer| layer.output(shape))
            .unwrap_or(self.input);
        let advice = format!(
            "pictures are {}, and {comes} comes to this layer: change it, or the layers before it, or give larger \
             pictures",
            self.input
        );
        RunError::Usage(format!("{error}{}", point_at(&written.text, place, &advice)))
    }
}

/// Residual blocks that a line asks for.
#[derive(Debug, Clone, Copy)]
#[expect(dead_code, reason = "what makes layers of them reads them")]
enum Residual<'a> {
    /// `resnet:24,48`: stages of these widths.
    Stages(&'a [usize]),
    /// `residual(…)`: what these layers give is added to what they are given.
    Block(&'a [LineLayer]),
}

/// What is said of a line with residual blocks.
pub(crate) fn refuse_residual() -> RunError {
    RunError::Usage(
        "residual blocks (resnet:… and residual(…)) cannot be trained yet; take a line without them, such as \
         `conv:16,32,64`"
            .to_owned(),
    )
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
        let window = Window::square(2, 2, Padding::Valid);
        for &units in widths {
            self.next_of_line();
            self.conv(Conv2d::same(units, 3), true)?;
            if self.shape.height.min(self.shape.width) >= 2 {
                self.push(MaxPool2d { window })?;
            }
        }
        self.now = None;
        self.push(Flatten {})?;
        self.push(Dense { units: DENSE_AFTER_CONV })?;
        self.complete()?;
        self.dropout()
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
                &LineLayer::Activation(activation) => self.activation(activation)?,
                LineLayer::Residual(branch) => self.residual(Residual::Block(branch))?,
            }
        }
        Ok(())
    }

    /// The one place where residual blocks become layers. There is no kind of layer for them yet.
    #[expect(clippy::unused_self, reason = "what makes layers of them adds them here")]
    fn residual(&mut self, _asked: Residual<'_>) -> Result<()> {
        Err(refuse_residual())
    }

    /// A convolution, and what comes after it by itself; batch normalisation has a bias of its own.
    fn conv(&mut self, conv: Conv2d, is_completed: bool) -> Result<()> {
        let bias = conv.bias && !(is_completed && self.config.network.batch_norm);
        self.push(Conv2d { bias, ..conv })?;
        if is_completed { self.complete() } else { Ok(()) }
    }

    /// What comes after convolutions and dense layers by itself.
    fn complete(&mut self) -> Result<()> {
        if self.config.network.batch_norm {
            self.push(BatchNorm::default())?;
        }
        self.activation(self.config.network.activation)
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
        self.layout.written_at.push(self.now);
        let position = self.layout.layers.len();
        self.shape = output.map_err(|reason| {
            self.layout.explain(NetworkError::LayerPlace { position, kind, reason })
        })?;
        Ok(())
    }
}
