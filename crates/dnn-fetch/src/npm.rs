//! Packages by the machine's own npm client, which knows the registry that can be reached.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::manifest::NpmPackage;
use crate::{FetchError, Result};

/// Lets `npm pack` put the archive of a package into `folder`; scripts of the package are not run.
/// The error within is a reason to say to the user.
pub(crate) fn pack(
    npm: &OsStr,
    package: &NpmPackage,
    folder: &Path,
) -> Result<Result<PathBuf, String>> {
    let into = folder.join("npm");
    let fail = |error| FetchError::io("create", &into, error);
    match fs::remove_dir_all(&into) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(fail(error)),
        _ => fs::create_dir_all(&into).map_err(fail)?,
    }
    let output = Command::new(npm)
        .args(["pack", "--silent", "--ignore-scripts", "--pack-destination"])
        .arg(&into)
        .arg(&package.package)
        .stdin(Stdio::null())
        .output();
    let output = match output {
        Ok(output) => output,
        Err(error) => {
            return Ok(Err(format!("cannot run {}: {error}", npm.to_string_lossy())));
        }
    };
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr);
        let line = text.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("no message");
        return Ok(Err(format!("npm pack failed ({}): {line}", output.status)));
    }
    let entries = fs::read_dir(&into).map_err(|error| FetchError::io("read", &into, error))?;
    let mut archives: Vec<PathBuf> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<std::io::Result<_>>()
        .map_err(|error| FetchError::io("read", &into, error))?;
    archives.retain(|path| path.extension().is_some_and(|suffix| suffix == "tgz"));
    match <[PathBuf; 1]>::try_from(archives) {
        Ok([archive]) => Ok(Ok(archive)),
        Err(archives) => Ok(Err(format!("npm pack left {} archives, expected 1", archives.len()))),
    }
}
