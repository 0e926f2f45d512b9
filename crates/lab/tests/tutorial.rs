//! The tutorials of the original OpenVNet, command for command.

mod common;

use std::net::SocketAddr;
use std::time::Duration;

use common::{PATIENCE, attempt_vnctl, vnctl};
use lab::{Guest, GuestSpec, Lab, Result, wait_until};
use serde_json::Value;

/// Tutorial "single network", after the installation's preparation of the datapath.
const SINGLE_NETWORK: [&str; 4] = [
    "datapaths add --uuid dp-test1 --display-name test1 --dpid 0x0000aaaaaaaaaaaa --node-id vna",
    "networks add --uuid nw-test1 --display-name testnet1 --ipv4-network 10.100.0.0 --ipv4-prefix 24 \
     --network-mode virtual",
    "interfaces add --uuid if-inst1 --mode vif --owner-datapath-uuid dp-test1 --mac-address 10:54:ff:00:00:01 \
     --network-uuid nw-test1 --ipv4-address 10.100.0.10 --port-name inst1",
    "interfaces add --uuid if-inst2 --mode vif --owner-datapath-uuid dp-test1 --mac-address 10:54:ff:00:00:02 \
     --network-uuid nw-test1 --ipv4-address 10.100.0.11 --port-name inst2",
];

/// "Single network with DHCP": the server, which guests never see but by its address.
const DHCP: [&str; 2] = [
    "interfaces add --uuid if-dhcp --mode simulated --owner-datapath-uuid dp-test1 --mac-address 02:00:00:00:01:11 \
     --network-uuid nw-test1 --ipv4-address 10.100.0.100",
    "network-services add --uuid ns-dhcp --interface-uuid if-dhcp --mode dhcp",
];

/// "Two networks": the second guest moves to a network of its own.
const TWO_NETWORKS: [&str; 5] = [
    "networks add --uuid nw-test2 --display-name testnet2 --ipv4-network 192.168.50.0 --ipv4-prefix 24 \
     --network-mode virtual",
    "interfaces add --uuid if-dhcp2 --mode simulated --owner-datapath-uuid dp-test1 --mac-address 02:00:00:00:01:12 \
     --network-uuid nw-test2 --ipv4-address 192.168.50.100",
    "network-services add --uuid ns-dhcp2 --interface-uuid if-dhcp2 --mode dhcp",
    "interfaces del if-inst2",
    "interfaces add --uuid if-newinst2 --mode vif --owner-datapath-uuid dp-test1 --mac-address 10:54:ff:00:00:02 \
     --network-uuid nw-test2 --ipv4-address 192.168.50.10 --port-name inst2",
];

/// "Two networks with a router".
const ROUTER: [&str; 5] = [
    "interfaces add --uuid if-router1 --network_uuid nw-test1 --mac_address 02:00:00:00:02:01 \
     --ipv4_address 10.100.0.1 --mode simulated --enable_routing true",
    "interfaces add --uuid if-router2 --network_uuid nw-test2 --mac_address 02:00:00:00:02:02 \
     --ipv4_address 192.168.50.1 --mode simulated --enable_routing true",
    "route_links add --uuid rl-1 --mac-address 02:00:10:00:00:01",
    "routes add --uuid r-1 --interface-uuid if-router1 --network-uuid nw-test1 --ipv4-network 10.100.0.0 \
     --route-link-uuid rl-1",
    "routes add --uuid r-2 --interface-uuid if-router2 --network-uuid nw-test2 --ipv4-network 192.168.50.0 \
     --route-link-uuid rl-1",
];

/// The installation and the first tutorial, up to where guests have no addresses yet.
fn single_network() -> Result<(Lab, Guest, Guest)> {
    let lab = Lab::builder().start()?;
    let host = lab.host(0);
    let bridge =
        ["set", "bridge", "br-int", "datapath_type=netdev", "other_config:datapath-id=0000aaaaaaaaaaaa"];
    host.ovs_vsctl(["add-br", "br-int", "--"].into_iter().chain(bridge))?;
    lab.manager().start()?;
    vnctl(&lab, SINGLE_NETWORK[0])?;
    host.vna().join(&lab.manager().sync_url(), &lab.manager().join_token(host.name())?)?;
    host.vna().start(&lab.manager().sync_url())?;
    // The agent finds the record of its switch, and does not make another one.
    wait_until("the agent to take the datapath over", PATIENCE, || {
        let listed = vnctl(&lab, "datapaths show --output json").map_err(|error| error.to_string())?;
        let datapaths: Value = serde_json::from_str(&listed).map_err(|error| error.to_string())?;
        match datapaths.as_array().map(Vec::as_slice) {
            Some([one]) if one["uuid"] == "dp-test1" && one["connected"] == true => Ok(()),
            _ => Err(listed),
        }
    })?;

    let guest = |name: &str, mac: &str| host.add_guest(GuestSpec::new(name).mac(mac.parse().expect("a MAC")));
    let (inst1, inst2) = (guest("inst1", "10:54:ff:00:00:01")?, guest("inst2", "10:54:ff:00:00:02")?);
    for command in &SINGLE_NETWORK[1..] {
        vnctl(&lab, command)?;
    }
    vnctl(&lab, "interfaces show if-inst1 if-inst2 --wait")?;

    Ok((lab, inst1, inst2))
}

/// Does what a tutorial says.
fn follow(lab: &Lab, commands: &[&str]) -> Result<()> {
    commands.iter().try_for_each(|command| vnctl(lab, command).map(drop))?;
    settle(lab)
}

/// Waits for the switches: who types the commands takes longer than they do.
fn settle(lab: &Lab) -> Result<()> {
    wait_until("all to be well", PATIENCE, || match attempt_vnctl(lab, "status") {
        Ok(output) if output.success() => Ok(()),
        other => Err(format!("{other:?}")),
    })
}

#[test]
fn single_network_works_as_in_the_original() -> Result<()> {
    let (_lab, inst1, inst2) = single_network()?;
    let shown = inst1.exec(["ip", "-4", "address", "show", "dev", "eth0"])?;
    assert!(!shown.contains("inet "), "nobody has given inst1 an address: {shown}");
    inst1.exec(["ip", "addr", "add", "10.100.0.10/24", "dev", "eth0"])?;
    inst2.exec(["ip", "addr", "add", "10.100.0.11/24", "dev", "eth0"])?;
    let target = "10.100.0.10".parse().expect("an address");
    assert!(inst2.reaches(target)?);

    inst2.exec(["ip", "addr", "del", "10.100.0.11/24", "dev", "eth0"])?;
    inst2.exec(["ip", "addr", "add", "10.100.0.15/24", "dev", "eth0"])?;
    assert!(!inst2.reaches(target)?, "an address that is not registered is heard");
    inst2.exec(["ip", "addr", "del", "10.100.0.15/24", "dev", "eth0"])?;
    inst2.exec(["ip", "addr", "add", "10.100.0.11/24", "dev", "eth0"])?;
    assert!(inst2.reaches(target)?);
    Ok(())
}

#[test]
fn dhcp_two_networks_and_a_router_work_as_in_the_original() -> Result<()> {
    let (lab, inst1, inst2) = single_network()?;
    follow(&lab, &DHCP)?;
    for (guest, address) in [(&inst1, "10.100.0.10"), (&inst2, "10.100.0.11")] {
        let lease = guest.dhcp()?;
        assert_eq!(lease.get("ip_address").map(String::as_str), Some(address), "{lease:?}");
        assert_eq!(
            lease.get("dhcp_server_identifier").map(String::as_str),
            Some("10.100.0.100"),
            "{lease:?}"
        );
        assert_eq!(lease.get("interface_mtu").map(String::as_str), Some("1438"), "{lease:?}");
    }
    let target = "10.100.0.10".parse().expect("an address");
    assert!(inst2.reaches(target)?);

    // The client remembers the address it had, asks for that first, and is told that it is not its own any more.
    follow(&lab, &TWO_NETWORKS)?;
    vnctl(&lab, "interfaces show if-newinst2 --wait")?;
    let lease = inst2.dhcp()?;
    assert_eq!(lease.get("ip_address").map(String::as_str), Some("192.168.50.10"), "{lease:?}");
    let ping = inst2.attempt(["ping", "-c", "1", "-W", "1", "10.100.0.10"])?;
    assert!(ping.stderr.contains("Network is unreachable"), "{ping:?}");

    follow(&lab, &ROUTER)?;
    inst1.dhcp()?;
    inst2.dhcp()?;
    let routes = |guest: &Guest| guest.exec(["ip", "route", "show"]);
    let (of_inst1, of_inst2) = (routes(&inst1)?, routes(&inst2)?);
    assert!(of_inst1.contains("192.168.50.0/24 via 10.100.0.1 dev eth0"), "{of_inst1}");
    assert!(of_inst2.contains("10.100.0.0/24 via 192.168.50.1 dev eth0"), "{of_inst2}");
    assert!(inst2.reaches(target)?);
    Ok(())
}

/// Whether a server on the guest answers: what `ssh` would find out first.
fn connects(from: &Guest, to: &Guest) -> Result<bool> {
    let address = SocketAddr::from(([10, 100, 0, 10], 22));
    let listener = to.tcp_listen(address)?;
    let connected = from.connect(address, Duration::from_secs(1)).is_ok();
    drop(listener);
    Ok(connected)
}

#[test]
fn filters_work_as_in_the_original() -> Result<()> {
    let (lab, inst1, inst2) = single_network()?;
    follow(&lab, &DHCP)?;
    inst1.dhcp()?;
    inst2.dhcp()?;
    let target = "10.100.0.10".parse().expect("an address");
    // By ARP, ping and ssh.
    let found = || {
        inst2.forget_neighbours()?;
        Ok((!inst2.arping(target)?.is_empty(), inst2.reaches(target)?, connects(&inst2, &inst1)?))
    };
    let check = |expected: (bool, bool, bool)| -> Result<()> {
        assert_eq!(found()?, expected);
        Ok(())
    };
    check((true, true, true))?;
    follow(&lab, &["interfaces modify if-inst1 --enable-filtering"])?;
    follow(&lab, &["filters add --uuid fil-filter1 --interface-uuid if-inst1 --mode static"])?;
    check((false, false, false))?;
    follow(&lab, &["filters static add fil-filter1 --protocol arp --action pass"])?;
    check((true, false, false))?;
    follow(
        &lab,
        &[
            "filters static add fil-filter1 --protocol tcp --action drop",
            "filters static add fil-filter1 --protocol icmp --action drop",
        ],
    )?;
    check((true, false, false))?;
    // What the original could not: to think again, while all goes on.
    follow(
        &lab,
        &[
            "filters static del fil-filter1 --protocol icmp",
            "filters static add fil-filter1 --protocol icmp --action pass",
        ],
    )?;
    check((true, true, false))?;
    follow(&lab, &["interfaces modify if-inst1 --enable-filtering false"])?;
    check((true, true, true))
}
