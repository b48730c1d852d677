//! What lies in run and search folders, read whichever version wrote it.

use std::path::Path;

use serde_json::Value;

use crate::error::{Context as _, Result, RunError};
use crate::record::RunRecord;
use crate::run_folder::{CONFIG, SEARCH, not_to_resume};
use crate::text_file::{LARGEST_TEXT, read_text};
use crate::trials::SearchPlan;
use crate::v1;

impl RunRecord {
    /// That of the run in a folder, of this version or 0.1.
    ///
    /// # Errors
    /// [`RunError::Store`] if it cannot be read, [`RunError::Data`] if it is none, [`RunError::Context`] with the
    /// file for a setting that is none.
    pub fn read(run: &Path) -> Result<Self> {
        let path = run.join(CONFIG);
        let bytes = dnn_store::read_file(&path, LARGEST_TEXT)?;
        let other = |error: serde_json::Error| {
            RunError::Data(format!("{} is not a run's config.json: {error}", path.display()))
        };
        let value: Value = serde_json::from_slice(&bytes).map_err(other)?;
        if value.get("settings").is_some() {
            let config: v1::Config = serde_json::from_value(value).map_err(other)?;
            return config.into_record().context(|| format!("the settings in {}", path.display()));
        }
        serde_json::from_value(value).map_err(other)
    }
}

impl SearchPlan {
    /// That of the search in a folder, of this version or 0.1.
    ///
    /// # Errors
    /// [`RunError::Usage`] if it is no search folder, [`RunError::Data`] if its plan is none.
    pub fn read(folder: &Path) -> Result<Self> {
        let file = folder.join(SEARCH);
        let Some(text) = read_text(&file)? else { return Err(not_to_resume(folder, SEARCH)) };
        let other = |error: serde_json::Error| {
            RunError::Data(format!("{} is not a search's {SEARCH}: {error}", file.display()))
        };
        let value: Value = serde_json::from_str(&text).map_err(other)?;
        if value.get("arguments").is_some() {
            let search: v1::Search = serde_json::from_value(value).map_err(other)?;
            return search.into_plan().context(|| format!("the settings in {}", file.display()));
        }
        serde_json::from_value(value).map_err(other)
    }
}
