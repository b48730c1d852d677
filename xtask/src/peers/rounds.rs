//! Contenders, turns and rounds.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};

use crate::bench::{Machine, markdown_table, scaled};

/// A program that does the job once and prints a [`Turn`] as its last line.
#[derive(Debug, Clone)]
pub struct Contender {
    /// What it is called in the table.
    pub name: String,
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables of its environment.
    pub environment: Vec<(&'static str, String)>,
    /// Whether, from its second turn on, it has to say that it took the pictures from a cache.
    pub from_cache: bool,
}

/// What one contender said of one turn.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Turn {
    /// How many pictures it had.
    pub pictures: usize,
    /// From the list of files to the last pixel.
    pub seconds: f64,
    /// The most memory its process had.
    pub peak_bytes: Option<u64>,
    /// Whether the pictures came from a cache.
    #[serde(default)]
    pub from_cache: bool,
}

/// A contender's turns together.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Measured {
    /// The contender.
    pub name: String,
    /// The median over the rounds.
    pub median_seconds: f64,
    /// The shortest and the longest turn.
    pub range_seconds: [f64; 2],
    /// The median, over the rounds, of its time over that of the first contender in that round.
    pub ratio: f64,
    /// The median of its peaks.
    pub peak_bytes: Option<u64>,
}

/// All contenders of a job.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// The command that was asked for.
    pub command: String,
    /// What was done, in words.
    pub job: String,
    /// How many pictures each had.
    pub pictures: usize,
    /// How many rounds.
    pub rounds: usize,
    /// On what.
    pub machine: Machine,
    /// The contenders, in their order.
    pub measured: Vec<Measured>,
}

impl Contender {
    /// Lets the contender do the job once.
    pub(super) fn turn(&self) -> Result<Turn> {
        let output = Command::new(&self.program)
            .args(&self.arguments)
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stderr(Stdio::inherit())
            .output()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        ensure!(output.status.success(), "{} failed with {}", self.name, output.status);
        let text = String::from_utf8_lossy(&output.stdout);
        let line = text.lines().last().unwrap_or_default();
        let turn: Turn = serde_json::from_str(line)
            .with_context(|| format!("{} printed `{line}`", self.name))?;
        ensure!(turn.seconds > 0.0, "{} says it took {} s", self.name, turn.seconds);
        Ok(turn)
    }
}

/// Every contender's turns, `rounds` for each. One more round goes before, for what the system keeps
/// in memory; it is not counted.
pub(super) fn play(contenders: &[Contender], rounds: usize) -> Result<Vec<Vec<Turn>>> {
    let mut turns: Vec<Vec<Turn>> = contenders.iter().map(|_| Vec::new()).collect();
    for round in 0..=rounds {
        for step in 0..contenders.len() {
            let at = (round + step) % contenders.len();
            let turn = contenders[at].turn()?;
            if round == 0 {
                continue;
            }
            let Contender { name, from_cache, .. } = &contenders[at];
            ensure!(
                turn.from_cache == *from_cache,
                "{name}: expected from_cache to be {from_cache}, found {}",
                turn.from_cache
            );
            turns[at].push(turn);
        }
    }
    Ok(turns)
}

/// The medians, and how many pictures all had.
pub(super) fn sum_up(
    contenders: &[Contender],
    turns: &[Vec<Turn>],
) -> Result<(usize, Vec<Measured>)> {
    let counts = || turns.iter().flatten().map(|turn| turn.pictures);
    let pictures = counts().next().unwrap_or(0);
    if let Some(other) = counts().find(|&other| other != pictures) {
        bail!("expected the same pictures for all, found {pictures} and {other}");
    }
    let first = turns.first().context("expected a contender")?;
    let measured = contenders.iter().zip(turns).map(|(contender, turns)| {
        let seconds = || turns.iter().map(|turn| turn.seconds);
        let ratios = turns.iter().zip(first).map(|(turn, first)| turn.seconds / first.seconds);
        let peaks: Option<Vec<f64>> =
            turns.iter().map(|turn| turn.peak_bytes.map(|bytes| bytes as f64)).collect();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "bytes")]
        let peak_bytes = peaks.map(|peaks| median(peaks.into_iter()) as u64);
        Measured {
            name: contender.name.clone(),
            median_seconds: median(seconds()),
            range_seconds: [seconds().fold(f64::MAX, f64::min), seconds().fold(0.0, f64::max)],
            ratio: median(ratios),
            peak_bytes,
        }
    });
    Ok((pictures, measured.collect()))
}

fn median(values: impl Iterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => f64::NAN,
        even if even % 2 == 0 => f64::midpoint(values[middle - 1], values[middle]),
        _ => values[middle],
    }
}

impl Report {
    /// The report as a Markdown table, below what it was measured with.
    pub fn markdown(&self) -> String {
        let Machine { cpu, cores, system, rustc, commit } = &self.machine;
        let first = self.measured.first().map_or("", |first| &first.name);
        let header = ["", "median", "range", "pictures/s", "peak memory", "time ratio"];
        let mut rows = vec![header.map(str::to_owned)];
        rows.extend(self.measured.iter().map(|one| {
            let [shortest, longest] = one.range_seconds.map(|seconds| scaled(1e9 * seconds));
            [
                one.name.clone(),
                scaled(1e9 * one.median_seconds),
                format!("{shortest} to {longest}"),
                format!("{:.0}", self.pictures as f64 / one.median_seconds),
                one.peak_bytes.map_or_else(String::new, |bytes| format!("{} MiB", bytes >> 20)),
                format!("{:.2}", one.ratio),
            ]
        }));
        format!(
            "`{}` on {cpu}, {cores} cores, {system}; {rustc}; commit {commit}.\n\
             {}: {} pictures, {} rounds in turn. Time ratio: to {first}, the median of the ratios \
             within each round.\n\n{}",
            self.command,
            self.job,
            self.pictures,
            self.rounds,
            markdown_table(&rows, 1)
        )
    }

    /// The same numbers as JSON, unrounded.
    ///
    /// # Errors
    /// If a number is not finite.
    pub fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contender(name: &str) -> Contender {
        let echo = r#"echo starting; echo '{"pictures": 3, "seconds": 0.5, "peak_bytes": null}'"#;
        Contender {
            name: name.to_owned(),
            program: "sh".into(),
            arguments: vec!["-c".into(), echo.into()],
            environment: Vec::new(),
            from_cache: false,
        }
    }

    fn turns(pictures: usize, seconds: &[f64]) -> Vec<Turn> {
        let turn =
            |&seconds| Turn { pictures, seconds, peak_bytes: Some(3 << 20), from_cache: false };
        seconds.iter().map(turn).collect()
    }

    #[test]
    fn ratios_are_those_within_a_round() {
        let contenders = [contender("ours"), contender("theirs")];
        // The machine was slow in the last round, for both.
        let played = [turns(5, &[1.0, 1.0, 4.0]), turns(5, &[2.0, 3.0, 8.0])];
        let (pictures, measured) = sum_up(&contenders, &played).unwrap();
        assert_eq!((pictures, measured[0].ratio, measured[1].ratio), (5, 1.0, 2.0));
        assert_eq!((measured[1].median_seconds, measured[1].range_seconds), (3.0, [2.0, 8.0]));
        assert_eq!(measured[0].peak_bytes, Some(3 << 20));
    }

    #[test]
    fn contenders_with_other_pictures_are_refused() {
        let contenders = [contender("ours"), contender("theirs")];
        let error = sum_up(&contenders, &[turns(5, &[1.0]), turns(6, &[1.0])]).unwrap_err();
        assert_eq!(error.to_string(), "expected the same pictures for all, found 5 and 6");
    }

    #[cfg(unix)]
    #[test]
    fn a_turn_is_the_last_line_of_a_program() {
        let played = play(&[contender("a"), contender("b")], 2).unwrap();
        assert_eq!(
            played[0],
            [const { Turn { pictures: 3, seconds: 0.5, peak_bytes: None, from_cache: false } }; 2]
        );
        let warm = Contender { from_cache: true, ..contender("warm") };
        let error = play(&[warm], 1).unwrap_err().to_string();
        assert_eq!(error, "warm: expected from_cache to be true, found false");
        let failing = Contender { arguments: vec!["-c".into(), "exit 3".into()], ..contender("c") };
        let error = failing.turn().unwrap_err().to_string();
        assert!(error.starts_with("c failed with exit status: 3"), "{error}");
    }

    #[test]
    fn medians_of_odd_and_even_counts() {
        assert_eq!(median([3.0, 1.0, 2.0].into_iter()), 2.0);
        assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), 2.5);
    }

    #[test]
    fn the_table_names_everything() {
        let contenders = [contender("ours"), contender("theirs")];
        let played = [turns(500, &[1.0]), turns(500, &[2.0])];
        let (pictures, measured) = sum_up(&contenders, &played).unwrap();
        let machine = Machine {
            cpu: "A CPU".to_owned(),
            cores: 2,
            system: "linux x86_64".to_owned(),
            rustc: "rustc 1".to_owned(),
            commit: "abc".to_owned(),
        };
        let command = "cargo xtask bench".to_owned();
        let job = "Job".to_owned();
        let report = Report { command, job, pictures, rounds: 1, machine, measured };
        let expected = "\
`cargo xtask bench` on A CPU, 2 cores, linux x86_64; rustc 1; commit abc.
Job: 500 pictures, 1 rounds in turn. Time ratio: to ours, the median of the ratios within each round.

|        |  median |              range | pictures/s | peak memory | time ratio |
|--------|--------:|-------------------:|-----------:|------------:|-----------:|
| ours   | 1.000 s | 1.000 s to 1.000 s |        500 |       3 MiB |       1.00 |
| theirs | 2.000 s | 2.000 s to 2.000 s |        250 |       3 MiB |       2.00 |
";
        assert_eq!(report.markdown(), expected);
        assert!(report.json().unwrap().contains("\"ratio\": 2.0"));
    }
}
