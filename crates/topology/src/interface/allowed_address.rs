//! Allowed addresses: what an interface may send from, and is found at, besides its leases.
//!
//! # Whose an address is
//! A lease is stronger: nobody is allowed what is leased to another, nor leased what another is allowed. In a network a
//! single address and a MAC address are one interface's; on a segment, where addresses wander, several may share both.
//!
//! They hold where the interface's first MAC lease is: a frame's port and source tell the domain it is in.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::{IpNet, Ipv6Net};
use serde::{Deserialize, Serialize};

use super::Interface;
use crate::address::MacAddr;
use crate::allocation::Span;
use crate::edit::Edit;
use crate::error::Error;
use crate::graph::{DomainId, Topology};
use crate::id::InterfaceId;
use crate::ip_lease::IpLease;

/// Most allowed addresses of one interface: each costs every host of its network a flow.
pub const MAX_ALLOWED_ADDRESSES: usize = 64;

/// Link-local addresses (RFC 4291, section 2.5.6): they come with MAC addresses, and are nobody's to allow.
const LINK_LOCAL: Ipv6Net = Ipv6Net::new_assert(Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 0), 10);

/// An address or a prefix, perhaps of one MAC address only: `10.0.0.5`, `10.9.0.0/16`, `02:00:00:00:00:01=10.0.0.9`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct AllowedAddress {
    /// The MAC address, if it is not one that is leased to the interface.
    pub mac: Option<MacAddr>,
    /// The addresses.
    pub prefix: IpNet,
}

/// Why a text is no allowed address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AllowedAddressError {
    /// It has another form.
    #[error("{0} is no address or prefix; a MAC address and `=` may stand before it")]
    Form(String),
    /// The address has bits that its prefix has not.
    #[error("{0} has bits beyond its prefix")]
    Bits(IpNet),
    /// Nobody sends from such an address, or everybody does.
    #[error("{0} cannot be allowed")]
    Unfit(String),
}

impl AllowedAddress {
    /// The address, if it is one.
    pub fn single(&self) -> Option<IpAddr> {
        (self.prefix.prefix_len() == self.prefix.max_prefix_len()).then_some(self.prefix.addr())
    }
}

impl FromStr for AllowedAddress {
    type Err = AllowedAddressError;

    fn from_str(text: &str) -> Result<Self, AllowedAddressError> {
        let form = || AllowedAddressError::Form(text.to_owned());
        let (mac, prefix) = match text.split_once('=') {
            Some((mac, prefix)) => (Some(mac.parse::<MacAddr>().map_err(|_| form())?), prefix),
            None => (None, text),
        };
        let single = || prefix.parse::<IpAddr>().map(IpNet::from);
        let prefix: IpNet = prefix.parse().or_else(|_| single()).map_err(|_| form())?;
        if prefix != prefix.trunc() {
            return Err(AllowedAddressError::Bits(prefix));
        }
        let is_link_local = match prefix {
            IpNet::V6(prefix) => LINK_LOCAL.contains(&prefix) || prefix.contains(&LINK_LOCAL),
            IpNet::V4(_) => false,
        };
        let is_mapped = matches!(prefix.addr(), IpAddr::V6(address) if address.to_ipv4_mapped().is_some());
        if prefix.addr().is_multicast()
            || is_link_local
            || is_mapped
            || mac.is_some_and(|mac| !mac.is_unicast())
        {
            return Err(AllowedAddressError::Unfit(text.to_owned()));
        }
        Ok(Self { mac, prefix })
    }
}

impl fmt::Display for AllowedAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(mac) = self.mac {
            write!(f, "{mac}=")?;
        }
        match self.single() {
            Some(address) => address.fmt(f),
            None => self.prefix.fmt(f),
        }
    }
}

impl TryFrom<String> for AllowedAddress {
    type Error = AllowedAddressError;

    fn try_from(text: String) -> Result<Self, AllowedAddressError> {
        text.parse()
    }
}

impl From<AllowedAddress> for String {
    fn from(address: AllowedAddress) -> Self {
        address.to_string()
    }
}

impl Topology {
    /// Where an interface's allowed addresses hold: in the domain of its first MAC lease that has one.
    pub fn domain_of_allowed(&self, interface: &InterfaceId) -> Option<DomainId> {
        self.attachments_of_interface(interface).next().map(|(.., domain)| domain.clone())
    }

    /// Another interface than `except` that is allowed an address of a domain.
    pub(crate) fn allowed_to(
        &self,
        domain: &DomainId,
        address: IpAddr,
        except: Option<&InterfaceId>,
    ) -> Option<InterfaceId> {
        let mut allowed = self.allowing(domain, address).map(|(_, other)| other);
        allowed.find(|other| Some(other) != except)
    }

    /// The IPv4 addresses of the widest prefix around this one that is allowed to somebody in a domain.
    pub(crate) fn ipv4_allowed_around(&self, domain: &DomainId, address: Ipv4Addr) -> Option<Span> {
        match self.allowing(domain, address.into()).next()?.0 {
            IpNet::V4(net) => Some(net.network().to_bits().into()..=net.broadcast().to_bits().into()),
            IpNet::V6(_) => None,
        }
    }

    /// The allowed prefixes of a domain with an address in them, the widest first, each with its interface.
    fn allowing(&self, domain: &DomainId, address: IpAddr) -> impl Iterator<Item = (IpNet, InterfaceId)> {
        let longest = IpNet::from(address).max_prefix_len();
        let prefixes =
            (0..=longest).filter_map(move |length| Some(IpNet::new(address, length).ok()?.trunc()));
        let allowed = prefixes.flat_map(|prefix| {
            self.interfaces_allowing(&prefix).into_iter().map(move |interface| (prefix, interface))
        });
        allowed.filter(|(_, interface)| self.domain_of_allowed(interface).as_ref() == Some(domain))
    }

    /// Another interface than `except` that is allowed a MAC address of a domain.
    pub(crate) fn mac_allowed_to(
        &self,
        domain: &DomainId,
        mac: MacAddr,
        except: &InterfaceId,
    ) -> Option<InterfaceId> {
        let allowed = self.interfaces_allowing_mac(&mac);
        allowed
            .into_iter()
            .find(|other| other != except && self.domain_of_allowed(other).as_ref() == Some(domain))
    }
}

impl Interface {
    /// What it is allowed is nobody else's.
    pub(crate) fn allowed_is_free(&self, edit: &Edit) -> Result<(), Error> {
        if self.allowed_addresses.len() > MAX_ALLOWED_ADDRESSES {
            let reason = format!("an interface has at most {MAX_ALLOWED_ADDRESSES} allowed addresses");
            return Err(Error::unfit("allowed_addresses", reason));
        }
        let Some(domain) = edit.topology().domain_of_allowed(&self.uuid) else { return Ok(()) };
        self.allowed_addresses.iter().try_for_each(|allowed| self.one_is_free(edit, &domain, allowed))
    }

    fn one_is_free(&self, edit: &Edit, domain: &DomainId, allowed: &AllowedAddress) -> Result<(), Error> {
        let topology = edit.topology();
        let taken = |what: &dyn fmt::Display, by: &dyn fmt::Display| {
            Err(Error::duplicate("allowed_addresses", format!("{what} is {by}'s")))
        };
        for network in topology.networks_of_domain(domain) {
            let leases = match allowed.single() {
                Some(address) => topology.ip_leases_of_address(&network, address),
                None => topology.ip_leases_of_network(&network),
            };
            let leases = leases.iter().filter_map(|lease| topology.ip_leases().get(lease));
            let mut others = leases.filter(|lease| !self.holds(lease));
            if let Some(lease) = others.find(|lease| allowed.prefix.contains(&lease.address.ip())) {
                return taken(&lease.address.ip(), &lease.uuid);
            }
        }
        let shares = matches!(domain, DomainId::Segment(_));
        if let Some(mac) = allowed.mac {
            let leases = topology.mac_leases_of_address(domain, mac);
            let leases = leases.iter().filter_map(|lease| topology.mac_leases().get(lease));
            if let Some(lease) = leases.into_iter().find(|lease| lease.interface_uuid != self.uuid) {
                return taken(&mac, &lease.uuid);
            }
            if let Some(other) = topology.mac_allowed_to(domain, mac, &self.uuid).filter(|_| !shares) {
                return taken(&mac, &other);
            }
        }
        let others = allowed.single().map(|_| topology.interfaces_allowing(&allowed.prefix));
        let is_other = |other: &InterfaceId| {
            *other != self.uuid && topology.domain_of_allowed(other).as_ref() == Some(domain)
        };
        match others.into_iter().flatten().find(is_other).filter(|_| !shares) {
            Some(other) => taken(allowed, &other),
            None => Ok(()),
        }
    }

    fn holds(&self, lease: &IpLease) -> bool {
        lease.holder.as_ref().is_some_and(|holder| holder.interface_uuid == self.uuid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<&str>) {
        let parsed = text.parse::<AllowedAddress>().ok().map(|allowed| allowed.to_string());
        assert_eq!(parsed.as_deref(), expected, "{text}");
    }

    #[test]
    fn an_allowed_address_is_an_address_or_a_prefix_perhaps_of_a_mac_address() {
        check("10.0.0.5", Some("10.0.0.5"));
        check("10.0.0.5/32", Some("10.0.0.5"));
        check("10.9.0.0/16", Some("10.9.0.0/16"));
        check("fd00:0::/64", Some("fd00::/64"));
        check("02:00:00:00:00:01=10.0.0.9", Some("02:00:00:00:00:01=10.0.0.9"));
        for wrong in
            ["", "=", "10.9.0.1/16", "10.0.0.0/33", "224.0.0.1", "fe80::1", "::/0", "::ffff:10.0.0.1"]
        {
            check(wrong, None);
        }
        check("01:00:00:00:00:01=10.0.0.9", None);
        check("10.0.0.9=02:00:00:00:00:01", None);
    }
}
