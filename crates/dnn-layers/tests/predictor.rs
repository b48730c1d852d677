//! Prediction in memory of its own: the same answers in any batch, on any thread, and nothing allocated
//! after the first call of a size.
//!
//! One test alone in its program, because the allocator counts for the whole program.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(clippy::cast_possible_truncation, reason = "made-up data")]
#![allow(unsafe_code, reason = "an allocator that counts is an unsafe trait to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use dnn_core::{Element, Features, Purpose, RandomStream, Shape};
use dnn_layers::{
    Activation, BatchNorm, Conv2d, Dropout, Flatten, MaxPool2d, Network, NetworkError, Padding,
    Predictor, Window,
};
use ndarray::{Array2, ShapeBuilder, s};

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);

// SAFETY: every call is passed on to the system's allocator unchanged; only a counter is beside it.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.fetch_add(1, Relaxed);
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises about `pointer` and `layout` are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

fn network<T: Element + dnn_store::Scalar>(features: usize, classes: usize) -> Network<T> {
    Network::<T>::builder(Shape::flat(features))
        .hidden(&[100], Activation::Relu)
        .layer(Dropout { rate: 0.2 })
        .hidden(&[30], Activation::Identity)
        .layer(BatchNorm::default())
        .layer(Activation::Relu)
        .classes((0..classes).map(|class| class.to_string()))
        .build(&mut RandomStream::new(2, Purpose::Initialization, 0))
        .unwrap()
}

fn pixels(features: usize, m: usize) -> Array2<u8> {
    let mut draws = RandomStream::new(1, Purpose::Data, 0);
    Array2::from_shape_simple_fn((features, m).f(), || draws.up_to(255) as u8)
}

fn answers_are_the_same_in_any_batch<T: Element + dnn_store::Scalar>(classes: usize, limit: f64) {
    let network = network::<T>(300, classes);
    let pixels = pixels(300, 700);
    let numbers = pixels.mapv(|pixel| T::from_f64(f64::from(pixel) / 255.0));
    let expected = network.predict_probabilities(&network.pixels(pixels.view())).unwrap();
    let mut predictor = Predictor::new(Arc::new(network.clone())).unwrap();
    assert_eq!(predictor.network().outputs(), if classes == 2 { 1 } else { classes });
    for m in [1, 5, 16, 1, 33, 700, 0, 64, 31] {
        let part = s![.., 700 - m..];
        for x in [network.pixels(pixels.slice(part)), Features::Real(numbers.slice(part))] {
            let found = predictor.probabilities(&x).unwrap().to_owned();
            let apart = (&found - &expected.slice(part))
                .fold(0.0_f64, |most, apart| most.max(Into::<f64>::into(apart.abs())));
            assert!(apart <= limit, "{m} examples: {apart:e}");
            assert_eq!(found.ncols(), m);
            let classes = network.predict(&x).unwrap();
            assert_eq!(predictor.predict(&x).unwrap(), classes);
        }
    }
}

/// Convolutions that do the `ReLU` and the maximum after them, one with batch normalisation before these, and two that do not.
fn convolutions<T: Element + dnn_store::Scalar>() -> Network<T> {
    let halves = MaxPool2d { window: Window::square(2, 2, Padding::Same) };
    let overlapping = MaxPool2d { window: Window::square(3, 2, Padding::Same) };
    Network::<T>::builder(Shape::picture(32, 32, 3))
        .layer(Conv2d::same(24, 3))
        .layer(Activation::Relu)
        .layer(halves)
        .layer(Conv2d::same(24, 3))
        .layer(BatchNorm::default())
        .layer(Activation::Relu)
        .layer(halves)
        .layer(Conv2d::same(24, 3))
        .layer(Activation::Relu)
        .layer(overlapping)
        .layer(Conv2d::same(8, 3))
        .layer(Activation::Tanh)
        .layer(halves)
        .layer(Flatten {})
        .hidden(&[], Activation::Relu)
        .classes(["a", "b", "c"])
        .build(&mut RandomStream::new(2, Purpose::Initialization, 0))
        .unwrap()
}

fn pictures_are_the_same_shared_or_not() {
    let (network, pixels) = (convolutions::<f32>(), pixels(32 * 32 * 3, 40));
    let all = network.pixels(pixels.view());
    // Layer by layer, of which none does what another one is for.
    let expected = network.folded().forward(&all).unwrap().output().to_owned();
    let mut predictor = Predictor::new(Arc::new(network.clone())).unwrap();
    let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
    for m in [1, 40, 2, 1] {
        let used = s![.., ..m];
        let x = network.pixels(pixels.slice(used));
        let alone = predictor.probabilities(&x).unwrap().to_owned();
        let shared = pool.install(|| predictor.probabilities(&x).unwrap().to_owned());
        assert_eq!(alone, shared, "{m} pictures");
        let apart = (&alone - &expected.slice(used)).fold(0.0_f32, |most, it| most.max(it.abs()));
        assert!(apart < 1e-5, "{m} pictures: {apart:e}");
    }
}

fn nothing_is_allocated_after_the_first_call() {
    // The first layer is large enough to be shared out for a single picture.
    nothing_is_allocated_by(&network::<f32>(1400, 10), 1400);
    nothing_is_allocated_by(&convolutions::<f32>(), 32 * 32 * 3);
}

fn nothing_is_allocated_by(network: &Network<f32>, features: usize) {
    let pixels = pixels(features, 256);
    let numbers = pixels.mapv(f32::from);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
    pool.broadcast(|_| {});
    let mut predictor = Predictor::new(Arc::new(network.clone())).unwrap();
    for m in [1, 7, 256] {
        let used = s![.., ..m];
        pool.install(|| {
            let mut both = || {
                predictor.predict(&network.pixels(pixels.slice(used))).unwrap();
                predictor.predict(&Features::Real(numbers.slice(used))).unwrap();
            };
            // A thread may come to its first tile in the second call.
            (0..4).for_each(|_| both());
            let before = COUNT.load(Relaxed);
            assert!(before > 0, "the allocator counts nothing");
            (0..20).for_each(|_| both());
            assert_eq!(COUNT.load(Relaxed), before, "{m} examples");
        });
    }
}

fn many_threads_predict_with_one_network() {
    let network = network::<f32>(50, 3);
    let pixels = pixels(50, 40);
    let expected = network.predict(&network.pixels(pixels.view())).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut predictor = Predictor::new(Arc::new(network.clone())).unwrap();
                for (example, &class) in expected.iter().enumerate() {
                    let picture = network.pixels(pixels.slice(s![.., example..=example]));
                    assert_eq!(predictor.predict(&picture).unwrap(), [class]);
                }
            });
        }
    });
}

fn what_cannot_be_predicted_is_refused() {
    let numbers = Network::<f32>::builder(Shape::flat(2))
        .outputs(1, dnn_layers::Head::Identity)
        .build(&mut RandomStream::new(1, Purpose::Initialization, 0))
        .unwrap();
    let x = ndarray::array![[1.0_f32], [2.0]];
    let errors = [
        Predictor::new(Arc::new(numbers.clone())).err(),
        numbers.predict(&Features::Real(x.view())).err(),
        numbers.predict_probabilities(&Features::Real(x.view())).err(),
    ];
    for error in errors {
        let error = error.unwrap();
        assert!(matches!(error, NetworkError::NoClasses { .. }));
        for text in [format!("{error}"), format!("{error:?}")] {
            assert!(text.contains("Network::predict_outputs(&x)"), "{text}");
        }
    }
    let network = network::<f32>(2, 3);
    let mut predictor = Predictor::new(Arc::new(network.clone())).unwrap();
    for (m, bad) in [(1, f32::NAN), (40, f32::INFINITY)] {
        let mut x = Array2::ones((2, m).f());
        x[(1, m - 1)] = bad;
        let error = predictor.predict(&Features::Real(x.view())).unwrap_err().to_string();
        assert!(error.contains(&format!("row 1, column {}", m - 1)), "{error}");
    }
    // Finite numbers that overflow on their way.
    let x = Array2::from_elem((2, 20).f(), f32::MAX);
    let error = predictor.predict(&Features::Real(x.view())).unwrap_err();
    assert!(matches!(error, NetworkError::Overflow { example: 0 }), "{error}");
    assert_eq!(predictor.predict(&Features::Real(Array2::ones((2, 1)).view())).unwrap().len(), 1);
}

#[test]
fn predictors_predict() {
    nothing_is_allocated_after_the_first_call();
    pictures_are_the_same_shared_or_not();
    answers_are_the_same_in_any_batch::<f32>(10, 1e-5);
    answers_are_the_same_in_any_batch::<f32>(2, 1e-5);
    answers_are_the_same_in_any_batch::<f64>(3, 1e-12);
    many_threads_predict_with_one_network();
    what_cannot_be_predicted_is_refused();
}
