//! Inputs of a network: real numbers, or 8-bit pixels that are scaled inside the first product.

use std::ops::Range;

use dnn_kernels::{KernelPath, PlainLoop, all_finite, prefetch};
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, Axis, ShapeBuilder, s};

use crate::pixel_scaling::{Affine, REPEATS};
use crate::{Columns, CoreError, Element, PixelScaling};

/// How many examples ahead of their turn examples are prefetched.
const AHEAD: usize = 32;

/// A borrowed matrix of inputs, one example per column.
///
/// Pixels stay 8-bit: they are never expanded to floats as a whole, only block by block inside a
/// product.
///
/// # Shapes
/// | what | shape |
/// |---|---|
/// | both variants | `(n_x, m)`: features by examples |
///
/// Column-major arrays are fastest, since one example is then contiguous.
#[derive(Debug, Clone, Copy)]
pub enum Features<'a, T> {
    /// Numbers, used as they are.
    Real(ArrayView2<'a, T>),
    /// Pixels 0..=255, channels interleaved: feature `i` belongs to channel `i % channels`.
    Pixels {
        /// The pixels, `(n_x, m)`.
        values: ArrayView2<'a, u8>,
        /// How a pixel becomes a number.
        scaling: PixelScaling,
    },
}

impl<T: Element> Features<'_, T> {
    /// Features per example, `n_x`.
    pub fn width(&self) -> usize {
        match self {
            Self::Real(values) => values.nrows(),
            Self::Pixels { values, .. } => values.nrows(),
        }
    }

    /// How many examples there are, `m`.
    pub fn len(&self) -> usize {
        match self {
            Self::Real(values) => values.ncols(),
            Self::Pixels { values, .. } => values.ncols(),
        }
    }

    /// Whether there is no example.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Checks that these can be the inputs of a network with `width` inputs.
    ///
    /// # Errors
    /// [`CoreError::Shape`] with another number of features, [`CoreError::NotFinite`] with a NaN or
    /// an infinity, [`CoreError::Invalid`] if the scaling's channels do not divide the features or
    /// `T` cannot hold the scaling.
    pub fn check(&self, width: usize) -> Result<(), CoreError> {
        if self.width() != width {
            let (expected, found) = ([width, self.len()], [self.width(), self.len()]);
            return CoreError::expect_shape("features", expected, found);
        }
        match self {
            Self::Real(values) => check_finite("features", *values),
            Self::Pixels { scaling, .. } => scaling.check::<T>(width),
        }
    }

    /// Writes rows `rows` of the examples `columns` as numbers, one example after the other.
    ///
    /// # Shapes
    /// `out` is `(columns, rows)`, each row of it contiguous.
    ///
    /// # Panics
    /// If the shapes do not fit, or a row or column does not exist.
    pub fn write_examples(
        &self,
        rows: Range<usize>,
        columns: Columns<'_>,
        out: ArrayViewMut2<'_, T>,
    ) {
        assert_eq!(out.dim(), (columns.len(), rows.len()), "room for another number of examples");
        match self {
            Self::Real(values) => {
                let copy = |_, values: &[T], out: &mut [T]| out.copy_from_slice(values);
                write(*values, rows, columns, out, copy);
            }
            Self::Pixels { values, scaling } if scaling.channels() == 1 => {
                let affine = scaling.affine(0);
                let convert = |_, pixels: &[u8], out: &mut [T]| {
                    out.iter_mut().zip(pixels).for_each(|(out, &pixel)| *out = affine.of(pixel));
                };
                write(*values, rows, columns, out, convert);
            }
            Self::Pixels { values, scaling } => {
                let repeated = scaling.repeated();
                let channels = scaling.channels();
                let convert = |first: usize, pixels: &[u8], out: &mut [T]| {
                    let affines = &repeated[first % channels..][..REPEATS * channels];
                    let parts = out.chunks_mut(affines.len()).zip(pixels.chunks(affines.len()));
                    for (out, pixels) in parts {
                        let numbers = out.iter_mut().zip(pixels).zip(affines);
                        numbers.for_each(|((out, &pixel), affine)| *out = affine.of(pixel));
                    }
                };
                write(*values, rows, columns, out, convert);
            }
        }
    }

    /// One example as numbers: where it lies, if it lies so, else in `memory`.
    ///
    /// # Panics
    /// If there is no such column.
    pub fn example<'s>(&'s self, column: usize, memory: &'s mut Vec<T>) -> &'s [T] {
        if let Self::Real(values) = self
            && let Some(example) = values.index_axis_move(Axis(1), column).to_slice()
        {
            return example;
        }
        memory.resize(self.width(), T::zero());
        let out = ArrayViewMut2::from_shape((1, self.width()), &mut memory[..]);
        let columns = Columns::Run { start: column, len: 1 };
        self.write_examples(0..self.width(), columns, out.expect("of this size"));
        memory
    }

    /// The largest size of a number.
    pub fn largest(&self) -> f64 {
        match self {
            Self::Real(values) => values.fold(0.0, |largest: f64, &x| largest.max(x.abs().into())),
            Self::Pixels { scaling, .. } => (0..scaling.channels())
                .flat_map(|channel| {
                    let affine: Affine<T> = scaling.affine(channel);
                    [u8::MIN, u8::MAX].map(|pixel| affine.of(pixel).abs().into())
                })
                .fold(0.0, f64::max),
        }
    }

    /// The share of the numbers that are exactly 0, of up to 256 examples from all over; 0 without any.
    pub fn share_of_zeros(&self) -> f64 {
        const EXAMPLES: usize = 256;
        let step = self.len().div_ceil(EXAMPLES).max(1);
        let (zeros, all) = match self {
            Self::Real(values) => {
                let some = values.slice(s![.., ..;step]);
                (some.iter().filter(|value| value.is_zero()).count(), some.len())
            }
            Self::Pixels { values, scaling } => {
                let some = values.slice(s![.., ..;step]);
                let channels = scaling.channels();
                let zero_of = |channel| {
                    let affine: Affine<T> = scaling.affine(channel);
                    (0..=u8::MAX).find(|&pixel| affine.of(pixel).is_zero())
                };
                let zeros: Vec<Option<u8>> = (0..channels).map(zero_of).collect();
                let of = |column: ArrayView1<'_, u8>| -> usize {
                    let of_channel = |(first, zero): (usize, &Option<u8>)| {
                        let zero = zero.unwrap_or_default();
                        let pixels = column.slice_move(s![first.min(column.len())..;channels]);
                        pixels.iter().filter(|&&pixel| pixel == zero).count()
                    };
                    let there = zeros.iter().enumerate().filter(|(_, zero)| zero.is_some());
                    there.map(of_channel).sum()
                };
                (some.columns().into_iter().map(of).sum(), some.len())
            }
        };
        zeros as f64 / all.max(1) as f64
    }

    /// Rows `rows` of the examples `columns` as numbers, `(rows.len(), columns.len())`: a view where
    /// they lie in place, otherwise converted or gathered into `scratch`, column by column.
    pub(crate) fn block<'s>(
        &'s self,
        rows: Range<usize>,
        columns: Columns<'_>,
        scratch: &'s mut Vec<T>,
    ) -> ArrayView2<'s, T> {
        if let (Self::Real(values), Columns::Run { start, len }) = (self, columns) {
            return values.slice(s![rows, start..start + len]);
        }
        let shape = (rows.len(), columns.len());
        // Only the first call grows the buffer; every later one reuses it.
        scratch.resize(shape.0 * shape.1, T::zero());
        let examples = ArrayViewMut2::from_shape((shape.1, shape.0), &mut scratch[..])
            .expect("the buffer was given this size above");
        self.write_examples(rows, columns, examples);
        ArrayView2::from_shape(shape.f(), scratch).expect("the buffer was given this size above")
    }
}

/// Has `convert` write rows `rows` of each of the examples `columns`, compiled for vectors; it is told the
/// first row.
fn write<E: Copy, T>(
    values: ArrayView2<'_, E>,
    rows: Range<usize>,
    columns: Columns<'_>,
    mut out: ArrayViewMut2<'_, T>,
    convert: impl Fn(usize, &[E], &mut [T]),
) {
    let (features, m) = values.dim();
    let by_example = values.reversed_axes();
    if let Some(all) = by_example.to_slice() {
        assert!(rows.end <= features, "no such feature");
        KernelPath::best().vectorized(Write { all, m, features, rows, columns, out, convert });
        return;
    }
    let mut line = Vec::new();
    for (position, out) in out.rows_mut().into_iter().enumerate() {
        line.clear();
        line.extend(values.slice(s![rows.clone(), columns.at(position)]));
        convert(rows.start, &line, out.into_slice().expect("contiguous rows"));
    }
}

/// [`write`] from examples that lie one after the other.
struct Write<'a, E, T, F> {
    all: &'a [E],
    m: usize,
    features: usize,
    rows: Range<usize>,
    columns: Columns<'a>,
    out: ArrayViewMut2<'a, T>,
    convert: F,
}

impl<E: Copy, T, F: Fn(usize, &[E], &mut [T])> PlainLoop for Write<'_, E, T, F> {
    type Output = ();

    #[expect(clippy::inline_always, reason = "what is not a part of the caller has no vectors")]
    #[inline(always)]
    fn run(mut self) {
        let line = |position| {
            let example = self.columns.at(position);
            assert!(example < self.m, "no such example");
            &self.all[example * self.features + self.rows.start..][..self.rows.len()]
        };
        for (position, out) in self.out.rows_mut().into_iter().enumerate() {
            // Examples lie far apart: no guess of the processor's own leads it to the next.
            if position + AHEAD < self.columns.len() {
                prefetch(line(position + AHEAD));
            }
            let out = out.into_slice().expect("contiguous rows");
            (self.convert)(self.rows.start, line(position), out);
        }
    }
}

/// Finds the first value of `values` that is not finite.
fn check_finite<T: Element>(
    what: &'static str,
    values: ArrayView2<'_, T>,
) -> Result<(), CoreError> {
    for (column, example) in values.columns().into_iter().enumerate() {
        if example.to_slice().is_some_and(all_finite) {
            continue;
        }
        if let Some(row) = example.iter().position(|value| !value.is_finite()) {
            let value = example[row].to_string();
            return Err(CoreError::NotFinite { what, row, column, value });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};

    fn numbers(
        features: &Features<'_, f64>,
        rows: Range<usize>,
        columns: Columns<'_>,
    ) -> Array2<f64> {
        features.block(rows, columns, &mut Vec::new()).to_owned()
    }

    #[test]
    fn each_channel_has_its_own_mean_and_deviation_wherever_a_block_starts() {
        // Two pixels of two channels; (255/255 - 0)/1 = 1, (51/255 - 0.2)/0.5 = 0, and so on.
        let scaling = PixelScaling::per_channel(&[0.0, 0.2], &[1.0, 0.5]).unwrap();
        let values = array![[255_u8, 0], [51, 255], [0, 51], [153, 0]];
        let features = Features::Pixels { values: values.view(), scaling };
        let all = numbers(&features, 0..4, Columns::Run { start: 0, len: 2 });
        let expected = array![[1.0, 0.0], [0.0, 1.6], [0.0, 0.2], [0.8, -0.4]];
        assert!((&all - &expected).iter().all(|d: &f64| d.abs() < 1e-15), "{all}");
        let tail = numbers(&features, 1..4, Columns::Listed(&[1, 0]));
        assert_eq!(
            tail,
            ndarray::stack![
                ndarray::Axis(1),
                all.slice(ndarray::s![1.., 1]),
                all.slice(ndarray::s![1.., 0])
            ]
        );
    }

    #[test]
    fn zeros_are_counted_as_the_scaling_has_them() {
        let values = array![[0_u8, 3, 0], [51, 51, 0]];
        let plain = PixelScaling::per_channel(&[0.0], &[1.0]).unwrap();
        let features: Features<'_, f64> =
            Features::Pixels { values: values.view(), scaling: plain };
        assert_eq!(features.share_of_zeros(), 0.5);
        // (51/255 - 0.2)/1 = 0 in the second channel alone, and 0 is none there.
        let shifted = PixelScaling::per_channel(&[0.5, 0.2], &[1.0, 1.0]).unwrap();
        let features: Features<'_, f64> =
            Features::Pixels { values: values.view(), scaling: shifted };
        assert_eq!(features.share_of_zeros(), 2.0 / 6.0);
        let real = values.mapv(f64::from);
        assert_eq!(Features::Real(real.view()).share_of_zeros(), 0.5);
        assert_eq!(Features::Real(real.slice(s![.., ..0])).share_of_zeros(), 0.0);
    }

    #[test]
    fn gathered_and_viewed_real_columns_are_the_same_numbers() {
        let values = Array2::from_shape_fn((3, 4), |(i, j)| (10 * i + j) as f64);
        let features = Features::Real(values.view());
        let run = numbers(&features, 0..2, Columns::Run { start: 1, len: 2 });
        assert_eq!(run, numbers(&features, 0..2, Columns::Listed(&[1, 2])));
        assert_eq!(run, array![[1.0, 2.0], [11.0, 12.0]]);
    }

    #[test]
    fn bad_features_and_scalings_say_expected_and_found() {
        let values = array![[0.0, 1.0], [f64::NAN, 0.0]];
        let error = Features::Real(values.view()).check(2).unwrap_err().to_string();
        assert_eq!(error, "features holds NaN in row 1, column 0; expected finite numbers");
        let error = Features::Real(values.view()).check(3).unwrap_err().to_string();
        assert_eq!(error, "features: expected shape (3, 2), found (2, 2)");
        for (mean, deviation) in
            [(&[][..], &[][..]), (&[0.0], &[0.0]), (&[f64::NAN], &[1.0]), (&[0.0; 9], &[1.0; 9])]
        {
            assert!(PixelScaling::per_channel(mean, deviation).is_err(), "{mean:?} {deviation:?}");
        }
        let three = PixelScaling::per_channel(&[0.0; 3], &[1.0; 3]).unwrap();
        let pixels = Array2::<u8>::zeros((4, 1));
        let features: Features<'_, f32> =
            Features::Pixels { values: pixels.view(), scaling: three };
        assert!(features.check(4).unwrap_err().to_string().contains("3 channels for 4 features"));
        // f64 can hold this scaling, f32 cannot.
        let scaling = PixelScaling::per_channel(&[0.0], &[1e-40]).unwrap();
        let wide: Features<'_, f64> = Features::Pixels { values: pixels.view(), scaling };
        assert_eq!(wide.check(4), Ok(()));
        let narrow: Features<'_, f32> = Features::Pixels { values: pixels.view(), scaling };
        assert!(
            narrow
                .check(4)
                .unwrap_err()
                .to_string()
                .ends_with("found mean 0, deviation 0.0000000000000000000000000000000000000001")
        );
    }
}
