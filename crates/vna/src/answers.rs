//! What the agent answers itself: packets that no flow can turn into their answers. Pure.

use dataplane::layout::{FLAGS, Question, RESOLVED_MAC, RESOLVED_ROUTER, TUNNEL_MTU};
use openflow::{Action, Field, Match, OfPort, PacketIn, PacketOut};
use responder::Neighbour;

/// The answer to a packet-in, out of the port the packet came by. `None` if it deserves none.
pub fn answer(packet_in: &PacketIn) -> Option<PacketOut> {
    let port = packet_in.in_port()?;
    let register = |number| value(&packet_in.metadata, Field::Reg(number));
    let answer = match Question::of_userdata(&packet_in.userdata)? {
        Question::TooBig => responder::too_big(&packet_in.packet, u16::try_from(register(TUNNEL_MTU)).ok()?)?,
        Question::Solicitation => {
            // The 64-bit register is a pair of words, the first one high (ovs-fields(7), `xreg0`).
            let (high, low) = (register(2 * RESOLVED_MAC), register(2 * RESOLVED_MAC + 1));
            let [_, _, mac @ ..] = (u64::from(high) << 32 | u64::from(low)).to_be_bytes();
            let is_router = register(FLAGS) & RESOLVED_ROUTER != 0;
            responder::neighbour_advertisement(&packet_in.packet, Neighbour { mac, is_router })?
        }
    };
    Some(PacketOut::new(OfPort::CONTROLLER, vec![Action::output(port)], answer))
}

/// A register's value. One that is zero is not in the metadata.
fn value(metadata: &Match, field: Field) -> u32 {
    metadata.get(field).and_then(|term| u32::try_from(term.value).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    const GUEST: [u8; 6] = [0x10, 0x54, 0xff, 0, 0, 1];
    const OWNER: [u8; 6] = [0x10, 0x54, 0xff, 0, 0, 2];

    /// A solicitation by duplicate address detection (RFC 4862, section 5.4.2).
    fn probe(target: Ipv6Addr) -> Vec<u8> {
        let [.., a, b, c] = target.octets();
        let group: [u8; 16] = [0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c];
        let mut icmp = vec![135, 0, 0, 0, 0, 0, 0, 0];
        icmp.extend(target.octets());
        let sum = [&[0; 16][..], &group, &[0, 0, 0, 24, 0, 0, 0, 58], &icmp].concat();
        let words = sum.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])));
        let sum = words.fold(0, |sum, word| (sum + word) % 0xffff);
        icmp[2..4].copy_from_slice(&(!(sum as u16)).to_be_bytes());
        let ethernet = [&[0x33, 0x33, 0xff, a, b, c][..], &GUEST, &[0x86, 0xdd]].concat();
        let header = [&[0x60, 0, 0, 0, 0, 24, 58, 255][..], &[0; 16], &group].concat();
        [ethernet, header, icmp].concat()
    }

    #[test]
    fn a_probe_for_anothers_address_is_answered_with_its_mac_address_out_of_the_port() {
        let target = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 2);
        let mac = OWNER.iter().fold(0, |mac, byte| mac << 8 | u64::from(*byte));
        let packet_in = PacketIn {
            packet: probe(target),
            metadata: Match::new().in_port(OfPort(7)).with(Field::Xreg(RESOLVED_MAC), mac),
            userdata: Question::Solicitation.userdata(),
            ..PacketIn::default()
        };
        let answer = answer(&packet_in).expect("an answer");
        assert_eq!(answer.actions, [Action::output(OfPort(7))]);
        assert_eq!(answer.packet[0..12], [&[0x33, 0x33, 0, 0, 0, 1][..], &OWNER].concat()[..]);
        assert_eq!(answer.packet[54], 136, "a neighbour advertisement");
    }

    #[test]
    fn what_nobody_asked_for_is_not_answered() {
        let packet_in = PacketIn { userdata: vec![0xee], packet: vec![0; 60], ..PacketIn::default() };
        assert_eq!(answer(&packet_in), None);
    }
}
