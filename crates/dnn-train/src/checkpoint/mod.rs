//! A run on its way: all that it takes to go on with it to the same bits.
//!
//! Each major version of the file has its layout in a module of its own, as structs that never change. [`v2`] is
//! written; all are read. What a file says comes to one form, [`Contents`], before anything is made of it.

pub(crate) mod array;
mod progress;
mod v1;
mod v2;

use std::path::Path;

use dnn_core::{Element, Features, Shape};
use dnn_layers::{Network, Tensor as NetworkTensor};
use dnn_store::{Scalar, StoredTensor};
use ndarray::Array2;
use serde::{Deserialize, Serialize};

use crate::engine::plan::first_weights;
use crate::gram::{GramState, put};
use crate::{GramChoice, OptimizerState, TrainError, Trainer};

use array::NamedArray;
pub(crate) use progress::Progress;

/// The first bytes of a checkpoint of any version, and what messages call it.
const MAGIC: [u8; 8] = *b"dnncheck";
const NAME: &str = "checkpoint";

/// No checkpoint is larger: a network, its best state and ten times its parameters in memory.
const LARGEST_FILE: u64 = 256 << 30;

/// The state of a run, beside its network.
#[derive(Debug, Clone)]
pub(crate) struct RunState<T> {
    pub(crate) progress: Progress,
    pub(crate) optimizer: OptimizerState<T>,
    /// The network after the best epoch, if it is kept.
    pub(crate) best: Option<Network<T>>,
    /// The moving average of the network, if there is to be one.
    pub(crate) average: Option<Network<T>>,
    /// The first layer, in a run in the dual (Gram) form once it has begun; the weights of the first layer of the
    /// network and of the best one are meaningless then.
    pub(crate) gram: Option<GramState<T>>,
}

impl<T: Element> RunState<T> {
    pub(crate) fn start(trainer: &Trainer, network: &Network<T>) -> Self {
        Self {
            progress: Progress::start(network.outputs()),
            optimizer: trainer.optimizer.start_with(|| network.zeros()),
            best: None,
            average: trainer.averaging.map(|_| network.clone()),
            gram: None,
        }
    }
}

/// A setting that a run follows from, by name. Its layout is a part of all versions of the file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Setting {
    name: String,
    value: String,
}

/// What a file says, whatever its version.
struct Contents<'a> {
    settings: Vec<Setting>,
    /// How this version writes the settings of a trainer with so many examples.
    settings_of: fn(&Trainer, usize) -> Vec<Setting>,
    progress: Progress,
    optimizer_steps: u64,
    /// How many times the optimiser remembers an array for each parameter.
    memories: u64,
    has_best: bool,
    /// What the version calls one of these arrays.
    memory_name: fn(MemoryOf<'_>) -> String,
    /// Networks, memory, and the first layer in the dual form.
    tensors: Vec<StoredTensor<'a>>,
}

/// An array that the optimiser remembers.
struct MemoryOf<'n> {
    /// Its position among all of them, from 0 on.
    position: usize,
    /// Which memory of the parameter it is, from 0 on.
    memory: u64,
    /// The name of the parameter in the network.
    parameter: &'n str,
}

/// What a run that can be saved shows of itself.
pub(crate) struct Saved<'s, 'x, T> {
    pub(crate) trainer: &'s Trainer,
    /// The training examples.
    pub(crate) training: &'s Features<'x, T>,
    pub(crate) network: &'s Network<T>,
    /// The shape of the pictures that the network is for.
    pub(crate) input: Shape,
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
        match &self.state.average {
            Some(average) => Ok(average.to_bytes()?),
            None => self.stepped(),
        }
    }

    fn checkpoint(&self) -> Result<Vec<u8>, TrainError> {
        let RunState { best, average, gram, .. } = self.state;
        let mut networks = vec![("network", self.stepped()?)];
        if let Some(best) = best {
            let weights = gram.as_ref().and_then(|gram| gram.best_weights(self.training));
            let bytes = match weights {
                Some(weights) => {
                    let mut best = best.clone();
                    put(&mut best, &weights);
                    best.to_bytes()?
                }
                None => best.to_bytes()?,
            };
            networks.push(("best", bytes));
        }
        if let Some(average) = average {
            networks.push((v2::AVERAGE, average.to_bytes()?));
        }
        v2::write(self, &networks)
    }
}

impl<T: Element + Scalar> Saved<'_, '_, T> {
    /// The network that steps are made from, as the bytes of a model file.
    fn stepped(&self) -> Result<Vec<u8>, TrainError> {
        let bytes = match &self.state.gram {
            Some(gram) => gram.applied(self.network, self.training).to_bytes(),
            None if self.network.input() == self.input => self.network.to_bytes(),
            None => {
                let mut network = self.network.clone();
                network.set_input(self.input)?;
                network.to_bytes()
            }
        };
        Ok(bytes?)
    }
}

/// A run as it was saved, for [`Trainer::resume`].
#[derive(Debug, Clone)]
pub struct Checkpoint<T> {
    network: Network<T>,
    settings: Vec<Setting>,
    /// How the version of the file writes the settings of a trainer.
    settings_of: fn(&Trainer, usize) -> Vec<Setting>,
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
        let contents = match v2::FORMAT.version_of(bytes)?.major {
            1 => v1::read(bytes)?,
            _ => v2::read(bytes)?,
        };
        Self::of(contents)
    }

    /// The run that a file says, if all parts of it fit one another.
    fn of(contents: Contents<'_>) -> Result<Self, TrainError> {
        let Contents { settings, settings_of, progress, optimizer_steps: steps, .. } = contents;
        let mut tensors = contents.tensors.iter();
        let network = read_network::<T>("network", tensors.next())?;
        let best =
            if contents.has_best { Some(read_network::<T>("best", tensors.next())?) } else { None };
        // Its name says that it is there; a file of before has none.
        let is_average = |it: &StoredTensor<'_>| it.name() == v2::AVERAGE;
        let average = match tensors.as_slice().first().filter(|it| is_average(it)) {
            Some(_) => Some(read_network::<T>(v2::AVERAGE, tensors.next())?),
            None => None,
        };
        // Where nothing is trained memories have no arrays, and only a forger says that there are many.
        if contents.memories > 2 + contents.tensors.len() as u64 {
            return Err(TrainError::unfit("fewer arrays".to_owned()));
        }
        let mut memories =
            Memories { network: &network, name: contents.memory_name, tensors, position: 0 };
        let memory = (0..contents.memories).map(|memory| memories.read(memory));
        let memory = memory.collect::<Result<_, _>>()?;
        let rest = memories.tensors.as_slice();
        let gram = GramState::load(rest, first_weights(&network))?;
        if gram.is_none() && !rest.is_empty() {
            return Err(TrainError::unfit("more arrays".to_owned()));
        }
        progress.check(network.outputs()).map_err(TrainError::unfit)?;
        if steps != progress.totals.steps() {
            let made = progress.totals.steps();
            return Err(TrainError::unfit(format!(
                "{steps} steps of the optimiser in {made} of the run"
            )));
        }
        for (name, other) in [("best", &best), (v2::AVERAGE, &average)] {
            if other.as_ref().is_some_and(|other| !are_alike(other, &network)) {
                return Err(TrainError::unfit(format!("another network as {name}")));
            }
        }
        let optimizer = OptimizerState { steps, memory };
        let state = RunState { progress, optimizer, best, average, gram };
        Ok(Self { network, settings, settings_of, changed: false, state })
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
    /// [dual (Gram) form](crate::GramPlan) the first layer begins anew there: what momentum remembers of its weights
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

    /// The state of a run by these settings, and whether it is in the dual (Gram) form; `network` becomes the
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
        let present = (self.settings_of)(trainer, examples);
        let pairs = || self.settings.iter().zip(&present);
        if let Some((kept, now)) = pairs().find(|(kept, now)| kept.value != now.value) {
            return other(kept.name.clone(), kept.value.clone(), now.value.clone());
        }
        let names = |settings: &[Setting]| {
            settings.iter().map(|setting| &setting.name[..]).collect::<Vec<_>>().join(", ")
        };
        if names(&self.settings) != names(&present) {
            return other("settings".to_owned(), names(&self.settings), names(&present));
        }
        let (batch, progress) = (trainer.batch_len(examples), &self.state.progress);
        progress.check_place(examples, batch).map_err(TrainError::unfit)?;
        if self.state.best.is_some() != (trainer.keeps_best() && progress.comparison.best.is_some())
        {
            let kept = if self.state.best.is_some() { "a best network" } else { "no best network" };
            return Err(TrainError::unfit(format!("{kept} beside {:?}", progress.comparison.best)));
        }
        if self.state.average.is_some() != trainer.averaging.is_some() {
            let kept = if self.state.average.is_some() { "an average" } else { "no average" };
            return Err(TrainError::unfit(format!("{kept} of the network")));
        }
        let (kept, now) = (self.network.summary(), network.summary());
        if kept != now || self.network.input() != network.input() {
            return other("network".to_owned(), format!("\n{kept}"), format!("\n{now}"));
        }
        let zeros = self.network.zeros();
        self.state.optimizer.check(trainer.optimizer, zeros.iter().map(Array2::dim))?;
        let in_gram_form = self.state.gram.is_some();
        let refused = if in_gram_form { GramChoice::Never } else { GramChoice::Always };
        if trainer.gram == refused {
            let kept = if in_gram_form { "always" } else { "never" };
            return other("dual (Gram) form".to_owned(), kept.to_owned(), refused.to_string());
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
    parts(one) == parts(other) && one.layers() == other.layers() && one.classes() == other.classes()
}

/// The network in the tensor, which has to have this name.
fn read_network<T: Element + Scalar>(
    expected: &str,
    tensor: Option<&StoredTensor<'_>>,
) -> Result<Network<T>, TrainError> {
    match tensor {
        Some(tensor) if tensor.name() == expected => Ok(Network::from_bytes(tensor.bytes())?),
        Some(tensor) => Err(TrainError::unfit(format!("`{}` for `{expected}`", tensor.name()))),
        None => Err(TrainError::unfit(format!("no `{expected}`"))),
    }
}

/// What an optimiser remembers, on its way out of a file.
struct Memories<'t, 'a, T> {
    network: &'t Network<T>,
    name: fn(MemoryOf<'_>) -> String,
    tensors: std::slice::Iter<'t, StoredTensor<'a>>,
    /// Arrays that are read.
    position: usize,
}

impl<T: Element + Scalar> Memories<'_, '_, T> {
    /// One memory: an array for each of the network's, an empty one where that is not trained.
    fn read(&mut self, memory: u64) -> Result<Vec<Array2<T>>, TrainError> {
        let network = self.network;
        let read = |parameter: &NetworkTensor<T>| {
            if parameter.is_trained() {
                self.read_array(memory, parameter)
            } else {
                Ok(Array2::zeros((0, 0)))
            }
        };
        network.tensors().iter().map(read).collect()
    }

    fn read_array(
        &mut self,
        memory: u64,
        parameter: &NetworkTensor<T>,
    ) -> Result<Array2<T>, TrainError> {
        let of = MemoryOf { position: self.position, memory, parameter: parameter.name() };
        let expected = (self.name)(of);
        let tensor =
            self.tensors.next().ok_or_else(|| TrainError::unfit("fewer arrays".to_owned()))?;
        if tensor.name() != expected {
            return Err(TrainError::unfit(format!("`{}` for `{expected}`", tensor.name())));
        }
        let shape = parameter.values().dim();
        if *tensor.dims() != [shape.0, shape.1] {
            return Err(TrainError::unfit(format!(
                "{:?} for {shape:?} in `{expected}`",
                tensor.dims()
            )));
        }
        self.position += 1;
        Array2::from_shape_vec(shape, tensor.to_vec::<T>()?)
            .map_err(|error| TrainError::unfit(error.to_string()))
    }
}
