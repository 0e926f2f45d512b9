//! What a switch can be asked: multipart requests and their replies (OpenFlow 1.5.1, section 7.3.5).

use std::time::Duration;

use crate::command::FlowSelection;
use crate::port::{PortDesc, PortStats};
use crate::{Flow, FlowMonitor, FlowUpdate, Group, GroupId, Meter, MeterId, OfPort, TableId};

/// A question.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MultipartRequest {
    /// Who the switch is.
    Desc,
    /// Flows with their counters.
    Flows(FlowSelection),
    /// Counters of flows, added up.
    Aggregate(FlowSelection),
    /// Counters of tables.
    Tables,
    /// Counters of a port, [`OfPort::ANY`] for all.
    PortStats(OfPort),
    /// Counters of a group, [`GroupId::ALL`] for all.
    GroupStats(GroupId),
    /// A group, [`GroupId::ALL`] for all.
    Groups(GroupId),
    /// What groups the switch can have.
    GroupFeatures,
    /// Counters of a meter, [`MeterId::ALL`] for all.
    MeterStats(MeterId),
    /// A meter, [`MeterId::ALL`] for all.
    Meters(MeterId),
    /// What meters the switch can have.
    MeterFeatures,
    /// A port, [`OfPort::ANY`] for all.
    Ports(OfPort),
    /// Begins, changes or ends a flow monitor.
    FlowMonitor(FlowMonitor),
    /// A kind that this library does not know.
    Other {
        /// Its number.
        kind: u16,
        /// Its body.
        body: Vec<u8>,
    },
}

/// One part of an answer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MultipartReply {
    /// Who the switch is.
    Desc(SwitchDesc),
    /// Flows with their counters.
    Flows(Vec<FlowEntry>),
    /// Counters of flows, added up.
    Aggregate(FlowCounters),
    /// Counters of tables.
    Tables(Vec<TableStats>),
    /// Counters of ports.
    PortStats(Vec<PortStats>),
    /// Counters of groups.
    GroupStats(Vec<GroupStats>),
    /// Groups.
    Groups(Vec<Group>),
    /// What groups the switch can have.
    GroupFeatures(GroupFeatures),
    /// Counters of meters.
    MeterStats(Vec<MeterStats>),
    /// Meters.
    Meters(Vec<Meter>),
    /// What meters the switch can have.
    MeterFeatures(MeterFeatures),
    /// Ports.
    Ports(Vec<PortDesc>),
    /// What happened to monitored flows.
    FlowUpdates(Vec<FlowUpdate>),
    /// A kind that this library does not know.
    Other {
        /// Its number.
        kind: u16,
        /// Its body.
        body: Vec<u8>,
    },
}

/// Who the switch is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct SwitchDesc {
    /// Its maker.
    pub manufacturer: String,
    /// Its hardware.
    pub hardware: String,
    /// Its software: for Open vSwitch, the version.
    pub software: String,
    /// Its serial number.
    pub serial: String,
    /// What its operator calls it.
    pub datapath: String,
}

/// A flow, and what has become of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FlowEntry {
    /// The flow.
    pub flow: Flow,
    /// Its counters.
    pub counters: FlowCounters,
}

/// Counters of one or several flows; `None` is one that the switch does not keep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct FlowCounters {
    /// How long it has been there.
    pub duration: Option<Duration>,
    /// How long it has had no packet.
    pub idle: Option<Duration>,
    /// Number of flows.
    pub flows: Option<u32>,
    /// Packets.
    pub packets: Option<u64>,
    /// Bytes.
    pub bytes: Option<u64>,
}

/// Counters of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TableStats {
    /// The table.
    pub table: TableId,
    /// Flows in it.
    pub active: u32,
    /// Packets looked up.
    pub lookups: u64,
    /// Packets that matched.
    pub matches: u64,
}

/// Packets and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Counter {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// Counters of a group.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct GroupStats {
    /// The group.
    pub id: GroupId,
    /// Flows and groups that use it.
    pub references: u32,
    /// All its packets.
    pub total: Counter,
    /// How long it has been there.
    pub duration: Duration,
    /// Each bucket, in order.
    pub buckets: Vec<Counter>,
}

/// What groups the switch can have. Arrays are indexed by type: all, select, indirect, fast failover.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct GroupFeatures {
    /// Types, one bit each.
    pub types: u32,
    /// Capabilities (`OFPGFC_…`).
    pub capabilities: u32,
    /// Most groups.
    pub max_groups: [u32; 4],
    /// Actions, one bit each.
    pub actions: [u32; 4],
}

/// Counters of a meter.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MeterStats {
    /// The meter.
    pub id: MeterId,
    /// Flows that use it.
    pub flows: u32,
    /// What came into it.
    pub input: Counter,
    /// How long it has been there.
    pub duration: Duration,
    /// What each band struck, in order.
    pub bands: Vec<Counter>,
}

/// What meters the switch can have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MeterFeatures {
    /// Most meters.
    pub max_meters: u32,
    /// Band types, one bit each.
    pub band_types: u32,
    /// Capabilities: the flags of a meter.
    pub capabilities: u32,
    /// Most bands of a meter.
    pub max_bands: u8,
    /// Most colours.
    pub max_color: u8,
}
