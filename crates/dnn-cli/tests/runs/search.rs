//! `dnn search`.

use std::fs;
use std::path::Path;

use crate::program::{fails, into, json, model, run, signal, start, succeeds, text, wait_until};

const QUICK: [&str; 8] = [
    "search",
    "--epochs=2",
    "--batch=64",
    "--trials=4",
    "--try=hidden=8|16|16,8",
    "--try=learning-rate=0.01..0.5",
    "--try=dropout=0|0.2",
    "--seed=3",
];

fn results(search: &Path) -> Vec<serde_json::Value> {
    let Ok(text) = fs::read_to_string(search.join("trials.jsonl")) else { return Vec::new() };
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// All that does not tell the time.
fn numbers(search: &Path) -> Vec<(u64, String, f64)> {
    let number = |trial: &serde_json::Value| {
        (
            trial["trial"].as_u64().unwrap(),
            trial["settings"].as_str().unwrap().to_owned(),
            trial["validation_cost"].as_f64().unwrap(),
        )
    };
    results(search).iter().map(number).collect()
}

#[test]
fn the_best_trial_is_the_one_with_the_lowest_cost_on_the_validation_part() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let outcome = json(path, &into(&[&QUICK[..], &["--json"]].concat(), "found"));
    let trials = outcome["trials"].as_array().unwrap();
    assert_eq!(trials.len(), 4);
    let costs: Vec<f64> =
        trials.iter().map(|trial| trial["validation_cost"].as_f64().unwrap()).collect();
    assert!(costs.is_sorted(), "{costs:?}");
    assert_eq!(outcome["best"], trials[0]);
    assert_eq!(outcome["validation"]["cost"], trials[0]["validation_cost"]);
    assert!(outcome["test"]["accuracy"].is_number());
    // What is told of it is what evaluate finds.
    let file = outcome["model"].as_str().unwrap();
    let measured = json(path, &["evaluate", file, "--json"]);
    assert_eq!(measured["test"], outcome["test"]);
    // The command that is given trains the same model.
    let command = outcome["command"].as_str().unwrap();
    let words: Vec<&str> = command.split(' ').skip(1).map(|word| word.trim_matches('\'')).collect();
    succeeds(path, &into(&words, "again"));
    assert!(model(&path.join("again")) == fs::read(path.join(file)).unwrap(), "{command}");
    // The same seed draws the same trials; another one others. A longer search begins with the same.
    succeeds(path, &into(&[&QUICK[..], &["--threads=1"]].concat(), "same"));
    assert_eq!(numbers(&path.join("same")), numbers(&path.join("found")));
    let (table, _) = succeeds(path, &["search", "--resume=same", "--trials=5"]);
    assert_eq!(numbers(&path.join("same"))[..4], numbers(&path.join("found")));
    assert_eq!(numbers(&path.join("same")).len(), 5);
    assert!(
        table.contains("best of them: trial ") && table.contains("again    dnn train"),
        "{table}"
    );
}

#[cfg(unix)]
#[test]
fn a_search_that_was_interrupted_or_killed_comes_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let longer = [&QUICK[..1], &["--epochs=20"], &QUICK[2..]].concat();
    succeeds(path, &into(&longer, "straight"));
    for (name, code) in [("INT", Some(130)), ("KILL", None)] {
        let child = start(path, &into(&longer, name));
        let search = path.join(name);
        wait_until("a trial is over", || !results(&search).is_empty());
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        // It may have been over just then.
        if output.status.success() {
            continue;
        }
        assert_eq!(output.status.code(), code, "{}", text(&output.stderr));
        if code.is_some() {
            let said = text(&output.stderr);
            assert!(said.contains("to go on: dnn search --resume INT"), "{said}");
        }
        succeeds(path, &["search", "--resume", name]);
        assert_eq!(numbers(&search), numbers(&path.join("straight")), "{name}");
        for trial in 1..=4 {
            let of = |search: &Path| model(&search.join(format!("trial-{trial:03}")));
            assert!(of(&search) == of(&path.join("straight")), "{name}, trial {trial}");
        }
    }
}

#[test]
fn a_grid_has_every_combination_and_a_trial_that_diverges_is_one_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let grid = ["search", "--grid", "--epochs=1", "--hidden=8", "--batch=64", "--out=grid"];
    let tries = ["--try=learning-rate=0.1|1e30", "--try=l2=0|1"];
    let (table, said) = succeeds(path, &[&grid[..], &tries].concat());
    assert_eq!(results(&path.join("grid")).len(), 4);
    assert_eq!(table.matches("diverged").count(), 2, "{table}");
    assert!(said.contains("stopped being finite"), "{said}");
    let diverging = ["search", "--grid", "--try=learning-rate=1e30", "--hidden=8", "--out=none"];
    fails(path, &diverging, 2, "every trial diverged");
}

#[test]
fn what_cannot_be_searched_is_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (arguments, message) in [
        (&["--try=seed=1|2"][..], "cannot try `seed`"),
        (&["--try=hidden=8|x"], "the trial hidden="),
        (&["--try=learning-rate=0|1", "--grid"], "expected a finite number above 0"),
        (&["--grid", "--try=l2=0..1"], "a grid needs values"),
        (&["--grid", "--trials=3"], "cannot be used with"),
        (&["--validation=0"], "expected one, found --validation 0"),
        (&["--monitor=cost"], "found cost"),
        (&["--find-lr"], "--find-lr goes with dnn train"),
    ] {
        fails(path, &[&["search"], arguments].concat(), 2, message);
    }
    assert!(!path.join("searches").exists());
    fails(
        path,
        &["search", "--resume=nowhere"],
        2,
        "nowhere is no search folder: it has no search.json",
    );
    let tiny = ["search", "--epochs=1", "--hidden=4", "--try=l2=0|1", "--grid", "--out=tiny"];
    assert!(run(path, &tiny).status.success());
    fails(path, &["search", "--resume=tiny", "--hidden=5"], 2, "only --trials, --threads");
    fails(path, &["search", "--resume=tiny", "--try=l2=3"], 2, "only --trials, --threads");
}
