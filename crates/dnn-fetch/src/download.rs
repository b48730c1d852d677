//! One file over HTTP: resumed where it broke off, tried again where that can help, bounded in size and
//! time.
//!
//! The bytes go into `NAME.part`; `NAME.part.tag` says from which URL they are and by which validator
//! (a strong `ETag`, or `Last-Modified`) the server knows them again. The next try, in this process or a
//! later one, asks for the missing bytes with `Range` and `If-Range`, so that a file that changed in
//! between comes whole. Whoever calls this holds a lock: a part belongs to one process.
//!
//! | answer | what is done |
//! |---|---|
//! | 200, 206 with the range that was asked for | the bytes are kept |
//! | 206 with another range, 416 | from the beginning |
//! | 408, 429, 5xx, a broken or silent connection | the same source again, after waits that grow, or as long as `Retry-After` says |
//! | anything else; no connection; a wrong length | the next source |
//!
//! Redirects are followed up to five times, never from https to http or to another scheme.
//! Bytes are stored as they are sent: a `Content-Encoding` is not undone.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use ureq::http::{HeaderMap, Response, StatusCode, header};
use ureq::{Agent, Body, ResponseExt as _};

use crate::{Event, FetchError, Result};

/// How long to wait and how often to try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Tries in a row that bring less than a megabyte, before a source is given up.
    pub tries: u32,
    /// The wait before the second try; each later one is twice as long.
    pub first_wait: Duration,
    /// The longest wait, and the longest `Retry-After` that is put up with.
    pub longest_wait: Duration,
    /// For a connection, its encryption included.
    pub connect: Duration,
    /// Without a single byte.
    pub silence: Duration,
    /// For every `slow_bytes` bytes.
    pub slow: Duration,
    /// The fewest bytes in the time `slow`.
    pub slow_bytes: u64,
}

impl Default for Patience {
    /// 4 tries, waits of 1 to 60 s, 15 s to connect, 30 s of silence, 64 KiB in each minute.
    fn default() -> Self {
        Self {
            tries: 4,
            first_wait: Duration::from_secs(1),
            longest_wait: Duration::from_secs(60),
            connect: Duration::from_secs(15),
            silence: Duration::from_secs(30),
            slow: Duration::from_secs(60),
            slow_bytes: 64 << 10,
        }
    }
}

/// How large a file may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// So many bytes.
    Exactly(u64),
    /// At most so many.
    AtMost(u64),
}

impl Size {
    fn cap(self) -> u64 {
        let (Self::Exactly(size) | Self::AtMost(size)) = self;
        size
    }

    fn exact(self) -> Option<u64> {
        match self {
            Self::Exactly(size) => Some(size),
            Self::AtMost(_) => None,
        }
    }

    fn fits(self, found: u64) -> bool {
        self.exact().map_or(found <= self.cap(), |size| found == size)
    }

    fn in_words(self) -> String {
        match self {
            Self::Exactly(size) => format!("{size} bytes"),
            Self::AtMost(size) => format!("at most {size} bytes"),
        }
    }
}

/// A download in progress.
#[derive(Clone, Debug)]
pub struct Part {
    path: PathBuf,
    tag: PathBuf,
}

/// The largest note about a part that is read, in bytes.
const LONGEST_TAG: u64 = 64 << 10;

/// What the bytes of a part are.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Tag {
    url: String,
    validator: String,
}

impl Part {
    /// The part of the file that will be at `path`.
    pub fn of(path: &Path) -> Self {
        let with = |suffix: &str| {
            let mut name = path.as_os_str().to_os_string();
            name.push(suffix);
            PathBuf::from(name)
        };
        Self { path: with(".part"), tag: with(".part.tag") }
    }

    /// Where the bytes are.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Throws away what is there.
    ///
    /// # Errors
    /// [`FetchError::Io`].
    pub fn remove(&self) -> Result<()> {
        for path in [&self.tag, &self.path] {
            match fs::remove_file(path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    return Err(FetchError::io("remove", path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// How many bytes are there from this URL, and how the server knows them again.
    fn kept(&self, url: &str) -> Option<(u64, String)> {
        let tag = dnn_store::read_file(&self.tag, LONGEST_TAG).ok()?;
        let tag: Tag = toml::from_str(std::str::from_utf8(&tag).ok()?).ok()?;
        // Not through a link: it is written to.
        let there = fs::symlink_metadata(&self.path).ok().filter(fs::Metadata::is_file)?;
        let bytes = there.len();
        (tag.url == url && bytes > 0).then_some((bytes, tag.validator))
    }

    /// An empty file that the bytes of this answer go to.
    fn begin(&self, url: &str, headers: &HeaderMap) -> Result<File> {
        self.remove()?;
        if let Some(validator) = validator(headers) {
            let tag = Tag { url: url.to_owned(), validator };
            let text = toml::to_string(&tag).map_err(|error| {
                FetchError::io("write", &self.tag, io::Error::other(error.to_string()))
            })?;
            dnn_store::commit(&self.tag, text.as_bytes())?;
        }
        File::create_new(&self.path).map_err(|error| FetchError::io("create", &self.path, error))
    }

    /// The file, to write on after `have` bytes.
    fn go_on(&self, have: u64) -> Result<File> {
        let opened = File::options().write(true).open(&self.path).and_then(|mut file| {
            file.set_len(have)?;
            file.seek(SeekFrom::End(0))?;
            Ok(file)
        });
        opened.map_err(|error| FetchError::io("write", &self.path, error))
    }
}

/// Why a try failed.
enum Failure {
    /// Another try may help, after this wait if the server named one.
    Again(String, Option<Duration>),
    /// Another source may help.
    Elsewhere(String),
    /// Nothing on the network will help.
    Here(FetchError),
}

impl From<FetchError> for Failure {
    fn from(error: FetchError) -> Self {
        Self::Here(error)
    }
}

/// Downloads `url` into `part`, as often as it takes and `patience` allows.
///
/// The error within says why this source is given up.
///
/// # Errors
/// [`FetchError::Io`] and [`FetchError::Store`] where the bytes cannot be written.
///
/// # Examples
/// ```no_run
/// use dnn_fetch::download::{Part, Patience, Size, download};
///
/// let part = Part::of("labels.gz".as_ref());
/// let url = "https://storage.googleapis.com/cvdf-datasets/mnist/t10k-labels-idx1-ubyte.gz";
/// match download(url, &part, Size::Exactly(4542), &Patience::default(), &mut |_| ())? {
///     Ok(()) => println!("{} is complete", part.path().display()),
///     Err(reason) => println!("try another source: {reason}"),
/// }
/// # Ok::<(), dnn_fetch::FetchError>(())
/// ```
pub fn download(
    url: &str,
    part: &Part,
    size: Size,
    patience: &Patience,
    tell: &mut dyn FnMut(Event),
) -> Result<Result<(), String>> {
    const PROGRESS: u64 = 1 << 20;
    let agent = agent(url, patience);
    let bytes = || fs::metadata(&part.path).map_or(0, |metadata| metadata.len());
    let (mut failed, mut furthest) = (0, bytes());
    loop {
        let (reason, asked) = match attempt(&agent, url, part, size, patience, tell) {
            Ok(()) => return Ok(Ok(())),
            Err(Failure::Here(error)) => return Err(error),
            Err(Failure::Elsewhere(reason)) => return Ok(Err(reason)),
            Err(Failure::Again(reason, asked)) => (reason, asked),
        };
        if bytes() >= furthest.saturating_add(PROGRESS) {
            (failed, furthest) = (0, bytes());
        }
        failed += 1;
        if failed >= patience.tries {
            return Ok(Err(format!("{reason}, {failed} times")));
        }
        let growing = patience.first_wait.saturating_mul(1 << (failed - 1).min(16));
        let wait = asked.unwrap_or(growing.min(patience.longest_wait));
        if wait > patience.longest_wait {
            return Ok(Err(format!("{reason}; it asks to wait for {} s", wait.as_secs())));
        }
        tell(Event::Waiting { reason, wait });
        std::thread::sleep(wait);
    }
}

fn agent(url: &str, patience: &Patience) -> Agent {
    Agent::config_builder()
        .http_status_as_error(false)
        .https_only(url.starts_with("https:"))
        .max_redirects(5)
        .save_redirect_history(true)
        // Hashes are of the bytes as they are stored.
        .accept_encoding("identity")
        .user_agent(concat!("dnn-fetch/", env!("CARGO_PKG_VERSION")))
        .timeout_resolve(Some(patience.connect))
        .timeout_connect(Some(patience.connect))
        .timeout_recv_response(Some(patience.silence))
        .timeout_per_read(Some(patience.silence))
        .build()
        .new_agent()
}

/// One request.
fn attempt(
    agent: &Agent,
    url: &str,
    part: &Part,
    size: Size,
    patience: &Patience,
    tell: &mut dyn FnMut(Event),
) -> Result<(), Failure> {
    let kept = part.kept(url).filter(|(have, _)| *have <= size.cap());
    let have = kept.as_ref().map_or(0, |(have, _)| *have);
    if have > 0 && size.exact() == Some(have) {
        return Ok(());
    }
    tell(Event::Asking { source: url.to_owned(), have });
    let mut request = agent.get(url);
    if let Some((have, validator)) = &kept {
        request = request.header("Range", format!("bytes={have}-")).header("If-Range", validator);
    }
    let response = request.call().map_err(failure_of)?;
    check_redirects(&response)?;
    let status = response.status();
    let headers = response.headers();
    let (file, from) = match status {
        StatusCode::OK => (part.begin(url, headers)?, 0),
        StatusCode::PARTIAL_CONTENT if range_starts_at(headers, have, size) => {
            (part.go_on(have)?, have)
        }
        StatusCode::PARTIAL_CONTENT | StatusCode::RANGE_NOT_SATISFIABLE => {
            part.remove()?;
            let reason = format!("it did not send what follows byte {have} ({status})");
            // From the beginning, at once; without a part there is no range to get wrong again.
            return Err(match have {
                0 => Failure::Elsewhere(reason),
                _ => Failure::Again(reason, Some(Duration::ZERO)),
            });
        }
        _ => return Err(refused(status, headers)),
    };
    receive(response, file, from, part, size, patience, tell)
}

/// A status that brings no bytes.
fn refused(status: StatusCode, headers: &HeaderMap) -> Failure {
    let reason = format!("it answered {status}");
    let again = matches!(status.as_u16(), 408 | 429) || status.is_server_error();
    if !again {
        return Failure::Elsewhere(reason);
    }
    let text = headers.get(header::RETRY_AFTER).and_then(|value| value.to_str().ok());
    Failure::Again(reason, text.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs))
}

/// Stores the bytes of an answer behind the first `from` ones.
fn receive(
    mut response: Response<Body>,
    mut file: File,
    from: u64,
    part: &Part,
    size: Size,
    patience: &Patience,
    tell: &mut dyn FnMut(Event),
) -> Result<(), Failure> {
    let announced = response.body().content_length().map(|length| from.saturating_add(length));
    let wrong_size =
        |found: String| Failure::Elsewhere(format!("expected {}, found {found}", size.in_words()));
    if let Some(announced) = announced.filter(|announced| !size.fits(*announced)) {
        part.remove()?;
        return Err(wrong_size(announced.to_string()));
    }
    let total = size.exact().or(announced);
    let mut done = from;
    let mut window = (Instant::now(), done);
    let mut buffer = vec![0; 1 << 16];
    // The reader has no limit of its own then: what counts is counted below.
    let mut reader = response.body_mut().with_config().limit(u64::MAX).reader();
    loop {
        let read = match reader.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                let reason = format!("it broke off after {done} bytes ({error})");
                return Err(Failure::Again(reason, None));
            }
        };
        done = done.saturating_add(read as u64);
        if done > size.cap() {
            part.remove()?;
            return Err(wrong_size("more".to_owned()));
        }
        file.write_all(&buffer[..read]).map_err(|e| FetchError::io("write", &part.path, e))?;
        tell(Event::Receiving { done, total });
        if window.0.elapsed() > patience.slow {
            if done - window.1 < patience.slow_bytes {
                let reason = format!("it sent {} bytes in {:?}", done - window.1, patience.slow);
                return Err(Failure::Again(reason, None));
            }
            window = (Instant::now(), done);
        }
    }
    match total.filter(|total| *total != done) {
        Some(total) => {
            Err(Failure::Again(format!("it broke off after {done} of {total} bytes"), None))
        }
        None => Ok(()),
    }
}

/// A strong `ETag`, or the date of the last change, by which a server knows a file again.
fn validator(headers: &HeaderMap) -> Option<String> {
    let text = |name| headers.get(name).and_then(|value| value.to_str().ok()).map(str::to_owned);
    let strong = text(header::ETAG).filter(|tag| tag.starts_with('"'));
    strong.or_else(|| text(header::LAST_MODIFIED))
}

/// Whether an answer holds what follows byte `have`, of a file of the right size.
fn range_starts_at(headers: &HeaderMap, have: u64, size: Size) -> bool {
    let parse = || {
        let text = headers.get(header::CONTENT_RANGE)?.to_str().ok()?;
        let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = range.split_once('-')?;
        let first: u64 = first.parse().ok()?;
        let last: u64 = last.parse().ok()?;
        let whole = total == "*" || total.parse() == Ok(last.checked_add(1)?);
        let right = size.exact().is_none_or(|size| last.checked_add(1) == Some(size));
        Some(first == have && whole && right)
    };
    have > 0 && parse().unwrap_or(false)
}

/// A way from https to http is not taken, wherever it began.
fn check_redirects(response: &Response<Body>) -> Result<(), Failure> {
    let history = response.get_redirect_history().unwrap_or_default();
    let secure = |uri: &ureq::http::Uri| uri.scheme_str() == Some("https");
    if history.windows(2).any(|pair| secure(&pair[0]) && !secure(&pair[1])) {
        return Err(Failure::Elsewhere("it leads from https to http".to_owned()));
    }
    Ok(())
}

/// What an error of the connection means.
fn failure_of(error: ureq::Error) -> Failure {
    use ureq::Error;
    let again = match &error {
        Error::Io(error) => matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
                | io::ErrorKind::UnexpectedEof
                | io::ErrorKind::TimedOut
        ),
        Error::Timeout(ureq::Timeout::Resolve | ureq::Timeout::Connect) => false,
        Error::Timeout(_) => true,
        _ => false,
    };
    let reason = match &error {
        Error::RequireHttpsOnly(_) => "it leads from https to http".to_owned(),
        Error::TooManyRedirects => "it leads on more than 5 times".to_owned(),
        _ => error.to_string(),
    };
    if again { Failure::Again(reason, None) } else { Failure::Elsewhere(reason) }
}
