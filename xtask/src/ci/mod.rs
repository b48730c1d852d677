//! What must hold before a change lands, as steps that are named, timed and, where a tool is missing, skipped
//! loudly.

mod changed;
mod run;
mod steps;

use std::path::Path;

use anyhow::Result;

pub use run::Run;

/// How much to check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CiOptions {
    /// Only what a change in progress needs.
    pub quick: bool,
    /// What a quick check compares with.
    pub base: String,
}

/// Checks the workspace at `root`, and says whether every step that could be taken passed.
///
/// # Errors
/// If a step cannot be started.
pub fn run(root: &Path, options: &CiOptions) -> Result<bool> {
    let mut run = Run::new(root);
    let passed =
        if options.quick { steps::quick(&mut run, &options.base)? } else { steps::all(&mut run)? };
    run.summary()?;
    Ok(passed)
}
