//! What the tests of this workspace share: a test that cannot run here says so.
//!
//! The test harness keeps what a passing test prints, so a test that skips itself with `println!` or
//! `eprintln!` looks like one that passed. [`skipped`] writes past the harness.

use std::env;
use std::fmt::Display;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::thread;

/// Says in the output of `cargo test` that the running test, or a part of it, is skipped, and why.
pub fn skipped(why: impl Display) {
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    // Standard error itself: only the macros go to the harness. A closed one is no reason to fail.
    let _ = writeln!(io::stderr(), "SKIPPED: {test}: {why}");
}

/// A file or folder with real data, below the folder that `DNN_TEST_DATA` names; says that the test is
/// skipped where there is none.
pub fn real_data(what: &str) -> Option<PathBuf> {
    folder_with(&[what]).map(|folder| folder.join(what))
}

/// The folder that `DNN_TEST_DATA` names, if it has all of these; says that the test is skipped where not.
pub fn folder_with(all: &[&str]) -> Option<PathBuf> {
    let folder = env::var_os("DNN_TEST_DATA").map(PathBuf::from);
    let folder = folder.filter(|folder| all.iter().all(|what| folder.join(what).exists()));
    if folder.is_none() {
        let all = all.join(", ");
        skipped(format_args!("set DNN_TEST_DATA to a folder that has {all} to run it"));
    }
    folder
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    #[ignore = "only the next test runs it"]
    fn a_test_that_cannot_run() {
        skipped("nobody asked");
        assert_eq!(real_data("nothing of this name"), None);
    }

    #[test]
    fn what_is_skipped_is_seen_although_it_passes() {
        let this = env::current_exe().expect("the program of this test");
        let name = "tests::a_test_that_cannot_run";
        let output = Command::new(this)
            .args(["--ignored", "--exact", name, "--test-threads=2"])
            .output()
            .expect("this program runs");
        assert!(output.status.success(), "{output:?}");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(said.contains(&format!("SKIPPED: {name}: nobody asked\n")), "{said}");
        assert!(said.contains("has nothing of this name to run it\n"), "{said}");
    }
}
