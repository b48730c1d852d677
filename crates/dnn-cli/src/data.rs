//! Where data lies that was named on the command line, and what a command on it ends with.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dnn_run::RunError;

use crate::output::note;

/// The folder that `dnn fetch` puts data sets into.
const FETCHED: &str = "datasets";

/// The exit code of a command that left bad files out.
const LEFT_OUT: u8 = 7;

/// Where data that was named on the command line lies; `None` for the built-in digits.
///
/// A path that is there is that path. Otherwise the name of a data set of `dnn fetch` means that set, in
/// `datasets` or built in.
pub(crate) fn place(named: Option<&Path>) -> Result<Option<PathBuf>, RunError> {
    let Some(path) = named else { return Ok(None) };
    let short = path.strip_prefix(FETCHED).unwrap_or(path);
    let known = short.to_str().and_then(|name| dnn_fetch::manifest::find(name).ok());
    let Some(set) = known else { return Ok(Some(path.to_path_buf())) };
    let (name, is_short) = (&set.name, short == path);
    let fetched = Path::new(FETCHED).join(name);
    // A link that leads nowhere is there, too: it is wrong, and not to be stepped over.
    if path.symlink_metadata().is_ok() {
        if is_short {
            note(&format!("note: {name} is what lies here, not the data set of dnn fetch"));
        }
        Ok(Some(path.to_path_buf()))
    } else if fetched.is_dir() {
        note(&format!("note: {name} is the data set in {}", fetched.display()));
        Ok(Some(fetched))
    } else if set.embedded && is_short {
        Ok(None)
    } else {
        let message = format!(
            "expected the data set {name} in {}, found nothing; get it with: dnn fetch {name}",
            fetched.display()
        );
        Err(RunError::Missing(message))
    }
}

/// Success, or the code for this many files that were left out.
pub(crate) fn exit_code(left_out: usize) -> ExitCode {
    if left_out == 0 { ExitCode::SUCCESS } else { ExitCode::from(LEFT_OUT) }
}
