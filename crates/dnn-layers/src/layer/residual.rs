//! Residual connections: what some layers were given is added to what they make of it.

use dnn_core::{CoreError, Element, Shape};
use ndarray::Zip;
use serde::{Deserialize, Serialize};

use super::{Forward, Layer, Step, invalid};

/// Adds what the first of the `layers` layers before this one was given: these only have to learn what is to be changed
/// about it. Both have the same shape.
///
/// # References
/// He, Zhang, Ren and Sun (2016), Deep residual learning for image recognition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Residual {
    /// How many layers before this one the connection goes around: at least 1.
    pub layers: usize,
}

impl From<Residual> for Layer {
    fn from(layer: Residual) -> Self {
        Self::Residual(layer)
    }
}

impl<T: Element> Forward<T> for Residual {
    fn kind(&self) -> &'static str {
        "residual"
    }

    fn output(&self, input: Shape) -> Result<Shape, CoreError> {
        if self.layers == 0 {
            return invalid("layers of a residual connection", "at least 1", 0);
        }
        Ok(input)
    }

    fn goes_around(&self) -> Option<usize> {
        Some(self.layers)
    }

    fn going_around(&self, layers: usize) -> Option<Layer> {
        Some(Residual { layers }.into())
    }

    fn forward(&self, step: Step<'_, '_, '_, T>) {
        let Step { input, skipped: Some(skipped), output, .. } = step else {
            unreachable!("checked when the network was made")
        };
        Zip::from(output).and(input.numbers()).and(skipped).for_each(|to, &x, &skipped| {
            *to = x + skipped;
        });
    }
}
