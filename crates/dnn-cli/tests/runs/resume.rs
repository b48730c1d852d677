//! Going on with a run, and starting from another one's model.

use std::fs;

use crate::program::{
    EVERYTHING, checkpoints, fails, history, into, json, model, pictures, run, succeeds, text,
};

/// T11, by the program: whatever the step, the last bits are the same.
#[test]
fn a_run_that_stops_at_a_step_goes_on_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    succeeds(path, &into(&EVERYTHING, "straight"));
    let straight = path.join("straight");
    for step in [1, 2, 20, 21, 22, 41, 42] {
        let (out, limit) = (format!("at-{step}"), format!("--steps={step}"));
        succeeds(path, &into(&[&EVERYTHING[..], &[&limit]].concat(), &out));
        // Other threads, and the data named again.
        let threads = format!("--threads={}", 1 + step % 4);
        succeeds(path, &["train", "--resume", &out, &threads, "--quiet"]);
        let run = path.join(&out);
        assert_eq!(history(&run), history(&straight), "{step}");
        let csv = |run: &std::path::Path| fs::read_to_string(run.join("history.csv")).unwrap();
        assert_eq!(csv(&run), csv(&straight), "{step}");
        assert!(model(&run) == model(&straight), "{step}");
    }
}

#[test]
fn more_epochs_extend_a_run_that_is_over() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let plain = ["train", "--hidden=16", "--batch=64", "--optimizer=adam"];
    for (epochs, out) in [("--epochs=2", "short"), ("--epochs=5", "long")] {
        succeeds(path, &into(&[&plain[..], &[epochs]].concat(), out));
    }
    let (_, said) = succeeds(path, &["train", "--resume", "short", "--epochs", "5"]);
    assert!(said.contains("short goes on after step 42 (2 epochs)"), "{said}");
    assert!(model(&path.join("short")) == model(&path.join("long")));
    let config = |run: &str| -> serde_json::Value {
        let text = fs::read_to_string(path.join(run).join("config.json")).unwrap();
        serde_json::from_str(&text).unwrap()
    };
    assert_eq!(config("short")["config"], config("long")["config"]);
    // Once more: there is nothing left to do, and the model is the same.
    succeeds(path, &["train", "--resume", "short"]);
    assert!(model(&path.join("short")) == model(&path.join("long")));
    fails(path, &["train", "--resume", "short", "--epochs", "3"], 2, "has 5 epochs behind it");
}

#[test]
fn another_run_is_refused_with_what_differs() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    pictures(&path.join("photos"), 12);
    let first = ["train", "photos", "--size=8", "--hidden=4", "--epochs=3", "--split=0.3"];
    succeeds(path, &into(&first, "run"));
    for (flag, message) in [
        ("--hidden=5", "--hidden: expected 4, found 5"),
        ("--learning-rate=0.5", "--learning-rate: expected"),
        ("--optimizer=rmsprop", "--optimizer: expected adam, found rmsprop"),
        ("--seed=9", "--seed: expected 1, found 9"),
        ("--size=9", "--size: expected 8x8, found 9x9"),
        ("--dropout=0.5", "--dropout: expected 0.2, found 0.5"),
        ("--split=0.2", "--split: expected 0.3, found 0.2"),
    ] {
        fails(path, &["train", "--resume", "run", flag], 2, message);
    }
    // The same settings may be said again, and the data may lie elsewhere.
    fs::rename(path.join("photos"), path.join("moved")).unwrap();
    fails(path, &["train", "--resume", "run"], 4, "photos");
    succeeds(path, &["train", "moved", "--resume", "run", "--hidden=4", "--epochs=4"]);
    fs::remove_file(path.join("moved/dark/3.png")).unwrap();
    fails(path, &["train", "moved", "--resume", "run"], 3, "run was trained on other data");
    fails(path, &["train", "--resume", "nowhere"], 2, "nowhere is no run folder");
    fs::create_dir(path.join("empty")).unwrap();
    fails(path, &["train", "--resume", "empty"], 2, "it has no config.json");
    fails(path, &["train", "--resume", "run", "--out", "other"], 2, "cannot be used with");
}

#[test]
fn a_damaged_checkpoint_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    succeeds(path, &["train", "--hidden=4", "--epochs=2", "--out=run"]);
    let checkpoint = checkpoints(&path.join("run")).pop().unwrap();
    let bytes = fs::read(&checkpoint).unwrap();
    fs::write(&checkpoint, &bytes[..bytes.len() / 2]).unwrap();
    let name = checkpoint.file_name().unwrap().to_str().unwrap();
    fails(path, &["train", "--resume", "run", "--epochs=3"], 5, name);
    let none = "no older one is whole; to begin the run anew, remove the folder run/checkpoints";
    fs::remove_file(&checkpoint).unwrap();
    fs::write(&checkpoint, "").unwrap();
    for older in checkpoints(&path.join("run")) {
        fs::write(older, "damaged").unwrap();
    }
    fails(path, &["train", "--resume", "run", "--epochs=3"], 5, none);
}

/// Cut, changed or empty: the older ones that are whole are named, and the run goes on from the latest of them.
#[test]
fn a_damaged_latest_checkpoint_names_older_ones_to_go_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let often = ["--checkpoint-every=10", "--keep-last=4"];
    succeeds(path, &into(&[&EVERYTHING[..], &often].concat(), "run"));
    let straight = model(&path.join("run"));
    let kept = checkpoints(&path.join("run"));
    assert_eq!(kept.len(), 4);
    let bytes = fs::read(&kept[3]).unwrap();
    let mut changed = bytes.clone();
    changed[bytes.len() / 2] ^= 1;
    fs::write(&kept[2], "not whole either").unwrap();
    for damaged in [&bytes[..bytes.len() / 2], &changed, b""] {
        fs::write(&kept[3], damaged).unwrap();
        let told =
            "older ones are whole: step 30, step 20; to go on from the first of these, remove ";
        fails(path, &["train", "--resume", "run"], 5, told);
    }
    // What somebody else put there is in nobody's way.
    fs::write(path.join("run/checkpoints/step-99.checkpoint"), "mine").unwrap();
    fs::write(path.join("run/checkpoints/notes.txt"), "mine").unwrap();
    fs::create_dir(path.join("run/checkpoints/step-0000000099.checkpoint")).unwrap();
    fs::create_dir(path.join("run/checkpoints/.own.1-0.tmp")).unwrap();
    fs::remove_file(&kept[3]).unwrap();
    fs::remove_file(&kept[2]).unwrap();
    let (_, said) = succeeds(path, &["train", "--resume", "run", "--quiet"]);
    assert!(said.contains("run goes on after step 30 "), "{said}");
    assert!(model(&path.join("run")) == straight);
}

#[test]
fn what_is_kept_is_what_was_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let keep = ["--checkpoint-every=5", "--keep-last=3", "--keep-every=20"];
    succeeds(path, &into(&[&EVERYTHING[..], &keep].concat(), "run"));
    let steps: Vec<String> = checkpoints(&path.join("run"))
        .iter()
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let expected = [20, 35, 40, 42].map(|step| format!("step-{step:010}"));
    assert_eq!(steps, expected);
    // The best model is that of the epoch with the lowest cost on the validation part.
    let records = history(&path.join("run"));
    let last = records.iter().rposition(|record| record["best"] == true).unwrap();
    let expected = records[last]["validation"]["cost"].as_f64().unwrap();
    let measured = json(path, &["evaluate", "run/best.dnn", "--json"]);
    assert_eq!(measured["validation"]["cost"].as_f64().unwrap(), expected);
}

#[test]
fn a_run_starts_from_another_model() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    succeeds(path, &["train", "--hidden=32", "--epochs=10", "--out=first"]);
    let tuned = ["train", "--from=first/model.dnn", "--epochs=1", "--learning-rate=0.01"];
    succeeds(path, &into(&tuned, "tuned"));
    let cost = |run: &str, epoch: usize| history(&path.join(run))[epoch]["cost"].as_f64().unwrap();
    assert!(cost("tuned", 0) < 0.5 * cost("first", 0), "it knows what the first one learned");
    // It says what it came from, and is resumed and verified with it.
    let inspected = json(path, &["inspect", "tuned/model.dnn", "--json"]);
    let first = json(path, &["inspect", "first/model.dnn", "--json"]);
    assert_eq!(inspected["provenance"]["settings"]["from"], first["model_sha256"]);
    assert!(succeeds(path, &["verify", "tuned/model.dnn"]).0.starts_with("same"));
    succeeds(path, &["train", "--resume=tuned", "--epochs=2"]);
    // Other classes: a new last layer.
    pictures(&path.join("photos"), 12);
    let grey = into(&["train", "photos", "--from=first/model.dnn"], "x");
    fails(path, &grey, 2, "picture files have 3 channels");
    succeeds(
        path,
        &into(&["train", "photos", "--size=8", "--hidden=7", "--epochs=3"], "photo-run"),
    );
    fs::create_dir_all(path.join("three")).unwrap();
    for class in ["dark", "light"] {
        fs::rename(path.join("photos").join(class), path.join("three").join(class)).unwrap();
    }
    pictures(&path.join("others"), 12);
    fs::rename(path.join("others/dark"), path.join("three/other")).unwrap();
    let other = ["train", "three", "--from=photo-run/model.dnn", "--size=8", "--epochs=2"];
    let output = run(path, &into(&other, "more"));
    let said = text(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains("the model has other classes: its last layer starts anew"), "{said}");
    let inspected = json(path, &["inspect", "more/model.dnn", "--json"]);
    assert_eq!(inspected["widths"], serde_json::json!([192, 7, 3]));
}
