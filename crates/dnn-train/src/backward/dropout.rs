//! The way back through dropout: the factors of the way forward.

use dnn_core::Element;
use dnn_layers::Dropout;

use super::{Backward, BackwardStep};

impl<T: Element> Backward<T> for Dropout {
    fn input_gradient(&self, step: BackwardStep<'_, '_, T>) {
        let BackwardStep { kept: factors, mut gradient, .. } = step;
        // Without factors nothing was dropped.
        if factors.nrows() > 0 {
            gradient *= &factors;
        }
    }
}
