//! `ct` and the `nat` within it: ovs-actions(7).

use std::net::{Ipv4Addr, Ipv6Addr};

use super::action::{read_nested, write, write_actions};
use super::{DecodeError, NICIRA, Reader, Writer, oxm};
use crate::{Action, Ct, CtZone, Nat, NatAddresses, NatChoice, NatKind, TableId};

const NAT: u16 = 36;
const EXPERIMENTER: u16 = 0xffff;

const COMMIT: u16 = 1;
const FORCE: u16 = 1 << 1;
/// No table to go on in.
const NO_TABLE: u8 = 0xff;

const NAT_SOURCE: u16 = 1;
const NAT_DESTINATION: u16 = 1 << 1;
const NAT_PERSISTENT: u16 = 1 << 2;
const NAT_HASH: u16 = 1 << 3;
const NAT_RANDOM: u16 = 1 << 4;

const RANGE_V4_MIN: u16 = 1;
const RANGE_V4_MAX: u16 = 1 << 1;
const RANGE_V6_MIN: u16 = 1 << 2;
const RANGE_V6_MAX: u16 = 1 << 3;
const RANGE_PORT_MIN: u16 = 1 << 4;
const RANGE_PORT_MAX: u16 = 1 << 5;

pub(crate) fn read(body: &mut Reader<'_>, depth: usize) -> Result<Action, DecodeError> {
    let flags = body.u16()?;
    if flags & !(COMMIT | FORCE) != 0 {
        return body.undefined(flags);
    }
    let zone = read_zone(body)?;
    let table = body.u8()?;
    body.zeros(3)?;
    let alg = body.u16()?;
    let (nat, exec) = read_within(body, depth)?;
    Ok(Action::Ct(Box::new(Ct {
        commit: flags & COMMIT != 0,
        force: flags & FORCE != 0,
        zone,
        table: (table != NO_TABLE).then_some(TableId(table)),
        alg,
        nat,
        exec,
    })))
}

/// A zone source of 0 says that the word after it is the zone.
fn read_zone(body: &mut Reader<'_>) -> Result<CtZone, DecodeError> {
    if body.clone().u32()? == 0 {
        body.skip(4)?;
        return Ok(CtZone::Number(body.u16()?));
    }
    let field = oxm::read_field(body)?;
    let word = body.u16()?;
    Ok(CtZone::Field(oxm::unpack_bits(field, word)?))
}

/// The nested actions: at most one `nat`, and what `exec` does.
fn read_within(body: &mut Reader<'_>, depth: usize) -> Result<(Option<Nat>, Vec<Action>), DecodeError> {
    let mut nat = None;
    let mut rest = Vec::new();
    while !body.is_empty() {
        let mut header = body.clone();
        let (kind, length) = (header.u16()?, usize::from(header.u16()?));
        let is_nat = kind == EXPERIMENTER && header.u32()? == NICIRA && header.u16()? == NAT;
        let action = body.sub("ct action", length)?;
        if length == 0 {
            return Err(DecodeError::Length { what: "ct action", length });
        }
        if is_nat {
            if nat.replace(read_nat(action)?).is_some() {
                return body.undefined(NAT);
            }
        } else {
            rest.extend(read_nested(action, depth + 1)?);
        }
    }
    Ok((nat, rest))
}

fn read_nat(mut body: Reader<'_>) -> Result<Nat, DecodeError> {
    body = body.named("nat");
    body.skip(10)?;
    body.zeros(2)?;
    let (flags, ranges) = (body.u16()?, body.u16()?);
    let kind = match flags & (NAT_SOURCE | NAT_DESTINATION) {
        0 => None,
        NAT_SOURCE => Some(NatKind::Source),
        NAT_DESTINATION => Some(NatKind::Destination),
        _ => return body.undefined(flags),
    };
    let choice = match flags & (NAT_HASH | NAT_RANDOM) {
        0 => NatChoice::Any,
        NAT_HASH => NatChoice::Hash,
        NAT_RANDOM => NatChoice::Random,
        _ => return body.undefined(flags),
    };
    let addresses = read_addresses(&mut body, ranges)?;
    let ports = read_ports(&mut body, ranges)?;
    body.only_zeros()?;
    Ok(Nat { kind, addresses, ports, persistent: flags & NAT_PERSISTENT != 0, choice })
}

fn read_addresses(body: &mut Reader<'_>, ranges: u16) -> Result<Option<NatAddresses>, DecodeError> {
    let has = |bit| ranges & bit != 0;
    let (v4, v6) = (RANGE_V4_MIN | RANGE_V4_MAX, RANGE_V6_MIN | RANGE_V6_MAX);
    match (has(v4), has(v6)) {
        (false, false) => Ok(None),
        (true, false) if has(RANGE_V4_MIN) => {
            let first = Ipv4Addr::from(body.u32()?);
            let last = if has(RANGE_V4_MAX) { Some(Ipv4Addr::from(body.u32()?)) } else { None };
            Ok(Some(NatAddresses::V4(first, last)))
        }
        (false, true) if has(RANGE_V6_MIN) => {
            let first = Ipv6Addr::from(body.u128()?);
            let last = if has(RANGE_V6_MAX) { Some(Ipv6Addr::from(body.u128()?)) } else { None };
            Ok(Some(NatAddresses::V6(first, last)))
        }
        _ => body.undefined(ranges),
    }
}

fn read_ports(body: &mut Reader<'_>, ranges: u16) -> Result<Option<(u16, Option<u16>)>, DecodeError> {
    match (ranges & RANGE_PORT_MIN != 0, ranges & RANGE_PORT_MAX != 0) {
        (false, false) => Ok(None),
        (true, false) => Ok(Some((body.u16()?, None))),
        (true, true) => Ok(Some((body.u16()?, Some(body.u16()?)))),
        (false, true) => body.undefined(ranges),
    }
}

pub(crate) fn write_action_body(writer: &mut Writer, ct: &Ct) {
    writer.u16(if ct.commit { COMMIT } else { 0 } | if ct.force { FORCE } else { 0 });
    match ct.zone {
        CtZone::Number(zone) => {
            writer.u32(0);
            writer.u16(zone);
        }
        CtZone::Field(part) => {
            oxm::write_field(writer, part.field);
            oxm::write_packed_bits(writer, part);
        }
    }
    writer.u8(ct.table.map_or(NO_TABLE, |table| table.0));
    writer.zeros(3);
    writer.u16(ct.alg);
    if let Some(nat) = &ct.nat {
        write(writer, EXPERIMENTER, |writer| write_nat(writer, nat));
    }
    write_actions(writer, &ct.exec);
}

fn write_nat(writer: &mut Writer, nat: &Nat) {
    let kind = match nat.kind {
        None => 0,
        Some(NatKind::Source) => NAT_SOURCE,
        Some(NatKind::Destination) => NAT_DESTINATION,
    };
    let choice = match nat.choice {
        NatChoice::Any => 0,
        NatChoice::Hash => NAT_HASH,
        NatChoice::Random => NAT_RANDOM,
    };
    let addresses = match nat.addresses {
        None => 0,
        Some(NatAddresses::V4(_, last)) => RANGE_V4_MIN | if last.is_some() { RANGE_V4_MAX } else { 0 },
        Some(NatAddresses::V6(_, last)) => RANGE_V6_MIN | if last.is_some() { RANGE_V6_MAX } else { 0 },
    };
    let ports = match nat.ports {
        None => 0,
        Some((_, last)) => RANGE_PORT_MIN | if last.is_some() { RANGE_PORT_MAX } else { 0 },
    };
    writer.u32(NICIRA);
    writer.u16(NAT);
    writer.zeros(2);
    writer.u16(kind | choice | if nat.persistent { NAT_PERSISTENT } else { 0 });
    writer.u16(addresses | ports);
    write_ranges(writer, nat);
}

fn write_ranges(writer: &mut Writer, nat: &Nat) {
    match nat.addresses {
        None => {}
        Some(NatAddresses::V4(first, last)) => {
            [Some(first), last].into_iter().flatten().for_each(|address| writer.bytes(&address.octets()));
        }
        Some(NatAddresses::V6(first, last)) => {
            [Some(first), last].into_iter().flatten().for_each(|address| writer.bytes(&address.octets()));
        }
    }
    if let Some((first, last)) = nat.ports {
        [Some(first), last].into_iter().flatten().for_each(|port| writer.u16(port));
    }
}
