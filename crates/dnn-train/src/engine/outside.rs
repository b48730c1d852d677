//! Cost and gradient of some examples, outside a run.

use std::ops::Range;

use dnn_core::{Columns, Element};
use dnn_kernels::Products;
use dnn_layers::Network;
use ndarray::Array2;

use super::{Engine, NotFinite, StepContext, plan};
use crate::cost::Objective;
use crate::dropout::Draws;
use crate::{Cost, Examples, TrainError};

/// The draws of a single pass outside a run.
pub(crate) const FIRST_DRAWS: Draws<'static> = Draws { seed: 1, step: 1, given: None };

/// The mean cost of the examples and its gradient, by the trainer's own path, as in the first step of a run
/// of seed 1 over all of them: batch normalisation goes by these examples, and dropout drops.
///
/// # Shapes
/// The gradient has one array for each of the network's [tensors](Network::tensors), in its shape; without
/// numbers for those that no gradient changes.
///
/// # Errors
/// [`TrainError`] if the examples or the cost do not fit the network, or something is not finite.
///
/// # Examples
/// ```
/// use dnn_core::{Features, Purpose, RandomStream, Shape};
/// use dnn_layers::{Activation, Network};
/// use dnn_train::{Cost, Examples, gradients};
/// use ndarray::array;
///
/// let network = Network::<f64>::builder(Shape::flat(2))
///     .hidden(&[3], Activation::Tanh)
///     .classes(["no", "yes"])
///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
/// let x = array![[0.0, 1.0], [2.0, 3.0]];
/// let examples = Examples::classes(Features::Real(x.view()), &[0, 1]);
/// let (_, gradient) = gradients(&network, &examples, Cost::BinaryCrossEntropy)?;
/// for (tensor, gradient) in network.tensors().iter().zip(&gradient) {
///     println!("d{} = {gradient}", tensor.name());
/// }
/// # Ok::<(), dnn_train::TrainError>(())
/// ```
pub fn gradients<T: Element>(
    network: &Network<T>,
    examples: &Examples<'_, T>,
    cost: Cost,
) -> Result<(f64, Vec<Array2<T>>), TrainError> {
    examples.check(network, cost)?;
    plan::check_memory(network, examples.len(), 0, 0)?;
    let mut engine = Engine::new(network, examples.len(), &examples.features, Products::Full);
    let columns = Columns::Run { start: 0, len: examples.len() };
    let (objective, draws) = (Objective::plain(cost), Some(FIRST_DRAWS));
    let context = StepContext { network, objective, examples, columns, product: None, draws };
    let tally =
        engine.gradient_of(context).map_err(|found| found.among(network, 0..examples.len()))?;
    let mean = tally.mean_cost();
    Ok((mean, engine.gradient))
}

impl NotFinite {
    pub(crate) fn at<T: Element>(
        self,
        network: &Network<T>,
        step: u64,
        epoch: u64,
        batch: usize,
    ) -> TrainError {
        let Self { what, layer } = self;
        let layer = network.layer_name(layer).to_owned();
        TrainError::NotFinite { what, layer, step, epoch, batch }
    }

    /// The error of measuring these examples, in place of a step.
    pub(crate) fn among<T: Element>(
        self,
        network: &Network<T>,
        examples: Range<usize>,
    ) -> TrainError {
        let Self { what, layer } = self;
        let layer = network.layer_name(layer).to_owned();
        let (first, last) = (examples.start, examples.end.saturating_sub(1));
        TrainError::NotFiniteHere { what, layer, first, last }
    }
}
