//! Pictures that are the same, or nearly.

use std::collections::BTreeMap;

use rayon::iter::{IntoParallelIterator, ParallelIterator};

use super::look::Look;

/// More pictures are not compared for likeness, because the time grows with their square.
pub(super) const MOST_COMPARED: usize = 100_000;

/// Hashes of the same photograph differ in at most so many of 128 bits.
const MOST_BITS: u32 = 32;

/// Small copies of the same photograph differ by at most so much on average, of 255 levels.
const MOST_DISTANCE: f32 = 12.5;

/// Pictures, by their positions, that show the same.
#[derive(Debug, PartialEq)]
pub(super) struct Group {
    /// In rising order, two or more.
    pub(super) members: Vec<usize>,
    /// The largest difference between one of them and the one it was found by; 0 to 255.
    pub(super) distance: f32,
}

/// Groups of equal digests, by their first members.
pub(super) fn equal(digests: &[[u8; 32]]) -> Vec<Vec<usize>> {
    let mut places: BTreeMap<&[u8; 32], Vec<usize>> = BTreeMap::new();
    for (place, digest) in digests.iter().enumerate() {
        places.entry(digest).or_default().push(place);
    }
    let mut groups: Vec<Vec<usize>> =
        places.into_values().filter(|members| members.len() > 1).collect();
    groups.sort();
    groups
}

/// Groups of pictures that nearly look the same, or do in a mirror; `looks` with their positions.
///
/// Each picture is joined to the one before it that it is most like, if that is near enough: so there
/// are at most as many links as pictures, however many look alike.
pub(super) fn similar(looks: &[(usize, &Look)], mirror: bool) -> Vec<Group> {
    let nearest = |later: usize| {
        let (_, look) = looks[later];
        let hash = if mirror { look.mirrored } else { look.hash };
        let mut best: Option<(f32, usize)> = None;
        for (earlier, (_, other)) in looks[..later].iter().enumerate() {
            if (hash ^ other.hash).count_ones() <= MOST_BITS {
                let distance = look.distance(other, mirror);
                if distance <= best.map_or(MOST_DISTANCE, |(best, _)| best)
                    && best.is_none_or(|(best, _)| distance < best)
                {
                    best = Some((distance, earlier));
                }
            }
        }
        best
    };
    let links: Vec<Option<(f32, usize)>> = (0..looks.len()).into_par_iter().map(nearest).collect();
    // Each link leads to an earlier picture, whose group is known.
    let mut first: Vec<usize> = Vec::with_capacity(looks.len());
    let mut groups: BTreeMap<usize, Group> = BTreeMap::new();
    for (place, link) in links.into_iter().enumerate() {
        let Some((distance, earlier)) = link else {
            first.push(place);
            continue;
        };
        let leader = first[earlier];
        first.push(leader);
        let group = groups
            .entry(leader)
            .or_insert_with(|| Group { members: vec![looks[leader].0], distance: 0.0 });
        group.members.push(looks[place].0);
        group.distance = group.distance.max(distance);
    }
    groups.into_values().collect()
}
