//! Gram matrices of pixels and of numbers, and products with them.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::cast_possible_truncation, reason = "made-up data")]

use criterion::{Criterion, criterion_group, criterion_main};
use dnn_core::{Element, Features, Gram, PixelScaling, Purpose, RandomStream, SparseLeft};
use ndarray::{Array2, ShapeBuilder};

/// What the first layer of cats against dogs has.
const EXAMPLES: usize = 6002;

fn matrices(c: &mut Criterion) {
    let (n_x, m) = (12_288, 1024);
    let mut stream = RandomStream::new(1, Purpose::Data, 0);
    let pixels = Array2::from_shape_simple_fn((n_x, m).f(), || stream.up_to(255) as u8);
    let real = pixels.mapv(f32::from);
    let per_channel = PixelScaling::per_channel(&[0.5; 3], &[0.2, 0.25, 0.3]);
    let per_channel = per_channel.expect("means and deviations in their ranges");
    let of = |scaling| Features::Pixels { values: pixels.view(), scaling };
    let mut group = c.benchmark_group("gram matrix of 12288x1024");
    group.sample_size(10);
    for (name, x) in [
        ("pixels", of(PixelScaling::default())),
        ("pixels by channel", of(per_channel)),
        ("real", Features::Real(real.view())),
    ] {
        group.bench_function(name, |b| b.iter(|| Gram::<f32>::of(&x)));
    }
    group.finish();
}

fn products<T: Element>(c: &mut Criterion) {
    let mut stream = RandomStream::new(2, Purpose::Data, 0);
    // Of few features, since only the size counts here.
    let x = Array2::from_shape_simple_fn((8, EXAMPLES).f(), || T::from_f64(stream.normal()));
    let gram = Gram::of(&Features::Real(x.view()));
    let mut group = c.benchmark_group(format!("20x6002 times 6002x6002 {}", T::PRECISION));
    group.sample_size(20);
    for (name, alive) in [("dense", 1.0), ("a third not zero", 0.33)] {
        let dz = Array2::from_shape_simple_fn((20, EXAMPLES).f(), || {
            T::from_f64(if stream.uniform() < alive { stream.normal() } else { 0.0 })
        });
        let mut a = SparseLeft::new(20, EXAMPLES);
        a.assign(dz.view());
        let mut out = Array2::zeros((20, EXAMPLES));
        group.bench_function(name, |b| b.iter(|| gram.multiply_into(&a, out.view_mut())));
    }
    group.finish();
}

criterion_group!(benches, matrices, products::<f32>, products::<f64>);
criterion_main!(benches);
