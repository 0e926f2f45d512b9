//! A network hypervisor in one minute, on this machine: hosts, guests, two networks, and things that go wrong.
//!
//! The demonstration is a [`lab`] and a story told over it. Every claim of the story is measured: with `--check` the
//! task fails where one does not hold, and without it the lab stays up to be looked at.

use std::env;
use std::net::{IpAddr, Ipv4Addr};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lab::{Family, Guest, GuestSpec, Host, Lab, LossReport, MacAddr, Matrix, Namespace};

use crate::run::{cargo, command, run};
use crate::setup::{is_root, setup};

/// How to show it.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// End by itself, and fail if anything is not as it should be
    #[arg(long)]
    check: bool,
    /// Hypervisor hosts, two at least
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(2..=16))]
    hosts: u8,
}

/// Time that everything gets to be in place.
const PATIENCE: Duration = Duration::from_secs(30);
/// Time between echo requests while something happens: the resolution of what is lost.
const INTERVAL: Duration = Duration::from_millis(10);
/// The longest time without an answer while a guest moves: unplugged, plugged in, bound, and known to all hosts.
const MOVE_LIMIT: Duration = Duration::from_secs(3);
/// How long throughput is measured.
const MEASURE: Duration = Duration::from_secs(2);
/// Two networks with the same addresses, so that nothing but the hypervisor keeps them apart.
const NETWORKS: [&str; 2] = ["red", "blue"];
/// Where the lab keeps the topology that is applied.
const TOPOLOGY: &str = "/run/lab/topology.yaml";

/// Shows it.
pub(crate) fn demo(options: &Options) -> anyhow::Result<()> {
    setup()?;
    run(cargo(["build", "--workspace", "--bins"]))?;
    if !is_root() {
        let program = env::current_exe()?.into_os_string();
        return run(command("sudo", [program].into_iter().chain(env::args_os().skip(1))));
    }
    let started = Instant::now();
    chapter(&format!("{} hosts, each with its own Open vSwitch and agent, and a manager", options.hosts));
    let lab = Lab::builder().hosts(options.hosts).start()?;
    lab.start_control_plane()?;
    println!("up after {:.1?}", started.elapsed());
    let guests = guests(&lab)?;
    networks(&lab, &guests)?;
    measure(&guests, "across hosts")?;
    move_a_guest(&lab, &guests)?;
    measure(&guests, "on one host")?;
    restart_everything(&lab, &guests)?;
    if !options.check {
        look_around(&lab, &guests)?;
    }
    Ok(())
}

/// Guest `n` of a network is on host `n`, so that networks span all hosts.
fn guests(lab: &Lab) -> anyhow::Result<Vec<Guest>> {
    chapter("A guest of each network on every host");
    let places = lab.hosts().iter().zip(1..);
    let wanted = places.flat_map(|(host, n)| NETWORKS.into_iter().map(move |name| (host, name, n)));
    let plug = |(host, name, n): (&Host, &str, u8)| {
        let address = format!("10.0.0.{n}/24").parse().expect("a prefix");
        let mac = MacAddr([2, 0, 0, 0, 0, n]);
        let spec = GuestSpec::new(&format!("{name}{n}"))
            .mac(mac)
            .iface_id(&format!("if-{name}{n}"))
            .address(address);
        println!("{name}{n} on {}: {address} {mac}", host.name());
        host.add_guest(spec)
    };
    Ok(wanted.map(plug).collect::<Result<_, _>>()?)
}

fn networks(lab: &Lab, guests: &[Guest]) -> anyhow::Result<()> {
    chapter("Nobody has described a network yet: nobody reaches anybody");
    expect(guests, |_, _| false)?;
    chapter("Two networks with the same addresses, in one commit");
    lab.manager().namespace().write(TOPOLOGY, topology(guests))?;
    let applied = Instant::now();
    vnctl(lab, &["apply", "-f", TOPOLOGY, "--wait"])?;
    println!("on every host after {:.1?}", applied.elapsed());
    vnctl(lab, &["interfaces", "show"])?;
    chapter("Guests reach those of their own network, wherever they are, and nobody else");
    expect(guests, |one, other| network_of(one) == network_of(other))
}

/// The topology as a user would write it.
fn topology(guests: &[Guest]) -> String {
    let network = |name| format!("  - {{uuid: nw-{name}, ipv4_network: 10.0.0.0, ipv4_prefix: 24}}\n");
    let interface = |guest: &Guest| {
        let (name, network, mac, ip) = (guest.name(), network_of(guest), guest.mac(), address(guest));
        format!(
            "  - {{uuid: if-{name}, network_uuid: nw-{network}, mac_address: '{mac}', ipv4_address: {ip}}}\n"
        )
    };
    let networks: String = NETWORKS.into_iter().map(network).collect();
    let interfaces: String = guests.iter().map(interface).collect();
    format!("networks:\n{networks}interfaces:\n{interfaces}")
}

fn measure(guests: &[Guest], place: &str) -> anyhow::Result<()> {
    let (one, other) = (named(guests, "red1")?, named(guests, "red2")?);
    chapter(&format!("TCP from {} to {}, {place}", one.name(), other.name()));
    let bits = one.throughput_to(other, address(other), MEASURE)?;
    println!("{:.2} Gbit/s through the userspace datapath", bits / 1e9);
    Ok(())
}

fn move_a_guest(lab: &Lab, guests: &[Guest]) -> anyhow::Result<()> {
    let (still, moving, to) = (named(guests, "red1")?, named(guests, "red2")?, lab.host(0));
    chapter(&format!("{} moves to {} while {} pings it", moving.name(), to.name(), still.name()));
    let stream = still.start_ping(address(moving), INTERVAL)?;
    stream.wait_for_more(50, PATIENCE)?;
    moving.plug(to)?;
    stream.wait_for_more(50, PATIENCE)?;
    let report = stream.finish()?;
    tell(&report);
    ensure!(report.longest_gap <= MOVE_LIMIT, "the move took too long: {report:?}");
    Ok(())
}

fn restart_everything(lab: &Lab, guests: &[Guest]) -> anyhow::Result<()> {
    let (one, other) = (named(guests, "blue1")?, named(guests, "blue2")?);
    chapter(&format!(
        "The manager and all agents are killed and start again while {} pings {}",
        one.name(),
        other.name()
    ));
    let stream = one.start_ping(address(other), INTERVAL)?;
    stream.wait_for_more(50, PATIENCE)?;
    lab.manager().kill();
    lab.hosts().iter().for_each(|host| host.vna().kill());
    stream.wait_for_more(100, PATIENCE)?;
    lab.manager().start()?;
    for host in lab.hosts() {
        host.vna().start(&lab.manager().sync_url())?;
    }
    stream.wait_for_more(100, PATIENCE)?;
    let report = stream.finish()?;
    tell(&report);
    ensure!(report.lost.is_empty(), "restarts have cost packets: {report:?}");
    expect(guests, |one, other| network_of(one) == network_of(other))
}

fn look_around(lab: &Lab, guests: &[Guest]) -> anyhow::Result<()> {
    chapter("Yours until Ctrl-C");
    let enter = |place: &Namespace| format!("nsenter -t {} -m -p ip netns exec {}", lab.pid(), place.name());
    let vnctl = env::current_exe()?.with_file_name("vnctl");
    println!("the Web API:  curl {}/api/1.0/networks", lab.manager().api_url());
    println!("the CLI:      {} --url {} interfaces show", vnctl.display(), lab.manager().api_url());
    println!("a guest:      {} bash", enter(named(guests, "red1")?));
    println!(
        "a host:       {} env OVS_RUNDIR={}/openvswitch bash",
        enter(lab.host(0)),
        lab.host(0).dir().display()
    );
    // The lab ends with this process, however that ends.
    loop {
        thread::park();
    }
}

/// Has everybody ask everybody else for their name, and fails where it is not as `wanted`.
fn expect(guests: &[Guest], wanted: impl Fn(&Guest, &Guest) -> bool) -> anyhow::Result<()> {
    let matrix: Matrix = lab::answers(guests.iter().map(|guest| &**guest), Family::V4)?;
    println!("{matrix}");
    for one in guests {
        for other in guests.iter().filter(|other| other.name() != one.name()) {
            let (reached, wanted) = (matrix.reached(one.name(), other.name()), wanted(one, other));
            ensure!(
                reached == wanted,
                "{} to {}: reached {reached}, wanted {wanted}",
                one.name(),
                other.name()
            );
        }
    }
    Ok(())
}

fn vnctl(lab: &Lab, args: &[&str]) -> anyhow::Result<()> {
    println!("$ vnctl {}", args.join(" "));
    println!("{}", lab.manager().vnctl(args)?.trim_end());
    Ok(())
}

fn tell(report: &LossReport) {
    println!("{} of {} requests lost, longest gap {:?}", report.lost.len(), report.sent, report.longest_gap);
}

fn named<'a>(guests: &'a [Guest], name: &str) -> anyhow::Result<&'a Guest> {
    guests.iter().find(|guest| guest.name() == name).with_context(|| format!("there is no guest {name}"))
}

/// A guest's name is its network's and a number.
fn network_of(guest: &Guest) -> &str {
    guest.name().trim_end_matches(|end: char| end.is_ascii_digit())
}

fn address(guest: &Guest) -> IpAddr {
    guest.addresses().first().map_or(Ipv4Addr::UNSPECIFIED.into(), |address| address.addr())
}

fn chapter(title: &str) {
    println!("\n\u{1b}[1m# {title}\u{1b}[0m");
}
