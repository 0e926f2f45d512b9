//! Hosts with their switches, kept over topologies, and the wire between them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv6Addr};

use dataplane::layout::{
    DESTINATION_INTERFACE, FLAGS, ORIGIN, Question, ROUTED, SOURCE_INTERFACE, TUNNEL_MTU,
};
use dataplane::{FlowKey, Program, Purpose};
use openflow::{BundleError, Field, OfPort, PacketIn};

use crate::switch::{Switch, underlay_host};
use crate::wire::Crossing;

/// Hosts.
pub(crate) const HOSTS: u8 = 3;

/// Ports of each.
pub(crate) const PORTS: u8 = 6;

/// Number of the first port.
const FIRST_PORT: u32 = 10;

/// Most rounds of frames over the wire until there are none: each crosses at most twice, unless the flows send them round.
const MAX_ROUNDS: usize = 10;

/// Name of a port, and the id of the interface that is plugged in there.
pub(crate) fn port_name(host: u8, port: u8) -> String {
    format!("if-{host}{port}")
}

/// Its number.
pub(crate) fn port_number(port: u8) -> OfPort {
    OfPort(FIRST_PORT + u32::from(port))
}

/// All hosts.
pub(crate) struct Fleet {
    switches: BTreeMap<u8, Switch>,
}

/// What became of a packet.
#[derive(Debug, Default)]
pub(crate) struct Observed {
    /// Frames that ports got.
    pub(crate) frames: Vec<(String, Vec<u8>)>,
    /// Questions to agents.
    pub(crate) questions: Vec<(u8, Question)>,
    /// The key of the interface that each says it is about. Gateways do not look whose packet they send on.
    pub(crate) askers: Vec<u128>,
    /// The key of the interface that answers, of those questions of which agents ask that.
    pub(crate) answerers: Vec<u128>,
    /// What fits a tunnel, as agents are told where a packet does not, in bytes.
    pub(crate) mtus: Vec<u128>,
    /// The MAC addresses of those who sent routed packets, as agents are told that tell them why these cannot go on.
    pub(crate) origins: Vec<u128>,
    /// Whose address gateways' agents are to ask for.
    pub(crate) hops: Vec<IpAddr>,
    /// What has crossed the underlay.
    pub(crate) crossings: Vec<Crossing>,
    /// Frames go round between hosts.
    pub(crate) is_endless: bool,
}

/// What a register of a packet held when an agent was asked.
fn register(asked: &PacketIn, register: u8) -> u128 {
    asked.metadata.get(Field::Reg(register)).map_or(0, |term| term.value)
}

/// Whether the agent answers as an interface that it is told.
fn names_answerer(asked: &PacketIn) -> bool {
    let question = Question::of_userdata(&asked.userdata);
    matches!(
        question,
        Some(
            Question::TimeExceeded
                | Question::NoRoute
                | Question::HostUnreachable
                | Question::PortUnreachable
                | Question::Dns
                | Question::DnsStream
                | Question::Metadata
        )
    )
}

/// Who sent a routed packet that cannot go on: see `layout::ORIGIN`.
fn origin(asked: &PacketIn) -> Option<u128> {
    let question = Question::of_userdata(&asked.userdata)?;
    let is_error = matches!(question, Question::TimeExceeded | Question::NoRoute | Question::HostUnreachable);
    let is_routed = register(asked, FLAGS) & u128::from(ROUTED) != 0;
    let [high, low] = [2 * ORIGIN, 2 * ORIGIN + 1].map(|word| register(asked, word));
    (is_error && is_routed).then_some((high << 32 | low) & 0xffff_ffff_ffff)
}

/// The address that an agent is to ask for: see `layout::RESOLVE_ADDRESS`.
fn address(asked: &PacketIn) -> IpAddr {
    let words = (8..12).map(|of| register(asked, of));
    let address = Ipv6Addr::from(words.fold(0, |address, word| address << 32 | word));
    address.to_ipv4_mapped().map_or(IpAddr::V6(address), IpAddr::V4)
}

impl Fleet {
    /// Starts all switches, without flows.
    pub(crate) fn start() -> Self {
        let ports: Vec<_> = (0..PORTS).map(|port| (port, port_number(port))).collect();
        let named = |host| -> Vec<_> {
            ports.iter().map(|(port, number)| (port_name(host, *port), *number)).collect()
        };
        let start = |host| {
            let switch = Switch::start(host, &named(host), Program::default());
            switch.keep_no_fragments();
            (host, switch)
        };
        Self { switches: (0..HOSTS).map(start).collect() }
    }

    /// Makes every switch hold its program, and forgets all connections.
    pub(crate) fn install(&mut self, mut program: impl FnMut(u8) -> Program) -> Result<(), BundleError> {
        for (host, switch) in &mut self.switches {
            switch.replace(program(*host))?;
            switch.forget_connections();
            let _ = switch.done();
        }
        Ok(())
    }

    /// The flows of a host that packets have met since they were put there.
    pub(crate) fn met(&self, host: u8) -> Vec<FlowKey> {
        self.switches[&host].met()
    }

    /// Brings a host's counters up to date.
    pub(crate) fn count(&self, host: u8) {
        self.switches[&host].count();
    }

    /// Packets that a host has dropped for some of these reasons.
    pub(crate) fn dropped(&self, host: u8, purposes: &[Purpose]) -> u64 {
        self.switches[&host].dropped(purposes)
    }

    /// Gives a frame to a port, and carries on until nothing moves.
    pub(crate) fn send(&mut self, host: u8, port: &str, frame: &[u8]) -> Observed {
        self.switches[&host].receive(port, frame);
        let mut observed = Observed::default();
        let mut touched = BTreeSet::from([host]);
        for _ in 0..MAX_ROUNDS {
            let mut crossing = Vec::new();
            for host in std::mem::take(&mut touched) {
                let Some(switch) = self.switches.get_mut(&host) else { continue };
                let done = switch.done();
                observed.frames.extend(done.guests);
                let too_big = done.questions.iter().filter(|of| of.userdata == Question::TooBig.userdata());
                observed.mtus.extend(too_big.map(|asked| register(asked, TUNNEL_MTU)));
                let next_hop = Question::NextHop.userdata();
                let asked_for = done.questions.iter().filter(|asked| asked.userdata == next_hop);
                observed.hops.extend(asked_for.map(address));
                let of_askers = done.questions.iter().filter(|asked| asked.userdata != next_hop);
                observed.askers.extend(of_askers.map(|asked| register(asked, SOURCE_INTERFACE)));
                let of_answerers = done.questions.iter().filter(|asked| names_answerer(asked));
                observed.answerers.extend(of_answerers.map(|asked| register(asked, DESTINATION_INTERFACE)));
                observed.origins.extend(done.questions.iter().filter_map(origin));
                let questions =
                    done.questions.iter().filter_map(|asked| Question::of_userdata(&asked.userdata));
                observed.questions.extend(questions.map(|question| (host, question)));
                crossing.extend(done.underlay);
            }
            if crossing.is_empty() {
                observed.frames.sort();
                return observed;
            }
            observed.crossings.extend(crossing.iter().filter_map(|frame| Crossing::of(frame)));
            for frame in &crossing {
                // A wrong address is nobody's.
                if let Some((host, switch)) =
                    underlay_host(frame).and_then(|host| self.switches.get_key_value(&host))
                {
                    switch.receive_underlay(frame);
                    touched.insert(*host);
                }
            }
        }
        observed.is_endless = true;
        observed
    }
}
