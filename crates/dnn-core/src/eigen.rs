//! Eigenvalues and eigenvectors of symmetric matrices.

use ndarray::{Array1, Array2, ArrayView2};

/// Sweeps that are more than enough: convergence is quadratic in the end, and takes six to ten.
const MOST_SWEEPS: usize = 64;

/// The eigenvalues of a symmetric matrix `A`, the largest first, and for each an eigenvector of norm 1 as a row.
///
/// `A = V^T diag(values) V`. Of the two directions of an eigenvector the one is taken whose component of the largest size is
/// positive. Cyclic Jacobi rotations: sums, products, quotients and roots alone, and so the same bits on every machine; for
/// matrices of up to some hundred rows, with an effort of the third power of these.
///
/// # Shapes
/// `A` is `(n, n)`, of which the upper triangle counts; the result is `(n)` and `(n, n)`.
///
/// # Panics
/// If `A` is not square.
///
/// # References
/// Golub and Van Loan (2013), Matrix computations, section 8.5.
///
/// # Examples
/// ```
/// use dnn_core::symmetric_eigen;
/// use ndarray::array;
///
/// let (values, vectors) = symmetric_eigen(array![[2.0, 1.0], [1.0, 2.0]].view());
/// assert!((values[0] - 3.0).abs() < 1e-15 && (values[1] - 1.0).abs() < 1e-15);
/// let half = 0.5_f64.sqrt();
/// assert!((vectors[(0, 0)] - half).abs() < 1e-15 && (vectors[(0, 1)] - half).abs() < 1e-15);
/// ```
pub fn symmetric_eigen(a: ArrayView2<'_, f64>) -> (Array1<f64>, Array2<f64>) {
    let n = a.nrows();
    assert_eq!(n, a.ncols(), "a square matrix");
    let mut a = Array2::from_shape_fn((n, n), |(i, j)| a[(i.min(j), i.max(j))]);
    let mut vectors = Array2::eye(n);
    // What is smaller changes nothing that could be told from rounding.
    let least = f64::EPSILON / 16.0 * a.iter().map(|x| x * x).sum::<f64>().sqrt();
    for _ in 0..MOST_SWEEPS {
        let mut is_diagonal = true;
        for p in 0..n {
            for q in p + 1..n {
                if a[(p, q)].abs() > least {
                    turn(&mut a, &mut vectors, [p, q]);
                    is_diagonal = false;
                }
            }
        }
        if is_diagonal {
            break;
        }
    }
    let mut order: Vec<usize> = (0..n).collect();
    order.sort_by(|&i, &j| a[(j, j)].total_cmp(&a[(i, i)]));
    let values = order.iter().map(|&i| a[(i, i)]).collect();
    let mut sorted = Array2::zeros((n, n));
    for (mut to, &i) in sorted.rows_mut().into_iter().zip(&order) {
        let vector = vectors.row(i);
        let largest =
            vector.iter().fold(0.0_f64, |most, &x| if x.abs() > most.abs() { x } else { most });
        to.assign(&vector);
        if largest < 0.0 {
            to.mapv_inplace(|x| -x);
        }
    }
    (values, sorted)
}

/// A rotation of the axes `p` and `q` that makes `a[p, q]` 0.
fn turn(a: &mut Array2<f64>, vectors: &mut Array2<f64>, [p, q]: [usize; 2]) {
    let [app, aqq, apq] = [a[(p, p)], a[(q, q)], a[(p, q)]];
    let theta = (aqq - app) / (2.0 * apq);
    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
    let c = 1.0 / (t * t + 1.0).sqrt();
    let s = t * c;
    for k in 0..a.nrows() {
        let (x, y) = (a[(k, p)], a[(k, q)]);
        a[(k, p)] = c * x - s * y;
        a[(k, q)] = s * x + c * y;
    }
    for k in 0..a.nrows() {
        let (x, y) = (a[(p, k)], a[(q, k)]);
        a[(p, k)] = c * x - s * y;
        a[(q, k)] = s * x + c * y;
        let (x, y) = (vectors[(p, k)], vectors[(q, k)]);
        vectors[(p, k)] = c * x - s * y;
        vectors[(q, k)] = s * x + c * y;
    }
    [a[(p, q)], a[(q, p)]] = [0.0; 2];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Purpose, RandomStream};

    /// A symmetric matrix of normal numbers.
    fn drawn(n: usize) -> Array2<f64> {
        let mut stream = RandomStream::new(1, Purpose::Data, 0);
        let half = Array2::from_shape_simple_fn((n, n), || stream.normal());
        &half + &half.t()
    }

    #[test]
    fn vectors_are_orthonormal_and_give_the_matrix_back() {
        for n in [0, 1, 2, 3, 27, 75] {
            let a = drawn(n);
            let (values, vectors) = symmetric_eigen(a.view());
            let back = vectors.t().dot(&(Array2::from_diag(&values).dot(&vectors)));
            let near = |one: &Array2<f64>, other: &Array2<f64>| {
                one.iter().zip(other).all(|(x, y)| (x - y).abs() < 1e-12)
            };
            assert!(near(&back, &a), "{n}");
            assert!(near(&vectors.dot(&vectors.t()), &Array2::eye(n)), "{n}");
            assert!(values.iter().zip(values.iter().skip(1)).all(|(one, next)| one >= next));
        }
    }

    #[test]
    fn directions_are_chosen() {
        for vector in symmetric_eigen(drawn(9).view()).1.rows() {
            let largest = vector.iter().copied().max_by(|x, y| x.abs().total_cmp(&y.abs()));
            assert!(largest.unwrap() > 0.0);
        }
        // What is diagonal stays to the bit; only the order changes.
        let (values, vectors) =
            symmetric_eigen(Array2::from_diag(&ndarray::arr1(&[1.0, 0.0, 3.0])).view());
        assert_eq!(values.to_vec(), [3.0, 1.0, 0.0]);
        assert_eq!(vectors.row(0).to_vec(), [0.0, 0.0, 1.0]);
    }

    #[test]
    fn what_is_not_finite_ends() {
        let (values, _) = symmetric_eigen(Array2::from_elem((3, 3), f64::NAN).view());
        assert!(values.iter().all(|value| value.is_nan()));
    }
}
