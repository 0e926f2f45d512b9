//! What a guest sends on a TCP connection to a service: segments that follow its SYN.

use std::time::Duration;

use etherparse::PacketBuilder;
use responder::tcp::{Connection, Phase, Segment};

use crate::memory::Limit;
use crate::target::{Target, as_it_is};

/// Where the TCP header is, behind those of Ethernet and IPv4.
const TCP_AT: usize = 14 + 20;

/// What one segment of an input takes, in bytes: what is put over the header of the SYN, from its sequence number on.
const PIECE: usize = 24;

/// Most frames that one segment may cause.
const MOST_FRAMES: usize = 32;

/// How far the clock goes from one segment to the next: so far that much is sent again, and connections are given up.
const STEP: Duration = Duration::from_millis(700);

pub(super) const SEGMENTS: Target = Target {
    name: "guest-stream",
    from: "a guest",
    seeds,
    dictionary: &[
        &[0x50, 0x10],
        &[0x50, 0x18],
        &[0x50, 0x11],
        &[0x50, 0x04],
        &[0x60, 0x02, 0xff, 0xff, 0, 0, 0, 0, 2, 4, 5, 0xb4],
        &[0, 0, 0, 2],
    ],
    repair: as_it_is,
    run,
    memory: Limit { base: 256 << 10, per_byte: 64 },
    max_bytes: 4096,
    brief: 2_000,
};

/// A connection that is opened, used and ended; one that is reset.
fn seeds() -> Vec<Vec<u8>> {
    let piece = |sequence: u32, acknowledged: u32, flags: u8| {
        let head =
            [&sequence.to_be_bytes()[..], &acknowledged.to_be_bytes(), &[0x50, flags, 0x10, 0]].concat();
        [&head[..], &[0; 4], b"12345678"].concat()
    };
    let whole = [piece(2, 1, 0x10), piece(2, 1, 0x18), piece(10, 1, 0x11), piece(11, 2, 0x10)].concat();
    vec![whole, piece(2, 1, 0x04), piece(1, 0, 0x02), Vec::new()]
}

/// A frame with a SYN.
fn syn() -> Vec<u8> {
    let packet = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2]).ipv4(
        [10, 0, 0, 1],
        [10, 0, 0, 2],
        64,
    );
    let mut frame = Vec::new();
    packet.tcp(1000, 53, 1, 4096).syn().write(&mut frame, &[0; 8]).expect("it fits");
    frame
}

/// What answers the opening of a connection, if a frame opens one.
pub(super) fn opened(frame: &[u8]) -> Option<Vec<u8>> {
    let mut connection = Connection::open(&Segment::parse(frame)?, 1, Duration::ZERO)?;
    let frames = connection.frames(Duration::ZERO);
    assert!(frames.len() <= 1, "{} frames answer a SYN", frames.len());
    frames.into_iter().next()
}

fn run(bytes: &[u8]) -> bool {
    let syn = syn();
    let Some(mut connection) =
        Segment::parse(&syn).and_then(|segment| Connection::open(&segment, 1, Duration::ZERO))
    else {
        panic!("a SYN opens a connection");
    };
    let mut now = Duration::ZERO;
    let first = connection.frames(now);
    // The number that the stack has chosen, which a guest learns.
    let number = first.first().and_then(|frame| frame.get(TCP_AT + 4..TCP_AT + 8)?.try_into().ok());
    let number = u32::from_be_bytes(number.expect("a SYN is answered"));
    let mut has_heard = false;
    for piece in bytes.chunks(PIECE) {
        now += STEP;
        let mut frame = syn.clone();
        frame.iter_mut().skip(TCP_AT + 4).zip(piece).for_each(|(byte, new)| *byte = *new);
        refer(&mut frame, number);
        correct(&mut frame);
        if let Some(segment) = Segment::parse(&frame) {
            connection.on_segment(&segment, now);
        }
        let heard = connection.receive(usize::MAX);
        has_heard |= !heard.is_empty();
        connection.send(&heard);
        if connection.phase() == Phase::HeardAll {
            connection.finish();
        }
        let frames = connection.frames(now);
        assert!(frames.len() <= MOST_FRAMES, "{} frames at once", frames.len());
        connection.idle(now);
    }
    has_heard
}

/// Makes what is acknowledged relative to the stack's own number: a guest knows that.
fn refer(frame: &mut [u8], number: u32) {
    let Some(field) = frame.get_mut(TCP_AT + 8..TCP_AT + 12) else { return };
    let offset = field.iter().fold(0_u32, |value, byte| value << 8 | u32::from(*byte));
    field.copy_from_slice(&number.wrapping_add(offset).to_be_bytes());
}

/// Makes the checksum right.
fn correct(frame: &mut [u8]) {
    let Some((headers, segment)) = frame.split_at_mut_checked(TCP_AT) else { return };
    let Some(field) = segment.get_mut(16..18) else { return };
    field.fill(0);
    let addresses = headers.get(26..34).unwrap_or_default();
    let words = addresses.chunks(2).chain(segment.chunks(2));
    let sum = words
        .map(|pair| pair.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)) << (8 * (2 - pair.len())));
    let mut total = sum.sum::<u32>() + 6 + segment.len() as u32;
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    let checksum = !u16::try_from(total).expect("16 bits are left");
    if let Some(field) = segment.get_mut(16..18) {
        field.copy_from_slice(&checksum.to_be_bytes());
    }
}
