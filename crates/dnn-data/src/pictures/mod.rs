//! A folder of pictures: what is in it, and how it becomes a data set.

mod cache;
mod listing;
mod load;
mod name;
mod natural;
mod own_size;
mod part;
mod quarantine;
mod stamp;
mod sums;
mod walk;

pub(crate) use listing::BESIDE_PARTS;
pub(crate) use load::{Outcome, bad_files, read_and_decode};
pub(crate) use part::words;
pub(crate) use sums::Sums;
pub(crate) use walk::{PICTURE_SUFFIXES, has_suffix, is_hidden, is_output};

pub use cache::{CacheEntry, CacheFolder, CacheUse, cache_folder};
pub use listing::{Entry, Ignored, Layout, Listing, list_pictures, picture_files};
pub use load::{BadFile, BadFiles, LoadOptions, LoadReport, Loaded, NotedFile, load_pictures};
pub use name::{class_name, path_text, text_path};
pub use natural::natural_order;
pub use own_size::own_size;
pub use part::Part;
pub use walk::SHOW_MARKER;
