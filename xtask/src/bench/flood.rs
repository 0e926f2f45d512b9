//! Guests cannot hurt: one floods its host with everything that costs a processor, and a neighbour on the same host
//! measures what it notices.
//!
//! Idle and flooded are measured in turn, several times, so that whatever else the machine does is in both; their ratio
//! is judged.

use std::fs;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use lab::{Guest, GuestSpec, Host, Lab, MacAddr, wait_until};

use super::frames::{self, Asked, Asker};
use super::probe::{Answers, Probe, QUESTIONS};

/// How hard.
#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Frames a second, of each kind
    #[arg(long, default_value_t = 20_000)]
    rate: u32,
    /// Rounds of questions that the neighbour asks, for each row
    #[arg(long, default_value_t = 250)]
    rounds: u16,
    /// Fail if the 99th percentile grows by more than this factor; 0 never fails
    #[arg(long, default_value_t = 3.0)]
    limit: f64,
}

/// How often idle and flooded take turns, for each row.
const TURNS: u16 = 5;
/// Time that everything gets to be in place.
const PATIENCE: Duration = Duration::from_secs(30);
/// Where the lab keeps the topology that is applied.
const TOPOLOGY: &str = "/run/lab/topology.yaml";
/// Ticks of a second in proc_pid_stat(5), on every architecture that Linux runs on today.
const TICKS: f64 = 100.0;

/// The router, which serves DHCP and DNS.
const ROUTER: Asked = Asked {
    mac: MacAddr([2, 0, 0, 0, 0, 0xfe]),
    ipv4: Ipv4Addr::new(10, 0, 0, 254),
    ipv6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, 0xfe),
    beyond: Ipv4Addr::new(10, 0, 1, 1),
};

/// Guests 1 (floods), 2 (measures) and 3 (answers 2).
fn asker(number: u8) -> Asker {
    Asker {
        mac: MacAddr([2, 0, 0, 0, 0, number]),
        ipv4: Ipv4Addr::new(10, 0, 0, number),
        ipv6: Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, number.into()),
    }
}

/// What can be flooded: everything that is answered by the host.
type Flooding = (&'static str, Vec<Vec<u8>>);

fn floodings(from: Asker) -> anyhow::Result<Vec<Flooding>> {
    let dhcp = (0..100).map(|transaction| frames::dhcp(from, transaction)).collect::<Result<_, _>>()?;
    Ok(vec![
        ("ARP", vec![frames::arp(from, ROUTER)?]),
        ("ND", vec![frames::solicitation(from, ROUTER)?]),
        ("DHCP", dhcp),
        ("DNS", vec![frames::dns(from, ROUTER)?]),
        ("echo", vec![frames::echo(from, ROUTER, 0)?]),
        ("TTL 1", vec![frames::without_hops(from, ROUTER)?]),
    ])
}

/// Measures, and judges.
pub(crate) fn flood(options: &Options) -> anyhow::Result<()> {
    let lab = Lab::builder().hosts(1).start()?;
    lab.start_control_plane()?;
    let guests = (1..=3).map(|number| guest(lab.host(0), number)).collect::<anyhow::Result<Vec<_>>>()?;
    let [hostile, neighbour, peer] = &guests[..] else { unreachable!("three guests") };
    topology(&lab)?;
    let probe = Probe::new(neighbour, asker(2), ROUTER, (peer.mac(), asker(3).ipv4))?;
    probe.ask(10)?;

    let floods = floodings(asker(1))?;
    let all = floods.iter().flat_map(|(_, frames)| frames.iter().take(1).cloned()).collect();
    let together = u32::try_from(floods.len())?.saturating_mul(options.rate);
    let rows = floods.into_iter().map(|(name, frames)| (name, frames, options.rate));
    header();
    let mut worst: f64 = 0.0;
    for (name, frames, rate) in rows.chain([("all of them", all, together)]) {
        let (mut idle, mut flooded, mut sent) = (Measured::default(), Measured::default(), 0);
        for _ in 0..TURNS {
            idle.add(measure(&lab, &probe, options.rounds / TURNS)?);
            let flood = hostile.start_flood(frames.clone(), rate)?;
            flooded.add(measure(&lab, &probe, options.rounds / TURNS)?);
            sent += flood.finish();
        }
        let ratio = ratio(&idle.answers, &flooded.answers);
        row(name, sent as f64 / flooded.took.as_secs_f64(), &idle, &flooded, ratio);
        worst = worst.max(ratio);
    }
    println!("\nthe neighbour's p99 grows to {worst:.1} times of what it is, at most");
    ensure!(options.limit == 0.0 || worst <= options.limit, "that is more than {} times", options.limit);
    Ok(())
}

fn guest(host: &Host, number: u8) -> anyhow::Result<Guest> {
    let asker = asker(number);
    let spec = GuestSpec::new(&format!("guest{number}")).mac(asker.mac).iface_id(&format!("if-{number}"));
    Ok(host.add_guest(spec.address(format!("{}/24", asker.ipv4).parse()?))?)
}

/// A network with the guests and a router into a second one, and all services.
fn topology(lab: &Lab) -> anyhow::Result<()> {
    let interface = |number: u8| {
        let of = asker(number);
        format!(
            "  - {{uuid: if-{number}, network_uuid: nw-a, mac_address: '{}', ipv4_address: {}, ipv6_address: '{}'}}\n",
            of.mac, of.ipv4, of.ipv6
        )
    };
    let interfaces: String = (1..=3).map(interface).collect();
    let (mac, ipv4, ipv6) = (ROUTER.mac, ROUTER.ipv4, ROUTER.ipv6);
    let topology = format!(
        "networks:
  - {{uuid: nw-a, ipv4_network: 10.0.0.0, ipv6_network: 'fd00::'}}
  - {{uuid: nw-b, ipv4_network: 10.0.1.0}}
interfaces:
{interfaces}
  - {{uuid: if-a, mode: simulated, enable_routing: true, network_uuid: nw-a, mac_address: '{mac}', ipv4_address: {ipv4}, ipv6_address: '{ipv6}'}}
  - {{uuid: if-b, mode: simulated, enable_routing: true, network_uuid: nw-b, mac_address: '02:00:00:00:01:fe', ipv4_address: 10.0.1.254}}
route_links:
  - {{uuid: rl-1}}
routes:
  - {{uuid: r-a, interface_uuid: if-a, network_uuid: nw-a, route_link_uuid: rl-1, ipv4_network: 10.0.0.0}}
  - {{uuid: r-b, interface_uuid: if-b, network_uuid: nw-b, route_link_uuid: rl-1, ipv4_network: 10.0.1.0}}
network_services:
  - {{uuid: ns-dhcp, interface_uuid: if-a, mode: dhcp}}
  - {{uuid: ns-dns, interface_uuid: if-a, mode: dns}}
"
    );
    lab.manager().namespace().write(TOPOLOGY, topology)?;
    lab.manager().vnctl(["apply", "-f", TOPOLOGY, "--wait"])?;
    wait_until("the guests to be known", PATIENCE, || lab.manager().vnctl(["status"]))?;
    Ok(())
}

/// What was measured while something went on.
#[derive(Default)]
struct Measured {
    answers: Answers,
    took: Duration,
    /// Seconds of a processor that `ovs-vswitchd` and the agent took.
    switch: f64,
    agent: f64,
}

impl Measured {
    fn add(&mut self, other: Self) {
        self.answers.add(other.answers);
        self.took += other.took;
        self.switch += other.switch;
        self.agent += other.agent;
    }
}

fn measure(lab: &Lab, probe: &Probe, rounds: u16) -> anyhow::Result<Measured> {
    let host = lab.host(0);
    let used = || anyhow::Ok([used(host.switch().vswitchd().pid())?, used(host.vna().pid())?]);
    let (before, started) = (used()?, Instant::now());
    let answers = probe.ask(rounds)?;
    let (after, took) = (used()?, started.elapsed());
    let spent = |index: usize| after[index] - before[index];
    Ok(Measured { answers, took, switch: spent(0), agent: spent(1) })
}

/// Seconds of a processor that a process has used: fields 14 and 15 of proc_pid_stat(5), the 12th and 13th behind the name.
fn used(pid: Option<u32>) -> anyhow::Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", pid.context("it has ended")?))?;
    let (_, fields) = stat.rsplit_once(") ").context("a name in parentheses")?;
    let ticks: Vec<f64> = fields.split(' ').skip(11).take(2).map(str::parse).collect::<Result<_, _>>()?;
    Ok(ticks.iter().sum::<f64>() / TICKS)
}

/// How much later answers come, of the question that suffers most.
fn ratio(idle: &Answers, flooded: &Answers) -> f64 {
    let ratios = idle.p99().into_iter().zip(flooded.p99());
    ratios.map(|(idle, flooded)| flooded.as_secs_f64() / idle.as_secs_f64()).fold(0.0, f64::max)
}

fn header() {
    print!("{:<12} {:>9}", "flood", "frames/s");
    QUESTIONS.iter().for_each(|question| print!(" {question:>15}"));
    println!(" {:>6} {:>6} {:>9} {:>9}", "ratio", "lost", "vswitchd", "agent");
}

fn row(name: &str, sent: f64, idle: &Measured, flooded: &Measured, ratio: f64) {
    print!("{name:<12} {sent:>9.0}");
    for (idle, flooded) in idle.answers.p99().into_iter().zip(flooded.answers.p99()) {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        print!(" {:>15}", format!("{:.2}>{:.2} ms", milliseconds(idle), milliseconds(flooded)));
    }
    let percent = |spent: f64, of: &Measured| 100.0 * spent / of.took.as_secs_f64();
    let share = |of: fn(&Measured) -> f64| {
        format!("{:.0}>{:.0} %", percent(of(idle), idle), percent(of(flooded), flooded))
    };
    let (switch, agent) = (share(|of| of.switch), share(|of| of.agent));
    println!(" {ratio:>6.1} {:>6} {switch:>9} {agent:>9}", flooded.answers.lost());
}
