//! The agent of a host, `vna`, as a service manager would run it: the one place that knows its flags.

use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::lab::Encapsulation;
use crate::namespace::Namespace;
use crate::process::Process;
use crate::programs::program;
use crate::wait::wait_until;

/// The bridge that the agent makes, and guests are plugged into.
pub(crate) const INTEGRATION_BRIDGE: &str = "br-int";
/// Time that an agent gets to make its bridge.
const START_LIMIT: Duration = Duration::from_secs(20);

/// The agent of a host. It has joined once its state folder holds what `vna join` wrote, and keeps that when it ends.
#[derive(Debug)]
pub struct Agent {
    namespace: Namespace,
    underlay_address: IpAddr,
    encapsulation: Encapsulation,
    process: Mutex<Option<Process>>,
}

impl Agent {
    pub(crate) fn new(namespace: &Namespace, underlay_address: IpAddr, encapsulation: Encapsulation) -> Self {
        Self { namespace: namespace.clone(), underlay_address, encapsulation, process: Mutex::default() }
    }

    /// The folder of its state, inside the lab.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.namespace.dir().join("vna")
    }

    /// Joins the host at a manager's sync endpoint, with a token that the manager gave for it (`vnctl hosts token`).
    ///
    /// # Errors
    /// As [`Namespace::exec`], or [`Error::MissingProgram`].
    pub fn join(&self, manager: &str, token: &str) -> Result<()> {
        let (program, state) = (program("vna")?, self.state_dir());
        let token_file = self.namespace.dir().join("join-token");
        self.namespace.write(&token_file, token.trim())?;
        let [program, token_file, state] =
            [&program, &token_file, &state].map(|path| path.display().to_string());
        let identity = ["--node-id", self.namespace.name(), "--manager", manager];
        let argv = [&program, "join", "--token-file", &token_file, "--state-dir", &state];
        let argv = argv.into_iter().chain(identity);
        self.namespace.exec(argv).map(drop)
    }

    /// Starts it, with the managers' sync endpoint as an `https` address, and waits until its bridge is there.
    ///
    /// # Errors
    /// [`Error::MissingProgram`] if it is not built, [`Error::Request`] if it runs already, [`Error::TimedOut`] if it
    /// makes no bridge.
    pub fn start(&self, manager: &str) -> Result<()> {
        let mut slot = self.process();
        if slot.as_ref().is_some_and(Process::is_running) {
            return Err(Error::Request(format!("vna of {} runs already", self.namespace.name())));
        }
        let agent = slot.insert(self.namespace.spawn("vna", self.command_line(manager)?)?);
        wait_until(format!("{INTEGRATION_BRIDGE} of {}", self.namespace.name()), START_LIMIT, || {
            if !agent.is_running() {
                return Err(agent.complaint("it has ended").to_string());
            }
            let argv = ["ovs-vsctl", "--timeout=10", "br-exists", INTEGRATION_BRIDGE];
            self.namespace.exec(argv).map_err(|error| error.to_string())
        })
        .map(drop)
    }

    /// Ends it as a crash would (SIGKILL).
    pub fn kill(&self) {
        self.process().take();
    }

    /// Ends it in order (SIGTERM).
    ///
    /// # Errors
    /// [`Error::TimedOut`] if it does not end.
    pub fn stop(&self) -> Result<()> {
        self.process().take().map_or(Ok(()), |agent| agent.terminate().map(drop))
    }

    /// Makes it hang (SIGSTOP), with its connections open.
    pub fn pause(&self) {
        if let Some(agent) = &*self.process() {
            agent.pause();
        }
    }

    /// Lets it run on.
    pub fn resume(&self) {
        if let Some(agent) = &*self.process() {
            agent.resume();
        }
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process().as_ref().is_some_and(Process::is_running)
    }

    /// What it has logged since the lab started, over all its runs.
    ///
    /// # Errors
    /// [`Error::File`] if it never ran.
    pub fn log(&self) -> Result<String> {
        self.namespace.read(self.namespace.dir().join("log/vna.log"))
    }

    fn command_line(&self, manager: &str) -> Result<Vec<String>> {
        let database = self.namespace.dir().join("openvswitch/db.sock");
        let flags = [
            ("--state-dir", self.state_dir().display().to_string()),
            ("--ovsdb", format!("unix:{}", database.display())),
            ("--bridge", INTEGRATION_BRIDGE.to_owned()),
            ("--node-id", self.namespace.name().to_owned()),
            ("--manager", manager.to_owned()),
            ("--encapsulation", self.encapsulation.name().to_owned()),
            ("--underlay-address", self.underlay_address.to_string()),
        ];
        let program = program("vna")?.display().to_string();
        let flags = flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value]);
        Ok([program, "run".to_owned()].into_iter().chain(flags).collect())
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
