//! How long functions are, and which take tuples.

use proc_macro2::{Delimiter, Group, TokenTree};

use super::source::{inner, is_path_separator, is_sign, is_word};

/// A function with a body, in a file, a block or a macro.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Function {
    /// Its name.
    pub(super) name: String,
    /// The line of `fn`, from 1 on.
    pub(super) line: usize,
    /// From there to the closing brace.
    pub(super) lines: usize,
    /// The types of its parameters that are tuples, references to them included.
    pub(super) tuples: Vec<String>,
}

/// All functions in `tokens`, nested ones included.
pub(super) fn functions(tokens: &[TokenTree]) -> Vec<Function> {
    let mut found = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        if let TokenTree::Group(group) = token {
            found.extend(functions(&inner(group)));
        } else if is_word(Some(token), "fn") {
            found.extend(function(&tokens[index..]));
        }
    }
    found
}

/// The function whose `fn` is the first of `tokens`; none for a type `fn(…)` or a function without a body.
fn function(tokens: &[TokenTree]) -> Option<Function> {
    // `$name` in a macro.
    let name = tokens.iter().skip(1).find(|token| !is_sign(Some(token), '$'))?;
    let TokenTree::Ident(name) = name else { return None };
    let parameters = parameters(tokens)?;
    let body = tokens.iter().find_map(|token| match token {
        TokenTree::Group(group) if group.delimiter() == Delimiter::Brace => Some(Some(group)),
        TokenTree::Punct(punct) if punct.as_char() == ';' => Some(None),
        _ => None,
    })??;
    let line = tokens[0].span().start().line;
    let lines = body.span_close().end().line - line + 1;
    Some(Function { name: name.to_string(), line, lines, tuples: tuples(&inner(parameters)) })
}

/// The first parentheses that are not within the angles of type parameters.
fn parameters(tokens: &[TokenTree]) -> Option<&Group> {
    let mut depth = Angles::default();
    for (index, token) in tokens.iter().enumerate() {
        match token {
            TokenTree::Group(group)
                if group.delimiter() == Delimiter::Parenthesis && depth.outside() =>
            {
                return Some(group);
            }
            _ => depth.see(tokens, index),
        }
    }
    None
}

/// How deep in `<…>` a place is; the `>` of an arrow closes nothing.
#[derive(Default)]
struct Angles(usize);

impl Angles {
    fn outside(&self) -> bool {
        self.0 == 0
    }

    fn see(&mut self, tokens: &[TokenTree], index: usize) {
        if is_sign(tokens.get(index), '<') {
            self.0 += 1;
        }
        let arrow = index > 0 && is_sign(tokens.get(index - 1), '-');
        if is_sign(tokens.get(index), '>') && !arrow {
            self.0 = self.0.saturating_sub(1);
        }
    }
}

/// The tuples among the types of these parameters.
fn tuples(parameters: &[TokenTree]) -> Vec<String> {
    let mut types = Vec::new();
    let mut depth = Angles::default();
    let mut start = 0;
    for index in 0..=parameters.len() {
        depth.see(parameters, index);
        if index == parameters.len() || depth.outside() && is_sign(parameters.get(index), ',') {
            types.extend(parameter_type(&parameters[start..index]));
            start = index + 1;
        }
    }
    types.into_iter().filter_map(tuple).collect()
}

/// What follows the colon of a parameter.
fn parameter_type(parameter: &[TokenTree]) -> Option<&[TokenTree]> {
    let colon = (0..parameter.len()).find(|&index| {
        is_sign(parameter.get(index), ':')
            && !is_path_separator(parameter, index)
            && !(index > 0 && is_path_separator(parameter, index - 1))
    })?;
    Some(&parameter[colon + 1..])
}

/// The tuple that a type is, if it is one; `(usize, usize)` is how ndarray writes a shape or a place in a matrix.
fn tuple(mut tokens: &[TokenTree]) -> Option<String> {
    // `&'a mut`
    while let [first, rest @ ..] = tokens {
        let lifetime = is_sign(Some(first), '\'');
        if !lifetime && !is_sign(Some(first), '&') && !is_word(Some(first), "mut") {
            break;
        }
        tokens = if lifetime { rest.get(1..)? } else { rest };
    }
    let [TokenTree::Group(group)] = tokens else { return None };
    let types = inner(group);
    let mut depth = Angles::default();
    let mut has_comma = false;
    for index in 0..types.len() {
        depth.see(&types, index);
        has_comma |= depth.outside() && is_sign(types.get(index), ',');
    }
    let is_tuple = group.delimiter() == Delimiter::Parenthesis && has_comma;
    let words: Vec<String> = types.iter().map(ToString::to_string).collect();
    let is_shape = words.concat().trim_end_matches(',') == "usize,usize";
    (is_tuple && !is_shape).then(|| group.to_string())
}

#[cfg(test)]
mod tests {
    use super::super::source::Source;
    use super::*;

    fn found(text: &str) -> Vec<Function> {
        functions(&Source::new("a.rs".into(), text).unwrap().tokens)
    }

    #[test]
    fn a_function_is_as_long_as_from_fn_to_its_brace() {
        let functions = found(
            "/// Doc.\n#[inline]\nfn a() {\n    b();\n}\nimpl X { fn b<F: Fn((u8, u8)) -> u8>(f: F)\nwhere F: Send,\n{ } }",
        );
        let lines: Vec<(&str, usize, usize)> =
            functions.iter().map(|f| (f.name.as_str(), f.line, f.lines)).collect();
        assert_eq!(lines, [("a", 3, 3), ("b", 6, 3)]);
        assert!(functions.iter().all(|function| function.tuples.is_empty()));
    }

    #[test]
    fn types_and_declarations_are_no_functions_and_those_of_macros_are() {
        assert!(found("type F = fn(u8) -> u8; trait T { fn a(&self); }").is_empty());
        assert_eq!(found("macro_rules! m { ($name:ident) => { fn $name() {} } }")[0].name, "name");
        assert_eq!(found("fn a() { fn b() {} }").len(), 2);
    }

    #[test]
    fn tuples_are_found_behind_references_and_patterns() {
        let tuples = |text: &str| found(text)[0].tuples.clone();
        assert_eq!(tuples("fn a(x: (u8, u8), y: u8) {}"), ["(u8 , u8)"]);
        assert_eq!(tuples("fn a(&self, (x, y): &'a mut (u8, u8)) {}"), ["(u8 , u8)"]);
        assert_eq!(tuples("fn a(x: std::ops::Range<(u8, u8)>, y: (u8, u8)) {}").len(), 1);
        assert!(tuples("fn a(x: &(impl Fn() -> Result<u8, u8> + Sync)) {}").is_empty());
        assert!(tuples("fn a(x: &(dyn Fn(u8, u8) + Sync), y: (), z: [u8; 2]) {}").is_empty());
    }
}
