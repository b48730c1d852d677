//! Settings by name, as texts: what a model records, what a search tries, and what a command line gives.
//!
//! The names are those of the fields, which are different in all sections. Serde knows them and their types, so
//! that a new setting needs nothing here.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde::de::value::Error as TextError;
use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, IntoDeserializer, MapAccess,
    Visitor,
};
use serde_json::Value;

/// Settings by name. What is left out has its default.
pub type Settings = BTreeMap<String, String>;

/// The fields of a part of a configuration, by the name of its struct, that are parts in their turn.
fn sections(part: &str) -> &'static [&'static str] {
    match part {
        "RunConfig" => &["data", "network", "training", "keeping"],
        "DataConfig" => &["files"],
        _ => &[],
    }
}

/// Every setting of this part of a configuration that has a value.
pub(super) fn of(section: &impl Serialize) -> Settings {
    let value = serde_json::to_value(section).expect("plain structs have a form in JSON");
    let mut settings = Settings::new();
    collect("", &value, &mut settings);
    settings
}

fn collect(name: &str, value: &Value, into: &mut Settings) {
    let text = match value {
        Value::Null => return,
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| collect(name, value, into));
            return;
        }
        Value::Array(elements) if elements.is_empty() => "none".to_owned(),
        Value::Array(elements) => elements.iter().map(text_of).collect::<Vec<_>>().join(","),
        _ => text_of(value),
    };
    into.insert(name.to_owned(), text);
}

fn text_of(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // As Rust writes it: 0 and not 0.0.
        Value::Number(number) if number.is_f64() => {
            number.as_f64().map_or_else(String::new, |number| number.to_string())
        }
        _ => value.to_string(),
    }
}

/// The configuration of these settings, with the defaults for the others.
///
/// # Errors
/// A name that is none, with those that there are; a text that is no value of its setting.
pub(super) fn read<C: DeserializeOwned>(settings: &Settings) -> Result<C, String> {
    let known = RefCell::new(BTreeSet::new());
    let config =
        C::deserialize(Section { settings, known: &known }).map_err(|error| error.to_string())?;
    let known = known.into_inner();
    match settings.keys().find(|name| !known.contains(name.as_str())) {
        None => Ok(config),
        Some(name) => {
            let names: Vec<&str> = known.into_iter().collect();
            Err(format!("unknown setting `{name}`; expected one of {}", names.join(", ")))
        }
    }
}

/// A struct with the settings that have the names of its fields.
#[derive(Clone, Copy)]
struct Section<'a> {
    settings: &'a Settings,
    /// The names of all settings that there are.
    known: &'a RefCell<BTreeSet<&'static str>>,
}

impl<'de> Deserializer<'de> for Section<'_> {
    type Error = TextError;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, TextError> {
        Err(TextError::custom("a section of a configuration is a struct"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, TextError> {
        let sections = sections(name);
        let settings = fields.iter().filter(|field| !sections.contains(field));
        self.known.borrow_mut().extend(settings);
        visitor.visit_map(Fields { section: self, sections, left: fields.iter(), next: None })
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit
        unit_struct newtype_struct seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Fields<'a> {
    section: Section<'a>,
    sections: &'static [&'static str],
    left: std::slice::Iter<'static, &'static str>,
    next: Option<&'static str>,
}

impl<'de> MapAccess<'de> for Fields<'_> {
    type Error = TextError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, TextError> {
        let settings = self.section.settings;
        let is_there =
            |field: &&&str| self.sections.contains(*field) || settings.contains_key(**field);
        self.next = self.left.find(is_there).copied();
        self.next.map(|name| seed.deserialize(name.into_deserializer())).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, TextError> {
        let name = self.next.take().expect("a value comes after its name");
        match self.section.settings.get(name).filter(|_| !self.sections.contains(&name)) {
            Some(text) => seed
                .deserialize(Text(text))
                .map_err(|error| TextError::custom(format!("{name}: {error}"))),
            None => seed.deserialize(self.section),
        }
    }
}

/// The value of a setting, of whatever type it is.
struct Text<'a>(&'a str);

/// Reads a number, or says what was found.
macro_rules! number {
    ($($method:ident $visit:ident $expected:literal,)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
            match self.0.parse() {
                Ok(number) => visitor.$visit(number),
                Err(_) => Err(self.wrong($expected)),
            }
        }
    )+};
}

impl Text<'_> {
    fn wrong(&self, expected: &str) -> TextError {
        TextError::custom(format!("expected {expected}, found `{}`", self.0))
    }
}

impl<'de> Deserializer<'de> for Text<'_> {
    type Error = TextError;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_str(self.0)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, TextError> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, TextError> {
        visitor.visit_newtype_struct(self)
    }

    number! {
        deserialize_bool visit_bool "true or false",
        deserialize_u32 visit_u32 "a whole number",
        deserialize_u64 visit_u64 "a whole number",
        deserialize_i64 visit_i64 "a whole number",
        deserialize_f32 visit_f32 "a number",
        deserialize_f64 visit_f64 "a number",
    }

    serde::forward_to_deserialize_any! {
        i8 i16 i32 i128 u8 u16 u128 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map
        struct enum identifier ignored_any
    }
}
