//! A client gets its address and what it asks for, and is told what it does not get.

mod support;

use std::net::Ipv6Addr;
use std::time::Duration;

use dhcproto::v6::{DhcpOption, Message, MessageType, NtpSuboption, OptionCode, Status};
use dhcproto::{Decodable, Decoder};
use etherparse::{NetSlice, PacketBuilder, TransportSlice};
use proptest::prelude::*;
use responder::dhcpv6;
use responder::dhcpv6::{Answer, Event, Ignored, Lease};
use support::*;

const ADDRESS: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 5);
const ON_LINK: Ipv6Addr = Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 6);
const ELSEWHERE: Ipv6Addr = Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, 5);
const SERVER: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 2);
const CLIENT: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0xff, 0xfe00, 1);
const ALL_SERVERS: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 1, 2);
const DUID: [u8; 10] = [0, 3, 0, 1, 2, 0, 0, 0, 0, 2];
const CLIENT_DUID: [u8; 14] = [0, 1, 0, 1, 0x32, 0x94, 0x0a, 0x3a, 2, 0, 0, 0, 0, 1];
const XID: [u8; 3] = [0xc9, 0x25, 0xce];

/// What dhclient 4.4.3 sends first.
const DHCLIENT: &str = "333300010002 020000000001 86dd
    6008cd2e 003e1101 fe800000 00000000 000000ff fe000001 ff020000 00000000 00000000 00010002
    02220223 003e7492 01c925ce 0001000e 00010001 32940a3a 02000000 0001
    00060006 00170018 001f 00080002 0000 0003000c 00000001 00000e10 00001518";

/// Options that clients send, as bytes.
fn option(code: u16, data: &[u8]) -> Vec<u8> {
    let size = u16::try_from(data.len()).expect("short");
    [&code.to_be_bytes(), &size.to_be_bytes(), data].concat()
}

fn client_id() -> Vec<u8> {
    option(1, &CLIENT_DUID)
}

fn server_id() -> Vec<u8> {
    option(2, &DUID)
}

fn wants(codes: &[u16]) -> Vec<u8> {
    option(6, &codes.iter().flat_map(|code| code.to_be_bytes()).collect::<Vec<_>>())
}

fn addresses(addresses: &[Ipv6Addr]) -> Vec<u8> {
    let address = |address: &Ipv6Addr| option(5, &[&address.octets()[..], &[0; 8]].concat());
    addresses.iter().flat_map(address).collect()
}

/// An association for addresses.
fn association(id: u8, named: &[Ipv6Addr]) -> Vec<u8> {
    option(3, &[&[0, 0, 0, id][..], &[0; 8], &addresses(named)].concat())
}

fn frame(from: Ipv6Addr, to: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
    let packet = PacketBuilder::ethernet2(ASKER, [0x33, 0x33, 0, 1, 0, 2]);
    let mut frame = Vec::new();
    let packet = packet.ipv6(from.octets(), to.octets(), 1).udp(546, 547);
    packet.write(&mut frame, payload).expect("it fits");
    frame
}

/// A message to all servers.
fn message(kind: u8, options: &[Vec<u8>]) -> Vec<u8> {
    frame(CLIENT, ALL_SERVERS, &[&[kind][..], &XID, &options.concat()].concat())
}

const SOLICIT: u8 = 1;
const REQUEST: u8 = 3;
const CONFIRM: u8 = 4;
const RENEW: u8 = 5;
const REBIND: u8 = 6;
const RELEASE: u8 = 8;
const DECLINE: u8 = 9;
const INFORMATION: u8 = 11;

fn lease() -> Lease {
    Lease {
        client: ASKER,
        address: Some(ADDRESS),
        subnet: "fd00::/64".parse().expect("a subnet"),
        server: SERVER,
        server_mac: OTHER,
        preferred: Duration::from_secs(300),
        valid: Duration::from_secs(600),
        dns: vec![Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x53)],
        ntp: vec![Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0x123)],
        search: vec!["a.example.org".parse().expect("a name"), "example.org".parse().expect("a name")],
    }
}

/// What becomes of an association: its addresses with the time they are valid, or a status.
#[derive(Debug, PartialEq, Eq)]
enum Told {
    Addresses(Vec<(Ipv6Addr, u32)>),
    Status(Status),
}

fn read_reply(reply: &[u8]) -> Message {
    let packet = read(reply);
    assert_eq!(reply[..12], [ASKER, OTHER].concat());
    let Some(NetSlice::Ipv6(ip)) = &packet.net else { panic!("not IPv6") };
    assert_eq!((ip.header().source_addr(), ip.header().destination_addr()), (SERVER, CLIENT));
    let Some(TransportSlice::Udp(udp)) = &packet.transport else { panic!("not UDP") };
    assert_eq!((udp.source_port(), udp.destination_port()), (547, 546));
    let message = Message::decode(&mut Decoder::new(udp.payload())).expect("a message");
    assert_eq!(message.xid(), XID);
    assert_eq!(message.opts().get(OptionCode::ServerId), Some(&DhcpOption::ServerId(DUID.to_vec())));
    message
}

fn answer(frame: &[u8], lease: &Lease) -> Result<(Event, Message), Ignored> {
    let Answer { event, reply } = dhcpv6(frame, lease)?;
    Ok((event, read_reply(&reply.expect("a reply"))))
}

fn told_of(options: &dhcproto::v6::DhcpOptions) -> Told {
    if let Some(DhcpOption::StatusCode(code)) = options.get(OptionCode::StatusCode) {
        return Told::Status(code.status);
    }
    let mut addresses: Vec<_> = options
        .iter()
        .map(|option| match option {
            DhcpOption::IAAddr(address) => (address.addr, address.valid_life),
            other => panic!("not an address: {other:?}"),
        })
        .collect();
    addresses.sort();
    Told::Addresses(addresses)
}

/// What each association is told, by its number.
fn associations(message: &Message) -> Vec<(u32, Told)> {
    let all = message.opts().iter().filter_map(|option| match option {
        DhcpOption::IANA(association) => Some((association.id, told_of(&association.opts))),
        DhcpOption::IATA(association) => Some((association.id, told_of(&association.opts))),
        DhcpOption::IAPD(association) => Some((association.id, told_of(&association.opts))),
        _ => None,
    });
    let mut all: Vec<_> = all.collect();
    all.sort_by_key(|(id, _)| *id);
    all
}

/// What a message leads to, and what its only association is told.
fn check_with(lease: &Lease, kind: u8, named: &[Ipv6Addr], expected: (Event, Told)) {
    let server = if [REQUEST, RENEW].contains(&kind) { server_id() } else { Vec::new() };
    let frame = message(kind, &[client_id(), server, association(1, named)]);
    let (event, message) = answer(&frame, lease).expect("an answer");
    let [(1, told)] = <[_; 1]>::try_from(associations(&message)).expect("one association") else {
        panic!("another association")
    };
    assert_eq!((event, told), expected, "{kind} {named:?}");
}

fn check(kind: u8, named: &[Ipv6Addr], expected: (Event, Told)) {
    check_with(&lease(), kind, named, expected);
}

fn leased() -> (Event, Told) {
    (Event::Leased(ADDRESS.into()), Told::Addresses(vec![(ADDRESS, 600)]))
}

fn refused(status: Status) -> (Event, Told) {
    (Event::Refused, Told::Status(status))
}

#[test]
fn dhclient_is_offered_its_address_and_what_it_asks_for() {
    let (event, message) = answer(&bytes(DHCLIENT), &lease()).expect("an answer");
    assert_eq!((event, message.msg_type()), (Event::Offered(ADDRESS.into()), MessageType::Advertise));
    let Some(DhcpOption::IANA(association)) = message.opts().get(OptionCode::IANA) else { panic!("none") };
    assert_eq!((association.id, association.t1, association.t2), (1, 150, 240));
    assert_eq!(told_of(&association.opts), Told::Addresses(vec![(ADDRESS, 600)]));
    let client = DhcpOption::ClientId(CLIENT_DUID.to_vec());
    let dns = DhcpOption::DomainNameServers(lease().dns);
    for expected in [client, DhcpOption::Preference(255), dns] {
        assert_eq!(message.opts().get((&expected).into()), Some(&expected));
    }
}

#[test]
fn names_are_not_compressed() {
    let reply = dhcpv6(&bytes(DHCLIENT), &lease()).expect("an answer").reply.expect("a reply");
    let expected = option(24, b"\x01a\x07example\x03org\0\x07example\x03org\0");
    assert!(reply.windows(expected.len()).any(|window| window == expected));
}

#[test]
fn an_address_is_given_at_once_to_who_wants_that() {
    let solicit = message(SOLICIT, &[client_id(), association(1, &[]), option(14, &[])]);
    let (event, message) = answer(&solicit, &lease()).expect("an answer");
    assert_eq!((event, message.msg_type()), (Event::Leased(ADDRESS.into()), MessageType::Reply));
    assert!(message.opts().get(OptionCode::RapidCommit).is_some());
}

#[test]
fn a_client_gets_its_address_whatever_it_wishes_for() {
    for named in [&[][..], &[ADDRESS], &[ON_LINK], &[ELSEWHERE]] {
        check(SOLICIT, named, (Event::Offered(ADDRESS.into()), Told::Addresses(vec![(ADDRESS, 600)])));
    }
    for named in [&[][..], &[ADDRESS], &[ON_LINK]] {
        check(REQUEST, named, leased());
    }
}

#[test]
fn what_is_requested_must_be_of_the_link() {
    check(REQUEST, &[ELSEWHERE], refused(Status::NotOnLink));
    check(REQUEST, &[ADDRESS, ELSEWHERE], refused(Status::NotOnLink));
}

#[test]
fn an_address_is_extended_and_others_end() {
    for kind in [RENEW, REBIND] {
        check(kind, &[], leased());
        check(kind, &[ADDRESS], leased());
        for other in [ON_LINK, ELSEWHERE] {
            let mut all = vec![(ADDRESS, 600), (other, 0)];
            all.sort();
            check(kind, &[other], (Event::Leased(ADDRESS.into()), Told::Addresses(all)));
        }
    }
}

#[test]
fn without_an_address_everybody_is_told_so() {
    let lease = Lease { address: None, ..lease() };
    let check = |kind, named: &[_], status| check_with(&lease, kind, named, refused(status));
    check(SOLICIT, &[], Status::NoAddrsAvail);
    check(REQUEST, &[ON_LINK], Status::NoAddrsAvail);
    check(REQUEST, &[ELSEWHERE], Status::NotOnLink);
    for kind in [RENEW, REBIND] {
        check(kind, &[ON_LINK], Status::NoBinding);
        let ended = Told::Addresses(vec![(ELSEWHERE, 0)]);
        check_with(&lease, kind, &[ELSEWHERE], (Event::Refused, ended));
    }
}

#[test]
fn one_association_gets_the_address() {
    let temporary = option(4, &[0, 0, 0, 3]);
    let prefix = option(25, &[&[0, 0, 0, 4][..], &[0; 8]].concat());
    let check = |kind, first: &[_], second: &[_], expected: [Told; 4]| {
        let server = if kind == SOLICIT { Vec::new() } else { server_id() };
        let all = [association(1, first), association(2, second), temporary.clone(), prefix.clone()];
        let (_, reply) = answer(&message(kind, &[client_id(), server, all.concat()]), &lease()).expect("one");
        let told: Vec<_> = associations(&reply).into_iter().map(|(_, told)| told).collect();
        assert_eq!(told, expected);
    };
    let given = || Told::Addresses(vec![(ADDRESS, 600)]);
    let status = Told::Status;
    let (no_address, no_prefix) = (Status::NoAddrsAvail, Status::NoPrefixAvail);
    check(SOLICIT, &[], &[], [given(), status(no_address), status(no_address), status(no_prefix)]);
    check(REQUEST, &[], &[ADDRESS], [status(no_address), given(), status(no_address), status(no_prefix)]);
    let none = || status(Status::NoBinding);
    check(RENEW, &[ON_LINK], &[ADDRESS], [none(), given(), none(), none()]);
}

#[test]
fn an_address_may_be_for_ever_and_is_not_preferred_longer() {
    let lease = Lease { preferred: Duration::MAX, valid: Duration::MAX, ..lease() };
    let ever = (Event::Leased(ADDRESS.into()), Told::Addresses(vec![(ADDRESS, u32::MAX)]));
    check_with(&lease, REQUEST, &[], ever);
    let lease = Lease { valid: Duration::from_secs(100), ..lease };
    let request = message(REQUEST, &[client_id(), server_id(), association(1, &[])]);
    let (_, reply) = answer(&request, &lease).expect("an answer");
    let Some(DhcpOption::IANA(association)) = reply.opts().get(OptionCode::IANA) else { panic!("none") };
    let Some(DhcpOption::IAAddr(address)) = association.opts.get(OptionCode::IAAddr) else { panic!("none") };
    assert_eq!((address.preferred_life, association.t1, association.t2), (100, 50, 80));
}

fn status(message: &Message) -> Option<Status> {
    match message.opts().get(OptionCode::StatusCode) {
        Some(DhcpOption::StatusCode(code)) => Some(code.status),
        _ => None,
    }
}

#[test]
fn a_client_learns_whether_it_is_still_on_its_link() {
    let check = |named: &[_], expected: (Event, Status)| {
        let confirm = message(CONFIRM, &[client_id(), association(1, named)]);
        let (event, reply) = answer(&confirm, &lease()).expect("an answer");
        assert_eq!((event, status(&reply)), (expected.0, Some(expected.1)));
        assert!(associations(&reply).is_empty());
    };
    check(&[ADDRESS], (Event::Confirmed, Status::Success));
    check(&[ON_LINK], (Event::Confirmed, Status::Success));
    check(&[ADDRESS, ELSEWHERE], (Event::Refused, Status::NotOnLink));
    let nothing = message(CONFIRM, &[client_id(), association(1, &[])]);
    assert_eq!(dhcpv6(&nothing, &lease()), Err(Ignored::Malformed));
}

#[test]
fn what_is_given_back_is_taken() {
    for (kind, event) in
        [(RELEASE, Event::Released(ADDRESS.into())), (DECLINE, Event::Declined(ADDRESS.into()))]
    {
        let all = [client_id(), server_id(), association(1, &[ADDRESS]), association(2, &[ON_LINK])];
        let (told, reply) = answer(&message(kind, &all), &lease()).expect("an answer");
        assert_eq!((told, status(&reply)), (event, Some(Status::Success)));
        assert_eq!(associations(&reply), [(2, Told::Status(Status::NoBinding))]);
        let other = message(kind, &[client_id(), server_id(), association(2, &[ON_LINK])]);
        assert_eq!(answer(&other, &lease()).expect("an answer").0, Event::Refused);
    }
}

#[test]
fn who_has_an_address_is_told_the_rest() {
    let asks = message(INFORMATION, &[wants(&[23, 23, 24, 31, 56, 1, 3, 17])]);
    let (event, reply) = answer(&asks, &lease()).expect("an answer");
    let codes: Vec<_> = reply.opts().iter().map(|option| u16::from(OptionCode::from(option))).collect();
    assert_eq!((event, &codes[..]), (Event::Informed, &[2, 23, 24, 31, 56][..]));
    let ntp = DhcpOption::NtpServer(vec![NtpSuboption::ServerAddress(lease().ntp[0])]);
    assert_eq!(reply.opts().get(OptionCode::NtpServer), Some(&ntp));
    let (_, reply) = answer(&message(INFORMATION, &[client_id()]), &lease()).expect("an answer");
    assert!(reply.opts().get(OptionCode::ClientId).is_some());
}

#[test]
fn what_does_not_fit_is_left_out() {
    let lease = Lease { dns: lease().dns.repeat(75), ..lease() };
    let asks = message(INFORMATION, &[wants(&[23, 24])]);
    let reply = dhcpv6(&asks, &lease).expect("an answer").reply.expect("a reply");
    assert!(reply.len() <= 14 + 1280);
    let message = read_reply(&reply);
    assert!(message.opts().get(OptionCode::DomainNameServers).is_some());
    assert!(message.opts().get(OptionCode::DomainSearchList).is_none());
}

#[test]
fn what_concerns_others_is_ignored() {
    let check = |frame: &[u8], expected| assert_eq!(dhcpv6(frame, &lease()), Err(expected));
    let other = option(2, &[0, 3, 0, 1, 2, 0, 0, 0, 0, 9]);
    for kind in [REQUEST, RENEW, RELEASE, DECLINE] {
        check(&message(kind, &[client_id(), other.clone(), association(1, &[])]), Ignored::OtherServer);
    }
    check(&message(INFORMATION, &[other]), Ignored::OtherServer);
    let solicit = message(SOLICIT, &[client_id(), association(1, &[])]);
    check(&with(solicit, 6, &OTHER), Ignored::OtherClient);
    let payload = [&[REQUEST][..], &XID, &client_id(), &server_id()].concat();
    check(&frame(CLIENT, SERVER, &payload), Ignored::OtherServer);
    [2, 7, 10, 99].iter().for_each(|kind| check(&message(*kind, &[client_id()]), Ignored::NotAClients));
    [12, 13].iter().for_each(|kind| check(&message(*kind, &[client_id()]), Ignored::Relayed));
    check(&frame(Ipv6Addr::UNSPECIFIED, ALL_SERVERS, &payload), Ignored::NotDhcp);
    let udp =
        PacketBuilder::ethernet2(ASKER, OTHER).ipv6(CLIENT.octets(), ALL_SERVERS.octets(), 1).udp(546, 546);
    let mut elsewhere = Vec::new();
    udp.write(&mut elsewhere, &payload).expect("it fits");
    check(&elsewhere, Ignored::NotDhcp);
}

#[test]
fn messages_without_what_they_need_or_with_what_they_must_not_have_are_malformed() {
    let check =
        |kind, options: &[_]| assert_eq!(dhcpv6(&message(kind, options), &lease()), Err(Ignored::Malformed));
    let (client, server) = (client_id(), server_id());
    for kind in [SOLICIT, CONFIRM, REBIND] {
        check(kind, &[association(1, &[ADDRESS])]);
        check(kind, &[client.clone(), server.clone(), association(1, &[ADDRESS])]);
    }
    for kind in [REQUEST, RENEW, RELEASE, DECLINE] {
        check(kind, &[client.clone(), association(1, &[ADDRESS])]);
        check(kind, &[server.clone(), association(1, &[ADDRESS])]);
    }
    check(INFORMATION, &[association(1, &[])]);
    check(SOLICIT, &[client.clone(), client.clone()]);
    check(SOLICIT, &[option(1, &[0, 1])]);
    check(SOLICIT, &[option(1, &[0; 131])]);
    check(SOLICIT, &[client.clone(), option(6, &[0, 23, 0])]);
    check(SOLICIT, &[client.clone(), option(3, &[0; 11])]);
    check(SOLICIT, &[client.clone(), option(3, &[&[0; 12][..], &option(5, &[0; 15])].concat())]);
    // More than anybody needs.
    check(SOLICIT, &[client.clone(), association(1, &[ADDRESS; 5])]);
    check(SOLICIT, &[client, association(1, &[]).repeat(5)]);
}

#[test]
fn what_is_cut_short_is_not_answered() {
    let whole = bytes(DHCLIENT);
    (0..whole.len()).for_each(|size| assert_eq!(dhcpv6(&whole[..size], &lease()), Err(Ignored::NotDhcp)));
    let payload = [&[SOLICIT][..], &XID, &client_id(), &association(1, &[ADDRESS])].concat();
    let ends = [4, 4 + client_id().len(), payload.len()];
    for size in (0..payload.len()).filter(|size| !ends.contains(size)) {
        let cut = frame(CLIENT, ALL_SERVERS, &payload[..size]);
        assert_eq!(dhcpv6(&cut, &lease()), Err(Ignored::Malformed), "{size}");
    }
}

#[test]
fn the_answer_stays_in_its_vlan() {
    let reply = |frame: &[u8]| dhcpv6(frame, &lease()).expect("an answer").reply.expect("a reply");
    let frame = bytes(DHCLIENT);
    assert_eq!(reply(&tagged(&frame, &[5])), tagged(&reply(&frame), &[5]));
}

/// Options of any code and content, nested, some with a length that is not theirs.
fn any_options() -> impl Strategy<Value = Vec<u8>> {
    let code =
        prop_oneof![any::<u16>(), prop::sample::select(vec![1, 2, 3, 4, 5, 6, 9, 11, 13, 14, 16, 17, 25])];
    let leaf = proptest::collection::vec(any::<u8>(), 0..30).boxed();
    // What is before nested options: nothing, or the fields of an association.
    let head = prop::sample::select(vec![0, 0, 4, 12]).prop_map(|size| vec![0; size]);
    leaf.prop_recursive(4, 40, 4, move |inner| {
        let nested = proptest::collection::vec((code.clone(), inner, 0..20_u16), 0..4);
        (head.clone(), nested).prop_map(|(head, nested)| {
            let options = nested.into_iter().flat_map(|(code, data, lie)| {
                let size = u16::try_from(data.len()).expect("short") + lie.saturating_sub(18);
                [&code.to_be_bytes()[..], &size.to_be_bytes(), &data].concat()
            });
            head.into_iter().chain(options).collect()
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn whatever_a_client_sends_answers_are_sound_and_bounded(
        kind in 0..15_u8,
        has_server: bool,
        rest in any_options(),
        size in 0..5_usize,
    ) {
        let server = if has_server { server_id() } else { Vec::new() };
        let named = [ADDRESS, ON_LINK, ELSEWHERE, ADDRESS, ON_LINK];
        let frame = message(kind, &[client_id(), server, association(1, &named[..size]), rest]);
        if let Ok(Answer { reply: Some(reply), .. }) = dhcpv6(&frame, &lease()) {
            read(&reply);
            prop_assert!(reply.len() <= 14 + 1280);
            prop_assert_eq!(dhcpv6(&reply, &lease()), Err(Ignored::NotDhcp));
        }
    }
}
