//! Pairs: has the writer go on with pairs of hosts whose two hosts have both realized where they are.
//!
//! [`HostPair`] says why a change of how two hosts send to each other has steps. What step a pair is at is in the topology, and
//! how far hosts are they say again to a manager that restarts: nothing is to be remembered here.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use topology::host_pair::HostPair;
use topology::{DatapathId, HostPairId, Revision, Topology};

use crate::hosts::{Hosts, State};
use crate::plan::Task;
use crate::state::HeadReceiver;
use crate::writer::{WriteError, Writer};

/// How long it looks away after each look: hosts say a thousand times a second how far they are.
const PAUSE: Duration = Duration::from_millis(20);

/// Runs until `stop`, or until the writer has ended.
pub async fn run(mut head: HeadReceiver, hosts: Arc<Hosts>, writer: Writer, stop: CancellationToken) {
    let mut progress = hosts.progress();
    let watch = async {
        loop {
            progress.mark_unchanged();
            let seen = head.borrow_and_update().clone();
            let ready = ready(&seen.topology, &hosts.read());
            if !ready.is_empty() {
                match writer.submit(Task::Settle(ready)).await {
                    Err(WriteError::Stopping) => return,
                    Err(error) => tracing::error!(%error, "pairs of hosts cannot go on"),
                    Ok(_) => {}
                }
            }
            tokio::time::sleep(PAUSE).await;
            let changed = tokio::select! {
                changed = head.changed() => changed,
                changed = progress.changed() => changed,
            };
            if changed.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = watch => {}
        () = stop.cancelled() => {}
    }
}

/// The pairs that can go on, each with the revision that both hosts have realized it at.
fn ready(topology: &Topology, hosts: &State) -> Vec<(HostPairId, Revision)> {
    let is_ready =
        |pair: &HostPair| pair.datapath_uuids.iter().all(|host| is_at(topology, hosts, host, pair));
    let pairs = topology.unsettled_host_pairs().filter(|pair| is_ready(pair));
    pairs.map(|pair| (pair.uuid.clone(), pair.meta.revision)).collect()
}

/// Whether a host does what a pair's record says now.
fn is_at(topology: &Topology, hosts: &State, host: &DatapathId, pair: &HostPair) -> bool {
    match topology.datapaths().get(host) {
        // Nobody sends to it.
        Some(datapath) if datapath.underlay.is_none() => true,
        // One that has never heard of pairs realizes whatever it is told, and would take nothing new.
        Some(datapath) if !datapath.heeds_pairs && pair.encapsulation.is_some() => false,
        _ => hosts.realized(host) >= pair.meta.revision,
    }
}
