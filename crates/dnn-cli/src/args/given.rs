//! Flags that stand for settings.

use std::marker::PhantomData;

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, Command, FromArgMatches};
use dnn_run::{RunConfig, RunError};

/// The flags of the settings in `C`, as they were given: they go over what the settings are otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Given<C> {
    matches: ArgMatches,
    settings: PhantomData<C>,
}

impl<C: FromArgMatches> Given<C> {
    /// Whether this setting was given.
    pub(crate) fn has(&self, name: &str) -> bool {
        let known = self.matches.try_contains_id(name).unwrap_or(false);
        known && self.matches.value_source(name) == Some(ValueSource::CommandLine)
    }

    /// Gives the settings the values of the flags that were given.
    pub(crate) fn over(&self, settings: &mut C) -> Result<(), RunError> {
        let wrong = |error: clap::Error| RunError::Usage(error.to_string());
        settings.update_from_arg_matches(&self.matches).map_err(wrong)
    }
}

impl<C: Args> Args for Given<C> {
    /// No flag has to be given, and each says its default.
    fn augment_args(command: Command) -> Command {
        let mut command = C::augment_args_for_update(command);
        for (name, default) in RunConfig::default().settings() {
            let has_value =
                |argument: &&clap::Arg| argument.get_id() == name.as_str() && default != "false";
            let argument = command.get_arguments().find(has_value);
            let Some(help) = argument.and_then(clap::Arg::get_help).map(ToString::to_string) else {
                continue;
            };
            let help = format!("{help} [default: {default}]");
            command = command.mut_arg(&name, |argument| argument.help(help));
        }
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<C> FromArgMatches for Given<C> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self { matches: matches.clone(), settings: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        self.matches = matches.clone();
        Ok(())
    }
}

/// The flags that ask for these settings, but for the place of the data.
pub(crate) fn flags_of(config: &RunConfig) -> Vec<String> {
    let defaults = RunConfig::default().settings();
    let mut flags = Vec::new();
    for (name, value) in config.settings() {
        if name == "path" || defaults.get(&name) == Some(&value) {
            continue;
        }
        let flag = name.replace('_', "-");
        flags.push(if value == "true" { format!("--{flag}") } else { format!("--{flag}={value}") });
    }
    flags
}
