//! What an operator is told: metrics, health and status, when a guest lies, a switch is tampered with and an agent is away.

mod common;

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use common::{PATIENCE, apply_network, attempt_vnctl, await_answer, guest, ip, prefix, vnctl};
use lab::{Host, Lab, Result, wait_until};

/// Where an agent tells its status, in its host's own namespace.
const STATUS: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 9093);

/// What an agent answers, head and body.
fn ask(host: &Host, path: &str) -> std::result::Result<String, String> {
    let mut stream =
        host.connect(SocketAddr::from(STATUS), Duration::from_secs(5)).map_err(|error| error.to_string())?;
    let request = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    let asked = stream.write_all(request.as_bytes()).and_then(|()| stream.read_to_string(&mut answer));
    asked.map(|_| answer).map_err(|error| error.to_string())
}

/// Waits until a metric of an agent is at least this.
fn await_metric(host: &Host, name: &str, least: f64) -> Result<()> {
    wait_until(format!("{name} to be {least}"), PATIENCE, || {
        let page = ask(host, "/metrics")?;
        let value = page.lines().find_map(|of| of.strip_prefix(name)?.strip_prefix(' ')?.parse::<f64>().ok());
        if value.is_some_and(|value| value >= least) { Ok(()) } else { Err(page) }
    })
}

/// Waits until an agent says with this status whether it is ready.
fn await_ready(host: &Host, status: &str, words: &str) -> Result<()> {
    wait_until(format!("readiness to be {status}"), PATIENCE, || {
        let answer = ask(host, "/readyz")?;
        let said = answer.starts_with(&format!("HTTP/1.1 {status}")) && answer.contains(words);
        if said { Ok(()) } else { Err(answer) }
    })
}

/// Waits until `vnctl status` ends with this code, and says these words.
fn await_verdict(lab: &Lab, code: i32, words: &[&str]) -> Result<()> {
    wait_until(format!("the status to be {code}"), PATIENCE, || {
        let output = attempt_vnctl(lab, "status").map_err(|error| error.to_string())?;
        let said = words.iter().all(|word| output.stdout.contains(word));
        if output.code == Some(code) && said { Ok(()) } else { Err(format!("{output:?}")) }
    })
}

#[test]
fn an_operator_is_told_what_is_wrong_and_what_to_do() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(2))?;
    let (here, there) = (lab.host(0), lab.host(1));
    let (liar, other) = (here.add_guest(guest(1))?, there.add_guest(guest(2))?);
    apply_network(&lab, [1, 2])?;
    await_answer(&liar, ip(2))?;
    await_verdict(&lab, 0, &[])?;
    await_ready(here, "200", "ready")?;

    // A guest that speaks from an address that is not its own is counted under that.
    liar.exec(["ip", "address", "add", &prefix(ip(99), 24).to_string(), "dev", "eth0"])?;
    liar.attempt(["ping", "-q", "-c", "3", "-i", "0.2", "-W", "0.2", "-I", "10.0.0.99", "10.0.0.2"])?;
    await_metric(here, "vna_dropped_packets_total{reason=\"source address not leased\"}", 3.0)?;

    // Flows that somebody deletes are put back, and that is counted, too.
    here.ovs_ofctl(["del-flows", "br-int", "table=50"])?;
    await_metric(here, "vna_repairs_total", 1.0)?;
    await_answer(&other, ip(1))?;
    assert!(here.vna().log()?.contains("putting the switch right"));

    // An agent that is away is missed, by name.
    there.vna().kill();
    await_verdict(&lab, 1, &[there.name(), "journalctl -u vna"])?;
    let hosts = vnctl(&lab, "hosts")?;
    assert!(hosts.contains("its agent was last heard at"), "{hosts}");
    there.vna().start(&lab.manager().sync_url())?;
    await_verdict(&lab, 0, &[])?;
    await_ready(there, "200", "ready")
}

#[test]
fn an_agent_without_its_switch_is_alive_and_not_ready() -> Result<()> {
    let lab = common::start(Lab::builder())?;
    let host = lab.host(0);
    apply_network(&lab, [])?;
    await_ready(host, "200", "ready")?;
    host.switch().vswitchd().kill();
    await_ready(host, "503", "is ovs-vswitchd running?")?;
    assert!(ask(host, "/healthz").expect("an answer").contains("alive"));
    host.switch().start_vswitchd()?;
    await_ready(host, "200", "ready")
}
