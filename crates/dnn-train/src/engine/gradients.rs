//! Cost and gradient of some examples, outside a run.

use dnn_core::{Columns, Element, Parameters};
use dnn_layers::Network;

use super::{Engine, Pass, check_memory};
use crate::cost::Objective;
use crate::dropout::Draws;
use crate::{Cost, Examples, TrainError};

/// The draws of a single pass outside a run.
pub(crate) const FIRST_DRAWS: Draws<'static> = Draws { seed: 1, step: 1, given: None };

/// The mean cost of the examples and its gradient, by the trainer's own path, as in the first step of a run
/// of seed 1 over all of them: batch normalisation goes by these examples, and dropout drops.
///
/// # Shapes
/// The gradient has the shapes of the network's parameters.
///
/// # Errors
/// [`TrainError`] if the examples or the cost do not fit the network, or something is not finite.
pub fn gradients<T: Element>(
    network: &Network<T>,
    examples: &Examples<'_, T>,
    cost: Cost,
) -> Result<(f64, Parameters<T>), TrainError> {
    examples.check(network, cost)?;
    check_memory(network, examples.len(), 0, 0)?;
    let mut engine = Engine::new(network, examples.len(), &examples.features);
    let columns = Columns::Run { start: 0, len: examples.len() };
    let (objective, draws) = (Objective::plain(cost), Some(FIRST_DRAWS));
    let tally = engine
        .backward(Pass { network, objective, examples, columns, product: None, draws })
        .map_err(|found| found.among(0..examples.len()))?;
    let mean = tally.mean_cost();
    Ok((mean, engine.gradient))
}
