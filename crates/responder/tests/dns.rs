//! Names within a zone are answered for, others are left to others.

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use etherparse::{PacketBuilder, TransportSlice};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{DNSClass, Name, RecordType};
use proptest::prelude::*;
use responder::dns;
use responder::dns::{Answer, Data, Failure, Forwarding, Records, Transport, Zone};
use support::*;

/// What dig 9.18 sends for `a.Example.ORG A`.
const DIG: &str = "020000000002 020000000001 0800
    45000046 bd2f0000 4011a972 0a000005 0a000001 deeb0035 00326c58
    e77c0120 00010000 00000001 0161074578616d706c65034f524700 00010001 00 0029 04d0 00000000 0000";

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).expect("a name");
    name.set_fqdn(true);
    name
}

fn zone(origin: &str) -> Zone {
    Zone { origin: name(origin), server: name("ns.example.org"), serial: 7, negative_ttl: 60 }
}

fn records(forwarding: Forwarding) -> Records {
    let mut records = Records::new([zone("example.org"), zone("sub.example.org")], forwarding);
    let ip = |text: &str| Data::Address(text.parse().expect("an address"));
    let alias = |text: &str| Data::Alias(text.parse().expect("a name"));
    for (of, ttl, data) in [
        ("a.example.org", 300, ip("10.0.0.7")),
        ("a.example.org", 200, ip("10.0.0.8")),
        ("A.example.org", 300, ip("10.0.0.8")),
        ("a.example.org", 300, ip("fd00::7")),
        ("b.empty.example.org", 300, alias("a.example.org")),
        ("c.example.org", 300, alias("b.empty.example.org")),
        ("lost.example.org", 300, alias("nothing.example.org")),
        ("away.example.org", 300, alias("www.example.com")),
        ("round.example.org", 300, alias("about.example.org")),
        ("about.example.org", 300, alias("round.example.org")),
        ("d.sub.example.org", 300, ip("10.0.0.9")),
        ("known.example.net", 300, ip("10.0.0.10")),
        ("7.0.0.10.in-addr.arpa", 300, Data::Pointer(name("a.example.org"))),
    ] {
        records.insert(of.parse().expect("a name"), ttl, data);
    }
    for number in 0..60 {
        let address = Data::Address(IpAddr::V4(Ipv4Addr::new(10, 0, 1, number)));
        records.insert(name("many.example.org"), 300, address);
    }
    records
}

/// Made once: properties look things up in them thousands of times.
static RECORDS: LazyLock<Records> = LazyLock::new(|| records(Forwarding::Possible));

fn question(of: &str, kind: RecordType) -> Message {
    let mut message = Message::new(4711, MessageType::Query, OpCode::Query);
    message.metadata.recursion_desired = true;
    message.add_query(Query::query(name(of), kind));
    message
}

fn sent(message: &Message) -> Vec<u8> {
    message.to_vec().expect("a message")
}

fn told_by(answer: Answer) -> Message {
    let Answer::Reply(reply) = answer else { panic!("{answer:?}") };
    let message = Message::from_vec(&reply).expect("a message");
    assert_eq!(message.metadata.message_type, MessageType::Response);
    assert_eq!(dns(&reply, &RECORDS, Transport::Udp), Answer::Ignored);
    message
}

fn told(query: &Message) -> Message {
    let reply = told_by(dns(&sent(query), &records(Forwarding::Possible), Transport::Udp));
    assert_eq!((reply.id, reply.op_code, reply.recursion_desired), (4711, query.op_code, true));
    reply
}

/// Records as text: name, time, kind and data.
fn texts(records: &[hickory_proto::rr::Record]) -> Vec<String> {
    let text = |record: &hickory_proto::rr::Record| {
        format!("{} {} {} {}", record.name.to_ascii(), record.ttl, record.record_type(), record.data)
    };
    records.iter().map(text).collect()
}

/// What a question is answered with, for certain.
fn check(of: &str, kind: RecordType, code: ResponseCode, answers: &[&str], authority: Option<&str>) {
    let reply = told(&question(of, kind));
    assert_eq!((reply.response_code, reply.authoritative, reply.truncation), (code, true, false), "{of}");
    assert_eq!(reply.queries, [Query::query(name(of), kind)]);
    assert_eq!(texts(&reply.answers), answers);
    let authorities: Vec<_> = reply.authorities.iter().map(|record| record.name.to_ascii()).collect();
    assert_eq!(authorities, authority.into_iter().collect::<Vec<_>>(), "{of}");
    assert!(
        reply.authorities.iter().all(|record| (record.record_type(), record.ttl) == (RecordType::SOA, 60))
    );
}

fn check_found(of: &str, kind: RecordType, answers: &[&str]) {
    check(of, kind, ResponseCode::NoError, answers, None);
}

#[test]
fn dig_is_answered_in_its_own_words() {
    let frame = bytes(DIG);
    let query = dns::query(&frame).expect("a query");
    let Answer::Reply(answer) = dns(query, &records(Forwarding::Impossible), Transport::Udp) else {
        panic!("none")
    };
    let reply = dns::reply(&frame, &answer).expect("a frame");
    assert_eq!(reply[..12], [ASKER, OTHER].concat());
    let Some(TransportSlice::Udp(udp)) = read(&reply).transport else { panic!("not UDP") };
    assert_eq!((udp.source_port(), udp.destination_port()), (53, 0xdeeb));
    let expected = bytes(
        "e77c8500 00010002 00000001 0161074578616d706c65034f524700 00010001
         c00c 00010001 000000c8 0004 0a000007  c00c 00010001 000000c8 0004 0a000008
         00 0029 04d0 00000000 0000",
    );
    assert_eq!(udp.payload(), expected);
}

#[test]
fn all_addresses_of_the_kind_asked_for_are_told() {
    check_found(
        "a.example.org",
        RecordType::A,
        &["a.example.org. 200 A 10.0.0.7", "a.example.org. 200 A 10.0.0.8"],
    );
    check_found("a.example.org", RecordType::AAAA, &["a.example.org. 300 AAAA fd00::7"]);
}

#[test]
fn case_does_not_matter_and_comes_back() {
    check_found("A.eXample.oRg", RecordType::AAAA, &["A.eXample.oRg. 300 AAAA fd00::7"]);
    let reply = told(&question("A.eXample.oRg", RecordType::AAAA));
    assert!(reply.queries[0].name().eq_case(&name("A.eXample.oRg")));
}

#[test]
fn aliases_are_followed_within_what_is_known() {
    let chain =
        ["c.example.org. 300 CNAME b.empty.example.org.", "b.empty.example.org. 300 CNAME a.example.org."];
    let found = [&chain[..], &["a.example.org. 300 AAAA fd00::7"]].concat();
    check_found("c.example.org", RecordType::AAAA, &found);
    check_found("c.example.org", RecordType::CNAME, &chain[..1]);
    check("c.example.org", RecordType::MX, ResponseCode::NoError, &chain, Some("example.org."));
    let lost = ["lost.example.org. 300 CNAME nothing.example.org."];
    check("lost.example.org", RecordType::A, ResponseCode::NXDomain, &lost, Some("example.org."));
    check_found("away.example.org", RecordType::A, &["away.example.org. 300 CNAME www.example.com."]);
    check("round.example.org", RecordType::A, ResponseCode::ServFail, &[], None);
}

#[test]
fn who_asks_for_anything_gets_something() {
    check_found("a.example.org", RecordType::ANY, &["a.example.org. 300 AAAA fd00::7"]);
    check_found("c.example.org", RecordType::ANY, &["c.example.org. 300 CNAME b.empty.example.org."]);
    check_found("example.org", RecordType::ANY, &["example.org. 60 NS ns.example.org."]);
}

#[test]
fn addresses_have_names_without_a_zone() {
    check_found("7.0.0.10.in-addr.arpa", RecordType::PTR, &["7.0.0.10.in-addr.arpa. 300 PTR a.example.org."]);
    check_found("known.example.net", RecordType::A, &["known.example.net. 300 A 10.0.0.10"]);
}

#[test]
fn what_does_not_exist_and_what_has_no_such_record_differ() {
    let nothing = |of, kind, code, zone| check(of, kind, code, &[], Some(zone));
    nothing("x.example.org", RecordType::A, ResponseCode::NXDomain, "example.org.");
    nothing("x.a.example.org", RecordType::A, ResponseCode::NXDomain, "example.org.");
    nothing("x.sub.example.org", RecordType::A, ResponseCode::NXDomain, "sub.example.org.");
    nothing("a.example.org", RecordType::MX, ResponseCode::NoError, "example.org.");
    nothing("example.org", RecordType::A, ResponseCode::NoError, "example.org.");
    // Names that others end with.
    nothing("empty.example.org", RecordType::A, ResponseCode::NoError, "example.org.");
    nothing("sub.example.org", RecordType::A, ResponseCode::NoError, "sub.example.org.");
}

#[test]
fn a_zone_tells_who_answers_for_it() {
    check_found("example.org", RecordType::NS, &["example.org. 60 NS ns.example.org."]);
    let reply = told(&question("example.org", RecordType::SOA));
    let soa = "example.org. 60 SOA ns.example.org. hostmaster.example.org. 7 86400 7200 2592000 60";
    assert_eq!(texts(&reply.answers), [soa]);
}

#[test]
fn what_is_not_known_is_forwarded_or_refused() {
    for (of, kind) in
        [("www.example.com", RecordType::A), ("org", RecordType::NS), ("known.example.net", RecordType::MX)]
    {
        let query = sent(&question(of, kind));
        assert_eq!(dns(&query, &records(Forwarding::Possible), Transport::Udp), Answer::Forward);
        let reply = told_by(dns(&query, &records(Forwarding::Impossible), Transport::Udp));
        assert_eq!((reply.response_code, reply.authoritative), (ResponseCode::Refused, false));
        assert!(!reply.recursion_available);
    }
    assert!(told(&question("a.example.org", RecordType::A)).recursion_available);
}

#[test]
fn other_classes_and_copies_of_zones_are_refused() {
    let mut chaos = question("version.bind", RecordType::TXT);
    chaos.queries[0].set_query_class(DNSClass::CH);
    for query in [chaos, question("example.org", RecordType::AXFR), question("example.com", RecordType::IXFR)]
    {
        assert_eq!(told(&query).response_code, ResponseCode::Refused);
    }
}

#[test]
fn only_queries_are_done() {
    for code in [1, 2, 4, 5, 15] {
        let mut query = question("a.example.org", RecordType::A);
        query.metadata.op_code = OpCode::from_u8(code);
        assert_eq!(told(&query).response_code, ResponseCode::NotImp);
    }
}

#[test]
fn a_query_has_one_question_and_few_records() {
    let check = |query: &[u8]| {
        let reply = told_by(dns(query, &records(Forwarding::Possible), Transport::Udp));
        assert_eq!((reply.id, reply.response_code), (4711, ResponseCode::FormErr));
    };
    let one = sent(&question("a.example.org", RecordType::A));
    check(&sent(&Message::new(4711, MessageType::Query, OpCode::Query)));
    let mut two = question("a.example.org", RecordType::A);
    two.add_query(Query::query(name("a.example.org"), RecordType::AAAA));
    check(&sent(&two));
    // Counts that promise what is not there, and far too much of it.
    check(&with(one.clone(), 4, &[0xff, 0xff]));
    [6, 8, 10].iter().for_each(|at| check(&with(one.clone(), *at, &[0, 1])));
    [6, 8, 10].iter().for_each(|at| check(&with(one.clone(), *at, &[0xff, 0xff])));
    (12..one.len()).for_each(|size| check(&one[..size]));
    // A name that points at itself.
    check(&with(one, 12, &[0xc0, 12]));
}

#[test]
fn what_is_no_query_is_not_answered() {
    let records = records(Forwarding::Possible);
    let query = sent(&question("a.example.org", RecordType::A));
    (0..12).for_each(|size| assert_eq!(dns(&query[..size], &records, Transport::Udp), Answer::Ignored));
    let answer = with(query, 2, &[0x80]);
    assert_eq!(dns(&answer, &records, Transport::Udp), Answer::Ignored);
    assert_eq!(dns::failed(&answer, Failure::NoAnswer, &records), None);
}

#[test]
fn an_answer_is_as_large_as_its_client_and_its_way_take() {
    let check = |edns: Option<u16>, transport, expected: Option<usize>| {
        let mut query = question("many.example.org", RecordType::A);
        if let Some(size) = edns {
            query.set_edns(Edns::new()).edns.as_mut().expect("EDNS").set_max_payload(size);
        }
        let reply = told_by(dns(&sent(&query), &records(Forwarding::Possible), transport));
        let told = (!reply.truncation).then_some(reply.answers.len());
        assert_eq!((told, reply.edns.is_some()), (expected, edns.is_some()));
        assert_eq!((reply.queries.len(), reply.response_code), (1, ResponseCode::NoError));
    };
    // 60 addresses take 994 bytes, and 11 more with EDNS.
    check(None, Transport::Udp, None);
    check(None, Transport::Tcp, Some(60));
    check(Some(512), Transport::Udp, None);
    check(Some(1004), Transport::Udp, None);
    check(Some(1005), Transport::Udp, Some(60));
    check(Some(4096), Transport::Udp, Some(60));
    check(Some(0), Transport::Tcp, Some(60));
}

#[test]
fn nobody_gets_more_than_what_passes_everywhere() {
    let mut records = records(Forwarding::Possible);
    for number in 60..120 {
        let address = Data::Address(IpAddr::V4(Ipv4Addr::new(10, 0, 1, number)));
        records.insert(name("many.example.org"), 300, address);
    }
    let mut query = question("many.example.org", RecordType::A);
    query.set_edns(Edns::new()).edns.as_mut().expect("EDNS").set_max_payload(4096);
    let reply = told_by(dns(&sent(&query), &records, Transport::Udp));
    assert!(reply.truncation && reply.answers.is_empty());
    let reply = told_by(dns(&sent(&query), &records, Transport::Tcp));
    assert_eq!(reply.answers.len(), 120);
}

#[test]
fn another_version_of_edns_is_told_ours() {
    let mut query = question("a.example.org", RecordType::A);
    query.set_edns(Edns::new()).edns.as_mut().expect("EDNS").set_version(1).set_dnssec_ok(true);
    let reply = told(&query);
    let edns = reply.edns.as_ref().expect("EDNS");
    // BADSIG has the same number (RFC 6895, section 2.3).
    assert_eq!((u16::from(reply.response_code), edns.version()), (u16::from(ResponseCode::BADVERS), 0));
    assert!(edns.flags().dnssec_ok && reply.answers.is_empty());
}

#[test]
fn who_was_to_be_asked_elsewhere_is_told_that_it_failed() {
    let query = sent(&question("www.example.com", RecordType::A));
    for (failure, code) in
        [(Failure::Refused, ResponseCode::Refused), (Failure::NoAnswer, ResponseCode::ServFail)]
    {
        let reply = dns::failed(&query, failure, &records(Forwarding::Possible)).expect("an answer");
        let reply = Message::from_vec(&reply).expect("a message");
        assert_eq!((reply.id, reply.response_code, reply.queries.len()), (4711, code, 1));
    }
}

/// A frame with a datagram from a client to a server.
fn frame(ports: (u16, u16), payload: &[u8]) -> Vec<u8> {
    let packet = PacketBuilder::ethernet2(ASKER, OTHER).ipv6(ASKER_IPV6.octets(), OTHER_IPV6.octets(), 64);
    let mut frame = Vec::new();
    packet.udp(ports.0, ports.1).write(&mut frame, payload).expect("it fits");
    frame
}

#[test]
fn a_forwarded_answer_that_is_too_large_is_cut() {
    let query = sent(&question("many.example.org", RecordType::A));
    let mut answer = Message::from_vec(&query).expect("a message").into_response();
    let record = |number| {
        let address = hickory_proto::rr::RData::A(hickory_proto::rr::rdata::A::new(10, 0, 2, number));
        hickory_proto::rr::Record::from_rdata(name("many.example.org"), 1, address)
    };
    answer.add_answers((0..70).map(record));
    let frame = frame((1000, 53), &query);
    let fits = |answer: &Message| {
        let reply = dns::reply(&frame, &sent(answer)).expect("a frame");
        let Some(TransportSlice::Udp(udp)) = read(&reply).transport else { panic!("not UDP") };
        assert!(udp.payload().len() <= 1232);
        let reply = Message::from_vec(udp.payload()).expect("a message");
        assert_eq!((reply.id, reply.queries.len()), (4711, 1));
        !reply.truncation
    };
    assert!(fits(&answer));
    answer.add_answers((70..90).map(record));
    assert!(!fits(&answer));
    assert_eq!(dns::reply(&frame, &[0xff; 1300]), None);
}

#[test]
fn frames_to_other_ports_and_to_many_hold_no_query() {
    let query = sent(&question("a.example.org", RecordType::A));
    let whole = frame((1000, 53), &query);
    assert_eq!(dns::query(&whole), Some(&query[..]));
    assert_eq!(dns::query(&tagged(&whole, &[5])), Some(&query[..]));
    (0..whole.len()).for_each(|size| assert_eq!(dns::query(&whole[..size]), None));
    for other in [
        frame((1000, 54), &query),
        frame((53, 1000), &query),
        frame((0, 53), &query),
        with(whole.clone(), 0, &[0x33]),
        with(whole, 60, &[0, 0]),
    ] {
        assert_eq!((dns::query(&other), dns::reply(&other, &query)), (None, None));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn whatever_is_asked_answers_are_sound_and_bounded(
        kind in prop_oneof![any::<u16>(), 1..60_u16, Just(255)],
        of in prop::sample::select(vec!["many.example.org", "c.example.org", "x.sub.example.org", "round.example.org"]),
        size in prop::option::of(any::<u16>()),
        changes in proptest::collection::vec((2..60_usize, any::<u8>()), 0..4),
        tail in proptest::collection::vec(any::<u8>(), 0..30),
    ) {
        let mut query = question(of, kind.into());
        query.edns = size.map(|size| {
            let mut edns = Edns::new();
            edns.set_max_payload(size);
            edns
        });
        let mut query = [sent(&query), tail].concat();
        for (at, value) in changes {
            query.get_mut(at).into_iter().for_each(|byte| *byte = value);
        }
        for transport in [Transport::Udp, Transport::Tcp] {
            let Answer::Reply(reply) = dns(&query, &RECORDS, transport) else { continue };
            prop_assert!(transport == Transport::Tcp || reply.len() <= 1232);
            prop_assert_eq!(&reply[..2], &query[..2]);
            prop_assert!(Message::from_vec(&reply).is_ok());
            prop_assert_eq!(dns(&reply, &RECORDS, transport), Answer::Ignored);
        }
    }

    #[test]
    fn whatever_bytes_come_there_is_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Answer::Reply(reply) = dns(&bytes, &RECORDS, Transport::Udp) {
            prop_assert!(reply.len() <= 1232);
        }
        let carried = frame((1000, 53), &bytes);
        if let Some(reply) = dns::reply(&carried, &bytes) {
            prop_assert!(reply.len() <= 14 + 1280);
        }
    }
}
