//! Files of text in run folders, which may be from somebody else.

use std::io;
use std::path::Path;

use dnn_store::StoreError;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::error::Result;

/// No `config.json`, plan or history is larger.
pub(crate) const LARGEST_TEXT: u64 = 1 << 30;

/// The text of a file, if there is one; bytes that are no UTF-8 are replaced. Nothing but a regular file
/// is opened.
pub(crate) fn read_text(path: &Path) -> Result<Option<String>, StoreError> {
    match dnn_store::read_file(path, LARGEST_TEXT) {
        Err(StoreError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        bytes => Ok(Some(String::from_utf8_lossy(&bytes?).into_owned())),
    }
}

/// What a text in JSON says; read as whatever it is first, as settings are, so that there is one reader of each type.
pub(crate) fn from_json<T: DeserializeOwned>(text: &str) -> serde_json::Result<T> {
    serde_json::from_value(serde_json::from_str::<Value>(text)?)
}
