//! Flows: what an operator is told of a switch, by the switch itself.

mod common;

use common::{PATIENCE, apply_network, attempt_vnctl, await_answer, guest, ip, vnctl};
use lab::{Host, Lab, Result, wait_until};
use serde_json::Value;

/// The flows of a host, as `vnctl` gives them to programs.
fn flows(lab: &Lab, arguments: &str) -> Result<Vec<Value>> {
    let answer = vnctl(lab, &format!("flows {arguments} --output json"))?;
    Ok(serde_json::from_str::<Vec<Value>>(&answer).expect("a list"))
}

fn packets(flows: &[Value]) -> u64 {
    flows.iter().filter_map(|flow| flow["packets"].as_u64()).sum()
}

#[test]
fn the_flows_of_a_host_are_told_by_whose_they_are_and_with_their_counters() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(2))?;
    let (here, there) = (lab.host(0), lab.host(1));
    let a = here.add_guest(guest(1))?;
    let _b = there.add_guest(guest(2))?;
    apply_network(&lab, [1, 2])?;
    await_answer(&a, ip(2))?;
    let host = here.name();

    // All there are, and each is somebody's.
    let dump = here.ovs_ofctl(["dump-flows", "--no-stats", "br-int"])?;
    let installed =
        dump.lines().filter(|line| line.contains("actions=") && !line.contains("table=253,")).count();
    let all = flows(&lab, host)?;
    assert_eq!(all.len(), installed, "{dump}");
    let strangers: Vec<_> = all
        .iter()
        .filter(|flow| flow["owner"]["what"].as_str().is_none_or(|what| what.contains("not")))
        .collect();
    assert!(
        strangers.iter().all(|flow| flow["owner"]["what"].as_str().expect("a text").starts_with("drops")),
        "{strangers:?}"
    );

    // Those of one interface, in its own words.
    let text = vnctl(&lab, &format!("flows {host} --owner if-inst1"))?;
    for words in ["interface if-inst1", "from port inst1 (if-inst1)", "in nw-net", "to if-inst1"] {
        assert!(text.contains(words), "{words}: {text}");
    }
    assert!(!text.contains("if-inst2"), "{text}");
    let text = vnctl(&lab, &format!("flows {host} --table peer"))?;
    assert!(text.contains("the geneve tunnels") || text.contains("tunnel_out"), "{text}");

    // Counters move with packets.
    let before = packets(&flows(&lab, &format!("{host} --owner if-inst2 --table destination"))?);
    a.exec(["ping", "-q", "-c", "20", "-i", "0.05", &ip(2).to_string()])?;
    wait_until("the counters to move".to_owned(), PATIENCE, || {
        let after = flows(&lab, &format!("{host} --owner if-inst2 --table destination"));
        let after = packets(&after.map_err(|error| error.to_string())?);
        if after >= before + 20 { Ok(()) } else { Err(format!("{before}, then {after}")) }
    })?;

    // What cannot be told is said in words.
    let output = attempt_vnctl(&lab, &format!("flows {host} --table nonsense"))?;
    assert!(output.code == Some(1) && output.stderr.contains("there is no table nonsense"), "{output:?}");
    let output = attempt_vnctl(&lab, "flows host-nowhere")?;
    assert!(output.code == Some(1), "{output:?}");
    there.vna().kill();
    wait_until("the agent to be missed".to_owned(), PATIENCE, || {
        let output =
            attempt_vnctl(&lab, &format!("flows {}", there.name())).map_err(|error| error.to_string())?;
        let said = output.code == Some(1) && output.stderr.contains("is not connected to this manager");
        if said { Ok(()) } else { Err(format!("{output:?}")) }
    })
}

/// What the switches would do with an echo request from the first guest to the second.
fn trace(lab: &Lab) -> Result<Value> {
    let packet = r#"{"source":"02:00:00:00:00:01","destination":"02:00:00:00:00:02","content":{"ip":{"source":"10.0.0.1",
        "destination":"10.0.0.2","hops":64,"payload":{"icmp":{"kind":8,"code":0}}}}}"#;
    let body = format!(r#"{{"from":"if-inst1","packet":{packet}}}"#);
    let answer = lab.manager().vnctl(["api", "POST", "trace/live", &body])?;
    Ok(serde_json::from_str(&answer).expect("an object"))
}

/// Breaks something until it is found, with these words, at this host and table. An agent that looks after its switch puts
/// it right within seconds, perhaps before the switch is asked.
fn check(lab: &Lab, host: &Host, table: &str, words: &str, breaks: impl Fn() -> Result<()>) -> Result<()> {
    wait_until(format!("{words} to be found"), PATIENCE, || {
        breaks().map_err(|error| error.to_string())?;
        let found = trace(lab).map_err(|error| error.to_string())?;
        let verdict = found["verdict"].as_str().unwrap_or_default();
        let marked = found["hosts"].as_array().into_iter().flatten().flat_map(|host| {
            let steps = host["steps"].as_array().into_iter().flatten();
            steps.filter(|step| step["differs"] == true).map(move |step| (&host["node_id"], &step["table"]))
        });
        let is_right = verdict.contains(words)
            && found["agrees"] == false
            && marked.eq([(&Value::from(host.name()), &Value::from(table))]);
        if is_right { Ok(()) } else { Err(format!("{found:#}")) }
    })
}

/// Deletes the flows of an object in a table that do this.
fn delete(lab: &Lab, host: &Host, owner: &str, table: &str, does: &str) -> Result<()> {
    for flow in flows(lab, &format!("{} --owner {owner} --table {table}", host.name()))? {
        let text = |name: &str| flow[name].as_str().expect("a text");
        let selected = text("flow").split(" actions=").next().expect("a match");
        if text("does").contains(does) {
            let selected = selected.replacen(",table", "/-1,table", 1);
            host.ovs_ofctl(["--strict", "del-flows", "br-int", &selected])?;
        }
    }
    Ok(())
}

#[test]
fn a_switch_that_does_not_do_what_the_topology_says_is_found_with_the_flow() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(2))?;
    let (here, there) = (lab.host(0), lab.host(1));
    let a = here.add_guest(guest(1))?;
    let b = there.add_guest(guest(2))?;
    apply_network(&lab, [1, 2])?;
    await_answer(&a, ip(2))?;
    // The receiver is protected by a filter that keeps connections in mind.
    vnctl(&lab, "filters add --uuid fil-b --interface-uuid if-inst2 --mode static --egress-passthrough")?;
    vnctl(&lab, "filters static add fil-b --protocol arp --action pass")?;
    vnctl(
        &lab,
        "filters static add fil-b --protocol icmp --action conn --direction ingress --src-address 10.0.0.1",
    )?;
    vnctl(&lab, "interfaces modify if-inst2 --enable-filtering true --wait")?;
    await_answer(&a, ip(2))?;

    let sound = trace(&lab)?;
    assert_eq!(sound["agrees"], true, "{sound:#}");
    let hosts: Vec<_> =
        sound["hosts"].as_array().expect("hosts").iter().map(|host| &host["node_id"]).collect();
    assert_eq!(hosts, [here.name(), there.name()]);
    assert_eq!(
        sound["hosts"][1]["outputs"],
        serde_json::json!([{"port": {"name": "inst2", "interface": "if-inst2"}}])
    );

    let text = vnctl(&lab, "trace if-inst1 --to if-inst2 --live")?;
    let words = ["the switch of host1", "the switch of host2", "the switches do what the topology says"];
    assert!(words.iter().all(|words| text.contains(words)), "{text}");

    // What lets the packet in is gone. The faults that follow are nearer to the sender, so this one need not be mended.
    check(&lab, there, "refused_in", "not sent to if-inst2", || {
        delete(&lab, there, "if-inst2", "filter_in", "may begin")
    })?;
    // A tunnel leads to an address that is nobody's any more.
    let peer = vnctl(&lab, &format!("hosts show {} --output json", there.name()))?;
    let peer: Value = serde_json::from_str(&peer).expect("an object");
    let (peer, address) = (peer["datapath_uuid"].as_str().expect("an id"), there.underlay_ip().to_string());
    check(&lab, here, "peer", "192.0.2.99, which is no host's", || {
        for flow in flows(&lab, &format!("{} --owner {peer} --table peer", here.name()))? {
            let stale = flow["flow"].as_str().expect("a text");
            let stale = stale.replace(&format!(":{address}->tun_dst"), ":192.0.2.99->tun_dst");
            here.ovs_ofctl(["add-flow", "br-int", &stale])?;
        }
        Ok(())
    })?;
    // Nobody knows the receiver's MAC address.
    let forget = || delete(&lab, here, "if-inst2", "destination", "to if-inst2");
    check(&lab, here, "destination", "not sent to host", forget)?;
    wait_until("a person to be shown the flow".to_owned(), PATIENCE, || {
        forget().map_err(|error| error.to_string())?;
        let output =
            attempt_vnctl(&lab, "trace if-inst1 --to if-inst2 --live").map_err(|error| error.to_string())?;
        let shown =
            output.stdout.contains("=>") && output.stdout.contains("drops: destination MAC address unknown");
        if output.code == Some(1) && shown { Ok(()) } else { Err(format!("{output:?}")) }
    })?;
    wait_until("the agents to put all of it right".to_owned(), PATIENCE, || {
        let found = trace(&lab).map_err(|error| error.to_string())?;
        if found["agrees"] == true { Ok(()) } else { Err(format!("{found:#}")) }
    })?;

    // Of who cannot be asked nothing is known, and the others are.
    drop(b);
    there.vna().kill();
    wait_until("the agent to be missed".to_owned(), PATIENCE, || {
        let found = trace(&lab).map_err(|error| error.to_string())?;
        let silent = found["verdict"].as_str().is_some_and(|verdict| verdict.contains("cannot be asked"));
        if silent && found["agrees"].is_null() { Ok(()) } else { Err(format!("{found:#}")) }
    })
}
