//! Is a model what its provenance says?

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use dnn_core::{Element, kernel_path_of};
use dnn_layers::{AnyNetwork, ModelFile, Network, Provenance};
use dnn_store::Scalar;
use dnn_train::Event;

use crate::config::RunConfig;
use crate::error::{Result, RunError};
use crate::experiment::Experiment;
use crate::loaded::Loaded;
use crate::model::{file_of, with_network};
use crate::observer::{Clock, Observer};
use crate::parts::fingerprint;
use crate::provenance::{config_of, from_sha256};
use crate::record::{RunRecord, SOFTWARE};
use crate::training::{Start, calibrate, fit};

/// A model and what it says of itself.
#[derive(Debug)]
pub struct Claim {
    network: AnyNetwork,
    sha256: String,
    provenance: Provenance,
    /// What is recorded beside the model, if that is a run on the same data.
    beside: Option<RunRecord>,
    /// The settings that the model is said to come from, with the files of the run beside it.
    pub config: RunConfig,
}

/// Where the data is that a model was trained on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DataPlace {
    /// Where the run beside the model found it; else it has to be the built-in digits.
    AsRecorded,
    /// The built-in digits.
    BuiltIn,
    /// At this path.
    At(PathBuf),
}

/// What training again came to.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// Whether the same bits came out.
    pub same: bool,
    /// SHA-256 of the model file, in hexadecimal.
    pub model_sha256: String,
    /// SHA-256 of the data, in hexadecimal.
    pub data_sha256: String,
    /// What differs, and what may explain it.
    pub reasons: Vec<String>,
}

impl Claim {
    /// What a model says of itself, and the run in whose folder it lies.
    ///
    /// # Errors
    /// [`RunError::Usage`] if it says nothing, or something that this version does not know.
    pub fn of(path: &Path, observer: &mut dyn Observer) -> Result<Self> {
        // A folder stands for the model in it, which lies beside what else is recorded.
        let path = file_of(path, observer)?;
        let ModelFile { network, sha256 } = ModelFile::read(&path)?;
        let provenance = with_network!(&network, network => network.provenance().cloned());
        let provenance = provenance.ok_or_else(|| {
            RunError::Usage(format!("{} does not say where it came from", path.display()))
        })?;
        let beside = path.parent().and_then(|folder| RunRecord::read(folder).ok());
        let beside = beside.filter(|record| record.data_sha256 == provenance.data_sha256);
        let mut config = config_of(&provenance)?;
        if let Some(record) = &beside {
            config.data.files = record.config.data.files.clone();
        }
        Ok(Self { network, sha256, provenance, beside, config })
    }

    /// Whether training started from another model.
    pub fn started_from_model(&self) -> bool {
        from_sha256(&self.provenance).is_some()
    }

    /// The data that the model was trained on; `from` is the model that training started from, where that is not
    /// where the run beside it found it.
    ///
    /// # Errors
    /// [`RunError::Usage`] if data or model are not known, [`RunError::Data`] if they are others.
    pub fn load(
        &mut self,
        data: DataPlace,
        from: Option<PathBuf>,
        observer: &mut dyn Observer,
    ) -> Result<Loaded> {
        self.config.data.path = match (data, &self.beside) {
            (DataPlace::At(path), _) => Some(path),
            (DataPlace::BuiltIn, _) => None,
            (DataPlace::AsRecorded, Some(record)) => record.config.data.path.clone(),
            (DataPlace::AsRecorded, None) => built_in(&self.provenance)?,
        };
        self.config.network.from = match from_sha256(&self.provenance) {
            None => None,
            Some(sha256) => {
                let beside = self.beside.as_ref();
                let from = from.or_else(|| beside?.config.network.from.clone());
                Some(first_model(from, sha256, observer)?)
            }
        };
        let loaded = Loaded::load(&self.config, observer)?;
        if loaded.sha256 != self.provenance.data_sha256 {
            return Err(RunError::Data(format!(
                "the model was trained on other data: expected sha256 {}, found {}",
                self.provenance.data_sha256, loaded.sha256
            )));
        }
        Ok(loaded)
    }

    /// Trains the model again on its data.
    ///
    /// # Errors
    /// Those of training.
    pub fn verify(
        &self,
        loaded: &Loaded,
        observer: &mut dyn Observer,
        clock: &dyn Clock,
    ) -> Result<Verdict> {
        with_network!(&self.network, network => self.compare(network, loaded, observer, clock))
    }

    fn compare<T: Element + Scalar>(
        &self,
        network: &Network<T>,
        loaded: &Loaded,
        observer: &mut dyn Observer,
        clock: &dyn Clock,
    ) -> Result<Verdict> {
        let experiment = Experiment::<T>::new(&self.config, loaded, observer, clock)?;
        let mut again = self.train_again(experiment, loaded, observer)?;
        // Models of 0.1 carry none.
        if let Some(preprocessing) = network.preprocessing() {
            again.set_preprocessing(preprocessing.clone());
        }
        let same = again.to_bytes()? == network.to_bytes()?;
        let now = kernel_path_of(self.config.network.precision.products());
        let reasons =
            if same { Vec::new() } else { reasons(network, &again, &self.provenance, now) };
        Ok(Verdict {
            same,
            model_sha256: self.sha256.clone(),
            data_sha256: self.provenance.data_sha256.clone(),
            reasons,
        })
    }

    fn train_again<T: Element + Scalar>(
        &self,
        experiment: Experiment<T>,
        loaded: &Loaded,
        observer: &mut dyn Observer,
    ) -> Result<Network<T>> {
        let Experiment { mut network, trainer, .. } = experiment;
        observer.training_begins(trainer.epochs);
        let last = self.config.training.steps.map(std::num::NonZeroU64::get);
        let hear = &mut |event: Event<'_>| match event {
            Event::Step { step, .. } if Some(step) == last => ControlFlow::Break(()),
            Event::Epoch(record) => {
                observer.epoch(record);
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Continue(()),
        };
        let fitted = fit(&trainer, &mut network, &loaded.parts, Start::First, hear);
        observer.training_ends();
        fitted?;
        calibrate(&self.config, &mut network, &loaded.parts, observer)?;
        network.set_provenance(self.provenance.clone());
        Ok(network)
    }
}

/// No path, if the model was trained on the built-in digits.
fn built_in(provenance: &Provenance) -> Result<Option<PathBuf>> {
    if fingerprint(&dnn_data::digits()) == provenance.data_sha256 {
        return Ok(None);
    }
    Err(RunError::Usage(format!(
        "there is no run folder around the model that says where its data is; name the data with sha256 {}",
        provenance.data_sha256
    )))
}

/// The model that training started from, if it is the right one.
fn first_model(
    path: Option<PathBuf>,
    sha256: &str,
    observer: &mut dyn Observer,
) -> Result<PathBuf> {
    let Some(path) = path else {
        return Err(RunError::Usage(format!(
            "training started from the model with sha256 {sha256}; name its file with --from"
        )));
    };
    let path = file_of(&path, observer)?;
    let found = ModelFile::read(&path)?.sha256;
    if found != sha256 {
        let path = path.display();
        return Err(RunError::Data(format!(
            "training started from another model than {path}: expected sha256 {sha256}, found {found}"
        )));
    }
    Ok(path)
}

/// What is different, and what may explain it.
fn reasons<T: Element>(
    model: &Network<T>,
    again: &Network<T>,
    provenance: &Provenance,
    now: &str,
) -> Vec<String> {
    let mut reasons = vec![difference(model, again)];
    if provenance.kernel_path == now {
        reasons.push(format!(
            "the kernels are the same ({now}): they do not explain it; the file was changed, or made by \
             other code"
        ));
    } else {
        reasons.push(format!(
            "it was computed by {} kernels, here by {now} ones: last bits differ between these, which \
             may explain it",
            provenance.kernel_path
        ));
    }
    if provenance.software != SOFTWARE {
        reasons.push(format!("it was made by {}, this is {SOFTWARE}", provenance.software));
    }
    reasons
}

/// The first array that differs, and by how much.
fn difference<T: Element>(model: &Network<T>, again: &Network<T>) -> String {
    for (one, other) in model.tensors().iter().zip(again.tensors()) {
        let (name, one, other) = (one.name(), one.values(), other.values());
        if one.dim() != other.dim() {
            let shape = |(rows, columns)| format!("{rows}x{columns}");
            let (one, other) = (shape(one.dim()), shape(other.dim()));
            return format!("{name}: {one} numbers, and {other} when trained again");
        }
        let apart = one.iter().zip(other).map(|(&a, &b)| (a - b).abs());
        let largest = apart.fold(T::zero(), T::max);
        if largest > T::zero() {
            return format!("{name}: numbers differ by up to {largest:.1e}");
        }
    }
    "the parameters are equal, but not what else the model has".to_owned()
}

#[cfg(test)]
mod tests {
    use dnn_core::{Purpose, RandomStream, Shape};

    use super::*;

    #[test]
    fn other_kernels_are_named_as_an_explanation() {
        let network = Network::<f32>::builder(Shape::picture(2, 2, 1))
            .classes(["a", "b"])
            .build(&mut RandomStream::new(1, Purpose::Initialization, 0))
            .unwrap();
        let mut other = network.clone();
        other.tensor_mut("dense1.bias").unwrap()[(0, 0)] += 0.5;
        let mut provenance = Provenance {
            software: "dnn 0.0.1".to_owned(),
            kernel_path: "abacus".to_owned(),
            data_sha256: String::new(),
            seed: 1,
            settings: std::collections::BTreeMap::new(),
        };
        let now = kernel_path_of(dnn_train::Products::Full);
        let told = reasons(&network, &other, &provenance, now);
        assert_eq!(told[0], "dense1.bias: numbers differ by up to 5.0e-1");
        assert!(told[1].contains("abacus") && told[1].contains("may explain it"), "{told:?}");
        assert!(told[2].contains("made by dnn 0.0.1"), "{told:?}");
        provenance.kernel_path = now.to_owned();
        provenance.software = SOFTWARE.to_owned();
        let told = reasons(&network, &other, &provenance, now);
        assert_eq!(told.len(), 2);
        assert!(told[1].contains("do not explain it"), "{told:?}");
    }
}
