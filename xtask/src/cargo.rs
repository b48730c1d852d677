//! How cargo is called, and words are shown.

use std::ffi::{OsStr, OsString};
use std::process::Command;

/// The cargo that runs this program, else the one on the path.
///
/// It is not told which package that cargo runs: build scripts that ask for it, as ring's does, would run
/// again, and all that stands on them would be built again, at every start of this program.
pub fn cargo() -> Command {
    let mut command =
        Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    without_package(&mut command);
    command
}

/// Takes from `command`'s environment what cargo says to a program of the package that it is of.
pub fn without_package(command: &mut Command) {
    for (name, _) in std::env::vars_os().filter(|(name, _)| describes_package(name)) {
        command.env_remove(name);
    }
}

/// Whether cargo gives a program this variable to say which package it is of.
fn describes_package(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")
}

/// A word as a shell takes it: in single quotes where it has more than plain characters.
///
/// ```
/// assert_eq!(xtask::cargo::quoted("batch 1"), "'batch 1'");
/// ```
pub fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cargo_is_not_told_which_package_this_is_and_all_else_that_it_is_told() {
        let told = |name: &str| !describes_package(OsStr::new(name));
        assert!(!told("CARGO_MANIFEST_DIR") && !told("CARGO_PKG_VERSION_MAJOR"));
        assert!(told("CARGO_TARGET_DIR") && told("CARGO_INCREMENTAL") && told("RUSTFLAGS"));
        // This test is run by a cargo that says it.
        let removed: Vec<OsString> = cargo()
            .get_envs()
            .filter(|(_, value)| value.is_none())
            .map(|(name, _)| name.to_owned())
            .collect();
        assert!(removed.contains(&OsString::from("CARGO_MANIFEST_DIR")), "{removed:?}");
    }

    #[test]
    fn words_with_blanks_and_quotes_are_quoted() {
        assert_eq!(quoted("--quick"), "--quick");
        assert_eq!(quoted("batch 1"), "'batch 1'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }
}
