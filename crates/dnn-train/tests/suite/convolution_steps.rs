//! The step-by-step way back through convolution and pooling: against slopes, ties, and calls that are refused.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use dnn_core::{CoreError, Element, RandomStream};
use dnn_train::course::{
    ConvCache, ConvSettings, PoolCache, PoolMode, PoolSettings, conv_backward, conv_forward,
    create_mask_from_window, distribute_value, pool_backward, pool_forward,
};
use dnn_train::relu_backward;
use ndarray::{Array4, ArrayView4, array};

/// Gradients found and slopes may differ by this much: the sums are of some hundred numbers around 1.
const LIMIT: f64 = 1e-8;

fn draw(shape: [usize; 4], seed: u32) -> Array4<f64> {
    let mut stream = RandomStream::numpy_legacy(seed);
    Array4::from_shape_simple_fn(shape, || stream.normal())
}

/// Compares with the slope of `cost` in each number of `at`.
fn assert_slopes(gradient: &Array4<f64>, at: &Array4<f64>, cost: impl Fn(&Array4<f64>) -> f64) {
    let step = 1e-4;
    assert_eq!(gradient.dim(), at.dim());
    for (place, &found) in gradient.indexed_iter() {
        let moved = |by: f64| {
            let mut moved = at.clone();
            moved[place] += by;
            cost(&moved)
        };
        let slope = (moved(step) - moved(-step)) / (2.0 * step);
        assert!((found - slope).abs() <= LIMIT, "{place:?}: gradient {found}, slope {slope}");
    }
}

/// Rows and columns differ, and with some strides the last of them belong to no window.
#[test]
fn conv_backward_is_the_slope_of_conv_forward() {
    for (f, stride, pad) in [(1, 1, 0), (2, 1, 0), (2, 2, 1), (3, 2, 0), (3, 3, 2), (4, 1, 3)] {
        let settings = ConvSettings { stride, pad };
        let (a_prev, weights) = (draw([2, 4, 5, 2], 1), draw([f, f, 2, 3], 2));
        let bias = draw([1, 1, 1, 3], 3);
        let (z, cache) =
            conv_forward(a_prev.view(), weights.view(), bias.view(), settings).unwrap();
        // The cost is sum(dZ * Z), whose gradient at Z is dZ.
        let dz = draw(z.dim().into(), 4);
        let cost = |a: ArrayView4<'_, f64>, w: ArrayView4<'_, f64>, b: ArrayView4<'_, f64>| {
            (&conv_forward(a, w, b, settings).unwrap().0 * &dz).sum()
        };
        let found = conv_backward(dz.view(), &cache).unwrap();
        assert_slopes(&found.da_prev, &a_prev, |a| cost(a.view(), weights.view(), bias.view()));
        assert_slopes(&found.weights, &weights, |w| cost(a_prev.view(), w.view(), bias.view()));
        assert_slopes(&found.bias, &bias, |b| cost(a_prev.view(), weights.view(), b.view()));
    }
}

#[test]
fn pool_backward_is_the_slope_of_pool_forward() {
    for mode in [PoolMode::Max, PoolMode::Average] {
        for (window, stride) in [(1, 1), (2, 1), (2, 2), (3, 2), (2, 3)] {
            let settings = PoolSettings { window, stride, mode };
            let a_prev = draw([2, 4, 5, 2], 5);
            let (a, cache) = pool_forward(a_prev.view(), settings).unwrap();
            let da = draw(a.dim().into(), 6);
            let found = pool_backward(da.view(), &cache).unwrap();
            assert_slopes(&found, &a_prev, |x| {
                (&pool_forward(x.view(), settings).unwrap().0 * &da).sum()
            });
        }
    }
}

/// The same bits as for the matrix with as many numbers, in any order of the axes.
#[test]
fn relu_backward_of_pictures_is_that_of_matrices() {
    let (da, mut z) = (draw([2, 3, 4, 5], 8), draw([2, 3, 4, 5], 9));
    z[[0, 1, 2, 3]] = 0.0;
    let matrix = |pictures: &Array4<f64>| pictures.to_shape((6, 20)).unwrap().to_owned();
    let of_matrix = relu_backward(matrix(&da).view(), matrix(&z).view()).unwrap();
    let of_pictures = relu_backward(da.view(), z.view()).unwrap();
    assert_eq!(matrix(&of_pictures), of_matrix);
    assert_eq!(of_pictures[[0, 1, 2, 3]], 0.0);
    assert!(of_pictures.iter().any(|&dz| dz != 0.0));
    // Channels first, of which the numbers do not lie in one piece after the other.
    let axes = [0, 3, 1, 2];
    let turned = relu_backward(da.view().permuted_axes(axes), z.view().permuted_axes(axes));
    assert_eq!(turned.unwrap(), of_pictures.view().permuted_axes(axes));
    let copy = da.view().permuted_axes(axes).as_standard_layout().into_owned();
    let turned = relu_backward(copy.view(), z.view().permuted_axes(axes)).unwrap();
    assert_eq!(turned, of_pictures.view().permuted_axes(axes));

    let vector = relu_backward(array![3.0, 4.0].view(), array![-1.0, 1.0].view()).unwrap();
    assert_eq!(vector, array![0.0, 4.0]);
    let error = relu_backward(Array4::zeros((2, 3, 4, 1)).view(), z.view()).unwrap_err();
    assert_eq!(error.to_string(), "dA: expected shape (2, 3, 4, 5), found (2, 3, 4, 1)");
}

/// All numbers here are small whole numbers, which both precisions have exactly.
#[test]
fn single_precision_gives_the_same() {
    let whole = |shape| draw(shape, 7).mapv(|x| (x * 3.0).round());
    let (a_prev, weights, dz) = (whole([2, 4, 4, 2]), whole([2, 2, 2, 3]), whole([2, 2, 2, 3]));
    let (settings, bias) = (ConvSettings { stride: 2, pad: 0 }, whole([1, 1, 1, 3]));
    let (z, cache) = conv_forward(a_prev.view(), weights.view(), bias.view(), settings).unwrap();
    let found = conv_backward(dz.view(), &cache).unwrap();
    let single = |array: &Array4<f64>| array.mapv(f32::from_f64);
    let (a_prev, weights, bias) = (single(&a_prev), single(&weights), single(&bias));
    let (z_single, cache) =
        conv_forward(a_prev.view(), weights.view(), bias.view(), settings).unwrap();
    assert_eq!(z_single, single(&z));
    let found_single = conv_backward(single(&dz).view(), &cache).unwrap();
    assert_eq!(found_single.da_prev, single(&found.da_prev));
    assert_eq!(found_single.weights, single(&found.weights));
    assert_eq!(found_single.bias, single(&found.bias));
}

#[test]
fn every_one_of_equal_maxima_gets_the_whole_gradient() {
    let a_prev = array![[[[7.0], [0.0], [7.0]], [[7.0], [1.0], [2.0]]]];
    let settings = PoolSettings { window: 2, stride: 1, mode: PoolMode::Max };
    let (_, cache) = pool_forward(a_prev.view(), settings).unwrap();
    let da_prev = pool_backward(array![[[[3.0], [5.0]]]].view(), &cache).unwrap();
    assert_eq!(da_prev, array![[[[3.0], [0.0], [5.0]], [[3.0], [0.0], [0.0]]]]);
    // No number is equal to NaN.
    let mask = create_mask_from_window(array![[1.0, f64::NAN]].view());
    assert_eq!(mask, array![[false, false]]);
}

#[test]
fn shapes_and_settings_that_do_not_fit_are_refused() {
    let (a_prev, weights) = (draw([1, 4, 4, 2], 1), draw([2, 2, 2, 3], 2));
    let settings = ConvSettings { stride: 2, pad: 0 };
    let cache = ConvCache { a_prev: a_prev.view(), weights: weights.view(), settings };
    let refused = |dz: [usize; 4], cache: &ConvCache<'_, f64>| {
        conv_backward(Array4::zeros(dz).view(), cache).unwrap_err().to_string()
    };
    for (dz, found) in [([1, 3, 2, 3], "(1, 3, 2, 3)"), ([1, 2, 2, 1], "(1, 2, 2, 1)")] {
        let expected = "dZ (m, n_H, n_W, n_C): expected shape (1, 2, 2, 3), found ";
        assert_eq!(refused(dz, &cache), format!("{expected}{found}"));
    }
    for settings in [
        ConvSettings { stride: 0, pad: 0 },
        ConvSettings { stride: 2, pad: usize::MAX },
        ConvSettings { stride: usize::MAX, pad: 1 << 40 },
    ] {
        let wrong = ConvCache { settings, ..cache.clone() };
        let error = conv_backward(Array4::zeros((1, 1, 1, 3)).view(), &wrong).unwrap_err();
        assert!(matches!(error, CoreError::Invalid { .. }), "{error}");
    }
    let others = draw([2, 2, 3, 3], 2);
    let wrong = ConvCache { weights: others.view(), ..cache };
    assert_eq!(
        refused([1, 2, 2, 3], &wrong),
        "W (f, f, n_C_prev, n_C): expected shape (2, 2, 2, 3), found (2, 2, 3, 3)"
    );

    let settings = PoolSettings { window: 2, stride: 2, mode: PoolMode::Max };
    let cache = PoolCache { a_prev: a_prev.view(), settings };
    let error = pool_backward(Array4::zeros((1, 2, 2, 3)).view(), &cache).unwrap_err();
    assert_eq!(
        error.to_string(),
        "dA (m, n_H, n_W, n_C): expected shape (1, 2, 2, 2), found (1, 2, 2, 3)"
    );
    let wrong = PoolCache { settings: PoolSettings { window: 5, ..settings }, ..cache };
    let error = pool_backward(Array4::zeros((1, 1, 1, 2)).view(), &wrong).unwrap_err();
    assert!(error.to_string().ends_with("(5, 5) for pictures of (1, 4, 4, 2) with no border"));

    for [rows, columns] in [[0, 2], [2, 0], [usize::MAX, 2], [1 << 20, 1 << 20]] {
        let error = distribute_value(1.0, rows, columns).unwrap_err();
        assert!(
            error.to_string().ends_with(&format!("found shape ({rows}, {columns})")),
            "{error}"
        );
    }
}
