//! Selections: the guests that users name, by themselves, their network, their segment or their security group.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use crate::error::Error;
use crate::graph::{DomainId, Topology};
use crate::id::{Id, InterfaceId, NetworkId, SecurityGroupId, SegmentId};
use crate::interface::InterfaceMode;

/// Names guests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Selector {
    /// All there are.
    Any,
    /// One.
    Interface(InterfaceId),
    /// Those with an address in a network.
    Network(NetworkId),
    /// Those on a segment.
    Segment(SegmentId),
    /// The members of a security group.
    SecurityGroup(SecurityGroupId),
}

impl FromStr for Selector {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let read = |prefix: &str| match prefix {
            InterfaceId::PREFIX => text.parse().ok().map(Self::Interface),
            NetworkId::PREFIX => text.parse().ok().map(Self::Network),
            SegmentId::PREFIX => text.parse().ok().map(Self::Segment),
            SecurityGroupId::PREFIX => text.parse().ok().map(Self::SecurityGroup),
            _ => None,
        };
        if text == "any" {
            return Ok(Self::Any);
        }
        let named = text.split_once('-').and_then(|(prefix, _)| read(prefix));
        let reason = "is neither `any` nor the id of an interface, network, segment or security group";
        named.ok_or_else(|| Error { field: None, ..Error::argument("selector", format!("{text} {reason}")) })
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.pad("any"),
            Self::Interface(id) => f.pad(id.as_str()),
            Self::Network(id) => f.pad(id.as_str()),
            Self::Segment(id) => f.pad(id.as_str()),
            Self::SecurityGroup(id) => f.pad(id.as_str()),
        }
    }
}

impl Selector {
    /// The guests it names.
    ///
    /// # Errors
    /// Nothing has the id, or the interface is no guest.
    pub fn guests(&self, topology: &Topology) -> Result<BTreeSet<InterfaceId>, Error> {
        let unknown = || Error { field: None, ..Error::unknown("uuid", self) };
        let named: Vec<InterfaceId> = match self {
            Self::Any => topology.interfaces().keys().cloned().collect(),
            Self::Interface(id) if topology.interfaces().contains_key(id) && !is_guest(topology, id) => {
                let reason = format!("{id} is no guest: it sends nothing by itself");
                return Err(Error { field: None, ..Error::unfit("selector", reason) });
            }
            Self::Interface(id) => {
                topology.interfaces().get(id).map(|of| of.uuid.clone()).into_iter().collect()
            }
            Self::Network(id) if topology.networks().contains_key(id) => {
                let leases = topology.ip_leases_of_network(id).into_iter();
                let leases = leases.filter_map(|lease| topology.ip_leases().get(&lease));
                let holders = leases.filter_map(|lease| Some(lease.holder.as_ref()?.interface_uuid.clone()));
                holders.chain(topology.interfaces_naming_network(id)).collect()
            }
            Self::Segment(id) if topology.segments().contains_key(id) => {
                topology.interfaces_in_domain(&DomainId::Segment(id.clone()))
            }
            Self::SecurityGroup(id) if topology.security_groups().contains_key(id) => {
                topology.interfaces_of_security_group(id)
            }
            Self::Network(_) | Self::Segment(_) | Self::SecurityGroup(_) => return Err(unknown()),
        };
        if named.is_empty() && matches!(self, Self::Interface(_)) {
            return Err(unknown());
        }
        Ok(named.into_iter().filter(|id| is_guest(topology, id)).collect())
    }
}

/// Whether somebody sends by an interface of their own accord, and is known by what is leased to them.
fn is_guest(topology: &Topology, id: &InterfaceId) -> bool {
    let mode = topology.interfaces().get(id).map(|interface| interface.mode);
    matches!(mode, Some(InterfaceMode::Vif | InterfaceMode::Internal))
}
