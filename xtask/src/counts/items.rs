//! The public items of each crate, as `cargo doc` lists them.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// How many names a crate's page of all items has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicItems {
    /// The crate, with underscores.
    pub name: String,
    /// How many there are.
    pub count: usize,
}

/// Reads the pages that `cargo doc --workspace --no-deps` wrote into `target/doc`, those of our own crates.
pub(super) fn read(root: &Path) -> Result<Vec<PublicItems>> {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or(root.join("target"), Into::into);
    let mut items = Vec::new();
    let Ok(folders) = fs::read_dir(target.join("doc")) else { return Ok(items) };
    for folder in folders {
        let folder = folder?;
        let name = folder.file_name().to_string_lossy().into_owned();
        let page = folder.path().join("all.html");
        if name.starts_with("dnn_") && page.is_file() {
            let text = fs::read_to_string(&page)
                .with_context(|| format!("cannot read {}", page.display()))?;
            items.push(PublicItems { name, count: text.matches("<li><a href=").count() });
        }
    }
    items.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(items)
}
