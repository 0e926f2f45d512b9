//! Matches and fields: OpenFlow 1.5.1, section 7.2.3, and ovs-fields(7), "Fields".

use super::{DecodeError, Reader, Writer};
use crate::field::{OXM_EXPERIMENTER, OxmHeader};
use crate::matching::OpaqueTerm;
use crate::{Field, Match, SubField};

/// `OFPMT_OXM`.
const MATCH_OXM: u16 = 1;
/// Bytes of an experimenter id, which the header's length counts.
const EXPERIMENTER_BYTES: u8 = 4;
/// Longest value this library takes apart; longer tunnel options stay opaque.
const VALUE_BYTES: u8 = 16;

/// A header as read: what it names, whether a mask follows, and the length of value and mask together.
struct Header {
    oxm: OxmHeader,
    masked: bool,
    bytes: u8,
}

fn read_header(reader: &mut Reader<'_>) -> Result<Header, DecodeError> {
    let (class, field, length) = (reader.u16()?, reader.u8()?, reader.u8()?);
    let (number, masked) = (field >> 1, field & 1 == 1);
    if class != OXM_EXPERIMENTER {
        return Ok(Header { oxm: OxmHeader { class, number, experimenter: 0 }, masked, bytes: length });
    }
    let experimenter = reader.u32()?;
    match length.checked_sub(EXPERIMENTER_BYTES) {
        Some(bytes) => Ok(Header { oxm: OxmHeader { class, number, experimenter }, masked, bytes }),
        None => Err(DecodeError::Length { what: "experimenter field", length: usize::from(length) }),
    }
}

fn write_header(writer: &mut Writer, oxm: OxmHeader, masked: bool, bytes: u8) {
    let is_experimenter = oxm.class == OXM_EXPERIMENTER;
    let extra = if is_experimenter { EXPERIMENTER_BYTES } else { 0 };
    writer.u16(oxm.class);
    writer.u8(oxm.number << 1 | u8::from(masked));
    match bytes.checked_add(extra) {
        Some(length) => writer.u8(length),
        None => writer.fail(super::EncodeError::TooLong { what: "field", length: usize::from(bytes) }),
    }
    if is_experimenter {
        writer.u32(oxm.experimenter);
    }
}

/// A field with the value and mask that the wire gives it.
pub(crate) struct Entry {
    pub(crate) field: Field,
    pub(crate) value: u128,
    /// Ones in all bits of the field, where the wire has no mask.
    pub(crate) mask: u128,
    /// Whether the wire has a mask.
    pub(crate) masked: bool,
}

/// A field of a match or an action, or the bytes of one that is not known.
pub(crate) enum Read {
    Known(Entry),
    Opaque(OpaqueTerm),
}

pub(crate) fn read_entry(reader: &mut Reader<'_>) -> Result<Read, DecodeError> {
    let Header { oxm, masked, bytes } = read_header(reader)?;
    if masked && bytes % 2 != 0 {
        return Err(DecodeError::Length { what: "masked field", length: usize::from(bytes) });
    }
    let width = if masked { bytes / 2 } else { bytes };
    match Field::from_header(oxm, width) {
        Some(field) if field.bytes() != width => Err(shape(field, "the width is wrong")),
        Some(field) if width <= VALUE_BYTES => read_known(reader, field, masked).map(Read::Known),
        _ => read_opaque(reader, oxm, masked, width).map(Read::Opaque),
    }
}

fn shape(field: Field, problem: &'static str) -> DecodeError {
    DecodeError::Field { field: field.to_string(), problem }
}

fn read_known(reader: &mut Reader<'_>, field: Field, masked: bool) -> Result<Entry, DecodeError> {
    let width = usize::from(field.bytes());
    let value = reader.number(width)?;
    let mask = if masked { reader.number(width)? } else { field.ones() };
    if !field.is_maskable() && mask != field.ones() {
        return Err(shape(field, "it takes no mask"));
    }
    // OpenFlow 1.5.1, section 7.2.3.5: bits of the value outside the mask are an error (OFPBMC_BAD_WILDCARDS).
    if value & !mask != 0 {
        return Err(shape(field, "the value has bits outside the mask"));
    }
    if mask & !field.ones() != 0 {
        return Err(shape(field, "the mask has bits outside the field"));
    }
    Ok(Entry { field, value, mask, masked })
}

fn read_opaque(
    reader: &mut Reader<'_>,
    header: OxmHeader,
    masked: bool,
    width: u8,
) -> Result<OpaqueTerm, DecodeError> {
    let value = reader.take(usize::from(width))?.to_vec();
    let mask = if masked { Some(reader.take(usize::from(width))?.to_vec()) } else { None };
    Ok(OpaqueTerm { header, value, mask })
}

pub(crate) fn write_entry(writer: &mut Writer, field: Field, value: u128, mask: Option<u128>) {
    let width = field.bytes();
    write_header(
        writer,
        field.header(),
        mask.is_some(),
        if mask.is_some() { width.saturating_mul(2) } else { width },
    );
    writer.number(value, usize::from(width));
    if let Some(mask) = mask {
        writer.number(mask, usize::from(width));
    }
}

fn write_opaque(writer: &mut Writer, term: &OpaqueTerm) {
    let mask = term.mask.as_deref().unwrap_or_default();
    let length = term.value.len().saturating_add(mask.len());
    match u8::try_from(length) {
        Ok(bytes) => write_header(writer, term.header, term.mask.is_some(), bytes),
        Err(_) => writer.fail(super::EncodeError::TooLong { what: "field", length }),
    }
    writer.bytes(&term.value);
    writer.bytes(mask);
}

/// The fields of a match, without a header around them.
pub(crate) fn read_fields(mut reader: Reader<'_>) -> Result<Match, DecodeError> {
    let mut found = Match::new();
    while !reader.is_empty() {
        match read_entry(&mut reader)? {
            // Only a set-field may leave out a tunnel option's zeros, even all of them.
            Read::Known(Entry { field, .. }) if field.bytes() == 0 => {
                return Err(shape(field, "it has no value"));
            }
            Read::Known(Entry { field, value, mask, .. }) => found.insert(field, value, mask),
            Read::Opaque(term) => found.insert_opaque(term),
        }
    }
    Ok(found)
}

pub(crate) fn write_fields(writer: &mut Writer, fields: &Match) {
    for term in fields.terms() {
        write_entry(writer, term.field, term.value, (!term.is_exact()).then_some(term.mask));
    }
    for term in fields.opaque() {
        write_opaque(writer, term);
    }
}

/// `ofp_match`: type, length, fields, padding that the length does not count.
pub(crate) fn read_match(reader: &mut Reader<'_>) -> Result<Match, DecodeError> {
    let (kind, body) = reader.tlv("match")?;
    if kind != MATCH_OXM {
        return body.undefined(kind);
    }
    let length = body.left() + 4;
    let fields = read_fields(body)?;
    reader.zeros(length.next_multiple_of(super::ALIGNMENT) - length)?;
    Ok(fields)
}

pub(crate) fn write_match(writer: &mut Writer, fields: &Match) {
    let mark = writer.begin_tlv("match", MATCH_OXM);
    write_fields(writer, fields);
    writer.end_property(mark);
}

/// The header alone, as actions name fields.
pub(crate) fn read_field(reader: &mut Reader<'_>) -> Result<Field, DecodeError> {
    let Header { oxm, masked, bytes } = read_header(reader)?;
    match Field::from_header(oxm, bytes) {
        Some(field) if !masked && field.bytes() == bytes => Ok(field),
        Some(field) => Err(shape(field, "the header is no plain one")),
        None => Err(DecodeError::UnknownField { header: oxm }),
    }
}

pub(crate) fn write_field(writer: &mut Writer, field: Field) {
    write_header(writer, field.header(), false, field.bytes());
}

/// Some bits of a field, which have to lie within it.
pub(crate) fn bits(field: Field, offset: u16, bits: u16) -> Result<SubField, DecodeError> {
    match offset.checked_add(bits) {
        Some(end) if bits > 0 && end <= field.bits() => Ok(SubField { field, offset, bits }),
        _ => Err(shape(field, "the bits are not within it")),
    }
}

/// Offset and number of bits in one word: `offset << 6 | bits - 1`.
pub(crate) fn write_packed_bits(writer: &mut Writer, part: SubField) {
    let (Some(bits), true) = (part.bits.checked_sub(1).filter(|bits| *bits < 64), part.offset < 1024) else {
        return writer
            .fail(super::EncodeError::Value { what: "number of bits", value: u64::from(part.bits) });
    };
    writer.u16(part.offset << 6 | bits);
}

pub(crate) fn unpack_bits(field: Field, word: u16) -> Result<SubField, DecodeError> {
    bits(field, word >> 6, (word & 0x3f) + 1)
}
