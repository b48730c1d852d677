//! `dnn search`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::ArgMatches;
use dnn_run::{
    Loaded, RunConfig, RunError, RunFolder, SOFTWARE, Search, SearchPlan, SearchReport,
    SystemClock, TrialOutcome, Try, describe,
};
use serde_json::json;

use crate::args::effect::{self, Needs};
use crate::args::{SearchArguments, flags_of};
use crate::data;
use crate::output::{self, note};
use crate::progress::Terminal;
use crate::train;

/// Trials that the table shows.
const SHOWN: usize = 20;

/// Flags that are a search's own, and no settings of its trials.
const OWN: [&str; 9] =
    ["try", "trials", "grid", "out", "json", "threads", "quiet", "config", "print-config"];

pub(crate) fn run(arguments: &SearchArguments, matches: &ArgMatches) -> anyhow::Result<ExitCode> {
    train::warn_of_debug_build();
    let given = effect::given("search", matches);
    let train = &arguments.train;
    let mut search = if let Some(path) = &train.resume {
        reopen(path, arguments, &given)?
    } else {
        let config = train.config()?;
        if train.print_config {
            return train::print_config(&config);
        }
        let search = lay_out(arguments, config, &given, DefaultTries::ByPictures)?;
        RunFolder::check_free(train.out.as_deref())?;
        search
    };
    train.threads.start()?;
    let mut terminal = Terminal::of_search(train.quiet);
    let loaded = Loaded::load(&search.plan().config, &mut terminal)?;
    if train.resume.is_none() {
        effect::check_data(&of_trials(&given), &search.plan().config, &loaded)?;
        if !loaded.chooses_layers(&search.plan().config) {
            search = lay_out(arguments, train.config()?, &given, DefaultTries::OfDense)?;
        }
    }
    let left_out = loaded.left_out();
    terminal.watch()?;
    let out = train.out.as_deref();
    match search.run(loaded, out, &mut terminal, &SystemClock::start()) {
        Err(RunError::Interrupted { run, .. }) => {
            note(&format!("interrupted; to go on: dnn search --resume {}", run.display()));
            Ok(train::interrupted(&terminal))
        }
        report => {
            print(&report?, train.json)?;
            Ok(data::exit_code(left_out))
        }
    }
}

/// The flags among those given that are settings of the trials.
fn of_trials(given: &[String]) -> Vec<String> {
    given.iter().filter(|name| !OWN.contains(&name.as_str())).cloned().collect()
}

/// What is tried if nobody says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum DefaultTries {
    /// Settings of the network that the pictures choose, if they do.
    ByPictures,
    /// Those of a dense one.
    OfDense,
}

fn lay_out(
    arguments: &SearchArguments,
    mut config: RunConfig,
    given: &[String],
    default: DefaultTries,
) -> anyhow::Result<Search> {
    if arguments.train.plot.is_some() {
        let message = "a search has a run for each trial; --plot goes with dnn train".to_owned();
        return Err(RunError::Usage(message).into());
    }
    if arguments.train.find_lr {
        let message = "a search trains whole models; --find-lr goes with dnn train".to_owned();
        return Err(RunError::Usage(message).into());
    }
    let given = of_trials(given);
    let tried_too = |one: &&Try| given.iter().any(|name| name == one.name());
    if let Some(both) = arguments.tries.iter().find(tried_too) {
        let name = both.name();
        let message =
            format!("--{name} is given one value and tried with others; leave one of the two out");
        return Err(RunError::Usage(message).into());
    }
    effect::check_settings(&given, &config, false)?;
    config.data.path = absolute_place(config.data.path.as_deref())?;
    let tries = if arguments.tries.is_empty() {
        default_tries(&config, &given, default)
    } else {
        arguments.tries.clone()
    };
    let search = Search::new(SearchPlan {
        software: SOFTWARE.to_owned(),
        config,
        data_sha256: String::new(),
        tries,
        grid: arguments.grid,
        trials: arguments.trials.get(),
    })?;
    for trial in search.trials() {
        let names = given.iter().cloned().chain(trial.iter().map(|one| one.name.clone()));
        effect::check_settings(&names.collect::<Vec<_>>(), &search.config(trial)?, false)
            .with_context(|| format!("the trial {}", describe(trial)))?;
    }
    Ok(search)
}

/// What is tried if nobody says: what was given no value, and what has an effect.
fn default_tries(config: &RunConfig, given: &[String], default: DefaultTries) -> Vec<Try> {
    let mut fixed = given.to_vec();
    let defaults = RunConfig::default().settings();
    let of_file =
        config.settings().into_iter().filter(|(name, value)| defaults.get(name) != Some(value));
    fixed.extend(of_file.map(|(name, _)| name.replace('_', "-")));
    if default == DefaultTries::ByPictures && config.is_automatic() {
        return Try::defaults_by_pictures(config.training.optimizer, &fixed);
    }
    // What a model to start from brings along, and what no hidden layer could show.
    if config.network.from.is_some() {
        fixed.extend(["hidden", "dropout"].map(str::to_owned));
    } else if let Some(line) = &config.network.network {
        fixed.push("hidden".to_owned());
        if line.is_spelled_out() {
            fixed.push("dropout".to_owned());
        }
    } else if config.hidden().0.is_empty() {
        fixed.push("dropout".to_owned());
    }
    Try::defaults(config.optimizer().default_learning_rate(), &fixed)
}

fn reopen(path: &Path, arguments: &SearchArguments, given: &[String]) -> anyhow::Result<Search> {
    let free = ["trials", "json", "threads", "quiet", "resume"];
    let other = given.iter().find(|name| !free.contains(&name.as_str()));
    let mut named = RunConfig::default();
    arguments.train.settings.over(&mut named)?;
    let data = absolute_place(named.data.path.as_deref())?;
    let search = Search::reopen(path, |plan| {
        if let Some(other) = other {
            return Err(RunError::Usage(format!(
                "a search goes on with what it began with; only --trials, --threads, --quiet and --json are \
                 free, found --{other}"
            )));
        }
        effect::refuse_idle("search", given, |_, needs| {
            (needs == Needs::Draws && plan.grid)
                .then(|| "the search goes over a grid, which is tried whole".to_owned())
        })?;
        if given.iter().any(|name| name == "trials") {
            plan.trials = arguments.trials.get();
        }
        if named.data.path.is_some() {
            plan.config.data.path.clone_from(&data);
        }
        Ok(())
    });
    Ok(search?)
}

/// Where the data lies, also for who calls from another folder.
fn absolute_place(named: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
    Ok(data::place(named)?.map(std::path::absolute).transpose()?)
}

/// All trials, the best first, and the best one's model measured on every part.
fn print(report: &SearchReport, as_json: bool) -> anyhow::Result<()> {
    let (best, model, command) = (report.best(), report.model.display(), command(&report.config));
    if as_json {
        let mut object = output::parts_json(&report.parts);
        object.insert("trials".to_owned(), json!(report.trials));
        object.insert("best".to_owned(), json!(best));
        object.insert("model".to_owned(), json!(model.to_string()));
        object.insert("command".to_owned(), json!(command));
        return output::print_json(&object);
    }
    let mut text = table(&report.trials);
    text += &format!("\nbest of them: trial {}\n", best.trial);
    text += &output::evaluation_table(&report.parts);
    text += &format!("\nmodel    {model}\nagain    {command}\n");
    output::print(&text)
}

/// What trains a model with these settings.
fn command(config: &RunConfig) -> String {
    let path = config.data.path.as_deref().map(Path::to_string_lossy);
    let path = path.iter().map(|path| quoted(path));
    let flags = flags_of(config);
    let words = path.chain(flags.iter().map(|flag| quoted(flag)));
    ["dnn train".to_owned()].into_iter().chain(words).collect::<Vec<_>>().join(" ")
}

fn table(outcomes: &[TrialOutcome]) -> String {
    let mut text = format!(
        "{:>5} {:>16} {:>9} {:>8}  settings\n",
        "trial", "validation cost", "accuracy", "seconds"
    );
    for outcome in outcomes.iter().take(SHOWN) {
        let cost =
            outcome.validation_cost.map_or("diverged".to_owned(), |cost| format!("{cost:.4}"));
        let accuracy = outcome
            .validation_accuracy
            .map_or("-".to_owned(), |accuracy| format!("{:.1} %", 100.0 * accuracy));
        text += &format!(
            "{:>5} {cost:>16} {accuracy:>9} {:>8.1}  {}\n",
            outcome.trial, outcome.seconds, outcome.settings
        );
    }
    if let Some(more @ 1..) = outcomes.len().checked_sub(SHOWN) {
        text += &format!("and {more} more, in trials.jsonl\n");
    }
    text
}

/// A word as a shell takes it.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=./,:+%@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn words_are_quoted_where_a_shell_would_change_them() {
        assert_eq!(quoted("--hidden=256,128"), "--hidden=256,128");
        assert_eq!(quoted("my photos"), "'my photos'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
    }
}
