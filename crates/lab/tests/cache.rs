//! The datapath's cache: what it knows of packets comes from one state of the tables. Open vSwitch 3.1 confuses flows of
//! several states, and goes on to drop what it has dropped once, as `vna::datapath` explains.

mod common;

use common::{answers_once, apply_network, guest, ip, start, vnctl};
use lab::{Host, Lab, Result};

/// The flows of the cache for IPv4 packets from a port.
fn flows(host: &Host, port: &str) -> Result<Vec<String>> {
    let (port, ipv4) = (format!("in_port({port})"), "eth_type(0x0800)");
    let flows = host.ovs_appctl(["dpctl/dump-flows", "--names"])?;
    Ok(flows.lines().filter(|flow| flow.contains(&port) && flow.contains(ipv4)).map(str::to_owned).collect())
}

#[test]
fn the_cache_is_empty_once_a_change_is_realized() -> Result<()> {
    let lab = start(Lab::builder())?;
    let host = lab.host(0);
    let guests = [host.add_guest(guest(1))?, host.add_guest(guest(2))?];
    apply_network(&lab, [1, 2])?;
    let name = guests[0].name();
    assert!(answers_once(&guests[0], ip(2))?);
    assert!(!flows(host, name)?.is_empty());
    vnctl(&lab, "interfaces modify if-inst2 --admin-state down --wait")?;
    assert_eq!(flows(host, name)?, Vec::<String>::new());
    vnctl(&lab, "interfaces modify if-inst2 --admin-state up --wait")?;
    assert!(answers_once(&guests[0], ip(2))?);
    assert!(!flows(host, name)?.is_empty());
    Ok(())
}
