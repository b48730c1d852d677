//! Folders that were fetched and then changed, by hand or by a process that was killed.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::archives::{ZipEntry, zip};
use crate::common::plain_set;
use crate::common::server::{Server, honest};
use dnn_fetch::{
    Digest, FetchError, FetchOptions, Fetched, From, Manifest, fetch, manifest, verify,
};
use tempfile::TempDir;

fn digits(to: &Path) -> Result<Fetched, FetchError> {
    let options = FetchOptions { to: to.to_path_buf(), ..FetchOptions::default() };
    fetch(&manifest::find("digits").unwrap(), &options, &mut |_| ())
}

/// The built-in digits in a folder of their own.
fn fetched() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let set = digits(folder.path()).unwrap().folder;
    (folder, set)
}

/// Adds a line to the list of checksums, with the record of its own checksum made to fit.
fn list_also(set: &Path, line: &str) {
    let (sums, source) = (set.join("SHA256SUMS"), set.join("SOURCE.toml"));
    let was = fs::read_to_string(&sums).unwrap();
    let is = format!("{was}{line}\n");
    let record = fs::read_to_string(&source).unwrap();
    let digest = |text: &str| Digest::of(text.as_bytes()).to_string();
    fs::write(&source, record.replace(&digest(&was), &digest(&is))).unwrap();
    fs::write(&sums, is).unwrap();
}

fn mkfifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

#[test]
fn a_list_that_leads_out_of_the_folder_is_damaged_and_nothing_is_opened() {
    let none = "0".repeat(64);
    for (line, reason) in [
        // Would be read for ever.
        (format!("{none}  /dev/zero"), "begins at the root"),
        (format!("{none}  ../outside"), "leads out of its folder"),
        (format!("{none}  a/../../outside"), "leads out of its folder"),
        (format!("{none}  C:\\outside"), "backslash"),
        (format!("{none}  a\tb"), "control character"),
        (format!("{none}  "), "empty part"),
        (format!("{none} one-space"), "no two spaces"),
        ("0123  train-images-idx3-ubyte".to_owned(), "no sha256"),
    ] {
        let (_folder, set) = fetched();
        list_also(&set, &line);
        let error = verify(&manifest::find("digits").unwrap(), &set).unwrap_err();
        assert!(matches!(&error, FetchError::BadList { line: found, .. } if *found == line));
        assert!(error.to_string().contains(reason), "{error}");
        assert!(error.is_damaged() && !error.is_io(), "{error}");
    }
}

/// Puts something at the first path; the second is that of a copy of the file.
type Put = fn(&Path, &Path);

#[test]
fn what_is_no_regular_file_of_the_folder_is_damage() {
    let name = "train-labels-idx1-ubyte";
    let put: [(&str, Put); 4] = [
        ("a pipe", |file, _| mkfifo(file)),
        ("a link to the same bytes elsewhere", |file, copy| symlink(copy, file).unwrap()),
        ("a link to what never ends", |file, _| symlink("/dev/zero", file).unwrap()),
        ("a folder", |file, _| fs::create_dir(file).unwrap()),
    ];
    for (what, put) in put {
        let (folder, set) = fetched();
        let copy = folder.path().join("copy");
        fs::rename(set.join(name), &copy).unwrap();
        put(&set.join(name), &copy);
        let error = digits(folder.path()).unwrap_err();
        let is_named = matches!(&error, FetchError::Damaged { damaged, .. } if damaged == &[name]);
        assert!(is_named, "{what}: {error}");
    }
}

#[test]
fn a_folder_of_the_set_that_is_a_link_is_damage() {
    let archive = zip(
        &[ZipEntry::file("train/cat/1.jpg", "1"), ZipEntry::file("train/dog/1.jpg", "2")],
        false,
    );
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive.zip");
    fs::write(&path, archive).unwrap();
    let text = "title = 'a test'\nlicense = 'none'\nterms = 'none'\nhomepage = 'none'\n\
                citation = 'none'\n[arrange]\nkind = 'pictures'\n";
    let set = Manifest::from_toml("pets", text).unwrap();
    let options = FetchOptions {
        to: folder.path().to_path_buf(),
        from: Some(From::Path(path)),
        unverified: true,
        ..FetchOptions::default()
    };
    let pets = fetch(&set, &options, &mut |_| ()).unwrap().folder;
    assert_eq!(verify(&set, &pets).unwrap().files, 2);
    // The folder of the set itself may be a link: it is the one that was named.
    let link = folder.path().join("link");
    symlink(&pets, &link).unwrap();
    assert_eq!(verify(&set, &link).unwrap().files, 2);
    fs::rename(pets.join("train/cat"), folder.path().join("cat")).unwrap();
    symlink(folder.path().join("cat"), pets.join("train/cat")).unwrap();
    let error = verify(&set, &pets).unwrap_err();
    let only = ["train/cat/1.jpg".to_owned()];
    assert!(matches!(&error, FetchError::Damaged { damaged, .. } if *damaged == only), "{error}");
}

#[test]
fn what_a_killed_call_left_is_removed_by_the_next_one() {
    let leave: [fn(&Path); 3] = [
        |work| drop(File::create(work.join("digits.lock")).unwrap()),
        |work| fs::create_dir_all(work.join("digits/stage/raw/0")).unwrap(),
        |work| {
            fs::create_dir(work.join("digits")).unwrap();
            fs::write(work.join("digits/archive.zip"), "what was downloaded").unwrap();
            fs::write(work.join("digits.lock"), "").unwrap();
        },
    ];
    for leave in leave {
        let (folder, _) = fetched();
        let work = folder.path().join(".fetch");
        fs::create_dir(&work).unwrap();
        leave(&work);
        assert!(digits(folder.path()).unwrap().was_there);
        assert!(!work.exists(), "{:?}", crate::common::tree(folder.path()).into_keys());
    }
}

#[test]
fn what_another_process_works_on_is_left_alone() {
    let (folder, _) = fetched();
    let work = folder.path().join(".fetch");
    fs::create_dir_all(work.join("digits/stage")).unwrap();
    let lock = File::create(work.join("digits.lock")).unwrap();
    lock.lock().unwrap();
    assert!(digits(folder.path()).unwrap().was_there);
    assert!(work.join("digits/stage").is_dir() && work.join("digits.lock").is_file());
    // And what is left of another set is for its own next call.
    lock.unlock().unwrap();
    fs::create_dir(work.join("mnist")).unwrap();
    assert!(digits(folder.path()).unwrap().was_there);
    assert!(work.join("mnist").is_dir() && !work.join("digits").exists());
}

#[test]
fn a_lock_or_a_part_that_is_no_file_is_neither_waited_for_nor_written_through() {
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("outside");
    fs::write(&outside, "mine").unwrap();
    let to = folder.path().join("to");
    fs::create_dir_all(to.join(".fetch")).unwrap();
    let lock = to.join(".fetch/digits.lock");
    symlink(&outside, &lock).unwrap();
    assert!(digits(&to).unwrap_err().is_io());
    fs::remove_file(&lock).unwrap();
    mkfifo(&lock);
    assert!(digits(&to).unwrap_err().is_io());
    assert_eq!(fs::read(&outside).unwrap(), b"mine");
    // Nor is a pipe in the place of the note about a download waited for.
    fs::remove_file(&lock).unwrap();
    let body = b"the whole file";
    let server = Server::start(move |request| honest(request, body, "1"));
    let work = to.join(".fetch/test-set");
    fs::create_dir_all(&work).unwrap();
    mkfifo(&work.join("data.bin.part.tag"));
    let options =
        FetchOptions { to, patience: crate::common::patience(), ..FetchOptions::default() };
    fetch(&plain_set(body, &[server.url("/data.bin")]), &options, &mut |_| ()).unwrap();
}

#[test]
fn a_download_does_not_go_on_through_a_link() {
    let body = b"the whole file";
    let server = Server::start(move |request| honest(request, body, "1"));
    let url = server.url("/data.bin");
    let folder = tempfile::tempdir().unwrap();
    let outside = folder.path().join("outside");
    fs::write(&outside, "mine").unwrap();
    let work = folder.path().join(".fetch/test-set");
    fs::create_dir_all(&work).unwrap();
    symlink(&outside, work.join("data.bin.part")).unwrap();
    let tag = format!("url = {url:?}\nvalidator = '\"1\"'\n");
    fs::write(work.join("data.bin.part.tag"), tag).unwrap();
    let options = FetchOptions {
        to: folder.path().to_path_buf(),
        patience: crate::common::patience(),
        ..FetchOptions::default()
    };
    let fetched = fetch(&plain_set(body, &[url]), &options, &mut |_| ()).unwrap();
    assert_eq!(fs::read(fetched.folder.join("data.bin")).unwrap(), body);
    assert_eq!(fs::read(&outside).unwrap(), b"mine");
}
