//! A place in a lab where commands and sockets live: a network namespace, with the lab's mounts and processes around it.
//!
//! # Why threads enter, and not `nsenter`
//! A namespace belongs to a thread (setns(2)). A short-lived thread that enters one can open sockets in it, read files in
//! it and start programs in it that are children of this process: they can be signalled and waited for by their own id, and
//! a command costs one fork.

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use nix::sched::{CloneFlags, setns, unshare};

use crate::command::{Argv, Output};
use crate::error::{Error, Result};
use crate::process::{Process, SharedChild, reap};

/// Time that a command in the foreground may take; the longest are measurements of ten seconds and waits of thirty.
const COMMAND_LIMIT: &str = "90";
/// Time after which a command that ignores being ended is killed.
const COMMAND_KILL_AFTER: &str = "--kill-after=1";
/// Folder of a lab's files, in a file system of its own that only the lab sees.
pub(crate) const LAB_DIR: &str = "/run/lab";

/// What all namespaces of one lab share.
#[derive(Debug)]
pub(crate) struct Surroundings {
    mounts: OwnedFd,
    pids: OwnedFd,
    children: Mutex<Vec<SharedChild>>,
    serial: AtomicU32,
}

impl Surroundings {
    pub(crate) fn new(mounts: OwnedFd, pids: OwnedFd) -> Self {
        Self { mounts, pids, children: Mutex::default(), serial: AtomicU32::new(1) }
    }

    /// Waits for every process that was started in the background, once the lab's first process is killed.
    pub(crate) fn reap_all(&self, limit: Duration) {
        for child in self.children.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // Only a process stuck in the kernel outlives its namespace; there is nobody to tell while dropping.
            let _ = reap(&child, limit);
        }
    }

    fn adopt(&self, child: SharedChild) {
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        // A process whose `Process` is gone has been waited for.
        children.retain(|known| Arc::strong_count(known) > 1);
        children.push(child);
    }
}

/// A network namespace of a lab. A clone is another handle to the same one.
#[derive(Debug, Clone)]
pub struct Namespace(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    name: String,
    network: OwnedFd,
    env: Vec<(String, OsString)>,
    surroundings: Arc<Surroundings>,
}

impl Namespace {
    pub(crate) fn new(name: &str, network: OwnedFd, surroundings: Arc<Surroundings>) -> Self {
        Self(Arc::new(Inner { name: name.to_owned(), network, env: Vec::new(), surroundings }))
    }

    /// Makes a network namespace `name` in the same lab, with loopback up, whose commands see `env`.
    pub(crate) fn sibling(&self, name: &str, env: Vec<(String, OsString)>) -> Result<Self> {
        self.exec(["ip", "netns", "add", name])?;
        let path = PathBuf::from("/run/netns").join(name);
        let file = self.within(|| File::open(&path))?.map_err(|source| Error::File {
            step: "open",
            path,
            source,
        })?;
        let surroundings = Arc::clone(&self.0.surroundings);
        let made = Self(Arc::new(Inner { name: name.to_owned(), network: file.into(), env, surroundings }));
        // An address is usable at once: nobody else in a lab can have it (ip-sysctl, `accept_dad`).
        for (key, value) in [("default/accept_dad", "0"), ("all/accept_dad", "0")] {
            made.write(Path::new("/proc/sys/net/ipv6/conf").join(key), value)?;
        }
        made.exec(["ip", "link", "set", "lo", "up"])?;
        Ok(made)
    }

    /// Has the namespace's own IPv6 not listen on a device that is for a switch. The userspace datapath gets copies of what
    /// arrives, and so does the kernel (packet(7)): a guest that advertises itself as a router would change its host's routes, and while
    /// routes change, the switch drops what goes to a tunnel.
    pub(crate) fn hear_nothing_on(&self, device: &str) -> Result<()> {
        self.write(Path::new("/proc/sys/net/ipv6/conf").join(device).join("disable_ipv6"), "1")
    }

    /// Takes the namespace's name away. It goes when its last process and handle do.
    pub(crate) fn forget(&self, root: &Self) -> Result<()> {
        root.exec(["ip", "netns", "delete", self.name()]).map(drop)
    }

    /// The namespace's name, as `ip netns` inside the lab shows it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The folder of this namespace's files inside the lab.
    #[must_use]
    pub fn dir(&self) -> PathBuf {
        Path::new(LAB_DIR).join(self.name())
    }

    /// Where the output of a background program of this name goes.
    pub(crate) fn log_path(&self, name: &str) -> PathBuf {
        self.dir().join("log").join(format!("{name}.log"))
    }

    /// Runs a command to its end and gives its standard output.
    ///
    /// # Errors
    /// [`Error::Spawn`] if it does not start, [`Error::Failed`] if its exit status is not zero or it takes more than
    /// 90 seconds.
    pub fn exec<S: AsRef<OsStr>>(&self, argv: impl IntoIterator<Item = S>) -> Result<String> {
        self.exec_argv(&Argv::new(argv))
    }

    /// Runs a command to its end and gives what it said, also when it failed.
    ///
    /// # Errors
    /// [`Error::Spawn`] if it does not start.
    pub fn attempt<S: AsRef<OsStr>>(&self, argv: impl IntoIterator<Item = S>) -> Result<Output> {
        self.attempt_argv(&Argv::new(argv))
    }

    /// Runs command lines one after the other, up to the first that fails.
    pub(crate) fn shell<S: AsRef<str>>(&self, lines: impl IntoIterator<Item = S>) -> Result<()> {
        let lines: Vec<_> = lines.into_iter().map(|line| line.as_ref().to_owned()).collect();
        self.exec(["sh", "-ec", &lines.join("\n")]).map(drop)
    }

    /// Starts a program in the background. `name` names its log, to which a later program of that name appends.
    ///
    /// # Errors
    /// [`Error::Spawn`] if it does not start.
    pub fn spawn<S: AsRef<OsStr>>(&self, name: &str, argv: impl IntoIterator<Item = S>) -> Result<Process> {
        let argv = Argv::new(argv);
        let log = self.log_path(name);
        let spawned = self.within(|| -> io::Result<_> {
            fs::create_dir_all(self.dir().join("log"))?;
            let file = File::options().create(true).append(true).open(&log)?;
            let mut command = argv.command(&self.0.env);
            command.stdout(Stdio::from(file.try_clone()?)).stderr(Stdio::from(file)).spawn()
        })?;
        let child = spawned.map_err(|source| Error::Spawn { command: argv.to_string(), source })?;
        let child = Arc::new(Mutex::new(child));
        self.0.surroundings.adopt(Arc::clone(&child));
        Ok(Process::new(name, self.clone(), child, log))
    }

    /// Starts a program in the background whose output is a result: its log is its own.
    pub(crate) fn spawn_probe<S: AsRef<OsStr>>(
        &self,
        name: &str,
        argv: impl IntoIterator<Item = S>,
    ) -> Result<Process> {
        let serial = self.0.surroundings.serial.fetch_add(1, Ordering::Relaxed);
        self.spawn(&format!("{name}-{serial}"), argv)
    }

    /// Reads a file as the lab sees it.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn read(&self, path: impl AsRef<Path>) -> Result<String> {
        let path = path.as_ref();
        let bytes = self.within(|| fs::read(path))?;
        let bytes = bytes.map_err(|source| Error::File { step: "read", path: path.to_owned(), source })?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Writes a file as the lab sees it, with the folders above it.
    ///
    /// # Errors
    /// [`Error::File`].
    pub fn write(&self, path: impl AsRef<Path>, content: impl AsRef<[u8]> + Sync) -> Result<()> {
        let path = path.as_ref();
        let written = self.within(|| {
            // Folders of the kernel's file systems are there, and cannot be made.
            path.parent().filter(|folder| !folder.exists()).map_or(Ok(()), fs::create_dir_all)?;
            fs::write(path, content.as_ref())
        })?;
        written.map_err(|source| Error::File { step: "write", path: path.to_owned(), source })
    }

    /// Connects to a TCP address from within the namespace. What is written is sent at once: who relays for others must
    /// not keep half a request back until the first half is acknowledged (RFC 896).
    ///
    /// # Errors
    /// [`Error::Socket`] if nobody answers in time.
    pub fn connect(&self, address: SocketAddr, limit: Duration) -> Result<TcpStream> {
        let connected = self.within(|| TcpStream::connect_timeout(&address, limit))?;
        let at_once = connected.and_then(|stream| stream.set_nodelay(true).map(|()| stream));
        at_once.map_err(|source| Error::Socket { step: "connect", source })
    }

    /// Runs `work` on a thread that has entered the namespace: files it opens, sockets it makes and programs it starts
    /// are the lab's. It must not start threads (clone(2): EINVAL after entering a pid namespace).
    ///
    /// # Errors
    /// [`Error::Namespace`] if the lab has ended or the caller is not root.
    pub fn within<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T> {
        thread::scope(|scope| {
            let entered = scope.spawn(|| self.enter().map(|()| work()));
            entered.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    pub(crate) fn exec_argv(&self, argv: &Argv) -> Result<String> {
        let output = self.attempt_argv(argv)?;
        if output.success() {
            return Ok(output.stdout);
        }
        Err(Error::Failed { command: argv.to_string(), place: self.name().to_owned(), output })
    }

    pub(crate) fn attempt_argv(&self, argv: &Argv) -> Result<Output> {
        let bounded = argv.clone().behind(["timeout", COMMAND_KILL_AFTER, COMMAND_LIMIT]);
        let output = self.within(|| bounded.command(&self.0.env).output())?;
        output.map(Output::from).map_err(|source| Error::Spawn { command: argv.to_string(), source })
    }

    fn enter(&self) -> Result<()> {
        let refused = |step| move |error: nix::Error| Error::Namespace { step, source: error.into() };
        let around = &self.0.surroundings;
        // setns(2): a thread that shares its root and working folder with others cannot change its mounts.
        unshare(CloneFlags::CLONE_FS).map_err(refused("leave the folders of this process"))?;
        setns(&around.mounts, CloneFlags::CLONE_NEWNS).map_err(refused("enter the lab's mounts"))?;
        setns(&self.0.network, CloneFlags::CLONE_NEWNET).map_err(refused("enter a network namespace"))?;
        setns(&around.pids, CloneFlags::CLONE_NEWPID).map_err(refused("enter the lab's processes"))
    }
}
