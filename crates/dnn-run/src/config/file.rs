//! Configurations as TOML.

use super::RunConfig;
use crate::error::{Result, RunError};
use crate::words::in_one_line;

impl RunConfig {
    /// The configuration in a TOML text; what it leaves out has its default.
    ///
    /// # Errors
    /// [`RunError::Usage`] with the line, what is wrong with it, and the settings that there are.
    pub fn from_toml(text: &str) -> Result<Self> {
        toml::from_str(text).map_err(|error| {
            let start = error.span().map_or(0, |span| span.start.min(text.len()));
            let before = text.get(..start).unwrap_or_default();
            let number = before.matches('\n').count() + 1;
            let line = text.lines().nth(number - 1).unwrap_or_default().trim();
            let reason = in_one_line(error.message().trim_end());
            RunError::Usage(format!("line {number} ({line}): {reason}"))
        })
    }

    /// The configuration as a TOML text: every setting that has a value and an effect.
    ///
    /// # Errors
    /// [`RunError::Usage`] if it has no form in TOML, such as a path that is no text.
    pub fn to_toml(&self) -> Result<String> {
        let wrong = |error: toml::ser::Error| {
            RunError::Usage(format!("the settings cannot be written as TOML: {error}"))
        };
        let text = toml::to_string(self).map_err(wrong)?;
        if self.network.from.is_none() {
            return Ok(text);
        }
        // A setting is a line.
        let has_effect = |line: &&str| {
            let name = line.split_once(" = ").map_or("", |(name, _)| name);
            !super::OF_THE_NETWORK.contains(&name)
        };
        Ok(text.lines().filter(has_effect).flat_map(|line| [line, "\n"]).collect())
    }
}
