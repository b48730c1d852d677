//! Lines in, lines out.

use std::io::{BufRead, Write};
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// A line that a worker is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// Read the job in this file, and its data.
    Open(PathBuf),
    /// Give the costs of the first steps.
    Check,
    /// Do one round.
    Go,
    /// Forget the job.
    Close,
}

impl Order {
    fn parse(line: &str) -> Result<Self> {
        match line.trim() {
            "check" => Ok(Self::Check),
            "go" => Ok(Self::Go),
            "close" => Ok(Self::Close),
            line => match line.strip_prefix("open ") {
                Some(path) => Ok(Self::Open(PathBuf::from(path))),
                None => bail!("expected open, check, go or close, found `{line}`"),
            },
        }
    }
}

/// What a worker says of one round.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Turn {
    /// How long it took.
    pub seconds: f64,
    /// The last cost, or a sum of probabilities, or a rate.
    pub value: f64,
    /// Whether the time is that of some steps, multiplied.
    #[serde(default)]
    pub extrapolated: bool,
    /// The most memory that its process had.
    #[serde(default)]
    pub peak_bytes: Option<u64>,
}

impl Turn {
    pub(super) fn new(seconds: f64, value: f64) -> Self {
        Self { seconds, value, extrapolated: false, peak_bytes: None }
    }
}

/// The two ends of a conversation.
#[derive(Debug)]
pub struct Link<R, W> {
    /// Where orders come from.
    pub input: R,
    /// Where answers go.
    pub output: W,
}

impl<R: BufRead, W: Write> Link<R, W> {
    /// The next order; `None` once there are no more.
    pub(super) fn hear(&mut self) -> Result<Option<Order>> {
        loop {
            let mut line = String::new();
            if self.input.read_line(&mut line).context("cannot read an order")? == 0 {
                return Ok(None);
            }
            match Order::parse(&line) {
                Ok(order) => return Ok(Some(order)),
                Err(error) => self.complain(&error)?,
            }
        }
    }

    pub(super) fn say(&mut self, answer: &impl Serialize) -> Result<()> {
        let line = serde_json::to_string(answer)? + "\n";
        self.output.write_all(line.as_bytes())?;
        self.output.flush().context("cannot answer")
    }

    pub(super) fn complain(&mut self, error: &anyhow::Error) -> Result<()> {
        self.say(&json!({ "error": format!("{error:#}") }))
    }
}

pub(super) fn say_ready<R: BufRead, W: Write>(link: &mut Link<R, W>) -> Result<()> {
    let kernels = dnn_core::kernel_path();
    let version = env!("CARGO_PKG_VERSION");
    link.say(&json!({ "ready": true, "versions": { "dnn": version, "kernels": kernels } }))
}
