//! What the house rules are about, counted in the sources of a workspace.
//!
//! Sources are read as tokens (`proc-macro2`), so that comments, strings and layout do not count, and what stands
//! in a macro does. Nothing is compiled; a path through a trait or a type alias is therefore not followed.

mod circles;
mod functions;
mod items;
mod layer_kinds;
mod modules;
mod rule;
mod source;

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

pub use items::PublicItems;
pub use rule::{Place, Rule};
use source::Source;

/// Lines of a function, from `fn` to its closing brace.
const FUNCTION_LINES: usize = 60;
/// Lines of a source file.
const FILE_LINES: usize = 600;
/// Lines of the README.
const README_LINES: usize = 150;

/// All counts of a workspace.
#[derive(Debug)]
pub struct Counts {
    /// What has a limit, or is counted by place.
    pub rules: Vec<Rule>,
    /// The longest source file.
    pub longest: Option<Place>,
    /// The public items of each crate, as `cargo doc` lists them; empty where it was not run.
    pub items: Vec<PublicItems>,
}

impl Counts {
    /// Counts in the workspace at `root`.
    ///
    /// # Errors
    /// If a file cannot be read, or a source is not one of Rust.
    pub fn of(root: &Path) -> Result<Self> {
        let sources = source::read_all(root)?;
        let readme = root.join("README.md");
        let text = fs::read_to_string(&readme)
            .with_context(|| format!("cannot read {}", readme.display()))?;
        let readme = vec![Place {
            path: "README.md".into(),
            line: text.lines().count(),
            note: String::new(),
        }];
        let (long, tuples) = function_rules(&sources);
        let rules = vec![
            long,
            Rule {
                name: format!("files over {FILE_LINES} lines"),
                limit: Some(0),
                places: sources
                    .iter()
                    .filter(|source| source.lines > FILE_LINES)
                    .map(|source| source.place(source.lines, String::new()))
                    .collect(),
            },
            tuples,
            circles::rule(&sources),
            layer_kinds::rule(&sources),
            Rule {
                name: format!("READMEs over {README_LINES} lines"),
                limit: Some(0),
                places: readme.into_iter().filter(|place| place.line > README_LINES).collect(),
            },
        ];
        let longest = sources.iter().max_by_key(|source| source.lines);
        let longest = longest.map(|source| source.place(source.lines, String::new()));
        Ok(Self { rules, longest, items: items::read(root)? })
    }

    /// The rules that do not hold.
    pub fn broken(&self) -> Vec<&Rule> {
        self.rules.iter().filter(|rule| !rule.holds()).collect()
    }

    /// All counts as text: the places of what is over its limit below it, or `all` places.
    pub fn table(&self, all: bool) -> String {
        let mut text = format!("{:<52} {:>5} {:>5}\n", "count", "found", "limit");
        for rule in &self.rules {
            let limit = rule.limit.map_or("-".to_owned(), |limit| limit.to_string());
            writeln!(text, "{:<52} {:>5} {limit:>5}", rule.name, rule.places.len())
                .expect("a string takes all that is written to it");
            for place in rule.places.iter().filter(|_| all || !rule.holds()) {
                writeln!(text, "    {place}").expect("a string takes all that is written to it");
            }
        }
        if let Some(longest) = &self.longest {
            text += &format!(
                "{:<52} {:>5}\n    {longest}\n",
                "lines of the longest source file", longest.line
            );
        }
        if self.items.is_empty() {
            text += "public items: not counted; run `cargo doc --workspace --no-deps` first\n";
        }
        for PublicItems { name, count } in &self.items {
            text += &format!("{:<52} {count:>5}\n", format!("public items of {name}"));
        }
        text
    }
}

/// Long functions, and those with tuples as parameters.
fn function_rules(sources: &[Source]) -> (Rule, Rule) {
    let mut long = Vec::new();
    let mut tuples = Vec::new();
    for source in sources {
        for function in functions::functions(&source.tokens) {
            let place = |note| source.place(function.line, note);
            if function.lines > FUNCTION_LINES {
                long.push(place(format!("{}, {} lines", function.name, function.lines)));
            }
            if !function.tuples.is_empty() {
                tuples.push(place(format!("{}: {}", function.name, function.tuples.join(", "))));
            }
        }
    }
    (
        Rule {
            name: format!("functions over {FUNCTION_LINES} lines"),
            limit: Some(0),
            places: long,
        },
        Rule {
            name: "functions with a tuple as a parameter".to_owned(),
            limit: Some(0),
            places: tuples,
        },
    )
}
