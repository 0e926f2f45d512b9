//! Actions that choose by a hash: ovs-actions(7).

use super::{DecodeError, Reader, Writer, oxm};
use crate::{Action, Bundle, HashFields, Multipath, OfPort};

/// A member of a bundle is a port: the header of `NXM_OF_IN_PORT`.
const MEMBER_IS_PORT: u32 = 0x0000_0002;

fn read_hash_fields(body: &mut Reader<'_>) -> Result<HashFields, DecodeError> {
    Ok(match body.u16()? {
        0 => HashFields::EthSrc,
        1 => HashFields::SymmetricL4,
        2 => HashFields::SymmetricL3L4,
        3 => HashFields::SymmetricL3L4Udp,
        4 => HashFields::NwSrc,
        5 => HashFields::NwDst,
        6 => HashFields::SymmetricL3,
        other => return body.undefined(other),
    })
}

fn hash_fields_number(fields: HashFields) -> u16 {
    match fields {
        HashFields::EthSrc => 0,
        HashFields::SymmetricL4 => 1,
        HashFields::SymmetricL3L4 => 2,
        HashFields::SymmetricL3L4Udp => 3,
        HashFields::NwSrc => 4,
        HashFields::NwDst => 5,
        HashFields::SymmetricL3 => 6,
    }
}

pub(crate) fn read_multipath(body: &mut Reader<'_>) -> Result<Action, DecodeError> {
    let (fields, basis) = (read_hash_fields(body)?, body.u16()?);
    body.zeros(2)?;
    let (algorithm, max_link, argument) = (body.u16()?, body.u16()?, body.u32()?);
    body.zeros(2)?;
    let packed = body.u16()?;
    let destination = oxm::unpack_bits(oxm::read_field(body)?, packed)?;
    Ok(Action::Multipath(Multipath { fields, basis, algorithm, max_link, argument, destination }))
}

pub(crate) fn write_multipath(writer: &mut Writer, subtype: u16, multipath: &Multipath) {
    writer.u16(subtype);
    writer.u16(hash_fields_number(multipath.fields));
    writer.u16(multipath.basis);
    writer.zeros(2);
    writer.u16(multipath.algorithm);
    writer.u16(multipath.max_link);
    writer.u32(multipath.argument);
    writer.zeros(2);
    oxm::write_packed_bits(writer, multipath.destination);
    oxm::write_field(writer, multipath.destination.field);
}

pub(crate) fn read_bundle(body: &mut Reader<'_>, load: bool) -> Result<Action, DecodeError> {
    let algorithm = body.u16()?;
    let active_backup = match algorithm {
        0 => true,
        1 => false,
        other => return body.undefined(other),
    };
    let (fields, basis) = (read_hash_fields(body)?, body.u16()?);
    let member_type = body.u32()?;
    if member_type != MEMBER_IS_PORT {
        return body.undefined(member_type);
    }
    let (members, packed) = (usize::from(body.u16()?), body.u16()?);
    let destination = if load {
        Some(oxm::unpack_bits(oxm::read_field(body)?, packed)?)
    } else {
        body.zeros(4)?;
        None
    };
    body.zeros(4)?;
    let members =
        body.sub("bundle members", members * 2)?.all(|member| Ok(OfPort::from_u16(member.u16()?)))?;
    body.only_zeros()?;
    Ok(Action::Bundle(Bundle { active_backup, fields, basis, destination, members }))
}

pub(crate) fn write_bundle(writer: &mut Writer, subtype: u16, bundle: &Bundle) {
    writer.u16(subtype);
    writer.u16(u16::from(!bundle.active_backup));
    writer.u16(hash_fields_number(bundle.fields));
    writer.u16(bundle.basis);
    writer.u32(MEMBER_IS_PORT);
    writer.count("bundle members", bundle.members.len());
    match bundle.destination {
        Some(part) => {
            oxm::write_packed_bits(writer, part);
            oxm::write_field(writer, part.field);
        }
        None => writer.zeros(6),
    }
    writer.zeros(4);
    bundle.members.iter().for_each(|member| writer.port16(*member));
}
