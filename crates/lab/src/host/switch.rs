//! The Open vSwitch of a host: a database server and a switch with the userspace datapath.
//!
//! # The underlay
//! Native tunnelling of the userspace datapath needs the underlay's address on a bridge of that same datapath: `br-phy`
//! holds the uplink, and its local port the address. That port is a device of `ovs-vswitchd`, so it is looked after again
//! whenever a new one starts, as the network scripts of a host would do.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::command::Argv;
use crate::error::{Error, Result};
use crate::namespace::Namespace;
use crate::physical::Wire;
use crate::process::Process;
use crate::wait::wait_until;

/// The bridge that holds the uplink.
pub(crate) const PHYSICAL_BRIDGE: &str = "br-phy";
/// Where Debian's package puts the schema of the database.
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// Time that a daemon gets to answer after its start.
const START_LIMIT: Duration = Duration::from_secs(20);
/// Messages go to the log at this level: `info` is the default of Open vSwitch.
const LOG_LEVEL: [&str; 2] = ["-vconsole:info", "-vsyslog:off"];

/// An Open vSwitch.
#[derive(Debug)]
pub struct Switch {
    namespace: Namespace,
    underlay_addresses: [String; 2],
    // `ovs-vswitchd` drops before the database it reads.
    daemon: Mutex<Option<Process>>,
    _database: Process,
}

impl Switch {
    /// Starts a database and a switch, with the underlay ready.
    pub(crate) fn start(namespace: &Namespace, underlay_addresses: [String; 2], mtu: u16) -> Result<Self> {
        let database = start_database(namespace)?;
        let switch = Self {
            namespace: namespace.clone(),
            underlay_addresses,
            daemon: Mutex::default(),
            _database: database,
        };
        let name = namespace.name();
        switch.vsctl([
            "--no-wait",
            "init",
            "--",
            "set",
            "open_vswitch",
            ".",
            &format!("external_ids:hostname={name}"),
        ])?;
        switch.start_vswitchd_daemon()?;
        let uplink = Wire::Underlay.device();
        let (bridge, mtu) = (PHYSICAL_BRIDGE, format!("mtu_request={mtu}"));
        let add_bridge = ["add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev"];
        let add_uplink = ["--", "add-port", bridge, uplink, "--", "set", "interface", bridge, &mtu];
        switch.vsctl(add_bridge.into_iter().chain(add_uplink))?;
        switch.address_underlay()?;
        Ok(switch)
    }

    /// Ends `ovs-vswitchd` as a crash would (SIGKILL). With the userspace datapath nothing is forwarded then.
    pub fn kill_vswitchd(&self) {
        self.daemon().take();
    }

    /// Ends `ovs-vswitchd` in order (SIGTERM).
    ///
    /// # Errors
    /// [`Error::TimedOut`] if it does not end.
    pub fn stop_vswitchd(&self) -> Result<()> {
        self.daemon().take().map_or(Ok(()), |daemon| daemon.terminate().map(drop))
    }

    /// Starts `ovs-vswitchd` again, after it was killed or stopped, and waits until it answers.
    ///
    /// # Errors
    /// [`Error::TimedOut`] or [`Error::Answer`] if it does not come up, [`Error::Request`] if it runs already.
    pub fn start_vswitchd(&self) -> Result<()> {
        self.start_vswitchd_daemon()?;
        self.address_underlay()
    }

    /// Kills `ovs-vswitchd` and starts it again.
    ///
    /// # Errors
    /// As [`start_vswitchd`](Self::start_vswitchd).
    pub fn restart_vswitchd(&self) -> Result<()> {
        self.kill_vswitchd();
        self.start_vswitchd()
    }

    /// Where the database listens, as `unix:` and a path inside the lab.
    #[must_use]
    pub fn database(&self) -> String {
        format!("unix:{}", run_dir(&self.namespace).join("db.sock").display())
    }

    pub(crate) fn vsctl<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        self.run(&["ovs-vsctl", "--timeout=10"], args)
    }

    pub(crate) fn ofctl<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        self.run(&["ovs-ofctl", "--timeout=10", "-O", "OpenFlow15"], args)
    }

    pub(crate) fn appctl<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        self.run(&["ovs-appctl", "--timeout=10"], args)
    }

    fn run<S: AsRef<OsStr>>(&self, program: &[&str], args: impl IntoIterator<Item = S>) -> Result<String> {
        self.namespace.exec_argv(&Argv::new(args).behind(program))
    }

    fn start_vswitchd_daemon(&self) -> Result<()> {
        let mut slot = self.daemon();
        if slot.as_ref().is_some_and(Process::is_running) {
            return Err(Error::Request("ovs-vswitchd runs already".to_owned()));
        }
        let database = self.database();
        let mut argv = vec!["ovs-vswitchd", &database, "--pidfile", "--disable-system"];
        argv.extend(LOG_LEVEL);
        let daemon = slot.insert(self.namespace.spawn("ovs-vswitchd", argv)?);
        wait_until(format!("ovs-vswitchd of {}", self.namespace.name()), START_LIMIT, || {
            if !daemon.is_running() {
                return Err(daemon.complaint("it has ended").to_string());
            }
            self.appctl(["version"]).map_err(|error| error.to_string())
        })
        .map(drop)
    }

    /// Gives the local port of `br-phy` its addresses, and waits until the datapath can tunnel from them.
    fn address_underlay(&self) -> Result<()> {
        let bridge = PHYSICAL_BRIDGE;
        // A new `ovs-vswitchd` has set its bridges up when a change of its database is done.
        self.vsctl(["add", "bridge", bridge, "external_ids", "lab-underlay=ready"])?;
        let [ipv4, ipv6] = &self.underlay_addresses;
        self.namespace.shell([
            format!("ip address replace {ipv4} dev {bridge}"),
            format!("ip address replace {ipv6} dev {bridge} nodad"),
            format!("ethtool -K {bridge} tx off"),
            format!("ip link set dev {bridge} up"),
        ])?;
        wait_until(format!("routes of {}", self.namespace.name()), START_LIMIT, || {
            let routes = self.appctl(["ovs/route/show"]).map_err(|error| error.to_string())?;
            let known = |address: &String| address.split('/').next().is_some_and(|ip| routes.contains(ip));
            if self.underlay_addresses.iter().all(known) { Ok(()) } else { Err(routes) }
        })
    }

    fn daemon(&self) -> MutexGuard<'_, Option<Process>> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn run_dir(namespace: &Namespace) -> PathBuf {
    namespace.dir().join("openvswitch")
}

fn start_database(namespace: &Namespace) -> Result<Process> {
    let folder = run_dir(namespace);
    let (file, socket) = (folder.join("conf.db"), folder.join("db.sock"));
    namespace.exec([OsStr::new("mkdir"), OsStr::new("-p"), folder.as_os_str()])?;
    namespace.exec([OsStr::new("ovsdb-tool"), OsStr::new("create"), file.as_os_str(), OsStr::new(SCHEMA)])?;
    let remote = format!("--remote=punix:{}", socket.display());
    let file = file.display().to_string();
    let mut argv = vec!["ovsdb-server", &file, &remote, "--pidfile"];
    argv.extend(LOG_LEVEL);
    let server = namespace.spawn("ovsdb-server", argv)?;
    wait_until(format!("ovsdb-server of {}", namespace.name()), START_LIMIT, || {
        if !server.is_running() {
            return Err(server.complaint("it has ended").to_string());
        }
        let listening = namespace.within(|| socket.exists()).map_err(|error| error.to_string())?;
        if listening { Ok(()) } else { Err("no socket yet".to_owned()) }
    })?;
    Ok(server)
}
