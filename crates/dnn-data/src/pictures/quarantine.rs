//! Bad files, put aside with their reasons.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::load::Bad;
use super::name::path_text;
use crate::{DataError, Result};

/// Where they go, inside the data; hidden, so that it is no class.
const FOLDER: &str = ".quarantine";

/// Whether a file of this path was put aside.
pub(super) fn is_aside(root: &Path, path: &Path) -> bool {
    fs::symlink_metadata(root.join(FOLDER).join(path)).is_ok()
}

/// Moves `bad` from `root` to its quarantine, each with a line in `reasons.tsv` there.
///
/// No file is replaced: each gets a name that is reserved first. The lines are on disk before the
/// first file moves and are only ever added, so that whatever stops this, each file is in its place or
/// moved and listed. What a link to a folder outside of the data leads to stays where it is, and its
/// reason says so.
pub(super) fn quarantine(root: &Path, bad: &mut [Bad]) -> Result<()> {
    let mut moves = Vec::new();
    let listed = plan(root, bad, &mut moves).and_then(|lines| {
        let table = root.join(FOLDER).join("reasons.tsv");
        if lines.is_empty() {
            return Ok(());
        }
        append(&table, &lines).map_err(|source| DataError::WriteTable { path: table, source })
    });
    let mut moved = 0;
    let outcome = listed.and_then(|()| {
        for Move { from, to } in &moves {
            // Over the reserved name. Both are inside the data, so a rename does; a mount in between
            // is an error, not a copy.
            fs::rename(from, to).map_err(|source| cannot_move(from, to, source))?;
            moved += 1;
        }
        Ok(())
    });
    for reserved in moves[moved..].iter().map(|planned| &planned.to) {
        // What cannot be given back stays as an empty file.
        let _ = fs::remove_file(reserved);
    }
    outcome
}

/// A file that is to be moved, and the name that is reserved for it.
struct Move {
    from: PathBuf,
    to: PathBuf,
}

/// Plans where each file is to go and reserves the names; gives their lines.
fn plan(root: &Path, bad: &mut [Bad], moves: &mut Vec<Move>) -> Result<String> {
    let folder = root.join(FOLDER);
    let whole = root.canonicalize().map_err(|source| DataError::io(root, source))?;
    let mut lines = String::new();
    for file in bad {
        let from = root.join(&file.path);
        if fs::symlink_metadata(&from).is_err() {
            continue; // Nothing there to move, as where a listed file is missing.
        }
        if !from.parent().is_some_and(|parent| is_inside(&whole, parent)) {
            file.reason += "; left in its place, which is outside of the data";
            continue;
        }
        let wanted = folder.join(&file.path);
        let parent = wanted.parent().unwrap_or(&folder);
        let made = make_folders(root, parent);
        let to = made.and_then(|()| reserve(&wanted));
        let to = to.map_err(|source| cannot_move(&from, &wanted, source))?;
        let kept_as = path_text(to.strip_prefix(&folder).unwrap_or(&to));
        let reason = file.reason.replace(['\t', '\n', '\r'], " ");
        lines += &format!("{}\t{reason}\t{kept_as}\n", path_text(&file.path));
        moves.push(Move { from, to });
    }
    Ok(lines)
}

fn cannot_move(from: &Path, to: &Path, source: io::Error) -> DataError {
    DataError::Move { from: from.to_path_buf(), to: to.to_path_buf(), source }
}

/// Makes the folders from `root` to `folder`; none may be a link, which could lead out of the data.
fn make_folders(root: &Path, folder: &Path) -> io::Result<()> {
    let mut here = root.to_path_buf();
    for name in folder.strip_prefix(root).unwrap_or(folder) {
        here.push(name);
        match fs::create_dir(&here) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => other?,
        }
        if !fs::symlink_metadata(&here)?.is_dir() {
            let what = path_text(&here);
            return Err(io::Error::other(format!(
                "expected a folder, found something else: {what}"
            )));
        }
    }
    Ok(())
}

fn is_inside(whole: &Path, folder: &Path) -> bool {
    folder.canonicalize().is_ok_and(|folder| folder.starts_with(whole))
}

/// An empty new file at the path, or beside it where that is taken.
fn reserve(path: &Path) -> io::Result<PathBuf> {
    let mut free = path.to_path_buf();
    let mut number = 2_u32;
    loop {
        match File::create_new(&free) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other.map(|_| free),
        }
        let name = path.file_name().unwrap_or_default();
        let mut other = OsString::from(format!("{number}-"));
        other.push(name);
        // The longest name there is has no room for more.
        free.set_file_name(if other.len() > 255 { number.to_string().into() } else { other });
        number += 1;
    }
}

/// Adds whole lines to a table, which begins with its header; not through a link, which could lead out of
/// the data.
fn append(path: &Path, lines: &str) -> io::Result<()> {
    dnn_store::check_sole_file(path).map_err(io::Error::other)?;
    let mut table = File::options().create(true).append(true).read(true).open(path)?;
    let length = table.metadata()?.len();
    let mut text = String::new();
    if length == 0 {
        text += "path\treason\tkept as\n";
    } else {
        let mut last = [0];
        table.seek(SeekFrom::Start(length - 1))?;
        table.read_exact(&mut last)?;
        // A line that was cut short stays on its own.
        text += if last == *b"\n" { "" } else { "\n" };
    }
    table.write_all((text + lines).as_bytes())?;
    table.sync_all()
}
