//! What a run is: from data and settings to a trained network, in a folder that can be resumed, compared and
//! verified.
//!
//! The one idea: a [`RunConfig`] says everything. It is made in code, from flags or from a TOML file, recorded in
//! the run folder and in the model, and read back from there.
//!
//! | you want to | use |
//! |---|---|
//! | train on pictures or arrays | [`train`]; step by step: [`check`], [`Loaded::load`], [`train_on`] |
//! | go on with a run | [`Resumed`] |
//! | classify pictures | [`Classifier`] |
//! | see which places of a picture speak for its class | [`Classifier::explain`], [`draw_heat`] |
//! | measure a model | [`EvaluationData`] |
//! | choose settings | [`Search`], [`find_rate`] |
//! | train a model again, and compare | [`Claim`] |
//! | compare runs | [`RunList`] |
//!
//! What it leaves out on purpose: command lines, progress bars and exit codes (`dnn-cli`). It prints nothing, and
//! reads the time only from the [`Clock`] that it is given.
//!
//! # Examples
//! What `dnn train DIR` does, and `dnn predict` after it:
//! ```
//! use dnn_run::{Classifier, RunConfig, Silent, SystemClock, train};
//!
//! # let folder = tempfile::tempdir()?;
//! # let (photos, run) = (folder.path().join("photos"), folder.path().join("run"));
//! # for (class, level) in [("day", 200), ("night", 10)] {
//! #     std::fs::create_dir_all(photos.join(class))?;
//! #     for number in 0..10_u8 {
//! #         let shape = dnn_data::ImageShape { height: 8, width: 8, channels: 3 };
//! #         let png = dnn_data::picture::encode_png(&[level + number; 192], shape)?;
//! #         std::fs::write(photos.join(class).join(format!("{number}.png")), png)?;
//! #     }
//! # }
//! let mut config = RunConfig::default();
//! config.data.path = Some(photos.clone());
//! config.data.files.no_cache = true;
//! config.network.hidden = Some("16".parse()?);
//! config.training.epochs = Some(20);
//! let report = train(&config, Some(&run), &mut Silent, &SystemClock::start())?;
//! assert_eq!(report.end.epochs, 20);
//!
//! let classifier = Classifier::load(&report.model)?;
//! let answer = classifier.classify(&std::fs::read(photos.join("night/3.png"))?)?;
//! assert_eq!(answer.class.map(|class| &classifier.classes()[class][..]), Some("night"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod advice;
mod budget;
mod checkpoints;
mod classifier;
mod config;
mod error;
mod evaluate;
mod experiment;
mod explain;
mod find_rate;
mod history_file;
mod layers;
mod loaded;
mod lock;
mod model;
mod observer;
mod parts;
mod picture_sizes;
mod planned;
mod preprocessing;
mod provenance;
mod recipe;
mod record;
mod recorder;
mod regression;
mod report;
mod run;
mod run_folder;
mod runs;
mod search;
mod source;
mod space;
mod tensorboard;
mod text_file;
mod training;
mod trials;
mod v1;
mod verify;
mod versions;
pub mod words;

pub use classifier::{Classifier, Prediction};
pub use config::{
    BadFilePolicy, DataConfig, FilesConfig, KeepingConfig, LineLayer, NetworkConfig, NetworkLine,
    PictureSize, RunConfig, ScalingRule, Settings, SizeFrom, TimeLimit, TrainingConfig,
    TrainingPrecision, TrainingSizes, Widths,
};
pub use error::{Result, RunError};
pub use evaluate::{EvaluatedPart, EvaluationData, EvaluationReport};
pub use explain::{Drawing, ExplainedBy, Explanation, draw_heat};
pub use find_rate::find_rate;
pub use loaded::Loaded;
pub use model::{classes, file_of, load as load_model};
pub use observer::{Clock, Observer, Silent, SystemClock};
pub use parts::MeasuredPart;
pub use planned::{PlannedRun, plan_run};
pub use provenance::config_of;
pub use record::{RunRecord, SOFTWARE};
pub use report::{EndedBy, Report, RunEnd};
pub use run::{Resumed, check, train, train_on};
pub use run_folder::RunFolder;
pub use runs::{RunList, RunState, RunSummary, UnreadableRun};
pub use search::{Search, SearchReport};
pub use space::{Trial, TrialSetting, Try, describe};
pub use trials::{SearchPlan, TrialBegins, TrialOutcome};
pub use verify::{Claim, DataPlace, Verdict};

/// The example of this crate's README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
