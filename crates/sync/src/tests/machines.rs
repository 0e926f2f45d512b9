//! The agent's state machine, by itself.

use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use prost::Message;
use serde_json::json;
use topology::{Collection, Object, Revision};

use super::manager::{Memory, populate};
use crate::feed::Update;
use crate::inbox::{Fault, Inbox};
use crate::replica::Replica;
use crate::values::Values;
use crate::wire::{AgentMessage, ManagerMessage, Part, Put, Told, Welcome};

/// What a message leads to.
#[derive(Debug, PartialEq)]
enum Outcome {
    Nothing,
    /// A replica at this revision with so many objects.
    Replica(u64, usize),
    Fault(&'static str),
}

fn welcome(store_id: &str) -> Option<Told> {
    Some(Told::Welcome(Welcome {
        store_id: store_id.to_owned(),
        datapath: "dp-1".to_owned(),
        ..Welcome::default()
    }))
}

/// Any object.
fn put() -> Put {
    let memory = Memory::new("store-1");
    memory.create(Collection::Segments, json!({"uuid": "seg-1", "mode": "virtual"}));
    let object = Object::Segment(memory.topology().segments().values().next().expect("a segment").clone());
    Put { reference: object.reference().to_string(), value: object.encode().into() }
}

fn part(base: Option<u64>, revision: u64, puts: Vec<Put>, last: bool) -> Option<Told> {
    Some(Told::Part(Part { base, revision, puts, deletes: Vec::new(), last, awaited: false }))
}

fn delete(base: u64, revision: u64, reference: &str) -> Option<Told> {
    let deletes = vec![reference.to_owned()];
    Some(Told::Part(Part {
        base: Some(base),
        revision,
        puts: Vec::new(),
        deletes,
        last: true,
        awaited: false,
    }))
}

fn outcome(inbox: &mut Inbox, told: Option<Told>) -> Outcome {
    match inbox.on_message(told) {
        Ok(None) => Outcome::Nothing,
        Ok(Some(replica)) => {
            Outcome::Replica(replica.topology.revision().0, replica.topology.objects().skip(1).count())
        }
        Err(Fault::Unknown) => Outcome::Fault("unknown"),
        Err(Fault::OutOfTurn) => Outcome::Fault("turn"),
        Err(Fault::NoDatapath(_)) => Outcome::Fault("datapath"),
        Err(Fault::Gap { .. }) => Outcome::Fault("gap"),
        Err(Fault::Torn) => Outcome::Fault("torn"),
        Err(Fault::TooLarge) => Outcome::Fault("large"),
        Err(Fault::Malformed(_)) => Outcome::Fault("malformed"),
    }
}

/// An agent that has revision 5 of store-1, with one object.
fn replica() -> Arc<Replica> {
    let mut inbox = Inbox::new(None);
    inbox.on_message(welcome("store-1")).expect("welcome");
    inbox.on_message(part(None, 5, vec![put()], true)).expect("taken").expect("a replica")
}

#[test]
fn every_message_in_every_state_has_its_outcome() {
    use Outcome::{Fault, Nothing, Replica};
    let expecting = || Inbox::new(Some(replica()));
    let listening = || {
        let mut inbox = expecting();
        inbox.on_message(welcome("store-1")).expect("welcome");
        inbox
    };
    let elsewhere = || {
        let mut inbox = expecting();
        inbox.on_message(welcome("store-2")).expect("welcome");
        inbox
    };
    let receiving = || {
        let mut inbox = listening();
        inbox.on_message(part(Some(5), 7, vec![], false)).expect("taken");
        inbox
    };
    let unknown = || Put { reference: "routers/rt-1".to_owned(), value: b"{}".as_slice().into() };
    let damaged = || Put { value: b"{}".as_slice().into(), ..put() };
    let nowhere = || {
        Some(Told::Welcome(Welcome {
            store_id: "s".to_owned(),
            datapath: "x".to_owned(),
            ..Welcome::default()
        }))
    };

    let events: Vec<(Option<Told>, [Outcome; 4])> = vec![
        (None, [Fault("unknown"), Fault("unknown"), Fault("unknown"), Fault("unknown")]),
        (welcome("store-1"), [Nothing, Fault("turn"), Fault("turn"), Fault("turn")]),
        (nowhere(), [Fault("datapath"), Fault("turn"), Fault("turn"), Fault("turn")]),
        (part(None, 9, vec![], true), [Fault("turn"), Replica(9, 0), Replica(9, 0), Fault("torn")]),
        (part(None, 9, vec![], false), [Fault("turn"), Nothing, Nothing, Fault("torn")]),
        (part(Some(5), 7, vec![], true), [Fault("turn"), Replica(7, 1), Fault("gap"), Replica(7, 1)]),
        (part(Some(5), 7, vec![put()], false), [Fault("turn"), Nothing, Fault("gap"), Nothing]),
        (part(Some(5), 8, vec![], true), [Fault("turn"), Replica(8, 1), Fault("gap"), Fault("torn")]),
        (part(Some(4), 7, vec![], true), [Fault("turn"), Fault("gap"), Fault("gap"), Fault("torn")]),
        (delete(5, 7, "segments/seg-1"), [Fault("turn"), Replica(7, 0), Fault("gap"), Replica(7, 0)]),
        (delete(5, 7, "routers/rt-1"), [Fault("turn"), Replica(7, 1), Fault("gap"), Replica(7, 1)]),
        (
            part(Some(5), 7, vec![unknown()], true),
            [Fault("turn"), Replica(7, 1), Fault("gap"), Replica(7, 1)],
        ),
        (
            part(Some(5), 7, vec![damaged()], true),
            [Fault("turn"), Fault("malformed"), Fault("gap"), Fault("malformed")],
        ),
    ];
    for (event, expected) in events {
        let states: [(&str, &dyn Fn() -> Inbox); 4] = [
            ("expecting", &expecting),
            ("listening", &listening),
            ("listening to another store", &elsewhere),
            ("receiving", &receiving),
        ];
        for ((name, state), expected) in states.into_iter().zip(expected) {
            assert_eq!(outcome(&mut state(), event.clone()), expected, "{event:?} while {name}");
        }
    }
}

#[test]
fn updates_that_wait_for_each_other_come_out_as_one() {
    let check = |messages: Vec<Option<Told>>, waiting: Option<usize>, expected: Option<(u64, usize)>| {
        let mut inbox = Inbox::new(Some(replica()));
        inbox.take_in(welcome("store-1")).expect("welcome");
        let last = messages.clone().into_iter().map(|message| inbox.take_in(message)).last();
        assert_eq!(inbox.news(), waiting, "{messages:?}");
        let newest = inbox.newest().map(|of| (of.topology.revision().0, of.topology.segments().len()));
        assert_eq!(newest, expected, "{messages:?} {last:?}");
        assert_eq!(inbox.news(), None);
        assert!(inbox.newest().is_none());
    };
    let again = || part(Some(6), 7, vec![put()], true);
    check(vec![], None, None);
    check(vec![part(Some(5), 6, vec![], false)], None, None);
    check(vec![part(Some(5), 6, vec![], true)], Some(0), Some((6, 1)));
    check(vec![delete(5, 6, "segments/seg-1"), again()], Some(2), Some((7, 1)));
    check(vec![part(Some(5), 6, vec![put()], true), delete(6, 7, "segments/seg-1")], Some(2), Some((7, 0)));
    // What begins anew has all that there is.
    check(vec![part(Some(5), 6, vec![put()], true), part(None, 8, vec![], true)], Some(0), Some((8, 0)));
    // What is not there whole waits for itself, and a fault takes nothing from what is.
    check(vec![delete(5, 6, "segments/seg-1"), part(Some(6), 7, vec![put()], false)], Some(1), Some((6, 0)));
    check(vec![delete(5, 6, "segments/seg-1"), part(Some(5), 7, vec![], true)], Some(1), Some((6, 0)));
    check(vec![delete(5, 6, "segments/seg-1"), None], Some(1), Some((6, 0)));
}

#[test]
fn an_update_of_any_size_comes_out_as_it_went_in() {
    let memory = Memory::new("store-1");
    populate(&memory, &[]);
    let labels: serde_json::Map<_, _> =
        (0..60).map(|number| (format!("label-{number}"), "x".repeat(250).into())).collect();
    for number in 0..60 {
        memory.create(
            Collection::Segments,
            json!({"uuid": format!("seg-{number}"), "mode": "virtual", "labels": labels}),
        );
    }
    let changes: Vec<_> = memory.topology().objects().skip(1).map(topology::Change::Put).collect();
    let update = Update { base: None, revision: Revision(3), changes, is_awaited: false };
    let parts: Vec<_> = update.into_parts(&Values::default()).collect();
    assert!(parts.len() > 1, "small enough for one part");
    let mut inbox = Inbox::new(None);
    inbox.on_message(welcome("store-1")).expect("welcome");
    let newest =
        parts.into_iter().filter_map(|part| inbox.on_message(Some(Told::Part(part))).expect("taken")).last();
    let received: Vec<_> = newest.expect("a replica").topology.objects().skip(1).collect();
    assert_eq!(received, memory.topology().objects().skip(1).collect::<Vec<_>>());
}

fn any_told() -> impl Strategy<Value = Option<Told>> {
    let revision = || prop_oneof![Just(5_u64), 0..8_u64, any::<u64>()];
    let reference = || prop_oneof![Just("segments/seg-1".to_owned()), "[a-z_]{0,9}/[a-z-]{0,6}", ".{0,12}"];
    let any_put = (
        reference(),
        prop_oneof![Just(put().value), proptest::collection::vec(any::<u8>(), 0..20).prop_map(Bytes::from)],
    )
        .prop_map(|(reference, value)| Put { reference, value });
    let any_part = (
        proptest::option::of(revision()),
        revision(),
        proptest::collection::vec(any_put, 0..3),
        proptest::collection::vec(reference(), 0..3),
        any::<bool>(),
    );
    let any_part = any_part.prop_map(|(base, revision, puts, deletes, last)| {
        Some(Told::Part(Part { base, revision, puts, deletes, last, awaited: false }))
    });
    prop_oneof![
        1 => Just(None),
        2 => prop_oneof![Just(welcome("store-1")), Just(welcome("store-2"))],
        8 => any_part,
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_sequence_of_messages_makes_an_agent_panic(
        messages in proptest::collection::vec(any_told(), 0..12),
        has_replica: bool,
    ) {
        let mut inbox = Inbox::new(has_replica.then(replica));
        for message in messages {
            if let Ok(Some(replica)) = inbox.on_message(message) {
                prop_assert!(replica.store_id.starts_with("store-"));
            }
        }
    }

    #[test]
    fn no_bytes_make_a_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = AgentMessage::decode(bytes.as_slice());
        if let Ok(message) = ManagerMessage::decode(bytes.as_slice()) {
            let _ = Inbox::new(None).on_message(message.told);
        }
    }
}
