//! Limits: what a guest may cost its host.
//!
//! # What costs
//! A packet that flows forward is the datapath's work. Two kinds are `ovs-vswitchd`'s, every one of them: those handed
//! to the agent, and those answered by rewriting (ARP, neighbour discovery, echo), since a datapath cannot write the
//! fields that make a question its answer. Both are *questions*, and every port has one meter for all of its own.
//!
//! # Before it costs
//! A meter holds where the datapath meets it, and the datapath executes nothing of a flow that it hands up: a meter
//! beside the rewriting is skipped. So a question is metered in one pass, and looked up again for its answer in the next
//! (*recirculation*). The first pass is a flow of the datapath that depends on nothing a guest could vary from packet to
//! packet, which is why it comes before the address asked for is looked at: a scan costs no more than a repetition.
//! - `limited` recirculates by a select group that hashes in the datapath (ovs-ofctl(8), `dp_hash`). Such a group does
//!   it once in a packet's life, so it is for the beginning of the pipeline.
//! - `limited_in` recirculates by connection tracking, of which nothing is kept; for IP packets that may have met
//!   another such group before.
//! - What goes to the agent needs no second pass: the datapath itself sends it up, by an action after the meters.
//!
//! A flow has one meter and has it first (`ofpacts_verify` of Open vSwitch); hence tables that only meter.
//!
//! # Rates
//! What an interface sends is metered by the flow that admits it, before anything else; what it receives where it leaves
//! for the port. Meters drop, and do not delay: TCP finds its rate.
//!
//! # Whose question
//! It is the source interface's ([`SOURCE_INTERFACE`]), which a packet keeps on its way through routers. Whatever is no
//! local interface's, as from a tunnel, shares [`OTHERS_METER`].

use openflow::{
    Action, Band, BandKind, Bucket, BucketId, Ct, Flow, Group, GroupType, Instructions, Match, Meter,
    MeterId, MeterUnit, OfPort, Selection, TableId,
};
use topology::interface::{Interface, Kbps, Limits};

use crate::base::flow;
use crate::cookie::Purpose;
use crate::layout::*;

/// Rate of a meter that only counts, in packets per second: a switch computes with thousandths of it in 32 bits.
const UNLIMITED: u32 = u32::MAX / 1000;

/// What may come at once is what a rate allows in this part of a second: about the round trip of a long path, on which
/// TCP needs it (RFC 7567, section 2).
const BURSTS_PER_SECOND: u32 = 10;

/// Least burst, in kilobits: two segments of the largest size that a guest leaves to its NIC to cut.
const MIN_BURST_KBIT: u32 = 1_000;

/// Largest burst, in kilobits: a switch computes with bits of it in 32 bits.
const MAX_BURST_KBIT: u32 = 4_000_000;

/// How the group is told to hash in the datapath.
const DP_HASH: &str = "dp_hash";

/// Flows of all limits.
pub(crate) fn base() -> Vec<Flow> {
    let meter = |table, meter| flow(table, 0, Match::new(), Instructions::apply([Action::Meter(meter)]));
    vec![meter(QUESTION, OTHERS_METER), meter(AGENT, AGENT_METER)]
}

/// The group that has a packet looked up again.
pub(crate) fn groups() -> Vec<Group> {
    let selection = Selection { method: DP_HASH.to_owned(), parameter: 0, fields: Vec::new() };
    let bucket = Bucket { weight: 1, ..Bucket::new(BucketId(0), Vec::new()) };
    vec![Group {
        id: RECIRCULATE,
        kind: GroupType::Select,
        selection: Some(selection),
        buckets: vec![bucket],
    }]
}

/// Meters that are no port's.
pub(crate) fn meters() -> Vec<Meter> {
    vec![
        packets(AGENT_METER, AGENT_PACKETS_PER_SECOND, AGENT_PACKETS_PER_SECOND),
        packets(TOO_BIG_METER, UNLIMITED, UNLIMITED),
        packets(OTHERS_METER, OTHERS_QUESTIONS_PER_SECOND, PORT_QUESTIONS_AT_ONCE),
        packets(LOG_METER, LOGGED_PER_SECOND, LOGGED_PER_SECOND),
    ]
}

/// Flows of a local interface.
pub(crate) fn of_port(interface: &Interface, port: OfPort) -> Vec<Flow> {
    let meter = Instructions::apply([Action::Meter(PortMeter::Questions.of(port))]);
    vec![Flow::new(QUESTION, 100, Match::new().reg(SOURCE_INTERFACE, interface.key.0), meter)]
}

/// Meters of a local interface.
pub(crate) fn meters_of_port(interface: &Interface, port: OfPort) -> Vec<Meter> {
    let Limits { max_egress_kbps, max_ingress_kbps, .. } = interface.limits;
    let rates = [(PortMeter::Egress, max_egress_kbps), (PortMeter::Ingress, max_ingress_kbps)];
    let rates = rates.into_iter().filter_map(|(meter, rate)| Some(kilobits(meter.of(port), rate?)));
    let questions = packets(PortMeter::Questions.of(port), PORT_QUESTIONS_PER_SECOND, PORT_QUESTIONS_AT_ONCE);
    [questions].into_iter().chain(rates).collect()
}

/// What begins the flows that admit what a local interface sends.
pub(crate) fn egress(interface: &Interface, port: OfPort) -> Option<Action> {
    interface.limits.max_egress_kbps.map(|_| Action::Meter(PortMeter::Egress.of(port)))
}

/// Sends a packet to a local interface. On a copy: what its meter drops may be for others of the domain, too.
pub(crate) fn output(interface: &Interface, port: OfPort) -> Action {
    let output = Action::output(port);
    match interface.limits.max_ingress_kbps {
        Some(_) => Action::Clone(vec![Action::Meter(PortMeter::Ingress.of(port)), output]),
        None => output,
    }
}

/// What a meter drops, and why; or, for [`TOO_BIG_METER`], what it counts. `None` if it is none of ours.
pub fn purpose(meter: MeterId) -> Option<Purpose> {
    match meter {
        AGENT_METER => Some(Purpose::AgentLimit),
        TOO_BIG_METER => Some(Purpose::TooBig),
        OTHERS_METER => Some(Purpose::TooManyQuestions),
        _ => PortMeter::of_meter(meter).map(|of_port| match of_port {
            PortMeter::Questions => Purpose::TooManyQuestions,
            PortMeter::Egress => Purpose::EgressRate,
            PortMeter::Ingress => Purpose::IngressRate,
        }),
    }
}

/// Looks the packet up again, unless its port asks too much. To be followed by what depends on the question.
pub(crate) fn limited() -> [Action; 2] {
    [Action::resubmit(QUESTION), Action::Group(RECIRCULATE)]
}

/// The same, to go on in a table.
pub(crate) fn limited_in(table: TableId) -> [Action; 2] {
    [Action::resubmit(QUESTION), Action::Ct(Box::new(Ct { table: Some(table), ..Ct::default() }))]
}

/// A meter of packets per second, of which so many may come at once.
fn packets(id: MeterId, rate: u32, burst: u32) -> Meter {
    let band = Band { kind: BandKind::Drop, rate, burst };
    Meter { id, unit: MeterUnit::Pktps, stats: true, burst: true, bands: vec![band] }
}

/// A meter of kilobits per second.
fn kilobits(id: MeterId, rate: Kbps) -> Meter {
    let rate = rate.get();
    let burst = (rate / BURSTS_PER_SECOND).clamp(MIN_BURST_KBIT, MAX_BURST_KBIT);
    let band = Band { kind: BandKind::Drop, rate, burst };
    Meter { id, unit: MeterUnit::Kbps, stats: true, burst: true, bands: vec![band] }
}
