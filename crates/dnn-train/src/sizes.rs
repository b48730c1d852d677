//! Training on pictures of other sizes than those that the network is for.

use dnn_core::{CoreError, Element, Shape};
use dnn_layers::Network;

use crate::{TrainError, Trainer};

/// The shape that training pictures have from some epoch on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingSize {
    /// What the [change](Trainer::augment) of a picture gives.
    pub shape: Shape,
    /// The share of all epochs that is over when it begins: 0 for the first, and more for each one after it.
    pub from: f64,
}

impl TrainingSize {
    /// Which of these sizes pictures have in an epoch, counted from 1, of so many; 0 where there is none.
    pub fn of_epoch(sizes: &[Self], epoch: u64, epochs: u64) -> usize {
        let over = epoch.saturating_sub(1) as f64 / epochs.max(1) as f64;
        sizes.iter().rposition(|size| size.from <= over).unwrap_or(0)
    }
}

impl Trainer {
    /// The shape of the training pictures in an epoch, counted from 1; that of the network if `None`.
    pub fn training_shape(&self, epoch: u64) -> Option<Shape> {
        let now = TrainingSize::of_epoch(&self.sizes, epoch, self.epochs);
        self.sizes.get(now).map(|size| size.shape)
    }

    /// Checks that the sizes follow one another, and the network can be one for each of them.
    pub(crate) fn check_sizes<T: Element>(&self, network: &Network<T>) -> Result<(), TrainError> {
        let invalid = |expected, found: String| {
            Err(CoreError::Invalid { what: "sizes of training pictures", expected, found }.into())
        };
        let Some(first) = self.sizes.first() else { return Ok(()) };
        if self.augment.is_none() {
            return invalid("a change of the pictures that gives them", "none".to_owned());
        }
        let starts = || self.sizes.iter().map(|size| size.from);
        let rises = starts().zip(starts().skip(1)).all(|(one, next)| one < next);
        if first.from != 0.0 || !rises || !starts().all(|start| start < 1.0) {
            let expected = "shares of the epochs that begin with 0, rise and stay below 1";
            return invalid(expected, format!("{:?}", starts().collect::<Vec<_>>()));
        }
        let mut changed = network.clone();
        self.sizes.iter().try_for_each(|size| Ok(changed.set_input(size.shape)?))
    }
}
