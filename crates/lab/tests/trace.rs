//! Traces: what is said of packets is what guests then see, and a switch that does something else is found.

mod common;

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use common::traced::{Watched, datapath, delete, live, rewrite};
use common::translated::{SOURCE, World, outside};
use common::{
    PATIENCE, answers_once, apply, apply_network, attempt_vnctl, await_answer, guest, ip, is_silent, routers,
    vnctl,
};
use lab::{Guest, Lab, Ping, Result, wait_until};
use serde_json::Value;

/// What a guest wants of another.
enum Wish {
    Echo,
    Tcp(u16),
    /// An echo request whose packet is so long, and must not be fragmented.
    Whole(u16),
}

impl Wish {
    /// The packet, as `vnctl trace` is told.
    fn flags(&self) -> String {
        match self {
            Self::Echo => "--icmp".to_owned(),
            Self::Tcp(port) => format!("--tcp {port}"),
            Self::Whole(bytes) => format!("--length {bytes} --df"),
        }
    }

    /// Whether it comes true. What should not is not waited for.
    fn comes_true(&self, from: &Guest, to: &Guest, address: IpAddr, expected: bool) -> Result<bool> {
        match self {
            Self::Echo if expected => answers_once(from, address),
            Self::Echo => Ok(!is_silent(from, address)?),
            Self::Tcp(port) => {
                let address = SocketAddr::new(address, *port);
                let listener = to.tcp_listen(address)?;
                let limit = if expected { PATIENCE } else { Duration::from_millis(500) };
                let is_open = from.connect(address, limit).is_ok();
                drop(listener);
                Ok(is_open)
            }
            Self::Whole(bytes) => {
                let headers = if address.is_ipv4() { 28 } else { 48 };
                let ping = Ping::to(address).payload_bytes(bytes - headers).dont_fragment();
                Ok(from.ping_with(&ping)?.reached())
            }
        }
    }
}

/// For two guests in each of three networks behind two routers: `g21` has a filter, `g12` and `g22` are in groups.
const PROTECTION: &str = "
filters:
  - {uuid: fil-21, interface_uuid: if-g21, mode: static, egress_passthrough: false, rules: [
      {protocol: arp, action: pass}, {protocol: icmpv6, icmp_type: 135, action: pass, direction: egress},
      {protocol: tcp, dst_port: 22, action: conn, direction: ingress},
      {protocol: tcp, dst_port: 23, action: reject}, {protocol: tcp, dst_port: 24, action: pass, direction: ingress}]}
security_groups:
  - {uuid: sg-web, rules: [{direction: egress, protocol: ip}]}
  - {uuid: sg-db, rules: [{direction: ingress, protocol: tcp, port: '5432', remote_group_uuid: sg-web}]}
";

#[test]
fn what_a_trace_says_is_what_guests_see() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(3))?;
    let guests = routers::guests(&lab)?;
    apply(&lab, &routers::topology())?;
    apply(&lab, PROTECTION)?;
    for change in
        ["g21 --enable-filtering true", "g12 --security-groups sg-web", "g22 --security-groups sg-db"]
    {
        vnctl(&lab, &format!("interfaces modify if-{change} --wait"))?;
    }
    let named = |name: &str| guests.iter().find(|guest| guest.name() == name).expect("a guest");
    // What is said: whether it arrives and is answered; if not, who or what sees to that.
    let check = |(from, to): (&str, &str), wish: Wish, expected: std::result::Result<(), &str>| {
        let (from, to) = (named(from), named(to));
        for address in to.addresses().iter().map(ipnet::IpNet::addr) {
            let line = format!("if-{} --to {address} --reply {}", from.name(), wish.flags());
            let output = attempt_vnctl(&lab, &format!("trace {line}"))?;
            let (code, words) = expected.map_or_else(|words| (5, words), |()| (0, ""));
            assert!(output.code == Some(code) && output.stdout.contains(words), "{line}: {output}");
            let seen = wish.comes_true(from, to, address, code == 0)?;
            assert_eq!(seen, code == 0, "{line}: {output}");
            let switches = live(&lab, &line)?;
            assert_eq!(switches["agrees"], true, "{line}: {switches:#}");
            assert!(code != 0 || switches["reply"]["agrees"] == true, "{line}: {switches:#}");
        }
        Ok(())
    };
    check(("g31", "g32"), Wish::Echo, Ok(()))?;
    // By a router, and where it has no way.
    check(("g12", "g22"), Wish::Echo, Err("ingress rule to a security group of if-g22"))?;
    check(("g12", "g22"), Wish::Tcp(5432), Ok(()))?;
    check(("g12", "g22"), Wish::Tcp(80), Err("if-g22"))?;
    check(("g11", "g22"), Wish::Tcp(5432), Err("if-g22"))?;
    check(("g11", "g31"), Wish::Echo, Err("no route"))?;
    check(("g22", "g31"), Wish::Tcp(80), Err("egress rule to a security group of if-g22"))?;
    // A filter that drops, rejects, and lets in without keeping the connection in mind.
    check(("g11", "g21"), Wish::Echo, Err("fil-21"))?;
    check(("g11", "g21"), Wish::Tcp(22), Ok(()))?;
    check(("g11", "g21"), Wish::Tcp(23), Err("fil-21"))?;
    check(("g11", "g21"), Wish::Tcp(24), Err("fil-21"))?;
    // A filter on the way out, as nobody is asked who has an address.
    check(("g21", "g22"), Wish::Echo, Err("fil-21"))?;
    // What does not fit the tunnel, and what goes nowhere near one.
    check(("g31", "g32"), Wish::Whole(1438), Ok(()))?;
    check(("g31", "g32"), Wish::Whole(1439), Err("1438"))
}

/// Guest 2 is protected by a filter that keeps connections in mind, and guest 3 is on its host.
#[test]
fn a_switch_that_does_something_else_is_found_with_the_flow() -> Result<()> {
    let lab = common::start(Lab::builder().hosts(2))?;
    let (here, there) = (lab.host(0), lab.host(1));
    let a = here.add_guest(guest(1))?;
    let (_b, _c) = (there.add_guest(guest(2))?, there.add_guest(guest(3))?);
    apply_network(&lab, [1, 2, 3])?;
    vnctl(
        &lab,
        "filters add --uuid fil-b --interface-uuid if-inst2 --mode static --egress-passthrough=false",
    )?;
    vnctl(&lab, "filters static add fil-b --protocol arp --action pass")?;
    let rule = "--protocol icmp --action conn --direction ingress --src-address 10.0.0.1";
    vnctl(&lab, &format!("filters static add fil-b {rule}"))?;
    vnctl(&lab, "interfaces modify if-inst2 --enable-filtering true --wait")?;
    await_answer(&a, ip(2))?;

    let line = "if-inst1 --to if-inst2 --reply";
    let sound = live(&lab, line)?;
    assert_eq!((&sound["agrees"], &sound["reply"]["agrees"]), (&true.into(), &true.into()), "{sound:#}");
    let hosts = |way: &Value| -> Vec<Value> {
        way["hosts"].as_array().into_iter().flatten().map(|host| host["node_id"].clone()).collect()
    };
    assert_eq!(hosts(&sound), [here.name(), there.name()]);
    assert_eq!(hosts(&sound["reply"]), [there.name(), here.name()]);
    let delivered = serde_json::json!([{"port": {"name": "inst2", "interface": "if-inst2"}}]);
    assert_eq!(sound["hosts"][1]["outputs"], delivered);

    // Each fault is nearer to the sender than those before, which need not be mended.
    let way = Watched { lab: &lab, line, part: "" };
    // A packet that may be delivered goes to somebody else.
    way.finds((there, "output", "sent to if-inst3, and not to if-inst2"), || {
        let port = |name: &str| there.ovs_vsctl(["get", "interface", name, "ofport"]);
        let (right, wrong) = (port("inst2")?, port("inst3")?);
        let outputs = [right, wrong].map(|port| format!("output:{}", port.trim()));
        rewrite(&lab, there, ("if-inst2", "output"), (&outputs[0], &outputs[1]))
    })?;
    // What lets the packet in is gone.
    way.finds((there, "refused_in", "not sent to if-inst2"), || {
        delete(&lab, there, "if-inst2", "filter_in", "may begin")
    })?;
    // The answer finds nobody.
    let back = Watched { lab: &lab, line, part: "/reply" };
    back.finds((there, "destination", "not sent to host"), || {
        delete(&lab, there, "if-inst1", "destination", "to if-inst1")
    })?;
    // A tunnel leads to an address that is nobody's any more.
    let (peer, address) = (datapath(&lab, there)?, there.underlay_ip());
    way.finds((here, "peer", "192.0.2.99, which is no host's"), || {
        let addresses = [&format!("{address}->tun_dst"), "192.0.2.99->tun_dst"];
        rewrite(&lab, here, (&peer, "peer"), (addresses[0], addresses[1]))
    })?;
    // Nobody knows the receiver's MAC address.
    let forget = || delete(&lab, here, "if-inst2", "destination", "to if-inst2");
    way.finds((here, "destination", "not sent to host"), forget)?;
    wait_until("a person to be shown the flow".to_owned(), PATIENCE, || {
        forget().map_err(|error| error.to_string())?;
        let output =
            attempt_vnctl(&lab, &format!("trace {line} --live")).map_err(|error| error.to_string())?;
        let shown =
            output.stdout.contains("=>") && output.stdout.contains("drops: destination MAC address unknown");
        if output.code == Some(1) && shown { Ok(()) } else { Err(format!("{output:?}")) }
    })?;
    way.agrees()?;
    back.agrees()?;

    // Of a packet that is too large for the tunnel, nobody tells the sender.
    let large = Watched { lab: &lab, line: "if-inst1 --to if-inst2 --length 1500", part: "" };
    large.agrees()?;
    large.finds((here, "tunnel_out", "not sent to whoever answers"), || {
        let flow = format!("table={}", dataplane::layout::TUNNEL_OUT.0);
        here.ovs_ofctl(["del-flows", "br-int", &flow]).map(drop)
    })?;

    // Of who cannot be asked nothing is known, and the others are.
    there.vna().kill();
    wait_until("the agent to be missed".to_owned(), PATIENCE, || {
        let found = live(&lab, line).map_err(|error| error.to_string())?;
        let silent = found["verdict"].as_str().is_some_and(|verdict| verdict.contains("cannot be asked"));
        if silent && found["agrees"].is_null() { Ok(()) } else { Err(format!("{found:#}")) }
    })
}

#[test]
fn switches_are_asked_about_what_is_translated() -> Result<()> {
    let world = World::with_entries()?;
    apply(&world.lab, SOURCE)?;
    let check = |line: &str| {
        let output = attempt_vnctl(&world.lab, &format!("trace {line} --reply --live"))?;
        assert!(output.success(), "{line}: {output}");
        let found = live(&world.lab, &format!("{line} --reply"))?;
        let agree = [&found["agrees"], &found["reply"]["agrees"]];
        assert_eq!(agree, [&Value::from(true), &Value::from(true)], "{line}: {found:#}");
        Ok(())
    };
    for kind in ["--tcp 80", "--icmp"] {
        // By an address of its own, in and out, and by one that all share.
        check(&format!("if-out --to {} {kind}", outside(5)))?;
        check(&format!("if-a --to if-out {kind}"))?;
        world.remove("tr-static --ingress-ipv4-address 198.51.100.5 --egress-ipv4-address 10.0.1.1")?;
        check(&format!("if-a --to if-out {kind}"))?;
        world.add("tr-static --ingress-ipv4-address 198.51.100.5 --egress-ipv4-address 10.0.1.1")?;
    }
    Ok(())
}
