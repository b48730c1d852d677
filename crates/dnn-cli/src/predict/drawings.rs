//! The pictures that `dnn predict` writes: what the network sees, and where that speaks for a class.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context as _;
use dnn_data::picture::{PngText, encode_png, encode_png_with};
use dnn_data::{ImageShape, SHOW_MARKER};
use dnn_run::{Drawing, ExplainedBy, RunError};

use crate::args::PredictArguments;
use crate::output;

/// Where to write them.
pub(super) struct Drawings {
    show: Option<PathBuf>,
    explain: Option<PathBuf>,
    /// The files that must not be written to, whatever their names: what this call reads and wrote.
    kept: BTreeSet<PathBuf>,
    overwrite: bool,
}

impl Drawings {
    pub(super) fn new(arguments: &PredictArguments) -> anyhow::Result<Self> {
        let (show, explain) = (arguments.show.clone(), arguments.explain.clone());
        if let Some(file) = explain.as_ref().filter(|folder| folder.is_file()) {
            let file = file.display();
            let message = format!(
                "--explain: expected a folder, found the file {file}; give --explain after the pictures"
            );
            return Err(RunError::Usage(message).into());
        }
        for folder in [&show, &explain].into_iter().flatten() {
            make(folder)?;
        }
        Ok(Self { show, explain, kept: BTreeSet::new(), overwrite: arguments.overwrite })
    }

    /// Whether it is asked where pictures speak for a class.
    pub(super) fn explains(&self) -> bool {
        self.explain.is_some()
    }

    /// Notes files that are about to be read.
    pub(super) fn keep(&mut self, files: &[PathBuf]) {
        if self.overwrite {
            self.kept.extend(files.iter().filter_map(|file| file.canonicalize().ok()));
        }
    }

    /// Writes what the network sees of a picture, if that was asked for, and says where.
    pub(super) fn show(
        &mut self,
        stem: &str,
        pixels: &[u8],
        shape: ImageShape,
    ) -> anyhow::Result<Option<PathBuf>> {
        let Some(folder) = self.show.clone() else { return Ok(None) };
        self.write(&folder, stem, &encode_png(pixels, shape)?).map(Some)
    }

    /// Writes where a picture speaks for its class, if that was asked for, and says where.
    pub(super) fn explain(
        &mut self,
        stem: &str,
        drawing: &Drawing,
        title: &str,
        by: &ExplainedBy,
    ) -> anyhow::Result<Option<PathBuf>> {
        let Some(folder) = self.explain.clone() else { return Ok(None) };
        let description =
            format!("left: what the network sees; right: where it speaks for the answer ({by})");
        let texts = [
            PngText { keyword: "Title", text: title },
            PngText { keyword: "Description", text: &description },
            PngText { keyword: "Software", text: dnn_run::SOFTWARE },
        ];
        let png = encode_png_with(&drawing.pixels, drawing.shape, &texts)?;
        self.write(&folder, &format!("{stem}-explained"), &png).map(Some)
    }

    /// Writes a picture under a name, with a number where that is taken, and says where.
    fn write(&mut self, folder: &Path, stem: &str, png: &[u8]) -> anyhow::Result<PathBuf> {
        let names = (1_usize..).map(|number| match number {
            1 => folder.join(format!("{stem}.png")),
            _ => folder.join(format!("{stem}-{number}.png")),
        });
        if !self.overwrite {
            return output::write_new(names, png);
        }
        // A link could lead anywhere, so only a file itself is replaced, and none of this call's own.
        let is_free = |name: &PathBuf| match fs::symlink_metadata(name) {
            Ok(found) if found.is_file() => {
                name.canonicalize().is_ok_and(|file| !self.kept.contains(&file))
            }
            found => found.is_err(),
        };
        let to = names.into_iter().find(is_free).context("every name is taken")?;
        dnn_store::commit(&to, png)?;
        self.kept.extend(to.canonicalize().ok());
        Ok(to)
    }
}

/// Makes a folder, and marks it, so that nobody trains on what is drawn; one with something in it is not ours to mark.
fn make(folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none()) {
        dnn_store::commit(&folder.join(SHOW_MARKER), b"")?;
    }
    Ok(())
}
