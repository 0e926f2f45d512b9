//! What a manager may ask an agent about its switch, and what it is told.
//!
//! Topology flows one way and is never asked for. What a switch really does is known to the switch alone, changes with every
//! packet, and is wanted now and then by somebody who looks for a fault: so it is asked for, and kept nowhere.
//!
//! # Versions may mix
//! An agent names the questions that it answers when it says hello ([`KINDS`]), and is asked no others: one that is older
//! would take an unknown message for the end of its stream. Fields that either end does not know are passed over.
//!
//! # The agent explains
//! Flows are words of the agent's, made where the compiler is. The manager hands them on and never reads one.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use topology::walk::{Connections, Packet};
use topology::{DatapathId, InterfaceId};

/// The kinds of [`Question`], by the names that agents say hello with.
pub const KINDS: [&str; 3] = [Question::FLOWS, Question::TRACE, Question::PEERS];

/// Most items of one answer: as many as a page of the Web API has.
pub const MAX_ITEMS: usize = 10_000;

/// Largest answer, in bytes: the most items, each with the 1.6 KiB that a long flow takes in words.
pub const MAX_ANSWER: usize = 16 << 20;

/// What a manager asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Question {
    /// Which flows are there?
    Flows(FlowQuery),
    /// What would become of a packet?
    Trace(TraceQuery),
    /// How much has gone to each other host, and come from it?
    Peers,
}

impl Question {
    const FLOWS: &str = "flows";
    /// An agent that does not know connections by name would trace another packet, and knows a `trace` that is not this one.
    const TRACE: &str = "trace_known";
    const PEERS: &str = "peers";

    /// Its name among [`KINDS`].
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Flows(_) => Self::FLOWS,
            Self::Trace(_) => Self::TRACE,
            Self::Peers => Self::PEERS,
        }
    }
}

/// Which flows to tell of.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct FlowQuery {
    /// Only those of this object: its id, as in `if-a`.
    pub owner: Option<String>,
    /// Only those of this table, by its name or number.
    pub table: Option<String>,
    /// How many to pass over.
    pub offset: usize,
    /// How many to tell of, at most [`MAX_ITEMS`].
    pub limit: usize,
}

/// Some of the flows of a switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FlowPage {
    /// How many flows are as wanted.
    pub total: usize,
    /// Those on the page, by table, highest priority first.
    pub flows: Vec<FlowRow>,
}

/// A flow, explained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FlowRow {
    /// The name of its table.
    #[schema(example = "destination")]
    pub table: String,
    /// The number of its table.
    pub table_number: u8,
    /// Higher wins.
    pub priority: u16,
    /// Whose it is.
    pub owner: FlowOwner,
    /// What it applies to, in words.
    #[schema(example = "in nw-a, eth_dst=02:00:00:00:00:01")]
    pub applies_to: String,
    /// What it does, in words.
    #[schema(example = "to if-b, then peer")]
    pub does: String,
    /// Packets it has had; absent if the switch does not count them.
    pub packets: Option<u64>,
    /// Their bytes.
    pub bytes: Option<u64>,
    /// How long it has been there, in seconds.
    pub age_s: Option<u64>,
    /// The same as `ovs-ofctl(8)` writes it.
    pub flow: String,
}

/// Whose a flow is, and what it is there for.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
pub struct FlowOwner {
    /// The ids of the objects it is there for; none if it is there whatever the topology is.
    #[schema(example = json!(["if-a"]))]
    pub objects: Vec<String>,
    /// What it does for them, in words.
    #[schema(example = "interface if-a")]
    pub what: String,
}

/// What has passed between the host that is asked and another one, as the flows of that peer have counted. They count from when
/// they were made, which is anew when either host's underlay changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerRow {
    /// The other host.
    pub host: DatapathId,
    /// What was sent to it.
    pub sent: Traffic,
    /// What came from it.
    pub received: Traffic,
}

/// A number of packets, and what they take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// How many.
    pub packets: u64,
    /// Their bytes, without what tunnels add.
    pub bytes: u64,
}

/// Which packet to trace.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceQuery {
    /// Where it comes in.
    pub start: TraceStart,
    /// The connections that the host's trackers are taken to know: what is of none of them begins one.
    #[serde(default)]
    pub known: Connections,
}

/// Where a traced packet comes in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TraceStart {
    /// By the port of an interface that lives on the host.
    Interface {
        /// The interface.
        interface: InterfaceId,
        /// What it sends.
        frame: Packet,
    },
    /// By a tunnel from another host.
    Tunnel {
        /// The other host.
        from: DatapathId,
        /// What that host has been found to send: see [`TraceOutput::Tunnel`].
        fields: String,
    },
}

/// What a switch would do with a packet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Traced {
    /// The flows that it meets, in their order.
    pub steps: Vec<TraceStep>,
    /// Where it goes out.
    pub outputs: Vec<TraceOutput>,
}

/// A flow that a traced packet meets, or a table where it meets none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct TraceStep {
    /// The name of the table.
    pub table: String,
    /// Its priority; absent where no flow took the packet.
    pub priority: Option<u16>,
    /// Whose it is; absent where no flow took the packet.
    pub owner: Option<FlowOwner>,
    /// What it applies to, as the switch says.
    pub applies_to: String,
    /// What it did, as the switch says.
    pub did: Vec<String>,
    /// The other end of the tunnel, if it has chosen one. Older agents do not tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub tunnel_to: Option<IpAddr>,
}

/// Where a traced packet goes out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TraceOutput {
    /// By the port of this name, which is this interface's.
    Port {
        /// The port.
        name: String,
        /// The interface, if it is one's.
        interface: Option<InterfaceId>,
    },
    /// By a tunnel.
    Tunnel {
        /// The host that has the address; absent if none has.
        host: Option<DatapathId>,
        /// The packet as the other end gets it, as `ovs-ofctl(8)` writes it: what a [`TraceStart`] there takes.
        fields: String,
        /// The address of the other end. Older agents do not tell.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        #[schema(value_type = Option<String>)]
        address: Option<IpAddr>,
    },
    /// To the agent, which answers it.
    Agent,
}

/// Why an agent does not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It cannot now: the switch or something else is away.
    #[error("{0}")]
    Unavailable(String),
    /// The question makes no sense on this host.
    #[error("{0}")]
    Invalid(String),
}

/// An answer in the kind of its question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Question::Flows`].
    Flows(FlowPage),
    /// To [`Question::Trace`].
    Trace(Traced),
    /// To [`Question::Peers`].
    Peers(Vec<PeerRow>),
}

/// One item of the answer to a trace.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TraceItem {
    Step(TraceStep),
    Output(TraceOutput),
}

/// An answer as it travels: items, and how many there are in all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Items {
    pub(crate) total: u64,
    pub(crate) items: Vec<Vec<u8>>,
}

impl Answer {
    /// As it travels.
    pub(crate) fn into_items(self) -> Items {
        let (total, items) = match self {
            Self::Flows(page) => (page.total, page.flows.iter().map(encode).collect()),
            Self::Trace(Traced { steps, outputs }) => {
                let steps = steps.into_iter().map(TraceItem::Step);
                let items = steps.chain(outputs.into_iter().map(TraceItem::Output));
                let items: Vec<_> = items.map(|item| encode(&item)).collect();
                (items.len(), items)
            }
            Self::Peers(peers) => (peers.len(), peers.iter().map(encode).collect()),
        };
        Items { total: u64::try_from(total).unwrap_or(u64::MAX), items }
    }
}

fn encode(item: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(item).expect("items have only texts and numbers")
}

impl Items {
    /// The answer to [`Question::Flows`].
    pub(crate) fn flows(&self) -> Result<FlowPage, serde_json::Error> {
        let flows = self.decode()?;
        Ok(FlowPage { total: usize::try_from(self.total).unwrap_or(usize::MAX), flows })
    }

    /// The answer to [`Question::Trace`].
    pub(crate) fn traced(&self) -> Result<Traced, serde_json::Error> {
        let mut traced = Traced::default();
        for item in self.decode()? {
            match item {
                TraceItem::Step(step) => traced.steps.push(step),
                TraceItem::Output(output) => traced.outputs.push(output),
            }
        }
        Ok(traced)
    }

    /// The answer to [`Question::Peers`].
    pub(crate) fn peers(&self) -> Result<Vec<PeerRow>, serde_json::Error> {
        self.decode()
    }

    fn decode<'a, T: Deserialize<'a>>(&'a self) -> Result<Vec<T>, serde_json::Error> {
        self.items.iter().map(|item| serde_json::from_slice(item)).collect()
    }
}
