//! Scaling: one factor and one offset for each unit.

use dnn_core::{CoreError, Element, Shape};
use ndarray::Zip;
use serde::{Deserialize, Serialize};

use super::{Forward, Layer, Step, invalid};
use crate::tensor::{Initial, ParameterSpec};

/// `scale x + shift`, unit by unit: what is left of [batch normalisation](super::BatchNorm) where nothing is
/// normalised.
///
/// | array | shape | before training |
/// |---|---|---|
/// | `scale` | `(n, 1)` | 1 |
/// | `shift` | `(n, 1)` | 0 |
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Scale {}

impl From<Scale> for Layer {
    fn from(layer: Scale) -> Self {
        Self::Scale(layer)
    }
}

impl<T: Element> Forward<T> for Scale {
    fn kind(&self) -> &'static str {
        "scale"
    }

    fn output(&self, input: Shape) -> Result<Shape, CoreError> {
        if input.height * input.width != 1 {
            return invalid("input of scaling", "the units of a dense layer", input);
        }
        Ok(input)
    }

    fn parameters(&self, input: Shape) -> Vec<ParameterSpec> {
        vec![
            ParameterSpec::for_each_unit("scale", input.channels, Initial::Ones),
            ParameterSpec::for_each_unit("shift", input.channels, Initial::Zeros),
        ]
    }

    fn forward(&self, step: Step<'_, '_, '_, T>) {
        let Step { tensors: [scale, shift], input, mut output, .. } = step else {
            unreachable!("scaling has two arrays")
        };
        let (scale, shift) = (scale.unit(), shift.unit());
        Zip::from(output.columns_mut()).and(input.numbers().columns()).for_each(|to, x| {
            Zip::from(to)
                .and(x)
                .and(scale)
                .and(shift)
                .for_each(|to, &x, &scale, &shift| *to = scale * x + shift);
        });
    }
}
