//! Peers of datapaths: how two hosts wrap what they send each other, where a user has a say. A pair has one record, found under
//! either of its hosts.

use serde::Serialize;
use topology::datapath::Datapath;
use topology::host_pair::HostPairSpec;
use topology::underlay::TunnelMode;
use topology::{Action, DatapathId, Topology};

use super::relation::{Relation, relation_routes};

/// The hosts to which a host sends in a way that a user has chosen.
pub struct Peers;

/// A host to which another sends in a way that a user has chosen.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Peer {
    /// The other host's datapath.
    pub peer_uuid: DatapathId,
    /// How the two are to wrap what they send each other.
    pub encapsulation: TunnelMode,
    /// Whether they do. They begin once both are ready to take it, so that nothing is lost.
    pub in_use: bool,
}

impl Relation for Peers {
    type Owner = Datapath;
    type Other = DatapathId;
    type View = Peer;
    const NAME: &'static str = "peers";
    const FIELD: &'static str = "peer_uuid";
    const FIELDS: &'static [&'static str] = &["uuid", "peer_uuid", "encapsulation", "in_use"];
    const ADD: Action = Action::AddDatapathPeer;
    const REMOVE: Action = Action::RemoveDatapathPeer;

    fn others(topology: &Topology, owner: &Datapath) -> Vec<DatapathId> {
        let pairs = topology.host_pairs_of_datapath(&owner.uuid);
        let pairs = pairs.iter().filter_map(|id| topology.host_pairs().get(id));
        let kept = pairs.filter(|pair| pair.encapsulation.is_some());
        let mut others: Vec<_> = kept.filter_map(|pair| pair.other(&owner.uuid).cloned()).collect();
        others.sort_unstable();
        others
    }

    fn view(topology: &Topology, owner: &Datapath, other: &DatapathId) -> Option<Peer> {
        let pair = topology.host_pair(owner, topology.datapaths().get(other)?)?;
        let encapsulation = pair.encapsulation?;
        Some(Peer { peer_uuid: other.clone(), encapsulation, in_use: pair.is_settled() })
    }
}

relation_routes!("datapaths", "peers", "peer_uuid": Peers, HostPairSpec => Peer);
