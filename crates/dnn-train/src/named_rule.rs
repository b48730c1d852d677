//! Rules that have a name and numbers, and their text: `adam:beta1=0.8`.

use std::fmt;

use dnn_core::{CoreError, Element};

/// A kind of rule: each has a name, its numbers, and defaults for them.
pub(crate) trait Rules: Copy {
    /// What such a rule is called in a message.
    const KIND: &'static str;
    /// What a number of it is called in a message.
    const KIND_OF_SETTING: &'static str;
    /// Every name.
    const NAMES: &'static [&'static str];

    /// The rule of a name, with its default numbers.
    fn named(name: &str) -> Option<Self>;

    /// Its name.
    fn name(self) -> &'static str;

    /// Its numbers.
    fn settings(&mut self) -> Vec<Setting<'_>>;

    /// Accepts numbers that are in their ranges, also as numbers of `T`.
    fn check<T: Element>(mut self) -> Result<(), CoreError> {
        self.settings().iter().try_for_each(Setting::check::<T>)
    }

    /// The name, and the numbers that are not the defaults.
    fn write(mut self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        let default = Self::named(name);
        let default: Vec<String> = default.map_or_else(Vec::new, |mut default| {
            default.settings().iter().map(|setting| setting.value.to_string()).collect()
        });
        let own = self.settings();
        let texts = own.iter().map(|setting| (setting.name, setting.value.to_string()));
        let other = texts.zip(default).filter(|((_, own), default)| own != default);
        let settings: Vec<String> =
            other.map(|((name, value), _)| format!("{name}={value}")).collect();
        if settings.is_empty() {
            return f.pad(name);
        }
        f.pad(&format!("{name}:{}", settings.join(",")))
    }

    /// The rule of a text as [`write`](Self::write) makes it.
    fn parse(text: &str) -> Result<Self, CoreError> {
        let (name, settings) = text.split_once(':').unwrap_or((text, ""));
        let mut rule = Self::named(name).ok_or_else(|| CoreError::UnknownName {
            kind: Self::KIND,
            found: name.to_owned(),
            expected: Self::NAMES.join(", "),
        })?;
        for setting in settings.split(',').filter(|setting| !setting.is_empty()) {
            let (key, value) = setting.split_once('=').unwrap_or((setting, ""));
            let mut known = rule.settings();
            let names: Vec<&str> = known.iter().map(|known| known.name).collect();
            let place = known.iter_mut().find(|known| known.name == key);
            let place = place.ok_or_else(|| CoreError::UnknownName {
                kind: Self::KIND_OF_SETTING,
                found: key.to_owned(),
                expected: if names.is_empty() { "none".to_owned() } else { names.join(", ") },
            })?;
            place.read(value)?;
        }
        rule.check::<f64>()?;
        Ok(rule)
    }
}

/// A number of a rule.
pub(crate) struct Setting<'a> {
    name: &'static str,
    value: Value<'a>,
    range: Range,
}

enum Value<'a> {
    Real(&'a mut f64),
    Whole(&'a mut u64),
}

#[derive(Clone, Copy)]
enum Range {
    Share,
    UpTo1,
    Above0UpTo1,
    Above0,
    From0,
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Real(value) => write!(f, "{value:?}"),
            Self::Whole(value) => write!(f, "{value}"),
        }
    }
}

impl<'a> Setting<'a> {
    fn real(name: &'static str, value: &'a mut f64, range: Range) -> Self {
        Self { name, value: Value::Real(value), range }
    }

    /// From 0 and below 1.
    pub(crate) fn share(name: &'static str, value: &'a mut f64) -> Self {
        Self::real(name, value, Range::Share)
    }

    /// From 0 to 1.
    pub(crate) fn up_to_1(name: &'static str, value: &'a mut f64) -> Self {
        Self::real(name, value, Range::UpTo1)
    }

    /// Above 0 and at most 1.
    pub(crate) fn above_0_up_to_1(name: &'static str, value: &'a mut f64) -> Self {
        Self::real(name, value, Range::Above0UpTo1)
    }

    /// Above 0.
    pub(crate) fn above_0(name: &'static str, value: &'a mut f64) -> Self {
        Self::real(name, value, Range::Above0)
    }

    /// At least 0.
    pub(crate) fn from_0(name: &'static str, value: &'a mut f64) -> Self {
        Self::real(name, value, Range::From0)
    }

    /// A whole number.
    pub(crate) fn whole(name: &'static str, value: &'a mut u64) -> Self {
        Self { name, value: Value::Whole(value), range: Range::From0 }
    }

    /// A whole number of at least 1.
    pub(crate) fn count(name: &'static str, value: &'a mut u64) -> Self {
        Self { name, value: Value::Whole(value), range: Range::Above0 }
    }

    fn read(&mut self, text: &str) -> Result<(), CoreError> {
        let (expected, read) = match &mut self.value {
            Value::Real(value) => ("a number", text.parse().map(|found| **value = found).is_ok()),
            Value::Whole(value) => {
                ("a whole number", text.parse().map(|found| **value = found).is_ok())
            }
        };
        let found = || CoreError::Invalid { what: self.name, expected, found: text.to_owned() };
        if read { Ok(()) } else { Err(found()) }
    }

    /// Accepts a number in its range, also as a number of `T`.
    pub(crate) fn check<T: Element>(&self) -> Result<(), CoreError> {
        let invalid = |expected, found| CoreError::Invalid { what: self.name, expected, found };
        let value = match &self.value {
            Value::Real(value) => **value,
            Value::Whole(1..) => return Ok(()),
            Value::Whole(0) if matches!(self.range, Range::From0) => return Ok(()),
            Value::Whole(zero) => {
                return Err(invalid("a whole number of at least 1", zero.to_string()));
            }
        };
        let rounded = T::from_f64(value);
        let (expected, fits) = match self.range {
            Range::Share => ("a number from 0 and below 1", value >= 0.0 && rounded < T::one()),
            Range::UpTo1 => ("a number from 0 to 1", (0.0..=1.0).contains(&value)),
            Range::Above0UpTo1 => {
                ("a number above 0 and at most 1", rounded > T::zero() && value <= 1.0)
            }
            Range::Above0 => ("a finite number above 0", rounded > T::zero()),
            Range::From0 => ("a finite number of at least 0", value >= 0.0),
        };
        if fits && rounded.is_finite() {
            return Ok(());
        }
        // Out of range only as a number of `T`.
        let found = if Into::<f64>::into(rounded) == value || !value.is_finite() {
            format!("{value:?}")
        } else {
            format!("{value:?}, which is {rounded} in {}", T::PRECISION)
        };
        Err(invalid(expected, found))
    }
}
