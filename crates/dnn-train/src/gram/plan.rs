//! Whether a run takes the dual (Gram) form: by its operations and its memory, counted before it begins.

use std::fmt;

use dnn_core::{CoreError, Element, Gram, SparseLeft};
use dnn_layers::Network;
use serde::Serialize;

use crate::engine::plan::{begins_dense, first_weights};
use crate::{Batch, Clip, GramChoice, Optimizer, TrainError, Trainer};

/// Beyond so many bytes the dual (Gram) form is only taken where it was asked for.
const MOST_BYTES: u128 = 1 << 30;
/// A run of fewer multiplications is soon over in any form.
const LEAST_OPERATIONS: u128 = 1 << 24;

/// The form of the first layer in a run, and what it was chosen by.
///
/// With `W1` for the weights of the first layer, every step of full-batch gradient descent subtracts a
/// multiple of `dZ1 X^T`. So `Z1 = W1 X` follows `K = X^T X` alone, which is computed once: a step costs
/// `n_1 m^2` multiplications in place of `2 n_1 n_x m`, and `W1` is only made when it is asked for.
///
/// # Examples
/// ```
/// use dnn_core::{Purpose, RandomStream, Shape};
/// use dnn_layers::{Activation, Network};
/// use dnn_train::{Batch, Trainer};
///
/// let network = Network::<f64>::builder(Shape::picture(64, 64, 3))
///     .hidden(&[20, 7, 5], Activation::Relu)
///     .classes(["cat", "dog"])
///     .build(&mut RandomStream::new(1, Purpose::Initialization, 0))?;
/// let trainer = Trainer { batch: Batch::Full, epochs: 2500, ..Trainer::default() };
/// let plan = trainer.gram_plan(&network, 209, 0)?;
/// assert!(plan.taken && plan.operations.gram < plan.operations.plain / 50);
/// let short = Trainer { epochs: 1, ..trainer };
/// assert_eq!(
///     short.gram_plan(&network, 209, 0)?.to_string(),
///     "first layer in plain form (more operations): 1.03e8 multiplications, as dual (Gram) form 3.73e8"
/// );
/// # Ok::<(), dnn_train::TrainError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GramPlan {
    /// Whether the run is in the dual (Gram) form.
    pub taken: bool,
    /// Why it is, or is not.
    pub reason: &'static str,
    /// Multiplications of the first layer over the whole run.
    pub operations: GramOperations,
    /// Bytes that the dual (Gram) form takes.
    pub bytes: u128,
}

/// Multiplications of the first layer over a whole run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct GramOperations {
    /// By `W1`, the validation part included.
    pub plain: u128,
    /// By the products of examples, these included.
    pub gram: u128,
}

impl GramPlan {
    /// The same for a run that goes on in the form it began in.
    pub(crate) fn resumed(self, taken: bool) -> Self {
        Self { taken, reason: "as the run began", ..self }
    }
}

impl fmt::Display for GramPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let GramOperations { plain, gram } = self.operations;
        let (form, other) =
            if self.taken { ("dual (Gram)", "plain") } else { ("plain", "dual (Gram)") };
        let (now, otherwise) = if self.taken { (gram, plain) } else { (plain, gram) };
        let reason = self.reason;
        write!(
            f,
            "first layer in {form} form ({reason}): {:.2e} multiplications, as {other} form {:.2e}",
            now as f64, otherwise as f64
        )?;
        if self.taken { write!(f, ", {} MiB", self.bytes.div_ceil(1 << 20)) } else { Ok(()) }
    }
}

/// Sizes that counts follow from.
#[derive(Clone, Copy)]
struct Sizes {
    units: u128,
    features: u128,
    training: u128,
    validation: u128,
    steps: u128,
}

fn product<const N: usize>(factors: [u128; N]) -> u128 {
    factors.into_iter().fold(1, u128::saturating_mul)
}

impl GramOperations {
    fn count(sizes: Sizes) -> Self {
        let Sizes { units, features, training, validation, steps } = sizes;
        let all = training + validation;
        let plain = product([steps, units, features, training + all]);
        let within = product([training, training.saturating_add(1)]) / 2;
        let pairs = within.saturating_add(product([training, validation]));
        // Where a run begins, and once back to weights.
        let ends = product([units, features, training + all]);
        let gram = product([pairs, features])
            .saturating_add(ends)
            .saturating_add(product([steps, units, training, all]));
        Self { plain, gram }
    }
}

impl Trainer {
    /// Which form the first layer of `network` takes in a run on `training` examples that measures `validation`
    /// examples after every epoch, and why. A run that is resumed keeps the form that it began in.
    ///
    /// # Errors
    /// [`CoreError::Invalid`] if [`gram`](Self::gram) says always, and the run cannot be in the dual (Gram) form.
    pub fn gram_plan<T: Element>(
        &self,
        network: &Network<T>,
        training: usize,
        validation: usize,
    ) -> Result<GramPlan, TrainError> {
        let (units, features) = first_weights(network);
        let operations = GramOperations::count(Sizes {
            units: units as u128,
            features: features as u128,
            training: training as u128,
            validation: validation as u128,
            steps: u128::from(self.epochs),
        });
        // Three numbers of place, direction and gradient for each unit and example, and where it began.
        let all = training as u128 + validation as u128;
        let arrays = product([9, units as u128, all, size_of::<f64>() as u128]);
        let bytes = Gram::<T>::bytes_of(training)
            .saturating_add(Gram::<T>::bytes_between(training, validation))
            .saturating_add(SparseLeft::<T>::bytes(units, training).saturating_mul(2))
            .saturating_add(arrays);
        let obstacle = self.gram_obstacle().or_else(|| {
            let first = network.tensor_range(network.first_layer()).start;
            let is_frozen = network.tensors()[first].is_frozen().then_some("frozen weights");
            (!begins_dense(network)).then_some("a convolution as the first layer").or(is_frozen)
        });
        let (taken, reason) = match (self.gram, obstacle) {
            (GramChoice::Always, Some(found)) => {
                return Err(CoreError::Invalid {
                    what: "dual (Gram) form",
                    expected: "full batches in their own order and steps that are linear in the gradient",
                    found: found.to_owned(),
                }
                .into());
            }
            (GramChoice::Always, None) => (true, "as it was asked for"),
            (GramChoice::Never, _) => (false, "as it was asked for"),
            (GramChoice::Auto, Some(found)) => (false, found),
            (GramChoice::Auto, None) if operations.plain < LEAST_OPERATIONS => {
                (false, "a small run")
            }
            (GramChoice::Auto, None) if operations.gram >= operations.plain => {
                (false, "more operations")
            }
            (GramChoice::Auto, None) if bytes > MOST_BYTES => (false, "too much memory"),
            (GramChoice::Auto, None) => (true, "fewer operations"),
        };
        Ok(GramPlan { taken, reason, operations, bytes })
    }

    /// What keeps a run from being in the dual (Gram) form, whatever its sizes.
    fn gram_obstacle(&self) -> Option<&'static str> {
        if self.batch != Batch::Full {
            Some("mini-batches")
        } else if !matches!(self.optimizer, Optimizer::GradientDescent | Optimizer::Momentum(_)) {
            Some("an optimiser that is not linear in the gradient")
        } else if self.clip != Clip::Never {
            Some("clipped gradients")
        } else if self.augment.is_some() {
            Some("augmentation")
        } else if self.mixing.is_some() {
            Some("mixing")
        } else if self.averaging.is_some() {
            Some("weight averaging")
        } else if self.order.is_some() {
            Some("an order of the examples that was given")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_counted_as_the_formulas_say() {
        let sizes = Sizes { units: 2, features: 5, training: 3, validation: 1, steps: 10 };
        // Plain: 10 steps of W1 X, dZ1 X^T on 3 and W1 X on 1: 10 * 2 * 5 * 7.
        // Gram: (6 + 3) * 5 for the products, 2 * 5 * 7 at both ends, 10 * 2 * 3 * 4 for the steps.
        let expected = GramOperations { plain: 700, gram: 45 + 70 + 240 };
        assert_eq!(GramOperations::count(sizes), expected);
        let most = u128::from(u64::MAX);
        let huge =
            Sizes { units: most, features: most, training: 1 << 40, validation: 0, steps: most };
        assert_eq!(GramOperations::count(huge).plain, u128::MAX);
    }
}
