//! Pooling by the mean.

use dnn_core::{CoreError, Element, Shape};
use serde::{Deserialize, Serialize};

use super::max_pool::pooled;
use super::window::Window;
use super::{Forward, Layer, Step};

/// The mean of each window, channel by channel. Places outside of the picture do not count, neither in the sum nor in the
/// number that it is divided by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct AveragePool2d {
    /// Where the windows lie.
    pub window: Window,
}

impl From<AveragePool2d> for Layer {
    fn from(layer: AveragePool2d) -> Self {
        Self::AveragePool2d(layer)
    }
}

impl<T: Element> Forward<T> for AveragePool2d {
    fn kind(&self) -> &'static str {
        "average_pool"
    }

    fn output(&self, input: Shape) -> Result<Shape, CoreError> {
        pooled(&self.window, input)
    }

    fn forward(&self, step: Step<'_, '_, '_, T>) {
        let Step { shape, input, mut output, .. } = step;
        let places = self.window.places(shape).expect("checked before");
        let Shape { width, channels, .. } = shape;
        for (x, mut out) in input.numbers().columns().into_iter().zip(output.columns_mut()) {
            let x = x.to_slice().expect("examples in one piece");
            let out = out.as_slice_mut().expect("examples in one piece");
            for (place, out) in out.chunks_exact_mut(channels).enumerate() {
                let at = [place / places.count[1], place % places.count[1]];
                let [rows, columns] = self.window.covers(&places, shape, at);
                let share = T::one() / T::from_f64((rows.len() * columns.len()) as f64);
                out.fill(T::zero());
                for row in rows {
                    for column in columns.clone() {
                        let x = &x[(row * width + column) * channels..][..channels];
                        out.iter_mut().zip(x).for_each(|(sum, &x)| *sum += x);
                    }
                }
                for sum in out.iter_mut() {
                    *sum *= share;
                }
            }
        }
    }
}
