//! A folder stands for the model in it.

use std::fs;

use serde_json::Value;

use crate::made::{fails, succeeds, with_model};
use crate::support::text;

#[test]
fn the_folder_of_a_run_is_taken_for_its_model() {
    let folder = with_model();
    let here = folder.path();
    for (command, more) in [
        ("inspect", &[][..]),
        ("evaluate", &["data"]),
        ("predict", &["data/day/1.png"]),
        ("verify", &[]),
    ] {
        let by_file = succeeds(here, &[&[command, "run/model.dnn"], more].concat());
        let by_folder = succeeds(here, &[&[command, "run"], more].concat());
        assert_eq!(text(&by_folder.stdout), text(&by_file.stdout), "{command}");
        // As a shell completes it.
        succeeds(here, &[&[command, "run/"], more].concat());
    }
    for (from, out) in [("run", "by-folder"), ("run/model.dnn", "by-file")] {
        succeeds(here, &["train", "data", "--from", from, "--epochs=1", "--out", out]);
    }
    let model = |run: &str| fs::read(here.join(run).join("model.dnn")).unwrap();
    assert!(model("by-folder") == model("by-file"));
    succeeds(here, &["verify", "by-folder"]);
    succeeds(here, &["verify", "by-folder", "--from=run"]);
    succeeds(here, &["train", "--resume=by-folder", "--epochs=2"]);
}

#[test]
fn the_folder_of_a_search_is_taken_for_its_best_model() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let search = ["search", "--grid", "--epochs=2", "--hidden=8", "--json", "--out=found"];
    let tries = ["--try=learning-rate=0.0001|0.01|1e30"];
    let output = succeeds(here, &[&search[..], &tries].concat());
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let best = told["model"].as_str().unwrap();
    let by_file = text(&succeeds(here, &["inspect", best]).stdout);
    let output = succeeds(here, &["inspect", "found"]);
    assert_eq!(text(&output.stdout), by_file);
    assert!(text(&output.stderr).contains("the best trial in found is number 2"));
    fs::write(here.join("found/trials.jsonl"), "").unwrap();
    fails(here, &["inspect", "found"], 2, "has no model yet; dnn search --resume found");
}

#[test]
fn a_folder_without_a_model_says_what_it_is() {
    let folder = with_model();
    let here = folder.path();
    fails(here, &["inspect", "data"], 2, "data is a folder without model.dnn");
    fs::remove_file(here.join("run/model.dnn")).unwrap();
    fails(here, &["evaluate", "run"], 2, "to finish it: dnn train --resume run");
    fails(here, &["inspect", "nowhere"], 4, "nowhere");
}

/// What is advised, works.
#[test]
fn a_model_of_another_shape_comes_with_advice_for_the_data() {
    let folder = with_model();
    let here = folder.path();
    // Nothing said, pictures come to the shape of the model.
    let output = succeeds(here, &["train", "data", "--from=run", "--epochs=1", "--out=same"]);
    let said = text(&output.stderr);
    assert!(said.contains("pictures get 6x5, as the model to start from has them"), "{said}");
    let other = ["train", "data", "--from=run", "--epochs=1", "--size=9"];
    fails(here, &other, 2, "leave --size out, or give --size 6x5");
    succeeds(here, &["train", "data", "--from=run", "--epochs=1", "--size=6x5"]);
    let digits = ["train", "--from=run", "--epochs=1"];
    fails(here, &digits, 2, "bring the arrays to the model's shape, or leave --from out");
    succeeds(here, &["train", "--epochs=1", "--hidden=4", "--out=grey"]);
    let grey = ["train", "data", "--from=grey", "--epochs=1"];
    fails(here, &grey, 2, "picture files have 3 channels: start from a model of picture files");
}
