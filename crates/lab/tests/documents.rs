//! Documents whose examples are whole: a manager takes every command as it stands there, and guests notice what is promised.

mod common;

use std::net::SocketAddr;

use common::tcp::{Connection, SILENCE};
use common::{apply, mac_in, named_guest, prefix, vnctl};
use lab::{Guest, Lab, Result};

const ROUTING: &str = include_str!("../../../docs/routing.md");
const TRANSLATION: &str = include_str!("../../../docs/translation.md");
const FILTERS: &str = include_str!("../../../docs/filters.md");

/// Guests for the networks of the documents, which name legs only.
const GUESTS: &str = "
interfaces:
  - {uuid: if-ten, network_uuid: nw-a, mac_address: '02:00:00:00:01:0a', ipv4_address: 10.1.0.10, ipv6_address: 'fd00:1::a'}
  - {uuid: if-eleven, network_uuid: nw-a, mac_address: '02:00:00:00:01:0b', ipv4_address: 10.1.0.11, ipv6_address: 'fd00:1::b'}
  - {uuid: if-out, network_uuid: nw-b, mac_address: '02:00:00:00:02:63', ipv4_address: 10.2.0.99, ipv6_address: 'fd00:2::63'}
";

/// Types what stands in a part of a document, and waits until every host has it.
fn follow(lab: &Lab, document: &str) -> Result<()> {
    let commands = document.lines().filter_map(|line| line.strip_prefix("$ vnctl "));
    for command in commands {
        vnctl(lab, command)?;
    }
    // Later than all that the commands have changed.
    vnctl(lab, "networks add --uuid nw-mark --ipv4-network 10.255.0.0 --wait")?;
    vnctl(lab, "networks del nw-mark --wait").map(drop)
}

fn guest(lab: &Lab, host: usize, name: &str, (network, last): (u8, u8)) -> Result<Guest> {
    let address = |last| [10, network, 0, last].into();
    let address6 = |last: u8| [0xfd00, network.into(), 0, 0, 0, 0, 0, last.into()].into();
    let spec = named_guest(name, mac_in(network, last)).address(prefix(address(last), 24));
    let spec = spec.address(prefix(address6(last), 64)).gateway(address(1)).gateway(address6(1));
    lab.host(host).add_guest(spec)
}

fn at(address: &str) -> SocketAddr {
    address.parse().expect("an address with a port")
}

/// That a connection is open, and who its client is to the server.
#[track_caller]
fn check_peer(opened: Result<Connection>, expected: &str) -> Result<()> {
    let connection = opened?;
    assert_eq!(connection.peer.to_string(), expected);
    assert_eq!(connection.passes(), (true, true));
    Ok(())
}

#[test]
fn routers_and_translation_do_what_their_documents_say() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(2))?;
    follow(&lab, ROUTING)?;
    let (ten, eleven) = (guest(&lab, 0, "ten", (1, 10))?, guest(&lab, 1, "eleven", (1, 11))?);
    let out = guest(&lab, 1, "out", (2, 99))?;
    apply(&lab, GUESTS)?;
    for to in ["10.1.0.10", "10.1.0.11", "fd00:1::a", "fd00:1::b", "10.2.0.1", "fd00:2::1"] {
        assert!(out.reaches(to.parse().expect("an address"))?, "{to}");
    }

    follow(&lab, TRANSLATION)?;
    out.exec(["ip", "route", "del", "default"])?;
    check_peer(Connection::open(&ten, &out, at("10.2.0.99:80")), "10.2.0.100")?;
    check_peer(Connection::open(&eleven, &out, at("10.2.0.99:80")), "10.2.0.101")?;
    check_peer(Connection::translated(&out, at("10.2.0.100:22"), &ten, 22), "10.2.0.99")?;
    check_peer(Connection::translated(&out, at("10.2.0.101:80"), &eleven, 8080), "10.2.0.99")?;
    let _listener = eleven.tcp_listen(at("0.0.0.0:8081"))?;
    assert!(out.connect(at("10.2.0.101:8081"), SILENCE).is_err(), "a port that stands for nobody");
    Ok(())
}

#[test]
fn security_groups_and_filters_do_what_their_document_says() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(2))?;
    let server = |host: usize, name: &str, n: u8| {
        let spec = named_guest(name, mac_in(5, n)).address(prefix([10, 5, 0, n].into(), 24));
        lab.host(host).add_guest(spec)
    };
    let (web, db) = (server(0, "web1", 1)?, server(1, "db1", 2)?);
    let (groups, filters) = FILTERS.split_once("## Filters").expect("two parts");
    follow(&lab, groups)?;
    check_peer(Connection::open(&web, &db, at("10.5.0.2:5432")), "10.5.0.1")?;
    let refused = [(&web, &db, "10.5.0.2:22"), (&db, &web, "10.5.0.1:5432")];
    let check_refused = || -> Result<()> {
        for (from, to, address) in refused {
            let _listener = to.tcp_listen(at(address))?;
            assert!(from.connect(at(address), SILENCE).is_err(), "{address}");
        }
        Ok(())
    };
    check_refused()?;
    // The filter agrees to port 80 and to nothing that begins here.
    follow(&lab, filters)?;
    let _listener = db.tcp_listen(at("10.5.0.2:5432"))?;
    assert!(web.connect(at("10.5.0.2:5432"), SILENCE).is_err(), "the group alone allows it");
    check_refused()?;
    vnctl(
        &lab,
        "security-groups rules add sg-db --direction egress --protocol tcp --port 80 --remote-group-uuid sg-web --wait",
    )?;
    check_peer(Connection::open(&db, &web, at("10.5.0.1:80")), "10.5.0.2")
}
