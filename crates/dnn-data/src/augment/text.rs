//! The one line that stands for an [`Augmentation`].

use std::fmt;
use std::str::FromStr;

use super::Augmentation;
use crate::DataError;

/// Every form that a part of the line can have.
const EXPECTED: &str = "`none`, or some of flip, alternating-flip, shift=PIXELS, crop=SHARE, ratio=FACTOR, rotate=DEGREES, \
                        brightness=X, contrast=X, saturation=X and cutout=PIXELS with commas between them, each once";

impl fmt::Display for Augmentation {
    /// Every change in the order in which they are documented, none of those that do nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number = |name, value: f64| (value != 0.0).then(|| format!("{name}={value}"));
        let parts = [
            self.flip.then(|| "flip".to_owned()),
            self.alternating_flip.then(|| "alternating-flip".to_owned()),
            number("shift", self.shift.into()),
            (self.crop != 1.0).then(|| format!("crop={}", self.crop)),
            (self.ratio != 1.0).then(|| format!("ratio={}", self.ratio)),
            number("rotate", self.rotate),
            number("brightness", self.brightness),
            number("contrast", self.contrast),
            number("saturation", self.saturation),
            number("cutout", self.cutout.into()),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        f.pad(&if parts.is_empty() { "none".to_owned() } else { parts.join(",") })
    }
}

impl FromStr for Augmentation {
    type Err = DataError;

    /// Reads what [`Display`](fmt::Display) writes; parts may come in any order, with spaces around
    /// them, and an empty text is `none`.
    fn from_str(text: &str) -> Result<Self, DataError> {
        let mut augmentation = Self::default();
        if matches!(text.trim(), "" | "none") {
            return Ok(augmentation);
        }
        let mut seen = Vec::new();
        for part in text.split(',').map(str::trim) {
            let (name, value) = match part.split_once('=') {
                Some((name, value)) => (name.trim_end(), Some(value.trim_start())),
                None => (part, None),
            };
            if seen.contains(&name) || set(&mut augmentation, name, value).is_none() {
                return Err(DataError::Setting {
                    what: "augmentation",
                    expected: EXPECTED,
                    found: part.to_owned(),
                });
            }
            seen.push(name);
        }
        augmentation.check()?;
        Ok(augmentation)
    }
}

/// Sets one part; `None` where there is no such part or its value is no number.
fn set(augmentation: &mut Augmentation, name: &str, value: Option<&str>) -> Option<()> {
    let number = || value?.parse::<f64>().ok();
    let pixels = || value?.parse::<u32>().ok();
    match name {
        "flip" if value.is_none() => augmentation.flip = true,
        "alternating-flip" if value.is_none() => augmentation.alternating_flip = true,
        "shift" => augmentation.shift = pixels()?,
        "crop" => augmentation.crop = number()?,
        "ratio" => augmentation.ratio = number()?,
        "rotate" => augmentation.rotate = number()?,
        "brightness" => augmentation.brightness = number()?,
        "contrast" => augmentation.contrast = number()?,
        "saturation" => augmentation.saturation = number()?,
        "cutout" => augmentation.cutout = pixels()?,
        _ => return None,
    }
    Some(())
}

impl TryFrom<String> for Augmentation {
    type Error = DataError;

    fn try_from(text: String) -> Result<Self, DataError> {
        text.parse()
    }
}

impl From<Augmentation> for String {
    fn from(augmentation: Augmentation) -> Self {
        augmentation.to_string()
    }
}
