//! What can be asked for, and what is told about a picture.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::{DataError, ImageShape};

/// The file formats that are read. The content of a file decides, never its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Format {
    /// JPEG, baseline or progressive.
    Jpeg,
    /// PNG.
    Png,
    /// WebP.
    WebP,
    /// GIF, of which the first frame is used.
    Gif,
    /// BMP.
    Bmp,
    /// TIFF, of which the first page is used.
    Tiff,
}

/// How a picture of another shape comes to the wanted width and height.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Fit {
    /// Both sides are scaled on their own, as the tutorial does.
    #[default]
    Stretch,
    /// The whole picture is scaled until it fits, and black fills the rest.
    Pad,
    /// The largest part from the centre that has the wanted shape is scaled.
    Crop,
}

/// How pixels between pixels are found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Filter {
    /// The nearest pixel.
    Nearest,
    /// A triangle, widened when scaling down.
    #[default]
    Bilinear,
    /// Catmull-Rom, widened when scaling down.
    Bicubic,
    /// Lanczos with three lobes, widened when scaling down.
    Lanczos,
}

/// All that happens to a picture between its file and the network: equal preprocessing of equal files
/// gives equal bytes.
///
/// Its text, as in `64x64x3 stretch bilinear`, is what a model keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Preprocessing {
    /// The shape that comes out; 3 channels for red, green, blue, 1 for grey.
    pub shape: ImageShape,
    /// How the sides are made to fit.
    pub fit: Fit,
    /// How pixels are interpolated.
    pub filter: Filter,
}

/// The largest picture that is decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Limits {
    /// Pixels in a row.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Bytes for the decoded pixels and the decoder's buffers.
    pub memory: u64,
}

impl Default for Limits {
    /// 32,768 pixels a side and 512 MiB.
    fn default() -> Self {
        Self { width: 32_768, height: 32_768, memory: 512 << 20 }
    }
}

/// How files are decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Decoding {
    /// What is refused for its size.
    pub limits: Limits,
    /// Whether what can be saved of a damaged file is used, with a [`Note::Damaged`].
    pub lenient: bool,
}

/// What is worth telling about a file that was used.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Note {
    /// The file was damaged and what could be decoded was used ([`Decoding::lenient`]).
    Damaged,
    /// Bytes follow the end of the picture.
    TrailingBytes,
    /// One channel, copied to all three.
    Grey,
    /// Transparent pixels, laid on white.
    Transparent,
    /// 16 bits a channel, of which the upper 8 are used.
    SixteenBit,
    /// Colours from a palette.
    Palette,
    /// Cyan, magenta, yellow and black.
    Cmyk,
    /// Turned or mirrored as its EXIF orientation says (2 to 8).
    Oriented(u8),
    /// More than one frame, of which the first is used.
    Animated,
    /// More than one page, of which the first is used.
    Pages,
}

/// What was found out about a picture on the way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Info {
    /// The format of the content.
    pub format: Format,
    /// Pixels in a row of the file, before any turning.
    pub width: u32,
    /// Rows of the file, before any turning.
    pub height: u32,
    /// What else is worth telling, sorted.
    pub notes: Vec<Note>,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Jpeg => "JPEG",
            Self::Png => "PNG",
            Self::WebP => "WebP",
            Self::Gif => "GIF",
            Self::Bmp => "BMP",
            Self::Tiff => "TIFF",
        })
    }
}

impl Format {
    /// Whether a file name with this suffix (without its dot, in any case) promises this format.
    pub fn has_suffix(self, suffix: &str) -> bool {
        let suffixes: &[&str] = match self {
            Self::Jpeg => &["jpg", "jpeg", "jpe", "jfif"],
            Self::Png => &["png", "apng"],
            Self::WebP => &["webp"],
            Self::Gif => &["gif"],
            Self::Bmp => &["bmp", "dib"],
            Self::Tiff => &["tif", "tiff"],
        };
        suffixes.iter().any(|known| known.eq_ignore_ascii_case(suffix))
    }
}

impl fmt::Display for Note {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Damaged => f.pad("damaged; what could be decoded is used"),
            Self::TrailingBytes => f.pad("bytes after its end"),
            Self::Grey => f.pad("grey"),
            Self::Transparent => f.pad("transparent, laid on white"),
            Self::SixteenBit => f.pad("16 bits a channel"),
            Self::Palette => f.pad("palette"),
            Self::Cmyk => f.pad("CMYK"),
            Self::Oriented(exif) => f.pad(&format!("EXIF orientation {exif}")),
            Self::Animated => f.pad("animated; the first frame is used"),
            Self::Pages => f.pad("several pages; the first is used"),
        }
    }
}

/// `Display` and `FromStr` of an enum by the names of its variants.
macro_rules! named {
    ($type:ident, $what:literal, $expected:literal, $($variant:ident = $name:literal),+) => {
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(match self { $(Self::$variant => $name),+ })
            }
        }

        impl FromStr for $type {
            type Err = DataError;

            fn from_str(text: &str) -> Result<Self, DataError> {
                match text {
                    $($name => Ok(Self::$variant),)+
                    _ => Err(DataError::Setting {
                        what: $what,
                        expected: $expected,
                        found: text.to_owned(),
                    }),
                }
            }
        }
    };
}

named!(Fit, "fit", "stretch, pad or crop", Stretch = "stretch", Pad = "pad", Crop = "crop");
named!(
    Filter,
    "filter",
    "nearest, bilinear, bicubic or lanczos",
    Nearest = "nearest",
    Bilinear = "bilinear",
    Bicubic = "bicubic",
    Lanczos = "lanczos"
);

impl Preprocessing {
    /// Stretched to this shape with the default filter, as the tutorial does.
    pub fn stretch(shape: ImageShape) -> Self {
        Self { shape, fit: Fit::Stretch, filter: Filter::default() }
    }

    /// Checks that pictures of the shape can be made.
    ///
    /// # Errors
    /// [`DataError::Shape`] unless the shape has 1 or 3 channels and sides from 1 to 16,384.
    pub fn check(&self) -> Result<(), DataError> {
        let side = |side: usize| (1..=1 << 14).contains(&side);
        let ImageShape { height, width, channels } = self.shape;
        if side(height) && side(width) && matches!(channels, 1 | 3) {
            Ok(())
        } else {
            Err(DataError::Shape { shape: self.shape })
        }
    }
}

impl fmt::Display for Preprocessing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.shape, self.fit, self.filter)
    }
}

impl FromStr for Preprocessing {
    type Err = DataError;

    fn from_str(text: &str) -> Result<Self, DataError> {
        let bad = || DataError::Setting {
            what: "preprocessing",
            expected: "height x width x channels, fit and filter, as in `64x64x3 stretch bilinear`",
            found: text.to_owned(),
        };
        let words: Vec<&str> = text.split(' ').collect();
        let &[shape, fit, filter] = &words[..] else { return Err(bad()) };
        let sides: Vec<usize> =
            shape.split('x').map(str::parse).collect::<Result<_, _>>().map_err(|_| bad())?;
        let &[height, width, channels] = &sides[..] else { return Err(bad()) };
        let shape = ImageShape { height, width, channels };
        let preprocessing = Self { shape, fit: fit.parse()?, filter: filter.parse()? };
        preprocessing.check()?;
        Ok(preprocessing)
    }
}
