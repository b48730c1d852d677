//! The way back through pooling by the maximum: the gradient goes to the largest number of a window, the first one of
//! equals.

#![allow(clippy::needless_range_loop, reason = "eight slices side by side, as vectors")]

use dnn_core::{Element, Shape};
use dnn_kernels::{KernelPath, PlainLoop};
use dnn_layers::{Activation, MaxPool2d, Places, Window};

use super::{Backward, BackwardStep};

impl<T: Element> Backward<T> for MaxPool2d {
    fn is_in_place(&self) -> bool {
        false
    }

    fn does_relu_before(&self) -> bool {
        true
    }

    fn input_gradient(&self, step: BackwardStep<'_, '_, T>) {
        let BackwardStep { shape, input, output, mut gradient, input_gradient, after_relu, .. } =
            step;
        if after_relu {
            // The gradient of a window goes to its largest number, which is the output: its slope is the window's.
            Activation::Relu.apply_derivative(output, output, gradient.view_mut());
        }
        let (Some(input), Some(mut to)) = (input, input_gradient) else { return };
        let (window, places) = (&self.window, self.window.places(shape).expect("checked before"));
        let size = [shape.height, shape.width];
        let covers_once = window.kernel == window.stride
            && [0, 1].iter().all(|&axis| places.count[axis] * window.stride[axis] == size[axis]);
        let examples = input.columns().into_iter().zip(output.columns());
        let gradients = gradient.columns_mut().into_iter().zip(to.columns_mut());
        for ((x, out), (mut dz, mut dx)) in examples.zip(gradients) {
            let slices = (x.to_slice(), out.to_slice(), dz.as_slice_mut(), dx.as_slice_mut());
            let (Some(x), Some(out), Some(dz), Some(dx)) = slices else {
                unreachable!("examples in one piece")
            };
            // Windows that cover the picture, each place once, leave nothing for others to add to.
            if !covers_once {
                dx.fill(T::zero());
            }
            let back = ToMaximum { window, places, shape, covers_once, x, out, dz, dx };
            KernelPath::best().vectorized(back);
        }
    }
}

/// From one picture's gradient to that of what was pooled; uses it up.
struct ToMaximum<'a, T> {
    window: &'a Window,
    places: Places,
    shape: Shape,
    covers_once: bool,
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
        let Self { window, places, shape, covers_once, x, out, dz, dx } = self;
        let Shape { width, channels, .. } = shape;
        if window.is_halving(shape) {
            return to_maximum_of_fours(shape, Four { x, out, dz, dx });
        }
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
                        let given = if is_largest { *dz } else { T::zero() };
                        *dx = if covers_once { given } else { *dx + given };
                        *dz = if is_largest { T::zero() } else { *dz };
                    }
                }
            }
        }
    }
}

/// Channels at a time: a vector, or several of them.
const LANES: usize = 16;

/// What the place gets of a window's gradient, which is given away once.
#[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
#[inline(always)]
fn give<T: Element>(left: &mut T, is_largest: bool) -> T {
    let (given, zero) = (*left, T::zero());
    *left = if is_largest { zero } else { given };
    if is_largest { given } else { zero }
}

/// One picture of the commonest case.
struct Four<'a, T> {
    x: &'a [T],
    out: &'a [T],
    dz: &'a [T],
    dx: &'a mut [T],
}

/// The commonest case, whose four numbers are at hand at once: windows of 2 x 2 side by side.
#[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
#[inline(always)]
fn to_maximum_of_fours<T: Element>(shape: Shape, four: Four<'_, T>) {
    let Four { x, out, dz, dx } = four;
    let Shape { width, channels, .. } = shape;
    let (row, of_row) = (width * channels, width / 2 * channels);
    let rows = x.chunks_exact(2 * row).zip(dx.chunks_exact_mut(2 * row));
    let outs = out.chunks_exact(of_row).zip(dz.chunks_exact(of_row));
    for ((x, dx), (out, dz)) in rows.zip(outs) {
        let ((upper, lower), (upper_dx, lower_dx)) = (x.split_at(row), dx.split_at_mut(row));
        let pair = 2 * channels;
        let windows = upper.chunks_exact(pair).zip(lower.chunks_exact(pair));
        let to = upper_dx.chunks_exact_mut(pair).zip(lower_dx.chunks_exact_mut(pair));
        let outs = out.chunks_exact(channels).zip(dz.chunks_exact(channels));
        for (((upper, lower), (upper_dx, lower_dx)), (out, dz)) in windows.zip(to).zip(outs) {
            let (a, b, c) = (&upper[..channels], &upper[channels..pair], &lower[..channels]);
            let (da, db) = upper_dx[..pair].split_at_mut(channels);
            let (dc, dd) = lower_dx[..pair].split_at_mut(channels);
            let (out, dz) = (&out[..channels], &dz[..channels]);
            let whole = channels - channels % LANES;
            for start in (0..whole).step_by(LANES) {
                let vector = |of: &[T]| -> [T; LANES] {
                    of[start..][..LANES].try_into().expect("as many numbers")
                };
                // Copies, which the compiler knows not to lie where something is written.
                let (a, b, c) = (vector(a), vector(b), vector(c));
                let (out, mut left) = (vector(out), vector(dz));
                let [mut da_of, mut db_of, mut dc_of] = [[T::zero(); LANES]; 3];
                for i in 0..LANES {
                    da_of[i] = give(&mut left[i], a[i] == out[i]);
                    db_of[i] = give(&mut left[i], b[i] == out[i]);
                    dc_of[i] = give(&mut left[i], c[i] == out[i]);
                }
                da[start..][..LANES].copy_from_slice(&da_of);
                db[start..][..LANES].copy_from_slice(&db_of);
                dc[start..][..LANES].copy_from_slice(&dc_of);
                dd[start..][..LANES].copy_from_slice(&left);
            }
            for i in whole..channels {
                let mut left = dz[i];
                da[i] = give(&mut left, a[i] == out[i]);
                db[i] = give(&mut left, b[i] == out[i]);
                dc[i] = give(&mut left, c[i] == out[i]);
                dd[i] = left;
            }
        }
    }
}
