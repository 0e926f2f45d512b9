//! Multipart messages: OpenFlow 1.5.1, section 7.3.5. What Open vSwitch answers, in the layouts it answers with.

use super::instruction::{read_instructions, write_instructions};
use super::port::{read_duration, write_duration};
use super::stats::{read_counters, write_counters};
use super::{ALIGNMENT, DecodeError, Reader, Writer, flow_mod, group, meter, monitor, oxm, port};
use crate::multipart::{
    Counter, FlowEntry, GroupFeatures, GroupStats, MeterFeatures, MeterStats, MultipartReply,
    MultipartRequest, SwitchDesc, TableStats,
};
use crate::{Cookie, Flow, FlowFlags, GroupId, MeterId, OfPort, TableId};

const DESC: u16 = 0;
const FLOWS: u16 = 1;
const AGGREGATE: u16 = 2;
const TABLES: u16 = 3;
const PORT_STATS: u16 = 4;
const GROUP_STATS: u16 = 6;
const GROUPS: u16 = 7;
const GROUP_FEATURES: u16 = 8;
const METER_STATS: u16 = 9;
const METERS: u16 = 10;
const METER_FEATURES: u16 = 11;
const PORTS: u16 = 13;
const FLOW_MONITOR: u16 = 16;

/// More parts follow.
const MORE: u16 = 1;
/// Bytes of each text of a description, and of its serial number.
const DESC_BYTES: usize = 256;
const SERIAL_BYTES: usize = 32;

pub(crate) fn read_request(mut reader: Reader<'_>) -> Result<MultipartRequest, DecodeError> {
    let (kind, flags) = (reader.u16()?, reader.u16()?);
    reader.zeros(4)?;
    // A question in parts is asked of table features alone, which this library leaves to `Other`.
    if flags != 0 && kind <= FLOW_MONITOR {
        return reader.undefined(flags);
    }
    let request = match kind {
        DESC => MultipartRequest::Desc,
        FLOWS => return flow_mod::read_selection(reader).map(MultipartRequest::Flows),
        AGGREGATE => return flow_mod::read_selection(reader).map(MultipartRequest::Aggregate),
        TABLES => MultipartRequest::Tables,
        PORT_STATS => MultipartRequest::PortStats(OfPort(selector(&mut reader)?)),
        GROUP_STATS => MultipartRequest::GroupStats(GroupId(selector(&mut reader)?)),
        GROUPS => MultipartRequest::Groups(GroupId(selector(&mut reader)?)),
        GROUP_FEATURES => MultipartRequest::GroupFeatures,
        METER_STATS => MultipartRequest::MeterStats(MeterId(selector(&mut reader)?)),
        METERS => MultipartRequest::Meters(MeterId(selector(&mut reader)?)),
        METER_FEATURES => MultipartRequest::MeterFeatures,
        PORTS => MultipartRequest::Ports(OfPort(selector(&mut reader)?)),
        FLOW_MONITOR => return monitor::read_request(reader).map(MultipartRequest::FlowMonitor),
        kind => return Ok(MultipartRequest::Other { kind, body: reader.rest().to_vec() }),
    };
    reader.finish()?;
    Ok(request)
}

/// The number of the one thing asked about.
fn selector(reader: &mut Reader<'_>) -> Result<u32, DecodeError> {
    let number = reader.u32()?;
    reader.zeros(4)?;
    Ok(number)
}

pub(crate) fn write_request(writer: &mut Writer, request: &MultipartRequest) {
    let mut header = |kind: u16| {
        writer.u16(kind);
        writer.zeros(6);
    };
    let number = match request {
        MultipartRequest::Desc => return header(DESC),
        MultipartRequest::Tables => return header(TABLES),
        MultipartRequest::GroupFeatures => return header(GROUP_FEATURES),
        MultipartRequest::MeterFeatures => return header(METER_FEATURES),
        MultipartRequest::Flows(selection) => {
            header(FLOWS);
            return flow_mod::write_selection(writer, selection);
        }
        MultipartRequest::Aggregate(selection) => {
            header(AGGREGATE);
            return flow_mod::write_selection(writer, selection);
        }
        MultipartRequest::FlowMonitor(monitor) => {
            header(FLOW_MONITOR);
            return monitor::write_request(writer, monitor);
        }
        MultipartRequest::Other { kind, body } => {
            header(*kind);
            return writer.bytes(body);
        }
        MultipartRequest::PortStats(port) => (header(PORT_STATS), port.0).1,
        MultipartRequest::GroupStats(group) => (header(GROUP_STATS), group.0).1,
        MultipartRequest::Groups(group) => (header(GROUPS), group.0).1,
        MultipartRequest::MeterStats(meter) => (header(METER_STATS), meter.0).1,
        MultipartRequest::Meters(meter) => (header(METERS), meter.0).1,
        MultipartRequest::Ports(port) => (header(PORTS), port.0).1,
    };
    writer.u32(number);
    writer.zeros(4);
}

pub(crate) fn read_reply(mut reader: Reader<'_>) -> Result<(bool, MultipartReply), DecodeError> {
    let (kind, flags) = (reader.u16()?, reader.u16()?);
    reader.zeros(4)?;
    if flags & !MORE != 0 {
        return reader.undefined(flags);
    }
    Ok((flags & MORE != 0, read_body(kind, reader)?))
}

fn read_body(kind: u16, mut reader: Reader<'_>) -> Result<MultipartReply, DecodeError> {
    let reply = match kind {
        DESC => MultipartReply::Desc(read_desc(&mut reader)?),
        FLOWS => return Ok(MultipartReply::Flows(reader.all(read_flow)?)),
        AGGREGATE => MultipartReply::Aggregate(read_counters(&mut reader)?),
        TABLES => return Ok(MultipartReply::Tables(reader.all(read_table)?)),
        PORT_STATS => return Ok(MultipartReply::PortStats(reader.all(port::read_stats)?)),
        GROUP_STATS => return Ok(MultipartReply::GroupStats(reader.all(read_group_stats)?)),
        GROUPS => return Ok(MultipartReply::Groups(reader.all(group::read_description)?)),
        GROUP_FEATURES => MultipartReply::GroupFeatures(read_group_features(&mut reader)?),
        METER_STATS => return Ok(MultipartReply::MeterStats(reader.all(read_meter_stats)?)),
        METERS => return Ok(MultipartReply::Meters(reader.all(meter::read_config)?)),
        METER_FEATURES => MultipartReply::MeterFeatures(read_meter_features(&mut reader)?),
        PORTS => return Ok(MultipartReply::Ports(reader.all(port::read_port)?)),
        FLOW_MONITOR => return Ok(MultipartReply::FlowUpdates(reader.all(monitor::read_update)?)),
        kind => return Ok(MultipartReply::Other { kind, body: reader.rest().to_vec() }),
    };
    reader.finish()?;
    Ok(reply)
}

pub(crate) fn write_reply(writer: &mut Writer, more: bool, reply: &MultipartReply) {
    writer.u16(reply_kind(reply));
    writer.u16(if more { MORE } else { 0 });
    writer.zeros(4);
    match reply {
        MultipartReply::Desc(desc) => write_desc(writer, desc),
        MultipartReply::Flows(flows) => flows.iter().for_each(|entry| write_flow(writer, entry)),
        MultipartReply::Aggregate(counters) => write_counters(writer, counters),
        MultipartReply::Tables(tables) => tables.iter().for_each(|table| write_table(writer, table)),
        MultipartReply::PortStats(ports) => ports.iter().for_each(|stats| port::write_stats(writer, stats)),
        MultipartReply::GroupStats(groups) => {
            groups.iter().for_each(|stats| write_group_stats(writer, stats))
        }
        MultipartReply::Groups(groups) => {
            groups.iter().for_each(|group| group::write_description(writer, group))
        }
        MultipartReply::GroupFeatures(features) => write_group_features(writer, features),
        MultipartReply::MeterStats(meters) => {
            meters.iter().for_each(|stats| write_meter_stats(writer, stats))
        }
        MultipartReply::Meters(meters) => meters.iter().for_each(|meter| meter::write_config(writer, meter)),
        MultipartReply::MeterFeatures(features) => write_meter_features(writer, features),
        MultipartReply::Ports(ports) => ports.iter().for_each(|port| port::write_port(writer, port)),
        MultipartReply::FlowUpdates(updates) => {
            updates.iter().for_each(|update| monitor::write_update(writer, update));
        }
        MultipartReply::Other { body, .. } => writer.bytes(body),
    }
}

fn reply_kind(reply: &MultipartReply) -> u16 {
    match reply {
        MultipartReply::Desc(_) => DESC,
        MultipartReply::Flows(_) => FLOWS,
        MultipartReply::Aggregate(_) => AGGREGATE,
        MultipartReply::Tables(_) => TABLES,
        MultipartReply::PortStats(_) => PORT_STATS,
        MultipartReply::GroupStats(_) => GROUP_STATS,
        MultipartReply::Groups(_) => GROUPS,
        MultipartReply::GroupFeatures(_) => GROUP_FEATURES,
        MultipartReply::MeterStats(_) => METER_STATS,
        MultipartReply::Meters(_) => METERS,
        MultipartReply::MeterFeatures(_) => METER_FEATURES,
        MultipartReply::Ports(_) => PORTS,
        MultipartReply::FlowUpdates(_) => FLOW_MONITOR,
        MultipartReply::Other { kind, .. } => *kind,
    }
}

fn write_text(writer: &mut Writer, text: &str, length: usize) {
    let cut = text.get(..text.floor_char_boundary(length - 1)).unwrap_or_default();
    writer.bytes(cut.as_bytes());
    writer.zeros(length - cut.len());
}

fn read_desc(reader: &mut Reader<'_>) -> Result<SwitchDesc, DecodeError> {
    Ok(SwitchDesc {
        manufacturer: reader.text(DESC_BYTES)?,
        hardware: reader.text(DESC_BYTES)?,
        software: reader.text(DESC_BYTES)?,
        serial: reader.text(SERIAL_BYTES)?,
        datapath: reader.text(DESC_BYTES)?,
    })
}

fn write_desc(writer: &mut Writer, desc: &SwitchDesc) {
    write_text(writer, &desc.manufacturer, DESC_BYTES);
    write_text(writer, &desc.hardware, DESC_BYTES);
    write_text(writer, &desc.software, DESC_BYTES);
    write_text(writer, &desc.serial, SERIAL_BYTES);
    write_text(writer, &desc.datapath, DESC_BYTES);
}

fn read_flow(reader: &mut Reader<'_>) -> Result<FlowEntry, DecodeError> {
    let mut body = reader.sized("flow")?;
    body.zeros(2)?;
    let table = TableId(body.u8()?);
    body.zeros(1)?;
    let (priority, idle_timeout, hard_timeout) = (body.u16()?, body.u16()?, body.u16()?);
    let (flags, importance, cookie) = (FlowFlags(body.u16()?), body.u16()?, Cookie(body.u64()?));
    let matching = oxm::read_match(&mut body)?;
    let counters = read_counters(&mut body)?;
    let instructions = read_instructions(body)?;
    let flow = Flow {
        table,
        priority,
        cookie,
        matching,
        instructions: instructions.into(),
        idle_timeout,
        hard_timeout,
        flags,
        importance,
    };
    Ok(FlowEntry { flow, counters })
}

fn write_flow(writer: &mut Writer, FlowEntry { flow, counters }: &FlowEntry) {
    let mark = writer.begin("flow");
    writer.zeros(2);
    writer.u8(flow.table.0);
    writer.zeros(1);
    writer.u16(flow.priority);
    writer.u16(flow.idle_timeout);
    writer.u16(flow.hard_timeout);
    writer.u16(flow.flags.0);
    writer.u16(flow.importance);
    writer.u64(flow.cookie.0);
    oxm::write_match(writer, &flow.matching);
    write_counters(writer, counters);
    write_instructions(writer, &flow.instructions);
    writer.end(mark);
}

fn read_table(reader: &mut Reader<'_>) -> Result<TableStats, DecodeError> {
    let table = TableId(reader.u8()?);
    reader.zeros(3)?;
    Ok(TableStats { table, active: reader.u32()?, lookups: reader.u64()?, matches: reader.u64()? })
}

fn write_table(writer: &mut Writer, table: &TableStats) {
    writer.u8(table.table.0);
    writer.zeros(3);
    writer.u32(table.active);
    writer.u64(table.lookups);
    writer.u64(table.matches);
}

fn read_counter(reader: &mut Reader<'_>) -> Result<Counter, DecodeError> {
    Ok(Counter { packets: reader.u64()?, bytes: reader.u64()? })
}

fn write_counter(writer: &mut Writer, counter: &Counter) {
    writer.u64(counter.packets);
    writer.u64(counter.bytes);
}

fn read_group_stats(reader: &mut Reader<'_>) -> Result<GroupStats, DecodeError> {
    let mut body = reader.sized("group statistics")?;
    body.zeros(2)?;
    let (id, references) = (GroupId(body.u32()?), body.u32()?);
    body.zeros(4)?;
    let (total, duration) = (read_counter(&mut body)?, read_duration(&mut body)?);
    Ok(GroupStats { id, references, total, duration, buckets: body.all(read_counter)? })
}

fn write_group_stats(writer: &mut Writer, stats: &GroupStats) {
    let mark = writer.begin("group statistics");
    writer.zeros(2);
    writer.u32(stats.id.0);
    writer.u32(stats.references);
    writer.zeros(4);
    write_counter(writer, &stats.total);
    write_duration(writer, stats.duration);
    stats.buckets.iter().for_each(|bucket| write_counter(writer, bucket));
    writer.end(mark);
}

fn read_words(reader: &mut Reader<'_>) -> Result<[u32; 4], DecodeError> {
    Ok([reader.u32()?, reader.u32()?, reader.u32()?, reader.u32()?])
}

fn read_group_features(reader: &mut Reader<'_>) -> Result<GroupFeatures, DecodeError> {
    Ok(GroupFeatures {
        types: reader.u32()?,
        capabilities: reader.u32()?,
        max_groups: read_words(reader)?,
        actions: read_words(reader)?,
    })
}

fn write_group_features(writer: &mut Writer, features: &GroupFeatures) {
    writer.u32(features.types);
    writer.u32(features.capabilities);
    features.max_groups.iter().chain(&features.actions).for_each(|word| writer.u32(*word));
}

fn read_meter_stats(reader: &mut Reader<'_>) -> Result<MeterStats, DecodeError> {
    let mut header = reader.clone().named("meter statistics");
    header.skip(4)?;
    let length = usize::from(header.u16()?);
    if length == 0 || length % ALIGNMENT != 0 {
        return Err(DecodeError::Length { what: "meter statistics", length });
    }
    let mut body = reader.sub("meter statistics", length)?;
    let id = MeterId(body.u32()?);
    body.skip(2)?;
    body.zeros(6)?;
    let flows = body.u32()?;
    let (input, duration) = (read_counter(&mut body)?, read_duration(&mut body)?);
    Ok(MeterStats { id, flows, input, duration, bands: body.all(read_counter)? })
}

fn write_meter_stats(writer: &mut Writer, stats: &MeterStats) {
    let start = writer.len();
    writer.u32(stats.id.0);
    let hole = writer.hole("meter statistics");
    writer.zeros(6);
    writer.u32(stats.flows);
    write_counter(writer, &stats.input);
    write_duration(writer, stats.duration);
    stats.bands.iter().for_each(|band| write_counter(writer, band));
    let whole = writer.count_from(hole, start);
    writer.end(whole);
}

fn read_meter_features(reader: &mut Reader<'_>) -> Result<MeterFeatures, DecodeError> {
    let (max_meters, band_types, capabilities) = (reader.u32()?, reader.u32()?, reader.u32()?);
    let (max_bands, max_color) = (reader.u8()?, reader.u8()?);
    reader.skip(2)?;
    // OpenFlow 1.5 appends a word of features; Open vSwitch does not.
    if !reader.is_empty() {
        reader.skip(8)?;
    }
    Ok(MeterFeatures { max_meters, band_types, capabilities, max_bands, max_color })
}

fn write_meter_features(writer: &mut Writer, features: &MeterFeatures) {
    writer.u32(features.max_meters);
    writer.u32(features.band_types);
    writer.u32(features.capabilities);
    writer.u8(features.max_bands);
    writer.u8(features.max_color);
    writer.zeros(2);
}
