//! Layers in one line: `--network`.

use std::fs;

use crate::program::{fails, into, json, model, run, succeeds, text};

const CONV: [&str; 5] = ["train", "--network=conv:4,8", "--epochs=2", "--batch=100", "--quiet"];

#[test]
fn convolutions_are_trained_used_resumed_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    succeeds(path, &into(&CONV, "straight"));
    for (step, threads) in [(5, "--threads=1"), (20, "--threads=3")] {
        let (out, limit) = (format!("at-{step}"), format!("--steps={step}"));
        succeeds(path, &into(&[&CONV[..], &[&limit]].concat(), &out));
        succeeds(path, &["train", "--resume", &out, threads, "--quiet"]);
        assert!(model(&path.join(&out)) == model(&path.join("straight")), "{step}");
    }
    assert!(succeeds(path, &["verify", "straight"]).0.starts_with("same"));
    let measured = json(path, &["evaluate", "straight", "--json"]);
    assert!(measured["train"]["accuracy"].as_f64().unwrap() > 0.2, "{measured}");

    fs::write(path.join("pictures-idx3-ubyte"), idx(3)).unwrap();
    let told = json(path, &["predict", "straight", "pictures-idx3-ubyte", "--json"]);
    assert_eq!(told["predictions"].as_array().unwrap().len(), 3);

    let config: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(path.join("straight/config.json")).unwrap())
            .unwrap();
    assert_eq!(config["config"]["network"]["network"], "conv:4,8");
    assert_eq!(config["config"]["network"]["hidden"], serde_json::Value::Null);
    let (shown, _) = succeeds(path, &["inspect", "straight"]);
    let shown: Vec<String> =
        shown.lines().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect();
    // 64 places of 9 x 4, 16 of 36 x 8, and 32 x 64 and 64 x 10 multiplications.
    for line in [
        "layer output function parameters bytes MFLOP",
        "conv1 8 x 8 x 4 3 x 3, relu 40 160 0.005",
        "max_pool1 4 x 4 x 4 2 x 2 / 2 0 0 0.000",
        "conv2 4 x 4 x 8 3 x 3, relu 296 1,184 0.009",
        "max_pool2 2 x 2 x 8 2 x 2 / 2 0 0 0.000",
        "flatten1 32 0 0 0.000",
        "dense1 64 relu 2,112 8,448 0.004",
        "dense2 10 softmax 650 2,600 0.001",
        "network conv:4,8",
    ] {
        assert!(shown.contains(&line.to_owned()), "{line}: {shown:#?}");
    }
    fails(
        path,
        &["train", "--resume=straight", "--network=conv:4,9"],
        2,
        "expected conv:4,8, found conv:4,9",
    );
}

#[test]
fn runs_in_bf16_say_so_and_resume_and_are_verified() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let settings = [&CONV[..], &["--precision=bf16"]].concat();
    if !dnn_train::Products::Bf16.exist() {
        fails(path, &into(&settings, "refused"), 2, "expected a processor with AVX512_BF16");
        fails(path, &into(&settings, "refused"), 2, "`--precision f32` runs on every processor");
        return dnn_testing::skipped("the instructions AVX512_BF16");
    }
    succeeds(path, &into(&settings, "straight"));
    succeeds(path, &into(&CONV, "in-f32"));
    assert!(model(&path.join("straight")) != model(&path.join("in-f32")), "rounded");
    succeeds(path, &into(&[&settings[..], &["--steps=5"]].concat(), "at-5"));
    fails(path, &["train", "--resume=at-5", "--precision=f32"], 2, "expected bf16, found f32");
    succeeds(path, &["train", "--resume=at-5", "--threads=3", "--quiet"]);
    assert!(model(&path.join("at-5")) == model(&path.join("straight")));
    assert!(succeeds(path, &["verify", "straight"]).0.starts_with("same"));
    let shown = json(path, &["inspect", "straight", "--json"]);
    assert_eq!(shown["precision"], "f32", "{shown}");
    assert_eq!(shown["provenance"]["kernel_path"], "dnn/avx512-bf16", "{shown}");
    assert_eq!(shown["provenance"]["settings"]["precision"], "bf16", "{shown}");
    let measured = json(path, &["evaluate", "straight", "--json"]);
    assert!(measured["train"]["accuracy"].as_f64().unwrap() > 0.2, "{measured}");
}

#[test]
fn residual_blocks_are_trained_resumed_and_shown() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let train =
        ["train", "--network=resnet:4,8", "--batch-norm", "--epochs=2", "--batch=100", "--quiet"];
    succeeds(path, &into(&train, "straight"));
    succeeds(path, &into(&[&train[..], &["--steps=7"]].concat(), "resumed"));
    succeeds(path, &["train", "--resume=resumed", "--threads=3", "--quiet"]);
    assert!(model(&path.join("resumed")) == model(&path.join("straight")));
    let (shown, _) = succeeds(path, &["inspect", "straight"]);
    assert!(shown.contains("residual2     2 x 2 x 8       around 5 "), "{shown}");
    let spelled = "--network=conv 4, pool, residual(conv 4, conv 4, batch-norm), relu, conv 8, pool, residual(conv 8, conv \
                   8, batch-norm), relu, global-average-pool";
    let out = ["--batch-norm", "--epochs=1", "--quiet", "--out=spelled"];
    succeeds(path, &[&["train", spelled][..], &out].concat());
    let kinds = |run: &str| {
        let layers = json(path, &["inspect", run, "--json"])["layers"].clone();
        let kind =
            |layer: &serde_json::Value| layer.as_object().unwrap().keys().next().unwrap().clone();
        layers.as_array().unwrap().iter().map(kind).collect::<Vec<_>>()
    };
    assert_eq!(kinds("straight"), kinds("spelled"));
}

/// Pictures of 8x8 in MNIST's form.
fn idx(count: u8) -> Vec<u8> {
    let mut bytes = vec![0, 0, 8, 3, 0, 0, 0, count, 0, 0, 0, 8, 0, 0, 0, 8];
    bytes.extend((0..usize::from(count) * 64).map(|place| u8::try_from(place * 7 % 251).unwrap()));
    bytes
}

#[test]
fn a_line_of_dense_layers_is_what_hidden_gives() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let arrays = |run: &str, flags: &[&str]| {
        let short = ["train", "--epochs=1", "--batch-norm", "--batch=200", "--quiet"];
        succeeds(path, &into(&[&short[..], flags].concat(), run));
        let told = json(path, &["evaluate", run, "--json"]);
        (told, json(path, &["inspect", run, "--json"])["layers"].clone())
    };
    let dense = arrays("a", &["--network=dense:16,8"]);
    assert_eq!(dense, arrays("b", &["--hidden=16,8"]));
    let spelled = "--network=dense 16, dropout 0.2, dense 8, dropout 0.2";
    assert_eq!(dense, arrays("c", &[spelled]));
    let completed =
        "--network=dense 16, batch-norm, relu, dropout 0.2, dense 8, batch-norm, relu, dropout 0.2";
    let short = ["train", "--epochs=1", "--batch=200", "--quiet", completed];
    succeeds(path, &into(&short, "d"));
    assert_eq!(dense.1, json(path, &["inspect", "d", "--json"])["layers"]);
}

#[test]
fn lines_come_from_files_and_are_searched_and_listed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let line =
        "conv 4 5x5 stride 2 no-bias, pool 2 stride 1, depthwise, identity, global-pool, dense 8";
    let flag = format!("--network={line}");
    let train = ["train", &flag, "--batch-norm", "--epochs=1", "--batch=200"];
    let (toml, _) = succeeds(path, &[&train[..], &["--print-config"]].concat());
    let written = "network = \"conv 4 5x5 stride 2 no-bias, pool stride 1, depthwise 3x3, identity, global-pool, dense 8\"";
    assert!(toml.contains(written) && !toml.contains("hidden ="), "{toml}");
    fs::write(path.join("run.toml"), &toml).unwrap();
    succeeds(path, &into(&[&train[..], &["--quiet"]].concat(), "runs/line"));
    succeeds(path, &into(&["train", "--config=run.toml", "--quiet"], "runs/file"));
    assert!(model(&path.join("runs/line")) == model(&path.join("runs/file")));
    // A flag goes before the file, also where the other of the two says the layers.
    succeeds(path, &into(&["train", "--config=run.toml", "--hidden=8", "--quiet"], "runs/hidden"));
    let (table, _) = succeeds(path, &["runs"]);
    let head = table.lines().next().unwrap();
    assert!(head.contains("hidden") && head.contains("network"), "{table}");
    assert!(table.contains("pool stride 1, depthwise 3x3"), "{table}");

    let find = json(path, &["train", "--network=conv:4", "--find-lr", "--json", "--quiet"]);
    assert!(find["points"].as_array().unwrap().len() > 10, "{find}");
    let search =
        ["search", "--grid", "--epochs=1", "--batch=200", "--quiet", "--json", "--out=found"];
    let tries = "--try=network=conv:2|dense:4|conv 2, pool, flatten";
    let told = json(path, &[&search[..], &[tries]].concat());
    assert_eq!(told["trials"].as_array().unwrap().len(), 3, "{told}");
    let command = told["command"].as_str().unwrap();
    assert!(command.contains("--network="), "{command}");
}

#[test]
fn lines_that_cannot_be_are_refused_with_their_place() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    let drawn = "expected a layer, found `pol`\n  | conv 16, pol\n  |          ^^^\n  = a layer is one of conv, depthwise";
    fails(path, &["train", "--network=conv 16, pol"], 2, drawn);
    fs::write(path.join("run.toml"), "[network]\nnetwork = \"conv 16, pol\"\n").unwrap();
    fails(path, &["train", "--config=run.toml"], 2, drawn);
    fails(path, &["search", "--try=network=conv 16, pol|dense:4"], 2, drawn);
    let small = "conv 4, pool 4, pool 3, flatten";
    let drawn = "layer 4, max_pool: window: expected a window that fits into its input, found 3 x 3 in 2 x 2 x 4\n  \
                 | conv 4, pool 4, pool 3, flatten\n  |                 ^^^^^^\n  \
                 = pictures are 8 x 8 x 1, and 2 x 2 x 4 comes to this layer";
    fails(path, &["train", "--network", small], 2, drawn);
    let output = run(path, &["train", "--network=pool, dense 4"]);
    let said = text(&output.stderr);
    assert!(
        said.contains("layer 1, max_pool: its place")
            && said.contains("\n  | ^^^^\n  = begin with a layer that computes"),
        "{said}"
    );
    for (arguments, message) in [
        (&["--network=conv:4", "--hidden=8"][..], "cannot be used with"),
        (
            &["--network=conv 4", "--dropout=0.5"],
            "dropout cannot be used where the network line spells",
        ),
        (
            &["--network=conv 4, relu", "--activation=tanh"],
            "--network spells out what comes after each layer",
        ),
        (
            &["--network=conv 4, residual(identity)"],
            "layers of a residual connection: expected at least 1, found 0\n  | conv 4, residual(identity)\n  |         ^^^",
        ),
        (
            &["--network=conv 4 groups 3"],
            "groups that divide channels and units, found 3 for 1 and 4",
        ),
        (&["--from=run", "--network=conv:4"], "--network has no effect here"),
    ] {
        fails(path, &[&["train"][..], arguments].concat(), 2, message);
    }
    let both = "[network]\nhidden = [256, 128]\nnetwork = \"conv:4\"\n";
    fs::write(path.join("run.toml"), both).unwrap();
    fails(path, &["train", "--config=run.toml"], 2, "network cannot be used with hidden");
    assert!(!path.join("runs").exists() && !path.join("searches").exists());
    let help = succeeds(path, &["train", "--help"]).0;
    assert!(
        help.contains("Layers in one line (--network):") && help.contains("global-average-pool"),
        "{help}"
    );
}
