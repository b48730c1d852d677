use super::*;
use crate::SystemClock;
use dnn_core::{Features, Purpose, RandomStream, Shape};
use dnn_layers::Activation;
use ndarray::Array2;
use std::num::NonZeroUsize;

fn all() -> AdaptiveThreads<'static> {
    AdaptiveThreads::new(None)
}

fn restless() -> AdaptiveThreads<'static> {
    AdaptiveThreads::restless(Box::leak(Box::new(SystemClock::start())))
}

#[test]
fn a_run_that_changes_its_threads_within_an_epoch_is_the_same_run() {
    let mut draws = RandomStream::new(1, Purpose::Data, 0);
    let x = Array2::from_shape_simple_fn((40, 90), || draws.normal());
    let labels: Vec<u32> = (0..90).map(|j| j % 3).collect();
    let examples = Examples::classes(Features::Real(x.view()), &labels);
    let first: Network<f64> = Network::<f64>::builder(Shape::flat(40))
        .hidden(&[9], Activation::Relu)
        .classes(["a", "b", "c"])
        .build(&mut draws)
        .unwrap();
    let batch = Batch::Size(NonZeroUsize::new(16).unwrap());
    let trainer = Trainer { batch, epochs: 3, ..Trainer::default() };
    let plan = trainer.gram_plan(&first, 90, 0).unwrap();
    let trained = |threads: fn() -> AdaptiveThreads<'static>| {
        let (mut network, mut seen) = (first.clone(), Vec::new());
        let run = Run::new(&trainer, Cost::CategoricalCrossEntropy, plan, &first, &examples, None);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let history = pool.install(|| {
            let state = RunState::start(&trainer, &first);
            run.unwrap().all_epochs(&mut network, state, threads(), &mut |event| {
                if let Event::Step { step, .. } = event {
                    seen.push((step, rayon::current_num_threads()));
                }
                ControlFlow::Continue(())
            })
        });
        (network, history.unwrap(), seen)
    };
    let (expected, restless) = (trained(all), trained(restless));
    let steps = |seen: &[(u64, usize)]| seen.iter().map(|it| it.0).collect::<Vec<_>>();
    assert_eq!(steps(&restless.2), (1..=18).collect::<Vec<_>>());
    assert_eq!(restless.2[..2], [(1, 1), (2, 3)], "one thread, and then all");
    assert_eq!((&restless.0, &restless.1), (&expected.0, &expected.1));
    assert_ne!(expected.0, first);
}
