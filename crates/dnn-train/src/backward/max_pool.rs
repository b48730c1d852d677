//! The way back through pooling by the maximum: the gradient goes to the largest number of a window, the first one of
//! equals.

use dnn_core::{Element, Shape};
use dnn_kernels::{KernelPath, PlainLoop};
use dnn_layers::{MaxPool2d, Places, Window};

use super::{Backward, BackwardStep};

impl<T: Element> Backward<T> for MaxPool2d {
    fn is_in_place(&self) -> bool {
        false
    }

    fn input_gradient(&self, step: BackwardStep<'_, '_, T>) {
        let BackwardStep { shape, input, output, mut gradient, input_gradient, .. } = step;
        let (Some(input), Some(mut to)) = (input, input_gradient) else { return };
        let (window, places) = (&self.window, self.window.places(shape).expect("checked before"));
        let examples = input.columns().into_iter().zip(output.columns());
        let gradients = gradient.columns_mut().into_iter().zip(to.columns_mut());
        for ((x, out), (mut dz, mut dx)) in examples.zip(gradients) {
            let slices = (x.to_slice(), out.to_slice(), dz.as_slice_mut(), dx.as_slice_mut());
            let (Some(x), Some(out), Some(dz), Some(dx)) = slices else {
                unreachable!("examples in one piece")
            };
            dx.fill(T::zero());
            let back = ToMaximum { window, places, shape, x, out, dz, dx };
            KernelPath::best().vectorized(back);
        }
    }
}

/// From one picture's gradient to that of what was pooled; uses it up.
struct ToMaximum<'a, T> {
    window: &'a Window,
    places: Places,
    shape: Shape,
    x: &'a [T],
    out: &'a [T],
    dz: &'a mut [T],
    dx: &'a mut [T],
}

impl<T: Element> PlainLoop for ToMaximum<'_, T> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
    #[inline(always)]
    fn run(self) {
        let Self { window, places, shape, x, out, dz, dx } = self;
        let Shape { width, channels, .. } = shape;
        let pixels = out.chunks_exact(channels).zip(dz.chunks_exact_mut(channels));
        for (place, (out, dz)) in pixels.enumerate() {
            let at = [place / places.count[1], place % places.count[1]];
            let [rows, columns] = window.covers(&places, shape, at);
            for row in rows {
                for column in columns.clone() {
                    let first = (row * width + column) * channels;
                    let (x, dx) = (&x[first..][..channels], &mut dx[first..][..channels]);
                    let numbers = dx.iter_mut().zip(x).zip(out).zip(&mut *dz);
                    for (((dx, x), largest), dz) in numbers {
                        // What is given away once is nothing afterwards.
                        let is_largest = x == largest;
                        *dx += if is_largest { *dz } else { T::zero() };
                        *dz = if is_largest { T::zero() } else { *dz };
                    }
                }
            }
        }
    }
}
