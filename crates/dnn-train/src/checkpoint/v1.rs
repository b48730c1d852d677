//! Checkpoints of major version 1, which dnn 0.1 wrote. They are read for ever, so nothing here changes.
//!
//! The metadata are the records below, one behind another as bincode writes them: names are not in the file, and
//! neither are those of variants, which are numbers from 0 on. The tensors are, in this order:
//!
//! | name | what it is | where |
//! |---|---|---|
//! | `network` | the bytes of a model file | always |
//! | `best` | the same, after the best epoch | if it is kept |
//! | `patience.reference` | one `f64`, see [`Comparison`](crate::stopping::Comparison) | if it is not the best value (1.2) |
//! | `memory.0`, `memory.1`, … | what the optimiser remembers, in the shapes of the parameters | if it does |
//! | `gram.…` | the first layer in the dual (Gram) form | in a run in that form (1.1) |

use dnn_store::{Format, StoredTensor};
use serde::{Deserialize, Serialize};

use super::{Contents, MAGIC, MemoryOf, NAME, Setting, progress};
use crate::stopping;
use crate::tally::{Classification, Tally};
use crate::totals;
use crate::{Clip, EarlyStopping, TrainError, Trainer};

const FORMAT: Format = Format { magic: MAGIC, name: NAME, major: 1, minor: 2 };

/// The name of the tensor with the number that patience waits to see beaten.
const REFERENCE: &str = "patience.reference";

#[derive(Deserialize)]
struct Content {
    settings: Vec<Setting>,
    progress: Progress,
    /// Steps that the optimiser counts.
    steps: u64,
    /// Arrays in the shape of all parameters that it remembers.
    arrays: u64,
    has_best: bool,
}

#[derive(Serialize, Deserialize)]
pub(super) struct Progress {
    epoch: u64,
    batches: u64,
    records: u64,
    totals: Totals,
    watch: Watch,
    comparison: Comparison,
    plateau: Plateau,
}

#[derive(Serialize, Deserialize)]
struct Totals {
    steps: u64,
    epoch: Sums,
    answers: Answers,
}

#[derive(Serialize, Deserialize)]
struct Sums {
    examples: u64,
    weight: f64,
    cost: f64,
    counts: Counts,
    classified: bool,
}

#[derive(Serialize, Deserialize)]
struct Counts {
    correct: u64,
    actual: Vec<u64>,
    predicted: Vec<u64>,
}

#[derive(Serialize, Deserialize)]
enum Answers {
    Unknown,
    Single(u64),
    Several,
}

#[derive(Serialize, Deserialize)]
struct Watch {
    stuck: u64,
    warned: bool,
}

#[derive(Serialize, Deserialize)]
struct Comparison {
    best: Option<BestEpoch>,
    waited: u64,
}

#[derive(Serialize, Deserialize)]
struct BestEpoch {
    epoch: u64,
    step: u64,
    value: f64,
}

#[derive(Serialize, Deserialize)]
struct Plateau {
    best: Option<f64>,
    waited: u64,
    scale: f64,
}

/// What the file says.
pub(super) fn read(bytes: &[u8]) -> Result<Contents<'_>, TrainError> {
    let container = dnn_store::decode::<Content>(&FORMAT, bytes)?;
    let mut tensors = container.tensors().to_vec();
    let Content { settings, progress, steps, arrays, has_best } = container.content;
    let reference = reference(&tensors)?;
    tensors.retain(|tensor| tensor.name() != REFERENCE);
    Ok(Contents {
        settings,
        settings_of,
        progress: progress.live(reference),
        optimizer_steps: steps,
        memories: arrays,
        has_best,
        memory_name,
        tensors,
    })
}

/// The number that patience waits to see beaten, if it is there.
fn reference(tensors: &[StoredTensor<'_>]) -> Result<Option<f64>, TrainError> {
    let Some(tensor) = tensors.iter().find(|tensor| tensor.name() == REFERENCE) else {
        return Ok(None);
    };
    match tensor.to_vec::<f64>()?[..] {
        [reference] => Ok(Some(reference)),
        _ => Err(TrainError::unfit(format!("no single number in `{REFERENCE}`"))),
    }
}

fn memory_name(of: MemoryOf<'_>) -> String {
    format!("memory.{}", of.position)
}

/// Everything that a run follows from beside data and first weights, as 0.1 wrote it.
fn settings_of(trainer: &Trainer, examples: usize) -> Vec<Setting> {
    let given = |given: bool| if given { "given" } else { "none" }.to_owned();
    let or_default = |text: Option<String>| text.unwrap_or_else(|| "the usual one".to_owned());
    let clip = match trainer.clip {
        Clip::Never => "Never".to_owned(),
        Clip::Value(limit) => format!("Value({limit:?})"),
        Clip::Norm(limit) => format!("Norm({limit:?})"),
    };
    let early_stopping = trainer.early_stopping.map_or_else(
        || "None".to_owned(),
        |EarlyStopping { patience, min_delta }| {
            format!("Some(EarlyStopping {{ patience: {patience}, min_delta: {min_delta:?} }})")
        },
    );
    let mut settings = vec![
        ("training examples", examples.to_string()),
        ("cost", or_default(trainer.cost.map(|cost| cost.to_string()))),
        ("optimiser", trainer.optimizer.to_string()),
        ("learning rate", trainer.learning_rate.to_string()),
        ("schedule", trainer.schedule.to_string()),
        ("warm-up", trainer.warm_up.to_string()),
        ("L2", trainer.l2.to_string()),
        ("clipping", clip),
        ("class weights", trainer.class_weights.to_string()),
        ("label smoothing", trainer.label_smoothing.to_string()),
        ("monitor", or_default(trainer.monitor.map(|monitor| monitor.to_string()))),
        ("early stopping", early_stopping),
        ("best weights", trainer.keeps_best().to_string()),
        ("batch", trainer.batch.to_string()),
        ("seed", trainer.seed.to_string()),
        ("order", given(trainer.order.is_some())),
        ("augmentation", given(trainer.augment.is_some())),
        ("dropout masks", given(trainer.dropout_masks.is_some())),
    ];
    if trainer.schedule.depends_on_length() {
        settings.push(("epochs, which the schedule depends on", trainer.epochs.to_string()));
    }
    settings.into_iter().map(|(name, value)| Setting { name: name.to_owned(), value }).collect()
}

/// A count in a file; one that does not fit is as impossible as the largest.
fn to_usize(count: u64) -> usize {
    usize::try_from(count).unwrap_or(usize::MAX)
}

fn to_usizes(counts: Vec<u64>) -> Vec<usize> {
    counts.into_iter().map(to_usize).collect()
}

fn to_u64s(counts: &[usize]) -> Vec<u64> {
    counts.iter().map(|&count| count as u64).collect()
}

impl Progress {
    /// The record of where a run is, but for the number that patience waits to see beaten.
    pub(super) fn of(progress: &progress::Progress) -> Self {
        let progress::Progress { epoch, batches, records, totals, watch, comparison, plateau } =
            progress;
        let Tally { examples, weight, cost, counts, classified } = &totals.epoch;
        let Classification { correct, actual, predicted } = counts;
        let counts = Counts {
            correct: *correct as u64,
            actual: to_u64s(actual),
            predicted: to_u64s(predicted),
        };
        let answers = match totals.answers {
            totals::Answers::Unknown => Answers::Unknown,
            totals::Answers::Single(class) => Answers::Single(class as u64),
            totals::Answers::Several => Answers::Several,
        };
        let best = comparison.best.map(|best| BestEpoch {
            epoch: best.epoch,
            step: best.step,
            value: best.value,
        });
        let epoch_sums = Sums {
            examples: *examples as u64,
            weight: *weight,
            cost: *cost,
            counts,
            classified: *classified,
        };
        Self {
            epoch: *epoch,
            batches: *batches as u64,
            records: *records,
            totals: Totals { steps: totals.steps, epoch: epoch_sums, answers },
            watch: Watch { stuck: watch.stuck, warned: watch.warned },
            comparison: Comparison { best, waited: comparison.waited },
            plateau: Plateau { best: plateau.best, waited: plateau.waited, scale: plateau.scale },
        }
    }

    /// Where a run is, by this record and the number that patience waits to see beaten.
    pub(super) fn live(self, reference: Option<f64>) -> progress::Progress {
        let Self { epoch, batches, records, totals, watch, comparison, plateau } = self;
        let Sums { examples, weight, cost, counts, classified } = totals.epoch;
        let counts = Classification {
            correct: to_usize(counts.correct),
            actual: to_usizes(counts.actual),
            predicted: to_usizes(counts.predicted),
        };
        let answers = match totals.answers {
            Answers::Unknown => totals::Answers::Unknown,
            Answers::Single(class) => totals::Answers::Single(to_usize(class)),
            Answers::Several => totals::Answers::Several,
        };
        let best = comparison.best.map(|best| crate::BestEpoch {
            epoch: best.epoch,
            step: best.step,
            value: best.value,
        });
        progress::Progress {
            epoch,
            batches: to_usize(batches),
            records,
            totals: totals::Totals {
                steps: totals.steps,
                epoch: Tally { examples: to_usize(examples), weight, cost, counts, classified },
                answers,
            },
            watch: totals::Watch { stuck: watch.stuck, warned: watch.warned },
            comparison: stopping::Comparison { best, waited: comparison.waited, reference },
            plateau: stopping::Plateau {
                best: plateau.best,
                waited: plateau.waited,
                scale: plateau.scale,
            },
        }
    }
}
