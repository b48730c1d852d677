//! A flag is used or refused.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::made::{class, fails, succeeds, with_model};
use crate::support::text;

/// MNIST's names, with `count` pictures of 8x8 of three classes.
pub(crate) fn idx(folder: &Path, first: &str, count: u8) {
    fs::create_dir_all(folder).unwrap();
    let mut images = vec![0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 8, 0, 0, 0, 8];
    images.extend((0..usize::from(count) * 64).map(|place| u8::try_from(place * 7 % 251).unwrap()));
    let mut labels = vec![0, 0, 8, 1, 0, 0, 0, count];
    labels.extend((0..count).map(|number| number % 3));
    fs::write(folder.join(format!("{first}-images-idx3-ubyte")), images).unwrap();
    fs::write(folder.join(format!("{first}-labels-idx1-ubyte")), labels).unwrap();
}

const OF_PICTURES: [&str; 6] = [
    "--size=14",
    "--resize=crop",
    "--filter=lanczos",
    "--bad-files=skip",
    "--lenient",
    "--no-cache",
];

const OF_THE_NETWORK: [&str; 6] = [
    "--hidden=7",
    "--activation=tanh",
    "--scaling=standardize",
    "--init=zeros",
    "--dropout=0",
    "--batch-norm",
];

#[test]
fn flags_for_picture_files_are_refused_with_arrays_and_digits() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    idx(&here.join("arrays"), "train", 60);
    let reason = "has arrays, whose pictures are taken as they are, not picture files";
    for flag in OF_PICTURES {
        let name = flag.split('=').next().unwrap();
        for command in ["train", "search"] {
            let message = format!("arrays {reason}");
            fails(here, &[command, "arrays", flag, "--epochs=1"], 2, &message);
            let message = format!("{name} has no effect here: the built-in digits are no picture");
            fails(here, &[command, flag, "--epochs=1"], 2, &message);
        }
    }
    assert!(!here.join("runs").exists() && !here.join("searches").exists());
    succeeds(here, &["train", "arrays", "--epochs=1", "--hidden=none", "--out=run"]);
    for flag in ["--bad-files=skip", "--lenient", "--no-cache"] {
        for command in ["evaluate", "verify"] {
            fails(here, &[command, "run", "arrays", flag], 2, reason);
        }
    }
    fails(here, &["doctor", "arrays", "--lenient"], 2, reason);
    let file = "arrays/train-images-idx3-ubyte";
    for flag in ["--show=seen", "--lenient", "--bad-files=skip"] {
        fails(here, &["predict", "run", file, flag], 2, "IDX files have arrays");
    }
    assert!(!here.join("seen").exists());
}

#[test]
fn flags_for_a_new_network_are_refused_where_a_model_brings_its_own() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    succeeds(here, &["train", "--epochs=1", "--hidden=8", "--out=first"]);
    let from = "--from=first/model.dnn";
    for flag in OF_THE_NETWORK {
        let name = flag.split('=').next().unwrap();
        let message = format!("{name} has no effect here: the model given by --from brings");
        for command in ["train", "search"] {
            fails(here, &[command, from, flag, "--epochs=1"], 2, &message);
        }
    }
    for tried in ["hidden=8|512", "dropout=0|0.2", "scaling=unit|standardize"] {
        let arguments = ["search", from, "--grid", "--epochs=1", "--try", tried];
        fails(here, &arguments, 2, "has no effect here: the model given by --from brings");
    }
    // What it then tries by itself makes a difference, and a run that started from a model goes on.
    let search = ["search", from, "--trials=2", "--epochs=1", "--quiet", "--json", "--out=search"];
    let output = succeeds(here, &search);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let settings = told["best"]["settings"].as_str().unwrap();
    assert!(!settings.contains("hidden") && settings.contains("l2="), "{settings}");
    assert!(!text(&output.stderr).contains("trial 1"), "{}", text(&output.stderr));
    succeeds(here, &["train", from, "--epochs=1", "--out=second"]);
    fails(
        here,
        &["train", "--resume=second", "--hidden=7", "--epochs=2"],
        2,
        "--hidden has no effect",
    );
    succeeds(here, &["train", "--resume=second", "--epochs=2"]);
}

#[test]
fn other_flags_without_effect_are_refused() {
    let folder = with_model();
    let here = folder.path();
    class(&here.join("parts/train/a"), [4, 4], true, 10);
    class(&here.join("parts/train/b"), [4, 4], false, 10);
    class(&here.join("parts/test/a"), [4, 4], true, 2);
    class(&here.join("parts/validation/b"), [4, 4], true, 2);
    for (arguments, message) in [
        (&["train", "--hidden=none", "--activation=tanh"][..], "there is no hidden layer"),
        (&["train", "--hidden=none", "--dropout=0.5"], "--dropout has no effect here"),
        (&["train", "--hidden=none", "--batch-norm"], "--batch-norm has no effect here"),
        (&["train", "data", "--max-bad=3"], "bad files are not left out"),
        (&["evaluate", "run", "data", "--max-bad=3"], "bad files are not left out"),
        (&["verify", "run", "--from=run"], "training did not start from another model"),
        (&["train", "parts", "--split=0.3"], "parts has a test part of its own"),
        (&["train", "parts", "--validation=0.3"], "parts has a validation part of its own"),
        (&["train", "--find-lr", "--epochs=3"], "--find-lr trains for a short time only"),
        (&["train", "--find-lr", "--tensorboard"], "--tensorboard has no effect here"),
        (&["train", "--find-lr", "--learning-rate=3"], "--learning-rate has no effect here"),
        (&["search", "--hidden=8", "--try=hidden=8|9"], "--hidden is given one value and tried"),
        (&["search", "--grid", "--try=hidden=none", "--try=activation=relu|tanh"], "no hidden"),
        (&["train", "--calibrate", "--validation=0"], "--calibrate needs a validation part"),
        (&["doctor", "data", "--rows=3", "--json"], "cannot be used with"),
        (&["fetch", "--list", "--force"], "cannot be used with"),
        (&["fetch", "--list", "--from=here"], "cannot be used with"),
    ] {
        fails(here, arguments, 2, message);
    }
    // A share of 0 asks for what is done, and no dropout is what there is.
    succeeds(here, &["train", "parts", "--split=0", "--validation=0", "--epochs=1"]);
    succeeds(here, &["train", "--hidden=none", "--dropout=0", "--epochs=1"]);
    let grid = ["search", "--grid", "--epochs=1", "--hidden=4", "--try=l2=0|1", "--out=grid"];
    succeeds(here, &grid);
    fails(here, &["search", "--resume=grid", "--trials=5"], 2, "the search goes over a grid");
}

#[test]
fn a_place_that_is_taken_is_refused_before_data_is_read() {
    let folder = with_model();
    let here = folder.path();
    fs::write(here.join("lr.svg"), "mine").unwrap();
    // The data is not there: whoever looks at it first says so.
    for command in ["train", "search"] {
        fails(here, &[command, "nowhere", "--out=run"], 2, "run is not empty; name another one");
    }
    let find = ["train", "nowhere", "--find-lr", "--out=lr.svg"];
    fails(here, &find, 2, "lr.svg is there already and is not replaced");
    fails(here, &["train", "nowhere", "--size=8", "--epochs=0"], 2, "at least 1, found `0`");
    assert_eq!(fs::read_to_string(here.join("lr.svg")).unwrap(), "mine");
    succeeds(here, &["train", "--find-lr", "--hidden=8", "--out=new/rates.SVG"]);
    let drawing = fs::read_to_string(here.join("new/rates.SVG")).unwrap();
    assert!(drawing.starts_with("<svg"), "{drawing}");
    fails(here, &["train", "--find-lr", "--out=new/rates.SVG"], 2, "is not replaced");
    succeeds(here, &["train", "--find-lr", "--hidden=8", "--out=new"]);
    assert!(here.join("new/learning-rate.svg").exists());
}

#[test]
fn verify_takes_the_flags_of_its_command_line_before_the_recorded_ones() {
    let folder = with_model();
    let here = folder.path();
    fs::write(here.join("data/day/bad.png"), "<html>").unwrap();
    let arguments = ["train", "data", "--epochs=1", "--bad-files=skip", "--out=skipped"];
    assert_eq!(crate::support::code(&crate::support::dnn(here, &arguments)), 7);
    let verify = ["verify", "skipped"];
    assert_eq!(crate::support::code(&crate::support::dnn(here, &verify)), 7);
    fails(here, &[&verify[..], &["--bad-files=stop"]].concat(), 3, "bad.png");
}
