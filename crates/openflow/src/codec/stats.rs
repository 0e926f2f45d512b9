//! Flow statistics in extensible form: OpenFlow 1.5.1, section 7.2.4.

use super::port::{read_duration, write_duration};
use super::{DecodeError, Reader, Writer};
use crate::multipart::FlowCounters;

/// Class of the standard statistics.
const OXS: u16 = 0x8002;
const DURATION: u8 = 0;
const IDLE_TIME: u8 = 1;
const FLOW_COUNT: u8 = 3;
const PACKET_COUNT: u8 = 4;
const BYTE_COUNT: u8 = 5;

pub(crate) fn read_counters(reader: &mut Reader<'_>) -> Result<FlowCounters, DecodeError> {
    let (reserved, mut body) = reader.tlv("statistics")?;
    if reserved != 0 {
        return body.undefined(reserved);
    }
    let length = body.left() + 4;
    let mut found = FlowCounters::default();
    while !body.is_empty() {
        let (class, field, length) = (body.u16()?, body.u8()?, usize::from(body.u8()?));
        let mut value = body.sub("statistic", length)?;
        match (class, field >> 1) {
            (OXS, DURATION) => found.duration = Some(read_duration(&mut value)?),
            (OXS, IDLE_TIME) => found.idle = Some(read_duration(&mut value)?),
            (OXS, FLOW_COUNT) => found.flows = Some(value.u32()?),
            (OXS, PACKET_COUNT) => found.packets = Some(value.u64()?),
            (OXS, BYTE_COUNT) => found.bytes = Some(value.u64()?),
            // A counter that is not known does not change what the others mean.
            _ => value.skip(length)?,
        }
        value.finish()?;
    }
    reader.zeros(length.next_multiple_of(super::ALIGNMENT) - length)?;
    Ok(found)
}

pub(crate) fn write_counters(writer: &mut Writer, counters: &FlowCounters) {
    let mark = writer.begin_tlv("statistics", 0);
    if let Some(duration) = counters.duration {
        header(writer, DURATION, 8);
        write_duration(writer, duration);
    }
    if let Some(idle) = counters.idle {
        header(writer, IDLE_TIME, 8);
        write_duration(writer, idle);
    }
    if let Some(packets) = counters.packets {
        header(writer, PACKET_COUNT, 8);
        writer.u64(packets);
    }
    if let Some(bytes) = counters.bytes {
        header(writer, BYTE_COUNT, 8);
        writer.u64(bytes);
    }
    if let Some(flows) = counters.flows {
        header(writer, FLOW_COUNT, 4);
        writer.u32(flows);
    }
    writer.end_property(mark);
}

fn header(writer: &mut Writer, field: u8, length: u8) {
    writer.u16(OXS);
    writer.u8(field << 1);
    writer.u8(length);
}
