//! What end-to-end tests share: numbered guests of one network, and what users and operators would look at.
#![allow(dead_code, unreachable_pub, reason = "every test uses its part of this")]

pub mod ages;
pub mod dhcp;
pub mod frames;
pub mod ftp;
pub mod outside;
pub mod routers;
pub mod stream;
pub mod tcp;
pub mod traced;
pub mod translated;
pub mod watch;
pub mod wires;

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use lab::{Builder, Error, GuestSpec, Host, Lab, MacAddr, Output, Result, Station, wait_until};
use serde_json::Value;

/// Time for what needs several processes of a busy machine.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// The network of all guests.
pub const NETWORK: &str = "nw-net";

/// The IPv4 address of guest `n`.
pub fn ip(n: u8) -> IpAddr {
    IpAddr::from([10, 0, 0, n])
}

/// The IPv6 address of guest `n`.
pub fn ip6(n: u8) -> IpAddr {
    IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, u16::from(n)])
}

/// The MAC address of guest `n`.
pub fn mac(n: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, 0, n])
}

/// Guest `n`, whose port names its interface by `iface-id`.
pub fn guest(n: u8) -> GuestSpec {
    nameless_guest(n).iface_id(&format!("if-inst{n}"))
}

/// Guest `n`, whose port has nothing but its own name, `inst<n>`.
pub fn nameless_guest(n: u8) -> GuestSpec {
    let spec = GuestSpec::new(&format!("inst{n}")).mac(mac(n));
    spec.address(prefix(ip(n), 24)).address(prefix(ip6(n), 64))
}

/// A guest without addresses, whose port names the interface `if-<name>`.
pub fn named_guest(name: &str, mac: MacAddr) -> GuestSpec {
    GuestSpec::new(name).mac(mac).iface_id(&format!("if-{name}"))
}

/// A MAC address where there are several networks: `02:00:00:00:<network>:<last>`.
pub fn mac_in(network: u8, last: u8) -> MacAddr {
    MacAddr([2, 0, 0, 0, network, last])
}

/// An address with the length of its prefix.
pub fn prefix(address: IpAddr, length: u8) -> IpNet {
    IpNet::new(address, length).expect("a length that fits the family")
}

/// A lab with its manager and agents running.
pub fn start(builder: Builder) -> Result<Lab> {
    let lab = builder.start()?;
    lab.start_control_plane()?;
    lab.hosts().iter().try_for_each(|host| resolve_underlay(&lab, host))?;
    Ok(lab)
}

/// Waits until a host's switch knows where the others are. The userspace datapath drops what it has to look up an address for,
/// and a check is made only once.
fn resolve_underlay(lab: &Lab, host: &Host) -> Result<()> {
    let peers = || lab.hosts().iter().filter(|peer| peer.name() != host.name());
    let addresses: Vec<_> = peers().flat_map(Host::underlay_addresses).map(|of| of.to_string()).collect();
    wait_until(format!("{} to know the underlay", host.name()), PATIENCE, || {
        let known = host.ovs_appctl(["tnl/neigh/show"]).map_err(|error| error.to_string())?;
        let is_known =
            |address: &str| known.lines().any(|line| line.split_whitespace().next() == Some(address));
        let unknown: Vec<_> = addresses.iter().filter(|address| !is_known(address)).collect();
        for address in &unknown {
            // The switch learns from answers to questions. Whom the host knows already it does not ask for.
            let ask = format!("ip neighbour flush to {address}; ping -q -c 1 -w 1 {address}");
            host.exec(["sh", "-c", &ask]).map_err(|error| error.to_string())?;
        }
        if unknown.is_empty() { Ok(()) } else { Err(known) }
    })
}

/// Describes the network and the interfaces of guests, and waits until every host has them.
pub fn apply_network(lab: &Lab, guests: impl IntoIterator<Item = u8>) -> Result<()> {
    let interface = |n| {
        let (mac, ip, ip6) = (mac(n), ip(n), ip6(n));
        format!(
            "  - {{uuid: if-inst{n}, network_uuid: {NETWORK}, mac_address: '{mac}', \
             ipv4_address: {ip}, ipv6_address: '{ip6}'}}\n"
        )
    };
    let interfaces: String = guests.into_iter().map(interface).collect();
    let network = format!(
        "networks:\n  - {{uuid: {NETWORK}, ipv4_network: 10.0.0.0, ipv6_network: 'fd00::'}}\ninterfaces:\n"
    );
    apply(lab, &(network + &interfaces))
}

/// Describes a topology as a user would, in YAML, and waits until every host has it.
pub fn apply(lab: &Lab, topology: &str) -> Result<()> {
    let file = "/run/lab/topology.yaml";
    lab.manager().namespace().write(file, topology)?;
    vnctl(lab, &format!("apply -f {file} --wait")).map(drop)
}

/// Runs `vnctl` with a command line as a user types it.
pub fn vnctl(lab: &Lab, line: &str) -> Result<String> {
    lab.manager().vnctl(line.split_whitespace())
}

/// As [`vnctl`], also when it fails.
pub fn attempt_vnctl(lab: &Lab, line: &str) -> Result<Output> {
    lab.manager().attempt_vnctl(line.split_whitespace())
}

/// An object as the Web API shows it.
pub fn show(lab: &Lab, collection: &str, id: &str) -> Result<Value> {
    let answer = vnctl(lab, &format!("{collection} show {id} --output json"))?;
    serde_json::from_str(&answer).map_err(|_| Error::Answer { command: "vnctl show".to_owned(), answer })
}

/// The newest revision.
pub fn revision(lab: &Lab) -> Result<u64> {
    let answer = vnctl(lab, "api GET revision")?;
    let parsed = serde_json::from_str::<Value>(&answer).ok().and_then(|value| value["revision"].as_u64());
    parsed.ok_or(Error::Answer { command: "vnctl api GET revision".to_owned(), answer })
}

/// An answer that is not understood.
pub fn unclear(command: &str, answer: &Value) -> Error {
    Error::Answer { command: command.to_owned(), answer: answer.to_string() }
}

/// Waits until an attribute of an interface's status is what is expected.
pub fn await_status(lab: &Lab, interface: &str, attribute: &str, expected: &Value) -> Result<Value> {
    wait_until(format!("{attribute} of {interface} to be {expected}"), PATIENCE, || {
        let shown = show(lab, "interfaces", interface).map_err(|error| error.to_string())?;
        if shown["status"][attribute] == *expected { Ok(shown) } else { Err(shown["status"].to_string()) }
    })
}

/// Waits until every host of the network has all that has happened so far: a change takes the same way after it.
pub fn settle(lab: &Lab) -> Result<()> {
    let now = revision(lab)?;
    vnctl(lab, &format!("networks modify {NETWORK} --display-name after-{now} --wait")).map(drop)
}

/// Waits until an address answers echo requests.
pub fn await_answer(from: &Station, to: IpAddr) -> Result<()> {
    wait_until(format!("{to} to answer {}", from.name()), PATIENCE, || match from.reaches(to) {
        Ok(true) => Ok(()),
        Ok(false) => Err("silence".to_owned()),
        Err(error) => Err(error.to_string()),
    })
}

/// What a station is told about a packet that does not arrive: `ping` with the words of `line` says what is expected.
#[track_caller]
pub fn check_told(from: &Station, line: &str, expected: &str) -> Result<()> {
    wait_until(format!("`ping {line}` to say {expected}"), PATIENCE, || {
        let words = ["ping", "-n", "-c", "1", "-W", "5"].into_iter().chain(line.split_whitespace());
        let output = from.attempt(words).map_err(|error| error.to_string())?;
        if output.stdout.contains(expected) { Ok(()) } else { Err(output.stdout) }
    })
}

/// Whether a single echo request is answered. Who asks resolves the address first, so that the answer does not depend on
/// whether it has failed to a moment ago.
pub fn answers_once(from: &Station, to: IpAddr) -> Result<bool> {
    answers_within(from, to, Duration::from_secs(1))
}

/// As [`answers_once`], where no answer is expected: one that comes at all comes within milliseconds.
pub fn is_silent(from: &Station, to: IpAddr) -> Result<bool> {
    Ok(!answers_within(from, to, Duration::from_millis(300))?)
}

fn answers_within(from: &Station, to: IpAddr, limit: Duration) -> Result<bool> {
    from.forget_neighbours()?;
    let (limit, to) = (limit.as_secs_f64().to_string(), to.to_string());
    Ok(from.attempt(["ping", "-n", "-q", "-c", "1", "-W", &limit, &to])?.success())
}

/// Meters with their bands, which are dumped on lines of their own.
fn one_line_each(meters: &str) -> String {
    meters.replace("bands=\n", "bands=")
}

/// The flows, groups and meters of a host's switch.
pub fn program(host: &Host) -> Result<BTreeSet<String>> {
    let [flows, groups, meters] =
        [&["dump-flows", "--no-stats", "br-int"][..], &["dump-groups", "br-int"], &["dump-meters", "br-int"]]
            .map(|command| host.ovs_ofctl(command));
    let lines = flows? + &groups? + &one_line_each(&meters?);
    // Replies begin with a header, "OFPST_GROUP_DESC reply (OF1.5) (xid=0x2):", and what the agent notes for itself is in
    // a table that no packet gets to.
    let is_program =
        |line: &&str| !line.is_empty() && !line.starts_with("OFPST") && !line.contains("table=253,");
    let lines = lines.lines().map(str::trim).filter(is_program);
    Ok(lines.map(str::to_owned).collect())
}
