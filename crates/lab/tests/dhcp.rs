//! A guest configures itself by DHCP. A few lines of server stand in for the network's own.

mod common;

use std::net::{Ipv4Addr, SocketAddr};
use std::thread;

use common::dhcp::{SERVER, serve};
use lab::{GuestSpec, Lab, Result};

#[test]
fn a_lease_configures_address_mtu_and_routes() -> Result<()> {
    let lab = Lab::builder().start()?;
    lab.host(0).ovs_vsctl(["add-br", "br-int", "--", "set", "bridge", "br-int", "datapath_type=netdev"])?;
    let server =
        lab.host(0).add_guest(GuestSpec::new("server").address("10.0.0.1/24".parse().expect("a prefix")))?;
    let client = lab.host(0).add_guest(GuestSpec::new("client"))?;
    server.exec(["ip", "route", "add", "default", "dev", "eth0"])?;
    let socket = server.udp_bind(SocketAddr::from((Ipv4Addr::UNSPECIFIED, 67)))?;
    socket.set_broadcast(true).expect("a UDP socket");
    let serving = thread::spawn(move || serve(&socket, 2));
    let lease = client.dhcp()?;
    serving.join().expect("no panic").expect("requests that were answered");
    assert_eq!(lease.get("ip_address").map(String::as_str), Some("10.0.0.77"));
    assert_eq!(client.addresses(), ["10.0.0.77/24".parse().expect("a prefix")]);
    let routes = client.exec(["ip", "route"])?;
    assert!(
        routes.contains("172.16.0.0/12 via 10.0.0.9") && routes.contains("default via 10.0.0.1"),
        "{routes}"
    );
    assert!(client.exec(["ip", "link", "show", "eth0"])?.contains("mtu 1300"));
    assert!(client.reaches(SERVER.into())?);
    Ok(())
}
