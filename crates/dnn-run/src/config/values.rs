//! The values of settings, and their texts.
//!
//! A setting that is not a plain number or switch has a text, `adam:beta1=0.8`, which is the same on a command
//! line, in a TOML file and in a record.

use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use dnn_core::Precision;
use dnn_train::Products;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Widths of hidden layers: `256,128`, or `none`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Widths(pub Vec<usize>);

impl FromStr for Widths {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "none" {
            return Ok(Self(Vec::new()));
        }
        let width = |part: &str| {
            part.trim().parse().ok().filter(|&width| width > 0).ok_or_else(|| {
                format!("expected whole numbers of at least 1 like 20,7,5, or none; found `{part}`")
            })
        };
        text.split(',').map(width).collect::<Result<_, _>>().map(Self)
    }
}

impl<'de> Deserialize<'de> for Widths {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text::deserialize(deserializer)
    }
}

/// Width and height of pictures in pixels: `64`, which is both, or `96x64`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PictureSize {
    /// Pixels in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
}

impl PictureSize {
    /// As many rows as pixels in each.
    pub fn square(side: usize) -> Self {
        Self { width: side, height: side }
    }

    /// That of the two with more pixels.
    pub(crate) fn larger(self, other: Self) -> Self {
        let pixels = |size: Self| size.width.saturating_mul(size.height);
        if pixels(other) > pixels(self) { other } else { self }
    }
}

impl fmt::Display for PictureSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

impl FromStr for PictureSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (width, height) = text.split_once('x').unwrap_or((text, text));
        let side = |text: &str| text.parse().ok().filter(|side| (1..=1 << 14).contains(side));
        match (side(width), side(height)) {
            (Some(width), Some(height)) => Ok(Self { width, height }),
            _ => {
                Err(format!("expected sides of 1 to 16384 pixels like 64 or 96x64, found `{text}`"))
            }
        }
    }
}

/// The sizes of pictures in training, one after another: `64`, or `48,64@0.5` for a second one from half of the
/// epochs on.
#[derive(Debug, Clone, PartialEq)]
pub struct TrainingSizes(Vec<SizeFrom>);

/// A size of pictures from some epoch on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SizeFrom {
    /// Width and height.
    pub size: PictureSize,
    /// The share of the epochs that is over when it begins; 0 for the first.
    pub from: f64,
}

impl TrainingSizes {
    /// At least one, each but the first later than the one before it.
    pub(crate) fn new(sizes: Vec<SizeFrom>) -> Self {
        Self(sizes)
    }

    /// The same size in all epochs.
    pub fn always(size: PictureSize) -> Self {
        Self(vec![SizeFrom { size, from: 0.0 }])
    }

    /// Each size, in their order; at least one.
    pub fn each(&self) -> &[SizeFrom] {
        &self.0
    }

    /// The last size.
    pub fn last(&self) -> PictureSize {
        self.0[self.0.len() - 1].size
    }
}

impl fmt::Display for TrainingSizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, SizeFrom { size, from }) in self.0.iter().enumerate() {
            match index {
                0 => write!(f, "{size}")?,
                _ => write!(f, ",{size}@{from}")?,
            }
        }
        Ok(())
    }
}

impl FromStr for TrainingSizes {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut sizes: Vec<SizeFrom> = Vec::new();
        for (index, part) in text.split(',').map(str::trim).enumerate() {
            let (size, from) = part.split_once('@').unwrap_or((part, "0"));
            let size = size.parse()?;
            let least = sizes.last().map(|size| size.from);
            let share: Option<f64> = from.parse().ok();
            let fits = |share: &f64| match least {
                None => *share == 0.0,
                Some(least) => *share > least && *share < 1.0,
            };
            let Some(from) = share.filter(fits) else {
                return Err(format!(
                    "expected sizes like 64, or 48,64@0.5 with the share of the epochs at which each but the first \
                     begins, rising and below 1; found `{part}` as size {}",
                    index + 1
                ));
            };
            sizes.push(SizeFrom { size, from });
        }
        Ok(Self(sizes))
    }
}

/// A time of whole seconds: `90s`, `10m` or `1h30m`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeLimit(pub Duration);

impl fmt::Display for TimeLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}s", self.0.as_secs())
    }
}

impl FromStr for TimeLimit {
    type Err = String;

    /// Seconds, or a number of hours, minutes and seconds.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("expected a time like 90s, 10m or 1h30m, found `{text}`");
        let part = |digits: &str, unit: u64| digits.parse::<u64>().ok()?.checked_mul(unit);
        let (mut seconds, mut digits) = (0_u64, String::new());
        for c in text.chars() {
            let unit = match c {
                'h' => 3600,
                'm' => 60,
                's' => 1,
                _ => {
                    digits.push(c);
                    continue;
                }
            };
            let more = part(&digits, unit).ok_or_else(wrong)?;
            seconds = seconds.checked_add(more).ok_or_else(wrong)?;
            digits.clear();
        }
        if !digits.is_empty() {
            let more = part(&digits, 1).ok_or_else(wrong)?;
            seconds = seconds.checked_add(more).ok_or_else(wrong)?;
        }
        if seconds == 0 { Err(wrong()) } else { Ok(Self(Duration::from_secs(seconds))) }
    }
}

/// `Display` and `FromStr` of an enum by the names of its variants.
macro_rules! named {
    ($type:ident, $($variant:ident = $name:literal),+) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $name),+ })
            }
        }

        impl FromStr for $type {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(format!("expected one of {}; found `{text}`", [$($name),+].join(", "))),
                }
            }
        }
    };
}

/// How pixels become numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ScalingRule {
    /// Standardised for colours, from 0 to 1 for grey.
    #[default]
    Auto,
    /// From 0 to 1.
    Unit,
    /// To mean 0 and standard deviation 1 of each channel of the training part.
    Standardize,
}

named!(ScalingRule, Auto = "auto", Unit = "unit", Standardize = "standardize");

/// The numbers that a network is trained in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TrainingPrecision {
    /// All in 32-bit floats.
    #[default]
    F32,
    /// As [`F32`](Self::F32), but every multiplication of a convolution is made, also where fewer would do.
    F32Direct,
    /// All in 64-bit floats.
    F64,
    /// As [`F32`](Self::F32), but the products of dense layers and convolutions in bf16; the model's numbers are
    /// those of `f32`.
    Bf16,
}

named!(TrainingPrecision, F32 = "f32", F64 = "f64", Bf16 = "bf16", F32Direct = "f32-direct");

impl TrainingPrecision {
    /// The type of the network's numbers.
    pub fn of_numbers(self) -> Precision {
        match self {
            Self::F32 | Self::F32Direct | Self::Bf16 => Precision::F32,
            Self::F64 => Precision::F64,
        }
    }

    /// The numbers that products are made in.
    pub fn products(self) -> Products {
        match self {
            Self::F32 | Self::F64 => Products::Full,
            Self::F32Direct => Products::Direct,
            Self::Bf16 => Products::Bf16,
        }
    }
}

/// What becomes of picture files that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BadFilePolicy {
    /// The first one is an error.
    #[default]
    Stop,
    /// They are left out.
    Skip,
    /// They are moved to `.quarantine` inside the data.
    Quarantine,
}

named!(BadFilePolicy, Stop = "stop", Skip = "skip", Quarantine = "quarantine");

/// A share of something: from 0 and below 1.
pub(super) fn parse_share(text: &str) -> Result<f64, String> {
    text.parse().ok().filter(|share| (0.0..1.0).contains(share)).ok_or_else(|| {
        format!("expected a number from 0 up to but not including 1, found `{text}`")
    })
}

/// A number of percents: from 0 to 100.
pub(super) fn parse_percent(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|percent| (0.0..=100.0).contains(percent))
        .ok_or_else(|| format!("expected a number from 0 to 100, found `{text}`"))
}

/// A whole number of at least 1.
pub(super) fn parse_count(text: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|&count| count > 0)
        .ok_or_else(|| format!("expected a whole number of at least 1, found `{text}`"))
}

/// A path as text; one that is no text is refused before it is recorded.
#[expect(clippy::ref_option, reason = "as serde calls it")]
pub(super) fn lossy_path<S: Serializer>(
    path: &Option<PathBuf>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    path.as_deref().map(Path::to_string_lossy).serialize(serializer)
}

/// A value by its text; as a number, where the text is one, and read from a list, too.
pub(super) mod text {
    use std::fmt::{self, Display};
    use std::str::FromStr;

    use serde::de::{Error, SeqAccess, Visitor};
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<T: Display, S: Serializer>(
        value: &T,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        serialize_text(value, serializer)
    }

    /// The same, once for all types.
    fn serialize_text<S: Serializer>(
        value: &dyn Display,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let text = value.to_string();
        // TOML has no whole numbers above this.
        match text.parse::<i64>() {
            Ok(number) if number.to_string() == text => serializer.serialize_i64(number),
            _ => serializer.serialize_str(&text),
        }
    }

    pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<T, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let Text(text) = Text::deserialize(deserializer)?;
        parse(&text).map_err(D::Error::custom)
    }

    /// The value, or what is wrong with its text.
    fn parse<T: FromStr<Err: Display>>(text: &str) -> Result<T, String> {
        text.parse().map_err(|error: T::Err| error.to_string())
    }

    /// The text of a value, whatever its type.
    struct Text(String);

    impl<'de> Deserialize<'de> for Text {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            deserializer.deserialize_any(TextOf)
        }
    }

    struct TextOf;

    impl<'de> Visitor<'de> for TextOf {
        type Value = Text;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a text or a number")
        }

        fn visit_str<E: Error>(self, text: &str) -> Result<Text, E> {
            Ok(Text(text.to_owned()))
        }

        fn visit_i64<E: Error>(self, number: i64) -> Result<Text, E> {
            Ok(Text(number.to_string()))
        }

        fn visit_u64<E: Error>(self, number: u64) -> Result<Text, E> {
            Ok(Text(number.to_string()))
        }

        fn visit_f64<E: Error>(self, number: f64) -> Result<Text, E> {
            Ok(Text(number.to_string()))
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Text, A::Error> {
            let mut texts: Vec<String> = Vec::new();
            while let Some(Text(text)) = sequence.next_element()? {
                texts.push(text);
            }
            Ok(Text(if texts.is_empty() { "none".to_owned() } else { texts.join(",") }))
        }
    }

    /// The same for a setting that may be left out.
    pub(crate) mod option {
        use super::{Deserialize, Deserializer, Display, Error, FromStr, Serializer, Text, parse};

        #[expect(clippy::ref_option, reason = "as serde calls it")]
        pub(crate) fn serialize<T: Display, S: Serializer>(
            value: &Option<T>,
            serializer: S,
        ) -> Result<S::Ok, S::Error> {
            match value {
                Some(value) => super::serialize(value, serializer),
                None => serializer.serialize_none(),
            }
        }

        pub(crate) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
        where
            T: FromStr<Err: Display>,
            D: Deserializer<'de>,
        {
            let text: Option<Text> = Deserialize::deserialize(deserializer)?;
            text.map(|Text(text)| parse(&text)).transpose().map_err(D::Error::custom)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_hours_minutes_and_seconds() {
        for (text, seconds) in
            [("90", 90), ("90s", 90), ("10m", 600), ("1h30m", 5400), ("2h5s", 7205)]
        {
            let limit = TimeLimit(Duration::from_secs(seconds));
            assert_eq!(text.parse(), Ok(limit), "{text}");
            assert_eq!(limit.to_string().parse(), Ok(limit));
        }
        for text in ["", "0", "m", "1d", "-5s", "99999999999999999999s", "6000000000000000h"] {
            assert!(text.parse::<TimeLimit>().is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_are_one_side_or_two() {
        assert_eq!("64".parse(), Ok(PictureSize::square(64)));
        assert_eq!("96x64".parse(), Ok(PictureSize { width: 96, height: 64 }));
        for text in ["0", "9x", "16385", "3x4x5"] {
            assert!(text.parse::<PictureSize>().is_err(), "{text}");
        }
        let sizes: TrainingSizes = "48, 64x60@0.5,80@0.75".parse().unwrap();
        assert_eq!(sizes.to_string(), "48x48,64x60@0.5,80x80@0.75");
        assert_eq!(sizes.to_string().parse(), Ok(sizes.clone()));
        assert_eq!(sizes.each()[1].from, 0.5);
        assert_eq!((sizes.last(), sizes.each().len()), (PictureSize::square(80), 3));
        assert_eq!("9".parse(), Ok(TrainingSizes::always(PictureSize::square(9))));
        for text in ["", "48@0.5", "48,64", "48,64@1", "48,64@0.5,80@0.5", "48,64@half", "48,x@0.5"]
        {
            assert!(text.parse::<TrainingSizes>().is_err(), "{text}");
        }
    }
}
