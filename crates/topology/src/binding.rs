//! Bindings: on which host an interface lives.
//!
//! # Claims
//! A host that shows an interface's port claims the interface. Claims are kept in the order in which they were first
//! heard of, and the newest counts. A claim is known by the port's own identity in the host's database, so a host
//! that says the same again, after a reconnect or a restart, takes nothing back: two hosts that show one interface do
//! not fight over it, and both are on record.
//!
//! A host that does not carry the interface's network claims nothing: see [`crate::placement`].
//!
//! # One port of many
//! Of the ports of a host mostly one comes or goes. What that costs does not grow with the ports that stay: hosts say what has
//! changed ([`PortReport`]), and only the interfaces that these ports are about are bound anew ([`Reported`]).

mod report;

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::OrdMap;
use serde::{Deserialize, Deserializer, Serialize};

use crate::edit::Edit;
use crate::graph::Topology;
use crate::id::{DatapathId, InterfaceId};
use crate::interface::{Interface, InterfaceMode, InterfacePort};
use crate::lease_policy::LeasePolicy;
use crate::meta::{Meta, MetaSpec};
use crate::multimap::MultiMap;
use crate::object::ObjectRef;

pub use report::{PortChange, PortReport, Reported};

/// Most hosts that can claim an interface at once; the oldest claims beyond that are forgotten.
pub const MAX_CLAIMS: usize = 8;

/// Most ports one host can show.
pub const MAX_PORTS_SEEN: usize = 20_000;

/// Name of the bridge's own port, as agents report it, whatever the bridge's name.
pub const LOCAL_PORT: &str = "LOCAL";

/// A port as a host's agent sees it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SeenPort {
    /// Its name; [`LOCAL_PORT`] for the bridge's own.
    pub name: String,
    /// Which port of that name it is: its row in the host's database, which a new port does not share.
    pub instance: String,
    /// `external_ids:iface-id`.
    #[serde(default)]
    pub iface_id: Option<String>,
    /// What the switch says is wrong with it.
    #[serde(default)]
    pub error: Option<String>,
    /// Its guest has asked for an IPv4 address lately, and has none.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub asks: bool,
}

impl SeenPort {
    /// The interface that its `iface-id` names. Hypervisors that know nothing of OpenVNet give ids of their own, which
    /// name none.
    pub fn named_interface(&self) -> Option<InterfaceId> {
        self.iface_id.as_ref()?.parse().ok()
    }
}

/// That a host shows an interface's port.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Claim {
    /// The host's datapath.
    pub datapath_uuid: DatapathId,
    /// The port.
    pub port_name: String,
    /// Which port of that name.
    pub instance: String,
}

/// Who claims an interface, oldest first.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Binding {
    /// The interface.
    pub interface_uuid: InterfaceId,
    /// Times and revision.
    #[serde(flatten)]
    pub meta: Meta,
    /// Never empty; the last one counts.
    #[serde(deserialize_with = "exactly")]
    pub claims: Vec<Claim>,
}

/// Reads a list without room for more: bindings are many, and mostly have one claim.
fn exactly<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<T>, D::Error> {
    let mut list = Vec::deserialize(deserializer)?;
    list.shrink_to_fit();
    Ok(list)
}

impl Binding {
    /// The claim that counts.
    pub fn active(&self) -> Option<&Claim> {
        self.claims.last()
    }

    /// Makes the binding of an interface that nobody else claims.
    fn begin(interface: &InterfaceId, claim: Claim, edit: &mut Edit) {
        let project = edit.topology().interfaces().get(interface).map(|found| found.meta.project.to_string());
        let meta = edit.new_meta(MetaSpec { project, labels: None }).expect("a stored project is valid");
        edit.put(Self { interface_uuid: interface.clone(), meta, claims: vec![claim] });
    }

    /// Takes a claim in place of the same datapath's, as the newest, unless it is known.
    fn with(&self, claim: Claim, edit: &mut Edit) {
        if self.claims.contains(&claim) {
            return;
        }
        let mut claims = self.claims.clone();
        claims.retain(|of| of.datapath_uuid != claim.datapath_uuid);
        claims.push(claim);
        let excess = claims.len().saturating_sub(MAX_CLAIMS);
        claims.drain(..excess);
        self.store(claims, edit);
    }

    /// Drops the claim of a datapath.
    pub(crate) fn without(&self, datapath: &DatapathId, edit: &mut Edit) {
        let mut claims = self.claims.clone();
        claims.retain(|claim| claim.datapath_uuid != *datapath);
        self.store(claims, edit);
    }

    fn store(&self, claims: Vec<Claim>, edit: &mut Edit) {
        if claims.is_empty() {
            edit.delete(ObjectRef::Binding(self.interface_uuid.clone()));
        } else {
            edit.replace(self, Self { claims, ..self.clone() }, |binding| &mut binding.meta);
        }
    }
}

/// What every host last said of its ports. Clones share it: a host that reports copies no other's ports, and of its own those
/// that change.
#[derive(Clone, Default)]
pub struct SeenPorts {
    /// Each host's ports, by their names.
    hosts: OrdMap<DatapathId, OrdMap<String, Arc<SeenPort>>>,
    /// The hosts that have a port of a name: where to look when a record changes.
    by_name: MultiMap<String, DatapathId>,
    /// The ports that name an interface by their `iface-id`, each by its host and its name.
    by_interface: MultiMap<InterfaceId, (DatapathId, String)>,
}

/// Why a port that names an interface does not bind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The interface the port names.
    pub interface: InterfaceId,
    /// The reason, for the user.
    pub reason: String,
}

impl SeenPorts {
    /// Takes in what a host says, and says what that changes. Ports beyond [`MAX_PORTS_SEEN`] are left out. What has changed
    /// since nobody knows what changes nothing.
    pub fn report(&mut self, datapath: DatapathId, report: PortReport) -> Reported {
        let is_whole = matches!(report, PortReport::All(_));
        let (ports, gone) = match report {
            PortReport::All(mut ports) => {
                ports.truncate(MAX_PORTS_SEEN);
                if !self.hosts.contains_key(&datapath) {
                    self.hosts.insert(datapath.clone(), OrdMap::new());
                }
                report::difference(self.of(&datapath), &ports)
            }
            PortReport::Since { ports, gone } => (ports, gone),
        };
        // Those that go make room.
        let gone = gone.into_iter().map(|name| (name, None));
        let news = ports.into_iter().map(|port| (port.name.clone(), Some(port)));
        let changes = gone.chain(news).filter_map(|(name, after)| self.change(&datapath, name, after));
        Reported { changes: changes.collect(), is_whole }
    }

    /// Puts a port in the place of the one of its name. Gives back what that changes, if anything.
    fn change(
        &mut self,
        datapath: &DatapathId,
        name: String,
        after: Option<Arc<SeenPort>>,
    ) -> Option<PortChange> {
        let own = self.hosts.get(datapath)?;
        let before = own.get(&name).cloned();
        let is_excess = before.is_none() && own.len() >= MAX_PORTS_SEEN;
        if before == after || is_excess {
            return None;
        }
        before.iter().for_each(|port| self.unlist(datapath, port));
        after.iter().for_each(|port| self.list(datapath, port));
        let own = self.hosts.get_mut(datapath)?;
        match &after {
            Some(port) => drop(own.insert(name, port.clone())),
            None => drop(own.remove(&name)),
        }
        Some(PortChange { before, after })
    }

    fn list(&mut self, datapath: &DatapathId, port: &SeenPort) {
        match port.named_interface() {
            Some(interface) => self.by_interface.insert(interface, (datapath.clone(), port.name.clone())),
            None => self.by_name.insert(port.name.clone(), datapath.clone()),
        }
    }

    fn unlist(&mut self, datapath: &DatapathId, port: &SeenPort) {
        match port.named_interface() {
            Some(interface) => self.by_interface.remove(&interface, &(datapath.clone(), port.name.clone())),
            None => self.by_name.remove(&port.name, datapath),
        }
    }

    /// Forgets a host. Its claims stay: a host that cannot be heard still forwards.
    pub fn forget(&mut self, datapath: &DatapathId) {
        let own = self.hosts.remove(datapath).unwrap_or_default();
        own.values().for_each(|port| self.unlist(datapath, port));
    }

    /// The ports of one host, by their names.
    pub fn of(&self, datapath: &DatapathId) -> impl Iterator<Item = &Arc<SeenPort>> {
        self.hosts.get(datapath).into_iter().flat_map(OrdMap::values)
    }

    /// The hosts that have reported.
    pub fn hosts(&self) -> impl Iterator<Item = &DatapathId> {
        self.hosts.keys()
    }

    /// Brings the bindings of one host's interfaces in line with what it shows, and gives addresses to those whose guests ask.
    pub fn bind(&self, datapath: &DatapathId, edit: &mut Edit) {
        let shown = self.of(datapath).filter_map(|port| bound_by(edit.topology(), datapath, port));
        let claimed = edit.topology().interfaces_claimed_by(datapath);
        let interfaces: BTreeSet<_> = shown.chain(claimed).collect();
        interfaces.iter().for_each(|interface| self.bind_one(datapath, interface, edit));
        answer(datapath, self.of(datapath), edit);
    }

    /// As [`SeenPorts::bind`], as far as the host's report asks for it.
    pub fn bind_reported(&self, datapath: &DatapathId, reported: &Reported, edit: &mut Edit) {
        if reported.is_whole {
            return self.bind(datapath, edit);
        }
        let ports = reported.changes.iter().flat_map(|change| [&change.before, &change.after]).flatten();
        let touched = ports.flat_map(|port| touched_by(edit.topology(), datapath, port));
        let interfaces: BTreeSet<_> = touched.collect();
        interfaces.iter().for_each(|interface| self.bind_one(datapath, interface, edit));
        answer(datapath, reported.changes.iter().filter_map(|change| change.after.as_ref()), edit);
    }

    /// Brings bindings in line with the interfaces and datapaths that an edit has changed, so that a record which
    /// comes after its port is bound by the commit that brings it.
    ///
    /// Looks at the ports that these records have to do with, and not at all that their hosts have.
    pub fn rebind(&self, edit: &mut Edit) {
        let mut hosts = BTreeSet::new();
        let mut places = BTreeSet::new();
        for reference in edit.changed() {
            match reference {
                ObjectRef::Datapath(id) => drop(hosts.insert(id.clone())),
                ObjectRef::Interface(id) => places.extend(self.touched_with(id, edit)),
                other => placed_by(other, edit)
                    .iter()
                    .for_each(|interface| places.extend(self.touched_with(interface, edit))),
            }
        }
        hosts.iter().for_each(|host| self.bind(host, edit));
        places.iter().for_each(|(host, interface)| self.bind_one(host, interface, edit));
    }

    /// The interfaces that a host may have to bind otherwise when one of them changes: a port that is no longer its may be
    /// another's now.
    fn touched_with(&self, id: &InterfaceId, edit: &Edit) -> BTreeSet<(DatapathId, InterfaceId)> {
        let topologies = [edit.base(), edit.topology()];
        let claims = edit.topology().bindings().get(id).map(|binding| binding.claims.as_slice());
        let claims = claims.unwrap_or_default().iter().map(|claim| (claim.datapath_uuid.clone(), id.clone()));
        let shown = topologies.iter().flat_map(|topology| self.shown(topology, id));
        let bound = shown.flat_map(|(host, port)| {
            topologies.map(|topology| Some((host.clone(), bound_by(topology, host, port)?)))
        });
        bound.flatten().chain(claims).collect()
    }

    /// Has a host claim an interface by the first port that shows it, or no more.
    fn bind_one(&self, datapath: &DatapathId, interface: &InterfaceId, edit: &mut Edit) {
        // A host that is deleted claims nothing any more, whatever it still shows; one that was not heard keeps its claims.
        let topology = edit.topology();
        if !self.hosts.contains_key(datapath) || !topology.datapaths().contains_key(datapath) {
            return;
        }
        let mut own = self.shown_on(topology, datapath, interface).into_iter();
        let port = own.find(|port| bound_by(topology, datapath, port).as_ref() == Some(interface));
        let claim = port.map(|port| Claim {
            datapath_uuid: datapath.clone(),
            port_name: port.name.clone(),
            instance: port.instance.clone(),
        });
        match (claim, topology.bindings().get(interface).cloned()) {
            (Some(claim), Some(binding)) => binding.with(claim, edit),
            (Some(claim), None) => Binding::begin(interface, claim, edit),
            (None, Some(binding)) => binding.without(datapath, edit),
            (None, None) => {}
        }
    }

    /// The ports of one host that name an interface and do not bind it.
    pub fn refusals_on(&self, topology: &Topology, datapath: &DatapathId) -> Vec<Refusal> {
        self.of(datapath).filter_map(|port| Self::refusal(topology, datapath, port)).collect()
    }

    /// Why a port of a host does not bind the interface that it names, if so.
    pub fn refusal(topology: &Topology, datapath: &DatapathId, port: &SeenPort) -> Option<Refusal> {
        match_port(topology, datapath, port).err()
    }

    /// Why a port that names an interface does not bind it, if there is one.
    pub fn refusal_of(&self, topology: &Topology, interface: &InterfaceId) -> Option<Refusal> {
        topology.interfaces().get(interface)?;
        let shown = self.shown(topology, interface).into_iter();
        let mut refusals = shown.filter_map(|(host, port)| match_port(topology, host, port).err());
        refusals.find(|refusal| refusal.interface == *interface)
    }

    /// The ports that may be an interface's, by hosts and names.
    fn shown(&self, topology: &Topology, interface: &InterfaceId) -> Vec<(&DatapathId, &SeenPort)> {
        let ports = topology.interfaces().get(interface).map_or(&[][..], |of| of.ports.as_slice());
        let names = ports.iter().filter_map(|port| port.port_name.as_ref());
        let by_name = names.flat_map(|name| self.by_name.iter(name));
        let by_id = self.by_interface.iter(interface).map(|(host, _)| host);
        let bridges = ports.iter().filter_map(|port| port.datapath_uuid.clone());
        let hosts: BTreeSet<_> = by_name.chain(by_id).chain(bridges).collect();
        let known = hosts.iter().filter_map(|host| self.hosts.get_key_value(host));
        known
            .flat_map(|(host, _)| {
                let own = self.shown_on(topology, host, interface).into_iter();
                own.map(move |port| (host, port))
            })
            .collect()
    }

    /// The ports of one host that may be an interface's, by their names: those of its id and of its ports' names, and the
    /// bridge's own if it names the host.
    fn shown_on(&self, topology: &Topology, host: &DatapathId, interface: &InterfaceId) -> Vec<&SeenPort> {
        let Some(own) = self.hosts.get(host) else { return Vec::new() };
        let ports = topology.interfaces().get(interface).map_or(&[][..], |of| of.ports.as_slice());
        let by_name = ports.iter().filter_map(|port| port.port_name.clone());
        let by_id = self.by_interface.iter(interface).filter(|(at, _)| at == host).map(|(_, name)| name);
        let is_named = ports.iter().any(|port| port.datapath_uuid.as_ref() == Some(host));
        let bridge = is_named.then(|| LOCAL_PORT.to_owned());
        let names: BTreeSet<_> = by_name.chain(by_id).chain(bridge).collect();
        names.iter().filter_map(|name| Some(own.get(name)?.as_ref())).collect()
    }
}

/// Gives addresses to the interfaces of those of a host's ports whose guests ask.
fn answer<'a>(datapath: &DatapathId, ports: impl Iterator<Item = &'a Arc<SeenPort>>, edit: &mut Edit) {
    let asking = ports.filter(|port| port.asks);
    let asking = asking.filter_map(|port| bound_by(edit.topology(), datapath, port));
    let is_here = |id: &InterfaceId| edit.topology().host_of_interface(id) == Some(datapath);
    let asking: Vec<_> = asking.filter(is_here).collect();
    asking.iter().for_each(|interface| LeasePolicy::answer(edit, interface));
}

/// The interfaces that a host may have to bind otherwise when a port comes, changes or goes: the one that the port binds, and
/// those that it names and that the host claims. The record that it bound may have changed since; of those of its name
/// there may be too many to look at each.
fn touched_by(topology: &Topology, datapath: &DatapathId, port: &SeenPort) -> BTreeSet<InterfaceId> {
    let is_claimed = |id: &InterfaceId| {
        let claims = topology.bindings().get(id).map(|binding| binding.claims.as_slice());
        claims.unwrap_or_default().iter().any(|claim| claim.datapath_uuid == *datapath)
    };
    let named = match port.named_interface() {
        Some(id) => vec![id],
        None => named_by(topology, datapath, port),
    };
    named.into_iter().filter(is_claimed).chain(bound_by(topology, datapath, port)).collect()
}

/// The interfaces that hosts may have come to carry, or no more, with a record: by topologies that have their networks, or
/// because their networks are others now.
fn placed_by(record: &ObjectRef, edit: &Edit) -> BTreeSet<InterfaceId> {
    let of = |topology: &Topology| -> Vec<InterfaceId> {
        match record {
            // Nobody leaves anybody out.
            _ if topology.relations().is_empty() => Vec::new(),
            ObjectRef::Relation(_) => {
                let domains = topology.domains_placed_by(record).into_iter();
                domains.flat_map(|domain| topology.interfaces_in_domain(&domain)).collect()
            }
            ObjectRef::Network(id) => {
                let domain = topology.domain_of_network(id);
                domain.map_or_else(Vec::new, |domain| topology.interfaces_in_domain(&domain))
            }
            ObjectRef::MacLease(id) => {
                let lease = topology.mac_leases().get(id);
                lease.map(|lease| lease.interface_uuid.clone()).into_iter().collect()
            }
            ObjectRef::IpLease(id) => {
                let holder = topology.ip_leases().get(id).and_then(|lease| lease.holder.as_ref());
                holder.map(|holder| holder.interface_uuid.clone()).into_iter().collect()
            }
            _ => Vec::new(),
        }
    };
    [edit.base(), edit.topology()].into_iter().flat_map(of).collect()
}

/// The interface that a port on a host binds.
fn bound_by(topology: &Topology, datapath: &DatapathId, port: &SeenPort) -> Option<InterfaceId> {
    match_port(topology, datapath, port).ok().flatten()
}

/// The interface that a port on a host belongs to: by `iface-id`, the convention of hypervisors, else by its name. One
/// whose `iface-id` is that of an interface to come waits for it.
fn match_port(
    topology: &Topology,
    datapath: &DatapathId,
    port: &SeenPort,
) -> Result<Option<InterfaceId>, Refusal> {
    if let Some(id) = port.named_interface() {
        let Some(interface) = topology.interfaces().get(&id) else { return Ok(None) };
        return admit(topology, datapath, interface, port).map(|()| Some(id));
    }
    let candidates: BTreeSet<_> = named_by(topology, datapath, port).into_iter().collect();
    let mut refusal = None;
    let mut anywhere = None;
    for id in candidates {
        let Some(interface) = topology.interfaces().get(&id) else { continue };
        match admit(topology, datapath, interface, port) {
            // A record that names this host goes before one for any host.
            Ok(()) if interface.names_datapath(datapath) => return Ok(Some(id)),
            Ok(()) => anywhere = anywhere.or(Some(id)),
            // A port of the same name on a host that the record leaves out is some other port.
            Err(_) if !interface.ports.iter().any(|of| admits(of, datapath)) => {}
            Err(refused) => refusal = Some(refused),
        }
    }
    match (anywhere, refusal) {
        (Some(id), _) => Ok(Some(id)),
        (None, Some(refusal)) => Err(refusal),
        (None, None) => Ok(None),
    }
}

/// The interfaces whose records name a port of a host by its name.
fn named_by(topology: &Topology, datapath: &DatapathId, port: &SeenPort) -> Vec<InterfaceId> {
    match port.name.as_str() {
        LOCAL_PORT => topology.interfaces_of_datapath_port(datapath),
        name => topology.interfaces_of_port_name(name),
    }
}

fn admits(port: &InterfacePort, datapath: &DatapathId) -> bool {
    port.datapath_uuid.as_ref().is_none_or(|only| only == datapath)
}

fn admit(
    topology: &Topology,
    datapath: &DatapathId,
    interface: &Interface,
    port: &SeenPort,
) -> Result<(), Refusal> {
    let refuse = |reason: String| Err(Refusal { interface: interface.uuid.clone(), reason });
    let node = topology.datapaths().get(datapath).map(|datapath| &datapath.node_id);
    if let Some(error) = &port.error {
        return refuse(format!("port {} on {datapath}: {error}", port.name));
    }
    if let Some(requested) = &interface.requested_host
        && node != Some(requested)
    {
        return refuse(format!("port {} is on {datapath}, and requested_host is {requested}", port.name));
    }
    let bound_elsewhere =
        !interface.ports.is_empty() && !interface.ports.iter().any(|of| admits(of, datapath));
    if bound_elsewhere {
        return refuse(format!("port {} is on {datapath}, and its ports belong elsewhere", port.name));
    }
    if interface.mode == InterfaceMode::Simulated {
        return refuse(format!(
            "port {} on {datapath} names a simulated interface, which has no port",
            port.name
        ));
    }
    let left_out = topology.domains_of_interface(&interface.uuid).iter().find_map(|domain| {
        let by = topology.left_out_by(datapath, domain)?;
        Some((domain, by))
    });
    if let Some((domain, by)) = left_out {
        return refuse(format!("port {} is on {datapath}, which {by} leaves out of {domain}", port.name));
    }
    if (port.name == LOCAL_PORT) != (interface.mode == InterfaceMode::Internal) {
        return refuse(format!("port {} on {datapath} does not fit the interface's mode", port.name));
    }
    Ok(())
}
