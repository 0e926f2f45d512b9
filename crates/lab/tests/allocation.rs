//! Allocation: guests that were given no address have one, for as long as a container says.

mod common;

use std::net::IpAddr;

use common::{PATIENCE, apply, mac_in, named_guest, prefix, show, vnctl};
use lab::{Guest, Lab, Result, wait_until};

/// The MAC addresses of the ranges are those that the guests have.
const TOPOLOGY: &str = "
networks:
  - {uuid: nw-1, ipv4_network: 10.0.1.0}
mac_range_groups:
  - {uuid: mrg-1, allocation_type: incremental}
mac_ranges:
  - {uuid: mr-1, mac_range_group_uuid: mrg-1, begin_mac_address: '02:00:00:00:01:01', end_mac_address: '02:00:00:00:01:02'}
ip_range_groups:
  - {uuid: iprg-1}
ip_ranges:
  - {uuid: ipr-1, ip_range_group_uuid: iprg-1, begin_ipv4_address: 10.0.1.20, end_ipv4_address: 10.0.1.29}
ip_retention_containers:
  - {uuid: irc-1}
lease_policies:
  - {uuid: lp-1, networks: [{network_uuid: nw-1, ip_range_group_uuid: iprg-1}], ip_retention_containers: [irc-1]}
interfaces:
  - {uuid: if-a, network_uuid: nw-1, mac_range_group_uuid: mrg-1}
  - {uuid: if-b, network_uuid: nw-1, mac_range_group_uuid: mrg-1}
  - {uuid: if-dhcp, mode: simulated, network_uuid: nw-1, mac_address: '02:00:00:00:01:67', ipv4_address: 10.0.1.67}
network_services:
  - {uuid: ns-dhcp, mode: dhcp, interface_uuid: if-dhcp}
";

const A: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 1, 20));
const B: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 1, 21));

#[test]
fn guests_get_the_addresses_that_a_policy_gives_and_lose_them_when_a_lease_is_over() -> Result<()> {
    let (lab, [a, b]) = start()?;
    check(&a, A)?;
    check(&b, B)?;
    assert!(a.ping(B)?.is_perfect());

    let lease = lease_of(&lab, "if-b")?;
    vnctl(&lab, &format!("ip-leases release {lease} --wait"))?;
    assert!(!a.reaches(B)? && !b.reaches(A)?);
    vnctl(&lab, &format!("ip-leases attach {lease} --interface-uuid if-b --wait"))?;
    assert!(a.ping(B)?.is_perfect());

    vnctl(&lab, "ip-retention-containers modify irc-1 --lease-time 0")?;
    wait_until("leases to be over", PATIENCE, || {
        let silent = a.reaches(B).is_ok_and(|answers| !answers);
        if silent { Ok(()) } else { Err("they answer".to_owned()) }
    })?;
    // Nobody else gets the address, and who had it can have it again.
    vnctl(&lab, "ip-retention-containers modify irc-1 --lease-time 3600")?;
    for (lease, interface) in leases(&lab)?.iter().zip(["if-a", "if-b"]) {
        vnctl(&lab, &format!("ip-leases attach {lease} --interface-uuid {interface} --wait"))?;
    }
    assert!(a.ping(B)?.is_perfect());
    Ok(())
}

#[test]
fn a_guest_gets_its_address_when_it_asks_if_its_policy_waits_for_that() -> Result<()> {
    let (lab, [a, _]) = start()?;
    vnctl(&lab, "lease-policies modify lp-1 --timing dhcp")?;
    let late = lab.host(1).add_guest(named_guest("late", mac_in(1, 3)))?;
    let of = "--uuid if-late --network-uuid nw-1 --mac-address 02:00:00:00:01:03";
    vnctl(&lab, &format!("interfaces add {of} --wait"))?;
    assert_eq!(show(&lab, "interfaces", "if-late")?["ip_leases"], serde_json::json!([]));
    check(&a, A)?;
    let third = IpAddr::from([10, 0, 1, 22]);
    check(&late, third)?;
    assert!(a.ping(third)?.is_perfect());
    Ok(())
}

/// Two guests without addresses on two hosts.
fn start() -> Result<(Lab, [Guest; 2])> {
    let lab = common::start(Lab::builder().hosts(2))?;
    let a = lab.host(0).add_guest(named_guest("a", mac_in(1, 1)))?;
    let b = lab.host(1).add_guest(named_guest("b", mac_in(1, 2)))?;
    apply(&lab, TOPOLOGY)?;
    let again = vnctl(&lab, "apply -f /run/lab/topology.yaml")?;
    assert!(again.starts_with("nothing to change"), "{again}");
    Ok((lab, [a, b]))
}

/// A guest configures itself with this address.
fn check(guest: &Guest, address: IpAddr) -> Result<()> {
    guest.dhcp()?;
    assert_eq!(guest.addresses(), [prefix(address, 24)]);
    Ok(())
}

/// The lease of an interface.
fn lease_of(lab: &Lab, interface: &str) -> Result<String> {
    let shown = show(lab, "interfaces", interface)?;
    let lease = shown.pointer("/ip_leases/0/uuid").and_then(serde_json::Value::as_str);
    Ok(lease.expect("an interface with a lease").to_owned())
}

/// The leases that the container keeps, by their addresses.
fn leases(lab: &Lab) -> Result<Vec<String>> {
    let shown = vnctl(lab, "ip-retention-containers ip-retentions irc-1 --output json")?;
    let shown: serde_json::Value = serde_json::from_str(&shown).expect("a list of what is kept");
    let leases =
        shown.as_array().expect("a list").iter().map(|kept| kept["ip_lease_uuid"].as_str().expect("an id"));
    let mut leases = leases
        .map(|lease| Ok((show(lab, "ip-leases", lease)?["ipv4_address"].to_string(), lease.to_owned())))
        .collect::<Result<Vec<_>>>()?;
    leases.sort();
    Ok(leases.into_iter().map(|(_, lease)| lease).collect())
}
