//! Pictures in one folder, with lists that say which part and class each belongs to.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::{Arrangement, base, contents, is_junk, picture_suffix, tells_terms};
use crate::unpack::Unpacked;
use crate::{FetchError, Manifest, Result};

/// Where the pictures and the lists are.
pub(super) struct Lists<'a> {
    pub(super) folder: &'a str,
    pub(super) train: &'a str,
    pub(super) test: &'a str,
    pub(super) species: &'a [String],
}

/// The longest list that is read, in bytes.
const LONGEST: u64 = 16 << 20;

/// Lines are `NAME CLASS SPECIES NUMBER`, as in `beagle_12 5 2 1`; the breed is the name up to its number.
pub(super) fn plan(
    manifest: &Manifest,
    lists: &Lists,
    variant: Option<&str>,
    root: &Path,
    files: Vec<Unpacked>,
) -> Result<Arrangement> {
    let mut places = BTreeMap::new();
    for (list, part) in [(lists.train, "train"), (lists.test, "test")] {
        let found = files.iter().find(|file| is_at(&file.path, list));
        let missing = || contents(manifest, format!("the list {list}"), "no such file".to_owned());
        let file = found.ok_or_else(missing)?;
        if file.bytes > LONGEST {
            let expected = format!("a list {list} of at most {LONGEST} bytes");
            return Err(contents(manifest, expected, file.bytes.to_string()));
        }
        let path = root.join(&file.path);
        let text = fs::read_to_string(&path).map_err(|e| FetchError::io("read", &path, e))?;
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
            let place = place_of(line, lists.species, variant == Some("breeds"));
            let expected = || format!("lines `name class species number` in {list}");
            let (name, class) =
                place.ok_or_else(|| contents(manifest, expected(), format!("`{line}`")))?;
            if places.insert(name.to_owned(), (part, class)).is_some() {
                let expected = format!("every picture once in {} and {}", lists.train, lists.test);
                return Err(contents(manifest, expected, format!("{name} twice")));
            }
        }
    }
    let mut plan = Arrangement::default();
    for file in files {
        let mut place = || -> Option<String> {
            let suffix = picture_suffix(&file.path)?;
            let (folders, name) = file.path.rsplit_once('/')?;
            is_at(folders, lists.folder).then_some(())?;
            let stem = name.get(..name.len() - suffix.len() - 1)?;
            let (part, class) = places.remove(stem)?;
            Some(format!("{part}/{class}/{name}"))
        };
        let bad = manifest.known_bad.iter().any(|bad| is_at(&file.path, bad));
        match (is_junk(&file.path), place()) {
            (false, Some(_)) if bad => plan.leave("known to be bad"),
            (false, Some(to)) => plan.take(file, to),
            (false, None) if tells_terms(&file.path) => {
                let to = file.path.clone();
                plan.take(file, to);
            }
            (false, None) if picture_suffix(&file.path).is_some() => plan.leave("in neither list"),
            _ => plan.leave("no picture"),
        }
    }
    match places.first_key_value() {
        None => Ok(plan),
        Some((name, _)) => {
            let found = format!("{} missing, {} the first of them", places.len(), base(name));
            Err(contents(manifest, "every picture that the lists name".to_owned(), found))
        }
    }
}

/// Whether a path is this one, perhaps with folders before it.
fn is_at(path: &str, wanted: &str) -> bool {
    path.strip_suffix(wanted).is_some_and(|before| before.is_empty() || before.ends_with('/'))
}

/// The name in a line of a list, and the class it belongs to.
fn place_of<'a>(line: &'a str, species: &[String], breeds: bool) -> Option<(&'a str, String)> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [name, _, kind, _] = words[..] else { return None };
    let kind: usize = kind.parse().ok()?;
    let species = species.get(kind.checked_sub(1)?)?;
    let (breed, number) = name.rsplit_once('_')?;
    // The names become names of folders.
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == '-';
    (breed.chars().all(plain) && !breed.is_empty()).then_some(())?;
    number.parse::<u64>().ok()?;
    Some((name, if breeds { breed.to_owned() } else { species.clone() }))
}
