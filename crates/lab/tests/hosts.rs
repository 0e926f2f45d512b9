//! Hosts and guests, without an agent: plain learning bridges stand in for it.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr};
use std::thread;
use std::time::Duration;

use lab::{Error, Family, Guest, GuestSpec, Host, Lab, Ping, Result, reachability};

/// Time for what needs packets to cross a userspace switch on a busy machine.
const PATIENCE: Duration = Duration::from_secs(10);

/// Makes an integration bridge that learns, with a Geneve tunnel to every one of `peers`.
fn learning_bridge(host: &Host, peers: &[&Host]) -> Result<()> {
    host.ovs_vsctl(["add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev"])?;
    for peer in peers {
        let (port, remote) =
            (format!("to-{}", peer.name()), format!("options:remote_ip={}", peer.underlay_ip()));
        let tunnel = ["--", "set", "interface", &port, "type=geneve", &remote, "options:key=7"];
        host.ovs_vsctl(["add-port", "br-int", &port].into_iter().chain(tunnel))?;
    }
    Ok(())
}

/// Guest number `n` has 10.0.0.n and fd00::n.
fn ip(n: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, n])
}

fn guest(host: &Host, n: u8) -> Result<Guest> {
    let v4 = format!("10.0.0.{n}/24").parse().expect("an IPv4 prefix");
    let v6 = format!("fd00::{n}/64").parse().expect("an IPv6 prefix");
    host.add_guest(
        GuestSpec::new(&format!("inst{n}")).iface_id(&format!("if-inst{n}")).address(v4).address(v6),
    )
}

/// Two hosts with a tunnel between them and a guest each.
fn tunnelled_pair() -> Result<(Lab, Guest, Guest)> {
    let lab = Lab::builder().hosts(2).start()?;
    learning_bridge(lab.host(0), &[lab.host(1)])?;
    learning_bridge(lab.host(1), &[lab.host(0)])?;
    let (one, two) = (guest(lab.host(0), 1)?, guest(lab.host(1), 2)?);
    lab::wait_until("the tunnel", PATIENCE, || one.ping(ip(2)).map_err(|e| e.to_string()).and_then(reached))?;
    Ok((lab, one, two))
}

fn reached(result: lab::PingResult) -> Result<(), String> {
    if result.reached() { Ok(()) } else { Err(format!("{result:?}")) }
}

#[test]
fn guests_of_one_host_talk_through_its_switch() -> Result<()> {
    let lab = Lab::builder().start()?;
    learning_bridge(lab.host(0), &[])?;
    let guests = (1..=3).map(|n| guest(lab.host(0), n)).collect::<Result<Vec<_>>>()?;
    for family in [Family::V4, Family::V6] {
        let matrix = reachability(guests.iter().map(|guest| &**guest), family)?;
        assert!(matrix.is_full(), "\n{matrix}");
    }
    assert_eq!(guests[0].arping(ip(2))?, [guests[1].mac()]);
    let known = guests[0].neighbours()?;
    assert!(known.iter().any(|it| it.address == ip(3) && it.mac == Some(guests[2].mac())), "{known:?}");
    let id = lab.host(0).ovs_vsctl(["get", "interface", "inst1", "external_ids:iface-id"])?;
    assert_eq!(id.trim(), "if-inst1");
    Ok(())
}

#[test]
fn guests_of_two_hosts_talk_through_a_tunnel() -> Result<()> {
    let (lab, one, two) = tunnelled_pair()?;
    let tunnelled = lab.host(1).capture_on("uplink", "udp port 6081")?;
    assert!(one.ping_with(&Ping::to(ip(2)).count(5).payload_bytes(1372).dont_fragment())?.is_perfect());
    tunnelled.wait_for(10, PATIENCE)?;
    let bits_per_second = one.throughput_to(&two, ip(2), Duration::from_secs(1))?;
    assert!(bits_per_second > 1e6, "TCP is stuck at {bits_per_second} bit/s");
    Ok(())
}

#[test]
fn a_cut_underlay_is_noticed_only_by_silence_and_heals() -> Result<()> {
    let (lab, one, _two) = tunnelled_pair()?;
    let stream = one.start_ping(ip(2), Duration::from_millis(20))?;
    stream.wait_for_more(5, PATIENCE)?;
    lab.host(1).cut_underlay()?;
    assert!(!one.reaches(ip(2))?);
    lab.host(1).restore_underlay()?;
    stream.wait_for_more(5, PATIENCE)?;
    let report = stream.finish()?;
    assert!(report.longest_gap > Duration::from_millis(500), "{report:?}");
    Ok(())
}

#[test]
fn a_killed_switch_forwards_nothing_until_it_runs_again() -> Result<()> {
    let (lab, one, _two) = tunnelled_pair()?;
    let switch = lab.host(0).switch();
    switch.vswitchd().kill();
    assert!(!one.reaches(ip(2))?);
    switch.start_vswitchd()?;
    lab::wait_until("the tunnel again", PATIENCE, || {
        one.ping(ip(2)).map_err(|e| e.to_string()).and_then(reached)
    })?;
    assert!(matches!(switch.start_vswitchd(), Err(Error::Request(_))));
    Ok(())
}

#[test]
fn a_switch_that_ended_in_order_and_a_killed_database_come_back() -> Result<()> {
    let (lab, one, _two) = tunnelled_pair()?;
    let switch = lab.host(0).switch();
    switch.vswitchd().stop()?;
    switch.database().kill();
    assert!(!switch.vswitchd().is_running() && !switch.database().is_running());
    switch.start_database()?;
    switch.start_vswitchd()?;
    lab::wait_until("the tunnel again", PATIENCE, || {
        one.ping(ip(2)).map_err(|e| e.to_string()).and_then(reached)
    })
}

#[test]
fn the_managers_disk_is_filled_and_freed() -> Result<()> {
    let lab = Lab::builder().hosts(0).start()?;
    let manager = lab.manager();
    let file = manager.state_dir().join("file");
    manager.fill_disk()?;
    assert!(matches!(manager.namespace().write(&file, [0; 4096]), Err(Error::File { .. })));
    manager.free_disk()?;
    manager.namespace().write(&file, [0; 4096])
}

#[test]
fn a_guest_moves_with_its_address_and_its_connections() -> Result<()> {
    let (lab, one, two) = tunnelled_pair()?;
    let listener = one.tcp_listen(SocketAddr::new(ip(1), 80))?;
    let mut client = two.connect(SocketAddr::new(ip(1), 80), PATIENCE)?;
    let (mut server, _) = listener.accept().expect("a connection that was made");
    two.plug(lab.host(0))?;
    assert_eq!(two.host_name().as_deref(), Some("host1"));
    let sender = thread::spawn(move || server.write_all(b"moved"));
    let mut text = [0; 5];
    client.set_read_timeout(Some(PATIENCE)).expect("a limit that is not zero");
    client.read_exact(&mut text).expect("what was sent after the move");
    assert_eq!(&text, b"moved");
    sender.join().expect("no panic").expect("a connection that still stands");
    two.unplug()?;
    assert!(!one.reaches(ip(2))?);
    Ok(())
}

#[test]
fn management_is_cut_without_touching_the_underlay() -> Result<()> {
    let lab = Lab::builder().hosts(2).start()?;
    let manager = lab.manager().namespace();
    let answers = |host: &Host| -> Result<bool> {
        let to = host.management_ip().to_string();
        Ok(manager.attempt(["ping", "-q", "-c", "1", "-w", "1", "-i", "0.2", &to])?.success())
    };
    let underlay = |from: &Host, to: IpAddr| -> Result<bool> {
        Ok(from.attempt(["ping", "-q", "-c", "1", "-w", "5", "-i", "0.2", &to.to_string()])?.success())
    };
    assert!(answers(lab.host(0))? && answers(lab.host(1))?);
    lab.host(0).cut_management()?;
    assert!(!answers(lab.host(0))? && answers(lab.host(1))?);
    assert!(underlay(lab.host(0), lab.host(1).underlay_ip())?);
    assert!(underlay(lab.host(1), lab.host(0).underlay_ipv6())?);
    lab.host(0).restore_management()?;
    assert!(answers(lab.host(0))?);
    Ok(())
}

#[test]
fn a_bare_metal_server_is_reached_through_the_outside_nic() -> Result<()> {
    let lab = Lab::builder().start()?;
    learning_bridge(lab.host(0), &[])?;
    lab.host(0).ovs_vsctl(["add-port", "br-int", "outside"])?;
    let one = guest(lab.host(0), 1)?;
    let server = lab.add_server("server", &["10.0.0.9/24".parse().expect("a prefix")])?;
    let reaches = || one.ping(ip(9)).map_err(|e| e.to_string()).and_then(reached);
    lab::wait_until("the server", PATIENCE, reaches)?;
    assert_eq!(one.arping(ip(9))?, [server.mac()]);
    Ok(())
}

#[test]
fn frames_made_by_hand_arrive_as_they_are() -> Result<()> {
    let lab = Lab::builder().start()?;
    learning_bridge(lab.host(0), &[])?;
    let (one, two) = (guest(lab.host(0), 1)?, guest(lab.host(0), 2)?);
    // An ethertype for experiments (IEEE 802, section 9.2.4).
    let frame = [&[0xff; 6][..], &one.mac().0, &[0x88, 0xb5], &[7; 46]].concat();
    let receiver = two.raw_socket()?;
    let capture = two.capture("ether proto 0x88b5")?;
    one.raw_socket()?.send(&frame)?;
    let seen = receiver.receive(PATIENCE, |bytes| bytes.starts_with(&frame).then(|| bytes.to_vec()))?;
    assert_eq!(seen, frame);
    let frames = capture.wait_for(1, PATIENCE)?;
    assert!(frames[0].starts_with(&one.mac().to_string()), "{frames:?}");
    Ok(())
}
