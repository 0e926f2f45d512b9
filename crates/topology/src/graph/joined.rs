//! Which L2 domains routers join together, over however many routers.
//!
//! Worked out over all routes when first asked for, and kept until routes or the domains of their networks change. Clones of
//! a topology share it: what changes all the time, interfaces and where they live, has no say.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{DomainId, Topology};
use crate::id::RouteLinkId;

/// The domains that routers have legs in, in groups that they join.
#[derive(Default)]
pub(super) struct Joined {
    groups: Vec<Vec<DomainId>>,
    group_of: HashMap<DomainId, usize>,
}

impl Joined {
    /// Works it out.
    pub(super) fn of(topology: &Topology) -> Self {
        let mut behind: HashMap<&RouteLinkId, BTreeSet<DomainId>> = HashMap::new();
        let mut around: BTreeMap<DomainId, BTreeSet<&RouteLinkId>> = BTreeMap::new();
        for route in topology.routes.values() {
            let Some(domain) = topology.domain_of_network(&route.network_uuid) else { continue };
            behind.entry(&route.route_link_uuid).or_default().insert(domain.clone());
            around.entry(domain).or_default().insert(&route.route_link_uuid);
        }
        let mut joined = Self::default();
        for (start, routers) in &around {
            if joined.group_of.contains_key(start) {
                continue;
            }
            let mut group = vec![start.clone()];
            let mut ahead: Vec<_> = routers.iter().collect();
            joined.group_of.insert(start.clone(), joined.groups.len());
            while let Some(router) = ahead.pop() {
                // Each router leads on once.
                for domain in behind.remove(router).into_iter().flatten() {
                    ahead.extend(around.get(&domain).into_iter().flatten());
                    if joined.group_of.insert(domain.clone(), joined.groups.len()).is_none() {
                        group.push(domain);
                    }
                }
            }
            joined.groups.push(group);
        }
        joined
    }

    /// The domains that routers join to this one, itself among them; none if no router has a leg in it.
    pub(super) fn group(&self, domain: &DomainId) -> &[DomainId] {
        let group = self.group_of.get(domain).and_then(|group| self.groups.get(*group));
        group.map_or(&[], Vec::as_slice)
    }
}
