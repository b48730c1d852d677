//! Run folders from somebody else, and files that cannot be written to their end: nothing outside is touched,
//! nothing waits for ever.
#![cfg(unix)]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use crate::program::{checkpoints, fails, has_half, history, names, run, succeeds, text};

const SHORT: [&str; 4] = ["train", "--hidden=4", "--epochs=2", "--quiet"];

/// A run of two epochs in `run`, with all files that a run can have.
fn finished(folder: &Path) {
    let keep = ["--tensorboard", "--keep-best", "--checkpoint-every=21", "--out=run"];
    succeeds(folder, &[&SHORT[..], &keep].concat());
}

/// What lies outside of the run folder, for links to lead to.
fn outside(folder: &Path) {
    fs::create_dir(folder.join("outside")).unwrap();
    fs::write(folder.join("outside/precious"), "the only copy").unwrap();
    fs::write(folder.join("outside/.precious.1-0.tmp"), "the only copy").unwrap();
}

#[track_caller]
fn is_untouched(folder: &Path) {
    assert_eq!(names(&folder.join("outside")), [".precious.1-0.tmp", "precious"]);
    for name in names(&folder.join("outside")) {
        let content = fs::read_to_string(folder.join("outside").join(name)).unwrap();
        assert_eq!(content, "the only copy");
    }
}

#[test]
fn a_lock_that_is_a_link_changes_nothing_behind_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    outside(path);
    for (out, target) in [("file", "precious"), ("nothing", "new"), ("folder", "")] {
        fs::create_dir(path.join(out)).unwrap();
        symlink(path.join("outside").join(target), path.join(out).join(".lock")).unwrap();
        for command in [["train", "--epochs=1"], ["search", "--epochs=1"]] {
            let into = format!("--out={out}");
            let arguments = [&command[..], &[&into]].concat();
            fails(path, &arguments, 4, ".lock: expected a regular file, found a link");
        }
        is_untouched(path);
    }
}

#[test]
fn no_write_of_a_run_that_goes_on_follows_a_link_out_of_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    outside(path);
    finished(path);
    let target = path.join("outside/precious");
    for name in [".lock", "history.jsonl", "history.csv", "best.dnn", "model.dnn", "config.json"] {
        let (there, kept) = (path.join("run").join(name), path.join("kept"));
        fs::rename(&there, &kept).unwrap();
        symlink(&target, &there).unwrap();
        fails(path, &["train", "--resume=run", "--epochs=3"], 4, "found a link");
        is_untouched(path);
        fs::rename(&kept, &there).unwrap();
    }
    for name in ["checkpoints", "tensorboard"] {
        let (there, kept) = (path.join("run").join(name), path.join("kept"));
        fs::rename(&there, &kept).unwrap();
        symlink(path.join("outside"), &there).unwrap();
        fails(path, &["train", "--resume=run", "--epochs=3"], 4, "expected a folder, found a link");
        is_untouched(path);
        fs::remove_file(&there).unwrap();
        fs::rename(&kept, &there).unwrap();
    }
    // The checkpoint that comes next.
    let next = path.join("run/checkpoints/step-0000000084.checkpoint");
    symlink(path.join("outside/new"), &next).unwrap();
    fails(path, &["train", "--resume=run", "--epochs=3"], 4, "found a link");
    is_untouched(path);
    fs::remove_file(&next).unwrap();
    succeeds(path, &["train", "--resume=run", "--epochs=3", "--quiet"]);
}

#[test]
fn a_trial_of_a_search_that_is_a_link_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let search = ["search", "--grid", "--try=l2=0|1", "--hidden=4", "--epochs=1", "--out=found"];
    succeeds(path, &search);
    fs::rename(path.join("found/trial-002"), path.join("elsewhere")).unwrap();
    fs::remove_file(path.join("elsewhere/model.dnn")).unwrap();
    symlink(path.join("elsewhere"), path.join("found/trial-002")).unwrap();
    let first = fs::read_to_string(path.join("found/trials.jsonl")).unwrap();
    let first = first.lines().next().unwrap();
    fs::write(path.join("found/trials.jsonl"), format!("{first}\n")).unwrap();
    fails(path, &["search", "--resume=found"], 4, "expected a folder, found a link");
    assert!(!path.join("elsewhere/model.dnn").exists());
}

#[test]
fn pipes_in_place_of_files_are_refused_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let pipe = |path: &Path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    finished(path);
    for name in [".lock", "config.json", "history.jsonl", "history.csv", "model.dnn", "best.dnn"] {
        let (there, kept) = (path.join("run").join(name), path.join("kept"));
        fs::rename(&there, &kept).unwrap();
        pipe(&there);
        let refused = "expected a regular file, found a pipe";
        fails(path, &["train", "--resume=run", "--epochs=3"], 4, refused);
        fs::rename(&kept, &there).unwrap();
    }
    let search = ["search", "--grid", "--try=l2=0", "--hidden=4", "--epochs=1", "--out=found"];
    succeeds(path, &search);
    for name in ["search.json", "trials.jsonl"] {
        let (there, kept) = (path.join("found").join(name), path.join("kept"));
        fs::rename(&there, &kept).unwrap();
        pipe(&there);
        fails(path, &["search", "--resume=found"], 4, "expected a regular file, found a pipe");
        fs::rename(&kept, &there).unwrap();
    }
    // A pipe among the checkpoints is nobody's; the run goes on from the latest file.
    pipe(&path.join("run/checkpoints/step-0000000099.checkpoint"));
    succeeds(path, &["train", "--resume=run", "--epochs=3", "--quiet"]);
}

/// `ulimit -f` in blocks of 512 or 1,024 bytes; the checkpoint has 200 KiB or more.
#[test]
fn a_limit_on_the_size_of_files_is_told_as_a_full_disk_is() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let limited = "ulimit -f 20; exec \"$0\" train --hidden=200 --epochs=2 --quiet --out=run";
    let output = Command::new("sh")
        .args(["-c", limited, env!("CARGO_BIN_EXE_dnn")])
        .current_dir(path)
        .output()
        .unwrap();
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(4), "{:?}: {said}", output.status);
    assert!(said.contains("cannot write run/checkpoints/step-"), "{said}");
    assert!(said.contains("File too large"), "{said}");
    assert!(!has_half(&path.join("run")) && !has_half(&path.join("run/checkpoints")));
    assert!(checkpoints(&path.join("run")).is_empty());
    // With room enough it goes on.
    assert!(run(path, &["train", "--resume=run", "--quiet"]).status.success());
    assert_eq!(history(&path.join("run")).len(), 2);
}
