//! FTP with a real client: its data connections are told in its control connection, whether they begin at the client or at the
//! server.

mod common;

use std::net::{IpAddr, Ipv4Addr};
use std::thread;

use common::ftp::{CONTENT, serve};
use common::tcp::SILENCE;
use common::translated::{SOURCE, World, inside, outside};
use common::{apply, vnctl};
use lab::{Guest, Output, Result};

/// The client begins data connections. It would try EPSV first (RFC 2428), which the server does not know.
const PASSIVE: &str = "--disable-epsv";

/// The server does, to the client's address.
const ACTIVE: &str = "--disable-eprt --ftp-port 10.0.1.1";

/// Asks a server for its file, at an address that stands for it.
fn fetch(client: &Guest, flags: &str, server: &Guest, address: IpAddr) -> Result<Output> {
    let listener = server.tcp_listen("0.0.0.0:21".parse().expect("an address"))?;
    thread::scope(|scope| {
        scope.spawn(|| serve(server, &listener));
        let words = ["curl", "--silent", "--show-error", "--max-time", "10"].into_iter();
        let url = format!("ftp://{address}/file");
        let output = client.attempt(words.chain(flags.split(' ')).chain([&url[..]]));
        // Should nobody have come, the server waits no longer.
        drop(server.connect((Ipv4Addr::LOCALHOST, 21).into(), SILENCE));
        output
    })
}

#[track_caller]
fn check_fetched(output: &Output, what: &str) {
    assert_eq!((output.code, &output.stdout[..]), (Some(0), CONTENT), "{what}: {output}");
}

#[test]
fn files_pass_stateful_filters_and_address_translation() -> Result<()> {
    let world = World::start()?;
    let World { lab, a, b, out } = &world;
    apply(lab, SOURCE)?;
    // Guest a may speak to servers of files, and to nobody else.
    for command in [
        "filters add --uuid fil-a --interface-uuid if-a --mode static",
        "filters static add fil-a --protocol arp --action pass",
        "filters static add fil-a --action conn --direction egress --protocol tcp --src-port 21",
        "interfaces modify if-a --enable-filtering --wait",
    ] {
        vnctl(lab, command)?;
    }
    let _other = b.tcp_listen((inside(2), 2121).into())?;
    assert!(a.connect((inside(2), 2121).into(), SILENCE).is_err(), "nobody has spoken of it");
    check_fetched(&fetch(a, PASSIVE, b, inside(2))?, "passive");
    check_fetched(&fetch(a, ACTIVE, b, inside(2))?, "active");
    check_fetched(&fetch(a, PASSIVE, out, outside(1))?, "passive, by a shared address");
    world.add("tr-static --ingress-ipv4-address 198.51.100.6 --egress-ipv4-address 10.0.1.2")?;
    check_fetched(
        &fetch(out, PASSIVE, b, outside(6))?,
        "passive, of a server with an address of its own outside",
    );
    Ok(())
}
