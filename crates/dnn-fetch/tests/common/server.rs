//! A server on 127.0.0.1 that answers as it is told, well or badly.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;

/// What was asked.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    /// Names in lower case.
    pub(crate) headers: Vec<(String, String)>,
    /// The how many-th request this is, from 0.
    pub(crate) number: usize,
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The first byte of the range that is asked for.
    pub(crate) fn range(&self) -> Option<usize> {
        self.header("range")?.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok()
    }
}

/// What is answered.
pub(crate) enum Reply {
    /// These bytes, as they are, and an end of the connection.
    Bytes(Vec<u8>),
    /// These bytes again and again, until the other side has had enough.
    Endless(Vec<u8>, Vec<u8>),
    /// These bytes, then each of the following after a pause.
    Slow(Vec<u8>, Vec<u8>, Duration),
    /// A connection that is torn down without an answer.
    Reset,
}

/// A reply with a status line and headers; `Connection: close` and nothing else is added.
pub(crate) fn reply(status: &str, headers: &[(&str, String)], body: &[u8]) -> Reply {
    Reply::Bytes([head(status, headers).as_slice(), body].concat())
}

pub(crate) fn head(status: &str, headers: &[(&str, String)]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\nConnection: close\r\n");
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    (text + "\r\n").into_bytes()
}

/// The whole body, with its length and a tag.
pub(crate) fn whole(body: &[u8], tag: &str) -> Reply {
    let headers = [("Content-Length", body.len().to_string()), ("ETag", format!("\"{tag}\""))];
    reply("200 OK", &headers, body)
}

/// As an honest server answers a request for a range.
pub(crate) fn honest(request: &Request, body: &[u8], tag: &str) -> Reply {
    match request.range() {
        Some(from) if request.header("if-range") == Some(&format!("\"{tag}\"")) => {
            let range = format!("bytes {from}-{}/{}", body.len() - 1, body.len());
            let length = (body.len() - from).to_string();
            let headers = [
                ("Content-Length", length),
                ("Content-Range", range),
                ("ETag", format!("\"{tag}\"")),
            ];
            reply("206 Partial Content", &headers, &body[from..])
        }
        _ => whole(body, tag),
    }
}

/// Listens until it is dropped.
pub(crate) struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    pub(crate) fn start(answer: impl Fn(&Request) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, stopped) = (Arc::clone(&requests), Arc::clone(&stop));
        let thread = std::thread::spawn(move || {
            for stream in listener.incoming() {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                // What goes wrong here is the other side's affair: it may leave at any time.
                let _ = stream.and_then(|stream| serve(stream, &seen, &answer));
            }
        });
        Self { address, requests, stop, thread: Some(thread) }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn requests(&self) -> Vec<Request> {
        self.requests.lock().unwrap().clone()
    }

    pub(crate) fn count(&self) -> usize {
        self.requests.lock().unwrap().len()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn serve(
    stream: TcpStream,
    seen: &Mutex<Vec<Request>>,
    answer: &dyn Fn(&Request) -> Reply,
) -> std::io::Result<()> {
    // Long: the machine may be busy.
    stream.set_read_timeout(Some(Duration::from_secs(60)))?;
    stream.set_write_timeout(Some(Duration::from_secs(60)))?;
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let path = line.split(' ').nth(1).unwrap_or_default().to_owned();
    let mut headers = Vec::new();
    loop {
        line.clear();
        reader.read_line(&mut line)?;
        match line.trim_end().split_once(": ") {
            Some((name, value)) => headers.push((name.to_lowercase(), value.to_owned())),
            None => break,
        }
    }
    let request = {
        let mut seen = seen.lock().unwrap();
        let request = Request { path, headers, number: seen.len() };
        seen.push(request.clone());
        request
    };
    let mut stream = reader.into_inner();
    match answer(&request) {
        Reply::Bytes(bytes) => stream.write_all(&bytes)?,
        Reply::Endless(head, piece) => {
            stream.write_all(&head)?;
            // Bounded all the same: 256 MiB.
            for _ in 0..(256 << 20) / piece.len() {
                stream.write_all(&piece)?;
            }
        }
        Reply::Slow(head, bytes, pause) => {
            stream.write_all(&head)?;
            stream.set_read_timeout(Some(pause))?;
            for byte in bytes {
                // Until the pause is over, or the other side leaves.
                if matches!(stream.read(&mut [0; 1]), Ok(0)) {
                    return Ok(());
                }
                stream.write_all(&[byte])?;
            }
        }
        // Closing with a timer of zero would tear it down; std cannot, but what was read is enough for
        // the other side to see an end before an answer.
        Reply::Reset => return stream.shutdown(std::net::Shutdown::Both),
    }
    stream.shutdown(std::net::Shutdown::Write)?;
    stream.set_read_timeout(Some(Duration::from_secs(5)))?;
    // Until the other side closes too, so that nothing it still has to read is thrown away.
    let _ = stream.read(&mut [0; 1]);
    Ok(())
}
