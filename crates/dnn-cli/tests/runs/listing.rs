//! `dnn runs` and `dnn cache`.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::program::{fails, into, json, pictures, run, succeeds, text};

const SHORT: [&str; 4] = ["train", "--batch=100", "--quiet", "--epochs=2"];

/// Four runs in `runs`, and beside them folders of one that was interrupted, of one that is damaged, and of none.
fn several_runs(path: &Path) {
    for (out, more) in [
        ("runs/a-1", &["--hidden=8"][..]),
        ("runs/a-2", &["--hidden=16,8", "--l2=0.5"]),
        ("runs/a-10", &["--hidden=8", "--steps=15"]),
        ("runs/b", &["--hidden=8", "--validation=0"]),
    ] {
        succeeds(path, &into(&[&SHORT[..], more].concat(), out));
    }
    fs::create_dir(path.join("runs/c")).unwrap();
    fs::copy(path.join("runs/a-1/config.json"), path.join("runs/c/config.json")).unwrap();
    fs::create_dir(path.join("runs/d")).unwrap();
    fs::write(path.join("runs/d/config.json"), "{}").unwrap();
    fs::create_dir(path.join("runs/none")).unwrap();
}

#[test]
fn runs_are_listed_with_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    several_runs(path);
    let (table, said) = succeeds(path, &["runs"]);
    assert!(said.contains("left out: runs/d/config.json is not a run's config.json"), "{said}");
    let lines: Vec<Vec<&str>> = table
        .lines()
        .map(|line| line.split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect())
        .collect();
    let head = "run state epochs time part cost accuracy 95 % interval hidden l2 steps validation";
    assert_eq!(lines[0].join(" "), head, "{table}");
    let column = |name: &str| -> Vec<&str> {
        let place = lines[0].iter().position(|cell| *cell == name).unwrap();
        lines[1..].iter().map(|line| line[place]).collect()
    };
    assert_eq!(column("run"), ["a-1", "a-2", "a-10", "b", "c"]);
    assert_eq!(column("state"), ["finished", "finished", "stopped", "finished", "resumable"]);
    assert_eq!(column("epochs"), ["2/2", "2/2", "1/2", "2/2", "0/2"]);
    assert_eq!(column("part"), ["validation", "validation", "validation", "test", "-"]);
    assert_eq!(column("hidden"), ["8", "16,8", "8", "8", "8"]);
    assert_eq!(column("steps"), ["-", "-", "15", "-", "-"]);

    let told = json(path, &["runs", "--json", "--sort=accuracy"]);
    let runs = told["runs"].as_array().unwrap();
    let accuracy = |run: &Value| {
        let parts = &run["parts"];
        ["validation", "test"].iter().find_map(|part| parts[part]["accuracy"].as_f64())
    };
    let accuracies: Vec<f64> = runs.iter().filter_map(accuracy).collect();
    assert_eq!(accuracies.len(), 4, "{told}");
    assert!(accuracies.is_sorted_by(|a, b| a >= b), "{accuracies:?}");
    assert_eq!(runs[4]["run"], "runs/c");
    assert_eq!(told["differing"], serde_json::json!(["hidden", "l2", "steps", "validation"]));
    // What a run said of itself is what is listed, with the interval.
    let measured = json(path, &["evaluate", "runs/a-2", "--json"]);
    let listed = runs.iter().find(|run| run["run"] == "runs/a-2").unwrap();
    assert_eq!(listed["parts"]["validation"], measured["validation"]);
    let percent = |share: &Value| format!("{:.1}", 100.0 * share.as_f64().unwrap());
    let interval = &measured["validation"]["interval"];
    let interval = format!("{} to {}", percent(&interval[0]), percent(&interval[1]));
    assert_eq!(column("95 % interval")[1], interval);

    // One alone, a folder without any, and none.
    assert_eq!(succeeds(path, &["runs", "runs/b"]).0.lines().count(), 2);
    let output = run(path, &["runs", "runs/none"]);
    assert!(output.stdout.is_empty() && text(&output.stderr).contains("no runs in runs/none"));
    fails(path, &["runs", "nowhere"], 4, "cannot read nowhere");
}

/// Stopped, made longer, and interrupted on the way there.
#[test]
fn the_state_of_a_run_follows_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let state = || json(path, &["runs", "run", "--json"])["runs"][0]["state"].clone();
    succeeds(path, &into(&[&SHORT[..], &["--hidden=8", "--steps=15"]].concat(), "run"));
    assert_eq!(state(), "stopped");
    succeeds(path, &["train", "--resume=run", "--quiet"]);
    assert_eq!(state(), "finished");
    // As a kill leaves a run that was to be longer.
    fs::remove_file(path.join("run/report.json")).unwrap();
    let config = path.join("run/config.json");
    let longer = fs::read_to_string(&config).unwrap().replace("\"epochs\": 2", "\"epochs\": 9");
    fs::write(&config, longer).unwrap();
    assert_eq!(state(), "resumable");
}

#[test]
fn the_cache_is_shown_and_cleared() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let empty = json(path, &["cache", "--json"]);
    assert_eq!((&empty["bytes"], empty["entries"].as_array().unwrap().len()), (&0.into(), 0));
    pictures(&path.join("photos"), 12);
    for size in ["--size=8", "--size=9"] {
        succeeds(path, &["train", "photos", size, "--hidden=4", "--epochs=1", "--quiet"]);
    }
    fs::write(path.join("cache/dnn/mine.cache"), "mine").unwrap();
    let told = json(path, &["cache", "--json"]);
    assert_eq!(told["entries"].as_array().unwrap().len(), 2, "{told}");
    assert!(told["bytes"].as_u64().unwrap() > 24 * 3 * (64 + 81), "{told}");
    let (shown, _) = succeeds(path, &["cache"]);
    assert!(
        shown.contains("in all   2 data sets, ") && shown.contains("left     mine.cache"),
        "{shown}"
    );
    let (cleared, _) = succeeds(path, &["cache", "--clear"]);
    assert!(cleared.contains("removed   2 data sets, "), "{cleared}");
    assert!(path.join("cache/dnn/mine.cache").exists());
    assert_eq!(json(path, &["cache", "--json"])["bytes"], 0);
    succeeds(path, &["train", "photos", "--size=8", "--hidden=4", "--epochs=1", "--quiet"]);
}
