//! Training on pictures of other sizes than those that the network is for.

use dnn_core::Shape;

/// The shape that training pictures have from some epoch on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TrainingSize {
    /// What the [change](crate::Trainer::augment) of a picture gives.
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
