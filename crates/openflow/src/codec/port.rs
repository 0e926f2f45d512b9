//! Ports: OpenFlow 1.5.1, sections 7.2.1, 7.3.5.6 and 7.4.3.

use std::time::Duration;

use super::{DecodeError, Reader, Writer};
use crate::OfPort;
use crate::port::{PortChange, PortConfig, PortDesc, PortState, PortStats, PortStatus};

/// Bytes of a port's name, the last one zero.
const NAME_BYTES: usize = 16;
const ETHERNET: u16 = 0;

pub(crate) fn read_port(reader: &mut Reader<'_>) -> Result<PortDesc, DecodeError> {
    let mut header = reader.clone().named("port");
    let (port, length) = (OfPort(header.u32()?), usize::from(header.u16()?));
    let mut body = reader.sub("port", length)?;
    body.skip(8)?;
    let mac = body.mac()?;
    body.zeros(2)?;
    let name = body.text(NAME_BYTES)?;
    let (config, state) = (PortConfig(body.u32()?), PortState(body.u32()?));
    Ok(PortDesc { port, mac, name, config, state, speed: read_speed(body)? })
}

fn read_speed(mut body: Reader<'_>) -> Result<Option<(u32, u32)>, DecodeError> {
    let mut speed = None;
    while !body.is_empty() {
        let (kind, mut value) = body.property("port property")?;
        if kind == ETHERNET {
            value.zeros(4)?;
            value.skip(16)?;
            speed = Some((value.u32()?, value.u32()?));
            value.finish()?;
        }
    }
    Ok(speed)
}

pub(crate) fn write_port(writer: &mut Writer, port: &PortDesc) {
    let start = writer.len();
    writer.u32(port.port.0);
    let hole = writer.hole("port");
    writer.zeros(2);
    writer.bytes(&port.mac);
    writer.zeros(2);
    // The last byte stays zero; a name is cut where a character ends.
    let cut = port.name.floor_char_boundary(NAME_BYTES - 1);
    let name = port.name.get(..cut).unwrap_or_default();
    writer.bytes(name.as_bytes());
    writer.zeros(NAME_BYTES - name.len());
    writer.u32(port.config.0);
    writer.u32(port.state.0);
    if let Some((now, most)) = port.speed {
        let mark = writer.begin_tlv("port property", ETHERNET);
        writer.zeros(20);
        writer.u32(now);
        writer.u32(most);
        writer.end_property(mark);
    }
    let whole = writer.count_from(hole, start);
    writer.end(whole);
}

pub(crate) fn read_status(mut reader: Reader<'_>) -> Result<PortStatus, DecodeError> {
    let change = match reader.u8()? {
        0 => PortChange::Added,
        1 => PortChange::Deleted,
        2 => PortChange::Modified,
        other => return reader.undefined(other),
    };
    reader.zeros(7)?;
    let port = read_port(&mut reader)?;
    reader.finish()?;
    Ok(PortStatus { change, port })
}

pub(crate) fn write_status(writer: &mut Writer, status: &PortStatus) {
    writer.u8(match status.change {
        PortChange::Added => 0,
        PortChange::Deleted => 1,
        PortChange::Modified => 2,
    });
    writer.zeros(7);
    write_port(writer, &status.port);
}

pub(crate) fn read_stats(reader: &mut Reader<'_>) -> Result<PortStats, DecodeError> {
    let mut body = reader.sized("port statistics")?;
    body.zeros(2)?;
    let port = OfPort(body.u32()?);
    let duration = read_duration(&mut body)?;
    // Properties follow: counters of single kinds of ports, of no use to a controller.
    Ok(PortStats {
        port,
        duration,
        rx_packets: body.u64()?,
        tx_packets: body.u64()?,
        rx_bytes: body.u64()?,
        tx_bytes: body.u64()?,
        rx_dropped: body.u64()?,
        tx_dropped: body.u64()?,
        rx_errors: body.u64()?,
        tx_errors: body.u64()?,
    })
}

pub(crate) fn write_stats(writer: &mut Writer, stats: &PortStats) {
    let mark = writer.begin("port statistics");
    writer.zeros(2);
    writer.u32(stats.port.0);
    write_duration(writer, stats.duration);
    let counters = [
        stats.rx_packets,
        stats.tx_packets,
        stats.rx_bytes,
        stats.tx_bytes,
        stats.rx_dropped,
        stats.tx_dropped,
        stats.rx_errors,
        stats.tx_errors,
    ];
    counters.into_iter().for_each(|counter| writer.u64(counter));
    writer.end(mark);
}

/// Seconds and nanoseconds. A number of nanoseconds above a second is an error, not a carry.
pub(crate) fn read_duration(reader: &mut Reader<'_>) -> Result<Duration, DecodeError> {
    let (seconds, nanoseconds) = (reader.u32()?, reader.u32()?);
    if nanoseconds >= 1_000_000_000 {
        return reader.undefined(nanoseconds);
    }
    Ok(Duration::new(u64::from(seconds), nanoseconds))
}

pub(crate) fn write_duration(writer: &mut Writer, duration: Duration) {
    writer.u32(u32::try_from(duration.as_secs()).unwrap_or(u32::MAX));
    writer.u32(duration.subsec_nanos());
}
