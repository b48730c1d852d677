//! The examination of a folder of picture files.

use std::path::Path;

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::look::Look;
use super::{Compared, EQUAL, Findings, Kind, NEAR, PartCounts, Place, Report, twins};
use crate::folder::folder_name;
use crate::picture::{Decoding, Info, Note, decode};
use crate::pictures::{BESIDE_PARTS, Outcome, Sums, bad_files, read_and_decode};
use crate::{DataError, Ignored, Part, Result, list_pictures, path_text};

/// One side is at most so many times the other.
const MOST_ELONGATED: usize = 3;

/// Sides are within so many times the middle one of the set.
const MOST_APART: usize = 4;

/// A picture that can be used.
struct Picture {
    place: Place,
    sha256: [u8; 32],
    info: Info,
    look: Look,
}

/// Looks over the pictures of a folder that [`list_pictures`] understands; changes nothing.
///
/// Pictures are decoded on the threads of the surrounding pool; the report is the same for any number
/// of them. Each takes about 1 KiB of memory once it was looked at.
///
/// # Errors
/// Those of [`list_pictures`], and a `SHA256SUMS` that cannot be read. Bad files are no error but a
/// finding, and so are folders that could be classes or parts ([`Kind::Layout`]).
///
/// # Examples
/// ```no_run
/// use dnn_data::doctor::{Kind, examine_pictures};
/// use dnn_data::picture::Decoding;
///
/// let report = examine_pictures("photos".as_ref(), &Decoding::default())?;
/// for case in report.finding(Kind::AcrossParts).into_iter().flat_map(|finding| &finding.cases) {
///     println!("seen in training and in the test: {}", case.pictures[0].path);
/// }
/// # Ok::<(), dnn_data::DataError>(())
/// ```
pub fn examine_pictures(root: &Path, decoding: &Decoding) -> Result<Report> {
    let mut listing = match list_pictures(root) {
        Err(error) if error.is_about_layout() => return Ok(unclear(root, &error)),
        listing => listing?,
    };
    let sums = Sums::read(root)?;
    let (outcomes, looks): (Vec<Outcome>, Vec<Option<Look>>) = listing
        .entries
        .par_iter()
        .with_min_len(4)
        .map(|entry| {
            read_and_decode(&listing, entry, |bytes| {
                decode(bytes, decoding).map(|(rgb, info)| (info, Look::at(&rgb)))
            })
        })
        .unzip();
    let mut bad = bad_files(&mut listing, &outcomes, &sums);
    let mut findings = Findings::default();
    let mut pictures = Vec::new();
    let mut parts: Vec<PartCounts> = Part::ALL
        .into_iter()
        .filter(|part| listing.entries.iter().any(|entry| entry.part == *part))
        .map(|part| PartCounts { part, classes: vec![0; listing.class_names.len()] })
        .collect();
    for ((entry, outcome), look) in listing.entries.iter().zip(outcomes).zip(looks) {
        let class = entry.class as usize;
        let place = Place {
            path: path_text(&entry.path),
            part: Some(entry.part),
            class: Some(listing.class_names[class].clone()),
        };
        if let Some(reason) = bad.remove(&entry.path) {
            findings.add(Kind::Bad, vec![place], reason);
        } else if let (Outcome::Used { sha256, info }, Some(look)) = (outcome, look) {
            if let Some(counts) = parts.iter_mut().find(|counts| counts.part == entry.part) {
                counts.classes[class] += 1;
            }
            pictures.push(Picture { place, sha256, info, look });
        }
    }
    // What is left of the bad ones is missing.
    for (path, reason) in bad {
        findings.add(Kind::Bad, vec![outside(path_text(&path))], reason);
    }
    findings.count(&listing.class_names, &parts);
    let compared = find_twins(&pictures, &mut findings);
    find_unusual(&pictures, &mut findings);
    find_unlike(&pictures, &mut findings);
    tell_ignored(listing.ignored, &mut findings);
    Ok(Report {
        name: listing.name,
        layout: Some(listing.layout),
        class_names: listing.class_names,
        parts,
        findings: findings.sorted(),
        compared,
    })
}

/// A folder whose layout is not certain: that is all that is found.
fn unclear(root: &Path, error: &DataError) -> Report {
    let mut findings = Findings::default();
    findings.add(Kind::Layout, Vec::new(), error.to_string());
    Report {
        name: folder_name(root),
        layout: None,
        class_names: Vec::new(),
        parts: Vec::new(),
        findings: findings.sorted(),
        compared: Compared::Equality,
    }
}

/// What is no part of the data, pictures first.
fn tell_ignored(mut ignored: Vec<Ignored>, findings: &mut Findings) {
    ignored.sort_by_key(|one| std::cmp::Reverse(one.pictures));
    for Ignored { path, reason, pictures } in ignored {
        let detail = match pictures {
            0 => reason.to_owned(),
            1 => format!("1 picture, {reason}"),
            _ => format!("{pictures} pictures, {reason}"),
        };
        let is_folder_of_pictures = pictures > 0 && reason == BESIDE_PARTS;
        let kind = if is_folder_of_pictures { Kind::UnusedFolders } else { Kind::Ignored };
        findings.add(kind, vec![outside(path)], detail);
    }
}

/// A file that is no part of the data.
fn outside(path: String) -> Place {
    Place { path, part: None, class: None }
}

/// Pictures that show the same.
fn find_twins(pictures: &[Picture], findings: &mut Findings) -> Compared {
    let of = |members: &[usize]| members.iter().map(|&one| pictures[one].place.clone()).collect();
    let digests: Vec<[u8; 32]> = pictures.iter().map(|picture| picture.look.pixels).collect();
    // Of equal pictures, the first stands for all.
    let mut stands = vec![true; pictures.len()];
    for members in twins::equal(&digests) {
        members[1..].iter().for_each(|&one| stands[one] = false);
        let first = pictures[members[0]].sha256;
        let equal_files = members.iter().all(|&one| pictures[one].sha256 == first);
        let detail = if equal_files { "equal files" } else { "equal pixels in different files" };
        findings.twins(of(&members), EQUAL, detail);
    }
    let looks: Vec<(usize, &Look)> = (pictures.iter().map(|picture| &picture.look).enumerate())
        .filter(|(place, look)| stands[*place] && !look.is_single)
        .collect();
    if looks.len() > twins::MOST_COMPARED {
        return Compared::TooMany;
    }
    for group in twins::similar(&looks, false) {
        findings.twins(of(&group.members), NEAR, &apart(group.distance));
    }
    for group in twins::similar(&looks, true) {
        findings.add(Kind::Mirrored, of(&group.members), apart(group.distance));
    }
    Compared::Likeness
}

fn apart(distance: f32) -> String {
    format!("{distance:.1} of 255 levels apart")
}

/// Files that are used by a rule of their own.
fn find_unusual(pictures: &[Picture], findings: &mut Findings) {
    for Picture { place, info, .. } in pictures {
        let suffix = Path::new(&place.path).extension().map(|suffix| suffix.to_string_lossy());
        if !suffix.as_ref().is_some_and(|suffix| info.format.has_suffix(suffix)) {
            let detail = format!("a {} by its content", info.format);
            findings.add(Kind::WrongSuffix, vec![place.clone()], detail);
        }
        // Grey is judged by the pixels.
        let notes = info.notes.iter().filter(|note| **note != Note::Grey);
        let notes: Vec<String> = notes.map(ToString::to_string).collect();
        if !notes.is_empty() {
            findings.add(Kind::Unusual, vec![place.clone()], notes.join(", "));
        }
    }
}

/// Pictures that are not like the others.
fn find_unlike(pictures: &[Picture], findings: &mut Findings) {
    let shorter = |look: &Look| look.width.min(look.height);
    let middle = middle(pictures.iter().map(|picture| shorter(&picture.look)).collect());
    let grey = pictures.iter().filter(|picture| picture.look.is_grey).count();
    for Picture { place, look, .. } in pictures {
        let (width, height) = (look.width, look.height);
        let size =
            || format!("{width}x{height}; half of all have a shorter side of {middle} or more");
        let mut add = |kind, detail| findings.add(kind, vec![place.clone()], detail);
        if look.is_single {
            add(Kind::SingleColor, String::new());
        } else if look.is_grey && 2 * grey <= pictures.len() {
            add(Kind::Grey, String::new());
        }
        if shorter(look).saturating_mul(MOST_APART) < middle {
            add(Kind::Tiny, size());
        } else if shorter(look) > middle.saturating_mul(MOST_APART) {
            add(Kind::Huge, size());
        }
        if width.max(height) > shorter(look).saturating_mul(MOST_ELONGATED) {
            add(Kind::Elongated, format!("{width}x{height}"));
        }
    }
}

/// The middle one in size; 0 of none.
fn middle(mut sizes: Vec<usize>) -> usize {
    let half = sizes.len() / 2;
    if sizes.is_empty() { 0 } else { *sizes.select_nth_unstable(half).1 }
}
