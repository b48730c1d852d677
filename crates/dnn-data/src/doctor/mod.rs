//! Looks a data set over before anything is trained on it.
//!
//! The one idea: whatever would spoil a training run or its test without a message is in the data
//! itself, and can be named: files that cannot be used, a class that a part lacks, one picture under two
//! labels or in two parts, pictures that are not like the others. [`examine_pictures`] sees what
//! [`load_pictures`](crate::load_pictures) would see, by the same functions; nothing is changed, and no
//! picture is kept but for a thumbnail.
//!
//! | pictures are | if |
//! |---|---|
//! | equal | they have the same size and pixels, whatever their files look like |
//! | nearly equal | at most 32 bits of a 128-bit difference hash differ, and their 16x16 thumbnails differ by at most 12.5 of 255 levels on average |
//! | tiny, huge | the shorter side is below a quarter of the middle one of the set; above four times |
//! | far from square | one side is more than three times the other |
//! | of a single colour | all pixels are within 6 levels in each channel; these are not compared for likeness |
//! | grey among coloured ones | no cell of the thumbnail has channels more than 3 levels apart, and at most half of the set is so |
//! | unbalanced | the largest class of the training part has more than three times the pictures of the smallest |
//!
//! Likeness is searched pair by pair, on all threads of the pool, in sets of up to 100,000 pictures. It
//! finds copies that were saved again, scaled, stretched, or cut a little at the edges. It is a hint, and
//! no serious finding: pictures can be alike by nature, as frames of a film and scanned digits are. (Of
//! 31 million pairs of photographs of pets it reported ten; all show one photograph twice. The
//! nearest pair that does not is 15.6 levels apart.)
//!
//! Pictures that do not come from files of their own ([`examine`]) are compared for equality only.
//!
//! What it leaves out on purpose: judging whether a label is right, crops and turned copies, and mending
//! anything.

mod files;
mod look;
mod report;
mod twins;

pub use files::examine_pictures;
pub use report::{Case, Compared, Finding, Kind, PartCounts, Place, Report};

use crate::{Dataset, Part};

/// The largest class of the training part has at most so many times the pictures of the smallest.
const MOST_UNBALANCED: usize = 3;

/// Looks over a data set that is in memory already: counts, classes, equal pictures, pictures of a
/// single colour.
///
/// # Examples
/// ```
/// let report = dnn_data::doctor::examine(&dnn_data::digits());
/// assert_eq!(report.parts[0].classes.iter().sum::<usize>(), 1797);
/// assert!(!report.is_serious());
/// ```
pub fn examine(data: &Dataset) -> Report {
    let sets = [
        (Part::Train, Some(&data.train)),
        (Part::Validation, data.validation.as_ref()),
        (Part::Test, data.test.as_ref()),
    ];
    let sets: Vec<_> = sets.into_iter().filter_map(|(part, set)| Some((part, set?))).collect();
    let (mut places, mut digests, mut parts) = (Vec::new(), Vec::new(), Vec::new());
    let mut findings = Findings::default();
    for (part, set) in sets {
        let shape = set.shape();
        for (example, pixels) in set.pixels().columns().into_iter().enumerate() {
            let pixels = pixels.to_slice().expect("columns are contiguous by construction");
            let file = set.files().map(|files| files[example].path.clone());
            let place = Place {
                path: file.unwrap_or_else(|| format!("{part} {}", example + 1)),
                part: Some(part),
                class: set.class_names().get(set.labels()[example] as usize).cloned(),
            };
            if look::is_single(pixels, shape.channels) {
                findings.add(Kind::SingleColor, vec![place.clone()], String::new());
            }
            places.push(place);
            digests.push(look::digest(shape.width, shape.height, pixels));
        }
        parts.push(PartCounts { part, classes: set.class_counts() });
    }
    let names = data.train.class_names();
    findings.count(names, &parts);
    for members in twins::equal(&digests) {
        let members: Vec<Place> = members.into_iter().map(|one| places[one].clone()).collect();
        findings.twins(members, EQUAL, "");
    }
    Report {
        name: data.name.clone(),
        layout: None,
        class_names: names.to_vec(),
        parts,
        findings: findings.sorted(),
        compared: Compared::Equality,
    }
}

/// The kinds of findings for pictures of two classes, in two parts, and neither.
type TwinKinds = [Kind; 3];

const EQUAL: TwinKinds = [Kind::TwoLabels, Kind::AcrossParts, Kind::Duplicates];
const NEAR: TwinKinds = [Kind::NearTwoLabels, Kind::NearAcrossParts, Kind::Near];

/// Findings as they come in.
#[derive(Default)]
struct Findings(Vec<(Kind, Case)>);

impl Findings {
    fn add(&mut self, kind: Kind, pictures: Vec<Place>, detail: String) {
        self.0.push((kind, Case { pictures, detail }));
    }

    /// Pictures that show the same; a group can be of two classes and in two parts as well.
    fn twins(&mut self, members: Vec<Place>, [labels, parts, neither]: TwinKinds, detail: &str) {
        let differ = |same: fn(&Place, &Place) -> bool| {
            members.iter().any(|member| !same(member, &members[0]))
        };
        let two_labels = differ(|a, b| a.class == b.class);
        let two_parts = differ(|a, b| a.part == b.part);
        let kinds =
            [(labels, two_labels), (parts, two_parts), (neither, !two_labels && !two_parts)];
        for (kind, _) in kinds.into_iter().filter(|(_, holds)| *holds) {
            self.add(kind, members.clone(), detail.to_owned());
        }
    }

    /// What the counts of classes say.
    fn count(&mut self, names: &[String], parts: &[PartCounts]) {
        for PartCounts { part, classes } in parts {
            for (name, _) in names.iter().zip(classes).filter(|(_, count)| **count == 0) {
                let detail = format!("{part} has no picture of {name}");
                self.add(Kind::MissingClass, Vec::new(), detail);
            }
        }
        let Some(train) = parts.iter().find(|counts| counts.part == Part::Train) else { return };
        let sizes = || train.classes.iter().zip(names).filter(|(count, _)| **count > 0);
        let (Some((least, rare)), Some((most, common))) =
            (sizes().min_by_key(|(count, _)| **count), sizes().max_by_key(|(count, _)| **count))
        else {
            return;
        };
        if *most > least.saturating_mul(MOST_UNBALANCED) {
            let ratio = *most as f64 / *least as f64;
            let detail =
                format!("{common} has {most} training pictures, {rare} {least}: {ratio:.1} times");
            self.add(Kind::Unbalanced, Vec::new(), detail);
        }
    }

    /// Kind by kind, cases in the order they came in.
    fn sorted(mut self) -> Vec<Finding> {
        self.0.sort_by_key(|(kind, _)| *kind);
        let mut findings: Vec<Finding> = Vec::new();
        for (kind, case) in self.0 {
            match findings.last_mut().filter(|last| last.kind == kind) {
                Some(last) => last.cases.push(case),
                None => {
                    findings.push(Finding { kind, serious: kind.is_serious(), cases: vec![case] });
                }
            }
        }
        findings
    }
}
