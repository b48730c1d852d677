//! The parts of a data set, and the words in names that say them.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Words beside the one that names a part, as in `training_set` and `seg_test`.
const FILLERS: &[&str] = &[
    "set", "data", "dataset", "image", "images", "img", "imgs", "picture", "pictures", "photo",
    "photos", "seg", "split", "part", "x",
];

/// Words for pictures that nobody trains on: without labels, or rejected.
const ASIDE: &[&str] = &["pred", "predict", "prediction", "unlabeled", "unlabelled", "bad"];

/// A part of a data set.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// To train on.
    Train,
    /// To choose settings by.
    Validation,
    /// To measure on, once.
    Test,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        })
    }
}

impl Part {
    /// All parts, in the order in which they are kept.
    pub const ALL: [Self; 3] = [Self::Train, Self::Validation, Self::Test];

    /// The part that a word names, in any case.
    pub(crate) fn named(word: &str) -> Option<Self> {
        match word.to_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "validation" | "valid" | "val" | "dev" => Some(Self::Validation),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }

    /// The part that a folder's name says: one of its words names a part, and all others are
    /// fillers or numbers, as in `Training`, `test_set`, `seg_train`, `val2017` and `trainset`.
    pub(crate) fn of_folder(name: &str) -> Option<Self> {
        let mut part = None;
        for word in words(name) {
            let word = without_number(&word);
            let found = FILLERS
                .iter()
                .filter_map(|filler| word.strip_suffix(filler))
                .chain([word])
                .find_map(Self::named);
            match found {
                Some(found) if part.is_none() => part = Some(found),
                None if word.is_empty() || FILLERS.contains(&word) => {}
                _ => return None,
            }
        }
        part
    }

    /// The part that a name begins with, as in `trainA` and `test_other`.
    pub(crate) fn at_the_beginning(name: &str) -> Option<Self> {
        let letters = name.find(|c: char| !c.is_alphabetic()).unwrap_or(name.len());
        let is_next_word = |(place, c): (usize, char)| place > 0 && c.is_uppercase();
        let word = name.char_indices().find(|&at| is_next_word(at)).map_or(letters, |at| at.0);
        [letters, word.min(letters)].into_iter().find_map(|end| Self::named(&name[..end]))
    }
}

/// Whether a folder's name says that its pictures are not for training.
pub(super) fn is_aside(name: &str) -> bool {
    let mut found = false;
    words(name).all(|word| {
        let word = without_number(&word);
        let aside = ASIDE.contains(&word);
        found |= aside;
        aside || word.is_empty() || FILLERS.contains(&word)
    }) && found
}

/// The words of a name, in lower case: what lies between characters that are neither letters nor digits.
pub(crate) fn words(name: &str) -> impl Iterator<Item = String> {
    let words = name.split(|letter: char| !letter.is_alphanumeric());
    words.filter(|word| !word.is_empty()).map(str::to_lowercase)
}

fn without_number(word: &str) -> &str {
    word.trim_end_matches(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_folders_that_are_in_use_say_their_part() {
        for (names, part) in [
            (
                &[
                    "train",
                    "Training",
                    "TRAIN",
                    "training_set",
                    "seg_train",
                    "train_set_x",
                    "trainset",
                    "Training Data",
                    "train2017",
                    "train-images",
                    "images.train",
                ][..],
                Part::Train,
            ),
            (&["val", "valid", "Validation", "dev", "val2017", "validation_set"], Part::Validation),
            (&["test", "TEST", "Testing", "test_set", "seg_test", "test1", "testset"], Part::Test),
        ] {
            for name in names {
                assert_eq!(Part::of_folder(name), Some(part), "{name}");
            }
        }
        for name in [
            "",
            "set",
            "data",
            "train_station",
            "freight train",
            "test-tube",
            "trainer",
            "trains",
            "contest",
            "valley",
            "train_test",
            "seg_pred",
            "2017",
            "latest",
        ] {
            assert_eq!(Part::of_folder(name), None, "{name}");
        }
    }

    #[test]
    fn names_that_begin_with_a_part_and_names_of_what_is_put_aside_are_told() {
        for (name, part) in [
            ("trainA", Some(Part::Train)),
            ("TestB", Some(Part::Test)),
            ("TEST_B", Some(Part::Test)),
            ("train_another", Some(Part::Train)),
            ("validation", Some(Part::Validation)),
            ("trains", None),
            ("valve", None),
            ("7test", None),
            ("", None),
        ] {
            assert_eq!(Part::at_the_beginning(name), part, "{name}");
        }
        for (name, aside) in [
            ("seg_pred", true),
            ("Unlabeled", true),
            ("bad", true),
            ("badger", false),
            ("images", false),
            ("", false),
        ] {
            assert_eq!(is_aside(name), aside, "{name}");
        }
    }
}
