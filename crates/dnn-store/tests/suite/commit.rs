//! Commits that fail at every step, race each other, or are pointed at something odd.

use std::fs::{self, File, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::thread;

use dnn_store::{Disk, FileSystem, StoreError, commit, commit_with, is_temporary, read_file};

/// What the n-th operation does instead of its work.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fault {
    Error(ErrorKind),
    /// A write of one byte; any other operation works.
    Short,
    /// A write of nothing; any other operation works.
    Nothing,
}

/// The disk, with a record of the operations and a fault at one of them.
struct Faulty {
    fault: Option<(usize, Fault)>,
    record: Vec<&'static str>,
}

impl Faulty {
    fn new(fault: Option<(usize, Fault)>) -> Self {
        Self { fault, record: Vec::new() }
    }

    /// Notes an operation; gives its fault if it is the one to have it.
    fn step(&mut self, name: &'static str) -> io::Result<Option<Fault>> {
        let now = self.record.len();
        self.record.push(name);
        match self.fault.filter(|(at, _)| *at == now).map(|(_, fault)| fault) {
            Some(Fault::Error(kind)) => Err(kind.into()),
            other => Ok(other),
        }
    }
}

impl FileSystem for Faulty {
    type File = File;

    fn look(&mut self, path: &Path) -> io::Result<Option<(PathBuf, Metadata)>> {
        self.step("look")?;
        Disk.look(path)
    }

    fn create_new(&mut self, path: &Path) -> io::Result<File> {
        self.step("create_new")?;
        Disk.create_new(path)
    }

    fn adopt_mode(&mut self, file: &mut File, replaced: &Metadata) -> io::Result<()> {
        self.step("adopt_mode")?;
        Disk.adopt_mode(file, replaced)
    }

    fn write(&mut self, file: &mut File, bytes: &[u8]) -> io::Result<usize> {
        match self.step("write")? {
            Some(Fault::Nothing) => Ok(0),
            Some(_) => Disk.write(file, &bytes[..1]),
            None => Disk.write(file, bytes),
        }
    }

    fn sync(&mut self, file: &mut File) -> io::Result<()> {
        self.step("sync")?;
        Disk.sync(file)
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.step("rename")?;
        Disk.rename(from, to)
    }

    fn sync_folder(&mut self, folder: &Path) -> io::Result<()> {
        self.step("sync_folder")?;
        Disk.sync_folder(folder)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.step("remove")?;
        Disk.remove(path)
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// The names in a folder, hidden ones too.
fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const REPLACING: [&str; 7] =
    ["look", "create_new", "adopt_mode", "write", "sync", "rename", "sync_folder"];

#[test]
fn the_bytes_are_on_the_medium_before_they_have_the_name() {
    let folder = folder();
    let path = folder.path().join("model.dnn");
    let mut fresh = Faulty::new(None);
    commit_with(&mut fresh, &path, b"old").unwrap();
    assert_eq!(
        fresh.record,
        ["look", "create_new", "write", "sync", "rename", "sync_folder"],
        "a new file has no mode to adopt"
    );
    let mut again = Faulty::new(None);
    commit_with(&mut again, &path, b"new").unwrap();
    assert_eq!(again.record, REPLACING);
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

#[test]
fn whichever_operation_fails_the_old_file_or_the_new_one_is_whole() {
    let kinds = [ErrorKind::Other, ErrorKind::StorageFull, ErrorKind::PermissionDenied];
    for kind in kinds {
        for (at, operation) in REPLACING.into_iter().enumerate() {
            let folder = folder();
            let path = folder.path().join("model.dnn");
            fs::write(&path, b"old").unwrap();
            let mut system = Faulty::new(Some((at, Fault::Error(kind))));
            let error = commit_with(&mut system, &path, b"new bytes").unwrap_err();

            let StoreError::Io { path: named, source, .. } = &error else { panic!("{error}") };
            assert_eq!(source.kind(), kind);
            assert!(error.to_string().contains(named.to_str().unwrap()), "{error}");
            let renamed = operation == "sync_folder";
            assert_eq!(named, if renamed { folder.path() } else { &path });
            let expected: &[u8] = if renamed { b"new bytes" } else { b"old" };
            assert_eq!(fs::read(&path).unwrap(), expected, "{operation} failed");
            assert_eq!(names(folder.path()), ["model.dnn"], "{operation} failed");
        }
    }
}

#[test]
fn a_first_commit_that_fails_leaves_nothing() {
    for at in 0..5 {
        let folder = folder();
        let path = folder.path().join("model.dnn");
        let mut system = Faulty::new(Some((at, Fault::Error(ErrorKind::StorageFull))));
        commit_with(&mut system, &path, b"new").unwrap_err();
        assert_eq!(names(folder.path()), [""; 0], "{:?}", system.record);
    }
}

#[test]
fn interruptions_and_short_writes_are_gone_on_from() {
    for fault in [Fault::Error(ErrorKind::Interrupted), Fault::Short] {
        for at in 0..REPLACING.len() {
            let folder = folder();
            let path = folder.path().join("model.dnn");
            fs::write(&path, b"old").unwrap();
            commit_with(&mut Faulty::new(Some((at, fault))), &path, b"new bytes").unwrap();
            assert_eq!(fs::read(&path).unwrap(), b"new bytes", "{fault:?} at {at}");
            assert_eq!(names(folder.path()), ["model.dnn"]);
        }
    }
}

#[test]
fn a_write_of_nothing_is_an_error_and_not_a_loop() {
    let folder = folder();
    let path = folder.path().join("model.dnn");
    let error =
        commit_with(&mut Faulty::new(Some((2, Fault::Nothing))), &path, b"new").unwrap_err();
    assert!(matches!(&error, StoreError::Io { source, action: "write", .. }
        if source.kind() == ErrorKind::WriteZero));
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn a_left_over_temporary_name_is_stepped_over() {
    let folder = folder();
    let path = folder.path().join("model.dnn");
    let taken = Fault::Error(ErrorKind::AlreadyExists);
    let mut system = Faulty::new(Some((1, taken)));
    commit_with(&mut system, &path, b"new").unwrap();
    assert_eq!(system.record[1..3], ["create_new", "create_new"]);
    assert_eq!(fs::read(&path).unwrap(), b"new");
}

#[test]
fn two_threads_on_one_name_leave_one_whole_file() {
    let folder = folder();
    let path = folder.path().join("model.dnn");
    thread::scope(|scope| {
        for value in [1_u8, 2] {
            let path = &path;
            scope.spawn(move || {
                for _ in 0..50 {
                    commit(path, &[value; 10_000]).unwrap();
                }
            });
        }
    });
    let bytes = fs::read(&path).unwrap();
    assert_eq!(bytes.len(), 10_000);
    assert!(bytes.iter().all(|byte| *byte == bytes[0]));
    assert_eq!(names(folder.path()), ["model.dnn"]);
}

#[test]
fn a_folder_at_the_name_and_a_missing_folder_are_clear_errors() {
    let folder = folder();
    let error = commit(folder.path(), b"new").unwrap_err();
    assert!(error.to_string().starts_with("expected a regular file, found a folder: "), "{error}");
    assert!(!error.is_corrupt());

    let path = folder.path().join("missing/model.dnn");
    let error = commit(&path, b"new").unwrap_err();
    let expected = format!("cannot create a temporary file beside {}", path.display());
    assert_eq!(error.to_string(), expected);

    let error = commit(Path::new(""), b"new").unwrap_err().to_string();
    assert!(error.contains("path without a file name"), "{error}");
    assert_eq!(names(folder.path()), [""; 0]);
}

#[test]
fn reading_is_bounded_and_refuses_what_is_not_a_file() {
    let folder = folder();
    let path = folder.path().join("model.dnn");
    let missing = read_file(&path, 10).unwrap_err();
    assert!(
        matches!(&missing, StoreError::Io { source, .. } if source.kind() == ErrorKind::NotFound)
    );
    assert!(!missing.is_corrupt());

    fs::write(&path, [7; 10]).unwrap();
    assert_eq!(read_file(&path, 10).unwrap(), [7; 10]);
    let large = read_file(&path, 9).unwrap_err();
    assert!(large.is_corrupt());
    let StoreError::InFile { source, path: named } = large else { panic!("{large}") };
    assert_eq!(named, path);
    assert_eq!(source.to_string(), "expected at most 9 bytes in a file, found 10");

    let error = read_file(folder.path(), 10).unwrap_err().to_string();
    assert!(error.starts_with("expected a regular file, found a folder: "), "{error}");
}

#[cfg(unix)]
mod unix {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::process::Command;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    #[test]
    fn a_new_file_has_the_mode_of_any_new_file_and_an_old_one_keeps_its_own() {
        let folder = folder();
        let (path, plain) = (folder.path().join("model.dnn"), folder.path().join("plain"));
        fs::write(&plain, b"").unwrap();
        commit(&path, b"new").unwrap();
        // 0644 under the usual umask of 022; whatever it is, it is the same for both.
        assert_eq!(mode(&path), mode(&plain));
        for own in [0o600, 0o640, 0o444] {
            fs::set_permissions(&path, fs::Permissions::from_mode(own)).unwrap();
            commit(&path, b"newer").unwrap();
            assert_eq!(mode(&path), own);
        }
    }

    #[test]
    fn through_a_link_the_file_behind_it_is_replaced() {
        let (folder, other) = (folder(), folder());
        let (link, file) = (folder.path().join("latest"), other.path().join("model.dnn"));
        fs::write(&file, b"old").unwrap();
        symlink(&file, &link).unwrap();
        commit(&link, b"new").unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read(&file).unwrap(), b"new");

        fs::remove_file(&file).unwrap();
        let error = commit(&link, b"new").unwrap_err();
        assert_eq!(error.to_string(), format!("cannot look at {}", link.display()));
    }

    #[test]
    fn pipes_and_devices_are_refused_without_hanging() {
        let device = Path::new("/dev/null");
        let expected = "expected a regular file, found a device: /dev/null";
        assert_eq!(read_file(device, 10).unwrap_err().to_string(), expected);
        assert_eq!(commit(device, b"new").unwrap_err().to_string(), expected);

        let folder = folder();
        let pipe = folder.path().join("pipe");
        if !Command::new("mkfifo").arg(&pipe).status().is_ok_and(|status| status.success()) {
            dnn_testing::skipped("the half about pipes: there is no mkfifo here");
            return;
        }
        assert!(matches!(read_file(&pipe, 10), Err(StoreError::NotAFile { .. })));
        assert!(matches!(commit(&pipe, b"new"), Err(StoreError::NotAFile { .. })));
    }

    #[test]
    fn a_folder_that_cannot_be_written_is_an_error_with_the_path() {
        let folder = folder();
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o555)).unwrap();
        if fs::write(folder.path().join("probe"), b"").is_ok() {
            dnn_testing::skipped("permissions do not bind this user (root)");
            return;
        }
        let path = folder.path().join("model.dnn");
        let error = commit(&path, b"new").unwrap_err();
        assert!(matches!(&error, StoreError::Io { source, .. }
            if source.kind() == ErrorKind::PermissionDenied));
        assert!(error.to_string().contains("model.dnn"), "{error}");
    }
}

#[test]
fn temporary_names_are_told_from_other_hidden_files() {
    for name in [".config.json.4711-0.tmp", ".x.1-22.tmp", "..a.1-2.tmp"] {
        assert!(is_temporary(name.as_ref()), "{name}");
    }
    for name in [
        ".a.tmp",
        ".1-2.tmp",
        ".a.1-.tmp",
        ".a.-1.tmp",
        ".a.1-2-3.tmp",
        "a.1-2.tmp",
        ".a.1-2",
        ".a.x1-2.tmp",
    ] {
        assert!(!is_temporary(name.as_ref()), "{name}");
    }
}
