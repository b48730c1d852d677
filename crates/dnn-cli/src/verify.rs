//! `dnn verify`: is a model what its provenance says?

use std::ffi::OsString;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::ArgMatches;
use dnn_core::{Element, kernel_path};
use dnn_layers::{ModelFile, Network, Provenance};
use dnn_store::Scalar;
use dnn_train::Event;
use serde_json::json;

use crate::args::effect::{self, Needs};
use crate::args::{TrainArguments, VerifyArguments};
use crate::data;
use crate::experiment::{self, Experiment, Loaded, SOFTWARE};
use crate::failure::Refusal;
use crate::model::{WithModel, file_of, with_model};
use crate::output;
use crate::progress::Progress;
use crate::resume::{given, name, parse, without};
use crate::settings::command_line;
use crate::train::{self, Start};
use dnn_run::record::RunRecord;

/// The exit code where training again gave another model.
const DIFFERENT: u8 = 8;

pub(crate) fn run(arguments: &VerifyArguments, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    train::warn_of_debug_build();
    arguments.threads.start()?;
    // A folder stands for the model in it, which lies beside what else is recorded.
    let model = file_of(&arguments.model)?;
    with_model(&model, Verify { arguments, model: &model, matches })
}

struct Verify<'a> {
    arguments: &'a VerifyArguments,
    model: &'a Path,
    matches: &'a ArgMatches,
}

impl WithModel for Verify<'_> {
    type Outcome = ExitCode;

    fn run<T: Element + Scalar>(
        self,
        network: &Network<T>,
        sha256: &str,
    ) -> anyhow::Result<ExitCode> {
        let provenance = network.provenance().ok_or_else(|| {
            let model = self.model.display();
            Refusal::Usage(format!("{model} does not say where it came from"))
        })?;
        let json = self.arguments.json;
        let arguments = self.arguments_of(provenance)?;
        let loaded = Loaded::load(&arguments)?;
        if loaded.sha256 != provenance.data_sha256 {
            let message = format!(
                "the model was trained on other data: expected sha256 {}, found {}",
                provenance.data_sha256, loaded.sha256
            );
            return Err(Refusal::Data(message).into());
        }
        let again = train_again::<T>(&arguments, &loaded, provenance)?;
        let same = again.to_bytes()? == network.to_bytes()?;
        let reasons = if same { Vec::new() } else { reasons(network, &again, provenance) };
        if json {
            output::print_json(&json!({
                "same": same,
                "model_sha256": sha256,
                "data_sha256": provenance.data_sha256,
                "reasons": reasons,
            }))?;
        } else if same {
            output::print(&format!(
                "same: training again gave the same bits\nmodel sha256   {sha256}\ndata sha256    {}\n",
                provenance.data_sha256
            ))?;
        } else {
            output::print(&format!(
                "different: training again gave another model\n- {}\n",
                reasons.join("\n- ")
            ))?;
        }
        Ok(if same { loaded.code } else { ExitCode::from(DIFFERENT) })
    }
}

impl Verify<'_> {
    /// The command line that would have made the model. What it says of bad files and the like is what the
    /// run was told, unless other data or another flag is given.
    fn arguments_of(&self, provenance: &Provenance) -> anyhow::Result<TrainArguments> {
        let mut settings = provenance.settings.clone();
        let start = settings.remove("from");
        self.check_flags(start.is_some())?;
        let mut words: Vec<OsString> =
            command_line(&settings).into_iter().map(Into::into).collect();
        words.push(format!("--seed={}", provenance.seed).into());
        let config = config_beside(self.model, provenance);
        let (data, loading) = match (&self.arguments.data, &config) {
            (Some(data), _) => (data::place(Some(data))?, Vec::new()),
            (None, Some(config)) => (config.data_path.clone(), command_line(&config.loading)),
            (None, None) => (built_in(provenance)?, Vec::new()),
        };
        let given = self.of_pictures();
        let names: Vec<String> = given.iter().map(|word| name(word)).collect();
        words.extend(without(loading.into_iter().map(Into::into).collect(), &names));
        words.extend(given);
        let mut parsed = parse(words)?;
        parsed.data = data;
        parsed.given = names;
        experiment::check_flags(&parsed)?;
        parsed.from = match start {
            None => None,
            Some(sha256) => {
                let path = self.arguments.from.clone().or(config.and_then(|config| config.from));
                Some(first_model(path, &sha256)?)
            }
        };
        Ok(parsed)
    }

    /// The flags given for picture files, which go with the run's own arguments.
    fn of_pictures(&self) -> Vec<OsString> {
        without(given(self.matches), &["from", "threads", "json"].map(str::to_owned))
    }

    fn check_flags(&self, started_from_model: bool) -> Result<(), Refusal> {
        effect::refuse_idle("verify", &effect::given(self.matches), |_, needs| {
            (needs == Needs::StartedFromModel && !started_from_model)
                .then(|| "training did not start from another model".to_owned())
        })
    }
}

/// The settings of the run in whose folder the model lies, if it is a run on the same data.
fn config_beside(model: &Path, provenance: &Provenance) -> Option<RunRecord> {
    let config = RunRecord::read(model.parent()?).ok()?;
    (config.data_sha256 == provenance.data_sha256).then_some(config)
}

/// No path, if the model was trained on the built-in digits.
fn built_in(provenance: &Provenance) -> Result<Option<PathBuf>, Refusal> {
    if dnn_run::parts::fingerprint(&dnn_data::digits()) == provenance.data_sha256 {
        return Ok(None);
    }
    let message = format!(
        "there is no run folder around the model that says where its data is; name the data with \
         sha256 {}",
        provenance.data_sha256
    );
    Err(Refusal::Usage(message))
}

/// The model that training started from, if it is the right one.
fn first_model(path: Option<PathBuf>, sha256: &str) -> anyhow::Result<PathBuf> {
    let Some(path) = path else {
        let message = format!(
            "training started from the model with sha256 {sha256}; name its file with --from"
        );
        return Err(Refusal::Usage(message).into());
    };
    let path = file_of(&path)?;
    let found = ModelFile::read(&path)?.sha256;
    if found != sha256 {
        let path = path.display();
        let message = format!(
            "training started from another model than {path}: expected sha256 {sha256}, found {found}"
        );
        return Err(Refusal::Data(message).into());
    }
    Ok(path)
}

fn train_again<T: Element + Scalar>(
    arguments: &TrainArguments,
    loaded: &Loaded,
    provenance: &Provenance,
) -> anyhow::Result<Network<T>> {
    let Experiment { mut network, trainer, .. } = Experiment::<T>::new(arguments, loaded)?;
    let progress = Progress::new(trainer.epochs, false);
    let last = arguments.steps.map(std::num::NonZeroU64::get);
    let fitted =
        train::fit(&trainer, &mut network, &loaded.parts, Start::First, &mut |event| match event {
            Event::Step { step, .. } if Some(step) == last => ControlFlow::Break(()),
            Event::Epoch(record) => {
                progress.epoch(record);
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Continue(()),
        });
    progress.finish();
    fitted?;
    train::calibrate(arguments, &mut network, &loaded.parts)?;
    network.set_provenance(provenance.clone());
    Ok(network)
}

/// What is different, and what may explain it.
fn reasons<T: Element>(
    model: &Network<T>,
    again: &Network<T>,
    provenance: &Provenance,
) -> Vec<String> {
    let mut reasons = vec![difference(model, again)];
    let now = kernel_path();
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
        let told = reasons(&network, &other, &provenance);
        assert_eq!(told[0], "dense1.bias: numbers differ by up to 5.0e-1");
        assert!(told[1].contains("abacus") && told[1].contains("may explain it"), "{told:?}");
        assert!(told[2].contains("made by dnn 0.0.1"), "{told:?}");
        provenance.kernel_path = kernel_path().to_owned();
        provenance.software = SOFTWARE.to_owned();
        let told = reasons(&network, &other, &provenance);
        assert_eq!(told.len(), 2);
        assert!(told[1].contains("do not explain it"), "{told:?}");
    }
}
