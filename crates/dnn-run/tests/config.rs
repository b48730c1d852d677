//! Every setting in every form.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use dnn_run::RunConfig;

/// Every setting with a value that is not its default.
fn other() -> RunConfig {
    let text = r#"
        [data]
        path = "photos"
        size = "9x8,12@0.5"
        keep_size = 20
        evaluate_size = "16x15"
        evaluate_flip = true
        resize = "pad"
        filter = "lanczos"
        scaling = "unit"
        augment = "flip,shift=1"
        split = 0.25
        validation = 0
        files = { bad_files = "skip", max_bad = 7.5, lenient = true, no_cache = true }

        [network]
        hidden = []
        activation = "leaky-relu:0.2"
        batch_norm = true
        dropout = 0.0
        init = "normal:0.1"
        precision = "f64"
        from = "first.dnn"

        [training]
        optimizer = "adam:beta1=0.8"
        learning_rate = 1
        schedule = "step:factor=0.5,every=2"
        l2 = 0.5
        clip_value = 2.0
        warm_up = 3
        class_weights = [1, 2.5]
        label_smoothing = 0.1
        mixing = "cutmix:share=1.0"
        whitening = true
        weight_averaging = 0.99
        epochs = 7
        batch = "full"
        gram = "never"
        early_stopping = 2
        min_delta = 0.01
        monitor = "cost"
        restore_best = true
        calibrate = true
        steps = 12
        time_limit = "1h30m"
        time_budget = "2m"
        seed = "18446744073709551615"

        [keeping]
        checkpoint_every = 5
        keep_last = 2
        keep_every = 10
        keep_best = true
        tensorboard = true
    "#;
    RunConfig::from_toml(text).unwrap()
}

#[test]
fn every_setting_comes_back_from_every_form() {
    let (default, other) = (RunConfig::default(), other());
    for config in [&default, &default.resolved(), &other, &other.resolved()] {
        assert_eq!(RunConfig::from_settings(&config.settings()).unwrap(), *config);
        let json = serde_json::to_string(config).unwrap();
        assert_eq!(serde_json::from_str::<RunConfig>(&json).unwrap(), *config);
        let mut own = config.clone();
        if own.network.from.is_some() {
            // What a model brings along is not said.
            let text = own.to_toml().unwrap();
            let said =
                |name: &str| text.lines().any(|line| line.starts_with(&format!("{name} = ")));
            assert!(
                said("precision") && said("from") && !said("hidden") && !said("scaling"),
                "{text}"
            );
            assert!(RunConfig::from_toml(&text).is_ok(), "{text}");
        }
        own.network.from = None;
        assert_eq!(RunConfig::from_toml(&own.to_toml().unwrap()).unwrap(), own);
    }
    // Nothing was forgotten above: but for one of two ways to clip, and to say the layers, every setting has another
    // value.
    let (default, other) = (default.settings(), other.settings());
    let fields = serde_json::to_string(&RunConfig::default()).unwrap().matches("\":").count();
    let sections = 5;
    assert_eq!(other.len() + 2, fields - sections, "{other:?}");
    assert!(other.iter().all(|(name, text)| default.get(name) != Some(text)), "{other:?}");
}

#[test]
fn what_a_model_keeps_is_what_its_numbers_follow_from() {
    // What the pictures choose is not known yet.
    let automatic = RunConfig::default().resolved();
    assert_eq!(automatic.settings()["network"], "auto");
    assert!(!automatic.settings().contains_key("epochs"));
    let dense = RunConfig::from_toml("[network]\nhidden = [256, 128]").unwrap();
    let kept = dense.resolved().settings_of_model();
    let names: Vec<&str> = kept.keys().map(String::as_str).collect();
    let expected = "activation batch dropout epochs hidden init learning_rate optimizer precision schedule split \
                    validation";
    assert_eq!(names.join(" "), expected);
    assert_eq!(kept["hidden"], "256,128");
    let line = RunConfig::from_toml("[network]\nnetwork = \"conv:4,8\"").unwrap();
    let kept = line.resolved().settings_of_model();
    assert_eq!([&kept["network"], &kept["dropout"]], ["conv:4,8", "0"]);
    assert!(!kept.contains_key("hidden"), "{kept:?}");
    let kept = other().settings_of_model();
    assert_eq!([&kept["validation"], &kept["steps"], &kept["min_delta"]], ["0", "12", "0.01"]);
    for name in ["hidden", "dropout", "scaling", "path", "keep_best", "seed", "time_limit"] {
        assert!(!kept.contains_key(name), "{name}");
    }
}

#[test]
fn wrong_settings_are_named_with_what_there_is() {
    for (text, message) in [
        ("[training]\nepochs = \"x\"", "line 2 (epochs = \"x\"): invalid type: string \"x\""),
        ("[training]\nepoch = 1", "unknown field `epoch`, expected one of `optimizer`"),
        ("[train]\nepochs = 1", "unknown field `train`, expected one of `data`, `network`"),
        (
            "[network]\nhidden = [3, 0]",
            "line 2 (hidden = [3, 0]): expected whole numbers of at least 1",
        ),
        ("[network]\nactivation = \"swish\"", "unknown activation `swish`; expected one of"),
        ("[data]\nsize = 0", "expected sides of 1 to 16384 pixels"),
        ("[data]\nsplit = ", "line 2 (split =): "),
    ] {
        let error = RunConfig::from_toml(text).unwrap_err().to_string();
        assert!(error.contains(message), "{text}: {error}");
    }
    let default = RunConfig::default();
    for (name, value, message) in [
        ("hiden", "3", "unknown setting `hiden`; expected one of activation, augment, bad_files"),
        ("hidden", "x", "hidden: expected whole numbers of at least 1"),
        ("l2", "x", "l2: expected a number, found `x`"),
        ("epochs", "-1", "epochs: expected a whole number, found `-1`"),
        ("batch_norm", "yes", "batch_norm: expected true or false, found `yes`"),
    ] {
        let error = default.with([(name, value)]).unwrap_err().to_string();
        assert!(error.contains(message), "{name}={value}: {error}");
    }
    for (name, value, message) in [
        ("split", "1", "split: expected a number from 0 up to but not including 1, found `1`"),
        ("validation", "NaN", "found `NaN`"),
        ("max_bad", "101", "max_bad: expected a number from 0 to 100, found `101`"),
        ("epochs", "0", "epochs: expected a whole number of at least 1, found `0`"),
        ("min_delta", "1", "min_delta is for early stopping"),
    ] {
        let error = default.with([(name, value)]).unwrap().check().unwrap_err().to_string();
        assert!(error.contains(message), "{name}={value}: {error}");
    }
    let both = default.with([("clip_norm", "1"), ("clip_value", "1")]).unwrap();
    assert!(
        both.check().unwrap_err().to_string().contains("clip_norm cannot be used with clip_value")
    );
}

#[cfg(unix)]
#[test]
fn a_path_that_is_no_text_is_refused_and_breaks_nothing() {
    use std::os::unix::ffi::OsStrExt as _;

    let mut config = RunConfig::default();
    config.data.path = Some(std::ffi::OsStr::from_bytes(b"ph\xf6tos").into());
    assert_eq!(config.settings()["path"], "ph\u{fffd}tos");
    config.to_toml().unwrap();
    let error = config.check().unwrap_err().to_string();
    assert!(error.contains("expected a path in UTF-8, found ph"), "{error}");
}
