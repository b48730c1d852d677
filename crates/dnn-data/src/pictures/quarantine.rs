//! Bad files, put aside with their reasons.

use std::fs;
use std::path::Path;

use super::load::BadFile;
use crate::{DataError, Result};

/// Where they go, inside the data; hidden, so that it is no class.
const FOLDER: &str = ".quarantine";

/// Moves `bad` from `root` to its quarantine, never over another file, and adds their reasons to
/// `reasons.tsv` there.
pub(super) fn quarantine(root: &Path, bad: &[BadFile]) -> Result<()> {
    let folder = root.join(FOLDER);
    let reasons = folder.join("reasons.tsv");
    let mut table = match fs::read_to_string(&reasons) {
        Ok(table) => table,
        Err(_) => "path\treason\n".to_owned(),
    };
    let before = table.len();
    for file in bad {
        let from = root.join(&file.path);
        if fs::symlink_metadata(&from).is_err() {
            continue; // Nothing there to move, as where a listed file is missing.
        }
        let to = free_name(&folder.join(&file.path));
        let fail = |source| DataError::Move { from: from.clone(), to: to.clone(), source };
        fs::create_dir_all(to.parent().unwrap_or(&folder)).map_err(fail)?;
        // Both are inside the data, so a rename does; a mount in between is an error, not a copy.
        fs::rename(&from, &to).map_err(fail)?;
        table += &format!("{}\t{}\n", in_cell(&file.path), in_cell(&file.reason));
    }
    if table.len() == before {
        return Ok(());
    }
    dnn_store::commit(&reasons, table.as_bytes())
        .map_err(|source| DataError::Cache { path: reasons.clone(), source })
}

/// The path, or one beside it that is not taken yet.
fn free_name(path: &Path) -> std::path::PathBuf {
    let taken = |path: &Path| fs::symlink_metadata(path).is_ok();
    let mut free = path.to_path_buf();
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let mut number = 2;
    while taken(&free) {
        free.set_file_name(format!("{number}-{name}"));
        number += 1;
    }
    free
}

fn in_cell(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}
