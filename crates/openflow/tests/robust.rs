//! No bytes bring the codec down, and what it writes it reads.

use openflow::*;
use proptest::prelude::*;

const FRAMES: &str = include_str!("golden/frames.txt");

fn recorded() -> Vec<Vec<u8>> {
    let lines = FRAMES.lines().filter(|line| !line.starts_with('#'));
    lines
        .map(|line| {
            (0..line.len())
                .step_by(2)
                .map(|at| u8::from_str_radix(&line[at..at + 2], 16).expect("hex"))
                .collect()
        })
        .collect()
}

/// What decodes also encodes, and decodes to the same again: canonical form is stable.
fn check(bytes: &[u8]) {
    let Ok(frame) = Frame::decode(bytes) else { return };
    // Registers one by one take more room than in pairs, so that a full message may not fit again.
    let Ok(again) = frame.encode() else { return };
    assert_eq!(usize::from(u16::from_be_bytes([again[2], again[3]])), again.len());
    assert_eq!(Frame::decode(&again), Ok(frame));
}

fn any_field() -> impl Strategy<Value = Field> {
    let plain = proptest::sample::select(Field::PLAIN);
    prop_oneof![
        plain,
        (0..REGISTERS).prop_map(Field::Reg),
        (0u8..64, 1u8..=16).prop_map(|(index, bytes)| Field::TunMetadata { index, bytes }),
    ]
}

fn any_match() -> impl Strategy<Value = Match> {
    let term = (any_field(), any::<u128>(), any::<u128>());
    prop::collection::vec(term, 0..8).prop_map(|terms| {
        terms.into_iter().fold(Match::new(), |found, (field, value, mask)| {
            let mask = if field.is_maskable() { mask & field.ones() } else { field.ones() };
            let clash = matches!(field, Field::VlanTci | Field::TunMetadata { .. })
                && found
                    .terms()
                    .iter()
                    .any(|term| matches!(term.field, Field::TunMetadata { .. } | Field::VlanPcp));
            let mask = if field == Field::VlanTci { field.ones() } else { mask };
            if clash { found } else { found.with_masked(field, value & mask, mask) }
        })
    })
}

fn any_part() -> impl Strategy<Value = SubField> {
    (any_field(), any::<u16>(), any::<u16>()).prop_map(|(field, offset, bits)| {
        let offset = offset % field.bits();
        SubField::new(field, offset, 1 + bits % (field.bits() - offset))
    })
}

fn any_action() -> impl Strategy<Value = Action> {
    let leaf = prop_oneof![
        any::<u32>().prop_map(|port| Action::output(OfPort(port % 0xfffd))),
        (any_field(), any::<u128>(), any::<u128>()).prop_map(|(field, value, mask)| {
            let mask = if field.is_maskable() { mask & field.ones() } else { field.ones() };
            Action::set_field_masked(field, value & mask, mask)
        }),
        (any_part(), any_part()).prop_map(|(source, destination)| {
            let bits = source.bits.min(destination.bits);
            Action::Move {
                source: SubField { bits, ..source },
                destination: SubField { bits, ..destination },
            }
        }),
        (any::<u8>(), any::<Option<u16>>()).prop_map(|(table, port)| Action::Resubmit {
            port: port.map(OfPort::from_u16).filter(|port| *port != OfPort::IN_PORT),
            table: Some(TableId(table)).filter(|table| *table != TableId::ALL),
        }),
        prop::collection::vec(any::<u8>(), 1..40)
            .prop_map(|userdata| Action::Controller(Controller { userdata, ..Controller::default() })),
        Just(Action::DecTtl),
        Just(Action::CtClear),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Action::Clone),
            prop::collection::vec(inner, 0..4).prop_map(|exec| Action::Ct(Box::new(Ct {
                commit: true,
                exec,
                ..Ct::default()
            }))),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(kind in 0u8..36, body in prop::collection::vec(any::<u8>(), 0..300)) {
        let length = u16::try_from(body.len() + 8).expect("short");
        let mut bytes = vec![6, kind];
        bytes.extend(length.to_be_bytes());
        bytes.extend([0, 0, 0, 1]);
        bytes.extend(body);
        check(&bytes);
    }

    #[test]
    fn mutated_frames_never_panic(which in any::<prop::sample::Index>(), changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6)) {
        let frames = recorded();
        let mut bytes = frames[which.index(frames.len())].clone();
        for (place, value) in changes {
            let place = place.index(bytes.len());
            bytes[place] = value;
        }
        check(&bytes);
    }

    #[test]
    fn flows_survive_the_wire(matching in any_match(), actions in prop::collection::vec(any_action(), 0..6), cookie: u64, priority: u16) {
        let flow = Flow::new(TableId(7), priority, matching, actions).with_cookie(Cookie(cookie));
        let frame = Frame { xid: Xid(9), message: Message::FlowMod(FlowMod::Add(flow)) };
        let bytes = frame.encode().expect("it fits");
        prop_assert_eq!(Frame::decode(&bytes), Ok(frame));
    }
}

#[test]
fn a_header_shorter_than_itself_is_an_error() {
    for length in 0..8 {
        let bytes = [6, 2, 0, length, 0, 0, 0, 1];
        assert_eq!(
            Frame::decode(&bytes),
            Err(DecodeError::Length { what: "message", length: length.into() })
        );
    }
}

#[test]
fn a_foreign_version_is_an_error_and_its_hello_is_not() {
    assert_eq!(Frame::decode(&[4, 2, 0, 8, 0, 0, 0, 1]), Err(DecodeError::Version { version: 4 }));
    let hello = Frame::decode(&[4, 0, 0, 8, 0, 0, 0, 1]).expect("a hello").message;
    assert!(matches!(hello, Message::Hello(hello) if !hello.accepts_ours()));
}

#[test]
fn padding_that_is_not_zero_is_refused() {
    let frame = Frame { xid: Xid(1), message: Message::FlowMod(FlowMod::Delete(FlowSelection::default())) };
    let mut bytes = frame.encode().expect("it fits");
    *bytes.last_mut().expect("the match's padding") = 1;
    assert!(matches!(Frame::decode(&bytes), Err(DecodeError::Padding { .. })));
}

#[test]
fn a_value_outside_its_mask_is_refused() {
    let matching = Match::new().reg_masked(0, 0x10, 0xf0);
    let flow = Flow::new(TableId(0), 1, matching, Vec::new());
    let bytes = Message::FlowMod(FlowMod::Add(flow)).encode(Xid(1)).expect("it fits");
    // 8 header, 40 command, 4 match header, 4 field header: then the value's last byte is the fourth.
    let mut bad = bytes.clone();
    bad[8 + 40 + 4 + 4 + 3] = 0x1f;
    assert!(matches!(Frame::decode(&bad), Err(DecodeError::Field { .. })));
}

#[test]
fn a_flow_longer_than_a_message_is_an_error() {
    let actions = vec![Action::output(OfPort(1)); 5000];
    let message = Message::FlowMod(FlowMod::Add(Flow::new(TableId(0), 1, Match::new(), actions)));
    assert!(matches!(message.encode(Xid(1)), Err(EncodeError::TooLong { .. })));
}

#[test]
fn actions_nested_without_end_are_refused() {
    let deep = (0..100).fold(Action::Exit, |inner, _| Action::Clone(vec![inner]));
    let flow = Flow::new(TableId(0), 1, Match::new(), vec![deep]);
    let bytes = Message::FlowMod(FlowMod::Add(flow)).encode(Xid(1)).expect("it fits");
    assert!(matches!(Frame::decode(&bytes), Err(DecodeError::Depth { .. })));
}

#[test]
fn an_unknown_action_is_kept_as_it_is() {
    let opaque = Action::Opaque(vec![0xff, 0xff, 0, 16, 0, 0, 0x12, 0x34, 1, 2, 3, 4, 5, 6, 7, 8]);
    let flow = Flow::new(TableId(0), 1, Match::new(), vec![opaque, Action::Exit]);
    let frame = Frame { xid: Xid(1), message: Message::FlowMod(FlowMod::Add(flow)) };
    assert_eq!(Frame::decode(&frame.encode().expect("it fits")), Ok(frame));
}
