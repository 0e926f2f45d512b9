//! What the agent tells who looks after its host: `/metrics`, `/healthz` and `/readyz`, on an address of the host alone.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use dataplane::{Owner, Purpose, limit};
use openflow::{Connection, FlowSelection, MeterId, MultipartReply, MultipartRequest, RequestError};
use prometheus_client::registry::Registry;
use sync::Replica;
use tokio::net::TcpListener;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use topology::Revision;
use tracing::{info, warn};
use web::metrics::gauge;

use crate::host::HostView;
use crate::metrics::{self, Metrics};
use crate::reconciler::Installed;

/// Least time between two looks at the switch's counters: who asks more often gets the same again.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// How long the switch may take to tell its counters.
const LOOK_LIMIT: Duration = Duration::from_secs(5);

/// What there is to tell of.
#[derive(Clone, Debug)]
pub struct Status {
    /// Counts what happens.
    pub metrics: Arc<Metrics>,
    /// The host's part of the topology.
    pub replica: watch::Receiver<Option<Arc<Replica>>>,
    /// What the switch's database shows.
    pub host: watch::Receiver<Arc<HostView>>,
    /// What the switch's tables stand for.
    pub installed: watch::Receiver<Option<Installed>>,
    /// What packets meet.
    pub realized: watch::Receiver<Option<Arc<Replica>>>,
    /// The switch's counters when last looked at.
    pub drops: Arc<Mutex<Option<Look>>>,
}

/// The switch's counters of drops, and when they were read.
#[derive(Clone, Debug)]
pub struct Look {
    at: Instant,
    drops: BTreeMap<Purpose, u64>,
}

/// Listens on `address` and serves until `stop`.
///
/// # Errors
/// It cannot be listened on.
pub async fn serve(status: Status, address: SocketAddr, stop: CancellationToken) -> anyhow::Result<()> {
    let listener = TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))?;
    info!(address = %listener.local_addr().unwrap_or(address), "telling the status");
    let router = Router::new()
        .route("/healthz", get(web::health::alive))
        .route("/readyz", get(ready))
        .route("/metrics", get(show))
        .with_state(status);
    web::serve(listener, router, stop).await;
    Ok(())
}

async fn ready(State(status): State<Status>) -> (StatusCode, String) {
    web::health::ready(status.obstacle())
}

async fn show(State(status): State<Status>) -> Response {
    let drops = status.drops().await;
    web::metrics::page(&[status.metrics.registry(), &status.now(&drops)])
}

impl Status {
    /// Why the host does not serve the newest that its agent knows, if so.
    fn obstacle(&self) -> Option<String> {
        if self.host.borrow().dpid.is_none() {
            return Some("the switch's database has not been read: is ovsdb-server running?".to_owned());
        }
        let wanted = match &*self.replica.borrow() {
            Some(replica) => replica.topology.revision(),
            None => {
                return Some("nothing is known of the topology: no manager has been heard yet".to_owned());
            }
        };
        if !self.metrics.is_switch_connected() {
            return Some("the switch is not connected: is ovs-vswitchd running?".to_owned());
        }
        let installed = self.installed.borrow().as_ref().map(|installed| revision(&installed.replica));
        (installed != Some(wanted)).then(|| match installed {
            Some(installed) => format!("the switch is at revision {installed}, and {wanted} is the newest"),
            None => format!("the switch is not in step yet; {wanted} is the newest revision"),
        })
    }

    /// How things are.
    fn now(&self, drops: &BTreeMap<Purpose, u64>) -> Registry {
        let mut registry = Registry::with_prefix("vna");
        let of = |replica: Option<&Arc<Replica>>| gauge(replica.map_or(0, |replica| revision(replica).0));
        let installed = self.installed.borrow().as_ref().map(|installed| installed.replica.clone());
        let (ports, tunnels) = (self.host.borrow().ports.len(), self.host.borrow().tunnels.len());
        registry.register(
            "replica_revision",
            "Newest revision that the agent knows",
            of(self.replica.borrow().as_ref()),
        );
        registry.register(
            "installed_revision",
            "Revision that the switch's tables stand for",
            of(installed.as_ref()),
        );
        registry.register(
            "realized_revision",
            "Revision that packets meet",
            of(self.realized.borrow().as_ref()),
        );
        registry.register("ports", "Ports of the bridge that are no tunnels", gauge(ports as u64));
        registry.register("tunnels", "Tunnel ports that are ready", gauge(tunnels as u64));
        metrics::drops(&mut registry, drops);
        registry
    }

    /// What the switch has dropped. What it was when last known, if the switch does not tell.
    async fn drops(&self) -> BTreeMap<Purpose, u64> {
        // One at a time: those who wait find the answer to be new enough.
        let mut last = self.drops.lock().await;
        if let Some(look) = last.as_ref().filter(|look| look.at.elapsed() < LOOK_INTERVAL) {
            return look.drops.clone();
        }
        let switch = self.installed.borrow().as_ref().map(|installed| installed.switch.clone());
        let Some(switch) = switch else { return BTreeMap::new() };
        match timeout(LOOK_LIMIT, look(&switch)).await {
            Ok(Ok(drops)) => {
                *last = Some(Look { at: Instant::now(), drops: drops.clone() });
                drops
            }
            Ok(Err(error)) => {
                warn!(%error, "the switch does not tell its counters");
                last.as_ref().map(|look| look.drops.clone()).unwrap_or_default()
            }
            Err(_) => last.as_ref().map(|look| look.drops.clone()).unwrap_or_default(),
        }
    }
}

fn revision(replica: &Replica) -> Revision {
    replica.topology.revision()
}

/// Reads the counters of all drops from the switch.
async fn look(switch: &Connection) -> Result<BTreeMap<Purpose, u64>, RequestError> {
    let (cookie, cookie_mask) = Owner::of_base();
    let selection = FlowSelection { cookie, cookie_mask, ..FlowSelection::default() };
    let mut drops: BTreeMap<_, u64> = BTreeMap::new();
    for entry in switch.flows(selection).await? {
        if let Some(Owner::Base(purpose)) = Owner::of_cookie(entry.flow.cookie)
            && purpose.drop_reason().is_some()
        {
            *drops.entry(purpose).or_default() += entry.counters.packets.unwrap_or_default();
        }
    }
    // Flows count what is too big wrongly; see the meter.
    drops.remove(&Purpose::TooBig);
    for part in switch.ask(MultipartRequest::MeterStats(MeterId::ALL)).await? {
        let MultipartReply::MeterStats(meters) = part else { return Err(RequestError::Unexpected) };
        for meter in meters {
            let Some(purpose) = limit::purpose(meter.id) else { continue };
            let dropped = meter.bands.iter().map(|band| band.packets).sum::<u64>();
            let counted = if purpose == Purpose::TooBig { meter.input.packets } else { dropped };
            *drops.entry(purpose).or_default() += counted;
        }
    }
    Ok(drops)
}
