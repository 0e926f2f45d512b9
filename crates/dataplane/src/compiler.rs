//! The compiler: from topology to program, and from a change of the one to a change of the other.
//!
//! # Units
//! A program is the sum of small units, each a pure function of the [`View`]. A change of the topology recompiles the
//! units it may concern and compares their flows with what they were. So the cost of a change follows the change, and
//! what comes out is, always, what compiling afresh would give.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::program::{Delta, FlowKey, Program};
use crate::view::{Local, View};
use crate::{base, domain, filter, identity, interface, limit, peer, route, router, translation};
use foldhash::fast::RandomState;
use openflow::{Flow, Group, GroupId, Meter, MeterId, OfPort};
use topology::datapath::Datapath;
use topology::network::{DomainMode, Network};
use topology::{
    DatapathId, DomainId, IdentityKey, InterfaceId, ObjectRef, RouteId, RouteLinkId, Topology, TranslationId,
};

/// A piece of topology that is compiled at once.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Unit {
    Base,
    Peer(DatapathId),
    Interface(InterfaceId),
    Filter(InterfaceId),
    Identity(IdentityKey),
    Domain(DomainId),
    RouteLink(RouteLinkId),
    Route(RouteId),
    Translation(TranslationId),
}

/// What a unit puts into the switch.
#[derive(Default)]
struct Output {
    flows: Vec<Flow>,
    groups: Vec<Group>,
    meters: Vec<Meter>,
}

/// Places in a program.
#[derive(Debug, Default, PartialEq)]
struct Places {
    flows: Vec<FlowKey>,
    groups: Vec<GroupId>,
    meters: Vec<MeterId>,
}

/// Keeps the program of a host equal to its topology.
#[derive(Debug)]
pub struct Compiler {
    topology: Topology,
    local: Local,
    held: HashMap<Unit, Places, RandomState>,
    program: Program,
    twins: BTreeMap<Unit, Vec<Twin>>,
}

/// A flow, group or meter that a unit wants while another holds its place: a defect of the compiler or a topology against the
/// rules. The one that was there first stays, so that what works goes on working; the other gets its place when the first
/// goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Twin {
    /// The flow that is left out.
    Flow(Flow),
    /// The group that is left out.
    Group(Group),
    /// The meter that is left out.
    Meter(Meter),
}

impl std::fmt::Display for Twin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flow(flow) => write!(f, "flow {flow}"),
            Self::Group(group) => write!(f, "group {}", group.id.0),
            Self::Meter(meter) => write!(f, "meter {}", meter.id.0),
        }
    }
}

impl Compiler {
    /// Compiles from scratch.
    pub fn new(topology: Topology, local: Local) -> Self {
        let program = Program::default();
        let (held, twins) = (HashMap::default(), BTreeMap::new());
        let mut compiler = Self { topology, local, held, program, twins };
        compiler.recompile(compiler.all_units());
        compiler
    }

    /// What the switch shall hold.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// The topology it stands for.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// The local facts it stands for.
    pub fn local(&self) -> &Local {
        &self.local
    }

    /// What is left out of the program, because another unit holds its place. Nothing, if all is well.
    pub fn twins(&self) -> impl Iterator<Item = &Twin> {
        self.twins.values().flatten()
    }

    /// Goes on to another topology and other local facts, and tells what changes in the switch.
    pub fn update(&mut self, topology: Topology, local: Local) -> Delta {
        let before = std::mem::replace(&mut self.topology, topology);
        let old = std::mem::replace(&mut self.local, local);
        let units = if old.datapath != self.local.datapath || old.tunnels != self.local.tunnels {
            let gone: BTreeSet<_> = self.held.keys().cloned().collect();
            gone.into_iter().chain(self.all_units()).collect()
        } else {
            self.units_between(&before, &old)
        };
        self.recompile(units)
    }

    fn recompile(&mut self, mut units: BTreeSet<Unit>) -> Delta {
        // Those that were left out may have their turn now, after all others.
        let left_out = std::mem::take(&mut self.twins);
        units.retain(|unit| !left_out.contains_key(unit));
        let units: Vec<_> = units.into_iter().chain(left_out.into_keys()).collect();
        // What they hold is theirs to take again, and goes if none of them does.
        let (mut flows_before, mut groups_before, mut meters_before) =
            <(BTreeSet<_>, BTreeSet<_>, BTreeSet<_>)>::default();
        for held in units.iter().filter_map(|unit| self.held.remove(unit)) {
            flows_before.extend(held.flows);
            groups_before.extend(held.groups);
            meters_before.extend(held.meters);
        }
        let mut delta = Delta::default();
        for unit in units {
            let Output { flows, groups, meters } = self.compile(&unit);
            let flows = place(&mut self.program.flows, &mut flows_before, flows, |flow| FlowKey::from(flow));
            let groups = place(&mut self.program.groups, &mut groups_before, groups, |group| group.id);
            let meters = place(&mut self.program.meters, &mut meters_before, meters, |meter| meter.id);
            delta.put_flows.extend(flows.new.into_iter().chain(flows.changed));
            delta.add_groups.extend(groups.new);
            delta.modify_groups.extend(groups.changed);
            delta.add_meters.extend(meters.new);
            delta.modify_meters.extend(meters.changed);
            let twins = flows.twins.into_iter().map(Twin::Flow);
            let twins = twins.chain(groups.twins.into_iter().map(Twin::Group));
            let twins: Vec<_> = twins.chain(meters.twins.into_iter().map(Twin::Meter)).collect();
            let held = Places { flows: flows.held, groups: groups.held, meters: meters.held };
            if !twins.is_empty() {
                self.twins.insert(unit.clone(), twins);
            }
            if held != Places::default() {
                self.held.insert(unit, held);
            }
        }
        flows_before.iter().for_each(|key| drop(self.program.flows.remove(key)));
        groups_before.iter().for_each(|id| drop(self.program.groups.remove(id)));
        meters_before.iter().for_each(|id| drop(self.program.meters.remove(id)));
        delta.delete_flows.extend(flows_before);
        delta.delete_groups.extend(groups_before);
        delta.delete_meters.extend(meters_before);
        delta
    }

    fn compile(&self, unit: &Unit) -> Output {
        let view = View { topology: &self.topology, local: &self.local };
        let only_flows = |flows| Output { flows, ..Output::default() };
        match unit {
            Unit::Base => {
                Output { flows: base::flows(&self.local), groups: limit::groups(), meters: limit::meters() }
            }
            Unit::Peer(id) => only_flows(peer::flows(view, id)),
            Unit::Interface(id) => {
                let (flows, groups) = interface::flows(view, id);
                Output { flows, groups, meters: interface::meters(view, id) }
            }
            Unit::Filter(id) => only_flows(filter::flows(view, id)),
            Unit::Identity(key) => only_flows(identity::flows(view, *key)),
            Unit::Domain(id) => {
                let (mut flows, groups) = domain::flows(view, id);
                flows.extend(peer::of_domain(view, id));
                Output { flows, groups, ..Output::default() }
            }
            Unit::RouteLink(id) => only_flows(router::flows(view, id)),
            Unit::Route(id) => {
                let (flows, groups) = route::flows(view, id);
                Output { flows, groups, ..Output::default() }
            }
            Unit::Translation(id) => only_flows(translation::flows(view, id)),
        }
    }

    fn all_units(&self) -> BTreeSet<Unit> {
        let topology = &self.topology;
        let networks = topology.networks().keys().cloned().map(DomainId::Network);
        let segments = topology.segments().keys().cloned().map(DomainId::Segment);
        std::iter::once(Unit::Base)
            .chain(topology.datapaths().keys().cloned().map(Unit::Peer))
            .chain(topology.interfaces().keys().cloned().map(Unit::Interface))
            .chain(topology.interfaces().keys().cloned().map(Unit::Filter))
            .chain(topology.identities().map(|(key, _)| Unit::Identity(key)))
            .chain(networks.chain(segments).map(Unit::Domain))
            .chain(topology.route_links().keys().cloned().map(Unit::RouteLink))
            .chain(topology.routes().keys().cloned().map(Unit::Route))
            .chain(topology.translations().keys().cloned().map(Unit::Translation))
            .collect()
    }

    /// The units that a change of topology or ports may concern.
    fn units_between(&self, before: &Topology, old: &Local) -> BTreeSet<Unit> {
        let mut units = BTreeSet::new();
        let changed: Vec<_> =
            self.topology.changes_since(before).iter().map(|change| change.reference()).collect();
        for topology in [before, &self.topology] {
            changed.iter().for_each(|of| self.units_of(before, topology, of, &mut units));
            let interfaces: BTreeSet<_> = changed.iter().filter_map(|of| topology.interface_of(of)).collect();
            interfaces.into_iter().for_each(|id| units_of_interface(topology, id, &mut units));
        }
        self.units_of_hosts(before, &mut units);
        for id in moved(&old.ports, &self.local.ports) {
            units_of_interface(&self.topology, id, &mut units);
            self.units_of_wires(&self.topology, &id.clone().into(), &mut units);
        }
        if (&old.monitors, old.yields) != (&self.local.monitors, self.local.yields) {
            let networks = self.topology.networks().values().filter(|of| of.mode == DomainMode::Physical);
            let networks = networks.map(|network| DomainId::Network(network.uuid.clone()));
            let segments = self.topology.segments().keys().cloned().map(DomainId::Segment);
            units.extend(networks.chain(segments).map(Unit::Domain));
        }
        units
    }

    fn units_of(&self, before: &Topology, topology: &Topology, of: &ObjectRef, units: &mut BTreeSet<Unit>) {
        self.units_of_placement(topology, of, units);
        self.units_of_wires(topology, of, units);
        match of {
            ObjectRef::Interface(id) => self.units_of_identity(before, topology, id, units),
            ObjectRef::Network(id) => {
                let matters = |network: &Network| {
                    (network.mode, network.segment_uuid.clone(), network.subnets.ipv6.is_some())
                };
                let (old, new) = (before.networks().get(id), self.topology.networks().get(id));
                let place = |network: &Network| (network.segment_uuid.clone(), network.subnets);
                if old.map(|of| place(of)) != new.map(|of| place(of)) {
                    // Whose addresses are translated, and on which hosts they are.
                    units_of_translations(topology, topology.translations().keys().cloned(), units);
                }
                if old.map(|of| matters(of)) != new.map(|of| matters(of)) {
                    units.insert(Unit::Domain(DomainId::Network(id.clone())));
                    members_of_network(topology, of, units);
                }
            }
            ObjectRef::Segment(id) => {
                let domain = DomainId::Segment(id.clone());
                if before.segments().contains_key(id) != self.topology.segments().contains_key(id) {
                    for interface in topology.interfaces_in_domain(&domain) {
                        units_of_interface(topology, &interface, units);
                    }
                    units.insert(Unit::Domain(domain));
                }
            }
            ObjectRef::RouteLink(id) => {
                units.insert(Unit::RouteLink(id.clone()));
                units.extend(topology.routes_of_route_link(id).into_iter().map(Unit::Route));
            }
            ObjectRef::Route(id) => units_of_route(topology, id, units),
            ObjectRef::Translation(id) => {
                units.insert(Unit::Translation(id.clone()));
                // Which addresses are the leg's own, and its routers'.
                let leg = topology.translations().get(id).map(|translation| &translation.interface_uuid);
                leg.inspect(|leg| units_of_interface(topology, leg, units));
            }
            ObjectRef::NetworkService(id) => {
                let service = topology.network_services().get(id);
                service.inspect(|service| units_of_interface(topology, &service.interface_uuid, units));
            }
            ObjectRef::Datapath(id) => self.units_of_datapath(before, topology, id, units),
            ObjectRef::HostPair(id) => {
                let hosts = topology.host_pairs().get(id).map(|pair| pair.datapath_uuids.clone());
                for host in hosts.into_iter().flatten() {
                    self.units_of_ways(topology, &host, units);
                }
            }
            ObjectRef::Filter(id) => {
                let filter = topology.filters().get(id);
                units.extend(filter.map(|filter| Unit::Filter(filter.interface_uuid.clone())));
            }
            ObjectRef::SecurityGroup(id) => {
                units.extend(identity::holders(topology, id).into_iter().map(Unit::Identity));
            }
            // Units of their interface: see `units_between`.
            ObjectRef::Binding(_) | ObjectRef::MacLease(_) | ObjectRef::IpLease(_) => {}
            // What a name server tells is the agent's to know.
            ObjectRef::DnsService(_)
            | ObjectRef::DnsRecord(_)
            | ObjectRef::MetadataSecret(_)
            | ObjectRef::HostToken(_)
            | ObjectRef::MacRangeGroup(_)
            | ObjectRef::MacRange(_)
            | ObjectRef::IpRangeGroup(_)
            | ObjectRef::IpRange(_)
            | ObjectRef::LeasePolicy(_)
            | ObjectRef::IpLeaseContainer(_)
            | ObjectRef::IpRetentionContainer(_)
            | ObjectRef::Layer(_)
            | ObjectRef::Relation(_)
            | ObjectRef::Sequences => {}
        }
    }

    /// An identity that comes or goes matters to all whose rules may name its groups.
    fn units_of_identity(
        &self,
        before: &Topology,
        topology: &Topology,
        id: &InterfaceId,
        units: &mut BTreeSet<Unit>,
    ) {
        let Some(key) = topology.interfaces().get(id).and_then(|interface| interface.identity) else {
            return;
        };
        let is_known = |topology: &Topology| topology.interface_of_identity(key).is_some();
        if is_known(before) != is_known(&self.topology) {
            units.extend(self.topology.identities().map(|(key, _)| Unit::Identity(key)));
        }
    }

    /// Addresses are shared by the hosts with guests that share them.
    fn units_of_hosts(&self, before: &Topology, units: &mut BTreeSet<Unit>) {
        let changed = |unit: &Unit| match unit {
            Unit::Domain(of) => before.hosts_of_domain(of) != self.topology.hosts_of_domain(of),
            _ => false,
        };
        if units.iter().any(changed) {
            units_of_translations(before, before.translations().keys().cloned(), units);
            units_of_translations(&self.topology, self.topology.translations().keys().cloned(), units);
        }
    }

    /// How packets go to a host, or from this one to all.
    fn units_of_ways(&self, topology: &Topology, host: &DatapathId, units: &mut BTreeSet<Unit>) {
        let hosts: Vec<_> = match *host == self.local.datapath {
            true => topology.datapaths().keys().cloned().collect(),
            false => vec![host.clone()],
        };
        if !topology.relations().is_empty() {
            let own = topology.domains_placed_on(&self.local.datapath);
            let placed = hosts.iter().flat_map(|host| topology.domains_placed_on(host));
            units.extend(placed.chain(own).map(Unit::Domain));
        }
        units.extend(hosts.into_iter().map(Unit::Peer));
    }

    /// What hangs on records that say by which address a host carries a domain, and so which addresses the host has.
    fn units_of_placement(&self, topology: &Topology, of: &ObjectRef, units: &mut BTreeSet<Unit>) {
        if topology.relations().is_empty() {
            return;
        }
        if let ObjectRef::Network(id) = of {
            units.extend(topology.domain_of_network(id).map(Unit::Domain));
            return;
        }
        units.extend(topology.domains_placed_by(of).into_iter().map(Unit::Domain));
        for host in topology.hosts_placed_by(of) {
            self.units_of_ways(topology, &host, units);
            // Of hosts with one address, one admits it.
            let addresses = topology.placed_addresses(&host).into_iter();
            let alike = addresses
                .flat_map(|at| topology.hosts_placed_at(at).into_iter().chain(topology.datapaths_at(&at)));
            units.extend(alike.map(Unit::Peer));
        }
    }

    /// What goes to other hosts as it is hangs on the records of the hosts, on their uplinks, and on each interface. Such records
    /// are few and change seldom, and a host without an uplink sends nothing so.
    fn units_of_wires(&self, topology: &Topology, of: &ObjectRef, units: &mut BTreeSet<Unit>) {
        let is_wire = |domain: &DomainId| topology.physical_network(domain).is_some();
        let uplink =
            |id| topology.interfaces().get(id).is_some_and(|interface| interface.is_host_interface());
        let is_about = !topology.host_pairs().is_empty()
            && match of {
                ObjectRef::HostPair(_) | ObjectRef::Datapath(_) => true,
                ObjectRef::Network(id) => is_wire(&DomainId::Network(id.clone())),
                ObjectRef::Interface(id) | ObjectRef::Binding(id) => uplink(id),
                _ => false,
            };
        if is_about && topology.domains_on(&self.local.datapath).iter().any(is_wire) {
            units.extend(topology.datapaths().keys().cloned().map(Unit::Peer));
            units.extend(topology.interfaces().keys().cloned().map(Unit::Interface));
        }
    }

    fn units_of_datapath(
        &self,
        before: &Topology,
        topology: &Topology,
        id: &DatapathId,
        units: &mut BTreeSet<Unit>,
    ) {
        self.units_of_ways(topology, id, units);
        let addresses = topology.datapaths().get(id).into_iter().flat_map(|datapath| datapath.addresses());
        let alike = addresses.flat_map(|of| self.topology.datapaths_at(&of.address));
        units.extend(alike.map(Unit::Peer));
        let reachable = |topology| {
            let view = View { topology, local: &self.local };
            // What another has in common with this host hangs on the addresses of both.
            let own: Vec<_> = view.own().into_iter().flat_map(Datapath::addresses).collect();
            let families = own.iter().map(|of| of.address.is_ipv4()).collect::<Vec<_>>();
            (view.peer(id).map(|datapath| datapath.key), families)
        };
        let own = *id == self.local.datapath;
        let block = |topology: &Topology| topology.datapaths().get(id).map(|datapath| datapath.nat_block);
        if reachable(before) != reachable(&self.topology) || block(before) != block(&self.topology) {
            // Every host has its ports of shared addresses.
            units_of_translations(topology, topology.translations().keys().cloned(), units);
        }
        if reachable(before) != reachable(&self.topology) {
            let hosts = if own { topology.datapaths().keys().cloned().collect() } else { vec![id.clone()] };
            for interface in hosts.iter().flat_map(|host| topology.interfaces_on(host)) {
                units_of_interface(topology, &interface, units);
            }
        }
    }
}

/// The units of an interface that is there, and what hangs on it.
fn units_of_interface(topology: &Topology, id: &InterfaceId, units: &mut BTreeSet<Unit>) {
    let Some(interface) = topology.interfaces().get(id) else { return };
    units.insert(Unit::Interface(id.clone()));
    units.extend(filter::is_protected(interface).then(|| Unit::Filter(id.clone())));
    units.extend(interface.identity.map(Unit::Identity));
    units.extend(topology.domains_of_interface(id).iter().cloned().map(Unit::Domain));
    for route in topology.routes_of_interface(id) {
        units_of_route(topology, &route, units);
    }
    if !topology.translations().is_empty() {
        // Translations of a leg, and those that lead to a guest.
        units_of_translations(topology, topology.translations_of_interface(id), units);
        for lease in topology.ip_leases_of_interface(id) {
            let address = topology.ip_leases().get(&lease).map(|lease| lease.address.ip());
            let translations = address.map(|address| topology.translations_of_internal(&address));
            units_of_translations(topology, translations.into_iter().flatten(), units);
        }
    }
    if let Some(network) = interface.network_uuid.as_ref().filter(|_| interface.mode.is_uplink()) {
        // A gateway takes what others have routed for it.
        units.extend(topology.routes_of_network(network).into_iter().map(Unit::Route));
    }
}

fn units_of_route(topology: &Topology, id: &RouteId, units: &mut BTreeSet<Unit>) {
    units.insert(Unit::Route(id.clone()));
    let Some(route) = topology.routes().get(id) else { return };
    units.insert(Unit::RouteLink(route.route_link_uuid.clone()));
    units_behind(topology, &route.route_link_uuid, units);
    // Whether there is a router to ask for.
    units.extend(topology.domain_of_network(&route.network_uuid).map(Unit::Domain));
    // What a router reaches by another leg does not come from outside.
    let others = topology.routes_of_route_link(&route.route_link_uuid).into_iter();
    let others =
        others.filter_map(|other| topology.domain_of_network(&topology.routes().get(&other)?.network_uuid));
    units.extend(others.filter(|domain| topology.physical_network(domain).is_some()).map(Unit::Domain));
    // Who takes packets on may speak for those behind it.
    let leases =
        route.next_hops.iter().flat_map(|hop| topology.ip_leases_of_address(&route.network_uuid, *hop));
    let holders = leases.filter_map(|lease| topology.ip_leases().get(&lease)?.holder.clone());
    units.extend(holders.map(|holder| Unit::Interface(holder.interface_uuid)));
}

/// Translations, and their legs: who shares an external address is told by all that have it.
fn units_of_translations(
    topology: &Topology,
    ids: impl IntoIterator<Item = TranslationId>,
    units: &mut BTreeSet<Unit>,
) {
    for id in ids {
        let leg = topology.translations().get(&id).map(|of| Unit::Interface(of.interface_uuid.clone()));
        units.extend(leg.into_iter().chain([Unit::Translation(id)]));
    }
}

/// The translations that look for addresses behind a router.
fn units_behind(topology: &Topology, link: &RouteLinkId, units: &mut BTreeSet<Unit>) {
    let legs =
        topology.routes_of_route_link(link).into_iter().filter_map(|route| topology.routes().get(&route));
    let legs: BTreeSet<_> = legs.map(|route| &route.interface_uuid).collect();
    let of_legs = legs.into_iter().flat_map(|leg| topology.translations_of_interface(leg));
    units_of_translations(topology, of_legs.chain(topology.translations_naming_route_link(link)), units);
}

fn members_of_network(topology: &Topology, of: &ObjectRef, units: &mut BTreeSet<Unit>) {
    let ObjectRef::Network(id) = of else { return };
    let leases = topology.ip_leases_of_network(id);
    let holders = leases.iter().filter_map(|lease| topology.ip_leases().get(lease)?.holder.clone());
    for interface in holders.map(|holder| holder.interface_uuid).chain(topology.interfaces_naming_network(id))
    {
        units_of_interface(topology, &interface, units);
    }
    for route in topology.routes_of_network(id) {
        units_of_route(topology, &route, units);
    }
}

/// The interfaces whose port is another one than before.
fn moved<'a>(
    before: &'a BTreeMap<InterfaceId, OfPort>,
    after: &'a BTreeMap<InterfaceId, OfPort>,
) -> Vec<&'a InterfaceId> {
    // Mostly none has moved, which is soon seen.
    if before == after {
        return Vec::new();
    }
    let gone = before.iter().filter(|(id, port)| after.get(*id) != Some(*port)).map(|(id, _)| id);
    gone.chain(after.keys().filter(|id| !before.contains_key(*id))).collect()
}

/// What became of things that want a place in a program.
struct Placed<K, V> {
    /// The places that they have.
    held: Vec<K>,
    /// In places that nothing had.
    new: Vec<V>,
    /// In place of something else.
    changed: Vec<V>,
    /// In no place: another unit holds it.
    twins: Vec<V>,
}

/// Gives each thing its place, unless that is taken and not free to be taken again.
fn place<K: Ord + Clone, V: Clone + PartialEq>(
    program: &mut BTreeMap<K, V>,
    free: &mut BTreeSet<K>,
    wanted: Vec<V>,
    key: impl Fn(&V) -> K,
) -> Placed<K, V> {
    let mut placed =
        Placed { held: Vec::with_capacity(wanted.len()), new: vec![], changed: vec![], twins: vec![] };
    for value in wanted {
        let key = key(&value);
        match program.entry(key.clone()) {
            Entry::Vacant(place) => {
                place.insert(value.clone());
                placed.new.push(value);
            }
            Entry::Occupied(_) if !free.remove(&key) => {
                placed.twins.push(value);
                continue;
            }
            Entry::Occupied(mut place) => {
                if *place.get() != value {
                    place.insert(value.clone());
                    placed.changed.push(value);
                }
            }
        }
        placed.held.push(key);
    }
    placed
}
