//! What an array is, by the words in its name.

use crate::Part;
use crate::pictures::words;

/// What an array holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Pictures(Option<Part>),
    Labels(Option<Part>),
    ClassNames,
}

/// What an array of this name holds; `None` for a name that says something else.
pub(super) fn role_of(name: &str) -> Option<Role> {
    let (mut part, mut role) = (None, None);
    let once = |slot: &mut Option<Role>, found| slot.replace(found).is_none();
    let words: Vec<String> = words(name).collect();
    let is = |among: &[&str], word: &String| among.contains(&word.as_str());
    if words.iter().any(|word| is(&["classes", "names"], word)) {
        let all = ["list", "class", "classes", "label", "names"];
        return words.iter().all(|word| is(&all, word)).then_some(Role::ClassNames);
    }
    for word in &words {
        let fits = match word.as_str() {
            "x" | "image" | "images" | "picture" | "pictures" | "data" => {
                once(&mut role, Role::Pictures(None))
            }
            "y" | "label" | "labels" | "target" | "targets" => once(&mut role, Role::Labels(None)),
            "set" => true,
            other => Part::named(other).is_some_and(|found| part.replace(found).is_none()),
        };
        if !fits {
            return None;
        }
    }
    Some(match role? {
        Role::Pictures(_) => Role::Pictures(part),
        Role::Labels(_) => Role::Labels(part),
        Role::ClassNames => Role::ClassNames,
    })
}

/// The one part that a file's name names.
pub(super) fn part_of_file(stem: &str) -> Option<Part> {
    let mut parts = words(stem).filter_map(|word| Part::named(&word));
    let part = parts.next()?;
    parts.next().is_none().then_some(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_use_are_understood() {
        let train = Some(Part::Train);
        for (name, role) in [
            ("x_train", Role::Pictures(train)),
            ("train_images", Role::Pictures(train)),
            ("train_set_x", Role::Pictures(train)),
            ("X", Role::Pictures(None)),
            ("val_images", Role::Pictures(Some(Part::Validation))),
            ("y_test", Role::Labels(Some(Part::Test))),
            ("test_set_y", Role::Labels(Some(Part::Test))),
            ("labels", Role::Labels(None)),
            ("list_classes", Role::ClassNames),
            ("class_names", Role::ClassNames),
            ("label_names", Role::ClassNames),
        ] {
            assert_eq!(role_of(name), Some(role), "{name}");
        }
        for name in ["", "extra_x", "x_y", "x_x", "train", "x_train_test", "set", "file_names"] {
            assert_eq!(role_of(name), None, "{name}");
        }
        assert_eq!(part_of_file("train_catvnoncat"), train);
        assert_eq!(part_of_file("mnist"), None);
        assert_eq!(part_of_file("train-test-split"), None);
    }
}
