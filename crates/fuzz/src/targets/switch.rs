//! What a switch sends: OpenFlow frames, and in some of them packets that the agent answers.

use dataplane::layout::{DESTINATION_INTERFACE, Question, RESOLVED_MAC, SOURCE_INTERFACE, TUNNEL_MTU};
use openflow::{Cookie, Field, Frame, Match, Message, OfPort, PacketIn, TableId, Xid};

use super::{guest, stream};
use crate::hex;
use crate::memory::Limit;
use crate::target::Target;
use topology::InterfaceId;
use vna::answers::{Names, Reply};

/// Frames that `ovs-ofctl` and `ovs-vswitchd` exchanged.
const RECORDED: &str = include_str!("../../../openflow/tests/golden/frames.txt");

/// Longest frame: its length has 16 bits.
const MAX_FRAME: usize = 65_535;

pub(super) const FRAME: Target = Target {
    name: "openflow-frame",
    from: "a switch",
    seeds: recorded,
    dictionary: &[
        &[0xff, 0xff, 0, 16, 0, 0, 0x23, 0x20],
        &[0, 4, 0, 8, 0, 0, 0, 0],
        &[0x80, 0, 0x0a, 2, 8, 0],
        &[0, 1, 0, 4, 0, 0, 0, 0],
        &[0xff, 0xff, 0xff, 0xff],
    ],
    repair,
    run: frame,
    memory: Limit { base: 16 << 10, per_byte: 64 },
    max_bytes: MAX_FRAME,
    brief: 20_000,
};

pub(super) const PACKET_IN: Target = Target {
    name: "packet-in",
    from: "a guest, through the switch",
    seeds: packet_ins,
    dictionary: FRAME.dictionary,
    repair,
    run: packet_in,
    memory: Limit { base: 32 << 10, per_byte: 64 },
    max_bytes: MAX_FRAME,
    brief: 20_000,
};

fn recorded() -> Vec<Vec<u8>> {
    let lines = RECORDED.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| hex::decode(line).expect("recorded as hexadecimal text")).collect()
}

/// Puts the frame's length into its header (OpenFlow 1.5.1, section 7.1.1).
fn repair(frame: &mut Vec<u8>) {
    frame.truncate(MAX_FRAME);
    let length = u16::try_from(frame.len()).expect("cut to it").to_be_bytes();
    if let Some(field) = frame.get_mut(2..4) {
        field.copy_from_slice(&length);
    }
}

fn frame(bytes: &[u8]) -> bool {
    let Ok(frame) = Frame::decode(bytes) else { return false };
    // Registers one by one take more room than in pairs, so that a full message may not fit again.
    if let Ok(again) = frame.encode() {
        assert_eq!(Frame::decode(&again), Ok(frame));
    }
    true
}

/// Guests' packets, as the switch hands them to the agent.
fn packet_ins() -> Vec<Vec<u8>> {
    let topology = super::world::topology();
    let key = |id: &str| topology.interfaces()[&id.parse::<InterfaceId>().expect("an id")].key.0;
    let packets = || guest::packets().into_iter().chain(guest::questions());
    let packet_ins = Question::ALL
        .iter()
        .flat_map(|question| packets().map(move |packet| (packet, question)))
        .map(|(packet, question)| {
            let metadata = Match::new()
                .metadata(1)
                .with(Field::Reg(SOURCE_INTERFACE), key("if-a"))
                .with(Field::Reg(DESTINATION_INTERFACE), key("if-leg"))
                .in_port(OfPort(7))
                .with(Field::Reg(TUNNEL_MTU), 1_000_u32)
                .with(Field::Xreg(RESOLVED_MAC), 0x0200_0000_0002_u64);
            let packet_in = PacketIn {
                packet,
                metadata,
                userdata: question.userdata(),
                table: Some(TableId(60)),
                cookie: Some(Cookie(1)),
                ..PacketIn::default()
            };
            Message::PacketIn(Box::new(packet_in)).encode(Xid(0)).expect("it fits")
        });
    packet_ins.collect()
}

fn packet_in(bytes: &[u8]) -> bool {
    let Ok(Frame { message: Message::PacketIn(packet_in), .. }) = Frame::decode(bytes) else { return false };
    let answer = vna::answers::answer(&packet_in, super::world::topology(), &Names::default());
    let answer = match answer {
        Some(Reply::Out(answer)) => Some(answer),
        Some(Reply::Forward(forward, asked)) => forward.answer(None).and_then(|answer| asked.answer(&answer)),
        Some(Reply::Stream(call)) => stream::opened(&call.frame).map(|frame| call.line.packet_out(frame)),
        Some(Reply::Ask(_)) | None => None,
    };
    let Some(answer) = answer else { return false };
    let message = Message::PacketOut(answer);
    let again = message.encode(Xid(1)).expect("an answer fits");
    assert_eq!(Frame::decode(&again).map(|frame| frame.message), Ok(message));
    true
}
