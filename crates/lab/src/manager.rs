//! The Virtual Network Manager of a lab, `vnmgr`, and the command line that talks to it: the one place that knows their
//! flags.

use std::ffi::OsStr;
use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::command::{Argv, Output};
use crate::error::{Error, Result};
use crate::forward::Forwarder;
use crate::namespace::Namespace;
use crate::physical::{Cable, ORDINARY_MTU, Wire};
use crate::process::Process;
use crate::programs::program;
use crate::wait::wait_until;

/// The manager's address on the management network, beyond those of hosts.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 254);
/// Ports of the Web API and of the sync stream. Fixed ones disturb nobody: the namespace is the manager's own.
const API_PORT: u16 = 9101;
const SYNC_PORT: u16 = 9102;
/// Names the address of the Web API to `vnctl`.
const ENDPOINT_VARIABLE: &str = "VNET_WEBAPI";
/// Time that a manager gets to answer after its start.
const START_LIMIT: Duration = Duration::from_secs(20);

/// A manager in a network namespace of its own. Its state folder stays when it ends.
#[derive(Debug)]
pub struct Manager {
    namespace: Namespace,
    process: Mutex<Option<Process>>,
    door: Forwarder,
    management: Cable,
}

impl Manager {
    /// Sets up its place, without starting it.
    pub(crate) fn place(root: &Namespace) -> Result<Self> {
        let endpoint = format!("{ADDRESS}:{API_PORT}");
        let namespace = root.sibling("manager", vec![(ENDPOINT_VARIABLE.to_owned(), endpoint.into())])?;
        let management = Cable::plug(root, Wire::Management, "manager", &namespace, ORDINARY_MTU)?;
        namespace.shell([format!("ip address add {ADDRESS}/24 dev {}", Wire::Management.device())])?;
        let door = Forwarder::open(namespace.clone(), SocketAddr::from((ADDRESS, API_PORT)))?;
        Ok(Self { namespace, process: Mutex::default(), door, management })
    }

    /// The namespace that it runs in.
    #[must_use]
    pub fn namespace(&self) -> &Namespace {
        &self.namespace
    }

    /// The folder of its state, inside the lab.
    #[must_use]
    pub fn state_dir(&self) -> PathBuf {
        self.namespace.dir().join("vnmgr")
    }

    /// The Web API's address as the caller reaches it, outside the lab. It stays the same over restarts.
    #[must_use]
    pub fn api_url(&self) -> String {
        format!("http://{}", self.door.address())
    }

    /// The sync endpoint's address, for agents.
    #[must_use]
    pub fn sync_url(&self) -> String {
        format!("https://{ADDRESS}:{SYNC_PORT}")
    }

    /// Starts it and waits until it accepts users and agents.
    ///
    /// # Errors
    /// [`Error::MissingProgram`] if it is not built, [`Error::Request`] if it runs already, [`Error::TimedOut`] if it
    /// does not answer.
    pub fn start(&self) -> Result<()> {
        let mut slot = self.process();
        if slot.as_ref().is_some_and(Process::is_running) {
            return Err(Error::Request("vnmgr runs already".to_owned()));
        }
        let manager = slot.insert(self.namespace.spawn("vnmgr", self.command_line()?)?);
        for port in [API_PORT, SYNC_PORT] {
            wait_until(format!("vnmgr on port {port}"), START_LIMIT, || {
                if !manager.is_running() {
                    return Err(manager.complaint("it has ended").to_string());
                }
                let address = SocketAddr::from((ADDRESS, port));
                self.namespace.connect(address, START_LIMIT).map_err(|error| error.to_string())
            })?;
        }
        Ok(())
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
        self.process().take().map_or(Ok(()), |manager| manager.terminate().map(drop))
    }

    /// Kills it and starts it again on the same state.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn restart(&self) -> Result<()> {
        self.kill();
        self.start()
    }

    /// Makes it hang (SIGSTOP), with its connections open.
    pub fn pause(&self) {
        if let Some(manager) = &*self.process() {
            manager.pause();
        }
    }

    /// Lets it run on.
    pub fn resume(&self) {
        if let Some(manager) = &*self.process() {
            manager.resume();
        }
    }

    /// Whether it runs.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process().as_ref().is_some_and(Process::is_running)
    }

    /// Runs `vnctl` against it and gives what it printed.
    ///
    /// # Errors
    /// [`Error::MissingProgram`], or [`Error::Failed`] with what `vnctl` said.
    pub fn vnctl<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        self.namespace.exec_argv(&Argv::new(args).behind([program("vnctl")?]))
    }

    /// Runs `vnctl` and gives what it said, also when it failed.
    ///
    /// # Errors
    /// [`Error::MissingProgram`], or [`Error::Spawn`].
    pub fn attempt_vnctl<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<Output> {
        self.namespace.attempt_argv(&Argv::new(args).behind([program("vnctl")?]))
    }

    /// Asks for a token with which the agent of host `node` may join.
    ///
    /// # Errors
    /// As [`vnctl`](Self::vnctl).
    pub fn join_token(&self, node: &str) -> Result<String> {
        self.vnctl(["hosts", "token", "--node-id", node])
    }

    /// What it has logged since the lab started, over all its runs.
    ///
    /// # Errors
    /// [`Error::File`] if it never ran.
    pub fn log(&self) -> Result<String> {
        self.namespace.read(self.namespace.dir().join("log/vnmgr.log"))
    }

    /// Cuts the manager off from every agent, silently.
    ///
    /// # Errors
    /// As [`Namespace::exec`].
    pub fn cut_management(&self) -> Result<()> {
        self.management.cut()
    }

    /// Mends what [`cut_management`](Self::cut_management) cut.
    ///
    /// # Errors
    /// As [`Namespace::exec`].
    pub fn restore_management(&self) -> Result<()> {
        self.management.restore()
    }

    fn command_line(&self) -> Result<Vec<String>> {
        let at = |port: u16| SocketAddr::from((ADDRESS, port));
        let (state, api, sync) = (self.state_dir(), at(API_PORT), at(SYNC_PORT));
        let flags: [(&str, &dyn Display); 3] =
            [("--state-dir", &state.display()), ("--api-listen", &api), ("--sync-listen", &sync)];
        let flags = flags.into_iter().flat_map(|(flag, value)| [flag.to_owned(), value.to_string()]);
        let program = program("vnmgr")?.display().to_string();
        Ok([program, "run".to_owned()].into_iter().chain(flags).collect())
    }

    fn process(&self) -> MutexGuard<'_, Option<Process>> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
