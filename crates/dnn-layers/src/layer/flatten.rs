//! Flattening: rows and columns are forgotten.

use dnn_core::{CoreError, Element, Shape};
use serde::{Deserialize, Serialize};

use super::{Buffers, Forward, Layer, Mode, Step};

/// Makes units of all numbers of an example, in the order in which they lie. Nothing is computed or copied; a
/// [dense layer](super::Dense) takes any shape, so that this only says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Flatten {}

impl From<Flatten> for Layer {
    fn from(layer: Flatten) -> Self {
        Self::Flatten(layer)
    }
}

impl<T: Element> Forward<T> for Flatten {
    fn kind(&self) -> &'static str {
        "flatten"
    }

    fn output(&self, input: Shape) -> Result<Shape, CoreError> {
        Ok(Shape::units(input.features()?))
    }

    fn takes_features(&self) -> bool {
        true
    }

    fn buffers(&self, _: Shape, _: Mode) -> Buffers {
        Buffers { output: false, kept: 0 }
    }

    fn forward(&self, _: Step<'_, '_, '_, T>) {}
}
