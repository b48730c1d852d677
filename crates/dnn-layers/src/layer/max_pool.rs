//! Pooling by the maximum.

use dnn_core::{CoreError, Element, Shape};
use dnn_kernels::{KernelPath, Maximum, PlainLoop};
use serde::{Deserialize, Serialize};

use super::window::{Places, Window};
use super::{Forward, Layer, Step};

/// The largest number of each window, channel by channel. Places outside of the picture do not count.
///
/// On the way back the gradient goes to the largest number of a window, the first one of equals, row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct MaxPool2d {
    /// Where the windows lie.
    pub window: Window,
}

impl From<MaxPool2d> for Layer {
    fn from(layer: MaxPool2d) -> Self {
        Self::MaxPool2d(layer)
    }
}

/// The shape that windows over this one give, each channel on its own.
pub(super) fn pooled(window: &Window, input: Shape) -> Result<Shape, CoreError> {
    input.features()?;
    let [rows, columns] = window.places(input)?.count;
    Ok(Shape::picture(rows, columns, input.channels))
}

impl<T: Element> Forward<T> for MaxPool2d {
    fn kind(&self) -> &'static str {
        "max_pool"
    }

    fn output(&self, input: Shape) -> Result<Shape, CoreError> {
        pooled(&self.window, input)
    }

    fn forward(&self, step: Step<'_, '_, '_, T>) {
        let Step { shape, input, mut output, .. } = step;
        let (window, places) = (&self.window, self.window.places(shape).expect("checked before"));
        for (x, mut out) in input.numbers().columns().into_iter().zip(output.columns_mut()) {
            let x = x.to_slice().expect("examples in one piece");
            let out = out.as_slice_mut().expect("examples in one piece");
            if window.is_halving(shape) {
                let Shape { width, channels, .. } = shape;
                KernelPath::best().vectorized(Maximum { width, channels, x, out });
            } else {
                KernelPath::best().vectorized(MaximumOfWindows { window, places, shape, x, out });
            }
        }
    }
}

/// The maximum of each window of one picture.
struct MaximumOfWindows<'a, T> {
    window: &'a Window,
    places: Places,
    shape: Shape,
    x: &'a [T],
    out: &'a mut [T],
}

impl<T: Element> PlainLoop for MaximumOfWindows<'_, T> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
    #[inline(always)]
    fn run(self) {
        let Self { window, places, shape, x, out } = self;
        let Shape { width, channels, .. } = shape;
        for (place, out) in out.chunks_exact_mut(channels).enumerate() {
            let at = [place / places.count[1], place % places.count[1]];
            let [rows, columns] = window.covers(&places, shape, at);
            let first = rows.start * width + columns.start;
            out.copy_from_slice(&x[first * channels..][..channels]);
            for row in rows {
                for column in columns.clone() {
                    let x = &x[(row * width + column) * channels..][..channels];
                    for (largest, &x) in out.iter_mut().zip(x) {
                        *largest = if x > *largest { x } else { *largest };
                    }
                }
            }
        }
    }
}
