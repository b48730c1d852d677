//! How the engine will go about a run.

use std::fmt;

use dnn_core::{Element, kernel_path_of};
use dnn_kernels::{Kernels, Products};
use dnn_layers::{Initial, Network, Tensor};
use ndarray::{Array2, ShapeBuilder};
use serde::Serialize;

use crate::backward::{GradientBy, backward};
use crate::engine::plan::FirstLayerBy::{NonZeroInputs, Units, Weights};
use crate::engine::plan::{GROUP_TILE, begins_dense, block_width, first_layer_by, group, tile_of};
use crate::{Clip, Examples, Optimizer, Trainer};

/// How the engine goes about the steps of a run: a function of shapes and settings, not of threads.
///
/// # Examples
/// ```
/// use dnn_core::{Features, Purpose, RandomStream, Shape};
/// use dnn_layers::{Activation, Network};
/// use dnn_train::{Examples, Trainer};
/// use ndarray::Array2;
///
/// let network = Network::<f32>::builder(Shape::flat(100))
///     .hidden(&[8], Activation::Relu)
///     .classes(["a", "b", "c"])
///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
/// let (x, labels) = (Array2::zeros((100, 50)), [0; 50]);
/// let examples = Examples::classes(Features::Real(x.view()), &labels);
/// let plan = Trainer::default().plan(&network, &examples);
/// assert_eq!((plan.batch, plan.stored_because), (16, None));
/// println!("{plan}");
/// # Ok::<(), dnn_layers::NetworkError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Plan {
    /// What runs the products.
    pub kernels: &'static str,
    /// Examples of a step.
    pub batch: usize,
    /// Examples that a task takes through all layers at a time.
    pub tile: usize,
    /// Examples that go through both phases together, if not the whole batch does.
    pub group: Option<usize>,
    /// Why the gradient is stored before the parameters follow it; `None` if they follow it block by block.
    pub stored_because: Option<&'static str>,
    /// The layers with weights, in order.
    pub layers: Vec<LayerPlan>,
}

/// How the gradient of the weights of one layer is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct LayerPlan {
    /// Units of the layer.
    pub units: usize,
    /// Its inputs.
    pub inputs: usize,
    /// How it comes to its `Z`.
    pub forward: &'static str,
    /// Inputs of a block; 0 where the gradient is summed by tiles.
    pub block: usize,
}

impl LayerPlan {
    /// How many blocks there are; none where the gradient is summed by tiles.
    pub fn blocks(&self) -> usize {
        if self.block == 0 { 0 } else { self.inputs.div_ceil(self.block) }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kernels, batch, tile, .. } = self;
        writeln!(f, "kernels        {kernels}")?;
        let tiles = batch.div_ceil((*tile).max(1));
        writeln!(f, "phase 1        {batch} examples a step in {tiles} tiles of up to {tile}")?;
        if let Some(group) = self.group {
            writeln!(f, "groups         both phases for {group} examples at a time")?;
        }
        match self.stored_because {
            None => {
                writeln!(f, "update         fused: parameters follow each block of the gradient")?;
            }
            Some(reason) => {
                writeln!(f, "update         after the whole gradient: {reason}")?;
            }
        }
        for (l, layer) in self.layers.iter().enumerate() {
            let (LayerPlan { units, inputs, forward, block }, blocks) = (layer, layer.blocks());
            let name = format!("layer {}, {units} x {inputs}", l + 1);
            match blocks {
                0 => writeln!(f, "{name:<24} Z {forward}; dW by tiles, added two by two")?,
                _ => writeln!(
                    f,
                    "{name:<24} Z {forward}; dW in {blocks} blocks of up to {block} inputs"
                )?,
            }
        }
        Ok(())
    }
}

/// Why the whole gradient is stored before parameters follow it, if it has to be.
pub(crate) fn stored_because<T: Element>(trainer: &Trainer) -> Option<&'static str> {
    if !T::Kernels::VECTOR {
        return Some("there are no kernels for f64");
    }
    match (trainer.optimizer, trainer.clip) {
        (Optimizer::Lbfgs(_), _) => Some("L-BFGS looks at it as a whole"),
        (Optimizer::Muon(_), _) => Some("Muon looks at it as a whole"),
        (_, Clip::Norm(_)) => Some("clipping goes by its norm"),
        _ => None,
    }
}

impl Trainer {
    /// How the engine would go about training `network` on these examples.
    pub fn plan<T: Element>(&self, network: &Network<T>, examples: &Examples<'_, T>) -> Plan {
        let x = &examples.features;
        self.plan_on(network, examples.len(), x.is_in_place(), x.share_of_zeros())
    }

    /// How the engine would go about training `network` on so many pictures, with pixels one after the other and
    /// few of them black.
    pub fn plan_for_pictures<T: Element>(&self, network: &Network<T>, examples: usize) -> Plan {
        let pixels = Array2::zeros((network.features(), 1).f());
        self.plan_on(network, examples, network.pixels(pixels.view()).is_in_place(), 0.0)
    }

    fn plan_on<T: Element>(
        &self,
        network: &Network<T>,
        examples: usize,
        in_place: bool,
        zeros: f64,
    ) -> Plan {
        let batch = self.batch_len(examples);
        let group = group(network, batch);
        // In bf16 inputs are rounded first, wherever they lie, and zeros are not left out.
        let is_bf16 = self.products == Products::Bf16;
        let (in_place, zeros) = (in_place || is_bf16, if is_bf16 { 0.0 } else { zeros });
        let drawn = |tensor: &&Tensor<T>| tensor.spec().initial == Initial::Drawn;
        let layers = network.tensors().iter().filter(drawn).map(|tensor| {
            let weights @ (units, inputs) = tensor.values().dim();
            let layer = &network.layers()[tensor.layer()];
            if backward::<T>(layer).gradient_by() == GradientBy::Group {
                return LayerPlan { units, inputs, forward: "a picture at a time", block: 0 };
            }
            let first = first_layer_by::<T>(weights, batch, zeros);
            let is_first = tensor.layer() == network.first_layer() && begins_dense(network);
            let first = if is_first { first } else { Weights };
            let forward = match first {
                NonZeroInputs => "by weights laid out for each step, without inputs that are 0",
                Units if in_place => "by units, before the tiles",
                Weights | Units => "by the weights as they lie",
            };
            LayerPlan { units, inputs, forward, block: block_width::<T>(inputs) }
        });
        Plan {
            kernels: kernel_path_of(self.products),
            batch,
            tile: match group {
                Some(_) => GROUP_TILE,
                None => tile_of(network, batch),
            },
            group,
            stored_because: stored_because::<T>(self)
                .or(group.map(|_| "groups add to it one after the other")),
            layers: layers.collect(),
        }
    }
}
