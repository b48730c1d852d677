//! Manifests of public picture data sets: what each holds, its terms, where its files are, how large
//! they are and which sha256 they have, as TOML.
//!
//! This crate is data and nothing else; `dnn-fetch` reads it. Sizes and checksums are the published
//! ones (by TensorFlow Datasets, torchvision and Keras for the same files), so that a download is
//! compared with what others have got, not with what came this time.
//!
//! # Examples
//! ```
//! let (name, toml) = dnn_manifests::ALL[0];
//! assert_eq!(name, "cats-vs-dogs");
//! assert!(toml.contains("b7974bd00a84a99921f36ee4403f089853777b5ae8d151c76a86e64900334af9"));
//! ```

#![no_std]

/// Every manifest: its name and its TOML, in the order in which they are listed.
pub const ALL: &[(&str, &str)] = &[
    ("cats-vs-dogs", include_str!("../cats-vs-dogs.toml")),
    ("cats-and-dogs-filtered", include_str!("../cats-and-dogs-filtered.toml")),
    ("oxford-iiit-pet", include_str!("../oxford-iiit-pet.toml")),
    ("mnist", include_str!("../mnist.toml")),
    ("fashion-mnist", include_str!("../fashion-mnist.toml")),
    ("cifar-10", include_str!("../cifar-10.toml")),
    ("digits", include_str!("../digits.toml")),
];
