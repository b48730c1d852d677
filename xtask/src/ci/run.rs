//! Steps as they are taken, and what became of them.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::cargo::{quoted, without_package};

/// The steps of a check so far.
#[derive(Debug)]
pub struct Run {
    root: PathBuf,
    steps: Vec<Step>,
}

/// A step that was taken or skipped.
#[derive(Debug)]
struct Step {
    name: String,
    outcome: Outcome,
}

#[derive(Debug)]
enum Outcome {
    Passed(Duration),
    Failed(Duration),
    /// Why, and what installs what is missing.
    Skipped(String),
}

impl Run {
    /// A check of the workspace at `root`, before its first step.
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), steps: Vec::new() }
    }

    /// The root of the workspace.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Runs a program with its words in the root of the workspace; its output is shown as it comes.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn program(&mut self, words: &[&str]) -> Result<bool> {
        self.program_with(words, &[])
    }

    /// [`Run::program`] with more variables in its environment.
    ///
    /// # Errors
    /// If it cannot be started.
    pub fn program_with(&mut self, words: &[&str], variables: &[(&str, &str)]) -> Result<bool> {
        let mut line = String::new();
        for (name, value) in variables {
            write!(line, "{name}={} ", quoted(value))?;
        }
        let shown: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        line += &shown.join(" ");
        let root = self.root.clone();
        self.step(&line, || {
            let mut command = command(words);
            command.current_dir(&root).envs(variables.iter().copied());
            let status = command.status().with_context(|| format!("cannot start {}", words[0]))?;
            Ok(status.success())
        })
    }

    /// Takes a step: `check` says whether it passed.
    ///
    /// # Errors
    /// Those of `check`.
    pub fn step(&mut self, name: &str, check: impl FnOnce() -> Result<bool>) -> Result<bool> {
        say(&format!("== {name}"))?;
        let start = Instant::now();
        let passed = check()?;
        let time = start.elapsed();
        let ended = if passed { "done in" } else { "FAILED after" };
        say(&format!("== {ended} {:.1} s", time.as_secs_f64()))?;
        let outcome = if passed { Outcome::Passed(time) } else { Outcome::Failed(time) };
        self.steps.push(Step { name: name.to_owned(), outcome });
        Ok(passed)
    }

    /// Says that a step is not taken, and why.
    ///
    /// # Errors
    /// If nothing can be written.
    pub fn skip(&mut self, name: &str, why: &str) -> Result<()> {
        say(&format!("== SKIPPED: {name}: {why}"))?;
        let outcome = Outcome::Skipped(why.to_owned());
        self.steps.push(Step { name: name.to_owned(), outcome });
        Ok(())
    }

    /// Prints all steps with their times, those that were skipped last.
    ///
    /// # Errors
    /// If nothing can be written.
    pub fn summary(&self) -> Result<()> {
        say(self.table().trim_end())
    }

    fn table(&self) -> String {
        let mut taken = String::new();
        let mut skipped = String::new();
        for Step { name, outcome } in &self.steps {
            match outcome {
                Outcome::Passed(time) => {
                    taken += &format!("{:>8.1} s  {name}\n", time.as_secs_f64());
                }
                Outcome::Failed(time) => {
                    taken += &format!("{:>8.1} s  {name}  FAILED\n", time.as_secs_f64());
                }
                Outcome::Skipped(why) => skipped += &format!("   SKIPPED  {name}: {why}\n"),
            }
        }
        format!("== all steps\n{taken}{skipped}")
    }
}

/// The command of these words, which is not told which package this program is of.
pub(super) fn command(words: &[&str]) -> Command {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]);
    without_package(&mut command);
    command
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_failed_and_what_was_skipped_is_in_the_summary() {
        let folder = tempfile::tempdir().unwrap();
        let mut run = Run::new(folder.path());
        assert!(run.step("good", || Ok(true)).unwrap());
        assert!(!run.step("bad", || Ok(false)).unwrap());
        run.skip("absent", "install it").unwrap();
        let table = run.table();
        let lines: Vec<&str> = table.lines().skip(1).map(str::trim_start).collect();
        assert!(lines[0].ends_with(" s  good") && lines[1].ends_with(" s  bad  FAILED"), "{table}");
        assert_eq!(lines[2], "SKIPPED  absent: install it");
    }

    #[test]
    fn a_program_runs_at_the_root_and_a_missing_one_is_an_error_with_its_name() {
        let folder = tempfile::tempdir().unwrap();
        let mut run = Run::new(folder.path());
        let error = run.program(&["no-such-program-of-xtask"]).unwrap_err();
        assert_eq!(error.to_string(), "cannot start no-such-program-of-xtask");
        assert!(!run.program(&["cargo", "metadata", "--no-deps"]).unwrap(), "no manifest there");
    }
}
