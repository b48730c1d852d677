//! What can be asked for, and what is told about a picture.

use crate::ImageShape;

/// The file formats that are read. The content of a file decides, never its name.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
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
#[derive(
    Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
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
}

/// What was found out about a picture on the way.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
