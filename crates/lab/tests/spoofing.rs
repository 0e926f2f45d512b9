//! Who a guest is, its leases say, and not the guest: what it says of itself or of others beyond them is not heard.

mod common;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use common::frames::{
    self, ALL_NODES, ALL_NODES_MAC, BROADCAST, Header, Pair, Party, behind, solicited_node, source_option,
    tagged, target_option,
};
use common::watch::Watch;
use common::{PATIENCE, apply, apply_network, await_answer, guest, ip, ip6, mac, prefix};
use lab::{Guest, Lab, MacAddr, Result, in_parallel};

/// A guest far from the attacker, one beside it, and the attacker. The first is whom it claims to be.
const VICTIM: u8 = 1;
const WITNESS: u8 = 2;
const ATTACKER: u8 = 3;
/// The number of addresses that are nobody's.
const NOBODY: u8 = 99;

/// Two hosts and three guests.
struct Stage {
    _lab: Lab,
    victim: Guest,
    witness: Guest,
    attacker: Guest,
}

impl Stage {
    /// Sets it up in what `describe` describes, with everybody knowing everybody.
    fn set_up(describe: impl Fn(&Lab) -> Result<()>) -> Result<Self> {
        let lab = common::start(Lab::builder().hosts(2))?;
        let victim = lab.host(0).add_guest(guest(VICTIM))?;
        let [witness, attacker] = [WITNESS, ATTACKER].map(|n| lab.host(1).add_guest(guest(n)));
        describe(&lab)?;
        let stage = Self { victim, witness: witness?, attacker: attacker?, _lab: lab };
        for from in stage.others().into_iter().chain([&stage.attacker]) {
            believe_everything(from)?;
            for n in [VICTIM, WITNESS, ATTACKER] {
                await_answer(from, ip(n))?;
                await_answer(from, ip6(n))?;
            }
        }
        Ok(stage)
    }

    fn others(&self) -> [&Guest; 2] {
        [&self.victim, &self.witness]
    }

    /// What the others know of whom.
    fn caches(&self) -> Result<[BTreeSet<(IpAddr, MacAddr)>; 2]> {
        let cache = |guest: &Guest| -> Result<BTreeSet<_>> {
            Ok(guest.neighbours()?.into_iter().filter_map(|it| Some((it.address, it.mac?))).collect())
        };
        Ok([cache(&self.victim)?, cache(&self.witness)?])
    }

    /// The attacker sends frames, and others hear those that they are to hear.
    #[track_caller]
    fn check(&self, cases: &[Case], filter: &str) -> Result<()> {
        let mut watch = Watch::start(ATTACKER, &self.attacker, &self.others(), filter)?;
        for case in cases {
            watch.send(&case.frame)?;
            for heard in watch.heard()? {
                assert_eq!(heard.len(), usize::from(case.heard), "{}: {heard:#?}", case.name);
            }
        }
        Ok(())
    }
}

/// Makes a guest learn from whatever it hears, asked for or not (ip-sysctl).
fn believe_everything(guest: &Guest) -> Result<()> {
    guest.write("/proc/sys/net/ipv4/conf/eth0/arp_accept", "1")?;
    // Kernels before 5.18 do not have it, and do not learn from advertisements that they have not asked for.
    let _ = guest.write("/proc/sys/net/ipv6/conf/eth0/accept_untracked_na", "1");
    Ok(())
}

/// A frame, and whether it is to be heard.
struct Case {
    name: &'static str,
    frame: Vec<u8>,
    heard: bool,
}

fn forged(name: &'static str, frame: Vec<u8>) -> Case {
    Case { name, frame, heard: false }
}

fn honest(name: &'static str, frame: Vec<u8>) -> Case {
    Case { name, frame, heard: true }
}

/// What a guest says unasked when its NIC comes up, and never in these cases: that it listens to groups, in a packet with
/// a hop-by-hop header (RFC 3810, section 5), and that it looks for routers.
const CHATTER: &str = "ip6[6] == 0 or (icmp6 and ip6[40] == 133)";

/// Echo requests and replies.
const ECHO: &str = "icmp or (icmp6 and ip6[40] >= 128 and ip6[40] <= 129)";

/// Every way in which the attacker can say something in a network that is not its to say.
fn lies_in_a_network() -> Vec<Case> {
    let (me, x) = (mac(ATTACKER), mac(NOBODY));
    let own: Party = (me, ip(ATTACKER));
    let witness: Party = (mac(WITNESS), ip(WITNESS));
    let victim_link_local = IpAddr::from(mac(VICTIM).link_local());
    let to_witness: Pair<MacAddr> = (me, mac(WITNESS));
    let (to_all, to_all_nodes) = ((me, BROADCAST), (me, ALL_NODES_MAC));
    let v4 = |source| (source, ip(WITNESS));
    let v6 = |source| (source, ip6(WITNESS));
    let nodes = |source| (source, IpAddr::from(ALL_NODES));
    let said_to_all =
        |source: IpAddr, mac| frames::advertisement(to_all_nodes, nodes(source), source, &target_option(mac));
    let router = IpAddr::from(me.link_local());
    let advertisement = frames::router_advertisement((me, router), "fd00::".parse().expect("a prefix"));
    vec![
        // Traffic.
        forged("another's IPv4 address", frames::udp(to_witness, v4(ip(VICTIM)), 9)),
        forged("nobody's IPv4 address", frames::udp(to_witness, v4(ip(NOBODY)), 9)),
        forged("another's IPv6 address", frames::udp(to_witness, v6(ip6(VICTIM)), 9)),
        forged("nobody's IPv6 address", frames::udp(to_witness, v6(ip6(NOBODY)), 9)),
        forged("another's link-local address", frames::udp(to_witness, v6(victim_link_local), 9)),
        forged("no IPv4 address", frames::udp(to_all, (Ipv4Addr::UNSPECIFIED.into(), ip(255)), 9)),
        forged("another's addresses", frames::udp((mac(VICTIM), mac(WITNESS)), v4(ip(VICTIM)), 9)),
        forged("another's IPv6 and MAC", frames::udp((mac(VICTIM), mac(WITNESS)), v6(ip6(VICTIM)), 9)),
        forged("nobody's MAC", frames::udp((x, mac(WITNESS)), v4(ip(ATTACKER)), 9)),
        forged("nobody's MAC to all", frames::udp((x, BROADCAST), (ip(ATTACKER), ip(255)), 9)),
        forged("another's address to all", frames::udp(to_all, (ip(VICTIM), ip(255)), 9)),
        // ARP.
        forged("gratuitous question", frames::arp(to_all, 1, (me, ip(VICTIM)), (BROADCAST, ip(VICTIM)))),
        forged("gratuitous answer", frames::arp(to_all, 2, (me, ip(VICTIM)), (BROADCAST, ip(VICTIM)))),
        forged("answer for another", frames::arp(to_witness, 2, (me, ip(VICTIM)), witness)),
        forged("answer for nobody", frames::arp(to_witness, 2, (me, ip(NOBODY)), witness)),
        forged("question as another", frames::arp(to_witness, 1, (me, ip(VICTIM)), witness)),
        forged("question as another, to all", frames::arp(to_all, 1, (me, ip(VICTIM)), witness)),
        forged("another MAC for itself", frames::arp(to_witness, 2, (x, ip(ATTACKER)), witness)),
        forged("answer as another", frames::arp((mac(VICTIM), mac(WITNESS)), 2, (me, ip(VICTIM)), witness)),
        forged("gratuitous in a priority tag", tagged(0, &frames::arp(to_all, 2, (me, ip(VICTIM)), own))),
        forged("gratuitous in two", tagged(0, &tagged(0, &frames::arp(to_all, 2, (me, ip(VICTIM)), own)))),
        // Neighbour discovery.
        forged("unsolicited advertisement", said_to_all(ip6(VICTIM), me)),
        forged("unsolicited advertisement for nobody", said_to_all(ip6(NOBODY), me)),
        forged("unsolicited advertisement, link-local", said_to_all(victim_link_local, me)),
        forged("another MAC for itself, IPv6", said_to_all(ip6(ATTACKER), x)),
        forged(
            "advertisement for another from itself",
            frames::advertisement(to_witness, v6(ip6(ATTACKER)), ip6(VICTIM), &target_option(me)),
        ),
        forged(
            "advertisement as another",
            frames::advertisement(to_witness, v6(ip6(VICTIM)), ip6(VICTIM), &target_option(me)),
        ),
        forged(
            "solicitation as another",
            frames::solicitation(to_witness, v6(ip6(VICTIM)), ip6(WITNESS), &source_option(me)),
        ),
        forged(
            "solicitation from another MAC",
            frames::solicitation(to_witness, v6(ip6(ATTACKER)), ip6(WITNESS), &source_option(x)),
        ),
        forged("detection of another's address", {
            let (group_mac, group) = solicited_node(ip6(VICTIM));
            let ips = (IpAddr::from(Ipv6Addr::UNSPECIFIED), group);
            frames::solicitation((me, group_mac), ips, ip6(VICTIM), &[])
        }),
        forged(
            "advertisement behind options",
            behind(Header::DestinationOptions, &said_to_all(ip6(VICTIM), me)),
        ),
        forged("advertisement in a fragment", behind(Header::FirstFragment, &said_to_all(ip6(ATTACKER), x))),
        // Routers' words.
        forged("router advertisement", advertisement.clone()),
        forged("router advertisement behind options", behind(Header::DestinationOptions, &advertisement)),
        forged("router advertisement in a fragment", behind(Header::FirstFragment, &advertisement)),
        forged("redirect", frames::redirect(to_witness, v6(router), ip6(VICTIM))),
    ]
}

#[test]
fn a_guest_of_a_network_cannot_speak_for_another() -> Result<()> {
    let stage = Stage::set_up(|lab| apply_network(lab, [VICTIM, WITNESS, ATTACKER]))?;
    let caches = stage.caches()?;
    let stream = |to| stage.victim.start_ping(to, Duration::from_millis(20));
    let streams = [stream(ip(WITNESS))?, stream(ip6(WITNESS))?];
    stage.check(&lies_in_a_network(), &format!("not ({CHATTER} or {ECHO})"))?;
    for stream in streams {
        stream.wait_for_more(1, PATIENCE)?;
        let report = stream.finish()?;
        assert!(report.lost.is_empty(), "{report:?}");
    }
    assert_eq!(stage.caches()?, caches);
    Ok(())
}

/// Who sends, in tcpdump's words, so that what others hear can be told apart.
fn is_own(line: &str) -> bool {
    [ip(ATTACKER), ip6(ATTACKER)].iter().any(|own| line.contains(&format!(" {own} > ")))
}

#[test]
fn a_guest_of_a_network_is_silent_with_any_address_but_its_own() -> Result<()> {
    let stage = Stage::set_up(|lab| apply_network(lab, [VICTIM, WITNESS, ATTACKER]))?;
    let attacker = &stage.attacker;
    let own = attacker.addresses();
    let heard = stage.witness.capture_arriving(&format!("not ({CHATTER})"))?;
    let reached = || in_parallel([ip(WITNESS), ip6(WITNESS)], |to| attacker.reaches(to));
    let silent = || reached().into_iter().all(|reached| matches!(reached, Ok(false)));
    for n in [VICTIM, NOBODY] {
        attacker.set_addresses(&[prefix(ip(n), 24), prefix(ip6(n), 64)])?;
        assert!(silent(), "with the addresses of {n}");
    }
    attacker.set_addresses(&own)?;
    for n in [VICTIM, NOBODY] {
        attacker.set_mac(mac(n))?;
        assert!(silent(), "with the MAC address of {n}");
    }
    attacker.set_mac(mac(ATTACKER))?;
    await_answer(attacker, ip(WITNESS))?;
    await_answer(attacker, ip6(WITNESS))?;
    let heard = heard.finish()?;
    assert!(!heard.is_empty() && heard.iter().all(|line| is_own(line)), "{heard:#?}");
    Ok(())
}

/// Guests on a segment, which knows their MAC addresses alone.
fn apply_segment(lab: &Lab) -> Result<()> {
    let interface =
        |n| format!("  - {{uuid: if-inst{n}, segment_uuid: seg-wire, mac_address: '{}'}}\n", mac(n));
    let interfaces: String = [VICTIM, WITNESS, ATTACKER].map(interface).concat();
    apply(lab, &format!("segments:\n  - {{uuid: seg-wire, mode: virtual}}\ninterfaces:\n{interfaces}"))
}

/// What the attacker may say on a segment: anything about IP addresses, and only the truth about MAC addresses.
fn truth_and_lies_on_a_segment() -> Vec<Case> {
    let (me, x) = (mac(ATTACKER), mac(NOBODY));
    let witness: Party = (mac(WITNESS), ip(WITNESS));
    let to_witness: Pair<MacAddr> = (me, mac(WITNESS));
    let (to_all, to_all_nodes) = ((me, BROADCAST), (me, ALL_NODES_MAC));
    let free = (ip(NOBODY), ip6(NOBODY));
    let nodes = (free.1, IpAddr::from(ALL_NODES));
    let says = |mac| frames::arp(to_all, 2, (mac, free.0), (BROADCAST, free.0));
    let tells = |options: &[u8]| frames::advertisement(to_all_nodes, nodes, free.1, options);
    let asks = |options: &[u8]| frames::solicitation(to_all_nodes, nodes, ip6(WITNESS), options);
    let [mine, victims] = [me, mac(VICTIM)].map(target_option);
    vec![
        honest("own MAC with any address", frames::udp(to_all, (free.0, ip(255)), 9)),
        honest("own MAC in ARP", says(me)),
        honest("own MAC in an advertisement", tells(&mine)),
        honest("own MAC in a solicitation", asks(&source_option(me))),
        honest("an advertisement without MAC", tells(&[])),
        honest("own MAC behind options", behind(Header::DestinationOptions, &tells(&mine))),
        honest("own MAC in a fragment", behind(Header::FirstFragment, &tells(&mine))),
        forged("another's MAC", frames::udp((mac(VICTIM), BROADCAST), (ip(VICTIM), ip(255)), 9)),
        forged("nobody's MAC", frames::udp((x, BROADCAST), (free.0, ip(255)), 9)),
        forged("another's MAC in ARP", says(mac(VICTIM))),
        forged("nobody's MAC in ARP", says(x)),
        forged("another's MAC in an ARP answer", frames::arp(to_witness, 2, (mac(VICTIM), free.0), witness)),
        forged(
            "another's MAC in an ARP question",
            frames::arp(to_witness, 1, (mac(VICTIM), free.0), witness),
        ),
        forged("nobody's MAC in Ethernet and ARP", frames::arp((x, BROADCAST), 1, (x, free.0), witness)),
        forged("another's MAC in an advertisement", tells(&victims)),
        forged("nobody's MAC in an advertisement", tells(&target_option(x))),
        forged("another's MAC in a solicitation", asks(&source_option(mac(VICTIM)))),
        forged("another's MAC before its own", tells(&[victims.clone(), mine.clone()].concat())),
        forged("another's MAC after its own", tells(&[mine, victims.clone()].concat())),
        forged("another's MAC twice", tells(&[victims.clone(), victims].concat())),
        forged(
            "another's MAC behind options",
            behind(Header::DestinationOptions, &tells(&target_option(mac(VICTIM)))),
        ),
        forged("nobody's MAC in a fragment", behind(Header::FirstFragment, &tells(&target_option(x)))),
        forged("ARP in a priority tag", tagged(0, &says(mac(VICTIM)))),
        forged("ARP in two tags", tagged(0, &tagged(0, &says(mac(VICTIM))))),
        forged("an advertisement in two tags", tagged(0, &tagged(0, &tells(&target_option(x))))),
    ]
}

#[test]
fn a_guest_of_a_segment_has_any_ip_address_and_no_other_mac_address() -> Result<()> {
    let stage = Stage::set_up(apply_segment)?;
    let caches = stage.caches()?;
    // The others ask each other who they are now and then: their own ARP and neighbour discovery is theirs to send.
    let theirs = format!("not udp and (ether src {} or ether src {})", mac(VICTIM), mac(WITNESS));
    stage.check(&truth_and_lies_on_a_segment(), &format!("not ({CHATTER}) and not ({theirs})"))?;
    for (before, after) in caches.iter().zip(stage.caches()?) {
        let news: Vec<_> = after.difference(before).collect();
        assert!(before.is_subset(&after), "{before:?} became {after:?}");
        assert!(news.contains(&&(ip(NOBODY), mac(ATTACKER))), "gullible guests learn: {news:?}");
        assert!(news.iter().all(|(_, learnt)| *learnt == mac(ATTACKER)), "{news:?}");
    }
    let (attacker, witness) = (&stage.attacker, &stage.witness);
    attacker.set_addresses(&[prefix(ip(50), 24), prefix(ip6(50), 64)])?;
    await_answer(witness, ip(50))?;
    await_answer(&stage.victim, ip6(50))?;
    for n in [VICTIM, NOBODY] {
        attacker.set_mac(mac(n))?;
        assert!(!attacker.reaches(ip(WITNESS))?, "with the MAC address of {n}");
    }
    attacker.set_mac(mac(ATTACKER))?;
    await_answer(attacker, ip(WITNESS))
}
