//! Random packets: mostly proper ones between those who are there, some that are false, malformed or for many, and answers.

mod aimed;
mod answers;
mod cast;
mod overlay;
mod parties;
mod questions;
mod spoiled;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use topology::walk::{Content, Fragment, Icmp, IpPacket, Outcome, Packet, Payload, TcpFlags};
use topology::{DomainId, InterfaceId, MacAddr, Topology};

pub(crate) use aimed::Aim;
use answers::{answer, error_about};
use parties::{Party, is_leg, parties, uplinks};

use crate::forms::Form;
use crate::random::Random;
use crate::scene::{Sent, Story};
use crate::topologies::{EXTERNAL, OUTSIDE, PORTS_IN_USE, SHARED_PORT, mac_outside};

/// Packets that are remembered to be answered.
const MEMORY: usize = 30;

const EVERYBODY: MacAddr = MacAddr([0xff; 6]);

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
        // What is written unusually would be read as something else.
        if story.scene().sent.last().is_some_and(|sent| sent.form != Form::Plain) {
            return;
        }
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
        if self.random.percent(33) && !self.received.is_empty() {
            let (from, got) = self.random.pick(&self.received).clone();
            let packet = if self.random.percent(75) { answer(&got) } else { error_about(&got) };
            if let Some(packet) = packet {
                let form = self.form(&packet);
                return Some(Sent { from, packet, form });
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
        let large = if self.random.percent(2) { self.large(&from, &parties) } else { None };
        let packet = large.unwrap_or_else(|| self.write(&story.topology, &from, &parties));
        let packet = self.spoil(packet, &parties);
        let form = self.form(&packet);
        Some(Sent { from: from.interface, packet, form })
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
        let to = match self.random.percent(15) {
            true => self.random.any(&crowded).unwrap_or(self.random.clone().pick(among)).clone(),
            false => self.random.pick(among).clone(),
        };
        let far = self.far_away();
        let target = match self.random.below(20) {
            0 | 1 => self.random.any(&far).copied(),
            // Behind several next hops.
            2 => Some(self.far_behind(from)),
            // By a leg that translates.
            3 | 4 => Some(self.outside_of(from)),
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
        let packet = self.packet((from.mac, destination), (source, target));
        self.at_port(packet)
    }

    /// What is for an address of which a port may stand for another's, mostly for that port.
    fn at_port(&mut self, mut packet: Packet) -> Packet {
        let Some(ip) = packet.ip_mut().filter(|ip| is_shared(ip.destination)) else { return packet };
        if let Payload::Tcp { destination_port, .. } | Payload::Udp { destination_port, .. } = &mut ip.payload
            && self.random.percent(60)
        {
            *destination_port = SHARED_PORT;
        }
        packet
    }

    /// Somebody whom the route with several next hops leads to.
    fn far_behind(&mut self, from: &Party) -> IpAddr {
        let last = u8::try_from(self.random.below(200)).expect("a byte");
        match from.addresses.first().is_none_or(IpAddr::is_ipv4) {
            true => IpAddr::from([10, 77, 1, last]),
            false => IpAddr::from(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, last.into())),
        }
    }

    /// Somebody on the wire, or what a leg stands for.
    fn outside_of(&mut self, from: &Party) -> IpAddr {
        self.outside_in(from.addresses.first().is_none_or(IpAddr::is_ipv4))
    }

    fn outside_in(&mut self, is_ipv4: bool) -> IpAddr {
        let last = *self.random.pick(&[OUTSIDE[0], OUTSIDE[1], OUTSIDE[2], EXTERNAL[0], EXTERNAL[1]]);
        match is_ipv4 {
            true => IpAddr::from([203, 0, 113, last]),
            false => IpAddr::from(Ipv6Addr::new(0x2001, 0xdb8, 5, 0, 0, 0, 0, last.into())),
        }
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
        let (first, second) = (self.random.below(5), self.random.below(5));
        let address = |number: usize| IpAddr::from([10, 66, 0, u8::try_from(number).expect("few")]);
        let ips = (address(first), address(second));
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
                let known = self.random.any(&to.addresses).copied().unwrap_or(outside[0]);
                let target = if self.random.percent(25) { self.outside_of(&from) } else { known };
                let source = if target.is_ipv4() { outside[0] } else { outside[1] };
                let inside = self.random.pick(parties).addresses.first().copied();
                let inside = inside.filter(|of| of.is_ipv4() == target.is_ipv4());
                let source = if self.random.percent(10) { inside.unwrap_or(source) } else { source };
                let packet = self.packet((from.mac, hop), (source, target));
                self.at_port(packet)
            }
        };
        let mut packet = self.spoil(packet, parties);
        if self.random.percent(50) {
            packet.vlans = vec![5];
        }
        let form = self.form(&packet);
        Sent { from: uplink, packet, form }
    }
}

/// Whether a leg may stand for others by this address, port by port.
fn is_shared(address: IpAddr) -> bool {
    let last = match address {
        IpAddr::V4(address) => address.octets()[3],
        IpAddr::V6(address) => address.octets()[15],
    };
    last == EXTERNAL[1]
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
