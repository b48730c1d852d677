//! Where the data comes from: the built-in digits, stored arrays or pictures.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use dnn_data::{
    CacheUse, DataError, Dataset, Ignored, ImageDataset, LoadOptions, LoadReport, Loaded,
    load_arrays, load_pictures, load_test_part,
};

use crate::failure::Refusal;
use crate::output::{counted, note};

/// The folder that `dnn fetch` puts data sets into.
const FETCHED: &str = "datasets";

/// How many files are named on standard error.
const NAMED: usize = 10;

/// The exit code of a command that left bad files out.
const LEFT_OUT: u8 = 7;

/// Data and, where it was made of picture files, what became of each.
pub(crate) struct Source {
    pub(crate) data: Dataset,
    pub(crate) report: Option<LoadReport>,
}

/// Where data that was named on the command line lies; `None` for the built-in digits.
///
/// A path that is there is that path. Otherwise the name of a data set of `dnn fetch` means that set, in
/// `datasets` or built in.
pub(crate) fn place(named: Option<&Path>) -> anyhow::Result<Option<PathBuf>> {
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
        Err(Refusal::Missing(message).into())
    }
}

/// The data at this place, or the built-in digits.
pub(crate) fn load(path: Option<&Path>, options: &LoadOptions) -> Result<Source, DataError> {
    let Some(path) = path else { return Ok(Source { data: dnn_data::digits(), report: None }) };
    if let Some((data, ignored)) = load_arrays(path)? {
        tell_ignored(&ignored);
        return Ok(Source { data, report: None });
    }
    let Loaded { dataset, report } = load_pictures(path, options)?;
    tell(&report);
    Ok(Source { data: dataset, report: Some(report) })
}

/// A test part alone, as IDX files can be.
pub(crate) fn load_test(path: &Path) -> Result<ImageDataset, DataError> {
    load_test_part(path)
}

/// Says what became of the files.
fn tell(report: &LoadReport) {
    match &report.cache {
        CacheUse::Rebuilt { reason } => note(&format!("note: the cache is made anew: {reason}")),
        CacheUse::NotStored { reason } => {
            note(&format!("warning: the decoded pictures are not kept: {reason}"));
        }
        CacheUse::Off | CacheUse::Hit | CacheUse::Stored => {}
    }
    for bad in report.bad.iter().take(NAMED) {
        note(&format!("left out: {}: {}", bad.path, bad.reason));
    }
    if let Some(more @ 1..) = report.bad.len().checked_sub(NAMED) {
        note(&format!("left out: {more} more"));
    }
    if !report.noted.is_empty() {
        let first = &report.noted[0];
        let others = report.noted.len() - 1;
        let first = format!("{} ({})", first.path, first.notes.join(", "));
        let which = match others {
            0 => format!("{first} is"),
            _ => format!("{first} and {} are", counted(others, "other file", "other files")),
        };
        note(&format!("note: {which} unusual, but used"));
    }
    tell_ignored(&report.ignored);
}

/// Says what is no part of the data, and so that it was seen: pictures first, by the reason.
fn tell_ignored(ignored: &[Ignored]) {
    let mut reasons: Vec<(&str, Vec<&Ignored>)> = Vec::new();
    for one in ignored {
        match reasons.iter_mut().find(|(reason, _)| *reason == one.reason) {
            Some((_, same)) => same.push(one),
            None => reasons.push((one.reason, vec![one])),
        }
    }
    let pictures = |of: &[&Ignored]| of.iter().map(|one| one.pictures).sum::<usize>();
    reasons.sort_by_key(|(_, of)| std::cmp::Reverse(pictures(of)));
    let mut others = Vec::new();
    for (reason, mut of) in reasons {
        of.sort_by_key(|one| std::cmp::Reverse(one.pictures));
        let named = match of.len() {
            1 => of[0].path.clone(),
            more => format!("{} and {}", of[0].path, counted(more - 1, "other", "others")),
        };
        match pictures(&of) {
            0 => others.push(format!("{named} ({reason})")),
            count => {
                let count = counted(count, "picture is", "pictures are");
                note(&format!("note: {count} not used: {named} ({reason})"));
            }
        }
    }
    if !others.is_empty() {
        note(&format!("note: no part of the data: {}", others.join(", ")));
    }
}

impl Source {
    /// Success, or the code for files that were left out.
    pub(crate) fn exit_code(&self) -> ExitCode {
        exit_code(self.report.as_ref().map_or(0, |report| report.bad.len()))
    }
}

/// Success, or the code for this many files that were left out.
pub(crate) fn exit_code(left_out: usize) -> ExitCode {
    if left_out == 0 { ExitCode::SUCCESS } else { ExitCode::from(LEFT_OUT) }
}
