//! How good a network is.

use dnn_core::{BothPrecisions, Columns, Element};
use dnn_layers::{Head, Network};
use ndarray::ArrayView2;

use crate::cost::Objective;
use crate::engine::plan::check_memory;
use crate::engine::{Engine, StepContext};
use crate::tally::Tally;
use crate::{Cost, Evaluation, Examples, LabelSets, Regression, Targets, TrainError};

/// The mean cost of the examples and, where their targets are classes, the accuracy beside the
/// majority-class baseline; where they are numbers, R2 and the mean absolute error; where they are labels of
/// which several can hold, the accuracy of each and of the whole set.
///
/// # Errors
/// [`TrainError`] if the examples or the cost do not fit the network, or something is not finite.
///
/// # Examples
/// ```
/// use dnn_core::{Features, Initializer, Purpose, RandomStream, Shape};
/// use dnn_layers::Network;
/// use dnn_train::{Cost, Examples, evaluate};
/// use ndarray::array;
///
/// let network = Network::<f64>::builder(Shape::flat(1))
///     .classes(["low", "high"])
///     .initializer(Initializer::Constant(1.0)) // z = x: the second class where x > 0
///     .build(&mut RandomStream::new(0, Purpose::Initialization, 0))?;
/// let x = array![[-2.0, -1.0, 1.0, 2.0]];
/// let examples = Examples::classes(Features::Real(x.view()), &[0, 1, 1, 1]);
/// let evaluation = evaluate(&network, &examples, Cost::BinaryCrossEntropy)?;
/// assert_eq!(evaluation.accuracy(), Some(0.75));
/// assert_eq!(evaluation.baseline(), Some(0.75));
/// # Ok::<(), dnn_train::TrainError>(())
/// ```
///
/// Numbers, and labels of which several can hold:
/// ```
/// use dnn_core::{Features, Initializer, Purpose, RandomStream, Shape};
/// use dnn_layers::{Head, Network};
/// use dnn_train::{Cost, Examples, evaluate};
/// use ndarray::array;
///
/// let built = |outputs, head| {
///     Network::<f64>::builder(Shape::flat(1))
///         .outputs(outputs, head)
///         .initializer(Initializer::Constant(1.0))
///         .build(&mut RandomStream::new(0, Purpose::Initialization, 0))
/// };
/// let x = array![[-1.0, 1.0, 2.0, 4.0]];
/// let (numbers, labels) = (built(1, Head::Identity)?, built(2, Head::Sigmoid)?);
///
/// // z = x, and 3 is wanted for 2.
/// let y = array![[-1.0, 1.0, 3.0, 4.0]];
/// let examples = Examples::values(Features::Real(x.view()), y.view());
/// let found = evaluate(&numbers, &examples, Cost::MeanSquaredError)?;
/// let regression = found.regression.expect("the targets are numbers");
/// assert_eq!(regression.mean_absolute_error, 0.25);
/// assert!(regression.r2.is_some_and(|r2| r2 > 0.9));
///
/// // Both labels are said to hold where x > 0; for 4 the second does not.
/// let y = array![[0.0, 1.0, 1.0, 1.0], [0.0, 1.0, 1.0, 0.0]];
/// let examples = Examples::values(Features::Real(x.view()), y.view());
/// let found = evaluate(&labels, &examples, Cost::BinaryCrossEntropy)?;
/// let sets = found.labels.expect("the targets are labels");
/// assert_eq!((sets.accuracy, sets.subset_accuracy), (vec![1.0, 0.75], 0.75));
/// # Ok::<(), dnn_train::TrainError>(())
/// ```
pub fn evaluate<T: Element>(
    network: &Network<T>,
    examples: &Examples<'_, T>,
    cost: Cost,
) -> Result<Evaluation, TrainError> {
    EVALUATE.of::<Evaluate<T>>()(network, examples, cost)
}

type Evaluate<T> = fn(&Network<T>, &Examples<'_, T>, Cost) -> Result<Evaluation, TrainError>;

static EVALUATE: BothPrecisions<Evaluate<f32>, Evaluate<f64>> =
    BothPrecisions { f32: evaluate_here, f64: evaluate_here };

fn evaluate_here<T: Element>(
    network: &Network<T>,
    examples: &Examples<'_, T>,
    cost: Cost,
) -> Result<Evaluation, TrainError> {
    examples.check(network, cost)?;
    check_memory(network, 0, examples.len(), 0)?;
    let tally = if network.is_mirrored() {
        tally_of_logits(network, examples, cost)?
    } else {
        let mut engine = Engine::for_measuring(network, examples.len());
        tally(&mut engine, network, examples, cost, None)?
    };
    let mut evaluation = tally.evaluation();
    if let Targets::Values(wanted) = &examples.targets {
        let outputs = network.predict_outputs(&examples.features)?;
        if network.head() == Head::Sigmoid && LabelSets::are(wanted.view()) {
            evaluation.labels = Some(LabelSets::of(outputs.view(), wanted.view()));
        } else {
            evaluation.regression = Some(Regression::of(outputs.view(), wanted.view()));
        }
    }
    Ok(evaluation)
}

/// The same of answers that look at each picture and at its mirror.
fn tally_of_logits<T: Element>(
    network: &Network<T>,
    examples: &Examples<'_, T>,
    cost: Cost,
) -> Result<Tally, TrainError> {
    let logits = network.predict_logits(&examples.features)?;
    let (mut outputs, mut dz) = (logits.clone(), logits.clone());
    network.head().apply(logits.view(), outputs.view_mut());
    let columns = Columns::Run { start: 0, len: examples.len() };
    let (z, a, head) = (logits.view(), outputs.view(), network.head());
    let sum = Objective::plain(cost).sum_and_gradient(head, z, a, examples, columns, dz.view_mut());
    let mut tally = Tally::new(network.outputs());
    tally.add_outputs(network, a, &examples.targets, columns, sum);
    Ok(tally)
}

/// Runs all examples forward, as many at a time as the engine's buffers hold; `product` is that of the first
/// layer's weights with them, where it is known.
pub(crate) fn tally<T: Element>(
    engine: &mut Engine<T>,
    network: &Network<T>,
    examples: &Examples<'_, T>,
    cost: Cost,
    product: Option<ArrayView2<'_, f64>>,
) -> Result<Tally, TrainError> {
    let mut total = Tally::new(network.outputs());
    let (m, capacity) = (examples.len(), engine.capacity());
    let objective = Objective::plain(cost);
    for start in (0..m).step_by(capacity) {
        let len = capacity.min(m - start);
        let columns = Columns::Run { start, len };
        let part = engine
            .forward(StepContext { network, objective, examples, columns, product, draws: None })
            .map_err(|found| found.among(network, start..start + len))?;
        total.add(part);
    }
    Ok(total)
}
