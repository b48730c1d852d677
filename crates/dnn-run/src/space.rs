//! What a search tries: values and ranges for settings of `dnn train`, and the trials that follow from them.

use std::fmt;
use std::str::FromStr;

use dnn_core::{Purpose, RandomStream};
use dnn_train::Optimizer;
use serde::{Deserialize, Serialize};

/// The settings that can be tried: those that leave data and its division as they are, so that all trials
/// are measured on the same pictures.
const NAMES: [&str; 21] = [
    "network",
    "hidden",
    "activation",
    "dropout",
    "init",
    "optimizer",
    "learning-rate",
    "schedule",
    "warm-up",
    "l2",
    "clip-norm",
    "clip-value",
    "class-weights",
    "label-smoothing",
    "mixing",
    "whitening",
    "weight-averaging",
    "batch",
    "epochs",
    "augment",
    "scaling",
];

/// A grid is not larger.
const LARGEST_GRID: usize = 10_000;

/// How often a random trial is drawn anew if it was there before.
const ATTEMPTS: usize = 1000;

/// A setting and what is tried for it, as in `hidden=64|256,128` or `learning-rate=0.001..0.1`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Try {
    name: String,
    values: Values,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    /// Each of these.
    Listed(Vec<String>),
    /// Any number between two; evenly by their logarithm if both are above 0.
    Between { text: String, low: f64, high: f64, whole: bool },
}

impl FromStr for Try {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "expected NAME=VALUE|VALUE… or NAME=LEAST..MOST like l2=0|0.1|1, found `{text}`"
            )
        };
        let (name, values) = text.split_once('=').ok_or_else(wrong)?;
        if !NAMES.contains(&name) {
            return Err(format!("cannot try `{name}`; expected one of {}", NAMES.join(", ")));
        }
        let values = match values.split_once("..") {
            None => {
                Values::Listed(values.split('|').map(|value| value.trim().to_owned()).collect())
            }
            Some((low, high)) => {
                let whole = [low, high].iter().all(|end| end.parse::<u64>().is_ok());
                let end = |end: &str| end.parse().ok().filter(|end: &f64| end.is_finite());
                let (low, high) = end(low).zip(end(high)).ok_or_else(wrong)?;
                if low >= high {
                    return Err(format!("expected the lower number first, found `{text}`"));
                }
                Values::Between { text: values.to_owned(), low, high, whole }
            }
        };
        match &values {
            Values::Listed(values) if values.iter().any(String::is_empty) => Err(wrong()),
            _ => Ok(Self { name: name.to_owned(), values }),
        }
    }
}

impl fmt::Display for Try {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.values {
            Values::Listed(values) => write!(f, "{}={}", self.name, values.join("|")),
            Values::Between { text, .. } => write!(f, "{}={text}", self.name),
        }
    }
}

impl TryFrom<String> for Try {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Try> for String {
    fn from(one: Try) -> Self {
        one.to_string()
    }
}

/// From a tenth to ten times a rate.
fn rates_around(rate: f64) -> String {
    format!("learning-rate={}..{}", three_digits(rate / 10.0), three_digits(rate * 10.0))
}

impl Try {
    /// What is tried if nobody says, with rates around the default one; without what was given a value.
    pub fn defaults(rate: f64, given: &[String]) -> Vec<Self> {
        let rates = rates_around(rate);
        let all = ["hidden=128|256|256,128|512,128", &rates, "l2=0|1|10|100", "dropout=0|0.2|0.4"];
        Self::without(given, &all)
    }

    /// What is tried if nobody says, for the network that the pictures choose; `optimizer` is one that was given.
    pub fn defaults_by_pictures(optimizer: Option<Optimizer>, given: &[String]) -> Vec<Self> {
        // Ten times Muon's own would not learn.
        let rates = match optimizer {
            None | Some(Optimizer::Muon(_)) => "learning-rate=0.005..0.05".to_owned(),
            Some(other) => rates_around(other.default_learning_rate()),
        };
        let all = [&rates, "label-smoothing=0|0.05|0.1", "dropout=0|0.2", "batch=16|32|64"];
        Self::without(given, &all)
    }

    /// Those of the texts whose settings were not given.
    fn without(given: &[String], texts: &[&str]) -> Vec<Self> {
        let all =
            texts.iter().map(|text| text.parse().expect("names and values that can be tried"));
        all.filter(|one: &Self| !given.contains(&one.name)).collect()
    }

    /// The setting that is tried.
    pub fn name(&self) -> &str {
        &self.name
    }

    fn trial_setting(&self, stream: &mut RandomStream) -> TrialSetting {
        TrialSetting { name: self.name.clone(), value: self.draw(stream) }
    }

    fn draw(&self, stream: &mut RandomStream) -> String {
        match &self.values {
            Values::Listed(values) => {
                let last = u32::try_from(values.len() - 1).unwrap_or(u32::MAX);
                values[stream.up_to(last) as usize].clone()
            }
            &Values::Between { low, high, whole, .. } => {
                let share = stream.uniform();
                let value = if low > 0.0 {
                    low * libm::pow(high / low, share)
                } else {
                    low + share * (high - low)
                };
                // As many digits as a person would give.
                if whole { format!("{value:.0}") } else { three_digits(value) }
            }
        }
    }
}

/// The number to three significant digits, written plainly.
fn three_digits(value: f64) -> String {
    format!("{value:.2e}").parse::<f64>().expect("a number's own form").to_string()
}

/// The settings of one trial, by name, in the order of the tries.
pub type Trial = Vec<TrialSetting>;

/// One setting of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrialSetting {
    /// Its name, with `-` as on a command line.
    pub name: String,
    /// Its value.
    pub value: String,
}

/// `hidden=64 l2=0.1`.
pub fn describe(trial: &Trial) -> String {
    let parts: Vec<String> =
        trial.iter().map(|one| format!("{}={}", one.name, one.value)).collect();
    parts.join(" ")
}

/// Every combination of the values.
///
/// # Errors
/// With a range, or too many of them.
pub(crate) fn grid(tries: &[Try]) -> Result<Vec<Trial>, String> {
    let mut trials: Vec<Trial> = vec![Vec::new()];
    for one in tries {
        let Values::Listed(values) = &one.values else {
            return Err(format!("a grid needs values, as in {}=1|2|3; found {one}", one.name));
        };
        if trials.len().saturating_mul(values.len()) > LARGEST_GRID {
            return Err(format!("expected at most {LARGEST_GRID} combinations"));
        }
        trials = (trials.into_iter())
            .flat_map(|trial| {
                values.iter().map(move |value| {
                    let mut trial = trial.clone();
                    trial.push(TrialSetting { name: one.name.clone(), value: value.clone() });
                    trial
                })
            })
            .collect();
    }
    Ok(trials)
}

/// The first `count` trials of a seed, no two of them equal; fewer, if there are not so many. More of them
/// begin with the same ones.
pub(crate) fn random(tries: &[Try], count: usize, seed: u64) -> Vec<Trial> {
    let mut trials: Vec<Trial> = Vec::new();
    while trials.len() < count {
        let mut stream = RandomStream::new(seed, Purpose::Search, trials.len() as u64);
        let mut draw =
            || -> Trial { tries.iter().map(|one| one.trial_setting(&mut stream)).collect() };
        match (0..ATTEMPTS).map(|_| draw()).find(|trial| !trials.contains(trial)) {
            Some(trial) => trials.push(trial),
            None => break,
        }
    }
    trials
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tries(texts: &[&str]) -> Vec<Try> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn tries_are_values_or_ranges() {
        for text in ["hidden=64|256,128", "l2=0", "learning-rate=0.001..0.1", "dropout=0..0.5"] {
            assert_eq!(text.parse::<Try>().unwrap().to_string(), text);
        }
        for (text, message) in [
            ("hidden", "expected NAME=VALUE"),
            ("seed=1|2", "cannot try `seed`; expected one of network"),
            ("l2=1..x", "expected NAME=VALUE"),
            ("l2=1..inf", "expected NAME=VALUE"),
            ("l2=2..1", "expected the lower number first"),
            ("l2=1||2", "expected NAME=VALUE"),
        ] {
            let error = text.parse::<Try>().unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
        let defaults = |given: &[&str]| {
            let given: Vec<String> = given.iter().map(|&name| name.to_owned()).collect();
            Try::defaults(0.001, &given).iter().map(Try::to_string).collect::<Vec<_>>()
        };
        assert_eq!(defaults(&["epochs"]).len(), 4);
        assert_eq!(defaults(&["l2", "hidden", "dropout"]), ["learning-rate=0.0001..0.01"]);
        let by_pictures = |optimizer: Option<&str>| {
            let optimizer = optimizer.map(|text| text.parse().unwrap());
            let given = ["dropout".to_owned(), "batch".to_owned()];
            let all = Try::defaults_by_pictures(optimizer, &given);
            all.iter().map(Try::to_string).collect::<Vec<_>>()
        };
        for (optimizer, rates) in [(None, "0.005..0.05"), (Some("adam"), "0.0001..0.01")] {
            let expected =
                [format!("learning-rate={rates}"), "label-smoothing=0|0.05|0.1".to_owned()];
            assert_eq!(by_pictures(optimizer), expected);
        }
    }

    #[test]
    fn a_grid_has_every_combination_once() {
        let trials = grid(&tries(&["hidden=8|16", "l2=0|1|2"])).unwrap();
        let told: Vec<String> = trials.iter().map(describe).collect();
        assert_eq!(told.len(), 6);
        assert_eq!(told[0], "hidden=8 l2=0");
        assert_eq!(told[5], "hidden=16 l2=2");
        assert!(grid(&tries(&["l2=0..1"])).unwrap_err().contains("a grid needs values"));
        let digits = "l2=0|1|2|3|4|5|6|7|8|9";
        let many: Vec<Try> = tries(&[digits; 5]);
        assert!(grid(&many).unwrap_err().contains("at most 10000"));
    }

    #[test]
    fn random_trials_follow_from_the_seed_and_are_all_different() {
        let space = tries(&["hidden=8|16", "learning-rate=0.001..0.1", "batch=8..64", "l2=0..1"]);
        let trials = random(&space, 50, 7);
        assert_eq!(trials[..20], random(&space, 20, 7));
        assert_ne!(trials[..20], random(&space, 20, 8));
        let mut below = 0;
        for trial in &trials {
            let number = |index: usize| trial[index].value.parse::<f64>().unwrap();
            assert!((0.001..=0.1).contains(&number(1)), "{trial:?}");
            assert!((8..=64).contains(&trial[2].value.parse::<u32>().unwrap()), "{trial:?}");
            assert!((0.0..=1.0).contains(&number(3)), "{trial:?}");
            below += u32::from(number(1) < 0.01);
        }
        // Half of them lie below the middle of the logarithms.
        assert!((15..=35).contains(&below), "{below}");
        // There are only so many.
        assert_eq!(random(&tries(&["hidden=8|16", "l2=0|1"]), 50, 7).len(), 4);
    }
}
