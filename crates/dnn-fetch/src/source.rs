//! From a manifest and the user's wishes to files on this disk that are known to be the right ones.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Seek as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::download::{Part, Size, download};
use crate::manifest::RemoteFile;
use crate::options::{FetchOptions, From};
use crate::{Digest, Event, FetchError, Manifest, Result, npm};

/// Who says that a file is the right one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Vouched {
    /// The manifest.
    Manifest,
    /// The user, by a sha256.
    User,
    /// Nobody; the user wants it nevertheless.
    Unverified,
}

/// A file or folder to be unpacked.
pub(crate) enum Container {
    /// A file that is open, so that what was hashed is what is unpacked.
    File(File, Origin),
    /// A folder.
    Folder(PathBuf),
    /// Bytes within this program.
    Bytes(&'static str, &'static [u8]),
}

/// Where a file came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Origin {
    pub(crate) name: String,
    pub(crate) from: String,
    pub(crate) bytes: u64,
    pub(crate) sha256: Digest,
    pub(crate) checked_by: Vouched,
}

/// The largest file that is downloaded if nobody says how large it is.
const UNKNOWN_SIZE: u64 = 8 << 30;

/// Gets everything that is needed; downloads go to `folder`.
pub(crate) fn obtain(
    manifest: &Manifest,
    options: &FetchOptions,
    folder: &Path,
    tell: &mut dyn FnMut(Event),
) -> Result<Vec<Container>> {
    match &options.from {
        Some(From::Url(url)) if !url.ends_with('/') => {
            let file = remote_at(manifest, url, options)?;
            let name = file.name.clone();
            let got = from_network(&file, options, &[], folder, tell)?;
            got.map(|got| vec![got]).map_err(|tried| FetchError::NoSource { file: name, tried })
        }
        Some(From::Url(base)) => downloads(manifest, options, Some(base), folder, tell),
        Some(From::Path(path)) if path.is_dir() => from_folder(manifest, options, path, tell),
        Some(From::Path(path)) => {
            let name = path.file_name().unwrap_or(OsStr::new("data")).to_string_lossy();
            Ok(vec![vouched(manifest, options, path, &name, path.display().to_string(), tell)?])
        }
        None if manifest.embedded => Ok(vec![
            Container::Bytes("train-images-idx3-ubyte", dnn_digits::IMAGES),
            Container::Bytes("train-labels-idx1-ubyte", dnn_digits::LABELS),
        ]),
        None => downloads(manifest, options, None, folder, tell),
    }
}

/// Opens a local file and finds out who vouches for it.
fn vouched(
    manifest: &Manifest,
    options: &FetchOptions,
    path: &Path,
    name: &str,
    from: String,
    tell: &mut dyn FnMut(Event),
) -> Result<Container> {
    let what = path.display().to_string();
    tell(Event::Checking { what: what.clone() });
    let fail = |error| FetchError::io("read", path, error);
    let mut file = dnn_store::open_file(path).map_err(FetchError::Unreadable)?;
    let (sha256, bytes) = Digest::of_reader(&file).map_err(fail)?;
    file.rewind().map_err(fail)?;
    let listed = manifest.files.iter().filter_map(|file| file.sha256.as_ref());
    let members = manifest.members().iter().filter_map(|member| member.sha256.as_ref());
    let npm = manifest.npm.iter().map(|package| &package.sha256);
    let mut known = listed.chain(members).chain(npm);
    let checked_by = match &options.sha256 {
        Some(given) if *given == sha256 => Vouched::User,
        Some(given) => {
            return Err(FetchError::WrongDigest {
                what,
                expected: given.to_string(),
                found: sha256,
            });
        }
        None if known.any(|known| *known == sha256) => Vouched::Manifest,
        None if options.unverified => {
            tell(Event::Unverified { what, sha256: Some(sha256.clone()) });
            Vouched::Unverified
        }
        None if manifest.files.iter().all(|file| file.sha256.is_none()) => {
            return Err(FetchError::NoDigest { what: format!("{what} (its sha256 is {sha256})") });
        }
        None => {
            let expected = format!("one that the manifest of {} knows", manifest.name);
            return Err(FetchError::WrongDigest { what, expected, found: sha256 });
        }
    };
    let origin = Origin { name: name.to_owned(), from, bytes, sha256, checked_by };
    Ok(Container::File(file, origin))
}

/// The files of the manifest in a folder, packed or not, or a folder that is the data itself.
fn from_folder(
    manifest: &Manifest,
    options: &FetchOptions,
    folder: &Path,
    tell: &mut dyn FnMut(Event),
) -> Result<Vec<Container>> {
    if options.sha256.is_some() {
        let message = "--sha256 is for a file, and --from names a folder; name the file in it";
        return Err(FetchError::Options(message.to_owned()));
    }
    let packed = manifest.files.iter().map(|file| vec![file.name.clone()]);
    let names = |member: &crate::manifest::Member| {
        std::iter::once(&member.name).chain(&member.also).cloned().collect::<Vec<_>>()
    };
    let plain = manifest.members().iter().map(names);
    let there = |names: &Vec<String>| {
        names.iter().map(|name| folder.join(name)).find(|path| path.is_file())
    };
    let all = |wanted: Vec<Vec<String>>| -> Option<Vec<PathBuf>> {
        let found: Option<Vec<PathBuf>> = wanted.iter().map(there).collect();
        found.filter(|found| !found.is_empty())
    };
    if let Some(paths) = all(packed.collect()).or_else(|| all(plain.collect())) {
        let open = |path: PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            vouched(manifest, options, &path, &name, path.display().to_string(), tell)
        };
        return paths.into_iter().map(open).collect();
    }
    let what = folder.display().to_string();
    if !options.unverified {
        return Err(FetchError::NoDigest { what: format!("the folder {what}") });
    }
    tell(Event::Unverified { what, sha256: None });
    Ok(vec![Container::Folder(folder.to_path_buf())])
}

/// What is at a URL that the user names.
fn remote_at(manifest: &Manifest, url: &str, options: &FetchOptions) -> Result<RemoteFile> {
    let path = url.split(['?', '#']).next().unwrap_or(url);
    let name = path.rsplit('/').next().unwrap_or_default();
    let known = manifest.files.iter().find(|file| file.name == name);
    // The name goes to the disk.
    let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let name = if plain && !name.is_empty() && !name.starts_with('.') { name } else { "data" };
    let (size, sha256) = match (known, &options.sha256) {
        (_, Some(given)) => (UNKNOWN_SIZE, Some(given.clone())),
        (Some(known), None) => (known.size, known.sha256.clone()),
        (None, None) => (UNKNOWN_SIZE, None),
    };
    if sha256.is_none() && !options.unverified {
        return Err(FetchError::NoDigest { what: url.to_owned() });
    }
    Ok(RemoteFile { name: name.to_owned(), size, sha256, urls: vec![url.to_owned()] })
}

/// All files of the manifest, from below `base` alone, or from mirrors, from their own places, or as an
/// npm package.
fn downloads(
    manifest: &Manifest,
    options: &FetchOptions,
    base: Option<&str>,
    folder: &Path,
    tell: &mut dyn FnMut(Event),
) -> Result<Vec<Container>> {
    let mut got = Vec::new();
    for file in &manifest.files {
        let mut file = file.clone();
        if file.sha256.is_some() && options.sha256.is_some() {
            let message = format!(
                "--sha256 vouches for another packing, which --from names; the checksum of {} is known",
                file.name
            );
            return Err(FetchError::Options(message));
        }
        file.sha256 = file.sha256.or_else(|| options.sha256.clone());
        if file.sha256.is_none() && !options.unverified {
            return Err(FetchError::NoDigest { what: file.name });
        }
        let mut mirrors = options.mirrors.clone();
        if let Some(base) = base {
            file.urls.clear();
            mirrors = vec![format!("{base}{}", file.name)];
        } else {
            for mirror in &mut mirrors {
                let folder = mirror.trim_end_matches('/');
                *mirror = format!("{folder}/{}/{}", manifest.name, file.name);
            }
        }
        match from_network(&file, options, &mirrors, folder, tell)? {
            Ok(container) => got.push(container),
            Err(mut tried) => {
                if base.is_none() {
                    match from_npm(manifest, options, folder, tell)? {
                        Ok(package) => return Ok(vec![package]),
                        Err(reason) => tried.extend(reason),
                    }
                }
                return Err(FetchError::NoSource { file: file.name, tried });
            }
        }
    }
    Ok(got)
}

/// The package that holds all files, if there is one. The error within is why it cannot be had.
fn from_npm(
    manifest: &Manifest,
    options: &FetchOptions,
    folder: &Path,
    tell: &mut dyn FnMut(Event),
) -> Result<Result<Container, Option<String>>> {
    let Some(package) = &manifest.npm else { return Ok(Err(None)) };
    let source = format!("npm {}", package.package);
    tell(Event::Asking { source: source.clone(), have: 0 });
    let path = match npm::pack(&options.npm, package, folder)? {
        Ok(path) => path,
        Err(reason) => return Ok(Err(Some(format!("{source}: {reason}")))),
    };
    let options = FetchOptions { sha256: Some(package.sha256.clone()), ..options.clone() };
    vouched(manifest, &options, &path, "package.tgz", source, tell).map(by_manifest).map(Ok)
}

/// The digest that was compared came from the manifest.
fn by_manifest(container: Container) -> Container {
    match container {
        Container::File(file, origin) => {
            Container::File(file, Origin { checked_by: Vouched::Manifest, ..origin })
        }
        other => other,
    }
}

/// One file from the first source that has it right. The errors within are what was tried.
fn from_network(
    file: &RemoteFile,
    options: &FetchOptions,
    mirrors: &[String],
    folder: &Path,
    tell: &mut dyn FnMut(Event),
) -> Result<Result<Container, Vec<String>>> {
    let target = folder.join(&file.name);
    let checked_by = match (&file.sha256, &options.sha256) {
        (Some(wanted), Some(given)) if wanted == given => Vouched::User,
        (Some(_), _) => Vouched::Manifest,
        (None, _) => Vouched::Unverified,
    };
    let open = |from: String, sha256: Digest, bytes: u64| -> Result<Container> {
        let opened = dnn_store::open_file(&target).map_err(FetchError::Unreadable)?;
        let origin = Origin { name: file.name.clone(), from, bytes, sha256, checked_by };
        Ok(Container::File(opened, origin))
    };
    // Complete already, from an earlier call that did not come to its end.
    if let Some(wanted) = file.sha256.as_ref().filter(|_| target.is_file()) {
        tell(Event::Checking { what: target.display().to_string() });
        let (sha256, bytes) = Digest::of_file(&target)?;
        if sha256 == *wanted {
            return open("an earlier download".to_owned(), sha256, bytes).map(Ok);
        }
        fs::remove_file(&target).map_err(|e| FetchError::io("remove", &target, e))?;
    }
    let part = Part::of(&target);
    let size =
        if file.size == UNKNOWN_SIZE { Size::AtMost(file.size) } else { Size::Exactly(file.size) };
    let mut tried = Vec::new();
    for url in mirrors.iter().chain(&file.urls) {
        let reason = match download(url, &part, size, &options.patience, tell)? {
            Ok(()) => {
                tell(Event::Checking { what: file.name.clone() });
                let (sha256, bytes) = Digest::of_file(part.path())?;
                if file.sha256.as_ref().is_none_or(|wanted| *wanted == sha256) {
                    fs::rename(part.path(), &target)
                        .map_err(|e| FetchError::io("rename", part.path(), e))?;
                    part.remove()?;
                    if file.sha256.is_none() {
                        let what = url.clone();
                        tell(Event::Unverified { what, sha256: Some(sha256.clone()) });
                    }
                    return open(url.clone(), sha256, bytes).map(Ok);
                }
                // Not what was asked for, and never unpacked.
                part.remove()?;
                let wanted = file.sha256.as_ref().map(ToString::to_string).unwrap_or_default();
                format!("deleted, its sha256 is {sha256}, expected {wanted}")
            }
            Err(reason) => reason,
        };
        tell(Event::GivenUp { source: url.clone(), reason: reason.clone() });
        tried.push(format!("{url}: {reason}"));
    }
    Ok(Err(tried))
}
