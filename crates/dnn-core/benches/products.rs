//! The products of the first layer, forward and gradient, on numbers and on pixels.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::cast_possible_truncation, reason = "made-up data")]

use criterion::{Criterion, criterion_group, criterion_main};
use dnn_core::{Columns, Features, PixelScaling, Purpose, RandomStream};
use dnn_kernels::{KernelPath, NonZeroIndex};
use ndarray::{Array2, ShapeBuilder};

fn first_layer(c: &mut Criterion) {
    let (n, n_x, m) = (20, 12_288, 128);
    let mut stream = RandomStream::new(1, Purpose::Data, 0);
    let weights = Array2::from_shape_simple_fn((n, n_x), || stream.uniform() as f32);
    let dz = Array2::from_shape_simple_fn((n, m).f(), || stream.uniform() as f32);
    let pixels = Array2::from_shape_simple_fn((n_x, m).f(), || stream.up_to(255) as u8);
    let real = pixels.mapv(|p| f32::from(p) / 255.0);
    let scaling = PixelScaling::default();
    let columns = Columns::Run { start: 0, len: m };
    let mut scratch = Vec::new();
    let mut z = Array2::zeros((n, m).f());
    let mut dw = Array2::zeros((n, 256));
    for (name, x) in [
        ("real", Features::Real(real.view())),
        ("pixels", Features::Pixels { values: pixels.view(), scaling }),
    ] {
        c.bench_function(&format!("forward {name} 20x12288x128"), |b| {
            b.iter(|| x.multiply_into(weights.view(), columns, &mut scratch, z.view_mut()));
        });
        c.bench_function(&format!("gradient {name} 20x128x256"), |b| {
            b.iter(|| {
                x.accumulate_gradient(1.0, dz.view(), 0..256, columns, &mut scratch, dw.view_mut());
            });
        });
    }
}

/// `out += C S` with all of `C` and with half of it, on every path of the machine.
fn multiply_sparse(c: &mut Criterion) {
    let (rows, terms, width) = (24, 128, 256);
    let mut stream = RandomStream::new(1, Purpose::Data, 0);
    let source = Array2::from_shape_simple_fn((terms, width), || stream.uniform() as f32);
    for (name, zeros) in [("dense", 0.0), ("half zeros", 0.5), ("a tenth alive", 0.9)] {
        let coefficients = Array2::from_shape_simple_fn((rows, terms), || {
            if stream.uniform() < zeros { 0.0 } else { stream.normal() as f32 }
        });
        let mut non_zero = NonZeroIndex::default();
        non_zero.fill(coefficients.view());
        let mut out = Array2::zeros((rows, width));
        for path in KernelPath::all() {
            c.bench_function(
                &format!("multiply_sparse {rows}x{terms}x{width} {name} {path}"),
                |b| {
                    b.iter(|| {
                        non_zero.multiply_sparse(
                            path,
                            coefficients.view(),
                            source.view(),
                            out.view_mut(),
                        );
                    });
                },
            );
        }
    }
}

criterion_group!(benches, first_layer, multiply_sparse);
criterion_main!(benches);
