//! Matrix products: on the vector kernels of [`dnn_kernels`] for contiguous `f32`, else on
//! ndarray's `general_mat_mul` (the matrixmultiply kernels).
//!
//! Every product here is cut into blocks by shape alone, and each block is summed in one fixed
//! order. Callers run blocks on as many threads as they like; the bits do not depend on it.

use std::ops::Range;

use dnn_kernels::{
    KernelPath, Kernels, Linear, PackedScratch, PackedWeights, Products, has_contiguous_rows,
};
use ndarray::linalg::general_mat_mul;
use ndarray::{ArrayView1, ArrayView2, ArrayViewMut2, Axis, s};

use crate::pixel_scaling::Affine;
use crate::{Columns, Element, Features};

/// Features per block: a product over more features is the sum of the products over such blocks,
/// in order. 256 is also the depth of matrixmultiply's own blocks.
pub const FEATURE_BLOCK: usize = 256;

/// `out = alpha a b + beta out`; with `beta` 0, `out` may hold anything.
///
/// # Shapes
/// | `a` | `b` | `out` |
/// |---|---|---|
/// | `(n, k)` | `(k, m)` | `(n, m)` |
///
/// # Panics
/// If the shapes do not fit.
pub fn multiply<T: Element>(
    alpha: T,
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    beta: T,
    mut out: ArrayViewMut2<'_, T>,
) {
    general_mat_mul(alpha, &a, &b, beta, &mut out);
}

/// The kernels that products run on this machine, as models record it: the same bits are promised on the
/// same path, not across paths. `f32` runs on our own kernels, all else on matrixmultiply's for the same
/// instructions, where nothing else is said.
pub fn kernel_path() -> &'static str {
    match KernelPath::best() {
        KernelPath::Avx512 => "dnn/avx512f",
        KernelPath::Avx2 => "dnn/avx2+fma",
        KernelPath::Portable => portable_path(),
    }
}

/// The same for products of dense layers and convolutions in these numbers.
pub fn kernel_path_of(products: Products) -> &'static str {
    match products {
        Products::Full | Products::Direct => kernel_path(),
        Products::Bf16 => "dnn/avx512-bf16",
    }
}

/// Beside the portable kernels matrixmultiply makes a choice of its own, in this order.
fn portable_path() -> &'static str {
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    {
        if is_x86_feature_detected!("avx512f") {
            return "dnn/portable, matrixmultiply/avx512f";
        }
        if is_x86_feature_detected!("fma") && is_x86_feature_detected!("avx2") {
            return "dnn/portable, matrixmultiply/fma";
        }
        if is_x86_feature_detected!("avx") {
            return "dnn/portable, matrixmultiply/avx";
        }
    }
    #[cfg(target_arch = "aarch64")]
    {
        if std::arch::is_aarch64_feature_detected!("neon") {
            return "dnn/portable, matrixmultiply/neon";
        }
    }
    "dnn/portable, matrixmultiply/fallback"
}

/// The blocks of `0..features`, [`FEATURE_BLOCK`] long but for the last.
pub(crate) fn feature_blocks(features: usize) -> impl Iterator<Item = Range<usize>> {
    (0..features)
        .step_by(FEATURE_BLOCK)
        .map(move |start| start..features.min(start + FEATURE_BLOCK))
}

impl<T: Element> Features<'_, T> {
    /// `out = weights X + bias`, for the examples `columns` of these features `X`.
    ///
    /// `scratch` is grown once to up to [`FEATURE_BLOCK`] times the number of columns and reused.
    ///
    /// # Shapes
    /// | `weights` | `bias` | `X` | `out` |
    /// |---|---|---|---|
    /// | `(n, n_x)` | `n` | `(n_x, columns)` | `(n, columns)` |
    ///
    /// # Panics
    /// If the shapes do not fit or a column does not exist.
    pub fn linear_into(
        &self,
        weights: ArrayView2<'_, T>,
        bias: ArrayView1<'_, T>,
        columns: Columns<'_>,
        scratch: &mut Vec<T>,
        mut out: ArrayViewMut2<'_, T>,
    ) {
        assert_eq!(weights.ncols(), self.width(), "weights take another number of features");
        if self.linear_by_kernels(weights, Some(bias), columns, out.view_mut()) {
            return;
        }
        self.multiply_into(weights, columns, scratch, out.view_mut());
        for mut column in out.columns_mut() {
            column += &bias;
        }
    }

    /// `out = W X + b` as of [`linear_into`](Self::linear_into), with weights that are laid out for many
    /// examples; `scratch` is grown once and reused.
    ///
    /// # Panics
    /// If the shapes do not fit or a column does not exist.
    pub fn linear_packed_into(
        &self,
        weights: &PackedWeights<T>,
        bias: ArrayView1<'_, T>,
        columns: Columns<'_>,
        scratch: &mut PackedScratch<T>,
        out: ArrayViewMut2<'_, T>,
    ) {
        assert_eq!(weights.inputs(), self.width(), "weights take another number of features");
        let write = |rows, to: ArrayViewMut2<'_, T>| self.write_examples(rows, columns, to);
        weights.linear_into(write, bias, scratch, out);
    }

    /// Whether the vector kernels read these features as they lie, without a copy.
    pub fn is_in_place(&self) -> bool {
        match self {
            Self::Real(values) => T::Kernels::VECTOR && has_contiguous_rows(values.reversed_axes()),
            Self::Pixels { values, scaling } => {
                let plain = scaling.channels() == 1 && scaling.mean()[0] == 0.0;
                plain && (values.nrows() <= 1 || values.strides()[0] == 1)
            }
        }
    }

    /// `W X + b` by the vector kernels, if they take such arrays; says whether they do.
    fn linear_by_kernels(
        &self,
        weights: ArrayView2<'_, T>,
        bias: Option<ArrayView1<'_, T>>,
        columns: Columns<'_>,
        out: ArrayViewMut2<'_, T>,
    ) -> bool {
        let fits = T::Kernels::VECTOR
            && self.is_in_place()
            && has_contiguous_rows(weights)
            && has_contiguous_rows(out.view().reversed_axes())
            && bias.is_none_or(|bias| bias.to_slice().is_some());
        if !fits {
            return false;
        }
        let (path, map) = (KernelPath::best(), |scale| Linear { weights, scale, bias });
        match *self {
            Self::Real(values) => {
                let example = |j| contiguous(values, columns.at(j));
                T::Kernels::linear(path, map(T::one()), &example, out);
            }
            Self::Pixels { values, scaling } => {
                let Affine { factor, .. } = scaling.affine(0);
                let example = |j| contiguous(values, columns.at(j));
                T::Kernels::linear_bytes(path, map(factor), &example, out);
            }
        }
        true
    }

    /// `out = weights X`, for the examples `columns` of these features `X`.
    ///
    /// `scratch` is grown once to [`FEATURE_BLOCK`] times the number of columns and reused.
    ///
    /// # Shapes
    /// | `weights` | `X` | `out` |
    /// |---|---|---|
    /// | `(n, n_x)` | `(n_x, columns)` | `(n, columns)` |
    ///
    /// # Panics
    /// If the shapes do not fit or a column does not exist.
    pub fn multiply_into(
        &self,
        weights: ArrayView2<'_, T>,
        columns: Columns<'_>,
        scratch: &mut Vec<T>,
        mut out: ArrayViewMut2<'_, T>,
    ) {
        assert_eq!(weights.ncols(), self.width(), "weights take another number of features");
        if self.linear_by_kernels(weights, None, columns, out.view_mut()) {
            return;
        }
        if self.width() == 0 {
            // The sum over no features.
            out.fill(T::zero());
        }
        let mut beta = T::zero();
        for rows in feature_blocks(self.width()) {
            let block = self.block(rows.clone(), columns, scratch);
            multiply(T::one(), weights.slice(s![.., rows]), block, beta, out.view_mut());
            beta = T::one();
        }
    }

    /// `out += alpha dz X^T` for the features `rows` of `X` and the examples `columns`: a block of
    /// the gradient of the weights.
    ///
    /// `scratch` is grown once to the size of the block of `X` and reused.
    ///
    /// # Shapes
    /// | `dz` | `X` | `out` |
    /// |---|---|---|
    /// | `(n, columns)` | `(rows, columns)` | `(n, rows)` |
    ///
    /// # Panics
    /// If the shapes do not fit or a row or column does not exist.
    pub fn accumulate_gradient(
        &self,
        alpha: T,
        dz: ArrayView2<'_, T>,
        rows: Range<usize>,
        columns: Columns<'_>,
        scratch: &mut Vec<T>,
        out: ArrayViewMut2<'_, T>,
    ) {
        let block = self.block(rows, columns, scratch);
        multiply(alpha, dz, block.reversed_axes(), T::one(), out);
    }
}

/// A column that is contiguous.
fn contiguous<E>(values: ArrayView2<'_, E>, column: usize) -> &[E] {
    values.index_axis_move(Axis(1), column).to_slice().expect("contiguous columns")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{PixelScaling, Purpose, RandomStream};
    use ndarray::{Array2, ShapeBuilder};
    use proptest::prelude::*;

    /// The definition of a product, the oracle of the fast ones.
    fn naive(a: ArrayView2<'_, f64>, b: ArrayView2<'_, f64>) -> Array2<f64> {
        Array2::from_shape_fn((a.nrows(), b.ncols()), |(i, j)| {
            (0..a.ncols()).map(|k| a[(i, k)] * b[(k, j)]).sum()
        })
    }

    fn close(found: &Array2<f64>, expected: &Array2<f64>) -> bool {
        (found - expected).iter().all(|d| d.abs() < 1e-10)
    }

    #[test]
    fn one_example_that_is_shared_out_has_the_bits_of_one_that_is_not() {
        let (n, features) = (131, (1 << 18) / 100);
        let mut stream = RandomStream::new(1, Purpose::Data, 0);
        let mut normal =
            |shape| Array2::from_shape_simple_fn(shape, || f32::from_f64(stream.normal()));
        let (weights, x, bias) = (normal((n, features)), normal((features, 1)), normal((1, n)));
        let run = || {
            let mut out = Array2::zeros((n, 1).f());
            let (x, columns) = (Features::Real(x.view()), Columns::Run { start: 0, len: 1 });
            x.linear_into(weights.view(), bias.row(0), columns, &mut Vec::new(), out.view_mut());
            out
        };
        let expected = run();
        let wide = |values: &Array2<f32>| values.mapv(f64::from);
        let oracle = naive(wide(&weights).view(), wide(&x).view()) + wide(&bias).t();
        assert!((wide(&expected) - oracle).iter().all(|apart| apart.abs() < 1e-3));
        for threads in [1, 2, 3, 8] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(run), expected, "{threads} threads");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn products_over_any_block_boundary_equal_the_definition(
            (n, features, m) in (0..6_usize, prop_oneof![0..5_usize, 250..260_usize, 510..520_usize], 0..5_usize),
            seed in 0..1000_u64,
            column_major: bool,
            pixels: bool,
        ) {
            let mut stream = RandomStream::new(seed, Purpose::Data, 0);
            let weights = Array2::from_shape_simple_fn((n, features), || stream.normal());
            let dz = Array2::from_shape_simple_fn((n, m), || stream.normal());
            let bytes = Array2::from_shape_simple_fn((features, m).set_f(column_major), || {
                u8::try_from(stream.up_to(255)).unwrap()
            });
            let real = bytes.mapv(|p| (f64::from(p) / 255.0 - 0.5) / 0.25);
            let scaling = PixelScaling::per_channel(&[0.5], &[0.25]).unwrap();
            let x = if pixels {
                Features::Pixels { values: bytes.view(), scaling }
            } else {
                Features::Real(real.view())
            };
            let order = stream.permutation(m);
            let shuffled = real.select(ndarray::Axis(1), &order);
            let run = Columns::Run { start: 0, len: m };
            for (columns, x_dense) in [(run, &real), (Columns::Listed(&order), &shuffled)] {
                let mut scratch = Vec::new();
                let mut z = Array2::from_elem((n, m), f64::NAN);
                x.multiply_into(weights.view(), columns, &mut scratch, z.view_mut());
                prop_assert!(close(&z, &naive(weights.view(), x_dense.view())));
                let rows = features / 3..features;
                let mut gradient = Array2::from_elem((n, rows.len()), 1.0);
                x.accumulate_gradient(0.5, dz.view(), rows.clone(), columns, &mut scratch, gradient.view_mut());
                let x_rows = x_dense.slice(s![rows, ..]);
                let expected = naive(dz.view(), x_rows.t()).mapv(|v| 1.0 + 0.5 * v);
                prop_assert!(close(&gradient, &expected));
            }
        }
    }
}
