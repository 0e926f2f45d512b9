//! What the manager logs, kept to be read by tests.

use std::io::{self, Write};
use std::sync::{LazyLock, Mutex, PoisonError};

static LOG: Mutex<Vec<u8>> = Mutex::new(Vec::new());

struct Keeper;

impl Write for Keeper {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        LOG.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Begins to keep what this process logs.
pub(crate) fn keep() {
    static KEPT: LazyLock<()> = LazyLock::new(|| {
        let log = tracing_subscriber::fmt().with_ansi(false).with_max_level(tracing::Level::INFO);
        log.with_writer(|| Keeper).init();
    });
    *KEPT
}

/// Whether there is a line with all these words.
pub(crate) fn says(words: &[&str]) -> bool {
    let log = LOG.lock().unwrap_or_else(PoisonError::into_inner);
    String::from_utf8_lossy(&log).lines().any(|line| words.iter().all(|word| line.contains(word)))
}
