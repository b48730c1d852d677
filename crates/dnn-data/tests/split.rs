//! What holds for every split.

use std::collections::BTreeMap;

use dnn_data::{DataError, stratified_split};
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
