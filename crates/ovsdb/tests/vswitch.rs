//! What an agent does with a switch: a real `ovsdb-server`, and a real `ovs-vswitchd` with dummy ports.

mod support;

use std::collections::BTreeMap;

use ovsdb::vswitch::{
    self, ApplyError, Bridge, BridgeSpec, DatapathId, EnsureError, FailMode, Interface, OfPort, OpenVswitch,
    Port, PortSpec,
};
use ovsdb::{Config, Operation, Replica, Snapshot, TransactError};
use support::{LIMIT, Server, within};

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

fn bridge() -> BridgeSpec {
    BridgeSpec {
        protocols: ["OpenFlow15".to_owned()].into(),
        other_config: pairs(&[("datapath-id", "00000000000000a1"), ("disable-in-band", "true")]),
        external_ids: pairs(&[("owner", "test")]),
        ..BridgeSpec::secure("br0", "dummy")
    }
}

fn tunnel() -> PortSpec {
    PortSpec {
        bridge: "br0".to_owned(),
        name: "gen0".to_owned(),
        kind: "geneve".to_owned(),
        options: pairs(&[("remote_ip", "flow"), ("key", "flow")]),
        ofport_request: Some(OfPort(100)),
        bfd: pairs(&[("min_tx", "300")]),
        external_ids: pairs(&[("owner", "test")]),
    }
}

type Ensured = Result<Option<Vec<Operation>>, EnsureError>;

fn ensure_both(snapshot: &Snapshot) -> Ensured {
    match vswitch::ensure_bridge(snapshot, &bridge())? {
        Some(operations) => Ok(Some(operations)),
        None => vswitch::ensure_port(snapshot, &tunnel()),
    }
}

/// A replica that has seen everything done so far.
async fn follow(server: &Server) -> Replica {
    let replica =
        Replica::follow(server.endpoint(), Config::default(), vswitch::DATABASE, vswitch::monitor_request());
    within(replica.connected()).await;
    replica
}

/// Makes the switch as wanted and returns what it then has.
async fn converge(server: &Server, ensure: impl Fn(&Snapshot) -> Ensured) -> Snapshot {
    // A bridge, its port, and that there is nothing to do any more.
    for _ in 0..3 {
        let (client, snapshot) = within(follow(server).await.connected()).await;
        match ensure(&snapshot).expect("can be made so") {
            None => return snapshot,
            Some(operations) => {
                drop(within(client.transact(vswitch::DATABASE, &operations)).await.expect("done"))
            }
        }
    }
    panic!("not idempotent")
}

#[tokio::test]
async fn a_bridge_and_a_port_are_made_as_wanted_and_then_left_alone() {
    let server = Server::vswitch().await;
    let snapshot = converge(&server, ensure_both).await;
    let root = OpenVswitch::root(&snapshot).expect("reads").expect("a root");
    let made = Bridge::named(&snapshot, "br0").expect("reads").expect("a bridge");
    assert!(root.bridges.contains(&made.uuid));
    assert_eq!((made.fail_mode, made.datapath_type.as_str()), (Some(FailMode::Secure), "dummy"));
    assert_eq!((&made.protocols, &made.other_config), (&bridge().protocols, &bridge().other_config));
    let port = Port::named(&snapshot, "gen0").expect("reads").expect("a port");
    assert_eq!(port.bridge(&snapshot).expect("reads").expect("a bridge").uuid, made.uuid);
    let interface = Interface::named(&snapshot, "gen0").expect("reads").expect("an interface");
    assert_eq!((interface.options, interface.ofport_request), (tunnel().options, Some(OfPort(100))));
    assert_eq!(Interface::named(&snapshot, "br0").expect("reads").expect("an interface").kind, "internal");
    // And the administrator's tool finds nothing odd about it.
    server.vsctl("br-exists br0");
    server.vsctl("list-ports br0");
}

#[tokio::test]
async fn what_an_administrator_changed_is_repaired_and_what_is_theirs_stays() {
    let server = Server::vswitch().await;
    converge(&server, ensure_both).await;
    for change in [
        "set-fail-mode br0 standalone",
        "del-fail-mode br0",
        "set bridge br0 protocols=OpenFlow10 datapath_type=netdev",
        "set bridge br0 other_config:datapath-id=00000000000000ff external_ids:owner=other",
        "remove bridge br0 other_config disable-in-band",
        "set interface br0 type=system",
        "set interface gen0 type=vxlan options:remote_ip=10.0.0.1 options:csum=true ofport_request=7",
        "clear interface gen0 options",
        "del-port br0 gen0",
        "add-br br1 -- del-port br0 gen0 -- add-port br1 gen0",
        "del-br br0",
    ] {
        server.vsctl(change);
        converge(&server, ensure_both).await;
        server.vsctl("get bridge br0 other_config:disable-in-band");
    }
    server.vsctl("set bridge br0 other_config:theirs=1 external_ids:theirs=2 -- set interface gen0 external_ids:theirs=3");
    let snapshot = converge(&server, ensure_both).await;
    let interface = Interface::named(&snapshot, "gen0").expect("reads").expect("an interface");
    assert_eq!(interface.external_ids.get("theirs").map(String::as_str), Some("3"));
}

#[tokio::test]
async fn ports_and_bridges_are_removed_once() {
    let server = Server::vswitch().await;
    converge(&server, ensure_both).await;
    let snapshot = converge(&server, |snapshot| vswitch::remove_port(snapshot, "br0", "gen0")).await;
    assert_eq!((snapshot.count("Port"), snapshot.count("Interface")), (1, 1), "the local port stays");
    let snapshot = converge(&server, |snapshot| vswitch::remove_bridge(snapshot, "br0")).await;
    assert_eq!((snapshot.count("Bridge"), snapshot.count("Port"), snapshot.count("Interface")), (0, 0, 0));
}

#[tokio::test]
async fn what_cannot_be_made_so_is_an_error_value() {
    let server = Server::vswitch().await;
    let check = |snapshot: &Snapshot, wanted: PortSpec, expected| {
        assert_eq!(vswitch::ensure_port(snapshot, &wanted), Err(expected))
    };
    let (_, snapshot) = within(follow(&server).await.connected()).await;
    check(&snapshot, tunnel(), EnsureError::NoBridge("br0".to_owned()));
    server.vsctl("add-br br0 -- add-br br1 -- add-bond br1 bond a b");
    let (_, snapshot) = within(follow(&server).await.connected()).await;
    for name in ["bond", "a", "br1"] {
        check(&snapshot, PortSpec { name: name.to_owned(), ..tunnel() }, EnsureError::Taken(name.to_owned()));
    }
    let taken = vswitch::ensure_bridge(&snapshot, &BridgeSpec::secure("bond", "dummy"));
    assert_eq!(taken, Err(EnsureError::Taken("bond".to_owned())));
}

#[tokio::test]
async fn operations_decided_on_an_old_snapshot_fail_rather_than_harm() {
    let server = Server::vswitch().await;
    let (client, empty) = within(follow(&server).await.connected()).await;
    let made = converge(&server, ensure_both).await;
    server.vsctl("set bridge br0 fail_mode=standalone -- set interface gen0 options:key=1");
    let (_, changed) = within(follow(&server).await.connected()).await;
    server.vsctl("del-br br0 -- add-br br0 -- add-port br0 gen0");
    let check = async |ensured: Ensured| {
        let operations = ensured.expect("can be made so").expect("something to do");
        let outcome = within(client.transact(vswitch::DATABASE, &operations)).await;
        assert!(matches!(outcome, Err(TransactError::Operation { operation: "wait", .. })), "{outcome:?}");
    };
    check(vswitch::ensure_bridge(&empty, &bridge())).await;
    check(vswitch::ensure_bridge(&changed, &bridge())).await;
    check(vswitch::ensure_port(&changed, &tunnel())).await;
    check(vswitch::remove_port(&made, "br0", "gen0")).await;
    check(vswitch::remove_bridge(&made, "br0")).await;
}

#[tokio::test]
async fn an_applied_bridge_is_one_the_switch_has() {
    let mut server = Server::vswitch().await;
    let replica = follow(&server).await;
    let late = vswitch::apply(&replica, Vec::new(), std::time::Duration::ZERO).await;
    assert!(matches!(late, Err(ApplyError::TimedOut(_))), "no switch runs yet: {late:?}");

    server.start_switch();
    let mut snapshot = replica.view().snapshot.expect("rows");
    while let Some(operations) = ensure_both(&snapshot).expect("can be made so") {
        snapshot = vswitch::apply(&replica, operations, LIMIT).await.expect("in effect");
    }
    let made = Bridge::named(&snapshot, "br0").expect("reads").expect("a bridge");
    assert_eq!(made.datapath_id, Some(DatapathId(0xa1)));
    let interface = Interface::named(&snapshot, "gen0").expect("reads").expect("an interface");
    assert_eq!((interface.ofport, interface.error), (Some(OfPort(100)), None));
    let root = OpenVswitch::root(&snapshot).expect("reads").expect("a root");
    assert!(root.datapath_types.contains("netdev") && root.cur_cfg <= root.next_cfg);
}
