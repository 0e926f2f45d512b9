//! Hosts with their switches, and the wire between them.

use std::collections::BTreeMap;

use dataplane::layout::Question;
use dataplane::{Owner, Purpose};
use openflow::PacketIn;

use crate::plan::Plan;
use crate::switch::{Switch, underlay_host};

/// A plan come true.
pub(crate) struct World {
    switches: BTreeMap<u8, Switch>,
    plan: Plan,
}

/// What became of a frame.
#[derive(Default)]
pub(crate) struct Outcome {
    /// Frames that guests got, in the order of ports.
    pub(crate) received: Vec<(String, Vec<u8>)>,
    /// Frames that went over the wire.
    pub(crate) wire: Vec<Vec<u8>>,
    /// Questions to agents.
    pub(crate) questions: Vec<PacketIn>,
}

impl Outcome {
    /// How many questions were answered, if only questions were asked: by the switch or, with another's help, by its
    /// agent.
    pub(crate) fn answers(&self) -> usize {
        self.received.len() + self.questions.len()
    }
}

impl World {
    /// Starts and programs every host's switch.
    pub(crate) fn new(plan: Plan) -> Self {
        let switch = |host| (host, Switch::start(host, plan.ports(host), plan.program(host)));
        let switches = plan.all_hosts().into_iter().map(switch).collect();
        Self { switches, plan }
    }

    /// The plan.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// A user makes an object, and every host hears of it.
    pub(crate) fn create(&mut self, resource: &str, attributes: serde_json::Value) {
        self.plan.create(resource, attributes);
        self.catch_up();
    }

    /// A user changes an object, and every host hears of it.
    pub(crate) fn update(&mut self, resource: &str, uuid: &str, attributes: serde_json::Value) {
        self.plan.update(resource, uuid, attributes);
        self.catch_up();
    }

    /// The same, and one host alone hears of it.
    pub(crate) fn update_at(&mut self, host: u8, resource: &str, uuid: &str, attributes: serde_json::Value) {
        self.plan.update(resource, uuid, attributes);
        let program = self.plan.program(host);
        self.switches.get_mut(&host).expect("a host").change(program);
    }

    /// Every host hears of everything.
    pub(crate) fn catch_up(&mut self) {
        for (host, switch) in &mut self.switches {
            switch.change(self.plan.program(*host));
        }
    }

    /// Drops so far of all hosts, by purpose.
    pub(crate) fn all_drops(&self) -> BTreeMap<Purpose, u64> {
        let mut sums = BTreeMap::new();
        for (purpose, packets) in self.switches.keys().flat_map(|host| self.drops(*host)) {
            *sums.entry(purpose).or_default() += packets;
        }
        sums
    }

    /// A guest sends a frame.
    pub(crate) fn send(&mut self, from: &str, frame: &[u8]) -> Outcome {
        self.switches[&self.plan.host_of(from)].receive(from, frame);
        self.settle()
    }

    /// A guest sends many frames.
    pub(crate) fn flood(&mut self, from: &str, frames: &[Vec<u8>]) -> Outcome {
        let switch = &self.switches[&self.plan.host_of(from)];
        frames.iter().for_each(|frame| switch.receive(from, frame));
        self.settle()
    }

    /// No time passes any more at an interface's host.
    pub(crate) fn stop_clock(&self, interface: &str) {
        self.switches[&self.plan.host_of(interface)].stop_clock();
    }

    /// A frame comes over the wire to a host.
    pub(crate) fn send_wire(&mut self, host: u8, frame: &[u8]) -> Outcome {
        self.switches[&host].receive_underlay(frame);
        self.settle()
    }

    /// Checks who gets what when a guest sends a frame, and that no agent is asked. Gives what went over the wire.
    #[track_caller]
    pub(crate) fn check(&mut self, from: &str, frame: &[u8], expected: &[(&str, &[u8])]) -> Vec<Vec<u8>> {
        let mut expected: Vec<_> =
            expected.iter().map(|(port, frame)| (port.to_string(), frame.to_vec())).collect();
        expected.sort();
        let outcome = self.send(from, frame);
        assert_eq!(outcome.received, expected, "{frame:02x?}");
        assert_eq!(outcome.questions, []);
        outcome.wire
    }

    /// Checks that a guest's frame reaches nobody, and is counted under the purpose and as no other drop.
    #[track_caller]
    pub(crate) fn check_dropped(&mut self, from: &str, frame: &[u8], purpose: Purpose) {
        let host = self.plan.host_of(from);
        let before = self.drops(host);
        let wire = self.check(from, frame, &[]);
        assert_eq!(wire, Vec::<Vec<u8>>::new());
        self.check_counted(host, before, purpose);
    }

    /// The same for a frame from the wire.
    #[track_caller]
    pub(crate) fn check_wire_dropped(&mut self, host: u8, frame: &[u8], purpose: Purpose) {
        let before = self.drops(host);
        let outcome = self.send_wire(host, frame);
        assert!(outcome.received.is_empty() && outcome.wire.is_empty() && outcome.questions.is_empty());
        self.check_counted(host, before, purpose);
    }

    /// Checks that a guest's frame reaches the agent with the question, and nobody else. Gives what the agent gets.
    #[track_caller]
    pub(crate) fn check_asked(&mut self, from: &str, frame: &[u8], question: Question) -> PacketIn {
        let outcome = self.send(from, frame);
        assert!(outcome.received.is_empty() && outcome.wire.is_empty());
        let [packet_in] = &outcome.questions[..] else { panic!("one question: {:?}", outcome.questions) };
        assert_eq!(Question::of_userdata(&packet_in.userdata), Some(question));
        assert_eq!(packet_in.packet, frame);
        assert_eq!(packet_in.in_port(), Some(self.plan.port_of(from)));
        packet_in.clone()
    }

    #[track_caller]
    fn check_counted(&self, host: u8, before: BTreeMap<Purpose, u64>, purpose: Purpose) {
        let mut expected = before;
        *expected.get_mut(&purpose).expect("a flow of the base") += 1;
        assert_eq!(self.drops(host), expected);
    }

    /// Drops so far, by purpose.
    pub(crate) fn drops(&self, host: u8) -> BTreeMap<Purpose, u64> {
        let of_base = |(owner, packets)| match owner {
            Owner::Base(purpose) if purpose.drop_reason().is_some() => Some((purpose, packets)),
            _ => None,
        };
        self.switches[&host].counters().into_iter().filter_map(of_base).collect()
    }

    /// Carries frames over the wire until there are none.
    fn settle(&mut self) -> Outcome {
        let mut outcome = Outcome::default();
        loop {
            let mut crossing = Vec::new();
            for switch in self.switches.values_mut() {
                let done = switch.done();
                outcome.received.extend(done.guests);
                outcome.questions.extend(done.questions);
                crossing.extend(done.underlay);
            }
            if crossing.is_empty() {
                outcome.received.sort();
                return outcome;
            }
            for frame in &crossing {
                self.switches[&underlay_host(frame).expect("a packet")].receive_underlay(frame);
            }
            outcome.wire.extend(crossing);
        }
    }
}
