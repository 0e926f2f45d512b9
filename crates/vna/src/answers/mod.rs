//! What the agent answers itself: packets that no flow can turn into their answers. Pure.
//!
//! - `dhcp` and `dhcpv6`: what guests are told of their addresses.
//! - `router_advertisement`: what they are told of routers.
//! - `dns`: what name servers tell.
//! - `rejected`: what filters say to whom they refuse.
//! - `stream`: whom guests open TCP connections to. What is said on them, [`streams`](crate::streams) carries.
//! - `metadata`: who it is that asks for metadata, and whom to ask on its behalf.
//! - `routed`: what routers and simulated interfaces say of packets that they cannot pass on.

mod dhcp;
mod dhcpv6;
mod dns;
mod metadata;
mod rejected;
mod routed;
mod router_advertisement;
mod stream;

use std::net::IpAddr;

pub use dns::{Asked, Forward, Names, Told, tell};
pub use metadata::{Asker, Signing, asker};
pub use router_advertisement::routers;
pub use stream::{Call, Line, Service};

use dataplane::layout::{
    DESTINATION, FLAGS, FROM_WIRE, Question, RESOLVED_MAC, RESOLVED_ROUTER, ROUTED, SOURCE_INTERFACE,
    TUNNEL_MTU,
};
use openflow::{Action, Field, Match, OfPort, PacketIn, PacketOut};
use responder::{Neighbour, Problem};
use topology::interface::{AdminState, Interface};
use topology::mac_lease::MacLease;
use topology::network::Network;
use topology::{DomainId, DomainKey, InterfaceId, InterfaceKey, MacAddr, Topology};

use crate::neighbours::onto_wire;

/// What comes of a packet-in.
#[derive(Debug)]
pub enum Reply {
    /// The answer, on its way to who asked.
    Out(PacketOut),
    /// Others are to be asked first.
    Forward(Forward, Asked),
    /// It is part of a TCP connection.
    Stream(Call),
    /// The manager is to hear that who has sent it asks for an address.
    Ask(InterfaceId),
}

/// Whether an interface is there and not silenced.
fn is_up(interface: &InterfaceId, topology: &Topology) -> bool {
    topology.interfaces().get(interface).is_some_and(|interface| interface.admin_state == AdminState::Up)
}

/// Whether packets enter and leave a router by an interface.
fn is_leg(interface: &Interface) -> bool {
    interface.enable_routing && interface.admin_state == AdminState::Up
}

/// What comes of a packet-in. `None` if it deserves no answer.
pub fn answer(packet_in: &PacketIn, topology: &Topology, names: &Names) -> Option<Reply> {
    let answer = match Question::of_userdata(&packet_in.userdata)? {
        Question::TooBig => too_big(packet_in, topology),
        Question::Solicitation => neighbour(packet_in),
        Question::TimeExceeded => routed::error(packet_in, Problem::TimeExceeded, topology),
        Question::NoRoute => routed::error(packet_in, Problem::NoRoute, topology),
        Question::HostUnreachable => routed::error(packet_in, Problem::HostUnreachable, topology),
        Question::PortUnreachable => routed::error(packet_in, Problem::PortUnreachable, topology),
        Question::Dhcp => return dhcp::answer(packet_in, topology),
        Question::Dhcpv6 => dhcpv6::answer(packet_in, topology),
        Question::RouterSolicitation => router_advertisement::answer(packet_in, topology),
        Question::Dns => return dns::answer(packet_in, topology, names),
        Question::Rejected => rejected::answer(packet_in, topology),
        Question::Logged => {
            rejected::log(packet_in, topology);
            None
        }
        Question::DnsStream => return stream::call(packet_in, Service::Dns).map(Reply::Stream),
        Question::Metadata => return stream::call(packet_in, Service::Metadata).map(Reply::Stream),
        // These take time and memory: see `neighbours`.
        Question::NextHop | Question::NeighbourFound => None,
    };
    answer.map(Reply::Out)
}

fn too_big(packet_in: &PacketIn, topology: &Topology) -> Option<PacketOut> {
    let mtu = u16::try_from(register(packet_in, TUNNEL_MTU)).ok()?;
    if register(packet_in, FLAGS) & ROUTED == 0 {
        return back(packet_in, responder::too_big(&packet_in.packet, mtu)?);
    }
    routed::error(packet_in, Problem::TooBig { mtu }, topology)
}

fn neighbour(packet_in: &PacketIn) -> Option<PacketOut> {
    let is_router = register(packet_in, FLAGS) & RESOLVED_ROUTER != 0;
    let neighbour = Neighbour { mac: mac(packet_in, RESOLVED_MAC), is_router };
    back(packet_in, responder::neighbour_advertisement(&packet_in.packet, neighbour)?)
}

/// Whoever sent a packet: by which of its MAC leases, and so in which domain.
struct Client<'a> {
    interface: &'a Interface,
    mac_lease: &'a MacLease,
    domain: DomainId,
}

impl<'a> Client<'a> {
    /// Who sent it from this MAC address.
    fn of(packet_in: &PacketIn, mac: MacAddr, topology: &'a Topology) -> Option<Self> {
        let key = InterfaceKey(register(packet_in, SOURCE_INTERFACE));
        Self::with(topology.interface_of_key(key)?, mac, topology)
    }

    fn with(interface: &'a Interface, mac: MacAddr, topology: &'a Topology) -> Option<Self> {
        let leases = topology.mac_leases_of_interface(&interface.uuid);
        let mut leases = leases.iter().filter_map(|lease| topology.mac_leases().get(lease));
        let mac_lease = leases.find(|lease| lease.mac_address == mac)?;
        Some(Self { interface, mac_lease, domain: topology.domain_of_mac_lease(mac_lease)?.clone() })
    }

    /// Its leases, each with its network.
    fn ip_leases(&self, topology: &'a Topology) -> Vec<(IpAddr, &'a Network)> {
        let leases = topology.ip_leases_of_mac_lease(&self.mac_lease.uuid);
        let leases = leases.iter().filter_map(|lease| topology.ip_leases().get(lease));
        leases
            .filter_map(|of| Some((of.address.ip(), topology.networks().get(&of.network_uuid)?.as_ref())))
            .collect()
    }
}

/// By the same tables as any packet, from an interface: who asked may be behind a router, or on another host.
fn by_tables(domain: DomainKey, from: InterfaceKey, frame: Vec<u8>) -> PacketOut {
    let actions = vec![
        Action::set_field(Field::Metadata, u64::from(domain.0)),
        Action::set_field(Field::Reg(SOURCE_INTERFACE), from.0),
        Action::resubmit(DESTINATION),
    ];
    PacketOut::new(OfPort::CONTROLLER, actions, frame)
}

/// The domain that a packet is in.
fn domain(packet_in: &PacketIn) -> Option<DomainKey> {
    let key = value(&packet_in.metadata, Field::Metadata)?;
    u32::try_from(key).ok().map(DomainKey)
}

/// Out of the port the question came by; or by the tables, if a wire is behind that, which may want a tag.
fn back(packet_in: &PacketIn, answer: Vec<u8>) -> Option<PacketOut> {
    if register(packet_in, FLAGS) & FROM_WIRE != 0 {
        return Some(onto_wire(domain(packet_in)?.0, None, answer));
    }
    Some(PacketOut::new(OfPort::CONTROLLER, vec![Action::output(packet_in.in_port()?)], answer))
}

/// A register's value. One that is zero is not in the metadata.
fn register(packet_in: &PacketIn, number: u8) -> u32 {
    value(&packet_in.metadata, Field::Reg(number)).and_then(|value| u32::try_from(value).ok()).unwrap_or(0)
}

/// The MAC address in the low 48 bits of a 64-bit register: a pair of words, the first one high (ovs-fields(7), `xreg0`).
fn mac(packet_in: &PacketIn, number: u8) -> [u8; 6] {
    let (high, low) = (register(packet_in, 2 * number), register(packet_in, 2 * number + 1));
    let [_, _, mac @ ..] = (u64::from(high) << 32 | u64::from(low)).to_be_bytes();
    mac
}

/// The source MAC address of the packet, as it is now.
pub(crate) fn source(packet_in: &PacketIn) -> Option<MacAddr> {
    packet_in.packet.get(6..12)?.try_into().ok().map(MacAddr)
}

pub(crate) fn value(metadata: &Match, field: Field) -> Option<u128> {
    metadata.get(field).map(|term| term.value)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const GUEST: [u8; 6] = [0x10, 0x54, 0xff, 0, 0, 1];
    const OWNER: [u8; 6] = [0x10, 0x54, 0xff, 0, 0, 2];

    /// A solicitation by duplicate address detection (RFC 4862, section 5.4.2).
    fn probe(target: Ipv6Addr) -> Vec<u8> {
        let [.., a, b, c] = target.octets();
        let group: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c];
        let mut icmp = vec![135, 0, 0, 0, 0, 0, 0, 0];
        icmp.extend(target.octets());
        let sum = [&[0; 16][..], &group, &[0, 0, 0, 24, 0, 0, 0, 58], &icmp].concat();
        let words = sum.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
        let sum = words.fold(0, |sum, word| (sum + word) % 0xffff);
        icmp[2..4].copy_from_slice(&(!(sum as u16)).to_be_bytes());
        let ethernet = [&[0x33, 0x33, 0xff, a, b, c][..], &GUEST, &[0x86, 0xdd]].concat();
        let header = [&[0x60, 0, 0, 0, 0, 24, 58, 255][..], &[0; 16], &group].concat();
        [ethernet, header, icmp].concat()
    }

    #[test]
    fn a_probe_for_anothers_address_is_answered_with_its_mac_address_out_of_the_port() {
        let target = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
        let mac = OWNER.iter().fold(0, |mac, byte| mac << 8 | u64::from(*byte));
        let packet_in = PacketIn {
            packet: probe(target),
            metadata: Match::new().in_port(OfPort(7)).with(Field::Xreg(RESOLVED_MAC), mac),
            userdata: Question::Solicitation.userdata(),
            ..PacketIn::default()
        };
        let answer = answer(&packet_in, &Topology::default(), &Names::default());
        let Some(Reply::Out(answer)) = answer else { panic!("an answer: {answer:?}") };
        assert_eq!(answer.actions, [Action::output(OfPort(7))]);
        assert_eq!(answer.packet[0..12], [&[0x33, 0x33, 0, 0, 0, 1][..], &OWNER].concat()[..]);
        assert_eq!(answer.packet[54], 136, "a neighbour advertisement");
    }

    #[test]
    fn what_nobody_asked_for_is_not_answered() {
        let packet_in = PacketIn { userdata: vec![0xee], packet: vec![0; 60], ..PacketIn::default() };
        assert!(answer(&packet_in, &Topology::default(), &Names::default()).is_none());
    }
}
