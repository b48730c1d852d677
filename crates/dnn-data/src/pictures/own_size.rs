//! The size that the pictures of a folder have themselves.

use std::path::Path;

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};

use super::listing::{Entry, list_pictures};
use super::load::LARGEST_FILE;
use crate::file::read_file;
use crate::picture::upright_size;
use crate::{ImageSize, Result};

/// The size of the pictures of a folder, where it is the same in every file and neither side is above
/// `largest`.
///
/// Files that cannot be used have no part in it; the first large picture ends the search.
///
/// # Errors
/// Those of [`list_pictures`].
///
/// # Examples
/// ```no_run
/// if let Some(size) = dnn_data::own_size("photos".as_ref(), 64)? {
///     println!("every picture is {size}");
/// }
/// # Ok::<(), dnn_data::DataError>(())
/// ```
pub fn own_size(root: &Path, largest: usize) -> Result<Option<ImageSize>> {
    let listing = list_pictures(root)?;
    let size = |entry: &Entry| {
        let bytes = read_file(&listing.root.join(&entry.path), LARGEST_FILE).ok()?;
        upright_size(&bytes)
    };
    // One file, and no more, of a folder of photos.
    let Some(first) = listing.entries.iter().find_map(size) else { return Ok(None) };
    if first.width.max(first.height) > largest {
        return Ok(None);
    }
    let same = |entry: &Entry| size(entry).is_none_or(|size| size == first);
    Ok(listing.entries.par_iter().with_min_len(16).all(same).then_some(first))
}
