//! The actions that Open vSwitch adds: ovs-actions(7). Their layouts all begin with a 16-bit subtype.

use super::action::{read_nested, write_actions};
use super::{DecodeError, Reader, Writer, conntrack, hashing, learn, oxm};
use crate::action::{Controller, PacketInReason};
use crate::{Action, MeterId, OfPort, SubField, TableId};

const RESUBMIT: u16 = 1;
const NOTE: u16 = 8;
const MULTIPATH: u16 = 10;
const BUNDLE: u16 = 12;
const BUNDLE_LOAD: u16 = 13;
const RESUBMIT_TABLE: u16 = 14;
const OUTPUT_REG: u16 = 15;
const LEARN: u16 = 16;
const EXIT: u16 = 17;
const FIN_TIMEOUT: u16 = 19;
const CONTROLLER: u16 = 20;
const DEC_TTL_IDS: u16 = 21;
const STACK_PUSH: u16 = 27;
const STACK_POP: u16 = 28;
const OUTPUT_REG2: u16 = 32;
const CONJUNCTION: u16 = 34;
const CT: u16 = 35;
const CONTROLLER2: u16 = 37;
const OUTPUT_TRUNC: u16 = 39;
const CLONE: u16 = 42;
const CT_CLEAR: u16 = 43;
const RESUBMIT_TABLE_CT: u16 = 44;
const LEARN2: u16 = 45;
const ENCAP: u16 = 46;
const DECAP: u16 = 47;
const CHECK_PKT_LARGER: u16 = 49;
const DELETE_FIELD: u16 = 50;

/// In a resubmit: this table.
const SAME_TABLE: u8 = 0xff;
/// Bytes of the actions that name a field by a header of 4 or 8 bytes, counted after the subtype.
const FIELD_ACTION_BYTES: usize = 14;

// Properties of `controller` (`NXAC2PT_…`).
const MAX_LEN: u16 = 0;
const CONTROLLER_ID: u16 = 1;
const REASON: u16 = 2;
const USERDATA: u16 = 3;
const PAUSE: u16 = 4;
const METER_ID: u16 = 5;

/// Reads an action from its subtype on; `None` if it is not known.
pub(crate) fn read(mut body: Reader<'_>, depth: usize) -> Result<Option<Action>, DecodeError> {
    let action = match body.u16()? {
        RESUBMIT => {
            let port = resubmit_port(&mut body)?;
            body.skip(4)?;
            Action::Resubmit { port, table: None }
        }
        RESUBMIT_TABLE => {
            let (port, table) = read_resubmit(&mut body)?;
            Action::Resubmit { port, table }
        }
        RESUBMIT_TABLE_CT => {
            let (port, table) = read_resubmit(&mut body)?;
            Action::ResubmitCt { port, table }
        }
        NOTE => Action::Note(body.rest().to_vec()),
        MULTIPATH => hashing::read_multipath(&mut body)?,
        BUNDLE => hashing::read_bundle(&mut body, false)?,
        BUNDLE_LOAD => hashing::read_bundle(&mut body, true)?,
        OUTPUT_REG => read_output_reg(&mut body)?,
        OUTPUT_REG2 => read_output_reg2(&mut body)?,
        LEARN => learn::read(&mut body, false)?,
        LEARN2 => learn::read(&mut body, true)?,
        EXIT => empty(&mut body, Action::Exit)?,
        FIN_TIMEOUT => {
            let (idle, hard) = (body.u16()?, body.u16()?);
            body.zeros(2)?;
            Action::FinTimeout { idle, hard }
        }
        CONTROLLER => read_controller(&mut body)?,
        CONTROLLER2 => read_controller2(&mut body)?,
        DEC_TTL_IDS => read_dec_ttl(&mut body)?,
        STACK_PUSH => Action::Push(read_stack(&mut body)?),
        STACK_POP => Action::Pop(read_stack(&mut body)?),
        CONJUNCTION => read_conjunction(&mut body)?,
        CT => conntrack::read(&mut body, depth)?,
        OUTPUT_TRUNC => Action::OutputTrunc { port: OfPort::from_u16(body.u16()?), max_len: body.u32()? },
        CLONE => {
            body.zeros(6)?;
            Action::Clone(read_nested(body.sub("clone", body.left())?, depth + 1)?)
        }
        CT_CLEAR => empty(&mut body, Action::CtClear)?,
        ENCAP => {
            body.skip(2)?;
            let packet_type = body.u32()?;
            if !body.is_empty() {
                return Ok(None);
            }
            Action::Encap(packet_type)
        }
        DECAP => {
            body.zeros(2)?;
            Action::Decap(body.u32()?)
        }
        CHECK_PKT_LARGER => read_check_pkt_larger(&mut body)?,
        DELETE_FIELD => {
            let field = oxm::read_field(&mut body)?;
            body.only_zeros()?;
            Action::DeleteField(field)
        }
        _ => return Ok(None),
    };
    body.finish()?;
    Ok(Some(action))
}

/// Writes an action from its subtype on. The standard ones never come here.
pub(crate) fn write(writer: &mut Writer, action: &Action) {
    match action {
        Action::Resubmit { port, table } => write_resubmit(writer, RESUBMIT_TABLE, *port, *table),
        Action::ResubmitCt { port, table } => write_resubmit(writer, RESUBMIT_TABLE_CT, *port, *table),
        Action::Note(bytes) => {
            writer.u16(NOTE);
            writer.bytes(bytes);
        }
        Action::Multipath(multipath) => hashing::write_multipath(writer, MULTIPATH, multipath),
        Action::Bundle(bundle) => hashing::write_bundle(
            writer,
            if bundle.destination.is_some() { BUNDLE_LOAD } else { BUNDLE },
            bundle,
        ),
        Action::OutputReg { source, max_len } => write_output_reg(writer, *source, *max_len),
        Action::Learn(learn) => {
            learn::write(writer, learn, if learn.limit.is_some() { LEARN2 } else { LEARN })
        }
        Action::FinTimeout { idle, hard } => {
            writer.u16(FIN_TIMEOUT);
            writer.u16(*idle);
            writer.u16(*hard);
        }
        Action::Controller(controller) => write_controller(writer, controller),
        Action::DecTtlControllers(ids) => write_dec_ttl(writer, ids),
        Action::Push(part) => write_stack(writer, STACK_PUSH, *part),
        Action::Pop(part) => write_stack(writer, STACK_POP, *part),
        Action::Conjunction { id, clause, n_clauses } => write_conjunction(writer, *id, *clause, *n_clauses),
        Action::Ct(ct) => {
            writer.u16(CT);
            conntrack::write_action_body(writer, ct);
        }
        Action::OutputTrunc { port, max_len } => {
            writer.u16(OUTPUT_TRUNC);
            writer.port16(*port);
            writer.u32(*max_len);
        }
        Action::Clone(actions) => {
            writer.u16(CLONE);
            writer.zeros(6);
            write_actions(writer, actions);
        }
        Action::Encap(packet_type) => {
            writer.u16(ENCAP);
            writer.zeros(2);
            writer.u32(*packet_type);
        }
        Action::Decap(packet_type) => {
            writer.u16(DECAP);
            writer.zeros(2);
            writer.u32(*packet_type);
        }
        Action::CheckPktLarger { destination, length } => {
            write_check_pkt_larger(writer, *destination, *length)
        }
        Action::DeleteField(field) => {
            writer.u16(DELETE_FIELD);
            let start = writer.len();
            oxm::write_field(writer, *field);
            fill(writer, start);
        }
        Action::CtClear => writer.u16(CT_CLEAR),
        Action::Exit => writer.u16(EXIT),
        standard => unreachable!("{standard} is written by its own type"),
    }
}

fn empty(body: &mut Reader<'_>, action: Action) -> Result<Action, DecodeError> {
    body.zeros(6)?;
    Ok(action)
}

/// Pads an action that holds a field header to its fixed length.
fn fill(writer: &mut Writer, start: usize) {
    writer.zeros((start + FIELD_ACTION_BYTES).saturating_sub(writer.len()));
}

fn resubmit_port(body: &mut Reader<'_>) -> Result<Option<OfPort>, DecodeError> {
    let port = OfPort::from_u16(body.u16()?);
    Ok((port != OfPort::IN_PORT).then_some(port))
}

fn read_resubmit(body: &mut Reader<'_>) -> Result<(Option<OfPort>, Option<TableId>), DecodeError> {
    let (port, table) = (resubmit_port(body)?, body.u8()?);
    body.zeros(3)?;
    Ok((port, (table != SAME_TABLE).then_some(TableId(table))))
}

fn write_resubmit(writer: &mut Writer, subtype: u16, port: Option<OfPort>, table: Option<TableId>) {
    writer.u16(subtype);
    writer.port16(port.unwrap_or(OfPort::IN_PORT));
    writer.u8(table.map_or(SAME_TABLE, |table| table.0));
}

fn read_output_reg(body: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let packed = body.u16()?;
    let source = oxm::unpack_bits(oxm::read_field(body)?, packed)?;
    let max_len = body.u16()?;
    body.zeros(6)?;
    Ok(Action::OutputReg { source, max_len })
}

fn read_output_reg2(body: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let (packed, max_len) = (body.u16()?, body.u16()?);
    let source = oxm::unpack_bits(oxm::read_field(body)?, packed)?;
    body.only_zeros()?;
    Ok(Action::OutputReg { source, max_len })
}

fn write_output_reg(writer: &mut Writer, source: SubField, max_len: u16) {
    writer.u16(OUTPUT_REG);
    oxm::write_packed_bits(writer, source);
    oxm::write_field(writer, source.field);
    writer.u16(max_len);
    writer.zeros(6);
}

pub(crate) fn read_reason(number: u8) -> PacketInReason {
    match number {
        0 => PacketInReason::TableMiss,
        1 => PacketInReason::ApplyAction,
        2 => PacketInReason::InvalidTtl,
        3 => PacketInReason::ActionSet,
        4 => PacketInReason::Group,
        5 => PacketInReason::PacketOut,
        other => PacketInReason::Other(other),
    }
}

pub(crate) fn reason_number(reason: PacketInReason) -> u8 {
    match reason {
        PacketInReason::TableMiss => 0,
        PacketInReason::ApplyAction => 1,
        PacketInReason::InvalidTtl => 2,
        PacketInReason::ActionSet => 3,
        PacketInReason::Group => 4,
        PacketInReason::PacketOut => 5,
        PacketInReason::Other(other) => other,
    }
}

fn read_controller(body: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let (max_len, controller_id) = (body.u16()?, body.u16()?);
    let reason = read_reason(body.u8()?);
    body.zeros(1)?;
    Ok(Action::Controller(Controller { max_len, controller_id, reason, ..Controller::default() }))
}

fn read_controller2(body: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let mut controller = Controller::default();
    body.zeros(6)?;
    while !body.is_empty() {
        let (kind, mut value) = body.property("controller property")?;
        match kind {
            MAX_LEN => controller.max_len = value.u16()?,
            CONTROLLER_ID => controller.controller_id = value.u16()?,
            REASON => controller.reason = read_reason(value.u8()?),
            USERDATA => controller.userdata = value.rest().to_vec(),
            PAUSE => controller.pause = true,
            METER_ID => controller.meter = Some(MeterId(value.u32()?)),
            other => return value.undefined(other),
        }
        // Open vSwitch counts the padding of short values in their length.
        value.only_zeros()?;
    }
    Ok(Action::Controller(controller))
}

/// The short form is what Open vSwitch reports for an action that needs no more than it can hold.
fn write_controller(writer: &mut Writer, controller: &Controller) {
    let short = controller.userdata.is_empty() && !controller.pause && controller.meter.is_none();
    if short {
        writer.u16(CONTROLLER);
        writer.u16(controller.max_len);
        writer.u16(controller.controller_id);
        writer.u8(reason_number(controller.reason));
        return;
    }
    writer.u16(CONTROLLER2);
    writer.zeros(6);
    if controller.max_len != u16::MAX {
        property(writer, MAX_LEN, |writer| writer.u32(u32::from(controller.max_len) << 16));
    }
    if controller.controller_id != 0 {
        property(writer, CONTROLLER_ID, |writer| writer.u32(u32::from(controller.controller_id) << 16));
    }
    if controller.reason != PacketInReason::ApplyAction {
        property(writer, REASON, |writer| writer.u32(u32::from(reason_number(controller.reason)) << 24));
    }
    if !controller.userdata.is_empty() {
        property(writer, USERDATA, |writer| writer.bytes(&controller.userdata));
    }
    if controller.pause {
        property(writer, PAUSE, |_| ());
    }
    if let Some(meter) = controller.meter {
        property(writer, METER_ID, |writer| writer.u32(meter.0));
    }
}

fn property(writer: &mut Writer, kind: u16, value: impl FnOnce(&mut Writer)) {
    let mark = writer.begin_tlv("controller property", kind);
    value(writer);
    writer.end_property(mark);
}

fn read_dec_ttl(body: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let count = usize::from(body.u16()?);
    body.zeros(4)?;
    let ids = body.sub("controller ids", count * 2)?.all(Reader::u16)?;
    body.only_zeros()?;
    Ok(Action::DecTtlControllers(ids))
}

fn write_dec_ttl(writer: &mut Writer, ids: &[u16]) {
    writer.u16(DEC_TTL_IDS);
    writer.count("controller ids", ids.len());
    writer.zeros(4);
    ids.iter().for_each(|id| writer.u16(*id));
}

fn read_stack(body: &mut Reader<'_>) -> Result<SubField, DecodeError> {
    let offset = body.u16()?;
    let field = oxm::read_field(body)?;
    let bits = body.u16()?;
    body.only_zeros()?;
    oxm::bits(field, offset, bits)
}

fn write_stack(writer: &mut Writer, subtype: u16, part: SubField) {
    writer.u16(subtype);
    let start = writer.len();
    writer.u16(part.offset);
    oxm::write_field(writer, part.field);
    writer.u16(part.bits);
    fill(writer, start);
}

/// On the wire the dimensions count from 0.
fn read_conjunction(body: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let (clause, n_clauses, id) = (body.u8()?, body.u8()?, body.u32()?);
    match clause.checked_add(1) {
        Some(clause) => Ok(Action::Conjunction { id, clause, n_clauses }),
        None => body.undefined(clause),
    }
}

fn write_conjunction(writer: &mut Writer, id: u32, clause: u8, n_clauses: u8) {
    writer.u16(CONJUNCTION);
    writer.u8(clause.saturating_sub(1));
    writer.u8(n_clauses);
    writer.u32(id);
}

fn read_check_pkt_larger(body: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let (length, offset) = (body.u16()?, body.u16()?);
    let destination = oxm::bits(oxm::read_field(body)?, offset, 1)?;
    body.only_zeros()?;
    Ok(Action::CheckPktLarger { destination, length })
}

fn write_check_pkt_larger(writer: &mut Writer, destination: SubField, length: u16) {
    writer.u16(CHECK_PKT_LARGER);
    let start = writer.len();
    writer.u16(length);
    writer.u16(destination.offset);
    oxm::write_field(writer, destination.field);
    fill(writer, start);
}
