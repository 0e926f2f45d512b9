//! A client gets its lease, all of it that it asks for, and nothing that is not its own.

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use dhcproto::v4::{DhcpOption, Flags, Message, MessageType, Opcode, OptionCode, UnknownOption};
use dhcproto::{Decodable, Decoder, Encodable};
use etherparse::{NetSlice, PacketBuilder, TransportSlice};
use proptest::prelude::*;
use responder::dhcpv4;
use responder::dhcpv4::{Answer, Event, Ignored, Lease};
use support::*;

const ADDRESS: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 5);
const SERVER: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const NOBODY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;
const ALL: Ipv4Addr = Ipv4Addr::BROADCAST;
const XID: u32 = 0x403d_d425;

/// What dhclient 4.4.3 sends first: Ethernet, IP, UDP and the message's header up to the hardware address; then, behind
/// 202 zeros, cookie and options; then 38 zeros.
const DHCLIENT_START: &str = "ffffffffffff 020000000001 0800
    45100148 00000000 80113996 00000000 ffffffff 00440043 01341615
    01010600 403dd425 00000000 00000000 00000000 00000000 00000000 020000000001";
const DHCLIENT_OPTIONS: &str = "63825363 350101 0c0461736b73 370a 011c030f06770c1a792a ff";

fn lease() -> Lease {
    let ip = |last| Ipv4Addr::new(10, 0, 0, last);
    let name = |text: &str| text.parse().expect("a name");
    Lease {
        client: ASKER,
        address: ADDRESS,
        subnet: "10.0.0.0/24".parse().expect("a subnet"),
        server: SERVER,
        server_mac: OTHER,
        lease_time: Duration::from_secs(600),
        routers: vec![ip(1)],
        dns: vec![ip(2), ip(3)],
        ntp: vec![ip(4)],
        routes: vec![("192.168.77.0/17".parse().expect("a prefix"), ip(9))],
        host_name: Some("guest".to_owned()),
        domain_name: Some(name("example.org")),
        search: vec![name("a.example.org"), name("example.org")],
        mtu: Some(1400),
    }
}

fn frame(from: Ipv4Addr, to: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
    let packet = PacketBuilder::ethernet2(ASKER, [0xff; 6]).ipv4(from.octets(), to.octets(), 64).udp(68, 67);
    let mut frame = Vec::new();
    packet.write(&mut frame, payload).expect("it fits");
    frame
}

/// A message from a client without an address, to all.
fn message(kind: MessageType, options: impl IntoIterator<Item = DhcpOption>) -> Message {
    let mut message = Message::new_with_id(XID, NOBODY, NOBODY, NOBODY, NOBODY, &ASKER);
    message.opts_mut().insert(DhcpOption::MessageType(kind));
    options.into_iter().for_each(|option| {
        message.opts_mut().insert(option);
    });
    message
}

fn sent(message: &Message) -> Vec<u8> {
    frame(message.ciaddr(), ALL, &message.to_vec().expect("a message"))
}

fn requested(address: Ipv4Addr) -> DhcpOption {
    DhcpOption::RequestedIpAddress(address)
}

fn wants(codes: impl IntoIterator<Item = u8>) -> DhcpOption {
    DhcpOption::ParameterRequestList(codes.into_iter().map(OptionCode::from).collect())
}

const SELECTED: DhcpOption = DhcpOption::ServerIdentifier(SERVER);

/// A message of a client that uses an address.
fn using(kind: MessageType, address: Ipv4Addr, options: impl IntoIterator<Item = DhcpOption>) -> Message {
    let mut message = message(kind, options);
    message.set_ciaddr(address);
    message
}

/// An answer, and where it goes.
struct Told {
    mac: [u8; 6],
    ip: Ipv4Addr,
    message: Message,
    size: usize,
}

fn read_reply(reply: &[u8]) -> Told {
    let packet = read(reply);
    let Some(NetSlice::Ipv4(ip)) = &packet.net else { panic!("not IPv4") };
    assert_eq!((&reply[6..12], ip.header().source_addr()), (&OTHER[..], SERVER));
    let Some(TransportSlice::Udp(udp)) = &packet.transport else { panic!("not UDP") };
    assert_eq!((udp.source_port(), udp.destination_port()), (67, 68));
    assert!(udp.payload().len() >= 300, "shorter than BOOTP");
    let message = Message::decode(&mut Decoder::new(udp.payload())).expect("a message");
    assert_eq!((message.opcode(), message.xid(), message.chaddr()), (Opcode::BootReply, XID, &ASKER[..]));
    let size = usize::from(ip.header().total_len());
    let mac = reply[..6].try_into().expect("6 bytes");
    Told { mac, ip: ip.header().destination_addr(), message, size }
}

fn told_by(frame: &[u8], lease: &Lease) -> Told {
    let Answer { reply, .. } = dhcpv4(frame, lease).expect("an answer");
    read_reply(&reply.expect("a reply"))
}

fn told(message: &Message) -> Told {
    told_by(&sent(message), &lease())
}

/// What kind of answer a message gets, and what it says happened.
fn check(message: &Message, expected: Result<(Event, Option<MessageType>), Ignored>) {
    let outcome = dhcpv4(&sent(message), &lease()).map(|Answer { event, reply }| {
        let kind = reply.map(|reply| read_reply(&reply).message.opts().msg_type().expect("a kind"));
        (event, kind)
    });
    assert_eq!(outcome, expected, "{message:?}");
}

fn leased() -> Result<(Event, Option<MessageType>), Ignored> {
    Ok((Event::Leased(ADDRESS.into()), Some(MessageType::Ack)))
}

fn refused() -> Result<(Event, Option<MessageType>), Ignored> {
    Ok((Event::Refused, Some(MessageType::Nak)))
}

/// The codes of the options that say something of the lease.
fn codes(message: &Message) -> Vec<u8> {
    message
        .opts()
        .iter()
        .map(|(code, _)| u8::from(*code))
        .filter(|code| ![51, 53, 54].contains(code))
        .collect()
}

#[test]
fn dhclient_is_offered_what_it_asks_for() {
    let frame = [bytes(DHCLIENT_START), vec![0; 202], bytes(DHCLIENT_OPTIONS), vec![0; 38]].concat();
    let Told { mac, ip, message, .. } = told_by(&frame, &lease());
    assert_eq!((mac, ip, message.yiaddr()), (ASKER, ADDRESS, ADDRESS));
    let name = |text: &str| text.parse().expect("a name");
    let expected = [
        DhcpOption::SubnetMask(Ipv4Addr::new(255, 255, 255, 0)),
        DhcpOption::DomainNameServer(vec![Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3)]),
        DhcpOption::Hostname("guest".to_owned()),
        DhcpOption::DomainName("example.org".to_owned()),
        DhcpOption::InterfaceMtu(1400),
        DhcpOption::BroadcastAddr(Ipv4Addr::new(10, 0, 0, 255)),
        DhcpOption::NtpServers(vec![Ipv4Addr::new(10, 0, 0, 4)]),
        DhcpOption::AddressLeaseTime(600),
        DhcpOption::MessageType(MessageType::Offer),
        DhcpOption::ServerIdentifier(SERVER),
        DhcpOption::DomainSearch(vec![name("a.example.org."), name("example.org.")]),
        DhcpOption::ClasslessStaticRoute(vec![
            ("192.168.0.0/17".parse().expect("a prefix"), Ipv4Addr::new(10, 0, 0, 9)),
            ("0.0.0.0/0".parse().expect("a prefix"), Ipv4Addr::new(10, 0, 0, 1)),
        ]),
    ];
    let options: Vec<_> = message.opts().iter().map(|(_, option)| option.clone()).collect();
    assert_eq!(options, expected);
}

#[test]
fn an_offer_is_made_whatever_is_wished_for() {
    let offered = Ok((Event::Offered(ADDRESS.into()), Some(MessageType::Offer)));
    check(&message(MessageType::Discover, []), offered);
    check(&message(MessageType::Discover, [requested(Ipv4Addr::new(10, 0, 0, 99))]), offered);
}

#[test]
fn every_state_of_a_client_gets_its_address_acknowledged() {
    let request = |options: Vec<_>| message(MessageType::Request, options);
    check(&request(vec![requested(ADDRESS), SELECTED]), leased());
    check(&request(vec![requested(ADDRESS)]), leased());
    check(&using(MessageType::Request, ADDRESS, []), leased());
}

#[test]
fn another_address_is_refused_in_every_state() {
    let wrong = Ipv4Addr::new(10, 0, 1, 5);
    let request = |options: Vec<_>| message(MessageType::Request, options);
    for message in [
        request(vec![requested(wrong), SELECTED]),
        request(vec![requested(wrong)]),
        using(MessageType::Request, wrong, []),
    ] {
        check(&message, refused());
        let Told { mac, ip, message, .. } = told(&message);
        assert_eq!((mac, ip, message.yiaddr(), message.ciaddr()), ([0xff; 6], ALL, NOBODY, NOBODY));
        assert!(!message.opts().contains(OptionCode::AddressLeaseTime), "{message:?}");
    }
}

#[test]
fn what_concerns_others_is_ignored() {
    let other = DhcpOption::ServerIdentifier(Ipv4Addr::new(10, 0, 0, 99));
    check(&message(MessageType::Request, [requested(ADDRESS), other.clone()]), Err(Ignored::OtherServer));
    check(&using(MessageType::Release, ADDRESS, [other]), Err(Ignored::OtherServer));
    let renewing = using(MessageType::Request, ADDRESS, []).to_vec().expect("a message");
    let elsewhere = frame(ADDRESS, Ipv4Addr::new(10, 0, 0, 99), &renewing);
    assert_eq!(dhcpv4(&elsewhere, &lease()), Err(Ignored::OtherServer));
    let mut discover = message(MessageType::Discover, []);
    check(discover.clone().set_chaddr(&OTHER), Err(Ignored::OtherClient));
    check(discover.clone().set_giaddr(SERVER), Err(Ignored::Relayed));
    check(discover.set_opcode(Opcode::BootReply), Err(Ignored::NotAClients));
    check(&message(MessageType::Offer, []), Err(Ignored::NotAClients));
    check(&message(MessageType::LeaseQuery, []), Err(Ignored::NotAClients));
}

#[test]
fn a_request_for_nothing_or_for_two_addresses_is_malformed() {
    check(&message(MessageType::Request, []), Err(Ignored::Malformed));
    check(&using(MessageType::Request, ADDRESS, [requested(ADDRESS)]), Err(Ignored::Malformed));
}

#[test]
fn who_has_an_address_is_told_the_rest_without_a_lease() {
    let current = Ipv4Addr::new(10, 0, 0, 77);
    let inform = using(MessageType::Inform, current, [wants([1, 6])]);
    check(&inform, Ok((Event::Informed, Some(MessageType::Ack))));
    let Told { mac, ip, message, .. } = told(&inform);
    assert_eq!((mac, ip, message.yiaddr(), message.ciaddr()), (ASKER, current, NOBODY, current));
    assert_eq!(codes(&message), [1, 6]);
    assert!(!message.opts().contains(OptionCode::AddressLeaseTime), "{message:?}");
    check(&message_without_address(MessageType::Inform), Err(Ignored::Malformed));
}

fn message_without_address(kind: MessageType) -> Message {
    message(kind, [SELECTED])
}

#[test]
fn what_is_given_back_is_noted_and_not_answered() {
    let released = Ok((Event::Released(IpAddr::V4(ADDRESS)), None));
    check(&using(MessageType::Release, ADDRESS, [SELECTED]), released);
    check(&using(MessageType::Release, ADDRESS, []), Err(Ignored::Malformed));
    check(&message_without_address(MessageType::Release), Err(Ignored::Malformed));
    let declined = Ok((Event::Declined(IpAddr::V4(ADDRESS)), None));
    check(&message(MessageType::Decline, [SELECTED, requested(ADDRESS)]), declined);
    check(&message_without_address(MessageType::Decline), Err(Ignored::Malformed));
}

#[test]
fn an_answer_goes_where_its_client_can_take_it() {
    let to = |message: &Message| {
        let Told { mac, ip, .. } = told(message);
        (mac, ip)
    };
    let mut discover = message(MessageType::Discover, []);
    assert_eq!(to(&discover), (ASKER, ADDRESS));
    discover.set_flags(Flags::default().set_broadcast());
    assert_eq!(to(&discover), ([0xff; 6], ALL));
    assert!(told(&discover).message.flags().broadcast());
    let mut renewing = using(MessageType::Request, ADDRESS, []);
    renewing.set_flags(Flags::default().set_broadcast());
    assert_eq!(to(&renewing), (ASKER, ADDRESS));
}

#[test]
fn the_answer_stays_in_its_vlan() {
    let discover = sent(&message(MessageType::Discover, []));
    let answer = |frame: &[u8]| dhcpv4(frame, &lease()).expect("an answer").reply.expect("a reply");
    assert_eq!(answer(&tagged(&discover, &[5])), tagged(&answer(&discover), &[5]));
}

#[test]
fn only_what_is_asked_for_and_must_be_told_is_told() {
    let asked = |codes: &[u8]| message(MessageType::Discover, [wants(codes.iter().copied())]);
    let check = |asked: &Message, expected: &[u8]| assert_eq!(codes(&told(asked).message), expected);
    check(&asked(&[6, 6, 1]), &[1, 6]);
    check(&asked(&[58, 59]), &[1, 58, 59]);
    // Nobody knows a boot server.
    check(&asked(&[66, 67, 250]), &[1]);
    check(&message(MessageType::Discover, []), &[1, 3, 6, 15, 26, 28]);
}

#[test]
fn timers_are_a_half_and_seven_eighths_of_the_lease() {
    let Told { message, .. } = told(&message(MessageType::Discover, [wants([58, 59])]));
    assert_eq!(message.opts().get(OptionCode::Renewal), Some(&DhcpOption::Renewal(300)));
    assert_eq!(message.opts().get(OptionCode::Rebinding), Some(&DhcpOption::Rebinding(525)));
}

#[test]
fn a_lease_may_last_for_ever() {
    let lease = Lease { lease_time: Duration::MAX, ..lease() };
    let Told { message, .. } = told_by(&sent(&message(MessageType::Discover, [])), &lease);
    let time = message.opts().get(OptionCode::AddressLeaseTime);
    assert_eq!(time, Some(&DhcpOption::AddressLeaseTime(u32::MAX)));
}

#[test]
fn routers_are_told_once_as_routes_or_by_themselves() {
    let asked = |wanted: [u8; 2], lease: &Lease| {
        codes(&told_by(&sent(&message(MessageType::Discover, [wants(wanted)])), lease).message)
    };
    let either = [[3, 121], [121, 3]].map(|both| asked(both, &lease()));
    assert_eq!(either, [[1, 121], [1, 121]]);
    assert_eq!(asked([3, 6], &lease()), [1, 3, 6]);
    assert_eq!(asked([3, 121], &Lease { routes: vec![], ..lease() }), [1, 3]);
}

#[test]
fn a_default_route_that_is_given_is_not_given_twice() {
    let routes = vec![("0.0.0.0/0".parse().expect("a prefix"), Ipv4Addr::new(10, 0, 0, 9))];
    let lease = Lease { routes: routes.clone(), ..lease() };
    let Told { message, .. } = told_by(&sent(&message(MessageType::Discover, [wants([121])])), &lease);
    let told = message.opts().get(OptionCode::ClasslessStaticRoute);
    assert_eq!(told, Some(&DhcpOption::ClasslessStaticRoute(routes)));
}

#[test]
fn a_client_identifier_comes_back() {
    let id = DhcpOption::ClientIdentifier(vec![255, 1, 2, 3]);
    for message in [
        message(MessageType::Discover, [id.clone()]),
        message(MessageType::Request, [id.clone(), requested(SERVER)]),
        using(MessageType::Inform, ADDRESS, [id.clone()]),
    ] {
        assert_eq!(told(&message).message.opts().get(OptionCode::ClientIdentifier), Some(&id));
    }
}

#[test]
fn an_answer_is_no_larger_than_its_client_and_the_link_take() {
    let ip = |number: u8| Ipv4Addr::new(10, 0, 0, number);
    let routes = (0..200).map(|number| (format!("10.{number}.0.0/16").parse().expect("a prefix"), ip(1)));
    let lease = Lease { routes: routes.collect(), dns: (0..80).map(ip).collect(), ..lease() };
    let check = |size: Option<u16>, mtu, expected: &[u8]| {
        let size_option = size.map(DhcpOption::MaxMessageSize);
        let asks = message(MessageType::Discover, size_option.into_iter().chain([wants([121, 6, 3, 15])]));
        let told = told_by(&sent(&asks), &Lease { mtu, ..lease.clone() });
        assert_eq!(codes(&told.message), expected);
        assert!(told.size <= usize::from(size.unwrap_or(0).max(576)), "{} bytes", told.size);
    };
    // Routes take 1,417 bytes, name servers 324: what does not fit is left out, and what comes after is not.
    check(None, None, &[1, 3, 15]);
    check(Some(1500), None, &[1, 3, 6, 15]);
    check(Some(9000), Some(9000), &[1, 6, 15, 121]);
    check(Some(9000), Some(1500), &[1, 3, 6, 15]);
    // Less than what every client takes is not legal.
    check(Some(300), None, &[1, 3, 15]);
}

#[test]
fn a_long_option_is_split_and_read_as_one() {
    let ip = |number: u8| Ipv4Addr::new(10, 0, 0, number);
    let servers: Vec<_> = (0..70).map(ip).collect();
    let lease = Lease { dns: servers.clone(), ..lease() };
    let asks = message(MessageType::Discover, [wants([6]), DhcpOption::MaxMessageSize(1500)]);
    let Told { message, .. } = told_by(&sent(&asks), &lease);
    let told = message.opts().get(OptionCode::DomainNameServer);
    assert_eq!(told, Some(&DhcpOption::DomainNameServer(servers)));
}

#[test]
fn a_small_subnet_has_no_broadcast_address() {
    for (prefix, expected) in [("10.0.0.4/30", &[1, 28][..]), ("10.0.0.4/31", &[1]), ("10.0.0.5/32", &[1])] {
        let lease = Lease { subnet: prefix.parse().expect("a prefix"), ..lease() };
        let asks = sent(&message(MessageType::Discover, [wants([28])]));
        assert_eq!(codes(&told_by(&asks, &lease).message), expected);
    }
}

#[test]
fn options_are_read_wherever_they_are() {
    let mut payload = message(MessageType::Request, []).to_vec().expect("a message");
    // The address and the list, in two pieces each, in both fields: option 52 says so.
    payload.truncate(240);
    payload.extend([53, 1, 3, 52, 1, 3, 50, 2, 10, 0, 55, 1, 6, 255]);
    payload[108..116].copy_from_slice(&[55, 1, 15, 255, 0, 0, 0, 0]);
    payload[44..49].copy_from_slice(&[50, 2, 0, 5, 255]);
    let Told { message, .. } = told_by(&frame(NOBODY, ALL, &payload), &lease());
    assert_eq!(message.opts().msg_type(), Some(MessageType::Ack));
    assert_eq!(codes(&message), [1, 6, 15]);
}

#[test]
fn what_is_malformed_is_not_answered() {
    let whole = message(MessageType::Discover, [wants([1, 3, 6])]).to_vec().expect("a message");
    let check = |payload: &[u8], expected: Ignored| {
        assert_eq!(dhcpv4(&frame(NOBODY, ALL, payload), &lease()), Err(expected), "{payload:02x?}");
    };
    (0..=241).for_each(|size| check(&whole[..size], Ignored::Malformed));
    // Cookie, hardware and its size.
    check(&with(whole.clone(), 236, &[0]), Ignored::Malformed);
    check(&with(whole.clone(), 1, &[6]), Ignored::Malformed);
    [0, 5, 7, 16, 255].iter().for_each(|size| check(&with(whole.clone(), 2, &[*size]), Ignored::Malformed));
    // Options of the wrong size.
    for (code, data) in [(50, vec![10, 0, 0]), (54, vec![10, 0, 0, 1, 2]), (57, vec![5]), (61, vec![0; 256])]
    {
        let option = DhcpOption::Unknown(UnknownOption::new(OptionCode::from(code), data));
        let mut message = whole.clone();
        message.truncate(240);
        message.extend([53, 1, 1]);
        message.extend(option.to_vec().expect("an option"));
        check(&message, Ignored::Malformed);
    }
}

#[test]
fn other_datagrams_are_not_for_a_server() {
    let payload = message(MessageType::Discover, []).to_vec().expect("a message");
    let frame = frame(NOBODY, ALL, &payload);
    let check = |frame: &[u8]| assert_eq!(dhcpv4(frame, &lease()), Err(Ignored::NotDhcp));
    (0..frame.len()).for_each(|size| check(&frame[..size]));
    // A checksum that is wrong; none is fine.
    check(&with(frame.clone(), 40, &[1, 2]));
    assert!(dhcpv4(&with(frame.clone(), 40, &[0, 0]), &lease()).is_ok());
    let to_client = PacketBuilder::ethernet2(ASKER, OTHER).ipv4([0; 4], [255; 4], 64).udp(67, 68);
    let mut bytes = Vec::new();
    to_client.write(&mut bytes, &payload).expect("it fits");
    check(&bytes);
    let six = PacketBuilder::ethernet2(ASKER, OTHER).ipv6(ASKER_IPV6.octets(), OTHER_IPV6.octets(), 64);
    let mut bytes = Vec::new();
    six.udp(68, 67).write(&mut bytes, &payload).expect("it fits");
    check(&bytes);
}

/// Options of any code and content, one after the other.
fn any_options() -> impl Strategy<Value = Vec<u8>> {
    let code = prop_oneof![any::<u8>(), prop::sample::select(vec![50, 51, 52, 53, 54, 55, 57, 61, 121])];
    let option =
        (code, proptest::collection::vec(any::<u8>(), 0..9), -1..2_i8).prop_map(|(code, data, lie)| {
            let size = u8::try_from(data.len()).expect("short");
            [vec![code, size.saturating_add_signed(lie)], data].concat()
        });
    proptest::collection::vec(option, 0..40).prop_map(|options| options.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    #[test]
    fn whatever_a_client_sends_answers_are_sound_and_bounded(
        kind in 0..9_u8,
        options in any_options(),
        changes in proptest::collection::vec((0..300_usize, any::<u8>()), 0..4),
    ) {
        let mut payload = message(MessageType::Discover, []).to_vec().expect("a message");
        payload.truncate(240);
        payload.extend([53, 1, kind]);
        payload.extend(options);
        for (at, value) in changes {
            payload.get_mut(at).into_iter().for_each(|byte| *byte = value);
        }
        let Ok(Answer { reply: Some(reply), .. }) = dhcpv4(&frame(NOBODY, ALL, &payload), &lease()) else {
            return Ok(());
        };
        prop_assert!(reply.len() <= 14 + 1400);
        read(&reply);
        prop_assert_eq!(dhcpv4(&reply, &lease()), Err(Ignored::NotDhcp));
    }
}

#[test]
fn clients_want_an_address_when_they_discover_or_request() {
    let check = |kind: MessageType, expected: bool| {
        assert_eq!(dhcpv4::wants_address(&sent(&message(kind, [])), ASKER), expected, "{kind:?}");
    };
    check(MessageType::Discover, true);
    check(MessageType::Request, true);
    check(MessageType::Inform, false);
    check(MessageType::Release, false);
    check(MessageType::Decline, false);
    check(MessageType::Offer, false);
    let discover = message(MessageType::Discover, []);
    assert!(!dhcpv4::wants_address(&sent(&discover), OTHER));
    let mut relayed = discover.clone();
    relayed.set_giaddr(SERVER);
    assert!(!dhcpv4::wants_address(&sent(&relayed), ASKER));
    assert!(!dhcpv4::wants_address(&frame(NOBODY, ALL, b"no message"), ASKER));
}
