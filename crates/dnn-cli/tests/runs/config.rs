//! Settings from a file, and as a file.

use std::fs;

use crate::program::{fails, into, json, model, pictures, succeeds};

const PHOTOS: [&str; 16] = [
    "train",
    "photos",
    "--size=9x8",
    "--resize=pad",
    "--filter=lanczos",
    "--augment=flip",
    "--validation=0.2",
    "--hidden=6,5",
    "--batch-norm",
    "--dropout=0.1",
    "--optimizer=adamw:weight_decay=0.1",
    "--clip-norm=1",
    "--class-weights=1,2",
    "--batch=5",
    "--epochs=3",
    "--seed=18446744073709551615",
];

#[test]
fn a_printed_configuration_repeats_the_command() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    pictures(&path.join("photos"), 12);
    for (number, command) in [&PHOTOS[..], &["train", "--epochs=2"]].into_iter().enumerate() {
        let (toml, said) = succeeds(path, &[command, &["--print-config"]].concat());
        assert!(!path.join("runs").exists(), "nothing is trained: {said}");
        fs::write(path.join("run.toml"), &toml).unwrap();
        let [straight, again] = ["straight", "again"].map(|name| format!("{name}-{number}"));
        succeeds(path, &into(command, &straight));
        succeeds(path, &into(&["train", "--config=run.toml"], &again));
        assert!(model(&path.join(straight)) == model(&path.join(&again)), "{toml}");
        // And the file repeats itself.
        let printed = succeeds(path, &["train", "--config=run.toml", "--print-config"]).0;
        assert_eq!(printed, toml);
        assert!(succeeds(path, &["verify", &again]).0.starts_with("same"));
    }
}

#[test]
fn flags_go_before_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let file = "[network]\nhidden = [6]\nbatch_norm = true\n\n[training]\nepochs = 2\nbatch = 64\n";
    fs::write(path.join("run.toml"), file).unwrap();
    succeeds(
        path,
        &into(&["train", "--config=run.toml", "--hidden=4", "--batch-norm=false"], "run"),
    );
    let told = json(path, &["inspect", "run", "--json"]);
    let settings = &told["provenance"]["settings"];
    assert_eq!([&settings["hidden"], &settings["epochs"], &settings["batch"]], ["4", "2", "64"]);
    assert!(settings.get("batch_norm").is_none(), "{settings}");
    // A search takes it, too, and tries nothing that it says.
    let search = ["search", "--config=run.toml", "--trials=2", "--json", "--quiet"];
    let told = json(path, &into(&search, "found"));
    let tried = told["best"]["settings"].as_str().unwrap();
    assert!(tried.contains("l2=") && !tried.contains("hidden="), "{tried}");
    assert!(told["command"].as_str().unwrap().contains("--hidden=6 "), "{told}");
}

#[test]
fn a_wrong_file_is_named_with_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    for (text, message) in [
        (
            "[training]\nepoch = 3\n",
            "run.toml: line 2 (epoch = 3): unknown field `epoch`, expected one of",
        ),
        ("[training]\nepochs = 0\n", "epochs: expected a whole number of at least 1, found `0`"),
        ("[training]\nmin_delta = 0.1\n", "min_delta is for early stopping"),
        ("[training\n", "run.toml: line 1 ([training): "),
    ] {
        fs::write(path.join("run.toml"), text).unwrap();
        fails(path, &["train", "--config=run.toml"], 2, message);
    }
    fails(path, &["train", "--config=none.toml"], 4, "none.toml");
    fails(path, &["train", "--resume=run", "--config=run.toml"], 2, "cannot be used with");
}
