//! The command line of a run that goes on.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use anyhow::Context as _;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory as _, FromArgMatches as _};

use crate::args::{Arguments, Command, TrainArguments};
use crate::data;
use crate::experiment::DEFAULT_SPLIT;
use crate::failure::Refusal;
use crate::settings::{self, command_line};
use dnn_run::parts::Plan;
use dnn_run::record::{RunRecord, Settings};
use dnn_run::run_folder::RunFolder;

/// A run that has begun.
pub(crate) struct Resumed {
    pub(crate) folder: RunFolder,
    pub(crate) config: RunRecord,
}

/// The folder of a run, locked, and its own arguments, with what is free to change taken from the command
/// line; anything else that the command line says otherwise is refused.
pub(crate) fn open(run: &Path, matches: &ArgMatches) -> anyhow::Result<(TrainArguments, Resumed)> {
    let folder = RunFolder::open(run)?;
    let config = RunRecord::read(run)?;
    let recorded = recorded(&config);
    let was = parse(recorded.clone())
        .with_context(|| format!("the settings in {}/config.json", run.display()))?;
    let given = given(matches);
    let names: Vec<String> = given.iter().map(|word| name(word)).collect();
    let mut merged = without(recorded, &names);
    merged.extend(given);
    let mut now = parse(merged)?;
    // A data set that was moved is the same one; its hash will tell.
    now.data = match matches.get_one::<std::path::PathBuf>("data") {
        Some(data) => data::place(Some(data))?,
        None => config.data_path.clone(),
    };
    refuse_others(&settings_of(&was), &settings_of(&now))?;
    Ok((now, Resumed { folder, config }))
}

/// The arguments that a run was begun with.
fn recorded(config: &RunRecord) -> Vec<OsString> {
    let mut settings = config.settings.clone();
    // A digest here; the path is beside the settings.
    settings.remove("from");
    // It got there: the rest is still to come.
    settings.remove("steps");
    let mut arguments: Vec<OsString> =
        command_line(&settings).into_iter().map(OsString::from).collect();
    for more in [&config.loading, &config.keeping] {
        arguments.extend(command_line(more).into_iter().map(OsString::from));
    }
    arguments.push(format!("--seed={}", config.seed).into());
    if let Some(from) = &config.from {
        let mut argument = OsString::from("--from=");
        argument.push(from);
        arguments.push(argument);
    }
    arguments
}

/// The words that give none of the flags of these names.
pub(crate) fn without(words: Vec<OsString>, names: &[String]) -> Vec<OsString> {
    words.into_iter().filter(|word| !names.contains(&name(word))).collect()
}

/// The name of the flag that a word gives.
pub(crate) fn name(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    word.trim_start_matches("--").split('=').next().unwrap_or_default().to_owned()
}

/// The flags that were given, each as one argument.
pub(crate) fn given(matches: &ArgMatches) -> Vec<OsString> {
    let command = Arguments::command();
    // A search knows every flag of train. Groups of flags have names too, and are none.
    let known = command.find_subcommand("search").expect("there is such a command");
    let is_flag = |id: &str| known.get_arguments().any(|argument| argument.get_id() == id);
    let mut arguments = Vec::new();
    for id in matches.ids().map(clap::Id::as_str) {
        let by_user = matches.value_source(id) == Some(ValueSource::CommandLine);
        if !by_user || !is_flag(id) || ["data", "resume"].contains(&id) {
            continue;
        }
        let flag = format!("--{}", id.replace('_', "-"));
        let Ok(Some(values)) = matches.try_get_raw(id) else { continue };
        for value in values {
            // A switch has its value from clap itself.
            if value == "true" {
                arguments.push(flag.clone().into());
            } else {
                let mut argument = OsString::from(format!("{flag}="));
                argument.push(value);
                arguments.push(argument);
            }
        }
    }
    arguments
}

/// The arguments of a training run, given after `dnn train`.
pub(crate) fn parse(arguments: Vec<OsString>) -> anyhow::Result<TrainArguments> {
    let words = ["dnn", "train"].into_iter().map(OsString::from);
    let matches = Arguments::command()
        .try_get_matches_from(words.chain(arguments))
        .and_then(|matches| Arguments::from_arg_matches(&matches))
        .map_err(|error| {
            let text = error.to_string();
            let reason = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
            Refusal::Usage(reason.to_owned())
        })?;
    match matches.command {
        Command::Train(arguments) => Ok(*arguments),
        _ => unreachable!("the command line says train"),
    }
}

fn settings_of(arguments: &TrainArguments) -> Settings {
    let split = arguments.split.unwrap_or(DEFAULT_SPLIT);
    let plan = Plan { split, validation: arguments.validation, seed: arguments.seed };
    let mut settings = settings::of(arguments, plan, None);
    settings.insert("seed".to_owned(), arguments.seed.to_string());
    if let Some((width, height)) = arguments.size {
        settings.insert("size".to_owned(), format!("{width}x{height}"));
    }
    settings.insert("resize".to_owned(), format!("{:?}", arguments.resize));
    settings.insert("filter".to_owned(), format!("{:?}", arguments.filter));
    // Where a run is to end is free.
    settings.retain(|name, _| !["epochs", "steps"].contains(&name.as_str()));
    settings
}

fn refuse_others(was: &Settings, now: &Settings) -> anyhow::Result<()> {
    let names = was.keys().chain(now.keys());
    let differs = |name: &&String| was.get(*name) != now.get(*name);
    let Some(name) = names.into_iter().find(differs) else { return Ok(()) };
    let text =
        |settings: &Settings| settings.get(name).cloned().unwrap_or_else(|| "as usual".to_owned());
    let message = format!(
        "a run goes on with the settings it began with: --{}: expected {}, found {}",
        name.replace('_', "-"),
        text(was),
        text(now)
    );
    Err(Refusal::Usage(message).into())
}
