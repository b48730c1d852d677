//! The source files of a workspace as tokens.

use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, anyhow, ensure};
use proc_macro2::{TokenStream, TokenTree};

use super::rule::Place;

/// A source file.
#[derive(Debug)]
pub(super) struct Source {
    /// The file, from the root of the workspace.
    pub(super) path: PathBuf,
    /// How many lines it has.
    pub(super) lines: usize,
    /// What is in it, comments apart.
    pub(super) tokens: Vec<TokenTree>,
}

impl Source {
    /// A source of this text.
    ///
    /// # Errors
    /// If it is not made of Rust's tokens.
    pub(super) fn new(path: PathBuf, text: &str) -> Result<Self> {
        let tokens = TokenStream::from_str(text)
            .map_err(|error| anyhow!("{}: not Rust: {error}", path.display()))?;
        Ok(Self { path, lines: text.lines().count(), tokens: tokens.into_iter().collect() })
    }

    /// A place in it.
    pub(super) fn place(&self, line: usize, note: String) -> Place {
        Place { path: self.path.clone(), line, note }
    }
}

/// Every `.rs` file of the workspace's packages but for fixtures, in the order of their paths.
///
/// # Errors
/// If a folder or file cannot be read, a file is not Rust, or there is none.
pub(super) fn read_all(root: &Path) -> Result<Vec<Source>> {
    let mut paths = Vec::new();
    for group in ["crates", "datasets", "xtask"] {
        let folder = root.join(group);
        if folder.is_dir() {
            list(&folder, &mut paths)?;
        }
    }
    ensure!(!paths.is_empty(), "no Rust file below {}/crates", root.display());
    paths.sort();
    let read = |path: &PathBuf| {
        let text =
            fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Source::new(path.strip_prefix(root)?.to_owned(), &text)
    };
    paths.iter().map(read).collect()
}

/// Adds the Rust files below `folder`.
fn list(folder: &Path, paths: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let hidden = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'));
        // Fixtures are what some version once made, and are not built.
        let left_out = hidden || path.ends_with("target") || path.ends_with("fixtures");
        if path.is_dir() && !left_out {
            list(&path, paths)?;
        } else if path.extension().is_some_and(|suffix| suffix == "rs") {
            paths.push(path);
        }
    }
    Ok(())
}

/// The tokens of a group.
pub(super) fn inner(group: &proc_macro2::Group) -> Vec<TokenTree> {
    group.stream().into_iter().collect()
}

/// Whether `token` is this word.
pub(super) fn is_word(token: Option<&TokenTree>, word: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(ident)) if ident == word)
}

/// Whether `token` is this sign.
pub(super) fn is_sign(token: Option<&TokenTree>, sign: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == sign)
}

/// Whether two colons begin at `index`.
pub(super) fn is_path_separator(tokens: &[TokenTree], index: usize) -> bool {
    is_sign(tokens.get(index), ':') && is_sign(tokens.get(index + 1), ':')
}

/// `tokens` without the items that only tests have: those under `#[cfg(test)]`.
pub(super) fn without_tests(tokens: &[TokenTree]) -> Vec<TokenTree> {
    let mut kept = Vec::new();
    let mut index = 0;
    while index < tokens.len() {
        if is_sign(tokens.get(index), '#') && is_test_attribute(tokens.get(index + 1)) {
            index += 2;
            while index < tokens.len() && !ends_item(&tokens[index]) {
                index += 1;
            }
        } else {
            kept.push(tokens[index].clone());
        }
        index += 1;
    }
    kept
}

fn ends_item(token: &TokenTree) -> bool {
    match token {
        TokenTree::Group(group) => group.delimiter() == proc_macro2::Delimiter::Brace,
        TokenTree::Punct(punct) => punct.as_char() == ';',
        _ => false,
    }
}

/// Whether this is the `[cfg(test)]` of an attribute, alone or as one of several conditions.
fn is_test_attribute(token: Option<&TokenTree>) -> bool {
    let Some(TokenTree::Group(group)) = token else { return false };
    let text = group.stream().to_string();
    let words: Vec<&str> = text.split(|c: char| !c.is_alphanumeric()).collect();
    words.first() == Some(&"cfg") && words.contains(&"test") && !words.contains(&"not")
}
