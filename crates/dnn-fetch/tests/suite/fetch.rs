//! From archives as their authors made them to folders as they are wanted.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::common::archives::{TarEntry, ZipEntry, gzip, tar, zip};
use crate::common::{noise, tree};
use dnn_fetch::{
    Digest, FetchError, FetchOptions, Fetched, From, Manifest, fetch, manifest, verify,
};

const HEAD: &str =
    "title = 'a test'\nlicense = 'none'\nterms = 'none'\nhomepage = 'none'\ncitation = 'none'\n";

/// Like cats-vs-dogs, but of three to train on from 0 and two to test on from 10.
fn numbered(archive: &[u8]) -> Manifest {
    let text = format!(
        "{HEAD}known_bad = ['PetImages/Cat/1.jpg', 'PetImages/Dog/10.jpg']\n[arrange]\nkind = 'numbered'\n\
         classes = ['cat', 'dog']\ntrain = {{ first = 0, count = 3 }}\ntest = {{ first = 10, count = 2 }}\n\
         [[files]]\nname = 'pets.zip'\nsize = {}\nsha256 = '{}'\nurls = []",
        archive.len(),
        Digest::of(archive)
    );
    Manifest::from_toml("pets", &text).unwrap()
}

fn fetch_file(
    set: &Manifest,
    archive: &[u8],
    change: impl Fn(&mut FetchOptions),
) -> (Result<Fetched, FetchError>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("archive");
    fs::write(&path, archive).unwrap();
    let mut options = FetchOptions {
        to: folder.path().join("datasets"),
        from: Some(From::Path(path)),
        ..FetchOptions::default()
    };
    change(&mut options);
    (fetch(set, &options, &mut |_| ()), folder)
}

/// The files of a fetched set, without the two that tell about it.
fn names(folder: &Path) -> Vec<String> {
    let found = tree(folder).into_keys().filter(|name| !name.ends_with('/'));
    found.filter(|name| name != "SHA256SUMS" && name != "SOURCE.toml").collect()
}

/// As Microsoft's archive is laid out.
fn official() -> Vec<u8> {
    let mut entries = vec![
        ZipEntry::file("readme[1].txt", "terms"),
        ZipEntry::file("CDLA-Permissive-2.0.pdf", "terms"),
        ZipEntry::file("PetImages/Cat/Thumbs.db", "junk"),
    ];
    for class in ["Cat", "Dog"] {
        for number in 0..16 {
            let name = format!("PetImages/{class}/{number}.jpg");
            entries.push(ZipEntry::file(&name, name.as_bytes()));
        }
    }
    zip(&entries, false)
}

#[test]
fn known_bad_pictures_are_left_out_and_replaced_by_the_next_number() {
    let archive = official();
    let (fetched, folder) = fetch_file(&numbered(&archive), &archive, |_| ());
    let fetched = fetched.unwrap();
    let expected = [
        "CDLA-Permissive-2.0.pdf",
        "readme[1].txt",
        "test/cat.10.jpg",
        "test/cat.11.jpg",
        "test/dog.11.jpg",
        "test/dog.12.jpg",
        "train/cat.0.jpg",
        "train/cat.2.jpg",
        "train/cat.3.jpg",
        "train/dog.0.jpg",
        "train/dog.1.jpg",
        "train/dog.2.jpg",
    ];
    assert_eq!(names(&fetched.folder), expected);
    assert_eq!(fs::read(fetched.folder.join("test/dog.12.jpg")).unwrap(), b"PetImages/Dog/12.jpg");
    let left: Vec<(&str, usize)> = fetched.left_out.iter().map(|(r, n)| (r.as_str(), *n)).collect();
    assert_eq!(
        left,
        [("beyond the size of the tutorial's set", 20), ("known to be bad", 2), ("no picture", 1)]
    );
    let parts = BTreeMap::from([("train".to_owned(), 6), ("test".to_owned(), 4)]);
    assert_eq!(fetched.parts, parts);
    // Where it came from, and every file with its checksum.
    let source = fs::read_to_string(fetched.folder.join("SOURCE.toml")).unwrap();
    assert!(
        source.contains(&Digest::of(&archive).to_string()) && source.contains("\"manifest\""),
        "{source}"
    );
    let sums = fs::read_to_string(fetched.folder.join("SHA256SUMS")).unwrap();
    assert_eq!(sums.lines().count(), 12);
    assert!(sums.contains(&format!("{}  train/cat.0.jpg", Digest::of(b"PetImages/Cat/0.jpg"))));
    assert!(!folder.path().join("datasets/.fetch").exists());
}

#[test]
fn full_keeps_the_same_pictures_to_test_on() {
    let archive = official();
    let set = numbered(&archive);
    let (fetched, folder) = fetch_file(&set, &archive, |options| options.full = true);
    let fetched = fetched.unwrap();
    assert_eq!(fetched.parts["train"], 2 * 16 - 2 - 4);
    assert!(fetched.folder.join("test/dog.12.jpg").is_file());
    // The other selection is another folder.
    let mut options =
        FetchOptions { to: folder.path().join("datasets"), ..FetchOptions::default() };
    let error = fetch(&set, &options, &mut |_| ()).unwrap_err();
    assert!(matches!(error, FetchError::OtherOptions { .. }), "{error}");
    options.full = true;
    assert!(fetch(&set, &options, &mut |_| ()).unwrap().was_there);
}

#[test]
fn other_packings_of_the_same_pictures() {
    let set = numbered(&official());
    // Kaggle's: labels in the names, a test part without labels, no numbers known to be bad.
    let mut entries = Vec::new();
    for number in 0..14 {
        for class in ["cat", "dog"] {
            entries.push(TarEntry::file(format!("./train/{class}.{number}.jpg"), b"x"));
        }
        entries.push(TarEntry::file(format!("./test1/{number}.jpg"), b"x"));
    }
    let archive = gzip(&tar(&entries));
    let vouch = |options: &mut FetchOptions| options.sha256 = Some(Digest::of(&archive));
    let (fetched, _folder) = fetch_file(&set, &archive, vouch);
    let fetched = fetched.unwrap();
    assert_eq!(fetched.parts, BTreeMap::from([("train".to_owned(), 6), ("test".to_owned(), 4)]));
    assert_eq!(fetched.left_out["no picture of a class"], 14);
    // With parts of its own: as it is, whatever the numbers; what is in no part is left out.
    let names_in = [
        "train/cat.1.jpg",
        "train/dog.77.JPG",
        "test/cat.5.jpg",
        "test/dog.1.jpg",
        "bad/cat.3.jpg",
    ];
    let entries: Vec<_> = names_in.iter().map(|name| TarEntry::file(name, name)).collect();
    let archive = tar(&[entries, vec![TarEntry::file("TERMS.txt", b"terms")]].concat());
    let vouch = |options: &mut FetchOptions| options.sha256 = Some(Digest::of(&archive));
    let (fetched, _folder) = fetch_file(&set, &archive, vouch);
    let found = names(&fetched.unwrap().folder);
    assert_eq!(
        found,
        ["TERMS.txt", "test/cat.5.jpg", "test/dog.1.jpg", "train/cat.1.jpg", "train/dog.77.jpg"]
    );
}

#[test]
fn nothing_vouches_for_an_archive() {
    let set = numbered(&official());
    let other = zip(&[ZipEntry::file("x/cat.1.jpg", b"x")], false);
    let (error, _folder) = fetch_file(&set, &other, |_| ());
    let error = error.unwrap_err();
    // The digest to give is in the message.
    assert!(matches!(error, FetchError::WrongDigest { .. }));
    assert!(error.to_string().contains(&format!("--sha256 {}", Digest::of(&other))), "{error}");
    let (error, folder) = fetch_file(&set, &other, |options| {
        options.sha256 = Some(Digest::of(b"another"));
        // A wrong checksum is wrong, whatever else is said.
        options.unverified = true;
    });
    assert!(matches!(error, Err(FetchError::WrongDigest { .. })));
    assert!(!folder.path().join("datasets/pets").exists());
    // Too few pictures are no data set, even where they are vouched for.
    let (error, folder) = fetch_file(&set, &other, |options| options.unverified = true);
    let error = error.unwrap_err();
    assert!(matches!(error, FetchError::Contents { .. }), "{error}");
    assert!(!folder.path().join("datasets/pets").exists());
}

/// Like Oxford-IIIT Pet, with three pictures to train on and one to test on.
fn pets() -> (Manifest, Vec<u8>) {
    let trainval = "# a comment\nAbyssinian_1 1 1 1\nbeagle_2 5 2 1\nMaine_Coon_3 8 1 4\n";
    let mut entries = vec![
        TarEntry::file("annotations/trainval.txt", trainval),
        TarEntry::file("annotations/test.txt", "basset_hound_4 6 2 2\nbeagle_116 5 2 1\n"),
        TarEntry::file("annotations/._test.txt", "junk"),
        TarEntry::file("ATTRIBUTION.txt", "who made them"),
    ];
    for name in
        ["Abyssinian_1", "beagle_2", "Maine_Coon_3", "basset_hound_4", "beagle_116", "pug_9"]
    {
        entries.push(TarEntry::file(format!("images/{name}.jpg"), name));
    }
    entries.push(TarEntry::file("images/Abyssinian_100.mat", "no picture"));
    let mut set = manifest::find("oxford-iiit-pet").unwrap();
    "pets".clone_into(&mut set.name);
    (set, gzip(&tar(&entries)))
}

#[test]
fn lists_tell_part_and_class() {
    let (set, archive) = pets();
    let vouch = |options: &mut FetchOptions| options.sha256 = Some(Digest::of(&archive));
    let (fetched, folder) = fetch_file(&set, &archive, vouch);
    let fetched = fetched.unwrap();
    let expected = [
        "ATTRIBUTION.txt",
        "test/dog/basset_hound_4.jpg",
        "train/cat/Abyssinian_1.jpg",
        "train/cat/Maine_Coon_3.jpg",
        "train/dog/beagle_2.jpg",
    ];
    assert_eq!(names(&fetched.folder), expected);
    let left: Vec<(&str, usize)> = fetched.left_out.iter().map(|(r, n)| (r.as_str(), *n)).collect();
    assert_eq!(left, [("in neither list", 1), ("known to be bad", 1), ("no picture", 4)]);
    // The same by breed is another folder, until it may replace this one.
    let mut options = FetchOptions {
        to: folder.path().join("datasets"),
        from: Some(From::Path(folder.path().join("archive"))),
        sha256: Some(Digest::of(&archive)),
        variant: Some("breeds".to_owned()),
        ..FetchOptions::default()
    };
    let error = fetch(&set, &options, &mut |_| ()).unwrap_err();
    assert!(
        error.to_string().contains("with --variant species, not with --variant breeds"),
        "{error}"
    );
    options.force = true;
    let fetched = fetch(&set, &options, &mut |_| ()).unwrap();
    assert!(fetched.folder.join("train/Maine_Coon/Maine_Coon_3.jpg").is_file());
    assert!(!fetched.folder.join("train/cat").exists());
    options.variant = Some("colours".to_owned());
    assert!(fetch(&set, &options, &mut |_| ()).unwrap_err().is_usage());
}

#[test]
fn lists_that_do_not_fit_the_pictures() {
    let (set, _) = pets();
    let lists = [
        ("a_1 1 1 1\n", "a_1 1 1 1\n", "twice"),
        ("a_1 1 1 1\nb_2 1 1 1\n", "", "1 missing, b_2"),
        ("a_1 1 3 1\n", "", "a_1 1 3 1"),
        ("../a_1 1 1 1\n", "", "../a_1"),
        ("a_1 1 1\n", "", "a_1 1 1"),
    ];
    for (train, test, reason) in lists {
        let archive = tar(&[
            TarEntry::file("annotations/trainval.txt", train),
            TarEntry::file("annotations/test.txt", test),
            TarEntry::file("images/a_1.jpg", "x"),
        ]);
        let vouch = |options: &mut FetchOptions| options.sha256 = Some(Digest::of(&archive));
        let error = fetch_file(&set, &archive, vouch).0.unwrap_err();
        assert!(error.to_string().contains(reason), "{error}");
    }
    let archive = tar(&[TarEntry::file("images/a_1.jpg", "x")]);
    let vouch = |options: &mut FetchOptions| options.sha256 = Some(Digest::of(&archive));
    let error = fetch_file(&set, &archive, vouch).0.unwrap_err();
    assert!(error.to_string().contains("annotations/trainval.txt"), "{error}");
}

#[test]
fn the_folders_around_all_pictures_go() {
    let set = manifest::find("cats-and-dogs-filtered").unwrap();
    let names_in = [
        "cats_and_dogs_filtered/train/cats/cat.1.jpg",
        "cats_and_dogs_filtered/train/dogs/dog.1.jpg",
        "cats_and_dogs_filtered/validation/cats/cat.2000.jpg",
        "cats_and_dogs_filtered/vectorize.py",
        "__MACOSX/cats_and_dogs_filtered/train/cats/._cat.1.jpg",
    ];
    let entries: Vec<_> = names_in.iter().map(|name| ZipEntry::file(name, name)).collect();
    let archive = zip(&entries, false);
    // No checksum of it has been published.
    let (error, _folder) = fetch_file(&set, &archive, |_| ());
    let error = error.unwrap_err();
    assert!(matches!(error, FetchError::NoDigest { .. }) && error.is_usage(), "{error}");
    assert!(error.to_string().contains(&Digest::of(&archive).to_string()));
    let (fetched, folder) = fetch_file(&set, &archive, |options| options.unverified = true);
    let fetched = fetched.unwrap();
    let expected = ["train/cats/cat.1.jpg", "train/dogs/dog.1.jpg", "validation/cats/cat.2000.jpg"];
    assert_eq!(names(&fetched.folder), expected);
    assert_eq!(fetched.left_out["no picture"], 2);
    // Nor is it downloaded.
    let error = fetch(
        &set,
        &FetchOptions { to: folder.path().join("n"), ..FetchOptions::default() },
        &mut |_| (),
    );
    assert!(matches!(error, Err(FetchError::NoDigest { .. })));
}

/// Like MNIST, with two files.
fn idx(npm: &[u8]) -> (Manifest, Vec<u8>, Vec<u8>) {
    let (images, labels) = (noise(5000), noise(300));
    let mut text = format!("{HEAD}[arrange]\nkind = 'files'\n");
    for (name, bytes) in [("images-ubyte", &images), ("labels-ubyte", &labels)] {
        text += &format!(
            "[[arrange.members]]\nname = '{name}'\nalso = ['{}']\nsha256 = '{}'\n",
            name.replace('-', "."),
            Digest::of(bytes)
        );
    }
    for (name, bytes) in [("images-ubyte", &images), ("labels-ubyte", &labels)] {
        let packed = gzip(bytes);
        text += &format!(
            "[[files]]\nname = '{name}.gz'\nsize = {}\nsha256 = '{}'\nurls = []\n",
            packed.len(),
            Digest::of(&packed)
        );
    }
    text += &format!(
        "[npm]\npackage = 'digits-of-old@1.0.0'\nsize = {}\nsha256 = '{}'\n",
        npm.len(),
        Digest::of(npm)
    );
    (Manifest::from_toml("idx", &text).unwrap(), images, labels)
}

#[test]
fn plain_files_packed_or_not_from_a_folder() {
    let (set, images, labels) = idx(b"");
    let packings: [[(&str, Vec<u8>); 2]; 3] = [
        [("images-ubyte.gz", gzip(&images)), ("labels-ubyte.gz", gzip(&labels))],
        [("images-ubyte", images.clone()), ("labels-ubyte", labels.clone())],
        [("images.ubyte", images.clone()), ("labels.ubyte", labels.clone())],
    ];
    for files in packings {
        let folder = tempfile::tempdir().unwrap();
        let from = folder.path().join("from");
        fs::create_dir(&from).unwrap();
        for (name, bytes) in &files {
            fs::write(from.join(name), bytes).unwrap();
        }
        let options = FetchOptions {
            to: folder.path().join("datasets"),
            from: Some(From::Path(from.clone())),
            ..FetchOptions::default()
        };
        let fetched = fetch(&set, &options, &mut |_| ()).unwrap();
        assert_eq!(names(&fetched.folder), ["images-ubyte", "labels-ubyte"]);
        assert_eq!(fs::read(fetched.folder.join("images-ubyte")).unwrap(), images);
        // The source is as it was.
        assert_eq!(fs::read_dir(&from).unwrap().count(), 2);
        // One bit changed in either file.
        fs::write(from.join(files[1].0), b"other").unwrap();
        let force = FetchOptions { force: true, ..options };
        assert!(matches!(fetch(&set, &force, &mut |_| ()), Err(FetchError::WrongDigest { .. })));
        // The old folder is still there and right.
        assert_eq!(verify(&set, &fetched.folder).unwrap().files, 2);
    }
    // A folder that somebody filled by hand with the right files is right.
    let folder = tempfile::tempdir().unwrap();
    let there = folder.path().join("idx");
    fs::create_dir(&there).unwrap();
    fs::write(there.join("images-ubyte"), &images).unwrap();
    let options = FetchOptions { to: folder.path().to_path_buf(), ..FetchOptions::default() };
    assert!(matches!(fetch(&set, &options, &mut |_| ()), Err(FetchError::InTheWay { .. })));
    fs::write(there.join("labels-ubyte"), &labels).unwrap();
    assert!(fetch(&set, &options, &mut |_| ()).unwrap().was_there);
}

/// A program that does what `npm pack` does, with this archive.
#[cfg(unix)]
fn fake_npm(folder: &Path, script: &str) -> PathBuf {
    use std::os::unix::fs::PermissionsExt as _;
    let path = folder.join("npm");
    fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[cfg(unix)]
#[test]
fn a_package_registry_is_the_last_source() {
    let (_, images, labels) = idx(b"");
    let package = gzip(&tar(&[
        TarEntry::file("package/package.json", b"{}"),
        TarEntry::file("package/data/images-ubyte", &images),
        TarEntry::file("package/data/labels-ubyte", &labels),
    ]));
    let (set, ..) = idx(&package);
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("package.tgz"), &package).unwrap();
    let copy = format!(
        "[ \"$1 $2 $3 $4\" = \"pack --silent --ignore-scripts --pack-destination\" ] || exit 9\n\
         [ \"$6\" = digits-of-old@1.0.0 ] && cp '{}' \"$5/x-1.0.0.tgz\"",
        folder.path().join("package.tgz").display()
    );
    let options = |script: &str| FetchOptions {
        to: folder.path().join("datasets"),
        npm: fake_npm(folder.path(), script).into(),
        ..FetchOptions::default()
    };
    let fail = |script: &str| fetch(&set, &options(script), &mut |_| ()).unwrap_err().to_string();
    let reason = fail("echo 'npm error 404' >&2; exit 1");
    assert!(reason.contains("npm pack failed") && reason.contains("npm error 404"), "{reason}");
    assert!(fail("exit 0").contains("left 0 archives"));
    // Another package than the one that was published.
    let other = format!("{copy}; printf x >> \"$5/x-1.0.0.tgz\"");
    assert!(fail(&other).contains("sha256"));
    let fetched = fetch(&set, &options(&copy), &mut |_| ()).unwrap();
    assert_eq!(names(&fetched.folder), ["images-ubyte", "labels-ubyte"]);
    assert_eq!(fetched.left_out.values().sum::<usize>(), 1);
    let none = FetchOptions { npm: "no-such-npm".into(), force: true, ..options("exit 1") };
    let reason = fetch(&set, &none, &mut |_| ()).unwrap_err().to_string();
    assert!(reason.contains("cannot run no-such-npm"), "{reason}");
}

#[test]
fn something_else_in_the_way_is_left_alone() {
    let archive = official();
    let set = numbered(&archive);
    let folder = tempfile::tempdir().unwrap();
    let mine = folder.path().join("pets");
    fs::create_dir(&mine).unwrap();
    fs::write(mine.join("my.txt"), "mine").unwrap();
    let path = folder.path().join("archive");
    fs::write(&path, &archive).unwrap();
    let mut options = FetchOptions {
        to: folder.path().to_path_buf(),
        from: Some(From::Path(path.clone())),
        ..FetchOptions::default()
    };
    let error = fetch(&set, &options, &mut |_| ()).unwrap_err();
    assert!(matches!(error, FetchError::InTheWay { .. }), "{error}");
    assert_eq!(fs::read(mine.join("my.txt")).unwrap(), b"mine");
    // A failure with --force leaves it too.
    options.force = true;
    options.sha256 = Some(Digest::of(b"other"));
    assert!(fetch(&set, &options, &mut |_| ()).is_err());
    assert_eq!(fs::read(mine.join("my.txt")).unwrap(), b"mine");
    options.sha256 = None;
    fetch(&set, &options, &mut |_| ()).unwrap();
    assert!(!mine.join("my.txt").exists());
    assert_eq!(tree(folder.path()).keys().filter(|name| name.starts_with('.')).count(), 0);
    // What is not there, and what is neither a file nor a folder.
    for path in [folder.path().join("nowhere"), PathBuf::from("/dev/null")] {
        options.from = Some(From::Path(path));
        assert!(fetch(&set, &options, &mut |_| ()).unwrap_err().is_io());
    }
}

#[test]
fn two_at_once_make_one_folder() {
    let archive = official();
    let set = numbered(&archive);
    for _ in 0..10 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("archive");
        fs::write(&path, &archive).unwrap();
        let options = FetchOptions {
            to: folder.path().join("datasets"),
            from: Some(From::Path(path)),
            ..FetchOptions::default()
        };
        let results: Vec<Fetched> = std::thread::scope(|scope| {
            let one = || scope.spawn(|| fetch(&set, &options, &mut |_| ()).unwrap());
            let all = [one(), one(), one(), one()];
            all.map(|thread| thread.join().unwrap()).into()
        });
        assert_eq!(results.iter().filter(|fetched| !fetched.was_there).count(), 1);
        assert!(results.iter().all(|fetched| fetched.files == 12));
        assert_eq!(fs::read_dir(folder.path().join("datasets")).unwrap().count(), 1);
    }
}

#[test]
fn every_manifest_can_be_read_and_is_whole() {
    for set in manifest::all().unwrap() {
        assert!(!set.title.is_empty() && !set.license.is_empty() && !set.terms.is_empty());
        assert!(set.homepage.starts_with("http") && set.citation.len() > 40, "{}", set.name);
        assert!(set.embedded || !set.files.is_empty());
        for file in &set.files {
            assert!(file.size > 0 && !file.urls.is_empty());
            assert!(file.urls.iter().all(|url| url.starts_with("https://")), "{}", file.name);
            let unhashed = set.name == "cats-and-dogs-filtered";
            assert_eq!(file.sha256.is_none(), unhashed, "{}", file.name);
        }
    }
    for (text, reason) in [
        ("title = 'x'", "missing field"),
        (&format!("{HEAD}[arrange]\nkind = 'odd'"), "unknown variant"),
        (&format!("{HEAD}more = 1\n[arrange]\nkind = 'pictures'"), "unknown field"),
        (
            &format!("{HEAD}[arrange]\nkind = 'files'\n[[arrange.members]]\nname = '../x'"),
            "plain name",
        ),
        (
            &format!("{HEAD}[arrange]\nkind = 'files'\nmembers = [{{ name = 'a', sha256 = 'z' }}]"),
            "64",
        ),
    ] {
        let error = Manifest::from_toml("x", text).unwrap_err().to_string();
        assert!(error.contains(reason), "{error}");
    }
}

#[test]
fn real_archives() {
    let needed = ["cats-vs-dogs-small.tar.gz", "oxford-pets-small.tar.gz", "mnist"];
    let Some(data) = dnn_testing::folder_with(&needed) else { return };
    let folder = tempfile::tempdir().unwrap();
    let run = |name: &str, file: &str, variant: Option<&str>| {
        let path = data.join(file);
        let sums = fs::read_to_string(data.join(format!("{file}.sha256"))).unwrap();
        let options = FetchOptions {
            to: folder.path().join(variant.unwrap_or("usual")),
            from: Some(From::Path(path)),
            sha256: Some(sums[..64].parse().unwrap()),
            variant: variant.map(str::to_owned),
            ..FetchOptions::default()
        };
        fetch(&manifest::find(name).unwrap(), &options, &mut |_| ()).unwrap()
    };
    let cats = run("cats-vs-dogs", "cats-vs-dogs-small.tar.gz", None);
    assert_eq!(cats.parts, BTreeMap::from([("train".to_owned(), 6002), ("test".to_owned(), 1000)]));
    // The 27 odd files and the two tables beside them.
    assert_eq!(cats.left_out.values().sum::<usize>(), 29);
    let pets = run("oxford-iiit-pet", "oxford-pets-small.tar.gz", None);
    assert_eq!(pets.parts, BTreeMap::from([("train".to_owned(), 640), ("test".to_owned(), 298)]));
    assert_eq!(fs::read_dir(pets.folder.join("train")).unwrap().count(), 2);
    assert_eq!(pets.left_out["in neither list"], 2);
    let breeds = run("oxford-iiit-pet", "oxford-pets-small.tar.gz", Some("breeds"));
    assert_eq!(fs::read_dir(breeds.folder.join("train")).unwrap().count(), 37);
    let options = FetchOptions {
        to: folder.path().to_path_buf(),
        from: Some(From::Path(data.join("mnist"))),
        ..FetchOptions::default()
    };
    let mnist = fetch(&manifest::find("mnist").unwrap(), &options, &mut |_| ()).unwrap();
    assert_eq!(mnist.files, 4);
    assert_eq!(
        fs::metadata(mnist.folder.join("train-images-idx3-ubyte")).unwrap().len(),
        47_040_016
    );
}
