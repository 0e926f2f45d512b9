//! Flow commands and selections: OpenFlow 1.5.1, sections 7.3.4.2 and 7.3.5.2.

use super::{DecodeError, Reader, Writer, instruction, oxm};
use crate::command::{FlowMod, FlowSelection, Strictness};
use crate::{Cookie, Flow, FlowFlags, GroupId, Match, OfPort, TableId};

/// No packet is kept in the switch.
const NO_BUFFER: u32 = 0xffff_ffff;

const ADD: u8 = 0;
const MODIFY: u8 = 1;
const MODIFY_STRICT: u8 = 2;
const DELETE: u8 = 3;
const DELETE_STRICT: u8 = 4;

pub(crate) fn read_flow_mod(mut reader: Reader<'_>) -> Result<FlowMod, DecodeError> {
    let (cookie, cookie_mask) = (Cookie(reader.u64()?), reader.u64()?);
    let (table, command) = (TableId(reader.u8()?), reader.u8()?);
    let (idle_timeout, hard_timeout, priority) = (reader.u16()?, reader.u16()?, reader.u16()?);
    reader.skip(4)?;
    let (out_port, out_group) = (OfPort(reader.u32()?), GroupId(reader.u32()?));
    let (flags, importance) = (FlowFlags(reader.u16()?), reader.u16()?);
    let matching = oxm::read_match(&mut reader)?;
    let selection =
        FlowSelection { table, cookie, cookie_mask, out_port, out_group, matching: matching.clone() };
    let instructions = instruction::read_instructions(reader.clone())?;
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
    Ok(match command {
        ADD => FlowMod::Add(flow),
        MODIFY => FlowMod::Modify { selection, flow, strict: Strictness::Loose },
        MODIFY_STRICT => FlowMod::Modify { selection, flow, strict: Strictness::Strict },
        DELETE => FlowMod::Delete(selection),
        DELETE_STRICT => FlowMod::DeleteStrict { selection, priority },
        other => return reader.undefined(other),
    })
}

pub(crate) fn write_flow_mod(writer: &mut Writer, command: &FlowMod) {
    let any = FlowSelection::default();
    let none = |priority| Flow::new(TableId::ALL, priority, Match::new(), Vec::new());
    match command {
        FlowMod::Add(flow) => write_flow_command(
            writer,
            ADD,
            &FlowSelection { cookie: flow.cookie, ..any },
            flow,
            flow.table,
            &flow.matching,
        ),
        FlowMod::Modify { selection, flow, strict } => {
            let number = match strict {
                Strictness::Loose => MODIFY,
                Strictness::Strict => MODIFY_STRICT,
            };
            write_flow_command(writer, number, selection, flow, selection.table, &selection.matching);
        }
        FlowMod::Delete(selection) => {
            write_flow_command(writer, DELETE, selection, &none(0), selection.table, &selection.matching);
        }
        FlowMod::DeleteStrict { selection, priority } => {
            let flow = none(*priority);
            write_flow_command(writer, DELETE_STRICT, selection, &flow, selection.table, &selection.matching);
        }
    }
}

fn write_flow_command(
    writer: &mut Writer,
    command: u8,
    selection: &FlowSelection,
    flow: &Flow,
    table: TableId,
    matching: &Match,
) {
    writer.u64(selection.cookie.0);
    writer.u64(selection.cookie_mask);
    writer.u8(table.0);
    writer.u8(command);
    writer.u16(flow.idle_timeout);
    writer.u16(flow.hard_timeout);
    writer.u16(flow.priority);
    writer.u32(NO_BUFFER);
    writer.u32(selection.out_port.0);
    writer.u32(selection.out_group.0);
    writer.u16(flow.flags.0);
    writer.u16(flow.importance);
    oxm::write_match(writer, matching);
    instruction::write_instructions(writer, &flow.instructions);
}

/// `ofp_flow_stats_request`, which aggregates use too.
pub(crate) fn read_selection(mut reader: Reader<'_>) -> Result<FlowSelection, DecodeError> {
    let table = TableId(reader.u8()?);
    reader.zeros(3)?;
    let (out_port, out_group) = (OfPort(reader.u32()?), GroupId(reader.u32()?));
    reader.zeros(4)?;
    let (cookie, cookie_mask) = (Cookie(reader.u64()?), reader.u64()?);
    let matching = oxm::read_match(&mut reader)?;
    reader.finish()?;
    Ok(FlowSelection { table, cookie, cookie_mask, out_port, out_group, matching })
}

pub(crate) fn write_selection(writer: &mut Writer, selection: &FlowSelection) {
    writer.u8(selection.table.0);
    writer.zeros(3);
    writer.u32(selection.out_port.0);
    writer.u32(selection.out_group.0);
    writer.zeros(4);
    writer.u64(selection.cookie.0);
    writer.u64(selection.cookie_mask);
    oxm::write_match(writer, &selection.matching);
}
