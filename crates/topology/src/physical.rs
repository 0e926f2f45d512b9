//! Physical networks and edges of segments: who may be in one, and which hosts are gateways.
//!
//! # Rules
//! What is behind an uplink is not leased, so nothing in such a network is known but the legs of routers and other
//! simulated interfaces. They are shown to the wire by one host at a time, its gateway, and so belong to no host.

use std::cmp::Reverse;

use crate::address::HostKey;
use crate::edit::Edit;
use crate::error::Error;
use crate::graph::{DomainId, Topology};
use crate::id::{DatapathId, InterfaceId};
use crate::interface::{Interface, InterfaceMode};
use crate::network::{DomainMode, Network};

/// A host with an uplink in a physical network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gateway {
    /// The host.
    pub datapath: DatapathId,
    /// Its key.
    pub host: HostKey,
    /// The uplink.
    pub uplink: InterfaceId,
}

impl Topology {
    /// The physical network that a domain is, if it is one.
    pub fn physical_network(&self, domain: &DomainId) -> Option<&Network> {
        let DomainId::Network(id) = domain else { return None };
        self.networks().get(id).map(AsRef::as_ref).filter(|network| network.mode == DomainMode::Physical)
    }

    /// The uplinks of a physical network, or the edges of a segment, plugged in or not.
    pub fn uplinks(&self, domain: &DomainId) -> impl Iterator<Item = &Interface> {
        let uplinks = self.uplinks_of_domain(domain).into_iter();
        uplinks.filter_map(|id| self.interfaces().get(&id).map(AsRef::as_ref))
    }

    /// The hosts that can be the gateway of a physical network, or forward at the edge of a segment, best first: by priority, then by key. The first that is alive
    /// is.
    pub fn gateways(&self, domain: &DomainId) -> Vec<Gateway> {
        let gateway = |uplink: &Interface| {
            let datapath = self.datapaths().get(self.host_of_interface(&uplink.uuid)?)?;
            let (datapath, host) = (datapath.uuid.clone(), datapath.key);
            let order = (Reverse(uplink.gateway_priority), host);
            Some((order, Gateway { datapath, host, uplink: uplink.uuid.clone() }))
        };
        let up = |uplink: &&Interface| uplink.admin_state == crate::interface::AdminState::Up;
        let mut gateways: Vec<_> = self.uplinks(domain).filter(up).filter_map(gateway).collect();
        gateways.sort_by_key(|(order, _)| *order);
        gateways.into_iter().map(|(_, gateway)| gateway).collect()
    }
}

impl Network {
    /// What hangs on other objects too, judged once a commit is complete.
    pub(crate) fn check(&self, edit: &Edit) -> Result<(), Error> {
        if self.mode == DomainMode::Physical && self.segment_uuid.is_some() {
            return Err(Error::unfit("segment_uuid", "a physical network lies on no segment"));
        }
        let Some(domain) = edit.topology().domain_of_network(&self.uuid) else { return Ok(()) };
        let members = edit.topology().interfaces_in_domain(&domain);
        members.iter().try_for_each(|member| edit.interface(member)?.fits_domains(edit))
    }
}

impl Interface {
    /// Whether it may be in the domains that it is in.
    pub(crate) fn fits_domains(&self, edit: &Edit) -> Result<(), Error> {
        if self.mode.is_uplink() {
            return self.fits_as_uplink(edit);
        }
        let domains = edit.topology().domains_of_interface(&self.uuid);
        let physical = domains.iter().find_map(|domain| edit.topology().physical_network(domain));
        let Some(Network { uuid: network, .. }) = physical else { return Ok(()) };
        if self.mode != InterfaceMode::Simulated {
            let reason = format!("{network} is physical, and {} neither an uplink nor simulated", self.uuid);
            return Err(Error::unfit("network_uuid", reason));
        }
        if self.owner().is_some() {
            let reason = format!("{network} is physical: its gateway has {}, not one host", self.uuid);
            return Err(Error::unfit("owner_datapath_uuid", reason));
        }
        Ok(())
    }

    /// Whether its VLAN, if it has one, is one, and is at an edge.
    pub(crate) fn vlan_is_valid(&self) -> Result<(), Error> {
        let Some(vlan) = self.vlan_id else { return Ok(()) };
        if self.mode != InterfaceMode::Promiscuous {
            return Err(Error::unfit("vlan_id", "is for interfaces of mode promiscuous"));
        }
        // IEEE 802.1Q, section 9.6: the first and the last stand for none.
        let is_one = (1..=4094).contains(&vlan);
        if is_one { Ok(()) } else { Err(Error::argument("vlan_id", "must be 1 to 4094")) }
    }

    /// Whether it has what an uplink needs, and no more.
    pub(crate) fn uplink_is_valid(&self) -> Result<(), Error> {
        let [port] = self.ports.as_slice() else {
            let missing = Error::missing("owner_datapath_uuid");
            let several = || Error::unfit("ports", "an uplink is one port of one host");
            return Err(if self.ports.is_empty() { missing } else { several() });
        };
        if port.datapath_uuid.is_none() {
            return Err(Error::missing("owner_datapath_uuid"));
        }
        if port.port_name.is_none() {
            return Err(Error::missing("port_name"));
        }
        if self.enable_routing {
            return Err(Error::unfit("enable_routing", "is not for uplinks: a router's leg is simulated"));
        }
        Ok(())
    }

    fn fits_as_uplink(&self, edit: &Edit) -> Result<(), Error> {
        if self.mode == InterfaceMode::Promiscuous {
            return self.fits_as_edge(edit);
        }
        self.fits_as_host_interface(edit)?;
        if self.segment_uuid.is_some() {
            let reason = format!("{} is an uplink, of a physical network and no segment", self.uuid);
            return Err(Error::unfit("segment_uuid", reason));
        }
        // Without a network it is there and does nothing, as when its network is deleted.
        let Some(network) = &self.network_uuid else { return Ok(()) };
        if edit.network(network)?.mode != DomainMode::Physical {
            let reason = format!("{network} is not physical, and {} an uplink", self.uuid);
            return Err(Error::unfit("network_uuid", reason));
        }
        self.is_only_uplink(edit, DomainId::Network(network.clone()))
    }

    /// What is leased to it are addresses of its host, in the underlay.
    fn fits_as_host_interface(&self, edit: &Edit) -> Result<(), Error> {
        for id in edit.topology().ip_leases_of_interface(&self.uuid) {
            let network = edit.network(&edit.ip_lease(&id)?.network_uuid)?;
            if network.mode != DomainMode::Physical {
                let reason = format!("{} is not physical, and {} a host interface", network.uuid, self.uuid);
                return Err(Error::unfit("network_uuid", reason));
            }
        }
        Ok(())
    }

    fn fits_as_edge(&self, edit: &Edit) -> Result<(), Error> {
        if !edit.topology().mac_leases_of_interface(&self.uuid).is_empty() {
            let reason = format!("{} is an edge: what is behind it is not leased", self.uuid);
            return Err(Error::unfit("mac_address", reason));
        }
        if self.network_uuid.is_some() {
            let reason = format!("{} is an edge, of a segment and no network", self.uuid);
            return Err(Error::unfit("network_uuid", reason));
        }
        let segment = self.segment_uuid.clone();
        segment.map_or(Ok(()), |segment| self.is_only_uplink(edit, DomainId::Segment(segment)))
    }

    fn is_only_uplink(&self, edit: &Edit, domain: DomainId) -> Result<(), Error> {
        let mut others = edit.topology().uplinks(&domain).filter(|other| other.uuid != self.uuid);
        others.find(|other| other.owner() == self.owner()).map_or(Ok(()), |other| {
            let reason = format!("{} is the uplink of that host there already", other.uuid);
            Err(Error::duplicate("owner_datapath_uuid", reason))
        })
    }
}
