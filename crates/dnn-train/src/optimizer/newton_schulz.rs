//! Matrices whose singular values are brought near 1, for [`Muon`](super::Muon).
//!
//! ```text
//! X = G / (|G| + epsilon)                   X = X^T if that has fewer rows
//! so many times:  A = X X^T,  X = (a I + b A + c A A) X
//! ```
//! Every step takes each singular value `s` of `X` to `a s + b s^3 + c s^5` and leaves the singular vectors as they are.
//! The coefficients are chosen for steepness at 0, not for an end at 1: what is not far below 1 comes to between
//! 0.68 and 1.21 and stays there.
//!
//! Products are cut by shape alone, into blocks that threads share; each block is summed in one order.
//!
//! # References
//! Jordan and others (2024), Muon: an optimizer for hidden layers in neural networks.

use std::mem::swap;

use dnn_core::{Element, multiply};
use dnn_kernels::{
    KernelPath, Kernels, Linear, Pairs, aligned_zeros, for_each_part, multiply_dense,
};
use ndarray::{Array2, ArrayView2, ArrayViewMut2, Axis, Zip, s};

use super::Shape;
use crate::regularization::sum_of_squares;

/// `a`, `b` and `c` of a step.
const COEFFICIENTS: [f64; 3] = [3.4445, -4.775, 2.0315];
/// Keeps a matrix of zeros from a division by 0.
const EPSILON: f64 = 1e-7;
/// Columns of a product that one task makes.
const PANEL: usize = 256;
/// Rows of a product of a matrix with itself that one task makes.
const ROWS: usize = 48;

/// Memory for matrices up to some size, and the iteration on it.
pub(super) struct NewtonSchulz<T> {
    /// `X`, and what becomes of it, as many numbers as the largest matrix has.
    matrices: [Array2<T>; 2],
    /// `A`, and the polynomial of it, squares of the shorter side.
    squares: [Array2<T>; 2],
}

impl<T: Element> NewtonSchulz<T> {
    /// Memory for matrices of these shapes, one at a time.
    pub(super) fn new(shapes: impl Iterator<Item = Shape>) -> Self {
        let (count, square) = largest(shapes);
        let zeros = |count| [(); 2].map(|()| aligned_zeros((1, count)));
        Self { matrices: zeros(count), squares: zeros(square) }
    }

    /// How many numbers that is.
    pub(super) fn numbers(shapes: impl Iterator<Item = Shape>) -> u128 {
        let (count, square) = largest(shapes);
        2 * (count as u128 + square as u128)
    }

    /// Zeros, to be changed to the matrix of the [iteration](Self::run).
    pub(super) fn zeros(&mut self, shape: Shape) -> ArrayViewMut2<'_, T> {
        let mut zeros = part_mut(&mut self.matrices[1], shape);
        zeros.fill(T::zero());
        zeros
    }

    /// What so many steps make of the matrix that [`zeros`](Self::zeros) became; `None` if its norm is not finite.
    pub(super) fn run(&mut self, shape: Shape, steps: u64) -> Option<ArrayView2<'_, T>> {
        let [x, next] = &mut self.matrices;
        let [gram, polynomial] = &mut self.squares;
        let (rows, columns) = shape;
        let is_tall = rows > columns;
        let (side, length) = (rows.min(columns), rows.max(columns));
        let given = part(next, shape);
        let norm = sum_of_squares(given).sqrt();
        if !norm.is_finite() {
            return None;
        }
        let scale = 1.0 / (norm + EPSILON);
        let given = if is_tall { given.reversed_axes() } else { given };
        let scaled = |x: &mut T, &given: &T| *x = T::from_f64(Into::<f64>::into(given) * scale);
        Zip::from(part_mut(x, (side, length))).and(given).for_each(scaled);
        let (mut x, mut next) = (x, next);
        for _ in 0..steps {
            let mut polynomial = part_mut(polynomial, (side, side));
            let matrix = part(x, (side, length));
            multiply_by_itself(matrix, part_mut(gram, (side, side)));
            let gram = part(gram, (side, side));
            multiply_by_panels(gram, gram, polynomial.view_mut());
            add_lower_powers(polynomial.view_mut(), gram);
            multiply_by_panels(polynomial.view(), matrix, part_mut(next, (side, length)));
            swap(&mut x, &mut next);
        }
        let made = part(x, (side, length));
        Some(if is_tall { made.reversed_axes() } else { made })
    }
}

/// The most numbers of a matrix, and of a square of its shorter side.
fn largest(shapes: impl Iterator<Item = Shape>) -> (usize, usize) {
    let of = |(rows, columns): Shape| (rows * columns, rows.min(columns).pow(2));
    shapes.map(of).fold((0, 0), |most, it| (most.0.max(it.0), most.1.max(it.1)))
}

/// The first numbers of the memory, as a matrix.
fn part<T>(memory: &Array2<T>, shape: Shape) -> ArrayView2<'_, T> {
    let numbers = memory.as_slice().expect("one row");
    ArrayView2::from_shape(shape, &numbers[..shape.0 * shape.1]).expect("as many numbers")
}

/// The same, to be changed.
fn part_mut<T>(memory: &mut Array2<T>, shape: Shape) -> ArrayViewMut2<'_, T> {
    let numbers = memory.as_slice_mut().expect("one row");
    let numbers = &mut numbers[..shape.0 * shape.1];
    ArrayViewMut2::from_shape(shape, numbers).expect("as many numbers")
}

/// `P = a I + b A + c P`, where `P` is `A A`.
fn add_lower_powers<T: Element>(mut polynomial: ArrayViewMut2<'_, T>, gram: ArrayView2<'_, T>) {
    let [a, b, c] = COEFFICIENTS.map(T::from_f64);
    polynomial.zip_mut_with(&gram, |square, &first| *square = b * first + c * *square);
    polynomial.diag_mut().mapv_inplace(|value| value + a);
}

/// `out = a b`.
fn multiply_by_panels<T: Element>(
    a: ArrayView2<'_, T>,
    b: ArrayView2<'_, T>,
    mut out: ArrayViewMut2<'_, T>,
) {
    let panels = out.axis_chunks_iter_mut(Axis(1), PANEL);
    let panels = Pairs { first: panels, second: b.axis_chunks_iter(Axis(1), PANEL) };
    for_each_part(panels, &|_, (mut out, b)| {
        if T::Kernels::VECTOR {
            out.fill(T::zero());
            multiply_dense(KernelPath::best(), a, b, out);
        } else {
            multiply(T::one(), a, b, T::zero(), out);
        }
    });
}

/// `out = x x^T`, of which what is not above the diagonal is computed, and the rest the same.
fn multiply_by_itself<T: Element>(x: ArrayView2<'_, T>, mut out: ArrayViewMut2<'_, T>) {
    let blocks = out.axis_chunks_iter_mut(Axis(0), ROWS);
    for_each_part(blocks, &|block, mut out| {
        let start = block * ROWS;
        let end = start + out.nrows();
        let (upper, rows) = (x.slice(s![..end, ..]), x.slice(s![start..end, ..]));
        let out = out.slice_mut(s![.., ..end]).reversed_axes();
        if T::Kernels::VECTOR {
            let map = Linear { weights: upper, scale: T::one(), bias: None };
            let row = |j| rows.index_axis_move(Axis(0), j).to_slice().expect("rows in one piece");
            T::Kernels::linear(KernelPath::best(), map, &row, out);
        } else {
            multiply(T::one(), upper, rows.reversed_axes(), T::zero(), out);
        }
    });
    for row in 0..out.nrows() {
        for column in row + 1..out.ncols() {
            out[(row, column)] = out[(column, row)];
        }
    }
}

#[cfg(test)]
mod tests {
    use dnn_core::{Purpose, RandomStream};

    use super::*;

    /// Rows that are orthogonal and of length 1, by Gram and Schmidt.
    fn orthogonal(rows: usize, columns: usize, seed: u64) -> Array2<f64> {
        let mut draws = RandomStream::new(seed, Purpose::Data, 0);
        let mut q = Array2::from_shape_simple_fn((rows, columns), || draws.normal());
        for row in 0..rows {
            // Twice, so that nothing is left of the rows before.
            for before in (0..row).chain(0..row) {
                let share = q.row(before).dot(&q.row(row));
                let other = q.row(before).to_owned();
                q.row_mut(row).scaled_add(-share, &other);
            }
            let length = q.row(row).dot(&q.row(row)).sqrt();
            q.row_mut(row).mapv_inplace(|value| value / length);
        }
        q
    }

    fn run<T: Element>(matrix: &Array2<f64>, steps: u64) -> Array2<f64> {
        // The memory is used before, and is larger than it has to be.
        let shapes = [matrix.dim(), (7, 9), (9, 7)];
        let mut iteration = NewtonSchulz::<T>::new(shapes.into_iter());
        iteration.zeros((9, 7)).fill(T::one());
        iteration.run((9, 7), 2).unwrap();
        iteration.zeros(matrix.dim()).assign(&matrix.mapv(T::from_f64));
        iteration.run(matrix.dim(), steps).unwrap().mapv(Into::into)
    }

    /// What a step makes of a singular value.
    fn step(s: f64) -> f64 {
        3.4445 * s - 4.775 * s.powi(3) + 2.0315 * s.powi(5)
    }

    /// `U S V^T` becomes `U f(S) V^T`: the singular values that come out are known without looking for them.
    fn assert_singular_values<T: Element>(shape: Shape, limit: f64) {
        let (rows, columns) = shape;
        let side = rows.min(columns);
        let (u, v) = (orthogonal(side, rows, 1), orthogonal(side, columns, 2));
        let singular: Vec<f64> = (0..side).map(|k| 3.0 + 2.0 * (k as f64).sin()).collect();
        let norm = singular.iter().map(|s| s * s).sum::<f64>().sqrt();
        let with = |values: &[f64]| {
            let scaled = Array2::from_shape_fn(v.dim(), |(k, j)| values[k] * v[(k, j)]);
            u.t().dot(&scaled)
        };
        for steps in [1, 3, 5] {
            let of = |s: &f64| (0..steps).fold(s / (norm + EPSILON), |s, _| step(s));
            let expected: Vec<f64> = singular.iter().map(of).collect();
            let apart = run::<T>(&with(&singular), steps) - with(&expected);
            let apart = apart.fold(0.0_f64, |most, d| most.max(d.abs()));
            assert!(apart < limit, "{rows} x {columns}, {steps} steps: {apart:e}");
            // They are a factor of 5 apart at most: of 20 numbers with a norm of 1 none is below 0.05.
            if steps == 5 && side <= 20 {
                assert!(expected.iter().all(|s| (0.68..1.21).contains(s)), "{expected:?}");
            }
            if steps == 3 && side <= 20 {
                assert!(expected.iter().all(|s| (0.5..1.21).contains(s)), "{expected:?}");
            }
        }
    }

    #[test]
    fn singular_values_come_near_1_and_vectors_stay() {
        for shape in [(1, 1), (1, 9), (9, 1), (5, 5), (4, 27), (20, 7), (19, 300), (130, 600)] {
            assert_singular_values::<f64>(shape, 1e-12);
            assert_singular_values::<f32>(shape, 2e-5);
            assert_singular_values::<f64>((shape.1, shape.0), 1e-12);
        }
    }

    #[test]
    fn between_the_bounds_nothing_leaves_them() {
        // The ends are the extremes of the polynomial between 0.55 and 1.21.
        let mut s = 0.55;
        while s < 1.21 {
            assert!((0.68..1.21).contains(&step(s)), "{s}: {}", step(s));
            s += 1e-3;
        }
    }

    #[test]
    fn zeros_stay_and_what_is_not_finite_is_told() {
        let mut iteration = NewtonSchulz::<f64>::new([(3, 5)].into_iter());
        iteration.zeros((3, 5));
        assert_eq!(iteration.run((3, 5), 3).unwrap(), Array2::<f64>::zeros((3, 5)));
        for bad in [f64::NAN, f64::INFINITY, 1e200] {
            iteration.zeros((3, 5))[(1, 2)] = bad;
            assert!(iteration.run((3, 5), 3).is_none(), "{bad}");
        }
        assert_eq!(NewtonSchulz::<f64>::numbers([(3, 5), (9, 2)].into_iter()), 2 * (18 + 9));
    }
}
