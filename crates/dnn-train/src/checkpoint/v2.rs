//! Checkpoints of major version 2, which are written.
//!
//! The metadata are the record below as bincode writes it; `docs/file-format.md` has it byte by byte. Within the
//! major version it keeps its shape. The tensors are, in this order:
//!
//! | name | what it is | where |
//! |---|---|---|
//! | `network` | the bytes of a model file | always |
//! | `best` | the same, after the best epoch | if it is kept |
//! | `average` | the same, of the moving average | in a run with weight averaging |
//! | `memory.0.dense1.weights`, … | what the optimiser remembers of each parameter | if it does |
//! | `gram.…` | the first layer in the dual (Gram) form | in a run in that form |

use dnn_core::Element;
use dnn_store::{Format, Scalar, Tensor};
use serde::{Deserialize, Serialize};

use super::v1::Progress;
use super::{Contents, MAGIC, MemoryOf, NAME, NamedArray, RunState, Saved, Setting};
use crate::{Clip, EarlyStopping, Products, TrainError, Trainer, TrainingSize};

pub(super) const FORMAT: Format = Format { magic: MAGIC, name: NAME, major: 2, minor: 0 };

/// The name of the moving average.
pub(super) const AVERAGE: &str = "average";

#[derive(Serialize, Deserialize)]
struct Content {
    settings: Vec<Setting>,
    progress: Progress,
    /// What patience waits to see beaten, where that is not the best value.
    reference: Option<f64>,
    /// Steps that the optimiser counts.
    optimizer_steps: u64,
    /// How many times it remembers an array for each parameter.
    memories: u64,
    has_best: bool,
}

/// The run as the bytes of a checkpoint; `networks` are the names and bytes of its own, of the best one and of the average,
/// where there are such.
pub(super) fn write<T: Element + Scalar>(
    saved: &Saved<'_, '_, T>,
    networks: &[(&str, Vec<u8>)],
) -> Result<Vec<u8>, TrainError> {
    let RunState { progress, optimizer, best, gram, .. } = saved.state;
    let content = Content {
        settings: settings_of(saved.trainer, saved.training.len()),
        progress: Progress::of(progress),
        reference: progress.comparison.reference,
        optimizer_steps: optimizer.steps,
        memories: optimizer.memory.len() as u64,
        has_best: best.is_some(),
    };
    let mut tensors = Vec::new();
    for (name, bytes) in networks {
        tensors.push(NamedArray::new(name, vec![bytes.len()], &bytes[..]));
    }
    // Rows one behind another; memory is made so. What is not trained has none.
    let parameters = || saved.network.tensors().iter();
    let memories = optimizer.memory.iter().zip(0..).flat_map(|(memory, number)| {
        let arrays = memory.iter().zip(parameters()).filter(|(array, _)| !array.is_empty());
        arrays.map(move |(array, parameter)| (number, array.as_standard_layout(), parameter.name()))
    });
    let memories: Vec<_> = memories.collect();
    for (position, (memory, array, parameter)) in memories.iter().enumerate() {
        let name = memory_name(MemoryOf { position, memory: *memory, parameter });
        let values = array.as_slice().expect("the standard layout is a slice");
        tensors.push(NamedArray::new(&name, vec![array.nrows(), array.ncols()], values));
    }
    if let Some(gram) = gram {
        gram.save(&mut tensors);
    }
    let tensors: Vec<Tensor<'_>> = tensors.iter().map(NamedArray::as_tensor).collect();
    Ok(dnn_store::encode(&FORMAT, &content, &tensors)?)
}

/// What the file says.
pub(super) fn read(bytes: &[u8]) -> Result<Contents<'_>, TrainError> {
    let container = dnn_store::decode::<Content>(&FORMAT, bytes)?;
    let tensors = container.tensors().to_vec();
    let Content { settings, progress, reference, optimizer_steps, memories, has_best } =
        container.content;
    let progress = progress.live(reference);
    Ok(Contents {
        settings,
        settings_of,
        progress,
        optimizer_steps,
        memories,
        has_best,
        memory_name,
        tensors,
    })
}

fn memory_name(of: MemoryOf<'_>) -> String {
    format!("memory.{}.{}", of.memory, of.parameter)
}

/// Everything that a run follows from beside data and first weights, by name.
pub(super) fn settings_of(trainer: &Trainer, examples: usize) -> Vec<Setting> {
    let given = |given: bool| if given { "given" } else { "none" }.to_owned();
    let or_default = |text: Option<String>| text.unwrap_or_else(|| "default".to_owned());
    let clip = match trainer.clip {
        Clip::Never => "never".to_owned(),
        Clip::Value(limit) => format!("value {limit}"),
        Clip::Norm(limit) => format!("norm {limit}"),
    };
    let early_stopping = trainer.early_stopping.map_or_else(
        || "never".to_owned(),
        |EarlyStopping { patience, min_delta }| {
            format!("patience {patience}, min delta {min_delta}")
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
    if trainer.products != Products::Full {
        settings.push(("products", trainer.products.to_string()));
    }
    if let Some(mixing) = trainer.mixing {
        settings.push(("mixing", mixing.to_string()));
    }
    if trainer.whitening {
        settings.push(("whitening", "yes".to_owned()));
    }
    if let Some(stays) = trainer.averaging {
        settings.push(("weight averaging", stays.to_string()));
    }
    if trainer.schedule.depends_on_length() {
        settings.push(("epochs, which the schedule depends on", trainer.epochs.to_string()));
    }
    if !trainer.sizes.is_empty() {
        let size = |it: &TrainingSize| format!("{} from {} of the epochs", it.shape, it.from);
        let sizes: Vec<String> = trainer.sizes.iter().map(size).collect();
        settings.push(("sizes", sizes.join(", ")));
    }
    if trainer.sizes.len() > 1 {
        settings.push(("epochs, which the sizes depend on", trainer.epochs.to_string()));
    }
    settings.into_iter().map(|(name, value)| Setting { name: name.to_owned(), value }).collect()
}
