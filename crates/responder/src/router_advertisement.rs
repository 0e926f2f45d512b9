//! Router advertisements (RFC 4861, section 6.2), with routes (RFC 4191) and name servers (RFC 8106).
//!
//! # How large
//! An advertisement fits the smallest MTU there may be, as it tells the MTU. What does not fit is left out: first routes,
//! then domains and name servers, then prefixes.
//!
//! # How often
//! When to send one unasked, and how long to wait with an answer, takes a clock and is the caller's.

use std::net::Ipv6Addr;
use std::time::Duration;

use etherparse::icmpv6::{Icmpv6PayloadSlice, RouterAdvertisementHeader};
use etherparse::{EtherType, Icmpv6Type, Ipv6Header};
use hickory_proto::rr::Name;
use ipnet::Ipv6Net;

use crate::ethernet::Frame;
use crate::name::uncompressed;
use crate::ndp::{self, ALL_NODES, ALL_NODES_MAC, Message, are_options_of};

/// What there is for options in a packet of the smallest MTU (RFC 8200, section 5), in bytes.
const ROOM: usize = 1280 - Ipv6Header::LEN - HEADER;

/// An advertisement without options, in bytes (RFC 4861, section 4.2).
const HEADER: usize = 16;

/// What a host does not learn from this router: how long neighbours are reachable, and how often to ask.
const UNSPECIFIED_TIMERS: [u8; 8] = [0; 8];

/// Most name servers and most domains that are told. Hosts take three of either (RFC 8106, section 5.3.1), or some more.
const MOST_SERVERS: usize = 8;
const MOST_DOMAINS: usize = 8;

/// Options are of whole units of so many bytes (RFC 4861, section 4.6).
const UNIT: usize = 8;

/// What a router tells the hosts of a link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Router {
    /// Its MAC address.
    pub mac: [u8; 6],
    /// Its link-local address, by which hosts know it (RFC 4861, section 4.2).
    pub address: Ipv6Addr,
    /// How long it is a default router, in full seconds of 16 bits. Zero: it is none.
    pub lifetime: Duration,
    /// Hop limit for what hosts send. Zero: not told.
    pub hop_limit: u8,
    /// Whether DHCPv6 gives addresses, and the rest.
    pub is_managed: bool,
    /// Whether DHCPv6 gives the rest.
    pub has_other: bool,
    /// The link's MTU, in bytes.
    pub mtu: Option<u16>,
    /// Prefixes of the link.
    pub prefixes: Vec<Prefix>,
    /// Where else it leads.
    pub routes: Vec<Route>,
    /// Name servers, the preferred one first.
    pub dns: Vec<Ipv6Addr>,
    /// Domains that short names are looked up in, in this order.
    pub search: Vec<Name>,
    /// How long name servers and domains are good for, in full seconds.
    pub dns_lifetime: Duration,
}

/// A prefix of a link (RFC 4861, section 4.6.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prefix {
    /// The prefix.
    pub prefix: Ipv6Net,
    /// Whether its addresses are reached without a router.
    pub is_on_link: bool,
    /// Whether hosts may make themselves an address of it (RFC 4862).
    pub is_autonomous: bool,
    /// How long it is valid, in full seconds. What is more than 32 bits hold is for ever.
    pub valid: Duration,
    /// How long addresses of it are preferred, in full seconds: not longer than they are valid.
    pub preferred: Duration,
}

/// A route (RFC 4191, section 2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Where it leads.
    pub prefix: Ipv6Net,
    /// How it compares to those of other routers.
    pub preference: Preference,
    /// How long it is good for, in full seconds. What is more than 32 bits hold is for ever.
    pub lifetime: Duration,
}

/// How a route compares to another router's of the same prefix (RFC 4191, section 2.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preference {
    /// Taken if there is no other.
    Low,
    /// As good as any.
    #[default]
    Medium,
    /// Taken first.
    High,
}

/// The advertisement for an Ethernet frame with a router solicitation: to who asked, if that has an address, else to all.
///
/// `None` if the frame holds no solicitation, or one that is not valid (RFC 4861, section 6.1.1).
pub fn router_advertisement(frame: &[u8], router: &Router) -> Option<Vec<u8>> {
    let frame = Frame::parse(frame)?;
    let question = Message::parse(&frame)?;
    let Some(Icmpv6PayloadSlice::RouterSolicitation(payload)) = question.payload() else { return None };
    if !are_options_of(question.source, payload.options_iterator()) {
        return None;
    }
    // RFC 4861, section 6.2.6.
    if question.source.is_unspecified() {
        Some(frame.answer(router.mac, ALL_NODES_MAC, &packet(router, ALL_NODES)?))
    } else {
        Some(frame.answer(router.mac, frame.source, &packet(router, question.source)?))
    }
}

/// The advertisement to all that a router sends unasked, as an Ethernet frame without VLAN tag.
///
/// `None` only if no such packet can be made, which no router leads to.
pub fn unsolicited(router: &Router) -> Option<Vec<u8>> {
    let ether_type = EtherType::IPV6.0.to_be_bytes();
    Some([&ALL_NODES_MAC[..], &router.mac, &ether_type, &packet(router, ALL_NODES)?].concat())
}

fn packet(router: &Router, to: Ipv6Addr) -> Option<Vec<u8>> {
    let header = RouterAdvertisementHeader {
        cur_hop_limit: router.hop_limit,
        managed_address_config: router.is_managed,
        other_config: router.has_other,
        // RFC 8319, section 4: up to all of the 16 bits.
        router_lifetime: u16::try_from(router.lifetime.as_secs()).unwrap_or(u16::MAX),
    };
    let mut payload = UNSPECIFIED_TIMERS.to_vec();
    let mut room = ROOM;
    for option in options(router) {
        if let Some(left) = room.checked_sub(option.len()) {
            room = left;
            payload.extend(option);
        }
    }
    ndp::packet(router.address, to, Icmpv6Type::RouterAdvertisement(header), &payload)
}

/// All options, the most needed first.
fn options(router: &Router) -> impl Iterator<Item = Vec<u8>> {
    let mtu = router.mtu.and_then(|mtu| option(5, &[&[0; 2], &u32::from(mtu).to_be_bytes()]));
    let first = option(1, &[&router.mac]).into_iter().chain(mtu);
    let dns = name_servers(router).into_iter().chain(domains(router));
    first
        .chain(router.prefixes.iter().filter_map(prefix))
        .chain(dns)
        .chain(router.routes.iter().filter_map(route))
}

/// RFC 4861, section 4.6.2.
fn prefix(of: &Prefix) -> Option<Vec<u8>> {
    let flags = u8::from(of.is_on_link) << 7 | u8::from(of.is_autonomous) << 6;
    // RFC 4862, section 5.5.3 (c): a prefix that is preferred longer than valid is ignored.
    let preferred = of.preferred.min(of.valid);
    let head = [of.prefix.prefix_len(), flags];
    option(3, &[&head, &seconds(of.valid), &seconds(preferred), &[0; 4], &of.prefix.network().octets()])
}

/// RFC 4191, section 2.3: of the prefix, as many units as its length needs.
fn route(of: &Route) -> Option<Vec<u8>> {
    let preference: u8 = match of.preference {
        Preference::Low => 0b11 << 3,
        Preference::Medium => 0,
        Preference::High => 0b01 << 3,
    };
    let length = of.prefix.prefix_len();
    let octets = of.prefix.network().octets();
    let needed = octets.get(..usize::from(length).div_ceil(64) * UNIT)?;
    option(24, &[&[length, preference], &seconds(of.lifetime), needed])
}

/// RFC 8106, section 5.1.
fn name_servers(router: &Router) -> Option<Vec<u8>> {
    let servers: Vec<_> = router.dns.iter().take(MOST_SERVERS).flat_map(Ipv6Addr::octets).collect();
    (!servers.is_empty()).then(|| option(25, &[&[0; 2], &seconds(router.dns_lifetime), &servers]))?
}

/// RFC 8106, section 5.2.
fn domains(router: &Router) -> Option<Vec<u8>> {
    let domains: Vec<_> = router.search.iter().take(MOST_DOMAINS).flat_map(uncompressed).collect();
    (!domains.is_empty()).then(|| option(31, &[&[0; 2], &seconds(router.dns_lifetime), &domains]))?
}

/// An option, filled up with zeros to whole units. `None` if that are too many.
fn option(kind: u8, parts: &[&[u8]]) -> Option<Vec<u8>> {
    let mut bytes = vec![kind, 0];
    parts.iter().for_each(|part| bytes.extend(*part));
    let units = bytes.len().div_ceil(UNIT);
    bytes.resize(units * UNIT, 0);
    *bytes.get_mut(1)? = u8::try_from(units).ok()?;
    Some(bytes)
}

fn seconds(time: Duration) -> [u8; 4] {
    u32::try_from(time.as_secs()).unwrap_or(u32::MAX).to_be_bytes()
}
