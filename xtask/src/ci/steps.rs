//! The steps of a check, in their order; the first that fails is the last.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::{Context, Result};

use super::changed::{Change, changed};
use super::run::{Run, command};
use crate::counts::Counts;

/// Modules of dnn-data's tests that read JPEG files.
const JPEG_TESTS: [&str; 4] = ["pictures::", "hostile_pictures::", "load::", "doctor::"];

/// Everything.
///
/// # Errors
/// If a step cannot be started.
pub(super) fn all(run: &mut Run) -> Result<bool> {
    let test = test_command(run.root())?;
    let test: Vec<&str> = test.split_whitespace().collect();
    Ok(run.program(&["cargo", "fmt", "--all", "--check"])?
        && typos(run)?
        && clippy(run)?
        && run.program_with(
            &["cargo", "doc", "--workspace", "--no-deps"],
            &[("RUSTDOCFLAGS", "-D warnings")],
        )?
        && counts(run)?
        && run.program(&test)?
        && turbojpeg(run)?
        && oldest_rust(run)?
        && dependencies(run)?)
}

/// What a change in progress needs: see `cargo xtask ci --help`.
///
/// # Errors
/// If a step cannot be started, or `base` is no commit that this one has an ancestor in common with.
pub(super) fn quick(run: &mut Run, base: &str) -> Result<bool> {
    let change = changed(run.root(), base)?;
    Ok(run.program(&["cargo", "fmt", "--all", "--check"])?
        && typos(run)?
        && counts(run)?
        && clippy(run)?
        && tests_of(run, &change)?)
}

fn clippy(run: &mut Run) -> Result<bool> {
    run.program(&["cargo", "clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
}

/// The tests that a change asks for, with the features that all tests of the workspace share, so that nothing is
/// built a second time.
fn tests_of(run: &mut Run, change: &Change) -> Result<bool> {
    match change {
        Change::Everything(file) => {
            let test = test_command(run.root())?;
            let test: Vec<&str> = test.split_whitespace().collect();
            run.step(&format!("{file} is every package's: all tests"), || Ok(true))?;
            run.program(&test)
        }
        Change::Tests(names) => {
            let mut words = vec!["cargo", "test", "--workspace", "--lib", "--bins"];
            words.extend(names.iter().flat_map(|name| ["--test", name]));
            run.program(&words)
        }
        Change::Nothing => {
            run.skip("tests", "no file of a package differs from the base")?;
            Ok(true)
        }
    }
}

/// The counts; a rule that does not hold is a failure.
fn counts(run: &mut Run) -> Result<bool> {
    let root = run.root().to_owned();
    run.step("counts", || {
        let counts = Counts::of(&root)?;
        let mut out = std::io::stdout().lock();
        write!(out, "{}", counts.table(false))?;
        for rule in counts.broken() {
            let found = rule.places.len();
            writeln!(out, "error: {}: found {found}; the places are above", rule.name)?;
        }
        Ok(counts.broken().is_empty())
    })
}

/// Spelling, as `_typos.toml` has it.
fn typos(run: &mut Run) -> Result<bool> {
    if has(&["typos", "--version"]) {
        run.program(&["typos"])
    } else {
        run.skip("typos", "not installed: cargo install typos-cli")?;
        Ok(true)
    }
}

/// Only what decodes JPEG files, by libjpeg-turbo.
fn turbojpeg(run: &mut Run) -> Result<bool> {
    let words = ["cargo", "test", "--package", "dnn-data", "--features", "turbojpeg"];
    let of_files = [&words[..], &["--test", "*", "--"], &JPEG_TESTS].concat();
    let of_units = [&words[..], &["--lib"]].concat();
    let from_system = [("TURBOJPEG_SOURCE", "pkg-config")];
    let variables: &[(&str, &str)] = if has(&["cmake", "--version"]) && has(&["nasm", "--version"])
    {
        &[]
    } else if has(&["pkg-config", "--atleast-version=3.0", "libturbojpeg"]) {
        &from_system
    } else {
        let why = "it needs cmake and nasm, or libjpeg-turbo 3";
        run.skip("the feature turbojpeg of dnn-data", why)?;
        return Ok(true);
    };
    Ok(run.program_with(&of_units, variables)? && run.program_with(&of_files, variables)?)
}

/// The oldest Rust that is supported, as Cargo.toml has it.
fn oldest_rust(run: &mut Run) -> Result<bool> {
    let oldest = rust_version(run.root())?;
    if has(&["rustup", "run", &oldest, "cargo", "--version"]) {
        let check = ["cargo", "check", "--workspace", "--all-targets", "--locked"];
        run.program(&[&["rustup", "run", &oldest], &check[..]].concat())
    } else {
        let why = format!("not installed: rustup toolchain install {oldest}");
        run.skip(&format!("Rust {oldest}, the oldest that is supported"), &why)?;
        Ok(true)
    }
}

/// Licences, sources and advisories of the dependencies: deny.toml.
fn dependencies(run: &mut Run) -> Result<bool> {
    if !has(&["cargo", "deny", "--version"]) {
        let why = "not installed: cargo install cargo-deny";
        run.skip("the dependencies (licences, sources, advisories)", why)?;
        return Ok(true);
    }
    let check = ["cargo", "deny", "--offline", "check"];
    if !run.program(&[&check[..], &["licenses", "bans", "sources"]].concat())? {
        return Ok(false);
    }
    if advisories()
        .is_some_and(|folder| folder.read_dir().is_ok_and(|mut all| all.next().is_some()))
    {
        run.program(&[&check[..], &["advisories"]].concat())
    } else {
        run.skip("advisories", "their database is not there: cargo deny fetch db")?;
        Ok(true)
    }
}

/// Where cargo-deny keeps its database.
fn advisories() -> Option<PathBuf> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(std::env::home_dir()?.join(".cargo")))?;
    Some(home.join("advisory-dbs"))
}

/// Whether a program is there and says yes.
fn has(words: &[&str]) -> bool {
    let status = command(words).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

/// The README's own test command: its first line that starts with `cargo test`, behind a prompt or not.
fn test_command(root: &Path) -> Result<String> {
    let lines = read(&root.join("README.md"))?;
    let command = |line: &str| {
        let line = line.strip_prefix("$ ").unwrap_or(line);
        line.starts_with("cargo test").then(|| line.to_owned())
    };
    lines.lines().find_map(command).context("no line of README.md starts with `cargo test`")
}

/// `rust-version` in Cargo.toml.
fn rust_version(root: &Path) -> Result<String> {
    let manifest = read(&root.join("Cargo.toml"))?;
    let version =
        |line: &str| Some(line.strip_prefix("rust-version = \"")?.split('"').next()?.to_owned());
    manifest.lines().find_map(version).context("Cargo.toml has no line `rust-version = \"…\"`")
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_command_and_the_oldest_rust_are_read_where_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
        write(
            "README.md",
            "# x\nUse cargo test.\n```console\n$ cargo test --workspace\n```\ncargo test b\n",
        );
        write("Cargo.toml", "[workspace.package]\n# Why.\nrust-version = \"1.89\"\n");
        assert_eq!(test_command(folder.path()).unwrap(), "cargo test --workspace");
        assert_eq!(rust_version(folder.path()).unwrap(), "1.89");
        write("README.md", "# x\n");
        assert!(test_command(folder.path()).is_err());
    }

    #[test]
    fn this_workspace_has_both() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        assert!(test_command(&root).unwrap().contains("--workspace"));
        assert!(rust_version(&root).unwrap().starts_with("1."));
    }
}
