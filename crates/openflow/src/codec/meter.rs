//! Meters: OpenFlow 1.5.1, section 7.3.4.5.

use super::{DecodeError, Reader, Writer};
use crate::MeterId;
use crate::command::MeterMod;
use crate::meter::{Band, BandKind, Meter, MeterUnit};

const ADD: u16 = 0;
const MODIFY: u16 = 1;
const DELETE: u16 = 2;

const KBPS: u16 = 1;
const PKTPS: u16 = 1 << 1;
const BURST: u16 = 1 << 2;
const STATS: u16 = 1 << 3;

const BAND_DROP: u16 = 1;
const BAND_DSCP: u16 = 2;

pub(crate) fn read_meter_mod(mut reader: Reader<'_>) -> Result<MeterMod, DecodeError> {
    let command = reader.u16()?;
    if command == DELETE {
        reader.skip(2)?;
        let id = MeterId(reader.u32()?);
        reader.finish()?;
        return Ok(MeterMod::Delete(id));
    }
    let meter = read_meter(reader.clone())?;
    match command {
        ADD => Ok(MeterMod::Add(meter)),
        MODIFY => Ok(MeterMod::Modify(meter)),
        other => reader.undefined(other),
    }
}

/// From the flags on: flags, number, bands.
fn read_meter(mut body: Reader<'_>) -> Result<Meter, DecodeError> {
    let (flags, id) = (body.u16()?, MeterId(body.u32()?));
    let unit = match flags & (KBPS | PKTPS) {
        PKTPS => MeterUnit::Pktps,
        // A meter that says nothing counts kilobits (OpenFlow 1.5.1, section 7.3.4.5).
        0 | KBPS => MeterUnit::Kbps,
        _ => return body.undefined(flags),
    };
    let bands = body.all(read_band)?;
    Ok(Meter { id, unit, stats: flags & STATS != 0, burst: flags & BURST != 0, bands })
}

fn read_band(reader: &mut Reader<'_>) -> Result<Band, DecodeError> {
    let (kind, mut body) = reader.tlv("meter band")?;
    let (rate, burst) = (body.u32()?, body.u32()?);
    let kind = match kind {
        BAND_DROP => {
            body.zeros(4)?;
            BandKind::Drop
        }
        BAND_DSCP => {
            let level = body.u8()?;
            body.zeros(3)?;
            BandKind::DscpRemark(level)
        }
        other => return body.undefined(other),
    };
    body.finish()?;
    Ok(Band { kind, rate, burst })
}

pub(crate) fn write_meter_mod(writer: &mut Writer, command: &MeterMod) {
    match command {
        MeterMod::Add(meter) => {
            writer.u16(ADD);
            write_meter(writer, meter);
        }
        MeterMod::Modify(meter) => {
            writer.u16(MODIFY);
            write_meter(writer, meter);
        }
        MeterMod::Delete(id) => {
            writer.u16(DELETE);
            writer.zeros(2);
            writer.u32(id.0);
        }
    }
}

fn write_meter(writer: &mut Writer, meter: &Meter) {
    let unit = match meter.unit {
        MeterUnit::Kbps => KBPS,
        MeterUnit::Pktps => PKTPS,
    };
    writer.u16(unit | if meter.burst { BURST } else { 0 } | if meter.stats { STATS } else { 0 });
    writer.u32(meter.id.0);
    meter.bands.iter().for_each(|band| write_band(writer, band));
}

fn write_band(writer: &mut Writer, band: &Band) {
    let (kind, level) = match band.kind {
        BandKind::Drop => (BAND_DROP, 0),
        BandKind::DscpRemark(level) => (BAND_DSCP, level),
    };
    let mark = writer.begin_tlv("meter band", kind);
    writer.u32(band.rate);
    writer.u32(band.burst);
    writer.u8(level);
    writer.zeros(3);
    writer.end(mark);
}

/// One meter of a configuration reply.
pub(crate) fn read_config(reader: &mut Reader<'_>) -> Result<Meter, DecodeError> {
    read_meter(reader.sized("meter configuration")?)
}

pub(crate) fn write_config(writer: &mut Writer, meter: &Meter) {
    let mark = writer.begin("meter configuration");
    write_meter(writer, meter);
    writer.end(mark);
}
