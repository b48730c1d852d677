//! How a picture becomes the input of a network.

/// What is done to a picture of any shape before a network sees it: a part of the network's function, like its
/// pixel scaling. Its width and height become those of the [input](crate::Network::input).
///
/// This crate prepares no pictures; these are the names that whoever does so has for it, as `dnn-data`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Preprocessing {
    /// How a picture of another shape comes to the width and height: `stretch`, `pad` or `crop`.
    pub fit: String,
    /// How pixels between pixels are found: `nearest`, `bilinear`, `bicubic` or `lanczos`.
    pub filter: String,
}
