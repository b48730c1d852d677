//! `dnn verify`.

use std::fs;

use dnn_layers::Network;

use crate::program::{fails, into, json, pictures, run, succeeds, text};

#[test]
fn a_model_comes_out_again_wherever_it_and_its_data_lie() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let all = [
        "train",
        "--hidden=16,8",
        "--batch-norm",
        "--dropout=0.1",
        "--optimizer=adamw:weight_decay=0.1",
        "--schedule=one-cycle",
        "--label-smoothing=0.1",
        "--class-weights=balanced",
        "--clip-norm=1",
        "--early-stopping=2",
        "--calibrate",
        "--epochs=6",
        "--seed=5",
    ];
    succeeds(path, &into(&all, "digits"));
    let told = json(path, &["verify", "digits/model.dnn", "--json", "--threads=3"]);
    assert_eq!(told["same"], true, "{told}");
    assert_eq!(told["reasons"], serde_json::json!([]));
    // The built-in digits are found without the run folder.
    fs::copy(path.join("digits/model.dnn"), path.join("alone.dnn")).unwrap();
    let (said, _) = succeeds(path, &["verify", "alone.dnn"]);
    assert!(said.starts_with("same: training again gave the same bits"), "{said}");
    assert!(said.contains(told["model_sha256"].as_str().unwrap()), "{said}");

    // Pictures: found by the run folder, or named.
    pictures(&path.join("photos"), 12);
    fs::write(path.join("photos/dark/bad.jpg"), "no picture").unwrap();
    let of_photos = ["train", "photos", "--size=9x8", "--resize=pad", "--filter=lanczos"];
    let more = ["--hidden=5", "--epochs=3", "--augment=flip", "--bad-files=skip", "--out=run"];
    assert_eq!(run(path, &[&of_photos[..], &more].concat()).status.code(), Some(7));
    let output = run(path, &["verify", "run/model.dnn"]);
    assert_eq!(output.status.code(), Some(7), "{}", text(&output.stderr));
    assert!(text(&output.stdout).starts_with("same"), "{}", text(&output.stdout));
    fs::copy(path.join("run/model.dnn"), path.join("photo.dnn")).unwrap();
    fails(path, &["verify", "photo.dnn"], 2, "name the data with sha256");
    fails(path, &["verify", "photo.dnn", "photos"], 3, "bad.jpg");
    let skip = ["verify", "photo.dnn", "photos", "--bad-files=skip"];
    assert!(text(&run(path, &skip).stdout).starts_with("same"));
    // Other data is not trained on.
    fs::remove_file(path.join("photos/light/1.png")).unwrap();
    fails(path, &skip, 3, "the model was trained on other data: expected sha256 ");
}

#[test]
fn a_model_that_was_changed_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    succeeds(path, &["train", "--hidden=8", "--epochs=2", "--out=run"]);
    let mut network = Network::<f32>::load(path.join("run/model.dnn")).unwrap();
    let bias = network.tensors_mut()[3].entry_mut((3, 0));
    *bias = f32::from_bits(bias.to_bits() ^ 1);
    network.save(path.join("changed.dnn")).unwrap();
    let output = run(path, &["verify", "changed.dnn"]);
    assert_eq!(output.status.code(), Some(8), "{}", text(&output.stderr));
    let said = text(&output.stdout);
    assert!(said.starts_with("different: training again gave another model"), "{said}");
    assert!(said.contains("dense2.bias: numbers differ by up to "), "{said}");
    assert!(said.contains("the kernels are the same"), "{said}");
    // Other kernels may be the reason.
    let mut provenance = network.provenance().unwrap().clone();
    provenance.kernel_path = "abacus".to_owned();
    network.set_provenance(provenance);
    network.save(path.join("elsewhere.dnn")).unwrap();
    let told = run(path, &["verify", "elsewhere.dnn", "--json"]);
    assert_eq!(told.status.code(), Some(8));
    let told: serde_json::Value = serde_json::from_slice(&told.stdout).unwrap();
    assert!(told["reasons"][1].as_str().unwrap().contains("computed by abacus kernels"), "{told}");
}

/// Full batches: the form that was taken is told and recorded, and kept where the run is made longer.
#[test]
fn a_run_in_the_gram_form_says_so_and_comes_out_again() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    pictures(&path.join("photos"), 12);
    let full = ["train", "photos", "--size=16", "--batch=full", "--optimizer=momentum"];
    let full = [&full[..], &["--dropout=0", "--hidden=32", "--epochs=300"]].concat();
    let (_, said) = succeeds(path, &into(&full, "auto"));
    assert!(said.contains("first layer in dual (Gram) form (fewer operations)"), "{said}");
    let gram = |run: &str| {
        let told = json(path, &["inspect", &format!("{run}/model.dnn"), "--json"]);
        told["provenance"]["settings"]["gram"].as_str().unwrap().to_owned()
    };
    assert_eq!(gram("auto"), "always");
    assert!(succeeds(path, &["verify", "auto/model.dnn"]).0.starts_with("same"));
    // A few steps are as well made in the plain form, and so are those that follow later.
    let short = [&full[..5], &["--dropout=0", "--hidden=32", "--epochs=3"]].concat();
    let (_, said) = succeeds(path, &into(&short, "short"));
    assert!(said.contains("first layer in plain form"), "{said}");
    succeeds(path, &["train", "--resume=short", "--epochs=300"]);
    assert_eq!(gram("short"), "never");
    assert!(succeeds(path, &["verify", "short/model.dnn"]).0.starts_with("same"));
}
