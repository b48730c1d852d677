//! The formulas as they stand, which the kernels are tested against and types without vectors run on.

use ndarray::NdFloat;

use super::{Taps, WindowGradient, WindowProduct};
use crate::dispatch::PlainLoop;
use crate::path::KernelPath;

/// For each pixel of the output, where it lies there and where its window begins.
fn pixels(taps: &Taps) -> impl Iterator<Item = (usize, usize)> + use<> {
    let taps = *taps;
    (0..taps.rows * taps.columns_out).map(move |pixel| {
        let (row, column) = (pixel / taps.columns_out, pixel % taps.columns_out);
        let x = row * taps.stride[0] * taps.row_pitch + column * taps.stride[1] * taps.pixel_in;
        (row * taps.row_out + column * taps.pixel_out, x)
    })
}

/// For each tap, where it lies from the beginning of a window on.
fn places(taps: &Taps) -> impl Iterator<Item = usize> + use<> {
    let taps = *taps;
    (0..taps.kernel_rows).flat_map(move |row| {
        (0..taps.pieces).flat_map(move |piece| {
            (0..taps.run).map(move |at| row * taps.row_pitch + piece * taps.pixel_in + at)
        })
    })
}

/// A loop over the pixels of a picture that is compiled for vectors.
struct Loop<F>(F);

impl<F: FnOnce()> PlainLoop for Loop<F> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        (self.0)();
    }
}

/// What a `ReLU` makes of numbers, if that is wanted; NaN stays NaN.
#[inline(always)]
fn finish<T: NdFloat>(relu: bool, out: &mut [T]) {
    if relu {
        for out in out {
            *out = if *out <= T::zero() { T::zero() } else { *out };
        }
    }
}

/// `out = W * x + b`.
pub(crate) fn product<T: NdFloat>(product: WindowProduct<'_, T>) {
    let WindowProduct { taps, x, weights, bias, relu, out } = product;
    KernelPath::best().vectorized(Loop(
        #[inline(always)]
        || {
            for (to, from) in pixels(taps) {
                let out = &mut out[to..][..taps.units];
                match bias {
                    Some(bias) => out.copy_from_slice(bias),
                    None => out.fill(T::zero()),
                }
                for (tap, weights) in places(taps).zip(weights.chunks_exact(taps.columns)) {
                    let x = x[from + tap];
                    out.iter_mut().zip(weights).for_each(|(out, &weight)| *out += x * weight);
                }
                finish(relu, out);
            }
        },
    ));
}

/// `sums += x^T * dz`, tap by tap.
pub(crate) fn gradient<T: NdFloat>(gradient: WindowGradient<'_, T>) {
    let WindowGradient { taps, x, dz, sums, is_first } = gradient;
    KernelPath::best().vectorized(Loop(
        #[inline(always)]
        || {
            if is_first {
                sums.fill(T::zero());
            }
            for (to, from) in pixels(taps) {
                let dz = &dz[to..][..taps.units];
                for (tap, sums) in places(taps).zip(sums.chunks_exact_mut(taps.columns)) {
                    let x = x[from + tap];
                    sums.iter_mut().zip(dz).for_each(|(sum, &dz)| *sum += x * dz);
                }
            }
        },
    ));
}

/// The same product where each unit reads its own channel.
pub(crate) fn depthwise<T: NdFloat>(product: WindowProduct<'_, T>) {
    let WindowProduct { taps, x, weights, bias, relu, out } = product;
    let channels = taps.groups;
    KernelPath::best().vectorized(Loop(
        #[inline(always)]
        || {
            for (to, from) in pixels(taps) {
                let out = &mut out[to..][..channels];
                match bias {
                    Some(bias) => out.copy_from_slice(bias),
                    None => out.fill(T::zero()),
                }
                for (tap, weights) in places(taps).zip(weights.chunks_exact(taps.columns)) {
                    let x = &x[from + tap..][..channels];
                    let numbers = out.iter_mut().zip(x).zip(weights);
                    numbers.for_each(|((out, &x), &weight)| *out += x * weight);
                }
                finish(relu, out);
            }
        },
    ));
}

/// The same gradient where each unit reads its own channel.
pub(crate) fn depthwise_gradient<T: NdFloat>(gradient: WindowGradient<'_, T>) {
    let WindowGradient { taps, x, dz, sums, is_first } = gradient;
    let channels = taps.groups;
    KernelPath::best().vectorized(Loop(
        #[inline(always)]
        || {
            if is_first {
                sums.fill(T::zero());
            }
            for (to, from) in pixels(taps) {
                let dz = &dz[to..][..channels];
                for (tap, sums) in places(taps).zip(sums.chunks_exact_mut(taps.columns)) {
                    let x = &x[from + tap..][..channels];
                    let numbers = sums.iter_mut().zip(x).zip(dz);
                    numbers.for_each(|((sum, &x), &dz)| *sum += x * dz);
                }
            }
        },
    ));
}
