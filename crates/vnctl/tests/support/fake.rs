//! A server that answers one request after another as it is told, and keeps what it was asked.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use serde_json::Value;

/// What the server was asked.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    /// Method and path, as in `GET /api/1.0/networks`.
    pub(crate) line: String,
    pub(crate) if_match: Option<String>,
    pub(crate) body: Value,
}

/// What the server answers.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(&'static str, &'static str)>,
    pub(crate) body: String,
}

/// An answer with a JSON body.
pub(crate) fn answer(status: u16, body: Value) -> Answer {
    Answer { status, headers: vec![("openvnet-revision", "7")], body: body.to_string() }
}

/// The server. It ends when it is dropped.
pub(crate) struct Fake {
    address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    stopped: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Fake {
    /// A server that gives these answers, in this order, and then none.
    pub(crate) fn new(answers: impl IntoIterator<Item = Answer>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let stopped = Arc::<AtomicBool>::default();
        let (answers, log, stop) = (answers.into_iter().collect::<Vec<_>>(), asked.clone(), stopped.clone());
        let serve = move || {
            let mut answers = answers.into_iter();
            // The port stays taken, so that no other server gets it.
            for stream in listener.incoming().flatten() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                let Some(answer) = answers.next() else { continue };
                // What was asked is known before whoever asked goes on.
                log.lock().expect("no panic").extend(read(&stream));
                write(&stream, &answer).ok();
            }
        };
        Self { address, asked, stopped, thread: Some(std::thread::spawn(serve)) }
    }

    pub(crate) fn address(&self) -> String {
        self.address.to_string()
    }

    /// What was asked so far.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("no panic").clone()
    }

    /// The lines of what was asked so far.
    pub(crate) fn lines(&self) -> Vec<String> {
        self.asked().into_iter().map(|asked| asked.line).collect()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        self.stopped.store(true, Ordering::Relaxed);
        // Wakes the server, which waits for a connection.
        TcpStream::connect(self.address).ok();
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

fn write(mut stream: &TcpStream, answer: &Answer) -> std::io::Result<()> {
    let Answer { status, headers, body } = answer;
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = body.len();
    write!(
        stream,
        "HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}"
    )
}

fn read(stream: &TcpStream) -> Option<Asked> {
    let mut reader = BufReader::new(stream);
    let mut next = || {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        Some(line.trim_end().to_owned())
    };
    let first = next()?;
    let line = first.strip_suffix(" HTTP/1.1")?.to_owned();
    let (mut if_match, mut length) = (None, 0);
    while let Some(header) = next().filter(|header| !header.is_empty()) {
        let (name, value) = header.split_once(':')?;
        match name.to_ascii_lowercase().as_str() {
            "if-match" => if_match = Some(value.trim().to_owned()),
            "content-length" => length = value.trim().parse().ok()?,
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Asked { line, if_match, body: serde_json::from_slice(&body).unwrap_or(Value::Null) })
}
