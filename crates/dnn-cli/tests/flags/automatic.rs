//! What the pictures choose, and pictures of several sizes.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::made::{class, fails, succeeds};
use crate::support::text;

fn pictures(here: &Path, sides: [usize; 2]) {
    class(&here.join("data/day"), sides, true, 10);
    class(&here.join("data/night"), sides, false, 10);
}

fn config_in(here: &Path, run: &str) -> Value {
    let record: Value =
        serde_json::from_slice(&fs::read(here.join(run).join("config.json")).unwrap()).unwrap();
    record["config"].clone()
}

#[test]
fn pictures_of_several_sizes_resume_verify_and_are_measured_alike() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    pictures(here, [33, 30]);
    let sizes = ["--size=8,12x10@0.5", "--keep-size=20", "--evaluate-size=16", "--evaluate-flip"];
    let network = ["--network=conv 4, global-pool", "--augment=flip,crop=0.7,ratio=1.3"];
    let of_all = ["train", "data", "--epochs=4", "--checkpoint-every=1"];
    let train = [&of_all[..], &sizes, &network].concat();
    succeeds(here, &[&train[..], &["--out=straight"]].concat());
    // No step is made a second time: the run goes on from its last one.
    succeeds(here, &[&train[..], &["--out=stopped", "--steps=3"]].concat());
    succeeds(here, &["train", "--resume=stopped"]);
    let model = |run: &str| fs::read(here.join(run).join("model.dnn")).unwrap();
    assert!(model("straight") == model("stopped"));
    let shown = text(&succeeds(here, &["inspect", "straight"]).stdout);
    for line in [
        "preprocessing  16x16x3 stretch bilinear\n",
        "size           8x8,12x10@0.5\n",
        "keep size      20x20\n",
        "evaluate flip  true\n",
    ] {
        assert!(shown.contains(line), "{line}{shown}");
    }
    assert!(text(&succeeds(here, &["verify", "straight"]).stdout).starts_with("same"));
    let table = |output: &str| -> Vec<String> {
        let rows = output.lines().filter(|line| line.contains(" % "));
        rows.map(str::to_owned).collect()
    };
    let trained = text(&succeeds(here, &[&train[..], &["--out=again"]].concat()).stdout);
    let evaluated = text(&succeeds(here, &["evaluate", "straight", "data"]).stdout);
    assert_eq!(table(&trained), table(&evaluated));
    assert_eq!(table(&trained).len(), 4, "{trained}");
    // A length that the sizes are not laid out for is refused before the run's record is touched.
    let record = || fs::read(here.join("stopped/config.json")).unwrap();
    let before = record();
    let longer = ["train", "--resume=stopped", "--epochs=9"];
    fails(here, &longer, 2, "are laid out for 4 epochs, found --epochs 9");
    assert!(record() == before);
    let other = ["train", "--resume=stopped", "--evaluate-size=20"];
    fails(here, &other, 2, "--evaluate-size: expected 16x16, found 20x20");
    let flat = ["--network=conv 4, flatten, dense 3", "--out=flat"];
    fails(
        here,
        &[&of_all[..], &sizes, &flat].concat(),
        2,
        "pictures of 10 x 12 x 3 would need dense1.weights of shape (3, 480), found (3, 1024); only a network whose last \
         pooling is global takes pictures of several sizes",
    );
    assert!(!here.join("flat").exists());
    for sizes in ["8,12", "8,12@1", "8@0.5"] {
        let size = format!("--size={sizes}");
        fails(here, &["train", "data", &size], 2, "expected sizes like 64, or 48,64@0.5");
    }
}

#[test]
fn photos_get_convolutions_and_what_goes_with_them() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    pictures(here, [70, 66]);
    let output = succeeds(here, &["train", "data", "--epochs=1", "--out=run"]);
    let said = text(&output.stderr);
    let expected = "note: pictures get 48x48 in training, from 0.5 of the epochs on 64x64, made of 96x96, and 80x80 in \
                    prediction, since they have no common size up to 64x64; --size gives another";
    assert!(said.contains(expected), "{said}");
    let config = config_in(here, "run");
    let layers = config["network"]["network"].as_str().unwrap();
    assert!(layers.starts_with("conv 24 stride 2, conv 48, pool, residual(conv 48, conv 48)"));
    assert_eq!(config["training"]["label_smoothing"], 0.05);
    assert_eq!(config["training"]["optimizer"], "muon:adam_ratio=0.12");
    assert!(text(&succeeds(here, &["verify", "run"]).stdout).starts_with("same"));
    succeeds(here, &["predict", "run", "data/day/1.png"]);

    // The network goes by the smallest pictures that it sees.
    let tiny = ["train", "data", "--size=8,70@0.5", "--epochs=2", "--out=tiny"];
    succeeds(here, &tiny);
    assert_eq!(
        config_in(here, "tiny")["network"]["network"],
        "conv 16, conv 16, pool, conv 32, conv 32, global-pool"
    );

    // A name for what is chosen anyway; and whoever says more gets that.
    let named = ["train", "data", "--network=auto", "--epochs=1", "--out=named"];
    succeeds(here, &named);
    let model = |run: &str| fs::read(here.join(run).join("model.dnn")).unwrap();
    assert!(model("run") == model("named"));
    succeeds(here, &["train", "data", "--hidden=3", "--epochs=1", "--out=dense"]);
    let dense = config_in(here, "dense");
    assert_eq!(dense["training"]["optimizer"], "adam");
    assert_eq!(dense["data"]["size"], "64x64");
}

#[test]
fn a_time_budget_is_a_plan_that_is_recorded_and_repeated_without_a_clock() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    pictures(here, [40, 40]);
    let small = ["--size=20", "--augment=none"];
    let train = [&["train", "data", "--time-budget=2s", "--out=planned"][..], &small].concat();
    let said = text(&succeeds(here, &train).stderr);
    assert!(said.contains("note: for 2s: ") && said.contains(" of conv "), "{said}");
    let config = config_in(here, "planned");
    let epochs = config["training"]["epochs"].as_u64().unwrap();
    assert!((1..=300).contains(&epochs), "{epochs}");
    assert_eq!(config["training"]["time_budget"], Value::Null);
    assert!(text(&succeeds(here, &["verify", "planned"]).stdout).starts_with("same"));
    let both = ["train", "data", "--time-budget=2s", "--epochs=3"];
    fails(here, &both, 2, "leave one of --time-budget and --epochs out");
    let resumed = ["train", "--resume=planned", "--time-budget=2s"];
    fails(here, &resumed, 2, "--time-budget: expected the default, found 2s");
    // A network that somebody chose gets the epochs alone.
    let dense = ["train", "data", "--hidden=3", "--time-budget=1s", "--size=4", "--out=dense"];
    assert!(text(&succeeds(here, &dense).stderr).contains("note: for 1s: 300 epochs"));
}

#[test]
fn mixed_pictures_white_filters_and_average_weights_resume_and_verify() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path();
    let of_all = ["train", "--epochs=3", "--whitening", "--weight-averaging=0.9", "--network=auto"];
    let train = [&of_all[..], &["--mixing=cutmix:share=1", "--schedule=trapezoid"]].concat();
    succeeds(here, &[&train[..], &["--out=straight"]].concat());
    succeeds(here, &[&train[..], &["--out=stopped", "--steps=50"]].concat());
    succeeds(here, &["train", "--resume=stopped"]);
    let model = |run: &str| fs::read(here.join(run).join("model.dnn")).unwrap();
    assert!(model("straight") == model("stopped"));
    let shown = text(&succeeds(here, &["inspect", "straight"]).stdout);
    for line in ["mixing         cutmix:share=1.0\n", "whitening      true\n"] {
        assert!(shown.contains(line), "{line}{shown}");
    }
    assert!(text(&succeeds(here, &["verify", "straight"]).stdout).starts_with("same"));
    // What cannot be is refused before there is a run.
    for (flags, reason) in [
        (
            &["--hidden=8", "--whitening"][..],
            "begins with a convolution of all channels, found dense1",
        ),
        (&["--optimizer=lbfgs", "--mixing=mixup"], "the same cost at every step, found mixing"),
    ] {
        fails(here, &[&["train", "--out=refused"], flags].concat(), 2, reason);
        assert!(!here.join("refused").exists());
    }
}
