//! Guards: what protects a guest, told apart by what it says and not by whose it is.
//!
//! Of two addresses a guard knows no more than in which of the prefixes that its own rules name they are. So what it makes of a
//! packet between two guests is what it makes of one between any others that are in the same of them: see [`Guard::facts`].

use std::collections::BTreeSet;
use std::net::IpAddr;

use ipnet::IpNet;

use super::class::{Filtering, filtering};
use crate::graph::Topology;
use crate::id::SecurityGroupId;
use crate::interface::Interface;

/// What protects a guest.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Guard {
    groups: BTreeSet<SecurityGroupId>,
    filter: Option<Option<Filtering<Option<IpNet>>>>,
}

impl Guard {
    /// Of an interface.
    pub(super) fn of(topology: &Topology, interface: &Interface) -> Self {
        Self {
            groups: interface.security_groups.clone(),
            filter: interface.enable_filtering.then(|| filtering(topology, interface, |own| own)),
        }
    }

    /// Which of its rules are about the guest's own address and that of the other end, as far as they name any.
    pub(super) fn facts(&self, topology: &Topology, own: IpAddr, other: IpAddr) -> Vec<bool> {
        let rules = self.filter.iter().flatten().flat_map(|filter| &filter.rules);
        let of_filter = rules.flat_map(|rule| {
            [rule.own.map(|net| net.contains(&own)), rule.other.map(|net| net.contains(&other))]
        });
        let groups = self.groups.iter().filter_map(|id| topology.security_groups().get(id));
        let rules = groups.flat_map(|group| &group.rules);
        let of_groups = rules.map(|rule| rule.remote_address.map(|net| net.contains(&other)));
        of_filter.chain(of_groups).flatten().collect()
    }
}
