//! Waiting until the hosts have a change.

use std::collections::BTreeSet;
use std::time::Duration;

use serde::Serialize;
use topology::{DatapathId, NodeId, Revision, Topology, scope};

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
    let mut progress = hosts.progress();
    let mut pending = concerned(plan);
    let all_have_it = async {
        loop {
            progress.mark_unchanged();
            pending = pending_of(&pending, revision, hosts, &head.borrow().topology);
            if pending.is_empty() || progress.changed().await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        biased;
        () = all_have_it => {}
        () = give_up => {}
    }
    let topology = head.borrow().topology.clone();
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
