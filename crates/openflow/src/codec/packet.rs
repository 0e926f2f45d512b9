//! Packet-in, packet-out and flow-removed.

use super::action::{read_actions, write_actions};
use super::extension::{read_reason, reason_number};
use super::{DecodeError, Reader, Writer, oxm, stats};
use crate::packet::{FlowRemoved, FlowRemovedReason, PacketIn, PacketOut};
use crate::{Cookie, TableId};

/// No packet is kept in the switch.
const NO_BUFFER: u32 = 0xffff_ffff;

// Properties of a packet-in (`NXPINT_…`).
const PACKET: u16 = 0;
const FULL_LENGTH: u16 = 1;
const BUFFER: u16 = 2;
const TABLE: u16 = 3;
const COOKIE: u16 = 4;
const REASON: u16 = 5;
const METADATA: u16 = 6;
const USERDATA: u16 = 7;
const CONTINUATION: u16 = 8;
/// Open vSwitch asks a reader to skip what it does not know from here on, and to refuse it below.
const OPTIONAL: u16 = 0x8000;

/// `NXT_PACKET_IN2`.
pub(crate) fn read_packet_in2(mut reader: Reader<'_>) -> Result<PacketIn, DecodeError> {
    let mut found = PacketIn::default();
    while !reader.is_empty() {
        let (kind, mut value) = reader.property("packet-in property")?;
        match kind {
            PACKET => found.packet = value.rest().to_vec(),
            FULL_LENGTH => found.full_length = Some(value.u32()?),
            BUFFER => found.buffer = Some(value.u32()?),
            TABLE => found.table = Some(TableId(value.u8()?)),
            COOKIE => {
                value.zeros(4)?;
                found.cookie = Some(Cookie(value.u64()?));
            }
            REASON => found.reason = read_reason(value.u8()?),
            METADATA => found.metadata = oxm::read_fields(Reader::new("metadata", value.rest()))?,
            USERDATA => found.userdata = value.rest().to_vec(),
            CONTINUATION => found.continuation = value.rest().to_vec(),
            other if other >= OPTIONAL => {
                value.rest();
            }
            other => return value.undefined(other),
        }
        value.only_zeros()?;
    }
    Ok(found)
}

pub(crate) fn write_packet_in2(writer: &mut Writer, packet: &PacketIn) {
    property(writer, PACKET, |writer| writer.bytes(&packet.packet));
    if let Some(length) = packet.full_length {
        property(writer, FULL_LENGTH, |writer| writer.u32(length));
    }
    if let Some(buffer) = packet.buffer {
        property(writer, BUFFER, |writer| writer.u32(buffer));
    }
    if let Some(table) = packet.table {
        property(writer, TABLE, |writer| writer.u32(u32::from(table.0) << 24));
    }
    if let Some(cookie) = packet.cookie {
        property(writer, COOKIE, |writer| {
            writer.zeros(4);
            writer.u64(cookie.0);
        });
    }
    property(writer, REASON, |writer| writer.u32(u32::from(reason_number(packet.reason)) << 24));
    property(writer, METADATA, |writer| oxm::write_fields(writer, &packet.metadata));
    if !packet.userdata.is_empty() {
        property(writer, USERDATA, |writer| writer.bytes(&packet.userdata));
    }
    if !packet.continuation.is_empty() {
        property(writer, CONTINUATION, |writer| writer.bytes(&packet.continuation));
    }
}

fn property(writer: &mut Writer, kind: u16, value: impl FnOnce(&mut Writer)) {
    let mark = writer.begin_tlv("packet-in property", kind);
    value(writer);
    writer.end_property(mark);
}

/// The standard packet-in, which a switch sends until it is told to use the other (OpenFlow 1.5.1, section 7.4.1).
pub(crate) fn read_packet_in(mut reader: Reader<'_>) -> Result<PacketIn, DecodeError> {
    let (buffer, total) = (reader.u32()?, reader.u16()?);
    let reason = read_reason(reader.u8()?);
    let (table, cookie) = (TableId(reader.u8()?), Cookie(reader.u64()?));
    let metadata = oxm::read_match(&mut reader)?;
    reader.zeros(2)?;
    let packet = reader.rest().to_vec();
    Ok(PacketIn {
        full_length: (usize::from(total) != packet.len()).then_some(u32::from(total)),
        buffer: (buffer != NO_BUFFER).then_some(buffer),
        table: Some(table),
        cookie: Some(cookie),
        reason,
        metadata,
        packet,
        ..PacketIn::default()
    })
}

pub(crate) fn read_packet_out(mut reader: Reader<'_>) -> Result<PacketOut, DecodeError> {
    let buffer = reader.u32()?;
    if buffer != NO_BUFFER {
        return reader.undefined(buffer);
    }
    let length = usize::from(reader.u16()?);
    reader.zeros(2)?;
    let metadata = oxm::read_match(&mut reader)?;
    let actions = read_actions(reader.sub("actions", length)?)?;
    Ok(PacketOut { metadata, actions, packet: reader.rest().to_vec() })
}

pub(crate) fn write_packet_out(writer: &mut Writer, packet: &PacketOut) {
    writer.u32(NO_BUFFER);
    let hole = writer.hole("actions");
    writer.zeros(2);
    oxm::write_match(writer, &packet.metadata);
    let actions = writer.count_from_here(hole);
    write_actions(writer, &packet.actions);
    writer.end(actions);
    writer.bytes(&packet.packet);
}

pub(crate) fn read_flow_removed(mut reader: Reader<'_>) -> Result<FlowRemoved, DecodeError> {
    let (table, reason, priority) = (TableId(reader.u8()?), reader.u8()?, reader.u16()?);
    let reason = match reason {
        0 => FlowRemovedReason::IdleTimeout,
        1 => FlowRemovedReason::HardTimeout,
        2 => FlowRemovedReason::Delete,
        3 => FlowRemovedReason::GroupDelete,
        4 => FlowRemovedReason::MeterDelete,
        5 => FlowRemovedReason::Eviction,
        other => return reader.undefined(other),
    };
    let (idle_timeout, hard_timeout, cookie) = (reader.u16()?, reader.u16()?, Cookie(reader.u64()?));
    let matching = oxm::read_match(&mut reader)?;
    let counters = stats::read_counters(&mut reader)?;
    reader.finish()?;
    Ok(FlowRemoved { table, reason, priority, idle_timeout, hard_timeout, cookie, matching, counters })
}

pub(crate) fn write_flow_removed(writer: &mut Writer, removed: &FlowRemoved) {
    writer.u8(removed.table.0);
    writer.u8(match removed.reason {
        FlowRemovedReason::IdleTimeout => 0,
        FlowRemovedReason::HardTimeout => 1,
        FlowRemovedReason::Delete => 2,
        FlowRemovedReason::GroupDelete => 3,
        FlowRemovedReason::MeterDelete => 4,
        FlowRemovedReason::Eviction => 5,
    });
    writer.u16(removed.priority);
    writer.u16(removed.idle_timeout);
    writer.u16(removed.hard_timeout);
    writer.u64(removed.cookie.0);
    oxm::write_match(writer, &removed.matching);
    stats::write_counters(writer, &removed.counters);
}
