//! Traces: what becomes of one packet, step by step, and what would let it pass.
//!
//! The packet is made by [`topology::reach`], and walked by [`topology::walk`]. What is added here are the words.

use std::net::IpAddr;

use axum::extract::{Request, State};
use serde::{Deserialize, Serialize};
use topology::reach::{self, Arrival, Prepared, Probe, Target};
use topology::walk::{Connections, Decision, Outcome, Packet, Walk, walk};
use topology::{DatapathId, InterfaceId, NodeId, ObjectRef, Topology};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::Api;
use super::error::ErrorBody;
use super::look::Look;
use super::question::{Question, ask};
use super::reply::Result;
use super::words;

/// A packet, and what to find out about it.
#[derive(Debug, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TraceSpec {
    /// The interface that sends it.
    from: InterfaceId,
    /// Whom it is for: an interface, by one of its addresses, or an address.
    #[schema(example = "if-db1")]
    to: String,
    /// What is sent; an echo request if absent.
    #[serde(default)]
    packet: Probe,
    /// Whether the receiver's answer is followed, too.
    #[serde(default)]
    reply: bool,
    /// What is assumed to be done before: operations as of a batch.
    #[serde(default)]
    pub(super) operations: Vec<topology::Request>,
}

/// What becomes of a packet.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct TraceView {
    /// The interface that sends it.
    pub from: InterfaceId,
    /// Whom it is for.
    pub to: String,
    /// Whether it gets there.
    pub arrives: Arrival,
    /// The same in words.
    pub verdict: String,
    /// What would let it pass, if it does not get there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The packet as it is sent; absent if nothing can be sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub packet: Option<Packet>,
    /// The same in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sends: Option<String>,
    /// What happens to it, in order.
    pub steps: Vec<StepView>,
    /// What becomes of it.
    pub outcomes: Vec<OutcomeView>,
    /// What becomes of the receiver's answer, if that was asked for and there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(no_recursion)]
    pub reply: Option<Box<TraceView>>,
}

/// Something that happens to a packet.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct StepView {
    /// Where.
    pub host: DatapathId,
    /// The name of the host's agent.
    pub node_id: Option<NodeId>,
    /// The object that decides.
    #[schema(value_type = String, example = "filters/fil-web")]
    pub object: ObjectRef,
    /// What it does, in words.
    pub does: String,
    /// The same for programs.
    pub decision: Decision,
    /// The packet thereafter, in words.
    pub packet: String,
}

/// What becomes of a packet, or of one of its copies.
#[derive(Debug, Serialize, utoipa::ToSchema)]
pub struct OutcomeView {
    /// In words.
    pub text: String,
    /// The same for programs.
    pub outcome: Outcome,
}

/// The route.
pub fn routes() -> OpenApiRouter<Api> {
    OpenApiRouter::new().routes(routes!(trace))
}

/// Says what becomes of a packet
#[utoipa::path(post, path = "/trace", operation_id = "trace_packet", tag = "questions", request_body = TraceSpec,
    responses((status = 200, body = TraceView), (status = "default", body = ErrorBody)))]
async fn trace(State(api): State<Api>, request: Request) -> Result {
    ask::<TraceSpec>(&api, request).await
}

impl Question for TraceSpec {
    type Answer = TraceView;

    fn answer(self, look: &Look<'_>) -> Result<TraceView> {
        let topology = look.topology;
        let target: Target = self.to.parse()?;
        let prepared = self.packet.prepare(topology, &self.from, &target)?;
        let expected = match &target {
            Target::Interface(id) => Some(id.clone()),
            Target::Address(_) => None,
        };
        let trip = Trip { from: self.from, to: self.to, expected };
        let (mut there, walked) = trip.walk(topology, prepared, &Connections::default());
        if self.reply
            && let Some(walked) = walked
        {
            there.reply = way_back(topology, &trip.from, &walked)?.map(Box::new);
        }
        Ok(there)
    }
}

/// From whom to whom.
pub(super) struct Trip {
    pub(super) from: InterfaceId,
    pub(super) to: String,
    /// Who should get the packet, if that is one.
    pub(super) expected: Option<InterfaceId>,
}

impl Trip {
    /// Walks what is sent, and says what becomes of it.
    pub(super) fn walk(
        &self,
        topology: &Topology,
        prepared: Prepared,
        connections: &Connections,
    ) -> (TraceView, Option<Walk>) {
        match prepared {
            Prepared::Packet(packet) => {
                let walked = walk(topology, &self.from, &packet, connections);
                (self.view(topology, packet, &walked), Some(walked))
            }
            Prepared::Question(packet, address) => {
                let walked = walk(topology, &self.from, &packet, connections);
                (self.unresolved(topology, packet, address, &walked), None)
            }
            Prepared::Unsent { reason, remedy } => (self.unsent(reason, remedy), None),
        }
    }

    /// What a walk says.
    pub(super) fn view(&self, topology: &Topology, packet: Packet, walked: &Walk) -> TraceView {
        let arrives = Arrival::of(walked, self.expected.as_ref());
        let remedy = walked.outcomes.iter().rev().find_map(words::remedy);
        TraceView {
            from: self.from.clone(),
            to: self.to.clone(),
            arrives,
            verdict: words::verdict(topology, walked, arrives, &self.to),
            remedy: remedy.filter(|_| arrives != Arrival::Always).map(str::to_owned),
            sends: Some(words::packet(&packet)),
            packet: Some(packet),
            steps: walked.steps.iter().map(|step| step_view(topology, step)).collect(),
            outcomes: walked.outcomes.iter().map(|of| outcome_view(topology, of)).collect(),
            reply: None,
        }
    }

    /// The sender asks who has an address, and nobody has.
    fn unresolved(&self, topology: &Topology, packet: Packet, address: IpAddr, walked: &Walk) -> TraceView {
        let view = self.view(topology, packet, walked);
        let remedy = || format!("lease {address} to an interface of the sender's network");
        TraceView {
            arrives: Arrival::Never,
            verdict: format!("not sent: {} asks who has {address}, and nobody answers", self.from),
            remedy: Some(view.remedy.clone().unwrap_or_else(remedy)),
            ..view
        }
    }

    fn unsent(&self, reason: String, remedy: String) -> TraceView {
        TraceView {
            from: self.from.clone(),
            to: self.to.clone(),
            arrives: Arrival::Never,
            verdict: format!("not sent: {reason}"),
            remedy: Some(remedy),
            packet: None,
            sends: None,
            steps: Vec::new(),
            outcomes: Vec::new(),
            reply: None,
        }
    }
}

/// The way back of the answer to what was delivered. What the network itself answers has none of its own.
fn way_back(topology: &Topology, to: &InterfaceId, walked: &Walk) -> Result<Option<TraceView>> {
    let Some((receiver, prepared)) = answered(topology, walked)? else { return Ok(None) };
    let trip = Trip { from: receiver, to: to.to_string(), expected: Some(to.clone()) };
    Ok(Some(trip.walk(topology, prepared, &walked.connections).0))
}

/// Who has received a packet, and what that sends back.
pub(super) fn answered(topology: &Topology, walked: &Walk) -> Result<Option<(InterfaceId, Prepared)>> {
    let delivered = words::flat(&walked.outcomes).find_map(|outcome| match outcome {
        Outcome::Delivered { interface, packet, .. } => Some((interface, packet)),
        _ => None,
    });
    let Some((receiver, packet)) = delivered else { return Ok(None) };
    let prepared = reach::answer(topology, receiver, packet)?;
    Ok(prepared.map(|prepared| (receiver.clone(), prepared)))
}

fn step_view(topology: &Topology, step: &topology::walk::Step) -> StepView {
    StepView {
        host: step.host.clone(),
        node_id: topology.datapaths().get(&step.host).map(|host| host.node_id.clone()),
        object: step.object.clone(),
        does: words::decision(topology, &step.object, &step.what),
        decision: step.what.clone(),
        packet: words::packet(&step.packet),
    }
}

fn outcome_view(topology: &Topology, outcome: &Outcome) -> OutcomeView {
    OutcomeView { text: words::outcome(topology, outcome), outcome: outcome.clone() }
}
