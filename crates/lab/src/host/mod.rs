//! A hypervisor host: a network namespace with an Open vSwitch of its own and an agent, and three NICs: `uplink` carries
//! tunnels (with a second underlay `second` does, too), `management` has an address for the agent, and `outside` is free, for
//! an edge to a physical network.

mod agent;
mod switch;

pub use agent::Agent;
pub(crate) use agent::INTEGRATION_BRIDGE;
pub(crate) use switch::Datapath;
pub use switch::Switch;
use switch::Uplink;

use std::ffi::{OsStr, OsString};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::ops::Deref;

use crate::error::Result;
use crate::guest::{Guest, GuestSpec};
use crate::lab::Builder;
use crate::matrix::Family;
use crate::namespace::{LAB_DIR, Namespace};
use crate::physical::{Cable, ORDINARY_MTU, Wire};

/// Most hosts in a lab: each is an Open vSwitch of about 30 MB, and addresses end in the host's number.
pub const MAX_HOSTS: u8 = 200;

/// The address of host `number` (counted from one) on the underlay (192.0.2.0/24, RFC 5737).
fn underlay_ipv4(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(192, 0, 2, number)
}

/// The address of host `number` on the underlay (2001:db8:0:2::/64, RFC 3849).
fn underlay_ipv6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 2, 0, 0, 0, u16::from(number))
}

/// The address of host `number` on the second underlay (203.0.113.0/24, RFC 5737).
fn second_ipv4(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(203, 0, 113, number)
}

/// The address of host `number` on the second underlay (2001:db8:0:3::/64, RFC 3849).
fn second_ipv6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 3, 0, 0, 0, u16::from(number))
}

/// The address of host `number` on the management network (198.51.100.0/24, RFC 5737).
fn management_ipv4(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, number)
}

/// A hypervisor host. It is a [`Namespace`] too: commands run in it see the host's own Open vSwitch.
#[derive(Debug)]
pub struct Host {
    number: u8,
    namespace: Namespace,
    root: Namespace,
    // Fields drop in order: an agent ends before its switch.
    agent: Agent,
    switch: Switch,
    underlays: Vec<Cable>,
    management: Cable,
    outside: Cable,
}

impl Host {
    /// Sets up host `number`, with its switch running and its underlay address usable.
    pub(crate) fn start(root: &Namespace, number: u8, plan: &Builder) -> Result<Self> {
        let mtu = plan.underlay_mtu;
        let name = format!("host{number}");
        let namespace = root.sibling(&name, switch_environment(&name))?;
        // The NIC of an underlay has none of the host's addresses, and is not to answer for the bridge that does (ip-sysctl,
        // `arp_ignore`): tunnels would be sent to it.
        namespace.write("/proc/sys/net/ipv4/conf/all/arp_ignore", "1")?;
        let uplinks = uplinks(number, plan.underlays);
        let plug = |uplink: &Uplink| Cable::plug(root, uplink.wire, &name, &namespace, mtu);
        let underlays = uplinks.iter().map(plug).collect::<Result<_>>()?;
        let management = Cable::plug(root, Wire::Management, &name, &namespace, ORDINARY_MTU)?;
        let outside = Cable::plug(root, Wire::Outside, &name, &namespace, ORDINARY_MTU)?;
        let device = Wire::Management.device();
        namespace.shell([format!("ip address add {}/24 dev {device}", management_ipv4(number))])?;
        let switch = Switch::start(&namespace, uplinks, mtu, plan.datapath)?;
        let addresses: [IpAddr; 2] = match plan.underlay_family {
            Family::V4 => [underlay_ipv4(number).into(), second_ipv4(number).into()],
            Family::V6 => [underlay_ipv6(number).into(), second_ipv6(number).into()],
        };
        let addresses = addresses.into_iter().take(plan.underlays).collect();
        let agent = Agent::new(&namespace, addresses, plan.encapsulation_from(number));
        Ok(Self { number, namespace, root: root.clone(), agent, switch, underlays, management, outside })
    }

    /// The IPv4 address that other hosts tunnel to.
    #[must_use]
    pub fn underlay_ip(&self) -> IpAddr {
        underlay_ipv4(self.number).into()
    }

    /// The IPv6 address that other hosts tunnel to.
    #[must_use]
    pub fn underlay_ipv6(&self) -> IpAddr {
        underlay_ipv6(self.number).into()
    }

    /// The IPv4 address on the second underlay, in a lab that has one.
    #[must_use]
    pub fn second_underlay_ip(&self) -> IpAddr {
        second_ipv4(self.number).into()
    }

    /// Every address that other hosts may tunnel to, whichever of them the agent tells.
    #[must_use]
    pub fn underlay_addresses(&self) -> Vec<IpAddr> {
        let number = self.number;
        let all: [[IpAddr; 2]; 2] = [
            [underlay_ipv4(number).into(), underlay_ipv6(number).into()],
            [second_ipv4(number).into(), second_ipv6(number).into()],
        ];
        all.into_iter().take(self.underlays.len()).flatten().collect()
    }

    /// The address on the management network.
    #[must_use]
    pub fn management_ip(&self) -> IpAddr {
        management_ipv4(self.number).into()
    }

    /// The host's Open vSwitch.
    #[must_use]
    pub fn switch(&self) -> &Switch {
        &self.switch
    }

    /// The host's agent.
    #[must_use]
    pub fn vna(&self) -> &Agent {
        &self.agent
    }

    /// Runs `ovs-vsctl` against the host's database, for at most ten seconds.
    ///
    /// # Errors
    /// As [`Namespace::exec`].
    pub fn ovs_vsctl<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        self.switch.vsctl(args)
    }

    /// Runs `ovs-ofctl` with OpenFlow 1.5 against the host's bridges.
    ///
    /// # Errors
    /// As [`Namespace::exec`].
    pub fn ovs_ofctl<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        self.switch.ofctl(args)
    }

    /// Runs `ovs-appctl` against the host's `ovs-vswitchd`.
    ///
    /// # Errors
    /// As [`Namespace::exec`].
    pub fn ovs_appctl<S: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = S>) -> Result<String> {
        self.switch.appctl(args)
    }

    /// Makes a guest and plugs it into this host.
    ///
    /// # Errors
    /// If its name is taken, its port's name is too long, or the host has no integration bridge.
    pub fn add_guest(&self, spec: GuestSpec) -> Result<Guest> {
        Guest::create(&self.root, spec, self)
    }

    /// Cuts the host off from agents' managers, silently: its management NIC keeps its carrier.
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

    /// Pulls the cable of the host's NIC on the wire outside, which loses its carrier.
    ///
    /// # Errors
    /// As [`Namespace::exec`].
    pub fn pull_outside(&self) -> Result<()> {
        self.outside.pull()
    }

    /// Plugs in what [`pull_outside`](Self::pull_outside) pulled.
    ///
    /// # Errors
    /// As [`Namespace::exec`].
    pub fn restore_outside(&self) -> Result<()> {
        self.outside.restore()
    }

    /// Cuts the host off from the other hosts, silently: its uplink keeps its carrier. A second underlay is left alone.
    ///
    /// # Errors
    /// As [`Namespace::exec`].
    pub fn cut_underlay(&self) -> Result<()> {
        self.underlays.first().map_or(Ok(()), Cable::cut)
    }

    /// Mends what [`cut_underlay`](Self::cut_underlay) cut.
    ///
    /// # Errors
    /// As [`Namespace::exec`].
    pub fn restore_underlay(&self) -> Result<()> {
        self.underlays.first().map_or(Ok(()), Cable::restore)
    }
}

impl Deref for Host {
    type Target = Namespace;

    fn deref(&self) -> &Namespace {
        &self.namespace
    }
}

/// The underlays of host `number`, the first so many.
fn uplinks(number: u8, count: usize) -> Vec<Uplink> {
    let addresses = |ipv4: Ipv4Addr, ipv6: Ipv6Addr| [format!("{ipv4}/24"), format!("{ipv6}/64")];
    let first = addresses(underlay_ipv4(number), underlay_ipv6(number));
    let second = addresses(second_ipv4(number), second_ipv6(number));
    let all = [
        Uplink { bridge: "br-phy", wire: Wire::Underlay, addresses: first },
        Uplink { bridge: "br-phy2", wire: Wire::SecondUnderlay, addresses: second },
    ];
    all.into_iter().take(count).collect()
}

/// Where the programs of Open vSwitch look for their files (ovs-vswitchd(8), ovs-ctl(8)).
fn switch_environment(host: &str) -> Vec<(String, OsString)> {
    let folder = OsString::from(format!("{LAB_DIR}/{host}/openvswitch"));
    ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"]
        .map(|name| (name.to_owned(), folder.clone()))
        .to_vec()
}
