//! Ctrl-C, SIGTERM, and two runs at once.
#![cfg(unix)]

use std::path::Path;
use std::process::{Child, Output};

use crate::program::{
    checkpoints, fails, has_half, history, into, json, model, run, signal, start, succeeds, text,
    wait_until,
};

/// A run that will not be over before it is interrupted.
const LONG: [&str; 5] =
    ["train", "--hidden=16", "--optimizer=momentum", "--batch=64", "--dropout=0.1"];

fn begin(folder: &Path, epochs: &str, out: &str) -> Child {
    let child = start(folder, &into(&[&LONG[..], &["--epochs", epochs]].concat(), out));
    let history = folder.join(out).join("history.jsonl");
    wait_until("an epoch is over", || history.metadata().is_ok_and(|file| file.len() > 0));
    child
}

fn ends(child: Child, code: i32) -> Output {
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(code), "{}", text(&output.stderr));
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
    output
}

/// Under `nohup` a run goes on when its terminal is closed, and so does one that a test starts.
fn skips_hangups() -> bool {
    use std::io::Write as _;

    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.map_or(u64::MAX, |mask| u64::from_str_radix(mask.trim(), 16).unwrap());
    if mask & 1 == 1 {
        let _ = writeln!(
            std::io::stderr(),
            "SKIPPED: SIGHUP is ignored here, or nothing says that it is not"
        );
    }
    mask & 1 == 1
}

/// The kernel and the shell send one each, and a session manager a SIGTERM after them: the run is saved.
#[test]
fn a_closed_terminal_saves_the_run_however_often_it_is_told() {
    if skips_hangups() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let wide = ["train", "--hidden=1000,1000", "--batch=full", "--epochs=1000", "--out=run"];
    let child = start(path, &wide);
    wait_until("the run has begun", || path.join("run/history.jsonl").exists());
    for name in ["HUP", "HUP", "TERM"] {
        signal(&child, name);
    }
    let output = child.wait_with_output().unwrap();
    let code = output.status.code();
    assert!(code == Some(129) || code == Some(143), "{code:?}: {}", text(&output.stderr));
    assert_eq!(checkpoints(&path.join("run")).len(), 1);
}

#[test]
fn a_run_that_was_started_to_outlive_its_terminal_does() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let ignoring = "trap '' HUP; exec \"$0\" train --hidden=16 --epochs=100000 --out=run";
    let child = std::process::Command::new("sh")
        .args(["-c", ignoring, env!("CARGO_BIN_EXE_dnn")])
        .current_dir(path)
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let epochs = || {
        std::fs::read_to_string(path.join("run/history.jsonl"))
            .map_or(0, |text| text.lines().count())
    };
    wait_until("an epoch is over", || epochs() > 0);
    signal(&child, "HUP");
    let then = epochs();
    wait_until("it has gone on", || epochs() > then + 2);
    signal(&child, "TERM");
    ends(child, 143);
}

/// Ctrl-C at the first moment that there is something of the run.
#[test]
fn a_run_that_is_interrupted_as_its_folder_is_begun_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    succeeds(path, &into(&[&LONG[..], &["--epochs=1"]].concat(), "straight"));
    for out in ["a", "b", "c"] {
        let mut child = start(path, &into(&[&LONG[..], &["--epochs=1"]].concat(), out));
        while !path.join(out).exists() && child.try_wait().unwrap().is_none() {
            std::hint::spin_loop();
        }
        signal(&child, "INT");
        let output = child.wait_with_output().unwrap();
        // A machine may be so busy that the run was over first.
        let said = text(&output.stderr);
        assert!(output.status.success() || output.status.code() == Some(130), "{said}");
        succeeds(path, &["train", "--resume", out, "--quiet"]);
        assert!(model(&path.join(out)) == model(&path.join("straight")), "{out}");
    }
}

/// C8.
#[test]
fn the_first_signal_saves_and_the_run_can_be_resumed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (name, code) in [("INT", 130), ("TERM", 143), ("HUP", 129)] {
        if name == "HUP" && skips_hangups() {
            continue;
        }
        let child = begin(path, "100000", name);
        signal(&child, name);
        let output = ends(child, code);
        let said = text(&output.stderr);
        let told = format!("to go on: dnn train --resume {name}");
        assert!(said.contains("interrupted after step ") && said.contains(&told), "{said}");
        let run = path.join(name);
        assert_eq!(checkpoints(&run).len(), 1);
        assert!(!run.join("model.dnn").exists());
        // It ends sooner than was said: as many epochs as it has, and one more.
        let epochs = (history(&run).len() + 1).to_string();
        succeeds(path, &["train", "--resume", name, "--epochs", &epochs]);
        let straight = format!("{name}-straight");
        succeeds(path, &into(&[&LONG[..], &["--epochs", &epochs]].concat(), &straight));
        assert!(model(&run) == model(&path.join(&straight)), "{name}");
        assert_eq!(history(&run), history(&path.join(&straight)), "{name}");
    }
}

/// C8: a step of this run takes long enough for a second signal.
#[test]
fn the_second_signal_ends_the_run_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let wide = ["train", "--hidden=2000,2000", "--batch=full", "--epochs=1000", "--out=run"];
    let mut child = start(path, &wide);
    wait_until("the run has begun", || path.join("run/history.jsonl").exists());
    std::thread::sleep(std::time::Duration::from_millis(50));
    // Two that come before a busy machine has looked at the first are one.
    while child.try_wait().unwrap().is_none() {
        signal(&child, "INT");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    let said = text(&ends(child, 130).stderr);
    assert!(!said.contains("interrupted after step"), "the step was waited for: {said}");
    assert!(!has_half(&path.join("run")));
}

/// X2.
#[test]
fn a_second_run_into_a_folder_is_refused_with_the_pid_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut child = begin(path, "100000", "run");
    let message = format!("the folder run is in use by process {}", child.id());
    fails(path, &["train", "--out", "run"], 2, &message);
    fails(path, &["train", "--resume", "run"], 2, &message);
    // A killed process holds nothing.
    child.kill().unwrap();
    child.wait().unwrap();
    fails(
        path,
        &["train", "--out", "run"],
        2,
        "is not empty; name another one with --out, or go on",
    );
    std::fs::write(path.join("run/.history.csv.1-0.tmp"), "half").unwrap();
    succeeds(path, &["train", "--resume", "run", "--epochs", "2"]);
    assert!(!has_half(&path.join("run")));
}

#[test]
fn a_run_that_was_killed_before_its_first_checkpoint_starts_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let mut child = begin(path, "100000", "run");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(checkpoints(&path.join("run")).is_empty());
    let (_, said) = succeeds(path, &["train", "--resume", "run", "--epochs", "3"]);
    assert!(said.contains("run ended before its first checkpoint: it starts over"), "{said}");
    succeeds(path, &into(&[&LONG[..], &["--epochs", "3"]].concat(), "straight"));
    assert!(model(&path.join("run")) == model(&path.join("straight")));
    assert_eq!(history(&path.join("run")).len(), 3);
}

/// A limit of time ends the run after some step, which the model tells; `verify` goes by it.
#[test]
fn a_limit_of_time_is_kept_as_a_step() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let limited = [&LONG[..], &["--epochs=1000000", "--time-limit=1s", "--json"]].concat();
    let outcome = json(path, &into(&limited, "run"));
    let steps = outcome["steps"].as_u64().unwrap();
    let inspected = json(path, &["inspect", "run/model.dnn", "--json"]);
    let settings = &inspected["provenance"]["settings"];
    assert_eq!(settings["steps"], steps.to_string());
    assert_eq!(
        (&settings["ended_by"], &outcome["ended_by"]),
        (&"time-limit".into(), &"time-limit".into())
    );
    assert_eq!(settings["epochs_run"], outcome["epochs"].to_string());
    let (said, _) = succeeds(path, &["verify", "run/model.dnn"]);
    assert!(said.starts_with("same"), "{said}");
    // And it can go on.
    let steps = (steps + 5).to_string();
    let resumed = json(path, &["train", "--resume=run", "--steps", &steps, "--json"]);
    assert_eq!(resumed["steps"].to_string(), steps);
    let output = run(path, &["verify", "run/model.dnn"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}
