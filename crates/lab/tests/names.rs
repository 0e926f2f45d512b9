//! Names: what a name server tells guests, of its own network and through a router.

mod common;

use std::net::UdpSocket;

use common::{PATIENCE, apply, vnctl};
use lab::{Guest, GuestSpec, Lab, Result};

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

#[test]
fn guests_resolve_the_names_of_interfaces_and_records() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(2))?;
    let guest = |host: usize, name: &str, mac: &str| {
        let spec = GuestSpec::new(name).mac(mac.parse().expect("a MAC address"));
        lab.host(host).add_guest(spec.iface_id(&format!("if-{name}")))
    };
    let (a, b) = (guest(0, "a", "02:00:00:00:01:01")?, guest(1, "b", "02:00:00:00:02:01")?);
    apply(&lab, TOPOLOGY)?;
    let lease = a.dhcp()?;
    assert_eq!(lease.get("domain_name_servers").map(String::as_str), Some("10.0.1.53"), "{lease:?}");
    b.exec(["ip", "address", "add", "10.0.2.1/24", "dev", "eth0"])?;
    b.exec(["ip", "route", "add", "default", "via", "10.0.2.254"])?;
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
    let (header, question) = message[..size].split_at(12);
    let header = [&header[..2], &[0x81, 0x80, 0, 1, 0, 1, 0, 0, 0, 0]].concat();
    // The name is that of the question, at byte 12; A, IN, for a minute, four bytes.
    let record = [0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 99];
    server.send_to(&[&header, question, &record].concat(), client).expect("sent");
}
