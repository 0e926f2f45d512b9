//! Frames that say what a packet says, and say it unusually: with IP options, extension headers, padding, tags of another type, or
//! overlapping fragments.
//!
//! A form is given to what is sent and to what is expected alike, so whatever a switch does must keep it.

use serde::{Deserialize, Serialize};

/// Where an untagged frame says what it holds, and the types that this may be (IEEE 802).
const ETHER_TYPE: usize = 12;
const TAG: [u8; 2] = [0x81, 0x00];
const SERVICE_TAG: [u8; 2] = [0x88, 0xa8];
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];

/// Headers without options (RFC 791, section 3.1; RFC 8200, section 3).
const IPV4_HEADER: usize = 20;
const IPV6_HEADER: usize = 40;

/// A loose source route to nowhere: type, length, pointer behind its end, one address (RFC 791, section 3.1), and the end.
const OPTIONS: [u8; 8] = [131, 7, 8, 192, 0, 2, 1, 0];

/// Number of the header of destination options, and its six bytes of padding (RFC 8200, sections 4.2 and 4.6).
const DESTINATION_OPTIONS: u8 = 60;
const PADDING: [u8; 6] = [1, 4, 0, 0, 0, 0];

/// Bytes behind what an IP packet says is its end.
const TRAILER: [u8; 9] = [0xee; 9];

/// How a frame is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Form {
    /// As everybody does.
    #[default]
    Plain,
    /// IPv4 with options.
    Options,
    /// IPv6 with a header between its own and what it carries.
    Extended,
    /// With bytes behind the packet's end.
    Padded,
    /// With other tags behind the first than those that packets have (IEEE 802.1Q, section 9.6).
    ServiceTagged,
    /// A later IPv4 fragment that begins within the first one's transport header (RFC 1858, section 4).
    Overlapping,
}

impl Form {
    /// The frame in this form, as far as it can have it.
    pub(crate) fn of(self, mut frame: Vec<u8>) -> Vec<u8> {
        let mut place = ETHER_TYPE;
        while frame[place..].starts_with(&TAG) {
            if self == Self::ServiceTagged && place > ETHER_TYPE {
                frame[place..place + 2].copy_from_slice(&SERVICE_TAG);
            }
            place += 4;
        }
        let ip = place + 2;
        let is = |of: [u8; 2]| frame[place..].starts_with(&of);
        let (is_ipv4, is_ipv6) = (is(IPV4), is(IPV6));
        match self {
            Self::Options if is_ipv4 => {
                frame[ip] += 2;
                lengthen(&mut frame[ip + 2..ip + 4], OPTIONS.len());
                frame.splice(ip + IPV4_HEADER..ip + IPV4_HEADER, OPTIONS);
                sum(&mut frame[ip..ip + IPV4_HEADER + OPTIONS.len()]);
            }
            Self::Extended if is_ipv6 => {
                let next = std::mem::replace(&mut frame[ip + 6], DESTINATION_OPTIONS);
                lengthen(&mut frame[ip + 4..ip + 6], 2 + PADDING.len());
                let header = [next, 0].into_iter().chain(PADDING);
                frame.splice(ip + IPV6_HEADER..ip + IPV6_HEADER, header);
            }
            Self::Padded => frame.extend(TRAILER),
            Self::Overlapping if is_ipv4 && frame[ip + 7] > 1 => {
                frame[ip + 7] = 1;
                sum(&mut frame[ip..ip + IPV4_HEADER]);
            }
            Self::Plain | Self::Options | Self::Extended | Self::Overlapping | Self::ServiceTagged => {}
        }
        frame
    }
}

fn lengthen(field: &mut [u8], by: usize) {
    let length = u16::from_be_bytes([field[0], field[1]]) + u16::try_from(by).expect("few");
    field.copy_from_slice(&length.to_be_bytes());
}

/// Writes the checksum of an IPv4 header (RFC 1071).
fn sum(header: &mut [u8]) {
    header[10..12].fill(0);
    let words = header.chunks_exact(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    let folded = (folded & 0xffff) + (folded >> 16);
    header[10..12].copy_from_slice(&(!u16::try_from(folded).expect("16 bits")).to_be_bytes());
}
