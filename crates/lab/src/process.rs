//! A process in the background of a lab: a guarded value that ends its process when it goes out of scope.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::{Error, Result};
use crate::namespace::Namespace;
use crate::wait::wait_until;

/// Time that a process gets to end by itself once it was asked to.
const END_LIMIT: Duration = Duration::from_secs(10);

/// A child of this process that lives inside a lab. The lab keeps a second handle to it: a zombie that nobody waits for
/// keeps its pid namespace from ending (pid_namespaces(7)).
pub(crate) type SharedChild = Arc<Mutex<Child>>;

/// A program that runs in the background. Dropping it kills it.
pub struct Process {
    name: String,
    namespace: Namespace,
    child: SharedChild,
    log: PathBuf,
}

impl Process {
    pub(crate) fn new(name: &str, namespace: Namespace, child: SharedChild, log: PathBuf) -> Self {
        Self { name: name.to_owned(), namespace, child, log }
    }

    /// Kills it at once (SIGKILL), as a crash would, and waits until it is gone.
    pub fn kill(&self) {
        self.signal(Signal::SIGKILL);
        // Nothing can be done about a process that cannot be waited for: it is gone already.
        let _ = self.lock().wait();
    }

    /// Asks it to end (SIGTERM) and waits until it has.
    ///
    /// # Errors
    /// [`Error::TimedOut`] if it still runs after ten seconds.
    pub fn terminate(&self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM);
        self.wait(END_LIMIT)
    }

    /// Interrupts it (SIGINT), which makes measuring programs print what they have, and waits until it has ended.
    ///
    /// # Errors
    /// [`Error::TimedOut`] if it still runs after ten seconds.
    pub fn interrupt(&self) -> Result<ExitStatus> {
        self.signal(Signal::SIGINT);
        self.wait(END_LIMIT)
    }

    /// Stops it (SIGSTOP) without ending it: it hangs, and its connections stay open. Returns when it has stopped, which
    /// on a busy machine is a while after the signal.
    pub fn pause(&self) {
        self.signal(Signal::SIGSTOP);
        let stopped = || if self.has_stopped() { Ok(()) } else { Err("it still runs".to_owned()) };
        // One that has ended stops no more.
        let _ = wait_until(format!("{} to stop", self.name), END_LIMIT, stopped);
    }

    /// Whether no thread of it runs (proc_pid_stat(5): the state stands behind the name in parentheses).
    fn has_stopped(&self) -> bool {
        let Ok(threads) = fs::read_dir(format!("/proc/{}/task", self.pid())) else { return true };
        let stat = |thread: fs::DirEntry| fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        let runs =
            |stat: String| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['T', 'Z']));
        !threads.filter_map(io::Result::ok).map(stat).any(runs)
    }

    /// Lets it run on after [`pause`](Self::pause) (SIGCONT).
    pub fn resume(&self) {
        self.signal(Signal::SIGCONT);
    }

    /// Waits until it ends by itself.
    ///
    /// # Errors
    /// [`Error::TimedOut`] if it still runs after `limit`.
    pub fn wait(&self, limit: Duration) -> Result<ExitStatus> {
        wait_until(format!("{} to end", self.name), limit, || match self.lock().try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("it still runs".to_owned()),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Whether it still runs (also when paused).
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.lock().try_wait(), Ok(None))
    }

    /// Its process id as the owner of the lab sees it.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.lock().id()
    }

    /// What it has printed so far, on standard output and standard error.
    ///
    /// # Errors
    /// [`Error::File`] if its log cannot be read.
    pub fn output(&self) -> Result<String> {
        self.namespace.read(&self.log)
    }

    /// Where its output goes, as seen inside the lab.
    #[must_use]
    pub fn log_path(&self) -> &Path {
        &self.log
    }

    /// An error that holds the end of what it has printed.
    pub(crate) fn complaint(&self, said: &str) -> Error {
        let output = self.output().unwrap_or_default();
        let tail: Vec<_> = output.lines().rev().take(10).collect();
        let tail: Vec<_> = tail.into_iter().rev().collect();
        Error::Answer { command: self.name.clone(), answer: format!("{said}\n{}", tail.join("\n")) }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let mut child = self.lock();
        // A process that was waited for has given its id back, and it may belong to another one now.
        if matches!(child.try_wait(), Ok(None)) {
            let _ = kill(Pid::from_raw(child.id().cast_signed()), signal);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Child> {
        // A thread that panicked with the lock held has left nothing half done: every use is one call.
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process").field("name", &self.name).field("log", &self.log).finish_non_exhaustive()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Waits for a child without keeping its lock while it runs.
pub(crate) fn reap(child: &SharedChild, limit: Duration) -> Result<()> {
    wait_until("a process of the lab to end", limit, || {
        let ended: io::Result<_> = child.lock().unwrap_or_else(PoisonError::into_inner).try_wait();
        match ended {
            Ok(Some(_)) | Err(_) => Ok(()),
            Ok(None) => Err("it still runs"),
        }
    })
}
