//! What cargo knows about the benches, and how it runs them.

use std::fmt;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;
use xtask::cargo::{cargo, quoted};

/// A bench of the workspace: one program with any number of benchmarks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bench {
    /// The crate.
    pub package: String,
    /// The bench target within the crate.
    pub name: String,
}

impl fmt::Display for Bench {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.package, self.name)
    }
}

/// The part of `cargo metadata` that is read here.
#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
    workspace_root: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

/// The workspace as cargo sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// Where the workspace's own manifest lies.
    pub root: PathBuf,
    /// Where cargo and criterion write.
    pub target: PathBuf,
    /// Every bench of every member, by crate and name.
    pub benches: Vec<Bench>,
}

impl Workspace {
    /// The workspace that this program belongs to.
    ///
    /// # Errors
    /// If cargo cannot be started, fails, or says something else than metadata.
    pub fn here() -> Result<Self> {
        let output = cargo()
            .args(["metadata", "--format-version", "1", "--no-deps"])
            .args(["--manifest-path", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")])
            .stderr(Stdio::inherit())
            .output()
            .context("cannot start cargo; run this as `cargo xtask bench`")?;
        ensure!(
            output.status.success(),
            "`cargo metadata` failed with {}; its message is above",
            output.status
        );
        Self::from_metadata(&output.stdout)
    }

    fn from_metadata(json: &[u8]) -> Result<Self> {
        let metadata: Metadata =
            serde_json::from_slice(json).context("cannot read what `cargo metadata` printed")?;
        let mut benches = Vec::new();
        for package in &metadata.packages {
            let targets = package.targets.iter();
            for target in targets.filter(|target| target.kind.iter().any(|kind| kind == "bench")) {
                benches.push(Bench { package: package.name.clone(), name: target.name.clone() });
            }
        }
        benches.sort_by_key(ToString::to_string);
        Ok(Self { root: metadata.workspace_root, target: metadata.target_directory, benches })
    }

    /// Where criterion writes what it measures.
    pub(super) fn criterion(&self) -> PathBuf {
        self.target.join("criterion")
    }

    /// The cargo arguments that run `bench`, up to those of criterion.
    fn arguments(bench: &Bench) -> [&str; 6] {
        ["bench", "--package", &bench.package, "--bench", &bench.name, "--"]
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = cargo();
        command.args(words).current_dir(&self.root).env("CRITERION_HOME", self.criterion());
        command
    }

    /// Builds an example (`kind` is `example`) or program (`bin`) for release and gives its file; with
    /// the JPEG decoder that this program was built with.
    pub(crate) fn build(&self, package: &str, kind: &str, name: &str) -> Result<PathBuf> {
        let kind_flag = format!("--{kind}");
        let mut words =
            vec!["build", "--quiet", "--release", "--package", package, &kind_flag, name];
        if cfg!(feature = "turbojpeg") {
            words.extend(["--features", "turbojpeg"]);
        }
        let status = self.command(&words).status().context("cannot start cargo")?;
        ensure!(status.success(), "`cargo {}` failed with {status}", words.join(" "));
        let folder = if kind == "example" { "release/examples" } else { "release" };
        let program = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        Ok(self.target.join(folder).join(program))
    }

    /// The names of the benchmarks in `bench`.
    pub(super) fn names(&self, bench: &Bench) -> Result<Vec<String>> {
        let words = [&Self::arguments(bench)[..], &["--list", "--format", "terse"]].concat();
        let output =
            self.command(&words).stderr(Stdio::inherit()).output().context("cannot start cargo")?;
        ensure!(
            output.status.success(),
            "`cargo {}` failed with {}; its message is above",
            words.join(" "),
            output.status
        );
        let names = parse_list(&String::from_utf8_lossy(&output.stdout));
        if names.is_empty() {
            bail!("bench {bench} lists no benchmark; set `harness = false` for it in its manifest");
        }
        Ok(names)
    }

    /// Measures one benchmark of `bench`, or all of them, and gives the command that did so.
    pub(super) fn measure(&self, bench: &Bench, name: Option<&str>, quick: bool) -> Result<String> {
        let mut words = Self::arguments(bench).to_vec();
        // Our tables come from criterion's files; its own plots would only cost time.
        words.push("--noplot");
        if quick {
            words.push("--quick");
        }
        if let Some(name) = name {
            words.extend(["--exact", name]);
        }
        let line: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        let line = format!("cargo {}", line.join(" "));
        // Criterion's progress is no part of the result on standard output.
        let status = self
            .command(&words)
            .stdout(std::io::stderr())
            .status()
            .context("cannot start cargo")?;
        ensure!(status.success(), "`{line}` failed with {status}; its message is above");
        Ok(line)
    }
}

/// The names in what criterion's `--list` prints: one `name: benchmark` a line.
fn parse_list(text: &str) -> Vec<String> {
    text.lines()
        .filter_map(|line| line.strip_suffix(": benchmark").or(line.strip_suffix(": bench")))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    #[test]
    fn benches_are_taken_from_the_metadata_in_order() {
        let json = r#"{
            "packages": [
                {"name": "train", "targets": [{"name": "steps", "kind": ["bench"]}]},
                {"name": "core", "targets": [
                    {"name": "core", "kind": ["lib"]},
                    {"name": "products", "kind": ["bench"]},
                    {"name": "golden", "kind": ["test"]}
                ]}
            ],
            "target_directory": "out", "workspace_root": "."
        }"#;
        let workspace = Workspace::from_metadata(json.as_bytes()).unwrap();
        let benches: Vec<String> = workspace.benches.iter().map(ToString::to_string).collect();
        assert_eq!(benches, ["core/products", "train/steps"]);
        assert_eq!(workspace.criterion(), PathBuf::from("out/criterion"));
        let error = Workspace::from_metadata(b"{").unwrap_err();
        assert_eq!(error.to_string(), "cannot read what `cargo metadata` printed");
    }

    #[test]
    fn every_bench_file_of_the_workspace_is_found() {
        let workspace = Workspace::here().unwrap();
        let mut files = 0;
        let mut folders = vec![workspace.root.join("xtask"), workspace.root.join("xtask/bench")];
        for group in ["crates", "datasets"] {
            let members = fs::read_dir(workspace.root.join(group)).unwrap();
            folders.extend(members.map(|member| member.unwrap().path()));
        }
        for folder in folders.iter().filter(|folder| folder.join("benches").is_dir()) {
            let package = folder.file_name().unwrap().to_str().unwrap();
            for file in fs::read_dir(folder.join("benches")).unwrap() {
                let path = file.unwrap().path();
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let is_rust = path.extension().is_some_and(|extension| extension == "rs");
                // A bench of several files is a folder with a main file.
                if is_rust || path.join("main.rs").is_file() {
                    let package = package.to_owned();
                    let bench = Bench { package, name };
                    assert!(workspace.benches.contains(&bench), "{bench} is not a bench target");
                    files += 1;
                }
            }
        }
        assert!(files >= 3, "only {files} bench files");
        assert_eq!(files, workspace.benches.len());
    }

    #[test]
    fn names_are_read_from_the_list_whatever_is_in_them() {
        let list = "predict big batch 1: benchmark\ngroup/a: b: benchmark\n\n2 benchmarks\n";
        assert_eq!(parse_list(list), ["predict big batch 1", "group/a: b"]);
        assert!(parse_list("0 tests, 0 benchmarks\n").is_empty());
    }
}
