//! A whole lab: its physical network, its hosts and a place for its manager.

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::thread;

use ipnet::IpNet;
use topology::datapath::Encapsulation;

use crate::error::{Error, Result};
use crate::holder::Holder;
use crate::host::{Datapath, Host, MAX_HOSTS};
use crate::manager::Manager;
use crate::matrix::Family;
use crate::namespace::{LAB_DIR, Namespace};
use crate::parallel::in_parallel;
use crate::physical::{ORDINARY_MTU, Wire};
use crate::station::Station;

/// Names a folder to which the lab's files (logs, databases, state) are copied when it ends.
const KEEP_LOGS_VARIABLE: &str = "LAB_KEEP_LOGS";

/// What a lab shall be made of.
#[derive(Debug, Clone)]
pub struct Builder {
    hosts: u8,
    pub(crate) underlays: usize,
    pub(crate) underlay_mtu: u16,
    pub(crate) underlay_family: Family,
    encapsulation: Encapsulation,
    exceptions: BTreeMap<usize, Encapsulation>,
    pub(crate) datapath: Datapath,
}

impl Builder {
    /// Sets the number of hypervisor hosts; one, unless told.
    #[must_use]
    pub fn hosts(mut self, hosts: u8) -> Self {
        self.hosts = hosts;
        self
    }

    /// Sets the number of underlays, wires of their own between the same hosts: one, unless told, and two at most. Agents are
    /// told an address on each.
    #[must_use]
    pub fn underlays(mut self, underlays: usize) -> Self {
        self.underlays = underlays.clamp(1, 2);
        self
    }

    /// Sets the largest IP packet that the underlays carry, in bytes; 1,500, unless told.
    #[must_use]
    pub fn underlay_mtu(mut self, bytes: u16) -> Self {
        self.underlay_mtu = bytes;
        self
    }

    /// Sets the kind of address that agents are told to tunnel from; IPv4, unless told. Hosts have both.
    #[must_use]
    pub fn underlay_family(mut self, family: Family) -> Self {
        self.underlay_family = family;
        self
    }

    /// Sets the encapsulation that agents are told to use; Geneve, unless told.
    #[must_use]
    pub fn encapsulation(mut self, encapsulation: Encapsulation) -> Self {
        self.encapsulation = encapsulation;
        self
    }

    /// Sets the encapsulation that the agent of one host, counted from zero, is told to use.
    #[must_use]
    pub fn encapsulation_of(mut self, host: usize, encapsulation: Encapsulation) -> Self {
        self.exceptions.insert(host, encapsulation);
        self
    }

    /// Gives hosts switches without packets: every port can be made out of nothing, so that thousands of them are no more
    /// than rows and flows. Guests cannot be plugged in.
    #[must_use]
    pub fn without_packets(mut self) -> Self {
        self.datapath = Datapath::Dummy;
        self
    }

    /// What host `number`, counted from one, sends with.
    pub(crate) fn encapsulation_from(&self, number: u8) -> Encapsulation {
        let exception = usize::from(number).checked_sub(1).and_then(|index| self.exceptions.get(&index));
        exception.copied().unwrap_or(self.encapsulation)
    }

    /// Makes the lab: every host's Open vSwitch runs and reaches the others; no manager and no agent runs yet.
    ///
    /// # Errors
    /// [`Error::Namespace`] if the caller is not root, [`Error::Spawn`] if a tool is missing.
    pub fn start(self) -> Result<Lab> {
        if self.hosts > MAX_HOSTS {
            return Err(Error::Request(format!("a lab has at most {MAX_HOSTS} hosts")));
        }
        let holder = Holder::start()?;
        let root = holder.root().clone();
        // The wires carry frames and are nobody's neighbour.
        root.write("/proc/sys/net/ipv6/conf/all/disable_ipv6", "1")?;
        root.write("/proc/sys/net/ipv6/conf/default/disable_ipv6", "1")?;
        let mut underlays = [Wire::Underlay, Wire::SecondUnderlay].into_iter().take(self.underlays);
        underlays.try_for_each(|wire| wire.lay(&root, self.underlay_mtu))?;
        Wire::Management.lay(&root, ORDINARY_MTU)?;
        Wire::Outside.lay(&root, ORDINARY_MTU)?;
        let manager = Manager::place(&root)?;
        let hosts = self.start_hosts(&root)?;
        Ok(Lab { hosts, manager, keeper: LogKeeper { root }, holder })
    }

    /// Starts all hosts at once: most of their time is waiting for daemons.
    fn start_hosts(&self, root: &Namespace) -> Result<Vec<Host>> {
        let start = |number| Host::start(root, number, self);
        in_parallel(1..=self.hosts, start).into_iter().collect()
    }
}

/// A running lab. Dropping it ends everything in it; if its owner is killed, the kernel does the same.
#[derive(Debug)]
pub struct Lab {
    // Fields drop in order: daemons end, then logs are kept, then the lab ends.
    hosts: Vec<Host>,
    manager: Manager,
    keeper: LogKeeper,
    holder: Holder,
}

impl Lab {
    /// A lab of one host, to be described further.
    #[must_use]
    pub fn builder() -> Builder {
        Builder {
            hosts: 1,
            underlays: 1,
            underlay_mtu: ORDINARY_MTU,
            underlay_family: Family::V4,
            encapsulation: Encapsulation::default(),
            exceptions: BTreeMap::new(),
            datapath: Datapath::Userspace,
        }
    }

    /// A host, counted from zero; host 0 is named `host1`.
    ///
    /// # Panics
    /// If the lab has no such host: the test is wrong then.
    #[must_use]
    pub fn host(&self, index: usize) -> &Host {
        self.hosts.get(index).expect("the lab was built with that many hosts")
    }

    /// All hosts, in order.
    #[must_use]
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The manager's place.
    #[must_use]
    pub fn manager(&self) -> &Manager {
        &self.manager
    }

    /// Adds a machine that no hypervisor runs: a bare-metal server on the network that hosts reach through their NIC
    /// `outside`. Its name is unique in the lab and at most 13 characters long.
    ///
    /// # Errors
    /// As [`Namespace::exec`].
    pub fn add_server(&self, name: &str, addresses: &[IpNet]) -> Result<Station> {
        self.add_machine(Wire::Outside, name, addresses)
    }

    /// Adds a machine on the underlay that is no host, as if somebody had found a free socket: it reaches every host's
    /// tunnel address. Else as [`add_server`](Self::add_server).
    ///
    /// # Errors
    /// As [`Namespace::exec`].
    pub fn add_stranger(&self, name: &str, addresses: &[IpNet]) -> Result<Station> {
        self.add_machine(Wire::Underlay, name, addresses)
    }

    fn add_machine(&self, wire: Wire, name: &str, addresses: &[IpNet]) -> Result<Station> {
        let (port, root) = (wire.port(name), &self.keeper.root);
        let machine = Station::create(root, name, &port, Station::mac_for(name), ORDINARY_MTU)?;
        machine.set_addresses(addresses)?;
        root.exec(["ip", "link", "set", "dev", &port, "up", "master", wire.device()])?;
        Ok(machine)
    }

    /// The namespace of the physical network, where the wires `uplink`, `management` and `outside` lie, and `second` if there is one.
    #[must_use]
    pub fn physical(&self) -> &Namespace {
        &self.keeper.root
    }

    /// The id of the lab's first process, for whoever wants to look inside: `nsenter --all --target ID`.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.holder.pid()
    }

    /// Starts the manager, joins every host and starts its agent.
    ///
    /// # Errors
    /// As [`Manager::start`], [`crate::Agent::join`] and [`crate::Agent::start`].
    pub fn start_control_plane(&self) -> Result<()> {
        self.manager.start()?;
        let manager = self.manager.sync_url();
        let start = |host: &Host| {
            host.vna().join(&manager, &self.manager.join_token(host.name())?)?;
            host.vna().start(&manager)
        };
        in_parallel(&self.hosts, start).into_iter().collect()
    }
}

/// Copies the lab's files out when it ends, if the environment asks for it.
#[derive(Debug)]
struct LogKeeper {
    root: Namespace,
}

impl Drop for LogKeeper {
    fn drop(&mut self) {
        let Some(folder) = env::var_os(KEEP_LOGS_VARIABLE) else { return };
        if let Err(error) = self.keep(&folder) {
            eprintln!("lab: cannot keep the logs: {error}");
        }
    }
}

impl LogKeeper {
    /// One folder per lab, named after the test (which is the name of its thread) and the process.
    fn keep(&self, folder: &OsStr) -> Result<()> {
        let thread = thread::current();
        let name = format!("{}-{}", thread.name().unwrap_or("lab").replace("::", "-"), std::process::id());
        let mut target = OsString::from(folder);
        target.push(format!("/{name}"));
        self.root.exec([OsStr::new("mkdir"), OsStr::new("-p"), &target])?;
        self.root
            .exec([OsStr::new("cp"), OsStr::new("-r"), OsStr::new(&format!("{LAB_DIR}/.")), &target])
            .map(drop)
    }
}
