//! Flows: what an operator is told of a switch, by the switch itself.

mod common;

use common::traced::flows;
use common::{PATIENCE, apply_network, attempt_vnctl, await_answer, guest, ip, vnctl};
use lab::{Lab, Result, wait_until};
use serde_json::Value;

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
