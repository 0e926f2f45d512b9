//! Metrics: what has happened in the manager, counted, and how things are, for Prometheus.
//!
//! Labels have few values: routes, statuses, kinds of objects, and registered hosts.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use topology::Topology;
use web::metrics::{SECONDS, gauge};

use crate::hosts::Hosts;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Request {
    method: String,
    route: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Route {
    method: String,
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Kind {
    kind: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Node {
    node: String,
}

/// Counts what happens.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    requests: Family<Request, Counter>,
    request_seconds: Family<Route, Histogram>,
    append_seconds: Histogram,
    append_commits: Histogram,
    append_failures: Counter,
    refused: Counter,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::with_prefix("vnmgr");
        let requests = Family::default();
        registry.register("api_requests", "Requests answered", requests.clone());
        let request_seconds = Family::new_with_constructor(times as fn() -> Histogram);
        let help = "Time from a request's headers to its answer";
        registry.register_with_unit("api_request", help, Unit::Seconds, request_seconds.clone());
        let append_seconds = times();
        let help = "Time that the store takes to make a group of commits durable";
        registry.register_with_unit("store_append", help, Unit::Seconds, append_seconds.clone());
        let append_commits = Histogram::new(exponential_buckets(1.0, 4.0, 6));
        registry.register("store_append_commits", "Commits made durable together", append_commits.clone());
        let append_failures = Counter::default();
        registry.register(
            "store_append_failures",
            "Groups that the store did not take",
            append_failures.clone(),
        );
        let refused = Counter::default();
        registry.register("tasks_refused", "Changes refused by the rules of the topology", refused.clone());
        Self { registry, requests, request_seconds, append_seconds, append_commits, append_failures, refused }
    }
}

fn times() -> Histogram {
    Histogram::new(SECONDS)
}

impl Metrics {
    /// What was counted.
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// A request was answered.
    pub(crate) fn answered(&self, method: &str, route: String, status: u16, took: Duration) {
        let method = method.to_owned();
        let of_route = Route { method: method.clone(), route: route.clone() };
        self.requests.get_or_create(&Request { method, route, status }).inc();
        self.request_seconds.get_or_create(&of_route).observe(took.as_secs_f64());
    }

    /// The store has taken a group of commits.
    pub(crate) fn appended(&self, commits: usize, took: Duration) {
        self.append_seconds.observe(took.as_secs_f64());
        self.append_commits.observe(u32::try_from(commits).unwrap_or(u32::MAX).into());
    }

    /// The store has not taken a group of commits.
    pub(crate) fn append_failed(&self) {
        self.append_failures.inc();
    }

    /// A change was refused by the rules.
    pub(crate) fn refused(&self) {
        self.refused.inc();
    }
}

/// How things are.
pub fn state(topology: &Topology, hosts: &Hosts) -> Registry {
    let mut registry = Registry::with_prefix("vnmgr");
    let revision = topology.revision();
    registry.register("revision", "Newest revision of the topology", gauge(revision.0));
    registry.register("objects", "Objects in the topology, by kind", objects(topology));
    let (connected, realized, lag) = (family(), family(), family());
    let mut streams = 0_u64;
    let live = hosts.read();
    for datapath in topology.datapaths().values() {
        let of = live.live(&datapath.uuid);
        let node = || Node { node: datapath.node_id.to_string() };
        streams += u64::from(of.connection.is_some());
        let set = |family: &Family<Node, Gauge>, value: u64| {
            family.get_or_create(&node()).set(value.try_into().unwrap_or(i64::MAX));
        };
        set(&connected, of.connection.is_some().into());
        set(&realized, of.realized.0);
        set(&lag, revision.0.saturating_sub(of.realized.0));
    }
    registry.register("streams", "Agents that are connected", gauge(streams));
    registry.register("host_connected", "Whether a host's agent is connected", connected);
    registry.register(
        "host_realized_revision",
        "The revision that a host's switch is known to have",
        realized,
    );
    registry.register("host_lag_revisions", "How many revisions a host is behind", lag);
    registry
}

fn family() -> Family<Node, Gauge> {
    Family::default()
}

fn objects(topology: &Topology) -> Family<Kind, Gauge> {
    let kinds = Family::<Kind, Gauge>::default();
    for (kind, count) in topology.sizes() {
        let of_kind = kinds.get_or_create(&Kind { kind: kind.to_owned() });
        of_kind.set(count.try_into().unwrap_or(i64::MAX));
    }
    kinds
}
