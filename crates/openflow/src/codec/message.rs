//! Whole messages: header, type, body.

use super::{DecodeError, Reader, Writer, flow_mod, group, meter, multipart, nicira, packet, port};
use crate::error_message::{self, ErrorMessage};
use crate::message::{
    AsyncConfig, BundleControl, BundleControlKind, BundleFlags, Features, Frame, HEADER_BYTES, Hello,
    Message, Role, SwitchConfig, VERSION,
};
use crate::{BundleId, Dpid, Xid};

const HELLO: u8 = 0;
const ERROR: u8 = 1;
const ECHO_REQUEST: u8 = 2;
const ECHO_REPLY: u8 = 3;
const EXPERIMENTER: u8 = 4;
const FEATURES_REQUEST: u8 = 5;
const FEATURES_REPLY: u8 = 6;
const SET_CONFIG: u8 = 9;
const PACKET_IN: u8 = 10;
const FLOW_REMOVED: u8 = 11;
const PORT_STATUS: u8 = 12;
const PACKET_OUT: u8 = 13;
const FLOW_MOD: u8 = 14;
const GROUP_MOD: u8 = 15;
const MULTIPART_REQUEST: u8 = 18;
const MULTIPART_REPLY: u8 = 19;
const BARRIER_REQUEST: u8 = 20;
const BARRIER_REPLY: u8 = 21;
const ROLE_REQUEST: u8 = 24;
const ROLE_REPLY: u8 = 25;
const SET_ASYNC: u8 = 28;
const METER_MOD: u8 = 29;
const ROLE_STATUS: u8 = 30;
const BUNDLE_CONTROL: u8 = 33;
const BUNDLE_ADD: u8 = 34;

/// Element of a hello that holds the versions' bits.
const VERSION_BITMAP: u16 = 1;

pub(crate) fn read(mut reader: Reader<'_>) -> Result<Frame, DecodeError> {
    let whole = reader.left();
    let (version, kind, length) = (reader.u8()?, reader.u8()?, usize::from(reader.u16()?));
    if length < HEADER_BYTES {
        return Err(DecodeError::Length { what: "message", length });
    }
    if length < whole {
        return Err(DecodeError::Trailing { what: "message", left: whole - length });
    }
    if length > whole {
        return Err(DecodeError::Truncated { what: "message", needed: length, left: whole });
    }
    let xid = Xid(reader.u32()?);
    // A hello comes in the sender's highest version, and so may the error that refuses ours.
    if version != VERSION && kind != HELLO && kind != ERROR {
        return Err(DecodeError::Version { version });
    }
    let message =
        if kind == HELLO { Message::Hello(read_hello(version, reader)?) } else { read_body(kind, reader)? };
    Ok(Frame { xid, message })
}

fn read_body(kind: u8, mut reader: Reader<'_>) -> Result<Message, DecodeError> {
    let message = match kind {
        ERROR => return read_error(reader).map(Message::Error),
        ECHO_REQUEST => Message::EchoRequest(reader.rest().to_vec()),
        ECHO_REPLY => Message::EchoReply(reader.rest().to_vec()),
        EXPERIMENTER => {
            let found = nicira::read(reader.clone())?;
            let body = reader.rest();
            found.unwrap_or_else(|| Message::Other { kind, body: body.to_vec() })
        }
        FEATURES_REQUEST => Message::FeaturesRequest,
        FEATURES_REPLY => Message::FeaturesReply(read_features(&mut reader)?),
        SET_CONFIG => {
            Message::SetConfig(SwitchConfig { flags: reader.u16()?, miss_send_length: reader.u16()? })
        }
        PACKET_IN => return packet::read_packet_in(reader).map(|found| Message::PacketIn(Box::new(found))),
        FLOW_REMOVED => {
            return packet::read_flow_removed(reader).map(|found| Message::FlowRemoved(Box::new(found)));
        }
        PORT_STATUS => return port::read_status(reader).map(Message::PortStatus),
        PACKET_OUT => return packet::read_packet_out(reader).map(Message::PacketOut),
        FLOW_MOD => return flow_mod::read_flow_mod(reader).map(Message::FlowMod),
        GROUP_MOD => return group::read_group_mod(reader).map(Message::GroupMod),
        METER_MOD => return meter::read_meter_mod(reader).map(Message::MeterMod),
        MULTIPART_REQUEST => return multipart::read_request(reader).map(Message::MultipartRequest),
        MULTIPART_REPLY => {
            return multipart::read_reply(reader)
                .map(|(more, reply)| Message::MultipartReply { more, reply });
        }
        BARRIER_REQUEST => Message::BarrierRequest,
        BARRIER_REPLY => Message::BarrierReply,
        ROLE_REQUEST => Message::RoleRequest(read_role(&mut reader)?),
        ROLE_REPLY => Message::RoleReply(read_role(&mut reader)?),
        ROLE_STATUS => read_role_status(&mut reader)?,
        SET_ASYNC => return read_async(reader).map(Message::SetAsync),
        BUNDLE_CONTROL => return read_bundle_control(reader).map(Message::BundleControl),
        BUNDLE_ADD => return read_bundle_add(reader),
        kind => Message::Other { kind, body: reader.rest().to_vec() },
    };
    reader.finish()?;
    Ok(message)
}

pub(crate) fn write(writer: &mut Writer, xid: Xid, message: &Message) {
    let start = writer.len();
    writer.u8(match message {
        Message::Hello(hello) => hello.version,
        _ => VERSION,
    });
    writer.u8(kind(message));
    let hole = writer.hole("message");
    writer.u32(xid.0);
    write_body(writer, xid, message);
    let whole = writer.count_from(hole, start);
    writer.end(whole);
}

fn kind(message: &Message) -> u8 {
    match message {
        Message::Hello(_) => HELLO,
        Message::Error(_) => ERROR,
        Message::EchoRequest(_) => ECHO_REQUEST,
        Message::EchoReply(_) => ECHO_REPLY,
        Message::FeaturesRequest => FEATURES_REQUEST,
        Message::FeaturesReply(_) => FEATURES_REPLY,
        Message::SetConfig(_) => SET_CONFIG,
        Message::FlowRemoved(_) => FLOW_REMOVED,
        Message::PortStatus(_) => PORT_STATUS,
        Message::PacketOut(_) => PACKET_OUT,
        Message::FlowMod(_) => FLOW_MOD,
        Message::GroupMod(_) => GROUP_MOD,
        Message::MeterMod(_) => METER_MOD,
        Message::MultipartRequest(_) => MULTIPART_REQUEST,
        Message::MultipartReply { .. } => MULTIPART_REPLY,
        Message::BarrierRequest => BARRIER_REQUEST,
        Message::BarrierReply => BARRIER_REPLY,
        Message::RoleRequest(_) => ROLE_REQUEST,
        Message::RoleReply(_) => ROLE_REPLY,
        Message::RoleStatus { .. } => ROLE_STATUS,
        Message::SetAsync(_) => SET_ASYNC,
        Message::BundleControl(_) => BUNDLE_CONTROL,
        Message::BundleAdd { .. } => BUNDLE_ADD,
        Message::Other { kind, .. } => *kind,
        Message::PacketIn(_)
        | Message::TlvTableMod(_)
        | Message::TlvTableRequest
        | Message::TlvTableReply(_)
        | Message::SetControllerId(_)
        | Message::SetPacketInFormat(_)
        | Message::CtFlush(_) => EXPERIMENTER,
    }
}

fn write_body(writer: &mut Writer, xid: Xid, message: &Message) {
    match message {
        Message::Hello(hello) => write_hello(writer, hello),
        Message::Error(error) => write_error(writer, error),
        Message::EchoRequest(bytes) | Message::EchoReply(bytes) => writer.bytes(bytes),
        Message::FeaturesRequest | Message::BarrierRequest | Message::BarrierReply => {}
        Message::FeaturesReply(features) => write_features(writer, features),
        Message::SetConfig(config) => {
            writer.u16(config.flags);
            writer.u16(config.miss_send_length);
        }
        Message::FlowRemoved(removed) => packet::write_flow_removed(writer, removed),
        Message::PortStatus(status) => port::write_status(writer, status),
        Message::PacketOut(packet) => packet::write_packet_out(writer, packet),
        Message::FlowMod(command) => flow_mod::write_flow_mod(writer, command),
        Message::GroupMod(command) => group::write_group_mod(writer, command),
        Message::MeterMod(command) => meter::write_meter_mod(writer, command),
        Message::MultipartRequest(request) => multipart::write_request(writer, request),
        Message::MultipartReply { more, reply } => multipart::write_reply(writer, *more, reply),
        Message::RoleRequest(role) | Message::RoleReply(role) => write_role(writer, *role),
        Message::RoleStatus { role, reason } => {
            writer.u32(role.role);
            writer.u8(*reason);
            writer.zeros(3);
            writer.u64(role.generation);
        }
        Message::SetAsync(config) => write_async(writer, config),
        Message::BundleControl(control) => write_bundle_control(writer, control),
        Message::BundleAdd { bundle, flags, message } => {
            writer.u32(bundle.0);
            writer.zeros(2);
            writer.u16(flags.0);
            write(writer, xid, message);
        }
        Message::Other { body, .. } => writer.bytes(body),
        nicira => nicira::write(writer, nicira),
    }
}

fn read_hello(version: u8, mut reader: Reader<'_>) -> Result<Hello, DecodeError> {
    let mut versions = None;
    while !reader.is_empty() {
        let (kind, mut element) = reader.tlv("hello element")?;
        if kind == VERSION_BITMAP {
            versions = Some(element.u32()?);
        }
        // The last element's padding may be missing: OpenFlow 1.5.1, section 7.5.1, pads, others do not.
        if !reader.is_empty() {
            reader.align()?;
        }
    }
    Ok(Hello { version, versions })
}

fn write_hello(writer: &mut Writer, hello: &Hello) {
    if let Some(versions) = hello.versions {
        writer.property_u32("hello element", VERSION_BITMAP, versions);
    }
}

fn read_error(mut reader: Reader<'_>) -> Result<ErrorMessage, DecodeError> {
    let (kind, code) = (reader.u16()?, reader.u16()?);
    let experimenter = if kind == error_message::EXPERIMENTER { Some(reader.u32()?) } else { None };
    Ok(ErrorMessage { kind, code, experimenter, data: reader.rest().to_vec() })
}

fn write_error(writer: &mut Writer, error: &ErrorMessage) {
    writer.u16(error.kind);
    writer.u16(error.code);
    error.experimenter.iter().for_each(|experimenter| writer.u32(*experimenter));
    writer.bytes(&error.data);
}

fn read_features(reader: &mut Reader<'_>) -> Result<Features, DecodeError> {
    let (dpid, buffers, tables, auxiliary) = (Dpid(reader.u64()?), reader.u32()?, reader.u8()?, reader.u8()?);
    reader.zeros(2)?;
    let capabilities = reader.u32()?;
    reader.skip(4)?;
    Ok(Features { dpid, buffers, tables, auxiliary, capabilities })
}

fn write_features(writer: &mut Writer, features: &Features) {
    writer.u64(features.dpid.0);
    writer.u32(features.buffers);
    writer.u8(features.tables);
    writer.u8(features.auxiliary);
    writer.zeros(2);
    writer.u32(features.capabilities);
    writer.zeros(4);
}

fn read_role(reader: &mut Reader<'_>) -> Result<Role, DecodeError> {
    let role = reader.u32()?;
    reader.skip(4)?;
    Ok(Role { role, generation: reader.u64()? })
}

fn write_role(writer: &mut Writer, role: Role) {
    writer.u32(role.role);
    writer.zeros(4);
    writer.u64(role.generation);
}

fn read_role_status(reader: &mut Reader<'_>) -> Result<Message, DecodeError> {
    let (role, reason) = (reader.u32()?, reader.u8()?);
    reader.zeros(3)?;
    let generation = reader.u64()?;
    reader.rest();
    Ok(Message::RoleStatus { role: Role { role, generation }, reason })
}

/// Properties come in pairs: of a secondary controller, and of any other. Only the latter are ours.
fn read_async(mut reader: Reader<'_>) -> Result<AsyncConfig, DecodeError> {
    let mut config = AsyncConfig::default();
    while !reader.is_empty() {
        let (kind, mut value) = reader.property("async property")?;
        match kind {
            1 => config.packet_in = Some(value.u32()?),
            3 => config.port_status = Some(value.u32()?),
            5 => config.flow_removed = Some(value.u32()?),
            7 => config.role_status = Some(value.u32()?),
            _ => {
                value.rest();
            }
        }
        value.finish()?;
    }
    Ok(config)
}

fn write_async(writer: &mut Writer, config: &AsyncConfig) {
    let masks =
        [(1, config.packet_in), (3, config.port_status), (5, config.flow_removed), (7, config.role_status)];
    for (kind, mask) in masks {
        if let Some(mask) = mask {
            writer.property_u32("async property", kind, mask);
        }
    }
}

const BUNDLE_KINDS: [BundleControlKind; 8] = [
    BundleControlKind::OpenRequest,
    BundleControlKind::OpenReply,
    BundleControlKind::CloseRequest,
    BundleControlKind::CloseReply,
    BundleControlKind::CommitRequest,
    BundleControlKind::CommitReply,
    BundleControlKind::DiscardRequest,
    BundleControlKind::DiscardReply,
];

fn read_bundle_control(mut reader: Reader<'_>) -> Result<BundleControl, DecodeError> {
    let (bundle, kind, flags) = (BundleId(reader.u32()?), reader.u16()?, BundleFlags(reader.u16()?));
    let Some(kind) = BUNDLE_KINDS.get(usize::from(kind)).copied() else {
        return reader.undefined(kind);
    };
    skip_properties(reader)?;
    Ok(BundleControl { bundle, kind, flags })
}

/// Properties of bundles are all of experimenters.
fn skip_properties(mut reader: Reader<'_>) -> Result<(), DecodeError> {
    while !reader.is_empty() {
        reader.property("bundle property")?;
    }
    Ok(())
}

fn write_bundle_control(writer: &mut Writer, control: &BundleControl) {
    let kind = BUNDLE_KINDS.iter().position(|kind| *kind == control.kind);
    writer.u32(control.bundle.0);
    writer.count("bundle control", kind.unwrap_or_default());
    writer.u16(control.flags.0);
}

/// A bundle within a bundle is refused: OpenFlow 1.5.1, section 7.3.9.5, allows modifications only.
fn read_bundle_add(mut reader: Reader<'_>) -> Result<Message, DecodeError> {
    let bundle = BundleId(reader.u32()?);
    reader.zeros(2)?;
    let flags = BundleFlags(reader.u16()?);
    let mut header = reader.clone();
    let (_, kind, length) = (header.u8()?, header.u8()?, usize::from(header.u16()?));
    if kind == BUNDLE_ADD {
        return reader.undefined(kind);
    }
    let message = read(reader.sub("bundled message", length)?)?.message;
    if !reader.is_empty() {
        reader.align()?;
    }
    skip_properties(reader)?;
    Ok(Message::BundleAdd { bundle, flags, message: Box::new(message) })
}
