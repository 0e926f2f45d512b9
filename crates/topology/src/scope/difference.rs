//! What hosts must be told of a commit.
//!
//! # Cost
//! Which objects may come to a host, change there or leave it, and which domains they have to do with, is the same for all
//! hosts, and worked out once. What is left for each host is where these domains are. So a commit costs what it changes, and a
//! little for each host; it costs what a domain holds only for a host that the domain comes to, or leaves.

use std::collections::{BTreeMap, BTreeSet};

use super::{domains_of, groups, is_secret, is_within, joined, part, reach, relatives, secrets};
use crate::graph::{DomainId, Topology};
use crate::id::DatapathId;
use crate::object::{Change, Object, ObjectRef};

/// The difference that a commit makes, for every host.
#[derive(Debug)]
pub struct Difference {
    before: Topology,
    after: Topology,
    /// The objects that the commit itself changes, as hosts are told of them.
    changed: BTreeSet<ObjectRef>,
    candidates: Candidates,
}

/// Objects that a host may have to be told of.
#[derive(Debug)]
struct Candidates {
    /// The domains that they have to do with.
    domains: Vec<DomainId>,
    /// Ordered by their references.
    all: Vec<Candidate>,
}

#[derive(Debug)]
struct Candidate {
    reference: ObjectRef,
    changed: bool,
    /// Its domains, by their places among all. `None` if it is not there.
    before: Option<Vec<usize>>,
    after: Option<(Object, Vec<usize>)>,
}

impl Difference {
    /// Works out what `changes` mean to hosts, where `changes` turn `before` into `after`.
    pub fn new(before: &Topology, after: &Topology, changes: &[Change]) -> Self {
        let matters = |change: &&Change| {
            let old = before.get(&change.reference());
            old.is_none() || old.as_ref().map(Object::for_hosts) != change.object().map(Object::for_hosts)
        };
        Self::among(before, after, changes.iter().filter(matters).map(Change::reference).collect())
    }

    /// The same where these objects are said to change.
    pub(super) fn among(before: &Topology, after: &Topology, changed: BTreeSet<ObjectRef>) -> Self {
        let mut references = changed.clone();
        for reference in &changed {
            [before, after].iter().for_each(|topology| relatives(topology, reference, &mut references));
        }
        // Who has a domain knows the hosts that were on it before.
        references.retain(|reference| match reference {
            ObjectRef::Datapath(id) => changed.contains(reference) || !before.agrees_on_host(after, id),
            _ => true,
        });
        let candidates = Candidates::new(before, after, &changed, references);
        Self { before: before.clone(), after: after.clone(), changed, candidates }
    }

    /// The hosts that may have something to be told.
    pub fn concerned(&self) -> BTreeSet<DatapathId> {
        let mut hosts = BTreeSet::new();
        let (mut had, mut have) = (BTreeSet::<usize>::new(), BTreeSet::<usize>::new());
        for candidate in &self.candidates.all {
            match &candidate.reference {
                // That something lives on a host now concerns those who have the domain of what does.
                ObjectRef::Datapath(_) if !candidate.changed => continue,
                ObjectRef::Datapath(id) => drop(hosts.insert(id.clone())),
                ObjectRef::HostPair(id) => {
                    let pairs = [&self.before, &self.after].map(|topology| topology.host_pairs().get(id));
                    hosts.extend(pairs.into_iter().flatten().flat_map(|pair| pair.datapath_uuids.clone()));
                }
                _ => {}
            }
            had.extend(candidate.before.iter().flatten());
            have.extend(candidate.after.iter().flat_map(|(_, domains)| domains));
        }
        for (topology, numbers) in [(&self.before, had), (&self.after, have)] {
            let domains = numbers.into_iter().filter_map(|number| self.candidates.domains.get(number));
            for domain in joined(topology, domains.cloned()) {
                hosts.extend(topology.hosts_of_domain(&domain));
            }
        }
        hosts
    }

    /// What turns a host's scope before the commit into that after it.
    pub fn of(&self, host: &DatapathId) -> Vec<Change> {
        let mut changes = self.candidates.changes(&self.before, &self.after, host);
        let moved = self.moved(host);
        if !moved.is_empty() {
            let moved = Candidates::new(&self.before, &self.after, &self.changed, moved);
            let others = moved.changes(&self.before, &self.after, host).into_iter();
            changes.extend(others.filter(|change| !self.candidates.contain(&change.reference())));
        }
        changes
    }

    /// What comes to a host or leaves it with a whole domain.
    fn moved(&self, host: &DatapathId) -> BTreeSet<ObjectRef> {
        let (before, after) = (&self.before, &self.after);
        let same_domains = before.agrees_on_host(after, host);
        let mut found = BTreeSet::new();
        if same_domains && before.agrees_on_routers(after) {
            return found;
        }
        let (had, has) = (reach(before, host), reach(after, host));
        // A domain that is new itself, or gone, holds nothing that is not.
        let parts = |topology, other: &Topology, domain: &DomainId| match other.key_of_domain(domain) {
            Some(_) => part(topology, domain),
            None => BTreeSet::new(),
        };
        had.difference(&has).for_each(|domain| found.extend(parts(before, after, domain)));
        has.difference(&had).for_each(|domain| found.extend(parts(after, before, domain)));
        if !same_domains {
            let (owned, owns): (BTreeSet<_>, BTreeSet<_>) =
                (before.domains_on(host).into_iter().collect(), after.domains_on(host).into_iter().collect());
            for domain in owned.symmetric_difference(&owns) {
                [before, after].iter().for_each(|topology| found.extend(secrets(topology, domain)));
            }
        }
        found
    }
}

impl Candidates {
    /// These objects, and the security groups of interfaces among them.
    fn new(
        before: &Topology,
        after: &Topology,
        changed: &BTreeSet<ObjectRef>,
        mut references: BTreeSet<ObjectRef>,
    ) -> Self {
        let groups: Vec<_> = [before, after].iter().flat_map(|of| groups(of, &references)).collect();
        references.extend(groups);
        let mut numbers: BTreeMap<DomainId, usize> = BTreeMap::new();
        let mut numbered = |domains: Vec<DomainId>| {
            let number = |domain| {
                let next = numbers.len();
                *numbers.entry(domain).or_insert(next)
            };
            domains.into_iter().map(number).collect::<Vec<_>>()
        };
        let mut candidate = |reference: ObjectRef| Candidate {
            changed: changed.contains(&reference),
            before: before.get(&reference).map(|_| numbered(domains_of(before, &reference))),
            after: after.get(&reference).map(|of| (of.for_hosts(), numbered(domains_of(after, &reference)))),
            reference,
        };
        let all = references.into_iter().map(&mut candidate).collect();
        let mut domains: Vec<_> = numbers.into_iter().collect();
        domains.sort_unstable_by_key(|(_, number)| *number);
        Self { domains: domains.into_iter().map(|(domain, _)| domain).collect(), all }
    }

    fn contain(&self, reference: &ObjectRef) -> bool {
        self.all.binary_search_by(|candidate| candidate.reference.cmp(reference)).is_ok()
    }

    /// What they mean to a host.
    fn changes(&self, before: &Topology, after: &Topology, host: &DatapathId) -> Vec<Change> {
        let (had, has) = (Nearness::new(before, host, self), Nearness::new(after, host, self));
        let change = |candidate: &Candidate| {
            let needed = candidate.before.as_ref().is_some_and(|of| had.needs(&candidate.reference, of));
            let needs = |(_, domains): &&(Object, Vec<usize>)| has.needs(&candidate.reference, domains);
            match candidate.after.as_ref().filter(needs) {
                Some((object, _)) if !needed || candidate.changed => Some(Change::Put(object.clone())),
                Some(_) => None,
                None => needed.then(|| Change::Delete(candidate.reference.clone())),
            }
        };
        self.all.iter().filter_map(change).collect()
    }
}

/// Where domains are, seen from a host.
struct Nearness<'a> {
    topology: &'a Topology,
    host: &'a DatapathId,
    /// For each domain, whether an interface on the host is in it.
    own: Vec<bool>,
    /// For each domain, whether it is within the host's reach.
    within: Vec<bool>,
}

impl<'a> Nearness<'a> {
    fn new(topology: &'a Topology, host: &'a DatapathId, of: &Candidates) -> Self {
        let own = of.domains.iter().map(|domain| topology.is_domain_on(domain, host)).collect();
        let within = of.domains.iter().map(|domain| is_within(topology, host, domain)).collect();
        Self { topology, host, own, within }
    }

    fn needs(&self, reference: &ObjectRef, domains: &[usize]) -> bool {
        let among = |near: &[bool]| domains.iter().any(|domain| near.get(*domain) == Some(&true));
        match reference {
            ObjectRef::Datapath(id) if id == self.host => true,
            ObjectRef::HostPair(id) => {
                self.topology.host_pairs().get(id).is_some_and(|pair| pair.joins(self.host))
            }
            _ if is_secret(reference) => among(&self.own),
            _ => among(&self.within),
        }
    }
}
