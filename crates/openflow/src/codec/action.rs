//! Actions of OpenFlow 1.5.1, section 7.2.6. Those of Open vSwitch continue in `extension`.

use super::oxm::{self, Entry, Read};
use super::{ALIGNMENT, DecodeError, NICIRA, Reader, Writer, extension};
use crate::action::SetField;
use crate::{Action, GroupId, MeterId, OfPort, SubField};

/// Depth of actions within actions (`clone`, `ct(exec(…))`) at which a message is refused. Open vSwitch nests less.
const MAX_DEPTH: usize = 16;

const OUTPUT: u16 = 0;
const DEC_MPLS_TTL: u16 = 16;
const PUSH_VLAN: u16 = 17;
const POP_VLAN: u16 = 18;
const PUSH_MPLS: u16 = 19;
const POP_MPLS: u16 = 20;
const SET_QUEUE: u16 = 21;
const GROUP: u16 = 22;
const DEC_NW_TTL: u16 = 24;
const SET_FIELD: u16 = 25;
const COPY_FIELD: u16 = 28;
const METER: u16 = 29;
const EXPERIMENTER: u16 = 0xffff;

/// Reads actions until the bytes end.
pub(crate) fn read_actions(reader: Reader<'_>) -> Result<Vec<Action>, DecodeError> {
    read_nested(reader, 0)
}

pub(crate) fn read_nested(reader: Reader<'_>, depth: usize) -> Result<Vec<Action>, DecodeError> {
    if depth > MAX_DEPTH {
        return Err(DecodeError::Depth { limit: MAX_DEPTH });
    }
    reader.all(|reader| read_action(reader, depth))
}

fn read_action(reader: &mut Reader<'_>, depth: usize) -> Result<Action, DecodeError> {
    let whole = reader.clone().rest();
    let (kind, body) = reader.tlv("action")?;
    let length = body.left() + 4;
    if length % ALIGNMENT != 0 {
        return Err(DecodeError::Length { what: "action", length });
    }
    let opaque = || Action::Opaque(whole.get(..length).unwrap_or_default().to_vec());
    match read_body(kind, body, depth) {
        Ok(Some(action)) => Ok(action),
        Ok(None) | Err(DecodeError::UnknownField { .. }) => Ok(opaque()),
        Err(error) => Err(error),
    }
}

/// `None` for an action that this library does not know.
fn read_body(kind: u16, mut body: Reader<'_>, depth: usize) -> Result<Option<Action>, DecodeError> {
    let action = match kind {
        OUTPUT => {
            let (port, max_len) = (OfPort(body.u32()?), body.u16()?);
            body.zeros(6)?;
            // Only a controller is sent part of a packet (OpenFlow 1.5.1, section 7.2.6.1).
            Action::Output { port, max_len: if port == OfPort::CONTROLLER { max_len } else { 0 } }
        }
        DEC_MPLS_TTL => padded(&mut body, Action::DecMplsTtl)?,
        PUSH_VLAN => Action::PushVlan(ethertype(&mut body)?),
        POP_VLAN => padded(&mut body, Action::PopVlan)?,
        PUSH_MPLS => Action::PushMpls(ethertype(&mut body)?),
        POP_MPLS => Action::PopMpls(ethertype(&mut body)?),
        SET_QUEUE => Action::SetQueue(body.u32()?),
        GROUP => Action::Group(GroupId(body.u32()?)),
        DEC_NW_TTL => padded(&mut body, Action::DecTtl)?,
        SET_FIELD => match read_set_field(&mut body)? {
            Some(set) => Action::SetField(set),
            None => return Ok(None),
        },
        COPY_FIELD => read_copy_field(&mut body)?,
        METER => Action::Meter(MeterId(body.u32()?)),
        EXPERIMENTER if body.clone().u32()? == NICIRA => {
            body.skip(4)?;
            return extension::read(body, depth);
        }
        _ => return Ok(None),
    };
    body.finish()?;
    Ok(Some(action))
}

fn padded(body: &mut Reader<'_>, action: Action) -> Result<Action, DecodeError> {
    body.zeros(4)?;
    Ok(action)
}

fn ethertype(body: &mut Reader<'_>) -> Result<u16, DecodeError> {
    let ethertype = body.u16()?;
    body.zeros(2)?;
    Ok(ethertype)
}

fn read_set_field(body: &mut Reader<'_>) -> Result<Option<SetField>, DecodeError> {
    match oxm::read_entry(body)? {
        Read::Known(Entry { field, value, mask, masked }) => {
            body.only_zeros()?;
            Ok(Some(SetField::canonical(field, value, masked.then_some(mask))))
        }
        Read::Opaque(_) => Ok(None),
    }
}

fn read_copy_field(body: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let (bits, from, to) = (body.u16()?, body.u16()?, body.u16()?);
    body.zeros(2)?;
    let source = oxm::bits(oxm::read_field(body)?, from, bits)?;
    let destination = oxm::bits(oxm::read_field(body)?, to, bits)?;
    body.only_zeros()?;
    Ok(Action::Move { source, destination })
}

/// Writes actions, each padded to its multiple of 8.
pub(crate) fn write_actions(writer: &mut Writer, actions: &[Action]) {
    actions.iter().for_each(|action| write_action(writer, action));
}

fn write_action(writer: &mut Writer, action: &Action) {
    match action {
        Action::Output { port, max_len } => write(writer, OUTPUT, |writer| {
            writer.u32(port.0);
            writer.u16(*max_len);
        }),
        Action::DecMplsTtl => write(writer, DEC_MPLS_TTL, |_| ()),
        Action::PushVlan(ethertype) => write(writer, PUSH_VLAN, |writer| writer.u16(*ethertype)),
        Action::PopVlan => write(writer, POP_VLAN, |_| ()),
        Action::PushMpls(ethertype) => write(writer, PUSH_MPLS, |writer| writer.u16(*ethertype)),
        Action::PopMpls(ethertype) => write(writer, POP_MPLS, |writer| writer.u16(*ethertype)),
        Action::SetQueue(queue) => write(writer, SET_QUEUE, |writer| writer.u32(*queue)),
        Action::Group(group) => write(writer, GROUP, |writer| writer.u32(group.0)),
        Action::DecTtl => write(writer, DEC_NW_TTL, |_| ()),
        Action::SetField(set) => write(writer, SET_FIELD, |writer| {
            oxm::write_entry(writer, set.field(), set.value(), (!set.is_exact()).then_some(set.mask()));
        }),
        Action::Move { source, destination } => {
            write(writer, COPY_FIELD, |writer| write_copy_field(writer, *source, *destination));
        }
        Action::Meter(meter) => write(writer, METER, |writer| writer.u32(meter.0)),
        Action::Opaque(bytes) => writer.bytes(bytes),
        other => write(writer, EXPERIMENTER, |writer| {
            writer.u32(NICIRA);
            extension::write(writer, other);
        }),
    }
}

/// One action: type, length, what `body` writes, padding.
pub(crate) fn write(writer: &mut Writer, kind: u16, body: impl FnOnce(&mut Writer)) {
    let mark = writer.begin_tlv("action", kind);
    body(writer);
    writer.end_padded(mark);
}

fn write_copy_field(writer: &mut Writer, source: SubField, destination: SubField) {
    writer.u16(source.bits);
    writer.u16(source.offset);
    writer.u16(destination.offset);
    writer.zeros(2);
    oxm::write_field(writer, source.field);
    oxm::write_field(writer, destination.field);
}
