//! Topologies made by requests, packets between their guests, and verdicts in a few words.

use std::net::{IpAddr, Ipv6Addr};

use serde_json::{Value, json};
use topology::binding::{SeenPort, SeenPorts};
use topology::datapath::{Datapath, Encapsulation, Registration, Underlay};
use topology::walk::{
    Arp, Connections, Content, Fragment, Icmp, IpPacket, Neighbour, Outcome, Packet, Payload, TcpFlags, Walk,
    walk,
};
use topology::{DatapathId, Dpid, Edit, InterfaceId, MacAddr, Request, Topology};

/// A topology of two hosts, and where its interfaces are plugged in.
pub(crate) struct World {
    pub(crate) topology: Topology,
    seen: SeenPorts,
    ports: [Vec<SeenPort>; 2],
    pub(crate) connections: Connections,
}

impl World {
    /// Two hosts that send by this.
    pub(crate) fn with_hosts(encapsulation: Encapsulation) -> Self {
        let mut world = Self {
            topology: Topology::default(),
            seen: SeenPorts::default(),
            ports: [Vec::new(), Vec::new()],
            connections: Connections::default(),
        };
        for number in 0..2_u8 {
            let address = IpAddr::from([192, 0, 2, number + 1]);
            let underlay = Underlay { encapsulation, address, mtu: 1500 };
            let node_id = format!("host{number}").parse().expect("a node id");
            let registration = Registration::new(node_id, Dpid(u64::from(number) + 1), underlay);
            world.edit(|edit, _| drop(Datapath::register(edit, registration).expect("a host")));
        }
        world
    }

    /// Two hosts.
    pub(crate) fn new() -> Self {
        Self::with_hosts(Encapsulation::Geneve)
    }

    fn edit(&mut self, change: impl FnOnce(&mut Edit, &SeenPorts)) {
        let mut edit = Edit::new(&self.topology, jiff::Timestamp::UNIX_EPOCH, self.topology.revision().0);
        change(&mut edit, &self.seen);
        self.topology.commit(self.topology.revision().next(), &edit.into_changes());
    }

    /// With an object.
    pub(crate) fn with(mut self, resource: &str, attributes: Value) -> Self {
        self.ask(json!({"op": "create", "resource": resource, "attributes": attributes}));
        self
    }

    /// Changes an object.
    pub(crate) fn update(&mut self, resource: &str, uuid: &str, attributes: Value) {
        self.ask(json!({"op": "update", "resource": resource, "uuid": uuid, "attributes": attributes}));
    }

    fn ask(&mut self, request: Value) {
        let read: Request = serde_json::from_value(request.clone()).expect("well formed");
        self.edit(|edit, _| drop(read.execute(edit).unwrap_or_else(|error| panic!("{request}: {error:?}"))));
    }

    /// With an interface that is plugged in.
    pub(crate) fn plugged(self, host: usize, attributes: Value) -> Self {
        let id = attributes["uuid"].as_str().expect("an id").to_owned();
        let mut world = self.with("interfaces", attributes);
        let port = SeenPort {
            name: format!("tap-{id}"),
            instance: id.clone(),
            iface_id: Some(id),
            error: None,
            asks: false,
        };
        world.ports[host].push(port);
        let datapath: DatapathId = format!("dp-host{host}").parse().expect("an id");
        world.seen.report(datapath.clone(), world.ports[host].clone().into());
        world.edit(|edit, seen| seen.bind(&datapath, edit));
        world
    }

    /// With guest `n` of a network: its addresses end in its number.
    pub(crate) fn guest(self, host: usize, network: &str, n: u8) -> Self {
        self.guest_with(host, network, n, json!({}))
    }

    /// The same, with more attributes.
    pub(crate) fn guest_with(self, host: usize, network: &str, n: u8, more: Value) -> Self {
        let net = self.topology.networks()[&network.parse::<topology::NetworkId>().expect("an id")].subnets;
        let ipv4 = net.ipv4.map(|net| {
            let [a, b, c, _] = net.network().octets();
            IpAddr::from([a, b, c, n])
        });
        let ipv6 = net.ipv6.map(|net| Ipv6Addr::from_bits(net.network().to_bits() | u128::from(n)));
        let mut attributes =
            json!({"uuid": format!("if-{n}"), "network_uuid": network, "mac_address": mac(n)});
        attributes.as_object_mut().expect("an object").extend(
            [
                ("ipv4_address", ipv4.map(|of| of.to_string())),
                ("ipv6_address", ipv6.map(|of| of.to_string())),
            ]
            .into_iter()
            .filter_map(|(name, address)| Some((name.to_owned(), Value::from(address?)))),
        );
        attributes.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
        self.plugged(host, attributes)
    }

    /// Checks what becomes of a packet in a few words, one line for each copy. The trackers remember.
    #[track_caller]
    pub(crate) fn check(&mut self, from: &str, packet: &Packet, expected: &str) -> Walk {
        let walk = self.walk(from, packet);
        assert_eq!(verdicts(&walk.outcomes), expected, "{packet:?}\n{:#?}", walk.steps);
        self.connections = walk.connections.clone();
        walk
    }

    /// Walks a packet. The trackers do not remember.
    pub(crate) fn walk(&self, from: &str, packet: &Packet) -> Walk {
        let from: InterfaceId = from.parse().expect("an id");
        walk(&self.topology, &from, packet, &self.connections)
    }
}

/// What becomes of a packet, in a few words.
pub(crate) fn verdicts(outcomes: &[Outcome]) -> String {
    let name = |value: Value| match value {
        Value::String(name) => name,
        other => other.as_object().and_then(|of| of.keys().next().cloned()).unwrap_or_default(),
    };
    let named = |value: &dyn erased::Named| name(value.json());
    let verdict = |outcome: &Outcome| match outcome {
        Outcome::Delivered { interface, .. } => format!("delivered {interface}"),
        Outcome::OnWire { uplink, .. } => format!("on wire {uplink}"),
        Outcome::Answered { answer, .. } => format!("answered {}", named(answer)),
        Outcome::Dropped { reason, .. } => format!("dropped {}", named(reason)),
        Outcome::Undecided { among } => {
            let among: Vec<_> = among.iter().map(|outcomes| verdicts(outcomes)).collect();
            format!("one of ({})", among.join("; "))
        }
    };
    let mut verdicts: Vec<_> = outcomes.iter().map(verdict).collect();
    verdicts.sort();
    verdicts.join(", ")
}

mod erased {
    use serde_json::Value;

    pub(super) trait Named {
        fn json(&self) -> Value;
    }

    impl<T: serde::Serialize> Named for T {
        fn json(&self) -> Value {
            serde_json::to_value(self).expect("it can be written")
        }
    }
}

/// MAC address of guest `n`.
pub(crate) fn mac(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

/// The MAC address of everybody.
pub(crate) const EVERYBODY: MacAddr = MacAddr([0xff; 6]);

fn ip_packet(macs: (MacAddr, MacAddr), ips: (&str, &str), payload: Payload) -> Packet {
    let ip = IpPacket {
        source: ips.0.parse().expect("an address"),
        destination: ips.1.parse().expect("an address"),
        hops: 64,
        dscp: 0,
        dont_fragment: false,
        fragment: Fragment::Whole,
        payload,
        data_bytes: 10,
    };
    Packet { source: macs.0, destination: macs.1, vlans: Vec::new(), content: Content::Ip(ip) }
}

/// A datagram.
pub(crate) fn udp(macs: (MacAddr, MacAddr), ips: (&str, &str), ports: (u16, u16)) -> Packet {
    ip_packet(macs, ips, Payload::Udp { source_port: ports.0, destination_port: ports.1 })
}

/// A TCP segment.
pub(crate) fn tcp(macs: (MacAddr, MacAddr), ips: (&str, &str), ports: (u16, u16), flags: TcpFlags) -> Packet {
    ip_packet(macs, ips, Payload::Tcp { source_port: ports.0, destination_port: ports.1, flags })
}

/// An echo request.
pub(crate) fn ping(macs: (MacAddr, MacAddr), ips: (&str, &str)) -> Packet {
    let kind = if ips.0.contains(':') { 128 } else { 8 };
    ip_packet(macs, ips, Payload::Icmp(Icmp { kind, code: 0, identifier: 7, about: None }))
}

/// Who sends a packet that was received answers it so.
pub(crate) fn answer(packet: &Packet) -> Packet {
    let mut answer = packet.clone();
    (answer.source, answer.destination) = (packet.destination, packet.source);
    let ip = answer.ip_mut().expect("an IP packet");
    (ip.source, ip.destination) = (ip.destination, ip.source);
    ip.hops = 64;
    match &mut ip.payload {
        Payload::Tcp { source_port, destination_port, flags } => {
            std::mem::swap(source_port, destination_port);
            *flags = if *flags == TcpFlags::SYN { TcpFlags::SYN_ACK } else { TcpFlags::ACK };
        }
        Payload::Udp { source_port, destination_port } => std::mem::swap(source_port, destination_port),
        Payload::Icmp(icmp) if icmp.kind == 8 => icmp.kind = 0,
        Payload::Icmp(icmp) => icmp.kind = 129,
        other => panic!("nothing answers {other:?}"),
    }
    answer
}

/// The error that a router sends about a packet: from somewhere, "administratively prohibited".
pub(crate) fn error_about(packet: &Packet, macs: (MacAddr, MacAddr), from: &str) -> Packet {
    let about = packet.ip().expect("an IP packet").clone();
    let kind = if about.is_ipv4() { 3 } else { 1 };
    let to = about.source.to_string();
    let icmp = Icmp { kind, code: 1, identifier: 0, about: Some(Box::new(about)) };
    ip_packet(macs, (from, &to), Payload::Icmp(icmp))
}

/// Who has an address?
pub(crate) fn who_has(from: u8, sender: &str, target: &str) -> Packet {
    let arp = Arp {
        operation: 1,
        sender_mac: mac(from),
        sender_ip: sender.parse().expect("an address"),
        target_mac: MacAddr([0; 6]),
        target_ip: target.parse().expect("an address"),
    };
    Packet { source: mac(from), destination: EVERYBODY, vlans: Vec::new(), content: Content::Arp(arp) }
}

/// A neighbour solicitation.
pub(crate) fn solicitation(from: u8, source: &str, target: &str) -> Packet {
    let neighbour = Neighbour {
        is_advertisement: false,
        flags: 0,
        target: target.parse().expect("an address"),
        link_layer: Some(mac(from)),
    };
    let to = MacAddr([0x33, 0x33, 0xff, 0, 0, 1]);
    let mut packet = ip_packet((mac(from), to), (source, "ff02::1:ff00:1"), Payload::Neighbour(neighbour));
    packet.ip_mut().expect("an IP packet").hops = 255;
    packet
}

/// The packet that an interface got.
pub(crate) fn received(walk: &Walk, interface: &str) -> Packet {
    let got = |outcome: &Outcome| match outcome {
        Outcome::Delivered { interface: to, packet, .. } if to.to_string() == interface => {
            Some(packet.clone())
        }
        _ => None,
    };
    walk.outcomes.iter().find_map(got).expect("it was delivered there")
}
