//! From picture data to a data set of unsigned bytes.
//!
//! The one idea: everything that can be wrong with the data is found here, once, at the border. What
//! comes out is an [`ImageDataset`]: sizes agree, labels have names, there is at least one example.
//! Whoever computes with it need not check again.
//!
//! | you have | you call |
//! |---|---|
//! | nothing yet | [`digits`]: 1,797 small pictures, built in |
//! | a folder of pictures | [`load_pictures`]; its parts: [`list_pictures`], [`picture::Preparer`] |
//! | doubts about a folder of pictures | [`doctor::examine_pictures`] |
//! | IDX files (MNIST's), CIFAR-10, `.npz` or `.h5` | [`load_arrays`] |
//! | a folder with the files of MNIST or of a set like it | [`load_folder`] |
//! | a pair of IDX files, or their bytes | [`idx::read_idx_pair`], [`idx::dataset_from_idx`] |
//! | pictures without labels, to predict | [`idx::read_idx_images`], [`idx::images_from_idx`] |
//! | pixels of your own | [`ImageDataset::new`] |
//! | one part, and you need two or three | [`Dataset::hold_out_test`], [`Dataset::hold_out_validation`] |
//! | examples by their positions | [`stratified_split`], [`ImageDataset::select`] |
//!
//! Pixels stay unsigned bytes, 0..=255, one example a column, each picture contiguous in memory: a data
//! set takes a quarter of what it would take in 32-bit floats, and no step makes the large copy.
//!
//! # Features
//!
//! Both are off by default.
//!
//! | feature | what it adds |
//! |---|---|
//! | `hdf5` | [`load_arrays`] reads `.h5` |
//! | `turbojpeg` | JPEGs are decoded by libjpeg-turbo where it finds no fault; see [`picture::JPEG_DECODER`] |
//!
//! Left out on purpose: scaling to floats (the first layer does it inside its product) and batches (a
//! trainer's matter).
//!
//! # Examples
//!
//! ```
//! let mut digits = dnn_data::digits();
//! digits.hold_out_validation(0.2, 1)?;
//! assert_eq!(digits.train.len(), 1438);
//! assert_eq!(digits.validation.map(|part| part.len()), Some(359));
//! # Ok::<(), dnn_data::DataError>(())
//! ```

pub mod augment;
pub mod doctor;
pub mod idx;
pub mod picture;

mod arrays;
mod columns;
mod contain;
mod dataset;
mod digits;
mod error;
mod file;
mod folder;
mod pictures;
mod shape;
mod split;
mod stream;
mod targets;

pub use arrays::load_arrays;
pub use dataset::{ChannelStatistics, Dataset, ImageDataset, PictureFile};
pub use digits::digits;
pub use error::{DataError, Result};
pub use folder::{load_folder, load_test_part};
pub use pictures::{
    BadFile, BadFiles, CacheEntry, CacheFolder, CacheUse, Entry, Ignored, Layout, Listing,
    LoadOptions, LoadReport, Loaded, NotedFile, Part, SHOW_MARKER, cache_folder, class_name,
    list_pictures, load_pictures, natural_order, own_size, path_text, picture_files, text_path,
};
pub use shape::{ImageShape, ImageSize};
pub use split::{Split, stratified_split};

/// The example of this crate's README, compiled and run.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
pub struct Readme;
