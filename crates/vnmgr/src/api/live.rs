//! Live traces: what the switches would do with a packet, and where they differ from what the topology says.
//!
//! The packet is that of a trace. [`crate::live`] asks the hosts and compares.

use axum::extract::State;
use serde::{Deserialize, Serialize};
use sync::question::{TraceOutput, TraceQuery, TraceStep, Traced};
use topology::reach::Prepared;
use topology::walk::{Connections, Packet, walk};
use topology::{DatapathId, InterfaceId, NodeId, Topology};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::error::{ApiError, ErrorBody};
use super::input::Input;
use super::reply::{Reply, Result};
use super::trace::answered;
use crate::live::{Difference, Heard, Sent, Silence, compare, follow};

/// The first packet of a connection, as an interface sends it.
#[derive(Clone, Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LiveSpec {
    /// The interface that sends it.
    from: InterfaceId,
    /// The packet.
    packet: Packet,
    /// Whether the switches are asked about the receiver's answer, too.
    #[serde(default)]
    reply: bool,
}

/// What the switches would do with it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct LiveView {
    /// Whether all switches do what the topology says; absent if not all could be asked and those that were do.
    pub agrees: Option<bool>,
    /// The same in words, and where they begin to differ.
    pub verdict: String,
    /// Each host that the packet comes to, in order.
    pub hosts: Vec<LiveHostView>,
    /// What they would do with the receiver's answer, if that was asked for and there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub reply: Option<Box<LiveView>>,
}

/// What the switch of a host would do with it.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct LiveHostView {
    /// The host.
    pub datapath_uuid: DatapathId,
    /// The name of its agent.
    pub node_id: Option<NodeId>,
    /// Why that is not known; absent if it is.
    pub silence: Option<String>,
    /// The flows that the packet meets.
    pub steps: Vec<LiveStepView>,
    /// Where it goes out.
    pub outputs: Vec<TraceOutput>,
}

/// A flow that the packet meets.
#[derive(Clone, Debug, Serialize, utoipa::ToSchema)]
pub struct LiveStepView {
    /// The flow.
    #[serde(flatten)]
    pub step: TraceStep,
    /// Here it begins that the switches do something else than the topology says.
    pub differs: bool,
}

/// The routes.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(trace))
}

/// Asks the switches what they would do with a packet, and compares it with what the topology says
///
/// Nothing is sent and nothing changes. Hosts are asked one after the other, each for what the one before sends it.
#[utoipa::path(post, path = "/trace/live", operation_id = "trace_packet_live", tag = "questions",
    request_body = LiveSpec,
    responses((status = 200, body = LiveView), (status = "default", body = ErrorBody)))]
async fn trace(State(api): State<Api>, input: Input) -> Result {
    let LiveSpec { from, packet, reply } =
        serde_json::from_value(input.attributes.into()).map_err(ApiError::body)?;
    let topology = api.head().topology.clone();
    let unplugged = || ApiError::argument("from", "lives on no host: it cannot send anything");
    topology.host_of_interface(&from).ok_or_else(unplugged)?;
    let nothing = Connections::default();
    let walk = walk(&topology, &from, &packet, &nothing);
    let there = Sent { from: &from, packet: &packet, walk: &walk, known: &nothing };
    let mut live = look(&api, &topology, there).await;
    if reply && let Some((from, Prepared::Packet(packet))) = answered(&topology, &walk)? {
        let known = &walk.connections;
        let walk = self::walk(&topology, &from, &packet, known);
        let back = Sent { from: &from, packet: &packet, walk: &walk, known };
        live.reply = Some(Box::new(look(&api, &topology, back).await));
    }
    Ok(Reply::new(topology.revision(), &live))
}

/// Asks the hosts on the way of a packet, one after the other.
async fn look(api: &Api, topology: &Topology, sent: Sent<'_>) -> LiveView {
    let ask = |host: DatapathId, query: TraceQuery| {
        let line = api.lines.to(&host);
        async move { Ok(line.ok_or(Silence::Away)?.trace(query).await?) }
    };
    let heard = follow(topology, sent, ask).await;
    let difference = compare(sent, &heard);
    view(topology, heard, difference.as_ref())
}

fn view(topology: &Topology, heard: Vec<Heard>, difference: Option<&Difference>) -> LiveView {
    let (agrees, verdict) = verdict(topology, &heard, difference);
    let hosts = heard.into_iter().map(|heard| host(topology, heard, difference)).collect();
    LiveView { agrees, verdict, hosts, reply: None }
}

fn verdict(topology: &Topology, heard: &[Heard], difference: Option<&Difference>) -> (Option<bool>, String) {
    if let Some(Difference { host, step, what }) = difference {
        let traced =
            heard.iter().find(|heard| heard.host == *host).and_then(|heard| heard.traced.as_ref().ok());
        let at = traced.zip(*step).and_then(|(traced, step)| traced.steps.get(step));
        let at = at.map_or_else(String::new, |step| format!(", at table {}{}", step.table, of_owner(step)));
        return (
            Some(false),
            format!("the switch of {} differs from the topology{at}: {what}", name(topology, host)),
        );
    }
    let silent = heard.iter().find_map(|heard| Some((&heard.host, heard.traced.as_ref().err()?)));
    match silent {
        Some((host, silence)) => (None, format!("{} cannot be asked: {silence}", name(topology, host))),
        None => (Some(true), "the switches do what the topology says".to_owned()),
    }
}

/// Whose the flow is that a packet has met.
fn of_owner(step: &TraceStep) -> String {
    match &step.owner {
        None => " (no flow takes it)".to_owned(),
        Some(owner) if owner.objects.is_empty() => format!(" ({})", owner.what),
        Some(owner) => format!(" ({} {})", owner.what, owner.objects.join("+")),
    }
}

fn host(topology: &Topology, Heard { host, traced }: Heard, difference: Option<&Difference>) -> LiveHostView {
    let node_id = topology.datapaths().get(&host).map(|of| of.node_id.clone());
    let silence = traced.as_ref().err().map(ToString::to_string);
    let Traced { steps, outputs } = traced.unwrap_or_default();
    let marked = difference.filter(|of| of.host == host).and_then(|of| of.step);
    let step = |(place, step)| LiveStepView { step, differs: marked == Some(place) };
    LiveHostView {
        datapath_uuid: host,
        node_id,
        silence,
        steps: steps.into_iter().enumerate().map(step).collect(),
        outputs,
    }
}

fn name(topology: &Topology, host: &DatapathId) -> String {
    topology.datapaths().get(host).map_or_else(|| host.to_string(), |of| of.node_id.to_string())
}
