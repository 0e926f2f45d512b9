//! A host's switch: ports of guests, tunnels, and an underlay with one port.
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
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use dataplane::{FlowKey, Owner, Program, Purpose};
use openflow::{BundleError, OfPort, PacketIn};
use topology::datapath::Encapsulation;

use crate::control::Control;
use crate::daemons::Daemons;

/// The bridge of the guests, and that of the underlay with its one port.
const BRIDGE: &str = "br-int";
const UNDERLAY: &str = "br-phy";
const UPLINK: &str = "uplink";

/// What the uplink takes, in bytes: more than a tunnel may use, so that too large a packet would be seen.
const UPLINK_MTU: u16 = 9000;

/// Bytes of a capture file before its first record, and of each record before its frame.
const CAPTURE_HEADER: u64 = 24;
const RECORD_HEADER: usize = 16;

/// Networks of the underlay (RFC 5737, RFC 3849).
const UNDERLAY_NETWORKS: [&str; 2] = ["198.51.100.0/24", "2001:db8::/64"];

/// Where an Ethernet frame says what it holds, and where the destination of that ends.
const ETHER_TYPE: usize = 12;
const IPV4: u16 = 0x0800;
const IPV6: u16 = 0x86dd;
const IPV4_DESTINATION_END: usize = 33;
const IPV6_DESTINATION_END: usize = 53;

/// Hosts that know each other's MAC addresses in the underlay.
const MAX_HOSTS: u8 = 4;

/// IPv4 address of a host in the underlay.
pub(crate) fn underlay_ipv4(host: u8) -> Ipv4Addr {
    Ipv4Addr::new(198, 51, 100, host + 1)
}

/// IPv6 address of a host in the underlay.
pub(crate) fn underlay_ipv6(host: u8) -> Ipv6Addr {
    Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(host) + 1)
}

/// The host that a frame of the underlay is for; `None` if it is no packet.
pub(crate) fn underlay_host(frame: &[u8]) -> Option<u8> {
    let last = match u16::from_be_bytes([frame[ETHER_TYPE], frame[ETHER_TYPE + 1]]) {
        IPV4 => IPV4_DESTINATION_END,
        IPV6 => IPV6_DESTINATION_END,
        _ => return None,
    };
    frame[last].checked_sub(1)
}

/// MAC address of a host in the underlay.
pub(crate) fn underlay_mac(host: u8) -> [u8; 6] {
    [2, 0xaa, 0, 0, 0, host + 1]
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
        daemons.call("netdev-dummy/ip4addr", &[UNDERLAY, &format!("{}/24", underlay_ipv4(host))]);
        daemons.call("netdev-dummy/ip6addr", &[UNDERLAY, &format!("{}/64", underlay_ipv6(host))]);
        UNDERLAY_NETWORKS.iter().for_each(|network| daemons.call("ovs/route/add", &[network, UNDERLAY]));
        for other in (0..MAX_HOSTS).filter(|other| *other != host) {
            for address in [underlay_ipv4(other).to_string(), underlay_ipv6(other).to_string()] {
                daemons.call("tnl/neigh/set", &[UNDERLAY, &address, &mac_text(other)]);
            }
        }
        let mut control = Control::connect(daemons.path(&format!("{BRIDGE}.mgmt")));
        control.install(program, host);
        let ports = guests.iter().map(|(port, _)| port.as_str()).chain([UPLINK]);
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
        self.receive(UPLINK, frame);
    }

    /// What it did since this was last asked.
    pub(crate) fn done(&mut self) -> Done {
        let mut done = Done { questions: self.control.questions(), ..Done::default() };
        for capture in &mut self.captures {
            let frames = capture.news();
            if capture.port == UPLINK {
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
    let mut commands = format!(
        "-- add-br {UNDERLAY} -- set bridge {UNDERLAY} datapath_type=dummy other-config:hwaddr={} \
         -- add-br {BRIDGE} -- set bridge {BRIDGE} datapath_type=dummy fail_mode=secure",
        mac_text(host),
    );
    let mut port = |bridge: &str, name: &str, number: OfPort, settings: &str| {
        let added = write!(
            commands,
            " -- add-port {bridge} {name} -- set interface {name} ofport_request={number} {settings}"
        );
        added.expect("a string takes all");
    };
    let dummy = |name: &str| format!("type=dummy options:tx_pcap={}", capture(name).display());
    port(UNDERLAY, UPLINK, OfPort(1), &format!("{} mtu_request={UPLINK_MTU}", dummy(UPLINK)));
    guests.iter().for_each(|(name, number)| port(BRIDGE, name, *number, &dummy(name)));
    for kind in Encapsulation::ALL {
        let settings = format!("type={kind} options:remote_ip=flow options:local_ip=flow options:key=flow");
        port(BRIDGE, &kind.to_string(), tunnel_port(kind), &settings);
    }
    commands
}

fn mac_text(host: u8) -> String {
    topology::MacAddr(underlay_mac(host)).to_string()
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
