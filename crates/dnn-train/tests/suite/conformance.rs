//! Every kind of layer, activation, head, cost, optimiser, schedule and initialiser there is, through the same
//! checks. The lists are the product's own, so that a new one cannot be forgotten.
//!
//! `cargo test --workspace --test suite conformance -- --nocapture` shows the table.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]
#![allow(clippy::print_stdout, reason = "the table is what a reader looks for")]

use std::any::Any;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::conforming::{Data, Kind, Row, rows};
use dnn_core::{Element, Features, Initializer, LayerParameters, Parameters, RandomStream};
use dnn_layers::{Activation, Head, Layer, Network};
use dnn_store::Scalar;
use dnn_train::{
    Checkpoint, Cost, Event, Examples, History, Moment, Optimizer, Schedule, TrainError, Trainer,
    check_gradients, evaluate, gradients, unobserved, update_parameters_with,
};
use ndarray::Array2;
use serde::{Serialize, de::DeserializeOwned};

/// What a check says in the table, or what is wrong.
type Found = Result<String, Box<dyn std::error::Error>>;

/// The head of a column, and what fills it.
type Check = (&'static str, fn(&Row) -> Found);

const CHECKS: [Check; 7] = [
    ("shapes", shapes),
    ("no example", no_example),
    ("one example", one_example),
    ("kept", kept),
    ("pure", pure),
    ("slopes", slopes),
    ("threads", threads),
];

/// Fails with these words unless `fits`.
fn ensure(fits: bool, words: impl FnOnce() -> String) -> Result<(), Box<dyn std::error::Error>> {
    if fits { Ok(()) } else { Err(words().into()) }
}

#[test]
fn everything_there_is_passes_every_check() {
    let rows = rows();
    let mut failures = Vec::new();
    print!("{:<12}{:<38}", "kind", "name");
    println!("{}", CHECKS.map(|(head, _)| format!("{head:<13}")).concat());
    for row in &rows {
        print!("{:<12}{:<38}", row.kind(), row.name);
        for (head, check) in CHECKS {
            let found = catch_unwind(AssertUnwindSafe(|| check(row))).unwrap_or_else(|panic| {
                Err(format!("panicked: {}", words_of(panic.as_ref())).into())
            });
            let cell = found.unwrap_or_else(|error| {
                failures.push(format!("{} {}, {head}: {error}", row.kind(), row.name));
                "FAILED".to_owned()
            });
            print!("{cell:<13}");
        }
        println!();
    }
    println!("{} rows, {} checks", rows.len(), rows.len() * CHECKS.len());
    assert!(failures.is_empty(), "\n{}", failures.join("\n"));
}

fn words_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("without words")
}

#[test]
fn every_list_is_in_the_rows() {
    let rows = rows();
    let count = |is: fn(&Kind) -> bool| rows.iter().filter(|row| is(&row.subject)).count();
    assert_eq!(count(|kind| matches!(kind, Kind::Layer(_))), Layer::KINDS.len());
    assert_eq!(count(|kind| matches!(kind, Kind::Activation(_))), Activation::ALL.len());
    assert_eq!(count(|kind| matches!(kind, Kind::Head(_))), Head::ALL.len());
    assert_eq!(count(|kind| matches!(kind, Kind::Optimizer(_))), Optimizer::NAMES.len());
    assert_eq!(count(|kind| matches!(kind, Kind::Schedule(_))), Schedule::every().len());
    assert_eq!(count(|kind| matches!(kind, Kind::Initializer(_))), Initializer::ALL.len());
    // With every head that it goes with.
    for cost in Cost::ALL {
        assert!(rows.iter().any(|row| matches!(row.subject, Kind::Cost(it) if it == cost)));
    }
    for row in &rows {
        let same = rows.iter().filter(|one| (one.kind(), &one.name) == (row.kind(), &row.name));
        assert_eq!(same.count(), 1, "{}", row.name);
    }
}

/// Everything of a network and the history of its run, to the bit.
fn trained<T: Element + Scalar>(
    trainer: &Trainer,
    network: &Network<T>,
    examples: &Examples<'_, T>,
) -> Result<(Vec<u8>, History), TrainError> {
    let mut network = network.clone();
    let history = trainer.fit(&mut network, examples, None, &mut unobserved)?;
    Ok((network.to_bytes()?, history))
}

/// `Z`, `A`, parameters and gradients have the shapes that the documentation says.
fn shapes(row: &Row) -> Found {
    let network = row.network::<f64>(5);
    let data = Data::new(row, 5, 7);
    let examples = data.examples(row);
    let caches = network.forward(&examples.features)?;
    let (_, gradient) = gradients(&network, &examples, row.cost)?;
    for l in 0..network.layers().len() {
        let specs = network.layers()[l].parameters(network.layer_input(l));
        let range = network.tensor_range(l);
        ensure(specs.len() == range.len(), || format!("layer {l}: {specs:?}"))?;
        for (spec, index) in specs.iter().zip(range) {
            let (tensor, shape) = (&network.tensors()[index], (spec.rows, spec.columns));
            let expected = if spec.is_trained { shape } else { (0, 0) };
            let found = (tensor.values().dim(), gradient[index].dim());
            ensure(found == (shape, expected), || format!("{}: {found:?}", tensor.name()))?;
        }
        let expected = (network.layer_output(l).features()?, 7);
        let found = caches.layer_output(l).dim();
        ensure(found == expected, || format!("layer {l}: {found:?}"))?;
    }
    ensure(caches.output().dim() == (network.outputs(), 7), || "the output".to_owned())?;
    if !network.classes().is_empty() {
        let found = network.predict_probabilities(&examples.features)?.dim();
        ensure(found == (network.classes().len(), 7), || format!("probabilities: {found:?}"))?;
    }
    if let Kind::Initializer(rule) = row.subject {
        for shape in [(1, 1), (5, 3), (3, 5)] {
            let weights: Array2<f32> =
                rule.weights(shape.0, shape.1, &mut crate::fits::draws(1))?;
            ensure(weights.dim() == shape, || format!("{:?} for {shape:?}", weights.dim()))?;
        }
    }
    Ok("ok".to_owned())
}

/// Without an example outputs are empty, and learning and measuring are refused.
fn no_example(row: &Row) -> Found {
    let network = row.network::<f64>(5);
    let (nothing, some) = (Data::new(row, 5, 0), Data::new(row, 5, 7));
    let (none, examples) = (nothing.examples(row), some.examples(row));
    ensure(network.forward(&none.features)?.output().dim() == (network.outputs(), 0), || {
        "an output".to_owned()
    })?;
    if !network.classes().is_empty() {
        let found = network.predict(&none.features)?;
        ensure(found.is_empty(), || format!("predicted {found:?}"))?;
    }
    let mut same = network.clone();
    for refused in [
        evaluate(&network, &none, row.cost).map(drop),
        gradients(&network, &none, row.cost).map(drop),
        check_gradients(&network, &none, row.cost, 1e-5).map(drop),
        row.trainer().fit(&mut same, &none, None, &mut unobserved).map(drop),
        row.trainer().fit(&mut same, &examples, Some(&none), &mut unobserved).map(drop),
    ] {
        let refusal = matches!(refused, Err(TrainError::NoExamples));
        ensure(refusal, || format!("expected a refusal, found {refused:?}"))?;
    }
    ensure(same == network, || "the network has changed".to_owned())?;
    nothing_of_the_subject(row)?;
    Ok("ok".to_owned())
}

/// The subject alone on arrays without numbers, or in a run without steps.
fn nothing_of_the_subject(row: &Row) -> Result<(), Box<dyn std::error::Error>> {
    let (z, mut a) = (Array2::<f64>::zeros((3, 0)), Array2::zeros((3, 0)));
    match row.subject {
        Kind::Layer(_) | Kind::Cost(_) => {}
        Kind::Activation(activation) => {
            activation.apply(z.view(), a.view_mut());
            activation.apply_derivative(z.view(), z.view(), a.view_mut());
        }
        Kind::Head(head) => {
            head.apply(z.view(), a.view_mut());
            head.apply_derivative(z.view(), z.view(), a.view_mut());
        }
        Kind::Optimizer(optimizer) => {
            let layer = || LayerParameters { weights: Array2::zeros((0, 3)), bias: a.clone() };
            for layers in [vec![], vec![layer()]] {
                let mut parameters = Parameters { layers };
                let (mut state, gradient) = (optimizer.start(&parameters), parameters.clone());
                let rate = optimizer.default_learning_rate();
                let result =
                    update_parameters_with(optimizer, &mut state, &mut parameters, &gradient, rate);
                ensure(result.is_ok() != is_lbfgs(optimizer), || format!("{result:?}"))?;
            }
        }
        Kind::Schedule(schedule) => {
            let rate = schedule.rate(0.5, Moment { step: 0, steps_per_epoch: 0, steps: 0 });
            ensure((0.0..=0.5).contains(&rate), || format!("a rate of {rate}"))?;
        }
        Kind::Initializer(rule) => {
            for shape in [(0, 0), (0, 3), (3, 0)] {
                let weights: Array2<f64> =
                    rule.weights(shape.0, shape.1, &mut crate::fits::draws(1))?;
                ensure(weights.dim() == shape, || format!("{:?} for {shape:?}", weights.dim()))?;
            }
        }
    }
    Ok(())
}

fn is_lbfgs(optimizer: Optimizer) -> bool {
    matches!(optimizer, Optimizer::Lbfgs(_))
}

/// One example can be learned, unless a mean over examples is asked for.
fn one_example(row: &Row) -> Found {
    let network = row.network::<f64>(5);
    let data = Data::new(row, 5, 1);
    let examples = data.examples(row);
    let measured = evaluate(&network, &examples, row.cost)?;
    ensure(measured.examples == 1 && measured.cost.is_finite(), || format!("{measured:?}"))?;
    let (cost, _) = gradients(&network, &examples, row.cost)?;
    ensure(cost.is_finite(), || format!("a cost of {cost}"))?;
    let result = trained(&row.trainer(), &network, &examples);
    if !network.layers().iter().any(Layer::needs_whole_batch) {
        let (_, history) = result?;
        let finite = history.costs().all(f64::is_finite);
        ensure(finite && history.epochs.len() as u64 == row.trainer().epochs, || {
            format!("{history:?}")
        })?;
        return Ok("ok".to_owned());
    }
    let error = result.err().map(|error| error.to_string()).unwrap_or_default();
    ensure(error.starts_with("batch: expected at least 2 examples"), || {
        format!("expected a refusal, found `{error}`")
    })?;
    Ok("refused".to_owned())
}

/// As text, as JSON, as a model file, as a checkpoint: what goes in comes out.
fn kept(row: &Row) -> Found {
    subject_kept(&row.subject)?;
    kept_as::<f32>(row)?;
    kept_as::<f64>(row)?;
    Ok("ok".to_owned())
}

fn subject_kept(subject: &Kind) -> Result<(), Box<dyn std::error::Error>> {
    match subject {
        Kind::Layer(layer) => as_json(layer),
        Kind::Activation(activation) => {
            as_json(activation)?;
            as_text(activation, &activation.to_string().parse()?)
        }
        Kind::Head(head) => as_json(head),
        Kind::Optimizer(optimizer) => as_text(optimizer, &optimizer.to_string().parse()?),
        // A cost is chosen by the head or by code, and a sweep is of the finder of rates alone: they have no
        // text.
        Kind::Cost(_) | Kind::Schedule(Schedule::Sweep { .. }) => Ok(()),
        Kind::Schedule(schedule) => as_text(schedule, &schedule.to_string().parse()?),
        Kind::Initializer(rule) => as_text(rule, &rule.to_string().parse()?),
    }
}

fn as_text<V: PartialEq + std::fmt::Debug>(
    value: &V,
    read: &V,
) -> Result<(), Box<dyn std::error::Error>> {
    ensure(value == read, || format!("{value:?} came back as {read:?}"))
}

fn as_json<V: PartialEq + std::fmt::Debug + Serialize + DeserializeOwned>(
    value: &V,
) -> Result<(), Box<dyn std::error::Error>> {
    as_text(value, &serde_json::from_str(&serde_json::to_string(value)?)?)
}

fn kept_as<T: Element + Scalar>(row: &Row) -> Result<(), Box<dyn std::error::Error>> {
    let first = row.network::<T>(5);
    let data = Data::new(row, 5, 14);
    let (examples, trainer) = (data.examples(row), row.trainer());
    let (mut straight, mut saved) = (first.clone(), None);
    trainer.fit(&mut straight, &examples, None, &mut |event| {
        if let Event::State(state) = event
            && state.step() == 2
        {
            saved = state.checkpoint().ok();
        }
        ControlFlow::Continue(())
    })?;
    ensure(straight != first, || "nothing was learned".to_owned())?;
    let bytes = straight.to_bytes()?;
    let read = Network::<T>::from_bytes(&bytes)?;
    ensure(read == straight && read.to_bytes()? == bytes, || "another model file".to_owned())?;
    let outputs =
        |network: &Network<T>| network.forward(&examples.features).map(|it| it.output().to_owned());
    ensure(outputs(&read)? == outputs(&straight)?, || "other outputs".to_owned())?;
    let checkpoint = Checkpoint::<T>::from_bytes(&saved.ok_or("no checkpoint")?)?;
    let mut resumed = first;
    trainer.resume(&mut resumed, checkpoint, &examples, None, &mut unobserved)?;
    ensure(resumed.to_bytes()? == bytes, || "resumed to other bits".to_owned())
}

/// The same call gives the same bits twice, and leaves what it was given as it was.
fn pure(row: &Row) -> Found {
    let network = row.network::<f64>(5);
    let data = Data::new(row, 5, 7);
    let (before, kept) = (network.to_bytes()?, data.clone());
    let examples = data.examples(row);
    let once = || -> Result<_, TrainError> {
        let outputs = network.forward(&examples.features)?.output().to_owned();
        let (cost, gradient) = gradients(&network, &examples, row.cost)?;
        let measured = evaluate(&network, &examples, row.cost)?;
        Ok((outputs, cost, gradient, measured, trained(&row.trainer(), &network, &examples)?))
    };
    let first = once()?;
    // Something else in between, that a hidden state would remember.
    let other = Data::new(row, 5, 9);
    trained(&row.trainer(), &network, &other.examples(row))?;
    ensure(once()? == first, || "another answer to the same call".to_owned())?;
    ensure(network.to_bytes()? == before, || "the network has changed".to_owned())?;
    ensure(data == kept, || "the examples have changed".to_owned())?;
    match row.subject {
        Kind::Initializer(rule) => {
            let draw = || rule.weights::<f64, _>(4, 3, &mut crate::fits::draws(2));
            ensure(draw()? == draw()?, || "other weights from one seed".to_owned())?;
        }
        Kind::Schedule(schedule) => {
            let moment = |step| Moment { step, steps_per_epoch: 3, steps: 30 };
            let rates = || (0..30).map(|step| schedule.rate(0.1, moment(step)));
            ensure(rates().eq(rates()), || "other rates".to_owned())?;
        }
        _ => {}
    }
    Ok("ok".to_owned())
}

/// The largest difference between gradients and slopes, before and after some steps; and the steps go down.
fn slopes(row: &Row) -> Found {
    let mut network = row.network::<f64>(5);
    let data = Data::new(row, 5, 7);
    let examples = data.examples(row);
    let check = |network: &Network<f64>| check_gradients(network, &examples, row.cost, 1e-5);
    let first = check(&network)?;
    let before = gradients(&network, &examples, row.cost)?.0;
    // Dropout as in the first step.
    row.trainer().fit(&mut network, &examples, None, &mut unobserved)?;
    let after = gradients(&network, &examples, row.cost)?.0;
    let last = check(&network)?;
    for found in [&first, &last] {
        ensure(found.difference <= 1e-7, || format!("{found:?}"))?;
    }
    ensure(after < before, || format!("the cost went from {before} to {after}"))?;
    Ok(format!("{:.0e}", first.difference.max(last.difference)))
}

/// One result for 1, 2, 3 and 8 threads, where there are several tiles and several blocks of features.
fn threads(row: &Row) -> Found {
    threads_as::<f32>(row)?;
    threads_as::<f64>(row)?;
    Ok("ok".to_owned())
}

fn threads_as<T: Element + Scalar>(row: &Row) -> Result<(), Box<dyn std::error::Error>> {
    let network = row.network::<T>(300);
    let data = Data::new(row, 300, 280);
    let on = |threads: usize| {
        let trainer = Trainer { threads: threads.try_into().ok(), epochs: 2, ..row.trainer() };
        trained(&trainer, &network, &data.examples(row))
    };
    let expected = on(1)?;
    for threads in [2, 3, 8] {
        ensure(on(threads)? == expected, || format!("other bits on {threads} threads"))?;
    }
    Ok(())
}

/// What goes to other threads, can.
#[test]
fn everything_can_be_shared_between_threads() {
    fn shared<V: Send + Sync>() {}
    shared::<Network<f32>>();
    shared::<Trainer>();
    shared::<Checkpoint<f64>>();
    shared::<Examples<'_, f32>>();
    shared::<Features<'_, f32>>();
    shared::<RandomStream>();
    shared::<TrainError>();
    shared::<History>();
}
