//! Networks and segments do not see each other, and tunnels carry what hosts send and nobody else.

mod common;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use common::frames::{self, ALL_NODES, ALL_NODES_MAC, BROADCAST, EXPERIMENT, TunnelKeys};
use common::watch::Watch;
use common::{PATIENCE, apply, apply_network, await_answer, guest, ip, ip6, mac, named_guest, prefix, show};
use lab::{Capture, Encapsulation, Guest, Lab, MacAddr, RawSocket, Result};

/// A network or segment. All have guests with the same addresses; its port tells whose a datagram is.
struct Domain {
    name: &'static str,
    attribute: &'static str,
    id: &'static str,
    port: u16,
}

const DOMAINS: [Domain; 4] = [
    Domain { name: "red", attribute: "network_uuid", id: "nw-red", port: 1001 },
    Domain { name: "blue", attribute: "network_uuid", id: "nw-blue", port: 1002 },
    Domain { name: "green", attribute: "segment_uuid", id: "seg-green", port: 1003 },
    Domain { name: "white", attribute: "segment_uuid", id: "seg-white", port: 1004 },
];

impl Domain {
    fn is_segment(&self) -> bool {
        self.attribute == "segment_uuid"
    }

    /// Guest `n`, on host `n`.
    fn guest(&self, lab: &Lab, n: u8) -> Result<Member> {
        let name = format!("{}{n}", self.name);
        let spec = named_guest(&name, mac(n));
        let spec = spec.address(prefix(ip(n), 24)).address(prefix(ip6(n), 64));
        let guest = lab.host(usize::from(n) - 1).add_guest(spec)?;
        let capture = guest.capture_arriving("udp or ether proto 0x88b5")?;
        let socket = guest.raw_socket()?;
        Ok(Member { n, guest, capture, socket })
    }

    /// The interface of guest `n`. Only networks know IP addresses.
    fn interface(&self, n: u8) -> String {
        let (name, attribute, id) = (self.name, self.attribute, self.id);
        let leased = format!(", ipv4_address: {}, ipv6_address: '{}'", ip(n), ip6(n));
        let leased = if self.is_segment() { "" } else { &leased };
        format!("  - {{uuid: if-{name}{n}, {attribute}: {id}, mac_address: '{}'{leased}}}\n", mac(n))
    }

    /// A frame that only this domain's guests send, to all.
    fn experiment(&self, from: u8) -> Vec<u8> {
        let [high, low] = self.port.to_be_bytes();
        [&[3, 0, 0, 0, high, low], &mac(from).0[..], &EXPERIMENT, &[0; 46]].concat()
    }

    /// Whether a capture's line shows a frame of this domain.
    fn sent(&self, line: &str) -> bool {
        let [high, low] = self.port.to_be_bytes();
        line.contains(&format!(".{}: UDP", self.port))
            || line.contains(&format!("03:00:00:00:{high:02x}:{low:02x}"))
    }
}

struct Member {
    n: u8,
    guest: Guest,
    capture: Capture,
    socket: RawSocket,
}

/// One datagram to everybody, in each way that there is, and one to each neighbour.
fn datagrams(from: u8, port: u16) -> Vec<Vec<u8>> {
    let to_all: [(MacAddr, IpAddr, IpAddr); 5] = [
        (BROADCAST, ip(from), Ipv4Addr::BROADCAST.into()),
        (BROADCAST, ip(from), ip(255)),
        (MacAddr([1, 0, 0x5e, 0, 0, 0xfb]), ip(from), Ipv4Addr::new(224, 0, 0, 251).into()),
        (ALL_NODES_MAC, ip6(from), ALL_NODES.into()),
        (
            MacAddr([0x33, 0x33, 0, 0, 0, 0xfb]),
            ip6(from),
            Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb).into(),
        ),
    ];
    let others = HOSTS.filter(|n| *n != from);
    let to_each = others.flat_map(|n| [(mac(n), ip(from), ip(n)), (mac(n), ip6(from), ip6(n))]);
    let all = to_all.into_iter().chain(to_each);
    all.map(|(to, source, target)| frames::udp((mac(from), to), (source, target), port)).collect()
}

const HOSTS: std::ops::RangeInclusive<u8> = 1..=3;

/// Datagrams that a guest gets from each of its two neighbours: five to all, and one for each of its addresses.
const PER_NEIGHBOUR: usize = 7;

#[test]
fn guests_with_the_same_addresses_in_other_networks_and_segments_are_never_heard() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(3))?;
    let members = |domain: &'static Domain| -> Result<(&Domain, Vec<Member>)> {
        Ok((domain, HOSTS.map(|n| domain.guest(&lab, n)).collect::<Result<_>>()?))
    };
    let domains: Vec<_> = DOMAINS.iter().map(members).collect::<Result<_>>()?;
    let interfaces = DOMAINS.iter().flat_map(|domain| HOSTS.map(|n| domain.interface(n)));
    let networks = "networks:\n  - {uuid: nw-red, ipv4_network: 10.0.0.0, ipv6_network: 'fd00::'}\n  \
                    - {uuid: nw-blue, ipv4_network: 10.0.0.0, ipv6_network: 'fd00::'}\n";
    let segments = "segments:\n  - {uuid: seg-green, mode: virtual}\n  - {uuid: seg-white, mode: virtual}\n";
    apply(&lab, &format!("{networks}{segments}interfaces:\n{}", interfaces.collect::<String>()))?;
    for (_, members) in &domains {
        let neighbours = || members.iter().flat_map(|one| members.iter().map(move |other| (one, other.n)));
        for (one, other) in neighbours().filter(|(one, other)| one.n != *other) {
            await_answer(&one.guest, ip(other))?;
        }
    }
    // A domain speaks once the one before it was heard. Whatever a round lets through where it should not is seen among
    // the frames of the next ones.
    for round in 1..=4 {
        for (domain, members) in &domains {
            let frames = 2 * (PER_NEIGHBOUR + usize::from(domain.is_segment()));
            for member in members {
                let experiment = domain.experiment(member.n);
                let sent = datagrams(member.n, domain.port).into_iter().chain([experiment]);
                sent.into_iter().try_for_each(|frame| member.socket.send(&frame))?;
            }
            for member in members {
                let seen = member.capture.wait_for(round * frames, PATIENCE)?;
                assert_eq!(seen.len(), round * frames, "{}: {seen:#?}", member.guest.name());
                assert!(seen.iter().all(|line| domain.sent(line)), "{}: {seen:#?}", member.guest.name());
            }
        }
    }
    // The same address elsewhere is no one to turn to.
    let [(_, red), (_, blue), ..] = &domains[..] else { panic!("four domains") };
    red[2].guest.unplug()?;
    common::await_status(&lab, "if-red3", "host", &serde_json::Value::Null)?;
    assert!(!red[0].guest.reaches(ip(3))? && blue[0].guest.reaches(ip(3))?);
    Ok(())
}

/// Ports of datagrams that came through tunnels: some that no host has sent, and some that one has.
const FORGED: u16 = 6666;
const GENUINE: u16 = 5555;

/// What a packet of a tunnel looks like, outside (pcap-filter(7)).
fn tunnel_filter(encapsulation: Encapsulation) -> &'static str {
    match encapsulation {
        Encapsulation::Geneve => "udp dst port 6081",
        Encapsulation::Vxlan => "udp dst port 4789",
        Encapsulation::Gre => "ip proto 47",
    }
}

/// The key of an object.
fn key(lab: &Lab, collection: &str, id: &str) -> Result<u32> {
    let shown = show(lab, collection, id)?;
    let key = shown["key"].as_u64().and_then(|key| u32::try_from(key).ok());
    Ok(key.unwrap_or_else(|| panic!("{id} has no key: {shown}")))
}

/// The Ethernet address of a device of a host.
fn device_mac(host: &lab::Host, device: &str) -> Result<MacAddr> {
    let shown = host.exec(["ip", "-brief", "link", "show", "dev", device])?;
    let mac = shown.split_whitespace().find_map(|word| word.parse().ok());
    Ok(mac.unwrap_or_else(|| panic!("no Ethernet address: {shown}")))
}

/// Shows that guests talk through the encapsulation of each of the hosts, and that nobody else's frames come in.
fn check_tunnels(encapsulations: &[Encapsulation]) -> Result<()> {
    let hosts = u8::try_from(encapsulations.len()).expect("a few");
    let mut builder = Lab::builder().hosts(hosts);
    for (host, encapsulation) in (0..).zip(encapsulations) {
        builder = builder.encapsulation_of(host, *encapsulation);
    }
    let lab = common::start(builder)?;
    let numbers = || 1..=hosts;
    let place = |n: u8| lab.host(usize::from(n) - 1);
    let guests: Vec<Guest> = numbers().map(|n| place(n).add_guest(guest(n))).collect::<Result<_>>()?;
    apply_network(&lab, numbers())?;
    for (from, to) in pairs(hosts) {
        await_answer(&guests[from], ip(number(to)))?;
    }
    guests_talk_through(&lab, &guests, encapsulations)?;
    strangers_are_not_heard(&lab, &guests, encapsulations)?;
    guests_cannot_tunnel(&lab, &guests)
}

/// The number of the guest at a host, which is counted from zero.
fn number(host: usize) -> u8 {
    u8::try_from(host + 1).expect("a few hosts")
}

/// Different hosts, in either order.
fn pairs(hosts: u8) -> impl Iterator<Item = (usize, usize)> {
    let hosts = usize::from(hosts);
    (0..hosts).flat_map(move |from| (0..hosts).map(move |to| (from, to))).filter(|(from, to)| from != to)
}

/// Every host sends with its own encapsulation and no other.
fn guests_talk_through(lab: &Lab, guests: &[Guest], encapsulations: &[Encapsulation]) -> Result<()> {
    let hosts = u8::try_from(guests.len()).expect("a few");
    for (from, to) in pairs(hosts) {
        let (sender, target) = (lab.host(from).underlay_ip(), lab.host(to).underlay_ip());
        let watch = |encapsulation: Encapsulation| {
            let filter = format!("src {sender} and dst {target} and {}", tunnel_filter(encapsulation));
            lab.host(to).capture_on("uplink", &filter)
        };
        let captures = Encapsulation::ALL.map(watch);
        assert!(guests[from].ping(ip(number(to)))?.is_perfect());
        for (encapsulation, capture) in Encapsulation::ALL.into_iter().zip(captures) {
            let capture = capture?;
            if encapsulation == encapsulations[from] {
                capture.wait_for(3, PATIENCE)?;
            } else {
                assert_eq!(capture.finish()?, Vec::<String>::new(), "{encapsulation} from {sender}");
            }
        }
    }
    Ok(())
}

/// A machine on the wire between hosts sends what a host would send. What counts is the address it sends from.
fn strangers_are_not_heard(lab: &Lab, guests: &[Guest], encapsulations: &[Encapsulation]) -> Result<()> {
    let stranger = lab.add_stranger("stranger", &["192.0.2.250/24".parse().expect("a prefix")])?;
    let socket = stranger.raw_socket()?;
    let watches = watch_for_forged(guests)?;
    let domain = key(lab, "networks", common::NETWORK)?;
    for (from, to) in pairs(number(guests.len() - 1)) {
        let (sender, receiver) = (number(from), number(to));
        let interface = |n| key(lab, "interfaces", &format!("if-inst{n}"));
        let (source, destination) = (interface(sender)?, interface(receiver)?);
        let macs = (stranger.mac(), device_mac(lab.host(to), "br-phy")?);
        let send = |encapsulation, address, port| {
            let inner = |to| frames::udp((mac(sender), to), (ip(sender), ip(receiver)), port);
            let to_one = (TunnelKeys { domain, source, destination }, inner(mac(receiver)));
            let to_all = (TunnelKeys { domain, source, destination: 0 }, inner(BROADCAST));
            let ips = (address, lab.host(to).underlay_ip());
            [to_one, to_all].into_iter().try_for_each(|(keys, inner)| {
                socket.send(&frames::tunnelled(encapsulation, macs, ips, keys, &inner))
            })
        };
        let genuine = guests[to].capture_arriving(&format!("udp dst port {GENUINE}"))?;
        let (strange, known) = (stranger.addresses()[0].addr(), lab.host(from).underlay_ip());
        for encapsulation in Encapsulation::ALL {
            send(encapsulation, strange, FORGED)?;
            if encapsulation != encapsulations[from] {
                send(encapsulation, known, FORGED)?;
            }
        }
        // The very same frames from the host's address are taken for the host's: the others could have been heard.
        send(encapsulations[from], known, GENUINE)?;
        genuine.wait_for(2, PATIENCE)?;
    }
    expect_silence(watches)
}

/// A guest that sends a tunnel's packets, to whatever address, is not taken for a host.
fn guests_cannot_tunnel(lab: &Lab, guests: &[Guest]) -> Result<()> {
    let watches = watch_for_forged(guests)?;
    let interface = |n| key(lab, "interfaces", &format!("if-inst{n}"));
    let domain = key(lab, "networks", common::NETWORK)?;
    let socket = guests[0].raw_socket()?;
    for (host, receiver) in lab.hosts().iter().zip(1..) {
        let keys = TunnelKeys { domain, source: interface(2)?, destination: interface(receiver)? };
        let inner = frames::udp((mac(2), mac(receiver)), (ip(2), ip(receiver)), FORGED);
        let [physical, integration] = ["br-phy", "br-int"].map(|device| device_mac(host, device));
        for to in [physical?, integration?, mac(2), BROADCAST] {
            for from in [ip(1), lab.host(1).underlay_ip()] {
                for encapsulation in Encapsulation::ALL {
                    let ips = (from, host.underlay_ip());
                    socket.send(&frames::tunnelled(encapsulation, (mac(1), to), ips, keys, &inner))?;
                }
            }
        }
    }
    expect_silence(watches)
}

/// Watches every guest: the first one speaks to the others, and then the second to the first.
fn watch_for_forged(guests: &[Guest]) -> Result<[Watch; 2]> {
    let filter = format!("udp dst port {FORGED}");
    let others: Vec<&Guest> = guests[1..].iter().collect();
    Ok([Watch::start(1, &guests[0], &others, &filter)?, Watch::start(2, &guests[1], &[&guests[0]], &filter)?])
}

#[track_caller]
fn expect_silence(watches: [Watch; 2]) -> Result<()> {
    for mut watch in watches {
        assert_eq!(watch.heard()?.concat(), Vec::<String>::new());
    }
    Ok(())
}

#[test]
fn only_hosts_are_heard_in_geneve_tunnels() -> Result<()> {
    check_tunnels(&[Encapsulation::Geneve; 2])
}

#[test]
fn only_hosts_are_heard_in_vxlan_tunnels() -> Result<()> {
    check_tunnels(&[Encapsulation::Vxlan; 2])
}

#[test]
fn only_hosts_are_heard_in_gre_tunnels() -> Result<()> {
    check_tunnels(&[Encapsulation::Gre; 2])
}

#[test]
fn hosts_of_different_encapsulations_understand_each_other_and_nobody_else() -> Result<()> {
    check_tunnels(&Encapsulation::ALL)
}
