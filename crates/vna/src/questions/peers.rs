//! How much passes between this host and each other one, as the flows of peers count it.
//!
//! The switch is asked for these flows alone, of which there are two for each peer, whatever number of guests there is.

use std::collections::BTreeMap;

use dataplane::Owner;
use dataplane::layout::{CLASSIFY, PEER};
use openflow::{Connection, FlowEntry, FlowSelection};
use sync::question::{MAX_ITEMS, PeerRow, Refusal, Traffic};
use topology::{HostKey, Topology};

use super::unanswered;

/// Reads, and adds up.
pub(super) async fn answer(switch: &Connection, topology: &Topology) -> Result<Vec<PeerRow>, Refusal> {
    let (cookie, cookie_mask) = Owner::of_peers();
    let selection = FlowSelection { cookie, cookie_mask, ..FlowSelection::default() };
    let entries = switch.flows(selection).await.map_err(|error| unanswered(&error))?;
    Ok(rows(topology, &entries))
}

/// A row for each peer that is known.
fn rows(topology: &Topology, entries: &[FlowEntry]) -> Vec<PeerRow> {
    let mut counted = BTreeMap::<HostKey, [Traffic; 2]>::new();
    for FlowEntry { flow, counters } in entries {
        let Some(Owner::Peer(key)) = Owner::of_cookie(flow.cookie) else { continue };
        let [sent, received] = counted.entry(key).or_default();
        let traffic = match flow.table {
            PEER => sent,
            CLASSIFY => received,
            // What is counted elsewhere is counted twice.
            _ => continue,
        };
        traffic.packets = traffic.packets.saturating_add(counters.packets.unwrap_or_default());
        traffic.bytes = traffic.bytes.saturating_add(counters.bytes.unwrap_or_default());
    }
    let row = |(key, [sent, received]): (HostKey, [Traffic; 2])| {
        let host = topology.datapath_of_key(key)?.uuid.clone();
        Some(PeerRow { host, sent, received })
    };
    counted.into_iter().filter_map(row).take(MAX_ITEMS).collect()
}
