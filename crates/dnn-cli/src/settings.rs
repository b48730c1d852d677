//! The settings that a model's numbers follow from, by name: as a model keeps them, and as a command line.

use std::num::NonZeroUsize;

use dnn_data::picture::Preprocessing;
use dnn_train::{Batch, ClassWeights, GramChoice, Optimizer, Schedule};

use crate::args::{Policy, Scaling, TrainArguments};
use crate::ended::OF_THE_RESULT;
use dnn_run::parts::Plan;
use dnn_run::record::Settings;

/// The names of settings that a model to start from brings with it.
const OF_THE_NETWORK: [&str; 6] =
    ["hidden", "activation", "init", "batch_norm", "dropout", "scaling"];

/// The settings of a run on data that is divided like this.
pub(crate) fn of(
    arguments: &TrainArguments,
    plan: Plan,
    preprocessing: Option<Preprocessing>,
) -> Settings {
    let mut settings = Settings::new();
    let mut set = |name: &str, value: String| settings.insert(name.to_owned(), value);
    let widths: Vec<String> = arguments.hidden.0.iter().map(usize::to_string).collect();
    set("hidden", if widths.is_empty() { "none".to_owned() } else { widths.join(",") });
    set("activation", arguments.activation.to_string());
    set("init", arguments.init.to_string());
    set("optimizer", arguments.optimizer.to_string());
    set("learning_rate", learning_rate(arguments).to_string());
    set("epochs", arguments.epochs.to_string());
    set("batch", batch(arguments).to_string());
    set("split", plan.split.to_string());
    set("validation", plan.validation.to_string());
    set("precision", arguments.precision.to_string());
    set("schedule", schedule(arguments).to_string());
    set("dropout", dropout(arguments).to_string());
    let scaling = match arguments.scaling {
        Scaling::Auto => None,
        Scaling::Unit => Some("unit".to_owned()),
        Scaling::Standardize => Some("standardize".to_owned()),
    };
    let above_0 = |value: f64| (value > 0.0).then(|| value.to_string());
    let switch = |on: bool| on.then(|| "true".to_owned());
    let augment = &arguments.augment;
    let equal = arguments.class_weights == ClassWeights::Equal;
    for (name, value) in [
        ("warm_up", (arguments.warm_up > 0).then(|| arguments.warm_up.to_string())),
        ("l2", above_0(arguments.l2)),
        ("clip_norm", arguments.clip_norm.map(|limit| limit.to_string())),
        ("clip_value", arguments.clip_value.map(|limit| limit.to_string())),
        ("gram", (arguments.gram != GramChoice::Auto).then(|| arguments.gram.to_string())),
        ("class_weights", (!equal).then(|| arguments.class_weights.to_string())),
        ("batch_norm", switch(arguments.batch_norm)),
        ("label_smoothing", above_0(arguments.label_smoothing)),
        ("early_stopping", arguments.early_stopping.map(|patience| patience.to_string())),
        ("min_delta", above_0(arguments.min_delta)),
        ("monitor", arguments.monitor.map(|monitor| monitor.to_string())),
        ("restore_best", switch(arguments.restore_best)),
        ("calibrate", switch(arguments.calibrate)),
        ("steps", arguments.steps.map(|steps| steps.to_string())),
        ("augment", (!augment.is_none()).then(|| augment.to_string())),
        ("preprocessing", preprocessing.map(|preprocessing| preprocessing.to_string())),
        ("scaling", scaling),
    ] {
        if let Some(value) = value {
            set(name, value);
        }
    }
    if arguments.from.is_some() {
        settings.retain(|name, _| !OF_THE_NETWORK.contains(&name.as_str()));
    }
    settings
}

/// The rate that was asked for, else the optimiser's usual one.
pub(crate) fn learning_rate(arguments: &TrainArguments) -> f64 {
    arguments.learning_rate.unwrap_or_else(|| arguments.optimizer.default_learning_rate())
}

// Each step of L-BFGS looks along a line, over which the cost has to stay the same function.
fn is_lbfgs(arguments: &TrainArguments) -> bool {
    matches!(arguments.optimizer, Optimizer::Lbfgs(_))
}

/// The schedule that was asked for, else the usual one.
pub(crate) fn schedule(arguments: &TrainArguments) -> Schedule {
    // Not a function of the run's length: a run that is over can be made longer.
    let usual = Schedule::Step { factor: 0.9, every: 1 };
    arguments.schedule.unwrap_or(if is_lbfgs(arguments) { Schedule::Constant } else { usual })
}

/// The dropout that was asked for, else the usual one.
pub(crate) fn dropout(arguments: &TrainArguments) -> f64 {
    arguments.dropout.unwrap_or(if is_lbfgs(arguments) { 0.0 } else { 0.2 })
}

/// The examples of a step that were asked for, else the usual number.
pub(crate) fn batch(arguments: &TrainArguments) -> Batch {
    let usual = Batch::Size(const { NonZeroUsize::new(32).unwrap() });
    arguments.batch.unwrap_or(if is_lbfgs(arguments) { Batch::Full } else { usual })
}

/// How picture files were read, where it was in another way than usual.
pub(crate) fn loading(arguments: &TrainArguments) -> Settings {
    let pictures = &arguments.pictures;
    let mut settings = Settings::new();
    let policy = match pictures.bad_files {
        Policy::Stop => None,
        Policy::Skip => Some("skip"),
        Policy::Quarantine => Some("quarantine"),
    };
    if let Some(policy) = policy {
        settings.insert("bad_files".to_owned(), policy.to_owned());
        settings.insert("max_bad".to_owned(), pictures.max_bad.to_string());
    }
    if pictures.lenient {
        settings.insert("lenient".to_owned(), "true".to_owned());
    }
    settings
}

/// What is kept of a run while it goes on, where it is not as usual.
pub(crate) fn keeping(arguments: &TrainArguments) -> Settings {
    let switch = |on: bool| on.then(|| "true".to_owned());
    [
        ("checkpoint_every", arguments.checkpoint_every.map(|steps| steps.to_string())),
        ("keep_last", (arguments.keep_last.get() > 1).then(|| arguments.keep_last.to_string())),
        ("keep_every", arguments.keep_every.map(|steps| steps.to_string())),
        ("keep_best", switch(arguments.keep_best)),
        ("tensorboard", switch(arguments.tensorboard)),
    ]
    .into_iter()
    .filter_map(|(name, value)| Some((name.to_owned(), value?)))
    .collect()
}

/// The arguments that ask for these settings.
pub(crate) fn command_line(settings: &Settings) -> Vec<String> {
    let mut arguments = Vec::new();
    for (name, value) in settings {
        let flag = name.replace('_', "-");
        match (name.as_str(), value.as_str()) {
            (name, _) if OF_THE_RESULT.contains(&name) => {}
            ("preprocessing", text) => {
                // Height, width and channels; fit; filter.
                let mut words = text.split(' ');
                let size = words.next().unwrap_or_default();
                let sides: Vec<&str> = size.split('x').collect();
                if let [height, width, _] = sides[..] {
                    arguments.push(format!("--size={width}x{height}"));
                }
                for (flag, word) in ["resize", "filter"].into_iter().zip(words) {
                    arguments.push(format!("--{flag}={word}"));
                }
            }
            (_, "true") => arguments.push(format!("--{flag}")),
            (_, value) => arguments.push(format!("--{flag}={value}")),
        }
    }
    arguments
}
