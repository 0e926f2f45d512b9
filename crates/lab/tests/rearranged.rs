//! A topology is rearranged while guests and a server on a physical network talk: at every step, who reaches whom is what has
//! been declared.
//!
//! The three networks of [`common::routers`], and a fourth, physical one behind router `rl-2`, in which `server` is.

mod common;

use std::net::IpAddr;
use std::thread;

use common::routers::{BEYOND, BEYOND_V6, add_routes, attached, guests, ip, ip6, leased, topology};
use common::{apply, await_status, prefix, vnctl};
use lab::{Family, Guest, Lab, Result, Station, answers};
use serde_json::{Value, json};

/// The wire, and the leg and the routes to it.
fn wire() -> String {
    let mut text = "networks:\n  - {uuid: nw-4, mode: physical, ".to_owned();
    text += &format!("ipv4_network: {}, ipv6_network: '{}'}}\n", ip(4, 0), ip6(4, 0));
    text += "interfaces:\n";
    text += &format!("  - {{uuid: if-leg4, mode: simulated, enable_routing: true, {}}}\n", leased(4, 254));
    text += "  - {uuid: if-uplink, mode: host, network_uuid: nw-4, owner_datapath_uuid: dp-host1, port_name: outside}\n";
    text + "routes:\n" + &attached("leg4", 4, 2)
}

/// The way from router `rl-1` to the wire.
const TO_WIRE: (&str, &str) = (
    "r-far4",
    "--interface-uuid if-leg2 --network-uuid nw-2 --route-link-uuid rl-1 --ipv4-network 10.0.4.0 --next-hops 10.0.2.253",
);
const TO_WIRE_V6: (&str, &str) = (
    "r-far4-v6",
    "--interface-uuid if-leg2 --network-uuid nw-2 --route-link-uuid rl-1 --ipv6-network fd00:4:: --next-hops fd00:2::fd",
);

/// Everybody.
const ALL: &[&str] = &["g11 g12 g21 g22 g31 g32 server"];

struct Scene {
    lab: Lab,
    guests: Vec<Guest>,
    server: Station,
}

impl Scene {
    fn start() -> Result<Self> {
        let lab = common::start(Lab::builder().hosts(3))?;
        let guests = guests(&lab)?;
        let server = lab.add_server("server", &[prefix(ip(4, 7), 24), prefix(ip6(4, 7), 64)])?;
        server.exec(["ip", "route", "add", "10.0.0.0/16", "via", &ip(4, 254).to_string()])?;
        server.exec(["ip", "route", "add", "fd00::/16", "via", &ip6(4, 254).to_string()])?;
        lab.host(0).ovs_vsctl(["add-port", "br-int", "outside"])?;
        apply(&lab, &topology())?;
        apply(&lab, &wire())?;
        Ok(Self { lab, guests, server })
    }

    /// Changes something, and waits until every host has it.
    fn change(&self, line: &str) -> Result<()> {
        vnctl(&self.lab, &format!("{line} --wait")).map(drop)
    }

    fn guest(&self, name: &str) -> &Guest {
        self.guests.iter().find(|guest| guest.name() == name).expect("a guest of that name")
    }

    /// By IPv4 and by IPv6, two reach each other if they are named together, and else not.
    #[track_caller]
    fn check(&self, what: &str, v4: &[&str], v6: &[&str]) -> Result<()> {
        let stations = || self.guests.iter().map(|guest| &**guest).chain([&self.server]);
        let found = thread::scope(|scope| {
            let asked =
                [Family::V4, Family::V6].map(|family| scope.spawn(move || answers(stations(), family)));
            asked.map(|asked| asked.join().expect("no panic"))
        });
        let names: Vec<_> = stations().map(|station| station.name()).collect();
        for (found, together) in found.into_iter().zip([v4, v6]) {
            let found = found?;
            let pairs = names.iter().flat_map(|from| names.iter().map(move |to| (*from, *to)));
            let declared = |(from, to): &(&str, &str)| {
                let has = |group: &&str, name: &str| group.split(' ').any(|known| known == name);
                from == to || together.iter().any(|group| has(group, from) && has(group, to))
            };
            let wrong: Vec<_> =
                pairs.filter(|pair| found.reached(pair.0, pair.1) != declared(pair)).collect();
            assert!(wrong.is_empty(), "{what}: {wrong:?} in\n{found}\ndeclared: {together:?}");
        }
        Ok(())
    }
}

#[test]
fn who_reaches_whom_is_what_is_declared_before_and_after_each_change() -> Result<()> {
    let scene = Scene::start()?;
    let near = &["g11 g12 g21 g22", "g31 g32 server"][..];
    scene.check("each router knows its own networks", near, near)?;

    // Routes: IPv4 first; then IPv6, between two networks and not to the wire.
    add_routes(&scene.lab, BEYOND.iter().chain([&TO_WIRE]))?;
    scene.check("IPv4 routes", ALL, near)?;
    add_routes(&scene.lab, &BEYOND_V6)?;
    scene.check("IPv6 routes", ALL, &["g11 g12 g21 g22 g31 g32", "g31 g32 server"])?;
    add_routes(&scene.lab, [&TO_WIRE_V6])?;
    scene.check("a way to the wire", ALL, ALL)?;

    legs(&scene)?;
    leases(&scene)?;
    filters(&scene)?;
    hosts(&scene)?;
    numbers(&scene)
}

/// A leg is deleted, and made again.
fn legs(scene: &Scene) -> Result<()> {
    scene.change("interfaces del if-leg3")?;
    let without = &["g11 g12 g21 g22 server", "g31 g32"][..];
    scene.check("without the leg of network 3", without, without)?;
    let leg = format!("  - {{uuid: if-leg3, mode: simulated, enable_routing: true, {}}}\n", leased(3, 254));
    apply(&scene.lab, &format!("interfaces:\n{leg}routes:\n{}", attached("leg3", 3, 2)))?;
    scene.check("a leg with routes", ALL, ALL)
}

/// A guest's IPv4 address is given to another one of its network, and back.
fn leases(scene: &Scene) -> Result<()> {
    let moved = ip(1, 2);
    let lease = lease_of(&scene.lab, moved)?;
    scene.change(&format!("ip-leases modify {lease} --interface-uuid if-g11"))?;
    // The one uses an address that is its own no more, the other has not heard of it.
    scene.check("an address of somebody else", &["g11 g21 g22 g31 g32 server"], ALL)?;
    scene.guest("g11").exec(["ip", "address", "add", &format!("{moved}/24"), "dev", "eth0"])?;
    scene.guest("g12").exec(["ip", "address", "del", &format!("{moved}/24"), "dev", "eth0"])?;
    for from in ["g22", "g31"] {
        assert!(scene.guest(from).reaches(moved)?, "{from}");
    }
    assert!(scene.server.reaches(moved)?);
    scene.change(&format!("ip-leases modify {lease} --interface-uuid if-g12"))?;
    scene.guest("g11").exec(["ip", "address", "del", &format!("{moved}/24"), "dev", "eth0"])?;
    readdress(scene.guest("g12"), 1, 2)?;
    scene.check("the address is back", ALL, ALL)
}

/// The lease of an address.
fn lease_of(lab: &Lab, address: IpAddr) -> Result<String> {
    let leases: Value = serde_json::from_str(&vnctl(lab, "ip-leases show --output json")?).expect("JSON");
    let mut leases = leases.as_array().expect("a list").iter();
    let lease = leases.find(|lease| lease["ipv4_address"] == json!(address)).expect("it is leased");
    Ok(lease["uuid"].as_str().expect("an id").to_owned())
}

/// Gives a guest of network 1 another IPv4 address, in a network whose router has 254; what it has of IPv6 stays.
fn readdress(guest: &Guest, network: u8, last: u8) -> Result<()> {
    guest.set_addresses(&[prefix(ip(network, last), 24), prefix(ip6(1, last), 64)])?;
    for (family, gateway) in [("-4", ip(network, 254)), ("-6", ip6(1, 254))] {
        guest.exec([
            "ip",
            family,
            "route",
            "replace",
            "default",
            "via",
            &gateway.to_string(),
            "dev",
            "eth0",
        ])?;
    }
    Ok(())
}

/// A filter without rules is put before a guest, and taken away.
fn filters(scene: &Scene) -> Result<()> {
    scene.change("filters add --uuid fil-g21 --interface-uuid if-g21 --mode static")?;
    scene.change("interfaces modify if-g21 --enable-filtering")?;
    let others = &["g11 g12 g22 g31 g32 server"][..];
    scene.check("one is filtered", others, others)?;
    scene.change("interfaces modify if-g21 --enable-filtering false")?;
    scene.check("nobody is filtered", ALL, ALL)
}

/// Guests move: one to a host without its network, the other to that of the wire's uplink.
fn hosts(scene: &Scene) -> Result<()> {
    for (name, host) in [("g11", 1), ("g32", 0)] {
        let (guest, host) = (scene.guest(name), scene.lab.host(host));
        assert_ne!(guest.host_name().as_deref(), Some(host.name()));
        guest.plug(host)?;
        await_status(&scene.lab, &format!("if-{name}"), "host", &host.name().into())?;
        scene.change(&format!("networks modify nw-1 --label moved={name}"))?;
        scene.check(&format!("{name} has moved"), ALL, ALL)?;
    }
    Ok(())
}

/// As one change: through a network that has both the old addresses and the new ones, since none is without its lease.
const RENUMBERING: &str = "\
networks modify nw-1 --ipv4-network 10.0.0.0 --ipv4-prefix 16
interfaces modify if-g11 --ipv4-address 10.0.9.1
interfaces modify if-g12 --ipv4-address 10.0.9.2
interfaces modify if-leg1 --ipv4-address 10.0.9.254
networks modify nw-1 --ipv4-network 10.0.9.0 --ipv4-prefix 24
routes modify r-leg1 --ipv4-network 10.0.9.0
routes modify r-far1 --ipv4-network 10.0.9.0
";

/// Network 1 gets other IPv4 addresses, and its guests hear of it one after the other.
fn numbers(scene: &Scene) -> Result<()> {
    let file = "/run/lab/renumbering";
    scene.lab.manager().namespace().write(file, RENUMBERING)?;
    scene.change(&format!("batch {file} --atomic"))?;
    scene.check("no guest knows its number", &["g21 g22 g31 g32 server"], ALL)?;
    readdress(scene.guest("g11"), 9, 1)?;
    scene.check("one guest knows its number", &["g11 g21 g22 g31 g32 server"], ALL)?;
    readdress(scene.guest("g12"), 9, 2)?;
    scene.check("all know their numbers", ALL, ALL)
}
