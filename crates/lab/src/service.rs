//! A daemon as a service manager would look after it, except that nobody starts it again unasked.

use std::ffi::OsStr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::namespace::Namespace;
use crate::process::Process;
use crate::wait::wait_until;

/// Time that a daemon gets to be ready after its start.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A daemon that runs or does not. All its runs append to one log.
#[derive(Debug)]
pub struct Service {
    name: &'static str,
    namespace: Namespace,
    process: Mutex<Option<Process>>,
}

impl Service {
    pub(crate) fn new(name: &'static str, namespace: &Namespace) -> Self {
        Self { name, namespace: namespace.clone(), process: Mutex::default() }
    }

    /// Starts it and waits until `ready` succeeds.
    pub(crate) fn launch<S: AsRef<OsStr>, T>(
        &self,
        argv: impl IntoIterator<Item = S>,
        mut ready: impl FnMut() -> Result<T>,
    ) -> Result<()> {
        let what = format!("{} in {}", self.name, self.namespace.name());
        let mut slot = self.process();
        if slot.as_ref().is_some_and(Process::is_running) {
            return Err(Error::Request(format!("{what} runs already")));
        }
        let process = slot.insert(self.namespace.spawn(self.name, argv)?);
        // A daemon that has ended will not become ready: the outer result ends the wait.
        wait_until(what, START_LIMIT, || match ready() {
            Ok(_) => Ok(Ok(())),
            Err(_) if !process.is_running() => Ok(Err(process.complaint("it has ended"))),
            Err(error) => Err(error),
        })?
    }

    /// Ends it as a crash would (SIGKILL).
    pub fn kill(&self) {
        self.process().take();
    }

    /// Ends it in order (SIGTERM).
    ///
    /// # Errors
    /// [`Error::TimedOut`] if it has not ended after ten seconds; it is killed then.
    pub fn stop(&self) -> Result<()> {
        self.process().take().map_or(Ok(()), |process| process.terminate().map(drop))
    }

    /// Makes it hang (SIGSTOP), with its connections open.
    pub fn pause(&self) {
        self.process().iter().for_each(Process::pause);
    }

    /// Lets it run on after [`pause`](Self::pause) (SIGCONT).
    pub fn resume(&self) {
        self.process().iter().for_each(Process::resume);
    }

    /// Whether it runs (also when paused).
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process().as_ref().is_some_and(Process::is_running)
    }

    /// The id of its process as the owner of the lab sees it, while it runs.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        self.process().as_ref().filter(|process| process.is_running()).map(Process::pid)
    }

    /// What it has logged since the lab started, over all its runs.
    ///
    /// # Errors
    /// [`Error::File`] if it never ran.
    pub fn log(&self) -> Result<String> {
        self.namespace.read(self.namespace.log_path(self.name))
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
