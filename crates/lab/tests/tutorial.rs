//! The tutorials of the original OpenVNet, command for command.

mod common;

use common::{PATIENCE, attempt_vnctl, await_status, vnctl};
use lab::{GuestSpec, Lab, Result, wait_until};
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

#[test]
fn single_network_works_as_in_the_original() -> Result<()> {
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
    for interface in ["if-inst1", "if-inst2"] {
        await_status(&lab, interface, "host", &Value::from(host.name()))?;
    }
    // Who types the commands takes longer than the switch.
    wait_until("all to be well", PATIENCE, || match attempt_vnctl(&lab, "status") {
        Ok(output) if output.success() => Ok(()),
        other => Err(format!("{other:?}")),
    })?;

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
