//! Brings a part of a picture of 8-bit red, green and blue to another size.
//!
//! Weights are fixed-point numbers and sums are whole, so that the bytes do not depend on vector instructions. Down
//! the columns first, then along the rows; what is between them is rounded to 8 bits.

use dnn_kernels::KernelPath;

use self::passes::{Bytes, Passes, Scratch};
use self::weights::{Curve, Side, Weights};
use crate::ImageSize;
use crate::picture::{Filter, Rgb};

mod passes;
#[cfg(test)]
mod tests;
mod weights;

/// Resizes one picture after another; keeps its buffers between them.
#[derive(Debug, Default)]
pub(super) struct Resizer {
    down: Weights,
    along: Weights,
    scratch: Scratch,
    /// Which pixel of a row becomes each of a resized row, for the nearest pixel.
    places: Vec<usize>,
}

impl Resizer {
    /// Brings an area of `from` (left, top, width and height) to this size.
    ///
    /// # Panics
    /// When the area does not lie in the picture, or `out` does not have the length of the size.
    pub(super) fn resize(
        &mut self,
        from: &Rgb,
        area: [f64; 4],
        filter: Filter,
        to: ImageSize,
        out: &mut [u8],
    ) {
        assert_eq!(out.len(), 3 * to.width * to.height, "expected room for {to:?}");
        let [left, top, width, height] = area;
        let columns = Side { pixels: from.width, start: left, length: width, to: to.width };
        let rows = Side { pixels: from.height, start: top, length: height, to: to.height };
        let inside = columns.is_inside() && rows.is_inside();
        assert!(inside, "expected a part of {}x{} pixels, found {area:?}", from.width, from.height);
        if out.is_empty() {
            return;
        }
        if rows.is_kept() && columns.is_kept() {
            copy(from, &rows, &columns, out);
        } else if let Some(curve) = Curve::of(filter) {
            self.weigh(KernelPath::best(), from, [columns, rows], curve, out);
        } else {
            nearest(from, &rows, &columns, &mut self.places, out);
        }
    }

    /// Each pixel as the weighted sum of those around it; a side that is kept is passed over.
    fn weigh(
        &mut self,
        path: KernelPath,
        from: &Rgb,
        [columns, rows]: [Side; 2],
        curve: Curve,
        out: &mut [u8],
    ) {
        let Self { down, along, scratch, .. } = self;
        let stride = 3 * from.width;
        let (top, down) = if rows.is_kept() {
            (rows.first(), None)
        } else {
            down.fill(rows, curve);
            (0, Some(&*down))
        };
        let ([left, end], along) = if columns.is_kept() {
            ([columns.first(), columns.first() + columns.to], None)
        } else {
            along.fill(columns, curve);
            (along.used(), Some(&*along))
        };
        let from = Bytes { bytes: &from.pixels[top * stride + 3 * left..], stride };
        let (used, width) = (3 * (end - left), 3 * columns.to);
        Passes { from, used, down, along, left, scratch, out, width }.run(path);
    }
}

/// Pixels as they are.
fn copy(from: &Rgb, rows: &Side, columns: &Side, out: &mut [u8]) {
    let lines = from.pixels.chunks_exact(3 * from.width).skip(rows.first());
    for (out, line) in out.chunks_exact_mut(3 * columns.to).zip(lines) {
        out.copy_from_slice(&line[3 * columns.first()..][..out.len()]);
    }
}

/// For each pixel the one that its middle lies in.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "places in the picture"
)]
fn nearest(from: &Rgb, rows: &Side, columns: &Side, places: &mut Vec<usize>, out: &mut [u8]) {
    let (down, along) = (rows.length / rows.to as f64, columns.length / columns.to as f64);
    let (mut y, left) = (rows.start + down * 0.5, columns.start + along * 0.5);
    places.clear();
    places
        .extend((0..columns.to).map(|x| ((left + along * x as f64) as usize).min(from.width - 1)));
    for out in out.chunks_exact_mut(3 * columns.to) {
        let line = &from.pixels[3 * from.width * (y as usize).min(from.height - 1)..];
        let (pixels, _) = line[..3 * from.width].as_chunks::<3>();
        for (out, place) in out.as_chunks_mut::<3>().0.iter_mut().zip(&*places) {
            *out = pixels[*place];
        }
        y += down;
    }
}
