//! What must hold: some of it always, the rest once everything is quiet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use dataplane::{Compiler, Delta, Program};
use sync::Replica;
use topology::binding::Claim;
use topology::interface::{Interface, InterfaceMode};
use topology::{DatapathId, InterfaceId, ObjectRef, Topology, scope};
use vna::host::HostView;

use crate::agent::Agent;
use crate::database::Database;
use crate::host::Host;
use crate::manager::{Acknowledged, Claimed, Manager};

/// What does not hold.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(pub String);

pub(crate) type Outcome<T> = Result<T, Violation>;

fn violated<T>(what: impl FnOnce() -> String) -> Outcome<T> {
    Err(Violation(what()))
}

/// After a bundle: the tables are what compiling the replica afresh gives, nothing was touched on the way that was as it
/// should be, and time does not run backwards.
pub(crate) fn tables(
    host: &mut Host,
    before: &Program,
    aim: &Arc<Replica>,
    view: &HostView,
    difference: &Delta,
) -> Outcome<()> {
    let now = (aim.store_id.clone(), aim.topology.revision());
    if !difference.is_empty() {
        if Some(&now) < host.switch.changed.as_ref() {
            let newest = &host.switch.changed;
            return violated(|| format!("{}: the switch goes back from {newest:?} to {now:?}", host.node));
        }
        host.switch.changed = Some(now.clone());
    }
    let local = view.local(&aim.topology, aim.datapath.clone());
    let fresh = Compiler::new(aim.topology.clone(), local);
    if host.switch.program == *fresh.program() {
        if !host.switch.is_tampered && difference.len() > before.difference(fresh.program()).len() {
            return violated(|| format!("{}: on the way to {now:?} flows that stay are touched", host.node));
        }
        host.switch.is_tampered = false;
    } else if !host.switch.is_tampered {
        let wrong = host.switch.program.difference(fresh.program());
        return violated(|| format!("{}: the tables at {now:?} lack {wrong:?}", host.node));
    }
    host.switch.truth = Some(now.clone());
    host.proven = host.proven.take().max(Some(now));
    Ok(())
}

/// After a commit: no host has lost its claim to an interface whose port it shows all the time, whoever has restarted
/// meanwhile.
pub(crate) fn claims(hosts: &[Host], before: &Topology, after: &Topology) -> Outcome<()> {
    for host in hosts {
        let Some(datapath) = after.datapath_of_node(&host.node).map(|datapath| &datapath.uuid) else {
            continue;
        };
        let kept = after.interfaces_claimed_by(datapath);
        let lost: Vec<_> =
            before.interfaces_claimed_by(datapath).into_iter().filter(|id| !kept.contains(id)).collect();
        if lost.is_empty() {
            continue;
        }
        let shown = implied(host, after);
        // Who deletes a host or an interface deletes its claims; its successor of the same name has another key.
        let same_host = datapath_key(before, datapath) == datapath_key(after, datapath);
        let stays = |id: &InterfaceId| same_host && interface_key(before, id) == interface_key(after, id);
        let claimed = |id: &InterfaceId| {
            let claims =
                before.bindings().get(id).map(|binding| binding.claims.as_slice()).unwrap_or_default();
            shown.get(id).is_some_and(|claim| claims.contains(claim))
        };
        if let Some(id) = lost.into_iter().filter(stays).find(claimed) {
            return violated(|| format!("{}: shows the port of {id} and loses its claim", host.node));
        }
    }
    Ok(())
}

fn datapath_key(topology: &Topology, id: &DatapathId) -> Option<u32> {
    topology.datapaths().get(id).map(|datapath| datapath.key.0)
}

fn interface_key(topology: &Topology, id: &InterfaceId) -> Option<u32> {
    topology.interfaces().get(id).map(|interface| interface.key.0)
}

/// When a replica has changed: it is what its host needs of the truth.
pub(crate) fn replica(host: &Host, replica: &Replica, databases: &BTreeMap<String, Database>) -> Outcome<()> {
    let revision = replica.topology.revision();
    let truth = databases.get(&replica.store_id).and_then(|database| database.at(revision));
    let Some(truth) = truth else {
        return violated(|| format!("{}: no store ever had {revision} of {}", host.node, replica.store_id));
    };
    let wanted: BTreeMap<_, _> = scope::snapshot(&truth, &replica.datapath)
        .into_iter()
        .map(|object| (object.reference(), object))
        .collect();
    let found: BTreeMap<_, _> = replica
        .topology
        .objects()
        .filter(|object| object.reference() != ObjectRef::Sequences)
        .map(|object| (object.reference(), object))
        .collect();
    if wanted == found {
        return Ok(());
    }
    let differs = |reference: &&ObjectRef| wanted.get(*reference) != found.get(*reference);
    let all: BTreeSet<_> = wanted.keys().chain(found.keys()).collect();
    let wrong: Vec<_> = all.into_iter().filter(differs).map(ToString::to_string).collect();
    violated(|| format!("{}: the replica at {revision} is wrong about {}", host.node, wrong.join(", ")))
}

/// When a manager believes an agent: the switch has it.
pub(crate) fn claim(host: &Host, claimed: &Claimed, manager: &Manager) -> Outcome<()> {
    let proven = claimed.truth.as_ref().filter(|(store, _)| *store == manager.head.store_id);
    let has = proven.map(|(_, revision)| *revision).unwrap_or_default();
    if claimed.revision <= has {
        return Ok(());
    }
    violated(|| {
        format!(
            "{}: {} is reported as realized, and the switch has {:?}",
            host.node, claimed.revision, claimed.truth
        )
    })
}

/// At the end: what users were told is in the store.
pub(crate) fn acknowledged(acknowledged: &[Acknowledged], database: &Database) -> Outcome<()> {
    let lost = |of: &&Acknowledged| database.commit(of.revision).as_ref() != Some(&of.commit);
    match acknowledged.iter().find(lost) {
        None => Ok(()),
        Some(of) => violated(|| format!("the commit of {} was acknowledged and is lost", of.revision)),
    }
}

/// At the end: a host has all of the head, in its replica and in its switch, and the manager knows.
pub(crate) fn host(host: &Host, agent: Option<&Agent>, manager: &Manager) -> Outcome<()> {
    let head = &manager.head.topology;
    let Some(datapath) = head.datapath_of_node(&host.node).map(|datapath| datapath.uuid.clone()) else {
        return violated(|| format!("{} is not registered", host.node));
    };
    let Some(replica) = agent.and_then(|agent| agent.replica.clone()) else {
        return violated(|| format!("{} has no replica", host.node));
    };
    let (found, wanted) = (replica.state(), (manager.head.store_id.as_str(), head.revision()));
    if found != wanted {
        return violated(|| format!("{}: the replica is at {found:?}, the head at {wanted:?}", host.node));
    }
    let mut part = Topology::default();
    let objects: Vec<_> = scope::snapshot(head, &datapath).into_iter().map(topology::Change::Put).collect();
    part.commit(head.revision(), &objects);
    let local = host.database.local(&part, datapath.clone());
    let wrong = host.switch.program.difference(Compiler::new(part, local).program());
    if !wrong.is_empty() {
        return violated(|| format!("{}: the switch lacks {wrong:?}", host.node));
    }
    let realized = manager.hosts.read().realized(&datapath);
    if realized != head.revision() {
        return violated(|| {
            format!("{}: {realized} is realized, the head is {}", host.node, head.revision())
        });
    }
    Ok(())
}

/// At the end: an interface is claimed by the hosts that show a port of it, and by no others.
pub(crate) fn bindings(hosts: &[Host], topology: &Topology) -> Outcome<()> {
    let mut wanted: BTreeMap<InterfaceId, BTreeSet<String>> = BTreeMap::new();
    for host in hosts {
        for claim in implied(host, topology) {
            wanted.entry(claim.0).or_default().insert(text(&claim.1));
        }
    }
    let found: BTreeMap<_, BTreeSet<_>> = topology
        .bindings()
        .values()
        .map(|binding| (binding.interface_uuid.clone(), binding.claims.iter().map(text).collect()))
        .collect();
    if wanted == found {
        return Ok(());
    }
    violated(|| format!("ports imply the bindings {wanted:?}, and there are {found:?}"))
}

fn text(claim: &Claim) -> String {
    format!("{} on {} as {}", claim.port_name, claim.datapath_uuid, claim.instance)
}

/// The claims of one host: the first of its ports that is an interface's counts.
fn implied(host: &Host, topology: &Topology) -> BTreeMap<InterfaceId, Claim> {
    let mut claims = BTreeMap::new();
    let Some(datapath) = topology.datapath_of_node(&host.node).map(|datapath| &datapath.uuid) else {
        return claims;
    };
    for port in host.database.seen() {
        let interface = match port.iface_id.as_deref().and_then(|id| id.parse::<InterfaceId>().ok()) {
            Some(id) => topology.interfaces().get(&id).filter(|of| may_be_here(of, host, datapath)),
            None => named(topology, &port.name, host, datapath),
        };
        if let Some(interface) = interface {
            let (port_name, instance) = (port.name.clone(), port.instance.clone());
            let datapath_uuid = datapath.clone();
            claims.entry(interface.uuid.clone()).or_insert(Claim { datapath_uuid, port_name, instance });
        }
    }
    claims
}

/// The interface that a port's name stands for: one whose record names the host goes before one that names none.
fn named<'a>(
    topology: &'a Topology,
    name: &str,
    host: &Host,
    datapath: &DatapathId,
) -> Option<&'a Arc<Interface>> {
    let of_name = |of: &&Arc<Interface>| of.ports.iter().any(|port| port.port_name.as_deref() == Some(name));
    let here = |of: &&Arc<Interface>| may_be_here(of, host, datapath);
    let names_host =
        |of: &&Arc<Interface>| of.ports.iter().any(|port| port.datapath_uuid.as_ref() == Some(datapath));
    let candidates = || topology.interfaces().values().filter(of_name).filter(here);
    candidates().find(names_host).or_else(|| candidates().next())
}

fn may_be_here(interface: &Interface, host: &Host, datapath: &DatapathId) -> bool {
    let requested = interface.requested_host.as_ref().is_none_or(|node| *node == host.node);
    let here = |only: &DatapathId| only == datapath;
    let admitted = interface.ports.is_empty()
        || interface.ports.iter().any(|port| port.datapath_uuid.as_ref().is_none_or(here));
    // What is simulated has no port, whatever a port says.
    requested && admitted && interface.mode != InterfaceMode::Simulated
}
