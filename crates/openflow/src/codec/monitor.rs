//! Flow monitors: OpenFlow 1.5.1, section 7.3.5.17.

use super::instruction::{read_instructions, write_instructions};
use super::{DecodeError, Reader, Writer, oxm};
use crate::monitor::{FlowEvent, FlowMonitor, FlowUpdate, MonitorCommand};
use crate::{Cookie, Flow, FlowFlags, GroupId, OfPort, TableId, Xid};

const INITIAL: u16 = 0;
const ADDED: u16 = 1;
const REMOVED: u16 = 2;
const MODIFIED: u16 = 3;
const ABBREVIATED: u16 = 4;
const PAUSED: u16 = 5;
const RESUMED: u16 = 6;

pub(crate) fn read_request(mut reader: Reader<'_>) -> Result<FlowMonitor, DecodeError> {
    let (id, out_port, out_group) = (reader.u32()?, OfPort(reader.u32()?), GroupId(reader.u32()?));
    let (flags, table) = (reader.u16()?, TableId(reader.u8()?));
    let command = match reader.u8()? {
        0 => MonitorCommand::Add,
        1 => MonitorCommand::Modify,
        2 => MonitorCommand::Delete,
        other => return reader.undefined(other),
    };
    let matching = oxm::read_match(&mut reader)?;
    reader.finish()?;
    Ok(FlowMonitor { id, command, flags, table, out_port, out_group, matching })
}

pub(crate) fn write_request(writer: &mut Writer, monitor: &FlowMonitor) {
    writer.u32(monitor.id);
    writer.u32(monitor.out_port.0);
    writer.u32(monitor.out_group.0);
    writer.u16(monitor.flags);
    writer.u8(monitor.table.0);
    writer.u8(match monitor.command {
        MonitorCommand::Add => 0,
        MonitorCommand::Modify => 1,
        MonitorCommand::Delete => 2,
    });
    oxm::write_match(writer, &monitor.matching);
}

pub(crate) fn read_update(reader: &mut Reader<'_>) -> Result<FlowUpdate, DecodeError> {
    let mut body = reader.sized("flow update")?;
    let event = match body.u16()? {
        INITIAL => FlowEvent::Initial,
        ADDED => FlowEvent::Added,
        REMOVED => FlowEvent::Removed,
        MODIFIED => FlowEvent::Modified,
        ABBREVIATED => {
            let xid = Xid(body.u32()?);
            body.finish()?;
            return Ok(FlowUpdate::Own(xid));
        }
        PAUSED => return pause(body, FlowUpdate::Paused),
        RESUMED => return pause(body, FlowUpdate::Resumed),
        other => return body.undefined(other),
    };
    let (table, reason) = (TableId(body.u8()?), body.u8()?);
    let (idle_timeout, hard_timeout, priority) = (body.u16()?, body.u16()?, body.u16()?);
    body.zeros(4)?;
    let (cookie, matching) = (Cookie(body.u64()?), oxm::read_match(&mut body)?);
    let instructions = read_instructions(body)?;
    let (flags, importance) = (FlowFlags::default(), 0);
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
    Ok(FlowUpdate::Flow { event, reason, flow: Box::new(flow) })
}

fn pause(mut body: Reader<'_>, update: FlowUpdate) -> Result<FlowUpdate, DecodeError> {
    body.zeros(4)?;
    body.finish()?;
    Ok(update)
}

pub(crate) fn write_update(writer: &mut Writer, update: &FlowUpdate) {
    let mark = writer.begin("flow update");
    match update {
        FlowUpdate::Flow { event, reason, flow } => {
            writer.u16(match event {
                FlowEvent::Initial => INITIAL,
                FlowEvent::Added => ADDED,
                FlowEvent::Removed => REMOVED,
                FlowEvent::Modified => MODIFIED,
            });
            writer.u8(flow.table.0);
            writer.u8(*reason);
            writer.u16(flow.idle_timeout);
            writer.u16(flow.hard_timeout);
            writer.u16(flow.priority);
            writer.zeros(4);
            writer.u64(flow.cookie.0);
            oxm::write_match(writer, &flow.matching);
            write_instructions(writer, &flow.instructions);
        }
        FlowUpdate::Own(xid) => {
            writer.u16(ABBREVIATED);
            writer.u32(xid.0);
        }
        FlowUpdate::Paused => {
            writer.u16(PAUSED);
            writer.zeros(4);
        }
        FlowUpdate::Resumed => {
            writer.u16(RESUMED);
            writer.zeros(4);
        }
    }
    writer.end(mark);
}
