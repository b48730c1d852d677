//! Those who are measured: workers that live as long as the measurement, and processes that run once a
//! turn.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::worker::Turn;
use xtask::cargo::quoted;

/// A program and what it is started with.
#[derive(Debug, Clone, PartialEq)]
pub struct Program {
    /// What it is called in the table.
    pub name: String,
    /// The file.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Variables that it is given; those without a value are taken from it.
    pub environment: Vec<(&'static str, Option<String>)>,
}

impl Program {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.path);
        command.args(&self.arguments).stdout(Stdio::piped()).stderr(Stdio::inherit());
        for (name, value) in &self.environment {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command
    }

    /// Runs it to its end, and gives the last line that it printed.
    ///
    /// # Errors
    /// If it cannot be started or fails.
    pub fn last_line(&self) -> Result<String> {
        let output = self
            .command()
            .stdin(Stdio::null())
            .output()
            .with_context(|| format!("cannot start {}", self.path.display()))?;
        ensure!(output.status.success(), "{} failed with {}", self.name, output.status);
        let text = String::from_utf8_lossy(&output.stdout);
        Ok(text.lines().last().unwrap_or_default().to_owned())
    }

    /// The command as it would be typed in the folder `root`.
    pub fn line(&self, root: &Path) -> String {
        let short = |word: &str| {
            let below = Path::new(word).strip_prefix(root).ok();
            quoted(&below.map_or_else(|| word.to_owned(), |path| path.display().to_string()))
        };
        let variables = self.environment.iter();
        let set = variables.filter_map(|(name, value)| Some(format!("{name}={}", value.as_ref()?)));
        let words = self.arguments.iter().map(|word| short(&word.to_string_lossy()));
        let path = short(&self.path.to_string_lossy());
        set.chain([path]).chain(words).collect::<Vec<_>>().join(" ")
    }
}

/// What a worker makes of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Opened {
    /// It is ready.
    Ready,
    /// It has no such workload, and says why.
    Skipped(String),
}

/// A worker that is alive.
#[derive(Debug)]
pub struct Worker {
    /// What it is called in the table.
    pub name: String,
    /// The versions that it told.
    pub versions: BTreeMap<String, String>,
    child: Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Worker {
    /// Starts a worker.
    ///
    /// # Errors
    /// If the program cannot be started.
    pub fn start(program: &Program) -> Result<Self> {
        let mut child = program
            .command()
            .stdin(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.path.display()))?;
        let input = child.stdin.take();
        let output = child.stdout.take().context("a child without an output")?;
        let output = BufReader::new(output);
        let (name, versions) = (program.name.clone(), BTreeMap::new());
        Ok(Self { name, versions, child, input, output })
    }

    /// Gives it an order and waits for the answer.
    fn ask(&mut self, order: &str) -> Result<Value> {
        let name = &self.name;
        let input = self.input.as_mut().context("its input is closed")?;
        writeln!(input, "{order}")
            .and_then(|()| input.flush())
            .with_context(|| format!("{name} does not listen"))?;
        self.hear(order)
    }

    /// Waits for its next line, which answers `order`.
    pub(super) fn hear(&mut self, order: &str) -> Result<Value> {
        let name = &self.name;
        let mut line = String::new();
        let read = self.output.read_line(&mut line);
        ensure!(read.is_ok_and(|bytes| bytes > 0), "{name} ended at `{order}`");
        let answer: Value =
            serde_json::from_str(&line).with_context(|| format!("{name} answered `{line}`"))?;
        match answer["error"].as_str() {
            Some(error) => bail!("{name}: {error}"),
            None => Ok(answer),
        }
    }

    /// Opens a job.
    ///
    /// # Errors
    /// If the worker says so, or ends.
    pub fn open(&mut self, job: &Path) -> Result<Opened> {
        let answer = self.ask(&format!("open {}", job.display()))?;
        if let Some(why) = answer["skip"].as_str() {
            return Ok(Opened::Skipped(why.to_owned()));
        }
        ensure!(answer["ready"] == true, "{} answered {answer}", self.name);
        if let Ok(versions) = serde_json::from_value(answer["versions"].clone()) {
            self.versions = versions;
        }
        Ok(Opened::Ready)
    }

    /// The costs of the first steps, or probabilities.
    ///
    /// # Errors
    /// If the worker says so, or ends.
    pub fn check(&mut self) -> Result<Vec<f64>> {
        let answer = self.ask("check")?;
        serde_json::from_value(answer["costs"].clone())
            .with_context(|| format!("{} answered {answer}", self.name))
    }

    /// One round.
    ///
    /// # Errors
    /// If the worker says so, or ends.
    pub fn go(&mut self) -> Result<Turn> {
        let answer = self.ask("go")?;
        let turn: Turn = serde_json::from_value(answer.clone())
            .with_context(|| format!("{} answered {answer}", self.name))?;
        ensure!(turn.seconds > 0.0, "{} says it took {} s", self.name, turn.seconds);
        Ok(turn)
    }

    /// Tells it that there is nothing more to come, without waiting for its end.
    pub(super) fn end_input(&mut self) {
        self.input = None;
    }

    /// Lets it forget its job.
    ///
    /// # Errors
    /// If the worker says so, or ends.
    pub fn close(&mut self) -> Result<()> {
        self.ask("close").map(|_| ())
    }
}

impl Drop for Worker {
    /// A worker ends with its input; one that does not is ended.
    fn drop(&mut self) {
        self.end_input();
        let patience = Instant::now() + Duration::from_secs(5);
        while Instant::now() < patience {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        let _ = self.child.kill().and_then(|()| self.child.wait());
    }
}

/// A program that does the job once and says as its last line what that took.
#[derive(Debug, Clone, PartialEq)]
pub struct Process {
    /// The program.
    pub program: Program,
    /// Whether its own time counts, or that from its start to its end.
    pub own_time: bool,
    /// Whether, from its second turn on, it has to say that it took the pictures from a cache.
    pub from_cache: bool,
}

/// The last line of a process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Said {
    /// How long the job itself took.
    pub seconds: f64,
    /// The most memory that it had.
    pub peak_bytes: Option<u64>,
    /// A cost or a probability.
    #[serde(default)]
    pub value: Option<f64>,
    /// How many pictures it loaded.
    #[serde(default)]
    pub pictures: Option<usize>,
    /// Whether they came from a cache.
    #[serde(default)]
    pub from_cache: bool,
    /// The median time of a step, if there was more than one.
    #[serde(default)]
    pub step_seconds: Option<f64>,
}

impl Process {
    /// Runs it once; `seconds` is what counts.
    ///
    /// # Errors
    /// If it cannot be started, fails, or says nothing.
    pub fn turn(&self) -> Result<Said> {
        let name = &self.program.name;
        let start = Instant::now();
        let line = self.program.last_line()?;
        let whole = start.elapsed().as_secs_f64();
        let mut said: Said =
            serde_json::from_str(&line).with_context(|| format!("{name} printed `{line}`"))?;
        if !self.own_time {
            said.seconds = whole;
        }
        ensure!(said.seconds > 0.0, "{name} says it took {} s", said.seconds);
        Ok(said)
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn shell(name: &str, script: &str) -> Program {
        Program {
            name: name.to_owned(),
            path: "sh".into(),
            arguments: vec!["-c".into(), script.into()],
            environment: vec![("ASKED", Some("yes".to_owned())), ("HOME", None)],
        }
    }

    #[test]
    fn a_worker_answers_line_by_line() {
        let script = r#"while read word rest; do case "$word" in
            open) echo '{"ready": true, "versions": {"sh": "1"}}';;
            check) echo '{"costs": [1.0, 0.5]}';;
            go) echo '{"seconds": 0.25, "value": 2.0}';;
            close) echo '{"error": "no"}';;
        esac; done"#;
        let mut worker = Worker::start(&shell("a", script)).unwrap();
        assert_eq!(worker.open(Path::new("job")).unwrap(), Opened::Ready);
        assert_eq!(worker.versions["sh"], "1");
        assert_eq!(worker.check().unwrap(), [1.0, 0.5]);
        let turn = worker.go().unwrap();
        assert_eq!((turn.seconds, turn.value, turn.extrapolated), (0.25, 2.0, false));
        assert_eq!(worker.close().unwrap_err().to_string(), "a: no");
    }

    #[test]
    fn a_worker_that_skips_or_ends_is_told_apart() {
        let skips = r#"read line; echo '{"skip": "does not train"}'"#;
        let mut worker = Worker::start(&shell("b", skips)).unwrap();
        let opened = worker.open(Path::new("job")).unwrap();
        assert_eq!(opened, Opened::Skipped("does not train".to_owned()));
        let error = worker.go().unwrap_err().to_string();
        assert!(error.starts_with("b ended") || error.starts_with("b does not listen"), "{error}");
        let mut silent = Worker::start(&shell("c", "read line; echo what")).unwrap();
        assert!(silent.go().unwrap_err().to_string().starts_with("c answered `what"));
    }

    #[test]
    fn a_process_says_its_turn_in_its_last_line() {
        let process = |script: &str, own_time| Process {
            program: shell("p", script),
            own_time,
            from_cache: false,
        };
        let script = r#"test "$ASKED" = yes && test -z "$HOME" && echo starting &&
            echo '{"seconds": 90.0, "pictures": 3, "peak_bytes": null}'"#;
        let said = process(script, true).turn().unwrap();
        assert_eq!((said.seconds, said.pictures, said.peak_bytes), (90.0, Some(3), None));
        assert!(process(script, false).turn().unwrap().seconds < 80.0);
        let error = process("exit 3", true).turn().unwrap_err().to_string();
        assert!(error.starts_with("p failed with exit status: 3"), "{error}");
        assert!(process("echo {}", true).turn().is_err());
    }

    #[test]
    fn a_command_is_shown_as_it_would_be_typed_in_the_workspace() {
        let program = Program {
            path: "/place/target/worker".into(),
            arguments: vec!["/place/job one.json".into(), "--fast".into()],
            ..shell("a", "")
        };
        let line = program.line(Path::new("/place"));
        assert_eq!(line, "ASKED=yes target/worker 'job one.json' --fast");
    }
}
