//! The Open vSwitch of a host: a database server and a switch with the userspace datapath.
//!
//! # The underlay
//! Native tunnelling of the userspace datapath needs the underlay's address on a bridge of that same datapath: `br-phy`
//! holds the uplink, and its local port the address. That port is a device of `ovs-vswitchd`, so it is looked after again
//! whenever a new one starts, as the network scripts of a host would do. A second underlay has a bridge of its own.

use std::ffi::OsStr;
use std::path::PathBuf;
use std::time::Duration;

use crate::command::Argv;
use crate::error::Result;
use crate::namespace::Namespace;
use crate::physical::Wire;
use crate::service::Service;
use crate::wait::wait_until;

/// Where Debian's package puts the schema of the database.
const SCHEMA: &str = "/usr/share/openvswitch/vswitch.ovsschema";
/// Time that `br-phy` gets to appear, and the datapath to see its addresses.
const UNDERLAY_LIMIT: Duration = Duration::from_secs(20);
/// Messages go to the log at this level: `info` is the default of Open vSwitch.
const LOG_LEVEL: [&str; 2] = ["-vconsole:info", "-vsyslog:off"];

/// What carries packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Datapath {
    /// The datapath in `ovs-vswitchd` itself, which needs no kernel module.
    Userspace,
    /// Nothing: every port of every bridge is a dummy. The underlay's address is on the uplink, where an agent looks for it.
    Dummy,
}

impl Datapath {
    /// Flags of `ovs-vswitchd` (dummy: its developers' documentation, "Testing").
    fn flags(self) -> &'static [&'static str] {
        match self {
            Self::Userspace => &["--disable-system"],
            Self::Dummy => &["--disable-system", "--enable-dummy=override"],
        }
    }
}

/// An underlay that a host is on.
#[derive(Debug, Clone)]
pub(crate) struct Uplink {
    /// The bridge that holds the device.
    pub(crate) bridge: &'static str,
    /// The wire it is plugged into.
    pub(crate) wire: Wire,
    /// The host's addresses, IPv4 and IPv6, with the lengths of their prefixes.
    pub(crate) addresses: [String; 2],
}

/// An Open vSwitch.
#[derive(Debug)]
pub struct Switch {
    namespace: Namespace,
    datapath: Datapath,
    uplinks: Vec<Uplink>,
    // Fields drop in order: `ovs-vswitchd` ends before the database it reads.
    vswitchd: Service,
    database: Service,
}

impl Switch {
    /// Starts a database and a switch, with its underlays ready.
    pub(crate) fn start(
        namespace: &Namespace,
        uplinks: Vec<Uplink>,
        mtu: u16,
        datapath: Datapath,
    ) -> Result<Self> {
        let [vswitchd, database] = ["ovs-vswitchd", "ovsdb-server"].map(|name| Service::new(name, namespace));
        let namespace = namespace.clone();
        let switch = Self { namespace, datapath, uplinks, vswitchd, database };
        switch.create_database()?;
        switch.start_database()?;
        let hostname = format!("external_ids:hostname={}", switch.namespace.name());
        switch.vsctl(["--no-wait", "init", "--", "set", "open_vswitch", ".", &hostname])?;
        switch.launch_vswitchd()?;
        if datapath == Datapath::Userspace {
            switch.uplinks.iter().try_for_each(|uplink| switch.add_physical_bridge(uplink, mtu))?;
        }
        switch.address_underlays()?;
        Ok(switch)
    }

    fn add_physical_bridge(&self, uplink: &Uplink, mtu: u16) -> Result<()> {
        let (bridge, uplink, mtu) = (uplink.bridge, uplink.wire.device(), format!("mtu_request={mtu}"));
        let add_bridge = ["add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev"];
        let add_uplink = ["--", "add-port", bridge, uplink, "--", "set", "interface", bridge, &mtu];
        self.vsctl(add_bridge.into_iter().chain(add_uplink)).map(drop)
    }

    /// `ovs-vswitchd`, to be killed, stopped or paused. With the userspace datapath, nothing is forwarded without it.
    #[must_use]
    pub fn vswitchd(&self) -> &Service {
        &self.vswitchd
    }

    /// `ovsdb-server`, to be killed, stopped or paused.
    #[must_use]
    pub fn database(&self) -> &Service {
        &self.database
    }

    /// Starts `ovs-vswitchd` again, after it was killed or stopped, and waits until it has its underlay.
    ///
    /// # Errors
    /// [`crate::Error::TimedOut`] or [`crate::Error::Answer`] if it does not come up, [`crate::Error::Request`] if it
    /// runs already.
    pub fn start_vswitchd(&self) -> Result<()> {
        self.launch_vswitchd()?;
        self.address_underlays()
    }

    /// Kills `ovs-vswitchd` and starts it again.
    ///
    /// # Errors
    /// As [`start_vswitchd`](Self::start_vswitchd).
    pub fn restart_vswitchd(&self) -> Result<()> {
        self.vswitchd.kill();
        self.start_vswitchd()
    }

    /// Starts `ovsdb-server` again, after it was killed or stopped.
    ///
    /// # Errors
    /// As [`start_vswitchd`](Self::start_vswitchd).
    pub fn start_database(&self) -> Result<()> {
        let folder = self.folder();
        let remote = format!("--remote=punix:{}", folder.join("db.sock").display());
        let socket = self.database_socket();
        let file = folder.join("conf.db").display().to_string();
        let argv = ["ovsdb-server", &file, &remote, "--pidfile"].into_iter().chain(LOG_LEVEL);
        // ovsdb-client(1): names the databases of a server that answers.
        self.database
            .launch(argv, || self.namespace.exec(["ovsdb-client", "--timeout=1", "list-dbs", &socket]))
    }

    /// Where the database listens, as `unix:` and a path inside the lab.
    #[must_use]
    pub fn database_socket(&self) -> String {
        format!("unix:{}", self.folder().join("db.sock").display())
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

    fn create_database(&self) -> Result<()> {
        let folder = self.folder().display().to_string();
        self.namespace.exec(["mkdir", "-p", &folder])?;
        self.namespace.exec(["ovsdb-tool", "create", &format!("{folder}/conf.db"), SCHEMA]).map(drop)
    }

    fn launch_vswitchd(&self) -> Result<()> {
        let socket = self.database_socket();
        let flags = self.datapath.flags().iter().copied().chain(LOG_LEVEL);
        let argv = ["ovs-vswitchd", &socket, "--pidfile"].into_iter().chain(flags);
        self.vswitchd.launch(argv, || self.appctl(["version"]))
    }

    fn address_underlays(&self) -> Result<()> {
        self.uplinks.iter().try_for_each(|uplink| self.address_underlay(uplink))
    }

    /// Gives the local port of an uplink's bridge its addresses, and waits until the datapath can tunnel from them.
    fn address_underlay(&self, uplink: &Uplink) -> Result<()> {
        if self.datapath == Datapath::Dummy {
            let device = uplink.wire.device();
            let replace = |address| format!("ip address replace {address} dev {device} nodad");
            return self.namespace.shell(uplink.addresses.iter().map(replace));
        }
        let (bridge, [ipv4, ipv6]) = (uplink.bridge, &uplink.addresses);
        let commands = [
            format!("ip address replace {ipv4} dev {bridge}"),
            format!("ip address replace {ipv6} dev {bridge} nodad"),
            format!("ethtool -K {bridge} tx off"),
            format!("ip link set dev {bridge} up"),
        ];
        // A new `ovs-vswitchd` answers before it has made its devices.
        wait_until(format!("{bridge} of {}", self.namespace.name()), UNDERLAY_LIMIT, || {
            self.namespace.shell(&commands)
        })?;
        wait_until(format!("routes of {}", self.namespace.name()), UNDERLAY_LIMIT, || {
            let routes = self.appctl(["ovs/route/show"]).map_err(|error| error.to_string())?;
            let known = |address: &String| address.split('/').next().is_some_and(|ip| routes.contains(ip));
            if uplink.addresses.iter().all(known) { Ok(()) } else { Err(routes) }
        })
    }

    fn folder(&self) -> PathBuf {
        self.namespace.dir().join("openvswitch")
    }
}
