//! Tunnels: what has passed them, as the hosts' switches tell.

mod common;

use common::{PATIENCE, apply_network, await_answer, guest, ip, vnctl};
use lab::{Lab, Result, wait_until};
use serde_json::Value;

/// How many packets are sent from guest to guest.
const SENT: u64 = 20;

/// What has been counted on the way from one host to another: sent, and come back.
fn counted(lab: &Lab, from: &str, to: &str) -> std::result::Result<[Value; 2], String> {
    let line =
        format!("tunnels show --src-datapath-uuid dp-{from} --dst-datapath-uuid dp-{to} --output json");
    let said = vnctl(lab, &line).map_err(|error| error.to_string())?;
    let tunnels: Vec<Value> = serde_json::from_str(&said).map_err(|error| error.to_string())?;
    match tunnels.as_slice() {
        [tunnel] => Ok(["sent_packets", "received_packets"].map(|name| tunnel[name].clone())),
        _ => Err(said),
    }
}

#[test]
fn a_tunnel_says_what_has_passed_it_and_nothing_if_its_host_is_silent() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(2))?;
    let (here, there) = (lab.host(0), lab.host(1));
    let a = here.add_guest(guest(1))?;
    let _b = there.add_guest(guest(2))?;
    apply_network(&lab, [1, 2])?;
    await_answer(&a, ip(2))?;
    let ways = [(here.name(), there.name()), (there.name(), here.name())];

    let numbers = |(from, to): (&str, &str)| {
        let counted = counted(&lab, from, to)?;
        let numbers = [counted[0].as_u64(), counted[1].as_u64()];
        numbers.into_iter().collect::<Option<Vec<_>>>().ok_or_else(|| format!("{from}, {to}: {counted:?}"))
    };
    let before = ways.map(|way| numbers(way).expect("numbers"));
    a.exec(["ping", "-q", "-c", &SENT.to_string(), "-i", "0.05", &ip(2).to_string()])?;
    // Switches count a moment after they forward.
    for (way, before) in ways.into_iter().zip(before) {
        wait_until("the counters to move".to_owned(), PATIENCE, || {
            let after = numbers(way)?;
            let moved = after.iter().zip(&before).all(|(after, before)| *after >= before + SENT);
            if moved { Ok(()) } else { Err(format!("{before:?}, then {after:?}")) }
        })?;
    }

    there.vna().kill();
    wait_until("the one to be unknown, and the other not".to_owned(), PATIENCE, || {
        let [here, there] = ways.map(|(from, to)| counted(&lab, from, to));
        let (here, there) = (here?, there?);
        let is_told = here.iter().all(Value::is_u64) && there.iter().all(Value::is_null);
        if is_told { Ok(()) } else { Err(format!("{here:?}, {there:?}")) }
    })
}
