//! The first process of a lab, which everything else in it dies with.
//!
//! # Nothing is left behind
//! A lab lives in a pid, a mount and a network namespace of its own. Its first process only reads from a pipe whose other
//! end this process alone holds open. However this process ends (return, panic, Ctrl-C, SIGKILL), the kernel closes the
//! pipe, the reader comes to its end, and the kernel kills whatever else runs in its pid namespace (pid_namespaces(7)). With
//! the last process go the network namespaces, the devices and the mounted file systems: no name of a lab ever stood in
//! the caller's own namespaces, so there is none to be removed.
//!
//! A pipe and not PR_SET_PDEATHSIG: that signal comes when the *thread* that forked ends, and tests are threads.

use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::os::fd::OwnedFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

use crate::error::{Error, Result};
use crate::namespace::{LAB_DIR, Namespace, Surroundings};
use crate::process::{SharedChild, reap};

/// What the first process does. It is `bash` because that waits for the orphans it inherits while it reads.
const FIRST_PROCESS: &str = "mount -t proc proc /proc && mkdir -p \"$0\" && echo ready && read -r _";
/// Size of the lab's own file system: logs and databases of dozens of hosts.
const FILES_SIZE: &str = "size=512m,mode=755";
/// Time that the kernel gets to end everything in a lab.
const END_LIMIT: Duration = Duration::from_secs(10);

/// The guard of a lab's first process: dropping it ends all that runs in the lab, and waits until it has ended.
#[derive(Debug)]
pub(crate) struct Holder {
    first: SharedChild,
    surroundings: Arc<Surroundings>,
    root: Namespace,
}

impl Holder {
    /// Makes the namespaces and starts their first process.
    pub(crate) fn start() -> Result<Self> {
        // A thread of its own, because unshare(2) changes the calling thread for good.
        let started = thread::spawn(start_first_process).join();
        let mut first = started.unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        await_ready(&mut first)?;
        let open = |kind: &str| -> Result<OwnedFd> {
            let file = File::open(format!("/proc/{}/ns/{kind}", first.id()));
            file.map(OwnedFd::from).map_err(refused("open a namespace of the lab"))
        };
        let surroundings = Arc::new(Surroundings::new(open("mnt")?, open("pid")?));
        let root = Namespace::new("physical", open("net")?, Arc::clone(&surroundings));
        Ok(Self { first: Arc::new(Mutex::new(first)), surroundings, root })
    }

    /// The lab's own network namespace, in which the physical network lies.
    pub(crate) fn root(&self) -> &Namespace {
        &self.root
    }

    /// The first process's id as the caller sees it.
    pub(crate) fn pid(&self) -> u32 {
        self.first.lock().map_or(0, |first| first.id())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        if let Ok(mut first) = self.first.lock() {
            // It is gone already if this fails, which is what was wanted.
            let _ = first.kill();
        }
        // The first process cannot end before the others are waited for: theirs is the namespace that ends with it.
        self.surroundings.reap_all(END_LIMIT);
        if let Err(error) = reap(&self.first, END_LIMIT) {
            eprintln!("lab: {error}");
        }
    }
}

fn start_first_process() -> Result<Child> {
    unshare(CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWPID)
        .map_err(|error| refused("make the lab's namespaces")(error.into()))?;
    make_mounts().map_err(|error| refused("make the lab's mounts")(error.into()))?;
    let mut command = Command::new("bash");
    command
        .args(["-c", FIRST_PROCESS, LAB_DIR])
        .process_group(0)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped());
    command.spawn().map_err(|source| Error::Spawn { command: "bash".to_owned(), source })
}

/// Makes mounts of the lab invisible to the caller, and covers `/run`, where sockets and names of namespaces lie.
fn make_mounts() -> nix::Result<()> {
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
    mount(Some("lab"), "/run", Some("tmpfs"), MsFlags::MS_NOSUID | MsFlags::MS_NODEV, Some(FILES_SIZE))
}

fn await_ready(first: &mut Child) -> Result<()> {
    let mut line = String::new();
    if let Some(stdout) = first.stdout.take() {
        BufReader::new(stdout).read_line(&mut line).map_err(refused("hear from the lab's first process"))?;
    }
    match line.trim() {
        "ready" => Ok(()),
        _ => Err(refused("mount the lab's process file system")(io::ErrorKind::PermissionDenied.into())),
    }
}

fn refused(step: &'static str) -> impl Fn(io::Error) -> Error {
    move |source| Error::Namespace { step, source }
}
