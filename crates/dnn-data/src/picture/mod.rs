//! From the bytes of one picture file to pixels of a chosen shape.

mod decode;
mod error;
mod options;
mod preparation;

pub use decode::{Rgb, decode};
pub use error::PictureError;
pub use options::{Decoding, Filter, Fit, Format, Info, Limits, Note, Preprocessing};
pub use preparation::Preparer;
