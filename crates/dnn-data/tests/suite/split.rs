//! What holds for every split.

use std::collections::BTreeMap;

use dnn_data::{DataError, Dataset, ImageDataset, ImageShape, PictureFile, stratified_split};
use ndarray::{Array2, ShapeBuilder};
use proptest::prelude::*;

fn count_by_class<'a>(labels: impl Iterator<Item = &'a u32>) -> BTreeMap<u32, usize> {
    labels.fold(BTreeMap::new(), |mut counts, &label| {
        *counts.entry(label).or_default() += 1;
        counts
    })
}

proptest! {
    #[test]
    fn parts_are_disjoint_complete_and_stratified(
        labels in prop::collection::vec(prop_oneof![0_u32..4, Just(u32::MAX)], 1..200),
        fraction in 0.001_f64..0.999,
        seed: u64,
    ) {
        let split = match stratified_split(&labels, fraction, seed) {
            Err(DataError::NothingHeldOut { .. }) => {
                // Only where rounding gives none, or no class can spare one.
                let pair = count_by_class(labels.iter()).values().any(|&count| count > 1);
                prop_assert!(!pair || (labels.len() as f64 * fraction).round() < 1.0);
                return Ok(());
            }
            split => split.unwrap(),
        };
        prop_assert!(split.kept.is_sorted() && split.held_out.is_sorted());
        let mut all = [split.kept.clone(), split.held_out.clone()].concat();
        all.sort_unstable();
        prop_assert!(all.iter().copied().eq(0..labels.len()));

        let held_out = count_by_class(split.held_out.iter().map(|&example| &labels[example]));
        let mut at_limit = false;
        for (label, count) in count_by_class(labels.iter()) {
            let out = held_out.get(&label).copied().unwrap_or(0);
            prop_assert!(out < count, "class {label} keeps none of {count}");
            prop_assert!((out as f64 - count as f64 * fraction).abs() <= 1.0 + 1e-9);
            at_limit |= out + 1 == count;
        }
        let asked = (labels.len() as f64 * fraction).round();
        let found = split.held_out.len() as f64;
        prop_assert!(found <= asked);
        prop_assert!(at_limit || (found - asked).abs() < 0.5, "{found} of {asked}");
    }

    #[test]
    fn a_seed_gives_one_split_and_another_seed_another(seed: u64) {
        let labels: Vec<u32> = (0..200).map(|example| example % 3).collect();
        let split = stratified_split(&labels, 0.5, seed).unwrap();
        prop_assert_eq!(&split, &stratified_split(&labels, 0.5, seed).unwrap());
        prop_assert_ne!(split, stratified_split(&labels, 0.5, seed ^ 1).unwrap());
    }
}

/// 60 pictures of 3 pixels in 3 classes, with files.
fn pictures() -> ImageDataset {
    let value = |(row, column)| u8::try_from(row + 4 * column).unwrap();
    let pixels = Array2::from_shape_fn((3, 60).f(), value);
    let labels = (0..60).map(|example| example * example % 3).collect();
    let names = ["a", "b", "c"].map(str::to_owned).to_vec();
    let shape = ImageShape { height: 1, width: 3, channels: 1 };
    let file = |number: u8| PictureFile { path: format!("{number}.png"), sha256: [number; 32] };
    let set = ImageDataset::new(pixels, labels, names, shape).unwrap();
    set.with_files((0..60).map(file).collect()).unwrap()
}

fn undivided(train: ImageDataset) -> Dataset {
    Dataset { name: "made up".to_owned(), train, validation: None, test: None }
}

#[test]
fn parts_that_are_held_out_are_those_of_the_split_and_share_its_pixels() {
    let whole = pictures();
    let mut data = undivided(pictures());
    let address = data.train.pixels().as_ptr();
    data.hold_out_test(0.25, 3).unwrap();
    let split = stratified_split(whole.labels(), 0.25, 3).unwrap();
    let (kept, test) = (whole.select(&split.kept), whole.select(&split.held_out));
    assert_eq!((&data.train, data.test.as_ref()), (&kept, Some(&test)));

    data.hold_out_validation(0.2, 5).unwrap();
    let split = stratified_split(kept.labels(), 0.2, 5).unwrap();
    assert_eq!(data.train, kept.select(&split.kept));
    assert_eq!(data.validation.as_ref(), Some(&kept.select(&split.held_out)));
    assert_eq!(data.test.as_ref(), Some(&test), "it stays as it was");

    // One matrix: training, validation and test lie in it one behind another.
    let parts = [Some(&data.train), data.validation.as_ref(), data.test.as_ref()];
    let mut expected = address;
    for part in parts.into_iter().flatten() {
        assert_eq!(part.pixels().as_ptr(), expected);
        expected = expected.wrapping_add(part.pixels().len());
    }
    assert_eq!(expected, address.wrapping_add(180));
}

#[test]
fn a_part_that_is_there_stays_and_a_clone_keeps_its_order() {
    let mut data = undivided(pictures());
    data.hold_out_test(0.5, 1).unwrap();
    let before = data.clone();
    data.hold_out_test(0.1, 2).unwrap();
    assert_eq!(data, before);
    data.hold_out_validation(0.3, 2).unwrap();
    assert_eq!((before.validation.is_none(), before.train.len()), (true, 30));
    let split = stratified_split(before.train.labels(), 0.3, 2).unwrap();
    assert_eq!(data.train, before.train.select(&split.kept));
    assert_eq!((data.validation.unwrap().len(), data.test), (9, before.test));
}

#[test]
fn a_fraction_that_cannot_be_leaves_the_data_as_it_is() {
    let mut data = undivided(pictures());
    assert!(matches!(data.hold_out_test(1.0, 1), Err(DataError::Fraction { .. })));
    assert!(matches!(data.hold_out_validation(1e-9, 1), Err(DataError::NothingHeldOut { .. })));
    assert_eq!(data, undivided(pictures()));
}
