//! Waiting until the hosts have what was changed, or what is to come.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use topology::{DatapathId, NodeId, Object, ObjectRef, Revision, Topology, scope};

use crate::hosts::Hosts;
use crate::plan::Plan;
use crate::state::HeadReceiver;

/// How long a request waits for hosts unless it says otherwise.
pub const DEFAULT_WAIT: Duration = Duration::from_secs(30);

/// How long a request can wait for hosts.
pub const MAX_WAIT: Duration = Duration::from_secs(300);

/// How far the hosts are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Realized {
    /// The revision waited for.
    pub revision: Revision,
    /// The hosts that did not have it in time: slow, not connected, or never seen.
    pub pending: Vec<NodeId>,
}

/// Waits until every host that a plan concerns has realized it, or until `give_up`.
pub async fn wait(
    plan: &Plan,
    hosts: &Hosts,
    head: &HeadReceiver,
    give_up: impl Future<Output = ()>,
) -> Realized {
    let revision = plan.revision();
    let mut pending = concerned(plan);
    tokio::select! {
        biased;
        () = all_have_it(revision, &mut pending, hosts, head) => {}
        () = give_up => {}
    }
    realized(revision, &pending, &head.borrow().topology)
}

/// Waits until an object is as `since` looks for, which says from which revision on it is, and every host that knows the object has
/// realized that; or until `give_up`, or the object is deleted. `None` if it is not so.
pub async fn wait_for(
    reference: &ObjectRef,
    since: impl Fn(Object, &Topology) -> Option<Revision>,
    hosts: &Hosts,
    mut head: HeadReceiver,
    give_up: impl Future<Output = ()>,
) -> Option<Realized> {
    let seen = head.clone();
    let mut found = None;
    let is_so_everywhere = async {
        loop {
            let topology = head.borrow_and_update().topology.clone();
            found = None;
            let Some(object) = topology.get(reference) else { return };
            let knowing = || scope::knowing(&topology, [reference.clone()]);
            found = since(object, &topology).map(|since| (since, knowing()));
            let all_have_it = async {
                match &mut found {
                    Some((since, pending)) => all_have_it(*since, pending, hosts, &seen).await,
                    None => std::future::pending().await,
                }
            };
            let news = tokio::select! {
                biased;
                () = all_have_it => return,
                news = head.changed() => news,
            };
            if news.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        biased;
        () = is_so_everywhere => {}
        () = give_up => {}
    }
    found.map(|(since, pending)| realized(since, &pending, &seen.borrow().topology))
}

/// Takes those out of `pending` that have realized a revision, or are no more, until nobody is left.
async fn all_have_it(
    revision: Revision,
    pending: &mut BTreeSet<DatapathId>,
    hosts: &Hosts,
    head: &HeadReceiver,
) {
    let mut progress = hosts.progress();
    loop {
        progress.mark_unchanged();
        *pending = pending_of(pending, revision, hosts, &head.borrow().topology);
        if pending.is_empty() || progress.changed().await.is_err() {
            return;
        }
    }
}

fn realized(revision: Revision, pending: &BTreeSet<DatapathId>, topology: &Topology) -> Realized {
    let name = |datapath| topology.datapaths().get(datapath).map(|datapath| datapath.node_id.clone());
    Realized { revision, pending: pending.iter().filter_map(name).collect() }
}

/// The hosts of a plan's changes. When there are none, those of what it is about: who repeats a request that timed out
/// still waits for the same hosts.
fn concerned(plan: &Plan) -> BTreeSet<DatapathId> {
    if !plan.changes.is_empty() {
        return scope::concerned(&plan.before, &plan.after, &plan.changes);
    }
    scope::knowing(&plan.after, plan.subjects.iter().cloned())
}

fn pending_of(
    among: &BTreeSet<DatapathId>,
    revision: Revision,
    hosts: &Hosts,
    topology: &Topology,
) -> BTreeSet<DatapathId> {
    let state = hosts.read();
    let lacks = |datapath: &&DatapathId| {
        topology.datapaths().contains_key(*datapath) && state.realized(datapath) < revision
    };
    among.iter().filter(lacks).cloned().collect()
}
