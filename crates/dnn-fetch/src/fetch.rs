//! The whole way from a name to a folder.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::thread;

use dnn_store::{Disk, FileSystem as _};

use crate::arrange::{self, Arrangement, Wish};
use crate::lock::Lock;
use crate::options::FetchOptions;
use crate::source::{Container, Origin, Vouched, obtain};
use crate::unpack::{Unpacked, copy, unpack};
use crate::verify::{SOURCE, SUMS, Source, part_of, read_source, verify};
use crate::{Digest, Event, FetchError, Manifest, Result};

/// A data set that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// Its folder.
    pub folder: PathBuf,
    /// How many files it has.
    pub files: usize,
    /// How many of them are in `train`, `validation` and `test`, where there are such.
    pub parts: BTreeMap<String, usize>,
    /// Why files of the source are not in it, and how many for each reason.
    pub left_out: BTreeMap<String, usize>,
    /// Whether it was there already, and was only verified.
    pub was_there: bool,
}

/// Makes the folder of a data set, or verifies the one that is there.
///
/// # Errors
/// Those of [`FetchError`]. Whatever the error, the folder is as it was before. What was downloaded stays
/// in `TO/.fetch` and is used by the next call.
///
/// # Examples
/// See the [crate](crate).
pub fn fetch(
    manifest: &Manifest,
    options: &FetchOptions,
    tell: &mut dyn FnMut(Event),
) -> Result<Fetched> {
    check(manifest, options)?;
    let folder = options.to.join(&manifest.name);
    let work = options.to.join(".fetch");
    let lock = work.join(format!("{}.lock", manifest.name));
    let work = work.join(&manifest.name);
    if let Some(fetched) = is_there(manifest, options, &folder, tell)? {
        clear(&work, &lock);
        return Ok(fetched);
    }
    let _lock = Lock::take(&lock, tell)?;
    // Another process may have fetched it while this one waited.
    if let Some(fetched) = is_there(manifest, options, &folder, tell)? {
        return Ok(fetched);
    }
    fs::create_dir_all(&work).map_err(|error| FetchError::io("create", &work, error))?;
    let made = make(manifest, options, &work, &folder, tell);
    if made.is_err() {
        // What the next call can go on with stays; nothing does not. It may well not be empty.
        let _ = fs::remove_dir(&work);
    }
    let plan = made?;
    let mut parts = BTreeMap::new();
    for part in plan.moves.iter().filter_map(|(_, to)| part_of(to)) {
        *parts.entry(part.to_owned()).or_default() += 1;
    }
    let (files, left_out) = (plan.moves.len(), plan.left_out);
    Ok(Fetched { folder, files, parts, left_out, was_there: false })
}

/// Removes what a process that was killed left behind once the data set was in its place.
fn clear(work: &Path, lock: &Path) {
    let is_there = |path: &Path| fs::symlink_metadata(path).is_ok();
    if !is_there(work) && !is_there(lock) {
        return;
    }
    // Whoever holds the lock is at work there. What cannot be removed does no harm: the set is whole.
    if let Ok(_lock) = Lock::try_take(lock) {
        let _ = fs::remove_dir_all(work);
    }
}

/// Gets the data, in `work`, and makes the folder of it.
fn make(
    manifest: &Manifest,
    options: &FetchOptions,
    work: &Path,
    folder: &Path,
    tell: &mut dyn FnMut(Event),
) -> Result<Arrangement> {
    let containers = obtain(manifest, options, work, tell)?;
    let stage = work.join("stage");
    remove(&stage)?;
    let built = build(manifest, options, containers, &stage, tell);
    let put =
        built.and_then(|plan| put(&stage.join("ready"), folder, options.force).map(|()| plan));
    // Also after an error: nothing half-unpacked stays.
    remove(&stage)?;
    let plan = put?;
    remove(work)?;
    Ok(plan)
}

/// Whether the options fit the data set.
fn check(manifest: &Manifest, options: &FetchOptions) -> Result<()> {
    let wrong = |message: String| Err(FetchError::Options(message));
    if let Some(variant) = &options.variant {
        if manifest.variants.is_empty() {
            return wrong(format!("{} has no variants", manifest.name));
        }
        if !manifest.variants.contains(variant) {
            let known = manifest.variants.join(" or ");
            return wrong(format!("--variant: expected {known}, found `{variant}`"));
        }
    }
    let selects = matches!(manifest.arrange, crate::manifest::Arrange::Numbered { .. });
    if options.full && !selects {
        return wrong(format!("--full: {} comes whole in any case", manifest.name));
    }
    Ok(())
}

fn wish(options: &FetchOptions) -> Wish<'_> {
    Wish { full: options.full, variant: options.variant.as_deref() }
}

/// The folder, if it is there and is what is wanted.
fn is_there(
    manifest: &Manifest,
    options: &FetchOptions,
    folder: &Path,
    tell: &mut dyn FnMut(Event),
) -> Result<Option<Fetched>> {
    if options.force || fs::symlink_metadata(folder).is_err() {
        return Ok(None);
    }
    tell(Event::Checking { what: folder.display().to_string() });
    if let Some(source) = read_source(folder)? {
        let found = in_words(manifest, source.full, source.variant.as_deref());
        let expected = in_words(manifest, options.full, options.variant.as_deref());
        if found != expected && source.about.name == manifest.name {
            return Err(FetchError::OtherOptions { path: folder.to_path_buf(), expected, found });
        }
    }
    let verified = verify(manifest, folder)?;
    Ok(Some(Fetched {
        folder: folder.to_path_buf(),
        files: verified.files,
        parts: verified.parts,
        left_out: verified.left_out,
        was_there: true,
    }))
}

/// The options that decide what is in the folder.
fn in_words(manifest: &Manifest, full: bool, variant: Option<&str>) -> String {
    match (full, variant.or(manifest.variants.first().map(String::as_str))) {
        (true, _) => "with --full".to_owned(),
        (false, Some(variant)) => format!("with --variant {variant}"),
        (false, None) => "without --full".to_owned(),
    }
}

/// Unpacks and arranges into `stage/ready`.
fn build(
    manifest: &Manifest,
    options: &FetchOptions,
    containers: Vec<Container>,
    stage: &Path,
    tell: &mut dyn FnMut(Event),
) -> Result<Arrangement> {
    let create = |path: &Path| {
        fs::create_dir_all(path).map_err(|error| FetchError::io("create", path, error))
    };
    let (raw, ready) = (stage.join("raw"), stage.join("ready"));
    create(&raw)?;
    create(&ready)?;
    let mut files: Vec<Unpacked> = Vec::new();
    let mut origins = Vec::new();
    for (number, container) in containers.into_iter().enumerate() {
        // Archives cannot get in each other's way.
        let into = raw.join(number.to_string());
        let (unpacked, origin) = open(container, &into, options, tell)?;
        origins.push(origin);
        let placed = |file: Unpacked| Unpacked { path: format!("{number}/{}", file.path), ..file };
        files.extend(unpacked.into_iter().map(placed));
    }
    // The number is no part of what the archive says.
    let single = origins.len() == 1;
    let root = if single { raw.join("0") } else { raw.clone() };
    if single {
        for file in &mut files {
            file.path.drain(..2);
        }
    }
    let plan = arrange::plan(manifest, wish(options), &root, files)?;
    for (file, to) in &plan.moves {
        let (from, target) = (root.join(&file.path), ready.join(to));
        if let Some(folder) = target.parent() {
            create(folder)?;
        }
        fs::rename(&from, &target).map_err(|error| FetchError::io("rename", &from, error))?;
    }
    let sums = sums(plan.moves.iter().map(|(file, to)| (file, to.as_str())));
    dnn_store::commit(&ready.join(SUMS), sums.as_bytes())?;
    let source = Source {
        about: manifest.about(),
        variant: options.variant.clone(),
        full: options.full,
        sums: Digest::of(sums.as_bytes()),
        left_out: plan.left_out.clone(),
        origin: origins,
    };
    let text = toml::to_string(&source)
        .map_err(|error| FetchError::io("write", &ready.join(SOURCE), io::Error::other(error)))?;
    dnn_store::commit(&ready.join(SOURCE), text.as_bytes())?;
    Ok(plan)
}

/// A list of checksums as `sha256sum` writes it; the paths have nothing in them that needs escaping.
fn sums<'a>(files: impl Iterator<Item = (&'a Unpacked, &'a str)>) -> String {
    let mut text = String::new();
    for (file, path) in files {
        text += &format!("{}  {path}\n", file.sha256);
    }
    text
}

/// Unpacks one container.
fn open(
    container: Container,
    into: &Path,
    options: &FetchOptions,
    tell: &mut dyn FnMut(Event),
) -> Result<(Vec<Unpacked>, Origin)> {
    match container {
        Container::File(file, origin) => {
            Ok((unpack(file, &origin.name, into, &options.caps, tell)?, origin))
        }
        Container::Folder(folder) => {
            let files = copy(&folder, into, &options.caps, tell)?;
            let list = sums(files.iter().map(|file| (file, file.path.as_str())));
            let origin = Origin {
                name: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
                from: folder.display().to_string(),
                bytes: files.iter().map(|file| file.bytes).sum(),
                sha256: Digest::of(list.as_bytes()),
                checked_by: Vouched::Unverified,
            };
            Ok((files, origin))
        }
        Container::Bytes(name, bytes) => {
            fs::create_dir(into).map_err(|error| FetchError::io("create", into, error))?;
            let path = into.join(name);
            fs::write(&path, bytes).map_err(|error| FetchError::io("write", &path, error))?;
            let (sha256, size) = (Digest::of(bytes), bytes.len() as u64);
            let file = Unpacked { path: name.to_owned(), bytes: size, sha256: sha256.clone() };
            let origin = Origin {
                name: name.to_owned(),
                from: "this program".to_owned(),
                bytes: size,
                sha256,
                checked_by: Vouched::Manifest,
            };
            Ok((vec![file], origin))
        }
    }
}

/// Gives a finished folder its name, once all of it is on the medium; an old one stays until then.
fn put(ready: &Path, folder: &Path, force: bool) -> Result<()> {
    sync(ready)?;
    let fail = |error| FetchError::io("put in place", folder, error);
    let old = ready.with_file_name("old");
    let replaces = force && fs::symlink_metadata(folder).is_ok();
    if replaces {
        fs::rename(folder, &old).map_err(fail)?;
    }
    if let Err(error) = fs::rename(ready, folder) {
        if replaces {
            // The first error tells what happened.
            let _ = fs::rename(&old, folder);
        }
        return Err(fail(error));
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    sync_folder(parent.unwrap_or(Path::new(".")))
}

/// Files that are waited for at a time: a file system makes many of them durable in one go, as fast as one.
const SYNCED_AT_A_TIME: usize = 16;

/// Waits until every file and every name below a folder is on the medium.
fn sync(folder: &Path) -> Result<()> {
    let (mut folders, mut files) = (vec![folder.to_path_buf()], Vec::new());
    let mut looked_into = 0;
    while let Some(folder) = folders.get(looked_into).cloned() {
        looked_into += 1;
        let fail = |error| FetchError::io("read", &folder, error);
        for entry in fs::read_dir(&folder).map_err(fail)? {
            let path = entry.map_err(fail)?.path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    let sync_all = |files: &[PathBuf]| files.iter().try_for_each(|file| sync_file(file));
    thread::scope(|scope| {
        let shares = files.chunks(files.len().div_ceil(SYNCED_AT_A_TIME).max(1));
        let threads: Vec<_> = shares.map(|share| scope.spawn(move || sync_all(share))).collect();
        let ends = threads.into_iter().map(|thread| thread.join().expect("no thread panics"));
        ends.collect::<Vec<Result<()>>>().into_iter().collect::<Result<()>>()
    })?;
    folders.iter().try_for_each(|folder| sync_folder(folder))
}

fn sync_file(path: &Path) -> Result<()> {
    // Only where it must be is it opened for writing, which its mode may forbid.
    let opened = File::options().read(true).write(cfg!(not(unix))).open(path);
    opened.and_then(|file| file.sync_all()).map_err(|error| FetchError::io("sync", path, error))
}

fn sync_folder(path: &Path) -> Result<()> {
    Disk.sync_folder(path).map_err(|error| FetchError::io("sync", path, error))
}

/// Removes a folder of our own, if it is there.
fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(FetchError::io("remove", folder, error))
        }
        _ => Ok(()),
    }
}
