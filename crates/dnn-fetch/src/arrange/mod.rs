//! From the files of an archive to the files of a data set.
//!
//! Everything here is a plan on paper: which file goes where, which is left out and why. It is carried
//! out by renaming.

mod listed;
mod numbered;

use std::collections::BTreeMap;
use std::path::Path;

use crate::manifest::{Arrange, Member};
use crate::unpack::Unpacked;
use crate::{FetchError, Manifest, Result};

/// Which file goes where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Arrangement {
    /// From the archive, to the data set.
    pub(crate) moves: Vec<(Unpacked, String)>,
    /// Reasons, and how many files are left out for each.
    pub(crate) left_out: BTreeMap<String, usize>,
}

/// What the user asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Wish<'a> {
    pub(crate) full: bool,
    pub(crate) variant: Option<&'a str>,
}

impl Arrangement {
    fn take(&mut self, file: Unpacked, to: String) {
        self.moves.push((file, to));
    }

    fn leave(&mut self, reason: &str) {
        *self.left_out.entry(reason.to_owned()).or_default() += 1;
    }
}

/// Plans the data set that `files`, which lie in `root`, make.
pub(crate) fn plan(
    manifest: &Manifest,
    wish: Wish,
    root: &Path,
    files: Vec<Unpacked>,
) -> Result<Arrangement> {
    let mut plan = match &manifest.arrange {
        Arrange::Files { members } => self::members(manifest, members, files)?,
        Arrange::Pictures {} => pictures(manifest, files)?,
        Arrange::Numbered { classes, train, test } => {
            let ranges = numbered::Ranges { train: *train, test: *test };
            numbered::plan(manifest, classes, ranges, wish.full, files)?
        }
        Arrange::Listed { folder, train, test, species } => {
            let lists = listed::Lists { folder, train, test, species };
            listed::plan(manifest, &lists, wish.variant, root, files)?
        }
    };
    plan.moves.sort_by(|a, b| a.1.cmp(&b.1));
    if let Some(pair) = plan.moves.windows(2).find(|pair| pair[0].1 == pair[1].1) {
        let found = format!("two of them: {} and {}", pair[0].0.path, pair[1].0.path);
        return Err(contents(manifest, format!("one file to be {}", pair[0].1), found));
    }
    Ok(plan)
}

fn contents(manifest: &Manifest, expected: String, found: String) -> FetchError {
    FetchError::Contents { name: manifest.name.clone(), expected, found }
}

/// The last part of a path.
fn base(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// What systems leave in folders and archives.
fn is_junk(path: &str) -> bool {
    let part = |part: &str| part.starts_with('.') || part == "__MACOSX" || part == "Thumbs.db";
    path.split('/').any(part)
}

/// The suffix of a picture, in lower case.
fn picture_suffix(path: &str) -> Option<String> {
    let (_, suffix) = base(path).rsplit_once('.')?;
    let suffix = suffix.to_ascii_lowercase();
    ["jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff"]
        .contains(&suffix.as_str())
        .then_some(suffix)
}

/// Whether a file at the top of an archive may tell the terms of use: licences ask to go along.
fn tells_terms(path: &str) -> bool {
    let lower = path.to_ascii_lowercase();
    let suffix = [".txt", ".md", ".pdf"].iter().any(|suffix| lower.ends_with(suffix));
    !path.contains('/') && (suffix || !lower.contains('.'))
}

/// Plain files by their names, wherever they lie.
fn members(manifest: &Manifest, members: &[Member], files: Vec<Unpacked>) -> Result<Arrangement> {
    let mut plan = Arrangement::default();
    for file in files {
        let name = base(&file.path);
        let known = |member: &&Member| member.name == name || member.also.iter().any(|a| a == name);
        let Some(member) = members.iter().find(known).filter(|_| !is_junk(&file.path)) else {
            plan.leave("no part of the data");
            continue;
        };
        if let Some(size) = member.size.filter(|size| *size != file.bytes) {
            let found = format!("{} bytes", file.bytes);
            return Err(contents(manifest, format!("{} of {size} bytes", member.name), found));
        }
        if let Some(sha256) = member.sha256.as_ref().filter(|sha256| **sha256 != file.sha256) {
            let expected = format!("{} with sha256 {sha256}", member.name);
            return Err(contents(manifest, expected, file.sha256.to_string()));
        }
        plan.take(file, member.name.clone());
    }
    for member in members {
        if !plan.moves.iter().any(|(_, to)| *to == member.name) {
            return Err(contents(manifest, member.name.clone(), "no such file".to_owned()));
        }
    }
    Ok(plan)
}

/// Pictures as they come, without the folders around all of them.
fn pictures(manifest: &Manifest, files: Vec<Unpacked>) -> Result<Arrangement> {
    let is_picture = |file: &Unpacked| picture_suffix(&file.path).is_some() && !is_junk(&file.path);
    let prefix = common_folder(files.iter().filter(|file| is_picture(file)));
    let mut plan = Arrangement::default();
    for file in files {
        let inner = file.path.strip_prefix(&prefix).map(str::to_owned);
        match inner {
            Some(inner) if is_picture(&file) => plan.take(file, inner),
            Some(inner) if tells_terms(&inner) && !is_junk(&inner) => plan.take(file, inner),
            _ => plan.leave("no picture"),
        }
    }
    if plan.moves.iter().any(|(_, to)| picture_suffix(to).is_some()) {
        return Ok(plan);
    }
    Err(contents(manifest, "pictures".to_owned(), "none".to_owned()))
}

/// The folders, with a `/` after the last, that all paths begin with; not those that mean something.
fn common_folder<'a>(files: impl Iterator<Item = &'a Unpacked> + Clone) -> String {
    let mut prefix = String::new();
    loop {
        let mut tops = files.clone().map(|file| file.path[prefix.len()..].split_once('/'));
        let Some(Some((top, _))) = tops.next() else { return prefix };
        let means_something = part_of(top).is_some();
        if means_something || !tops.all(|other| other.is_some_and(|(other, _)| other == top)) {
            return prefix;
        }
        prefix = format!("{prefix}{top}/");
    }
}

/// The part of a data set that a folder of this name holds.
fn part_of(folder: &str) -> Option<&'static str> {
    match folder.to_lowercase().as_str() {
        "train" | "training" => Some("train"),
        "validation" | "valid" | "val" => Some("validation"),
        "test" | "testing" => Some("test"),
        _ => None,
    }
}
