//! What the network answers in a guest's place, what it leaves unanswered, and what that costs in flows.

mod common;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::thread;

use common::frames::{self, BROADCAST, Pair, solicited_node, source_option};
use common::watch::Watch;
use common::{PATIENCE, apply, apply_network, dhcp, guest, ip, ip6, mac, show, vnctl};
use dataplane::Owner;
use dataplane::layout::TABLES;
use lab::{Guest, GuestSpec, Lab, MacAddr, RawSocket, Result, wait_until};
use openflow::Cookie;
use serde_json::Value;
use topology::InterfaceKey;

/// The guest that runs the DHCP server, and the one that it has an address for.
const SERVER: u8 = 1;
const CLIENT: u8 = 77;

#[test]
fn a_guest_that_asks_whether_its_address_is_taken_hears_nothing() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(2))?;
    let server = lab.host(0).add_guest(guest(SERVER))?;
    let client = lab.host(1).add_guest(guest(CLIENT))?;
    client.set_addresses(&[])?;
    apply_network(&lab, [SERVER, CLIENT])?;
    lease_is_not_declined(&server, &client)?;
    // The client overlooks answers with its own MAC address (RFC 5227, section 2.4): its NIC must not see them either.
    let answers = client.capture_arriving("arp")?;
    assert_eq!(detect_ipv4(&client, ip(CLIENT))?, None);
    assert_eq!(detect_ipv4(&client, ip(SERVER))?, Some(mac(SERVER)));
    let answers = answers.wait_for(1, PATIENCE)?;
    let expected = format!("{} is-at {}", ip(SERVER), mac(SERVER));
    assert!(answers.iter().all(|line| line.contains(&expected)), "{answers:#?}");
    own_ipv6_addresses_are_free(&client)?;
    for taken in [ip6(SERVER), mac(SERVER).link_local().into()] {
        client.exec(["ip", "address", "add", &format!("{taken}/64"), "dev", "eth0"])?;
        await_detection(&client, taken, true)?;
    }
    Ok(())
}

/// Gets a lease, and sees no DECLINE (RFC 2131, section 3.1, step 5) before the first packet that uses it.
fn lease_is_not_declined(server: &Guest, client: &Guest) -> Result<()> {
    server.exec(["ip", "route", "add", "default", "dev", "eth0"])?;
    let socket = server.udp_bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 67)))?;
    socket.set_broadcast(true).expect("a UDP socket");
    // The kind of message is the first option after the cookie (RFC 2132, section 9.6).
    let declines = "udp dst port 67 and udp[248:2] == 0x3501 and udp[250] == 4";
    let heard = server.capture_arriving(&format!("({declines}) or icmp[0] == 8"))?;
    let serving = thread::spawn(move || dhcp::serve(&socket, 2));
    let lease = client.dhcp()?;
    assert_eq!(lease.get("ip_address"), Some(&ip(CLIENT).to_string()));
    serving.join().expect("no panic").expect("requests that were answered");
    assert!(client.ping(ip(SERVER))?.is_perfect());
    let heard = heard.wait_for(3, PATIENCE)?;
    assert!(heard.iter().all(|line| line.contains("ICMP echo request")), "{heard:#?}");
    Ok(())
}

/// Who else says that it has the address (RFC 5227, section 2.1.1).
fn detect_ipv4(guest: &Guest, address: IpAddr) -> Result<Option<MacAddr>> {
    let found = guest.attempt(["arping", "-D", "-c", "2", "-w", "2", "-I", "eth0", &address.to_string()])?;
    let mac = found.stdout.split_once('[').and_then(|(_, rest)| rest.split_once(']'));
    let mac = mac.map(|(mac, _)| mac.parse().expect("an Ethernet address"));
    assert_eq!(found.success(), mac.is_none(), "{found}");
    Ok(mac)
}

/// Brings the NIC up anew, with duplicate address detection (RFC 4862, section 5.4), and gives it its leased address.
fn own_ipv6_addresses_are_free(guest: &Guest) -> Result<()> {
    guest.write("/proc/sys/net/ipv6/conf/eth0/accept_dad", "1")?;
    guest.exec(["ip", "link", "set", "dev", "eth0", "down"])?;
    guest.exec(["ip", "link", "set", "dev", "eth0", "up"])?;
    guest.exec(["ip", "address", "add", &format!("{}/64", ip6(CLIENT)), "dev", "eth0"])?;
    await_detection(guest, ip6(CLIENT), false)?;
    await_detection(guest, mac(CLIENT).link_local().into(), false)
}

/// Waits until a guest has found whether an IPv6 address of its own is a duplicate.
#[track_caller]
fn await_detection(guest: &Guest, address: IpAddr, duplicate: bool) -> Result<()> {
    let found = wait_until(format!("{address} to be looked for"), PATIENCE, || {
        let entries = ipv6_entries(guest).map_err(|error| error.to_string())?;
        let entry = entries.iter().find(|entry| entry["local"] == address.to_string().as_str());
        match entry {
            Some(entry) if entry["dadfailed"] == true => Ok(true),
            Some(entry) if entry["tentative"] != true => Ok(false),
            _ => Err(format!("{entries:?}")),
        }
    })?;
    assert_eq!(found, duplicate, "{address} at {}", guest.name());
    Ok(())
}

/// The IPv6 addresses of a guest's NIC, as ip-address(8) shows them.
fn ipv6_entries(guest: &Guest) -> Result<Vec<Value>> {
    let answer = guest.exec(["ip", "-json", "-6", "address", "show", "dev", "eth0"])?;
    let devices: Value = serde_json::from_str(&answer).unwrap_or_default();
    Ok(devices.pointer("/0/addr_info").and_then(Value::as_array).cloned().unwrap_or_default())
}

#[test]
fn router_advertisements_are_heard_from_interfaces_that_route_alone() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(2))?;
    let [router, other] = [1, 2].map(|n| lab.host(0).add_guest(guest(n)));
    let (router, other) = (router?, other?);
    let client = lab.host(1).add_guest(guest(3))?;
    client.set_addresses(&[])?;
    client.write("/proc/sys/net/ipv6/conf/eth0/accept_dad", "1")?;
    apply_network(&lab, 1..=3)?;
    let slaac = slaac_address(Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0), mac(3));
    vnctl(&lab, &format!("interfaces modify if-inst3 --ipv6-address {slaac} --wait"))?;
    vnctl(&lab, "interfaces modify if-inst1 --enable-routing true --wait")?;
    let mut watch = Watch::start(1, &router, &[&client], "icmp6 and ip6[40] == 134")?;
    let advertise = |from: &Guest, n: u8, prefix: &str| {
        let prefix = prefix.parse().expect("a prefix");
        let sender = (mac(n), mac(n).link_local().into());
        from.raw_socket()?.send(&frames::router_advertisement(sender, prefix))
    };
    advertise(&other, 2, "fd00:bad::")?;
    advertise(&router, 1, "fd00::")?;
    await_detection(&client, slaac.into(), false)?;
    assert!(client.ping(ip6(1))?.is_perfect());
    vnctl(&lab, "interfaces modify if-inst1 --enable-routing false --wait")?;
    advertise(&router, 1, "fd00:bad::")?;
    let heard = watch.heard()?.concat();
    let [advertised] = &heard[..] else { panic!("{heard:#?}") };
    assert!(advertised.contains(&format!(" {} > ", mac(1).link_local())), "{advertised}");
    let entries = ipv6_entries(&client)?;
    assert!(!entries.iter().any(|entry| entry.to_string().contains("fd00:bad:")), "{entries:?}");
    Ok(())
}

/// The address that a host makes of a prefix (RFC 4862, section 5.5.3) with the identifier of its link-local one.
fn slaac_address(prefix: Ipv6Addr, mac: MacAddr) -> Ipv6Addr {
    let identifier = mac.link_local().to_bits() & u128::from(u64::MAX);
    Ipv6Addr::from_bits(prefix.to_bits() | identifier)
}

#[test]
fn questions_for_known_addresses_never_leave_the_host_that_asks() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(2))?;
    let asker = lab.host(0).add_guest(guest(1))?;
    let owners = [(2, lab.host(0).add_guest(guest(2))?), (3, lab.host(1).add_guest(guest(3))?)];
    apply_network(&lab, 1..=3)?;
    let underlay = lab.host(0).capture_on("uplink", "udp port 6081")?;
    let watched: Vec<&Guest> = owners.iter().map(|(_, owner)| owner).collect();
    let mut watch =
        Watch::start(1, &asker, &watched, "arp or (icmp6 and ip6[40] >= 135 and ip6[40] <= 136)")?;
    let socket = asker.raw_socket()?;
    for (n, _) in &owners {
        assert_eq!(asker.arping(ip(*n))?, [mac(*n)]);
        let (group_mac, group) = solicited_node(ip6(*n));
        let (asks, probes) = ((mac(1), group_mac), (mac(1), mac(*n)));
        check_advertised(&socket, *n, asks, group, &source_option(mac(1)))?;
        check_advertised(&socket, *n, probes, ip6(*n), &source_option(mac(1)))?;
        // RFC 4861, section 7.2.2: a unicast probe may leave the option out.
        check_advertised(&socket, *n, probes, ip6(*n), &[])?;
    }
    // Nobody's address is nobody's to answer for, and no reason to ask around.
    let (group_mac, group) = solicited_node(ip6(99));
    socket.send(&frames::arp((mac(1), BROADCAST), 1, (mac(1), ip(1)), (MacAddr([0; 6]), ip(99))))?;
    socket.send(&frames::solicitation(
        (mac(1), group_mac),
        (ip6(1), group),
        ip6(99),
        &source_option(mac(1)),
    ))?;
    assert_eq!(watch.heard()?, [Vec::<String>::new(), Vec::new()]);
    // The marks that they heard have crossed the underlay, and so would questions have.
    let crossed = underlay.wait_for(1, PATIENCE)?;
    assert!(crossed.iter().any(|line| line.contains(": UDP, length")), "{crossed:#?}");
    let resolution = |line: &&String| line.contains("ARP") || line.contains("neighbor");
    assert_eq!(crossed.iter().filter(resolution).collect::<Vec<_>>(), Vec::<&String>::new());
    Ok(())
}

/// Asks for the IPv6 address of guest `n`, and is told its MAC address.
#[track_caller]
fn check_advertised(
    socket: &RawSocket,
    n: u8,
    macs: Pair<MacAddr>,
    to: IpAddr,
    options: &[u8],
) -> Result<()> {
    socket.send(&frames::solicitation(macs, (ip6(1), to), ip6(n), options))?;
    // RFC 4861, section 4.4: 14 bytes of Ethernet and 40 of IPv6 before the type; flags, target and option after it.
    let told = socket.receive(PATIENCE, |frame| {
        let (kind, message) = (frame.get(54)?, frame.get(62..86)?);
        (*kind == 136).then(|| message.to_vec())
    })?;
    let IpAddr::V6(target) = ip6(n) else { panic!("an IPv6 address") };
    assert_eq!(told, [&target.octets()[..], &frames::target_option(mac(n))].concat());
    Ok(())
}

/// An interface of the budget's topology.
struct Budgeted {
    name: &'static str,
    /// Counted from zero.
    host: usize,
    network: &'static str,
    addresses: &'static [&'static str],
    /// Addresses with the link-local one that IPv6 brings.
    counted: usize,
}

const BUDGETED: [Budgeted; 7] = [
    Budgeted { name: "v4", host: 0, network: "nw-four", addresses: &["10.0.0.1"], counted: 1 },
    Budgeted { name: "dual", host: 0, network: "nw-dual", addresses: &["10.0.0.1", "fd00::1"], counted: 3 },
    Budgeted { name: "two", host: 0, network: "nw-four", addresses: &["10.0.0.2", "10.0.0.3"], counted: 2 },
    Budgeted { name: "far4", host: 1, network: "nw-four", addresses: &["10.0.0.4"], counted: 1 },
    Budgeted {
        name: "fardual",
        host: 1,
        network: "nw-dual",
        addresses: &["10.0.0.4", "fd00::4"],
        counted: 3,
    },
    Budgeted {
        name: "fartwo",
        host: 2,
        network: "nw-four",
        addresses: &["10.0.0.5", "10.0.0.6"],
        counted: 2,
    },
    Budgeted { name: "third", host: 2, network: "nw-dual", addresses: &["10.0.0.7"], counted: 2 },
];

impl Budgeted {
    fn declaration(&self, n: u8) -> (String, String) {
        let Self { name, network, .. } = self;
        let interface =
            format!("  - {{uuid: if-{name}, network_uuid: {network}, mac_address: '{}'}}\n", mac(n));
        let lease = |address: &&str| {
            let family = if address.contains(':') { "ipv6_address" } else { "ipv4_address" };
            format!(
                "  - {{uuid: il-{name}{}, network_uuid: {network}, interface_uuid: if-{name}, {family}: '{address}'}}\n",
                address.replace([':', '.'], "x")
            )
        };
        (interface, self.addresses.iter().map(lease).collect())
    }

    /// Flows that it may cost the first host.
    fn budget(&self) -> usize {
        if self.host == 0 { 6 + 4 * self.counted } else { 1 + self.counted }
    }
}

#[test]
fn flows_per_interface_and_peer_are_within_the_budget() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(3))?;
    let plug = |of: &Budgeted| {
        lab.host(of.host).add_guest(GuestSpec::new(of.name).iface_id(&format!("if-{}", of.name)))
    };
    let _guests: Vec<Guest> = BUDGETED.iter().map(plug).collect::<Result<_>>()?;
    let declarations = BUDGETED.iter().zip(1..).map(|(of, n)| of.declaration(n));
    let (interfaces, leases): (String, String) = declarations.unzip();
    let networks = "networks:\n  - {uuid: nw-four, ipv4_network: 10.0.0.0}\n  \
                    - {uuid: nw-dual, ipv4_network: 10.0.0.0, ipv6_network: 'fd00::'}\n";
    apply(&lab, &format!("{networks}interfaces:\n{interfaces}ip_leases:\n{leases}"))?;
    for of in &BUDGETED {
        let host = lab.host(of.host).name().into();
        common::await_status(&lab, &format!("if-{}", of.name), "host", &host)?;
    }
    // A change after all has been bound, so that all is realized.
    vnctl(&lab, "networks modify nw-four --display-name four --wait")?;
    vnctl(&lab, "networks modify nw-dual --display-name dual --wait")?;
    let flows = flows_by_owner(&lab)?;
    for of in &BUDGETED {
        let shown = show(&lab, "interfaces", &format!("if-{}", of.name))?;
        let key = shown["key"].as_u64().and_then(|key| u32::try_from(key).ok()).expect("a key");
        let cost = flows.get(&Owner::Interface(InterfaceKey(key))).copied().unwrap_or(0);
        assert!((1..=of.budget()).contains(&cost), "{}: {cost} flows, {} allowed", of.name, of.budget());
    }
    let peers: Vec<_> = flows.iter().filter(|(owner, _)| matches!(owner, Owner::Peer(_))).collect();
    assert_eq!(peers.len(), 2, "{peers:?}");
    assert!(peers.iter().all(|(_, cost)| **cost <= 2), "{peers:?}");
    Ok(())
}

/// How many flows of the first host's switch are there for what.
fn flows_by_owner(lab: &Lab) -> Result<BTreeMap<Owner, usize>> {
    let mut count = BTreeMap::new();
    for (table, _) in TABLES {
        let flows = lab.host(0).ovs_ofctl(["dump-flows", "br-int", &format!("table={}", table.0)])?;
        for line in flows.lines().filter(|line| line.contains("cookie=")) {
            let cookie = line.split_once("cookie=0x").and_then(|(_, rest)| rest.split_once(','));
            let cookie = cookie.and_then(|(digits, _)| u64::from_str_radix(digits, 16).ok());
            let owner = cookie.and_then(|cookie| Owner::of_cookie(Cookie(cookie)));
            *count.entry(owner.unwrap_or_else(|| panic!("nobody's flow: {line}"))).or_default() += 1;
        }
    }
    Ok(count)
}
