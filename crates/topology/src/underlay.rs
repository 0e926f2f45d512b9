//! The underlay: where hosts are reached, and how packets go from one to another.
//!
//! # Several addresses
//! A host may have several underlay addresses; the first is its own choice, and packets of guests go from the first of the one
//! host to the first of the other. Where these are of different families, the first address of a family that both have
//! is used, of IPv4 before IPv6, so that both ends come to the same. Hosts without a family in common do not reach each other.
//!
//! # Domains with a way of their own
//! Records may say by which address a host carries a domain ([`crate::placement`]). They are obeyed even where an agent has not
//! announced the address: what its underlay takes is then taken to be what that of the host's first address does.

use std::collections::BTreeSet;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::datapath::Datapath;
use crate::graph::{DomainId, Topology};
use crate::id::DatapathId;

/// Smallest IPv6 link (RFC 8200, section 5): an underlay below it cannot carry an overlay.
pub const MIN_UNDERLAY_MTU: u16 = 1280;

/// How frames between hosts are wrapped.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Encapsulation {
    /// RFC 8926, with an option that names source and destination interface.
    #[default]
    Geneve,
    /// RFC 7348.
    Vxlan,
    /// RFC 2784 with the key of RFC 2890.
    Gre,
}

impl Encapsulation {
    /// Every encapsulation.
    pub const ALL: [Self; 3] = [Self::Geneve, Self::Vxlan, Self::Gre];

    /// What is wrapped around an inner packet, in bytes, counted from the underlay's IP header to the end of the inner
    /// Ethernet header.
    pub fn overhead(self, underlay: IpAddr) -> u16 {
        const ETHERNET: u16 = 14;
        const UDP: u16 = 8;
        let ip = if underlay.is_ipv4() { 20 } else { 40 };
        let header = match self {
            // RFC 8926, section 3.4: 8 fixed bytes, then our one option of 4 bytes of header and 8 of data.
            Self::Geneve => UDP + 8 + 12,
            Self::Vxlan => UDP + 8,
            Self::Gre => 4 + 4,
        };
        ip + header + ETHERNET
    }
}

impl std::fmt::Display for Encapsulation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Geneve => "geneve",
            Self::Vxlan => "vxlan",
            Self::Gre => "gre",
        })
    }
}

impl std::str::FromStr for Encapsulation {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        let named = Self::ALL.into_iter().find(|encapsulation| encapsulation.to_string() == text);
        named.ok_or_else(|| format!("must be geneve, vxlan or gre, not {text}"))
    }
}

/// How a user has two hosts send each other what their guests send.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum TunnelMode {
    /// [`Encapsulation::Geneve`].
    Geneve,
    /// [`Encapsulation::Vxlan`].
    Vxlan,
    /// [`Encapsulation::Gre`].
    Gre,
    /// As they are, over a wire that both have an uplink to: see [`crate::wire`]. What cannot go so goes in the sender's own way.
    Mac2mac,
}

impl TunnelMode {
    /// How all of it is wrapped; `None` if only what has to be is.
    pub fn encapsulation(self) -> Option<Encapsulation> {
        match self {
            Self::Geneve => Some(Encapsulation::Geneve),
            Self::Vxlan => Some(Encapsulation::Vxlan),
            Self::Gre => Some(Encapsulation::Gre),
            Self::Mac2mac => None,
        }
    }
}

impl From<Encapsulation> for TunnelMode {
    fn from(encapsulation: Encapsulation) -> Self {
        match encapsulation {
            Encapsulation::Geneve => Self::Geneve,
            Encapsulation::Vxlan => Self::Vxlan,
            Encapsulation::Gre => Self::Gre,
        }
    }
}

impl std::str::FromStr for TunnelMode {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "mac2mac" {
            return Ok(Self::Mac2mac);
        }
        let encapsulation = text.parse::<Encapsulation>();
        encapsulation
            .map(Self::from)
            .map_err(|_| format!("must be geneve, vxlan, gre or mac2mac, not {text}"))
    }
}

/// How a host takes part in the underlay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Underlay {
    /// How this host wraps what it sends.
    pub encapsulation: Encapsulation,
    /// Where the others send to.
    #[schema(value_type = String, example = "192.0.2.1")]
    pub address: IpAddr,
    /// The largest IP packet the underlay takes from this host, in bytes.
    pub mtu: u16,
}

impl Underlay {
    /// Where the host is reached.
    pub fn endpoint(&self) -> UnderlayAddress {
        UnderlayAddress { address: self.address, mtu: self.mtu }
    }
}

/// An address at which a host is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct UnderlayAddress {
    /// Where the others send to.
    #[schema(value_type = String, example = "198.51.100.1")]
    pub address: IpAddr,
    /// The largest IP packet the underlay takes from there, in bytes.
    pub mtu: u16,
}

/// How packets go from one host to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Way {
    /// How they are wrapped.
    pub encapsulation: Encapsulation,
    /// The sender's address.
    pub from: IpAddr,
    /// The receiver's address.
    pub to: IpAddr,
    /// The largest inner IP packet, in bytes.
    pub mtu: u16,
}

impl Way {
    fn new(encapsulation: Encapsulation, (from, to): (UnderlayAddress, UnderlayAddress)) -> Self {
        let mtu = from.mtu.min(to.mtu).saturating_sub(encapsulation.overhead(to.address));
        Self { encapsulation, from: from.address, to: to.address, mtu }
    }
}

impl Topology {
    /// How packets go from one host to another, if they can: those of this domain, or those of which no record says more.
    pub fn way(&self, from: &DatapathId, to: &DatapathId, domain: Option<&DomainId>) -> Option<Way> {
        let (from, to) = (self.datapaths().get(from)?, self.datapaths().get(to)?);
        let own = from.underlay?.encapsulation;
        let encapsulation =
            self.host_pair(from, to).and_then(|pair| pair.used?.encapsulation()).unwrap_or(own);
        let ends = in_common(from, to)?;
        let placed = domain.and_then(|domain| self.placed_ends(from, to, domain));
        Some(Way::new(encapsulation, placed.unwrap_or(ends)))
    }

    /// Whether packets go from one host to another.
    pub fn reaches(&self, from: &DatapathId, to: &DatapathId) -> bool {
        let hosts = self.datapaths().get(from).zip(self.datapaths().get(to));
        hosts.is_some_and(|(from, to)| from.underlay.is_some() && in_common(from, to).is_some())
    }

    /// The addresses between which packets of a domain go, if records say so of either end, and the receiver has an interface in
    /// the domain. Where only one of them has a say, the other chooses; where they do not fit each other, neither counts.
    fn placed_ends(
        &self,
        from: &Datapath,
        to: &Datapath,
        domain: &DomainId,
    ) -> Option<(UnderlayAddress, UnderlayAddress)> {
        if self.relations().is_empty() || !self.is_domain_on(domain, &to.uuid) {
            return None;
        }
        let placed = |host: &Datapath| host.endpoint(self.address(&host.uuid, domain)?);
        match (placed(from), placed(to)) {
            (None, None) => None,
            (Some(from), None) => Some((from, to.address_of_family(from.address.is_ipv4())?)),
            (None, Some(to)) => Some((from.address_of_family(to.address.is_ipv4())?, to)),
            (Some(from), Some(to)) => (from.address.is_ipv4() == to.address.is_ipv4()).then_some((from, to)),
        }
    }

    /// The underlay addresses that records give a host, whether its agent knows them or not.
    pub fn placed_addresses(&self, host: &DatapathId) -> BTreeSet<IpAddr> {
        let records = self.relations_naming(&host.clone().into());
        let records = records.iter().filter_map(|record| self.relations().get(record));
        records.filter_map(|record| self.address_of(host, record)).collect()
    }

    /// The hosts that records give an underlay address, whether their agents know it or not.
    pub fn hosts_placed_at(&self, address: IpAddr) -> BTreeSet<DatapathId> {
        let interfaces = self.host_interfaces_at(&address).into_iter();
        let owners = interfaces.filter_map(|id| self.interfaces().get(&id)?.owner().cloned());
        owners.filter(|host| self.placed_addresses(host).contains(&address)).collect()
    }

    /// The domains that records may have carried over another address of a host.
    pub fn domains_placed_on(&self, host: &DatapathId) -> BTreeSet<DomainId> {
        let records = self.relations_naming(&host.clone().into()).into_iter();
        records.flat_map(|record| self.domains_placed_by(&record.into())).collect()
    }
}

/// The addresses between which two hosts talk.
fn in_common(one: &Datapath, other: &Datapath) -> Option<(UnderlayAddress, UnderlayAddress)> {
    let firsts = (one.addresses().next()?, other.addresses().next()?);
    if firsts.0.address.is_ipv4() == firsts.1.address.is_ipv4() {
        return Some(firsts);
    }
    let of_family = |is_ipv4| Some((one.address_of_family(is_ipv4)?, other.address_of_family(is_ipv4)?));
    of_family(true).or_else(|| of_family(false))
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::address::Dpid;
    use crate::datapath::Registration;
    use crate::edit::Edit;

    /// Two hosts with these addresses, of 1,500 bytes the first and of 1,400 the others.
    fn hosts(addresses: [&[&str]; 2]) -> Topology {
        let mut topology = Topology::default();
        for (number, addresses) in (1..).zip(addresses) {
            let mut mtus = [1500].into_iter().chain(std::iter::repeat(1400));
            let mut addresses = addresses.iter().map(|of| of.parse().expect("an address"));
            let mut next = || Some(UnderlayAddress { address: addresses.next()?, mtu: mtus.next()? });
            let UnderlayAddress { address, mtu } = next().expect("an address");
            let underlay = Underlay { encapsulation: Encapsulation::Geneve, address, mtu };
            let node = format!("h{number}").parse().expect("a node id");
            let registration = Registration::new(node, Dpid(number), underlay);
            let registration = registration.with_addresses(std::iter::from_fn(next).collect());
            let mut edit = Edit::new(&topology, Timestamp::UNIX_EPOCH, number);
            Datapath::register(&mut edit, registration).expect("a host");
            topology = edit.finish().0;
        }
        topology
    }

    fn check(one: &[&str], other: &[&str], expected: Option<(&str, &str, u16)>) {
        let topology = hosts([one, other]);
        let ids = ["dp-h1", "dp-h2"].map(|id| id.parse::<DatapathId>().expect("an id"));
        let between = |from: &DatapathId, to: &DatapathId| {
            topology.way(from, to, None).map(|way| (way.from.to_string(), way.to.to_string(), way.mtu))
        };
        let owned = |(from, to, mtu): (&str, &str, u16)| (from.to_owned(), to.to_owned(), mtu);
        let back = |(from, to, mtu)| owned((to, from, mtu));
        assert_eq!(between(&ids[0], &ids[1]), expected.map(owned), "{one:?} to {other:?}");
        assert_eq!(between(&ids[1], &ids[0]), expected.map(back), "{other:?} to {one:?}");
    }

    #[test]
    fn what_earlier_releases_have_said_of_one_address_is_still_understood() {
        let mut told =
            serde_json::to_value(hosts([&["192.0.2.1"], &["192.0.2.2"]]).datapaths().values().next());
        let datapath = told.as_mut().expect("JSON").as_object_mut().expect("an object");
        datapath.remove("other_addresses").expect("it is there");
        let read: Datapath = serde_json::from_value(datapath.clone().into()).expect("a datapath");
        assert_eq!(read.addresses().count(), 1);
        datapath.retain(|name, _| ["node_id", "dpid", "underlay"].contains(&name.as_str()));
        let read: Registration = serde_json::from_value(datapath.clone().into()).expect("a registration");
        assert_eq!(read.addresses().count(), 1);
    }

    #[test]
    fn a_host_has_a_few_addresses_and_each_once() {
        let check = |others: &[&str], mtu, expected: bool| {
            let others = others.iter().map(|of| of.parse().expect("an address"));
            let others = others.map(|address| UnderlayAddress { address, mtu });
            let address = "192.0.2.1".parse().expect("an address");
            let underlay = Underlay { encapsulation: Encapsulation::Geneve, address, mtu: 1500 };
            let registration = Registration::new("h".parse().expect("a node id"), Dpid(1), underlay);
            let mut edit = Edit::new(&Topology::default(), Timestamp::UNIX_EPOCH, 1);
            let registered = Datapath::register(&mut edit, registration.with_addresses(others.collect()));
            assert_eq!(registered.is_ok(), expected, "{registered:?}");
        };
        let others = ["192.0.2.2", "192.0.2.3", "2001:db8::1", "2001:db8::2"];
        check(&others[..3], 1280, true);
        check(&others, 1500, false);
        check(&["192.0.2.1"], 1500, false);
        check(&others[..1], 1279, false);
    }

    #[test]
    fn the_overhead_is_what_the_encapsulation_and_the_underlays_family_add() {
        let check = |encapsulation, address: &str, expected| {
            let address = UnderlayAddress { address: address.parse().expect("an address"), mtu: 1500 };
            let way = Way::new(encapsulation, (address, address));
            assert_eq!(way.mtu, expected, "{encapsulation} over {}", way.to);
        };
        check(Encapsulation::Geneve, "192.0.2.1", 1438);
        check(Encapsulation::Geneve, "2001:db8::1", 1418);
        check(Encapsulation::Vxlan, "192.0.2.1", 1450);
        check(Encapsulation::Gre, "192.0.2.1", 1458);
    }

    #[test]
    fn hosts_talk_between_their_first_addresses_of_a_family_that_both_have() {
        let (a, b, c, d) = ("192.0.2.1", "192.0.2.2", "198.51.100.1", "198.51.100.2");
        let (six, sixth) = ("2001:db8::1", "2001:db8::2");
        check(&[a], &[b], Some((a, b, 1438)));
        check(&[a, c], &[b, d], Some((a, b, 1438)));
        check(&[a, six], &[sixth, b], Some((a, b, 1338)));
        check(&[a, six], &[sixth], Some((six, sixth, 1318)));
        check(&[six, a], &[sixth, b], Some((six, sixth, 1418)));
        check(&[a, c], &[six], None);
    }
}
