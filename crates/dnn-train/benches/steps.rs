//! Whole training steps, full-batch and mini-batch.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::unwrap_used, clippy::cast_possible_truncation, reason = "made-up data")]

use std::num::NonZeroUsize;

use criterion::{Criterion, criterion_group, criterion_main};
use dnn_core::{Purpose, RandomStream, Shape};
use dnn_layers::{Activation, Network};
use dnn_train::{Batch, Examples, Trainer, unobserved};
use ndarray::{Array2, ShapeBuilder};

fn epochs(c: &mut Criterion) {
    let mut stream = RandomStream::new(1, Purpose::Data, 0);
    for (name, side, channels, hidden, classes, m, batch) in [
        ("digits 64-64-10 batch 32", 8, 1, &[64][..], 10, 1280, Some(32)),
        ("cats 12288-20-7-5-1 full batch of 209", 64, 3, &[20, 7, 5], 2, 209, None),
        ("mnist 784-256-128-10 batch 128", 28, 1, &[256, 128], 10, 1280, Some(128)),
        ("wide 12288-512-128-1 batch 64", 64, 3, &[512, 128], 2, 128, Some(64)),
    ] {
        let input = Shape::picture(side, side, channels);
        let network = Network::<f32>::builder(input)
            .hidden(hidden, Activation::Relu)
            .classes((0..classes).map(|class| class.to_string()))
            .build(&mut stream)
            .unwrap();
        let pixels = Array2::from_shape_simple_fn((input.features().unwrap(), m).f(), || {
            stream.up_to(255) as u8
        });
        let labels: Vec<u32> = (0..m).map(|_| stream.up_to(classes - 1)).collect();
        let batch = batch.map_or(Batch::Full, |size| Batch::Size(NonZeroUsize::new(size).unwrap()));
        let trainer = Trainer { batch, epochs: 1, ..Trainer::default() };
        c.bench_function(&format!("one epoch {name}"), |b| {
            b.iter(|| {
                let mut trained = network.clone();
                let examples = Examples::classes(network.pixels(pixels.view()), &labels);
                trainer.fit(&mut trained, &examples, None, &mut unobserved)
            });
        });
    }
}

criterion_group!(benches, epochs);
criterion_main!(benches);
