//! What guests have, and no test of ours has written: the DHCP clients of Debian and of BusyBox, and the C library's resolver.

mod common;

use std::net::{IpAddr, Ipv4Addr};

use common::{PATIENCE, apply, mac_in, named_guest, vnctl};
use lab::{Guest, Lab, Result};

/// A network with a server for addresses and names, and one behind a router.
const TOPOLOGY: &str = "
networks:
  - {uuid: nw-1, ipv4_network: 10.0.1.0, ipv6_network: 'fd00:1::', domain_name: one.example}
  - {uuid: nw-2, ipv4_network: 10.0.2.0, domain_name: two.example}
interfaces:
  - {uuid: if-small, network_uuid: nw-1, mac_address: '02:00:00:00:01:01', ipv4_address: 10.0.1.1, ipv6_address: 'fd00:1::1'}
  - {uuid: if-large, network_uuid: nw-1, mac_address: '02:00:00:00:01:02', ipv4_address: 10.0.1.2}
  - {uuid: if-far, network_uuid: nw-2, mac_address: '02:00:00:00:02:01', ipv4_address: 10.0.2.1}
  - {uuid: if-services, mode: simulated, network_uuid: nw-1, mac_address: '02:00:00:00:01:53', ipv4_address: 10.0.1.53}
  - {uuid: if-leg1, mode: simulated, enable_routing: true, network_uuid: nw-1, mac_address: '02:00:00:00:01:fe',
     ipv4_address: 10.0.1.254}
  - {uuid: if-leg2, mode: simulated, enable_routing: true, network_uuid: nw-2, mac_address: '02:00:00:00:02:fe',
     ipv4_address: 10.0.2.254}
network_services:
  - {uuid: ns-dhcp, mode: dhcp, interface_uuid: if-services}
  - {uuid: ns-dns, mode: dns, interface_uuid: if-services}
  - {uuid: ns-dhcp2, mode: dhcp, interface_uuid: if-leg2, dns_servers: [10.0.1.53]}
dns_services:
  - {uuid: dnss-1, network_service_uuid: ns-dns}
dns_records:
  - {uuid: dnsr-1, dns_service_uuid: dnss-1, name: www.shop.example, ipv4_address: 192.0.2.1}
  - {uuid: dnsr-2, dns_service_uuid: dnss-1, name: www.shop.example, ipv4_address: 192.0.2.2}
  - {uuid: dnsr-3, dns_service_uuid: dnss-1, name: shop.example, cname: www.shop.example}
route_links:
  - {uuid: rl-1}
routes:
  - {uuid: r-1, interface_uuid: if-leg1, network_uuid: nw-1, route_link_uuid: rl-1, ipv4_network: 10.0.1.0}
  - {uuid: r-2, interface_uuid: if-leg2, network_uuid: nw-2, route_link_uuid: rl-1, ipv4_network: 10.0.2.0}
";

/// Renewals of a bound client are the client's own packets to the server (RFC 2131, section 4.4.5).
const RENEWAL: &str = "udp dst port 67 and dst host 10.0.1.53";

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn start() -> Result<(Lab, [Guest; 3])> {
    let lab = common::start(Lab::builder().hosts(2))?;
    let guest = |host: usize, name, (network, n)| {
        lab.host(host).add_guest(named_guest(name, mac_in(network, n)).mtu(1500))
    };
    let guests = [guest(0, "small", (1, 1))?, guest(1, "large", (1, 2))?, guest(1, "far", (2, 1))?];
    apply(&lab, TOPOLOGY)?;
    Ok((lab, guests))
}

/// That a guest's kernel has the address, the route, and the MTU that its server tells.
#[track_caller]
fn check_configured(guest: &Guest, address: &str, route: &str) -> Result<()> {
    assert_eq!(guest.addresses(), [address.parse().expect("a prefix")], "{}", guest.name());
    let routes = guest.exec(["ip", "route", "show"])?;
    assert!(routes.contains(route), "{}: {routes}", guest.name());
    let link = guest.exec(["ip", "link", "show", "eth0"])?;
    assert!(link.contains("mtu 1438"), "{}: {link}", guest.name());
    Ok(())
}

#[test]
fn clients_are_given_what_is_theirs_and_keep_it() -> Result<()> {
    let (lab, [small, large, far]) = start()?;
    let behind = "10.0.2.0/24 via 10.0.1.254 dev eth0";

    // It wishes for the address of somebody else.
    let wrong = Ipv4Addr::new(10, 0, 1, 2);
    let udhcpc = small.start_udhcpc(Some(wrong))?;
    check_configured(&small, "10.0.1.1/24", behind)?;
    // It renews twice, and the second time there is more to know.
    let renewals = small.capture(RENEWAL)?;
    udhcpc.renew();
    udhcpc.wait_for("renew 10.0.1.1", 1)?;
    let frames = renewals.wait_for(1, PATIENCE)?;
    assert!(frames[0].contains("10.0.1.1.68 > 10.0.1.53.67"), "{frames:?}");
    vnctl(&lab, "network-services modify ns-dhcp --dns-servers 10.0.1.77 --wait")?;
    udhcpc.renew();
    udhcpc.wait_for("renew 10.0.1.1", 2)?;
    assert_eq!(udhcpc.lease()?.get("dns").map(String::as_str), Some("10.0.1.77"));
    assert!(!udhcpc.events()?.iter().any(|event| event.contains(&wrong.to_string())));

    // Half of the least lease time is half a minute: it is told to be impatient.
    let renewals = large.capture(RENEWAL)?;
    let dhclient = large.start_dhclient("supersede dhcp-renewal-time 1;")?;
    check_configured(&large, "10.0.1.2/24", behind)?;
    dhclient.wait_for("renew 10.0.1.2", 2)?;
    let frames = renewals.wait_for(2, PATIENCE)?;
    assert!(frames.iter().all(|frame| frame.contains("10.0.1.2.68 > 10.0.1.53.67")), "{frames:?}");

    // All the while they are there, for each other and for those behind the router.
    far.start_udhcpc(None)?;
    check_configured(&far, "10.0.2.1/24", "10.0.1.0/24 via 10.0.2.254 dev eth0")?;
    for (from, to) in [(&small, "10.0.1.2"), (&large, "10.0.2.1"), (&far, "10.0.1.1")] {
        assert!(from.reaches(ip(to))?, "{} to {to}", from.name());
    }

    // An address that is taken away is refused at the next renewal, and the client asks for what it is given now.
    vnctl(&lab, "interfaces modify if-small --ipv4-address 10.0.1.3 --wait")?;
    assert!(!small.reaches(ip("10.0.1.2"))?);
    udhcpc.renew();
    udhcpc.wait_for("bound 10.0.1.3", 1)?;
    assert!(small.reaches(ip("10.0.1.2"))?);
    let events = udhcpc.events()?;
    assert!(events.ends_with(&["nak", "deconfig", "bound 10.0.1.3"].map(str::to_owned)), "{events:?}");
    Ok(())
}

/// What getent(1) finds.
#[track_caller]
fn check_addresses(guest: &Guest, name: &str, expected: &[&str]) -> Result<()> {
    let expected: Vec<_> = expected.iter().copied().map(ip).collect();
    assert_eq!(guest.resolve(name)?, expected, "{name} by {}", guest.name());
    Ok(())
}

#[test]
fn the_c_library_finds_names_and_addresses() -> Result<()> {
    let (_lab, [small, large, far]) = start()?;
    let clients = [small.start_udhcpc(None)?, large.start_dhclient("")?, far.start_udhcpc(None)?];
    for guest in [&small, &large, &far] {
        check_addresses(guest, "large.one.example", &["10.0.1.2"])?;
        check_addresses(guest, "shop.example", &["192.0.2.1", "192.0.2.2"])?;
        check_addresses(guest, "nobody.one.example", &[])?;
        assert_eq!(guest.name_of(ip("10.0.1.1"))?.as_deref(), Some("small.one.example"));
        assert_eq!(guest.name_of(ip("10.0.1.77"))?, None);
    }
    // By the first part of a name alone, in one's own domain.
    check_addresses(&large, "small", &["10.0.1.1", "fd00:1::1"])?;
    check_addresses(&far, "small", &[])?;
    drop(clients);
    Ok(())
}
