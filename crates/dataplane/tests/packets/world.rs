//! Hosts with their switches, and the wire between them.

use std::collections::BTreeMap;

use dataplane::layout::Question;
use dataplane::{Owner, Purpose};

use crate::plan::Plan;
use crate::switch::{Counter, Switch, UNDERLAY_PREFIX};

/// Where an IPv4 destination is in an Ethernet frame.
const IPV4_DESTINATION: std::ops::Range<usize> = 30..34;

/// A plan come true.
pub(crate) struct World {
    switches: BTreeMap<u8, Switch>,
    plan: Plan,
    /// What went over the wire for the last frame.
    pub(crate) wire: Vec<Vec<u8>>,
}

impl World {
    /// Starts and programs every host's switch.
    pub(crate) fn new(plan: Plan) -> Self {
        let switch = |host: u8| {
            let switch = Switch::start(host, plan.ports(host));
            switch.install(host, &plan.program(host));
            (host, switch)
        };
        let switches = plan.all_hosts().into_iter().map(switch).collect();
        Self { switches, plan, wire: Vec::new() }
    }

    /// The plan.
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    /// A guest sends a frame: who gets what, in the order of ports.
    pub(crate) fn send(&mut self, from: &str, frame: &[u8]) -> Vec<(String, Vec<u8>)> {
        self.switches[&self.host_of(from)].receive(from, frame);
        self.settle()
    }

    /// A frame comes over the wire to a host.
    pub(crate) fn send_wire(&mut self, host: u8, frame: &[u8]) -> Vec<(String, Vec<u8>)> {
        self.switches[&host].receive_underlay(frame);
        self.settle()
    }

    /// Checks who gets what when a guest sends a frame.
    #[track_caller]
    pub(crate) fn check(&mut self, from: &str, frame: &[u8], expected: &[(&str, &[u8])]) {
        let mut expected: Vec<_> =
            expected.iter().map(|(port, frame)| (port.to_string(), frame.to_vec())).collect();
        expected.sort();
        assert_eq!(self.send(from, frame), expected, "{frame:02x?}");
    }

    /// Checks that a guest's frame reaches nobody, and is counted under the purpose and no other drop.
    #[track_caller]
    pub(crate) fn check_dropped(&mut self, from: &str, frame: &[u8], purpose: Purpose) {
        let host = self.host_of(from);
        let before = self.drops(host);
        self.check(from, frame, &[]);
        self.check_counted(host, &before, purpose);
    }

    /// The same for a frame from the wire.
    #[track_caller]
    pub(crate) fn check_wire_dropped(&mut self, host: u8, frame: &[u8], purpose: Purpose) {
        let before = self.drops(host);
        assert_eq!(self.send_wire(host, frame), []);
        self.check_counted(host, &before, purpose);
    }

    /// Checks that a guest's frame makes the agent be asked, and nothing else.
    #[track_caller]
    pub(crate) fn check_asked(&mut self, from: &str, frame: &[u8], question: Question) {
        let host = self.host_of(from);
        let [userdata] = question.userdata()[..] else { panic!("one byte") };
        let before = (self.drops(host), self.count(host, Counter::Agent(userdata)));
        self.check(from, frame, &[]);
        let after = (self.drops(host), self.count(host, Counter::Agent(userdata)));
        assert_eq!(after, (before.0, before.1 + 1), "{question:?}");
    }

    #[track_caller]
    fn check_counted(&self, host: u8, before: &BTreeMap<Purpose, u64>, purpose: Purpose) {
        let mut expected = before.clone();
        *expected.entry(purpose).or_default() += 1;
        assert_eq!(self.drops(host), expected);
    }

    /// Drops so far, by purpose.
    fn drops(&self, host: u8) -> BTreeMap<Purpose, u64> {
        let mut drops = BTreeMap::new();
        for (counter, packets) in self.switches[&host].counters() {
            if let Counter::Owner(Owner::Base(purpose)) = counter
                && purpose.drop_reason().is_some()
            {
                *drops.entry(purpose).or_default() += packets;
            }
        }
        drops
    }

    fn count(&self, host: u8, counter: Counter) -> u64 {
        let counters = self.switches[&host].counters();
        counters.into_iter().filter(|(of, _)| *of == counter).map(|(_, packets)| packets).sum()
    }

    fn host_of(&self, port: &str) -> u8 {
        let has = |host: &u8| self.plan.ports(*host).iter().any(|(name, _)| name == port);
        self.plan.all_hosts().into_iter().find(has).expect("a plugged interface")
    }

    /// Carries frames over the wire until there are none, and tells what guests got.
    fn settle(&mut self) -> Vec<(String, Vec<u8>)> {
        let mut received = Vec::new();
        self.wire.clear();
        loop {
            let mut crossing = Vec::new();
            for switch in self.switches.values_mut() {
                let sent = switch.sent();
                received.extend(sent.guests);
                crossing.extend(sent.underlay);
            }
            if crossing.is_empty() {
                received.sort();
                return received;
            }
            for frame in &crossing {
                let destination: [u8; 4] = frame[IPV4_DESTINATION].try_into().expect("4 bytes");
                let [prefix @ .., host] = destination;
                assert_eq!(prefix, UNDERLAY_PREFIX);
                self.switches[&(host - 1)].receive_underlay(frame);
            }
            self.wire.extend(crossing);
        }
    }
}
