//! Installs what labs run on: Open vSwitch and the tools of a network engineer.
//!
//! Nothing is configured. Labs start daemons of their own and leave those of the system alone.

use std::env;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::run::{command, run};

/// A program, and the Debian package that has it.
pub(crate) type Needed = (&'static str, &'static str);

/// What labs run.
const NEEDED: [Needed; 17] = [
    ("arping", "iputils-arping"),
    ("bash", "bash"),
    ("curl", "curl"),
    ("dhclient", "isc-dhcp-client"),
    ("dig", "bind9-dnsutils"),
    ("ethtool", "ethtool"),
    ("ip", "iproute2"),
    ("iperf3", "iperf3"),
    ("ovs-vsctl", "openvswitch-common"),
    ("ovs-vswitchd", "openvswitch-switch"),
    ("ovsdb-server", "openvswitch-switch"),
    ("ping", "iputils-ping"),
    ("stdbuf", "coreutils"),
    ("tcpdump", "tcpdump"),
    ("tracepath", "iputils-tracepath"),
    ("traceroute", "traceroute"),
    ("udhcpc", "udhcpc"),
];

/// Folders of programs beside those of the caller's path, which for an ordinary user lacks the administrator's.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/sbin", "/sbin", "/usr/local/sbin"];

/// Installs the packages of labs that are missing.
pub(crate) fn setup() -> anyhow::Result<()> {
    install(&NEEDED)
}

/// Installs the packages that are missing.
pub(crate) fn install(needed: &[Needed]) -> anyhow::Result<()> {
    let missing = missing_packages(needed);
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("missing: {}", missing.join(" "));
    if find("apt-get").is_none() {
        bail!("there is no apt-get here: install what these Debian packages hold, then try again");
    }
    let apt = |args: &[&str]| {
        let quiet = ["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "--quiet"];
        let words: Vec<&str> = privilege().into_iter().chain(quiet).chain(args.iter().copied()).collect();
        run(command(words[0], &words[1..]))
    };
    apt(&["update"])?;
    let install = ["install", "--yes", "--no-install-recommends"];
    apt(&install.into_iter().chain(missing.iter().copied()).collect::<Vec<_>>())?;
    match missing_packages(needed) {
        left if left.is_empty() => Ok(()),
        left => bail!("still missing: {}", left.join(" ")),
    }
}

/// Whether this process is root's.
pub(crate) fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|process| process.uid() == 0)
}

/// What stands before a command that needs root.
fn privilege() -> Option<&'static str> {
    (!is_root()).then_some("sudo")
}

fn missing_packages(needed: &[Needed]) -> Vec<&'static str> {
    let missing = needed.iter().filter(|(program, _)| find(program).is_none());
    let mut packages: Vec<_> = missing.map(|(_, package)| *package).collect();
    packages.sort_unstable();
    packages.dedup();
    packages
}

fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(SYSTEM_FOLDERS.map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|program| Path::is_file(program))
}
