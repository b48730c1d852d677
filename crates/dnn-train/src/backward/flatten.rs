//! The way back through flattening: the gradient stays where it is.

use dnn_core::Element;
use dnn_layers::Flatten;

use super::{Backward, BackwardStep};

impl<T: Element> Backward<T> for Flatten {
    fn input_gradient(&self, _: BackwardStep<'_, '_, T>) {}
}
