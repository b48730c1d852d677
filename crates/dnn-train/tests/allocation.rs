//! No step after the first allocates, and a long run does not grow.
//!
//! One test alone in its program, because the allocator counts for every thread that makes steps. What the
//! test harness's own thread allocates, whenever the system comes to it, is no step's.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]
#![allow(unsafe_code, reason = "an allocator that counts is an unsafe trait to implement")]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use dnn_core::{Element, Precision, Purpose, RandomStream, Shape};
use dnn_layers::{Activation, BatchNorm, Conv2d, MaxPool2d, Network, Padding, Window};
use dnn_train::{Augment, Batch, Clip, Event, Examples, GramChoice, Products, Trainer};
use ndarray::{Array2, ShapeBuilder};
use rayon::{ThreadPool, ThreadPoolBuilder};

/// The matrix products of matrixmultiply pack their operands anew in every call, with this
/// alignment or more for its vector kernels on x86-64 (AVX and FMA 32, AVX-512 64); nothing of ours
/// asks for that much. Its kernels without vectors, and those of other processors, pack with less,
/// which is why this test is for this processor and says so where it has no AVX.
const PACKING: usize = 32;

struct Counting;

static COUNT: AtomicUsize = AtomicUsize::new(0);
static PACKED: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this thread makes steps.
    static COUNTED: Cell<bool> = const { Cell::new(false) };
}

fn count(layout: Layout) {
    BYTES.fetch_add(layout.size(), Relaxed);
    let counter = if layout.align() < PACKING { &COUNT } else { &PACKED };
    counter.fetch_add(1, Relaxed);
}

// SAFETY: every call is passed on to the system's allocator unchanged; only counters are beside it.
// The provided `realloc` and `alloc_zeroed` go through these two, so that growth counts as well.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if COUNTED.get() {
            count(layout);
        }
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        if COUNTED.get() {
            BYTES.fetch_sub(layout.size(), Relaxed);
        }
        // SAFETY: the caller's promises about `pointer` and `layout` are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// What the counters said at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Counts {
    allocations: usize,
    packed: usize,
    bytes: usize,
}

fn counts() -> Counts {
    Counts {
        allocations: COUNT.load(Relaxed),
        packed: PACKED.load(Relaxed),
        bytes: BYTES.load(Relaxed),
    }
}

struct Case {
    side: usize,
    hidden: &'static [usize],
    /// Units of convolutions before, each with a maximum of 2 x 2 after it.
    conv: &'static [usize],
    /// Whether batch normalisation follows each.
    batch_norm: bool,
    examples: usize,
    batch: Batch,
    epochs: u64,
    augment: bool,
    optimizer: &'static str,
    clip: Clip,
    gram: GramChoice,
    products: Products,
}

/// A pool whose threads have all begun: what a thread allocates at its start and end, whenever the
/// system comes to it, is no step's.
fn pool(threads: usize) -> ThreadPool {
    let pool = ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.broadcast(|_| COUNTED.set(true));
    pool
}

/// Trains on pixels; gives the counters at step `from` and at the last step.
fn train<T: Element + dnn_store::Scalar>(
    pool: &ThreadPool,
    case: &Case,
    from: u64,
) -> (Counts, Counts) {
    let mut draws = RandomStream::new(1, Purpose::Data, 0);
    let input = Shape::picture(case.side, case.side, 3);
    let window = Window::square(2, 2, Padding::Same);
    let mut builder = Network::<T>::builder(input);
    for &units in case.conv {
        builder = builder.layer(Conv2d::same(units, 3));
        if case.batch_norm {
            builder = builder.layer(BatchNorm::default());
        }
        builder = builder.layer(Activation::Relu);
        builder = builder.layer(MaxPool2d { window });
    }
    let mut network: Network<T> = builder
        .hidden(case.hidden, Activation::Relu)
        .classes(["a", "b", "c"])
        .build(&mut draws)
        .unwrap();
    let shape = (network.features(), case.examples);
    let pixels =
        Array2::from_shape_simple_fn(shape.f(), || u8::try_from(draws.up_to(255)).unwrap());
    let labels: Vec<u32> = (0..case.examples).map(|_| draws.up_to(2)).collect();
    let features = network.pixels(pixels.view());
    let trainer = Trainer {
        batch: case.batch,
        epochs: case.epochs,
        learning_rate: 0.01,
        optimizer: case.optimizer.parse().unwrap(),
        l2: 0.1,
        clip: case.clip,
        gram: case.gram,
        products: case.products,
        augment: case.augment.then(|| Augment::new(|_, _, from, to| to.copy_from_slice(from))),
        mixing: case.augment.then(|| "cutmix".parse().unwrap()),
        averaging: case.augment.then_some(0.99),
        ..Trainer::default()
    };
    let (mut first, mut last, mut steps) = (None, None, 0);
    let examples = Examples::classes(features, &labels);
    let mut observer = |event: Event<'_>| {
        if let Event::Step { step, .. } = event {
            // Also on a thread of the run's own.
            COUNTED.set(true);
            steps = step;
            last = Some(counts());
            if step == from {
                first = last;
            }
        }
        ControlFlow::Continue(())
    };
    pool.install(|| trainer.fit(&mut network, &examples, None, &mut observer)).unwrap();
    assert!(steps > from, "only {steps} steps");
    (first.unwrap(), last.unwrap())
}

fn no_step_after_the_first_allocates<T: Element + dnn_store::Scalar>(
    pools: &[ThreadPool],
    products: Products,
) {
    let size = |batch| Batch::Size(NonZeroUsize::new(batch).unwrap());
    for pool in pools {
        // 1200 features are five blocks. Full: several tiles. Batches: the last one is short.
        let (by_weights, by_products) = (GramChoice::Never, GramChoice::Always);
        for (batch, epochs, augment, optimizer, clip, gram, conv) in [
            (Batch::Full, 6, false, "sgd", Clip::Never, by_weights, &[][..]),
            (size(32), 4, false, "momentum", Clip::Norm(1.0), by_weights, &[][..]),
            (size(32), 4, false, "adam", Clip::Value(1.0), by_weights, &[][..]),
            (Batch::Full, 6, true, "adamw", Clip::Norm(1.0), by_weights, &[][..]),
            (size(32), 4, true, "sgd", Clip::Never, by_weights, &[][..]),
            (Batch::Full, 6, false, "sgd", Clip::Never, by_products, &[][..]),
            (Batch::Full, 6, false, "nesterov", Clip::Never, by_products, &[][..]),
            (size(32), 4, true, "adam", Clip::Never, by_weights, &[5, 17][..]),
            // More than one task for a product, more rows than columns in none and in one of them.
            (size(32), 4, false, "muon", Clip::Never, by_weights, &[8, 70, 16][..]),
        ] {
            let (side, hidden, examples) = (20, &[33, 7], 150);
            let case = Case {
                side,
                hidden,
                conv,
                // With one of the networks of convolutions.
                batch_norm: optimizer == "muon",
                examples,
                batch,
                epochs,
                augment,
                optimizer,
                clip,
                gram,
                products,
            };
            let (first, last) = train::<T>(pool, &case, 1);
            let threads = pool.current_num_threads();
            let what = format!("{batch}, {threads} threads, {}, {augment}", T::PRECISION);
            // Our own kernels pack nothing.
            let packs = T::PRECISION == Precision::F64;
            assert_eq!(last.packed > first.packed, packs, "{what}: what does the allocator count?");
            assert_eq!(last.allocations, first.allocations, "{what}");
            assert_eq!(last.bytes, first.bytes, "{what}");
        }
    }
}

fn ten_thousand_steps_do_not_grow(pool: &ThreadPool) {
    let case = Case {
        side: 2,
        hidden: &[3],
        conv: &[],
        batch_norm: false,
        examples: 10,
        batch: Batch::Size(NonZeroUsize::new(2).unwrap()),
        epochs: 2000,
        augment: false,
        optimizer: "adam",
        clip: Clip::Never,
        gram: GramChoice::Auto,
        products: Products::Full,
    };
    let (first, last) = train::<f32>(pool, &case, 1);
    assert_eq!(last, first);
}

#[test]
fn steps_use_the_buffers_of_the_first() {
    if !is_x86_feature_detected!("avx") {
        dnn_testing::skipped("without AVX, packing cannot be told from other allocations");
        return;
    }
    let pools = [pool(1), pool(2)];
    no_step_after_the_first_allocates::<f32>(&pools, Products::Full);
    no_step_after_the_first_allocates::<f64>(&pools, Products::Full);
    if Products::Bf16.exist() {
        no_step_after_the_first_allocates::<f32>(&pools, Products::Bf16);
    } else {
        dnn_testing::skipped("the instructions AVX512_BF16");
    }
    ten_thousand_steps_do_not_grow(&pools[1]);
}
