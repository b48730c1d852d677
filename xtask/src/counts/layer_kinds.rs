//! Files that ask which kind a layer is.
//!
//! Counted in the crates of layers and of training, tests left out: a pattern with a variant of [`KINDS`], and a
//! question to one of [`FLAGS`], by which layers were told apart before each kind was a module.

use std::collections::BTreeMap;

use proc_macro2::TokenTree;

use super::rule::Rule;
use super::source::{Source, inner, is_path_separator, is_sign, is_word, without_tests};

/// Enums with a variant for each kind of layer.
const KINDS: [&str; 2] = ["Layer", "LayerFunction"];
/// Fields and methods that are there for one kind.
const FLAGS: [&str; 3] = ["is_normalized", "normalization", "is_dropped"];
const CRATES: [&str; 2] = ["crates/dnn-layers/src", "crates/dnn-train/src"];

/// The files, each with how often it asks.
pub(super) fn rule(sources: &[Source]) -> Rule {
    let mut files = BTreeMap::new();
    for (index, source) in sources.iter().enumerate() {
        if CRATES.iter().any(|folder| source.path.starts_with(folder)) {
            let tokens = without_tests(&source.tokens);
            // In the enum's own file it is `Self`.
            let own = defines_kinds(&tokens);
            let asked = questions(&tokens, own);
            if let Some(&line) = asked.first() {
                files.insert(index, source.place(line, format!("{} times", asked.len())));
            }
        }
    }
    Rule {
        name: "files that match on kinds of layers".to_owned(),
        limit: None,
        places: files.into_values().collect(),
    }
}

fn defines_kinds(tokens: &[TokenTree]) -> bool {
    let names = |index: usize| KINDS.iter().any(|kind| is_word(tokens.get(index), kind));
    (0..tokens.len()).any(|index| is_word(tokens.get(index), "enum") && names(index + 1))
}

/// The lines that ask.
fn questions(tokens: &[TokenTree], own: bool) -> Vec<usize> {
    let mut lines = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group) => lines.extend(questions(&inner(group), own)),
            TokenTree::Ident(word) => {
                let is_kind = KINDS.iter().any(|kind| word == kind) || own && word == "Self";
                let variant = is_kind && is_pattern(tokens, index);
                let flag = FLAGS.iter().any(|flag| word == flag)
                    && index > 0
                    && is_sign(tokens.get(index - 1), '.');
                if variant || flag {
                    lines.push(word.span().start().line);
                }
            }
            _ => {}
        }
    }
    lines
}

/// Whether the path at `index` names a variant and what follows it can only follow a pattern.
fn is_pattern(tokens: &[TokenTree], index: usize) -> bool {
    if !is_path_separator(tokens, index + 1) {
        return false;
    }
    let Some(TokenTree::Ident(variant)) = tokens.get(index + 3) else { return false };
    if !variant.to_string().starts_with(char::is_uppercase) {
        return false;
    }
    let fields = usize::from(matches!(tokens.get(index + 4), Some(TokenTree::Group(_))));
    let next = index + 4 + fields;
    let sign = |at: usize, sign| is_sign(tokens.get(at), sign);
    // `=>`, `= x` of an `if let`, `| other`, or the end of a `matches!`; not `==` or `||`.
    let equals = sign(next, '=') && !sign(next + 1, '=');
    let bar = sign(next, '|') && !sign(next + 1, '|');
    let before = index > 0 && sign(index - 1, '|');
    let in_macro = tokens.len() == next && index > 0 && sign(index - 1, ',');
    equals || bar || before || is_word(tokens.get(next), "if") || in_macro
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(text: &str) -> usize {
        let source = Source::new("crates/dnn-train/src/a.rs".into(), text).unwrap();
        questions(&source.tokens, defines_kinds(&source.tokens)).len()
    }

    #[test]
    fn patterns_are_questions_and_values_are_none() {
        assert_eq!(
            asked("match l { Layer::Dense { .. } => 1, Layer::A(_) | Layer::B if x => 2 }"),
            3
        );
        assert_eq!(asked("if let Layer::Dense(d) = layer { }"), 1);
        assert_eq!(asked("matches!(layer, Layer::Dense(_))"), 1);
        assert_eq!(asked("let l = Layer::Dense { units: 1 }; Layer::batch_norm(x)"), 0);
        assert_eq!(
            asked("enum Layer { A } impl Layer { fn f(self) { match self { Self::A => 1 } } }"),
            1
        );
    }

    #[test]
    fn a_flag_is_asked_where_it_is_used() {
        assert_eq!(asked("if stage.is_normalized() && stage.normalization.is_some() {}"), 2);
        assert_eq!(asked("fn is_normalized(&self) -> bool { true }"), 0);
    }
}
