//! A store in a file is killed at random moments, and keeps every commit it has acknowledged, whole.
//!
//! The writer is a real process: this test binary, started again for its one test [`CHILD`] with [`STORE_VARIABLE`] set.

use std::collections::BTreeSet;
use std::env;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rand::Rng;
use store::{Commit, Key, Mutation, Revision, SqliteStore, Store};

/// How often the writer is killed.
const KILLS: usize = 30;

/// How many entries each commit writes, all with the same value.
const KEYS: usize = 40;

/// The most acknowledgements that are awaited before a kill.
const MOST_ACKNOWLEDGED: u64 = 12;

/// The longest a kill comes after an acknowledgement: about the time of two commits, so that it hits any part of one.
const LONGEST_DELAY: Duration = Duration::from_millis(4);

/// The path of the store, for the writer.
const STORE_VARIABLE: &str = "STORE_CRASH_TEST_PATH";

/// The name of the test that is the writer.
const CHILD: &str = "the_writer_does_nothing_unless_it_is_started_by_the_test_below";

/// Before the revision in a line of the writer's output, among what the test harness prints.
const ACKNOWLEDGED: &str = "acknowledged ";

/// Kills the writer, whatever becomes of the test.
struct Writer(Child);

impl Writer {
    fn start(path: &Path) -> Writer {
        let mut command = Command::new(env::current_exe().expect("this binary"));
        command.args(["--exact", CHILD, "--nocapture"]).env(STORE_VARIABLE, path);
        Writer(command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("the writer starts"))
    }

    /// Kills the writer some time after some acknowledgements, and gives the last revision acknowledged.
    fn kill_at_random(mut self) -> Revision {
        let mut rng = rand::rng();
        let mut lines = BufReader::new(self.0.stdout.take().expect("it is piped")).lines();
        let mut acknowledged = || {
            let revision = |line: String| line.strip_prefix(ACKNOWLEDGED).map(|text| text.parse().ok());
            lines.by_ref().map_while(Result::ok).find_map(revision).flatten().map(Revision)
        };
        let mut last = None;
        for _ in 0..rng.random_range(1..=MOST_ACKNOWLEDGED) {
            last = Some(acknowledged().expect("the writer goes on until it is killed"));
        }
        let kill_at = Instant::now() + rng.random_range(Duration::ZERO..LONGEST_DELAY);
        while Instant::now() < kill_at {
            std::hint::spin_loop();
        }
        self.0.kill().expect("the writer is killed");
        self.0.wait().expect("the writer has ended");
        // What it had acknowledged by then is still in the pipe.
        while let Some(revision) = acknowledged() {
            last = Some(revision);
        }
        last.expect("at least one commit was acknowledged")
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        // Both fail if it has ended, as it should have.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A commit that replaces every entry: each has the value `revision`.
fn replace_all(revision: Revision) -> Commit {
    let put = |n| Mutation::Put {
        key: Key::new(format!("key-{n}")).expect("a valid key"),
        value: revision.to_string().into(),
    };
    Commit { mutations: (0..KEYS).map(put).collect() }
}

#[tokio::test]
async fn the_writer_does_nothing_unless_it_is_started_by_the_test_below() {
    let Ok(path) = env::var(STORE_VARIABLE) else { return };
    let store = SqliteStore::open(path).expect("the store opens after a crash");
    let mut head = store.snapshot().await.expect("a snapshot").revision;
    loop {
        head = store.append(head, replace_all(head.next())).await.expect("nobody else appends");
        let mut out = std::io::stdout().lock();
        writeln!(out, "\n{ACKNOWLEDGED}{head}").and_then(|()| out.flush()).expect("the test reads");
    }
}

#[tokio::test]
async fn a_writer_killed_at_any_moment_loses_no_acknowledged_commit_and_leaves_no_half_one() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let path = directory.path().join("store.db");
    let mut before = Revision::EMPTY;
    for _ in 0..KILLS {
        let acknowledged = Writer::start(&path).kill_at_random();
        let store = SqliteStore::open(&path).expect("the store opens after a crash");
        let snapshot = store.snapshot().await.expect("a snapshot");
        let head = snapshot.revision;
        // The one after the last acknowledged may have become durable before its writer could say so.
        assert!(
            (acknowledged..=acknowledged.next()).contains(&head),
            "{acknowledged} was acknowledged, head is {head}"
        );
        let values: BTreeSet<_> = snapshot.entries.iter().map(|(_, value)| value.clone()).collect();
        assert_eq!(values, BTreeSet::from([head.to_string().into()]), "all entries are of the last commit");
        assert_eq!(snapshot.entries.len(), KEYS);
        let mut watch = store.watch(before).await.expect("the history is kept");
        while watch.position() < head {
            let committed = watch.next().await.expect("the watch goes on");
            assert_eq!(*committed.commit, replace_all(committed.revision));
        }
        before = head;
    }
}
