//! The program as its users meet it.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A command of `dnn` in `folder`.
fn dnn(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dnn"));
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    dnn(folder, arguments).output().unwrap()
}

#[track_caller]
fn json(folder: &Path, arguments: &[&str]) -> Value {
    let output = run(folder, arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    // One JSON object and nothing else.
    serde_json::from_slice(&output.stdout).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// The command fails with this code, says this, and prints no result.
#[track_caller]
fn fails(folder: &Path, arguments: &[&str], code: i32, message: &str) {
    let output = run(folder, arguments);
    let stderr = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{stderr}");
    assert!(stderr.contains(message), "`{stderr}` does not say `{message}`");
    assert!(!stderr.contains("panicked"), "{stderr}");
    assert!(output.stdout.is_empty(), "{}", text(&output.stdout));
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A folder with a quickly trained model in `run/`.
fn with_model(arguments: &[&str]) -> TempDir {
    let folder = folder();
    let quick = ["train", "--hidden", "8", "--epochs", "2", "--out", "run"];
    let output = run(folder.path(), &[&quick[..], arguments].concat());
    assert!(output.status.success(), "{}", text(&output.stderr));
    folder
}

fn idx_images(pictures: u32, side: u32) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3];
    for size in [pictures, side, side] {
        bytes.extend(size.to_be_bytes());
    }
    bytes.resize(16 + (pictures * side * side) as usize, 7);
    bytes
}

#[test]
fn training_without_arguments_learns_the_digits_and_leaves_a_run_folder() {
    let folder = folder();
    let output = run(folder.path(), &["train"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let summary = text(&output.stdout);
    for word in ["train", "validation", "test", "baseline", "examples/s", "sha256"] {
        assert!(summary.contains(word), "{summary}");
    }
    let run_folder = folder.path().join("runs/digits-1");
    let config: Value =
        serde_json::from_str(&fs::read_to_string(run_folder.join("config.json")).unwrap()).unwrap();
    let history = fs::read_to_string(run_folder.join("history.jsonl")).unwrap();
    let epochs: Vec<Value> =
        history.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(config["config"]["training"]["epochs"], epochs.len());
    assert!(
        epochs[epochs.len() - 1]["cost"].as_f64().unwrap() < epochs[0]["cost"].as_f64().unwrap()
    );

    // What it says of the parts is what `evaluate` finds again from the model alone.
    let model = "runs/digits-1/model.dnn";
    let measured = json(folder.path(), &["evaluate", model, "--json"]);
    let accuracy = measured["test"]["accuracy"].as_f64().unwrap();
    assert!(accuracy >= 0.985, "test accuracy {accuracy}");
    assert!(measured["test"]["baseline"].as_f64().unwrap() < 0.12);
    let examples = |part: &str| measured[part]["examples"].as_u64().unwrap();
    assert_eq!((examples("train"), examples("validation"), examples("test")), (1294, 144, 359));
    let table = text(&run(folder.path(), &["evaluate", model]).stdout);
    assert!(summary.starts_with(&table), "{summary}\n{table}");

    let inspected = json(folder.path(), &["inspect", model, "--json"]);
    assert_eq!(inspected["provenance"]["data_sha256"], config["data_sha256"]);
    assert_eq!(inspected["widths"], serde_json::json!([64, 10]));
    let planned = json(folder.path(), &["inspect", model, "--plan", "6000", "--json"]);
    assert_eq!(planned["plan"]["batch"], 32);
    assert_eq!(planned["plan"]["gram"]["reason"], "mini-batches");
    let planned = text(&run(folder.path(), &["inspect", model, "--plan", "6000"]).stdout);
    assert!(planned.contains("A run like this one on 6000 training pictures:"), "{planned}");
    assert!(planned.contains("phase 1        32 examples a step"), "{planned}");
    let shown = text(&run(folder.path(), &["inspect", model]).stdout);
    assert!(shown.contains(inspected["model_sha256"].as_str().unwrap()), "{shown}");
    assert!(summary.contains(inspected["model_sha256"].as_str().unwrap()), "{summary}");
}

#[test]
fn every_run_and_every_number_of_threads_gives_one_model() {
    let folder = folder();
    let mut digests = Vec::new();
    for threads in ["1", "1", "2", "3", "4", "8"] {
        // Batches of several tiles and layers of several blocks, so that threads have what to share.
        let arguments = ["train", "--hidden", "400,300", "--batch", "150", "--epochs", "2"];
        let with_threads = [&arguments[..], &["--json", "--threads", threads]].concat();
        let outcome = json(folder.path(), &with_threads);
        digests.push(outcome["model_sha256"].as_str().unwrap().to_owned());
    }
    assert!(digests.iter().all(|digest| *digest == digests[0]), "{digests:#?}");
    let other = ["train", "--hidden", "400,300", "--batch", "150", "--epochs", "2", "--seed", "2"];
    let other = json(folder.path(), &[&other[..], &["--json"]].concat());
    assert_ne!(other["model_sha256"], digests[0]);
}

#[test]
fn json_has_the_documented_keys() {
    let folder = folder();
    let quick = ["train", "--hidden", "none", "--epochs", "1", "--json", "--precision", "f64"];
    let outcome = json(folder.path(), &quick);
    for part in ["train", "validation", "test"] {
        for key in ["cost", "accuracy", "baseline", "examples"] {
            assert!(outcome[part][key].is_number(), "{part} {key}: {outcome}");
        }
    }
    assert_eq!(outcome["model_sha256"].as_str().unwrap().len(), 64);
    assert!(outcome["seconds"].as_f64().unwrap() > 0.0);
    assert!(outcome["examples_per_second"].as_f64().unwrap() > 0.0);
    assert_eq!(outcome["run"], "runs/digits-1");
    // The second run takes the next folder; parts that are not made are null.
    let outcome =
        json(folder.path(), &[&quick[..], &["--split", "0", "--validation", "0"]].concat());
    assert_eq!(outcome["run"], "runs/digits-2");
    assert!(outcome["test"].is_null() && outcome["validation"].is_null(), "{outcome}");
    assert_eq!(outcome["train"]["examples"], 1797);
}

#[test]
fn predictions_have_a_class_and_probabilities_for_every_picture() {
    let folder = with_model(&[]);
    fs::write(folder.path().join("three"), idx_images(3, 8)).unwrap();
    let outcome = json(folder.path(), &["predict", "run/model.dnn", "three", "three", "--json"]);
    let predictions = outcome["predictions"].as_array().unwrap();
    assert_eq!(predictions.len(), 6);
    let picture = |p: &Value| p["picture"].as_u64().unwrap();
    assert_eq!(predictions.iter().map(picture).collect::<Vec<_>>(), [1, 2, 3, 1, 2, 3]);
    let probabilities = predictions[0]["probabilities"].as_object().unwrap();
    assert_eq!(probabilities.len(), 10);
    let sum: f64 = probabilities.values().map(|p| p.as_f64().unwrap()).sum();
    assert!((sum - 1.0).abs() < 1e-5, "{sum}");
    let class = predictions[0]["class"].as_str().unwrap();
    assert_eq!(probabilities[class], predictions[0]["probability"]);
    let table = text(&run(folder.path(), &["predict", "run/model.dnn", "three"]).stdout);
    assert_eq!(table.lines().count(), 4, "{table}");
    // In either precision.
    let folder = with_model(&["--precision", "f64"]);
    fs::write(folder.path().join("three"), idx_images(3, 8)).unwrap();
    assert!(run(folder.path(), &["predict", "run/model.dnn", "three"]).status.success());
}

#[test]
fn a_reader_who_has_seen_enough_is_no_error() {
    let folder = with_model(&[]);
    fs::write(folder.path().join("many"), idx_images(20_000, 8)).unwrap();
    let mut child = dnn(folder.path(), &["predict", "run/model.dnn", "many"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut start = [0; 10];
    child.stdout.take().unwrap().read_exact(&mut start).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
}

#[test]
fn wrong_settings_are_refused_by_name() {
    let folder = folder();
    for (arguments, message) in [
        (&["train", "--hidden", "20,0"][..], "whole numbers of at least 1"),
        (&["train", "--hidden", "20,x"], "found `x`"),
        (&["train", "--hidden", "99999999999"], "parameters; expected at most 2147483648"),
        (&["train", "--hidden", "99999999999999999"], "layer 1, dense: shape: expected at least 1"),
        (
            &["train", "--activation", "swish"],
            "unknown activation `swish`; expected one of identity",
        ),
        (&["train", "--init", "he"], "unknown initialiser `he`; expected one of"),
        (&["train", "--optimizer", "x"], "unknown optimiser `x`"),
        (&["train", "--optimizer", "adam:beta=1"], "expected one of beta1, beta2, epsilon"),
        (&["train", "--l2", "-1"], "lambda of L2: expected a finite number of at least 0"),
        (&["train", "--clip-norm", "0"], "limit of the gradient: expected a finite number above 0"),
        (&["train", "--schedule", "cosine:end=2"], "end: expected a number from 0 to 1, found 2.0"),
        (&["train", "--learning-rate", "NaN"], "expected a finite number above 0, found NaN"),
        (&["train", "--learning-rate", "1e300"], "1e300, which is inf in f32"),
        (&["train", "--learning-rate", "-1"], "expected a finite number above 0, found -1"),
        (&["train", "--batch", "0"], "expected `full` or a whole number of at least 1, found 0"),
        (&["train", "--split", "1"], "up to but not including 1, found `1`"),
        (&["train", "--validation", "nan"], "up to but not including 1, found `nan`"),
        (&["train", "--threads", "0"], "from 1 to 1024, found `0`"),
        (&["train", "--threads", "99999999"], "from 1 to 1024"),
        (&["train", "--precision", "f16"], "expected one of f32, f64"),
        (&["train", "--epochs=-1"], "whole number of at least 1, found `-1`"),
        (&["train", "--epochs=0"], "whole number of at least 1, found `0`"),
        (&["nonsense"], "unrecognized subcommand"),
    ] {
        fails(folder.path(), arguments, 2, message);
    }
    assert!(!folder.path().join("runs").exists(), "nothing is made for a run that cannot be");
}

#[test]
fn wrong_data_is_named() {
    let folder = folder();
    fails(folder.path(), &["train", "nowhere"], 4, "nowhere");
    fs::create_dir(folder.path().join("empty")).unwrap();
    fails(folder.path(), &["train", "empty"], 3, "empty");
    fs::write(folder.path().join("file"), "x").unwrap();
    fails(folder.path(), &["train", "file"], 4, "expected a folder");
    let one = folder.path().join("one");
    fs::create_dir(&one).unwrap();
    fs::write(one.join("train-images-idx3-ubyte"), idx_images(2, 8)).unwrap();
    fs::write(one.join("train-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 2, 5, 5]).unwrap();
    fails(folder.path(), &["train", "one", "--split", "0", "--validation", "0"], 3, "class");
}

#[test]
fn models_and_data_that_do_not_go_together_say_both() {
    let folder = with_model(&[]);
    let (path, model) = (folder.path(), "run/model.dnn");
    fs::write(path.join("large"), idx_images(1, 28)).unwrap();
    let message = "the model expects pictures of 8x8x1, found 28x28x1";
    fails(path, &["predict", model, "large"], 3, message);
    fails(path, &["predict", model, "none"], 4, "none");
    fails(path, &["predict", model, "run/config.json"], 3, "run/config.json");
    let two = path.join("two");
    fs::create_dir(&two).unwrap();
    fs::write(two.join("train-images-idx3-ubyte"), idx_images(2, 8)).unwrap();
    fs::write(two.join("train-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 2, 0, 1]).unwrap();
    // Data may lack classes, but not have more.
    assert!(run(path, &["evaluate", model, "two"]).status.success());
    // The same classes in other data: nothing of it was trained on.
    fs::write(two.join("train-images-idx3-ubyte"), idx_images(10, 8)).unwrap();
    let ten = [&[0, 0, 8, 1, 0, 0, 0, 10][..], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]].concat();
    fs::write(two.join("train-labels-idx1-ubyte"), ten).unwrap();
    let measured = json(path, &["evaluate", model, "two", "--json"]);
    assert_eq!(measured["data"]["examples"], 10);
    assert!(measured.get("train").is_none(), "{measured}");
    assert_eq!(measured["trained_on_this_data"], false);
    // A test part needs no training part beside it.
    let alone = path.join("alone");
    fs::create_dir(&alone).unwrap();
    for part in ["images-idx3-ubyte", "labels-idx1-ubyte"] {
        let name = |first: &str| format!("{first}-{part}");
        fs::copy(two.join(name("train")), alone.join(name("t10k"))).unwrap();
    }
    let alone = json(path, &["evaluate", model, "alone", "--json"]);
    assert_eq!(alone["test"], measured["data"]);
    fs::rename(&two, path.join("ten")).unwrap();
    fs::create_dir(&two).unwrap();
    fs::write(two.join("train-images-idx3-ubyte"), idx_images(2, 8)).unwrap();
    fs::write(two.join("train-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 2, 0, 1]).unwrap();
    let trained = ["train", "two", "--split", "0", "--validation", "0", "--out", "pair"];
    assert!(run(path, &trained).status.success());
    fails(path, &["evaluate", "pair/model.dnn"], 2, "name the data");
    let message = "expected the classes of the model (0, 1), found 2, 3, 4, 5, 6, 7, 8, 9 too";
    fails(path, &["evaluate", "pair/model.dnn", "ten"], 3, message);
    assert!(run(path, &["evaluate", "pair/model.dnn", "two"]).status.success());
}

#[test]
fn damaged_models_and_taken_folders_are_refused() {
    let folder = with_model(&[]);
    let path = folder.path();
    fails(path, &["train", "--out", "run"], 2, "run is not empty; name another one with --out");
    fails(path, &["inspect", "no.dnn"], 4, "no.dnn");
    fs::create_dir(path.join("empty")).unwrap();
    fails(path, &["inspect", "empty"], 2, "empty is a folder without model.dnn");
    let model = path.join("run/model.dnn");
    let mut bytes = fs::read(&model).unwrap();
    bytes[100] ^= 1;
    fs::write(path.join("flipped.dnn"), &bytes).unwrap();
    fails(path, &["inspect", "flipped.dnn"], 5, "flipped.dnn");
    // A right digest over parts that do not fit one another: 8 hidden units become 9.
    let mut bytes = fs::read(&model).unwrap();
    let unfit = (62..bytes.len()).filter(|&at| bytes[at] == 8).find_map(|at| {
        let mut changed = bytes.clone();
        changed[at] = 9;
        let mut hasher = dnn_store::Hasher::new();
        hasher.update(&changed[..30]);
        hasher.update(&changed[62..]);
        changed[30..62].copy_from_slice(&hasher.finish());
        fs::write(path.join("unfit.dnn"), &changed).unwrap();
        let output = run(path, &["inspect", "unfit.dnn"]);
        text(&output.stderr).contains("expected shape").then_some(output)
    });
    let output = unfit.expect("one of the eights is the width");
    assert_eq!(output.status.code(), Some(5), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("unfit.dnn: dense1"), "{}", text(&output.stderr));
    bytes[100] ^= 1;
    fs::write(path.join("cut.dnn"), &bytes[..50]).unwrap();
    fails(path, &["predict", "cut.dnn", "x"], 5, "cut.dnn");
    fs::write(path.join("text.dnn"), "hello").unwrap();
    fails(path, &["evaluate", "text.dnn"], 5, "text.dnn");
}

#[test]
fn a_run_that_diverges_says_where_and_leaves_no_model() {
    let folder = folder();
    let arguments = ["train", "--learning-rate", "1e30", "--epochs", "3", "--out", "run"];
    fails(folder.path(), &arguments, 6, "stopped being finite at step");
    assert!(folder.path().join("run/config.json").exists());
    assert!(!folder.path().join("run/model.dnn").exists());
}

#[test]
fn metrics_are_told_for_each_part_and_class() {
    let folder = with_model(&["--activation", "tanh"]);
    let model = "run/model.dnn";
    let output = run(folder.path(), &["evaluate", model, "--metrics"]);
    assert!(output.status.success());
    let table = text(&output.stdout);
    let heads = table.lines().filter(|line| line.starts_with("class ")).count();
    assert_eq!((heads, table.matches("log loss").count()), (3, 3), "{table}");
    assert!(table.lines().any(|line| line.starts_with("called:")), "{table}");
    let outcome = json(folder.path(), &["evaluate", model, "--metrics", "--json"]);
    let metrics = &outcome["test"]["metrics"];
    assert_eq!(metrics["accuracy"], outcome["test"]["accuracy"], "{metrics}");
    let support: u64 = metrics["classes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|class| class["support"].as_u64().unwrap())
        .sum();
    assert_eq!(support, 359);
    let loss = metrics["log_loss"].as_f64().unwrap() - outcome["test"]["cost"].as_f64().unwrap();
    assert!(loss.abs() < 1e-4, "the cost is the log loss: {loss}");
    assert!(json(folder.path(), &["evaluate", model, "--json"])["test"].get("metrics").is_none());
}

#[test]
fn an_optimiser_is_recorded_with_its_settings_and_has_a_rate_of_its_own() {
    let folder = folder();
    let arguments = ["--hidden", "16", "--epochs", "30", "--batch", "64", "--json"];
    for (optimizer, rate) in [("adam", "0.001"), ("nesterov:beta=0.8", "0.01"), ("sgd", "0.1")] {
        let outcome =
            json(folder.path(), &[&["train", "--optimizer", optimizer], &arguments[..]].concat());
        let run = folder.path().join(outcome["run"].as_str().unwrap());
        let config = fs::read_to_string(run.join("config.json")).unwrap();
        let config: Value = serde_json::from_str(&config).unwrap();
        let training = &config["config"]["training"];
        assert_eq!(training["optimizer"], optimizer, "{config}");
        assert_eq!(training["learning_rate"].to_string(), rate, "{config}");
        assert!(outcome["train"]["accuracy"].as_f64().unwrap() > 0.5, "{optimizer}: {outcome}");
        // What nobody gave has its default, and is recorded too.
        assert_eq!(training["schedule"], "exponential:factor=0.9", "{config}");
        assert_eq!(config["config"]["network"]["dropout"], 0.2, "{config}");
    }
}

#[test]
fn a_schedule_is_recorded_and_seen_in_the_history() {
    let folder = folder();
    let arguments = ["train", "--epochs", "4", "--schedule", "step:factor=0.5,every=2", "--json"];
    let more = ["--warm-up=100", "--l2=0.5", "--clip-norm=2", "--optimizer=sgd", "--batch=16"];
    let outcome = json(folder.path(), &[&arguments[..], &more].concat());
    let run = folder.path().join(outcome["run"].as_str().unwrap());
    let config = fs::read_to_string(run.join("config.json")).unwrap();
    let config: Value = serde_json::from_str(&config).unwrap();
    let training = &config["config"]["training"];
    assert_eq!(training["schedule"], "step:factor=0.5,every=2", "{config}");
    let numbers = ["warm_up", "l2", "clip_norm"].map(|name| training[name].as_f64().unwrap());
    assert_eq!(numbers, [100.0, 0.5, 2.0], "{config}");
    let history = fs::read_to_string(run.join("history.jsonl")).unwrap();
    let rates: Vec<f64> = history
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["learning_rate"].as_f64().unwrap())
        .collect();
    // 1,294 examples in batches of 16: 81 steps an epoch, so that the warm-up ends in the second.
    assert_eq!(rates, [0.1 * 81.0 / 100.0, 0.1, 0.05, 0.05]);
}

#[test]
fn a_network_that_does_not_learn_is_reported() {
    let folder = folder();
    let arguments = ["train", "--hidden", "8,8", "--init", "zeros", "--epochs", "12"];
    let output = run(folder.path(), &arguments);
    assert!(output.status.success());
    assert!(
        text(&output.stderr).contains("the network has not learned so far"),
        "{}",
        text(&output.stderr)
    );
}

#[cfg(unix)]
#[test]
fn names_can_do_nothing_to_a_terminal() {
    let folder = with_model(&[]);
    fs::write(folder.path().join("\u{1b}[31mred\nname"), idx_images(1, 8)).unwrap();
    let output = run(folder.path(), &["predict", "run/model.dnn", "\u{1b}[31mred\nname"]);
    let table = text(&output.stdout);
    assert!(table.contains("\\u{1b}[31mred\\nname"), "{table}");
    assert_eq!(table.lines().count(), 2, "{table}");
}

#[test]
fn help_says_what_the_exit_codes_mean_and_gives_examples() {
    let folder = folder();
    let help = text(&run(folder.path(), &["--help"]).stdout);
    assert!(help.contains("Exit codes:") && help.contains("6  training diverged"), "{help}");
    for command in ["train", "evaluate", "predict"] {
        let help = text(&run(folder.path(), &[command, "--help"]).stdout);
        assert!(help.contains("Examples:"), "{help}");
    }
}
