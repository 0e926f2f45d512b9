//! Frames that ovs-ofctl and ovs-vswitchd 3.1 exchanged, recorded by `golden/record.py`, are read and written back.

use openflow::{Frame, Message, MultipartReply};

const FRAMES: &str = include_str!("golden/frames.txt");

/// Class of the fields `xreg0` and on.
const REGISTER_PAIRS: [u8; 2] = [0x80, 0x01];

/// Whether the message holds matches or actions, in which the order and the headers of fields are free.
fn has_fields(message: &Message) -> bool {
    let flows = |reply: &MultipartReply| matches!(reply, MultipartReply::Flows(_));
    match message {
        Message::FlowMod(_) | Message::PacketOut(_) | Message::BundleAdd { .. } => true,
        Message::MultipartReply { reply, .. } => flows(reply),
        _ => false,
    }
}

fn unhex(line: &str) -> Vec<u8> {
    let digits: Vec<u8> =
        line.bytes().map(|digit| (digit as char).to_digit(16).expect("a digit") as u8).collect();
    digits.chunks(2).map(|pair| pair[0] << 4 | pair[1]).collect()
}

fn frames() -> Vec<Vec<u8>> {
    FRAMES.lines().filter(|line| !line.starts_with('#')).map(unhex).collect()
}

#[test]
fn every_recorded_frame_is_understood() {
    for bytes in frames() {
        match Frame::decode(&bytes) {
            // Of the statistics of tables' features nothing is read.
            Ok(Frame { message: Message::Other { .. }, .. }) => panic!("not understood: {bytes:02x?}"),
            Ok(_) => {}
            Err(error) => panic!("{error}: {bytes:02x?}"),
        }
    }
}

#[test]
fn every_recorded_frame_is_written_as_it_was_read() {
    for bytes in frames() {
        let frame = Frame::decode(&bytes).expect("understood");
        let again = frame.encode().expect("it fits");
        assert_eq!(Frame::decode(&again).as_ref(), Ok(&frame));
        // Open vSwitch writes registers in pairs and fields in its own order, some with the older of two headers.
        if !bytes.windows(2).any(|pair| pair == REGISTER_PAIRS) {
            assert_eq!(again.len(), bytes.len(), "{frame:?}");
        }
        if !has_fields(&frame.message) {
            assert_eq!(again, bytes, "{frame:?}");
        }
    }
}

#[test]
fn every_cut_or_lengthened_frame_is_refused() {
    for bytes in frames() {
        for length in 0..bytes.len() {
            assert!(Frame::decode(&bytes[..length]).is_err());
        }
        let mut long = bytes.clone();
        long.push(0);
        assert!(Frame::decode(&long).is_err());
    }
}
