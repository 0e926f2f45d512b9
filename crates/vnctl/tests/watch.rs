//! Watching: what is printed, and what connections that break do to it.

#[path = "support/mod.rs"]
mod support;

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::thread;

use serde_json::{Value, json};
use support::fake::{Answer, Fake, answer};
use support::manager::RunningManager;
use support::vnctl;
use vnctl::{Environment, Exit, Streams, run};

/// A reader that has seen enough after some lines.
struct Lines {
    text: Vec<u8>,
    wanted: usize,
}

impl Write for Lines {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.text.write(text)
    }

    fn flush(&mut self) -> io::Result<()> {
        let lines = self.text.iter().filter(|byte| **byte == b'\n').count();
        if lines < self.wanted { Ok(()) } else { Err(io::ErrorKind::BrokenPipe.into()) }
    }
}

/// Runs a command line until it has printed some lines.
fn lines(address: &str, line: &str, wanted: usize) -> Vec<String> {
    let environment = Environment {
        home: None,
        etc: Path::new("/nonexistent").to_owned(),
        web_api: Some(address.to_owned()),
    };
    let words = shlex::split(line).expect("quotes match").into_iter().map(OsString::from);
    let (mut out, mut err) = (Lines { text: Vec::new(), wanted }, Vec::new());
    let exit = run(words, &environment, Streams { input: &mut io::empty(), out: &mut out, err: &mut err });
    assert_eq!(exit, Exit::Success, "{}", String::from_utf8_lossy(&err));
    String::from_utf8(out.text).expect("text").lines().map(ToOwned::to_owned).collect()
}

fn with_networks(count: u64) -> RunningManager {
    let manager = RunningManager::start();
    let network = |number| {
        format!("networks add --uuid nw-{number} --ipv4-network 10.0.0.0 --display-name n{number}\n")
    };
    manager.with_input("batch", &(1..=count).map(network).collect::<String>()).printed();
    manager
}

#[test]
fn a_line_says_at_which_revision_what_became_of_which_object() {
    let manager = with_networks(1);
    manager.vnctl("segments add --uuid seg-a --mode virtual").printed();
    manager.vnctl("networks modify nw-1 --display-name other").printed();
    manager.vnctl("networks del nw-1").printed();
    let check = |line: &str, expected: &[&str]| {
        let found = lines(&manager.address, line, expected.len());
        // The time comes before it.
        let found: Vec<_> =
            found.iter().filter_map(|line| line.split_once("Z  ")).map(|(_, rest)| rest).collect();
        assert_eq!(found, expected, "{line}");
    };
    let made = "1  created  networks  nw-1  n1";
    let changed = "3  changed  networks  nw-1  other";
    let gone = "4  deleted  networks  nw-1";
    check("watch --from 0", &[made, "2  created  segments  seg-a", changed, gone]);
    check("watch networks --from 1", &[changed, gone]);
    check("watch --uuid seg-a --uuid nw-2 --from 0", &["2  created  segments  seg-a"]);
}

#[test]
fn a_program_gets_a_line_for_each_commit() {
    let manager = with_networks(2);
    let found = lines(&manager.address, "watch networks segments --from 0 --output json", 2);
    let last: Value = serde_json::from_str(&found[1]).expect("JSON");
    assert_eq!((&last["revision"], &last["changes"][0]["object"]["display_name"]), (&json!(2), &json!("n2")));
}

/// Passes connections on to a manager, and cuts each after so many bytes of the answer; the last one is not.
fn breaking(manager: &str, cuts: &'static [u64]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (address, manager) = (listener.local_addr().expect("an address"), manager.to_owned());
    thread::spawn(move || {
        let cuts = cuts.iter().copied().chain([u64::MAX]);
        for (cut, client) in cuts.zip(listener.incoming().flatten()) {
            let server = TcpStream::connect(&manager).expect("the manager");
            let (mut asking, mut asked) = (&client, &server);
            let mut request = [0; 4096];
            let length = asking.read(&mut request).expect("a request");
            asked.write_all(&request[..length]).expect("passed on");
            // Either end may have gone.
            let _ = io::copy(&mut asked.take(cut), &mut asking);
            let _ = client.shutdown(Shutdown::Both);
        }
    });
    address.to_string()
}

#[test]
fn a_connection_may_break_anywhere_and_nothing_is_lost_or_printed_twice() {
    const NETWORKS: u64 = 30;
    let manager = with_networks(NETWORKS);
    // In the head of the answer's first event, in a later event, and farther on.
    let address = breaking(&manager.address, &[900, 3_000, 4_444]);
    let found = lines(&address, "watch --from 0 --output json", usize::try_from(NETWORKS).expect("few"));
    let revision = |line: &String| {
        serde_json::from_str::<Value>(line).expect("JSON")["revision"].as_u64().expect("a revision")
    };
    assert_eq!(found.iter().map(revision).collect::<Vec<_>>(), (1..=NETWORKS).collect::<Vec<_>>());
}

#[test]
fn what_cannot_be_watched_is_said_with_what_to_do() {
    let manager = RunningManager::start();
    let check = |address: &str, line: &str, exit: Exit, texts: &[&str]| {
        let outcome = vnctl(address, line);
        assert_eq!(outcome.exit, exit, "{line}: {}", outcome.err);
        assert!(texts.iter().all(|text| outcome.err.contains(text)), "{line}: {}", outcome.err);
    };
    check(&manager.address, "watch --from 99", Exit::Refused, &["another history", "list anew"]);
    check(&manager.address, "watch nonsense", Exit::Usage, &["nonsense"]);
    check(&manager.address, "watch --uuid nonsense", Exit::Refused, &["uuid"]);
    check("127.0.0.1:1", "watch", Exit::Unreachable, &["127.0.0.1:1"]);
    // Another store answers when it connects again.
    let start = |store: &str| Answer {
        body: format!("event: start\nid: 7\ndata: {{\"store_id\":\"{store}\",\"revision\":7}}\n\n"),
        ..answer(200, Value::Null)
    };
    let restored = Fake::new([start("a"), start("b")]);
    check(&restored.address(), "watch", Exit::Refused, &["trying again", "another history"]);
    assert_eq!(restored.lines(), ["GET /api/1.0/watch", "GET /api/1.0/watch?from=7"]);
}
