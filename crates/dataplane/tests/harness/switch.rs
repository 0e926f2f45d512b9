//! A host's switch: ports of guests, tunnels, and underlays with one port each.
//!
//! # Addresses of the underlay
//! A dummy has one address of each family, and knows none to be its own: it routes no packet whose source is given. So a host has
//! a bridge for every uplink, and each route names a mark, which packets get in place of their source ([`crate::control`]).
//!
//! # When a packet is through
//! The switch's main thread takes turns: one packet of each port, then messages of OpenFlow, then some commands. A message that is sent
//! once the command that injected a packet is done, and then answered, finds the packet dealt with. Every injection waits for
//! that: several commands fit into one turn, and packets that wait for theirs would be missed, and at last (a dummy port keeps a
//! hundred) be lost.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use dataplane::{FlowKey, Owner, Program, Purpose};
use openflow::{BundleError, OfPort, PacketIn};
use topology::MacAddr;
use topology::datapath::Encapsulation;

use crate::control::Control;
use crate::daemons::Daemons;

/// The bridge of the guests, and those of the underlay with their one port each.
const BRIDGE: &str = "br-int";
const UNDERLAYS: [(&str, &str); 2] = [("br-phy", "uplink"), ("br-alt", "uplink-alt")];

/// What an uplink takes, in bytes: more than a tunnel may use, so that too large a packet would be seen.
const UPLINK_MTU: u16 = 9000;

/// Bytes of a capture file before its first record, and of each record before its frame.
const CAPTURE_HEADER: u64 = 24;
const RECORD_HEADER: usize = 16;

/// Networks of the underlay (RFC 5737, RFC 3849).
const UNDERLAY_NETWORKS: [&str; 2] = ["198.51.100.0/24", "2001:db8::/64"];

/// Where an Ethernet frame says what it holds, and the addresses of that.
const ETHER_TYPE: usize = 12;
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const IPV4_SOURCE: usize = 26;
const IPV6_SOURCE: usize = 22;

/// Hosts that know each other's MAC addresses in the underlay.
const MAX_HOSTS: u8 = 4;

/// From the addresses of one uplink to those of the next.
const NEXT_UPLINK: u8 = 16;

/// Uplinks of a host.
pub(crate) fn uplinks() -> impl Iterator<Item = u8> {
    (0..).take(UNDERLAYS.len())
}

/// IPv4 address of a host in the underlay.
pub(crate) fn underlay_ipv4(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, number(host, 0))
}

/// IPv6 address of a host in the underlay.
pub(crate) fn underlay_ipv6(host: u8) -> Ipv6Addr {
    ipv6(number(host, 0))
}

/// The addresses of a host by one of its uplinks, of which the first has those above.
pub(crate) fn underlay_addresses(host: u8, uplink: u8) -> [IpAddr; 2] {
    let number = number(host, uplink);
    [Ipv4Addr::new(198, 51, 100, number).into(), ipv6(number).into()]
}

fn ipv6(number: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into())
}

/// By which a host's uplink is known, in addresses.
fn number(host: u8, uplink: u8) -> u8 {
    uplink * NEXT_UPLINK + host + 1
}

/// The host and the uplink whose number this is.
fn uplink_of(number: u8) -> Option<(u8, usize)> {
    let host = (number % NEXT_UPLINK).checked_sub(1)?;
    Some((host, usize::from(number / NEXT_UPLINK))).filter(|(_, uplink)| *uplink < UNDERLAYS.len())
}

/// The addresses between which a frame of the underlay goes; `None` if it is no packet.
pub(crate) fn underlay_ends(frame: &[u8]) -> Option<[IpAddr; 2]> {
    fn ends<const BYTES: usize>(frame: &[u8], source: usize) -> Option<[IpAddr; 2]>
    where
        IpAddr: From<[u8; BYTES]>,
    {
        let address = |at| frame[at..].first_chunk::<BYTES>().map(|bytes| IpAddr::from(*bytes));
        Some([address(source)?, address(source + BYTES)?])
    }
    match *frame[ETHER_TYPE..].first_chunk()? {
        IPV4 => ends::<4>(frame, IPV4_SOURCE),
        IPV6 => ends::<16>(frame, IPV6_SOURCE),
        _ => None,
    }
}

/// The host whose address in the underlay ends like this.
pub(crate) fn host_of_number(number: u8) -> Option<u8> {
    uplink_of(number).map(|(host, _)| host)
}

/// The last byte of an address.
fn last_byte(address: IpAddr) -> u8 {
    match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    }
}

/// The host with an address in the underlay.
pub(crate) fn host_at(address: IpAddr) -> Option<u8> {
    host_of_number(last_byte(address))
}

/// The host that a frame of the underlay is for; `None` if it is no packet.
pub(crate) fn underlay_host(frame: &[u8]) -> Option<u8> {
    host_at(underlay_ends(frame)?[1])
}

/// MAC address of a host in the underlay.
pub(crate) fn underlay_mac(host: u8) -> [u8; 6] {
    mac(host, 0).0
}

fn mac(host: u8, uplink: u8) -> MacAddr {
    MacAddr([2, 0xaa, 0, 0, 0, number(host, uplink)])
}

/// What marks packets that leave by an uplink.
pub(crate) fn underlay_mark(uplink: u8) -> u32 {
    u32::from(uplink) + 1
}

/// Port of a tunnel.
pub(crate) fn tunnel_port(encapsulation: Encapsulation) -> OfPort {
    OfPort(match encapsulation {
        Encapsulation::Geneve => 1,
        Encapsulation::Vxlan => 2,
        Encapsulation::Gre => 3,
    })
}

/// A switch that runs.
pub(crate) struct Switch {
    control: Control,
    captures: Vec<Capture>,
    daemons: Daemons,
    host: u8,
}

/// What a switch did.
#[derive(Default)]
pub(crate) struct Done {
    /// Frames to guests, with the port's name.
    pub(crate) guests: Vec<(String, Vec<u8>)>,
    /// Frames into the underlay.
    pub(crate) underlay: Vec<Vec<u8>>,
    /// Questions to the agent.
    pub(crate) questions: Vec<PacketIn>,
}

impl Switch {
    /// Starts the switch of a host, with these guests' ports and this program.
    pub(crate) fn start(host: u8, guests: &[(String, OfPort)], program: Program) -> Self {
        let daemons = Daemons::start();
        daemons.configure(&bridges(host, guests, |port| daemons.path(port)));
        uplinks().for_each(|uplink| connect(&daemons, host, uplink));
        let mut control = Control::connect(daemons.path(&format!("{BRIDGE}.mgmt")));
        control.install(program, host);
        let ports = guests.iter().map(|(port, _)| port.as_str()).chain(UNDERLAYS.map(|(_, port)| port));
        let captures = ports.map(|port| Capture::new(port, daemons.path(port))).collect();
        Self { control, captures, daemons, host }
    }

    /// Makes it hold another program.
    pub(crate) fn change(&mut self, program: Program) {
        self.control.install(program, self.host);
        // Flows of the datapath would go on as they were for a moment.
        self.daemons.call("revalidator/wait", &[]);
    }

    /// The same, at once, unread: without flows of the datapath, none goes on as it was.
    pub(crate) fn replace(&mut self, program: Program) -> Result<(), BundleError> {
        self.control.put(program, self.host)?;
        self.daemons.call("revalidator/purge", &[]);
        Ok(())
    }

    /// Gives a guest's frame to its port, and waits until it is dealt with.
    pub(crate) fn receive(&self, port: &str, frame: &[u8]) {
        let text: String = frame.iter().map(|byte| format!("{byte:02x}")).collect();
        self.daemons.call("netdev-dummy/receive", &[port, &text]);
        self.control.await_turn();
    }

    /// From here on no time passes for the switch (meters fill no more), and it goes on working.
    pub(crate) fn stop_clock(&self) {
        self.daemons.call("time/stop", &[]);
    }

    /// Takes fragments of tracked packets as belonging to no connection, instead of keeping them for the others. What Open vSwitch's
    /// userspace datapath keeps in vain comes out some seconds later where the next tracked packet goes.
    pub(crate) fn keep_no_fragments(&self) {
        ["v4", "v6"].iter().for_each(|family| self.daemons.call("dpctl/ipf-set-disabled", &[family]));
    }

    /// Forgets all connections.
    pub(crate) fn forget_connections(&self) {
        self.daemons.call("dpctl/flush-conntrack", &[]);
    }

    /// Gives a frame of the underlay to the host.
    pub(crate) fn receive_underlay(&self, frame: &[u8]) {
        let uplink = underlay_ends(frame).and_then(|[_, to]| uplink_of(last_byte(to)));
        let (_, port) = uplink.map_or(UNDERLAYS[0], |(_, uplink)| UNDERLAYS[uplink]);
        self.receive(port, frame);
    }

    /// What it did since this was last asked.
    pub(crate) fn done(&mut self) -> Done {
        let mut done = Done { questions: self.control.questions(), ..Done::default() };
        for capture in &mut self.captures {
            let frames = capture.news();
            if UNDERLAYS.iter().any(|(_, port)| capture.port == *port) {
                done.underlay.extend(frames);
            } else {
                done.guests.extend(frames.into_iter().map(|frame| (capture.port.clone(), frame)));
            }
        }
        done
    }

    /// The flows that packets have met since they were put there.
    pub(crate) fn met(&self) -> Vec<FlowKey> {
        self.daemons.call("revalidator/purge", &[]);
        self.control.met()
    }

    /// Packets that it has dropped for some of these reasons.
    pub(crate) fn dropped(&self, purposes: &[Purpose]) -> u64 {
        purposes.iter().map(|purpose| self.control.counted(Owner::Base(*purpose))).sum()
    }

    /// Brings the counters of the datapath's flows into those of OpenFlow.
    pub(crate) fn count(&self) {
        self.daemons.call("revalidator/purge", &[]);
    }

    /// Packets that each owner's flows have met.
    pub(crate) fn counters(&self) -> BTreeMap<Owner, u64> {
        // Brings the counters of the datapath's flows into those of OpenFlow.
        self.daemons.call("revalidator/purge", &[]);
        self.control.counters()
    }
}

/// The bridges and ports of a host, as commands of ovs-vsctl(8).
fn bridges(host: u8, guests: &[(String, OfPort)], capture: impl Fn(&str) -> PathBuf) -> String {
    let mut commands =
        format!("-- add-br {BRIDGE} -- set bridge {BRIDGE} datapath_type=dummy fail_mode=secure");
    for ((bridge, _), uplink) in UNDERLAYS.iter().zip(uplinks()) {
        let mac = mac(host, uplink);
        let added = write!(
            commands,
            " -- add-br {bridge} -- set bridge {bridge} datapath_type=dummy other-config:hwaddr={mac}"
        );
        added.expect("a string takes all");
    }
    let mut port = |bridge: &str, name: &str, number: OfPort, settings: &str| {
        let added = write!(
            commands,
            " -- add-port {bridge} {name} -- set interface {name} ofport_request={number} {settings}"
        );
        added.expect("a string takes all");
    };
    let dummy = |name: &str| format!("type=dummy options:tx_pcap={}", capture(name).display());
    for (bridge, uplink) in UNDERLAYS {
        port(bridge, uplink, OfPort(1), &format!("{} mtu_request={UPLINK_MTU}", dummy(uplink)));
    }
    guests.iter().for_each(|(name, number)| port(BRIDGE, name, *number, &dummy(name)));
    for kind in Encapsulation::ALL {
        let settings = format!("type={kind} options:remote_ip=flow options:local_ip=flow options:key=flow");
        port(BRIDGE, &kind.to_string(), tunnel_port(kind), &settings);
    }
    commands
}

/// Gives one of a host's uplinks its addresses, and has marked packets leave by it to whichever address of the others.
fn connect(daemons: &Daemons, host: u8, uplink: u8) {
    let (bridge, _) = UNDERLAYS[usize::from(uplink)];
    let [ipv4, ipv6] = underlay_addresses(host, uplink);
    daemons.call("netdev-dummy/ip4addr", &[bridge, &format!("{ipv4}/24")]);
    daemons.call("netdev-dummy/ip6addr", &[bridge, &format!("{ipv6}/64")]);
    let mark = format!("pkt_mark={}", underlay_mark(uplink));
    UNDERLAY_NETWORKS.iter().for_each(|network| daemons.call("ovs/route/add", &[network, bridge, &mark]));
    for other in (0..MAX_HOSTS).filter(|other| *other != host) {
        for theirs in uplinks() {
            let mac = mac(other, theirs).to_string();
            for address in underlay_addresses(other, theirs) {
                daemons.call("tnl/neigh/set", &[bridge, &address.to_string(), &mac]);
            }
        }
    }
}

/// A capture file of a port, read as far as it was looked at.
struct Capture {
    port: String,
    file: File,
}

impl Capture {
    fn new(port: &str, file: PathBuf) -> Self {
        let mut file = File::open(file).expect("a capture");
        file.seek(SeekFrom::Start(CAPTURE_HEADER)).expect("a file");
        Self { port: port.to_owned(), file }
    }

    /// Frames that were not read before.
    fn news(&mut self) -> Vec<Vec<u8>> {
        let mut bytes = Vec::new();
        self.file.read_to_end(&mut bytes).expect("a capture");
        let (mut rest, mut frames) = (&bytes[..], Vec::new());
        while !rest.is_empty() {
            let size = rest[8..12].try_into().map(u32::from_le_bytes).expect("4 bytes");
            let end = RECORD_HEADER + usize::try_from(size).expect("a frame's size");
            frames.push(rest[RECORD_HEADER..end].to_vec());
            rest = &rest[end..];
        }
        frames
    }
}
