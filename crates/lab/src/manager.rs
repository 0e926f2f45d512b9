//! The Virtual Network Manager of a lab, `vnmgr`, and the command line that talks to it: the one place that knows their
//! flags.

use std::ffi::OsStr;
use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::command::{Argv, Output};
use crate::error::{Error, Result};
use crate::forward::Forwarder;
use crate::namespace::Namespace;
use crate::physical::{Cable, ORDINARY_MTU, Wire};
use crate::programs::program;
use crate::service::Service;

/// The manager's address on the management network, beyond those of hosts.
const ADDRESS: Ipv4Addr = Ipv4Addr::new(198, 51, 100, 254);
/// Ports of the Web API and of the sync stream. Fixed ones disturb nobody: the namespace is the manager's own.
const API_PORT: u16 = 9101;
const SYNC_PORT: u16 = 9102;
/// Names the address of the Web API to `vnctl`.
const ENDPOINT_VARIABLE: &str = "VNET_WEBAPI";
/// Time that a connection to it may take.
const ANSWER_LIMIT: Duration = Duration::from_secs(1);
/// Its state lies on a disk of its own, so that a full one hurts nobody else.
const DISK_SIZE: &str = "size=64m,mode=700";

/// A manager in a network namespace of its own. Its state folder stays when it ends.
#[derive(Debug)]
pub struct Manager {
    namespace: Namespace,
    service: Service,
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
        let state = namespace.dir().join("vnmgr").display().to_string();
        root.exec(["mkdir", "-p", &state])?;
        root.exec(["mount", "-t", "tmpfs", "-o", DISK_SIZE, "state", &state])?;
        let door = Forwarder::open(namespace.clone(), SocketAddr::from((ADDRESS, API_PORT)))?;
        let service = Service::new("vnmgr", &namespace);
        Ok(Self { namespace, service, door, management })
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
        let answers = |port| self.namespace.connect(SocketAddr::from((ADDRESS, port)), ANSWER_LIMIT);
        self.service.launch(self.command_line()?, || answers(API_PORT).and_then(|_| answers(SYNC_PORT)))
    }

    /// Kills it and starts it again on the same state.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn restart(&self) -> Result<()> {
        self.kill();
        self.start()
    }

    /// Fills the file system of its state, up to the last byte.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be filled.
    pub fn fill_disk(&self) -> Result<()> {
        let path = self.ballast();
        let written = self.namespace.within(|| File::create(&path).and_then(fill))?;
        written.map_err(|source| Error::File { step: "fill", path, source })
    }

    /// Makes room again after [`fill_disk`](Self::fill_disk).
    ///
    /// # Errors
    /// [`Error::File`] if the disk was not filled.
    pub fn free_disk(&self) -> Result<()> {
        let path = self.ballast();
        let removed = self.namespace.within(|| fs::remove_file(&path))?;
        removed.map_err(|source| Error::File { step: "remove", path, source })
    }

    /// Copies its store to a new file, inside the lab. It must have been stopped.
    ///
    /// # Errors
    /// [`Error::Failed`] if the store is in use, or there is such a file.
    pub fn backup(&self, file: &Path) -> Result<()> {
        self.on_store("backup", file)
    }

    /// Puts a copy in place of its store, as an operator does who has lost it. It must have been stopped.
    ///
    /// # Errors
    /// [`Error::Failed`] if the store is in use, or there is no such copy.
    pub fn restore(&self, file: &Path) -> Result<()> {
        let store = self.state_dir().join("openvnet.db").display().to_string();
        let files = ["", "-wal", "-shm"].map(|end| format!("{store}{end}"));
        self.namespace.exec(["rm", "-f"].into_iter().chain(files.iter().map(String::as_str)))?;
        self.on_store("restore", file)
    }

    fn on_store(&self, command: &str, file: &Path) -> Result<()> {
        let paths = [&program("vnmgr")?, file, &self.state_dir()].map(|path| path.display().to_string());
        let [program, file, state] = &paths;
        self.namespace.exec([program, command, file, "--state-dir", state]).map(drop)
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

    fn ballast(&self) -> PathBuf {
        self.state_dir().join("ballast")
    }
}

impl Deref for Manager {
    type Target = Service;

    fn deref(&self) -> &Service {
        &self.service
    }
}

/// Writes until there is no more room.
fn fill(mut file: File) -> io::Result<()> {
    // Halved when it does not fit, so that the last byte is taken too.
    let mut chunk = vec![0; 1 << 20];
    while !chunk.is_empty() {
        match file.write(&chunk) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::StorageFull => chunk.truncate(chunk.len() / 2),
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
