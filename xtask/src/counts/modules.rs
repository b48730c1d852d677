//! The modules of the workspace's crates, and what each file takes from which other.
//!
//! A path is followed to the file that defines its name: through modules, and through the `use` of a module that
//! passes a name on. Names from other crates lead nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{Delimiter, TokenTree};

use super::source::{Source, inner, is_path_separator, is_sign, is_word, without_tests};

/// Words after which the name of an item stands.
const ITEMS: [&str; 10] =
    ["fn", "struct", "enum", "union", "trait", "type", "const", "static", "mod", "macro_rules"];

/// A path as it stands in a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Taken {
    /// Its segments; a `use` of all names ends before the `*`.
    path: Vec<String>,
    /// The name that a `use` gives it here; `*` for all names, `None` outside of a `use`.
    name: Option<String>,
    /// Whether it is a `use` that passes names on.
    public: bool,
}

/// A module that is a file.
#[derive(Debug)]
pub(super) struct Module {
    /// The index of its source.
    pub(super) source: usize,
    /// The folder of its crate and the names from the crate's root to it.
    key: Key,
    defined: BTreeSet<String>,
    taken: Vec<Taken>,
}

type Key = (String, Vec<String>);

/// All modules of all crates.
#[derive(Debug)]
pub(super) struct Modules {
    /// In the order of their sources.
    pub(super) list: Vec<Module>,
    by_key: BTreeMap<Key, usize>,
}

/// How far a path may be passed on before it is given up as one that goes round.
const HOPS: usize = 16;

impl Modules {
    /// The modules in the `src` folders of these sources, but for those that only tests have; programs in
    /// `src/bin` are none.
    pub(super) fn of(sources: &[Source]) -> Self {
        let mut list = Vec::new();
        let mut only_tests = BTreeSet::new();
        for (source, file) in sources.iter().enumerate() {
            let Some(key) = key(&file.path) else { continue };
            let mut module = Module { source, key, defined: BTreeSet::new(), taken: Vec::new() };
            let tokens = without_tests(&file.tokens);
            module.defined = defined(&tokens);
            let (package, names) = &module.key;
            for name in defined(&file.tokens).difference(&module.defined) {
                let below = [&names[..], std::slice::from_ref(name)].concat();
                only_tests.insert((package.clone(), below));
            }
            take(&tokens, 0, &mut module.taken);
            list.push(module);
        }
        list.retain(|module: &Module| {
            let (package, names) = &module.key;
            let mut above = (0..=names.len()).map(|end| (package.clone(), names[..end].to_vec()));
            !above.any(|key| only_tests.contains(&key))
        });
        let by_key = list.iter().enumerate().map(|(at, module)| (module.key.clone(), at)).collect();
        Self { list, by_key }
    }

    /// The other modules whose names the one at `from` takes. A module and those within it count as one: what
    /// they take from each other, and pass on, is left out.
    pub(super) fn taken_by(&self, from: usize) -> BTreeSet<usize> {
        let mut others = BTreeSet::new();
        for taken in &self.list[from].taken {
            let Some(target) = self.follow(from, &taken.path, HOPS) else { continue };
            let names = |at: usize| &self.list[at].key.1;
            let within = names(target.module).starts_with(names(from))
                || names(from).starts_with(names(target.module));
            // Where a `use` names a module, the paths that begin with it say what is taken.
            let names_module = taken.name.as_ref().is_some_and(|name| name != "*") && target.whole;
            if !within && !names_module {
                others.insert(target.module);
            }
        }
        others
    }

    /// The module that defines what `path` names, as it stands in the module at `from`.
    fn follow(&self, from: usize, path: &[String], hops: usize) -> Option<Target> {
        let hops = hops.checked_sub(1)?;
        let (first, mut rest) = path.split_first()?;
        let mut at = match first.as_str() {
            "crate" => self.root(from)?,
            "self" => from,
            "super" => self.above(from)?,
            name => match self.below(from, name) {
                Some(module) => module,
                None => self.imported(from, name, hops)?,
            },
        };
        while let Some((name, tail)) = rest.split_first() {
            at = match name.as_str() {
                "self" => at,
                "super" => self.above(at)?,
                name => {
                    let Some(module) = self.below(at, name) else {
                        let module = self.definer(at, name, hops).unwrap_or(at);
                        return Some(Target { module, whole: false });
                    };
                    module
                }
            };
            rest = tail;
        }
        Some(Target { module: at, whole: true })
    }

    /// The module that a `use` in the one at `from` calls `name`.
    fn imported(&self, from: usize, name: &str, hops: usize) -> Option<usize> {
        let mut uses = self.list[from].taken.iter();
        let taken = uses.find(|taken| taken.name.as_deref() == Some(name))?;
        let target = self.follow(from, &taken.path, hops)?;
        target.whole.then_some(target.module)
    }

    /// The module that defines `name`, which the one at `at` has or passes on.
    fn definer(&self, at: usize, name: &str, hops: usize) -> Option<usize> {
        let hops = hops.checked_sub(1)?;
        let module = &self.list[at];
        if module.defined.contains(name) {
            return Some(at);
        }
        let by_name = module.taken.iter().filter(|taken| taken.name.as_deref() == Some(name));
        for taken in by_name {
            if let Some(target) = self.follow(at, &taken.path, hops) {
                return Some(target.module);
            }
        }
        let all = module.taken.iter().filter(|taken| taken.name.as_deref() == Some("*"));
        all.filter_map(|taken| self.follow(at, &taken.path, hops))
            .filter(|target| target.module != at)
            .find_map(|target| self.definer(target.module, name, hops))
    }

    fn root(&self, of: usize) -> Option<usize> {
        self.by_key.get(&(self.list[of].key.0.clone(), Vec::new())).copied()
    }

    fn above(&self, of: usize) -> Option<usize> {
        let (package, names) = &self.list[of].key;
        let (_, above) = names.split_last()?;
        self.by_key.get(&(package.clone(), above.to_vec())).copied()
    }

    fn below(&self, of: usize, name: &str) -> Option<usize> {
        let (package, names) = &self.list[of].key;
        let below = [&names[..], &[name.to_owned()]].concat();
        self.by_key.get(&(package.clone(), below)).copied()
    }
}

/// Where a path leads: a module as a `whole`, or one that defines a name.
struct Target {
    module: usize,
    whole: bool,
}

/// Which module a file is: `crates/a/src/b/c.rs` is `b::c` of `crates/a`.
fn key(path: &Path) -> Option<Key> {
    let path = path.to_string_lossy().replace('\\', "/");
    let (package, file) = path.split_once("/src/")?;
    let file = file.strip_suffix(".rs")?;
    let mut names: Vec<String> = file.split('/').map(str::to_owned).collect();
    if names[0] == "bin" {
        return None;
    }
    let last = names.last()?.as_str();
    // A program beside a library has its `main.rs` as a crate of its own.
    if last == "mod" || names.len() == 1 && (last == "lib" || last == "main") {
        names.pop();
    }
    Some((package.to_owned(), names))
}

/// The names of the items of a file.
fn defined(tokens: &[TokenTree]) -> BTreeSet<String> {
    let name = |index: usize| match tokens.get(index) {
        Some(TokenTree::Ident(name)) => Some(name.to_string()),
        _ => None,
    };
    let mut names = BTreeSet::new();
    for (index, token) in tokens.iter().enumerate() {
        if ITEMS.iter().any(|item| is_word(Some(token), item)) {
            // `macro_rules! name`
            let skipped = usize::from(is_sign(tokens.get(index + 1), '!'));
            names.extend(name(index + 1 + skipped));
        }
    }
    names
}

/// Adds the paths in `tokens`, which stand `inline` modules deep in their file.
fn take(tokens: &[TokenTree], inline: usize, taken: &mut Vec<Taken>) {
    let mut index = 0;
    while index < tokens.len() {
        match &tokens[index] {
            TokenTree::Group(group) => {
                let is_module = group.delimiter() == Delimiter::Brace
                    && index >= 2
                    && is_word(tokens.get(index - 2), "mod");
                take(&inner(group), inline + usize::from(is_module), taken);
            }
            TokenTree::Ident(word) if word == "use" => {
                let public = index > 0 && is_visibility(tokens, index - 1);
                let end = (index..tokens.len()).find(|&end| is_sign(tokens.get(end), ';'));
                let end = end.unwrap_or(tokens.len());
                let mut found = Vec::new();
                use_tree(&tokens[index + 1..end], &[], &mut found);
                let found = found.into_iter().map(|(path, name)| (path, Some(name)));
                for (path, name) in found {
                    taken.extend(in_file(path, inline).map(|path| Taken { path, name, public }));
                }
                index = end;
            }
            TokenTree::Ident(_) if is_path_separator(tokens, index + 1) => {
                let (path, end) = path_at(tokens, index);
                let path = in_file(path, inline);
                taken.extend(path.map(|path| Taken { path, name: None, public: false }));
                index = end;
            }
            _ => {}
        }
        index += 1;
    }
}

/// Whether `pub` or `pub(…)` ends at `index`.
fn is_visibility(tokens: &[TokenTree], index: usize) -> bool {
    is_word(tokens.get(index), "pub")
        || matches!(tokens.get(index), Some(TokenTree::Group(_)))
            && index > 0
            && is_word(tokens.get(index - 1), "pub")
}

/// The segments of the path that begins at `index`, and where its last one is.
fn path_at(tokens: &[TokenTree], index: usize) -> (Vec<String>, usize) {
    let mut path = vec![tokens[index].to_string()];
    let mut end = index;
    while is_path_separator(tokens, end + 1) {
        let Some(TokenTree::Ident(next)) = tokens.get(end + 3) else { break };
        path.push(next.to_string());
        end += 3;
    }
    (path, end)
}

/// A path from `inline` modules deep in a file as it would be in the file itself; none if it stays within them.
fn in_file(path: Vec<String>, inline: usize) -> Option<Vec<String>> {
    let supers = path.iter().take_while(|segment| *segment == "super").count();
    if inline == 0 || path.first().is_some_and(|first| first == "crate") {
        return Some(path);
    }
    (supers > inline).then(|| path[inline..].to_vec())
}

/// Adds each path of the tree of a `use` behind `prefix`, with the name that it gives.
fn use_tree(tokens: &[TokenTree], prefix: &[String], found: &mut Vec<(Vec<String>, String)>) {
    let mut path = prefix.to_vec();
    let mut index = 0;
    while let Some(token) = tokens.get(index) {
        match token {
            TokenTree::Ident(word) if word == "as" => {
                let name = tokens.get(index + 1).map(ToString::to_string).unwrap_or_default();
                found.push((path, name));
                return;
            }
            TokenTree::Ident(word) => path.push(word.to_string()),
            TokenTree::Group(group) => {
                let branches = inner(group);
                for branch in branches.split(|token| is_sign(Some(token), ',')) {
                    use_tree(branch, &path, found);
                }
                return;
            }
            TokenTree::Punct(sign) if sign.as_char() == '*' => {
                found.push((path, "*".to_owned()));
                return;
            }
            _ => {}
        }
        index += 1;
    }
    if path.len() > prefix.len() {
        if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
            path.pop();
        }
        let name = path.last().cloned().unwrap_or_default();
        found.push((path, name));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modules(files: &[(&str, &str)]) -> Modules {
        let source = |(path, text): &(&str, &str)| Source::new((*path).into(), text).unwrap();
        Modules::of(&files.iter().map(source).collect::<Vec<_>>())
    }

    fn taken(files: &[(&str, &str)], from: usize) -> Vec<usize> {
        modules(files).taken_by(from).into_iter().collect()
    }

    #[test]
    fn a_file_is_a_module_by_its_path() {
        let key = |path: &str| key(Path::new(path)).map(|(_, names)| names.join("::"));
        assert_eq!(key("crates/a/src/lib.rs").unwrap(), "");
        assert_eq!(key("crates/a/src/b/mod.rs").unwrap(), "b");
        assert_eq!(key("crates/a/src/b/c.rs").unwrap(), "b::c");
        assert_eq!(key("crates/a/tests/b.rs"), None);
        assert_eq!(key("xtask/src/bin/b.rs"), None);
    }

    #[test]
    fn names_are_followed_to_the_file_that_defines_them() {
        let root = ("a/src/lib.rs", "mod b; mod c; pub use b::*; pub use c::Sea as Ocean;");
        let b = ("a/src/b.rs", "pub struct Bee;");
        let c = ("a/src/c.rs", "pub struct Sea;");
        let with = |text| taken(&[root, b, c, ("a/src/d.rs", text)], 3);
        assert_eq!(with("use crate::Bee;"), [1]);
        assert_eq!(with("use crate::{Bee, Ocean};"), [1, 2]);
        assert_eq!(with("fn f(_: super::c::Sea) {}"), [2]);
        assert_eq!(with("use crate::c; fn f(_: c::Sea) {}"), [2]);
        assert!(with("use crate::c; use std::fmt::Debug;").is_empty());
        assert!(with("#[cfg(test)] mod tests { use super::*; use crate::Bee; }").is_empty());
        // What the root passes on it does not take.
        assert!(taken(&[root, b, c], 0).is_empty());
    }

    #[test]
    fn modules_of_tests_are_left_out() {
        let root = ("a/src/lib.rs", "#[cfg(test)] mod tests; mod b;");
        let files = [root, ("a/src/b.rs", ""), ("a/src/tests.rs", "use crate::b;")];
        assert_eq!(modules(&files).list.len(), 2);
    }

    #[test]
    fn a_module_and_those_within_it_count_as_one() {
        let child = ("a/src/b/c.rs", "use super::Bee; pub struct Sea; pub fn go(_: Bee) {}");
        let parent =
            ("a/src/b/mod.rs", "mod c; pub use c::Sea; pub struct Bee; fn f() { c::go(Bee) }");
        let other = ("a/src/d.rs", "use crate::b::{Bee, Sea};");
        let files = [parent, child, other, ("a/src/lib.rs", "mod b; mod d;")];
        assert!(taken(&files, 0).is_empty() && taken(&files, 1).is_empty());
        assert_eq!(taken(&files, 2), [0, 1]);
    }

    #[test]
    fn inline_modules_are_a_part_of_their_file() {
        let other = ("a/src/b.rs", "pub struct Bee;");
        let root = ("a/src/lib.rs", "");
        let with = |text| taken(&[root, other, ("a/src/c.rs", text)], 2);
        assert!(with("mod inner { use super::X; }").is_empty());
        assert_eq!(with("mod inner { use super::super::b::Bee; }"), [1]);
    }
}
