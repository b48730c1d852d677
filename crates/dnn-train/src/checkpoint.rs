//! A run on its way: all that it takes to go on with it to the same bits.

use std::path::Path;

use dnn_core::{Element, Features, LayerParameters, Parameters};
use dnn_layers::Network;
use dnn_store::{Format, Scalar, StoredTensor, Tensor, Values};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::gram::{GramState, put};
use crate::stopping::{Comparison, Plateau};
use crate::totals::{Totals, Watch};
use crate::{GramChoice, Optimizer, OptimizerState, TrainError, Trainer};

/// What marks a checkpoint. Files of major version 1 are read for ever; 1.1 added the first layer in the Gram
/// form, 1.2 the number that patience waits to see beaten, where that is not the best one.
const FORMAT: Format = Format { magic: *b"dnncheck", name: "checkpoint", major: 1, minor: 2 };

/// The name of the tensor with that number.
const REFERENCE: &str = "patience.reference";

/// No checkpoint is larger: a network, its best state and ten times its parameters in memory.
const LARGEST_FILE: u64 = 256 << 30;

/// Where a run is, beside its numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Progress {
    /// The epoch in progress, counted from 1.
    pub(crate) epoch: u64,
    /// Steps of it that are made.
    pub(crate) batches: usize,
    /// Epochs that have been recorded.
    pub(crate) records: u64,
    pub(crate) totals: Totals,
    pub(crate) watch: Watch,
    pub(crate) comparison: Comparison,
    pub(crate) plateau: Plateau,
}

/// No run makes more steps or epochs; counts up to here can be added to.
const MOST: u64 = 1 << 62;

impl Progress {
    /// Accepts what a file says of a run of a network of so many outputs, or says what is wrong with it.
    fn check(&self, outputs: usize) -> Result<(), String> {
        let (epoch, records, steps) = (self.epoch, self.records, self.totals.steps());
        if !(1..=MOST).contains(&epoch) {
            return Err(format!("epoch {epoch}"));
        }
        if steps > MOST {
            return Err(format!("{steps} steps"));
        }
        if records != epoch - 1 {
            return Err(format!("{records} records of epochs in epoch {epoch}"));
        }
        self.totals.check(outputs)?;
        self.watch.check(records)?;
        self.comparison.check(records, steps)?;
        self.plateau.check(records)
    }

    /// Accepts where it says that it is in epochs over so many examples in batches of so many, or says what
    /// is wrong with it.
    fn check_place(&self, examples: usize, batch: usize) -> Result<(), String> {
        let per_epoch = examples.div_ceil(batch.max(1));
        let (epoch, batches, steps) = (self.epoch, self.batches, self.totals.steps());
        let made = u128::from(self.records) * per_epoch as u128 + batches as u128;
        if batches > per_epoch || made != u128::from(steps) {
            return Err(format!(
                "{steps} steps, {batches} of them in epoch {epoch}, at {per_epoch} for each"
            ));
        }
        // Counts begin anew with the first batch of an epoch.
        let counted = match (batches, self.records) {
            (0, 0) => 0,
            (0, _) => examples,
            _ => examples.min(batches.saturating_mul(batch)),
        };
        let found = self.totals.examples();
        if found != counted {
            return Err(format!("{found} examples in {batches} batches of {batch}"));
        }
        Ok(())
    }
}

/// The state of a run, beside its network.
#[derive(Debug, Clone)]
pub(crate) struct RunState<T> {
    pub(crate) progress: Progress,
    pub(crate) optimizer: OptimizerState<T>,
    /// The network after the best epoch, if it is kept.
    pub(crate) best: Option<Network<T>>,
    /// The first layer, in a run in the Gram form once it has begun; the weights of the first layer of the
    /// network and of the best one are meaningless then.
    pub(crate) gram: Option<GramState<T>>,
}

impl<T: Element> RunState<T> {
    pub(crate) fn start(optimizer: Optimizer, network: &Network<T>) -> Self {
        let progress = Progress {
            epoch: 1,
            batches: 0,
            records: 0,
            totals: Totals::new(network.outputs()),
            watch: Watch::default(),
            comparison: Comparison::default(),
            plateau: Plateau::default(),
        };
        Self { progress, optimizer: optimizer.start(network.parameters()), best: None, gram: None }
    }
}

/// The metadata of a checkpoint. Its shape is a part of the format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Content {
    settings: Vec<(String, String)>,
    progress: Progress,
    steps: u64,
    arrays: u64,
    has_best: bool,
}

/// What a run that can be saved shows of itself.
pub(crate) struct Saved<'s, 'x, T> {
    pub(crate) trainer: &'s Trainer,
    /// The training examples.
    pub(crate) training: &'s Features<'x, T>,
    pub(crate) network: &'s Network<T>,
    pub(crate) state: &'s RunState<T>,
}

/// The same, whatever the numbers are.
trait Save {
    fn progress(&self) -> &Progress;
    fn checkpoint(&self) -> Result<Vec<u8>, TrainError>;
    fn network(&self) -> Result<Vec<u8>, TrainError>;
}

/// A moment of a run, to be saved by whoever wants to: nothing is copied before it is asked for.
#[derive(Clone, Copy)]
pub struct Snapshot<'a> {
    saved: &'a dyn Save,
    is_best: bool,
    ends: bool,
}

impl std::fmt::Debug for Snapshot<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot").field("progress", self.saved.progress()).finish_non_exhaustive()
    }
}

impl<'a> Snapshot<'a> {
    pub(crate) fn new<T: Element + Scalar>(
        saved: &'a Saved<'_, '_, T>,
        is_best: bool,
        ends: bool,
    ) -> Self {
        Self { saved, is_best, ends }
    }

    /// Steps since the start of the run.
    pub fn step(&self) -> u64 {
        self.saved.progress().totals.steps()
    }

    /// Epochs that have been recorded since the start of the run.
    pub fn epochs(&self) -> u64 {
        self.saved.progress().records
    }

    /// Whether an epoch is just over, and was the best so far.
    pub fn is_best(&self) -> bool {
        self.is_best
    }

    /// Whether the last epoch is over, or early stopping ends the run here.
    pub fn ends(&self) -> bool {
        self.ends
    }

    /// The run as the bytes of a checkpoint, for [`Checkpoint::from_bytes`].
    ///
    /// # Errors
    /// [`TrainError`] if a number is not finite, or there are too many of them for the format.
    pub fn checkpoint(&self) -> Result<Vec<u8>, TrainError> {
        self.saved.checkpoint()
    }

    /// The network as the bytes of a model file.
    ///
    /// # Errors
    /// As [`Network::to_bytes`].
    pub fn network(&self) -> Result<Vec<u8>, TrainError> {
        self.saved.network()
    }
}

impl<T: Element + Scalar> Save for Saved<'_, '_, T> {
    fn progress(&self) -> &Progress {
        &self.state.progress
    }

    fn network(&self) -> Result<Vec<u8>, TrainError> {
        let bytes = match &self.state.gram {
            Some(gram) => gram.applied(self.network, self.training).to_bytes(),
            None => self.network.to_bytes(),
        };
        Ok(bytes?)
    }

    fn checkpoint(&self) -> Result<Vec<u8>, TrainError> {
        let RunState { progress, optimizer, best, gram } = self.state;
        let content = Content {
            settings: settings(self.trainer, self.training.len()),
            progress: progress.clone(),
            steps: optimizer.steps,
            arrays: optimizer.memory.len() as u64,
            has_best: best.is_some(),
        };
        let mut networks = vec![self.network()?];
        if let Some(best) = best {
            let weights = gram.as_ref().and_then(|gram| gram.best_weights(self.training));
            networks.push(match weights {
                Some(weights) => {
                    let mut best = best.clone();
                    put(&mut best, &weights);
                    best.to_bytes()?
                }
                None => best.to_bytes()?,
            });
        }
        let mut tensors = Vec::new();
        for (name, bytes) in ["network", "best"].into_iter().zip(&networks) {
            tensors.push((name.to_owned(), vec![bytes.len()], Values::new(&bytes[..])));
        }
        if let Some(reference) = &progress.comparison.reference {
            let values = Values::new(std::slice::from_ref(reference));
            tensors.push((REFERENCE.to_owned(), vec![1], values));
        }
        // Memory is made like the parameters, which are in the standard layout, or by `clone` of them.
        let arrays: Vec<Array2<T>> = (optimizer.memory.iter())
            .flat_map(|memory| &memory.layers)
            .flat_map(|layer| [&layer.weights, &layer.bias])
            .map(|array| array.as_standard_layout().into_owned())
            .collect();
        for (index, array) in arrays.iter().enumerate() {
            let values = array.as_slice().expect("the standard layout is a slice");
            let dims = vec![array.nrows(), array.ncols()];
            tensors.push((format!("memory.{index}"), dims, Values::new(values)));
        }
        if let Some(gram) = gram {
            gram.save(&mut tensors);
        }
        let tensors: Vec<Tensor<'_>> = tensors
            .iter()
            .map(|(name, dims, values)| Tensor { name, dims, values: *values })
            .collect();
        Ok(dnn_store::encode(&FORMAT, &content, &tensors)?)
    }
}

/// A run as it was saved, for [`Trainer::resume`].
#[derive(Debug, Clone)]
pub struct Checkpoint<T> {
    network: Network<T>,
    settings: Vec<(String, String)>,
    state: RunState<T>,
    /// Whether somebody may have changed the network.
    changed: bool,
}

impl<T: Element + Scalar> Checkpoint<T> {
    /// The run in the bytes of a checkpoint.
    ///
    /// # Errors
    /// [`TrainError::Store`] or [`TrainError::Network`] if they are not a whole, undamaged checkpoint of
    /// these numbers.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TrainError> {
        let container = dnn_store::decode::<Content>(&FORMAT, bytes)?;
        let network = Network::<T>::from_bytes(container.tensor("network")?.bytes())?;
        let best = if container.content.has_best {
            Some(Network::from_bytes(container.tensor("best")?.bytes())?)
        } else {
            None
        };
        let shape = network.parameters();
        let reference = reference(container.tensors())?;
        let before = 1 + usize::from(best.is_some()) + usize::from(reference.is_some());
        let mut tensors = container.tensors().iter().skip(before);
        let mut memory = Vec::new();
        for _ in 0..container.content.arrays {
            let mut layers = Vec::with_capacity(shape.layers.len());
            for layer in &shape.layers {
                let mut read = |expected: (usize, usize)| {
                    let tensor = tensors.next().ok_or_else(|| unfit("fewer arrays".to_owned()))?;
                    if *tensor.dims() != [expected.0, expected.1] {
                        return Err(unfit(format!("{:?} for {expected:?}", tensor.dims())));
                    }
                    Array2::from_shape_vec(expected, tensor.to_vec::<T>()?)
                        .map_err(|error| unfit(error.to_string()))
                };
                let (weights, bias) = (read(layer.weights.dim())?, read(layer.bias.dim())?);
                layers.push(LayerParameters { weights, bias });
            }
            memory.push(Parameters { layers });
        }
        let rest = &container.tensors()[container.tensors().len() - tensors.len()..];
        let gram = GramState::load(rest, shape.layers[0].weights.dim())?;
        if gram.is_none() && !rest.is_empty() {
            return Err(unfit("more arrays".to_owned()));
        }
        let Content { settings, mut progress, steps, .. } = container.content;
        progress.comparison.reference = reference;
        progress.check(network.outputs()).map_err(unfit)?;
        if steps != progress.totals.steps() {
            let made = progress.totals.steps();
            return Err(unfit(format!("{steps} steps of the optimiser in {made} of the run")));
        }
        if best.as_ref().is_some_and(|best| !are_alike(best, &network)) {
            return Err(unfit("another network as best".to_owned()));
        }
        let optimizer = OptimizerState { steps, memory };
        Ok(Self {
            network,
            settings,
            changed: false,
            state: RunState { progress, optimizer, best, gram },
        })
    }

    /// Reads a checkpoint from `path`.
    ///
    /// # Errors
    /// As [`from_bytes`](Self::from_bytes), with the path, and [`TrainError::Store`] if the file cannot be
    /// read.
    pub fn load(path: impl AsRef<Path>) -> Result<Self, TrainError> {
        let path = path.as_ref();
        let bytes = dnn_store::read_file(path, LARGEST_FILE)?;
        Self::from_bytes(&bytes).map_err(|reason| TrainError::InCheckpoint {
            path: path.to_owned(),
            reason: Box::new(reason),
        })
    }

    /// The network as it was.
    pub fn network(&self) -> &Network<T> {
        &self.network
    }

    /// The same, to be changed in place: what goes on from there is another run. In the
    /// [Gram form](crate::GramPlan) the first layer begins anew there: what momentum remembers of its weights
    /// is forgotten.
    pub fn network_mut(&mut self) -> &mut Network<T> {
        self.changed = true;
        &mut self.network
    }

    /// Steps since the start of the run.
    pub fn step(&self) -> u64 {
        self.state.progress.totals.steps()
    }

    /// Epochs that had been recorded since the start of the run.
    pub fn epochs(&self) -> u64 {
        self.state.progress.records
    }

    /// The state of a run by these settings, and whether it is in the Gram form; `network` becomes the
    /// checkpoint's.
    pub(crate) fn open(
        mut self,
        trainer: &Trainer,
        examples: usize,
        network: &mut Network<T>,
    ) -> Result<(RunState<T>, bool), TrainError> {
        let other = |what: String, expected: String, found: String| {
            Err(TrainError::OtherRun { what, expected, found })
        };
        let present = settings(trainer, examples);
        let differ = |((_, kept), (_, now)): &(&(String, String), &(String, String))| kept != now;
        if let Some(((name, kept), (_, now))) = self.settings.iter().zip(&present).find(differ) {
            return other(name.clone(), kept.clone(), now.clone());
        }
        let names = |settings: &[(String, String)]| {
            settings.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>().join(", ")
        };
        if names(&self.settings) != names(&present) {
            return other("settings".to_owned(), names(&self.settings), names(&present));
        }
        let (batch, progress) = (trainer.batch_len(examples), &self.state.progress);
        progress.check_place(examples, batch).map_err(unfit)?;
        if self.state.best.is_some() != (trainer.keeps_best() && progress.comparison.best.is_some())
        {
            let kept = if self.state.best.is_some() { "a best network" } else { "no best network" };
            return Err(unfit(format!("{kept} beside {:?}", progress.comparison.best)));
        }
        let (kept, now) = (self.network.summary(), network.summary());
        if kept != now || self.network.input() != network.input() {
            return other("network".to_owned(), format!("\n{kept}"), format!("\n{now}"));
        }
        self.state.optimizer.check(trainer.optimizer, self.network.parameters())?;
        let in_gram_form = self.state.gram.is_some();
        let refused = if in_gram_form { GramChoice::Never } else { GramChoice::Always };
        if trainer.gram == refused {
            let kept = if in_gram_form { "always" } else { "never" };
            return other("Gram form".to_owned(), kept.to_owned(), refused.to_string());
        }
        if self.changed {
            self.state.gram = None;
        } else if let Some(gram) = &self.state.gram {
            gram.check(examples, trainer.optimizer)?;
        }
        *network = self.network;
        Ok((self.state, in_gram_form))
    }
}

/// Whether both are networks of the same layers for the same inputs and classes.
fn are_alike<T: Element>(one: &Network<T>, other: &Network<T>) -> bool {
    let parts = |it: &Network<T>| (it.input(), it.head(), it.scaling(), it.outputs());
    parts(one) == parts(other) && one.hidden() == other.hidden() && one.classes() == other.classes()
}

/// The number that patience waits to see beaten, if it is there.
fn reference(tensors: &[StoredTensor<'_>]) -> Result<Option<f64>, TrainError> {
    let Some(tensor) = tensors.iter().find(|tensor| tensor.name() == REFERENCE) else {
        return Ok(None);
    };
    match tensor.to_vec::<f64>()?[..] {
        [reference] if reference.is_finite() => Ok(Some(reference)),
        _ => Err(unfit(format!("no single finite number in `{REFERENCE}`"))),
    }
}

pub(crate) fn unfit(found: String) -> TrainError {
    TrainError::Checkpoint { found }
}

/// Everything that a run follows from beside data and first weights, by name.
fn settings(trainer: &Trainer, examples: usize) -> Vec<(String, String)> {
    let given = |given: bool| if given { "given" } else { "none" }.to_owned();
    let usual = |text: Option<String>| text.unwrap_or_else(|| "the usual one".to_owned());
    let mut settings = vec![
        ("training examples", examples.to_string()),
        ("cost", usual(trainer.cost.map(|cost| cost.to_string()))),
        ("optimiser", trainer.optimizer.to_string()),
        ("learning rate", trainer.learning_rate.to_string()),
        ("schedule", trainer.schedule.to_string()),
        ("warm-up", trainer.warm_up.to_string()),
        ("L2", trainer.l2.to_string()),
        ("clipping", format!("{:?}", trainer.clip)),
        ("class weights", trainer.class_weights.to_string()),
        ("label smoothing", trainer.label_smoothing.to_string()),
        ("monitor", usual(trainer.monitor.map(|monitor| monitor.to_string()))),
        ("early stopping", format!("{:?}", trainer.early_stopping)),
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
    settings.into_iter().map(|(name, text)| (name.to_owned(), text)).collect()
}
