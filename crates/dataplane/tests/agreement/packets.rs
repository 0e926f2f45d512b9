//! Random packets: mostly proper ones between those who are there, some that are false, malformed or for many, and answers.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use topology::interface::{AdminState, InterfaceMode};
use topology::walk::{Arp, Content, Fragment, Icmp, IpPacket, Neighbour, Outcome, Packet, Payload, TcpFlags};
use topology::{DomainId, InterfaceId, MacAddr, Topology};

use crate::random::Random;
use crate::scene::{Sent, Story, host_of};
use crate::topologies::{OUTSIDE, PORTS_IN_USE, mac_outside};

/// Packets that are remembered to be answered.
const MEMORY: usize = 30;

const EVERYBODY: MacAddr = MacAddr([0xff; 6]);

/// Somebody with addresses in a domain.
#[derive(Clone)]
struct Party {
    interface: InterfaceId,
    domain: DomainId,
    mac: MacAddr,
    addresses: Vec<IpAddr>,
    is_simulated: bool,
}

/// Writes packets.
pub(crate) struct Author {
    random: Random,
    /// Who got what: it may be answered.
    received: Vec<(InterfaceId, Packet)>,
}

impl Author {
    pub(crate) fn new(random: Random) -> Self {
        Self { random, received: Vec::new() }
    }

    /// Remembers what the last packet has become.
    pub(crate) fn learn(&mut self, story: &Story) {
        for (port, frame) in &story.observed.frames {
            let (Ok(port), Some(packet)) = (port.parse(), Packet::from_bytes(frame)) else { continue };
            // What the network itself has answered nobody answers.
            let is_delivered = story.walk.outcomes.iter().any(|outcome| match outcome {
                Outcome::Delivered { .. } | Outcome::OnWire { .. } | Outcome::Undecided { .. } => true,
                Outcome::Answered { .. } | Outcome::Dropped { .. } => false,
            });
            if is_delivered && packet.ip().is_some() && !packet.destination.is_multicast() {
                self.received.push((port, packet));
            }
        }
        let surplus = self.received.len().saturating_sub(MEMORY);
        self.received.drain(..surplus);
    }

    /// The next packet; `None` if there is nobody to send one.
    pub(crate) fn next(&mut self, story: &Story) -> Option<Sent> {
        if self.random.percent(30) && !self.received.is_empty() {
            let (from, got) = self.random.pick(&self.received).clone();
            let packet = if self.random.percent(75) { answer(&got) } else { error_about(&got) };
            if let Some(packet) = packet {
                return Some(Sent { from, packet });
            }
        }
        let parties = parties(&story.topology);
        let guests: Vec<_> = parties.iter().filter(|party| !party.is_simulated).cloned().collect();
        let uplinks = uplinks(&story.topology);
        if self.random.percent(10)
            && let Some((uplink, domain)) = self.random.any(&uplinks).cloned()
        {
            return Some(self.outside(uplink, &domain, &parties));
        }
        let from = self.random.any(&guests)?.clone();
        let packet = self.write(&story.topology, &from, &parties);
        Some(Sent { from: from.interface, packet: self.spoil(packet, &parties) })
    }

    fn write(&mut self, topology: &Topology, from: &Party, parties: &[Party]) -> Packet {
        match self.random.below(100) {
            0..12 => self.resolution(from, parties),
            12..17 => self.asking(from),
            17..22 => self.broadcast(from),
            _ => self.unicast(topology, from, parties),
        }
    }

    /// From an address of the sender's to one of somebody's, by whom the sender would really use.
    fn unicast(&mut self, topology: &Topology, from: &Party, parties: &[Party]) -> Packet {
        let near: Vec<_> = parties.iter().filter(|party| party.domain == from.domain).cloned().collect();
        let among = if self.random.percent(45) { &near } else { parties };
        let crowded: Vec<_> =
            parties.iter().filter(|party| party.is_simulated && party.addresses.len() > 2).cloned().collect();
        let to = match self.random.percent(12) {
            true => self.random.any(&crowded).unwrap_or(self.random.clone().pick(among)).clone(),
            false => self.random.pick(among).clone(),
        };
        let far = self.far_away();
        let target = match self.random.below(12) {
            0 | 1 => self.random.any(&far).copied(),
            _ => self.random.any(&to.addresses).copied(),
        };
        let Some(target) = target else { return self.plain(from, &to) };
        let same_family = from.addresses.iter().copied().filter(|of| of.is_ipv4() == target.is_ipv4());
        let own: Vec<_> = same_family.collect();
        let any_address = if target.is_ipv4() { "10.66.0.1" } else { "fd66::1" };
        let source = self.random.any(&own).copied();
        let source = source.unwrap_or_else(|| any_address.parse().expect("an address"));
        let legs: Vec<_> =
            near.iter().filter(|party| party.is_simulated && is_leg(topology, party)).cloned().collect();
        let is_near = to.domain == from.domain && to.addresses.contains(&target);
        let hop = if is_near { Some(to) } else { self.random.any(&legs).cloned() };
        let destination = hop.map_or(MacAddr([2, 0, 0, 0, 9, 9]), |hop| hop.mac);
        self.packet((from.mac, destination), (source, target))
    }

    fn far_away(&self) -> Vec<IpAddr> {
        let outside = OUTSIDE.iter().flat_map(|number| {
            [
                IpAddr::from([203, 0, 113, *number]),
                format!("2001:db8:5::{number:x}").parse().expect("an address"),
            ]
        });
        let others =
            ["10.77.1.1", "fd77::1", "198.51.100.77", "2001:db8:77::1", "10.1.0.250", "169.254.169.254"];
        outside.chain(others.map(|address| address.parse().expect("an address"))).collect()
    }

    /// Where there are no addresses: frames on a segment.
    fn plain(&mut self, from: &Party, to: &Party) -> Packet {
        if self.random.percent(25) {
            let content = Content::Other { ether_type: 0x88b5 };
            return Packet { source: from.mac, destination: to.mac, vlans: Vec::new(), content };
        }
        let address =
            |random: &mut Random| IpAddr::from([10, 66, 0, u8::try_from(random.below(5)).expect("few")]);
        let ips = (address(&mut self.random), address(&mut self.random));
        self.packet((from.mac, to.mac), ips)
    }

    fn packet(&mut self, macs: (MacAddr, MacAddr), ips: (IpAddr, IpAddr)) -> Packet {
        let (source_port, destination_port) = (1000, *self.random.pick(&PORTS_IN_USE));
        let kind = if ips.0.is_ipv4() { 8 } else { 128 };
        let identifier = u16::try_from(self.random.below(3)).expect("few");
        let payload = match self.random.below(20) {
            0..8 => Payload::Udp { source_port, destination_port },
            8..13 => Payload::Tcp { source_port, destination_port, flags: TcpFlags::SYN },
            13 => Payload::Tcp {
                source_port: destination_port,
                destination_port: source_port,
                flags: TcpFlags::SYN_ACK,
            },
            14..18 => Payload::Icmp(Icmp { kind, code: 0, identifier, about: None }),
            18 => Payload::Udp { source_port: 8080, destination_port },
            _ => Payload::Other { protocol: 47 },
        };
        ip(macs, ips, payload)
    }

    fn resolution(&mut self, from: &Party, parties: &[Party]) -> Packet {
        let own = self.random.any(&from.addresses).copied();
        let target = self.random.pick(parties).clone();
        let target = match self.random.below(8) {
            0 => own,
            1 => {
                let far = self.far_away();
                self.random.any(&far).copied()
            }
            _ => self.random.any(&target.addresses).copied(),
        };
        let unknown = || IpAddr::from([10, 66, 0, 9]);
        let is_answer = self.random.percent(15);
        match target.unwrap_or_else(unknown) {
            IpAddr::V4(target) => {
                let sender = own.and_then(as_ipv4).unwrap_or(Ipv4Addr::UNSPECIFIED);
                let arp = Arp {
                    operation: if is_answer { 2 } else { 1 },
                    sender_mac: from.mac,
                    sender_ip: sender,
                    target_mac: MacAddr([0; 6]),
                    target_ip: target,
                };
                let destination =
                    if self.random.percent(85) { EVERYBODY } else { self.random.pick(parties).mac };
                Packet { source: from.mac, destination, vlans: Vec::new(), content: Content::Arp(arp) }
            }
            IpAddr::V6(target) => self.neighbour_discovery(from, target, is_answer),
        }
    }

    fn neighbour_discovery(&mut self, from: &Party, target: Ipv6Addr, is_answer: bool) -> Packet {
        let own: Vec<_> = from.addresses.iter().copied().filter(IpAddr::is_ipv6).collect();
        let source = self.random.any(&own).copied().unwrap_or(IpAddr::V6(Ipv6Addr::UNSPECIFIED));
        let link_layer = self.random.percent(80).then_some(from.mac);
        let flags = if is_answer { 0x60 } else { 0 };
        let neighbour = Neighbour { is_advertisement: is_answer, flags, target, link_layer };
        let [.., a, b, c] = target.octets();
        let group =
            Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from(b) << 8 | u16::from(c));
        let macs = (from.mac, MacAddr([0x33, 0x33, 0xff, a, b, c]));
        let mut packet = ip(macs, (source, group.into()), Payload::Neighbour(neighbour));
        if let Some(ip) = packet.ip_mut() {
            ip.hops = 255;
            ip.data_bytes = 0;
        }
        packet
    }

    /// What guests ask without knowing whom.
    fn asking(&mut self, from: &Party) -> Packet {
        let link_local = IpAddr::V6(from.mac.link_local());
        let all = |last: u16| IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, last));
        let udp = |source_port, destination_port| Payload::Udp { source_port, destination_port };
        let icmp = |kind| Payload::Icmp(Icmp { kind, code: 0, identifier: 0, about: None });
        let group = |last| MacAddr([0x33, 0x33, 0, 0, 0, last]);
        let nobody = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V4(Ipv4Addr::BROADCAST));
        let mut packet = match self.random.below(6) {
            0 | 1 => ip((from.mac, EVERYBODY), nobody, udp(68, 67)),
            2 => ip((from.mac, group(2)), (link_local, all(2)), udp(546, 547)),
            3 => ip((from.mac, group(2)), (link_local, all(2)), icmp(133)),
            4 => ip((from.mac, group(1)), (link_local, all(1)), icmp(134)),
            _ => ip((from.mac, group(0x16)), (IpAddr::V6(Ipv6Addr::UNSPECIFIED), all(0x16)), icmp(143)),
        };
        if let Some(ip) = packet.ip_mut().filter(|ip| ip.icmp().is_some()) {
            ip.hops = 255;
            ip.data_bytes = 16;
        }
        packet
    }

    fn broadcast(&mut self, from: &Party) -> Packet {
        let own = self.random.any(&from.addresses).copied().unwrap_or(IpAddr::from([10, 66, 0, 1]));
        match own {
            IpAddr::V4(_) => self.packet((from.mac, EVERYBODY), (own, IpAddr::V4(Ipv4Addr::BROADCAST))),
            IpAddr::V6(_) => {
                let all = IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1));
                self.packet((from.mac, MacAddr([0x33, 0x33, 0, 0, 0, 1])), (own, all))
            }
        }
    }

    /// From outside, mostly to those who are known there.
    fn outside(&mut self, uplink: InterfaceId, domain: &DomainId, parties: &[Party]) -> Sent {
        let number = *self.random.pick(&OUTSIDE);
        let outside = [
            IpAddr::from([203, 0, 113, number]),
            format!("2001:db8:5::{number:x}").parse().expect("an address"),
        ];
        let near: Vec<_> = parties.iter().filter(|party| party.domain == *domain).cloned().collect();
        let from = Party {
            interface: uplink.clone(),
            domain: domain.clone(),
            mac: mac_outside(number),
            addresses: outside.to_vec(),
            is_simulated: false,
        };
        let packet = match self.random.below(10) {
            0 | 1 if !near.is_empty() => self.resolution(&from, &near),
            2 => self.broadcast(&from),
            _ => {
                let hop = self.random.any(&near).map_or(MacAddr([2, 0, 0, 0, 9, 9]), |party| party.mac);
                let to = self.random.pick(parties).clone();
                let target = self.random.any(&to.addresses).copied().unwrap_or(outside[0]);
                let source = if target.is_ipv4() { outside[0] } else { outside[1] };
                let inside = self.random.pick(parties).addresses.first().copied();
                let inside = inside.filter(|of| of.is_ipv4() == target.is_ipv4());
                let source = if self.random.percent(10) { inside.unwrap_or(source) } else { source };
                self.packet((from.mac, hop), (source, target))
            }
        };
        let mut packet = self.spoil(packet, parties);
        if self.random.percent(50) {
            packet.vlans = vec![5];
        }
        Sent { from: uplink, packet }
    }

    /// Makes something wrong with a packet, sometimes.
    fn spoil(&mut self, mut packet: Packet, parties: &[Party]) -> Packet {
        match self.random.below(40) {
            0 => packet.source = self.random.pick(parties).mac,
            1 => packet.vlans = vec![5],
            2 => packet.vlans = vec![6, 5],
            3 => packet.destination = self.random.pick(parties).mac,
            _ => {}
        }
        let other = self.random.pick(parties).addresses.first().copied();
        let (chance, ttl) = (self.random.below(40), u8::try_from(self.random.below(3)).expect("few"));
        let random = &mut self.random;
        let Some(ip) = packet.ip_mut() else { return packet };
        match chance {
            0 | 1 => ip.source = other.filter(|of| of.is_ipv4() == ip.is_ipv4()).unwrap_or(ip.source),
            2 => ip.hops = ttl,
            3 if may_grow(&ip.payload) => {
                // A port takes no more than 1,500 bytes.
                ip.data_bytes = 1330 + u16::try_from(random.below(115)).expect("few");
                ip.dont_fragment = ip.is_ipv4() && random.percent(50);
            }
            4 if may_grow(&ip.payload) => {
                ip.fragment = Fragment::First;
                ip.dont_fragment = false;
            }
            5 if may_grow(&ip.payload) => {
                ip.fragment = Fragment::Later;
                ip.payload = Payload::Other { protocol: ip.protocol() };
                ip.dont_fragment = false;
            }
            6 => ip.dscp = 10,
            _ => {}
        }
        packet
    }
}

fn may_grow(payload: &Payload) -> bool {
    // What asks for an address is no fragment of anything.
    matches!(payload, Payload::Udp { source_port: 1000.., .. } | Payload::Icmp(Icmp { kind: 8 | 128, .. }))
}

fn ip(macs: (MacAddr, MacAddr), ips: (IpAddr, IpAddr), payload: Payload) -> Packet {
    let ip = IpPacket {
        source: ips.0,
        destination: ips.1,
        hops: 64,
        dscp: 0,
        dont_fragment: false,
        fragment: Fragment::Whole,
        payload,
        data_bytes: 16,
    };
    Packet { source: macs.0, destination: macs.1, vlans: Vec::new(), content: Content::Ip(ip) }
}

fn as_ipv4(address: IpAddr) -> Option<Ipv4Addr> {
    match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    }
}

/// Whoever is up and has MAC addresses.
fn parties(topology: &Topology) -> Vec<Party> {
    let mut parties = Vec::new();
    for interface in topology.interfaces().values().filter(|of| of.admin_state == AdminState::Up) {
        let is_simulated = interface.mode == InterfaceMode::Simulated;
        if !is_simulated && host_of(&interface.uuid).is_none() {
            continue;
        }
        for id in topology.mac_leases_of_interface(&interface.uuid) {
            let Some(lease) = topology.mac_leases().get(&id) else { continue };
            let Some(domain) = topology.domain_of_mac_lease(lease) else { continue };
            let leases = topology.ip_leases_of_mac_lease(&id).into_iter();
            let leases = leases.filter_map(|id| topology.ip_leases().get(&id).cloned());
            let mut addresses: Vec<_> = leases.map(|lease| lease.address.ip()).collect();
            addresses.extend(interface.allowed_addresses.iter().filter_map(|allowed| allowed.single()));
            let (interface, mac) = (interface.uuid.clone(), lease.mac_address);
            parties.push(Party { interface, domain, mac, addresses, is_simulated });
        }
    }
    parties
}

fn is_leg(topology: &Topology, party: &Party) -> bool {
    topology.interfaces().get(&party.interface).is_some_and(|interface| interface.enable_routing)
}

fn uplinks(topology: &Topology) -> Vec<(InterfaceId, DomainId)> {
    let uplinks = topology.interfaces().values().filter(|interface| interface.mode.is_uplink());
    let domain = |id: &InterfaceId| topology.domains_of_interface(id).into_iter().next();
    uplinks.filter_map(|uplink| Some((uplink.uuid.clone(), domain(&uplink.uuid)?))).collect()
}

/// What who got a packet answers; `None` if nobody would.
fn answer(got: &Packet) -> Option<Packet> {
    let mut answer = got.clone();
    (answer.source, answer.destination) = (got.destination, got.source);
    let ip = answer.ip_mut()?;
    if ip.destination.is_multicast() || got.destination.is_multicast() || ip.fragment != Fragment::Whole {
        return None;
    }
    (ip.source, ip.destination) = (ip.destination, ip.source);
    ip.hops = 64;
    match &mut ip.payload {
        Payload::Tcp { source_port, destination_port, flags } => {
            std::mem::swap(source_port, destination_port);
            *flags = if *flags == TcpFlags::SYN { TcpFlags::SYN_ACK } else { TcpFlags::ACK };
        }
        Payload::Udp { source_port, destination_port } => std::mem::swap(source_port, destination_port),
        Payload::Icmp(icmp @ Icmp { kind: 8, .. }) => icmp.kind = 0,
        Payload::Icmp(icmp @ Icmp { kind: 128, .. }) => icmp.kind = 129,
        Payload::Other { .. } => {}
        Payload::Icmp(_) | Payload::Neighbour(_) => return None,
    }
    Some(answer)
}

/// The error that who got a packet sends about it: "communication administratively prohibited".
fn error_about(got: &Packet) -> Option<Packet> {
    let about = got.ip()?;
    let is_one = !about.destination.is_multicast() && !got.destination.is_multicast();
    let speaks = !matches!(&about.payload, Payload::Icmp(_) | Payload::Neighbour(_) | Payload::Other { .. });
    if !is_one || !speaks || about.fragment != Fragment::Whole || about.data_bytes > 500 {
        return None;
    }
    let (kind, code) = if about.is_ipv4() { (3, 13) } else { (1, 1) };
    let about = Some(Box::new(about.clone()));
    let ips = about.as_ref().map(|of| (of.destination, of.source))?;
    let mut error =
        ip((got.destination, got.source), ips, Payload::Icmp(Icmp { kind, code, identifier: 0, about }));
    error.ip_mut()?.data_bytes = 0;
    Some(error)
}
