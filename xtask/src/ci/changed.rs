//! Which tests a change asks for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::run::command;

/// What differs from a base.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// No file of a package.
    Nothing,
    /// Files of packages that have these integration tests.
    Tests(BTreeSet<String>),
    /// A file that every package depends on.
    Everything(String),
}

/// Files of the workspace as a whole, on which every package depends.
const SHARED: [&str; 3] = ["Cargo.toml", "Cargo.lock", ".cargo/config.toml"];

/// What of the work tree at `root`, new files included, differs from its last commit in common with `base`.
///
/// # Errors
/// If git fails, or there is no such commit.
pub(super) fn changed(root: &Path, base: &str) -> Result<Change> {
    let common = git(root, &["merge-base", base, "HEAD"]).with_context(|| {
        format!("no commit in common with {base}; name another with --base COMMIT")
    })?;
    let differs = git(root, &["diff", "--name-only", common.trim()])?;
    let new = git(root, &["ls-files", "--others", "--exclude-standard"])?;
    change(root, differs.lines().chain(new.lines()))
}

fn git(root: &Path, words: &[&str]) -> Result<String> {
    let words = [&["git"], words].concat();
    let output = command(&words).current_dir(root).output().context("cannot start git")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{}` failed: {}", words.join(" "), said.trim());
    Ok(String::from_utf8(output.stdout)?)
}

/// What these files, named from `root`, are.
fn change<'a>(root: &Path, files: impl Iterator<Item = &'a str>) -> Result<Change> {
    let mut packages = BTreeSet::new();
    for file in files {
        if SHARED.contains(&file) {
            return Ok(Change::Everything(file.to_owned()));
        }
        packages.extend(package(root, file));
    }
    if packages.is_empty() {
        return Ok(Change::Nothing);
    }
    let mut tests = BTreeSet::new();
    for package in packages {
        tests.extend(integration_tests(&package)?);
    }
    Ok(Change::Tests(tests))
}

/// The folder of the package that a file is of.
fn package(root: &Path, file: &str) -> Option<PathBuf> {
    let mut folders = Path::new(file).ancestors().skip(1);
    let within = folders.find(|folder| root.join(folder).join("Cargo.toml").is_file())?;
    // The root's own manifest is that of no package.
    (!within.as_os_str().is_empty()).then(|| root.join(within))
}

/// The names of a package's integration tests: each file in `tests`, each folder there with a `main.rs`.
fn integration_tests(package: &Path) -> Result<BTreeSet<String>> {
    let mut names = BTreeSet::new();
    let Ok(entries) = fs::read_dir(package.join("tests")) else { return Ok(names) };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|suffix| suffix == "rs") || path.join("main.rs").is_file() {
            names.extend(path.file_stem().map(|name| name.to_string_lossy().into_owned()));
        }
    }
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(files: &[&str]) -> Change {
        let folder = tempfile::tempdir().unwrap();
        let there = ["Cargo.toml", "a/Cargo.toml", "a/tests/one.rs", "a/tests/two/main.rs"];
        for file in there.iter().chain(&["a/tests/two/part.rs", "b/Cargo.toml", "b/tests/three.rs"])
        {
            let path = folder.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        change(folder.path(), files.iter().copied()).unwrap()
    }

    #[test]
    fn a_change_asks_for_the_tests_of_its_packages() {
        let tests = |names: &[&str]| Change::Tests(names.iter().map(|&name| name.into()).collect());
        assert_eq!(of(&["a/src/x.rs"]), tests(&["one", "two"]));
        assert_eq!(of(&["a/src/x.rs", "b/src/gone.rs"]), tests(&["one", "three", "two"]));
        assert_eq!(of(&["README.md", "docs/x.md"]), Change::Nothing);
        assert_eq!(of(&["a/x.rs", "Cargo.lock"]), Change::Everything("Cargo.lock".into()));
    }

    #[test]
    fn a_base_that_is_no_commit_is_an_error_that_says_what_to_do() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let error = changed(root, "no-such-commit").unwrap_err().to_string();
        assert_eq!(
            error,
            "no commit in common with no-such-commit; name another with --base COMMIT"
        );
    }
}
