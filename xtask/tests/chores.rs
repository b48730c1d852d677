//! The program as it is called.
//!
//! It is a test of the package, so that `cargo test --workspace --test chores --no-run` builds the program with
//! the features that all tests share: `.ci/run` does.
#![allow(clippy::unwrap_used, reason = "in a test a panic is the report")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn xtask(words: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_xtask")).args(words).output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A workspace of one crate with a long function, a tuple and a circle.
fn workspace(folder: &Path) {
    let source = folder.join("crates/a/src");
    fs::create_dir_all(&source).unwrap();
    let long = format!("fn long(x: (u8, u8)) {{\n{}}}\n", "    go();\n".repeat(60));
    fs::write(source.join("lib.rs"), format!("mod b;\nmod c;\n{long}")).unwrap();
    fs::write(source.join("b.rs"), "use crate::c::Sea;\npub struct Bee;\n").unwrap();
    fs::write(source.join("c.rs"), "use crate::b::Bee;\npub struct Sea;\n").unwrap();
    fs::write(folder.join("README.md"), "# a\n").unwrap();
}

#[test]
fn counts_names_the_places() {
    let folder = tempfile::tempdir().unwrap();
    workspace(folder.path());
    let output = xtask(&["counts", "--all", "--root", folder.path().to_str().unwrap()]);
    assert!(output.status.success());
    let printed = text(&output.stdout);
    for place in [
        "crates/a/src/lib.rs:3: long, 62 lines",
        "crates/a/src/lib.rs:3: long: (u8 , u8)",
        "crates/a/src/b.rs:1: 2 files (crates/a/src/b.rs, crates/a/src/c.rs)",
    ] {
        assert!(printed.contains(place), "{place} is not in\n{printed}");
    }
}

#[test]
fn a_file_that_is_not_rust_and_a_folder_without_any_are_errors_with_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().to_str().unwrap();
    let error = |output: Output| {
        assert!(!output.status.success());
        text(&output.stderr)
    };
    assert!(error(xtask(&["counts", "--root", root])).contains("no Rust file below"));
    workspace(folder.path());
    fs::write(folder.path().join("crates/a/src/d.rs"), "fn f( {").unwrap();
    assert!(error(xtask(&["counts", "--root", root])).contains("crates/a/src/d.rs: not Rust"));
}

#[test]
fn chores_and_their_options_are_listed() {
    let printed = text(&xtask(&["--help"]).stdout);
    for chore in ["fetch-data", "bench", "ci", "counts"] {
        assert!(printed.contains(chore), "{printed}");
    }
    assert!(!xtask(&["ci", "--base", "main"]).status.success(), "a base is for a quick check");
}
