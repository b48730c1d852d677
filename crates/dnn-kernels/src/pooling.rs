//! Pooling by the maximum, in its commonest form.

use crate::dispatch::PlainLoop;
use crate::kernels::Number;

/// The largest of each 2 x 2 of a picture, channel by channel, whose numbers are at hand at once.
///
/// # Shapes
/// Rows one after another, the channels of a pixel side by side: `x` has an even number of rows of `width` pixels, an even
/// number too, and `out` half as many of either.
///
/// # Examples
/// ```
/// use dnn_kernels::{KernelPath, Maximum};
///
/// let x = [1.0, 5.0, 2.0, 0.0, 3.0, 4.0, 8.0, 6.0];
/// let mut out = [0.0_f32; 2];
/// KernelPath::best().vectorized(Maximum { width: 4, channels: 1, x: &x, out: &mut out });
/// assert_eq!(out, [5.0, 8.0]);
/// ```
#[derive(Debug)]
pub struct Maximum<'a, T> {
    /// Pixels of a row of `x`.
    pub width: usize,
    /// Numbers of a pixel.
    pub channels: usize,
    /// The picture.
    pub x: &'a [T],
    /// What is made of it.
    pub out: &'a mut [T],
}

impl<T: Number> PlainLoop for Maximum<'_, T> {
    type Output = ();

    #[inline(always)]
    fn run(self) {
        let Self { width, channels, x, out } = self;
        let larger = |a: T, b: T| if b > a { b } else { a };
        let rows = x.chunks_exact((2 * width * channels).max(1));
        for (rows, out) in rows.zip(out.chunks_exact_mut((width / 2 * channels).max(1))) {
            let (upper, lower) = rows.split_at(width * channels);
            let windows = upper.chunks_exact(2 * channels).zip(lower.chunks_exact(2 * channels));
            for ((upper, lower), out) in windows.zip(out.chunks_exact_mut(channels)) {
                let ((a, b), (c, d)) = (upper.split_at(channels), lower.split_at(channels));
                for ((((out, &a), &b), &c), &d) in out.iter_mut().zip(a).zip(b).zip(c).zip(d) {
                    *out = larger(larger(larger(a, b), c), d);
                }
            }
        }
    }
}
