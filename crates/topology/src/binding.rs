//! Bindings: on which host an interface lives.
//!
//! # Claims
//! A host that shows an interface's port claims the interface. Claims are kept in the order in which they were first
//! heard of, and the newest counts. A claim is known by the port's own identity in the host's database, so a host
//! that says the same again, after a reconnect or a restart, takes nothing back: two hosts that show one interface do
//! not fight over it, and both are on record.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::edit::Edit;
use crate::graph::Topology;
use crate::id::{DatapathId, InterfaceId};
use crate::interface::{Interface, InterfaceMode, InterfacePort};
use crate::meta::{Meta, MetaSpec};
use crate::multimap::MultiMap;
use crate::object::ObjectRef;

/// Most hosts that can claim an interface at once; the oldest claims beyond that are forgotten.
pub const MAX_CLAIMS: usize = 8;

/// Most ports one host can show.
pub const MAX_PORTS_SEEN: usize = 20_000;

/// Name of the bridge's own port, as agents report it, whatever the bridge's name.
pub const LOCAL_PORT: &str = "LOCAL";

/// A port as a host's agent sees it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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
    pub claims: Vec<Claim>,
}

impl Binding {
    /// The claim that counts.
    pub fn active(&self) -> Option<&Claim> {
        self.claims.last()
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

/// What every host last said of its ports.
#[derive(Clone, Default)]
pub struct SeenPorts {
    hosts: BTreeMap<DatapathId, Vec<SeenPort>>,
    /// The hosts with a port of a name, or with an `iface-id`: where to look when a record appears after its port.
    hosts_by_text: MultiMap<String, DatapathId>,
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
    /// Takes a host's report in place of its last one. Ports beyond [`MAX_PORTS_SEEN`] are left out.
    pub fn report(&mut self, datapath: DatapathId, mut ports: Vec<SeenPort>) {
        ports.truncate(MAX_PORTS_SEEN);
        self.forget(&datapath);
        for text in ports.iter().flat_map(texts) {
            self.hosts_by_text.insert(text, datapath.clone());
        }
        self.hosts.insert(datapath, ports);
    }

    /// Forgets a host. Its claims stay: a host that cannot be heard still forwards.
    pub fn forget(&mut self, datapath: &DatapathId) {
        for port in self.hosts.remove(datapath).unwrap_or_default() {
            texts(&port).for_each(|text| self.hosts_by_text.remove(&text, datapath));
        }
    }

    /// The ports of one host.
    pub fn of(&self, datapath: &DatapathId) -> &[SeenPort] {
        self.hosts.get(datapath).map_or(&[], Vec::as_slice)
    }

    /// The hosts that have reported.
    pub fn hosts(&self) -> impl Iterator<Item = &DatapathId> {
        self.hosts.keys()
    }

    /// Brings the bindings of one host's interfaces in line with what it shows.
    pub fn bind(&self, datapath: &DatapathId, edit: &mut Edit) {
        let Some(ports) = self.hosts.get(datapath) else { return };
        // One that is deleted claims nothing any more, whatever its host still shows.
        if !edit.topology().datapaths().contains_key(datapath) {
            return;
        }
        let mut shown: BTreeMap<InterfaceId, Claim> = BTreeMap::new();
        for port in ports {
            if let Ok(Some(interface)) = match_port(edit.topology(), datapath, port) {
                let (port_name, instance) = (port.name.clone(), port.instance.clone());
                let claim = Claim { datapath_uuid: datapath.clone(), port_name, instance };
                shown.entry(interface).or_insert(claim);
            }
        }
        for interface in edit.topology().interfaces_claimed_by(datapath) {
            if !shown.contains_key(&interface)
                && let Some(binding) = edit.topology().bindings().get(&interface).cloned()
            {
                binding.without(datapath, edit);
            }
        }
        for (interface, claim) in shown {
            bind_one(edit, interface, claim);
        }
    }

    /// Brings bindings in line with the interfaces and datapaths that an edit has changed, so that a record which
    /// comes after its port is bound by the commit that brings it.
    pub fn rebind(&self, edit: &mut Edit) {
        let mut hosts = BTreeSet::new();
        for reference in edit.changed() {
            match reference {
                ObjectRef::Datapath(id) => hosts.extend([id.clone()]),
                ObjectRef::Interface(id) => {
                    // As it was, too: a port that it no longer has may be another's now.
                    for interface in
                        [edit.base(), edit.topology()].map(|topology| topology.interfaces().get(id))
                    {
                        let ports = interface.map_or(&[][..], |interface| interface.ports.as_slice());
                        hosts.extend(self.hosts_that_may_show(id, ports));
                    }
                    let claims = edit.topology().bindings().get(id).map(|binding| binding.claims.clone());
                    hosts.extend(claims.into_iter().flatten().map(|claim| claim.datapath_uuid));
                }
                _ => {}
            }
        }
        hosts.iter().for_each(|host| self.bind(host, edit));
    }

    /// The ports of one host that name an interface and do not bind it.
    pub fn refusals_on(&self, topology: &Topology, datapath: &DatapathId) -> Vec<Refusal> {
        self.of(datapath).iter().filter_map(|port| match_port(topology, datapath, port).err()).collect()
    }

    /// Why a port that names an interface does not bind it, if there is one. Looks only at hosts that may show it.
    pub fn refusal_of(&self, topology: &Topology, interface: &InterfaceId) -> Option<Refusal> {
        let of = topology.interfaces().get(interface)?;
        let hosts = self.hosts_that_may_show(interface, &of.ports);
        let refusals = hosts.iter().flat_map(|host| self.refusals_on(topology, host));
        refusals.into_iter().find(|refusal| refusal.interface == *interface)
    }

    /// The hosts with a port of an interface's id or port names, and those that its record names.
    fn hosts_that_may_show(&self, id: &InterfaceId, ports: &[InterfacePort]) -> BTreeSet<DatapathId> {
        let names = ports.iter().filter_map(|port| port.port_name.clone());
        let shown = names.chain([id.to_string()]).flat_map(|text| self.hosts_by_text.collect(&text));
        shown.chain(ports.iter().filter_map(|port| port.datapath_uuid.clone())).collect()
    }
}

fn texts(port: &SeenPort) -> impl Iterator<Item = String> + use<> {
    [Some(port.name.clone()), port.iface_id.clone()].into_iter().flatten()
}

fn bind_one(edit: &mut Edit, interface: InterfaceId, claim: Claim) {
    let Some(old) = edit.topology().bindings().get(&interface).cloned() else {
        let project = edit.topology().interfaces().get(&interface).map(|found| found.meta.project.clone());
        let meta = edit.new_meta(MetaSpec { project, labels: None }).expect("a stored project is valid");
        edit.put(Binding { interface_uuid: interface, meta, claims: vec![claim] });
        return;
    };
    if old.claims.contains(&claim) {
        return;
    }
    let mut claims = old.claims.clone();
    claims.retain(|of| of.datapath_uuid != claim.datapath_uuid);
    claims.push(claim);
    let excess = claims.len().saturating_sub(MAX_CLAIMS);
    claims.drain(..excess);
    old.store(claims, edit);
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
    let candidates: BTreeSet<_> = match port.name.as_str() {
        LOCAL_PORT => topology.interfaces_of_datapath_port(datapath).into_iter().collect(),
        name => topology.interfaces_of_port_name(name).into_iter().collect(),
    };
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
    if (port.name == LOCAL_PORT) != (interface.mode == InterfaceMode::Internal) {
        return refuse(format!("port {} on {datapath} does not fit the interface's mode", port.name));
    }
    Ok(())
}
