//! Values, masks and parts of fields.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::field::Format;
use crate::{Field, OfPort, SubField};

/// A field's value, with a mask where not all of it counts.
pub(crate) struct Masked {
    pub(crate) field: Field,
    pub(crate) value: u128,
    pub(crate) mask: u128,
}

impl fmt::Display for Masked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.mask == self.field.ones() {
            return write_plain(f, self.field, self.value);
        }
        match self.field.format() {
            Format::Ipv4 | Format::Ipv6 | Format::Ethernet => {
                write_plain(f, self.field, self.value)?;
                f.write_str("/")?;
                write_plain(f, self.field, self.mask)
            }
            _ => write!(f, "{:#x}/{:#x}", self.value, self.mask),
        }
    }
}

fn write_plain(f: &mut fmt::Formatter<'_>, field: Field, value: u128) -> fmt::Result {
    let word = u32::try_from(value & 0xffff_ffff).unwrap_or_default();
    match field.format() {
        Format::Ethernet => write_mac(f, value),
        Format::Ipv4 => write!(f, "{}", Ipv4Addr::from(word)),
        Format::Ipv6 => write!(f, "{}", Ipv6Addr::from(value)),
        Format::Port if field == Field::InPortNxm => {
            write!(f, "{}", u16::try_from(word & 0xffff).map_or(OfPort::ANY, OfPort::from_u16))
        }
        Format::Port => write!(f, "{}", OfPort(word)),
        Format::Decimal => write!(f, "{value}"),
        Format::Hexadecimal | Format::Fragment => write!(f, "{value:#x}"),
    }
}

fn write_mac(f: &mut fmt::Formatter<'_>, value: u128) -> fmt::Result {
    (0..6u32).rev().try_for_each(|place| {
        let separator = if place == 0 { "" } else { ":" };
        write!(f, "{:02x}{separator}", (value >> (place * 8)) & 0xff)
    })
}

impl fmt::Display for SubField {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { field, offset, bits } = *self;
        match (offset, bits) {
            (0, bits) if bits == field.bits() => write!(f, "{field}[]"),
            (offset, 1) => write!(f, "{field}[{offset}]"),
            (offset, bits) => write!(f, "{field}[{offset}..{}]", u32::from(offset) + u32::from(bits) - 1),
        }
    }
}
