//! The course's convolution and pooling, every number that was published and every other of the same calls, in `f64`,
//! to 1e-12. Inputs are drawn as the recipe of the case says.
#![allow(clippy::unwrap_used, reason = "a test may stop at a broken golden file")]

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;

use crate::support::number;
use dnn_core::{Mt19937, RandomStream};
use dnn_layers::Mode;
use dnn_train::course::{
    ConvBatchNorm, ConvCache, ConvSettings, PoolMode, PoolSettings, conv_backward, conv_forward,
    conv_single_step, create_mask_from_window, distribute_value, identity_block, pool_backward,
    pool_forward, zero_pad,
};
use ndarray::{Array2, Array3, Array4, ArrayD, ArrayView, Axis, Dimension, array, s, stack};
use serde_json::Value;

/// Of numbers below 1; of larger ones, as a share of them.
const LIMIT: f64 = 1e-12;

#[test]
fn convolution_model_step_by_step() {
    let json: Value =
        serde_json::from_str(include_str!("../golden/c4w1_convolution.json")).unwrap();
    let (mut cases, mut published) = (0, 0);
    for value in json["cases"].as_array().unwrap() {
        let case = Case { value, checked: RefCell::default(), published: Cell::new(0) };
        match value["name"].as_str().unwrap() {
            "zero_pad_2" => padding(&case, 2),
            "zero_pad_3" => padding(&case, 3),
            "conv_single_step" => case.check("Z", &single_step(1, 4).right),
            "conv_single_step_v1_wrong_bias" => case.check("Z", &single_step(1, 4).bias_each),
            "conv_single_step_seed3" => case.check("Z", &single_step(3, 5).right),
            "conv_forward_v2" => {
                forward(&case, &Conv::draw([10, 4, 4, 3], 2), ConvSettings { stride: 2, pad: 2 });
            }
            "conv_forward_v2a" => {
                forward(&case, &Conv::draw([10, 5, 7, 4], 3), ConvSettings { stride: 2, pad: 1 });
            }
            "conv_forward_2021" => {
                forward(&case, &Conv::draw([2, 5, 7, 4], 3), ConvSettings { stride: 2, pad: 1 });
            }
            "conv_forward_shapes_and_seed3" => forward_of_seed_3(&case),
            "conv_forward_and_backward_v1_wrong_bias" => bias_in_each_product(&case),
            "conv_backward" => backward(&case),
            "conv_backward_wrong_stride_ignored" => backward_without_stride(&case),
            "pool_forward_v1" => pooling(&case, [2, 4, 4, 3], 4, 1),
            "pool_forward_v2" => pooling(&case, [2, 4, 4, 3], 3, 2),
            "pool_forward_v2a_stride1" => pooling(&case, [2, 5, 5, 3], 3, 1),
            "pool_forward_v2a_stride2" => pooling(&case, [2, 5, 5, 3], 3, 2),
            "pool_forward_f2_stride1" => pooling(&case, [2, 5, 5, 3], 2, 1),
            "create_mask_from_window" => {
                let x = Draws::new(1).matrix([2, 3]);
                case.check("x", &x);
                case.check("mask", &ones(&create_mask_from_window(x.view())));
            }
            "create_mask_from_window_3x3" => {
                let x = array![[-1.0, 2.0, 3.0], [2.0, -3.0, 2.0], [1.0, 5.0, -2.0]];
                case.check("mask", &ones(&create_mask_from_window(x.view())));
            }
            "distribute_value" => case.check("a", &distribute_value(2.0, 2, 2).unwrap()),
            "pool_backward" => backward_of_pooling(&case),
            "c4w2_identity_block_inference" => residual(&case, [4, 4, 3], Mode::Prediction),
            "c4w2_identity_block_training" => residual(&case, [3, 3, 3], Mode::Training),
            other => panic!("a golden case without a test: {other}"),
        }
        case.expect_all_checked();
        cases += 1;
        published += case.published.get();
    }
    assert_eq!((cases, published), (23, 59));
}

/// A case, and the names of what of it was compared.
struct Case<'a> {
    value: &'a Value,
    checked: RefCell<BTreeSet<String>>,
    published: Cell<usize>,
}

impl Case<'_> {
    /// Compares with the expected numbers, and with the published ones if there are any.
    #[track_caller]
    fn check(&self, key: &str, found: &impl Numbers) {
        let (name, found) = (&self.value["name"], found.numbers());
        let expected = nested(&self.value["expected"][key]);
        assert_eq!(found.shape(), expected.shape(), "{name}: {key}");
        for (&found, &expected) in found.iter().zip(&expected) {
            let apart = (found - expected).abs() / expected.abs().max(1.0);
            assert!(apart <= LIMIT, "{name}: {key}: {found} for {expected}");
        }
        if let Some(published) = self.value["published"].get(key) {
            let within = number(&self.value["within"][key]);
            let apart = (&found - &nested(published)).fold(0.0_f64, |most, d| most.max(d.abs()));
            assert!(apart <= within, "{name}: {key}: {apart:e} from what was published");
            self.published.set(self.published.get() + 1);
        }
        assert!(self.checked.borrow_mut().insert(key.to_owned()), "{name}: {key} twice");
    }

    fn expect_all_checked(&self) {
        let checked = self.checked.borrow();
        for part in ["expected", "published"] {
            for key in self.value[part].as_object().unwrap().keys() {
                assert!(checked.contains(key), "{}: {key} without a test", self.value["name"]);
            }
        }
    }
}

/// What can be compared: a number, a list of sizes, an array.
trait Numbers {
    fn numbers(&self) -> ArrayD<f64>;
}

impl Numbers for f64 {
    fn numbers(&self) -> ArrayD<f64> {
        ndarray::arr0(*self).into_dyn()
    }
}

impl Numbers for [usize; 4] {
    fn numbers(&self) -> ArrayD<f64> {
        self.iter().map(|&n| n as f64).collect::<ndarray::Array1<f64>>().into_dyn()
    }
}

impl<D: Dimension> Numbers for ArrayView<'_, f64, D> {
    fn numbers(&self) -> ArrayD<f64> {
        self.to_owned().into_dyn()
    }
}

impl<D: Dimension> Numbers for ndarray::Array<f64, D> {
    fn numbers(&self) -> ArrayD<f64> {
        self.clone().into_dyn()
    }
}

/// A number, or lists in lists.
fn nested(value: &Value) -> ArrayD<f64> {
    let Some(list) = value.as_array() else { return number(value).numbers() };
    let parts: Vec<ArrayD<f64>> = list.iter().map(nested).collect();
    let views: Vec<_> = parts.iter().map(|part| part.view()).collect();
    stack(Axis(0), &views).unwrap()
}

fn ones(mask: &Array2<bool>) -> Array2<f64> {
    mask.mapv(|is_largest| f64::from(u8::from(is_largest)))
}

fn mean(array: &Array4<f64>) -> f64 {
    array.sum() / array.len() as f64
}

/// `np.random.seed`, and `randn` one after another.
struct Draws(RandomStream<Mt19937>);

impl Draws {
    fn new(seed: u32) -> Self {
        Self(RandomStream::numpy_legacy(seed))
    }

    fn matrix(&mut self, shape: [usize; 2]) -> Array2<f64> {
        Array2::from_shape_simple_fn(shape, || self.0.normal())
    }

    fn window(&mut self, shape: [usize; 3]) -> Array3<f64> {
        Array3::from_shape_simple_fn(shape, || self.0.normal())
    }

    fn pictures(&mut self, shape: [usize; 4]) -> Array4<f64> {
        Array4::from_shape_simple_fn(shape, || self.0.normal())
    }
}

/// What a convolution is given.
struct Conv {
    a_prev: Array4<f64>,
    weights: Array4<f64>,
    bias: Array4<f64>,
}

impl Conv {
    /// Pictures, then eight filters of `f` x `f` and their bias, from seed 1.
    fn draw(pictures: [usize; 4], f: usize) -> Self {
        let mut draws = Draws::new(1);
        Self {
            a_prev: draws.pictures(pictures),
            weights: draws.pictures([f, f, pictures[3], 8]),
            bias: draws.pictures([1, 1, 1, 8]),
        }
    }

    fn forward(&self, settings: ConvSettings) -> (Array4<f64>, ConvCache<'_, f64>) {
        let Self { a_prev, weights, bias } = self;
        conv_forward(a_prev.view(), weights.view(), bias.view(), settings).unwrap()
    }
}

fn padding(case: &Case, pad: usize) {
    let x = Draws::new(1).pictures([4, 3, 3, 2]);
    let padded = zero_pad(x.view(), pad).unwrap();
    case.check("shape", &<[usize; 4]>::from(padded.dim()));
    case.check("x_1_1", &x.slice(s![1, 1, .., ..]));
    case.check("x_pad_1_1", &padded.slice(s![1, 1, .., ..]));
    case.check("x_pad_1_row_pad", &padded.slice(s![1, pad, .., ..]));
    case.check("x_pad_sum", &padded.sum());
    case.check("nonzero", &(padded.iter().filter(|&&x| x != 0.0).count() as f64));
}

struct SingleStep {
    right: f64,
    /// The first edition of the course had `sum(a_slice_prev * W + b)`: the bias as often as there are products.
    bias_each: f64,
}

fn single_step(seed: u32, f: usize) -> SingleStep {
    let mut draws = Draws::new(seed);
    let (a, weights) = (draws.window([f, f, 3]), draws.window([f, f, 3]));
    let bias = draws.window([1, 1, 1]);
    let right = conv_single_step(a.view(), weights.view(), bias.view()).unwrap();
    SingleStep { right, bias_each: right + (a.len() - 1) as f64 * bias[[0, 0, 0]] }
}

fn forward(case: &Case, conv: &Conv, settings: ConvSettings) {
    let (z, cache) = conv.forward(settings);
    case.check("shape", &<[usize; 4]>::from(z.dim()));
    case.check("Z_mean", &mean(&z));
    case.check("Z", &z);
    case.check("cache_0_1_2_3", &cache.a_prev.slice(s![1, 2, 3, ..]));
    if case.value["expected"].get("Z_0_2_1").is_some() {
        case.check("Z_0_2_1", &z.slice(s![0, 2, 1, ..]));
        case.check("Z_0_0_0_0", &z[[0, 0, 0, 0]]);
        case.check("Z_1_2_3_7", &z[[1, 2, 3, 7]]);
    } else {
        case.check("Z_3_2_1", &z.slice(s![3, 2, 1, ..]));
    }
}

fn forward_of_seed_3(case: &Case) {
    let mut draws = Draws::new(3);
    let mut of_3 = Conv {
        a_prev: draws.pictures([2, 5, 7, 4]),
        weights: draws.pictures([3, 3, 4, 8]),
        bias: draws.pictures([1, 1, 1, 8]),
    };
    let corners = |z: &Array4<f64>| array![z[[0, 0, 0, 0]], *z.last().unwrap()];
    for (name, settings) in [
        ("W_pad3_stride1", ConvSettings { stride: 1, pad: 3 }),
        ("W_pad0_stride2", ConvSettings { stride: 2, pad: 0 }),
    ] {
        let (z, _) = of_3.forward(settings);
        case.check(&format!("shape_{name}"), &<[usize; 4]>::from(z.dim()));
        case.check(&format!("corners_{name}"), &corners(&z));
    }
    of_3.weights = draws.pictures([5, 5, 4, 8]);
    of_3.bias = draws.pictures([1, 1, 1, 8]);
    let (z, cache) = of_3.forward(ConvSettings { stride: 1, pad: 6 });
    case.check("shape", &<[usize; 4]>::from(z.dim()));
    case.check("corners", &corners(&z));
    case.check("Z_mean", &mean(&z));
    case.check("Z_0_6", &z.slice(s![0, 6, .., ..]));
    case.check("Z_1_12", &z.slice(s![1, 12, .., ..]));
    case.check("Z_sum_of_squares", &(&z * &z).sum());
    case.check("cache_0_1_2", &cache.a_prev.slice(s![1, 2, .., ..]));
}

/// Not a target: the mistake of the first edition, made here by a bias as many times as large as there are products.
fn bias_in_each_product(case: &Case) {
    let settings = ConvSettings { stride: 1, pad: 2 };
    let mut conv = Conv::draw([10, 4, 4, 3], 2);
    case.check("Z_mean_with_the_right_bias", &mean(&conv.forward(settings).0));
    conv.bias *= 12.0;
    let (z, cache) = conv.forward(settings);
    case.check("Z_mean", &mean(&z));
    let gradients = conv_backward(z.view(), &cache).unwrap();
    case.check("dA_mean", &mean(&gradients.da_prev));
    case.check("dW_mean", &mean(&gradients.weights));
    case.check("db_mean", &mean(&gradients.bias));
}

fn backward(case: &Case) {
    let conv = Conv::draw([10, 4, 4, 3], 2);
    let (z, cache) = conv.forward(ConvSettings { stride: 2, pad: 2 });
    let gradients = conv_backward(z.view(), &cache).unwrap();
    case.check("dA", &gradients.da_prev);
    case.check("dW", &gradients.weights);
    case.check("db", &gradients.bias);
    case.check("dA_mean", &mean(&gradients.da_prev));
    case.check("dW_mean", &mean(&gradients.weights));
    case.check("db_mean", &mean(&gradients.bias));
}

/// Not a target: a backward pass whose windows start at `h` and `w` instead of `h stride` and `w stride`. It is made here
/// by a `dZ` of a convolution at stride 1 that is 0 beyond the 4 x 4 places.
fn backward_without_stride(case: &Case) {
    let conv = Conv::draw([10, 4, 4, 3], 2);
    let (z, right) = conv.forward(ConvSettings { stride: 2, pad: 2 });
    let wrong = ConvCache { settings: ConvSettings { stride: 1, pad: 2 }, ..right.clone() };
    let mut dz = Array4::zeros(wrong.output_shape().unwrap());
    dz.slice_mut(s![.., ..4, ..4, ..]).assign(&z);
    let wrong = conv_backward(dz.view(), &wrong).unwrap();
    case.check("dA_mean", &mean(&wrong.da_prev));
    case.check("dW_mean", &mean(&wrong.weights));
    let right = conv_backward(z.view(), &right).unwrap();
    assert_eq!(wrong.bias, right.bias, "db does not show the mistake");
}

fn pooling(case: &Case, pictures: [usize; 4], window: usize, stride: usize) {
    let a_prev = Draws::new(1).pictures(pictures);
    for (name, mode) in [("max", PoolMode::Max), ("average", PoolMode::Average)] {
        let settings = PoolSettings { window, stride, mode };
        let (a, _) = pool_forward(a_prev.view(), settings).unwrap();
        if mode == PoolMode::Max {
            case.check("shape", &<[usize; 4]>::from(a.dim()));
        }
        case.check(name, &a);
        if case.value["expected"].get("max_1_1").is_some() {
            case.check(&format!("{name}_1_1"), &a.slice(s![1, 1, .., ..]));
        }
    }
}

fn backward_of_pooling(case: &Case) {
    let mut draws = Draws::new(1);
    let (a_prev, da) = (draws.pictures([5, 5, 3, 2]), draws.pictures([5, 4, 2, 2]));
    case.check("dA_mean", &mean(&da));
    for (name, mode) in [("max", PoolMode::Max), ("average", PoolMode::Average)] {
        let settings = PoolSettings { window: 2, stride: 1, mode };
        let (_, cache) = pool_forward(a_prev.view(), settings).unwrap();
        let da_prev = pool_backward(da.view(), &cache).unwrap();
        case.check(&format!("dA_prev_{name}"), &da_prev);
        case.check(&format!("{name}_1_1"), &da_prev.slice(s![1, 1, .., ..]));
    }
}

fn residual(case: &Case, filters: [usize; 3], mode: Mode) {
    let x = Array4::from_shape_fn((3, 4, 4, 3), |(i, ..)| [-1.0, 1.0, 3.0][i]);
    let part = |f, from, to| ConvBatchNorm {
        epsilon: 0.001,
        ..ConvBatchNorm::new(Array4::ones((f, f, from, to)))
    };
    let [first, middle, last] = filters;
    let parts = [part(1, 3, first), part(2, first, middle), part(1, middle, last)];
    let out = identity_block(x.view(), &parts, mode).unwrap();
    let rows = out.select(Axis(1), &[0, 3]);
    case.check("out", &rows.mean_axis(Axis(3)).unwrap());
}
