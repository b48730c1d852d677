//! Where the data comes from: the built-in digits, stored arrays or pictures.

use std::path::Path;

use dnn_data::picture::{Decoding, Preprocessing};
use dnn_data::{
    BadFiles, CacheUse, DataError, Dataset, Ignored, LoadOptions, LoadReport, load_arrays,
    load_pictures,
};

use crate::config::{BadFilePolicy, FilesConfig};
use crate::observer::Observer;
use crate::words::counted;

/// How many files are named to the observer.
const NAMED: usize = 10;

/// Data and, where it was made of picture files, what became of each.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) data: Dataset,
    pub(crate) report: Option<LoadReport>,
}

/// How picture files are loaded to have this preprocessing.
pub(crate) fn options(files: &FilesConfig, preprocessing: Preprocessing) -> LoadOptions {
    LoadOptions {
        decoding: Decoding { lenient: files.lenient, ..Decoding::default() },
        bad_files: match files.bad_files {
            BadFilePolicy::Stop => BadFiles::Stop,
            BadFilePolicy::Skip => BadFiles::Skip,
            BadFilePolicy::Quarantine => BadFiles::Quarantine,
        },
        max_bad: files.max_bad / 100.0,
        cache: if files.no_cache { None } else { dnn_data::cache_folder() },
        ..LoadOptions::new(preprocessing)
    }
}

impl Source {
    /// The data at this place, or the built-in digits.
    pub(crate) fn load(
        path: Option<&Path>,
        options: &LoadOptions,
        observer: &mut dyn Observer,
    ) -> Result<Self, DataError> {
        let Some(path) = path else {
            return Ok(Self { data: dnn_data::digits(), report: None });
        };
        if let Some((data, ignored)) = load_arrays(path)? {
            tell_ignored(&ignored, observer);
            return Ok(Self { data, report: None });
        }
        let dnn_data::Loaded { dataset, report } = load_pictures(path, options)?;
        tell(&report, observer);
        Ok(Self { data: dataset, report: Some(report) })
    }

    /// How many bad files were left out.
    pub(crate) fn left_out(&self) -> usize {
        self.report.as_ref().map_or(0, |report| report.bad.len())
    }
}

/// Says what became of the files.
fn tell(report: &LoadReport, observer: &mut dyn Observer) {
    match &report.cache {
        CacheUse::Rebuilt { reason } => {
            observer.note(&format!("note: the cache is made anew: {reason}"));
        }
        CacheUse::NotStored { reason } => {
            observer.note(&format!("warning: the decoded pictures are not kept: {reason}"));
        }
        CacheUse::Off | CacheUse::Hit | CacheUse::Stored => {}
    }
    for bad in report.bad.iter().take(NAMED) {
        observer.note(&format!("left out: {}: {}", bad.path, bad.reason));
    }
    if let Some(more @ 1..) = report.bad.len().checked_sub(NAMED) {
        observer.note(&format!("left out: {more} more"));
    }
    if !report.noted.is_empty() {
        let first = &report.noted[0];
        let others = report.noted.len() - 1;
        let first = format!("{} ({})", first.path, first.notes.join(", "));
        let which = match others {
            0 => format!("{first} is"),
            _ => format!("{first} and {} are", counted(others, "other file", "other files")),
        };
        observer.note(&format!("note: {which} unusual, but used"));
    }
    tell_ignored(&report.ignored, observer);
}

/// Says what is no part of the data, and so that it was seen: pictures first, by the reason.
fn tell_ignored(ignored: &[Ignored], observer: &mut dyn Observer) {
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
                observer.note(&format!("note: {count} not used: {named} ({reason})"));
            }
        }
    }
    if !others.is_empty() {
        observer.note(&format!("note: no part of the data: {}", others.join(", ")));
    }
}
