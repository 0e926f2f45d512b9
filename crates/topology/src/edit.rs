//! Edits: a topology that is being changed, and what has changed so far.
//!
//! An edit works on a clone, so each step sees the ones before it and a failure leaves nothing behind. What comes out
//! is the list of changes of one commit.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use jiff::Timestamp;

use crate::address::{
    DomainKey, HostKey, IdentityKey, InterfaceKey, MacAddr, RouteKey, RouteLinkKey, TranslationKey,
    TranslationZone,
};
use crate::datapath::Datapath;
use crate::dice::Dice;
use crate::dns_record::DnsRecord;
use crate::dns_service::DnsService;
use crate::error::{Error, ErrorKind};
use crate::filter::Filter;
use crate::graph::{DomainId, Topology};
use crate::id::{
    DatapathId, DnsRecordId, DnsServiceId, FilterId, Id, InterfaceId, IpLeaseContainerId, IpLeaseId,
    IpRangeGroupId, IpRangeId, IpRetentionContainerId, LeasePolicyId, MacLeaseId, MacRangeGroupId,
    MacRangeId, NetworkId, NetworkServiceId, RouteId, RouteLinkId, SecurityGroupId, SegmentId, TopologyId,
    TranslationId,
};
use crate::interface::{Interface, ip_field};
use crate::ip_lease::IpLease;
use crate::ip_lease_container::IpLeaseContainer;
use crate::ip_range::IpRange;
use crate::ip_range_group::IpRangeGroup;
use crate::ip_retention_container::IpRetentionContainer;
use crate::layer::Layer;
use crate::lease_policy::LeasePolicy;
use crate::mac_lease::MacLease;
use crate::mac_range::MacRange;
use crate::mac_range_group::MacRangeGroup;
use crate::meta::{Meta, MetaSpec};
use crate::network::Network;
use crate::network_service::NetworkService;
use crate::object::{Change, Object, ObjectRef};
use crate::route::Route;
use crate::route_link::RouteLink;
use crate::security_group::SecurityGroup;
use crate::segment::Segment;
use crate::sequences::next_key;
use crate::translation::Translation;

/// Letters of made-up ids.
const ALPHABET: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// Length of made-up names, as in the original.
const MADE_UP_NAME: usize = 8;

/// A topology that is being changed.
#[derive(Debug)]
pub struct Edit {
    base: Topology,
    topology: Topology,
    changed: BTreeSet<ObjectRef>,
    /// What has changed since the last check, and in which step.
    unchecked: BTreeMap<ObjectRef, usize>,
    step: usize,
    now: Timestamp,
    dice: Dice,
}

impl Edit {
    /// Starts from `base`. Names are made up and addresses drawn from `seed`, which should be random.
    pub fn new(base: &Topology, now: Timestamp, seed: u64) -> Self {
        let (base, topology) = (base.clone(), base.clone());
        let (changed, unchecked) = (BTreeSet::new(), BTreeMap::new());
        Self { base, topology, changed, unchecked, step: 0, now, dice: Dice(seed) }
    }

    /// The topology with the changes so far.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The topology it started from.
    pub(crate) fn base(&self) -> &Topology {
        &self.base
    }

    /// The time of the edit.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Names the objects changed so far.
    pub(crate) fn changed(&self) -> impl Iterator<Item = &ObjectRef> {
        self.changed.iter()
    }

    /// The changes, each object once; empty if nothing differs from the start.
    pub fn into_changes(self) -> Vec<Change> {
        self.finish().1
    }

    /// The topology that a commit of the changes leads to, and the changes, each object once. If nothing differs from
    /// the start, that, and none.
    pub fn finish(self) -> (Topology, Vec<Change>) {
        let change = |reference: ObjectRef| match (self.base.get(&reference), self.topology.get(&reference)) {
            (old, new) if old == new => None,
            (_, Some(new)) => Some(Change::Put(new)),
            (_, None) => Some(Change::Delete(reference)),
        };
        let changes: Vec<_> = self.changed.into_iter().filter_map(change).collect();
        match changes.as_slice() {
            [] => (self.base, changes),
            _ => (self.topology.at(self.base.revision().next()), changes),
        }
    }

    pub(crate) fn put(&mut self, object: impl Into<Object>) {
        self.apply(Change::Put(object.into()));
    }

    /// Deletes an object, and the relations that name it.
    pub(crate) fn delete(&mut self, reference: impl Into<ObjectRef>) {
        let reference = reference.into();
        for relation in self.topology.relations_naming(&reference) {
            self.apply(Change::Delete(relation.into()));
        }
        self.apply(Change::Delete(reference));
    }

    /// Puts `new` in place of `old`, with a new time and revision, unless they are equal.
    pub(crate) fn replace<T: PartialEq>(&mut self, old: &T, mut new: T, meta: impl Fn(&mut T) -> &mut Meta)
    where
        Object: From<T>,
    {
        if *old != new {
            let meta = meta(&mut new);
            (meta.updated_at, meta.revision) = (self.now, self.base.revision().next());
            self.put(new);
        }
    }

    fn apply(&mut self, change: Change) {
        self.changed.insert(change.reference());
        self.unchecked.insert(change.reference(), self.step);
        for interface in self.topology.apply(std::slice::from_ref(&change)) {
            self.unchecked.insert(interface.into(), self.step);
        }
    }

    pub(crate) fn new_meta(&self, spec: MetaSpec) -> Result<Meta, Error> {
        Meta::new(spec, self.now, self.base.revision().next())
    }

    /// The id that was given, if it is free, else a made-up one.
    pub(crate) fn new_id<T: Id + Into<ObjectRef>>(&mut self, given: Option<String>) -> Result<T, Error> {
        if let Some(given) = given {
            let id: T = given.parse().map_err(|cause| Error::invalid_uuid("uuid", &cause))?;
            return match self.topology.get(&id.clone().into()) {
                None => Ok(id),
                Some(_) => Err(Error::new(ErrorKind::DuplicateUuid, "uuid", format!("uuid: {id} is taken"))),
            };
        }
        loop {
            let id: T =
                format!("{}-{}", T::PREFIX, self.made_up_name()).parse().expect("the alphabet is valid");
            if self.topology.get(&id.clone().into()).is_none() {
                return Ok(id);
            }
        }
    }

    /// Random numbers for one decision.
    pub(crate) fn dice(&mut self) -> Dice {
        Dice(self.dice.roll())
    }

    fn made_up_name(&mut self) -> String {
        let mut mixed = self.dice.roll();
        let base = ALPHABET.len() as u64;
        let mut letter = || {
            let digit = usize::try_from(mixed % base).expect("a remainder of 36");
            mixed /= base;
            char::from(ALPHABET[digit])
        };
        (0..MADE_UP_NAME).map(|_| letter()).collect()
    }

    /// The id of an object that another names in `field`.
    pub(crate) fn reference<T: Id + Into<ObjectRef>>(&self, field: &str, text: &str) -> Result<T, Error> {
        let id: T = text.parse().map_err(|cause| Error::invalid_uuid(field, &cause))?;
        match self.topology.get(&id.clone().into()) {
            Some(_) => Ok(id),
            None => Err(Error::unknown(field, text)),
        }
    }

    /// Says which step the changes from here on belong to.
    pub(crate) fn begin(&mut self, step: usize) {
        self.step = step;
    }

    /// What no single object can tell: that addresses and ports are one's own where they are. Names the last step
    /// that touched what is wrong.
    ///
    /// Judged when all steps are done, so that two interfaces can change addresses with each other in one commit.
    pub(crate) fn check(&mut self) -> Result<(), (usize, Error)> {
        let wrong = std::mem::take(&mut self.unchecked).into_iter().filter_map(|(reference, step)| {
            let checked = match &reference {
                ObjectRef::Interface(id) => self.check_interface(id),
                ObjectRef::IpLease(id) => {
                    self.address_is_free(id).and_then(|()| self.is_nobodys_link_local(id))
                }
                ObjectRef::Route(id) => self.topology.routes().get(id).map_or(Ok(()), |of| of.check(self)),
                ObjectRef::Translation(id) => {
                    self.topology.translations().get(id).map_or(Ok(()), |of| of.check(self))
                }
                ObjectRef::NetworkService(id) => {
                    let dns = self.topology.dns_services_of_service(id);
                    let own = self.topology.network_services().get(id).map_or(Ok(()), |of| of.check(self));
                    own.and_then(|()| dns.iter().try_for_each(|of| self.dns_service(of)?.check(self)))
                }
                ObjectRef::DnsService(id) => {
                    self.topology.dns_services().get(id).map_or(Ok(()), |of| of.check(self))
                }
                ObjectRef::Network(id) => self.check_network(id),
                ObjectRef::SecurityGroup(id) => {
                    self.topology.security_groups().get(id).map_or(Ok(()), |of| of.check(self))
                }
                ObjectRef::Filter(id) => self.topology.filters().get(id).map_or(Ok(()), |of| of.check(self)),
                _ => Ok(()),
            };
            checked.err().map(|error| (step, error))
        });
        // Of two that want the same, the later one is at fault.
        wrong.max_by_key(|(step, _)| *step).map_or(Ok(()), Err)
    }

    fn check_network(&self, id: &NetworkId) -> Result<(), Error> {
        let Some(network) = self.topology.networks().get(id) else { return Ok(()) };
        network.check(self)?;
        self.topology.ip_leases_of_network(id).iter().try_for_each(|lease| self.address_is_free(lease))?;
        self.topology.routes_of_network(id).iter().try_for_each(|route| self.route(route)?.check(self))
    }

    fn check_interface(&self, id: &InterfaceId) -> Result<(), Error> {
        if let Some(interface) = self.topology.interfaces().get(id) {
            interface.ports_are_free(self)?;
            interface.segment_fits(self)?;
            interface.protection_fits()?;
            interface.fits_domains(self)?;
            interface.limits_fit()?;
            interface.allowed_is_free(self)?;
        }
        for route in self.topology.routes_of_interface(id) {
            self.route(&route)?.check(self)?;
        }
        for service in self.topology.services_of_interface(id) {
            self.network_service(&service)?.check(self)?;
        }
        for translation in self.topology.translations_of_interface(id) {
            self.translation(&translation)?.check(self)?;
        }
        for filter in self.topology.filters_of_interface(id) {
            self.filter(&filter)?.check(self)?;
        }
        let mut macs = BTreeMap::new();
        for lease in self.topology.mac_leases_of_interface(id) {
            let lease = self.mac_lease(&lease)?;
            // A frame's port and source tell the domain it is in.
            if let Some(other) = macs.insert(lease.mac_address, lease.uuid.clone()) {
                let reason = format!("{} is leased to {id} already, by {other}", lease.mac_address);
                return Err(Error::duplicate("mac_address", reason));
            }
            self.one_domain(&lease)?;
            self.mac_is_free(&lease)?;
            self.link_local_is_free(&lease)?;
        }
        Ok(())
    }

    fn address_is_free(&self, id: &IpLeaseId) -> Result<(), Error> {
        let Some(lease) = self.topology.ip_leases().get(id) else { return Ok(()) };
        let address = lease.address.ip();
        // Networks on one segment share a wire, on which an address is one host's (RFC 5227).
        let domain = self.topology.domain_of_network(&lease.network_uuid);
        let holder = lease.holder.as_ref().map(|holder| &holder.interface_uuid);
        let allowed = domain.as_ref().and_then(|domain| self.topology.allowed_to(domain, address, holder));
        if let Some(other) = allowed {
            return Err(Error::duplicate(ip_field(address), format!("{address} is allowed to {other}")));
        }
        let networks = domain.map_or_else(Vec::new, |domain| self.topology.networks_of_domain(&domain));
        let mut leases =
            networks.iter().flat_map(|network| self.topology.all_ip_leases_of_address(network, address));
        let Some(other) = leases.find(|other| other != id) else { return Ok(()) };
        Err(Error::duplicate(ip_field(address), format!("{address} is leased already, by {other}")))
    }

    fn one_domain(&self, lease: &MacLease) -> Result<(), Error> {
        let Some(domain) = self.topology.domain_of_mac_lease(lease) else { return Ok(()) };
        for ip_lease in self.topology.ip_leases_of_mac_lease(&lease.uuid) {
            let ip_lease = self.ip_lease(&ip_lease)?;
            let of_lease = self.topology.domain_of_network(&ip_lease.network_uuid);
            if of_lease.as_ref() != Some(domain) {
                let reason = format!(
                    "{} is in {}, and {} has leases elsewhere: use another MAC lease",
                    ip_lease.uuid, ip_lease.network_uuid, lease.uuid
                );
                return Err(Error::unfit("network_uuid", reason));
            }
        }
        Ok(())
    }

    fn mac_is_free(&self, lease: &MacLease) -> Result<(), Error> {
        let Some(domain) = self.topology.domain_of_mac_lease(lease) else { return Ok(()) };
        if let Some(other) = self.topology.mac_allowed_to(domain, lease.mac_address, &lease.interface_uuid) {
            let reason = format!("{} is allowed to {other}", lease.mac_address);
            return Err(Error::duplicate("mac_address", reason));
        }
        let owners = self.topology.mac_leases_of_address(domain, lease.mac_address);
        let Some(other) = owners.into_iter().find(|owner| *owner != lease.uuid) else { return Ok(()) };
        let place = match domain {
            DomainId::Network(id) => id.to_string(),
            DomainId::Segment(id) => id.to_string(),
        };
        Err(Error::duplicate(
            "mac_address",
            format!("{} is leased in {place} already, by {other}", lease.mac_address),
        ))
    }
}

// A MAC address brings its link-local address along, so that one cannot be leased to anyone else.
impl Edit {
    fn link_local_is_free(&self, lease: &MacLease) -> Result<(), Error> {
        let Some(DomainId::Network(network)) = self.topology.domain_of_mac_lease(lease) else {
            return Ok(());
        };
        let address = lease.mac_address.link_local();
        let others = self.topology.ip_leases_of_address(network, address.into());
        self.foreign(others, lease).map_or(Ok(()), |other| {
            Err(Error::duplicate(
                "mac_address",
                format!("its link-local address {address} is leased already, by {other}"),
            ))
        })
    }

    /// Also of a released lease: it would keep the address from the one who has the MAC address.
    fn is_nobodys_link_local(&self, id: &IpLeaseId) -> Result<(), Error> {
        let Some(lease) = self.topology.ip_leases().get(id) else { return Ok(()) };
        let IpAddr::V6(address) = lease.address.ip() else { return Ok(()) };
        let (Some(mac), Some(domain @ DomainId::Network(_))) =
            (MacAddr::of_link_local(address), self.topology.domain_of_network(&lease.network_uuid))
        else {
            return Ok(());
        };
        let holder = lease.holder.as_ref().map(|holder| &holder.mac_lease_uuid);
        let owners = self.topology.mac_leases_of_address(&domain, mac);
        owners.iter().find(|owner| Some(*owner) != holder).map_or(Ok(()), |owner| {
            let reason = format!("{address} is the link-local address of {owner}");
            Err(Error::duplicate("ipv6_address", reason))
        })
    }

    fn foreign(&self, leases: Vec<IpLeaseId>, own: &MacLease) -> Option<IpLeaseId> {
        let is_own = |id: &IpLeaseId| {
            let holder = self.topology.ip_leases().get(id).and_then(|lease| lease.holder.as_ref());
            holder.is_some_and(|holder| holder.mac_lease_uuid == own.uuid)
        };
        leases.into_iter().find(|id| !is_own(id))
    }
}

fn exhausted() -> Error {
    Error::new(ErrorKind::Exhausted, "key", "every key is in use")
}

macro_rules! new_keys {
    ($($name:ident: $key:ident = $sequence:ident unless $owner:ident;)*) => {
        impl Edit {$(
            pub(crate) fn $name(&mut self) -> Result<$key, Error> {
                let mut sequences = self.topology.sequences();
                let taken = |key| self.topology.$owner($key(key)).is_some();
                sequences.$sequence =
                    next_key(sequences.$sequence, $key::MAX, taken).ok_or_else(exhausted)?;
                self.put(sequences);
                Ok($key(sequences.$sequence))
            }
        )*}
    };
}
new_keys! {
    domain_key: DomainKey = domain unless domain_of_key;
    interface_key: InterfaceKey = interface unless interface_of_key;
    host_key: HostKey = host unless datapath_of_key;
    route_link_key: RouteLinkKey = route_link unless route_link_of_key;
    route_key: RouteKey = route unless route_of_key;
    translation_key: TranslationKey = translation unless translation_of_key;
    translation_zone: TranslationZone = translation_zone unless translation_of_zone;
    identity_key: IdentityKey = identity unless interface_of_identity;
}

macro_rules! getters {
    ($($name:ident in $table:ident: $id:ident => $object:ident;)*) => {
        impl Edit {$(
            pub(crate) fn $name(&self, id: &$id) -> Result<Arc<$object>, Error> {
                self.topology.$table().get(id).cloned().ok_or_else(|| Error::unknown("uuid", id))
            }
        )*}
    };
}
getters! {
    datapath in datapaths: DatapathId => Datapath;
    segment in segments: SegmentId => Segment;
    network in networks: NetworkId => Network;
    interface in interfaces: InterfaceId => Interface;
    mac_lease in mac_leases: MacLeaseId => MacLease;
    ip_lease in ip_leases: IpLeaseId => IpLease;
    route_link in route_links: RouteLinkId => RouteLink;
    route in routes: RouteId => Route;
    network_service in network_services: NetworkServiceId => NetworkService;
    dns_service in dns_services: DnsServiceId => DnsService;
    dns_record in dns_records: DnsRecordId => DnsRecord;
    translation in translations: TranslationId => Translation;
    filter in filters: FilterId => Filter;
    security_group in security_groups: SecurityGroupId => SecurityGroup;
    mac_range_group in mac_range_groups: MacRangeGroupId => MacRangeGroup;
    mac_range in mac_ranges: MacRangeId => MacRange;
    ip_range_group in ip_range_groups: IpRangeGroupId => IpRangeGroup;
    ip_range in ip_ranges: IpRangeId => IpRange;
    lease_policy in lease_policies: LeasePolicyId => LeasePolicy;
    ip_lease_container in ip_lease_containers: IpLeaseContainerId => IpLeaseContainer;
    layer in topologies: TopologyId => Layer;
    ip_retention_container in ip_retention_containers: IpRetentionContainerId => IpRetentionContainer;
}
