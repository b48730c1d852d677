//! Convolutions in which each unit reads its own channel: a vector of channels at a time.

use super::{Taps, WindowGradient, WindowProduct};
use crate::dispatch::{Kernel, dispatch};
use crate::path::KernelPath;
use crate::simd::Simd;

/// Pixels of a row in registers.
const PIXELS: usize = 4;
/// Taps in registers.
const TAPS: usize = 9;

/// `out = W * x + b` on vectors.
///
/// # Panics
/// If a picture, the weights, the bias or the output are shorter than what is reached.
pub(crate) fn by_vectors(path: KernelPath, product: WindowProduct<'_, f32>) {
    let WindowProduct { taps, x, weights, bias, relu, out } = product;
    let [read, written] = taps.reach();
    assert!(x.len() >= read && out.len() >= written, "a picture of another convolution");
    assert!(weights.len() >= taps.count() * taps.columns, "weights of another convolution");
    assert!(bias.is_none_or(|bias| bias.len() >= taps.groups), "one bias for each unit");
    let bias = bias.map(<[f32]>::as_ptr);
    let product = Product {
        taps,
        x: x.as_ptr(),
        weights: weights.as_ptr(),
        bias,
        relu,
        out: out.as_mut_ptr(),
    };
    // SAFETY: the lengths were checked above.
    unsafe { dispatch(path, product) }
}

/// `sums += x * dz` on vectors, tap by tap.
///
/// # Panics
/// If a picture, its gradient or the sums are shorter than what is reached.
pub(crate) fn gradient_by_vectors(path: KernelPath, gradient: WindowGradient<'_, f32>) {
    let WindowGradient { taps, x, dz, sums, is_first } = gradient;
    let [read, written] = taps.reach();
    assert!(x.len() >= read && dz.len() >= written, "a picture of another convolution");
    assert!(sums.len() >= taps.count() * taps.columns, "a gradient of other weights");
    let gradient =
        Gradient { taps, x: x.as_ptr(), dz: dz.as_ptr(), sums: sums.as_mut_ptr(), is_first };
    // SAFETY: the lengths were checked above.
    unsafe { dispatch(path, gradient) }
}

struct Product<'t> {
    taps: &'t Taps,
    x: *const f32,
    weights: *const f32,
    bias: Option<*const f32>,
    relu: bool,
    out: *mut f32,
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let taps = self.taps;
        for row in 0..taps.rows {
            for channel in (0..taps.groups).step_by(S::LANES) {
                let mut column = 0;
                while column + PIXELS <= taps.columns_out {
                    // SAFETY: the pixels and channels exist.
                    unsafe { self.block::<S, PIXELS>(row, column, channel) };
                    column += PIXELS;
                }
                for column in column..taps.columns_out {
                    // SAFETY: as above.
                    unsafe { self.block::<S, 1>(row, column, channel) };
                }
            }
        }
    }
}

impl Product<'_> {
    /// `P` pixels of a row and a vector of channels.
    ///
    /// # Safety
    /// They exist.
    #[inline(always)]
    unsafe fn block<S: Simd, const P: usize>(&self, row: usize, column: usize, channel: usize) {
        let taps = self.taps;
        let count = (taps.groups - channel).min(S::LANES);
        let apart = taps.stride[1] * taps.pixel_in;
        // SAFETY: the windows lie in the picture, which is read only where there are channels; packed weights are
        // filled up to whole vectors.
        unsafe {
            let load =
                |from| if count == S::LANES { S::load(from) } else { S::load_part(from, count) };
            let bias = self.bias.map_or(S::splat(0.0), |bias| load(bias.add(channel)));
            let mut sums = [bias; P];
            let first =
                self.x.add(row * taps.stride[0] * taps.row_pitch + column * apart + channel);
            let mut weights = self.weights.add(channel);
            for kernel_row in 0..taps.kernel_rows {
                for piece in 0..taps.pieces {
                    let x = first.add(kernel_row * taps.row_pitch + piece * taps.pixel_in);
                    let weight = S::load(weights);
                    for p in 0..P {
                        sums[p] = S::multiply_add(load(x.add(p * apart)), weight, sums[p]);
                    }
                    weights = weights.add(taps.columns);
                }
            }
            if self.relu {
                for p in 0..P {
                    sums[p] = S::relu(sums[p]);
                }
            }
            let to = self.out.add(row * taps.row_out + column * taps.pixel_out + channel);
            for p in 0..P {
                let to = to.add(p * taps.pixel_out);
                if count == S::LANES {
                    S::store(to, sums[p]);
                } else {
                    S::store_part(to, sums[p], count);
                }
            }
        }
    }
}

struct Gradient<'t> {
    taps: &'t Taps,
    x: *const f32,
    dz: *const f32,
    sums: *mut f32,
    /// Whether nothing is in the sums yet.
    is_first: bool,
}

impl Kernel for Gradient<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<S: Simd>(self) {
        let taps = self.taps;
        for channel in (0..taps.groups).step_by(S::LANES) {
            let mut tap = 0;
            while tap + TAPS <= taps.count() {
                // SAFETY: the taps and channels exist.
                unsafe { self.block::<S, TAPS>(tap, channel) };
                tap += TAPS;
            }
            for tap in tap..taps.count() {
                // SAFETY: as above.
                unsafe { self.block::<S, 1>(tap, channel) };
            }
        }
    }
}

impl Gradient<'_> {
    /// `R` taps and a vector of channels, over all pixels.
    ///
    /// # Safety
    /// They exist.
    #[inline(always)]
    unsafe fn block<S: Simd, const R: usize>(&self, tap: usize, channel: usize) {
        let taps = self.taps;
        let count = (taps.groups - channel).min(S::LANES);
        let apart = taps.stride[1] * taps.pixel_in;
        let mut offsets = [0; R];
        for r in 0..R {
            let (row, piece) = ((tap + r) / taps.pieces, (tap + r) % taps.pieces);
            offsets[r] = row * taps.row_pitch + piece * taps.pixel_in;
        }
        // SAFETY: the windows lie in the picture and the pixels in its gradient, which are read only where there are
        // channels; sums are filled up to whole vectors.
        unsafe {
            let load =
                |from| if count == S::LANES { S::load(from) } else { S::load_part(from, count) };
            let to = self.sums.add(tap * taps.columns + channel);
            let mut sums = [S::splat(0.0); R];
            if !self.is_first {
                for r in 0..R {
                    sums[r] = S::load(to.add(r * taps.columns));
                }
            }
            let mut dz = self.dz.add(channel);
            for row in 0..taps.rows {
                let mut x = self.x.add(row * taps.stride[0] * taps.row_pitch + channel);
                for _ in 0..taps.columns_out {
                    let of_pixel = load(dz);
                    for r in 0..R {
                        sums[r] = S::multiply_add(load(x.add(offsets[r])), of_pixel, sums[r]);
                    }
                    x = x.wrapping_add(apart);
                    dz = dz.wrapping_add(taps.pixel_out);
                }
            }
            for r in 0..R {
                S::store(to.add(r * taps.columns), sums[r]);
            }
        }
    }
}
