//! Numbers that stop a run, and calls that are refused.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use crate::pairs::Pairs;
use std::ops::ControlFlow;

use dnn_core::{CoreError, Features, Initializer, Shape};
use dnn_layers::{Activation, Head, Network};
use dnn_train::{
    Batch, BatchOrder, Cost, Event, Examples, Schedule, Targets, TrainError, Trainer, evaluate,
    unobserved,
};
use ndarray::{Array2, array};

use crate::fits::{bits, build, classifier, full, in_order, line, size, try_fit};

/// Trains a line, or two in a row, on `m` equal examples, until it stops; gives what, layer, step,
/// epoch and batch, and the network.
fn stops(
    network: &Network<f32>,
    trainer: &Trainer,
    [x, y]: [f32; 2],
    m: usize,
) -> ((&'static str, String, u64, u64, usize), Network<f32>) {
    let (x, y) = (Array2::from_elem((1, m), x), Array2::from_elem((1, m), y));
    let examples = Examples::values(Features::Real(x.view()), y.view());
    let (stopped, result) = try_fit(trainer, network, &examples);
    let error = result.unwrap_err();
    let text = error.to_string();
    let TrainError::NotFinite { what, layer, step, epoch, batch } = error else {
        panic!("{error}");
    };
    assert_eq!(
        text,
        format!(
            "the {what} of {layer} stopped being finite at step {step} (epoch {epoch}, batch \
             {batch}); {}",
            if step == 1 {
                "the inputs or the first weights are too large"
            } else {
                "a smaller learning rate is the usual cure"
            }
        )
    );
    ((what, layer, step, epoch, batch), stopped)
}

#[test]
fn a_far_too_large_learning_rate_stops_with_the_parameters_before_the_step() {
    // a = 1, dw = db = 2: w = b = -2e30, and then (2 w)^2 is above 3.4e38.
    let network = line::<f32>(1.0);
    let after_one_step = (1.0_f32 - 2e30, -2e30_f32);
    for (trainer, m, place) in [
        (full(1e30, 9), 3, (2, 2, 1)),
        (in_order(2, 1e30, 9), 5, (2, 1, 2)),
        (in_order(2, 1e30, 9), 2, (2, 2, 1)),
    ] {
        let ((what, layer, step, epoch, batch), stopped) = stops(&network, &trainer, [1.0, 0.0], m);
        assert_eq!((what, &*layer, (step, epoch, batch)), ("cost", "dense1", place));
        let layer = &stopped.pairs().layers[0];
        assert_eq!((layer.weights[(0, 0)], layer.bias[(0, 0)]), after_one_step);
    }
}

#[test]
fn whatever_stops_being_finite_is_named_with_its_layer() {
    let two_lines = |weight| -> Network<f32> {
        let builder = Network::<f32>::builder(Shape::flat(1))
            .hidden(&[1], Activation::Identity)
            .outputs(1, Head::Identity);
        build(builder.initializer(Initializer::Constant(weight)))
    };
    for (network, learning_rate, example, expected) in [
        (line(1e30), 0.1, [1e30, 0.0], ("output Z", "dense1")),
        (two_lines(1e10), 0.1, [1e20, 0.0], ("output Z", "dense2")),
        // dw = 2 (0 + 1e10) 1e30, while the cost is 1e20.
        (line(0.0), 0.1, [1e30, -1e10], ("gradient", "dense1")),
    ] {
        let ((what, layer, step, epoch, batch), stopped) =
            stops(&network, &full(learning_rate, 2), example, 1);
        assert_eq!((what, &*layer), expected);
        assert_eq!((step, epoch, batch), (1, 1, 1));
        assert_eq!(bits(&stopped), bits(&network), "{what}");
    }
    // The one exception: the update itself, 1 - 3e38 * 2.
    let ((what, layer, step, ..), _) = stops(&line(1.0), &full(3e38, 2), [1.0, 0.0], 1);
    assert_eq!((what, &*layer, step), ("weights", "dense1", 1));
    // dw = 0 where x = 0, so that only the bias goes: -3e38 * 2 (0 - 1).
    let ((what, ..), _) = stops(&line(1.0), &full(3e38, 2), [0.0, -1.0], 1);
    assert_eq!(what, "bias");
}

#[test]
fn a_validation_part_that_goes_out_of_range_is_placed_in_the_run() {
    // w = b = 1 after epoch 1 and 1.5 after epoch 2; only (1.5 * 1.5e19)^2 is above 3.4e38.
    let (x, y, far) = (array![[1.0_f32]], array![[4.0]], array![[1.5e19]]);
    let training = Examples::values(Features::Real(x.view()), y.view());
    let validation = Examples::values(Features::Real(far.view()), y.view());
    let mut network = line::<f32>(0.0);
    let error = full(0.125, 5)
        .fit(&mut network, &training, Some(&validation), &mut unobserved)
        .unwrap_err();
    let TrainError::Validation { step, epoch, source } = error else {
        panic!("{error}");
    };
    assert_eq!((step, epoch), (2, 2));
    let message = "the cost of dense1 is not finite for the examples 0 to 0";
    assert_eq!(source.to_string(), message);
}

/// The message of a run that is refused, having changed nothing and reported nothing.
#[track_caller]
fn refused(
    trainer: &Trainer,
    network: &Network<f64>,
    training: &Examples<'_, f64>,
    validation: Option<&Examples<'_, f64>>,
) -> String {
    let mut trained = network.clone();
    let mut heard = 0;
    let error = trainer
        .fit(&mut trained, training, validation, &mut |event| {
            heard += u32::from(!matches!(event, Event::Plan(_)));
            ControlFlow::Continue(())
        })
        .unwrap_err();
    assert_eq!(heard, 0, "{error}");
    assert_eq!(&trained, network, "{error}");
    error.to_string()
}

#[test]
fn data_that_does_not_fit_is_refused_before_the_first_step() {
    let network: Network<f64> = build(classifier(2, &[3], 3));
    let x = array![[0.0, 1.0], [2.0, 3.0]];
    let narrow = array![[0.0, 1.0]];
    let holes = array![[0.0, 1.0], [2.0, f64::NAN]];
    let nothing = Array2::zeros((2, 0));
    let (flat, far) = (array![[0.0, 1.0]], array![[0.0, 1.0], [0.0, 1.5], [0.5, 0.5]]);
    let good = Examples::classes(Features::Real(x.view()), &[0, 2]);
    let with = |x: &'static [u32]| Examples { targets: Targets::Classes(x), ..good };
    for (bad, message) in [
        (with(&[0, 3]), "example 1 has label 3; expected a label below 3"),
        (with(&[0]), "expected 2 targets, one per example, found 1"),
        (
            Examples::classes(Features::Real(narrow.view()), &[0, 0]),
            "features: expected shape (2, 2), found (1, 2)",
        ),
        (
            Examples::classes(Features::Real(holes.view()), &[0, 0]),
            "features holds NaN in row 1, column 1; expected finite numbers",
        ),
        (
            Examples::classes(Features::Real(nothing.view()), &[]),
            "there are no examples; expected at least 1",
        ),
        (
            Examples::values(Features::Real(x.view()), flat.view()),
            "targets: expected shape (3, 2), found (1, 2)",
        ),
        (
            Examples::values(Features::Real(x.view()), far.view()),
            "example 1, output 1: expected a target that is between 0 and 1, found 1.5",
        ),
    ] {
        let trainer = Trainer::default();
        assert_eq!(refused(&trainer, &network, &bad, None), message);
        assert_eq!(refused(&trainer, &network, &good, Some(&bad)), message);
        let error = evaluate(&network, &bad, Cost::CategoricalCrossEntropy).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
}

#[test]
fn targets_that_are_no_probabilities_or_no_numbers_are_refused() {
    let x = array![[0.0, 1.0]];
    let message = |network: &Network<f64>, target: f64| {
        let y = array![[0.5, target]];
        let examples = Examples::values(Features::Real(x.view()), y.view());
        refused(&Trainer::default(), network, &examples, None)
    };
    let two: Network<f64> = build(classifier(1, &[], 2));
    for (target, found) in [(1.5, "1.5"), (-0.1, "-0.1"), (f64::NAN, "NaN")] {
        let expected = format!(
            "example 1, output 0: expected a target that is between 0 and 1, found {found}"
        );
        assert_eq!(message(&two, target), expected);
    }
    assert_eq!(
        message(&line(0.0), f64::INFINITY),
        "example 1, output 0: expected a target that is finite, found inf"
    );
    // A single number is no class.
    let examples = Examples::classes(Features::Real(x.view()), &[0, 1]);
    let error = refused(&Trainer::default(), &line(0.0), &examples, None);
    assert_eq!(
        error,
        "a single output with an identity head expects numbers as targets, found classes"
    );
    // Of two classes at one output there is no third.
    let examples = Examples::classes(Features::Real(x.view()), &[0, 2]);
    assert_eq!(
        refused(&Trainer::default(), &two, &examples, None),
        "example 1 has label 2; expected a label below 2"
    );
}

#[test]
fn settings_out_of_range_are_refused() {
    let network: Network<f64> = build(classifier(1, &[], 2));
    let x = array![[0.0, 1.0]];
    let examples = Examples::classes(Features::Real(x.view()), &[0, 1]);
    for (rate, found) in [(f64::NAN, "NaN"), (0.0, "0"), (-0.5, "-0.5"), (f64::INFINITY, "inf")] {
        assert_eq!(
            refused(&full(rate, 1), &network, &examples, None),
            format!("learning rate: expected a finite number above 0, found {found}")
        );
    }
    // A rate that is infinite, or 0, only once it is an f32.
    let (one, half) = (array![[1.0_f32]], array![[0.5]]);
    let line_of_one = Examples::values(Features::Real(one.view()), half.view());
    for (rate, found) in
        [(1e300, "1e300, which is inf in f32"), (1e-300, "1e-300, which is 0 in f32")]
    {
        let (_, result) = try_fit(&full(rate, 2), &line(1.0), &line_of_one);
        let message = format!("learning rate: expected a finite number above 0, found {found}");
        assert_eq!(result.unwrap_err().to_string(), message);
    }
    // One that decays until it is 0 is no reason to lose the run.
    let schedule = "exponential:factor=1e-30".parse().unwrap();
    let (trained, result) =
        try_fit(&Trainer { schedule, ..full(0.1, 4) }, &line(1.0), &line_of_one);
    assert_eq!(result.unwrap().epochs.len(), 4);
    assert_eq!(trained, try_fit(&full(0.1, 1), &line(1.0), &line_of_one).0);
    for decay in [-1.0, f64::NAN, f64::INFINITY] {
        let trainer = Trainer { schedule: Schedule::InverseTime { decay }, ..full(0.1, 2) };
        assert_eq!(
            refused(&trainer, &network, &examples, None),
            format!("decay: expected a finite number of at least 0, found {decay:?}")
        );
    }
    // A step on so many examples is more than a system grants.
    let memory = |trainer: &Trainer| trainer.check_memory(&network, usize::MAX / 1024, 2);
    assert!(memory(&in_order(2, 0.1, 1)).is_ok());
    let error = memory(&full(0.1, 1)).unwrap_err().to_string();
    assert!(error.ends_with("bytes of memory beside the data, which cannot be had"), "{error}");
    for (column, found) in [(0, "twice"), (2, "beyond the last")] {
        let order = BatchOrder::new(move |_, columns| columns[1] = column);
        let trainer = Trainer { order: Some(order), ..full(0.1, 2) };
        assert_eq!(
            refused(&trainer, &network, &examples, None),
            format!(
                "the batch order of epoch 1 is no order of the 2 examples: expected each of them \
                 once, found column {column} {found}"
            )
        );
    }
    let trainer = Trainer { cost: Some(Cost::CategoricalCrossEntropy), ..Trainer::default() };
    let error = refused(&trainer, &network, &examples, None);
    assert_eq!(error, "categorical cross-entropy expects a softmax head, found a sigmoid head");
}

#[test]
fn batches_are_their_text() {
    for text in ["0", "-1", "x", "", "1.5"] {
        assert_eq!(
            text.parse::<Batch>().unwrap_err(),
            CoreError::Invalid {
                what: "batch",
                expected: "`full` or a whole number of at least 1",
                found: text.to_owned(),
            }
        );
    }
    for batch in [Batch::Full, size(32)] {
        assert_eq!(batch.to_string().parse(), Ok(batch));
    }
}
