//! Files that cannot be read one after the other: each takes a name from the next, and the last from the first.
//!
//! A file takes from another where one of its paths (`use` or not, tests left out) names what the other defines;
//! names that a module only passes on lead to where they are defined. What a module and those within it take from
//! each other does not count: `mod.rs` and the files of its folder are one thing. Files of which each can be reached
//! from each other are one circle.

use std::collections::{BTreeSet, VecDeque};

use super::modules::Modules;
use super::rule::Rule;
use super::source::Source;

/// How many there are still, in dnn-data and dnn-fetch; to become none, and never more.
const MOST: usize = 5;

/// The circles between files.
pub(super) fn rule(sources: &[Source]) -> Rule {
    let modules = Modules::of(sources);
    let edges: Vec<BTreeSet<usize>> =
        (0..modules.list.len()).map(|at| modules.taken_by(at)).collect();
    let path = |at: usize| &sources[modules.list[at].source].path;
    let places = circles(&edges).into_iter().map(|circle| {
        let shortest = shortest(&edges, circle[0]);
        let way: Vec<String> = shortest.iter().map(|&at| path(at).display().to_string()).collect();
        let files: Vec<String> = circle.iter().map(|&at| path(at).display().to_string()).collect();
        let note =
            format!("{} files ({}), for one {}", circle.len(), files.join(", "), way.join(" -> "));
        sources[modules.list[circle[0]].source].place(1, note)
    });
    Rule { name: "circles between files".to_owned(), limit: Some(MOST), places: places.collect() }
}

/// The groups of more than one, each of which reaches each other.
fn circles(edges: &[BTreeSet<usize>]) -> Vec<Vec<usize>> {
    let reached: Vec<BTreeSet<usize>> = (0..edges.len()).map(|from| reached(edges, from)).collect();
    let mut circles = Vec::new();
    let mut seen = BTreeSet::new();
    for from in 0..edges.len() {
        let circle: Vec<usize> =
            reached[from].iter().copied().filter(|&to| reached[to].contains(&from)).collect();
        if circle.len() > 1 && seen.insert(circle.clone()) {
            circles.push(circle);
        }
    }
    circles
}

/// All that can be reached from `from` by at least one step.
fn reached(edges: &[BTreeSet<usize>], from: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut waiting = vec![from];
    while let Some(at) = waiting.pop() {
        waiting.extend(edges[at].iter().copied().filter(|&to| reached.insert(to)));
    }
    reached
}

/// A shortest way from `from` back to it.
fn shortest(edges: &[BTreeSet<usize>], from: usize) -> Vec<usize> {
    let mut waiting = VecDeque::from([vec![from]]);
    let mut seen = BTreeSet::new();
    while let Some(way) = waiting.pop_front() {
        let at = way[way.len() - 1];
        for &to in &edges[at] {
            let longer = [&way[..], &[to]].concat();
            if to == from {
                return longer;
            }
            if seen.insert(to) {
                waiting.push_back(longer);
            }
        }
    }
    vec![from]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edges(lists: &[&[usize]]) -> Vec<BTreeSet<usize>> {
        lists.iter().map(|list| list.iter().copied().collect()).collect()
    }

    #[test]
    fn a_circle_is_found_whole_and_a_line_is_none() {
        assert!(circles(&edges(&[&[1], &[2], &[]])).is_empty());
        let round = edges(&[&[1], &[2, 3], &[0], &[4], &[3]]);
        assert_eq!(circles(&round), [vec![0, 1, 2], vec![3, 4]]);
        assert_eq!(shortest(&round, 0), [0, 1, 2, 0]);
        assert_eq!(shortest(&round, 3), [3, 4, 3]);
    }

    #[test]
    fn a_circle_names_its_files() {
        let source = |path: &str, text| Source::new(path.into(), text).unwrap();
        let sources = [
            source("a/src/b.rs", "use crate::c::Sea; pub struct Bee;"),
            source("a/src/c.rs", "use crate::b::Bee; pub struct Sea;"),
            source("a/src/lib.rs", "mod b; mod c; pub use b::Bee;"),
        ];
        let places = rule(&sources).places;
        assert_eq!(places.len(), 1);
        let note =
            "2 files (a/src/b.rs, a/src/c.rs), for one a/src/b.rs -> a/src/c.rs -> a/src/b.rs";
        assert_eq!(places[0].note, note);
    }
}
