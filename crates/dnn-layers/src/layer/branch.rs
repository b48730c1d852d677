//! Branches: what came to some layers before comes again, to go another way.

use dnn_core::{CoreError, Element, Shape};
use serde::{Deserialize, Serialize};

use super::{Forward, Layer, Step, invalid};

/// Gives again what the first of the `layers` layers before this one was given. What these made of it is left to a
/// [`Residual`](super::Residual) that begins here: so a residual block has a shortcut of its own layers where shapes
/// differ.
///
/// ```text
/// x -> conv 1 x 1 -> norm -> p        shortcut, a projection
///      branch: x again
/// x -> conv -> norm -> relu -> conv -> norm -> y
///      residual, which begins at the branch: y + p
/// ```
///
/// # References
/// He, Zhang, Ren and Sun (2016), Deep residual learning for image recognition, shortcuts of option B.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Branch {
    /// How many layers before this one the branch begins: at least 1.
    pub layers: usize,
}

impl From<Branch> for Layer {
    fn from(layer: Branch) -> Self {
        Self::Branch(layer)
    }
}

impl<T: Element> Forward<T> for Branch {
    fn kind(&self) -> &'static str {
        "branch"
    }

    /// That of what it gives again, which the network knows.
    fn output(&self, input: Shape) -> Result<Shape, CoreError> {
        if self.layers == 0 {
            return invalid("layers of a branch", "at least 1", 0);
        }
        Ok(input)
    }

    fn goes_around(&self) -> Option<usize> {
        Some(self.layers)
    }

    fn going_around(&self, layers: usize) -> Option<Layer> {
        Some(Branch { layers }.into())
    }

    fn gives_again(&self) -> bool {
        true
    }

    fn forward(&self, step: Step<'_, '_, '_, T>) {
        let Step { skipped: Some(skipped), mut output, .. } = step else {
            unreachable!("checked when the network was made")
        };
        output.assign(&skipped);
    }
}
