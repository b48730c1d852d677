//! A convolution, a ReLU and a pooling with every number shown, forward and backward, on one picture of 4 x 4 pixels.
//!
//! ```text
//! cargo run --release --example convolution_step_by_step [-- FILTERS.svg]
//! ```
//!
//! What to look at: each block has a name, its formula and its shape, then the numbers as they lie in the picture. There
//! is one picture, one channel and one filter, so that an array of `(1, n_H, n_W, 1)` is shown as `n_H` rows of `n_W`
//! numbers. Follow the pixel at row 1, column 1 of `Z` up to its window and down to the pooled picture, and then the
//! gradient back along the same way. One window of the pooling has four zeros: each of them is its maximum.
//!
//! At the end four filters, the first of them that of the parts before, look at a handwritten digit. The drawing, `target/filters.svg` unless named, shows what each of
//! them sees: orange where the digit is like the filter, blue where it is the opposite of it.

#[macro_use]
#[path = "support/say.rs"]
mod say;

#[path = "support/filters.rs"]
mod filters;

use std::env;
use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use dnn_layers::Activation;
use dnn_train::course::{
    ConvCache, ConvSettings, PoolCache, PoolMode, PoolSettings, conv_backward, conv_forward,
    conv_output_size, conv_single_step, create_mask_from_window, distribute_value, pool_backward,
    pool_forward, zero_pad,
};
use dnn_train::relu_backward;
use filters::Seen;
use ndarray::{Array2, Array4, ArrayView2, ArrayView4, Axis, arr2, array, s};

const CONV: ConvSettings = ConvSettings { stride: 1, pad: 1 };
const POOL: PoolSettings = PoolSettings { window: 2, stride: 2, mode: PoolMode::Max };
/// The pixel that is followed.
const H: usize = 1;
const W: usize = 1;

/// The digit that the filters see, a 7.
const DIGIT: usize = 7;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    heading("1. The picture, the filter and the bias");
    let x = picture(array![
        [0.0, 0.0, 2.0, 1.0],
        [0.0, 2.0, 3.0, 3.0],
        [1.0, 1.0, 4.0, 0.0],
        [3.0, 1.0, 0.0, 0.0]
    ]);
    let (name, _, weights) = FILTERS[0];
    let weights = arr2(&weights).insert_axis(Axis(2)).insert_axis(Axis(3));
    let bias = array![[[[1.0]]]];
    show("X", "the picture", pixels(&x));
    let formula = format!("the filter, {name} of a pixel: the first of the four in part 7");
    show("W", &formula, filter(weights.view()));
    say!("\nb = 1");

    heading("2. One number of Z: zero_pad, a window, conv_single_step");
    one_window(&x, &weights, &bias)?;

    heading("3. Forward: conv_forward, ReLU, pool_forward");
    let (z, conv_cache) = conv_forward(x.view(), weights.view(), bias.view(), CONV)?;
    let a = z.mapv(|z| Activation::Relu.value(z));
    let (p, pool_cache) = pool_forward(a.view(), POOL)?;
    forward(&z, &a, &p)?;

    heading("4. Backward through the pooling");
    let dp = picture(array![[2.0, 1.0], [4.0, 3.0]]);
    show("dP", "what the layers behind would give; here just numbers", pixels(&dp));
    let da = pooling_backward(&dp, &pool_cache)?;

    heading("5. Backward through ReLU and convolution");
    convolution_backward(&da, &z, &conv_cache)?;

    heading("6. Are they the slopes?");
    slopes(&dp, &da, &z, &bias, &conv_cache)?;

    heading("7. What each filter sees");
    let path =
        env::args_os().nth(1).map_or_else(|| PathBuf::from("target/filters.svg"), PathBuf::from);
    if path.to_string_lossy().starts_with('-') {
        return Err(format!("expected the file to draw into, found {}", path.display()).into());
    }
    what_filters_see(&path)
}

/// How one number of `Z` comes about.
fn one_window(x: &Array4<f64>, weights: &Array4<f64>, bias: &Array4<f64>) -> Outcome<()> {
    let padded = zero_pad(x.view(), CONV.pad)?;
    show("X_pad", "X with 1 row or column of 0 on each side", pixels(&padded));
    let window = padded.slice(s![0, H..H + 3, W..W + 3, ..]);
    let formula = format!("X_pad[{H}..{}, {W}..{}], for row {H}, column {W} of Z", H + 3, W + 3);
    show("window", &formula, window.index_axis(Axis(2), 0));
    let filter = weights.slice(s![.., .., .., 0]);
    let products = &window * &filter;
    show("products", "window * W, number by number", products.index_axis(Axis(2), 0));
    say!("\nsum(products)     = {}", products.sum());
    let z = conv_single_step(window, filter, bias.slice(s![0, .., .., ..]))?;
    say!("sum(products) + b = {z} = Z[{H}, {W}], which conv_single_step gives in one call");
    say!("The bias is added once, after the sum.");
    Ok(())
}

/// The whole forward pass.
fn forward(z: &Array4<f64>, a: &Array4<f64>, p: &Array4<f64>) -> Outcome<()> {
    say!("\nn = floor((n_prev - f + 2 pad) / stride) + 1");
    let size = conv_output_size(4, 3, CONV.pad, CONV.stride)?;
    say!("  convolution: floor((4 - 3 + 2 * 1) / 1) + 1 = {size} rows and columns");
    let size = conv_output_size(4, POOL.window, 0, POOL.stride)?;
    say!("  pooling:     floor((4 - 2 + 2 * 0) / 2) + 1 = {size} rows and columns");
    show("Z", "sum(window * W) + b for every place of the window", pixels(z));
    show("A", "max(Z, 0)", pixels(a));
    show("P", "the maximum of each window of 2 x 2, at stride 2", pixels(p));
    let settings = PoolSettings { mode: PoolMode::Average, ..POOL };
    let (average, _) = pool_forward(a.view(), settings)?;
    show("average", "the mean of each window instead", pixels(&average));
    say!("\nFrom here on P is the maximum.");
    Ok(())
}

/// Two windows on their own, and then all of them.
fn pooling_backward(dp: &Array4<f64>, cache: &PoolCache<'_, f64>) -> Outcome<Array4<f64>> {
    let a = cache.a_prev;
    for (h, w, note) in [
        (0, 0, "one maximum gets the whole of dP[0, 0]"),
        (1, 1, "of equal maxima each gets the whole of dP[1, 1]"),
    ] {
        let (top, left) = (h * POOL.stride, w * POOL.stride);
        let window = a.slice(s![0, top..top + 2, left..left + 2, 0]);
        let mask =
            create_mask_from_window(window).mapv(|is_largest| f64::from(u8::from(is_largest)));
        let name = format!("A[{top}..{}, {left}..{}]", top + 2, left + 2);
        show(&name, &format!("window ({h}, {w}) of the pooling"), window);
        show("mask", &format!("window == max(window); {note}"), mask.view());
    }
    let da = pool_backward(dp.view(), cache)?;
    show("dA", "mask * dP, added up over the windows: pool_backward", pixels(&da));
    say!("\nHad P been the average, each pixel would get an equal share:");
    let shares = distribute_value(dp[[0, 0, 0, 0]], 2, 2)?;
    show("shares", "dP[0, 0] / (2 * 2): distribute_value", shares.view());
    let settings = PoolSettings { mode: PoolMode::Average, ..POOL };
    let of_average = pool_backward(dp.view(), &PoolCache { settings, ..cache.clone() })?;
    show("dA of it", "all shares", pixels(&of_average));
    Ok(da)
}

/// What one place of the window adds, and then all of them.
fn convolution_backward(
    da: &Array4<f64>,
    z: &Array4<f64>,
    cache: &ConvCache<'_, f64>,
) -> Outcome<()> {
    let dz = relu_backward(da.view(), z.view())?;
    show("dZ", "dA where Z > 0, else 0; so what the maxima of 0 got goes no further", pixels(&dz));
    let one = dz[[0, H, W, 0]];
    say!("\nRow {H}, column {W} of Z came from one window, so dZ[{H}, {W}] = {one} adds");
    let padded = zero_pad(cache.a_prev, CONV.pad)?;
    let to_weights = padded.slice(s![0, H..H + 3, W..W + 3, 0]).mapv(|x| x * one);
    show("to dW", &format!("window * dZ[{H}, {W}]"), to_weights.view());
    let to_window = filter(cache.weights).mapv(|weight| weight * one);
    show("to dX_pad at the window", &format!("W * dZ[{H}, {W}]"), to_window.view());
    say!("\nand {one} to db. conv_backward does so for every place of the window:");
    let found = conv_backward(dz.view(), cache)?;
    show("dW", "sum of window * dZ[h, w]", filter(found.weights.view()));
    // For a picture that is padded already, without a border to come off.
    let settings = ConvSettings { pad: 0, ..CONV };
    let of_padded = ConvCache { a_prev: padded.view(), settings, ..cache.clone() };
    let with_border = conv_backward(dz.view(), &of_padded)?.da_prev;
    show("dX_pad", "sum of W * dZ[h, w] at each window, border and all", pixels(&with_border));
    say!(
        "\nThe border of dX_pad is cut off: no pixel of X is there, X_pad has a 0 there for any X."
    );
    show("dX", "dX_pad without its border", pixels(&found.da_prev));
    say!("\ndb = sum(dZ) = {}", found.bias[[0, 0, 0, 0]]);
    say!("\nThese are sums, over the pictures too: nothing is divided by their number.");
    Ok(())
}

/// The gradient of each weight beside what a small step of that weight does to `sum(dP * P)`.
fn slopes(
    dp: &Array4<f64>,
    da: &Array4<f64>,
    z: &Array4<f64>,
    bias: &Array4<f64>,
    cache: &ConvCache<'_, f64>,
) -> Outcome<()> {
    let dz = relu_backward(da.view(), z.view())?;
    let gradients = conv_backward(dz.view(), cache)?.weights;
    let cost = |[row, column]: [usize; 2], by: f64| -> Outcome<f64> {
        let mut weights = cache.weights.to_owned();
        weights[[row, column, 0, 0]] += by;
        let (z, _) = conv_forward(cache.a_prev, weights.view(), bias.view(), CONV)?;
        let a = z.mapv(|z| Activation::Relu.value(z));
        let (p, _) = pool_forward(a.view(), POOL)?;
        Ok((p * dp).sum())
    };
    let step = 1e-4;
    say!(
        "\nWith J = sum(dP * P), and one weight after the other changed by {step} to either side:"
    );
    say!("slope = (J(W[h, w] + {step}) - J(W[h, w] - {step})) / {}\n", 2.0 * step);
    for ((row, column), gradient) in filter(gradients.view()).indexed_iter() {
        let at = [row, column];
        let slope = (cost(at, step)? - cost(at, -step)?) / (2.0 * step);
        say!("  dW[{row}, {column}]   gradient {gradient:10.6}   slope {:10.6}", slope + 0.0);
    }
    Ok(())
}

/// Four filters by hand, and what each answers to. A network finds its own.
const FILTERS: [(&str, &str, [[f64; 3]; 3]); 4] = [
    (
        "right less left",
        "left edges of ink",
        [[-1.0, 0.0, 1.0], [-2.0, 0.0, 2.0], [-1.0, 0.0, 1.0]],
    ),
    (
        "below less above",
        "upper edges of ink",
        [[-1.0, -2.0, -1.0], [0.0, 0.0, 0.0], [1.0, 2.0, 1.0]],
    ),
    ("a slope", "strokes that rise", [[-1.0, -1.0, 2.0], [-1.0, 2.0, -1.0], [2.0, -1.0, -1.0]]),
    (
        "middle less rim",
        "ends and thin strokes",
        [[-1.0, -1.0, -1.0], [-1.0, 8.0, -1.0], [-1.0, -1.0, -1.0]],
    ),
];

/// Draws what each of the filters makes of a digit: one call with as many filters as there are channels of `Z`.
fn what_filters_see(path: &Path) -> Outcome<()> {
    let digits = dnn_data::digits();
    let digit = digits.train.pixels().column(DIGIT).mapv(|level| f64::from(level) / 255.0);
    let x = picture(digit.into_shape_with_order((8, 8))?);
    let weights = Array4::from_shape_fn((3, 3, 1, 4), |(row, column, _, filter)| {
        FILTERS[filter].2[row][column]
    });
    let bias = Array4::zeros((1, 1, 1, 4));
    let (z, _) = conv_forward(x.view(), weights.view(), bias.view(), CONV)?;
    let a = z.mapv(|z| Activation::Relu.value(z));
    let (p, _) = pool_forward(a.view(), POOL)?;
    let channel = |of: &Array4<f64>, filter: usize| of.slice(s![0, .., .., filter]).to_owned();
    let mut seen = Vec::new();
    for (filter, (name, answers, _)) in FILTERS.iter().enumerate() {
        let w = weights.slice(s![.., .., 0, filter]).to_owned();
        seen.push((
            *name,
            *answers,
            [w, channel(&z, filter), channel(&a, filter), channel(&p, filter)],
        ));
    }
    let rows: Vec<Seen<'_>> = seen
        .iter()
        .map(|(name, answers, [filter, z, a, p])| Seen {
            name,
            answers,
            filter: filter.view(),
            z: z.view(),
            a: a.view(),
            p: p.view(),
        })
        .collect();
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, filters::svg(pixels(&x), &rows)?)
        .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    say!(
        "\nX is a digit of 8 x 8 pixels now, W has four filters, (3, 3, 1, 4), that of parts 1 to 6 the first, b is 0, and so Z\n\
         has four channels, (1, 8, 8, 4)."
    );
    for (filter, (name, answers, _)) in FILTERS.iter().enumerate() {
        let (row, column) = strongest(channel(&a, filter).view());
        say!("  {name:<18}  answers to {answers:<22}  A is largest at row {row}, column {column}");
    }
    say!("\nDrawn in {}", path.display());
    Ok(())
}

/// Where the largest number is, the first of equals.
fn strongest(numbers: ArrayView2<'_, f64>) -> (usize, usize) {
    let mut best = ((0, 0), f64::NEG_INFINITY);
    for (place, &number) in numbers.indexed_iter() {
        if number > best.1 {
            best = (place, number);
        }
    }
    best.0
}

/// One picture of one channel.
fn picture(pixels: Array2<f64>) -> Array4<f64> {
    pixels.insert_axis(Axis(0)).insert_axis(Axis(3))
}

/// The pixels of the first picture's first channel.
fn pixels(pictures: &Array4<f64>) -> ArrayView2<'_, f64> {
    pictures.slice(s![0, .., .., 0])
}

/// The weights of the first filter for the first channel.
fn filter(weights: ArrayView4<'_, f64>) -> ArrayView2<'_, f64> {
    weights.slice_move(s![.., .., 0, 0])
}

fn heading(text: &str) {
    say!("\n{text}\n{}", "-".repeat(text.len()));
}

/// Name, formula and shape, then the numbers row by row.
fn show(name: &str, formula: &str, values: ArrayView2<'_, f64>) {
    let (rows, columns) = values.dim();
    say!("\n{name} = {formula}   ({rows}, {columns})");
    for row in values.rows() {
        let cells: String = row.iter().map(|&value| cell(value)).collect();
        say!("  {cells}");
    }
}

/// A number in a column of its own; -0 is a 0.
fn cell(value: f64) -> String {
    format!("{:7}", value + 0.0)
}
