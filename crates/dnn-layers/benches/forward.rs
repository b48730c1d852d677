//! The forward pass of whole networks, for one example and for many.
#![allow(missing_docs, reason = "criterion's macros make undocumented functions")]
#![allow(clippy::unwrap_used, reason = "made-up networks fit")]

use std::sync::Arc;

use criterion::{Criterion, criterion_group, criterion_main};
use dnn_core::{Features, Purpose, RandomStream, Shape};
use dnn_layers::{Activation, Network, Predictor};
use ndarray::{Array2, ShapeBuilder};

fn predict(c: &mut Criterion) {
    let mut stream = RandomStream::new(1, Purpose::Data, 0);
    for (name, features, hidden, classes) in
        [("big", 12_288, &[100, 20][..], 2), ("mnist", 784, &[256, 128], 10)]
    {
        let network = Network::<f32>::builder(Shape::flat(features))
            .hidden(hidden, Activation::Relu)
            .classes((0..classes).map(|class| class.to_string()))
            .build(&mut stream)
            .unwrap();
        for batch in [1, 256] {
            let x = Array2::<f32>::from_elem((features, batch).f(), 0.5);
            c.bench_function(&format!("predict {name} batch {batch}"), |b| {
                b.iter(|| network.predict_probabilities(&Features::Real(x.view())).unwrap());
            });
            let mut predictor = Predictor::new(Arc::new(network.clone())).unwrap();
            c.bench_function(&format!("predictor {name} batch {batch}"), |b| {
                b.iter(|| predictor.predict(&Features::Real(x.view())).unwrap().len());
            });
        }
    }
}

criterion_group!(benches, predict);
criterion_main!(benches);
