//! Filters and security groups, seen by guests with real connections on several hosts.

mod common;

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};

use common::tcp::{Connection, SILENCE};
use common::{PATIENCE, apply_network, guest, ip, revision, settle, start, vnctl};
use lab::{Guest, Lab, Result, wait_until};
use serde_json::Value;

/// Whether a server's datagrams still reach a client that says nothing any more.
fn streams(server: &UdpSocket, client: &UdpSocket, to: SocketAddr) -> bool {
    client.set_nonblocking(true).expect("a socket");
    let mut datagram = [0; 8];
    while client.recv(&mut datagram).is_ok() {}
    client.set_nonblocking(false).expect("a socket");
    client.set_read_timeout(Some(SILENCE)).expect("a limit");
    server.send_to(&[7], to).expect("a way out");
    client.recv(&mut datagram).is_ok()
}

/// Whether a connection can be made.
fn connects(from: &Guest, to: &Guest, address: IpAddr, port: u16) -> Result<bool> {
    let address = SocketAddr::new(address, port);
    let _listener = to.tcp_listen(address)?;
    Ok(from.connect(address, SILENCE).is_ok())
}

/// Guests on hosts of their own, of one network.
fn guests(hosts: u8, count: u8) -> Result<(Lab, Vec<Guest>)> {
    let lab = start(Lab::builder().hosts(hosts))?;
    let guests = (1..=count).map(|n| lab.host(usize::from((n - 1) % hosts)).add_guest(guest(n)));
    let guests = guests.collect::<Result<Vec<_>>>()?;
    apply_network(&lab, 1..=count)?;
    settle(&lab)?;
    Ok((lab, guests))
}

#[test]
fn a_rule_that_goes_ends_its_connections_at_once_and_no_others() -> Result<()> {
    let (lab, guests) = guests(2, 2)?;
    let (server, client) = (&guests[0], &guests[1]);
    vnctl(&lab, "filters add --uuid fil-a --interface-uuid if-inst1 --mode static")?;
    vnctl(&lab, "filters static add fil-a --protocol arp --action pass")?;
    for rule in ["tcp --dst-port 80", "tcp --dst-port 81-82", "udp --dst-port 53"] {
        let rule = format!("filters static add fil-a --action conn --direction ingress --protocol {rule}");
        vnctl(&lab, &rule)?;
    }
    vnctl(&lab, "interfaces modify if-inst1 --enable-filtering --wait")?;
    let open = |port| Connection::open(client, server, SocketAddr::new(ip(1), port));
    let (web, other) = (open(80)?, open(81)?);
    assert!(!connects(client, server, ip(1), 83)?);
    let (name_server, asker) = (SocketAddr::new(ip(1), 53), SocketAddr::new(ip(2), 5353));
    let (names, asks) = (server.udp_bind(name_server)?, client.udp_bind(asker)?);
    asks.send_to(&[1], name_server).expect("a way out");
    names.recv(&mut [0; 8]).expect("a question");
    assert!(streams(&names, &asks, asker));

    // What agents and manager know is not needed by what goes on.
    lab.host(0).vna().kill();
    lab.manager().kill();
    assert_eq!((web.passes(), other.passes()), ((true, true), (true, true)));
    lab.manager().start()?;
    lab.host(0).vna().start(&lab.manager().sync_url())?;
    wait_until("the agent to be back", PATIENCE, || {
        vnctl(&lab, "filters modify fil-a --label seen=yes --wait")
            .map(drop)
            .map_err(|error| error.to_string())
    })?;
    assert_eq!((web.passes(), other.passes()), ((true, true), (true, true)));

    // A pass rule removed.
    vnctl(&lab, "filters static del fil-a --direction ingress --protocol tcp --dst-port 80 --wait")?;
    assert_eq!(web.passes(), (false, false));
    assert_eq!(other.passes(), (true, true));
    assert!(streams(&names, &asks, asker));
    // A drop rule added.
    vnctl(&lab, "filters static add fil-a --action drop --protocol udp --priority 1 --wait")?;
    assert!(!streams(&names, &asks, asker));
    assert_eq!(other.passes(), (true, true));
    // And all of it undone: whoever repeats is heard again.
    vnctl(&lab, "interfaces modify if-inst1 --enable-filtering false --wait")?;
    assert!(streams(&names, &asks, asker));
    wait_until("what was lost to be repeated", PATIENCE, || match web.passes() {
        (true, true) => Ok(()),
        other => Err(format!("{other:?}")),
    })
}

#[test]
fn active_ftp_passes_a_stateful_filter() -> Result<()> {
    let (lab, guests) = guests(2, 2)?;
    let (client, server) = (&guests[0], &guests[1]);
    vnctl(&lab, "filters add --uuid fil-a --interface-uuid if-inst1 --mode static")?;
    vnctl(&lab, "filters static add fil-a --protocol arp --action pass")?;
    vnctl(&lab, "filters static add fil-a --action conn --direction egress --protocol tcp --src-port 21")?;
    vnctl(&lab, "interfaces modify if-inst1 --enable-filtering --wait")?;
    let mut control = Connection::open(client, server, SocketAddr::new(ip(2), 21))?;
    assert!(!connects(server, client, ip(1), 51_210)?, "nobody has spoken of it");
    // RFC 959, section 4.1.2: the port is the number of the last two, most significant first.
    control.client.write_all(b"PORT 10,0,0,1,200,10\r\n").expect("a connection");
    let mut line = [0; 22];
    control.server.read_exact(&mut line).expect("a command");
    assert!(connects(server, client, ip(1), 51_210)?, "the data connection");
    assert!(!connects(server, client, ip(1), 51_211)?, "another one");
    Ok(())
}

#[test]
fn who_is_rejected_is_told() -> Result<()> {
    let (lab, guests) = guests(2, 2)?;
    vnctl(&lab, "filters add --uuid fil-a --interface-uuid if-inst1 --mode static")?;
    vnctl(&lab, "filters static add fil-a --protocol arp --action pass")?;
    vnctl(&lab, "filters static add fil-a --protocol tcp --action reject --log")?;
    vnctl(&lab, "filters static add fil-a --protocol icmp --action reject")?;
    vnctl(&lab, "interfaces modify if-inst1 --enable-filtering --wait")?;
    let refused = |from: &Guest, to: IpAddr| {
        let connected = from.connect(SocketAddr::new(to, 80), PATIENCE);
        assert!(connected.is_err_and(|error| format!("{error:?}").contains("ConnectionRefused")));
    };
    refused(&guests[1], ip(1));
    refused(&guests[0], ip(2));
    for (from, to) in [(&guests[1], ip(1)), (&guests[0], ip(2))] {
        let ping = from.attempt(["ping", "-n", "-c", "1", "-W", "2", &to.to_string()])?;
        assert!(ping.stdout.contains("Packet filtered"), "{ping:?}");
    }
    let log = lab.host(0).vna().log()?;
    assert!(log.contains("a filter's rule fits") && log.contains("if-inst1"), "{log}");
    Ok(())
}

/// A web tier of two, an application and a database, on three hosts, and a guest in no group.
fn tiers() -> Result<(Lab, Vec<Guest>)> {
    let (lab, guests) = guests(3, 5)?;
    for group in ["web", "app", "db"] {
        vnctl(&lab, &format!("security-groups add --uuid sg-{group}"))?;
    }
    for rule in [
        "sg-web --direction ingress --protocol tcp --port 80",
        "sg-web --direction egress --protocol tcp --port 8080 --remote-group-uuid sg-app",
        "sg-app --direction ingress --protocol tcp --port 8080 --remote-group-uuid sg-web",
        "sg-app --direction egress --protocol tcp --port 5432 --remote-group-uuid sg-db",
        "sg-db --direction ingress --protocol tcp --port 5432 --remote-group-uuid sg-app",
    ] {
        vnctl(&lab, &format!("security-groups rules add {rule}"))?;
    }
    for (n, group) in [(1, "web"), (2, "web"), (3, "app"), (4, "db")] {
        vnctl(&lab, &format!("interfaces modify if-inst{n} --security-groups sg-{group} --wait"))?;
    }
    Ok((lab, guests))
}

const PORTS: [u16; 4] = [22, 80, 8080, 5432];

#[test]
fn tiers_talk_as_declared_and_not_otherwise() -> Result<()> {
    let (_lab, guests) = tiers()?;
    let allowed = |from: usize, to: usize, port: u16| match (from, to, port) {
        // From web servers to each other nothing may go out, whatever may come in.
        (4, 0 | 1, 80) | (0 | 1, 2, 8080) | (2, 3, 5432) => true,
        _ => false,
    };
    let servers = guests.iter().flat_map(|guest| PORTS.map(|port| (guest, port)));
    let listen = |(guest, port): (&Guest, u16)| guest.tcp_listen((guest.addresses()[0].addr(), port).into());
    let _servers = servers.map(listen).collect::<Result<Vec<_>>>()?;
    let check = |from: usize| -> Result<Vec<(usize, usize, u16)>> {
        let others = (0..guests.len()).filter(|to| *to != from);
        let mut wrong = Vec::new();
        for (to, port) in others.flat_map(|to| PORTS.map(|port| (to, port))) {
            let address = guests[to].addresses()[0].addr();
            let address = SocketAddr::new(address, port);
            if guests[from].connect(address, SILENCE).is_ok() != allowed(from, to, port) {
                wrong.push((from + 1, to + 1, port));
            }
        }
        Ok(wrong)
    };
    let wrong = std::thread::scope(|scope| {
        let checks: Vec<_> = (0..guests.len()).map(|from| scope.spawn(move || check(from))).collect();
        checks.into_iter().map(|check| check.join().expect("no panic")).collect::<Result<Vec<_>>>()
    })?;
    let wrong = wrong.concat();
    assert!(wrong.is_empty(), "{wrong:?}");
    Ok(())
}

/// Waits until one host has the newest revision.
fn await_realized(lab: &Lab, host: &str) -> Result<()> {
    let newest = revision(lab)?;
    wait_until(format!("{host} to have revision {newest}"), PATIENCE, || {
        let shown =
            vnctl(lab, &format!("hosts show {host} --output json")).map_err(|error| error.to_string())?;
        let shown: Value = serde_json::from_str(&shown).map_err(|error| error.to_string())?;
        let host = shown.as_array().and_then(|hosts| hosts.first()).unwrap_or(&shown);
        match host["realized_revision"].as_u64() {
            Some(realized) if realized >= newest => Ok(()),
            _ => Err(shown.to_string()),
        }
    })
}

#[test]
fn a_new_member_is_covered_where_nobody_has_heard_of_it() -> Result<()> {
    let (lab, guests) = tiers()?;
    let (stranger, app, db) = (&guests[4], &guests[2], &guests[3]);
    assert_ne!(stranger.host_name(), app.host_name());
    for host in lab.hosts().iter().filter(|host| Some(host.name().to_owned()) != stranger.host_name()) {
        host.vna().pause();
    }
    // A set of groups that is there already, and one that is not: nothing that a host has not heard of is let in.
    for groups in ["sg-web", "sg-web,sg-app"] {
        vnctl(&lab, &format!("interfaces modify if-inst5 --security-groups {groups}"))?;
        await_realized(&lab, &stranger.host_name().expect("it is plugged in"))?;
        assert!(!connects(stranger, db, ip(4), 5432)?);
        assert!(!connects(stranger, app, ip(3), 22)?);
    }
    lab.hosts().iter().for_each(|host| host.vna().resume());
    wait_until("all to know", PATIENCE, || {
        match connects(stranger, db, ip(4), 5432).map_err(|error| error.to_string())? {
            true => Ok(()),
            false => Err("not yet".to_owned()),
        }
    })
}
