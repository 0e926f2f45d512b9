//! Metadata: what guests are told of themselves, by a server that hosts reach, through their own host's agent.

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};

use common::{apply, mac_in, named_guest, vnctl};
use lab::{Guest, Lab, Result};

const SECRET: &str = "s3cret-of-the-server";

/// The guest a in a network with a server for metadata, b in one where a leg serves, c in one where nobody does, behind the
/// same router.
fn topology(server: SocketAddr) -> String {
    format!(
        "
networks:
  - {{uuid: nw-1, ipv4_network: 10.0.1.0, ipv6_network: 'fd00:1::'}}
  - {{uuid: nw-2, ipv4_network: 10.0.2.0}}
  - {{uuid: nw-3, ipv4_network: 10.0.3.0}}
interfaces:
  - {{uuid: if-a, network_uuid: nw-1, mac_address: '02:00:00:00:01:01', ipv4_address: 10.0.1.1, ipv6_address: 'fd00:1::1'}}
  - {{uuid: if-b, network_uuid: nw-2, mac_address: '02:00:00:00:02:01', ipv4_address: 10.0.2.1}}
  - {{uuid: if-c, network_uuid: nw-3, mac_address: '02:00:00:00:03:01', ipv4_address: 10.0.3.1}}
  - {{uuid: if-meta, mode: simulated, network_uuid: nw-1, mac_address: '02:00:00:00:01:a9', ipv4_address: 10.0.1.169}}
  - {{uuid: if-leg1, mode: simulated, enable_routing: true, network_uuid: nw-1, mac_address: '02:00:00:00:01:fe',
     ipv4_address: 10.0.1.254}}
  - {{uuid: if-leg2, mode: simulated, enable_routing: true, network_uuid: nw-2, mac_address: '02:00:00:00:02:fe',
     ipv4_address: 10.0.2.254}}
  - {{uuid: if-leg3, mode: simulated, enable_routing: true, network_uuid: nw-3, mac_address: '02:00:00:00:03:fe',
     ipv4_address: 10.0.3.254}}
network_services:
  - {{uuid: ns-dhcp, mode: dhcp, interface_uuid: if-meta}}
  - {{uuid: ns-meta1, mode: metadata, interface_uuid: if-meta, metadata_server: '{server}', metadata_secret: {SECRET}}}
  - {{uuid: ns-meta2, mode: metadata, interface_uuid: if-leg2, metadata_server: '{server}'}}
route_links:
  - {{uuid: rl-1}}
routes:
  - {{uuid: r-1, interface_uuid: if-leg1, network_uuid: nw-1, route_link_uuid: rl-1, ipv4_network: 10.0.1.0}}
  - {{uuid: r-2, interface_uuid: if-leg2, network_uuid: nw-2, route_link_uuid: rl-1, ipv4_network: 10.0.2.0}}
  - {{uuid: r-3, interface_uuid: if-leg3, network_uuid: nw-3, route_link_uuid: rl-1, ipv4_network: 10.0.3.0}}
"
    )
}

/// A server that answers every request with what it is told of it, and 64 KiB.
fn serve(listener: &TcpListener) {
    for stream in listener.incoming().map_while(std::result::Result::ok) {
        let mut lines = BufReader::new(&stream).lines().map_while(std::result::Result::ok);
        let told: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        let content = told.join("\n").to_ascii_lowercase() + "\n" + &"x".repeat(64 << 10);
        let head =
            format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", content.len());
        // A client that is gone is none of its business.
        (&stream).write_all((head + &content).as_bytes()).ok();
        (&stream).read_to_end(&mut Vec::new()).ok();
    }
}

/// What a guest is told.
fn ask(guest: &Guest, url: &str) -> Result<String> {
    guest.exec(["curl", "--silent", "--show-error", "--globoff", "--max-time", "20", url])
}

#[track_caller]
fn check(guest: &Guest, url: &str, expected: &[&str]) -> Result<()> {
    let told = ask(guest, url)?;
    let (headers, rest) = told.rsplit_once('\n').expect("headers and what follows");
    let about: Vec<_> =
        headers.lines().filter(|line| line.starts_with("x-") || line.starts_with("get ")).collect();
    let without_signature: Vec<_> =
        about.iter().copied().filter(|line| !line.contains("signature")).collect();
    assert_eq!(without_signature, expected, "{headers}");
    assert_eq!(rest.len(), 64 << 10, "all of it comes");
    Ok(())
}

#[test]
fn guests_are_told_of_themselves_by_a_server_that_knows_who_they_are() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(2))?;
    let address = lab.host(0).underlay_ip();
    let listener = lab.host(0).within(|| TcpListener::bind((address, 0)))?.expect("a socket");
    let server = listener.local_addr().expect("an address");
    std::thread::spawn(move || serve(&listener));
    let guest = |host: usize, name, network| lab.host(host).add_guest(named_guest(name, mac_in(network, 1)));
    let (a, b, c) = (guest(0, "a", 1)?, guest(1, "b", 2)?, guest(1, "c", 3)?);
    apply(&lab, &topology(server))?;

    // The one learns of the way by DHCP, the other sends it to its router.
    a.dhcp()?;
    let routes = a.exec(["ip", "route", "get", "169.254.169.254"])?;
    assert!(routes.contains("via 10.0.1.169"), "{routes}");
    for (guest, network) in [(&b, 2), (&c, 3)] {
        guest.exec(["ip", "address", "add", &format!("10.0.{network}.1/24"), "dev", "eth0"])?;
        guest.exec(["ip", "route", "add", "default", "via", &format!("10.0.{network}.254")])?;
    }
    let told = |path, address, interface, network| {
        [
            format!("get {path} http/1.1"),
            format!("x-forwarded-for: {address}"),
            format!("x-openvnet-interface: {interface}"),
            format!("x-openvnet-network: {network}"),
        ]
    };
    let of_a = told("/latest/meta-data", "10.0.1.1", "if-a", "nw-1");
    check(&a, "http://169.254.169.254/latest/meta-data", &of_a.each_ref().map(String::as_str))?;
    let of_b = told("/", "10.0.2.1", "if-b", "nw-2");
    check(&b, "http://169.254.169.254/", &of_b.each_ref().map(String::as_str))?;
    let own = a.exec(["sh", "-c", "ip -6 -o address show dev eth0 scope link | grep -o 'fe80[^/]*'"])?;
    let over_ipv6 = told("/", own.trim(), "if-a", "nw-1");
    check(&a, "http://[fe80::a9fe:a9fe%25eth0]/", &over_ipv6.each_ref().map(String::as_str))?;

    // Only where there is a secret it is signed, and nobody else is told the secret.
    assert!(ask(&a, "http://169.254.169.254/")?.contains("x-openvnet-signature: "));
    assert!(!ask(&b, "http://169.254.169.254/")?.contains("signature"));
    for question in ["network-services list -o json", "network-services show ns-meta1 -o json"] {
        let shown = vnctl(&lab, question)?;
        assert!(shown.contains("\"has_metadata_secret\": true") && !shown.contains(SECRET), "{shown}");
    }
    let lies = ["-H", "X-OpenVNet-Interface: if-b", "http://169.254.169.254/"];
    let told = a.exec(["curl", "--silent", "--max-time", "20"].into_iter().chain(lies))?;
    assert!(told.contains("x-openvnet-interface: if-a") && !told.contains("if-b"), "{told}");

    // Nobody serves there; nobody is there any more.
    assert!(c.exec(["curl", "--silent", "--max-time", "1", "http://169.254.169.254/"]).is_err());
    let closed = lab.host(0).within(|| TcpListener::bind((address, 0)))?.expect("a socket");
    let dead = closed.local_addr().expect("an address");
    drop(closed);
    vnctl(&lab, &format!("network-services modify ns-meta2 --metadata-server {dead} --wait"))?;
    let status = |guest: &Guest| {
        let words =
            ["curl", "--silent", "--max-time", "20", "--output", "/dev/null", "--write-out", "%{http_code}"];
        guest.exec(words.into_iter().chain(["http://169.254.169.254/"]))
    };
    assert_eq!(status(&b)?, "502");
    assert_eq!(status(&a)?, "200");
    Ok(())
}
