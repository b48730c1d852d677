//! From the bytes of one picture file to pixels of a chosen shape.
//!
//! The one idea: the content of a file decides, strictly. [`decode`] has the one rule by which each
//! kind of picture becomes red, green and blue; [`Preparer`] brings it to the shape of a network's
//! input. Equal files and settings give equal bytes, on every machine and any number of threads.
//! Where far less than a JPEG's own size is wanted, less of it is decoded. The feature `turbojpeg` is
//! another decoder for JPEG, with bytes of its own: [`JPEG_DECODER`].
//!
//! What it leaves out on purpose: HEIC, AVIF and other formats that need large or native decoders
//! (they are refused by name, with a command that converts them), and colour management. `docs/pictures.md` has
//! each rule beside those of other programs.

mod decode;
mod directory;
mod encode;
mod error;
mod jpeg;
mod options;
mod plan;
mod preparation;
mod resize;
mod sequential;
mod size;
mod sniff;
mod structure;
mod tiff;
#[cfg(feature = "turbojpeg")]
mod turbo;

pub use decode::{Rgb, decode};
pub use encode::{PngText, encode_png, encode_png_with};
pub use error::PictureError;
pub use jpeg::JPEG_DECODER;
pub use options::{Decoding, Filter, Fit, Format, Info, Limits, Note, Preprocessing};
pub use preparation::Preparer;
pub(crate) use size::upright_size;
