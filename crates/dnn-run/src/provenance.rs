//! Between a configuration and what a model records of it.
//!
//! The names are those of 0.1, so that models of any version are read alike.

use dnn_data::picture::Preprocessing;
use dnn_layers::Provenance;

use crate::config::{PictureSize, RunConfig, Settings, TrainingSizes};
use crate::error::{Result, RunError};
use crate::parts::SplitPlan;

/// The records of a model that say what came of a run, and ask for nothing.
const OF_THE_RESULT: [&str; 3] = ["ended_by", "epochs_run", "best_epoch"];

/// How the pictures came to the shape of the network's input.
const PREPROCESSING: &str = "preprocessing";

/// The sizes of pictures in training, and the one that they are kept in.
const SIZE: &str = "size";
const KEEP_SIZE: &str = "keep_size";

/// SHA-256 of the model that training started from.
const FROM: &str = "from";

/// What a model records of the settings of its run.
pub(crate) fn settings(
    config: &RunConfig,
    preprocessing: Option<Preprocessing>,
    from_sha256: Option<&str>,
) -> Settings {
    let mut settings = config.settings_of_model();
    if let Some(preprocessing) = preprocessing {
        settings.insert(PREPROCESSING.to_owned(), preprocessing.to_string());
        // Those that are not the network's own.
        let own = own_size(preprocessing);
        let data = &config.data;
        let size = data.size.as_ref().filter(|size| **size != TrainingSizes::always(own));
        let keep = data.keep_size.filter(|&size| size != own);
        let others =
            [(SIZE, size.map(ToString::to_string)), (KEEP_SIZE, keep.map(|size| size.to_string()))];
        let others = others.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?)));
        settings.extend(others);
    }
    if let Some(sha256) = from_sha256 {
        settings.insert(FROM.to_owned(), sha256.to_owned());
    }
    settings
}

/// The configuration of the run that a model came from, as far as its numbers follow from it: without places,
/// and without the model that it started from.
///
/// # Errors
/// [`RunError::Usage`] for a setting that this version does not know.
pub fn config_of(provenance: &Provenance) -> Result<RunConfig> {
    from_records(&provenance.settings, provenance.seed)
}

pub(crate) fn from_records(records: &Settings, seed: u64) -> Result<RunConfig> {
    let mut settings = records.clone();
    settings.retain(|name, _| name != FROM && !OF_THE_RESULT.contains(&name.as_str()));
    let preprocessing = settings.remove(PREPROCESSING);
    settings.insert("seed".to_owned(), seed.to_string());
    let mut config = RunConfig::from_settings(&settings)?;
    if let Some(text) = preprocessing {
        let preprocessing: Preprocessing = text.parse()?;
        let own = own_size(preprocessing);
        config.data.size.get_or_insert(TrainingSizes::always(own));
        config.data.keep_size.get_or_insert(own);
        config.data.evaluate_size = Some(own);
        config.data.resize = preprocessing.fit;
        config.data.filter = preprocessing.filter;
    }
    Ok(config)
}

fn own_size(preprocessing: Preprocessing) -> PictureSize {
    let shape = preprocessing.shape;
    PictureSize { width: shape.width, height: shape.height }
}

/// SHA-256 of the model that training started from.
pub(crate) fn from_sha256(provenance: &Provenance) -> Option<&str> {
    provenance.settings.get(FROM).map(String::as_str)
}

/// How the pictures came to the network's input, where the model says so.
pub(crate) fn preprocessing(provenance: &Provenance) -> Result<Option<Preprocessing>> {
    let text = provenance.settings.get(PREPROCESSING);
    text.map(|text| text.parse().map_err(RunError::from)).transpose()
}

/// How the data was divided in training.
pub(crate) fn split(provenance: &Provenance) -> Result<SplitPlan> {
    let share = |name: &str| {
        let share = provenance.settings.get(name).and_then(|share| share.parse().ok());
        share.ok_or_else(|| {
            RunError::Usage(format!(
                "the model was trained on this data, but does not say which share was `{name}`"
            ))
        })
    };
    Ok(SplitPlan {
        split: share("split")?,
        validation: share("validation")?,
        seed: provenance.seed,
    })
}
