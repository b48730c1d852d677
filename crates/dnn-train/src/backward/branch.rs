//! The way back through a branch: the gradient goes to where the branch begins, by the engine, and nothing of it to what
//! the layer before gave.

use dnn_core::Element;
use dnn_layers::Branch;

use super::{Backward, BackwardStep};

impl<T: Element> Backward<T> for Branch {
    fn is_in_place(&self) -> bool {
        false
    }

    fn input_gradient(&self, step: BackwardStep<'_, '_, T>) {
        if let Some(mut to) = step.input_gradient {
            to.fill(T::zero());
        }
    }
}
