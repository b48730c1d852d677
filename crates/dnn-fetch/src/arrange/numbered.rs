//! Numbered pictures of some classes: `cat.12.jpg`, or `Cat/12.jpg`.

use std::collections::{BTreeMap, BTreeSet};

use super::{Arrangement, contents, is_junk, part_of, picture_suffix, tells_terms};
use crate::manifest::Range;
use crate::unpack::Unpacked;
use crate::{Manifest, Result};

/// A picture whose name or folder says what it is.
struct Numbered {
    class: usize,
    number: u64,
    part: Option<&'static str>,
    suffix: String,
    file: Unpacked,
}

impl Numbered {
    fn read(classes: &[String], file: Unpacked) -> Result<Self, Unpacked> {
        let known = |path: &str| {
            let suffix = picture_suffix(path)?;
            let mut parts: Vec<&str> = path.split('/').collect();
            let stem = parts.pop()?.rsplit_once('.')?.0;
            let (class, number) = match stem.split_once('.') {
                Some((class, number)) => (class, number),
                None => (parts.pop()?, stem),
            };
            // `Cat`, `cats`: as the archives spell it.
            let same = |name: &String| {
                let class = class.to_lowercase();
                class == *name || class.strip_suffix('s') == Some(name)
            };
            let class = classes.iter().position(same)?;
            let plain = number.bytes().all(|byte| byte.is_ascii_digit());
            let number = number.parse().ok().filter(|_| plain)?;
            Some((class, number, parts.iter().rev().find_map(|part| part_of(part)), suffix))
        };
        match known(&file.path).filter(|_| !is_junk(&file.path)) {
            Some((class, number, part, suffix)) => Ok(Self { class, number, part, suffix, file }),
            None => Err(file),
        }
    }
}

/// Which pictures of each class are chosen for which part.
#[derive(Clone, Copy)]
pub(super) struct Ranges {
    pub(super) train: Range,
    pub(super) test: Range,
}

/// An archive with a test part of its own is taken as it is; from any other, `ranges` are chosen. With
/// `full`, all that is not to test on is to train on.
pub(super) fn plan(
    manifest: &Manifest,
    classes: &[String],
    ranges: Ranges,
    full: bool,
    files: Vec<Unpacked>,
) -> Result<Arrangement> {
    let mut plan = Arrangement::default();
    let mut pictures = Vec::new();
    for file in files {
        match Numbered::read(classes, file) {
            Ok(picture) if manifest.known_bad.contains(&picture.file.path) => {
                plan.leave("known to be bad");
            }
            Ok(picture) => pictures.push(picture),
            Err(file) if tells_terms(&file.path) && !is_junk(&file.path) => {
                let to = file.path.clone();
                plan.take(file, to);
            }
            Err(file) if picture_suffix(&file.path).is_some() => {
                plan.leave("no picture of a class");
            }
            Err(_) => plan.leave("no picture"),
        }
    }
    if pictures.is_empty() {
        let expected = format!("numbered pictures of {}", classes.join(" and "));
        return Err(contents(manifest, expected, "none".to_owned()));
    }
    let has_parts = pictures.iter().any(|picture| picture.part == Some("test"));
    let chosen =
        if has_parts { None } else { Some(choose(manifest, classes, ranges, full, &pictures)?) };
    for picture in pictures {
        let Numbered { class, number, part, suffix, file } = picture;
        let part = match &chosen {
            None => part,
            Some(chosen) => chosen.get(&(class, number)).copied(),
        };
        match part {
            Some(part) => plan.take(file, format!("{part}/{}.{number}.{suffix}", classes[class])),
            None => plan.leave("beyond the size of the tutorial's set"),
        }
    }
    Ok(plan)
}

/// Which picture belongs to which part.
fn choose(
    manifest: &Manifest,
    classes: &[String],
    ranges: Ranges,
    full: bool,
    pictures: &[Numbered],
) -> Result<BTreeMap<(usize, u64), &'static str>> {
    let mut chosen = BTreeMap::new();
    for (class, name) in classes.iter().enumerate() {
        let of_class = pictures.iter().filter(|picture| picture.class == class);
        let mut free: BTreeSet<u64> = of_class.map(|picture| picture.number).collect();
        for (part, range) in [("test", ranges.test), ("train", ranges.train)] {
            let count = if full && part == "train" { free.len() } else { range.count };
            let first = if full && part == "train" { 0 } else { range.first };
            let taken: Vec<u64> = free.range(first..).take(count).copied().collect();
            if taken.len() < count || taken.is_empty() {
                let expected =
                    format!("{count} pictures of {name} to {part} from number {first} on");
                return Err(contents(manifest, expected, taken.len().to_string()));
            }
            for number in taken {
                free.remove(&number);
                chosen.insert((class, number), part);
            }
        }
    }
    Ok(chosen)
}
