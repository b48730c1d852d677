//! What the tests of this crate share: a server on 127.0.0.1 that plays bad ones, and archives made by hand.
#![allow(dead_code, reason = "each test file uses a part of it")]

pub(crate) mod archives;
pub(crate) mod server;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use dnn_fetch::download::Patience;
use dnn_fetch::{Digest, Manifest};

/// Few and short waits between tries; silence and slowness for as long as a busy machine may cause them.
pub(crate) fn patience() -> Patience {
    Patience {
        tries: 4,
        first_wait: Duration::from_millis(10),
        longest_wait: Duration::from_secs(2),
        connect: Duration::from_secs(60),
        silence: Duration::from_secs(60),
        slow: Duration::from_secs(60),
        slow_bytes: 1000,
    }
}

/// `len` bytes that no compressor makes smaller, the same at each call.
pub(crate) fn noise(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        u8::try_from(state >> 56).unwrap()
    };
    (0..len).map(|_| byte()).collect()
}

/// Every path below a folder, with the content of files.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![root.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(root).unwrap().to_string_lossy().into_owned();
            if path.symlink_metadata().unwrap().is_dir() {
                found.insert(format!("{name}/"), Vec::new());
                folders.push(path);
            } else {
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

/// A set of one plain file `data.bin` that is `bytes`, at these URLs.
pub(crate) fn plain_set(bytes: &[u8], urls: &[String]) -> Manifest {
    set(
        "[[arrange.members]]\nname = \"data.bin\"",
        &[("data.bin", bytes.len() as u64, Some(Digest::of(bytes)), urls)],
    )
}

/// A set of plain files.
pub(crate) fn set(members: &str, files: &[(&str, u64, Option<Digest>, &[String])]) -> Manifest {
    let mut text = format!(
        "title = \"a test\"\nlicense = \"none\"\nterms = \"none\"\nhomepage = \"none\"\n\
         citation = \"none\"\n[arrange]\nkind = \"files\"\n{members}\n"
    );
    for (name, size, sha256, urls) in files {
        text += &format!("[[files]]\nname = \"{name}\"\nsize = {size}\nurls = {urls:?}\n");
        if let Some(sha256) = sha256 {
            text += &format!("sha256 = \"{sha256}\"\n");
        }
    }
    Manifest::from_toml("test-set", &text).unwrap()
}
