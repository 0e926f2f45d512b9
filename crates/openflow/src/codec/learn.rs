//! `learn`: ovs-actions(7). Each part of the new flow is a word that says what follows, a source and a destination.

use super::{DecodeError, Reader, Writer, oxm};
use crate::{Action, Cookie, Learn, LearnLimit, LearnSource, LearnSpec, SubField, TableId, Value};

const SEND_FLOW_REMOVED: u16 = 1;
const DELETE_LEARNED: u16 = 1 << 1;
const WRITE_RESULT: u16 = 1 << 2;

/// The source is a constant.
const CONSTANT: u16 = 1 << 13;
const KIND_MASK: u16 = 3 << 11;
const MATCH: u16 = 0;
const LOAD: u16 = 1 << 11;
const OUTPUT: u16 = 2 << 11;
const BITS_MASK: u16 = 0x7ff;

pub(crate) fn read(body: &mut Reader<'_>, extended: bool) -> Result<Action, DecodeError> {
    let (idle_timeout, hard_timeout, priority) = (body.u16()?, body.u16()?, body.u16()?);
    let (cookie, flags, table) = (Cookie(body.u64()?), body.u16()?, TableId(body.u8()?));
    body.zeros(1)?;
    let (fin_idle_timeout, fin_hard_timeout) = (body.u16()?, body.u16()?);
    let allowed = SEND_FLOW_REMOVED | DELETE_LEARNED | if extended { WRITE_RESULT } else { 0 };
    if flags & !allowed != 0 {
        return body.undefined(flags);
    }
    let limit = if extended { Some(read_limit(body, flags)?) } else { None };
    Ok(Action::Learn(Box::new(Learn {
        table,
        priority,
        cookie,
        idle_timeout,
        hard_timeout,
        fin_idle_timeout,
        fin_hard_timeout,
        send_flow_removed: flags & SEND_FLOW_REMOVED != 0,
        delete_learned: flags & DELETE_LEARNED != 0,
        limit,
        specs: read_specs(body)?,
    })))
}

fn read_limit(body: &mut Reader<'_>, flags: u16) -> Result<LearnLimit, DecodeError> {
    let (flows, offset) = (body.u32()?, body.u16()?);
    body.zeros(2)?;
    let result =
        if flags & WRITE_RESULT != 0 { Some(oxm::bits(oxm::read_field(body)?, offset, 1)?) } else { None };
    Ok(LearnLimit { flows, result })
}

fn read_specs(body: &mut Reader<'_>) -> Result<Vec<LearnSpec>, DecodeError> {
    let mut specs = Vec::new();
    while !body.is_empty() {
        let header = body.u16()?;
        if header == 0 {
            body.only_zeros()?;
            break;
        }
        specs.push(read_spec(body, header)?);
    }
    Ok(specs)
}

fn read_spec(body: &mut Reader<'_>, header: u16) -> Result<LearnSpec, DecodeError> {
    let bits = header & BITS_MASK;
    let source = if header & CONSTANT != 0 {
        let value = Value(body.number(constant_bytes(bits))?);
        LearnSource::Constant { value, bits }
    } else {
        LearnSource::Field(read_part(body, bits)?)
    };
    match (header & KIND_MASK, source) {
        (MATCH, source) => Ok(LearnSpec::Match { source, destination: read_part(body, bits)? }),
        (LOAD, source) => Ok(LearnSpec::Load { source, destination: read_part(body, bits)? }),
        (OUTPUT, LearnSource::Field(source)) => Ok(LearnSpec::Output(source)),
        _ => body.undefined(header),
    }
}

fn read_part(body: &mut Reader<'_>, bits: u16) -> Result<SubField, DecodeError> {
    let field = oxm::read_field(body)?;
    oxm::bits(field, body.u16()?, bits)
}

/// A constant stands in as many 16-bit words as it needs.
fn constant_bytes(bits: u16) -> usize {
    usize::from(bits.div_ceil(16)) * 2
}

pub(crate) fn write(writer: &mut Writer, learn: &Learn, subtype: u16) {
    let result = learn.limit.and_then(|limit| limit.result);
    let flag = |set: bool, bit: u16| if set { bit } else { 0 };
    writer.u16(subtype);
    writer.u16(learn.idle_timeout);
    writer.u16(learn.hard_timeout);
    writer.u16(learn.priority);
    writer.u64(learn.cookie.0);
    writer.u16(
        flag(learn.send_flow_removed, SEND_FLOW_REMOVED)
            | flag(learn.delete_learned, DELETE_LEARNED)
            | flag(result.is_some(), WRITE_RESULT),
    );
    writer.u8(learn.table.0);
    writer.zeros(1);
    writer.u16(learn.fin_idle_timeout);
    writer.u16(learn.fin_hard_timeout);
    if let Some(limit) = learn.limit {
        writer.u32(limit.flows);
        writer.u16(limit.result.map_or(0, |part| part.offset));
        writer.zeros(2);
        limit.result.iter().for_each(|part| oxm::write_field(writer, part.field));
    }
    learn.specs.iter().for_each(|spec| write_spec(writer, spec));
}

fn write_spec(writer: &mut Writer, spec: &LearnSpec) {
    let (kind, source, destination) = match *spec {
        LearnSpec::Match { source, destination } => (MATCH, source, Some(destination)),
        LearnSpec::Load { source, destination } => (LOAD, source, Some(destination)),
        LearnSpec::Output(source) => (OUTPUT, LearnSource::Field(source), None),
    };
    match source {
        LearnSource::Field(part) => {
            writer.u16(kind | part.bits & BITS_MASK);
            write_part(writer, part);
        }
        LearnSource::Constant { value, bits } => {
            writer.u16(kind | CONSTANT | bits & BITS_MASK);
            writer.number(value.0, constant_bytes(bits));
        }
    }
    destination.iter().for_each(|part| write_part(writer, *part));
}

fn write_part(writer: &mut Writer, part: SubField) {
    oxm::write_field(writer, part.field);
    writer.u16(part.offset);
}
