//! A1 to A5: archives that want to write elsewhere, to be something else, to fill the disk, to be read in
//! two ways, or are damaged. Each is refused whole; nothing is written outside, nothing stays inside.

use std::fs::{self, File};
use std::path::Path;

use crate::common::archives::{TarEntry, ZipEntry, gzip, long_name, pax, tar, zip};
use crate::common::{noise, plain_set, tree};
use dnn_fetch::unpack::{Caps, unpack};
use dnn_fetch::{Digest, FetchError, FetchOptions, From, fetch};

/// Small caps, so that small archives reach them.
fn caps() -> Caps {
    Caps { bytes: 64 << 20, entries: 50, ratio: 200 }
}

/// Unpacks through the whole way, as a user does; gives the reason of the refusal.
///
/// The set wants one file `data.bin`, so that an archive that is let through by mistake is an error too,
/// but another one.
fn refused(archive: &[u8], what: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive");
    fs::write(&path, archive).unwrap();
    // What an entry could reach from where it is unpacked.
    for bait in ["x", "datasets/x", "datasets/.fetch/x"] {
        fs::create_dir_all(folder.path().join(bait).parent().unwrap()).unwrap();
        fs::write(folder.path().join(bait), "untouched").unwrap();
    }
    let before = tree(folder.path());
    let set = plain_set(b"data", &[]);
    let options = FetchOptions {
        to: folder.path().join("datasets"),
        from: Some(From::Path(path)),
        sha256: Some(Digest::of(archive)),
        caps: caps(),
        ..FetchOptions::default()
    };
    let error = fetch(&set, &options, &mut |_| ()).expect_err(what);
    assert_eq!(tree(folder.path()), before, "{what}");
    match error {
        FetchError::Archive { reason, .. } => reason,
        other => panic!("{what}: refused for another reason: {other}"),
    }
}

fn unpacked(archive: &[u8], into: &Path) -> Vec<String> {
    let path = into.with_extension("archive");
    fs::write(&path, archive).unwrap();
    let files = unpack(File::open(&path).unwrap(), "archive", into, &caps(), &mut |_| ()).unwrap();
    files.into_iter().map(|file| file.path).collect()
}

#[test]
fn honest_archives_come_out_as_they_went_in() {
    let folder = tempfile::tempdir().unwrap();
    let body = noise(100_000);
    let empty = TarEntry::of_kind("./d/", b'5', "");
    let entries = [empty, TarEntry::file("./d/a.bin", &body), TarEntry::file("d/e/ü", b"b")];
    let long = "l/".repeat(100) + "name";
    let with_long = [long_name(long.as_bytes()), TarEntry::file("short", b"c")];
    let plain = tar(&[entries.as_slice(), &with_long].concat());
    for (number, archive) in [plain.clone(), gzip(&plain)].iter().enumerate() {
        let into = folder.path().join(number.to_string());
        assert_eq!(unpacked(archive, &into), ["d/a.bin", "d/e/ü", &long]);
        assert_eq!(fs::read(into.join("d/a.bin")).unwrap(), body);
        assert_eq!(fs::read(into.join(&long)).unwrap(), b"c");
    }
    let folder_entry = ZipEntry { mode: 0o040_755, ..ZipEntry::file("d/", b"") };
    let stored = ZipEntry { deflate: false, ..ZipEntry::file("d/b", b"stored") };
    let archive = zip(&[folder_entry, ZipEntry::file("d/a.bin", &body), stored], false);
    let into = folder.path().join("zip");
    assert_eq!(unpacked(&archive, &into), ["d/a.bin", "d/b"]);
    assert_eq!(fs::read(into.join("d/a.bin")).unwrap(), body);
    assert_eq!(fs::read(into.join("d/b")).unwrap(), b"stored");
    // A single file, and one that is no archive at all.
    let into = folder.path().join("gz");
    assert_eq!(unpacked(&gzip(&body), &into), ["archive"]);
    assert_eq!(fs::read(into.join("archive")).unwrap(), body);
    assert_eq!(unpacked(b"text", &folder.path().join("text")), ["archive"]);
}

#[test]
fn a1_names_that_lead_elsewhere() {
    let absolute = std::env::temp_dir().join("dnn-fetch-test-x");
    let absolute = absolute.to_str().unwrap();
    let long = "p/".repeat(2500) + "x";
    let names: [(&[u8], &str); 13] = [
        (b"../x", "leads out of its folder"),
        (b"../../x", "leads out of its folder"),
        (b"a/../../x", "leads out of its folder"),
        (b"a/..", "leads out of its folder"),
        (absolute.as_bytes(), "begins at the root"),
        (b"/x", "begins at the root"),
        (b"C:\\x", "a backslash"),
        (b"C:x", "a drive letter"),
        (b"a\\..\\x", "a backslash"),
        (b"a\x01b", "a control character"),
        (b"a//b", "an empty part"),
        (b"\xff\xfe.jpg", "not UTF-8"),
        (long.as_bytes(), "longer than 1,024 bytes"),
    ];
    for (name, reason) in names {
        let shown = String::from_utf8_lossy(name);
        let entry = TarEntry::file("good", b"good");
        let bad = if name.len() > 100 {
            vec![long_name(name), TarEntry::file("short", b"bad")]
        } else {
            vec![TarEntry::file(name, b"bad")]
        };
        let found = refused(&gzip(&tar(&[vec![entry], bad].concat())), &shown);
        assert!(found.contains(reason), "tar, {shown}: {found}");
        let entries = [ZipEntry::file("good", b"good"), ZipEntry::file(name, b"bad")];
        let found = refused(&zip(&entries, false), &shown);
        assert!(found.contains(reason), "zip, {shown}: {found}");
    }
    assert!(!Path::new(absolute).exists());
    // A NUL ends a name in a tar header; in a zip, and in an extended header, it is a part of it.
    let found = refused(&zip(&[ZipEntry::file(b"a\0b", b"bad")], false), "NUL");
    assert!(found.contains("control character"), "{found}");
    let found = refused(&tar(&[pax("path", "../x"), TarEntry::file("good", b"bad")]), "PAX path");
    assert!(found.contains("leads out"), "{found}");
}

#[test]
fn a2_entries_that_are_not_files() {
    // Links, then a file through them; devices and pipes; a hard link whose own name leads through one.
    let kinds = [
        (b'1', "good"),
        (b'2', "../.."),
        (b'2', "/"),
        (b'3', ""),
        (b'4', ""),
        (b'6', ""),
        (b'S', ""),
        (b'?', ""),
    ];
    for (kind, link) in kinds {
        let entries = [
            TarEntry::file("good", b"good"),
            TarEntry::of_kind("link", kind, link),
            TarEntry::file("link/x", b"bad"),
        ];
        let found = refused(&tar(&entries), &format!("kind {}", char::from(kind)));
        assert!(found.contains("no ordinary file") || found.contains("damaged"), "{found}");
    }
    let through = [TarEntry::of_kind("a", b'2', "../.."), TarEntry::of_kind("a/x", b'1', "good")];
    assert!(refused(&tar(&through), "hard link through a link").contains("no ordinary file"));
    for mode in [0o4755, 0o2755, 0o6755] {
        let entry = TarEntry { mode, ..TarEntry::file("good", b"bad") };
        assert!(refused(&tar(&[entry]), "setuid").contains("another user"));
        let entry = ZipEntry { mode: 0o100_000 | mode, ..ZipEntry::file("good", b"bad") };
        assert!(refused(&zip(&[entry], false), "setuid").contains("another user"));
    }
    // Links, devices, pipes and sockets in a zip.
    for kind in [0o120_000, 0o020_000, 0o060_000, 0o010_000, 0o140_000] {
        let entry = ZipEntry { mode: kind | 0o644, ..ZipEntry::file("good", b"../..") };
        assert!(refused(&zip(&[entry], false), "a link").contains("no ordinary file"));
    }
}

#[test]
fn a3_bombs() {
    let zeros = vec![0; 8 << 20];
    let found = refused(&gzip(&tar(&[TarEntry::file("data.bin", &zeros)])), "zeros in a tar.gz");
    assert!(found.contains("200 times"), "{found}");
    assert!(refused(&gzip(&zeros), "zeros in a gz").contains("200 times"));
    let found = refused(&zip(&[ZipEntry::file("data.bin", &zeros)], false), "zeros in a zip");
    assert!(found.contains("200 times"), "{found}");
    // More bytes in all than the cap, each entry alone within it.
    let noise = noise(1 << 20);
    let many: Vec<_> = (0..49).map(|n| TarEntry::file(format!("{n}"), noise.repeat(2))).collect();
    let found = refused(&tar(&many), "many bytes");
    assert!(found.contains("more than 67108864 bytes"), "{found}");
    // Too many entries.
    let many: Vec<_> = (0..51).map(|n| TarEntry::file(format!("{n}"), b"")).collect();
    assert!(refused(&tar(&many), "many files").contains("more than 50 entries"));
    let many: Vec<_> = (0..51).map(|n| TarEntry::of_kind(format!("{n}/"), b'5', "")).collect();
    assert!(refused(&tar(&many), "many folders").contains("more than 50 entries"));
    let many: Vec<_> = (0..51).map(|n| ZipEntry::file(format!("{n}"), b"")).collect();
    assert!(refused(&zip(&many, false), "many files").contains("more than 50 entries"));
    // Entries that share their bytes.
    let twice = [ZipEntry::file("a", &noise), ZipEntry::file("b", &noise)];
    let found = refused(&zip(&twice, true), "overlap");
    assert!(found.contains("overlap"), "{found}");
    // Headers that lie about the size, both ways.
    for size in [0, 1, u32::try_from(noise.len()).unwrap() + 1, u32::MAX - 1] {
        let entry = ZipEntry { size: Some(size), ..ZipEntry::file("data.bin", &noise) };
        let found = refused(&zip(&[entry], false), "a lie in a zip");
        assert!(found.contains("header says") || found.contains("damaged"), "{found}");
    }
    for size in [noise.len() as u64 + 513, 1 << 31, 0o77_777_777_777] {
        let entry = TarEntry { size: Some(size), ..TarEntry::file("data.bin", &noise) };
        let found = refused(&tar(&[entry]), "a lie in a tar");
        assert!(found.contains("header says") || found.contains("cut short"), "{found}");
    }
    // An archive in an archive is a file like others.
    let folder = tempfile::tempdir().unwrap();
    let inner = zip(&[ZipEntry::file("a", b"a")], false);
    let outer = zip(&[ZipEntry::file("inner.zip", &inner)], false);
    assert_eq!(unpacked(&outer, &folder.path().join("new")), ["inner.zip"]);
}

#[test]
fn a4_archives_that_can_be_read_in_two_ways() {
    let cases: [(&[&str], &str); 4] = [
        (&["a", "a"], "twice"),
        (&["a/b", "A/b"], "case alone"),
        (&["Ab", "aB"], "case alone"),
        (&["a", "a/b"], "is a file"),
    ];
    for (names, reason) in cases {
        let entries: Vec<_> = names.iter().map(|name| TarEntry::file(name, name)).collect();
        let found = refused(&tar(&entries), "tar");
        assert!(found.contains(reason), "{names:?}: {found}");
        let entries: Vec<_> = names.iter().map(|name| ZipEntry::file(name, name)).collect();
        let found = refused(&zip(&entries, false), "zip");
        assert!(found.contains(reason), "{names:?}: {found}");
    }
    let folder_too = [TarEntry::file("a/b", b""), TarEntry::file("a", b"")];
    assert!(refused(&tar(&folder_too), "a folder").contains("a folder is called"));
    // A size in an extended header that is not the one in the plain header.
    let two_sizes = [pax("size", "3"), TarEntry::file("data.bin", b"data and more")];
    let found = refused(&tar(&two_sizes), "two sizes");
    assert!(found.contains("two headers differ"), "{found}");
    // A name before the data that is not the one in the directory.
    let two_names =
        ZipEntry { local_name: Some(b"../x".to_vec()), ..ZipEntry::file("good", b"bad") };
    let found = refused(&zip(&[two_names], false), "two names");
    assert!(found.contains("inconsistency") || found.contains("damaged"), "{found}");
}

#[test]
fn a5_damaged_archives() {
    let body = noise(3000);
    let entries = [TarEntry::file("data.bin", &body), TarEntry::file("more", &body)];
    let plain = tar(&entries);
    let packed = gzip(&plain);
    let zipped = zip(&[ZipEntry::file("data.bin", &body), ZipEntry::file("more", &body)], false);
    // Cut anywhere but at the padding after its end; where the magic is gone, it is no archive at all and
    // would have to be the file itself.
    for cut in (600..plain.len() - 512).step_by(97) {
        refused(&plain[..cut], "a cut tar");
    }
    for cut in (600..packed.len()).step_by(53) {
        assert!(refused(&packed[..cut], "a cut tar.gz").contains("cut short"), "{cut}");
    }
    for cut in (4..zipped.len()).step_by(53) {
        refused(&zipped[..cut], "a cut zip");
    }
    // The last bytes are the checksum and the length of a gzip.
    for at in packed.len() - 8..packed.len() {
        let mut wrong = packed.clone();
        wrong[at] ^= 1;
        refused(&wrong, "a wrong checksum in a gz");
    }
    let entry = ZipEntry { crc: Some(1), ..ZipEntry::file("data.bin", &body) };
    let found = refused(&zip(&[entry], false), "a wrong checksum in a zip");
    assert!(found.contains("damaged"), "{found}");
    // Something behind the end.
    let mut longer = plain.clone();
    longer.extend(vec![0; 2 << 20]);
    assert!(refused(&longer, "a long tail").contains("after its end"));
    longer = plain;
    longer.extend(b"tail");
    assert!(refused(&longer, "a tail").contains("cut short"));
}

#[test]
fn a_link_in_a_folder_is_refused_too() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("data.bin"), "data").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink("/etc", data.join("more")).unwrap();
    let set = dnn_fetch::Manifest::from_toml(
        "test-set",
        "title = ''\nlicense = ''\nterms = ''\nhomepage = ''\ncitation = ''\n[arrange]\nkind = 'pictures'",
    )
    .unwrap();
    let options = FetchOptions {
        to: folder.path().join("datasets"),
        from: Some(From::Path(data)),
        unverified: true,
        ..FetchOptions::default()
    };
    let error = fetch(&set, &options, &mut |_| ()).unwrap_err().to_string();
    assert!(cfg!(not(unix)) || error.contains("it is a link or a device"), "{error}");
}
