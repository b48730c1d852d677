//! D1 to D8: a server on 127.0.0.1 that cuts, lies, stalls, redirects, refuses and sends the wrong bytes.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::common::server::{Reply, Request, Server, head, honest, reply, whole};
use crate::common::{noise, patience, plain_set, set};
use dnn_fetch::download::Patience;
use dnn_fetch::{Digest, Event, FetchError, FetchOptions, Fetched, From, Manifest, fetch};

fn options(folder: &Path) -> FetchOptions {
    FetchOptions {
        to: folder.to_path_buf(),
        patience: patience(),
        npm: "no-such-npm".into(),
        ..FetchOptions::default()
    }
}

/// Fetches into a new folder; gives what came out, what was told, and the folder.
fn run(set: &Manifest) -> (Result<Fetched, FetchError>, Vec<Event>, tempfile::TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let mut events = Vec::new();
    let result = fetch(set, &options(folder.path()), &mut |event| events.push(event));
    (result, events, folder)
}

/// The server's file came whole.
fn comes(server: &Server, body: &[u8]) -> Vec<Event> {
    let (result, events, folder) = run(&plain_set(body, &[server.url("/data.bin")]));
    assert_eq!(result.unwrap().files, 1);
    assert_eq!(fs::read(folder.path().join("test-set/data.bin")).unwrap(), body);
    // Nothing of the work is left.
    assert!(!folder.path().join(".fetch").exists());
    events
}

/// The server is given up; gives the reasons. Nothing appears.
fn fails(server: &Server, body: &[u8]) -> String {
    fails_with(&plain_set(body, &[server.url("/data.bin")]), body.len() as u64)
}

fn fails_with(set: &Manifest, most: u64) -> String {
    let (result, _, folder) = run(set);
    assert!(!folder.path().join("test-set").exists());
    let part = folder.path().join(".fetch/test-set/data.bin.part");
    assert!(fs::metadata(part).map_or(0, |part| part.len()) <= most, "more on disk than the cap");
    match result.unwrap_err() {
        FetchError::NoSource { tried, .. } => tried.join("\n"),
        other => panic!("{other}"),
    }
}

#[test]
fn d1_cut_and_resumed() {
    let body = noise(300_000);
    for cut in [0, 1, body.len() / 2, body.len() - 1] {
        let (bytes, end) = (body.clone(), cut);
        let server =
            Server::start(move |request| match (request.number, honest(request, &bytes, "v1")) {
                (0, Reply::Bytes(all)) => {
                    let header = all.len() - bytes.len();
                    Reply::Bytes(all[..header + end].to_vec())
                }
                (_, reply) => reply,
            });
        comes(&server, &body);
        let requests = server.requests();
        assert_eq!(requests.len(), 2, "{cut}");
        // What is asked for is what is missing.
        assert_eq!(requests[1].range(), (cut > 0).then_some(cut), "{cut}");
        let tag = requests[1].header("if-range").map(str::to_owned);
        assert_eq!(tag, (cut > 0).then(|| "\"v1\"".to_owned()), "{cut}");
    }
}

#[test]
fn d1_a_later_call_goes_on_where_an_earlier_one_was_stopped() {
    let body = noise(100_000);
    let bytes = body.clone();
    let server = Server::start(move |request| match honest(request, &bytes, "v1") {
        // The first call gets a third of it at each of its four tries.
        Reply::Bytes(all) if request.number == 0 => Reply::Bytes(all[..40_000].to_vec()),
        _ if request.number < 4 => reply("503 Service Unavailable", &[], b""),
        reply => reply,
    });
    let folder = tempfile::tempdir().unwrap();
    let set = plain_set(&body, &[server.url("/data.bin")]);
    let error = fetch(&set, &options(folder.path()), &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("503"), "{error}");
    let kept = fs::metadata(folder.path().join(".fetch/test-set/data.bin.part")).unwrap().len();
    fetch(&set, &options(folder.path()), &mut |_| ()).unwrap();
    assert_eq!(server.requests()[4].range(), Some(usize::try_from(kept).unwrap()));
    assert_eq!(server.count(), 5);
}

/// The first answer is cut in half, the second is this one, those after are honest.
fn second_answer(
    body: &[u8],
    second: impl Fn(&Request, &[u8]) -> Reply + Send + 'static,
) -> Server {
    let bytes = body.to_vec();
    Server::start(move |request| match (request.number, whole(&bytes, "v1")) {
        (0, Reply::Bytes(all)) => Reply::Bytes(all[..all.len() - bytes.len() / 2].to_vec()),
        (1, _) => second(request, &bytes),
        _ => honest(request, &bytes, "v1"),
    })
}

#[test]
fn d2_servers_that_answer_a_range_wrongly() {
    let body = noise(50_000);
    let total = body.len();
    // The whole file instead of the range: the server ignores it, or the file has changed.
    for tag in ["v1", "v2"] {
        let server = second_answer(&body, move |_, bytes| whole(bytes, tag));
        comes(&server, &body);
        assert_eq!(server.count(), 2);
        assert!(server.requests()[1].range().is_some());
    }
    // Another range, no range, a wrong total, nonsense: from the beginning.
    let ranges = ["bytes 0-49999/50000", "bytes 25000-49999/60000", "bytes 1-2/3", "?", ""];
    for range in ranges {
        let server = second_answer(&body, move |request, bytes| {
            let rest = &bytes[request.range().unwrap()..];
            let headers =
                [("Content-Length", rest.len().to_string()), ("Content-Range", range.to_owned())];
            reply("206 Partial Content", &headers, rest)
        });
        comes(&server, &body);
        assert_eq!(server.count(), 3, "{range}");
        assert_eq!(server.requests()[2].range(), None, "{range}");
    }
    let server = second_answer(&body, move |_, _| {
        let headers = [("Content-Range", format!("bytes */{total}"))];
        reply("416 Range Not Satisfiable", &headers, b"")
    });
    comes(&server, &body);
    assert_eq!(server.requests()[2].range(), None);
    // A range that nobody asked for.
    let bytes = body.clone();
    let server = Server::start(move |_| {
        let headers = [("Content-Range", "bytes 0-49999/50000".to_owned())];
        reply("206 Partial Content", &headers, &bytes)
    });
    assert!(fails(&server, &body).contains("did not send"));
    // Without a strong tag or a date the server cannot know the file again.
    let bytes = body.clone();
    let server = Server::start(move |request| {
        let headers =
            [("Content-Length", bytes.len().to_string()), ("ETag", "W/\"weak\"".to_owned())];
        let sent = if request.number == 0 { 10_000 } else { bytes.len() };
        reply("200 OK", &headers, &bytes[..sent])
    });
    comes(&server, &body);
    assert_eq!(server.requests()[1].range(), None);
}

#[test]
fn d3_lengths_that_lie_and_bodies_without_end() {
    let body = noise(20_000);
    // Too small, too large, beyond anything.
    for length in ["19999", "20001", "9223372036854775808", "18446744073709551615"] {
        let bytes = body.clone();
        let server = Server::start(move |_| {
            reply("200 OK", &[("Content-Length", length.to_owned())], &bytes)
        });
        let reason = fails(&server, &body);
        assert!(reason.contains("expected 20000 bytes, found"), "{length}: {reason}");
        assert_eq!(server.count(), 1, "{length}");
    }
    // No length at all is well, where the hash is right.
    let bytes = body.clone();
    let server = Server::start(move |_| reply("200 OK", &[], &bytes));
    comes(&server, &body);
    // No length and no end: given up at the first byte too many.
    let server = Server::start(|_| Reply::Endless(head("200 OK", &[]), vec![7; 1 << 16]));
    assert!(fails(&server, &body).contains("expected 20000 bytes, found more"));
    // The same where the size is not known before, at the cap.
    let chunked = [("Transfer-Encoding", "chunked".to_owned())];
    let piece = [b"10000\r\n".to_vec(), vec![7; 1 << 16], b"\r\n".to_vec()].concat();
    let server = Server::start(move |_| Reply::Endless(head("200 OK", &chunked), piece.clone()));
    assert!(fails(&server, &body).contains("found more"));
}

#[test]
fn d3_servers_that_are_silent_or_slow() {
    let body = noise(20_000);
    let set = |server: &Server| plain_set(&body, &[server.url("/data.bin")]);
    // A byte now and then: often enough not to be silence, too seldom to be a download.
    let length = [("Content-Length", body.len().to_string())];
    let bytes = body[..40].to_vec();
    let drip = Duration::from_millis(100);
    let headers = length.clone();
    let server = Server::start(move |_| Reply::Slow(head("200 OK", &headers), bytes.clone(), drip));
    let folder = tempfile::tempdir().unwrap();
    let with = |patience| FetchOptions { patience, ..options(folder.path()) };
    let slow = Duration::from_millis(500);
    let slow = with(Patience { tries: 2, slow, ..patience() });
    let error = fetch(&set(&server), &slow, &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("bytes in 500ms, 2 times"), "{error}");
    // Nothing at all.
    let headers = length.clone();
    let silence = Duration::from_millis(600);
    let few = with(Patience { tries: 2, silence, ..patience() });
    let silence = Duration::from_secs(60);
    let server = Server::start(move |_| Reply::Slow(head("200 OK", &headers), vec![1], silence));
    let mut events = Vec::new();
    fetch(&set(&server), &few, &mut |event| events.push(event.to_string())).unwrap_err();
    assert!(events.iter().any(|event| event.contains("broke off after 0 bytes")), "{events:?}");
    let server = Server::start(move |_| Reply::Slow(Vec::new(), vec![1], silence));
    let error = fetch(&set(&server), &few, &mut |_| ()).unwrap_err().to_string();
    assert!(error.contains("timeout") && error.contains("2 times"), "{error}");
}

#[test]
fn d4_redirects() {
    let body = noise(1000);
    // Each kind of redirect, relative and absolute, up to five times.
    for status in ["301", "302", "303", "307", "308"] {
        let bytes = body.clone();
        let server = Server::start(move |request| match request.path.as_str() {
            "/5" => whole(&bytes, "v1"),
            path => {
                let next = path[1..].parse().unwrap_or(0) + 1;
                let location = match next % 2 {
                    0 => format!("/{next}"),
                    _ => format!("http://{}/{next}", request.header("host").unwrap()),
                };
                reply(&format!("{status} Moved"), &[("Location", location)], b"")
            }
        });
        comes(&server, &body);
        assert_eq!(server.count(), 6, "{status}");
    }
    // A loop.
    let server = Server::start(|_| reply("302 Found", &[("Location", "/again".to_owned())], b""));
    assert!(fails(&server, &body).contains("more than 5 times"));
    assert_eq!(server.count(), 6);
    // To a file, to something else, to nowhere.
    for location in
        ["file:///etc/passwd", "ftp://127.0.0.1/x", "gopher://127.0.0.1/", "http://", ""]
    {
        let server =
            Server::start(move |_| reply("302 Found", &[("Location", location.to_owned())], b""));
        let reason = fails(&server, &body);
        assert!(!reason.contains("root:"), "{location}: {reason}");
    }
    // A place without a location.
    let server = Server::start(|_| reply("302 Found", &[], b""));
    fails(&server, &body);
}

#[test]
fn d5_only_what_may_pass_is_tried_again() {
    let body = noise(1000);
    for status in ["403 Forbidden", "404 Not Found", "410 Gone", "400 Bad Request"] {
        let server = Server::start(move |_| reply(status, &[], b"no"));
        let reason = fails(&server, &body);
        assert!(reason.contains(&status[..3]), "{reason}");
        assert_eq!(server.count(), 1, "{status}");
    }
    for status in ["408 Request Timeout", "429 Too Many Requests", "500 Oops", "503 Busy"] {
        let server = Server::start(move |_| reply(status, &[], b"no"));
        let reason = fails(&server, &body);
        assert!(reason.contains(&status[..3]) && reason.contains("4 times"), "{reason}");
        assert_eq!(server.count(), 4, "{status}");
        // Three failures, then well.
        let bytes = body.clone();
        let server = Server::start(move |request| match request.number {
            0..3 => reply(status, &[], b"no"),
            _ => whole(&bytes, "v1"),
        });
        let events = comes(&server, &body);
        let waits: Vec<Duration> = events
            .iter()
            .filter_map(|event| match event {
                Event::Waiting { wait, .. } => Some(*wait),
                _ => None,
            })
            .collect();
        assert_eq!(waits, [10, 20, 40].map(Duration::from_millis), "the waits grow");
    }
    // The server says how long to wait, within reason.
    for (seconds, waits) in [("1", true), ("3600", false)] {
        let bytes = body.clone();
        let server = Server::start(move |request| match request.number {
            0 => reply("429 Slow Down", &[("Retry-After", seconds.to_owned())], b""),
            _ => whole(&bytes, "v1"),
        });
        if waits {
            let events = comes(&server, &body);
            let one =
                |event: &Event| matches!(event, Event::Waiting { wait, .. } if wait.as_secs() == 1);
            assert!(events.iter().any(one));
        } else {
            assert!(fails(&server, &body).contains("asks to wait for 3600 s"));
        }
    }
    // Torn down before an answer.
    let server = Server::start(|_| Reply::Reset);
    let reason = fails(&server, &body);
    assert!(reason.contains("4 times"), "{reason}");
    // Nobody there, and a name that nobody has.
    let refused = Server::start(|_| Reply::Reset).url("/data.bin");
    let reason = fails_with(&plain_set(&body, &[refused]), 0);
    assert!(!reason.contains("times"), "{reason}");
    let unknown = "http://no-such-host.invalid/data.bin".to_owned();
    let reason = fails_with(&plain_set(&body, &[unknown]), 0);
    assert!(!reason.contains("times"), "{reason}");
}

#[test]
fn d5_then_the_next_mirror() {
    let body = noise(1000);
    let bad = Server::start(|_| reply("404 Not Found", &[], b""));
    let bytes = body.clone();
    let good = Server::start(move |_| whole(&bytes, "v1"));
    let set = plain_set(&body, &[bad.url("/data.bin"), good.url("/data.bin")]);
    let (result, events, _folder) = run(&set);
    assert!(!result.unwrap().was_there);
    let given_up = |event: &Event| matches!(event, Event::GivenUp { source, .. } if source.contains(&bad.url("")));
    assert!(events.iter().any(given_up));
    // A mirror of the user's own comes first, with a folder for the set.
    let bytes = body.clone();
    let own = Server::start(move |_| whole(&bytes, "v1"));
    let folder = tempfile::tempdir().unwrap();
    let with = FetchOptions { mirrors: vec![own.url("/data/")], ..options(folder.path()) };
    let before = good.count();
    fetch(&set, &with, &mut |_| ()).unwrap();
    assert_eq!(own.requests()[0].path, "/data/test-set/data.bin");
    assert_eq!(good.count(), before);
}

#[test]
fn d6_wrong_bytes_are_deleted_named_and_never_unpacked() {
    let body = noise(1000);
    let mut wrong = body.clone();
    wrong[500] ^= 1;
    let sha256 = Digest::of(&wrong).to_string();
    let bad = Server::start(move |_| whole(&wrong, "v1"));
    let reason = fails(&bad, &body);
    assert!(reason.contains("deleted") && reason.contains(&sha256), "{reason}");
    assert!(reason.contains(&Digest::of(&body).to_string()), "{reason}");
    // The next source has it right.
    let bytes = body.clone();
    let good = Server::start(move |_| whole(&bytes, "v1"));
    let set = plain_set(&body, &[bad.url("/data.bin"), good.url("/data.bin")]);
    let (result, events, _folder) = run(&set);
    result.unwrap();
    assert!(
        !events
            .iter()
            .any(|event| matches!(event, Event::Unpacking { what, .. } if what != "data.bin"))
    );
    // A page that says that there is nothing, with a status that says otherwise.
    let page = Server::start(|_| {
        let html = b"<html>Sorry</html>";
        let headers = [("Content-Type", "text/html".to_owned())];
        reply("200 OK", &headers, html)
    });
    fails(&page, &body);
    let padded = [b"<html>Sorry</html>".as_slice(), &[b' '; 982]].concat();
    let page = Server::start(move |_| whole(&padded, "v1"));
    let (result, events, folder) = run(&plain_set(&body, &[page.url("/data.bin")]));
    assert!(result.unwrap_err().to_string().contains("deleted"));
    assert!(!events.iter().any(|event| matches!(event, Event::Unpacking { .. })));
    assert!(!folder.path().join(".fetch").exists());
}

#[test]
fn d7_the_bytes_are_hashed_as_they_are_stored() {
    // A packed file that the server calls an encoding of the plain one.
    let packed = crate::common::archives::gzip(b"plain");
    let bytes = packed.clone();
    let server = Server::start(move |_| {
        let headers =
            [("Content-Length", bytes.len().to_string()), ("Content-Encoding", "gzip".to_owned())];
        reply("200 OK", &headers, &bytes)
    });
    let set = set(
        "[[arrange.members]]\nname = \"plain\"",
        &[("plain.gz", packed.len() as u64, Some(Digest::of(&packed)), &[server.url("/plain.gz")])],
    );
    let (result, _, folder) = run(&set);
    result.unwrap();
    assert_eq!(fs::read(folder.path().join("test-set/plain")).unwrap(), b"plain");
    assert_eq!(server.requests()[0].header("accept-encoding"), Some("identity"));
}

#[test]
fn d8_what_is_there_is_verified_without_a_request() {
    let body = noise(1000);
    let bytes = body.clone();
    let server = Server::start(move |_| whole(&bytes, "v1"));
    let set = plain_set(&body, &[server.url("/data.bin")]);
    let folder = tempfile::tempdir().unwrap();
    fetch(&set, &options(folder.path()), &mut |_| ()).unwrap();
    let again = fetch(&set, &options(folder.path()), &mut |_| ()).unwrap();
    assert!(again.was_there);
    assert_eq!((again.files, server.count()), (1, 1));
    // Damage is seen and not mended silently.
    let path = folder.path().join("test-set/data.bin");
    let mut damaged = body.clone();
    damaged[0] ^= 1;
    fs::write(&path, &damaged).unwrap();
    let error = fetch(&set, &options(folder.path()), &mut |_| ()).unwrap_err();
    assert!(
        matches!(&error, FetchError::Damaged { damaged, .. } if damaged == &["data.bin"]),
        "{error}"
    );
    fs::remove_file(&path).unwrap();
    assert!(fetch(&set, &options(folder.path()), &mut |_| ()).is_err());
    let force = FetchOptions { force: true, ..options(folder.path()) };
    fetch(&set, &force, &mut |_| ()).unwrap();
    assert_eq!(fs::read(&path).unwrap(), body);
    assert_eq!(server.count(), 2);
    // A list of checksums that was changed with its files is no proof.
    let list = folder.path().join("test-set/SHA256SUMS");
    fs::write(&path, &damaged).unwrap();
    fs::write(&list, format!("{}  data.bin\n", Digest::of(&damaged))).unwrap();
    let error = fetch(&set, &options(folder.path()), &mut |_| ()).unwrap_err();
    assert!(matches!(&error, FetchError::Damaged { damaged, .. } if damaged == &["SHA256SUMS"]));
}

#[test]
fn d8_a_complete_download_is_not_asked_for_again() {
    let body = noise(1000);
    let bytes = body.clone();
    let server = Server::start(move |_| whole(&bytes, "v1"));
    let set = plain_set(&body, &[server.url("/data.bin")]);
    let folder = tempfile::tempdir().unwrap();
    let work = folder.path().join(".fetch/test-set");
    fs::create_dir_all(work.join("stage/raw")).unwrap();
    // As a process that was killed while it unpacked leaves it.
    fs::write(work.join("data.bin"), &body).unwrap();
    fs::write(work.join("stage/raw/half"), "half").unwrap();
    fetch(&set, &options(folder.path()), &mut |_| ()).unwrap();
    assert_eq!(server.count(), 0);
    // One that was damaged since is fetched again.
    fs::remove_dir_all(folder.path().join("test-set")).unwrap();
    fs::create_dir_all(&work).unwrap();
    fs::write(work.join("data.bin"), "other").unwrap();
    fetch(&set, &options(folder.path()), &mut |_| ()).unwrap();
    assert_eq!(server.count(), 1);
}

#[test]
fn a_url_of_the_users_own() {
    let body = noise(1000);
    let bytes = body.clone();
    let server = Server::start(move |_| whole(&bytes, "v1"));
    let set = plain_set(&body, &[]);
    let folder = tempfile::tempdir().unwrap();
    let from = |url: String| FetchOptions {
        from: Some(From::Url(url)),
        force: true,
        ..options(folder.path())
    };
    // The manifest knows a file of this name.
    fetch(&set, &from(server.url("/copy/data.bin?x=1")), &mut |_| ()).unwrap();
    // A folder at a URL.
    fetch(&set, &from(server.url("/copy/")), &mut |_| ()).unwrap();
    assert_eq!(server.requests()[1].path, "/copy/data.bin");
    // Another name is vouched for by nobody, by the user, or not at all.
    let other = from(server.url("/other.tar"));
    let packed =
        crate::common::archives::tar(&[crate::common::archives::TarEntry::file("data.bin", &body)]);
    let bytes = packed.clone();
    let archive = Server::start(move |_| whole(&bytes, "v1"));
    assert!(matches!(fetch(&set, &other, &mut |_| ()), Err(FetchError::NoDigest { .. })));
    assert_eq!(server.count(), 2, "nothing is downloaded for it");
    let mut other = from(archive.url("/other.tar"));
    other.sha256 = Some(Digest::of(&packed));
    fetch(&set, &other, &mut |_| ()).unwrap();
    other.sha256 = Some(Digest::of(b"something else"));
    assert!(fetch(&set, &other, &mut |_| ()).unwrap_err().to_string().contains("deleted"));
    other.sha256 = None;
    other.unverified = true;
    let mut loud = false;
    let mut tell = |event: Event| loud |= event.to_string().contains("UNVERIFIED");
    fetch(&set, &other, &mut tell).unwrap();
    assert!(loud);
}
