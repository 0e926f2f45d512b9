//! Who is in a domain, under which addresses, and where.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use super::{Journey, Walker};
use crate::address::MacAddr;
use crate::graph::DomainId;
use crate::id::{DatapathId, InterfaceId, MacLeaseId};
use crate::interface::{AdminState, Interface, InterfaceMode};

/// One MAC address of an interface, where it is leased.
pub(super) struct Attachment {
    pub(super) domain: DomainId,
    pub(super) mac: MacAddr,
    /// The addresses that are leased behind it.
    pub(super) addresses: BTreeSet<IpAddr>,
}

/// Where an interface is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Simulated on every host.
    Everywhere,
    /// On one.
    On(DatapathId),
}

/// Somebody with an address.
pub(super) struct Found<'a> {
    pub(super) interface: &'a Interface,
    pub(super) mac: MacAddr,
}

impl<'a> Walker<'a> {
    /// An interface that takes part.
    pub(super) fn interface(&self, id: &InterfaceId) -> Option<&'a Interface> {
        let interface = self.topology.interfaces().get(id).map(Arc::as_ref);
        interface.filter(|interface| interface.admin_state == AdminState::Up)
    }

    /// Where an interface takes part, if it does.
    pub(super) fn place(&self, interface: &Interface) -> Option<Place> {
        let host = self.topology.host_of_interface(&interface.uuid).cloned();
        match host {
            None if interface.mode == InterfaceMode::Simulated => Some(Place::Everywhere),
            host => host.map(Place::On),
        }
    }

    /// Whether what is on one host can be brought to another.
    pub(super) fn reaches(&self, from: &DatapathId, to: &DatapathId) -> bool {
        from == to || self.topology.reaches(from, to)
    }

    /// An interface that takes part where this host can reach it.
    pub(super) fn reachable(&self, at: &Journey, id: &InterfaceId) -> Option<&'a Interface> {
        let interface = self.interface(id)?;
        match self.place(interface)? {
            Place::Everywhere => Some(interface),
            Place::On(host) => self.reaches(&at.host, &host).then_some(interface),
        }
    }

    /// The MAC addresses that are leased to an interface, in the order of their leases' ids.
    pub(super) fn attachments(&self, interface: &InterfaceId) -> Vec<Attachment> {
        let attachment = |(lease, mac, domain): (&MacLeaseId, MacAddr, &DomainId)| {
            let leased = self.topology.ip_leases_of_mac_lease(lease);
            let leased = leased.iter().filter_map(|id| self.topology.ip_leases().get(id));
            let mut addresses: BTreeSet<_> = leased.map(|lease| lease.address.ip()).collect();
            if self.has_link_local(domain) {
                addresses.insert(mac.link_local().into());
            }
            Attachment { domain: domain.clone(), mac, addresses }
        };
        self.topology.attachments_of_interface(interface).map(attachment).collect()
    }

    /// Whether the link-local address of each MAC address is leased along with it (RFC 4291, section 2.8).
    fn has_link_local(&self, domain: &DomainId) -> bool {
        let DomainId::Network(network) = domain else { return false };
        self.topology.networks().get(network).is_some_and(|network| network.subnets.ipv6.is_some())
    }

    /// Whether an address may be among an interface's attachments: it is leased to it, or made of a MAC address.
    pub(super) fn may_have(&self, interface: &InterfaceId, address: IpAddr) -> bool {
        let leases = self.topology.ip_leases_of_interface(interface).into_iter();
        let mut leases = leases.filter_map(|id| self.topology.ip_leases().get(&id));
        let is_link_local = matches!(address, IpAddr::V6(address) if address.is_unicast_link_local());
        is_link_local || leases.any(|lease| lease.address.ip() == address)
    }

    /// Whose a MAC address is in a domain by lease.
    pub(super) fn by_mac(&self, domain: &DomainId, mac: MacAddr) -> Option<InterfaceId> {
        let leases = self.topology.mac_leases_of_address(domain, mac);
        let lease = leases.iter().find_map(|id| self.topology.mac_leases().get(id))?;
        Some(lease.interface_uuid.clone())
    }

    /// The interfaces that are allowed a MAC address which nobody has leased: one in a network, perhaps several on a segment.
    pub(super) fn allowed_mac(&self, domain: &DomainId, mac: MacAddr) -> Vec<InterfaceId> {
        let mut allowed = self.topology.interfaces_allowing_mac(&mac);
        allowed.retain(|id| self.topology.domain_of_allowed(id).as_ref() == Some(domain));
        allowed
    }

    /// Who has an address in a domain, and under which MAC address: by lease, or because it is allowed the address.
    pub(super) fn by_address(&self, at: &Journey, domain: &DomainId, address: IpAddr) -> Option<Found<'a>> {
        let leased = self.leased(domain, address);
        let allowed = || self.allowed(domain, address);
        let (id, mac) = leased.or_else(allowed)?;
        let interface = self.reachable(at, &id)?;
        Some(Found { interface, mac })
    }

    fn leased(&self, domain: &DomainId, address: IpAddr) -> Option<(InterfaceId, MacAddr)> {
        let leases = self.topology.networks_of_domain(domain).into_iter();
        let mut leases = leases.flat_map(|network| self.topology.ip_leases_of_address(&network, address));
        let by_lease = leases.find_map(|id| {
            let holder = self.topology.ip_leases().get(&id)?.holder.as_ref()?;
            let mac = self.topology.mac_leases().get(&holder.mac_lease_uuid)?;
            let here = self.topology.domain_of_mac_lease(mac) == Some(domain);
            here.then(|| (mac.interface_uuid.clone(), mac.mac_address))
        });
        by_lease.or_else(|| {
            let IpAddr::V6(address) = address else { return None };
            let mac = MacAddr::of_link_local(address).filter(|_| self.has_link_local(domain))?;
            self.by_mac(domain, mac).map(|id| (id, mac))
        })
    }

    /// Allowed addresses are found in networks only: on a segment guests resolve each other by themselves.
    fn allowed(&self, domain: &DomainId, address: IpAddr) -> Option<(InterfaceId, MacAddr)> {
        let DomainId::Network(_) = domain else { return None };
        let allowing = self.topology.interfaces_allowing(&address.into()).into_iter();
        let mut here = allowing.filter(|id| self.topology.domain_of_allowed(id).as_ref() == Some(domain));
        let id = here.next()?;
        let interface = self.topology.interfaces().get(&id)?;
        let mut allowed = interface.allowed_addresses.iter().filter(|of| of.single() == Some(address));
        let mac = allowed.next()?.mac.or_else(|| Some(self.attachments(&id).first()?.mac))?;
        Some((id, mac))
    }

    /// Whether an interface has an address itself, by lease or because it is allowed it.
    pub(super) fn is_own(&self, interface: &InterfaceId, domain: &DomainId, address: IpAddr) -> bool {
        let attachments = self.attachments(interface);
        let leased = attachments.iter().any(|of| of.domain == *domain && of.addresses.contains(&address));
        leased || self.allowed(domain, address).is_some_and(|(id, _)| id == *interface)
    }
}
