//! Where a flag has an effect. One that was given and has none is refused: whoever gave it expects one.

use clap::ArgMatches;
use clap::parser::ValueSource;
use dnn_run::{BadFilePolicy, Loaded, RunConfig, RunError};

/// What has to hold for a flag to have an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Needs {
    /// Nothing: it always has one.
    Nothing,
    /// Data of picture files.
    PictureFiles,
    /// Picture files, of which bad ones are left out.
    LeavingOut,
    /// A network that is laid out here: one to start from brings its own.
    NewNetwork,
    /// A network that is laid out here, with hidden layers.
    HiddenLayers,
    /// A run to its end, not the short one that looks for a learning rate.
    WholeRun,
    /// Data without a test part of its own.
    NoTestPart,
    /// Data without a validation part of its own.
    NoValidationPart,
    /// A model that started from another one.
    StartedFromModel,
    /// A search by draws, not over a grid.
    Draws,
}

use Needs::{
    Draws, HiddenLayers, LeavingOut, NewNetwork, NoTestPart, NoValidationPart, Nothing,
    PictureFiles, StartedFromModel, WholeRun,
};

/// The flags of a command, and what each of them needs.
type Flags = &'static [(&'static str, Needs)];

/// Those of `dnn train`, which a search has too.
const TRAIN: Flags = &[
    ("size", PictureFiles),
    ("keep-size", PictureFiles),
    ("evaluate-size", PictureFiles),
    ("evaluate-flip", Nothing),
    ("resize", PictureFiles),
    ("filter", PictureFiles),
    ("bad-files", PictureFiles),
    ("max-bad", LeavingOut),
    ("lenient", PictureFiles),
    ("no-cache", PictureFiles),
    ("scaling", NewNetwork),
    ("augment", Nothing),
    ("split", NoTestPart),
    ("validation", NoValidationPart),
    ("network", NewNetwork),
    ("hidden", NewNetwork),
    ("activation", HiddenLayers),
    ("batch-norm", HiddenLayers),
    ("dropout", HiddenLayers),
    ("init", NewNetwork),
    ("precision", Nothing),
    ("from", Nothing),
    ("optimizer", Nothing),
    ("learning-rate", WholeRun),
    ("schedule", WholeRun),
    ("l2", Nothing),
    ("clip-norm", Nothing),
    ("clip-value", Nothing),
    ("warm-up", WholeRun),
    ("class-weights", Nothing),
    ("label-smoothing", Nothing),
    ("mixing", Nothing),
    ("whitening", Nothing),
    ("weight-averaging", Nothing),
    ("epochs", WholeRun),
    ("batch", Nothing),
    ("gram", Nothing),
    ("early-stopping", WholeRun),
    ("min-delta", WholeRun),
    ("monitor", WholeRun),
    ("restore-best", WholeRun),
    ("calibrate", WholeRun),
    ("steps", WholeRun),
    ("time-limit", WholeRun),
    ("time-budget", WholeRun),
    ("seed", Nothing),
    ("config", Nothing),
    ("print-config", Nothing),
    ("threads", Nothing),
    ("out", Nothing),
    ("resume", Nothing),
    ("checkpoint-every", WholeRun),
    ("keep-last", WholeRun),
    ("keep-every", WholeRun),
    ("keep-best", WholeRun),
    ("tensorboard", WholeRun),
    ("plot", WholeRun),
    ("find-lr", Nothing),
    ("quiet", Nothing),
    ("json", Nothing),
];

/// Those of a search alone.
const SEARCH: Flags = &[("try", Nothing), ("trials", Draws), ("grid", Nothing)];

const EVALUATE: Flags = &[
    ("bad-files", PictureFiles),
    ("max-bad", LeavingOut),
    ("lenient", PictureFiles),
    ("no-cache", PictureFiles),
    ("threads", Nothing),
    ("metrics", Nothing),
    ("json", Nothing),
];

const VERIFY: Flags = &[
    ("from", StartedFromModel),
    ("bad-files", PictureFiles),
    ("max-bad", LeavingOut),
    ("lenient", PictureFiles),
    ("no-cache", PictureFiles),
    ("threads", Nothing),
    ("json", Nothing),
];

const PREDICT: Flags = &[
    ("bad-files", PictureFiles),
    ("lenient", PictureFiles),
    ("show", PictureFiles),
    ("explain", Nothing),
    ("overwrite", Nothing),
    ("csv", Nothing),
    ("threads", Nothing),
    ("json", Nothing),
];

const DOCTOR: Flags =
    &[("lenient", PictureFiles), ("rows", Nothing), ("threads", Nothing), ("json", Nothing)];

const INSPECT: Flags = &[("plan", Nothing), ("json", Nothing)];

const RUNS: Flags = &[("sort", Nothing), ("json", Nothing)];

const CACHE: Flags = &[("clear", Nothing), ("json", Nothing)];

/// Those of `dnn fetch`, which refuses itself what a data set does not have.
const FETCH: Flags = &[
    ("list", Nothing),
    ("from", Nothing),
    ("to", Nothing),
    ("sha256", Nothing),
    ("unverified", Nothing),
    ("full", Nothing),
    ("variant", Nothing),
    ("force", Nothing),
];

fn flags(command: &str) -> impl Iterator<Item = &'static (&'static str, Needs)> {
    let (first, others): (Flags, Flags) = match command {
        "train" => (TRAIN, &[]),
        "search" => (TRAIN, SEARCH),
        "evaluate" => (EVALUATE, &[]),
        "verify" => (VERIFY, &[]),
        "predict" => (PREDICT, &[]),
        "doctor" => (DOCTOR, &[]),
        "inspect" => (INSPECT, &[]),
        "runs" => (RUNS, &[]),
        "cache" => (CACHE, &[]),
        "fetch" => (FETCH, &[]),
        _ => (&[], &[]),
    };
    first.iter().chain(others)
}

/// The names of the flags that were given to a command.
pub(crate) fn given(command: &str, matches: &ArgMatches) -> Vec<String> {
    let by_user = |id: &&str| matches.value_source(id) == Some(ValueSource::CommandLine);
    let names = matches.ids().map(clap::Id::as_str).filter(by_user);
    // Groups of flags have names, too, and are none.
    names
        .map(|id| id.replace('_', "-"))
        .filter(|name| flags(command).any(|(flag, _)| flag == name))
        .collect()
}

/// Refuses flags that have no effect, as far as the settings alone tell.
pub(crate) fn check_settings(
    given: &[String],
    config: &RunConfig,
    find_lr: bool,
) -> Result<(), RunError> {
    refuse_idle("search", given, |name, needs| match needs {
        NewNetwork | HiddenLayers if config.network.from.is_some() => {
            Some("the model given by --from brings its own network and scaling".to_owned())
        }
        HiddenLayers => without_hidden_layers(config, name).map(str::to_owned),
        WholeRun if find_lr => {
            Some("--find-lr trains for a short time only, at rates of its own".to_owned())
        }
        LeavingOut if config.data.files.bad_files == BadFilePolicy::Stop => {
            Some(NOTHING_LEFT_OUT.to_owned())
        }
        PictureFiles if config.data.path.is_none() => no_picture_files(None, false),
        _ => None,
    })
}

/// Why there is no layer for a flag of hidden layers; `None` where there is one.
fn without_hidden_layers(config: &RunConfig, name: &str) -> Option<&'static str> {
    let Some(line) = &config.network.network else {
        // No dropout is what there is without layers that could drop anything.
        let asks = name != "dropout" || config.network.dropout > Some(0.0);
        let none = config.hidden().0.is_empty() && asks;
        return none.then_some("there is no hidden layer (--hidden none)");
    };
    // Dropout beside a line that spells it out is refused with the settings.
    (name != "dropout" && !line.completes_layers())
        .then_some("--network spells out what comes after each layer")
}

/// Refuses flags that have no effect on this data.
pub(crate) fn check_data(
    given: &[String],
    config: &RunConfig,
    loaded: &Loaded,
) -> Result<(), RunError> {
    let path = config.data.path.as_deref();
    // A share of 0 is what a part of its own leaves of a split.
    let own = |there: bool, share: f64, part: &str| {
        (there && share > 0.0).then(|| format!("{} has a {part} part of its own", loaded.name))
    };
    refuse_idle("search", given, |_, needs| match needs {
        PictureFiles | LeavingOut => no_picture_files(path, loaded.has_pictures()),
        NoTestPart => own(loaded.has_test, config.data.split, "test"),
        NoValidationPart => own(loaded.has_validation, config.data.validation, "validation"),
        _ => None,
    })
}

/// Refuses the first flag that was given and lacks what it needs; `lacking` gives the reason.
///
/// # Errors
/// [`RunError::Usage`] with the flag and the reason.
pub(crate) fn refuse_idle(
    command: &str,
    given: &[String],
    lacking: impl Fn(&str, Needs) -> Option<String>,
) -> Result<(), RunError> {
    let known = flags(command).filter(|(name, _)| given.iter().any(|flag| flag == name));
    let reasons = known.filter_map(|&(name, needs)| Some((name, lacking(name, needs)?)));
    match reasons.into_iter().next() {
        None => Ok(()),
        Some((name, reason)) => {
            Err(RunError::Usage(format!("--{name} has no effect here: {reason}")))
        }
    }
}

/// What data lacks to have picture files; `None` where it has them.
pub(crate) fn no_picture_files(data: Option<&std::path::Path>, pictures: bool) -> Option<String> {
    match data {
        _ if pictures => None,
        None => Some("the built-in digits are no picture files".to_owned()),
        Some(path) => {
            let path = path.display();
            Some(format!(
                "{path} has arrays, whose pictures are taken as they are, not picture files"
            ))
        }
    }
}

/// Why a share of bad files has no effect.
pub(crate) const NOTHING_LEFT_OUT: &str =
    "bad files are not left out; it goes with --bad-files skip or quarantine";

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::args::Arguments;

    /// Whoever adds a flag says here where it has an effect.
    #[test]
    fn every_flag_of_every_command_says_where_it_has_an_effect() {
        let program = Arguments::command();
        assert!(program.get_subcommands().count() >= 10);
        for command in program.get_subcommands() {
            let name = command.get_name();
            let mut known: Vec<&str> = flags(name).map(|&(flag, _)| flag).collect();
            let mut there: Vec<&str> =
                command.get_arguments().filter_map(|argument| argument.get_long()).collect();
            known.sort_unstable();
            there.sort_unstable();
            assert_eq!(known, there, "the flags of dnn {name}");
        }
    }

    #[test]
    fn a_flag_without_effect_is_named_with_the_reason() {
        let given = ["nothing", "epochs", "size"].map(str::to_owned);
        let lacking = |_: &str, needs| (needs == PictureFiles).then(|| "why".to_owned());
        let error = refuse_idle("train", &given, lacking).unwrap_err();
        assert_eq!(error.to_string(), "--size has no effect here: why");
        assert!(refuse_idle("train", &given[..2], lacking).is_ok());
    }
}
