//! Names: what a name server tells guests, of its own network and through a router.

mod common;

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};

use common::{PATIENCE, apply, mac_in, named_guest, vnctl};
use lab::{Guest, Lab, Result};

const TOPOLOGY: &str = "
networks:
  - {uuid: nw-1, ipv4_network: 10.0.1.0, ipv6_network: 'fd00:1::', domain_name: one.example}
  - {uuid: nw-2, ipv4_network: 10.0.2.0}
interfaces:
  - {uuid: if-a, network_uuid: nw-1, mac_address: '02:00:00:00:01:01', ipv4_address: 10.0.1.1, ipv6_address: 'fd00:1::1'}
  - {uuid: if-b, network_uuid: nw-2, mac_address: '02:00:00:00:02:01', ipv4_address: 10.0.2.1}
  - {uuid: if-dns, mode: simulated, network_uuid: nw-1, mac_address: '02:00:00:00:01:53', ipv4_address: 10.0.1.53,
     ipv6_address: 'fd00:1::53'}
  - {uuid: if-leg1, mode: simulated, enable_routing: true, network_uuid: nw-1, mac_address: '02:00:00:00:01:fe',
     ipv4_address: 10.0.1.254}
  - {uuid: if-leg2, mode: simulated, enable_routing: true, network_uuid: nw-2, mac_address: '02:00:00:00:02:fe',
     ipv4_address: 10.0.2.254}
network_services:
  - {uuid: ns-dns, mode: dns, interface_uuid: if-dns}
  - {uuid: ns-dhcp, mode: dhcp, interface_uuid: if-dns}
dns_services:
  - {uuid: dnss-1, network_service_uuid: ns-dns}
dns_records:
  - {uuid: dnsr-1, dns_service_uuid: dnss-1, name: www.shop.example, ipv4_address: 192.0.2.1}
  - {uuid: dnsr-2, dns_service_uuid: dnss-1, name: www.shop.example., ipv4_address: 192.0.2.2, ttl: 60}
  - {uuid: dnsr-3, dns_service_uuid: dnss-1, name: shop.example, cname: www.shop.example}
route_links:
  - {uuid: rl-1}
routes:
  - {uuid: r-1, interface_uuid: if-leg1, network_uuid: nw-1, route_link_uuid: rl-1, ipv4_network: 10.0.1.0}
  - {uuid: r-2, interface_uuid: if-leg2, network_uuid: nw-2, route_link_uuid: rl-1, ipv4_network: 10.0.2.0}
";

/// Guest `a`, that has no address yet, and on another host `b`, that was configured by hand.
fn start(topology: &str) -> Result<(Lab, [Guest; 2])> {
    let lab = common::start(Lab::builder().hosts(2))?;
    let a = lab.host(0).add_guest(named_guest("a", mac_in(1, 1)))?;
    let b = named_guest("b", mac_in(2, 1)).address("10.0.2.1/24".parse().expect("a prefix"));
    let b = lab.host(1).add_guest(b.gateway("10.0.2.254".parse().expect("an address")))?;
    apply(&lab, topology)?;
    Ok((lab, [a, b]))
}

/// What dig(1) says, in the short form, its lines sorted.
#[track_caller]
fn check(guest: &Guest, question: &str, expected: &[&str]) -> Result<()> {
    let words = ["dig", "+short", "+tries=1", "+time=3"].into_iter().chain(question.split(' '));
    let answer = guest.exec(words)?;
    let mut lines: Vec<_> = answer.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, expected, "{question}");
    Ok(())
}

/// The status that dig(1) shows of an answer.
#[track_caller]
fn check_status(guest: &Guest, question: &str, expected: &str) -> Result<()> {
    let answer = guest.exec(["dig", "+tries=1", "+time=3"].into_iter().chain(question.split(' ')))?;
    assert!(answer.contains(&format!("status: {expected},")), "{answer}");
    Ok(())
}

/// More addresses than fit a datagram, behind one name.
fn many() -> Vec<String> {
    (1..=100).map(|n| format!("198.51.100.{n}")).collect()
}

/// The topology, with the records of [`many`] addresses.
fn topology_with_many() -> String {
    let record = |(n, address)| {
        format!(
            "  - {{uuid: dnsr-m{n}, dns_service_uuid: dnss-1, name: many.shop.example, ipv4_address: {address}}}\n"
        )
    };
    let records: String = many().into_iter().enumerate().map(record).collect();
    TOPOLOGY.replace("dns_records:\n", &format!("dns_records:\n{records}"))
}

#[test]
fn what_does_not_fit_a_datagram_is_told_over_tcp() -> Result<()> {
    let (lab, [a, b]) = start(&topology_with_many())?;
    a.set_addresses(&["10.0.1.1/24", "fd00:1::1/64"].map(|address| address.parse().expect("a prefix")))?;
    let mut all = many();
    all.sort_unstable();
    let all: Vec<_> = all.iter().map(String::as_str).collect();
    for guest in [&a, &b] {
        check(guest, "+tcp @10.0.1.53 a.one.example", &["10.0.1.1"])?;
        // Two on one connection.
        check(
            guest,
            "@10.0.1.53 +tcp +keepopen a.one.example AAAA +tcp +keepopen www.shop.example",
            &["192.0.2.1", "192.0.2.2", "fd00:1::1"],
        )?;
        let cut = guest.exec("dig +ignore @10.0.1.53 many.shop.example".split(' '))?;
        assert!(cut.contains(" tc ") && cut.contains("ANSWER: 0"), "{cut}");
        check(guest, "@10.0.1.53 many.shop.example", &all)?;
        check(guest, "@10.0.1.53 +noedns many.shop.example", &all)?;
    }
    check(&a, "@fd00:1::53 +tcp a.one.example", &["10.0.1.1"])?;
    // Who is asked what it does not know asks, by TCP, whom it is told to.
    vnctl(&lab, "dns-services modify dnss-1 --public-dns 127.0.0.1 --wait")?;
    let server = lab.host(0).within(|| TcpListener::bind("127.0.0.1:53"))?.expect("a free port");
    std::thread::scope(|scope| {
        scope.spawn(|| answer_stream(&server));
        check(&a, "@10.0.1.53 +tcp +time=10 +noedns elsewhere.example", &["192.0.2.99"])
    })?;
    Ok(())
}

#[test]
fn guests_resolve_the_names_of_interfaces_and_records() -> Result<()> {
    let (lab, [a, b]) = start(TOPOLOGY)?;
    let lease = a.dhcp()?;
    assert_eq!(lease.get("domain_name_servers").map(String::as_str), Some("10.0.1.53"), "{lease:?}");
    // The one asks in its own network, the other from behind a router, on another host.
    for guest in [&a, &b] {
        check(guest, "@10.0.1.53 a.one.example", &["10.0.1.1"])?;
        check(guest, "@10.0.1.53 A.ONE.example AAAA", &["fd00:1::1"])?;
        check(guest, "@10.0.1.53 -x 10.0.1.1", &["a.one.example."])?;
        check(guest, "@10.0.1.53 -x fd00:1::1", &["a.one.example."])?;
        check(guest, "@10.0.1.53 www.shop.example", &["192.0.2.1", "192.0.2.2"])?;
        check(guest, "@10.0.1.53 shop.example", &["192.0.2.1", "192.0.2.2", "www.shop.example."])?;
        check_status(guest, "@10.0.1.53 nobody.one.example", "NXDOMAIN")?;
        check_status(guest, "@10.0.1.53 a.one.example MX", "NOERROR")?;
        check_status(guest, "@10.0.1.53 elsewhere.example", "REFUSED")?;
    }

    // Other names are asked for elsewhere, by the host of who asks; nobody waits for a server that is silent.
    vnctl(&lab, "dns-services modify dnss-1 --public-dns 127.0.0.2,127.0.0.1 --wait")?;
    let silent = lab.host(0).within(|| UdpSocket::bind("127.0.0.2:53"))?.expect("a free port");
    let server = lab.host(0).within(|| UdpSocket::bind("127.0.0.1:53"))?.expect("a free port");
    server.set_read_timeout(Some(PATIENCE)).expect("a limit");
    std::thread::scope(|scope| {
        scope.spawn(|| answer_one(&server));
        check(&a, "@10.0.1.53 +time=10 +noedns elsewhere.example", &["192.0.2.99"])
    })?;
    drop(silent);
    check(&a, "@10.0.1.53 a.one.example", &["10.0.1.1"])
}

/// Answers one query for an address (RFC 1035, section 4.1): with 192.0.2.99.
fn answer_one(server: &UdpSocket) {
    let mut message = [0; 512];
    let (size, client) = server.recv_from(&mut message).expect("a question");
    server.send_to(&answer_to(&message[..size]), client).expect("sent");
}

/// As [`answer_one`], over TCP (RFC 1035, section 4.2.2).
fn answer_stream(server: &TcpListener) {
    let (mut stream, _) = server.accept().expect("a client");
    stream.set_read_timeout(Some(PATIENCE)).expect("a limit");
    let mut size = [0; 2];
    stream.read_exact(&mut size).expect("a length");
    let mut message = vec![0; u16::from_be_bytes(size).into()];
    stream.read_exact(&mut message).expect("a question");
    let answer = answer_to(&message);
    let size = u16::try_from(answer.len()).expect("a small answer").to_be_bytes();
    stream.write_all(&[&size[..], &answer].concat()).expect("sent");
}

fn answer_to(message: &[u8]) -> Vec<u8> {
    let (header, question) = message.split_at(12);
    let header = [&header[..2], &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]].concat();
    // The name is that of the question, at byte 12; A, IN, for a minute, four bytes.
    let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 99];
    [&header, question, &record].concat()
}
