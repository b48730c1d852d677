//! Runs by the library alone: with an observer and a clock of the caller's.
#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use dnn_data::ImageShape;
use dnn_data::picture::encode_png;
use dnn_run::{
    Classifier, Clock, EndedBy, Loaded, Observer, Report, Resumed, RunConfig, RunError, RunList,
    RunState, Silent, SystemClock, TimeLimit, train,
};
use dnn_train::EpochRecord;

/// Pictures of 6x4 that are darker in one class than in the other.
fn pictures(folder: &Path) {
    for (class, base) in [("dark", 0_u8), ("light", 120)] {
        fs::create_dir_all(folder.join(class)).unwrap();
        for number in 0..15_u8 {
            let pixels: Vec<u8> = (0..72).map(|place| base + number * 3 + place % 60).collect();
            let shape = ImageShape { height: 4, width: 6, channels: 3 };
            let png = encode_png(&pixels, shape).unwrap();
            fs::write(folder.join(class).join(format!("{number}.png")), png).unwrap();
        }
    }
}

fn config(photos: &Path) -> RunConfig {
    let mut config = RunConfig::default();
    config.data.path = Some(photos.to_owned());
    config.data.files.no_cache = true;
    config.network.hidden = Some("5".parse().unwrap());
    config.training.batch = Some("4".parse().unwrap());
    config.training.epochs = Some(6);
    config
}

/// Hears everything, and stops after so many epochs.
#[derive(Default)]
struct Hearing {
    notes: Vec<String>,
    epochs: Vec<u64>,
    begun: usize,
    ended: usize,
    stop_after: Option<usize>,
}

impl Observer for Hearing {
    fn note(&mut self, text: &str) {
        self.notes.push(text.to_owned());
    }

    fn training_begins(&mut self, epochs: u64) {
        assert_eq!(epochs, 6);
        self.begun += 1;
    }

    fn epoch(&mut self, record: &EpochRecord) {
        self.epochs.push(record.epoch);
    }

    fn training_ends(&mut self) {
        self.ended += 1;
    }

    fn wants_to_stop(&mut self) -> bool {
        self.stop_after.is_some_and(|after| self.epochs.len() >= after)
    }
}

/// A clock on which a minute passes whenever it is looked at.
struct Leaping(AtomicU64);

impl Clock for Leaping {
    fn elapsed(&self) -> Duration {
        Duration::from_secs(60 * self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn since_1970(&self) -> Duration {
        Duration::from_secs(1_000_000_000)
    }
}

#[test]
fn an_observer_hears_a_run_and_stops_it_and_it_goes_on_to_the_same_bits() {
    let folder = tempfile::tempdir().unwrap();
    let (photos, clock) = (folder.path().join("photos"), SystemClock::start());
    pictures(&photos);
    let config = config(&photos);
    let straight = train(&config, Some(&folder.path().join("straight")), &mut Silent, &clock);
    let straight: Report = straight.unwrap();

    let (run, mut hearing) =
        (folder.path().join("run"), Hearing { stop_after: Some(2), ..Hearing::default() });
    let error = train(&config, Some(&run), &mut hearing, &clock).unwrap_err();
    assert!(matches!(error, RunError::Interrupted { .. }), "{error}");
    assert_eq!((hearing.begun, hearing.ended, &hearing.epochs[..]), (1, 1, &[1, 2][..]));
    assert!(
        hearing.notes.iter().any(|note| note.starts_with("photos: pictures of 4x6x3, 2 classes"))
    );
    let state = |run: &Path| RunList::read(run).unwrap().runs[0].state;
    assert_eq!(state(&run), RunState::Resumable);
    // Somebody works there: it is nobody else's.
    let resumed = Resumed::open(&run).unwrap();
    assert!(Resumed::open(&run).unwrap_err().to_string().contains("is in use by process"));
    let mut other = resumed.config();
    other.training.l2 = 1.0;
    let error = resumed.check_same(&other).unwrap_err().to_string();
    assert!(error.contains("--l2: expected the default, found 1"), "{error}");
    let config = resumed.config();
    resumed.check_same(&config).unwrap();
    let loaded = Loaded::load(&config, &mut Silent).unwrap();
    let report = resumed.train_on(&loaded, &config, &mut Silent, &clock).unwrap();
    assert_eq!(report.model_sha256, straight.model_sha256);
    assert_eq!((report.end, &report.parts), (straight.end, &straight.parts));
    assert_eq!(Report::read(&run).unwrap(), Some(report));
    assert_eq!(state(&run), RunState::Finished);
}

#[test]
fn a_run_knows_the_time_from_its_clock_alone() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    pictures(&photos);
    let mut config = config(&photos);
    config.training.time_limit = Some(TimeLimit(Duration::from_secs(3600)));
    config.keeping.tensorboard = true;
    let run = folder.path().join("run");
    let clock = Leaping(AtomicU64::new(0));
    let report = train(&config, Some(&run), &mut Silent, &clock).unwrap();
    assert_eq!(report.end.by, EndedBy::TimeLimit);
    assert!(report.end.step < 36 && report.seconds >= 3600.0, "{report:?}");
    let events = fs::read_dir(run.join("tensorboard")).unwrap().next().unwrap().unwrap();
    let name = events.file_name().into_string().unwrap();
    assert!(name.starts_with("events.out.tfevents.1000000000."), "{name}");
}

#[test]
fn a_classifier_prepares_pictures_as_in_training_and_names_bad_ones() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    pictures(&photos);
    let mut config = config(&photos);
    config.data.size = Some("3x2".parse().unwrap());
    config.data.resize = "pad".parse().unwrap();
    config.data.filter = "nearest".parse().unwrap();
    config.training.epochs = Some(60);
    let run = folder.path().join("run");
    train(&config, Some(&run), &mut Silent, &SystemClock::start()).unwrap();
    // A folder stands for its model, which knows how its pictures come to it without anything beside it.
    fs::copy(run.join("model.dnn"), folder.path().join("alone.dnn")).unwrap();
    for path in [run, folder.path().join("alone.dnn")] {
        let classifier = Classifier::load(path).unwrap();
        assert_eq!(classifier.preprocessing().to_string(), "2x3x3 pad nearest");
        for (class, name) in [(0, "dark"), (1, "light")] {
            assert_eq!(classifier.classes()[class], name);
            let bytes = fs::read(photos.join(name).join("3.png")).unwrap();
            let answer = classifier.classify(&bytes).unwrap();
            assert_eq!(answer.class, Some(class), "{answer:?}");
            let sum: f64 = answer.probabilities.iter().sum();
            assert!((sum - 1.0).abs() < 1e-6 && answer.probabilities[class] > 0.5, "{answer:?}");
            for (bytes, reason) in [
                (&b""[..], "the file is empty"),
                (b"<html>", "expected a picture"),
                (&bytes[..bytes.len() / 2], "damaged PNG"),
            ] {
                let error = classifier.classify(bytes).unwrap_err();
                assert!(matches!(error, RunError::BadFile(_)), "{error:?}");
                assert!(error.to_string().contains(reason), "{error}");
            }
        }
        let wrong = ImageShape { height: 3, width: 3, channels: 3 };
        let error = classifier.check_shape(wrong).unwrap_err().to_string();
        assert_eq!(error, "the model expects pictures of 2x3x3, found 3x3x3");
    }
}

/// A clock on which ten milliseconds pass whenever it is looked at: so long is a step that is timed.
struct Ticking(AtomicU64);

impl Clock for Ticking {
    fn elapsed(&self) -> Duration {
        Duration::from_millis(10 * self.0.fetch_add(1, Ordering::Relaxed))
    }

    fn since_1970(&self) -> Duration {
        Duration::from_secs(1_800_000_000)
    }
}

#[test]
fn a_time_budget_is_as_many_epochs_as_timed_steps_leave_room_for() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    pictures(&photos);
    let planned = |milliseconds: u64| {
        let mut config = config(&photos);
        config.training.epochs = None;
        config.training.time_budget = Some(TimeLimit(Duration::from_millis(milliseconds)));
        let run = folder.path().join(milliseconds.to_string());
        train(&config, Some(&run), &mut Silent, &Ticking(AtomicU64::new(0)))
    };
    let report = planned(6000).unwrap();
    let count = |part: &str| report.part(part).map_or(0, |part| part.evaluation.examples);
    let [training, validation, test] = ["train", "validation", "test"].map(count);
    assert_eq!(training + validation + test, 30);
    // Batches of 4. What is only measured takes 0.4 of a step; 0.94 of the time that timing leaves is planned with.
    let picture = 0.01 / 4.0;
    let epoch = (training as f64 + 0.4 * validation as f64) * picture;
    let expected = (0.94 * 6.0 - 0.4 * 30.0 * picture) / epoch;
    let found = report.end.epochs as f64;
    assert!((0.9 * expected..=expected).contains(&found), "{found} of {expected}");
    // The plan is in the record, and no clock.
    let record = Resumed::open(&folder.path().join("6000")).unwrap().config();
    assert_eq!((record.epochs() as f64, record.training.time_budget), (found, None));
    let error = planned(1000).map(|report| report.end.epochs);
    assert!(error.is_ok_and(|epochs| epochs < report.end.epochs / 4));
    let error = planned(100).unwrap_err().to_string();
    assert!(error.contains("is not enough for one epoch"), "{error}");
}

#[test]
fn a_run_whose_rates_are_laid_out_for_its_length_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    pictures(&photos);
    let mut config = config(&photos);
    for (schedule, is_free) in [("one-cycle", false), ("trapezoid", false), ("constant", true)] {
        config.training.schedule = Some(schedule.parse().unwrap());
        let run = folder.path().join(schedule);
        train(&config, Some(&run), &mut Silent, &SystemClock::start()).unwrap();
        let resumed = Resumed::open(&run).unwrap();
        let mut longer = resumed.config();
        longer.training.epochs = Some(7);
        let same = resumed.check_same(&longer);
        match same.map_err(|error| error.to_string()) {
            Ok(()) => assert!(is_free, "{schedule}"),
            Err(error) => {
                assert!(
                    !is_free && error.contains("laid out for 6 epochs, found --epochs 7"),
                    "{error}"
                );
            }
        }
    }
}

#[test]
fn a_model_that_pools_all_of_a_picture_begins_a_run_on_pictures_of_another_size() {
    let folder = tempfile::tempdir().unwrap();
    let photos = folder.path().join("photos");
    pictures(&photos);
    let trained = |network: &str, from: Option<&Path>, size: Option<&str>| {
        let mut config = config(&photos);
        config.network.hidden = None;
        config.network.network = from.is_none().then(|| network.parse().unwrap());
        config.network.from = from.map(Path::to_owned);
        config.data.size = size.map(|size| size.parse().unwrap());
        config.training.epochs = Some(1);
        let run = folder.path().join(format!("{network} {}", size.unwrap_or("own")));
        train(&config, Some(&run), &mut Silent, &SystemClock::start()).map(|report| report.model)
    };
    let model = trained("conv 4, global-pool", None, None).unwrap();
    let larger = trained("conv 4, global-pool", Some(&model), Some("12x7")).unwrap();
    let classifier = Classifier::load(&larger).unwrap();
    let answer = classifier.classify(&fs::read(photos.join("light/3.png")).unwrap());
    assert!(answer.unwrap().class.is_some());
    // As many numbers in another order are another input.
    for network in ["dense 4", "conv 4, flatten, dense 5"] {
        let model = trained(network, None, None).unwrap();
        let error = trained(network, Some(&model), Some("4x6")).unwrap_err().to_string();
        assert!(error.contains("is for pictures of 4x6x3, the data has 6x4x3"), "{error}");
    }
}
