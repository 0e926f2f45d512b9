//! Translations: guests inside, on two hosts, and the world outside, on a third, with a router between them that translates.

mod common;

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::time::Duration;

use common::tcp::Connection;
use common::translated::{INSIDE, SOURCE, World, guest, inside, outside};
use common::{PATIENCE, apply, check_told, prefix, vnctl};
use dataplane::{Owner, Purpose};
use lab::{Guest, Lab, Result, wait_until};

/// Bytes of a connection that goes on.
const BOTH_WAYS: (bool, bool) = (true, true);

/// Opens a connection over which bytes pass both ways, and whose client the server knows as `face`.
#[track_caller]
fn check_open(opened: Result<Connection>, face: IpAddr) -> Result<Connection> {
    let connection = opened?;
    assert_eq!(connection.peer, face);
    assert_eq!(connection.passes(), BOTH_WAYS);
    Ok(connection)
}

#[test]
fn a_static_address_is_a_guests_face_outside() -> Result<()> {
    let world = World::with_entries()?;
    for (guest, face) in [(&world.a, outside(5)), (&world.b, outside(6))] {
        common::await_answer(&world.out, face)?;
        common::await_answer(guest, outside(1))?;
        // Out and in, and the other side sees the face.
        check_open(Connection::open(guest, &world.out, (outside(1), 80).into()), face)?;
        check_open(Connection::translated(&world.out, (face, 8080).into(), guest, 8080), outside(1))?;
    }
    // Guests meet by their faces, too.
    common::await_answer(&world.a, outside(6))?;
    common::await_answer(&world.b, outside(5))?;
    check_open(Connection::translated(&world.a, (outside(6), 8081).into(), &world.b, 8081), outside(5))?;
    // The leg is itself, and its other address nobody's: it answers pings.
    common::await_answer(&world.out, outside(254))?;
    common::await_answer(&world.out, outside(9))
}

#[test]
fn an_entry_that_goes_stops_its_connections_and_no_others() -> Result<()> {
    let world = World::start()?;
    world.add("tr-port --ingress-ipv4-address 198.51.100.9 --egress-ipv4-address 10.0.1.1 --ingress-port-number 80 --egress-port-number 8080 --protocol tcp")?;
    world.add("tr-port --ingress-ipv4-address 198.51.100.9 --egress-ipv4-address 10.0.1.2 --ingress-port-number 81 --egress-port-number 8080 --protocol tcp")?;
    let connect = |guest, port| {
        check_open(Connection::translated(&world.out, (outside(9), port).into(), guest, 8080), outside(1))
    };
    let (to_a, to_b) = (connect(&world.a, 80)?, connect(&world.b, 81)?);
    // Shared by now, too: what stands for a port goes on to.
    apply(&world.lab, SOURCE)?;
    assert_eq!([to_a.passes(), to_b.passes()], [BOTH_WAYS; 2]);
    world.remove("tr-port --ingress-ipv4-address 198.51.100.9 --ingress-port-number 80")?;
    assert_eq!([to_a.passes(), to_b.passes()], [(false, false), BOTH_WAYS]);
    Ok(())
}

#[test]
fn guests_of_all_hosts_share_an_address_at_once() -> Result<()> {
    let world = World::start()?;
    apply(&world.lab, SOURCE)?;
    for guest in [&world.a, &world.b] {
        common::await_answer(guest, outside(1))?;
    }
    // The same port of both, to the same server: each hears its own answers.
    let server = world.out.udp_bind(SocketAddr::new(outside(1), 53))?;
    server.set_read_timeout(Some(PATIENCE)).expect("a limit that is not zero");
    let sockets = [(&world.a, inside(1)), (&world.b, inside(2))].map(|(guest, address)| {
        let socket = guest.udp_bind(SocketAddr::new(address, 5000)).expect("a free port");
        socket.set_read_timeout(Some(PATIENCE)).expect("a limit that is not zero");
        socket
    });
    for round in 0..3_u8 {
        for (number, socket) in (0..).zip(&sockets) {
            socket.send_to(&[round, number], SocketAddr::new(outside(1), 53)).expect("sent");
        }
        let mut peers = [answer(&server), answer(&server)];
        peers.sort();
        assert!(peers.iter().all(|peer| peer.ip() == outside(9)));
        assert_ne!(peers[0].port(), peers[1].port());
        for (number, socket) in (0..).zip(&sockets) {
            let mut heard = [0; 2];
            socket.recv(&mut heard).expect("an answer");
            assert_eq!(heard, [round, number]);
        }
    }
    // What the world begins by itself reaches nobody.
    let (_, port) = {
        let peer = ask(&sockets[0], &server);
        (peer.ip(), peer.port())
    };
    let stranger = world.out.udp_bind(SocketAddr::new(outside(1), 54))?;
    stranger.send_to(&[9, 9], SocketAddr::new(outside(9), port)).expect("sent");
    sockets[0].set_read_timeout(Some(Duration::from_millis(300))).expect("a limit that is not zero");
    assert!(sockets[0].recv(&mut [0; 2]).is_err());
    Ok(())
}

/// Answers one datagram with itself, and tells who sent it.
fn answer(server: &UdpSocket) -> SocketAddr {
    let mut message = [0; 2];
    let (_, peer) = server.recv_from(&mut message).expect("a question");
    server.send_to(&message, peer).expect("sent");
    peer
}

fn ask(socket: &UdpSocket, server: &UdpSocket) -> SocketAddr {
    socket.send_to(&[7, 7], SocketAddr::new(outside(1), 53)).expect("sent");
    let peer = answer(server);
    socket.recv(&mut [0; 2]).expect("an answer");
    peer
}

#[test]
fn connections_need_no_agent_and_no_manager_and_static_ones_move_with_their_guest() -> Result<()> {
    let world = World::with_entries()?;
    vnctl(
        &world.lab,
        "translations add --uuid tr-source --interface-uuid if-legout --mode source --source-prefixes 10.0.0.0/8 --external-addresses 198.51.100.9 --wait",
    )?;
    // In by a static address, and out by a shared one: of the static ones there is only the first now.
    world.remove("tr-static --ingress-ipv4-address 198.51.100.6")?;
    let to_a = check_open(
        Connection::translated(&world.out, (outside(5), 8080).into(), &world.a, 8080),
        outside(1),
    )?;
    let open = || check_open(Connection::open(&world.b, &world.out, (outside(1), 80).into()), outside(9));
    let from_b = open()?;
    let both = || [to_a.passes(), from_b.passes()] == [BOTH_WAYS; 2];
    for host in world.lab.hosts() {
        host.vna().kill();
    }
    world.lab.manager().kill();
    assert!(both());
    // New ones, too.
    open()?;
    world.lab.manager().start()?;
    for host in world.lab.hosts() {
        host.vna().start(&world.lab.manager().sync_url())?;
    }
    assert!(both());

    world.a.plug(world.lab.host(1))?;
    common::await_status(&world.lab, "if-a", "host", &world.lab.host(1).name().into())?;
    wait_until("the connection to go on".to_owned(), PATIENCE, || match to_a.passes() {
        BOTH_WAYS => Ok(()),
        silent => Err(format!("{silent:?}")),
    })?;
    assert_eq!(from_b.passes(), BOTH_WAYS);
    Ok(())
}

#[test]
fn errors_tell_guests_of_their_own_packets() -> Result<()> {
    let world = World::start()?;
    apply(&world.lab, SOURCE)?;
    world.add("tr-static --ingress-ipv4-address 198.51.100.5 --egress-ipv4-address 10.0.1.1")?;
    for guest in [&world.a, &world.b] {
        // What does not fit the tunnel behind the leg: 62 bytes of 1,500 are Geneve's.
        check_told(guest, "-M do -s 1450 198.51.100.1", "Frag needed and DF set (mtu = 1438)")?;
        // Nobody there; and the world's own word.
        check_told(guest, "198.51.100.77", "Destination Host Unreachable")?;
        check_refused(guest, SocketAddr::new(outside(1), 9))?;
    }
    // From outside it is the face that speaks.
    check_told(&world.out, "-M do -s 1450 198.51.100.5", "Frag needed and DF set (mtu = 1438)")?;
    check_told(&world.out, "-t 1 198.51.100.5", "Time to live exceeded")?;
    check_refused(&world.out, SocketAddr::new(outside(5), 9))
}

/// A datagram to a port where nobody listens comes back as an error of the socket: the kernel has found it in the quote.
#[track_caller]
fn check_refused(guest: &Guest, to: SocketAddr) -> Result<()> {
    let socket = guest.udp_bind("0.0.0.0:0".parse().expect("an address"))?;
    guest.within(|| socket.connect(to))?.expect("a route");
    socket.set_read_timeout(Some(Duration::from_secs(1))).expect("a limit that is not zero");
    wait_until(format!("{to} to refuse"), PATIENCE, || {
        let _ = socket.send(&[1]);
        match socket.recv(&mut [0; 1]) {
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => Ok(()),
            other => Err(format!("{other:?}")),
        }
    })
}

/// The world outside is a wire now, to which the third host has an uplink.
const WIRE: &str = "
networks:
  - {uuid: nw-wire, mode: physical, ipv4_network: 203.0.113.0}
interfaces:
  - {uuid: if-legwire, mode: simulated, enable_routing: true, enable_route_translation: true, network_uuid: nw-wire,
     mac_address: '02:00:00:00:02:fe', ipv4_address: 203.0.113.254}
  - {uuid: if-uplink, mode: host, network_uuid: nw-wire, owner_datapath_uuid: dp-host3, port_name: outside}
ip_leases:
  - {uuid: il-5, network_uuid: nw-wire, interface_uuid: if-legwire, ipv4_address: 203.0.113.5}
  - {uuid: il-9, network_uuid: nw-wire, interface_uuid: if-legwire, ipv4_address: 203.0.113.9}
routes:
  - {uuid: r-out, interface_uuid: if-legwire, network_uuid: nw-wire, route_link_uuid: rl-1, ipv4_network: 0.0.0.0,
     ipv4_prefix: 0}
translations:
  - {uuid: tr-static, interface_uuid: if-legwire, mode: static_address}
  - {uuid: tr-source, interface_uuid: if-legwire, mode: source, source_network_uuid: nw-in,
     external_addresses: [203.0.113.9]}
";

#[test]
fn guests_and_a_real_wire_know_each_other_by_translated_addresses_only() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(3))?;
    let wire = |last: u8| IpAddr::from([203, 0, 113, last]);
    // One is on another host than the uplink, one on its own.
    let (a, b) = (lab.host(0).add_guest(guest("a", 1))?, lab.host(2).add_guest(guest("b", 2))?);
    let server = lab.add_server("server", &[prefix(wire(7), 24)])?;
    lab.host(2).ovs_vsctl(["add-port", "br-int", "outside"])?;
    apply(&lab, INSIDE)?;
    apply(&lab, WIRE)?;
    let entry = "tr-static --ingress-ipv4-address 203.0.113.5 --egress-ipv4-address 10.0.1.1 --ingress-port-number 80 --egress-port-number 8080 --protocol tcp";
    vnctl(&lab, &format!("translations static-address add {entry} --wait"))?;
    for guest in [&a, &b] {
        common::await_answer(guest, wire(7))?;
        check_open(Connection::open(guest, &server, (wire(7), 80).into()), wire(9))?;
        // Nobody there: the gateway says so, about the packet that the guest has sent.
        check_told(guest, "203.0.113.77", "Destination Host Unreachable")?;
        check_refused(guest, SocketAddr::new(wire(7), 9))?;
    }
    check_told(&a, "-M do -s 1450 203.0.113.7", "Frag needed and DF set (mtu = 1438)")?;
    check_open(Connection::translated(&server, (wire(5), 80).into(), &a, 8080), wire(7))?;
    Ok(())
}

#[test]
fn of_two_guests_that_ping_one_address_alike_the_second_hears_nothing_and_is_counted() -> Result<()> {
    let world = World::start()?;
    let here = world.lab.host(0);
    let other = here.add_guest(guest("c", 3))?;
    let place = "--network-uuid nw-in --mac-address 02:00:00:00:01:03 --ipv4-address 10.0.1.3";
    vnctl(&world.lab, &format!("interfaces add --uuid if-c {place}"))?;
    apply(&world.lab, SOURCE)?;
    let ping = |guest: &Guest, identifier: &str| {
        let line = format!("ping -n -q -e {identifier} -c 5 -i 0.2 -W 1 198.51.100.1");
        guest.attempt(line.split(' ')).map(|output| output.stdout)
    };
    let of_no_connection = format!("cookie={:#x}/-1", Owner::Base(Purpose::UnknownConnection).cookie().0);
    for (guest, identifier, heard) in [(&world.a, "77", 5), (&other, "77", 0), (&other, "78", 5)] {
        let told = ping(guest, identifier)?;
        assert!(told.contains(&format!(" {heard} received")), "{}: {told}", guest.name());
    }
    let counted = here.ovs_ofctl(["dump-aggregate", "br-int", &of_no_connection])?;
    assert!(counted.contains("packet_count=5 "), "{counted}");
    Ok(())
}
