//! Experimenter messages of Open vSwitch: tunnel options, packet-in format, connection tracking.

use std::net::{IpAddr, Ipv6Addr};

use super::{DecodeError, NICIRA, Reader, Writer, packet};
use crate::message::Message;
use crate::nicira::{CtFlush, CtTuple, TlvMapping, TlvTable, TlvTableMod};

const SET_PACKET_IN_FORMAT: u32 = 16;
const SET_CONTROLLER_ID: u32 = 20;
const TLV_TABLE_MOD: u32 = 24;
const TLV_TABLE_REQUEST: u32 = 25;
const TLV_TABLE_REPLY: u32 = 26;
const PACKET_IN2: u32 = 30;
const CT_FLUSH: u32 = 32;

const TLV_ADD: u16 = 0;
const TLV_DELETE: u16 = 1;
const TLV_CLEAR: u16 = 2;

const ORIGINAL: u16 = 0;
const REPLY: u16 = 1;
const ZONE: u16 = 2;
const SOURCE: u16 = 0;
const DESTINATION: u16 = 1;
const SOURCE_PORT: u16 = 2;
const DESTINATION_PORT: u16 = 3;

/// `None` for a message that is not known.
pub(crate) fn read(mut reader: Reader<'_>) -> Result<Option<Message>, DecodeError> {
    if reader.u32()? != NICIRA {
        return Ok(None);
    }
    let message = match reader.u32()? {
        SET_PACKET_IN_FORMAT => Message::SetPacketInFormat(reader.u32()?),
        SET_CONTROLLER_ID => {
            reader.zeros(6)?;
            Message::SetControllerId(reader.u16()?)
        }
        TLV_TABLE_MOD => return read_tlv_mod(reader).map(|found| Some(Message::TlvTableMod(found))),
        TLV_TABLE_REQUEST => Message::TlvTableRequest,
        TLV_TABLE_REPLY => return read_tlv_table(reader).map(|found| Some(Message::TlvTableReply(found))),
        PACKET_IN2 => {
            return packet::read_packet_in2(reader).map(|found| Some(Message::PacketIn(Box::new(found))));
        }
        CT_FLUSH => return read_ct_flush(reader).map(|found| Some(Message::CtFlush(found))),
        _ => return Ok(None),
    };
    reader.finish()?;
    Ok(Some(message))
}

/// Writes what follows the header. Other messages never come here.
pub(crate) fn write(writer: &mut Writer, message: &Message) {
    writer.u32(NICIRA);
    match message {
        Message::SetPacketInFormat(format) => {
            writer.u32(SET_PACKET_IN_FORMAT);
            writer.u32(*format);
        }
        Message::SetControllerId(id) => {
            writer.u32(SET_CONTROLLER_ID);
            writer.zeros(6);
            writer.u16(*id);
        }
        Message::TlvTableMod(command) => write_tlv_mod(writer, command),
        Message::TlvTableReply(table) => write_tlv_table(writer, table),
        Message::PacketIn(packet) => {
            writer.u32(PACKET_IN2);
            packet::write_packet_in2(writer, packet);
        }
        Message::CtFlush(flush) => write_ct_flush(writer, flush),
        Message::TlvTableRequest => writer.u32(TLV_TABLE_REQUEST),
        standard => unreachable!("{standard:?} has a type of its own"),
    }
}

fn read_mapping(reader: &mut Reader<'_>) -> Result<TlvMapping, DecodeError> {
    let (class, kind, bytes, index) = (reader.u16()?, reader.u8()?, reader.u8()?, reader.u16()?);
    reader.zeros(2)?;
    Ok(TlvMapping { class, kind, bytes, index })
}

fn write_mapping(writer: &mut Writer, mapping: &TlvMapping) {
    writer.u16(mapping.class);
    writer.u8(mapping.kind);
    writer.u8(mapping.bytes);
    writer.u16(mapping.index);
    writer.zeros(2);
}

fn read_tlv_mod(mut reader: Reader<'_>) -> Result<TlvTableMod, DecodeError> {
    let command = reader.u16()?;
    reader.zeros(6)?;
    let mappings = reader.clone().all(read_mapping)?;
    match command {
        TLV_ADD => Ok(TlvTableMod::Add(mappings)),
        TLV_DELETE => Ok(TlvTableMod::Delete(mappings)),
        TLV_CLEAR => Ok(TlvTableMod::Clear),
        other => reader.undefined(other),
    }
}

fn write_tlv_mod(writer: &mut Writer, command: &TlvTableMod) {
    let (number, mappings) = match command {
        TlvTableMod::Add(mappings) => (TLV_ADD, mappings.as_slice()),
        TlvTableMod::Delete(mappings) => (TLV_DELETE, mappings.as_slice()),
        TlvTableMod::Clear => (TLV_CLEAR, [].as_slice()),
    };
    writer.u32(TLV_TABLE_MOD);
    writer.u16(number);
    writer.zeros(6);
    mappings.iter().for_each(|mapping| write_mapping(writer, mapping));
}

fn read_tlv_table(mut reader: Reader<'_>) -> Result<TlvTable, DecodeError> {
    let (max_space, max_fields) = (reader.u32()?, reader.u16()?);
    reader.skip(10)?;
    Ok(TlvTable { max_space, max_fields, mappings: reader.all(read_mapping)? })
}

fn write_tlv_table(writer: &mut Writer, table: &TlvTable) {
    writer.u32(TLV_TABLE_REPLY);
    writer.u32(table.max_space);
    writer.u16(table.max_fields);
    writer.zeros(10);
    table.mappings.iter().for_each(|mapping| write_mapping(writer, mapping));
}

fn read_ct_flush(mut reader: Reader<'_>) -> Result<CtFlush, DecodeError> {
    let mut flush = CtFlush { ip_proto: reader.u8()?, ..CtFlush::default() };
    reader.zeros(7)?;
    while !reader.is_empty() {
        let (kind, mut value) = reader.property("ct-flush property")?;
        match kind {
            ORIGINAL => flush.original = Some(read_tuple(value)?),
            REPLY => flush.reply = Some(read_tuple(value)?),
            ZONE => {
                flush.zone = Some(value.u16()?);
                value.only_zeros()?;
            }
            other => return value.undefined(other),
        }
    }
    Ok(flush)
}

fn read_tuple(mut reader: Reader<'_>) -> Result<CtTuple, DecodeError> {
    let mut tuple = CtTuple::default();
    // The tuple's own header takes eight bytes, so that its properties are aligned.
    reader.zeros(4)?;
    while !reader.is_empty() {
        let (kind, mut value) = reader.property("ct-flush tuple")?;
        match kind {
            SOURCE => tuple.source = Some(Ipv6Addr::from(value.u128()?).to_canonical()),
            DESTINATION => tuple.destination = Some(Ipv6Addr::from(value.u128()?).to_canonical()),
            SOURCE_PORT => tuple.source_port = Some(value.u16()?),
            DESTINATION_PORT => tuple.destination_port = Some(value.u16()?),
            other => return value.undefined(other),
        }
        value.only_zeros()?;
    }
    Ok(tuple)
}

fn write_ct_flush(writer: &mut Writer, flush: &CtFlush) {
    writer.u32(CT_FLUSH);
    writer.u8(flush.ip_proto);
    writer.zeros(7);
    for (kind, tuple) in [(ORIGINAL, flush.original), (REPLY, flush.reply)] {
        if let Some(tuple) = tuple {
            write_tuple(writer, kind, tuple);
        }
    }
    if let Some(zone) = flush.zone {
        writer.property_u32("ct-flush zone", ZONE, u32::from(zone) << 16);
    }
}

/// Addresses are IPv6, those of IPv4 mapped into it (RFC 4291, section 2.5.5.2).
fn write_tuple(writer: &mut Writer, kind: u16, tuple: CtTuple) {
    let mark = writer.begin_tlv("ct-flush tuple", kind);
    writer.zeros(4);
    for (kind, address) in [(SOURCE, tuple.source), (DESTINATION, tuple.destination)] {
        let Some(address) = address else { continue };
        let address = match address {
            IpAddr::V4(address) => address.to_ipv6_mapped(),
            IpAddr::V6(address) => address,
        };
        let inner = writer.begin_tlv("ct-flush address", kind);
        writer.bytes(&address.octets());
        writer.end_property(inner);
    }
    for (kind, port) in [(SOURCE_PORT, tuple.source_port), (DESTINATION_PORT, tuple.destination_port)] {
        if let Some(port) = port {
            writer.property_u32("ct-flush port", kind, u32::from(port) << 16);
        }
    }
    writer.end_property(mark);
}
