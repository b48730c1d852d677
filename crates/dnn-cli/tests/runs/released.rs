//! Folders of released versions, which must be read and resumed for ever: `fixtures/v0.1` says how they were made.

use std::fs;
use std::path::{Path, PathBuf};

use dnn_core::kernel_path;
use dnn_layers::{AnyNetwork, ModelFile, Network};
use serde_json::Value;

use crate::program::{history, json, succeeds};

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/v0.1")
}

/// Copies a folder with all that is in it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn kept(name: &str) -> Value {
    serde_json::from_slice(&fs::read(fixtures().join(name)).unwrap()).unwrap()
}

/// Whether this processor's path is the one that the folders were made on: on another one last bits differ.
fn same_path() -> bool {
    let (made, now) = ("dnn/avx512f", kernel_path());
    if now != made {
        dnn_testing::skipped(format_args!("the last bits: files were made on {made}, not {now}"));
    }
    now == made
}

/// All numbers of the network, to the last bit.
fn numbers(network: &Network<f32>) -> Vec<u32> {
    let numbers = network.tensors().iter().flat_map(|tensor| tensor.values().to_owned());
    numbers.map(f32::to_bits).collect()
}

fn model(run: &Path, name: &str) -> Network<f32> {
    match ModelFile::read(run.join(name)).unwrap().network {
        AnyNetwork::F32(network) => network,
        AnyNetwork::F64(_) => panic!("a network of the other precision"),
    }
}

/// Fails unless both are alike: wholly, or, on another path of the processor, but for the last digits of numbers.
#[track_caller]
fn alike(found: &Value, expected: &Value, same_path: bool) {
    if same_path {
        assert_eq!(found, expected);
        return;
    }
    match (found, expected) {
        (Value::Number(found), Value::Number(expected)) => {
            let (found, expected) = (found.as_f64().unwrap(), expected.as_f64().unwrap());
            assert!(
                (found - expected).abs() <= 0.02 * expected.abs().max(1.0),
                "{found} {expected}"
            );
        }
        (Value::Array(found), Value::Array(expected)) => {
            assert_eq!(found.len(), expected.len());
            found.iter().zip(expected).for_each(|(found, expected)| alike(found, expected, false));
        }
        (Value::Object(found), Value::Object(expected)) => {
            assert!(found.keys().eq(expected.keys()));
            let pairs = found.values().zip(expected.values());
            pairs.for_each(|(found, expected)| alike(found, expected, false));
        }
        _ => assert_eq!(found, expected),
    }
}

#[test]
fn runs_of_0_1_are_resumed_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    copy(&fixtures(), path);
    let same_path = same_path();
    for (stopped, straight) in [("stopped", "finished"), ("photo-stopped", "photo-run")] {
        let resume = ["train", "--resume", stopped, "--quiet"];
        // Photos may have been moved.
        let data: &[&str] = if stopped == "stopped" { &[] } else { &["photos"] };
        succeeds(path, &[&resume[..1], data, &resume[1..]].concat());
        let (found, expected) = (path.join(stopped), fixtures().join(straight));
        alike(&Value::from(history(&found)), &Value::from(history(&expected)), same_path);
        let [found, expected] = [found, expected].map(|run| model(&run, "model.dnn"));
        assert_eq!(found.layers(), expected.layers(), "{stopped}");
        assert_eq!(found.scaling(), expected.scaling(), "{stopped}");
        if same_path {
            assert!(numbers(&found) == numbers(&expected), "{stopped}");
        }
    }
    let [best, expected] =
        [path.join("stopped"), fixtures().join("finished")].map(|run| model(&run, "best.dnn"));
    assert!(!same_path || numbers(&best) == numbers(&expected));
}

#[test]
fn a_run_of_0_1_that_is_over_is_evaluated_verified_inspected_and_made_longer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    copy(&fixtures(), path);
    let same_path = same_path();
    alike(&json(path, &["evaluate", "finished", "--json"]), &kept("evaluated.json"), same_path);
    if same_path {
        assert!(succeeds(path, &["verify", "finished/model.dnn"]).0.starts_with("same"));
        assert!(succeeds(path, &["verify", "photo-run", "photos"]).0.starts_with("same"));
    }
    let inspected = json(path, &["inspect", "finished/model.dnn", "--json"]);
    let settings = kept("finished/config.json")["settings"].clone();
    for (name, value) in settings.as_object().unwrap() {
        assert_eq!(&inspected["provenance"]["settings"][name], value, "{name}");
    }
    assert_eq!(inspected["provenance"]["software"], "dnn 0.1.0");
    // Photos of any size are turned into inputs as they were in training.
    let predicted = json(path, &["predict", "photo-run", "photos", "--json"]);
    alike(&predicted, &kept("predicted.json"), same_path);
    succeeds(path, &["train", "photos", "--resume", "photo-run", "--epochs=6", "--quiet"]);
    assert_eq!(history(&path.join("photo-run")).len(), 6);
}

#[test]
fn a_search_of_0_1_goes_on_with_the_same_trials() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    copy(&fixtures(), path);
    succeeds(path, &["search", "--resume", "search", "--quiet"]);
    let trials = |file: &Path| -> Value {
        let text = fs::read_to_string(file).unwrap();
        let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let timeless = lines.map(|mut line| {
            line.as_object_mut().unwrap().remove("seconds").unwrap();
            line
        });
        timeless.collect()
    };
    let expected = trials(&fixtures().join("trials.jsonl"));
    assert_eq!(expected.as_array().unwrap().len(), 3);
    alike(&trials(&path.join("search/trials.jsonl")), &expected, same_path());
}
