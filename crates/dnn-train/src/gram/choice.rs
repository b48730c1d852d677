//! Who decides whether a run takes the dual (Gram) form.

use std::fmt;
use std::str::FromStr;

use dnn_core::CoreError;

/// Whether full-batch gradient descent works on the products of the examples with each other, in place of the
/// first layer's weights: see [`GramPlan`](crate::GramPlan).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum GramChoice {
    /// Where that takes fewer operations over the whole run, which is not a small one, and at most 1 GiB.
    #[default]
    Auto,
    /// In any case; a run that cannot be in this form is refused.
    Always,
    /// In no case.
    Never,
}

impl GramChoice {
    /// The names of all choices.
    pub const NAMES: &'static [&'static str] = &["auto", "always", "never"];
}

impl fmt::Display for GramChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(Self::NAMES[*self as usize])
    }
}

impl FromStr for GramChoice {
    type Err = CoreError;

    fn from_str(name: &str) -> Result<Self, CoreError> {
        [Self::Auto, Self::Always, Self::Never]
            .into_iter()
            .find(|choice| choice.to_string() == name)
            .ok_or_else(|| CoreError::UnknownName {
                kind: "choice of the dual (Gram) form",
                found: name.to_owned(),
                expected: Self::NAMES.join(", "),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn choices_are_their_names() {
        for name in GramChoice::NAMES {
            assert_eq!(
                name.parse::<GramChoice>().map(|choice| choice.to_string()),
                Ok((*name).to_owned())
            );
        }
        assert!("yes".parse::<GramChoice>().is_err());
    }
}
