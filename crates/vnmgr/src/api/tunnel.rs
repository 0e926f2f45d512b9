//! Tunnels: which hosts send each other packets of guests, and how.
//!
//! Nobody makes them: a host's switch has one to each host with an interface in a network or segment that it knows.
//!
//! # Counters are asked for
//! What passes a tunnel is counted by the switch of its host and kept nowhere else. So those hosts are asked that are on the page
//! which is wanted, many at once and all for a bounded time. What one does not tell is not known, and no reason to
//! withhold the rest.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{RawQuery, State};
use futures::{StreamExt, stream};
use serde::Serialize;
use sync::question::PeerRow;
use tokio::time::{Instant, timeout_at};
use topology::datapath::Datapath;
use topology::scope::reach;
use topology::underlay::TunnelMode;
use topology::{DatapathId, Topology};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::error::ErrorBody;
use super::list::{ListParameters, Listing, Page};
use super::reply::{Reply, Result};
use super::{Api, compute};
use crate::questions::Lines;

/// How long hosts have to say what they have counted: a switch tells in milliseconds, and who asks waits for all of them.
const COUNTING_TIME: Duration = Duration::from_secs(3);

/// How many hosts are asked at once.
const ASKED_AT_ONCE: usize = 64;

/// A way from one host to another.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct Tunnel {
    /// The host that sends.
    pub src_datapath_uuid: DatapathId,
    /// The host that receives.
    pub dst_datapath_uuid: DatapathId,
    /// How packets are wrapped: as the sender does. With `mac2mac`, what has to be is wrapped in the sender's own way.
    pub mode: TunnelMode,
    /// The sender's address; absent if packets cannot go this way: an agent has never registered, or the hosts have no
    /// addresses of one family.
    #[schema(value_type = Option<String>, example = "192.0.2.1")]
    pub src_address: Option<IpAddr>,
    /// The receiver's address; absent where the sender's is.
    #[schema(value_type = Option<String>, example = "192.0.2.2")]
    pub dst_address: Option<IpAddr>,
    /// What has passed it.
    #[serde(flatten)]
    pub counted: Counted,
}

/// What the sender's switch has counted since it has its flows for the other host: they are made anew when an address changes.
/// Bytes are those of guests' frames, without what tunnels add.
#[derive(Clone, Copy, Debug, Default, Serialize, utoipa::ToSchema)]
pub struct Counted {
    /// Packets sent to the receiver; absent if the host does not tell.
    pub sent_packets: Option<u64>,
    /// Their bytes.
    pub sent_bytes: Option<u64>,
    /// Packets that came back from the receiver.
    pub received_packets: Option<u64>,
    /// Their bytes.
    pub received_bytes: Option<u64>,
}

/// Who sends, and to whom.
type Ends = (DatapathId, DatapathId);

/// The routes.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(list))
}

/// Lists which hosts send to which, and how
///
/// The hosts are asked what they have counted. Of those that cannot be asked, or do not answer in time, it is not known.
#[utoipa::path(get, path = "/tunnels", tag = "state", params(ListParameters), operation_id = "list_tunnels",
    responses((status = 200, body = Page<Tunnel>), (status = "default", body = ErrorBody)))]
async fn list(State(api): State<Api>, RawQuery(query): RawQuery) -> Result {
    let fields = &["src_datapath_uuid", "dst_datapath_uuid", "mode", "src_address", "dst_address"];
    let listing = Listing::parse(&query.unwrap_or_default(), fields)?;
    let topology = api.head().topology.clone();
    let revision = topology.revision();
    let work = move || {
        let pairs = tunnels(&topology).into_iter();
        listing.page(pairs, |_| None, |(from, to)| Tunnel::between(&topology, &from, &to))
    };
    let mut page = compute(work).await;
    let hosts = page.items.iter().map(|tunnel| tunnel.src_datapath_uuid.clone()).collect();
    let counted = count(&api.lines, hosts).await;
    for tunnel in &mut page.items {
        tunnel.counted = counted.get(&tunnel.ends()).copied().unwrap_or_default();
    }
    Ok(Reply::new(revision, &page))
}

/// Asks hosts what they have counted, until it takes too long.
async fn count(lines: &Lines, hosts: BTreeSet<DatapathId>) -> BTreeMap<Ends, Counted> {
    let asked = hosts.into_iter().filter_map(|host| Some((lines.to(&host)?, host)));
    let answers = asked.map(|(line, host)| async move { (host, line.peers().await) });
    let mut answers = stream::iter(answers).buffer_unordered(ASKED_AT_ONCE);
    let deadline = Instant::now() + COUNTING_TIME;
    let mut counted = BTreeMap::new();
    while let Ok(Some((host, answer))) = timeout_at(deadline, answers.next()).await {
        match answer {
            Ok(peers) => counted.extend(
                peers.into_iter().map(|peer| ((host.clone(), peer.host.clone()), Counted::of(&peer))),
            ),
            Err(error) => tracing::debug!(%host, %error, "it is not known what a host has counted"),
        }
    }
    counted
}

impl Tunnel {
    fn between(topology: &Topology, from: &Datapath, to: &Datapath) -> Self {
        let way = topology.way(&from.uuid, &to.uuid, None);
        let own = from.underlay.map(|underlay| underlay.encapsulation);
        let wrapped = way.map(|way| way.encapsulation).or(own).unwrap_or_default();
        let unwrapped = topology.wire(&from.uuid, &to.uuid).map(|_| TunnelMode::Mac2mac);
        Self {
            src_datapath_uuid: from.uuid.clone(),
            dst_datapath_uuid: to.uuid.clone(),
            mode: unwrapped.unwrap_or(wrapped.into()),
            src_address: way.map(|way| way.from),
            dst_address: way.map(|way| way.to),
            counted: Counted::default(),
        }
    }

    fn ends(&self) -> Ends {
        (self.src_datapath_uuid.clone(), self.dst_datapath_uuid.clone())
    }
}

impl Counted {
    fn of(peer: &PeerRow) -> Self {
        Self {
            sent_packets: Some(peer.sent.packets),
            sent_bytes: Some(peer.sent.bytes),
            received_packets: Some(peer.received.packets),
            received_bytes: Some(peer.received.bytes),
        }
    }
}

/// Each host with each that it sends to, ordered by their ids.
fn tunnels(topology: &Topology) -> Vec<(Arc<Datapath>, Arc<Datapath>)> {
    let hosts = topology.datapaths().values();
    let pairs = hosts.flat_map(|host| {
        let domains = reach(topology, &host.uuid);
        let peers: BTreeSet<_> = domains.iter().flat_map(|domain| topology.hosts_of_domain(domain)).collect();
        let peers = peers.into_iter().filter(|peer| *peer != host.uuid);
        peers.filter_map(|peer| Some((host.clone(), topology.datapaths().get(&peer)?.clone())))
    });
    pairs.collect()
}
